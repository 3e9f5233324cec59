"""The octets of chosen packets, read again from their files: tables hold what headers say, not the frames themselves."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.read import CaptureFile


class CapturedFrame(NamedTuple):
    """A packet's frame as its file has it; `row` is the packet's."""

    row: int
    octets: bytes
    original_length: int
    link_type: int


def frames_of(packets: PacketTable, rows: NDArray[np.int64]) -> Iterator[CapturedFrame]:
    """The frames of these packets, in file order; each file is read once, and no farther than to its last one.

    Parameters
    ----------
    rows : ascending rows of `packets`

    Raises
    ------
    CaptureError : a file is no longer there
    """
    files, numbers = packets["file"][rows], packets["frame_number"][rows].astype(np.int64)
    for file in np.unique(files).tolist():
        wanted = np.flatnonzero(files == file)
        done = 0
        for block in CaptureFile(packets.files[file]).blocks():
            frames = block.frames
            upto = int(np.searchsorted(numbers[wanted], block.first_frame_number + frames.start.size))
            for i in wanted[done:upto].tolist():
                at = int(numbers[i]) - block.first_frame_number
                start = int(frames.start[at])
                octets = block.octets[start : start + int(frames.captured[at])].tobytes()
                yield CapturedFrame(int(rows[i]), octets, int(frames.original[at]), int(frames.link_type[at]))
            done = upto
            if done == wanted.size:
                break
