"""zstd and lz4 frames, unpacked block by block: a fault costs its own block, and no call unpacks more than one.

Both formats say how long each block is, packed; here that is all that is read of them, and the library does the rest.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from io import RawIOBase
from typing import ClassVar, Final

from mixcni.read.unpack import PackedFault, Unpacker

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
LZ4_MAGIC: Final = b"\x04\x22\x4d\x18"
SKIPPABLE: Final = b"\x2a\x4d\x18"  # behind an octet of 0x50 to 0x5f (RFC 8878 section 3.1.2; the lz4 frame format has them too)
MAX_WINDOW: Final = 1 << 27  # octets of memory that a zstd frame may ask for; zstd(1)'s own limit
MAX_LZ4_BLOCK: Final = 1 << 22
CHECKSUM: Final = 4


class PackedFrame(ABC):
    """The parts of one frame, so far as it takes to tell where each ends, and the library that unpacks them.

    `needs` is how many octets tell the next part's length; 0 behind the last one.
    """

    magic: ClassVar[bytes]
    fault: type[Exception]
    unpack: Callable[[bytes], bytes]

    def __init__(self) -> None:
        self.needs = 5
        self._next = self._header
        self._checksum = 0

    @property
    def has_checksum(self) -> bool:
        """Whether the frame ends with a checksum of its octets, which the library then holds against them."""
        return self._checksum > 0

    def length(self, seen: bytes) -> int:
        """Octets of the next part, which begins with `seen`.

        Raises
        ------
        PackedFault : it is longer than the format allows
        """
        return self._next(seen)

    @abstractmethod
    def _header(self, seen: bytes) -> int:
        """Octets of the frame's header, which `seen` begins."""

    def _end(self, seen: bytes) -> int:
        self.needs = 0
        return len(seen)


class ZstdFrame(PackedFrame):
    """Header, blocks, checksum (RFC 8878 section 3.1.1)."""

    magic = ZSTD_MAGIC

    def __init__(self) -> None:
        import zstandard  # only where such a file is read

        super().__init__()
        self.fault = zstandard.ZstdError
        self.unpack = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj().decompress

    def _header(self, seen: bytes) -> int:
        descriptor = seen[4]
        single = descriptor >> 5 & 1
        self._checksum = CHECKSUM * (descriptor >> 2 & 1)
        self.needs, self._next = 3, self._block
        return 6 - single + (0, 1, 2, 4)[descriptor & 3] + (single, 2, 4, 8)[descriptor >> 6]

    def _block(self, seen: bytes) -> int:
        header = int.from_bytes(seen, "little")
        if header & 1:  # the last one
            self.needs, self._next = self._checksum, self._end
        return 3 + (1 if header >> 1 & 3 == 1 else header >> 3)  # type 1 is one octet, repeated


class Lz4Frame(PackedFrame):
    """Header, blocks, end mark, checksum (lz4_Frame_format.md 1.6.4)."""

    magic = LZ4_MAGIC

    def __init__(self) -> None:
        import lz4.frame  # type: ignore[import-untyped]  # only where such a file is read

        super().__init__()
        self.fault = RuntimeError
        self.unpack = lz4.frame.LZ4FrameDecompressor().decompress
        self._block_checksum = 0

    def _header(self, seen: bytes) -> int:
        flags = seen[4]
        self._checksum, self._block_checksum = CHECKSUM * (flags >> 2 & 1), CHECKSUM * (flags >> 4 & 1)
        self.needs, self._next = 4, self._block
        return 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)

    def _block(self, seen: bytes) -> int:
        size = int.from_bytes(seen, "little") & 0x7FFFFFFF
        if size > MAX_LZ4_BLOCK:
            raise PackedFault(f"a block of {size} octets, of at most {MAX_LZ4_BLOCK}")
        if size == 0:
            self.needs, self._next = self._checksum, self._end
            return 4
        return 4 + size + self._block_checksum


class FrameUnpacker(Unpacker):
    """Frames laid end to end, skippable ones passed over."""

    form: ClassVar[type[PackedFrame]]

    def __init__(self, raw: RawIOBase, head: bytes) -> None:
        super().__init__(raw, head)
        self._frame: PackedFrame | None = None
        self._is_cut = False
        self._skip = 0
        self._ready = memoryview(b"")

    def _piece(self, most: int) -> bytes | None:
        if not self._ready:
            part = self._part()
            if part is None:
                return None
            self._ready = memoryview(part)
        piece, self._ready = self._ready[:most], self._ready[most:]
        return bytes(piece)

    def _have(self, count: int) -> bool:
        while len(self._packed) < count:
            if not self._more():
                return False
        return True

    def _part(self) -> bytes | None:
        if self._is_cut:
            raise PackedFault(f"the {self.kind} frame is cut")
        if self._skip:
            if not self._have(1):
                self._is_cut = True
                return b""
            passed = min(self._skip, len(self._packed))
            del self._packed[:passed]
            self._skip -= passed
            return b""
        if self._frame is None:
            return self._begin()
        frame = self._frame
        length = frame.length(bytes(self._packed[: frame.needs])) if self._have(frame.needs) else len(self._packed) + 1
        self._is_cut = not self._have(length)  # what is there of a part may still give octets
        try:
            part = frame.unpack(bytes(self._packed[:length]))
        except frame.fault as error:
            raise PackedFault(str(error)) from error
        del self._packed[:length]
        if not frame.needs:
            self._frame = None
            if self._first_is_right is None:
                self._first_is_right = frame.has_checksum
        return part

    def _begin(self) -> bytes | None:
        if not self._have(1):
            return None
        magic = bytes(self._packed[:4]) if self._have(4) else b""
        if magic == self.form.magic:
            self._frame = self.form()
        elif magic[1:] == SKIPPABLE and magic[0] >> 4 == 5 and self._have(8):
            self._skip = 8 + int.from_bytes(self._packed[4:8], "little")
        elif magic and magic[1:] != SKIPPABLE:
            raise PackedFault(f"{magic.hex(' ')} begins no {self.kind} frame")
        else:
            self._is_cut = True
        return b""


class ZstdUnpacker(FrameUnpacker):
    """The octets of a zstd file."""

    kind = "zstd"
    magic = ZSTD_MAGIC
    form = ZstdFrame


class Lz4Unpacker(FrameUnpacker):
    """The octets of an lz4 file."""

    kind = "lz4"
    magic = LZ4_MAGIC
    form = Lz4Frame
