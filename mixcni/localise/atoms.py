"""The octets of every conversation, cut at all points' boundaries, and how often each piece was transmitted at each point.

Re-segmentation by offload changes boundaries and not counts, so counts can be compared between points (DESIGN.md section 4).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align.transmissions import TransmissionTable
from mixcni.localise.watch import Watch
from mixcni.schema import Direction

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Intervals:
    """Stream intervals to be followed, each a run of atoms: `begin[i]` to `stop[i]`, exclusive."""

    begin: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Atoms:
    """Pieces of streams that no boundary of any point cuts.

    stream : (a,) int64, 2 * conversation + direction
    start, end : (a,) int64, stream offsets
    counts : (a, p) int64, transmissions of the atom at each point
    first_ns, last_ns : (a, p) int64, of these; NEVER and -NEVER where there are none
    begin, stop : (r,) int64, the atoms of each transmission, exclusive; point, time_ns : (r,), where and when it was seen
    """

    stream: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    counts: NDArray[np.int64]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    begin: NDArray[np.int64]
    stop: NDArray[np.int64]
    point: NDArray[np.int64]
    time_ns: NDArray[np.int64]

    def within(self, point: int, window: Watch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(a,) transmissions of each atom at `point` while `window` covers them, and when the first one was, ns."""
        rows = (self.point == point) & window.covers(self.time_ns)
        begin, stop, here = self.begin[rows], self.stop[rows], np.zeros(int(rows.sum()), dtype=np.int64)
        shape = (self.stream.size, 1)
        return _counts(begin, stop, here, shape)[:, 0], _least(begin, stop, here, self.time_ns[rows], shape)[:, 0]

    def received(self, acknowledged: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(a,) whether an atom's receiver acknowledged it; `acknowledged` is (streams,), the highest offset."""
        return np.asarray(self.end <= acknowledged[self.stream])

    def passed(self, acknowledged: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(a, p) whether an atom is known to have been at each point: seen there or farther on its way, or acknowledged."""
        seen = self.counts > 0
        forward = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
        reverse = np.logical_or.accumulate(seen, axis=1)
        onwards = np.where((self.stream % 2 == Direction.FORWARD)[:, None], forward, reverse)
        return np.asarray(onwards | self.received(acknowledged)[:, None])


def _counts(
    begin: NDArray[np.int64], stop: NDArray[np.int64], point: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """(a, p) how many of the intervals of atoms cover each atom at each point."""
    size = shape[0] * shape[1]
    change = np.bincount(begin * shape[1] + point, minlength=size) - np.bincount(stop * shape[1] + point, minlength=size)
    return np.cumsum(change.reshape(shape), axis=0, dtype=np.int64)


def _least(
    begin: NDArray[np.int64], stop: NDArray[np.int64], point: NDArray[np.int64], value: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """(a, p) the least value of the intervals that cover each atom at each point, NEVER where none does.

    An interval is the union of two blocks of a power of two; from the widest down each block hands its value to its halves. So
    time grows with intervals and atoms, however many atoms an interval has.
    """
    least = np.full(shape, NEVER, dtype=np.int64)
    width = np.frexp((stop - begin).astype(np.float64))[1] - 1
    for power in range(int(width.max(initial=0)), -1, -1):
        rows = np.flatnonzero(width == power)
        np.minimum.at(least, (begin[rows], point[rows]), value[rows])
        np.minimum.at(least, (stop[rows] - (1 << power), point[rows]), value[rows])
        if power:
            half = 1 << (power - 1)
            least[half:] = np.minimum(least[half:], least[:-half])
    return least


def cut_atoms(
    table: TransmissionTable, points: int, cuts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]
) -> tuple[Atoms, list[Intervals]]:
    """The atoms of all streams, and for each of `cuts` the atoms that its intervals are made of.

    Parameters
    ----------
    table : TransmissionTable
    points : how many points there are
    cuts : triples (stream, start, end), (n,) int64 each: intervals at whose bounds to cut as well
    """
    carrying = np.flatnonzero(table["end"] > table["start"])
    stream = table["conversation"][carrying].astype(np.int64) * 2 + table["direction"][carrying]
    streams = [stream, *(cut[0] for cut in cuts)]
    starts = [table["start"][carrying], *(cut[1] for cut in cuts)]
    ends = [table["end"][carrying], *(cut[2] for cut in cuts)]
    bound_stream, bound_at = np.concatenate([*streams, *streams]), np.concatenate([*starts, *ends])
    order = _in_order(bound_stream, bound_at)
    fresh = np.ones(order.size, dtype=np.bool_)
    fresh[1:] = np.diff(bound_stream[order]) != 0
    fresh[1:] |= np.diff(bound_at[order]) != 0
    number = np.empty(order.size, dtype=np.int64)
    number[order] = np.cumsum(fresh) - 1
    kept = order[fresh]
    atom_stream, atom_start = bound_stream[kept], bound_at[kept]
    atom_end = np.append(atom_start[1:], 0)  # a stream's last bound begins an atom that nothing covers
    half = order.size // 2
    begin, stop = number[:half], number[half:]
    mine = begin[: carrying.size], stop[: carrying.size]
    point, time = table["point"][carrying].astype(np.int64), table["time_ns"][carrying]
    shape = (atom_stream.size, points)
    counts = _counts(*mine, point, shape)
    first, last = _least(*mine, point, time, shape), -_least(*mine, point, -time, shape)
    intervals, at = [], carrying.size
    for cut in cuts:
        intervals.append(Intervals(begin[at : at + cut[0].size], stop[at : at + cut[0].size]))
        at += cut[0].size
    return Atoms(atom_stream, atom_start, atom_end, counts, first, last, *mine, point, time), intervals


def _in_order(stream: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the rows in the order of stream, then offset; by one number for both where they fit in 63 bits, which is faster."""
    if not at.size:
        return np.empty(0, dtype=np.int64)
    least = int(at.min())
    bits = (int(at.max()) - least).bit_length()
    if bits + int(stream.max()).bit_length() < 63:
        return np.argsort((stream << bits) + (at - least))
    return np.lexsort((at, stream))


def all_of(intervals: Intervals, holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, p) whether (a, p) `holds` for every atom of each interval at each point; for an empty interval it does."""
    failing = np.zeros((holds.shape[0] + 1, holds.shape[1]), dtype=np.int64)
    np.cumsum(~holds, axis=0, out=failing[1:])
    return np.asarray(failing[intervals.stop] == failing[intervals.begin])


def first_without(intervals: Intervals, holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, p) the first atom of each interval for which (a, p) `holds` not at each point; the interval's first where none is."""
    size = holds.shape[0]
    index = np.where(holds, size, np.arange(size)[:, None])
    following = np.minimum.accumulate(index[::-1], axis=0)[::-1] if size else index
    following = np.vstack([following, np.full((1, holds.shape[1]), size)])
    found = following[intervals.begin]
    return np.where(found < intervals.stop[:, None], found, intervals.begin[:, None])
