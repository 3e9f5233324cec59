"""pcapng blocks of either byte order, straight from draft-ietf-opsawg-pcapng sections 3 and 4."""

import struct

SECTION, INTERFACE, OBSOLETE, SIMPLE, NAMES, STATISTICS, ENHANCED, CUSTOM = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 0xBAD


class Blocks:
    """A section's blocks in one byte order, `<` or `>`."""

    def __init__(self, order: str = "<") -> None:
        self.order = order

    def pack(self, form: str, *numbers: int) -> bytes:
        """Integers in this section's byte order."""
        return struct.pack(self.order + form, *numbers)

    def block(self, kind: int, body: bytes, *, second_length: int | None = None) -> bytes:
        """A block around `body`, padded to 32 bits."""
        body += bytes(-len(body) % 4)
        length = 12 + len(body)
        return self.pack("2I", kind, length) + body + self.pack("I", length if second_length is None else second_length)

    def options(self, *pairs: tuple[int, bytes]) -> bytes:
        """Options with their end, or nothing."""
        octets = b"".join(self.pack("2H", code, len(value)) + value + bytes(-len(value) % 4) for code, value in pairs)
        return octets + bytes(4) if pairs else b""

    def section(self, *, length: int = -1, options: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
        """A Section Header Block."""
        return self.block(SECTION, self.pack("I2Hq", 0x1A2B3C4D, *version, length) + options)

    def interface(
        self,
        link_type: int = 1,
        snap_length: int = 0,
        *,
        resolution: int | None = None,
        offset: int | None = None,
        name: str = "",
    ) -> bytes:
        """An Interface Description Block."""
        options = []
        if name:
            options.append((2, name.encode()))
        if resolution is not None:
            options.append((9, bytes([resolution])))
        if offset is not None:
            options.append((14, self.pack("q", offset)))
        return self.block(INTERFACE, self.pack("2HI", link_type, 0, snap_length) + self.options(*options))

    def enhanced(
        self,
        frame: bytes,
        ticks: int = 0,
        *,
        interface: int = 0,
        original: int | None = None,
        captured: int | None = None,
        options: bytes = b"",
    ) -> bytes:
        """An Enhanced Packet Block."""
        return self.block(ENHANCED, self._packet(self.pack("I", interface), frame, ticks, original, captured) + options)

    def obsolete(
        self, frame: bytes, ticks: int = 0, *, interface: int = 0, drops: int = 0xFFFF, original: int | None = None
    ) -> bytes:
        """A Packet Block, the form before the enhanced one (appendix A)."""
        return self.block(OBSOLETE, self._packet(self.pack("2H", interface, drops), frame, ticks, original, None))

    def _packet(self, head: bytes, frame: bytes, ticks: int, original: int | None, captured: int | None) -> bytes:
        lengths = len(frame) if captured is None else captured, len(frame) if original is None else original
        return head + self.pack("4I", ticks >> 32, ticks & 0xFFFFFFFF, *lengths) + frame + bytes(-len(frame) % 4)

    def simple(self, frame: bytes, original: int | None = None) -> bytes:
        """A Simple Packet Block."""
        return self.block(SIMPLE, self.pack("I", len(frame) if original is None else original) + frame)

    def statistics(self, interface: int, *pairs: tuple[int, int]) -> bytes:
        """An Interface Statistics Block with 64-bit counters."""
        options = self.options(*((code, self.pack("Q", value)) for code, value in pairs))
        return self.block(STATISTICS, self.pack("3I", interface, 0, 0) + options)
