"""Classic pcap: microseconds or nanoseconds, either byte order, Kuznetzov's modified records."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from mixcni.kernels.jit import run
from mixcni.read.frames import Comment, Damage, FrameArrays, FrameBlock, Interface
from mixcni.read.kernel import BAD, FULL, MORE, walk_pcap
from mixcni.read.source import BUFFER_OCTETS, Source, stop

FILE_HEADER: Final = 24
MAX_CAPTURED: Final = 262_144  # libpcap's MAXIMUM_SNAPLEN
FRAMES_A_BLOCK: Final = 1 << 15
AVERAGE_RECORD: Final = 64  # octets; only to guess whether a walk is worth machine code


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


class PcapReader:
    """Frames of one classic pcap file; `interfaces` and `damage` are complete once `blocks` has run out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.damage: list[Damage] = []
        self.interfaces: list[Interface] = []
        self.comments: list[Comment] = []  # the format has none
        self._variant = MAGICS[source.text(source.begin, 4)]

    def blocks(self) -> Iterator[FrameBlock]:
        """The file's frames in file order, by the block."""
        source, variant = self.source, self._variant
        if not source.need(FILE_HEADER):
            self._stop("the file header", FILE_HEADER, source.stream_error or "pcap format")
            return
        order = "big" if variant.big else "little"
        header = source.text(source.begin, FILE_HEADER)
        snap_length = int.from_bytes(header[16:20], order)  # type: ignore[arg-type]
        link_type = int.from_bytes(header[20:24], order) & 0xFFFF  # type: ignore[arg-type]
        ticks = 1_000_000_000 if variant.nanoseconds else 1_000_000
        self.interfaces.append(Interface(link_type, snap_length, ticks_per_second=ticks))
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
                link_type,
                MAX_CAPTURED,
                frames,
            )
            if count:
                yield FrameBlock(source.octets, frames.first(count), number, source.octets_behind)
                number += count
            if status == BAD:
                length = int.from_bytes(source.text(source.begin + 8, 4), order)  # type: ignore[arg-type]
                self._stop(f"record {number}", length, f"length field (limit {MAX_CAPTURED})", truncated=False)
                return
            if status == MORE:
                if source.ended:
                    break
                source.refill()
            else:
                assert status == FULL
        if source.end > source.begin or source.stream_error:
            self._cut(number)

    def _cut(self, number: int) -> None:
        source, header = self.source, self._variant.record_header
        had = source.end - source.begin
        if had < header:
            self._stop(f"the header of record {number}", header, source.stream_error or "pcap format")
            return
        order = "big" if self._variant.big else "little"
        captured = int.from_bytes(source.text(source.begin + 8, 4), order)  # type: ignore[arg-type]
        self._stop(f"record {number}", header + captured, source.stream_error or "length field")

    def _stop(self, what: str, wanted: int, limit: str, *, truncated: bool = True) -> None:
        self.damage.append(stop(self.source, what, wanted, limit, truncated=truncated))


assert MAX_CAPTURED + 24 <= BUFFER_OCTETS  # a record always fits the buffer
