"""The smallest statements that fit a table of experiments: exact, by prime implicants over few factors of few values.

W. V. Quine (1952) and E. J. McCluskey (1956) for factors of two values; here a factor may have several, and a condition says that
it has one of them. What was not tried may come out either way.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mixcni.errors import ParameterError

Value = str | bool
Setting = tuple[Value, ...]
"""A value for each factor, in their order."""

MAX_CELLS: Final = 4_096  # combinations of values: beyond, an exact answer takes too long
MAX_PRIMES: Final = 24


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """Conditions that hold together: the value of each factor, None where it does not matter."""

    values: tuple[Value | None, ...]

    @property
    def size(self) -> int:
        """How many conditions it has."""
        return sum(value is not None for value in self.values)

    def holds(self, setting: Setting) -> bool:
        """Whether the conditions hold there."""
        return all(value is None or value == there for value, there in zip(self.values, setting, strict=True))


@dataclass(frozen=True, slots=True)
class Statement:
    """It fails exactly when one of the terms holds; without any, never."""

    terms: tuple[Term, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(terms, conditions): a statement is the smaller the fewer it has."""
        return len(self.terms), sum(term.size for term in self.terms)

    def holds(self, setting: Setting) -> bool:
        """Whether it fails there, by this statement."""
        return any(term.holds(setting) for term in self.terms)


@dataclass(frozen=True, slots=True)
class Fit:
    """What fits a table.

    smallest : all statements of the least size, in a fixed order; none where the table contradicts itself
    narrowest : the statement that says no more than was tried: what all failures of a kind have in common
    contradictions : settings that failed and did not
    untried : settings of the values that occur which were not tried
    deciding : those of them on which the statements disagree, the most telling first
    """

    factors: tuple[str, ...]
    smallest: tuple[Statement, ...]
    narrowest: Statement | None
    contradictions: tuple[Setting, ...]
    untried: tuple[Setting, ...]
    deciding: tuple[Setting, ...]


def fit_statements(rows: Iterable[tuple[Mapping[str, Value], bool]], factors: Sequence[str]) -> Fit:
    """The statements that fit experiments.

    Parameters
    ----------
    rows : the value of each factor, and whether it failed
    factors : their names, in the order in which statements name them

    Raises
    ------
    ParameterError : a row lacks a factor, or the factors have too many values for an exact answer
    """
    table: dict[Setting, set[bool]] = {}
    for values, failed in rows:
        lacking = [factor for factor in factors if factor not in values]
        if lacking:
            raise ParameterError(f"rows: every experiment needs a value of {lacking[0]!r}")
        table.setdefault(tuple(values[factor] for factor in factors), set()).add(failed)
    levels = [sorted({setting[at] for setting in table}, key=str) for at in range(len(factors))]
    cells = list(itertools.product(*levels)) if table else []
    if len(cells) > MAX_CELLS:
        raise ParameterError(f"factors: at most {MAX_CELLS} combinations of values can be searched, got {len(cells)}")
    contradictions = tuple(setting for setting in cells if len(table.get(setting, ())) > 1)
    untried = tuple(setting for setting in cells if setting not in table)
    failing = [setting for setting in cells if table.get(setting) == {True}]
    working = [setting for setting in cells if table.get(setting) == {False}]
    if contradictions or not table:
        return Fit(tuple(factors), (), None, contradictions, untried, ())
    smallest = _smallest(failing, working, levels)
    narrowest = _narrowest(failing, working)
    deciding = _deciding([*smallest, narrowest], untried)
    return Fit(tuple(factors), smallest, narrowest, (), untried, deciding)


def _primes(failing: Sequence[Setting], working: Sequence[Setting], levels: Sequence[Sequence[Value]]) -> list[Term]:
    """The terms that hold at a failure and at nothing that works, and that lose this with any condition fewer."""
    found: set[Term] = set()
    for failure in failing:
        for size in range(len(levels) + 1):
            for kept in itertools.combinations(range(len(levels)), size):
                term = Term(tuple(value if at in kept else None for at, value in enumerate(failure)))
                if any(term.holds(setting) for setting in working) or any(_is_within(term, known) for known in found):
                    continue
                found.add(term)
    return sorted(found, key=_order)


def _is_within(term: Term, wider: Term) -> bool:
    """Whether `term` has all conditions of `wider`."""
    return all(value is None or value == own for own, value in zip(term.values, wider.values, strict=True))


def _order(term: Term) -> tuple[object, ...]:
    return term.size, tuple((value is None, str(value)) for value in term.values)


def _smallest(failing: Sequence[Setting], working: Sequence[Setting], levels: Sequence[Sequence[Value]]) -> tuple[Statement, ...]:
    """Every statement of the least size, by trying covers of the failures in the order of their size."""
    if not failing:
        return (Statement(()),)
    primes = _primes(failing, working, levels)
    if len(primes) > MAX_PRIMES:
        raise ParameterError(f"rows: at most {MAX_PRIMES} terms can be searched for the smallest statement, got {len(primes)}")
    for count in range(1, len(primes) + 1):
        covers = [
            Statement(chosen)
            for chosen in itertools.combinations(primes, count)
            if all(any(term.holds(failure) for term in chosen) for failure in failing)
        ]
        if covers:
            least = min(statement.size for statement in covers)
            return tuple(statement for statement in covers if statement.size == least)
    raise AssertionError("every failure is held by a prime of its own")


def _narrowest(failing: Sequence[Setting], working: Sequence[Setting]) -> Statement:
    """What the failures have in common; taken one by one where that would hold at something that works too."""
    if not failing:
        return Statement(())
    common = Term(tuple(values[0] if len(set(values)) == 1 else None for values in zip(*failing, strict=True)))
    if any(common.holds(setting) for setting in working):
        return Statement(tuple(Term(failure) for failure in failing))
    return Statement((common,))


def _deciding(statements: Sequence[Statement], untried: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings on which statements disagree, those that part them most evenly first."""
    told = {setting: sum(statement.holds(setting) for statement in statements) for setting in untried}
    parting = [setting for setting in untried if 0 < told[setting] < len(statements)]
    return tuple(sorted(parting, key=lambda setting: abs(2 * told[setting] - len(statements))))
