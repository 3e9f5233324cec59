"""The octets of every conversation, cut at all points' boundaries, and how often each piece was transmitted at each point.

Re-segmentation by offload changes boundaries and not counts, so counts can be compared between points (DESIGN.md section 4).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align.transmissions import TransmissionTable

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
    row_atom, row_point, row_ns : (r,), one row a transmission of an atom
    """

    stream: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    counts: NDArray[np.int64]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    row_atom: NDArray[np.int64]
    row_point: NDArray[np.int64]
    row_ns: NDArray[np.int64]

    def within(self, point: int, window: tuple[int, int]) -> NDArray[np.int64]:
        """(a,) transmissions of each atom at `point` at a time within `window`, ns on the common clock."""
        rows = (self.row_point == point) & (self.row_ns >= window[0]) & (self.row_ns <= window[1])
        return np.bincount(self.row_atom[rows], minlength=self.stream.size).astype(np.int64)


def expand_ranges(begin: NDArray[np.int64], stop: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, value) of every integer in every range [begin[row], stop[row])."""
    sizes = stop - begin
    row = np.repeat(np.arange(begin.size), sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return row, np.arange(row.size) - first + begin[row]


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
    order = np.lexsort((bound_at, bound_stream))
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
    row, atom = expand_ranges(begin[: carrying.size], stop[: carrying.size])
    point = table["point"][carrying].astype(np.int64)[row]
    time = table["time_ns"][carrying][row]
    shape = (atom_stream.size, points)
    counts = np.bincount(atom * points + point, minlength=shape[0] * points).reshape(shape).astype(np.int64)
    first, last = np.full(shape, NEVER), np.full(shape, -NEVER)
    np.minimum.at(first, (atom, point), time)
    np.maximum.at(last, (atom, point), time)
    intervals, at = [], carrying.size
    for cut in cuts:
        intervals.append(Intervals(begin[at : at + cut[0].size], stop[at : at + cut[0].size]))
        at += cut[0].size
    return Atoms(atom_stream, atom_start, atom_end, counts, first, last, atom, point, time), intervals


def all_seen(intervals: Intervals, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n, p) whether every atom of each interval was seen at each point; an empty interval was."""
    unseen = np.zeros((counts.shape[0] + 1, counts.shape[1]), dtype=np.int64)
    np.cumsum(counts == 0, axis=0, out=unseen[1:])
    return np.asarray(unseen[intervals.stop] == unseen[intervals.begin])


def first_unseen(intervals: Intervals, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, p) the first atom of each interval that was not seen at each point; the interval's first where all were."""
    size = counts.shape[0]
    index = np.where(counts == 0, np.arange(size)[:, None], size)
    following = np.minimum.accumulate(index[::-1], axis=0)[::-1] if size else index
    following = np.vstack([following, np.full((1, counts.shape[1]), size)])
    found = following[intervals.begin]
    return np.where(found < intervals.stop[:, None], found, intervals.begin[:, None])
