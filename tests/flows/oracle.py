"""Flow tracking and turn splitting again, in plain integers and dicts over packet rows; nothing here imports a kernel.

A stream is kept as the set of intervals that it was heard to have, not as the marks that the kernels keep.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixcni.schema import Ending, Label
from tests.flows.places_twin import Places, Stacks, nearest
from tests.flows.rows import ACK, FIN, RST, STACKS, SYN, Row
from tests.flows.wireshark_twin import Watch
from tests.flows.zeek_twin import Zeek

CIRCLE = 2**32
MINUTE = 60 * 10**9
MS = 10**6


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
    stack: int = -1
    news: tuple[int, int] = 0, 0
    labels: list[Label] = field(default_factory=list)
    size: int = 0
    resent: int = 0
    mss: int = -1
    scale: int = -1
    large: int = 0
    timed: tuple[int, int] | None = None
    round_trips: list[int] = field(default_factory=list)
    closed_since: int | None = None
    no_room: int = 0

    def columns(self) -> dict[str, int]:
        """What a FlowTable says of one direction."""
        edges = sorted({cut for pair in self.heard for cut in pair})
        gaps = [(a, b) for a, b in itertools.pairwise(edges) if self.new_octets(a, b)[0]]
        unseen = sum(max(min(b, self.acknowledged) - a, 0) for a, b in gaps)
        trips = sorted(self.round_trips)
        labels = {str(label.name).lower(): sum(label in given for given in self.labels) for label in Label}
        return labels | {
            "end": max(self.end, 0), "packets": self.packets, "octets": self.size, "payload_octets": self.octets,
            "octets_seen": union(self.heard), "holes": len(gaps), "hole_octets": sum(b - a for a, b in gaps),
            "unseen_octets": unseen + max(self.acknowledged - (self.end if self.heard else 1), 0),
            "resent_octets": self.resent, "mss": self.mss, "window_scale": self.scale,
            "rtt_min_ns": trips[0] if trips else -1, "rtt_median_ns": trips[(len(trips) - 1) // 2] if trips else -1,
            "no_room_ns": self.no_room, "super_segments": self.large, "stack": self.stack,
        }  # fmt: skip

    @property
    def end(self) -> int:
        return max((end for _, end in self.heard), default=0)

    def new_octets(self, start: int, end: int) -> tuple[int, int]:
        """How many of these were never heard, and how many of them lie below others that were."""
        cuts = sorted({start, end, *(cut for pair in self.heard for cut in pair if start < cut < end)})
        new = [(a, b) for a, b in itertools.pairwise(cuts) if not any(first <= a and b <= last for first, last in self.heard)]
        top = self.end if self.heard else start
        return sum(b - a for a, b in new), sum(min(b, max(a, top)) - a for a, b in new)

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

    def credible(self, start: int, end: int, window: int | None = None) -> bool:
        """No farther ahead than a window, or going on from the stray before it."""
        if self.from_syn and end < 0:
            return False
        if window is None:
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
    number: int
    times: list[int] = field(default_factory=list)
    streams: tuple[Stream, Stream] = field(default_factory=lambda: (Stream(), Stream()))
    syn_seen: bool = False
    synack_seen: bool = False
    fins: int = 0
    resets: int = 0
    copies: int = 0
    other_stack: int = -1
    predecessor: "Flow | None" = None
    watch: Watch = field(default_factory=Watch)
    zeek: Zeek = field(default_factory=Zeek)
    completeness: int = 0
    syn_ns: int = -1
    handshake: int | None = None
    closed_by: int = -1

    def columns(self) -> dict[str, Any]:
        """The flow as a row of a FlowTable."""
        forward, reverse = self.streams
        told = [time for time in self.times if time >= 0] or [-1]
        return {
            "initiator": self.initiator[0], "initiator_port": self.initiator[1],
            "responder": self.responder[0], "responder_port": self.responder[1], "protocol": self.protocol,
            "syn_seen": self.syn_seen, "synack_seen": self.synack_seen, "iss": forward.base or 0, "irs": reverse.base or 0,
            "first_ns": min(told), "last_ns": max(told),
            "conn_state": int(self.zeek.conn_state(self.protocol, forward, reverse)), "history": self.zeek.history[:31].encode(),
            "completeness": self.completeness, "ending": int(self.ending), "closed_by": self.closed_by,
            "handshake_rtt_ns": -1 if self.handshake is None else max(self.handshake, -1),
            **{f"{name}_forward": value for name, value in forward.columns().items()},
            **{f"{name}_reverse": value for name, value in reverse.columns().items()},
            "retransmissions": sum(Label.RETRANSMISSION in label for label in forward.labels + reverse.labels),
            "fins": self.fins, "resets": self.resets, "copies": self.copies, "other_stack": self.other_stack,
        }  # fmt: skip

    @property
    def ending(self) -> Ending:
        """How it ended."""
        fins = len({letter for letter in self.zeek.history if letter in "fF"}) if self.protocol == 6 else 0
        if fins == 2:
            return Ending.CLOSED
        return Ending.RESET if self.resets else Ending.HALF_CLOSED if fins else Ending.NONE


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


def follow(flow: Flow, direction: int, row: Row, opened: bool) -> tuple[int, int, Label, int]:
    """(offset, length, label, acknowledged) of a TCP segment; `opened`: it begins another connection of a known key."""
    own, other = flow.streams[direction], flow.streams[1 - direction]
    syn, fin, reset = (bool(row.flags & bit) for bit in (SYN, FIN, RST))
    acks = bool(row.flags & ACK)
    flow.syn_seen |= syn and direction == 0
    flow.synack_seen |= syn and direction == 1
    flow.fins += fin
    flow.resets += reset
    if (fin or reset) and flow.closed_by < 0:
        flow.closed_by = direction
    nothing = Label(0)
    if reset:
        acknowledged = other.offset(row.ack) if acks and other.base is not None else -1
        offset = 0 if own.base is None else own.offset(row.seq)
        if offset == own.end:
            flow.watch.follow(row)
        return offset, 0, nothing, max(acknowledged, -1)
    length = row.payload + syn + fin
    fresh = own.base is None or (syn and row.seq != own.base and own.acknowledged == 0)
    offset = (0 if syn else 1) if fresh else own.offset(row.seq)
    wrong_syn = not fresh and syn and row.seq != own.base
    if wrong_syn or (not fresh and not own.credible(offset, offset + length)):
        return offset, 0, nothing, -1
    acknowledged = -1
    if acks and other.base is not None:
        acknowledged = other.offset(row.ack)
        before_any = (0 if syn else 65_535) if fresh and other.from_syn else None
        if not other.credible(acknowledged, acknowledged, before_any):
            if fresh:
                return offset, 0, nothing, -1
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
    if syn and (row.scale >= 0 or row.mss >= 0 or row.operations):
        own.scale, own.mss = row.scale, row.mss
    due = offset == own.end
    label = judge(own, other, row, flow.watch.follow(row), (offset, length, acknowledged))
    if opened:
        label |= Label.PORT_REUSED
    measure(flow, direction, row, label, (offset, length, acknowledged), due=due)
    return offset, length, label, acknowledged


ONLY_OURS = (
    Label.RETRANSMISSION | Label.FAST_RETRANSMISSION | Label.SPURIOUS_RETRANSMISSION | Label.OUT_OF_ORDER | Label.KEEP_ALIVE
    | Label.PORT_REUSED | Label.ACK_LOST_SEGMENT
)  # fmt: skip


def judge(own: Stream, other: Stream, row: Row, theirs: Label, placed: tuple[int, int, int]) -> Label:
    """Our label, by which octets were heard before."""
    offset, length, acknowledged = placed
    label = theirs & ~ONLY_OURS
    own.news = 0, 0
    gaps = bool(other.heard) and union(other.heard) < other.end - min(a for a, _ in other.heard)
    if Label.ACK_LOST_SEGMENT in theirs and (acknowledged > other.end or gaps):
        label |= Label.ACK_LOST_SEGMENT
    if not length:
        return label | theirs & Label.KEEP_ALIVE
    if row.payload == length == 1 and offset + 1 == own.end <= own.acknowledged:
        return label | Label.KEEP_ALIVE
    new, filled = own.new_octets(offset, offset + length)
    if new and own.acknowledged > max(offset, own.end):
        filled += 1
    own.heard.append((offset, offset + length))
    own.news = new, filled
    if Label.ZERO_WINDOW_PROBE in theirs:
        return label
    own.resent += length - new
    if filled:
        label |= Label.OUT_OF_ORDER
    if not new:
        label |= Label.RETRANSMISSION | theirs & Label.FAST_RETRANSMISSION
        if own.acknowledged >= offset + length:
            label |= Label.SPURIOUS_RETRANSMISSION
    return label


def measure(flow: Flow, direction: int, row: Row, label: Label, placed: tuple[int, int, int], *, due: bool) -> None:
    """Round trips, and the time without room."""
    offset, length, acknowledged = placed
    own, other = flow.streams[direction], flow.streams[1 - direction]
    if flow.handshake is None:
        if row.flags & SYN:
            if Label.RETRANSMISSION in label:
                flow.handshake = -2
            elif direction == 0 and not row.flags & ACK:
                flow.syn_ns = row.time_ns
        elif direction == 0 and row.flags & ACK and acknowledged > 0 and flow.synack_seen and flow.syn_ns >= 0:
            flow.handshake = row.time_ns - flow.syn_ns
    if other.timed and acknowledged >= other.timed[0]:
        if row.time_ns >= other.timed[1]:
            other.round_trips.append(row.time_ns - other.timed[1])
        other.timed = None
    if row.payload:
        new, filled = own.news
        if filled or not new:
            own.timed = None
        elif due and own.timed is None and row.time_ns >= 0:
            own.timed = offset + length, row.time_ns
    if not row.flags & SYN:
        if row.window:
            if own.closed_since is not None:
                own.no_room += max(row.time_ns - own.closed_since, 0)
            own.closed_since = None
        elif own.closed_since is None and row.time_ns >= 0:
            own.closed_since = row.time_ns
    own.large += 0 <= other.mss < row.payload


def union(intervals: list[tuple[int, int]]) -> int:
    """How many octets lie in any of these."""
    total, top = 0, -(2**63)
    for a, b in sorted(intervals):
        total += max(b - max(a, top), 0)
        top = max(top, b)
    return total


def copied(row: Row, heard: Sequence[tuple[int, Row]], certain: bool) -> int:
    """The segment that a packet is a copy of, of those of its direction; -1."""
    for number, first in reversed(heard):
        now, then = (one._replace(time_ns=0, ttl=0, scale=0, stack=0, mss=0, size=0, operations=0) for one in (row, first))
        if not same_identity(row, first):
            continue
        soon = first.time_ns >= 0 and 0 <= row.time_ns - first.time_ns <= MS
        sure = row.ip_id or first.ttl - row.ttl == 1 or (row.protocol == 6 and (certain or row.flags & (SYN | FIN)))
        return number if now == then and soon and first.ttl - row.ttl in (0, 1) and sure else -1
    return -1


def same_identity(row: Row, first: Row) -> bool:
    """What a copy is looked up by; only the latest packet that has it is compared further."""
    names = ("seq", "ack", "ip_id")
    return all(getattr(row, name) == getattr(first, name) for name in names) and (row.payload - first.payload) % 2**16 == 0


def complete(row: Row, *, is_first: bool) -> int:
    """What a segment adds to tcp.completeness."""
    flags = row.flags
    if is_first:
        return (1 | 8 * bool(row.payload)) if flags & (SYN | ACK) == SYN else 0
    found = 2 if flags & (SYN | ACK) == SYN | ACK else 0
    if flags & (SYN | ACK) == ACK:
        found |= 8 if row.payload else 4
    if flags & (FIN | ACK) == FIN | ACK:
        found |= 16
    return found | (32 if flags & RST else 0)


def track(rows: Iterable[Row], stacks: Stacks = STACKS) -> tuple[list[dict[str, Any]], list[dict[str, int]]]:
    """The rows of the FlowTable and of the SegmentTable."""
    flows: list[Flow] = []
    places = Places(stacks)
    watches: dict[Any, Watch] = {}
    rows_before: dict[tuple[int, int], list[tuple[int, Row]]] = {}
    segments: list[dict[str, int]] = []
    for i, row in enumerate(rows):
        ends = ends_of(row)
        if ends is None:
            continue
        source, destination, said = ends
        key = row.protocol, frozenset([source, destination])
        theirs = Label(0)
        if row.protocol == 6:
            if key not in watches or watches[key].begins_another(row):
                theirs = Label.PORT_REUSED if key in watches else theirs
                watches[key] = Watch()
            theirs |= watches[key].follow(row)
        place, found = places.find(key, source, row.stack)
        earlier, opened = found, False
        if found is not None:
            found = nearest(found, source, row)
            opened = row.protocol == 6 and is_of_another(found, 0 if found.initiator == source else 1, row)
            last = max(found.times)
            if opened or (row.protocol != 6 and row.time_ns - last > MINUTE and last >= 0):
                found = None
        if found is None:
            if said is None:
                said = not (row.a_port < 32_768 <= row.b_port)
            initiator, responder = (source, destination) if said else (destination, source)
            found = Flow(initiator, responder, row.protocol, len(flows))
            flows.append(found)
            places.enter(key, place, row.stack, found, earlier)
            direction = 0 if said else 1
        else:
            direction = 0 if found.initiator == source else 1
        flow, number = found, found.number
        flow.times.append(row.time_ns)
        stream = flow.streams[direction]
        stream.packets += 1
        stream.octets += row.payload
        stream.stack = row.stack
        stream.size += row.size
        if row.protocol == 6:
            flow.completeness |= complete(row, is_first=len(flow.times) == 1)
        if len(flow.times) == 1 and direction == 1:
            flow.zeek.history += "^"
        before = rows_before.setdefault((number, direction), [])
        copy_of, sub_hop = copied(row, before, bool(flow.copies)), 0
        before.append((len(segments), row))
        if copy_of >= 0:
            flow.copies += 1
            first = segments[copy_of]
            sub_hop = min(first["sub_hop"] + 1, 255)
            copy_of = first["copy_of"] if first["copy_of"] >= 0 else copy_of
            placed = first["offset"], first["length"], Label(0), first["acknowledged"]
        elif row.protocol == 6:
            flow.zeek.before(direction, row, flow.streams)
            placed = follow(flow, direction, row, opened)
            flow.zeek.note(direction, row, placed[0])
            stream.labels.append(placed[2])
            flow.zeek.note_label(direction, stream.labels)
        else:
            if row.protocol == 17 and "dD"[1 - direction] not in flow.zeek.history:
                flow.zeek.history += "Dd"[direction]
            placed = 0, row.payload, Label(0), -1
        offset, length, label, acknowledged = placed
        segments.append(
            {
                "packet": i, "flow": number, "direction": direction, "offset": offset, "length": length, "label": int(label),
                "label_wireshark": int(theirs), "acknowledged": acknowledged, "copy_of": copy_of, "sub_hop": sub_hop,
            }
        )  # fmt: skip
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
