"""How much each capture missed by itself: octets that are proven to have passed a point and are not in its file.

An octet passed a point if its receiver acknowledged it, or if points on both sides saw it. The share of those that the capture
lacks is its miss rate; with a Beta prior it is an interval, and the chance that k sightings in a row were all missed is a
number (the Beta-binomial of ALGORITHMS.md 1c).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.atoms import Atoms

PRIOR_MISSED, PRIOR_SEEN = 0.5, 9.5  # Beta prior: about one in twenty, weak enough for ten sightings to outweigh it
INTERVAL = 0.9
SLACK_NS = 10_000_000  # a window learned from packets begins with one, which another point saw a delay earlier or later


@dataclass(frozen=True, slots=True)
class MissRate:
    """Of `proven` pieces that passed the point, its capture lacks `missed`."""

    proven: int
    missed: int

    @property
    def interval(self) -> tuple[float, float]:
        """The central 90 % of the Beta posterior; (0, upper bound) where nothing was missed."""
        from scipy.special import betaincinv

        a, b = self.missed + PRIOR_MISSED, self.proven - self.missed + PRIOR_SEEN
        tail = (1 - INTERVAL) / 2
        if self.missed == 0:
            return 0.0, float(betaincinv(a, b, INTERVAL))
        return float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))

    def all_missed(self, copies: int) -> float:
        """Chance that the capture missed `copies` packets that passed, all of them: the posterior's mean of rate ** copies."""
        a, b = self.missed + PRIOR_MISSED, self.proven - self.missed + PRIOR_SEEN
        return math.exp(math.lgamma(a + copies) - math.lgamma(a) + math.lgamma(a + b) - math.lgamma(a + b + copies))


def miss_rates(
    atoms: Atoms,
    seen: NDArray[np.bool_],
    acknowledged: NDArray[np.int64],
    windows: tuple[tuple[int, int] | None, ...],
) -> list[MissRate]:
    """One MissRate a point, over the conversations that it saw anything of, in its window.

    Parameters
    ----------
    atoms : of all conversations
    seen : (c, p) whether the point saw the conversation
    acknowledged : (streams,) int64, highest stream offset that its receiver acknowledged
    windows : one a point, ns on the common clock
    """
    points = atoms.counts.shape[1]
    there = atoms.counts > 0
    sent = there.any(axis=1)
    delivered = sent & (atoms.end <= acknowledged[atoms.stream])
    before = np.zeros_like(there)
    before[:, 1:] = np.logical_or.accumulate(there, axis=1)[:, :-1]
    after = np.zeros_like(there)
    after[:, :-1] = np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1][:, 1:]
    first, last = atoms.first_ns.min(axis=1, initial=np.iinfo(np.int64).max), atoms.last_ns.max(axis=1, initial=0)
    rates = []
    for point in range(points):
        window = windows[point]
        if window is None:
            rates.append(MissRate(0, 0))
            continue
        watched = seen[atoms.stream // 2, point] & (first >= window[0] - SLACK_NS) & (last <= window[1] + SLACK_NS)
        passed = watched & (there[:, point] | delivered | (before[:, point] & after[:, point]))
        rates.append(MissRate(int(passed.sum()), int((passed & ~there[:, point]).sum())))
    return rates
