"""A network of several capture points in which hosts speak TCP: drops, refusals and silence are known, captures are imperfect.

Hosts retransmit, back off and give up as TCP does (RFC 6298, 9293), so that a fault leads to what it leads to in a network.
Everything is drawn from one seed.
"""

import heapq
import itertools
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from tests.wire import START, Frame

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
SECOND = 1_000_000_000
MSS = 1448
WINDOW = 10  # segments in flight
RTO_NS = 200_000_000
SYN_RTO_NS = SECOND
MOST_COPIES = 6
PATIENCE_NS = 6 * SECOND  # of a client without a response
VXLAN_PORT = 8472
End = tuple[str, int]


class Segment(NamedTuple):
    """A segment on its way: numbers relative to the initial ones, which the frame adds."""

    connection: int
    side: int
    seq: int
    octets: int
    flags: int
    ack: int
    ip_id: int


@dataclass(frozen=True)
class Fault:
    """What is done to packets.

    kind : drop, reset (answered by a reset in the responder's name, and dropped), silent or refused (by the server)
    hop : 0 before the first point, 1 between the first and the second; side : whose packets, 0 the initiator's
    connections : which; since : s, from then on; larger_than : octets of payload, only such
    """

    kind: str = "drop"
    hop: int = 1
    side: int = 0
    connections: frozenset[int] = frozenset()
    since: float = 0.0
    larger_than: int = -1

    def takes(self, segment: Segment, hop: int, now: int) -> bool:
        """Whether it takes this packet on this hop."""
        return (
            hop == self.hop
            and segment.side == self.side
            and segment.connection in self.connections
            and now - START >= self.since * SECOND
            and segment.octets > self.larger_than
        )


@dataclass(frozen=True)
class View:
    """How one point's capture shows what passes it.

    seen_as : which ends it sees in place of which; missing : share of packets that it lacks; offset_ns, ppm : of its clock
    begin, end : s, when it ran; merged : segments that follow each other are one, as GRO makes them
    tunnelled : it sees frames in VXLAN; copies : of each frame; snap_length : octets kept
    """

    seen_as: Mapping[End, End] = field(default_factory=dict)
    missing: float = 0.0
    offset_ns: int = 0
    ppm: float = 0.0
    begin: float = -1e9
    end: float = 1e9
    merged: bool = False
    tunnelled: bool = False
    copies: int = 1
    snap_length: int = 262_144
    sees: Callable[[Segment], bool] = lambda segment: True


class Host:
    """One end of a connection."""

    def __init__(self) -> None:
        self.una = self.nxt = self.limit = self.received = 0
        self.fin = -1
        self.kept: set[tuple[int, int]] = set()
        self.attempts = 0
        self.timer = 0
        self.dead = False


class Network:
    """Connections over a path of points; `run` gives each point's frames.

    answered : (connection, exchange) whose response began to reach its client, completed : to the end; asked : those that it
        began; exchange 0 is the handshake
    """

    def __init__(
        self,
        seed: int,
        names: str = "ABC",
        *,
        ends: Sequence[tuple[End, End]],
        scripts: Sequence[Sequence[tuple[int, int]]],
        begins: Sequence[float],
        faults: Sequence[Fault] = (),
        loss: Mapping[tuple[int, int], float] | None = None,
        delay_ns: int = 200_000,
        jitter_ns: int = 50_000,
        pause: float = 0.3,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.names, self.ends, self.scripts, self.faults = names, ends, scripts, faults
        self.loss = loss or {}
        self.delay_ns, self.jitter_ns, self.pause = delay_ns, jitter_ns, pause
        self.isn = self.rng.integers(0, 2**32, size=(len(ends), 2)).tolist()
        self.stamp = self.rng.integers(0, 2**32, size=(len(ends), 2)).tolist()
        self.hosts = [(Host(), Host()) for _ in ends]
        self.turn = [0] * len(ends)
        self.asked: set[tuple[int, int]] = set()
        self.answered: set[tuple[int, int]] = set()
        self.completed: set[tuple[int, int]] = set()
        self.heard: list[list[tuple[int, Segment]]] = [[] for _ in names]
        self.free: dict[tuple[int, int], int] = defaultdict(int)
        self.ids = itertools.count(int(self.rng.integers(1, 60_000)))
        self.order = itertools.count()
        self.events: list[tuple[int, int, Callable[[int], None]]] = []
        self.now = START
        for number, begin in enumerate(begins):
            self._at(START + round(begin * SECOND), partial(self._connect, number))

    def _at(self, time: int, what: Callable[[int], None]) -> None:
        heapq.heappush(self.events, (time, next(self.order), what))

    def run(self, until: float = 120.0) -> None:
        """Let everything happen."""
        while self.events and self.events[0][0] < START + until * SECOND:
            self.now, _, what = heapq.heappop(self.events)
            what(self.now)

    def _connect(self, c: int, now: int) -> None:
        self.asked.add((c, 0))
        host = self.hosts[c][0]
        host.nxt = host.limit = 1
        self._transmit(c, 0, 0, 0, SYN)
        self._arm(c, 0, SYN_RTO_NS)
        self._at(now + PATIENCE_NS, lambda now: self._give_up(c, 0))

    def _give_up(self, c: int, turn: int) -> None:
        host = self.hosts[c][0]
        if self.turn[c] != turn or host.dead or (c, turn) in self.answered:
            return
        if turn == 0:
            host.dead = True
        elif host.fin < 0:
            host.fin = host.limit
            host.limit += 1
            self._push(c, 0)

    def _arm(self, c: int, side: int, rto: int) -> None:
        host = self.hosts[c][side]
        host.timer += 1
        timer = host.timer
        self._at(self.now + rto, lambda now: self._expire(c, side, timer, rto))

    def _expire(self, c: int, side: int, timer: int, rto: int) -> None:
        host = self.hosts[c][side]
        if host.dead or timer != host.timer or host.una >= host.nxt:
            return
        host.attempts += 1
        if host.attempts > MOST_COPIES:
            host.dead = True
            return
        self._resend(c, side)
        self._arm(c, side, 2 * rto)

    def _resend(self, c: int, side: int) -> None:
        host = self.hosts[c][side]
        if host.una == 0:
            self._transmit(c, side, 0, 0, SYN | (ACK if side else 0))
            return
        self._segment(c, side, host.una)

    def _segment(self, c: int, side: int, at: int) -> int:
        """Send the segment that begins at `at`; where the next one begins."""
        host = self.hosts[c][side]
        stop = host.fin if host.fin >= 0 else host.limit
        octets = max(0, min(MSS, stop - at))
        flags = ACK | (FIN if host.fin >= 0 and at + octets == host.fin else PSH if at + octets == stop else 0)
        self._transmit(c, side, at, octets, flags)
        return at + octets + (1 if flags & FIN else 0)

    def _push(self, c: int, side: int) -> None:
        host = self.hosts[c][side]
        idle = host.una == host.nxt
        while host.nxt < host.limit and host.nxt - host.una < WINDOW * MSS and not host.dead:
            host.nxt = self._segment(c, side, host.nxt)
        if idle and host.nxt > host.una:
            host.attempts = 0
            self._arm(c, side, RTO_NS)

    def _transmit(self, c: int, side: int, seq: int, octets: int, flags: int) -> None:
        ack = self.hosts[c][side].received if flags & ACK else 0
        self._travel(Segment(c, side, seq, octets, flags, ack, next(self.ids) % 65_536), 0, self.now)

    def _travel(self, segment: Segment, begin: int, time: int) -> None:
        """Follow a packet from its `begin`-th place on its way on: over each hop, past each point."""
        count = len(self.names)
        for step in range(begin, count + 1):
            hop = step if segment.side == 0 else count - step
            for fault in self.faults:
                if fault.kind in {"drop", "reset"} and fault.takes(segment, hop, time):
                    if fault.kind == "reset" and not segment.flags & RST:
                        back = Segment(segment.connection, 1 - segment.side, segment.ack, 0, RST | ACK, segment.seq + 1, 0)
                        self._travel(back, count - step, time + 50_000)
                    return
            if self.rng.random() < self.loss.get((hop, segment.side), 0.0):
                return
            delay = self.delay_ns + round(self.rng.exponential(self.jitter_ns))
            time = self.free[hop, segment.side] = max(time + delay, self.free[hop, segment.side] + 1_000)
            if step < count:
                self.heard[step if segment.side == 0 else count - 1 - step].append((time, segment))
        self._at(time, lambda now: self._arrive(segment))

    def _arrive(self, segment: Segment) -> None:
        c, side = segment.connection, 1 - segment.side
        host = self.hosts[c][side]
        faults = {fault.kind for fault in self.faults if c in fault.connections and self.now - START >= fault.since * SECOND}
        if host.dead or (side == 1 and "silent" in faults and not segment.flags & SYN and segment.octets == 0):
            return
        if segment.flags & RST:
            host.dead = True
            return
        if side == 1 and "refused" in faults and (segment.flags & SYN):
            self._transmit_reset(c)
            return
        if segment.flags & ACK and segment.ack > host.una:
            host.una, host.attempts = segment.ack, 0
            if host.una < host.nxt:
                self._arm(c, side, RTO_NS)
        length = segment.octets + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        if length:
            before = host.received
            host.kept.add((segment.seq, segment.seq + length))
            for start, stop in sorted(host.kept):
                if start <= host.received < stop:
                    host.received = stop
            self._hear(c, side, segment, before)
        self._push(c, side)

    def _transmit_reset(self, c: int) -> None:
        self._travel(Segment(c, 1, 0, 0, RST | ACK, 1, 0), 0, self.now)

    def _hear(self, c: int, side: int, segment: Segment, before: int) -> None:
        host = self.hosts[c][side]
        if segment.flags & SYN:
            if side == 1:
                host.nxt = host.limit = max(host.nxt, 1)
                self._transmit(c, 1, 0, 0, SYN | ACK)
                if before == 0:
                    self._arm(c, 1, SYN_RTO_NS)
            else:
                self._transmit(c, 0, 1, 0, ACK)
                if before == 0:
                    self.answered.add((c, 0))
                    self.completed.add((c, 0))
                    self._at(self.now + 1_000_000, lambda now: self._ask(c))
            return
        self._transmit(c, side, host.nxt, 0, ACK)
        if host.received <= before:
            return
        script = self.scripts[c]
        edge = 1 + sum(turn[side ^ 1] for turn in script[: self.turn[c]])
        if side == 1:
            silent = any(f.kind == "silent" and c in f.connections and self.now - START >= f.since * SECOND for f in self.faults)
            if before < edge <= host.received and not silent and self.turn[c]:
                octets = script[self.turn[c] - 1][1]
                self._at(self.now + round(self.rng.exponential(3_000_000)), lambda now: self._reply(c, octets))
            if segment.flags & FIN and host.fin < 0 and not silent:
                host.fin = host.limit
                host.limit += 1
        else:
            if self.turn[c] and before < edge - script[self.turn[c] - 1][1] + 1 <= host.received:
                self.answered.add((c, self.turn[c]))
            if before < edge <= host.received:
                self.completed.add((c, self.turn[c]))
                self._at(self.now + round(self.rng.exponential(self.pause * SECOND)), lambda now: self._ask(c))

    def _reply(self, c: int, octets: int) -> None:
        self.hosts[c][1].limit += octets
        self._push(c, 1)

    def _ask(self, c: int) -> None:
        host = self.hosts[c][0]
        if host.dead or host.fin >= 0:
            return
        if self.turn[c] == len(self.scripts[c]):
            host.fin = host.limit
            host.limit += 1
        else:
            self.turn[c] += 1
            self.asked.add((c, self.turn[c]))
            host.limit += self.scripts[c][self.turn[c] - 1][0]
            turn = self.turn[c]
            self._at(self.now + PATIENCE_NS, lambda now: self._give_up(c, turn))
        self._push(c, 0)

    def captures(self, views: Mapping[str, View] | None = None) -> dict[str, list[Frame]]:
        """What each point's capture has, in the order in which it was captured."""
        found = {}
        for position, name in enumerate(self.names):
            view = (views or {}).get(name, View())
            heard = sorted(self.heard[position], key=lambda one: one[0])
            found[name] = list(self._shown(_merged(heard) if view.merged else heard, view, position))
        return found

    def _shown(self, heard: list[tuple[int, Segment]], view: View, position: int) -> Iterator[Frame]:
        for time, segment in heard:
            elapsed = time - START
            if not view.begin * SECOND <= elapsed <= view.end * SECOND or not view.sees(segment):
                continue
            for copy in range(view.copies):
                if self.rng.random() >= view.missing:
                    shown = time + copy * 3_000 + view.offset_ns + round(elapsed * view.ppm * 1e-6)
                    steps = position if segment.side == 0 else len(self.names) - 1 - position
                    yield Frame(shown, self._frame(segment, view, 64 - steps, time))

    def _frame(self, segment: Segment, view: View, ttl: int, time: int) -> bytes:
        c, side = segment.connection, segment.side
        source, target = (view.seen_as.get(end, end) for end in (self.ends[c][side], self.ends[c][1 - side]))
        options = b""
        if not segment.flags & RST:
            stamp = (self.stamp[c][side] + segment.ip_id) % 2**32
            head = b"\x02\x04\x05\xb4\x04\x02" if segment.flags & SYN else b"\x01\x01"
            options = head + struct.pack(">BBII", 8, 10, stamp, segment.ack if segment.flags & ACK else 0)
            options += b"\x01\x03\x03\x07" if segment.flags & SYN else b""
        seq = (self.isn[c][side] + segment.seq) % 2**32
        ack = (self.isn[c][1 - side] + segment.ack) % 2**32 if segment.flags & ACK else 0
        offset = (5 + len(options) // 4) << 4
        tcp = struct.pack(">HHIIBBHHH", source[1], target[1], seq, ack, offset, segment.flags, 65_535, 0, 0) + options
        packet = _ip(source[0], target[0], 6, tcp + bytes(segment.octets), ttl, segment.ip_id)
        ethernet = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0") + packet
        if view.tunnelled:
            near, far = ("192.168.0.1", "192.168.0.2")[:: 1 if side == 0 else -1]
            inside = struct.pack(">BxxxI", 8, 7 << 8) + ethernet
            udp = struct.pack(">HHHH", 40_000 + c % 1000, VXLAN_PORT, 8 + len(inside), 0) + inside
            ethernet = b"\x02\0\0\0\0\x04\x02\0\0\0\0\x03\x08\0" + _ip(near, far, 17, udp, 64, 0)
        return ethernet


def _ip(source: str, target: str, protocol: int, payload: bytes, ttl: int, ip_id: int) -> bytes:
    if ":" in source:
        ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, ttl) + ends + payload
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ip_id, 0x4000, ttl, protocol, 0) + ends + payload


def _merged(heard: list[tuple[int, Segment]]) -> list[tuple[int, Segment]]:
    """Segments of a connection that follow each other, as one up to 16 of them (generic receive offload)."""
    out: list[tuple[int, Segment]] = []
    last: dict[tuple[int, int], int] = {}
    for time, segment in heard:
        key = segment.connection, segment.side
        at = last.get(key)
        if at is not None and segment.octets and not segment.flags & (SYN | FIN | RST):
            before, first = out[at]
            near = time - before < 100_000 and first.octets and first.seq + first.octets == segment.seq
            if near and first.ack == segment.ack and first.octets < 15 * MSS and not first.flags & (SYN | FIN | PSH):
                out[at] = (before, first._replace(octets=first.octets + segment.octets, flags=segment.flags))
                continue
        last[key] = len(out)
        out.append((time, segment))
    return out
