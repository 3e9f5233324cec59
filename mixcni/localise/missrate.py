"""How much each capture missed by itself: octets that are proven to have passed a point and are not in its file.

An octet passed a point if its receiver acknowledged it, or if points on both sides of it saw it. The share of those that the
capture lacks is its miss rate; with a Beta prior it is an interval, and the chance that k sightings in a row were all missed is a
number (the Beta-binomial of ALGORITHMS.md 1c).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.atoms import NEVER, Atoms
from mixcni.localise.watch import Watch

PRIOR_MISSED, PRIOR_SEEN = 0.5, 9.5  # Beta prior: about one in twenty, weak enough for ten sightings to outweigh it
PRIOR_WHOLE = (0.0005, 9.9995)  # that a conversation is missed as a whole: a filter or a sample does that, and shows it
COUNTED_SEEN = 49.5  # where the capture counted no drop: about one in a hundred, for not all that is lost is counted
INTERVAL = 0.9
LEAST_RATE, RATES = 1e-6, 400  # a rate is told within 2 %
SLACK_NS = 10_000_000  # what another point saw so near a window's end, beside the clock's uncertainty, may have passed outside it


@dataclass(frozen=True, slots=True)
class MissRate:
    """Of `proven` pieces that passed the point, its capture lacks `missed`.

    dropped : the share that the capture itself counted as dropped, which is the prior; None: it did not count
    prior : Beta parameters, missed and seen, where it has no counters
    """

    proven: int
    missed: int
    dropped: float | None = None
    prior: tuple[float, float] = (PRIOR_MISSED, PRIOR_SEEN)

    @property
    def _posterior(self) -> tuple[float, float]:
        """The Beta distribution of the rate: prior, and what is proven."""
        missed, seen = self.prior
        if self.dropped == 0:
            seen = COUNTED_SEEN
        elif self.dropped is not None:
            missed = max(missed, self.dropped * sum(self.prior))
            seen = sum(self.prior) - missed
        return self.missed + missed, self.proven - self.missed + seen

    @property
    def interval(self) -> tuple[float, float]:
        """The central 90 % of the Beta posterior; (0, upper bound) where nothing was missed."""
        from scipy.special import betaincinv

        a, b = self._posterior
        tail = (1 - INTERVAL) / 2
        if self.missed == 0:
            return 0.0, float(betaincinv(a, b, INTERVAL))
        return float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))

    def distribution(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(r,) rates from the least to 1, and how likely each is."""
        from scipy.special import betainc

        bounds = np.concatenate([[0.0], np.geomspace(LEAST_RATE, 1.0, RATES)])
        return np.sqrt(np.maximum(bounds[:-1], LEAST_RATE / 2) * bounds[1:]), np.diff(betainc(*self._posterior, bounds))

    def all_missed(self, copies: int) -> float:
        """Chance that the capture missed `copies` packets that passed, all of them: the posterior's mean of rate ** copies."""
        a, b = self._posterior
        if copies == 1:
            return a / (a + b)
        return math.exp(math.lgamma(a + copies) - math.lgamma(a) + math.lgamma(a + b) - math.lgamma(a + b + copies))


def miss_rates(
    atoms: Atoms,
    watching: NDArray[np.bool_],
    acknowledged: NDArray[np.int64],
    windows: Sequence[Watch | None],
    slacks: Sequence[int],
    dropped: Sequence[float | None],
) -> list[MissRate]:
    """One MissRate a point, over the conversations that it should see, in its window.

    What a point saw is no proof by itself that it passed, for what it missed would not count then; others' sight and
    acknowledgments are.

    Parameters
    ----------
    atoms : of all conversations
    watching : (c, p, 2) whether the point saw the conversation or should have, by direction
    acknowledged : (streams,) int64, highest stream offset that its receiver acknowledged
    windows : one a point, on the common clock; slacks : ns, how near its ends nothing can be told
    dropped : the share of packets that each point's capture counted as dropped; None: it did not count
    """
    rates = []
    for point, passed in enumerate(known_to_pass(atoms, watching, acknowledged, windows, slacks)):
        unseen = passed & (atoms.counts[:, point] == 0)
        rates.append(MissRate(int(passed.sum()), int(unseen.sum()), dropped[point]))
    return rates


def whole_miss_rates(atoms: Atoms, passing: Sequence[NDArray[np.bool_]], seen: NDArray[np.bool_]) -> list[MissRate]:
    """One MissRate a point, of conversations: those that are known to pass it, and those of which its capture has nothing.

    Parameters
    ----------
    passing : one (a,) a point, as `known_to_pass` gives them
    seen : (c, p) whether each point saw a conversation
    """
    rates = []
    for point, passed in enumerate(passing):
        conversations = np.unique(atoms.stream[passed] // 2)
        rates.append(MissRate(conversations.size, int((~seen[conversations, point]).sum()), prior=PRIOR_WHOLE))
    return rates


def known_to_pass(
    atoms: Atoms,
    watching: NDArray[np.bool_],
    acknowledged: NDArray[np.int64],
    windows: Sequence[Watch | None],
    slacks: Sequence[int],
) -> list[NDArray[np.bool_]]:
    """(a,) a point: whether others' sight or an acknowledgment proves that an atom passed it while it watched."""
    there = atoms.counts > 0
    received = there.any(axis=1) & atoms.received(acknowledged)
    before, after = np.zeros_like(there), np.zeros_like(there)
    before[:, 1:] = np.logical_or.accumulate(there, axis=1)[:, :-1]
    after[:, :-1] = np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1][:, 1:]
    found = []
    for point, window in enumerate(windows):
        if window is None:
            found.append(np.zeros(there.shape[0], dtype=np.bool_))
            continue
        watched = watching[atoms.stream // 2, point, atoms.stream % 2] & is_watched(atoms, point, window, slacks[point])
        found.append(watched & (received | (before[:, point] & after[:, point])))
    return found


def is_watched(atoms: Atoms, point: int, window: Watch, slack_ns: int) -> NDArray[np.bool_]:
    """(a,) whether a point saw an atom, or would have: all its transmissions, at whatever point, were well within `window`."""
    first, last = atoms.first_ns.min(axis=1, initial=NEVER), atoms.last_ns.max(axis=1, initial=-NEVER)
    inside = window.covers(first, slack_ns) & window.covers(last, slack_ns)
    return np.asarray((atoms.counts[:, point] > 0) | inside)
