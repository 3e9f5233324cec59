"""All points together: conversations, their segments and the clocks, in one value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcni.align.clock import ClockModel
from mixcni.align.clocks import CycleResidual, estimate_clocks
from mixcni.align.conversations import CandidateTable, ConversationTable, join_flows
from mixcni.align.datagrams import gather_datagrams
from mixcni.align.heard import wholly_heard
from mixcni.align.transmissions import Columns, TransmissionTable, gather_segments, renumber
from mixcni.align.united import UnitedFlows
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable
from mixcni.schema import TcpFlag
from mixcni.topology import Translation


@dataclass(frozen=True, slots=True)
class Alignment:
    """The captures of all points as one: a row a conversation, a row a segment at a point, one clock.

    points : the flow tables, in path order
    clocks : one a point
    times : of each point's packets, ns on the common clock; -1 where a packet has no time
    cycles : what pairs of points say of their clocks beside all others; none where nothing is told twice
    """

    points: tuple[FlowTable, ...]
    conversations: ConversationTable
    transmissions: TransmissionTable
    clocks: tuple[ClockModel, ...]
    times: tuple[NDArray[np.int64], ...]
    cycles: tuple[CycleResidual, ...] = ()

    @property
    def candidates(self) -> CandidateTable:
        """Conversations that may be one, and were not joined since nothing decides."""
        return self.conversations.candidates


def align_points(
    names: Sequence[str],
    points: Sequence[FlowTable],
    nodes: Sequence[str] = (),
    exchanges: Sequence[ExchangeTable] = (),
    translations: Sequence[Translation] = (),
) -> Alignment:
    """The points' flows as conversations on the clock of the first point.

    Parameters
    ----------
    names : the points in path order
    points : their flow tables, in the same order
    nodes : the node of each point, "" unknown; points of one node are assumed to share its clock, unless segments contradict
    exchanges : one ExchangeTable a point, in the same order; with them DNS queries that are asked at once are told apart
    translations : what NAT and conntrack tables state; with them conversations are joined for which packets alone are not enough
    """
    own = [flows.packets["time_ns"] for flows in points]
    every = UnitedFlows(points, own)
    joined = join_flows(every, translations=translations)
    segments = gather_segments(points, joined, own)
    whole = _for_clocks(wholly_heard(points, segments), joined)
    timed = TransmissionTable.joined([whole, *gather_datagrams(points, joined, own, None, wholly=True)])
    clocks, cycles = estimate_clocks(names, timed, own, nodes)
    unsure = any(clock.uncertainty_ns is None for clock, flows in zip(clocks, points, strict=True) if len(flows))
    if unsure:
        datagrams = gather_datagrams(points, joined, own, None, by_content=True, wholly=True)
        clocks, cycles = estimate_clocks(names, TransmissionTable.joined([whole, *datagrams]), own, nodes)
    times = [clock.common_ns(at) for clock, at in zip(clocks, own, strict=True)]
    conversations = join_flows(every.on(times), clocks, translations)
    number = conversations.rows_of(joined)
    if number is None:
        segments = gather_segments(points, conversations, times)
    else:
        renumber(segments, number, times)
    slack_ns = _slack_ns(clocks, points)
    datagrams = gather_datagrams(points, conversations, times, slack_ns, by_content=unsure, exchanges=exchanges, together=True)
    transmissions = TransmissionTable.joined([segments, *datagrams])
    return Alignment(tuple(points), conversations, transmissions, tuple(clocks), tuple(times), cycles)


def _for_clocks(segments: Columns, conversations: ConversationTable) -> Columns:
    """The segments but for handshakes that a SYN proxy made again: it answers before the responder does."""
    again = conversations.remade[segments["conversation"]] & ((segments["tcp_flags"] & TcpFlag.SYN) != 0)
    return {name: column[~again] for name, column in segments.items()} if again.any() else segments


def _slack_ns(clocks: Sequence[ClockModel], points: Sequence[FlowTable]) -> int | None:
    """How far times of two points may be off by what their clocks are uncertain; None where some are not joined."""
    there = [clock for clock, flows in zip(clocks, points, strict=True) if len(flows)]
    if not all(clock.is_known for clock in there):
        return None
    return 2 * max((clock.uncertainty_ns or 0 for clock in there), default=0)
