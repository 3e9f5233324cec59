"""The octets of every conversation, cut at all points' boundaries, and how often each piece was transmitted at each point.

Re-segmentation by offload changes boundaries and not counts, so counts can be compared between points (DESIGN.md section 4).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.transmissions import TransmissionTable
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.localise.kernel import cover_atoms, locate_bounds, locate_transmissions, note_bounds
from mixcni.localise.watch import Watch
from mixcni.schema import Direction

NEVER = np.iinfo(np.int64).max
MOST_BITS: Final = 63  # of an int64 that is not negative
WIDEST: Final = 64  # atoms of one transmission, as of a segment of 64 KiB at one point that is on the wire at another


Cut = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""The stream, start and end of each of some intervals, (n,) each."""


class BoundColumns(NamedTuple):
    """The columns of a TransmissionTable that say where it cuts streams."""

    conversation: NDArray[np.int32]
    direction: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


class AtomCounts(NamedTuple):
    """What is counted of atoms, (points * a,) each, those of a point together."""

    points: int
    counts: NDArray[np.int32]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Stream intervals to be followed, each a run of atoms: `begin[i]` to `stop[i]`, exclusive."""

    begin: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Atoms:
    """Pieces of streams that no boundary of any point cuts.

    stream : (a,) int64, 2 * conversation + direction; conversation : (a,) int64; direction : (a,) uint8
    start, end : (a,) int64, stream offsets
    counts : (a, p) int32, transmissions of the atom at each point; seen : (a, p) bool, whether there are any
    first_ns, last_ns : (a, p) int64, of these; NEVER and -NEVER where there are none
    begun_ns, ended_ns : (a,) int64, the first and the last of all points
    begin, stop : (r,) int64, the atoms of each transmission, exclusive; alike of one without octets
    point, time_ns, tcp_flags : (r,), where and when it was seen, and its flags: columns of the TransmissionTable
    """

    stream: NDArray[np.int64]
    conversation: NDArray[np.int64]
    direction: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    counts: NDArray[np.int32]
    seen: NDArray[np.bool_]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    begun_ns: NDArray[np.int64]
    ended_ns: NDArray[np.int64]
    begin: NDArray[np.int64]
    stop: NDArray[np.int64]
    point: NDArray[np.uint16]
    time_ns: NDArray[np.int64]
    tcp_flags: NDArray[np.uint8]

    def within(self, point: int, window: Watch) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """(a,) transmissions of each atom at `point` while `window` covers them, and when the first one was, ns."""
        rows = np.flatnonzero((self.point == point) & window.covers(self.time_ns))
        here = np.zeros(rows.size, dtype=np.uint16)
        counts, first, _ = _cover(self.begin[rows], self.stop[rows], here, self.time_ns[rows], (self.stream.size, 1))
        return counts[:, 0], first[:, 0]

    def received(self, acknowledged: NDArray[np.int64], is_tcp: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(a,) whether an atom is known to have reached its receiver: acknowledged, or a request that was replied to.

        Parameters
        ----------
        acknowledged : (streams,) the highest offset that each stream's receiver acknowledged
        is_tcp : (c,) whether a conversation has streams; of the others requests and replies of one turn have one number
        """
        found = np.asarray(self.end <= acknowledged[self.stream])
        rows = np.flatnonzero(~is_tcp[self.conversation] & (self.begun_ns != NEVER))
        forward = self.direction[rows] == Direction.FORWARD
        number = numbered(self.conversation[rows], self.start[rows])
        found[rows[forward]] = np.isin(number[forward], number[~forward])
        return found

    def passed(self, received: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(a, p) whether an atom is known to have been at each point: seen there or farther on its way, or `received`."""
        here_or_before, here_or_behind = self.seen_before(), self.seen_behind()
        forward, passed = self.direction == Direction.FORWARD, np.empty_like(self.seen)
        for point in range(self.seen.shape[1]):
            onwards = np.where(forward, here_or_behind[:, point], here_or_before[:, point])
            np.logical_or(onwards | received, self.seen[:, point], out=passed[:, point])
        return passed

    def seen_before(self) -> NDArray[np.bool_]:
        """(a, p) whether an atom was seen at a point before each one on the path."""
        found = np.zeros_like(self.seen)
        for point in range(1, found.shape[1]):
            np.logical_or(found[:, point - 1], self.seen[:, point - 1], out=found[:, point])
        return found

    def seen_behind(self) -> NDArray[np.bool_]:
        """(a, p) whether an atom was seen at a point behind each one on the path."""
        found = np.zeros_like(self.seen)
        for point in range(found.shape[1] - 2, -1, -1):
            np.logical_or(found[:, point + 1], self.seen[:, point + 1], out=found[:, point])
        return found


def _counts(
    begin: NDArray[np.int64], stop: NDArray[np.int64], point: NDArray[np.uint16], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """(a, p) how many of the intervals of atoms cover each atom at each point."""
    size = shape[0] * shape[1]
    change = np.bincount(begin * shape[1] + point, minlength=size) - np.bincount(stop * shape[1] + point, minlength=size)
    return np.cumsum(change.reshape(shape), axis=0, dtype=np.int64)


def _least(
    begin: NDArray[np.int64], stop: NDArray[np.int64], point: NDArray[np.uint16], value: NDArray[np.int64], shape: tuple[int, int]
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


def cut_atoms(table: TransmissionTable, points: int, cuts: list[Cut]) -> tuple[Atoms, list[Intervals]]:
    """The atoms of all streams, and for each of `cuts` the atoms that its intervals are made of.

    Parameters
    ----------
    table : TransmissionTable
    points : how many points there are
    cuts : intervals at whose bounds to cut as well
    """
    columns = BoundColumns(**{name: table[name] for name in BoundColumns._fields})
    atom_stream, atom_start = _bounds(columns, cuts)
    first = np.append(0, np.cumsum(np.bincount(atom_stream)))
    cursor = first[:-1].copy()
    begin, stop = np.zeros((2, len(table)), dtype=np.int64)
    run(locate_transmissions, len(table), columns, first, atom_start, cursor, begin, stop)

    def located(of: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.int64]:
        place = np.empty(at.size, dtype=np.int64)
        run(locate_bounds, at.size, of, at, first, atom_start, cursor, place)
        return place

    counts, first_ns, last_ns = _cover(begin, stop, table["point"], table["time_ns"], (atom_stream.size, points))
    intervals = [Intervals(located(of, low), located(of, high)) for of, low, high in cuts]
    atoms = Atoms(
        stream=atom_stream,
        conversation=atom_stream >> 1,
        direction=(atom_stream & 1).astype(np.uint8),
        start=atom_start,
        end=np.append(atom_start[1:], 0),  # a stream's last bound begins an atom that nothing covers
        counts=counts,
        seen=counts > 0,
        first_ns=first_ns,
        last_ns=last_ns,
        begun_ns=first_ns.min(axis=1, initial=NEVER),
        ended_ns=last_ns.max(axis=1, initial=-NEVER),
        begin=begin,
        stop=stop,
        point=table["point"],
        time_ns=table["time_ns"],
        tcp_flags=table["tcp_flags"],
    )
    return atoms, intervals


def _bounds(columns: BoundColumns, cuts: list[Cut]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(a,) each: the different pairs (stream, offset), in order; sorted as one number where that has 63 bits, which is faster."""
    offsets = [array for array in (columns.start, columns.end, *(at for _, *bounds in cuts for at in bounds)) if array.size]
    if not offsets:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    least = min(int(at.min()) for at in offsets)
    bits = (max(int(at.max()) for at in offsets) - least).bit_length()
    streams = max(2 * int(columns.conversation.max(initial=-1)) + 2, *(int(of.max(initial=-1)) + 1 for of, *_ in cuts), 0)
    if bits + streams.bit_length() > MOST_BITS:
        return _wide_bounds(columns, cuts)
    keys = np.empty(2 * columns.start.size + 2 * sum(of.size for of, *_ in cuts), dtype=np.int64)
    newest = np.full(2 * streams, least - 1, dtype=np.int64)
    count = run(note_bounds, columns.start.size, columns, bits, least, newest, keys)
    for of, *bounds in cuts:
        for at in bounds:
            keys[count : count + at.size] = (of << bits) + (at - least)
            count += at.size
    keys = keys[:count]
    keys.sort()
    keys = keys[_fresh(keys)]
    return keys >> bits, (keys & ((1 << bits) - 1)) + least


def _wide_bounds(columns: BoundColumns, cuts: list[Cut]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same where a stream and an offset do not fit one number."""
    rows = np.flatnonzero(columns.end > columns.start)
    of_rows = columns.conversation[rows].astype(np.int64) * 2 + columns.direction[rows]
    stream = np.concatenate([of_rows, of_rows, *(of for of, *bounds in cuts for _ in bounds)])
    at = np.concatenate([columns.start[rows], columns.end[rows], *(at for _, *bounds in cuts for at in bounds)])
    order = np.lexsort((at, stream))
    stream, at = stream[order], at[order]
    fresh = _fresh(stream) | _fresh(at)
    return stream[fresh], at[fresh]


def _fresh(ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a value differs from the one before it."""
    fresh = np.ones(ordered.size, dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return fresh


def _cover(
    begin: NDArray[np.int64], stop: NDArray[np.int64], point: NDArray[np.uint16], time: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """(a, p) each: the transmissions of each atom at each point, and when the first and the last one was.

    Few have many atoms; so that time grows with transmissions and atoms even where all have, those are counted by blocks.
    """
    size, points = shape
    found = AtomCounts(
        points=points,
        counts=np.zeros(size * points, dtype=np.int32),
        first_ns=np.full(size * points, NEVER, dtype=np.int64),
        last_ns=np.full(size * points, -NEVER, dtype=np.int64),
    )
    run(cover_atoms, begin.size, begin, stop, point, time, WIDEST, found)
    counts, first, last = (
        found.counts.reshape(points, size).T,
        found.first_ns.reshape(points, size).T,
        found.last_ns.reshape(points, size).T,
    )
    wide = np.flatnonzero(stop - begin > WIDEST)
    if wide.size:
        mine = begin[wide], stop[wide], point[wide]
        counts += _counts(*mine, shape)
        np.minimum(first, _least(*mine, time[wide], shape), out=first)
        np.maximum(last, -_least(*mine, -time[wide], shape), out=last)
    return counts, first, last


def all_of(intervals: Intervals, holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, p) whether (a, p) `holds` for every atom of each interval at each point; for an empty interval it does."""
    found = np.empty((intervals.begin.size, holds.shape[1]), dtype=np.bool_, order="F")
    failing = np.zeros(holds.shape[0] + 1, dtype=np.int64)
    for point in range(holds.shape[1]):
        np.cumsum(~holds[:, point], out=failing[1:])
        np.equal(failing[intervals.stop], failing[intervals.begin], out=found[:, point])
    return found


def first_without(
    intervals: Intervals, holds: NDArray[np.bool_], rows: NDArray[np.int64], points: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(m,) the first atom of each of some intervals for which `holds` not at a point; the interval's first where none is.

    Parameters
    ----------
    holds : (a, p) of each atom at each point
    rows, points : (m,) the intervals, and the point for each
    """
    begin, stop = intervals.begin[rows], intervals.stop[rows]
    found = begin.copy()
    for point in np.unique(points).tolist():
        mine = np.flatnonzero(points == point)
        failing = np.append(np.flatnonzero(~holds[:, point]), holds.shape[0])
        first = failing[np.searchsorted(failing, begin[mine])]
        found[mine] = np.where(first < stop[mine], first, begin[mine])
    return found
