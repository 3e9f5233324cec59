"""Pairs of conversations as columns, held against twins that go through them one by one."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.align.kernel import unite_pairs
from mixcni.align.pairings import Pairings, mutual_best, pairs_within
from mixcni.kernels.jit import run
from tests.kernels.forms import TWO_FORMS, in_form

ENOUGH, MARGIN, POINTS = 40, 12, 3

Row = tuple[int, int, bool, int]  # one, other, turned, bits
POINT_SETS = st.lists(st.lists(st.booleans(), min_size=POINTS, max_size=POINTS), min_size=2, max_size=8)


@st.composite
def paired(draw: st.DrawFn) -> tuple[list[Row], list[list[bool]]]:
    """Some pairs of conversations, and which points have each of those."""
    there = draw(POINT_SETS)
    pairs = st.sampled_from([*combinations(range(len(there)), 2)])
    bits = st.sampled_from([20, 28, 39, 40, 51, 52, 64])
    rows = draw(st.lists(st.tuples(pairs, st.booleans(), bits), max_size=12))
    return [(*pair, turned, weight) for pair, turned, weight in rows], there


def columns(rows: list[Row]) -> Pairings:
    one, other, turned, bits = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(4))
    return Pairings(one, other, turned.astype(np.bool_), bits, np.zeros(len(rows), dtype=np.int64))


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(2, 6))
def test_pairs_within_are_all_pairs_of_equal_rows(group: list[int], most: int) -> None:
    one, other = pairs_within(np.array(group, dtype=np.int64), most)
    small = {value for value in group if group.count(value) <= most}
    wanted = {(i, j) for i, j in combinations(range(len(group)), 2) if group[i] == group[j] and group[i] in small}
    found = list(zip(one.tolist(), other.tolist(), strict=True))
    assert set(found) == wanted
    assert len(found) == len(wanted)


@given(paired())
@settings(max_examples=300)
def test_the_best_of_both_wins_by_a_margin(drawn: tuple[list[Row], list[list[bool]]]) -> None:
    rows, there = drawn
    best, unsure = mutual_best(columns(rows), np.array(there, dtype=np.bool_), ENOUGH, MARGIN)
    highest = []
    for i, row in enumerate(rows):
        rivals = [-1]
        for j, rival in enumerate(rows):
            for member in {*row[:2]} & {*rival[:2]} if i != j else ():
                partners = [sum(each[:2]) - member for each in (row, rival)]
                if any(a and b for a, b in zip(there[partners[0]], there[partners[1]], strict=True)):
                    rivals.append(rival[3])
        highest.append(max(rivals))
    wanted = [row[3] >= ENOUGH and row[3] >= most + MARGIN for row, most in zip(rows, highest, strict=True)]
    assert best.tolist() == wanted
    taken = {row[:2] for row, won in zip(rows, wanted, strict=True) if won}
    assert unsure.tolist() == [
        row[:2] not in taken and (row[3] + MARGIN > most or most < ENOUGH) for row, most in zip(rows, highest, strict=True)
    ]


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
@given(drawn=paired())
@settings(max_examples=150, deadline=None)
def test_pairs_are_united_unless_a_point_has_both(form: str, drawn: tuple[list[Row], list[list[bool]]]) -> None:
    rows, there = drawn
    count = len(there)
    pairings, own = columns(rows), np.array(there, dtype=np.bool_).ravel()
    root, flipped, refused = np.arange(count), np.zeros(count, dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
    pairs = pairings.one, pairings.other, pairings.turned
    with in_form(form):
        run(unite_pairs, len(rows), *pairs, POINTS, own, own.copy(), root, flipped, refused)
    sets = [{number: False} for number in range(count)]
    for (one, other, turned, _), no in zip(rows, refused.tolist(), strict=True):
        mine, theirs = (next(each for each in sets if number in each) for number in (one, other))
        if mine is theirs:
            assert not no
            continue
        heard = [{p for n in each for p in range(POINTS) if there[n][p]} for each in (mine, theirs)]
        assert no == bool(heard[0] & heard[1] - {p for p in range(POINTS) if there[one][p] and there[other][p]})
        if not no:
            flip = mine[one] ^ theirs[other] ^ turned
            sets.remove(theirs)
            mine.update({number: way ^ flip for number, way in theirs.items()})
    for each in sets:
        lowest = min(each)
        for number, way in each.items():
            assert (root[number], flipped[number]) == (lowest, way ^ each[lowest])
