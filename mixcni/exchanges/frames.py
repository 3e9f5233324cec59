"""The frames of one direction of an HTTP/2 connection (RFC 9113 section 4), and what their header blocks say (RFC 7541).

Where the beginning was not captured the dynamic table is unknown: entries that were put in before are unknown, those put in since
are found from the newest back, so that what decodes is right. Behind a hole the table is unknown again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mixcni.exchanges.streams import Stream

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 section 3.4
HEADER: Final = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_HEADERS, PADDED, HAS_PRIORITY = 0x4, 0x8, 0x20
FIXED_SIZES: Final = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
OF_CONNECTION: Final = (SETTINGS, PING, GOAWAY)
MOST_PARTS: Final = 256  # frames of a header block: of more, an attack, no field is told (CVE-2024-27316 and its like)
LARGEST_TABLE: Final = 1 << 20  # octets of a dynamic table; a peer may allow any size in its SETTINGS
UNKNOWN: Final = b"", b""
Fields = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class FrameRead:
    """A frame, [start, end) in its stream. `fields` are those of the header block that it ends; None where there is none."""

    kind: int
    stream: int
    start: int
    end: int
    fields: Fields | None


class Blocks:
    """The header blocks of one direction, one after the other."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """From here on the dynamic table is unknown."""
        from hpack import Decoder
        from hpack.table import HeaderTable

        class PartlyKnown(HeaderTable):
            def get_by_index(self, index: int) -> tuple[bytes, bytes]:
                entry = index - HeaderTable.STATIC_TABLE_LENGTH - 1
                return UNKNOWN if entry >= len(self.dynamic_entries) else super().get_by_index(index)

        self._decoder: Any = Decoder()
        self._decoder.header_table = PartlyKnown()
        self._decoder.max_allowed_table_size = LARGEST_TABLE

    def decode(self, block: bytes) -> Fields:
        """The fields of a block; those that are unknown are left out, all of them where it cannot be decoded."""
        from hpack import HPACKError

        try:
            fields = self._decoder.decode(block, raw=True)
        except HPACKError:
            self.forget()
            return {}
        return {bytes(name): bytes(value) for name, value in fields if name}


def header_at(stream: Stream, offset: int) -> tuple[int, int, int, int] | None:
    """(octets behind the header, type, flags, stream) of the frame at `offset`; None where there is none."""
    octets = stream.read(offset, HEADER)
    if len(octets) < HEADER:
        return None
    size, kind, flags, identifier = int.from_bytes(octets[:3]), octets[3], octets[4], int.from_bytes(octets[5:9])
    misplaced = (kind in OF_CONNECTION) != (identifier == 0) and kind != WINDOW_UPDATE and kind <= CONTINUATION
    if identifier >> 31 or misplaced:
        return None
    if FIXED_SIZES.get(kind, size) != size or (kind == SETTINGS and size % 6) or (kind == GOAWAY and size < 8):
        return None
    return size, kind, flags, identifier


def read_frames(stream: Stream, offset: int) -> Iterator[FrameRead]:
    """The frames from `offset` on; behind a hole from the next segment on that begins with one.

    A frame that goes beyond what was seen ends there.
    """
    blocks, parts, awaited = Blocks(), [b""], False
    at = offset
    if stream.read(at, len(PREFACE)) == PREFACE:
        at += len(PREFACE)
    while at < stream.end:
        header = header_at(stream, at)
        if header is None:
            if not stream.has_hole(at, stream.end) and stream.end - at < HEADER:
                return
            at, awaited = _next_frames(stream, at), False
            blocks.forget()
            if at < 0:
                return
            continue
        size, kind, flags, identifier = header
        end = at + HEADER + size
        fields: Fields | None = None
        if kind in (HEADERS, PUSH_PROMISE, CONTINUATION):
            body = stream.read(at + HEADER, size)
            if len(body) < size or (kind == CONTINUATION and (not awaited or len(parts) == MOST_PARTS)):
                awaited, fields = False, {}
                blocks.forget()
            else:
                parts = [*parts, body] if kind == CONTINUATION else [fragment_of(kind, flags, body)]
                awaited = not flags & END_HEADERS
                fields = None if awaited else blocks.decode(b"".join(parts))
        yield FrameRead(kind, identifier, at, min(end, stream.end), fields)
        at = end


def fragment_of(kind: int, flags: int, body: bytes) -> bytes:
    """The header block fragment of a HEADERS or PUSH_PROMISE frame (RFC 9113 sections 6.2 and 6.6)."""
    padding = 0
    if flags & PADDED and body:
        padding, body = body[0], body[1:]
    before = 4 if kind == PUSH_PROMISE else 5 if flags & HAS_PRIORITY else 0
    return body[before : len(body) - padding]


def _next_frames(stream: Stream, offset: int) -> int:
    """The first segment behind `offset` that begins with a frame which another one follows, or which ends it; -1."""
    while (offset := stream.next_mark(offset + 1)) >= 0:
        header = header_at(stream, offset)
        if header is None or header[1] > CONTINUATION:
            continue
        behind = offset + HEADER + header[0]
        if behind == stream.end or stream.next_mark(behind) == behind or header_at(stream, behind) is not None:
            return offset
    return -1
