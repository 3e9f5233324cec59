"""One direction of a connection put together again: octets by stream offset, and where some are not there.

Of octets that came twice the first transmission counts. What the snap length cut, and what was never seen, are holes alike.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class Segment(NamedTuple):
    """One segment that carries data.

    start, end : stream offsets of its payload; octets : what was captured of it; packet : row in the packet table
    acknowledged : offset of the other direction, -1 without ACK
    """

    start: int
    end: int
    octets: bytes
    packet: int
    acknowledged: int


class Piece(NamedTuple):
    """Octets that no other piece has, and the segment that brought them."""

    start: int
    octets: bytes
    segment: Segment

    @property
    def end(self) -> int:
        """Offset behind its last octet."""
        return self.start + len(self.octets)

    def part(self, start: int, end: int) -> "Piece":
        """Its octets in [start, end), which lies within it."""
        return Piece(start, self.octets[start - self.start : end - self.start], self.segment)


class Stream:
    """The octets of one direction.

    Parameters
    ----------
    segments : in file order

    `marks` are the offsets at which segments begin, ascending: where a message may begin behind a hole. `first` and `end` bound
    what was seen, the captured part or not.
    """

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._starts: list[int] = []
        self._chunks: list[bytes] = []
        self._pieces: list[Piece] = []
        every: list[int] = []
        self.first, self.end = 1, 1
        reach = -1
        for segment in segments:
            self.first = min(self.first, segment.start) if every else segment.start
            self.end = max(self.end, segment.end)
            every.append(segment.start)
            piece = Piece(segment.start, segment.octets, segment)
            if not segment.octets:
                continue
            if piece.start >= reach:
                self._pieces.append(piece)
            else:
                _insert(self._pieces, piece)
            reach = max(reach, piece.end)
        self.marks = sorted(set(every))
        self._piece_starts = [piece.start for piece in self._pieces]
        self._join()

    def _join(self) -> None:
        parts: list[bytes] = []
        reach = -1
        for piece in self._pieces:
            if piece.start != reach:
                if parts:
                    self._chunks.append(b"".join(parts))
                parts = []
                self._starts.append(piece.start)
            parts.append(piece.octets)
            reach = piece.end
        if parts:
            self._chunks.append(b"".join(parts))

    def available(self, offset: int) -> int:
        """How many octets are there from `offset` on, without a hole."""
        row = bisect_right(self._starts, offset) - 1
        return max(self._starts[row] + len(self._chunks[row]) - offset, 0) if row >= 0 else 0

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` octets from `offset` on: fewer where a hole or the end comes first."""
        row = bisect_right(self._starts, offset) - 1
        if row < 0:
            return b""
        at = offset - self._starts[row]
        return self._chunks[row][at : at + size]

    def find(self, wanted: bytes, offset: int, limit: int) -> int:
        """Offset of the first `wanted` at or behind `offset`, before any hole, that ends within `limit` octets; -1."""
        row = bisect_right(self._starts, offset) - 1
        if row < 0:
            return -1
        start = self._starts[row]
        found = self._chunks[row].find(wanted, offset - start, offset - start + limit) if offset >= start else -1
        return start + found if found >= 0 else -1

    def is_known(self, offset: int) -> bool:
        """Whether the octet at `offset` was captured."""
        return self.available(offset) > 0

    def has_hole(self, start: int, end: int) -> bool:
        """Whether an octet of [start, end) was not captured."""
        return start < end and self.available(start) < end - start

    def next_mark(self, offset: int) -> int:
        """The first segment that begins at or behind `offset`; -1 where none does."""
        row = bisect_left(self.marks, offset)
        return self.marks[row] if row < len(self.marks) else -1

    def carrier(self, offset: int) -> Segment | None:
        """The segment that brought the octet at `offset` first; None where it was not captured."""
        row = bisect_right(self._piece_starts, offset) - 1
        return self._pieces[row].segment if row >= 0 and self._pieces[row].end > offset else None


def _insert(pieces: list[Piece], new: Piece) -> None:
    """Put in what of `new` no piece has yet."""
    row = max(bisect_right(pieces, new.start, key=lambda piece: piece.start) - 1, 0)
    at, added = new.start, []
    while row < len(pieces) and pieces[row].start < new.end:
        if at < pieces[row].start:
            added.append(new.part(at, pieces[row].start))
        at = max(at, pieces[row].end)
        row += 1
    if at < new.end:
        added.append(new.part(at, new.end))
    for piece in added:
        pieces.insert(bisect_right(pieces, piece.start, key=lambda one: one.start), piece)
