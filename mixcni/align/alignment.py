"""All points together: conversations, their segments and the clocks, in one value."""

from collections.abc import Sequence
from dataclasses import dataclass

from mixcni.align.clocks import ClockModel, estimate_clocks
from mixcni.align.conversations import ConversationTable, join_flows
from mixcni.align.transmissions import TransmissionTable, gather_transmissions
from mixcni.flows import FlowTable


@dataclass(frozen=True, slots=True)
class Alignment:
    """The captures of all points as one: a row a conversation, a row a segment at a point, one clock.

    points : the flow tables, in path order
    clocks : one a point
    """

    points: tuple[FlowTable, ...]
    conversations: ConversationTable
    transmissions: TransmissionTable
    clocks: tuple[ClockModel, ...]


def align_points(names: Sequence[str], points: Sequence[FlowTable]) -> Alignment:
    """The points' flows as conversations on the clock of the first point.

    Parameters
    ----------
    names : the points in path order
    points : their flow tables, in the same order
    """
    by_own_clock = [0] * len(points)
    conversations = join_flows(points, by_own_clock)
    clocks = estimate_clocks(names, gather_transmissions(points, conversations, by_own_clock))
    offsets = [clock.offset_ns for clock in clocks]
    if any(offsets):
        conversations = join_flows(points, offsets)
    return Alignment(tuple(points), conversations, gather_transmissions(points, conversations, offsets), tuple(clocks))
