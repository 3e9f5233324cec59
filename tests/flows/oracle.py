"""Flow tracking and turn splitting again, in plain integers and dicts over packet rows; nothing here imports a kernel.

A stream is kept as the set of intervals that it was heard to have, not as the marks that the kernels keep.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.flows.rows import ACK, FIN, RST, SYN, Row

CIRCLE = 2**32


@dataclass
class Stream:
    """One direction of a flow."""

    base: int | None = None
    from_syn: bool = False
    heard: list[tuple[int, int]] = field(default_factory=list)
    acknowledged: int = 0
    windows: list[int] = field(default_factory=list)
    stray: int = 0
    packets: int = 0
    octets: int = 0

    @property
    def end(self) -> int:
        return max((end for _, end in self.heard), default=0)

    @property
    def known(self) -> int:
        return max(self.end, self.acknowledged)

    def offset(self, seq: int) -> int:
        """Of all offsets with this sequence number, the nearest to what is known; half a circle away it is the older."""
        assert self.base is not None
        least = (seq - self.base) % CIRCLE
        turns = (self.known - least) // CIRCLE
        around = [least + k * CIRCLE for k in range(turns - 1, turns + 3)]
        return min(around, key=lambda offset: (abs(offset - self.known), offset))

    def credible(self, start: int, end: int) -> bool:
        """No farther ahead than a window, or going on from the stray before it."""
        if self.from_syn and end < 0:
            return False
        window = max(self.windows, default=0) or 2**30
        if end - self.known <= window:
            return True
        before, self.stray = self.stray, end
        return 0 < before <= start <= end and before < end <= before + window


@dataclass
class Flow:
    """A biflow; streams are forward, reverse."""

    initiator: tuple[int, int]
    responder: tuple[int, int]
    protocol: int
    times: list[int] = field(default_factory=list)
    streams: tuple[Stream, Stream] = field(default_factory=lambda: (Stream(), Stream()))
    syn_seen: bool = False
    synack_seen: bool = False
    retransmissions: int = 0
    fins: int = 0
    resets: int = 0

    def columns(self) -> dict[str, Any]:
        """The flow as a row of a FlowTable."""
        forward, reverse = self.streams
        told = [time for time in self.times if time >= 0] or [-1]
        return {
            "initiator": self.initiator[0], "initiator_port": self.initiator[1],
            "responder": self.responder[0], "responder_port": self.responder[1], "protocol": self.protocol,
            "syn_seen": self.syn_seen, "synack_seen": self.synack_seen, "iss": forward.base or 0, "irs": reverse.base or 0,
            "first_ns": min(told), "last_ns": max(told),
            "packets_forward": forward.packets, "packets_reverse": reverse.packets,
            "payload_octets_forward": forward.octets, "payload_octets_reverse": reverse.octets,
            "end_forward": forward.end, "end_reverse": reverse.end,
            "retransmissions": self.retransmissions, "fins": self.fins, "resets": self.resets,
        }  # fmt: skip


def ends_of(row: Row) -> tuple[tuple[int, int], tuple[int, int], bool | None] | None:
    """(source, destination, whether the sender is the initiator where the packet says so) of a packet that belongs to a flow."""
    if row.protocol in (1, 58):
        kind = row.b_port // 256
        if kind not in ((8, 0) if row.protocol == 1 else (128, 129)):
            return None
        request = kind in (8, 128)
        ends = ((row.a, row.a_port), (row.b, 0)) if request else ((row.a, 0), (row.b, row.a_port))
        return *ends, request
    if row.protocol not in (6, 17):
        return None
    said = None if row.protocol == 17 or not row.flags & SYN else not row.flags & ACK
    return (row.a, row.a_port), (row.b, row.b_port), said


def is_of_another(flow: Flow, direction: int, row: Row) -> bool:
    """Whether a segment with this key begins another connection."""
    if not row.flags & SYN or row.flags & RST:
        return False
    own, other = flow.streams[direction], flow.streams[1 - direction]
    answers = bool(row.flags & ACK)
    if own.base is None:
        return other.base is None and (direction == 0) == answers
    if own.base == row.seq:
        return False
    return not answers or (other.base is not None and (other.base + 1 - row.ack) % CIRCLE != 0)


def follow(flow: Flow, direction: int, row: Row) -> tuple[int, int, int, int]:
    """(offset, length, label, acknowledged) of a TCP segment."""
    own, other = flow.streams[direction], flow.streams[1 - direction]
    syn, fin, reset = (bool(row.flags & bit) for bit in (SYN, FIN, RST))
    acks = bool(row.flags & ACK)
    flow.syn_seen |= syn and direction == 0
    flow.synack_seen |= syn and direction == 1
    flow.fins += fin
    flow.resets += reset
    if reset:
        acknowledged = other.offset(row.ack) if acks and other.base is not None else -1
        return (0 if own.base is None else own.offset(row.seq)), 0, 0, max(acknowledged, -1)
    length = row.payload + syn + fin
    fresh = own.base is None or (syn and row.seq != own.base and own.acknowledged == 0)
    offset = (0 if syn else 1) if fresh else own.offset(row.seq)
    wrong_syn = not fresh and syn and row.seq != own.base
    if wrong_syn or (not fresh and not own.credible(offset, offset + length)):
        return offset, 0, 0, -1
    acknowledged = -1
    if acks and other.base is not None:
        acknowledged = other.offset(row.ack)
        if not other.credible(acknowledged, acknowledged):
            if fresh:
                return offset, 0, 0, -1
            acknowledged = -1
    if acks and other.base is None:
        other.base, acknowledged = (row.ack - 1) % CIRCLE, 1
    if fresh:
        own.base, own.heard = (row.seq if syn else (row.seq - 1) % CIRCLE), []
    own.from_syn |= syn
    acknowledged = max(acknowledged, -1)
    other.acknowledged = max(other.acknowledged, acknowledged)
    if not syn:
        other.windows.append(row.window * 2**14)
    old = length > 0 and offset + length <= own.end
    probe = old and row.payload == length == 1 and offset + 1 == own.end <= own.acknowledged
    if length and not old:
        own.heard.append((offset, offset + length))
    label = int(old and not probe)
    flow.retransmissions += label
    return offset, length, label, acknowledged


def track(rows: Iterable[Row]) -> tuple[list[dict[str, Any]], list[dict[str, int]]]:
    """The rows of the FlowTable and of the SegmentTable."""
    flows: list[Flow] = []
    newest: dict[Any, int] = {}
    segments = []
    for i, row in enumerate(rows):
        ends = ends_of(row)
        if ends is None:
            continue
        source, destination, said = ends
        key = row.protocol, frozenset([source, destination])
        number = newest.get(key)
        if number is not None:
            direction = 0 if flows[number].initiator == source else 1
            if row.protocol == 6 and is_of_another(flows[number], direction, row):
                number = None
        if number is None:
            if said is None:
                said = not (row.a_port < 32_768 <= row.b_port)
            direction = 0 if said else 1
            number = newest[key] = len(flows)
            initiator, responder = (source, destination) if said else (destination, source)
            flows.append(Flow(initiator, responder, row.protocol))
        flow = flows[number]
        flow.times.append(row.time_ns)
        flow.streams[direction].packets += 1
        flow.streams[direction].octets += row.payload
        placed = follow(flow, direction, row) if row.protocol == 6 else (0, row.payload, 0, -1)
        names = ("packet", "flow", "direction", "offset", "length", "label", "acknowledged")
        segments.append(dict(zip(names, (i, number, direction, *placed), strict=True)))
    return [flow.columns() for flow in flows], segments


@dataclass
class Turns:
    """The exchanges of one flow while they are told."""

    handshake: dict[str, int] | None = None
    turns: list[dict[str, int]] = field(default_factory=list)
    ends: list[int | None] = field(default_factory=lambda: [None, None])


def exchange(flow: int, number: int, request: int, response: int) -> dict[str, int]:
    """An exchange without octets that begins at these offsets."""
    return {
        "flow": flow, "number": number, "kind": min(number, 1), "request_start": request, "request_end": request,
        "response_start": response, "response_end": response, "request_packet": -1, "response_packet": -1,
    }  # fmt: skip


def split(rows: Sequence[Row], segments: Iterable[dict[str, int]]) -> list[dict[str, int]]:
    """The rows of the ExchangeTable, flow by flow."""
    flows: dict[int, Turns] = {}
    for segment in segments:
        row, direction = rows[segment["packet"]], segment["direction"]
        if row.protocol != 6 or row.flags & RST or not segment["length"]:
            continue
        flow = segment["flow"]
        state = flows.setdefault(flow, Turns())
        name = ("request", "response")[direction]
        if row.flags & SYN:
            if state.handshake is None:
                state.handshake = exchange(flow, 0, 0, 0)
            if state.handshake[f"{name}_packet"] < 0:
                state.handshake[f"{name}_packet"] = segment["packet"]
                state.handshake[f"{name}_end"] = 1
            state.ends[direction] = max(state.ends[direction] or 0, 1)
        end = segment["offset"] + segment["length"] - bool(row.flags & FIN)
        start = state.ends[direction] or max(segment["offset"], 1)
        state.ends[direction] = max(end, state.ends[direction] or 0)
        if end <= start:
            continue
        opens = not state.turns or (direction == 0 and state.turns[-1]["response_packet"] >= 0)
        if opens:
            silent = max(state.ends[1 - direction] or 0, 1)
            places = (start, silent) if direction == 0 else (silent, start)
            state.turns.append(exchange(flow, len(state.turns) + 1, *places))
        turn = state.turns[-1]
        if turn[f"{name}_packet"] < 0:
            turn[f"{name}_packet"] = segment["packet"]
            turn[f"{name}_start"] = start
        turn[f"{name}_end"] = end
    found = []
    for flow in sorted(flows):
        state = flows[flow]
        found += ([state.handshake] if state.handshake else []) + state.turns
    return found
