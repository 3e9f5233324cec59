"""The smallest statements that fit a table: against every statement there is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.errors import ParameterError
from mixcni.experiments import Statement, Term, fit_statements

FACTORS = ("a", "b", "c")
VALUES = ("x", "y", True)
ROWS = st.lists(st.tuples(st.tuples(*(st.sampled_from(VALUES[:2]) for _ in FACTORS)), st.booleans()), max_size=8)


def rows_of(table: list[tuple[tuple[str, ...], bool]]) -> list[tuple[dict[str, str | bool], bool]]:
    return [(dict(zip(FACTORS, setting, strict=True)), failed) for setting, failed in table]


def every_term(levels: list[list[str]]) -> list[Term]:
    return [Term(values) for values in itertools.product(*([None, *level] for level in levels))]


def least_by_trying(table: list[tuple[tuple[str, ...], bool]]) -> set[frozenset[Term]]:
    """All statements of the least size that fit, by trying sets of all terms there are."""
    levels = [sorted({setting[at] for setting, _ in table}) for at in range(len(FACTORS))]
    terms = every_term(levels)
    for count in range(5):
        fitting = [
            chosen
            for chosen in itertools.combinations(terms, count)
            if all(any(term.holds(setting) for term in chosen) == failed for setting, failed in table)
        ]
        if fitting:
            least = min(sum(term.size for term in chosen) for chosen in fitting)
            return {frozenset(chosen) for chosen in fitting if sum(term.size for term in chosen) == least}
    raise AssertionError("a function of three factors of two values needs four terms at most")


@given(ROWS)
def test_the_smallest_statements_are_all_of_the_smallest(table: list[tuple[tuple[str, ...], bool]]) -> None:
    fit = fit_statements(rows_of(table), FACTORS)
    contradicted = {setting for setting, failed in table if (setting, not failed) in table}
    assert set(fit.contradictions) == contradicted
    if contradicted or not table:
        assert fit.smallest == ()
        return
    assert {frozenset(statement.terms) for statement in fit.smallest} == least_by_trying(table)


@given(ROWS)
def test_every_statement_fits_and_the_deciding_are_untried_and_parted(table: list[tuple[tuple[str, ...], bool]]) -> None:
    fit = fit_statements(rows_of(table), FACTORS)
    if fit.narrowest is None:
        return
    for statement in (*fit.smallest, fit.narrowest):
        assert all(statement.holds(setting) == failed for setting, failed in table)
    tried = {setting for setting, _ in table}
    assert not tried & set(fit.untried)
    for setting in fit.untried:
        verdicts = {statement.holds(setting) for statement in (*fit.smallest, fit.narrowest)}
        assert (setting in fit.deciding) == (len(verdicts) == 2)


@given(ROWS, st.permutations(range(8)))
def test_order_says_nothing(table: list[tuple[tuple[str, ...], bool]], order: list[int]) -> None:
    moved = [table[at] for at in order if at < len(table)]
    assert fit_statements(rows_of(table), FACTORS) == fit_statements(rows_of(moved), FACTORS)


def test_the_incident() -> None:
    """DESIGN.md section 1: of who calls whom with and without policy, one of four fails."""
    names = ("initiator", "responder", "policy")
    table: list[tuple[tuple[str | bool, ...], bool]] = [
        (("kubenet", "cilium", True), True),
        (("kubenet", "cilium", False), False),
        (("cilium", "kubenet", True), False),
        (("cilium", "kubenet", False), False),
    ]
    rows: list[tuple[dict[str, str | bool], bool]] = [
        (dict(zip(names, setting, strict=True)), failed) for setting, failed in table
    ]
    fit = fit_statements(rows, names)
    assert set(fit.smallest) == {Statement((Term(("kubenet", None, True)),)), Statement((Term((None, "cilium", True)),))}
    assert fit.narrowest == Statement((Term(("kubenet", "cilium", True)),))
    assert set(fit.deciding) == {("kubenet", "kubenet", True), ("cilium", "cilium", True)}
    rows.append(({"initiator": "cilium", "responder": "cilium", "policy": True}, False))
    assert fit_statements(rows, names).smallest == (Statement((Term(("kubenet", None, True)),)),)


def test_a_factor_may_have_more_than_two_values() -> None:
    rows = [({"who": who}, who in {"host", "kubenet"}) for who in ("host", "kubenet", "cilium", "outside")]
    fit = fit_statements(rows, ["who"])
    assert fit.smallest == (Statement((Term(("host",)), Term(("kubenet",)))),)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([({"a": "x"}, True)], "rows: every experiment needs a value of 'b'"),
        ([({"a": str(n), "b": str(n)}, False) for n in range(65)], "factors: at most 4096 combinations"),
        ([({"a": str(n), "b": str(n)}, True) for n in range(26)] + [({"a": "z", "b": "z"}, False)], "rows: at most 24 terms"),
    ],
)
def test_what_cannot_be_searched_is_refused(rows: list[tuple[dict[str, str | bool], bool]], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        fit_statements(rows, ["a", "b"])
