"""pcapng: sections of either byte order, interfaces of their own link type and resolution.

Packet blocks are walked by a kernel; the few other blocks are read here. Blocks that carry no packets and no interfaces
are passed over by their length.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.jit import run
from mixcni.read.frames import Damage, FrameArrays, FrameBlock, Interface
from mixcni.read.kernel import BAD, OTHER, walk_pcapng
from mixcni.read.pcap import AVERAGE_RECORD, FRAMES_A_BLOCK
from mixcni.read.source import Source

MAGIC: Final = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
INTERFACE, STATISTICS = 1, 5
MAX_BLOCK: Final = 1 << 24  # octets; Wireshark's limit for a block that is not a packet, in round numbers
MAX_INTERFACES: Final = 65_536
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7
DEFAULT_RESOLUTION: Final = 6


class InterfaceArrays(NamedTuple):
    """A section's interfaces as the walking kernel reads them, one row each."""

    link_type: NDArray[np.uint16]
    snap_length: NDArray[np.int64]
    ticks_per_second: NDArray[np.int64]
    offset_seconds: NDArray[np.int64]

    @classmethod
    def of(cls, interfaces: list[Interface]) -> "InterfaceArrays":
        """The arrays of these interfaces."""
        return cls(
            np.array([i.link_type for i in interfaces], dtype=np.uint16),
            np.array([i.snap_length for i in interfaces], dtype=np.int64),
            np.array([i.ticks_per_second for i in interfaces], dtype=np.int64),
            np.array([i.offset_seconds for i in interfaces], dtype=np.int64),
        )


def ticks_per_second(resolution: int) -> int:
    """Ticks a second of an if_tsresol octet: a power of 10, or of 2 where its top bit is set; at most 2**62."""
    exponent = resolution & 0x7F
    return 1 << min(exponent, 62) if resolution & 0x80 else 10 ** min(exponent, 18)


class PcapngReader:
    """Frames of one pcapng file; `interfaces` and `damage` are complete once `blocks` has run out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.damage: list[Damage] = []
        self.interfaces: list[Interface] = []
        self._section: list[Interface] = []
        self._section_start = 0
        self._order: Literal["big", "little"] = "little"

    def blocks(self) -> Iterator[FrameBlock]:
        """The file's frames in file order, by the block."""
        source, number = self.source, 1
        frames = FrameArrays.of_size(FRAMES_A_BLOCK)
        arrays = InterfaceArrays.of([])
        while source.need(12):
            count, source.begin, status = run(
                walk_pcapng,
                (source.end - source.begin) // AVERAGE_RECORD,
                source.octets,
                source.begin,
                source.end,
                int(self._order == "big"),
                MAX_BLOCK,
                arrays,
                frames,
            )
            if count:
                yield FrameBlock(source.octets, frames.first(count), number)
                number += count
            if status == BAD:
                self._stop(f"packet block {number}", self._length_here(), "block lengths and interface")
                return
            if status == OTHER:
                if not self._other_block():
                    return
                arrays = InterfaceArrays.of(self._section)
            elif not count and not self._more():
                break
        if source.end > source.begin or source.stream_error:
            self._stop("a block", self._length_here(), source.stream_error or "block length")

    def _more(self) -> bool:
        before = self.source.end - self.source.begin
        self.source.refill()
        return self.source.end - self.source.begin > before

    def _number(self, octets: bytes) -> int:
        return int.from_bytes(octets, self._order)

    def _length_here(self) -> int:
        return self._number(self.source.text(self.source.begin + 4, 4))

    def _other_block(self) -> bool:
        """Read one block that is no packet; whether the file can be read on behind it."""
        source = self.source
        if source.text(source.begin, 4) == MAGIC and not self._enter_section():
            return False
        length = self._length_here()
        if length < 12 or length % 4 or length > MAX_BLOCK:
            self._stop("a block", length, f"length field (limit {MAX_BLOCK})")
            return False
        if not source.need(length):
            self._stop("a block", length, source.stream_error or "length field")
            return False
        block = source.text(source.begin, length)
        if self._number(block[-4:]) != length:
            self._stop("a block", length, f"second length field, which says {self._number(block[-4:])}")
            return False
        kind = self._number(block[:4])
        if kind == INTERFACE and length >= 20:
            self._add_interface(block)
        elif kind == STATISTICS and length >= 24:
            self._add_statistics(block)
        source.begin += length
        return True

    def _enter_section(self) -> bool:
        source = self.source
        if not source.need(28):
            self._stop("a section header", 28, "pcapng format")
            return False
        magic = source.text(source.begin + 8, 4)
        for order in ("little", "big"):
            if int.from_bytes(magic, order) == BYTE_ORDER_MAGIC:
                self._order = order
                self._section = []
                self._section_start = len(self.interfaces)
                return True
        self._stop("a section header", BYTE_ORDER_MAGIC, "byte-order magic")
        return False

    def _options(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(octets):
            code, length = self._number(octets[at : at + 2]), self._number(octets[at + 2 : at + 4])
            if code == 0 or at + 4 + length > len(octets):
                return
            yield code, octets[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4

    def _add_interface(self, block: bytes) -> None:
        options = dict(self._options(block[16:-4]))
        resolution = options.get(IF_TSRESOL, b"")
        offset = options.get(IF_TSOFFSET, b"")
        if len(self._section) >= MAX_INTERFACES:
            return
        self._section.append(
            Interface(
                link_type=self._number(block[8:10]),
                snap_length=self._number(block[12:16]),
                name=options.get(IF_NAME, b"").decode("utf-8", "replace"),
                ticks_per_second=ticks_per_second(resolution[0] if resolution else DEFAULT_RESOLUTION),
                offset_seconds=int.from_bytes(offset, self._order, signed=True) if len(offset) == 8 else 0,
            )
        )
        self.interfaces.append(self._section[-1])

    def _add_statistics(self, block: bytes) -> None:
        row = self._number(block[8:12])
        drops = [self._number(value) for code, value in self._options(block[20:-4]) if code in {ISB_IFDROP, ISB_OSDROP}]
        if row < len(self._section) and drops:
            self._section[row] = replace(self._section[row], dropped=sum(drops))
            self.interfaces[self._section_start + row] = self._section[row]

    def _stop(self, what: str, wanted: int, limit: str) -> None:
        source = self.source
        offset, had = source.offset_of(source.begin), source.end - source.begin
        skipped = source.skip_rest()
        self.damage.append(Damage(source.path, offset, what, wanted, min(had, skipped), limit, skipped))
