"""How the clock of one point runs against another's, from segments that both saw.

The supporting lines under the forward and above the reverse cloud give drift and offset (ALGORITHMS.md 1b); a clock that was set
shows the same jump in both directions, where a route that changed shows it in one, or with opposite signs.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.envelope import Corridor, Points, corridor, hull_under, line_under
from mixcni.kernels.grouping import in_order

OUTLYING: Final = 10  # times the median distance from the median: farther off are different copies of a retransmitted segment
MOST_DRIFT: Final = 500e-6  # as a ratio; an operating system corrects its clock by no more (adjtimex(2))
UNKNOWN_DRIFT: Final = 200e-6  # the same, of two crystals that are off by 100 ppm each, where too little was seen to tell
LEAST_COMPARED: Final = 5  # segments; of fewer none is out of line
DRIFT_SPAN_NS: Final = 2_000_000_000  # in less a drift of 100 ppm moves no more than delays vary by
DRIFT_SEGMENTS: Final = 8  # in a direction; fewer say too little of the least delay
PLAIN_DELAY_NS: Final = 1_000_000_000  # a delay that changes by more than this is none: what moves is the clock
ONE_SIDED: Final = 4.0  # times the mean distance from the line over its length: no second line bounds what least delays hide
WINDOWS: Final = 50  # of segments that follow each other, the least delays of which are compared to find a step
LEAST_SIDE: Final = 3  # segments in a direction on either side of a step
AROUND: Final = 20  # such least delays, of both directions, on either side of a place are looked at
MOST_STEPS: Final = 8
STEP_NOISE: Final = 4.0  # a step must exceed the distance that least delays keep from their line by this factor
LEAST_STEP_NS: Final = 20_000  # and this: below it lies what a busy host adds


@dataclass(frozen=True, slots=True)
class Matched:
    """Segments that two points saw, in the order in which the first of them, p, captured them.

    forward : (m,) bool, whether the segment met p before q
    at_p, at_q : (m,) int64, ns; packet_p, packet_q : (m,) int64, rows of the points' packet tables
    """

    forward: NDArray[np.bool_]
    at_p: NDArray[np.int64]
    at_q: NDArray[np.int64]
    packet_p: NDArray[np.int64]
    packet_q: NDArray[np.int64]

    def part(self, rows: NDArray[Any]) -> "Matched":
        """Some of them."""
        return Matched(self.forward[rows], self.at_p[rows], self.at_q[rows], self.packet_p[rows], self.packet_q[rows])

    def ordered(self) -> "Matched":
        """The same in the order of p's capture; by its times they would not be where its clock was set back."""
        return self.part(in_order(self.packet_p))

    def turned(self) -> "Matched":
        """The same as seen from q."""
        return Matched(~self.forward, self.at_q, self.at_p, self.packet_q, self.packet_p).ordered()

    def at(self, p_times: NDArray[np.int64], q_times: NDArray[np.int64]) -> "Matched":
        """The same with other times of both points' packets."""
        return Matched(self.forward, p_times[self.packet_p], q_times[self.packet_q], self.packet_p, self.packet_q)


@dataclass(frozen=True, slots=True)
class PairFit:
    """q's clock against p's between two steps.

    at_ns : by p's clock, where q's was `offset_ns` ahead
    slack_ns : the offset is right within this from the first to the last segment; None where they all went one way
    drift : how much faster q's clock runs, a ratio; None where too little time was seen
    drift_slack : the drift is right within this; None where it is not known
    """

    at_ns: int
    offset_ns: int
    slack_ns: int | None
    drift: float | None
    drift_slack: float | None
    first_ns: int
    last_ns: int
    segments: int


def fit_pair(matched: Matched) -> list[tuple[Matched, PairFit]]:
    """The pieces between the steps of q's clock against p's, in order, each with the segments that it rests on."""
    pieces = [matched]
    while len(pieces) <= MOST_STEPS:
        for number, piece in enumerate(pieces):
            at = find_step(piece)
            if at is not None:
                pieces[number : number + 1] = [piece.part(np.arange(at)), piece.part(np.arange(at, piece.at_p.size))]
                break
        else:
            break
    return [(piece, fit_line(piece)) for piece in pieces]


def fit_line(matched: Matched) -> PairFit:
    """One offset and one drift for all of these segments; at least one there is."""
    difference, forward = matched.at_q - matched.at_p, matched.forward
    if difference.size >= LEAST_COMPARED:  # some may be no pairs: other copies of a segment
        near = _near_their_time(matched.at_p, difference, forward)
        matched, difference, forward = matched.part(near), difference[near], forward[near]
    upper, lower = _bounds(forward, difference)
    first, last = int(matched.at_p.min()), int(matched.at_p.max())
    sizes = [int(np.count_nonzero(forward == way)) for way in (True, False)]
    bent = upper is not None and lower is not None and upper < lower  # no delay is negative: one offset does not fit
    if (last - first >= DRIFT_SPAN_NS or bent) and last > first and max(sizes) >= DRIFT_SEGMENTS:
        return _drifting(matched, difference, forward, sizes)
    at, size = (first + last) // 2, difference.size
    if upper is not None and lower is not None:
        slack = (abs(upper - lower) + 1) // 2 + round(UNKNOWN_DRIFT * (last - first))
        return PairFit(at, (upper + lower) // 2, slack, None, None, first, last, size)
    one_sided = lower if upper is None else upper
    assert one_sided is not None
    return PairFit(at, one_sided, None, None, None, first, last, size)


def _bounds(forward: NDArray[np.bool_], difference: NDArray[np.int64]) -> tuple[int | None, int | None]:
    """The least forward and the greatest reverse difference, ns; None where nothing went that way."""
    there, back = difference[forward], difference[~forward]
    return int(there.min()) if there.size else None, int(back.max()) if back.size else None


def _near_their_time(times: NDArray[np.int64], difference: NDArray[np.int64], forward: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which differences are near those around them in time, as far as a clock's drift does not explain it.

    Where nearly all went one way, what is around is of that way: the other cloud is as far from it as a way there and back takes.
    """
    windows = max(1, min(20, times.size // 10))
    place = np.arange(times.size) * windows // times.size
    around = np.array([np.median(difference[place == number]) for number in range(windows)])
    middle = np.array([times[place == number].mean() for number in range(windows)])
    spread = np.abs(difference - np.interp(times, middle, around))
    usual = max(float(np.median(spread[way])) for way in (forward, ~forward) if way.any())
    return np.asarray(spread <= OUTLYING * max(usual, 1.0) + MOST_DRIFT * np.abs(times - middle[place]))


@dataclass(frozen=True, slots=True)
class _Clouds:
    """The two clouds as floats around one origin, which keeps nanoseconds exact (2**53 is a hundred days)."""

    at_ns: int
    base_ns: int
    forward: tuple[Points, Points]
    reverse: tuple[Points, Points]


def _clouds(at_p: NDArray[np.int64], difference: NDArray[np.int64], forward: NDArray[np.bool_]) -> _Clouds:
    at, base = (int(at_p.min()) + int(at_p.max())) // 2, int(np.median(difference))
    t, d = (at_p - at).astype(np.float64), (difference - base).astype(np.float64)
    return _Clouds(at, base, (t[forward], d[forward]), (t[~forward], d[~forward]))


def _drifting(matched: Matched, difference: NDArray[np.int64], forward: NDArray[np.bool_], sizes: list[int]) -> PairFit:
    clouds = _clouds(matched.at_p, difference, forward)
    first, last = int(matched.at_p.min()), int(matched.at_p.max())
    hulls, lines, noises = [], [], []
    for cloud, sign in ((clouds.forward, 1.0), (clouds.reverse, -1.0)):
        if cloud[0].size:
            hulls.append(hull_under(cloud[0], sign * cloud[1]))
            level, slope = line_under(hulls[-1], float(cloud[0].mean()))
            lines.append((sign * level, sign * slope))
            width = max(float(np.ptp(cloud[0])), 1.0)
            away = float((sign * cloud[1] - level - slope * cloud[0]).mean())
            noises.append((away + 1.0) / (width * min(cloud[0].size, DRIFT_SEGMENTS)))
    if not all(sizes):
        level, slope = lines[0]
        slack = noises[0] * min(difference.size, DRIFT_SEGMENTS) * ONE_SIDED
        return PairFit(clouds.at_ns, clouds.base_ns + round(level), None, slope, slack, first, last, difference.size)
    weights = 1 / np.array(noises) ** 2
    slope = float(np.average([line[1] for line in lines], weights=weights))
    ends = float(first - clouds.at_ns), float(last - clouds.at_ns)
    room = corridor(hulls[0], hulls[1], ends)
    if room.gap >= 0:
        slope = min(max(slope, room.drifts[0]), room.drifts[1])
    under = float((clouds.forward[1] - slope * clouds.forward[0]).min())
    above = float((clouds.reverse[1] - slope * clouds.reverse[0]).max())
    level = (under + above) / 2
    slack, drift_slack = _slack(room, level, slope, ends, under - above, noises)
    return PairFit(
        clouds.at_ns, clouds.base_ns + round(level), int(np.ceil(slack)), slope, drift_slack, first, last, difference.size
    )


def _slack(
    room: Corridor, level: float, slope: float, ends: tuple[float, float], width: float, noises: list[float]
) -> tuple[float, float]:
    """By how much offset and drift may be wrong: as far as any line goes that all delays are positive with."""
    if room.gap < 0:  # clocks that are not straight: by as much as delays would be negative besides
        return abs(width) / 2 - room.gap, max(noises)
    farthest = max(abs(value - level - slope * end) for end, values in zip(ends, room.values, strict=True) for value in values)
    return farthest, max(abs(room.drifts[0] - slope), abs(room.drifts[1] - slope))


def find_step(matched: Matched) -> int | None:
    """The segment from which on q's clock had been set against p's; None where one line fits as well as two."""
    difference = matched.at_q - matched.at_p
    rows = np.flatnonzero(_within_their_run(difference)) if difference.size else np.empty(0, dtype=np.int64)
    if rows.size < 4 * LEAST_SIDE:
        return None
    every = _Cloud(
        (matched.at_p - matched.at_p[0]).astype(np.float64)[rows],
        (difference - int(np.median(difference))).astype(np.float64)[rows],
        matched.forward[rows],
    )
    chosen = every.least_delays()
    cloud = every.part(chosen)
    if cloud.misfit() <= LEAST_STEP_NS:
        return None
    at, best = -1, 0.0
    for place in range(LEAST_SIDE, cloud.t.size - LEAST_SIDE + 1):
        sides = cloud.part(slice(max(0, place - AROUND), place)), cloud.part(slice(place, place + AROUND))
        jumps, noise = _jumps(*sides), max(side.misfit() for side in sides)
        if _is_step(jumps, noise) and abs(sum(jumps)) / (noise + LEAST_STEP_NS) > best:
            at, best = place, abs(sum(jumps)) / (noise + LEAST_STEP_NS)
    if at < 0:
        return None
    low, high = int(chosen[at - 2]), int(chosen[min(at + 1, chosen.size - 1)])
    return int(rows[every.boundary(low, high, chosen[:at], chosen[at:])])


@dataclass(frozen=True, slots=True)
class _Cloud:
    """Differences d at times t, in the order of capture, and which went forward."""

    t: Points
    d: Points
    forward: NDArray[np.bool_]

    def part(self, rows: Any) -> "_Cloud":
        return _Cloud(self.t[rows], self.d[rows], self.forward[rows])

    def ways(self) -> list[tuple[NDArray[np.int64], float]]:
        """The rows of each direction, and the sign that puts its line under them."""
        return [(np.flatnonzero(self.forward), 1.0), (np.flatnonzero(~self.forward), -1.0)]

    def least_delays(self) -> NDArray[np.int64]:
        """Rows of the least delay among each few that follow each other in a direction, in order."""
        found = []
        for rows, sign in self.ways():
            width = max(1, rows.size // WINDOWS)
            for begin in range(0, rows.size, width):
                few = rows[begin : begin + width]
                found.append(int(few[(sign * self.d[few]).argmin()]))
        return np.array(sorted(found), dtype=np.int64)

    def lines(self) -> list[tuple[float, float] | None]:
        """(level, slope) of each direction's supporting line; None with less than two points."""
        found: list[tuple[float, float] | None] = []
        for rows, sign in self.ways():
            if rows.size < 2:
                found.append(None)
                continue
            t = self.t[rows]
            level, slope = line_under(hull_under(t, sign * self.d[rows]), float(t.mean()))
            found.append((sign * level, sign * slope))
        return found

    def misfit(self) -> float:
        """Mean distance, ns, from the supporting line, in the worse direction."""
        worst = 0.0
        for (rows, sign), line in zip(self.ways(), self.lines(), strict=True):
            if line is not None:
                worst = max(worst, float((sign * (self.d[rows] - line[0] - line[1] * self.t[rows])).mean()))
        return worst

    def boundary(self, low: int, high: int, before: NDArray[np.int64], after: NDArray[np.int64]) -> int:
        """The row in (low, high] from which on differences are on the second line, the lines being those of other rows."""
        lines = [self.part(rows).lines() for rows in (before[before <= low], after[after >= high])]
        rows = np.arange(low + 1, high + 1)
        cost = np.zeros((2, rows.size))
        for side in (0, 1):
            for (_, sign), line, way in zip(self.ways(), lines[side], (True, False), strict=True):
                mine = self.forward[rows] == way
                if line is not None:
                    away = sign * (self.d[rows] - line[0] - line[1] * self.t[rows])
                    cost[side][mine] = np.where(away >= 0, away, -OUTLYING * away)[mine]  # a delay is not negative
        total = np.append(0, np.cumsum(cost[0])) + np.append(np.cumsum(cost[1][::-1])[::-1], 0)
        return int(np.append(rows, high + 1)[int(np.argmin(total))])


def _jumps(before: _Cloud, after: _Cloud) -> list[float]:
    """By how much the lines after a place are ahead of those before it, ns, for each direction that has both."""
    found = []
    for number, (old, new) in enumerate(zip(before.lines(), after.lines(), strict=True)):
        sizes = [side.ways()[number][0].size for side in (before, after)]
        if old is not None and new is not None and min(sizes) >= LEAST_SIDE:
            found.append(new[0] - old[0] + (new[1] - old[1]) * float(after.t[0]))
    return found


def _is_step(jumps: list[float], noise: float) -> bool:
    """Whether both directions jump alike, or the one there is by more than a delay can."""
    least = max(STEP_NOISE * noise, LEAST_STEP_NS)
    if len(jumps) == 1:
        return abs(jumps[0]) > max(PLAIN_DELAY_NS, least)
    return (
        len(jumps) == 2
        and jumps[0] * jumps[1] > 0
        and min(map(abs, jumps)) > least
        and abs(jumps[0] - jumps[1]) <= max(abs(jumps[0] + jumps[1]) / 4, least)
    )


def _within_their_run(difference: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which differences are not alone among their neighbours: other copies of a retransmitted segment are, a step is not."""
    if difference.size < 5:
        return np.ones(difference.size, dtype=np.bool_)
    padded = np.pad(difference, 2, mode="reflect")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    spread = np.abs(difference - around)
    return np.asarray(spread <= OUTLYING * max(float(np.median(spread)), LEAST_STEP_NS / OUTLYING))
