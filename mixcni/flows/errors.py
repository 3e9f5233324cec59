"""ICMP and ICMPv6 errors attached to the flows whose packets they quote, with the router that sent them (RFC 792, RFC 4443)."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mixcni.flows.tables import FlowTable
from mixcni.schema import ERRORS, Direction
from mixcni.tables import Table

PROTOCOL_TCP = 6
HALF, CIRCLE = 1 << 31, 1 << 32  # of sequence numbers (RFC 9293 section 3.4)
FARTHEST = 1 << 30  # octets: beyond the largest window (RFC 7323 section 2.3) a sequence number is not of this connection


class ErrorTable(Table):
    """ICMP errors that quote a packet with ports, one row an error, in file order."""

    schema = ERRORS


def attach_errors(flows: FlowTable) -> ErrorTable:
    """The ICMP errors of one capture point, each with the flow whose packet it quotes.

    Of several flows with the quoted key the one whose segments have the quoted sequence number is meant, then one in the error's
    own outer stack, then the newest that had begun.

    Parameters
    ----------
    flows : FlowTable of one capture point
    """
    packets, quotes = flows.packets, flows.packets.quotes
    members = _members(flows)
    segments = _Segments(flows)
    found: dict[str, list[int]] = {name: [] for name in ERRORS}
    columns = ("packet", "source", "destination", "source_port", "destination_port", "protocol", "seg_seq")
    for packet, source, destination, source_port, destination_port, protocol, seq in zip(
        *(quotes[name].tolist() for name in columns), strict=True
    ):
        key = (source, source_port, destination, destination_port, protocol)
        ranked = [(_fit(flows, flow, direction, seq, packet), flow, direction) for flow, direction in members.get(key, ())]
        best = max(ranked, default=None)
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


def _members(flows: FlowTable) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """(flow, direction) by key, of flows that a quote can mean."""
    quotes = flows.packets.quotes
    ports = np.unique(quotes["source_port"])
    rows = np.flatnonzero(np.isin(flows["initiator_port"], ports) | np.isin(flows["responder_port"], ports))
    names = ("initiator", "initiator_port", "responder", "responder_port", "protocol")
    members: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for flow, a, a_port, b, b_port, protocol in zip(rows.tolist(), *(flows[name][rows].tolist() for name in names), strict=True):
        members[a, a_port, b, b_port, protocol].append((flow, Direction.FORWARD))
        members[b, b_port, a, a_port, protocol].append((flow, Direction.REVERSE))
    return members


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
    """The segments of one stream after the other, looked up only where an error asks."""

    def __init__(self, flows: FlowTable) -> None:
        self._table = flows.segments
        self._order: NDArray[np.int64] | None = None
        self._flow: NDArray[np.int32] = np.empty(0, dtype=np.int32)

    def last_before(self, flow: int, direction: int, offset: int, packet: int) -> int:
        """The last segment before `packet` that begins at `offset`; -1 where none was seen."""
        table = self._table
        if self._order is None:
            self._order = np.argsort(table["flow"], kind="stable")
            self._flow = table["flow"][self._order]
        rows = self._order[slice(*np.searchsorted(self._flow, [flow, flow + 1]))]
        rows = rows[
            (table["direction"][rows] == direction) & (table["offset"][rows] == offset) & (table["packet"][rows] < packet)
        ]
        return int(rows[-1]) if rows.size else -1
