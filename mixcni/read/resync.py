"""Where a damaged capture can be read on: at the next place from which records follow one another for certain.

Octets inside a frame may look like records, as those of a capture file that was itself sent over the network. So records count
only where they follow one another without a gap over more octets than any frame holds, or up to the very end of the file. Behind
a fault of a packed stream they are looked for from the next member or frame on that unpacks to its end.
"""

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mixcni.read.frames import Damage
from mixcni.read.source import Source

MAX_CAPTURED: Final = 262_144  # octets of a frame; libpcap's MAXIMUM_SNAPLEN
SPAN: Final = MAX_CAPTURED + 64  # more than a record with a frame in it
WINDOW: Final = 1 << 16  # octets searched at a time
HEADER: Final = 32  # octets of a record that candidates may look at
MAX_STEPS: Final = 1 << 16  # records followed in one file before its search is given up: crafted files cost linear time


class Records(Protocol):
    """What the search has to know of a format."""

    def candidates(self, octets: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Where a record may begin, ascending: a quick look, which may be wrong."""

    def follow(self, octets: NDArray[np.uint8], at: int) -> Iterator[int]:
        """The length of the record at `at`, of the one behind it and so on, each at most SPAN, until there is none.

        The last one may end behind the octets.
        """


class Resynchroniser:
    """Finds where one file goes on behind damage.

    Parameters
    ----------
    source : the file
    is_wanted : whether to look at all; else the rest of the file is passed over
    """

    def __init__(self, source: Source, *, is_wanted: bool) -> None:
        self._source = source
        self._steps = 0 if is_wanted else MAX_STEPS

    def pass_over(self, records: Records, what: str, wanted: int, limit: str, *, truncated: bool) -> tuple[Damage, bool]:
        """Move `source.begin` behind what is damaged there.

        Returns
        -------
        damage : what was passed over; its `had` and `skipped` count up to where reading goes on, or to the file's end
        found : whether the file can be read on
        """
        source = self._source
        offset = source.offset_of(source.begin)
        found = source.stream_error is None and self._find(records, source.begin + 1)
        packed = 0
        while not found and self._steps < MAX_STEPS and (passed := source.resume()):
            packed += passed
            found = self._find(records, source.begin)
        if found and packed:
            limit = f"{limit}, which goes on {packed:,} packed octets behind"
        if not found:
            source.skip_rest()
        skipped = source.offset_of(source.begin) - offset
        return Damage(source.path, offset, what, wanted, skipped, limit, skipped, truncated and not found), found

    def _find(self, records: Records, start: int) -> bool:
        source = self._source
        while self._steps < MAX_STEPS:
            source.begin = min(start, source.end)
            source.need(WINDOW + 2 * SPAN)
            start = source.begin
            if start == source.end:
                return False
            end = min(start + WINDOW, source.end)
            looked = source.octets[start : min(end + HEADER, source.end)]
            for candidate in records.candidates(looked).tolist():
                if start + candidate >= end or self._steps >= MAX_STEPS:
                    break
                if self._is_certain(records, start + candidate):
                    source.begin = start + candidate
                    return True
            start = end
        return False

    def _is_certain(self, records: Records, begin: int) -> bool:
        """Whether records follow one another from there on, further than any frame reaches or to the end of the file."""
        source, at = self._source, begin
        for length in records.follow(source.octets[: source.end], begin):
            self._steps += 1
            at += length
            if at >= source.end:
                return source.ended and source.stream_error is None and at == source.end
            if at - begin > SPAN:
                return True
            if self._steps >= MAX_STEPS:
                return False
        return False


def u32_at(octets: NDArray[np.uint8], places: NDArray[np.int64], order: str) -> NDArray[np.int64]:
    """The 32-bit words at some places, which the caller has held against the end."""
    shifts = (0, 8, 16, 24) if order == "little" else (24, 16, 8, 0)
    words = [octets[places + number].astype(np.int64) << shift for number, shift in enumerate(shifts)]
    return words[0] | words[1] | words[2] | words[3]
