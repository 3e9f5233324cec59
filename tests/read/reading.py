"""What a capture file says when it is read whole: its frames copied out of the blocks, its damage, its interfaces."""

from pathlib import Path

import numpy as np

from mixcni.errors import CaptureError
from mixcni.read import CaptureFile
from tests.oracle import Record


def frames_of(capture: CaptureFile) -> list[Record]:
    """Every frame, copied before the next block takes its octets' place; frame numbers are held against their order."""
    records: list[Record] = []
    for block in capture.blocks():
        assert block.first_frame_number == len(records) + 1
        assert np.all(block.frames.start >= 0)
        assert np.all(block.frames.start + block.frames.captured <= block.octets.size)
        for row, start in enumerate(block.frames.start):
            octets = block.octets[start : start + block.frames.captured[row]].tobytes()
            time_ns, original = int(block.frames.time_ns[row]), int(block.frames.original[row])
            records.append(Record(time_ns, octets, original, int(block.frames.link_type[row]), int(block.frames.interface[row])))
    return records


def read(path: Path) -> tuple[list[Record], CaptureFile]:
    """The frames of a file read leniently, and the file with its damage."""
    capture = CaptureFile(path)
    return frames_of(capture), capture


def strict_error(path: Path) -> CaptureError | None:
    """What a strict reading raises, once it has given every frame that a lenient one gives."""
    expected = frames_of(CaptureFile(path))
    capture = CaptureFile(path, strict=True)
    count = 0
    try:
        for block in capture.blocks():
            count += block.frames.start.size
    except CaptureError as error:
        assert count == len(expected)
        return error
    return None
