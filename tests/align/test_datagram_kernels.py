"""Loops over datagrams in both forms, against twins that sort tuples and keep dicts."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.align.alike import Alike, Datagrams
from mixcni.align.kernel import POINTS_A_WORD, cluster_equal, mark_repeated, mark_soon, open_turns
from mixcni.align.kernel.datagrams import OCTETS_BITS
from mixcni.kernels.jit import run
from tests.kernels.forms import TWO_FORMS, in_form

pytestmark = [pytest.mark.kernels, pytest.mark.parametrize("form", TWO_FORMS)]


class Row(NamedTuple):
    conversation: int
    point: int
    direction: int
    kind: int
    time_ns: int


SAME_LENGTH, NUMBERED = 60, 7 << OCTETS_BITS | 60
ROW = st.builds(
    Row, st.integers(0, 3), st.integers(0, 2), st.integers(0, 1), st.sampled_from([SAME_LENGTH, 61, NUMBERED]), st.integers(-1, 9)
)
ROWS = st.lists(ROW, min_size=1, max_size=60)


def columns(rows: list[Row]) -> Datagrams:
    """Point after point, each in file order, which need not be that of time."""
    values = [*zip(*rows, strict=True), range(len(rows))]
    dtypes: tuple[Any, ...] = (np.int32, np.uint16, np.uint8, np.int64, np.int64, np.int64)
    return Datagrams(*(np.array(column, dtype=dtype) for column, dtype in zip(values, dtypes, strict=True)))


def by_point(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.point)


def first_come(order: list[int], key: Callable[[int], Any]) -> list[int]:
    """The number of each row among those of different keys, as they come in `order`."""
    numbers: dict[Any, int] = {}
    for row in order:
        numbers.setdefault(key(row), len(numbers))
    return [numbers[key(row)] for row in range(len(order))]


@given(rows=ROWS)
def test_rows_stand_by_conversation_time_direction_and_kind_and_alike_ones_have_one_number(form: str, rows: list[Row]) -> None:
    rows = by_point(rows)
    with in_form(form):
        alike = Alike.of(columns(rows))
    order = sorted(range(len(rows)), key=lambda i: (rows[i].conversation, rows[i].time_ns, rows[i].direction, rows[i].kind, i))
    assert alike.order.tolist() == order
    assert alike.group.tolist() == first_come(order, lambda i: (rows[i].conversation, rows[i].direction, rows[i].kind))
    assert alike.place.tolist() == first_come(order, lambda i: rows[i]._replace(time_ns=0))


@given(rows=ROWS, kept=st.lists(st.booleans(), min_size=60, max_size=60))
def test_rows_that_are_left_out_leave_the_others_as_they_were(form: str, rows: list[Row], kept: list[bool]) -> None:
    rows = by_point(rows)
    left = [i for i in range(len(rows)) if kept[i]]
    with in_form(form):
        before, alike = columns(rows), Alike.of(columns(rows))
        found, fewer = alike.keep(columns(rows), np.array(kept[: len(rows)]))
    assert [column.tolist() for column in found] == [column[left].tolist() for column in before]
    whole = Alike.of(before)
    assert fewer.group.tolist() == whole.group[left].tolist()
    assert fewer.place.tolist() == whole.place[left].tolist()
    assert [left[row] for row in fewer.order.tolist()] == [row for row in whole.order.tolist() if kept[row]]


@given(rows=ROWS, longest=st.integers(0, 3))
def test_rows_near_others_alike_are_those_without_identification_and_with_times(form: str, rows: list[Row], longest: int) -> None:
    rows = by_point(rows)
    table = columns(rows)
    alike = Alike.of(table)
    near = np.zeros(len(rows), dtype=np.bool_)
    last, seen = np.full(len(rows), -1, dtype=np.int32), np.zeros(len(rows), dtype=np.bool_)
    repeated = np.zeros(len(rows), dtype=np.bool_)
    with in_form(form):
        run(mark_soon, len(rows), alike.order, alike.place, table.kind, table.time_ns, longest, last, near)
        run(mark_repeated, len(rows), alike.group, alike.place, table.kind, seen, repeated)
    places: dict[int, list[int]] = {}
    for row in alike.order.tolist():
        if rows[row].kind != NUMBERED:
            places.setdefault(int(alike.place[row]), []).append(row)
    pairs = [pair for of_place in places.values() for pair in itertools.pairwise(of_place)]
    soon = [(a, b) for a, b in pairs if rows[a].time_ns >= 0 and rows[b].time_ns - rows[a].time_ns <= longest]
    assert set(np.flatnonzero(near).tolist()) == {row for pair in soon for row in pair}
    assert set(np.flatnonzero(repeated).tolist()) == {int(alike.group[a]) for a, _ in pairs}


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2 * POINTS_A_WORD + 5), st.integers(0, 20)), max_size=60),
    longest=st.integers(0, 20),
)
def test_a_datagram_is_once_at_each_point_and_not_longer_on_its_way(
    form: str, rows: list[tuple[int, int, int]], longest: int
) -> None:
    order = sorted(range(len(rows)), key=lambda i: (rows[i][2], i))
    datagram, first = np.full(len(rows), -1, dtype=np.int32), np.full(len(rows), -1, dtype=np.int32)
    group, point, time_ns = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(3))
    newest, seen = np.full(4, -1, dtype=np.int32), np.empty(4 * 3, dtype=np.int64)
    with in_form(form):
        given = np.array(order, dtype=np.int32), group.astype(np.int32), point.astype(np.uint16), time_ns
        count = run(cluster_equal, len(rows), *given, 3, longest, newest, seen, datagram, first)
    expected: list[list[int]] = []
    current: dict[int, list[int]] = {}
    for row in order:
        mine = current.get(rows[row][0], [])
        if not mine or rows[row][1] in {rows[i][1] for i in mine} or rows[row][2] - rows[mine[0]][2] > longest:
            mine = current[rows[row][0]] = []
            expected.append(mine)
        mine.append(row)
    assert first[:count].tolist() == [mine[0] for mine in expected]
    assert [np.flatnonzero(datagram == number).tolist() for number in range(count)] == [sorted(mine) for mine in expected]


@pytest.mark.parametrize(
    ("said", "turns"),
    [
        ("qrqr", [0, 0, 1, 1]),
        ("qqrrq", [0, 0, 0, 0, 1]),
        ("rq", [0, 1]),
        ("QlQr", [0, 0, 0, 0]),
        ("QrQr", [0, 0, 1, 1]),
    ],
    ids=["in turn", "two at once", "a reply first", "asked again before the reply arrived", "asked again behind it"],
)
def test_a_turn_begins_where_the_initiator_speaks_again(form: str, said: str, turns: list[int]) -> None:
    """`q` asks, `Q` asks what a message tells, `r` is a reply that arrives, `l` one that is lost on its way."""
    direction = np.array([letter in "rl" for letter in said], dtype=np.uint8)
    question = np.full(len(said), int("Q" in said), dtype=np.int32)
    arrived = np.array([letter == "r" for letter in said])
    turn, opening = np.empty(len(said), dtype=np.int32), np.empty(len(said), dtype=np.int32)
    with in_form(form):
        rows = np.arange(len(said)), np.zeros(len(said), dtype=np.int32), direction, question, arrived
        count = run(open_turns, len(said), *rows, turn, opening)
    assert turn.tolist() == turns
    assert opening[:count].tolist() == [turns.index(number) for number in range(count)]
