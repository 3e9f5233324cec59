"""Cilium's connection tracking, played over recorded packets.

The rules are those of Cilium 1.12's datapath: an entry is made by the first packet, each packet moves `expires`,
a direction's report is refreshed when a new TCP flag appears or the last report is old, FIN or RST closes a
direction, and once both are closed the entry only counts. Its clock is the kernel's jiffies divided by 256.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cluster import identity_of
from pcapread import Packet

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

HZ: Final = 250
# Linux starts jiffies five minutes before they overflow 32 bits, to bring bugs to light.
FIRST_JIFFY: Final = 2**32 - 300 * HZ
# How long the node of the incident had been up when the first packet came.
UPTIME_AT_START_S: Final = 5.9 * 86_400


def _ticks(seconds: int) -> int:
    """Seconds on the clock of the entries, rounded down as Cilium does."""
    return seconds * HZ >> 8


REPORT_INTERVAL: Final = _ticks(5)
SYN_LIFETIME: Final = _ticks(60)
TCP_LIFETIME: Final = _ticks(21_600)
CLOSE_LIFETIME: Final = _ticks(10)

FLAG_NAMES: Final = {0x01: "RxClosing", 0x02: "TxClosing", 0x10: "SeenNonSyn"}


class NodeClock:
    """Reads wall-clock nanoseconds as the node's jiffies over 256."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns

    def read(self, time_ns: int) -> int:
        """The clock's reading at a moment; one unit is 1.024 s."""
        uptime_s = UPTIME_AT_START_S + (time_ns - self._start_ns) / 1e9
        return (FIRST_JIFFY + int(uptime_s * HZ)) >> 8


@dataclass(slots=True)
class Side:
    """One direction of an entry."""

    packets: int = 0
    octets: int = 0
    flags_seen: int = 0
    last_report: int = 0
    closing: bool = False


@dataclass(slots=True)
class Entry:
    """One line of `cilium bpf ct list`; `rx` is towards the endpoint and `tx` from it."""

    direction: str
    initiator: tuple[str, int]
    responder: tuple[str, int]
    source_identity: int
    rx: Side = field(default_factory=Side)
    tx: Side = field(default_factory=Side)
    expires: int = 0
    seen_non_syn: bool = False

    @property
    def forward(self) -> Side:
        """The initiator's direction, which is the one that policy looks at."""
        return self.rx if self.direction == "IN" else self.tx

    def count(self, packet: Packet, now: int) -> None:
        """Account for one packet of the connection."""
        towards_endpoint = (packet.source == self.initiator) == (self.direction == "IN")
        side = self.rx if towards_endpoint else self.tx
        if not (self.rx.closing and self.tx.closing):
            self.seen_non_syn |= not packet.flags & SYN
            self._report(side, packet.flags, now, TCP_LIFETIME if self.seen_non_syn else SYN_LIFETIME)
        side.packets += 1
        side.octets += packet.octets
        if packet.flags & (FIN | RST):
            side.closing = True
            if packet.flags & RST and not self.rx.flags_seen & self.tx.flags_seen & SYN:
                self.rx.closing = self.tx.closing = True
            if self.rx.closing and self.tx.closing:
                self._report(side, packet.flags, now, CLOSE_LIFETIME)

    def _report(self, side: Side, flags: int, now: int, lifetime: int) -> None:
        self.expires = now + lifetime
        seen = side.flags_seen | flags
        if seen != side.flags_seen or side.last_report + REPORT_INTERVAL < now:
            side.flags_seen, side.last_report = seen, now

    def __str__(self) -> str:
        flags = 0x01 * self.rx.closing | 0x02 * self.tx.closing | 0x10 * self.seen_non_syn
        names = "".join(f"{name} " for bit, name in FLAG_NAMES.items() if flags & bit)
        (source, source_port), (destination, destination_port) = self.initiator, self.responder
        return (
            f"TCP {self.direction} {source}:{source_port} -> {destination}:{destination_port} expires={self.expires}"
            f" RxPackets={self.rx.packets} RxBytes={self.rx.octets}"
            f" RxFlagsSeen=0x{self.rx.flags_seen:02x} LastRxReport={self.rx.last_report}"
            f" TxPackets={self.tx.packets} TxBytes={self.tx.octets}"
            f" TxFlagsSeen=0x{self.tx.flags_seen:02x} LastTxReport={self.tx.last_report}"
            f" Flags=0x{flags:04x} [ {names}] RevNAT=0 SourceSecurityID={self.source_identity} IfIndex=0 "
        )


def track(packets: Iterable[Packet], endpoints: frozenset[str]) -> list[Entry]:
    """The entries that the connections of these packets leave on the node of `endpoints`, in order of appearance.

    packets : as captured inside one of the endpoints' pods, from before its first connection
    endpoints : addresses of the pods that Cilium manages on the node; a connection between two has two entries
    """
    entries: dict[tuple[frozenset[tuple[str, int]], str], Entry] = {}
    clock: NodeClock | None = None
    for packet in packets:
        clock = clock or NodeClock(packet.time_ns)
        key = frozenset((packet.source, packet.destination))
        if packet.flags & (SYN | ACK) == SYN:
            if packet.source[0] in endpoints:
                identity = identity_of(packet.source[0])
                entries.setdefault((key, "OUT"), Entry("OUT", packet.source, packet.destination, identity))
            if packet.destination[0] in endpoints:
                identity = identity_of(packet.source[0])
                entries.setdefault((key, "IN"), Entry("IN", packet.source, packet.destination, identity))
        for direction in ("OUT", "IN"):
            if (entry := entries.get((key, direction))) is not None:
                entry.count(packet, clock.read(packet.time_ns))
    return list(entries.values())
