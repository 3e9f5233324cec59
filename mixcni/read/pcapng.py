"""pcapng: sections of either byte order, interfaces of their own link type and resolution.

Packet blocks are walked by a kernel; the few other blocks are read here, and the options of packets that have a comment or a drop
count. Blocks that carry no packets and no interfaces (names, decryption secrets, custom ones) are passed over by their length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.jit import run
from mixcni.read.frames import Comment, Damage, FrameArrays, FrameBlock, Interface
from mixcni.read.kernel import (
    BAD,
    COMMENT,
    ENHANCED_PACKET,
    EPB_DROPCOUNT,
    LAST_OFFSET,
    OBSOLETE_PACKET,
    OTHER,
    SIMPLE_PACKET,
    walk_pcapng,
)
from mixcni.read.pcap import AVERAGE_RECORD, FRAMES_A_BLOCK
from mixcni.read.resync import HEADER, SPAN, Resynchroniser, u32_at
from mixcni.read.source import Source

MAGIC: Final = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
ORDERS: Final[tuple[Literal["big", "little"], ...]] = ("little", "big")
SECTION, INTERFACE, STATISTICS = 0x0A0D0D0A, 1, 5
VERSIONS: Final = (1, 0), (1, 2)  # draft-ietf-opsawg-pcapng section 4.1: the latter was written by some, and is the same
FRAME_OCTETS: Final = 12  # type and both lengths of a block
MAX_BLOCK: Final = 1 << 24  # octets; Wireshark's limit for a block that is not a packet, in round numbers
MAX_INTERFACES: Final = 65_536
IF_NAME, IF_TSRESOL, IF_TSOFFSET = 2, 9, 14
ISB_IFDROP, ISB_OSDROP = 5, 7
DEFAULT_RESOLUTION: Final = 6
MAX_COMMENTS: Final = 1000  # kept of one file, in the order in which they stand
MAX_COMMENT: Final = 4096  # octets kept of each
SECTION_FIXED, INTERFACE_FIXED, STATISTICS_FIXED = 24, 16, 20  # octets of each block before its options


class InterfaceArrays(NamedTuple):
    """A section's interfaces as the walking kernel reads them, one row each."""

    link_type: NDArray[np.uint16]
    snap_length: NDArray[np.int64]
    ticks_per_second: NDArray[np.int64]
    offset_seconds: NDArray[np.int64]

    @classmethod
    def of_size(cls, size: int) -> "InterfaceArrays":
        """Arrays for `size` interfaces, not yet filled."""
        return cls(np.zeros(size, np.uint16), np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64))

    def first(self, count: int) -> "InterfaceArrays":
        """Views of the first `count` interfaces."""
        return InterfaceArrays(
            self.link_type[:count], self.snap_length[:count], self.ticks_per_second[:count], self.offset_seconds[:count]
        )

    def twice(self) -> "InterfaceArrays":
        """Arrays of twice the size with the same rows in front, so that many interfaces cost linear time."""
        return InterfaceArrays(*(np.concatenate([array, np.zeros_like(array)]) for array in self))


def ticks_per_second(resolution: int) -> int:
    """Ticks a second of an if_tsresol octet: a power of 10, or of 2 where its top bit is set; 0 beyond 2**62."""
    exponent = resolution & 0x7F
    ticks: int = 1 << exponent if resolution & 0x80 else 10**exponent
    return ticks if ticks <= 1 << 62 else 0


class PcapngRecords:
    """What makes a pcapng block likely: both its lengths, and an interface that is there.

    Parameters
    ----------
    order : of the section
    interfaces : known in the section; 0 where its packets are not wanted any more, but the next section is
    """

    def __init__(self, order: Literal["big", "little"], interfaces: int) -> None:
        self._order = order
        self._interfaces = interfaces

    def candidates(self, octets: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where an Enhanced Packet Block of the section, or another section, may begin."""
        count = octets.size - FRAME_OCTETS + 1
        if count <= 0:
            return np.empty(0, dtype=np.int64)
        first = octets[:count]
        low = ENHANCED_PACKET if self._order == "little" else 0
        places = np.flatnonzero((first == MAGIC[0]) | (first == low))
        kinds = u32_at(octets, places, self._order)
        found: NDArray[np.int64] = places[((kinds == ENHANCED_PACKET) & (self._interfaces > 0)) | (kinds == SECTION)]
        return found

    def follow(self, octets: NDArray[np.uint8], at: int) -> Iterator[int]:
        """The length of the block at `at`, of the one behind it and so on, until there is none."""
        order, interfaces = self._order, self._interfaces
        while True:
            header = octets[at : at + HEADER].tobytes()
            if header.startswith(MAGIC):
                order, interfaces = section_order(header[8:12]) or order, 0
            kind, length, interface = (int.from_bytes(header[field : field + 4], order) for field in (0, 4, 8))
            last = octets[at + length - 4 : at + length].tobytes() if length <= SPAN else b""
            if length % 4 or length < FRAME_OCTETS or int.from_bytes(last, order) != length:
                return
            if kind == ENHANCED_PACKET and (interface >= interfaces or int.from_bytes(header[20:24], order) > length - 32):
                return
            interfaces += kind == INTERFACE
            yield length
            at += length


def section_order(magic: bytes) -> Literal["big", "little"] | None:
    """The byte order of a section by its byte-order magic; None where that is none."""
    return next((order for order in ORDERS if int.from_bytes(magic, order) == BYTE_ORDER_MAGIC), None)


class PcapngReader:
    """Frames of one pcapng file; `interfaces`, `comments` and `damage` are complete once `blocks` has run out.

    Parameters
    ----------
    source : at the file's first octet
    resume : read on behind damage where that is certain
    """

    def __init__(self, source: Source, *, resume: bool = True) -> None:
        self.source = source
        self._resynchroniser = Resynchroniser(source, is_wanted=resume)
        self._has_gap = False  # damage in this section: an interface behind it may not have the number that it seems to have
        self._is_lost = False  # nor then its packets: only another section can be read
        self.damage: list[Damage] = []
        self.interfaces: list[Interface] = []
        self.comments: list[Comment] = []
        self._section: list[Interface] = []
        self._arrays = InterfaceArrays.of_size(4)
        self._section_start = 0
        self._counted: dict[int, int] = {}  # losses of each interface of the section, by its newest statistics
        self._lost: dict[int, int] = {}  # the same by the drop counts of its packets
        self._order: Literal["big", "little"] = "little"

    def blocks(self) -> Iterator[FrameBlock]:
        """The file's frames in file order, by the block."""
        source, number = self.source, 1
        frames, notes = FrameArrays.of_size(FRAMES_A_BLOCK), np.zeros(FRAMES_A_BLOCK, dtype=np.int64)
        while source.need(FRAME_OCTETS) or self._is_cut():
            count, source.begin, status, noted = run(
                walk_pcapng,
                number + (source.end - source.begin + source.octets_behind) // AVERAGE_RECORD,
                source.octets,
                source.begin,
                source.end,
                int(self._order == "big"),
                MAX_BLOCK,
                self._arrays.first(len(self._section)),
                frames,
                notes,
            )
            for row in notes[:noted].tolist():
                self._note(int(frames.start[row]) - 28, number + row)
            if count:
                yield FrameBlock(source.octets, frames.first(count), number, source.octets_behind)
                number += count
            if status == BAD:
                goes_on = self._bad_packet(f"packet block {number}")
            elif status == OTHER:
                goes_on = self._other_block()
            else:
                goes_on = bool(count) or self._more() or self._is_cut()
            if not goes_on:
                return

    def _is_cut(self) -> bool:
        """Whether the file ends inside a block, and yet can be read on since the block's length is wrong."""
        source = self.source
        left = source.end - source.begin
        if not left and source.stream_error is None:
            return False
        wanted = max(self._number_at(4), FRAME_OCTETS) if left >= 8 else FRAME_OCTETS
        return self._damaged("a block", wanted, source.stream_error or "length field")

    def _more(self) -> bool:
        before = self.source.end - self.source.begin
        self.source.refill()
        return self.source.end - self.source.begin > before

    def _number(self, octets: bytes) -> int:
        return int.from_bytes(octets, self._order)

    def _number_at(self, at: int, size: int = 4) -> int:
        return self._number(self.source.text(self.source.begin + at, size))

    def _bad_packet(self, what: str) -> bool:
        """Say which field of the packet block at hand cannot be, in the order in which the kernel holds them."""
        kind, length = self._number_at(0), self._number_at(4)
        fixed = 16 if kind == SIMPLE_PACKET else 32
        interface = {SIMPLE_PACKET: 0, ENHANCED_PACKET: self._number_at(8), OBSOLETE_PACKET: self._number_at(8, 2)}[kind]
        if length < fixed or length % 4 or length > MAX_BLOCK:
            wanted, limit = length, f"length field (a multiple of 4 from {fixed} to {MAX_BLOCK})"
        elif self._number_at(length - 4) != length:
            wanted, limit = length, f"second length field, which says {self._number_at(length - 4)}"
        elif interface >= len(self._section):
            wanted, limit = length, f"interface number {interface}, of {len(self._section)} in its section"
        else:
            wanted, limit = self._number_at(20) + fixed, f"captured length, in a block of {length}"
        return self._damaged(what, wanted, limit, truncated=False)

    def _other_block(self) -> bool:
        """Read one block that is no packet; whether the file can be read on behind it."""
        source = self.source
        if source.text(source.begin, 4) == MAGIC:
            if not source.need(SECTION_FIXED + 4):
                return self._damaged("a section header", SECTION_FIXED + 4, source.stream_error or "pcapng format")
            magic = source.text(source.begin + 8, 4)
            order = section_order(magic)
            if order is None:
                self._is_lost = True
                limit = f"byte-order magic, which is {magic.hex(' ')}"
                return self._damaged("a section header", SECTION_FIXED + 4, limit, truncated=False)
            self._enter_section(order)
            version = self._number_at(12, 2), self._number_at(14, 2)
            if version not in VERSIONS:
                self._is_lost = True
                limit = f"version, which is {version[0]}.{version[1]} and not 1.0"
                return self._damaged("a section header", SECTION_FIXED + 4, limit, truncated=False)
        length = self._number_at(4)
        if length < FRAME_OCTETS or length % 4 or length > MAX_BLOCK:
            limit = f"length field (a multiple of 4 from {FRAME_OCTETS} to {MAX_BLOCK})"
            return self._damaged("a block", length, limit, truncated=False)
        if not source.need(length):
            return self._damaged("a block", length, source.stream_error or "length field")
        block = source.text(source.begin, length)
        offset = source.offset_of(source.begin)
        if self._number(block[-4:]) != length:
            limit = f"second length field, which says {self._number(block[-4:])}"
            return self._damaged("a block", length, limit, truncated=False)
        kind = self._number(block[:4])
        if kind == SECTION and length >= SECTION_FIXED + 4:
            self._keep_comments(offset, 0, self._options(block[SECTION_FIXED:-4]))
        elif kind == INTERFACE and self._has_gap:
            self._is_lost = True
            return self._damaged("an interface", length, "its number, since damage before it may hide others", truncated=False)
        elif kind == INTERFACE and length >= INTERFACE_FIXED + 4:
            self._add_interface(block)
            self._keep_comments(offset, 0, self._options(block[INTERFACE_FIXED:-4]))
        elif kind == STATISTICS and length >= STATISTICS_FIXED + 4:
            self._add_statistics(block)
        source.begin += length
        return True

    def _enter_section(self, order: Literal["big", "little"]) -> None:
        self._order = order
        self._has_gap = self._is_lost = False
        self._section = []
        self._counted, self._lost = {}, {}
        self._section_start = len(self.interfaces)

    def _options(self, octets: bytes) -> Iterator[tuple[int, bytes]]:
        at = 0
        while at + 4 <= len(octets):
            code, length = self._number(octets[at : at + 2]), self._number(octets[at + 2 : at + 4])
            if code == 0 or at + 4 + length > len(octets):
                return
            yield code, octets[at + 4 : at + 4 + length]
            at += 4 + (length + 3) // 4 * 4

    def _add_interface(self, block: bytes) -> None:
        options = dict(self._options(block[INTERFACE_FIXED:-4]))
        resolution = options.get(IF_TSRESOL, b"")
        offset = options.get(IF_TSOFFSET, b"")
        if len(self._section) >= MAX_INTERFACES:
            return
        row = len(self._section)
        interface = Interface(
            link_type=self._number(block[8:10]),
            snap_length=self._number(block[12:16]),
            name=options.get(IF_NAME, b"").decode("utf-8", "replace"),
            ticks_per_second=ticks_per_second(resolution[0] if resolution else DEFAULT_RESOLUTION),
            offset_seconds=int.from_bytes(offset, self._order, signed=True) if len(offset) == 8 else 0,
        )
        self._section.append(interface)
        self.interfaces.append(interface)
        if row == self._arrays.link_type.size:
            self._arrays = self._arrays.twice()
        self._arrays.link_type[row] = interface.link_type
        self._arrays.snap_length[row] = interface.snap_length
        self._arrays.ticks_per_second[row] = interface.ticks_per_second
        self._arrays.offset_seconds[row] = min(max(interface.offset_seconds, -LAST_OFFSET), LAST_OFFSET)

    def _add_statistics(self, block: bytes) -> None:
        row = self._number(block[8:12])
        counters = [(code, value) for code, value in self._options(block[STATISTICS_FIXED:-4]) if len(value) == 8]
        drops = [self._number(value) for code, value in counters if code in {ISB_IFDROP, ISB_OSDROP}]
        if row < len(self._section) and drops:
            self._counted[row] = sum(drops)
            self._tell_drops(row)

    def _note(self, at: int, frame_number: int) -> None:
        """Keep the comments and the drop count of the Enhanced Packet Block that begins at octet `at` of the buffer."""
        source = self.source
        row, length = self._number(source.text(at + 8, 4)), self._number(source.text(at + 4, 4))
        padded = 28 + (self._number(source.text(at + 20, 4)) + 3) // 4 * 4
        options = list(self._options(source.text(at + padded, length - padded - 4)))
        self._keep_comments(source.offset_of(at), frame_number, options)
        drops = [self._number(value) for code, value in options if code == EPB_DROPCOUNT and len(value) == 8]
        if drops:
            self._lost[row] = self._lost.get(row, 0) + sum(drops)
            self._tell_drops(row)

    def _tell_drops(self, row: int) -> None:
        dropped = max(self._counted.get(row, 0), self._lost.get(row, 0))
        self._section[row] = self.interfaces[self._section_start + row] = replace(self._section[row], dropped=dropped)

    def _keep_comments(self, offset: int, frame_number: int, options: Iterable[tuple[int, bytes]]) -> None:
        for code, value in options:
            if code == COMMENT and len(self.comments) < MAX_COMMENTS:
                self.comments.append(Comment(offset, frame_number, value[:MAX_COMMENT].decode("utf-8", "replace")))

    def _damaged(self, what: str, wanted: int, limit: str, *, truncated: bool = True) -> bool:
        """Note damage at hand, and whether the file can be read on behind it."""
        records = PcapngRecords(self._order, 0 if self._is_lost else len(self._section))
        damage, found = self._resynchroniser.pass_over(records, what, wanted, limit, truncated=truncated)
        self.damage.append(damage)
        self._has_gap = True
        return found
