"""Lines between clouds: how two clocks run against each other, from delays that are not negative (Moon, Skelly and Towsley 1999).

With t on one clock and d what another showed more at the same event, going forward d = line(t) + delay, coming back
d = line(t) - delay. So the line stands under the forward cloud and above the reverse cloud.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.kernel import lower_hull
from mixcni.kernels.jit import run

LARGEST_DRIFT: Final = 1e-3  # a crystal is within 100 ppm, and a clock is slewed by 500 ppm at most (RFC 5905, adjtimex)

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Corridor:
    """All lines a + b * t that no delay is negative with.

    drifts : least and greatest b; values : least and greatest a + b * t at the first and at the last t, ((lo, hi), (lo, hi))
    gap : ns, how far the clouds are apart along the best line; negative: no line has all delays positive
    """

    drifts: tuple[float, float]
    values: tuple[tuple[float, float], tuple[float, float]]
    gap: float


def hull_under(t: Points, d: Points) -> tuple[Points, Points]:
    """The vertices of the lower convex hull, in the order of t."""
    order = np.lexsort((d, t))
    vertices = np.empty(t.size, dtype=np.int64)
    x, y = np.ascontiguousarray(t[order]), np.ascontiguousarray(d[order])
    size = run(lower_hull, t.size, x, y, vertices)
    chosen = vertices[:size]
    return x[chosen], y[chosen]


def line_under(hull: tuple[Points, Points], mean: float) -> tuple[float, float]:
    """(a, b) of the supporting line under a cloud that is nearest to it on the whole: its hull's edge at the mean of its t.

    Zhang, Liu and Xia (2002): it solves the linear programme of Moon et al.
    """
    x, y = hull
    if x.size < 2:
        return float(y[0]), 0.0
    at = int(np.clip(np.searchsorted(x, mean), 1, x.size - 1))
    slope = float((y[at] - y[at - 1]) / (x[at] - x[at - 1]))
    slope = min(max(slope, -LARGEST_DRIFT), LARGEST_DRIFT)
    return float((y - slope * x).min()), slope


def corridor(forward: tuple[Points, Points], reverse: tuple[Points, Points], ends: tuple[float, float]) -> Corridor:
    """The lines under the forward and above the reverse cloud: a linear programme in two unknowns, solved by its vertices.

    Parameters
    ----------
    forward, reverse : the hulls under the forward cloud, and under the reverse one with d negated
    ends : the first and the last t
    """
    (x, y), (u, v) = forward, (reverse[0], -reverse[1])
    slopes = [np.diff(y) / np.diff(x), np.diff(v) / np.diff(u), np.array([-LARGEST_DRIFT, LARGEST_DRIFT])]
    b = np.unique(np.clip(np.concatenate(slopes), -LARGEST_DRIFT, LARGEST_DRIFT))

    def bounds(slope: Points) -> tuple[Points, Points]:
        return (v - slope[:, None] * u).max(axis=1), (y - slope[:, None] * x).min(axis=1)

    low, high = bounds(b)
    gap = high - low
    best = int(gap.argmax())
    if gap[best] < 0:
        return Corridor((float(b[best]),) * 2, ((np.nan, np.nan),) * 2, float(gap[best]))
    least, greatest = _crossing(b, gap, best, -1), _crossing(b, gap, best, 1)
    inside = np.concatenate([[least], b[(b > least) & (b < greatest)], [greatest]])
    low, high = bounds(inside)
    values = tuple((float((low + inside * t).min()), float((high + inside * t).max())) for t in ends)
    return Corridor((least, greatest), (values[0], values[1]), float(gap[best]))


def _crossing(b: Points, gap: Points, best: int, step: int) -> float:
    """Where a concave piecewise linear `gap` falls to zero, going from `best` in one direction; the last b where it does not."""
    at = best
    while 0 <= at + step < b.size and gap[at + step] >= 0:
        at += step
    beyond = at + step
    if not 0 <= beyond < b.size:
        return float(b[at])
    return float(b[at] + (b[beyond] - b[at]) * gap[at] / (gap[at] - gap[beyond]))
