"""ICMP and ICMPv6 errors attached to the flows whose packets they quote, with the router that sent them (RFC 792, RFC 4443)."""

from bisect import bisect_right
from collections import defaultdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.flows.tables import FlowTable
from mixcni.schema import ERRORS, PROTOCOL_TCP, Direction
from mixcni.tables import Table

HALF, CIRCLE = 1 << 31, 1 << 32  # of sequence numbers (RFC 9293 section 3.4)
MOST_NEAR: Final = 64  # flows of a key that are looked at on either side of an error: a router quotes what it has just seen
FARTHEST = 1 << 30  # octets: beyond the largest window (RFC 7323 section 2.3) a sequence number is not of this connection


class ErrorTable(Table):
    """ICMP errors that quote a packet with ports, one row an error, in file order."""

    schema = ERRORS


def attach_errors(flows: FlowTable) -> ErrorTable:
    """The ICMP errors of one capture point, each with the flow whose packet it quotes.

    Of several flows with the quoted key the one whose segments have the quoted sequence number is meant, then one in the error's
    own outer stack, then the newest that had begun. Of a key with many flows those that begin near the error are looked at.

    Parameters
    ----------
    flows : FlowTable of one capture point
    """
    packets, quotes = flows.packets, flows.packets.quotes
    members = _Members(flows)
    segments = _Segments(flows)
    found: dict[str, list[int]] = {name: [] for name in ERRORS}
    columns = ("packet", "source", "destination", "source_port", "destination_port", "protocol", "seg_seq")
    for packet, source, destination, source_port, destination_port, protocol, seq in zip(
        *(quotes[name].tolist() for name in columns), strict=True
    ):
        key = (source, source_port, destination, destination_port, protocol)
        near = members.near(key, int(packets["stack"][packet]), int(packets["time_ns"][packet]))
        best = max(((_fit(flows, flow, direction, seq, packet), flow, direction) for flow, direction in near), default=None)
        flow, direction, offset, segment = -1, -1, -1, -1
        if best is not None:
            _, flow, direction = best
            if protocol == PROTOCOL_TCP:
                offset = _offset(flows, flow, direction, seq)
                segment = segments.last_before(flow, direction, offset, packet)
        kind, code = divmod(int(packets["destination_port"][packet]), 256)
        values = (packet, flow, direction, int(packets["source"][packet]), kind, code, offset, segment)
        for name, value in zip(ERRORS, values, strict=True):
            found[name].append(value)
    return ErrorTable({name: np.array(found[name], dtype=column.dtype) for name, column in ERRORS.items()})


class _Members:
    """Flows that a quote can mean, by key, and by key and outer stack, in the order in which they began."""

    def __init__(self, flows: FlowTable) -> None:
        self._beginnings: dict[tuple[int, ...], list[int]] = defaultdict(list)
        self._flows: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
        ports = np.unique(flows.packets.quotes["source_port"])
        rows = np.flatnonzero(np.isin(flows["initiator_port"], ports) | np.isin(flows["responder_port"], ports))
        rows = rows[np.argsort(flows["first_ns"][rows], kind="stable")]
        names = ("initiator", "initiator_port", "responder", "responder_port", "protocol", "first_ns")
        stacks = zip(flows["stack_forward"][rows].tolist(), flows["stack_reverse"][rows].tolist(), strict=True)
        columns = (flows[name][rows].tolist() for name in names)
        for flow, around, a, a_port, b, b_port, protocol, first_ns in zip(rows.tolist(), stacks, *columns, strict=True):
            for key, direction in (
                ((a, a_port, b, b_port, protocol), Direction.FORWARD),
                ((b, b_port, a, a_port, protocol), Direction.REVERSE),
            ):
                for place in (key, *((*key, stack) for stack in set(around))):
                    self._beginnings[place].append(first_ns)
                    self._flows[place].append((flow, direction))

    def near(self, key: tuple[int, ...], stack: int, time_ns: int) -> list[tuple[int, int]]:
        """(flow, direction) of those with a key, in this outer stack and in any, that begin next before and behind a time."""
        found: list[tuple[int, int]] = []
        for place in (key, (*key, stack)):
            if place in self._flows:
                at = bisect_right(self._beginnings[place], time_ns)
                found += self._flows[place][max(at - MOST_NEAR, 0) : at + MOST_NEAR]
        return found


def _offset(flows: FlowTable, flow: int, direction: int, seq: int) -> int:
    """The stream offset nearest to what was seen that a sequence number can mean."""
    base, end = ("iss", "end_forward") if direction == Direction.FORWARD else ("irs", "end_reverse")
    reach = int(flows[end][flow])
    return reach + (seq - int(flows[base][flow]) - reach + HALF) % CIRCLE - HALF


def _fit(flows: FlowTable, flow: int, direction: int, seq: int, packet: int) -> tuple[bool, bool, bool, int]:
    """How well a flow fits a quote: whether it had begun, by sequence number, by outer stack, and how near in time it began."""
    packets = flows.packets
    first = int(flows["first_ns"][flow])
    own_number = True
    if flows["protocol"][flow] == PROTOCOL_TCP:
        end = int(flows["end_forward" if direction == Direction.FORWARD else "end_reverse"][flow])
        own_number = end - FARTHEST < _offset(flows, flow, direction, seq) <= end
    stacks = (int(flows["stack_forward"][flow]), int(flows["stack_reverse"][flow]))
    begun = first <= int(packets["time_ns"][packet])
    return begun, own_number, int(packets["stack"][packet]) in stacks, first if begun else -first


class _Segments:
    """The segments of streams by the offset at which they begin, looked up only where an error asks."""

    def __init__(self, flows: FlowTable) -> None:
        self._table = flows.segments
        self._sorted: list[NDArray[Any]] = []

    def last_before(self, flow: int, direction: int, offset: int, packet: int) -> int:
        """The last segment before `packet` that begins at `offset`; -1 where none was seen."""
        table = self._table
        if not self._sorted:
            names = ("flow", "direction", "offset")
            order = np.lexsort(tuple(table[name] for name in names[::-1]))  # of one offset in the order of packets, as rows are
            self._sorted = [*(table[name][order] for name in names), order]
        begin, end = 0, len(table)
        for column, wanted in zip(self._sorted, (flow, direction, offset), strict=False):
            begin, end = (begin + int(place) for place in np.searchsorted(column[begin:end], [wanted, wanted + 1]))
        rows = self._sorted[-1][begin:end]
        before = int(np.searchsorted(table["packet"][rows], packet))
        return int(rows[before - 1]) if before else -1
