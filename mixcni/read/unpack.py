"""Packed octets unpacked as a stream, so that all that precedes a fault is handed on.

The libraries drop what they unpacked in the same call as they met the fault: up to a whole buffer, which for most captures is
everything. Each format says in its own module how it keeps that small.

Files are often packed in units laid end to end: gzip members, zstd and lz4 frames. Behind a fault the next one is found by its
magic, and is one for certain if it unpacks to its end and its checksum is right.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Final

CHUNK_OCTETS: Final = 1 << 16  # packed, read at a time
PIECE_OCTETS: Final = 1 << 20  # unpacked, of a unit that is only looked at
MOST_TRIED: Final = 1 << 26  # packed octets of units that turned out to be none: crafted files cost linear time


class PackedFault(Exception):
    """The packed octets cannot be unpacked further; the text says why."""


class Unpacker(ABC):
    """The unpacked octets of a packed file.

    Parameters
    ----------
    raw : the packed file, behind `head`
    head : octets of it that were read already
    """

    kind: ClassVar[str]
    magic: ClassVar[bytes]

    def __init__(self, raw: io.RawIOBase, head: bytes) -> None:
        self._raw = raw
        self._packed = bytearray(head)
        self._fault: PackedFault | None = None
        self._first_is_right: bool | None = None  # whether the first unit's checksum was; False where it has none, None before

    def readinto(self, room: memoryview) -> int:
        """How many octets were unpacked to the front of `room`; 0 at the end.

        Raises
        ------
        PackedFault : the file is corrupt or cut, at this call and at all that follow; what precedes the fault was handed on
        """
        filled = 0
        while filled < len(room) and self._fault is None:
            try:
                piece = self._piece(len(room) - filled)
            except PackedFault as fault:
                self._fault = PackedFault(f"{self.kind} stream ({fault})")
                break
            if piece is None:
                break
            room[filled : filled + len(piece)] = piece
            filled += len(piece)
        if self._fault and not filled:
            raise self._fault
        return filled

    @property
    def fault_at(self) -> int:
        """Where in the packed file the fault was found; of a file that can be sought in."""
        return self._raw.tell() - len(self._packed)

    def next_unit(self) -> int | None:
        """Where in the packed file the next unit behind the fault begins that is one for certain; None where there is none.

        The file can be sought in, and stands elsewhere afterwards.
        """
        tried = 0
        for at in self._magics(self.fault_at + 1):
            self._raw.seek(at)
            if type(self)(self._raw, b"").is_unit():
                return at
            tried += self._raw.tell() - at
            if tried > MOST_TRIED:
                break
        return None

    def _magics(self, at: int) -> Iterator[int]:
        """Where the magic stands from `at` on."""
        window = b""
        while True:
            self._raw.seek(at + len(window))
            chunk = self._raw.read(CHUNK_OCTETS) or b""
            window += chunk
            place = -1
            while (place := window.find(self.magic, place + 1)) >= 0:
                yield at + place
            if not chunk:
                return
            kept = min(len(self.magic) - 1, len(window))
            at += len(window) - kept
            window = window[len(window) - kept :]

    def is_unit(self) -> bool:
        """Whether a unit begins the file and is right to its end."""
        try:
            while self._first_is_right is None:
                if self._piece(PIECE_OCTETS) is None:
                    return False
        except PackedFault:
            return False
        return self._first_is_right

    @abstractmethod
    def _piece(self, most: int) -> bytes | None:
        """The next octets, `most` or fewer, perhaps none; None at the end."""

    def _more(self) -> bool:
        """Read on in the packed file; whether there was anything."""
        chunk = self._raw.read(CHUNK_OCTETS) or b""
        self._packed += chunk
        return bool(chunk)
