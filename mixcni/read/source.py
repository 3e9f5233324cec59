"""Octets out of a file, a buffer at a time: plain or gzip, told apart by content."""

import gzip
import io
import zlib
from pathlib import Path
from typing import BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from mixcni.errors import CaptureError

BUFFER_OCTETS: Final = 1 << 20  # read and decoded while still in cache
GZIP_MAGIC: Final = b"\x1f\x8b"


class Source:
    """A file's octets through one reused buffer.

    `octets[begin:end]` is what is there; `offset_of(at)` is where octet `at` of the buffer lies in the (unpacked) file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            raw: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            raise CaptureError(f"opening ({error.strerror})", path, 0, 1, 0, "readability") from error
        magic = raw.read(2)
        raw.seek(0)
        self._packed = magic == GZIP_MAGIC
        self._stream: BinaryIO | io.BufferedIOBase = gzip.GzipFile(fileobj=raw) if self._packed else raw
        self._raw = raw
        self._resize(BUFFER_OCTETS)
        self.begin = 0
        self.end = 0
        self._start = 0  # of the buffer, in the unpacked file
        self.ended = False
        self.stream_error: str | None = None

    def _resize(self, size: int) -> None:
        self._buffer = bytearray(size)
        self.octets: NDArray[np.uint8] = np.frombuffer(self._buffer, dtype=np.uint8)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._raw.close()

    def offset_of(self, at: int) -> int:
        """Octet `at` of the buffer as an octet of the (unpacked) file."""
        return self._start + at

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
            kept = bytes(self._buffer)
            self._resize(2 * len(kept))
            self._buffer[: len(kept)] = kept
        elif self.begin:
            self._buffer[:left] = self._buffer[self.begin : self.end]
        self._start += self.begin
        self.begin, self.end = 0, left
        got = self._read_into(memoryview(self._buffer)[left:])
        self.end += got
        self.ended = got == 0

    def _read_into(self, room: memoryview) -> int:
        try:
            return self._stream.readinto(room) or 0  # type: ignore[union-attr]
        except (EOFError, zlib.error, OSError) as error:  # a gzip member that is cut or corrupt
            if not self._packed:
                raise CaptureError(f"reading ({error})", self.path, self._start, 1, 0, "readability") from error
            self.stream_error = str(error)
            return 0

    def skip_rest(self) -> int:
        """Octets from `begin` to the end of the file, counted without being kept."""
        count = self.end - self.begin
        self.begin = self.end
        while not self.ended:
            self.refill()
            count += self.end - self.begin
            self.begin = self.end
        return count
