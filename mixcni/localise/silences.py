"""Stretches in which a capture has no packet at all: there it may not have run, whatever it misses else.

Captures miss packets in bursts: a buffer runs over, a disk stalls, and for a while nothing is written. A miss rate over the whole
capture says too little of such a moment. A packet in the file proves that the capture ran then, so every stretch from one packet
to the next is judged by itself: what is proven to have passed in it unseen (mixcni.localise.missrate) speaks for a pause, as much
as the miss rate does not explain it. Copies that passed in one silence were all missed if that was a pause.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.grouping import distinct
from mixcni.localise.atoms import NEVER, Atoms
from mixcni.localise.missrate import MissRate
from mixcni.localise.watch import Watch

PAUSED: Final = 0.002  # prior of a silence that was a pause, though nothing is proven to have passed in it
LIKELY: Final = 0.5  # what was missed in a silence that more likely was a pause is no matter of the miss rate
AT_ONCE: Final = 1024  # exchanges, so that memory does not grow with them
ONE_PACKET_NS: Final = 1_000_000  # pieces of a stream that near in time may stand in one packet, which offload made of many


class Copies(NamedTuple):
    """Copies of unseen exchanges, in no order: `of` (k,) int64, whose they are; `time_ns` (k,) int64, when they passed."""

    of: NDArray[np.int64]
    time_ns: NDArray[np.int64]

    @classmethod
    def at_once(cls, times: NDArray[np.int64], counts: NDArray[np.int64]) -> "Copies":
        """Of each exchange so many copies, all at its time; (n,) each."""
        return cls(np.repeat(np.arange(counts.size), counts), np.repeat(times, counts))

    def with_more(self, other: "Copies") -> "Copies":
        """These and others of the same exchanges."""
        return Copies(*(np.concatenate(columns) for columns in zip(self, other, strict=True)))

    def part(self, chosen: NDArray[np.bool_]) -> "Copies":
        """Those of the exchanges that (n,) `chosen` holds for; `of` counts these alone."""
        kept, number = chosen[self.of], np.cumsum(chosen) - 1
        return Copies(number[self.of[kept]], self.time_ns[kept])


def copies_at(atoms: Atoms, point: int, window: Watch, wanted: NDArray[np.int64]) -> Copies:
    """The copies of (n,) `wanted` atoms that a point saw while `window` covers them; `of` counts in `wanted`."""
    rows = np.flatnonzero((atoms.point == point) & window.covers(atoms.time_ns))
    order = np.argsort(wanted, kind="stable")
    first, behind = (np.searchsorted(wanted[order], bound[rows]) for bound in (atoms.begin, atoms.stop))
    count = behind - first
    place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return Copies(order[place], np.repeat(atoms.time_ns[rows], count))


@dataclass(frozen=True, slots=True)
class Silences:
    """A point's silences.

    begins : (s,) int64, ns, ascending: its packets; silence i is before packet i, and the last one behind all; between packets of
        one time is none
    paused : (s + 1,) float64, the chance that each was a pause
    rate : what the capture misses while it runs
    """

    begins: NDArray[np.int64]
    paused: NDArray[np.float64]
    rate: MissRate

    def missed(self, copies: Copies, count: int) -> NDArray[np.float64]:
        """(count,) the chance that the capture missed all copies of each exchange.

        Silences are independent of each other for each rate that the capture may have, and the rate is one for all.
        """
        silence = np.searchsorted(self.begins, copies.time_ns, side="right")
        pairs, times = np.unique(np.stack([copies.of, silence], axis=1), axis=0, return_counts=True)
        kinds, kind = np.unique(np.stack([self.paused[pairs[:, 1]], times], axis=1), axis=0, return_inverse=True)
        rates, weights = self.rate.distribution()
        paused = kinds[:, :1]
        log_chance = np.log(paused + (1 - paused) * rates ** kinds[:, 1:])
        found = np.empty(count)
        for begin in range(0, count, AT_ONCE):
            bounds = np.searchsorted(pairs[:, 0], [begin, begin + AT_ONCE])
            mine = slice(*bounds.tolist())
            shape = min(AT_ONCE, count - begin), len(kinds)
            place = (pairs[mine, 0] - begin) * shape[1] + kind.reshape(-1)[mine]
            numbers = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
            found[begin : begin + shape[0]] = np.exp(numbers @ log_chance) @ weights
        return found

    def all_missed(self, copies: Copies) -> float:
        """The chance that the capture missed all copies."""
        return float(self.missed(Copies(np.zeros_like(copies.of), copies.time_ns), 1)[0])


def find_silences(atoms: Atoms, passing: NDArray[np.bool_], point: int, times: NDArray[np.int64], rate: MissRate) -> Silences:
    """The silences of a point's capture.

    Parameters
    ----------
    passing : (a,) whether each atom is proven to have passed, as mixcni.localise.missrate.known_to_pass tells
    times : of the point's packets, ns on the common clock; -1 none
    rate : over the whole capture
    """
    begins = times if times.size and times[0] >= 0 and (times[1:] >= times[:-1]).all() else np.sort(times[times >= 0])
    unseen = np.flatnonzero(passing & ~atoms.seen[:, point] & (atoms.begun_ns != NEVER))  # when it passed, those who saw it tell
    silence = np.searchsorted(begins, atoms.begun_ns[unseen], side="right")
    passed = _packets_in(atoms, unseen, silence, begins.size + 1)
    missed_else = int(np.count_nonzero(_paused(passed[silence], rate) <= LIKELY))
    seen = int(np.count_nonzero(passing & atoms.seen[:, point]))
    outside = MissRate(seen + missed_else, missed_else, rate.dropped, rate.prior)
    return Silences(begins, _paused(passed, outside), outside)


def _packets_in(atoms: Atoms, rows: NDArray[np.int64], silence: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count,) at least how many packets these unseen atoms stood in, by silence."""
    near = atoms.begun_ns[rows] // ONE_PACKET_NS
    packets = np.unique(np.stack([silence, atoms.stream[rows], near], axis=1), axis=0)
    return np.bincount(packets[:, 0], minlength=count)


def _paused(passed: NDArray[np.int64], rate: MissRate) -> NDArray[np.float64]:
    """(s,) the chance that each silence was a pause, given how many packets passed in it unseen."""
    numbers = distinct(passed, int(passed.max(initial=-1)) + 1)
    running = np.array([rate.all_missed(number) for number in numbers.tolist()], dtype=np.float64)
    chance = np.zeros(int(passed.max(initial=-1)) + 1)
    chance[numbers] = PAUSED / (PAUSED + (1 - PAUSED) * running)
    return np.asarray(chance[passed])
