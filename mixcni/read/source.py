"""Octets out of a file, a buffer at a time: plain, gzip, zstd or lz4, told apart by content; pipes as well as files."""

import io
import os
import stat
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from mixcni.errors import UnreadableCapture
from mixcni.read.frames import Damage
from mixcni.read.inflate import GZIP_MAGIC, Inflater
from mixcni.read.packed_frames import LZ4_MAGIC, ZSTD_MAGIC, Lz4Unpacker, ZstdUnpacker
from mixcni.read.unpack import PackedFault, Unpacker

BUFFER_OCTETS: Final = 1 << 22  # read and decoded while still in cache; less are more steps
HEAD_OCTETS: Final = 4  # what tells one packed format from another
UNPACKERS: Final[dict[bytes, type[Unpacker]]] = {GZIP_MAGIC: Inflater, ZSTD_MAGIC: ZstdUnpacker, LZ4_MAGIC: Lz4Unpacker}
STANDARD_INPUT: Final = Path("-")


class Source:
    """A file's octets through one reused buffer; those of standard input where the path is `-`.

    `octets[begin:end]` is what is there; `offset_of(at)` is where octet `at` of the buffer lies in the (unpacked) file.

    Raises
    ------
    UnreadableCapture : the file cannot be opened, or later not be read on
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resize(BUFFER_OCTETS)
        self.begin = 0
        self.end = 0
        self._start = 0  # of the buffer, in the unpacked file
        self.ended = False
        self.stream_error: str | None = None
        try:
            self._raw = io.FileIO(0, closefd=False) if path == STANDARD_INPUT else path.open("rb", buffering=0)
        except OSError as error:
            raise UnreadableCapture(path, str(error.strerror)) from error
        self._stream: io.FileIO | Unpacker = self._raw
        while self.end < HEAD_OCTETS and not self.ended:  # a pipe may give them one by one, and cannot be rewound
            self._append(self._buffer[self.end : HEAD_OCTETS])
        head = self.text(0, self.end)
        for magic, unpacker in UNPACKERS.items():
            if head.startswith(magic):
                self._stream = unpacker(self._raw, head)
                self.end, self.ended = 0, False

    def _resize(self, size: int) -> None:
        self.octets: NDArray[np.uint8] = np.empty(size, dtype=np.uint8)  # a small file touches little of it
        self._buffer = memoryview(self.octets)  # type: ignore[arg-type,unused-ignore]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def offset_of(self, at: int) -> int:
        """Octet `at` of the buffer as an octet of the (unpacked) file."""
        return self._start + at

    @property
    def octets_read(self) -> int:
        """Octets read so far of the file as it lies on disk: packed, where it is; 0 where that is not known."""
        return self._raw.tell() if not self._raw.closed and self._raw.seekable() else 0

    @property
    def octets_behind(self) -> int:
        """Octets of the file behind the buffer; 0 where its size does not tell."""
        if isinstance(self._stream, Unpacker):
            return 0
        status = os.fstat(self._raw.fileno())
        return max(status.st_size - self._start - self.end, 0) if stat.S_ISREG(status.st_mode) else 0

    def text(self, at: int, length: int) -> bytes:
        """A copy of `length` octets from octet `at` of the buffer on; fewer at its end."""
        return bytes(self._buffer[at : min(at + length, self.end)])

    def need(self, count: int) -> bool:
        """Whether `count` octets stand in the buffer from `begin` on, reading more if not.

        The caller has held `count` against a named limit; the buffer grows to it only as octets really arrive.
        """
        while self.end - self.begin < count and not self.ended:
            self.refill()
        return self.end - self.begin >= count

    def refill(self) -> None:
        """Move what is left to the buffer's front and read on behind it; `ended` is set at the file's end."""
        left = self.end - self.begin
        if left == len(self._buffer):
            kept = self.octets
            self._resize(2 * left)
            self.octets[:left] = kept
        elif self.begin:
            self.octets[:left] = self.octets[self.begin : self.end]
        self._start += self.begin
        self.begin, self.end = 0, left
        self._append(self._buffer[left:])

    def _append(self, room: memoryview) -> None:
        try:
            got = self._stream.readinto(room) or 0
        except PackedFault as fault:
            self.stream_error = str(fault)
            got = 0
        except OSError as error:
            self._raw.close()
            raise UnreadableCapture(self.path, str(error.strerror)) from error
        self.end += got
        self.ended = got == 0

    def resume(self) -> int:
        """Read on behind a fault of the packed stream where that is certain, with nothing of what was before it in the buffer.

        How many packed octets were passed over; 0 where it cannot be read on.
        """
        if self.stream_error is None or not isinstance(self._stream, Unpacker) or not self._raw.seekable():
            return 0
        fault, at = self._stream.fault_at, self._stream.next_unit()
        if at is None:
            return 0
        self._raw.seek(at)
        self._stream = type(self._stream)(self._raw, b"")
        self._start += self.end
        self.begin = self.end = 0
        self.ended, self.stream_error = False, None
        return at - fault

    def skip_rest(self) -> int:
        """Octets from `begin` to the end of the file, counted without being kept."""
        count = self.end - self.begin
        self.begin = self.end
        while not self.ended:
            self.refill()
            count += self.end - self.begin
            self.begin = self.end
        return count


def stop(source: Source, what: str, wanted: int, limit: str, *, truncated: bool) -> Damage:
    """The damage of a file that is not read on from `source.begin`; the rest of it is passed over."""
    offset, skipped = source.offset_of(source.begin), source.skip_rest()
    return Damage(source.path, offset, what, wanted, skipped, limit, skipped, truncated)
