"""Before and after: what is cured, new or unchanged, and what cannot be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mixcni.comparison.populations import Callers, Population, Side
from mixcni.comparison.significance import LEVEL, chance_of, enough_after
from mixcni.words import listed, plural

NAMED: Final = 0.5  # a finding below this confidence is a possibility, no cause


class Outcome(StrEnum):
    """What became of a population between before and after."""

    CURED = "cured"
    NEW = "new"
    BETTER = "better"
    WORSE = "worse"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    FINE = "fine"
    INCOMPARABLE = "incomparable"


BAD: Final = (Outcome.NEW, Outcome.WORSE, Outcome.MOVED)
ORDER: Final = (*BAD, Outcome.UNCHANGED, Outcome.BETTER, Outcome.CURED, Outcome.INCOMPARABLE, Outcome.FINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One population, before and after.

    chance : of shares that differ so much, were there no difference; None where there is nothing to test
    together : populations that were tested as one, since each alone has too few conversations; 1: it stands alone
    """

    callers: Callers
    outcome: Outcome
    before: Population
    after: Population
    chance: float | None
    together: int
    says: str


@dataclass(frozen=True, slots=True)
class CauseChange:
    """A cause that one of the reports names; a confidence is None where it does not."""

    cause: str
    before: float | None
    after: float | None
    outcome: Outcome
    says: str


def changes_of(before: Side, after: Side) -> tuple[Change, ...]:
    """Every population of either side, the trouble first."""
    every = sorted({*before.populations, *after.populations})
    judge = _Judge(before, after)
    return tuple(sorted(map(judge.change, every), key=lambda change: (ORDER.index(change.outcome), change.callers)))


def causes_of(before: Side, after: Side, changes: tuple[Change, ...]) -> tuple[CauseChange, ...]:
    """Every cause that either side names."""
    return tuple(_cause(cause, before, after, changes) for cause in sorted({*_named(before), *_named(after)}))


class _Judge:
    """Judges populations; those with few conversations together with others that called the same port with the same trouble."""

    def __init__(self, before: Side, after: Side) -> None:
        self.before, self.after = before, after
        self.shared = [callers for callers in before.populations if callers in after.populations]

    def change(self, callers: Callers) -> Change:
        old = self.before.populations.get(callers, Population())
        new = self.after.populations.get(callers, Population())
        missing = _not_told(old, self.before, "before") or _not_told(new, self.after, "after")
        if missing and not (old.failed and new.failed):
            says = "; ".join(filter(None, (_counted(old, new), missing, self._others(callers, old, new))))
            return Change(callers, Outcome.INCOMPARABLE, old, new, None, 1, says)
        if not old.failed and not new.failed:
            return Change(callers, Outcome.FINE, old, new, None, 1, _counted(old, new))
        if self.before.whole and self.after.whole:
            chance, together = self._chance(callers, old, new)
            outcome, why = self._judged(old, new, chance)
        else:
            chance, together, outcome = None, 1, self._place(old, new) or Outcome.UNCHANGED
            why = self.before.answered_are_missing or self.after.answered_are_missing
        says = "; ".join(filter(None, (_counted(old, new), why, _togetherness(together))))
        return Change(callers, outcome, old, new, chance, together, says)

    def _others(self, callers: Callers, old: Population, new: Population) -> str:
        """Who else calls the port of callers that are on one side only: it may be the same pod under another address."""
        if not (self.before.whole and self.after.whole) or bool(old.decided) == bool(new.decided):
            return ""
        mine, theirs = (self.before, self.after) if old.decided else (self.after, self.before)
        found = [
            other.initiator
            for other in theirs.populations
            if other[1:] == callers[1:] and other not in mine.populations and theirs.populations[other].decided
        ]
        return f"on the other side {listed(found)} called it: if that is the same pod, say so" if found else ""

    def _judged(self, old: Population, new: Population, chance: float) -> tuple[Outcome, str]:
        if not new.failed:
            if chance <= LEVEL:
                return Outcome.CURED, f"beyond chance ({_chance_text(chance)})"
            wanted = enough_after(old.failed, old.decided)
            many = "more conversations" if wanted is None else f"about {wanted} conversations without a failure"
            return Outcome.INCOMPARABLE, f"too few to tell from chance ({_chance_text(chance)}): {many} after would"
        if not old.failed:
            if chance <= LEVEL:
                return Outcome.NEW, f"beyond chance ({_chance_text(chance)})"
            return (
                Outcome.INCOMPARABLE,
                f"it fails after, and too few conversations tell that it did not before ({_chance_text(chance)})",
            )
        if chance <= LEVEL:
            better = new.failed * old.decided < old.failed * new.decided
            return (Outcome.BETTER if better else Outcome.WORSE), _chance_text(chance)
        if self._place(old, new):
            return Outcome.MOVED, f"now {listed([str(trouble) for trouble in new.troubles])}"
        return (
            Outcome.UNCHANGED,
            "" if old.decided == new.decided == 0 else f"no difference beyond chance ({_chance_text(chance)})",
        )

    def _place(self, old: Population, new: Population) -> Outcome | None:
        """Whether they fail in another place or way: only where both reports could name either."""
        main = [next(iter(population.troubles)) for population in (old, new)]
        known = all(hop is None or self._is_on_both_paths(hop) for hop in (trouble.hop for trouble in main))
        return Outcome.MOVED if known and main[0] != main[1] else None

    def _is_on_both_paths(self, hop: tuple[str, str]) -> bool:
        hops = [list(zip(side.path[:-1], side.path[1:], strict=True)) for side in (self.before, self.after)]
        return all(hop in each for each in hops)

    def _chance(self, callers: Callers, old: Population, new: Population) -> tuple[float, int]:
        """The chance by the population's own conversations, or by those of all like it where its own are too few."""
        alone = chance_of((old.failed, old.decided), (new.failed, new.decided))
        if alone <= LEVEL or (old.failed and new.failed):
            return alone, 1
        alike = [other for other in self.shared if self._is_like(other, callers, old, new)]
        totals = [
            (sum(side.populations[other].failed for other in alike), sum(side.populations[other].decided for other in alike))
            for side in (self.before, self.after)
        ]
        pooled = chance_of(totals[0], totals[1])
        return (pooled, len(alike)) if pooled <= LEVEL else (alone, 1)

    def _is_like(self, other: Callers, callers: Callers, old: Population, new: Population) -> bool:
        """Whether another population called the same port with the same trouble on the side that had it."""
        if (other.responder, other.port) != (callers.responder, callers.port):
            return False
        side, mine = (self.before, old) if old.failed else (self.after, new)
        return set(side.populations[other].troubles) == set(mine.troubles)


def _not_told(population: Population, side: Side, when: str) -> str:
    """Why nothing can be said of a population on one side; empty where something can."""
    if population.failed or (side.whole and population.decided):
        return ""
    if not side.whole:
        return side.answered_are_missing
    if population.undecided:
        return f"{when} none of them can be followed to the end"
    return f"no conversation of theirs {when}"


def _counted(old: Population, new: Population) -> str:
    if not old.failed and not new.failed:
        parts = [f"{_of(population)} {when}" for population, when in ((old, "before"), (new, "after"))]
        return ", ".join(parts)
    return f"failed: {_share(old)} before, {_share(new)} after" + _where(old if old.failed else new)


def _of(population: Population) -> str:
    undecided = f" and {population.undecided:,} undecided" if population.undecided else ""
    return f"{population.answered:,} answered{undecided}"


def _share(population: Population) -> str:
    undecided = f" and {population.undecided:,} undecided" if population.undecided else ""
    return f"{population.failed:,} of {population.decided:,}{undecided}"


def _where(population: Population) -> str:
    return f", {next(iter(population.troubles))}"


def _chance_text(chance: float) -> str:
    return f"p = {chance:.2g}"


def _togetherness(together: int) -> str:
    return f"tested as one with {plural(together - 1, 'other caller')} of the same port" if together > 1 else ""


def _named(side: Side) -> Mapping[str, float]:
    return {cause: confidence for cause, confidence in side.causes.items() if confidence >= NAMED}


def _cause(cause: str, before: Side, after: Side, changes: tuple[Change, ...]) -> CauseChange:
    old, new = _named(before).get(cause), _named(after).get(cause)
    if old is not None and new is not None:
        return CauseChange(cause, old, new, Outcome.UNCHANGED, f"named before and after, confidence {old:g} and {new:g}")
    outcomes = {change.outcome for change in changes}
    if new is not None:
        if outcomes & set(BAD):
            return CauseChange(cause, old, new, Outcome.NEW, f"named after only, confidence {new:g}")
        says = f"named after only, confidence {new:g}, though nothing fails anew: before, the dumps may not have told"
        return CauseChange(cause, old, new, Outcome.INCOMPARABLE, says)
    if Outcome.CURED in outcomes and not outcomes & {*BAD, Outcome.UNCHANGED, Outcome.BETTER}:
        return CauseChange(cause, old, new, Outcome.CURED, f"named before, confidence {old:g}; after, nothing fails for it")
    says = f"named before only, confidence {old:g}; that it is gone is not shown, for not all that failed is cured"
    return CauseChange(cause, old, new, Outcome.INCOMPARABLE, says)
