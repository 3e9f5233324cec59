"""Chosen frames of a classic pcap file that was read before, from where the lengths of those before them say that they stand.

Every record is held against what was read of it: where it is another, as behind damage, no frame is given any more.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.errors import UnreadableCapture
from mixcni.read.frames import FrameArrays
from mixcni.read.pcap import FILE_HEADER, MAGICS, FileHeader, Variant
from mixcni.read.resync import MAX_CAPTURED, u32_at

READ_OCTETS: Final = 1 << 20  # in one go, besides the end of the last record
NEAR: Final = 1 << 14  # octets between two chosen records that are read sooner than passed over
Block = tuple[NDArray[np.uint8], FrameArrays]


class ReadFrames(NamedTuple):
    """What was read of all frames of a file, as a PacketTable has it: (n,) each."""

    captured: NDArray[np.uint32]
    original: NDArray[np.uint32]
    time_ns: NDArray[np.int64]


def read_chosen(path: Path, read: ReadFrames, rows: NDArray[np.int64]) -> Iterator[Block]:
    """Octets and the chosen frames in them, again and again, in their order; the octets are reused.

    Nothing of packed files and of pcapng, where the lengths of frames do not tell where they stand.

    Parameters
    ----------
    rows : (k,) of `read`, ascending, each once; one at least

    Raises
    ------
    UnreadableCapture : the file cannot be opened
    """
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise UnreadableCapture(path, str(error.strerror)) from error
    with stream:
        head = stream.read(FILE_HEADER)
        if len(head) == FILE_HEADER and head[:4] in MAGICS:
            header = FileHeader.of(head)
            if not header.is_old:
                yield from _blocks(stream, header, read, rows)


def _blocks(stream: BinaryIO, header: FileHeader, read: ReadFrames, rows: NDArray[np.int64]) -> Iterator[Block]:
    record = header.variant.record_header
    behind = np.cumsum(np.add.reduceat(read.captured, rows, dtype=np.int64))  # of the frames from each chosen one up to the next
    before = int(read.captured[: rows[0]].sum(dtype=np.int64)) + np.append(0, behind[:-1])
    begin = FILE_HEADER + before + record * rows
    end = begin + record + read.captured[rows]
    is_new = (begin[1:] - end[:-1] > NEAR) | (begin[1:] // READ_OCTETS != begin[:-1] // READ_OCTETS)
    span = np.append(0, 1 + np.flatnonzero(is_new))  # the first row of each stretch that is read at once
    last = np.append(span[1:], rows.size)
    sizes = end[last - 1] - begin[span]
    place = np.cumsum(sizes) - sizes
    block = place // READ_OCTETS
    octets = np.empty(2 * READ_OCTETS + 2 * MAX_CAPTURED, dtype=np.uint8)
    for spans in np.split(np.arange(span.size), 1 + np.flatnonzero(np.diff(block))):
        into = place[spans] - place[spans[0]]
        if not _fill(stream, octets, begin[span[spans]], sizes[spans], into):
            return
        mine = slice(span[spans[0]], last[spans[-1]])
        moved = np.repeat(into - begin[span[spans]], last[spans] - span[spans])
        frames = _frames(header, read, rows[mine], begin[mine] + moved)
        if not _stand_there(octets, header.variant, frames):
            return
        yield octets, frames


def _fill(
    stream: BinaryIO, octets: NDArray[np.uint8], begin: NDArray[np.int64], sizes: NDArray[np.int64], into: NDArray[np.int64]
) -> bool:
    """Read stretches of the file to their places in `octets`; whether the file has them."""
    room, number = memoryview(octets), stream.fileno()  # type: ignore[arg-type,unused-ignore]
    return all(
        os.preadv(number, [room[at : at + size]], offset) == size
        for at, size, offset in zip(into.tolist(), sizes.tolist(), begin.tolist(), strict=True)
    )


def _frames(header: FileHeader, read: ReadFrames, rows: NDArray[np.int64], begin: NDArray[np.int64]) -> FrameArrays:
    """The frames of these rows, the records of which begin at `begin`."""
    return FrameArrays(
        start=begin + header.variant.record_header,
        captured=read.captured[rows],
        original=read.original[rows],
        time_ns=read.time_ns[rows],
        link_type=np.full(rows.size, header.link_type, dtype=np.uint16),
        interface=np.zeros(rows.size, dtype=np.uint16),
    )


def _stand_there(octets: NDArray[np.uint8], variant: Variant, frames: FrameArrays) -> bool:
    """Whether the records of these frames are in the octets before them."""
    order, begin = "big" if variant.big else "little", frames.start - variant.record_header
    seconds, fraction, captured, original = (u32_at(octets, begin + field, order) for field in (0, 4, 8, 12))
    time_ns = seconds * 1_000_000_000 + fraction * (1 if variant.nanoseconds else 1_000)
    return all(
        np.array_equal(*both) for both in ((captured, frames.captured), (original, frames.original), (time_ns, frames.time_ns))
    )
