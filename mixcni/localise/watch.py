"""When a capture point watched: from its capture's first to its last moment, less the holes in it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Watch(NamedTuple):
    """The time in which a point's capture ran, on the common clock, ns.

    holes : (begin, end) in between for which its packets are missing: a rotated file that is not there, a damaged one
    """

    first: int
    last: int
    holes: tuple[tuple[int, int], ...] = ()

    def covers(self, times: NDArray[Any], slack_ns: int = 0) -> NDArray[np.bool_]:
        """Whether it ran at each time, and for `slack_ns` before and after."""
        inside = (times >= self.first + slack_ns) & (times <= self.last - slack_ns)
        for begin, end in self.holes:
            inside &= (times < begin - slack_ns) | (times > end + slack_ns)
        return np.asarray(inside)

    def touches(self, first: NDArray[Any], last: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether it ran at some time from each `first` to its `last`."""
        some = (first <= self.last) & (last >= self.first)
        for begin, end in self.holes:
            some &= (first < begin) | (last > end)
        return np.asarray(some)
