"""gzip members, unpacked up to the octet of the packed file that is at fault (RFC 1952)."""

import zlib
from io import RawIOBase
from typing import ClassVar, Final

from mixcni.read.unpack import PackedFault, Unpacker

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_WRAPPER: Final = 31  # zlib's wbits for one gzip member with the largest window


class Inflater(Unpacker):
    """gzip members laid end to end; zero octets behind a member are padding, as for gzip(1).

    A chunk in which zlib finds a fault is inflated again octet by octet, from a copy of the state before it.
    """

    kind: ClassVar[str] = "gzip"
    magic: ClassVar[bytes] = GZIP_MAGIC + b"\x08"  # deflate, the one method there is

    def __init__(self, raw: RawIOBase, head: bytes) -> None:
        super().__init__(raw, head)
        self._member: zlib._Decompress | None = None
        self._members = 0
        self._careful = False

    def _piece(self, most: int) -> bytes | None:
        if self._member is None:
            if self._members:
                self._packed = self._packed.lstrip(b"\0")
            if not self._packed:
                return b"" if self._more() else None
            self._member = zlib.decompressobj(GZIP_WRAPPER)
            self._members += 1
        if not self._packed and not self._more():
            raise PackedFault("the gzip member is cut")
        return self._inflate(self._member, most)

    def _inflate(self, member: "zlib._Decompress", most: int) -> bytes:
        feed = self._packed[:1] if self._careful else self._packed
        before = None if self._careful else member.copy()
        try:
            piece = member.decompress(feed, most)
        except zlib.error as error:
            if before is None:
                raise PackedFault(str(error)) from error
            self._member, self._careful = before, True  # again, octet by octet up to the fault
            return b""
        self._packed = bytearray(member.unused_data or member.unconsumed_tail) + self._packed[len(feed) :]
        if member.eof:  # zlib has held the checksum and the length against what it unpacked
            self._member, self._first_is_right = None, True
        return piece
