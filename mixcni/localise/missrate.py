"""How much each capture missed by itself: octets that are proven to have passed a point and are not in its file.

An octet passed a point if others saw it and its receiver acknowledged it, or replied to the datagram, or if points on both
sides of it saw it. What only the point itself saw proves nothing, for what it missed of that nobody knows; but between octets
of a stream that it has, all that was acknowledged passed it, seen or not. The share of those that the capture lacks is its miss
rate, told as an exact interval; with a Beta prior the chance that k sightings in a row were all missed is a number (the
Beta-binomial of ALGORITHMS.md 1c).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.grouping import distinct
from mixcni.kernels.jit import run
from mixcni.localise.atoms import NEVER, Atoms
from mixcni.localise.kernel import stand_between
from mixcni.localise.watch import Watch

PRIOR_MISSED, PRIOR_SEEN = 0.5, 9.5  # Beta prior: about one in twenty, weak enough for ten sightings to outweigh it
PRIOR_WHOLE = (0.0005, 9.9995)  # that a conversation is missed as a whole: a filter or a sample does that, and shows it
COUNTED_SEEN = 49.5  # where the capture counted no drop: about one in a hundred, for not all that is lost is counted
INTERVAL = 0.95
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
        """Exact interval that holds the rate of 95 in 100 captures (Clopper and Pearson 1934); (0, 1): nothing is proven."""
        from scipy.special import betaincinv

        tail, seen = (1 - INTERVAL) / 2, self.proven - self.missed
        low = float(betaincinv(self.missed, seen + 1, tail)) if self.missed else 0.0
        return low, float(betaincinv(self.missed + 1, seen, 1 - tail)) if seen else 1.0

    def at_most(self, certainty: float) -> float:
        """What the rate is at most with this certainty, by what is proven and by the prior."""
        from scipy.special import betaincinv

        return float(betaincinv(*self._posterior, certainty))

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


class Passing(NamedTuple):
    """Which atoms are proven to have passed a point while it watched.

    by_others : (a,) bool, others saw them, and points on both sides did or an acknowledgment came
    inside : (a,) bool, they were acknowledged, and stand between others of their stream that the point saw
    """

    by_others: NDArray[np.bool_]
    inside: NDArray[np.bool_]

    @property
    def proven(self) -> NDArray[np.bool_]:
        """(a,) whether either proves it."""
        return self.by_others | self.inside


def miss_rates(atoms: Atoms, passing: Sequence[Passing], dropped: Sequence[float | None]) -> list[MissRate]:
    """One MissRate a point, over what is proven to have passed it.

    What nobody saw counts as the fewest packets that it fits into, by the longest that the point saw.

    Parameters
    ----------
    passing : one a point, as `known_to_pass` gives them
    dropped : the share of packets that each point's capture counted as dropped; None: it did not count
    """
    rates = []
    length = atoms.end - atoms.start
    for point, passed in enumerate(passing):
        seen = atoms.seen[:, point]
        longest = max(1, int(length[seen].max(initial=1)))
        unseen = np.flatnonzero(passed.proven & ~seen)
        nowhere = atoms.begun_ns[unseen] == NEVER
        missed = int((~nowhere).sum() + (-(-length[unseen[nowhere]] // longest)).sum())
        rates.append(MissRate(int((passed.proven & seen).sum()) + missed, missed, dropped[point]))
    return rates


def whole_miss_rates(atoms: Atoms, passing: Sequence[Passing], seen: NDArray[np.bool_]) -> list[MissRate]:
    """One MissRate a point, of conversations: those that are known to pass it, and those of which its capture has nothing.

    Parameters
    ----------
    passing : one a point, as `known_to_pass` gives them
    seen : (c, p) whether each point saw a conversation
    """
    rates = []
    for point, passed in enumerate(passing):
        conversations = distinct(atoms.conversation[passed.by_others], len(seen))
        rates.append(MissRate(conversations.size, int((~seen[conversations, point]).sum()), prior=PRIOR_WHOLE))
    return rates


def known_to_pass(
    atoms: Atoms,
    watching: NDArray[np.bool_],
    received: NDArray[np.bool_],
    windows: Sequence[Watch | None],
    inside: NDArray[np.bool_],
) -> list[Passing]:
    """What is proven to have passed each point while it watched.

    Parameters
    ----------
    atoms : of all conversations
    watching : (c, p, 2) whether the point saw the conversation or should have, by direction
    received : (a,) whether an atom is known to have reached its receiver
    windows : one a point, on the common clock
    inside : (a, p) as `inside_windows` tells
    """
    before, behind = atoms.seen_before(), atoms.seen_behind()
    found = []
    for point, window in enumerate(windows):
        if window is None:
            nothing = np.zeros(received.size, dtype=np.bool_)
            found.append(Passing(nothing, nothing))
            continue
        watched = watching[:, point].reshape(-1)[atoms.stream]
        told = (received & (before[:, point] | behind[:, point])) | (before[:, point] & behind[:, point])
        by_others = watched & (atoms.seen[:, point] | inside[:, point]) & told
        found.append(Passing(by_others, watched & received & _between(atoms, point, window)))
    return found


def _between(atoms: Atoms, point: int, window: Watch) -> NDArray[np.bool_]:
    """(a,) whether an atom stands between others of its stream that a point saw, and no hole is between these."""
    between = np.zeros(atoms.stream.size, dtype=np.bool_)
    holes = np.array(window.holes, dtype=np.int64).reshape(-1)
    times = atoms.first_ns[:, point], atoms.last_ns[:, point]
    run(stand_between, between.size, atoms.stream, atoms.seen[:, point], *times, holes, between)
    return between


def inside_windows(atoms: Atoms, windows: Sequence[Watch | None], slacks: Sequence[int]) -> NDArray[np.bool_]:
    """(a, p) whether all transmissions of an atom, at whatever point, were well within each point's window.

    Parameters
    ----------
    windows : one a point, on the common clock; slacks : ns, how near its ends nothing can be told
    """
    inside = np.zeros_like(atoms.seen)
    for point, (window, slack) in enumerate(zip(windows, slacks, strict=True)):
        if window is not None:
            inside[:, point] = window.covers(atoms.begun_ns, slack) & window.covers(atoms.ended_ns, slack)
    return inside
