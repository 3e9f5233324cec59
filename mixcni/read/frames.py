"""What reading hands on: frames by the block, the interfaces they came from, and what was damaged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.errors import CaptureError, TruncatedCapture

NO_TIME: Final = -1  # time_ns of a frame without a timestamp (pcapng Simple Packet Block); mixcni.read.kernel's as well


@dataclass(frozen=True, slots=True)
class Damage:
    """Where a file cannot be read on, and how many octets were left unread for it.

    `had` is what the file has from `offset` on; `truncated` says that the file ends inside a record, where else a
    record states what cannot be.
    """

    path: Path
    offset: int
    what: str
    wanted: int
    had: int
    limit: str
    skipped: int
    truncated: bool = False

    def error(self) -> CaptureError:
        """The same facts as an exception."""
        kind = TruncatedCapture if self.truncated else CaptureError
        return kind(self.what, self.path, self.offset, self.wanted, self.had, self.limit)

    def __str__(self) -> str:
        return f"{self.error()}; {self.skipped:,} octets from there on were not read"


@dataclass(frozen=True, slots=True)
class Interface:
    """One capture interface: pcapng's Interface Description Block, or a pcap file as a whole.

    `ticks_per_second` is 0 where the file's resolution is finer than mixcni reads: such frames have no time.
    `dropped` is what the capture itself lost: the sum of the newest isb_ifdrop and isb_osdrop, or of all epb_dropcounts where
    that is more, since both count the same; None where the file has neither.
    """

    link_type: int
    snap_length: int
    name: str = ""
    ticks_per_second: int = 1_000_000
    offset_seconds: int = 0
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment that a person or a program left in a pcapng file (opt_comment).

    `offset` is where its block begins in the (unpacked) file, `frame_number` that of its packet, or 0 where it is on a section or
    an interface.
    """

    offset: int
    frame_number: int
    text: str


class FrameArrays(NamedTuple):
    """Frames of one block as the walking kernels write them; row i of each array is one frame.

    start : (n,) int64, octet of the frame's first octet in the block's buffer
    captured, original : (n,) uint32, octets in the file and on the wire
    time_ns : (n,) int64, since the Unix epoch, or NO_TIME
    link_type : (n,) uint16, LINKTYPE_ number
    interface : (n,) uint16, row in the section's list of interfaces
    """

    start: NDArray[np.int64]
    captured: NDArray[np.uint32]
    original: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    link_type: NDArray[np.uint16]
    interface: NDArray[np.uint16]

    @classmethod
    def of_size(cls, size: int) -> "FrameArrays":
        """Arrays for `size` frames, not yet filled."""
        dtypes: tuple[Any, ...] = (np.int64, np.uint32, np.uint32, np.int64, np.uint16, np.uint16)
        arrays: list[Any] = [np.zeros(size, dtype=dtype) for dtype in dtypes]
        return cls(*arrays)

    def first(self, count: int) -> "FrameArrays":
        """Views of the first `count` frames."""
        return FrameArrays(
            self.start[:count],
            self.captured[:count],
            self.original[:count],
            self.time_ns[:count],
            self.link_type[:count],
            self.interface[:count],
        )


class FrameBlock(NamedTuple):
    """Some frames of a file and the octets that hold them, both reused: read them before the next block is asked for.

    Every frame lies whole within `octets`; a kernel need not check that again. `octets_behind` is how much of the file is
    still to be read; 0 where its size does not tell (packed files, pipes).
    """

    octets: NDArray[np.uint8]
    frames: FrameArrays
    first_frame_number: int
    octets_behind: int
