"""The benchmark's table: medians, ratios the right way round, and what stands empty."""

import pytest

from bench.table import COLUMNS, Result, cells, markdown, ratio

FLOOR = Result("preadv", 1_000_000, (0.1,), 2**20)
OURS = Result("mixcni-decode", 1_000_000, (0.5, 0.4, 9.0), 300 * 2**20)
SLOW = Result("slow", 10_000, (2.0, 1.0, 0.5), 2**20, "mixcni-decode", 60)
ORPHAN = Result("orphan", 10_000, (1.0,), 2**20, "mixcni-flows", 20)


def test_a_rate_is_by_the_median():
    assert OURS.rate == 1_000_000 / 0.5


def test_a_ratio_above_one_says_that_mixcni_is_faster():
    assert ratio(SLOW, [OURS, SLOW]) == pytest.approx(2_000_000 / 10_000)


@pytest.mark.parametrize("result", [FLOOR, OURS, ORPHAN])
def test_there_is_no_ratio_without_a_row_that_does_the_same_work(result):
    assert ratio(result, [FLOOR, OURS, SLOW, ORPHAN]) is None


def test_rows_say_what_was_measured():
    floor, ours, slow = cells([FLOOR, OURS, SLOW], "preadv")
    assert floor == ("preadv", "1,000,000", "10,000,000", "0.100", "±0%", "", "", "1", "")
    assert ours == ("mixcni-decode", "1,000,000", "2,000,000", "0.500", "±860%", "", "", "300", "20%")
    assert slow == ("slow", "10,000", "10,000", "1.000", "±75%", "200x as fast", "60x", "1", "")


def test_no_share_of_reading_where_reading_was_not_measured():
    assert cells([OURS], "preadv")[0][-1] == ""


def test_markdown_has_a_cell_a_column():
    lines = markdown(COLUMNS, cells([FLOOR, OURS], "preadv")).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
