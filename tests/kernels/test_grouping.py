"""Numbers of rows and what occurs among them, against tuples and sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.kernels.grouping import distinct, grouped, in_order, numbered, ranks
from tests.kernels.forms import FORMS, in_form

WIDE = st.integers(-(2**63), 2**63 - 1)
NARROW = st.integers(0, 3)
ROWS = st.lists(st.tuples(NARROW, WIDE, NARROW, WIDE), max_size=30)


@given(ROWS)
def test_rows_are_numbered_as_their_tuples_are_ordered(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array([row[at] for row in rows], dtype=np.int64) for at in range(4)]
    rank = {row: number for number, row in enumerate(sorted(set(rows)))}
    assert numbered(*columns).tolist() == [rank[row] for row in rows]


@pytest.mark.parametrize("bits", [20, 21, 22, 31, 62, 63])
def test_columns_that_fit_one_integer_only_just_or_not(bits: int) -> None:
    most = 2**bits - 1
    column = np.array([most, 0, most, 1, 0], dtype=np.int64)
    assert numbered(column, column[::-1], column).tolist() == [3, 0, 4, 2, 1]


def test_columns_of_several_types_are_numbered_together() -> None:
    assert numbered(np.array([True, False, True]), np.array([7, 7, 7], dtype=np.uint16)).tolist() == [1, 0, 1]


@given(st.lists(st.integers(0, 20)))
def test_what_occurs_is_told_once_and_in_order(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, dtype=np.int32), 21).tolist() == sorted(set(numbers))


@given(st.lists(st.integers(-3, 3)))
def test_a_rank_counts_the_equal_ones_before(numbers: list[int]) -> None:
    assert ranks(np.array(numbers, dtype=np.int64)).tolist() == [numbers[:at].count(one) for at, one in enumerate(numbers)]


@given(ROWS)
def test_rows_in_order_stand_as_their_tuples_and_equal_ones_stay(rows: list[tuple[int, ...]]) -> None:
    columns = [np.array([row[at] for row in rows], dtype=np.int64) for at in range(4)]
    assert in_order(*columns).tolist() == sorted(range(len(rows)), key=lambda at: rows[at])
    assert in_order(columns[0], columns[2]).tolist() == sorted(range(len(rows)), key=lambda at: (rows[at][0], rows[at][2]))


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@given(numbers=st.lists(st.integers(0, 5), max_size=30), share=st.floats(0, 1))
def test_a_group_keeps_the_order_that_it_is_given(form: str, numbers: list[int], share: float) -> None:
    order = list(range(len(numbers)))[::-1][: int(share * len(numbers))]
    with in_form(form):
        rows, begin = grouped(np.array(numbers, dtype=np.int32), 6, np.array(order, dtype=np.int64))
    assert rows.tolist() == sorted(order, key=lambda row: numbers[row])
    assert begin.tolist() == [sum(numbers[row] < group for row in order) for group in range(6)]
