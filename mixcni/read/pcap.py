"""Classic pcap: microseconds or nanoseconds, either byte order, Kuznetzov's modified records."""

import struct
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.jit import run
from mixcni.read.frames import Comment, Damage, FrameArrays, FrameBlock, Interface
from mixcni.read.kernel import BAD, FULL, MORE, walk_pcap
from mixcni.read.resync import MAX_CAPTURED, Resynchroniser, u32_at
from mixcni.read.source import BUFFER_OCTETS, Source, stop

FILE_HEADER: Final = 24
RECORD_HEADER: Final = 16
DAY: Final = 86_400  # seconds: behind damage what is later than that is not taken for a record
BACK: Final = 1  # second: nor is what is earlier than the last record by more, as a capture inside a frame mostly is
FRAMES_A_BLOCK: Final = 1 << 15
AVERAGE_RECORD: Final = 64  # octets; only to guess whether a walk is worth machine code
OLDEST_MAJOR: Final = 2
DG_UX: Final = 543, 0  # what its tcpdump wrote as its version
SINCE_CAPTURED_FIRST: Final = 2, 4  # before, a record may have its original length before its captured length


class Variant(NamedTuple):
    """What a magic number says of the file (draft-ietf-opsawg-pcap section 4; libpcap savefile)."""

    big: int
    nanoseconds: int
    record_header: int


MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": Variant(0, 0, 16),
    b"\xa1\xb2\xc3\xd4": Variant(1, 0, 16),
    b"\x4d\x3c\xb2\xa1": Variant(0, 1, 16),
    b"\xa1\xb2\x3c\x4d": Variant(1, 1, 16),
    b"\x34\xcd\xb2\xa1": Variant(0, 0, 24),
    b"\xa1\xb2\xcd\x34": Variant(1, 0, 24),
}


class FileHeader(NamedTuple):
    """What the first FILE_HEADER octets of a file say."""

    variant: Variant
    version: tuple[int, int]
    snap_length: int
    link_type: int

    @classmethod
    def of(cls, octets: bytes) -> "FileHeader":
        """That of a file that begins with one of MAGICS."""
        variant = MAGICS[octets[:4]]
        numbers = struct.unpack_from(f"{'>' if variant.big else '<'}2H8x2I", octets, 4)
        return cls(variant, numbers[:2], numbers[2], numbers[3] & 0xFFFF)

    @property
    def is_old(self) -> bool:
        """Whether the original length of a record may come first."""
        return self.version < SINCE_CAPTURED_FIRST or self.version == DG_UX


class PcapRecords:
    """What makes a pcap record likely: lengths and a time that can be.

    Parameters
    ----------
    variant : of the file
    last_seconds : of the last good record; None where there is none
    """

    def __init__(self, variant: Variant, last_seconds: int | None) -> None:
        self._order: Literal["big", "little"] = "big" if variant.big else "little"
        self._fractions = 1_000_000_000 if variant.nanoseconds else 1_000_000
        self._header = variant.record_header
        self._seconds = (0, 1 << 32) if last_seconds is None else (last_seconds - BACK, last_seconds + DAY)

    def candidates(self, octets: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where a record may begin, by both lengths, the fraction and the second."""
        count = octets.size - RECORD_HEADER + 1
        if count <= 0:
            return np.empty(0, dtype=np.int64)
        high, next_high = (3, 2) if self._order == "little" else (0, 1)
        likely = np.ones(count, dtype=bool)
        for field in (8, 12):
            likely &= octets[field + high : field + high + count] == 0
            likely &= octets[field + next_high : field + next_high + count] <= MAX_CAPTURED >> 16
        places = np.flatnonzero(likely)
        seconds, fraction, captured, original = (u32_at(octets, places + field, self._order) for field in (0, 4, 8, 12))
        found: NDArray[np.int64] = places[self._can_be(seconds, fraction, captured, original)]
        return found

    def follow(self, octets: NDArray[np.uint8], at: int) -> Iterator[int]:
        """The length of the record at `at`, of the one behind it and so on, until there is none."""
        while True:
            header = octets[at : at + RECORD_HEADER].tobytes()
            fields = [int.from_bytes(header[field : field + 4], self._order) for field in (0, 4, 8, 12)]
            if len(header) < RECORD_HEADER or not self._can_be(*fields):
                return
            yield self._header + fields[2]
            at += self._header + fields[2]

    def _can_be(self, seconds: Any, fraction: Any, captured: Any, original: Any) -> Any:
        first, last = self._seconds
        return (
            (fraction < self._fractions)
            & (captured > 0)
            & (captured <= original)
            & (original <= MAX_CAPTURED)
            & (seconds >= first)
            & (seconds <= last)
        )


class PcapReader:
    """Frames of one classic pcap file; `interfaces` and `damage` are complete once `blocks` has run out.

    Parameters
    ----------
    source : at the file's first octet
    resume : read on behind damage where that is certain
    """

    def __init__(self, source: Source, *, resume: bool = True) -> None:
        self.source = source
        self._resynchroniser = Resynchroniser(source, is_wanted=resume)
        self._last_seconds: int | None = None
        self.damage: list[Damage] = []
        self.interfaces: list[Interface] = []
        self.comments: list[Comment] = []  # the format has none
        self._variant = MAGICS[source.text(source.begin, 4)]
        self._order: Literal["big", "little"] = "big" if self._variant.big else "little"
        self._is_old = False

    def blocks(self) -> Iterator[FrameBlock]:
        """The file's frames in file order, by the block."""
        source, variant = self.source, self._variant
        if not source.need(FILE_HEADER):
            self.damage.append(stop(source, "the file header", FILE_HEADER, source.stream_error or "pcap format", truncated=True))
            return
        header = FileHeader.of(source.text(source.begin, FILE_HEADER))
        if header.version[0] < OLDEST_MAJOR:
            limit = f"version, which is {header.version[0]}.{header.version[1]} and not {OLDEST_MAJOR}.0 or later"
            self.damage.append(stop(source, "the file header", FILE_HEADER, limit, truncated=False))
            return
        self._is_old = header.is_old
        if self._is_old:  # where its records begin cannot be told from their lengths
            self._resynchroniser = Resynchroniser(source, is_wanted=False)
        ticks = 1_000_000_000 if variant.nanoseconds else 1_000_000
        self.interfaces.append(Interface(header.link_type, header.snap_length, ticks_per_second=ticks))
        source.begin += FILE_HEADER
        frames = FrameArrays.of_size(FRAMES_A_BLOCK)
        number = 1
        source.refill()  # mostly the file's end, so that a small file is walked once
        while True:
            count, source.begin, status = run(
                walk_pcap,
                number + (source.end - source.begin + source.octets_behind) // AVERAGE_RECORD,
                source.octets,
                source.begin,
                source.end,
                variant.big,
                variant.record_header,
                variant.nanoseconds,
                int(self._is_old),
                header.link_type,
                MAX_CAPTURED,
                frames,
            )
            if count:
                self._last_seconds = int(frames.time_ns[count - 1]) // 1_000_000_000
                yield FrameBlock(source.octets, frames.first(count), number, source.octets_behind)
                number += count
            if status == BAD:
                limit = f"length field (limit {MAX_CAPTURED})"
                if not self._damaged(f"record {number}", self._captured(), limit, truncated=False):
                    return
            elif status == MORE:
                if not source.ended:
                    source.refill()
                elif not self._is_cut(number):
                    return
            else:
                assert status == FULL

    def _is_cut(self, number: int) -> bool:
        """Whether the file ends inside a record, and yet can be read on since the record's length is wrong."""
        source, header = self.source, self._variant.record_header
        had = source.end - source.begin
        if not had and source.stream_error is None:
            return False
        if had < header:
            return self._damaged(f"the header of record {number}", header, source.stream_error or "pcap format")
        return self._damaged(f"record {number}", header + self._captured(), source.stream_error or "length field")

    def _number_at(self, at: int) -> int:
        return int.from_bytes(self.source.text(self.source.begin + at, 4), self._order)

    def _captured(self) -> int:
        """The captured length of the record at hand."""
        lengths = self._number_at(8), self._number_at(12)
        return min(lengths) if self._is_old else lengths[0]

    def _damaged(self, what: str, wanted: int, limit: str, *, truncated: bool = True) -> bool:
        """Note damage at hand, and whether the file can be read on behind it."""
        records = PcapRecords(self._variant, self._last_seconds)
        damage, found = self._resynchroniser.pass_over(records, what, wanted, limit, truncated=truncated)
        self.damage.append(damage)
        return found


assert MAX_CAPTURED + 24 <= BUFFER_OCTETS  # a record always fits the buffer
