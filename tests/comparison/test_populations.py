"""Populations of a report: counted in columns, and again exchange by exchange from what it saves."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

import mixcni
from mixcni.comparison.populations import side_of_report, side_of_saved
from mixcni.report import Report
from mixcni.schema import Direction, Fate
from tests.cases import CAPTURES, with_fates

ROWS = 65  # exchanges in the case
PLACES = st.sampled_from([(-1, -1, -1), (0, 1, Direction.FORWARD), (1, 2, Direction.REVERSE), (2, 3, Direction.FORWARD)])
CHANGES = st.dictionaries(st.integers(0, ROWS - 1), st.tuples(st.sampled_from(list(Fate)), PLACES), max_size=30)


@cache
def case() -> Report:
    return mixcni.diagnose(CAPTURES / "policy-removed")


def test_the_case_has_so_many_exchanges() -> None:
    assert len(case().localisation.fates) == ROWS


@settings(max_examples=60)
@given(CHANGES)
def test_whatever_became_of_exchanges_both_ways_of_counting_agree(
    changes: dict[int, tuple[Fate, tuple[int, int, int]]],
) -> None:
    report = with_fates(
        case(),
        {
            row: {"fate": fate, "near": near, "far": far, "direction": direction}
            for row, (fate, (near, far, direction)) in changes.items()
        },
    )
    counted = side_of_report(report, "x").populations
    assert counted == side_of_saved(report.to_dict(every_exchange=True), "x").populations
    conversations = len(report.localisation.alignment.conversations)
    assert sum(population.decided + population.undecided for population in counted.values()) == conversations
