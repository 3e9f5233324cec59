"""What real captures suffer, done to recorded ones by a seed: packets missed, cut or copied, clocks that are off.

Each change takes a point's records and gives new ones; how they are written (pcapng, gzip, a last record cut) comes
last. Nothing here changes what the network did, so what a case's truth says of the network still holds.
"""

import gzip
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pcapfile import (
    ETHERNET_HEADER_OCTETS,
    LINUX_SLL2,
    SECOND_NS,
    SLL2_HEADER_OCTETS,
    WHOLE,
    Record,
    pcap_of,
    pcapng_of,
)
from pcapread import ETHERNET

SHORT_SNAPLEN: Final = 96
TUNNEL_OCTETS: Final = 50  # of outer IPv4, UDP, VXLAN or Geneve, and the inner Ethernet header
SHARED_CLOCKS: Final = 0.75
LARGEST_OFFSET_NS: Final = 3_600 * SECOND_NS
LARGEST_DRIFT_PPM: Final = 200.0
MISSED_SHARES: Final = (0.002, 0.01, 0.03, 0.08)
COPY_DELAY_NS: Final = (2_000, 60_000)
# A share of the recording, both at its beginning and at its end.
LARGEST_ABSENCE: Final = 0.3
# Interface numbers of a bond and of its slave, as `-i any` shows every packet on both.
BOND, SLAVE = 5, 2
ARPHRD_ETHER: Final = 1
INCOMING, OUTGOING = 0, 4


@dataclass(frozen=True, slots=True)
class PointNoise:
    """What is done to one point's capture; the defaults do nothing.

    missed : share of its packets that it lacks; snaplen : octets kept of each
    offset_ns, drift_ppm : what its clock shows more, when the recording begins, and gains on the true one
    late, early : shares of its time that it lacks at its beginning and end
    sections, files : into how many its file is divided, and how many files there are
    removed : the capture was not taken at all; empty : its file holds no packet
    """

    missed: float = 0.0
    snaplen: int = WHOLE
    offset_ns: int = 0
    drift_ppm: float = 0.0
    late: float = 0.0
    early: float = 0.0
    any_copies: bool = False
    pcapng: bool = False
    sections: int = 1
    files: int = 1
    gzip: bool = False
    cut_octets: int = 0
    removed: bool = False
    empty: bool = False

    def said(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != getattr(NO_NOISE, name)}


NO_NOISE: Final = PointNoise()


def draw_noise(nodes: Mapping[str, str], dice: random.Random, *, wrapped: Collection[str] = ()) -> dict[str, PointNoise]:
    """Noise for every point of a case: clocks mostly, then one to three other troubles.

    nodes : the node of each point, whose clock its capture has, unless each capture was made by a machine of its own
    wrapped : points that see packets inside a tunnel, whose snaplen has to be longer for the same headers
    """
    points = tuple(nodes)
    shared = dice.random() < SHARED_CLOCKS
    clocks: dict[str, PointNoise] = {}
    drawn = {}
    for point, node in nodes.items():
        whose = node if shared else point
        if whose not in clocks:
            clocks[whose] = _draw_clock(dice)
        drawn[point] = clocks[whose]
    troubles = ("missed", "missed", "snaplen", "late", "early", "any_copies", "pcapng", "gzip", "cut_octets", "files", "removed")
    for trouble in dice.sample(troubles, dice.randint(1, 3)):
        point = dice.choice(points)
        noise = drawn[point]
        if trouble == "missed":
            noise = replace(noise, missed=dice.choice(MISSED_SHARES))
        elif trouble == "snaplen":
            noise = replace(noise, snaplen=SHORT_SNAPLEN + (TUNNEL_OCTETS if point in wrapped else 0))
        elif trouble == "late":
            noise = replace(noise, late=round(dice.uniform(0.05, LARGEST_ABSENCE), 3))
        elif trouble == "early":
            noise = replace(noise, early=round(dice.uniform(0.05, LARGEST_ABSENCE), 3))
        elif trouble == "any_copies":
            noise = replace(noise, any_copies=True)
        elif trouble == "pcapng":
            noise = replace(noise, pcapng=True, sections=dice.randint(1, 3))
        elif trouble == "gzip":
            noise = replace(noise, gzip=True)
        elif trouble == "cut_octets":
            noise = replace(noise, cut_octets=dice.randint(1, 40))
        elif trouble == "files":
            noise = replace(noise, files=dice.randint(2, 4))
        elif len(points) > 2 and not any(n.removed or n.empty for n in drawn.values()):
            noise = replace(noise, **{dice.choice(("removed", "empty")): True})
        drawn[point] = noise
    return drawn


def _draw_clock(dice: random.Random) -> PointNoise:
    noise = PointNoise()
    if dice.random() < 0.7:
        offset = dice.choice((1_000_000, 50_000_000, SECOND_NS, 60 * SECOND_NS, LARGEST_OFFSET_NS))
        noise = replace(noise, offset_ns=round(dice.uniform(-offset, offset)))
    if dice.random() < 0.5:
        noise = replace(noise, drift_ppm=round(dice.uniform(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM), 3))
    return noise


def miss(records: Sequence[Record], share: float, dice: random.Random) -> list[Record]:
    """The records without a share of them, each missed by itself."""
    return [record for record in records if dice.random() >= share]


def cut_to(records: Sequence[Record], snaplen: int) -> list[Record]:
    """No more than `snaplen` octets of each frame; its length on the wire stays known."""
    return [record._replace(data=record.data[:snaplen]) for record in records]


def shift_clock(records: Sequence[Record], at_ns: int, offset_ns: int, drift_ppm: float) -> list[Record]:
    """The times that a clock would have shown which is off by `offset_ns` at `at_ns` and gains `drift_ppm` on the true one."""
    return [
        record._replace(time_ns=record.time_ns + offset_ns + round((record.time_ns - at_ns) * drift_ppm * 1e-6))
        for record in records
    ]


def trim(records: Sequence[Record], begin_ns: int, end_ns: int) -> list[Record]:
    """The records from one moment to another."""
    return [record for record in records if begin_ns <= record.time_ns <= end_ns]


def copy_twice(records: Sequence[Record], dice: random.Random) -> list[Record]:
    """Every frame two times, as a mirror port shows what it sees both enter and leave."""
    copies = [record._replace(time_ns=record.time_ns + dice.randint(*COPY_DELAY_NS)) for record in records]
    return sorted((*records, *copies), key=lambda record: record.time_ns)


def copy_as_any(records: Sequence[Record], dice: random.Random) -> list[Record]:
    """Frames of Ethernet as `-i any` writes them (LINUX_SLL2) on a bond: each once on the slave and once on the bond.

    A frame whose source is the most frequent sender's is taken to leave, the others to arrive; which is which only
    decides the packet type and on which of the two interfaces the frame is seen first.
    """
    senders = [record.data[6:12] for record in records]
    mine = max(set(senders), key=senders.count, default=b"")
    copies = []
    for record, sender in zip(records, senders, strict=True):
        leaves = sender == mine
        later = dice.randint(*COPY_DELAY_NS)
        for interface, delay in ((BOND, 0), (SLAVE, later)) if leaves else ((SLAVE, 0), (BOND, later)):
            head = record.data[12:14] + bytes(2) + interface.to_bytes(4) + ARPHRD_ETHER.to_bytes(2)
            head += bytes((OUTGOING if leaves else INCOMING, 6)) + sender + bytes(2)
            octets = record.octets + SLL2_HEADER_OCTETS - ETHERNET_HEADER_OCTETS
            copies.append(Record(record.time_ns + delay, octets, head + record.data[ETHERNET_HEADER_OCTETS:]))
    return sorted(copies, key=lambda record: record.time_ns)


@dataclass(frozen=True, slots=True)
class Noisy:
    """A point's capture after its noise, still by the true clock.

    records : what it kept; window : from when to when it was there, ns; dropped : how many records it missed meanwhile
    """

    link_type: int
    records: list[Record]
    window: tuple[int, int] | None
    dropped: int


def suffer(link_type: int, clean: Sequence[Record], noise: PointNoise, dice: random.Random) -> Noisy:
    """What a capture with this noise would have kept of a clean one."""
    if noise.removed or noise.empty or not clean:
        return Noisy(link_type, [], None, 0)
    first, last = clean[0].time_ns, clean[-1].time_ns
    window = first + round(noise.late * (last - first)), last - round(noise.early * (last - first))
    records = trim(clean, *window)
    if noise.any_copies and link_type == ETHERNET:
        link_type, records = LINUX_SLL2, copy_as_any(records, dice)
    kept = miss(records, noise.missed, dice)
    return Noisy(link_type, kept, window, len(records) - len(kept))


def write_noisy(folder: Path, point: str, noisy: Noisy, noise: PointNoise, at_ns: int) -> list[str]:
    """Write a point's capture by its own clock, in the form that its noise asks for; the names of its files."""
    if noise.removed:
        return []
    records = cut_to(shift_clock(noisy.records, at_ns, noise.offset_ns, noise.drift_ppm), noise.snaplen)
    count = max(1, -(-len(records) // noise.files))
    parts = [records[begin : begin + count] for begin in range(0, len(records), count)] or [[]]
    names = []
    for number, part in enumerate(parts, 1):
        is_last = number == len(parts)
        if noise.pcapng:
            dropped = noisy.dropped if is_last else 0
            content = pcapng_of(noisy.link_type, part, noise.snaplen, sections=noise.sections, dropped=dropped)
        else:
            content = pcap_of(noisy.link_type, part, noise.snaplen)
        if noise.cut_octets and part and is_last:
            content = content[: -min(noise.cut_octets, len(part[-1].data))]
        name = f"{point}-{number:04}" if noise.files > 1 else point
        name += ".pcapng" if noise.pcapng else ".pcap"
        if noise.gzip:
            content, name = gzip.compress(content, 6, mtime=0), f"{name}.gz"
        (folder / name).write_bytes(content)
        names.append(name)
    return names
