"""What appears at a point without having passed the one before it: made in between, by a proxy or a middlebox, or forged.

A capture that misses some packets looks the same. So it counts only where the earlier point, by what comes to it the other way,
misses next to nothing, and more appear than that explains. Nothing is blamed by it: a capture filter could do it too.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.localise.atoms import Atoms
from mixcni.localise.missrate import MissRate
from mixcni.localise.survey import Survey
from mixcni.localise.watch import Watch
from mixcni.schema import Direction

NEXT_TO_NOTHING: Final = 0.01  # the most that the earlier capture may miss
CERTAINTY: Final = 0.95  # that it misses no more
MOST_CHANCE: Final = 0.001  # that a capture which misses that much lacks so many


def other_way_rate(atoms: Atoms, passing: NDArray[np.bool_], point: int, direction: Direction, dropped: float | None) -> MissRate:
    """How much a capture misses of what comes the other way, which nothing before the point can have forged.

    Parameters
    ----------
    passing : (a,) whether each atom is proven to have passed the point, as `known_to_pass` tells
    dropped : the share of packets that the capture counted as dropped; None: it did not count
    """
    proven = passing & (atoms.direction != direction)
    return MissRate(int(proven.sum()), int((proven & ~atoms.seen[:, point]).sum()), dropped)


def is_told(appeared: int, watched: int, rate: MissRate) -> bool:
    """Whether `appeared` of `watched` pieces that the earlier capture lacks are more than what it misses."""
    from scipy.special import betainc

    most = rate.at_most(CERTAINTY)
    if not appeared or most > NEXT_TO_NOTHING:
        return False
    return appeared == watched or float(betainc(appeared, watched - appeared + 1, most)) <= MOST_CHANCE


def resets_between(
    alignment: Alignment,
    survey: Survey,
    hop: tuple[int, int],
    direction: Direction,
    windows: Sequence[Watch | None],
    slacks: Sequence[int],
) -> tuple[int, int]:
    """How many conversations had resets at the later point and none at the earlier one, and how many had any at either.

    Resets carry no octets, so that no piece of a stream shows them.

    Parameters
    ----------
    survey : of the alignment's transmissions
    hop : positions of its points in the direction in which segments go
    windows, slacks : as in mixcni.localise.sight.Sights
    """
    table, seen = alignment.transmissions, alignment.conversations.flow_of >= 0
    both = np.asarray(seen[:, list(hop)].all(axis=1))
    rows = survey.resets
    rows = rows[(table["direction"][rows] == direction) & both[table["conversation"][rows]]]
    for point in hop:
        window = windows[point]
        rows = rows[window.covers(table["time_ns"][rows], slacks[point])] if window else rows[:0]
    up, down = (np.unique(table["conversation"][rows[table["point"][rows] == point]]) for point in hop)
    return int(np.setdiff1d(down, up).size), int(np.union1d(up, down).size)
