"""Packed octets unpacked as a stream, so that all that precedes a fault is handed on.

The libraries drop what they unpacked in the same call as they met the fault: up to a whole buffer, which for most captures is
everything. Each format says in its own module how it keeps that small.
"""

import io
from typing import ClassVar, Final

CHUNK_OCTETS: Final = 1 << 16  # packed, read at a time


class PackedFault(Exception):
    """The packed octets cannot be unpacked further; the text says why."""


class Unpacker:
    """The unpacked octets of a packed file.

    Parameters
    ----------
    raw : the packed file, behind `head`
    head : octets of it that were read already
    """

    kind: ClassVar[str]

    def __init__(self, raw: io.RawIOBase, head: bytes) -> None:
        self._raw = raw
        self._packed = bytearray(head)
        self._fault: PackedFault | None = None

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

    def _piece(self, most: int) -> bytes | None:
        """The next octets, `most` or fewer, perhaps none; None at the end."""
        raise NotImplementedError

    def _more(self) -> bool:
        """Read on in the packed file; whether there was anything."""
        chunk = self._raw.read(CHUNK_OCTETS) or b""
        self._packed += chunk
        return bool(chunk)
