"""gzip members unpacked as a stream, so that all that precedes a fault is handed on (RFC 1952).

The standard library's reader drops what it unpacked in the same call as it met the fault: up to a whole buffer, which
for most captures is everything.
"""

import io
import zlib
from typing import Final

CHUNK_OCTETS: Final = 1 << 16  # packed, read at a time
GZIP_WRAPPER: Final = 31  # zlib's wbits for one gzip member with the largest window


class Inflater:
    """The unpacked octets of gzip members laid end to end; zero octets behind a member are padding, as for gzip(1).

    Parameters
    ----------
    raw : the packed file, behind `head`
    head : octets of it that were read already
    """

    def __init__(self, raw: io.RawIOBase, head: bytes) -> None:
        self._raw = raw
        self._packed = head
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._careful = False

    def readinto(self, room: memoryview) -> int:
        """How many octets were unpacked to the front of `room`; 0 at the end.

        Raises
        ------
        zlib.error : a member is corrupt; all that precedes it was handed on, to the octet of the packed file
        EOFError : the last member is cut
        """
        filled = 0
        while filled < len(room):
            try:
                piece = self._piece(len(room) - filled)
            except (zlib.error, EOFError):
                if filled:
                    return filled  # the next call comes to the same fault
                raise
            if piece is None:
                break
            room[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _piece(self, most: int) -> bytes | None:
        if not self._packed:
            self._packed = self._raw.read(CHUNK_OCTETS) or b""
        if self._member is None:
            if self._members:
                self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                return None if self._raw_ended() else b""
            self._member = zlib.decompressobj(GZIP_WRAPPER)
            self._members += 1
        if not self._packed:
            raise EOFError("the gzip member is cut")
        return self._inflate(self._member, most)

    def _raw_ended(self) -> bool:
        self._packed = self._raw.read(CHUNK_OCTETS) or b""
        return not self._packed

    def _inflate(self, member: "zlib._Decompress", most: int) -> bytes:
        feed = self._packed[:1] if self._careful else self._packed
        before = None if self._careful else member.copy()
        try:
            piece = member.decompress(feed, most)
        except zlib.error:
            if before is None:
                raise
            self._member, self._careful = before, True  # again, octet by octet up to the fault
            return b""
        self._packed = (member.unused_data or member.unconsumed_tail) + self._packed[len(feed) :]
        if member.eof:
            self._member = None
        return piece
