"""The score's arithmetic, on reports and truths made by hand."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from score import Marks, calibration, judge, table, true_offset

FLOW, OTHER = ("10.0.0.1", 40_000), ("10.0.0.1", 40_001)
BEHIND = ("192.168.0.1", 50_000)
SERVER = ("10.0.0.9", 80)


def report(**changes: Any) -> dict[str, Any]:
    """A report that blames A→B for one flow's request; in every part as it comes out of JSON."""
    said = {
        "verdict": "loss",
        "path": ["A", "B"],
        "losses": [{"hop": ["A", "B"], "direction": "request", "confidence": 0.95}],
        "exchanges": [exchange(FLOW)],
        "points": [clock("A", 0, 0), clock("B", 1_000, 50)],
    }
    done: dict[str, Any] = json.loads(json.dumps(said | changes))
    return done


def exchange(initiator: tuple[str, int], hop: tuple[str, str] | None = ("A", "B")) -> dict[str, Any]:
    return {"initiator": initiator, "hop": hop, "fate": "lost" if hop else "silent"}


def clock(point: str, offset_ns: int | None, uncertainty_ns: int | None, drift_ppm: float | None = None) -> dict[str, Any]:
    return {"point": point, "clock": {"offset_ns": offset_ns, "uncertainty_ns": uncertainty_ns, "drift_ppm": drift_ppm}}


def truth(**changes: Any) -> dict[str, Any]:
    true = {
        "verdicts": ["loss"],
        "hop": ["A", "B"],
        "hops": [["A", "B"]],
        "direction": "request",
        "failing": [failing(FLOW)],
        "points": {"A": at(0), "B": at(1_020)},
    }
    done: dict[str, Any] = json.loads(json.dumps(true | changes))
    return done


def failing(initiator: tuple[str, int], *, decidable: bool = True) -> dict[str, Any]:
    names = {"A": (initiator, SERVER), "B": (BEHIND, SERVER)}
    return {"initiator": initiator, "responder": SERVER, "names": names, "decidable": decidable}


def at(offset_ns: int, drift_ppm: float = 0.0, window_ns: tuple[int, int] | None = (0, 10**9)) -> dict[str, Any]:
    return {"clock": {"offset_ns": offset_ns, "drift_ppm": drift_ppm, "at_ns": 0}, "window_ns": window_ns}


def test_a_report_that_is_right_in_all_is_clean() -> None:
    marks = judge(report(), truth())
    assert marks.is_clean
    assert (marks.verdicts, marks.hops, marks.directions, marks.losses) == (1, 1, 1, 1)
    assert (marks.blamed, marks.blamed_rightly, marks.failing, marks.found) == (1, 1, 1, 1)
    assert marks.offsets == (1, 1)
    assert marks.stated == [(0.95, True)]


@pytest.mark.parametrize(
    ("said", "true", "expected"),
    [
        pytest.param(
            {"verdict": "no_loss", "losses": [], "exchanges": []}, {}, {"wrong": 1, "verdicts": 0, "losses": 0}, id="missed"
        ),
        pytest.param({"verdict": "undecided", "losses": [], "exchanges": []}, {}, {"undecided": 1, "wrong": 0}, id="undecided"),
        pytest.param(
            {"verdict": "undecided", "losses": [], "exchanges": []},
            {"verdicts": ["loss", "undecided"]},
            {"undecided": 0, "verdicts": 1, "wrong": 0, "failing": 0},
            id="undecided is right as well",
        ),
        pytest.param(
            {"losses": [{"hop": ["B", "C"], "direction": "request", "confidence": 0.95}]},
            {},
            {"hops": 0, "directions": 1, "sure_wrong": 1, "stated": [(0.95, False)]},
            id="wrong hop, sure",
        ),
        pytest.param(
            {"losses": [{"hop": ["B", "C"], "direction": "request", "confidence": 0.9}]},
            {},
            {"hops": 0, "sure_wrong": 0},
            id="wrong hop, not sure",
        ),
        pytest.param(
            {"losses": [{"hop": ["A", "B"], "direction": "response", "confidence": 0.95}]},
            {},
            {"hops": 1, "directions": 0, "sure_wrong": 1},
            id="wrong direction",
        ),
        pytest.param(
            {"losses": [{"hop": ["A", "C"], "direction": "request", "confidence": 0.95}]},
            {"hops": [["A", "B"], ["A", "C"]]},
            {"hops": 1, "sure_wrong": 0},
            id="a wider hop that is right as well",
        ),
        pytest.param(
            {},
            {"verdicts": ["no_loss"], "hop": None, "hops": [], "direction": None, "failing": []},
            {"wrong": 1, "sure_wrong": 1, "blamed": 1, "blamed_rightly": 0, "losses": 0},
            id="blame without a loss",
        ),
        pytest.param(
            {"exchanges": [exchange(FLOW), exchange(OTHER)]},
            {"failing": [failing(FLOW), failing(("10.0.0.1", 40_002))]},
            {"blamed": 2, "blamed_rightly": 1, "failing": 2, "found": 1},
            id="one flow too many and one too few",
        ),
        pytest.param(
            {"exchanges": [exchange(BEHIND)]}, {}, {"blamed_rightly": 1, "found": 1}, id="a flow by another point's name"
        ),
        pytest.param({"exchanges": [exchange(FLOW, None)]}, {}, {"blamed": 0, "found": 0}, id="a fate that blames no hop"),
        pytest.param(
            {"exchanges": []},
            {"failing": [failing(FLOW, decidable=False)]},
            {"failing": 0, "found": 0},
            id="a flow that nobody can decide",
        ),
        pytest.param(
            {"exchanges": [exchange(FLOW)]},
            {"failing": [failing(FLOW, decidable=False)]},
            {"blamed": 1, "blamed_rightly": 1},
            id="blamed rightly beyond what is asked",
        ),
    ],
)
def test_what_is_wrong_is_counted_where_it_belongs(said: dict[str, Any], true: dict[str, Any], expected: dict[str, Any]) -> None:
    marks = judge(report(**said), truth(**true))
    assert {name: getattr(marks, name) for name in expected} == expected


@pytest.mark.parametrize(("offset", "uncertainty", "right"), [(1_070, 50, 1), (1_071, 50, 0), (970, 50, 1), (969, 50, 0)])
def test_an_offset_is_right_within_its_interval(offset: int, uncertainty: int, right: int) -> None:
    assert judge(report(points=[clock("A", 0, 0), clock("B", offset, uncertainty)]), truth()).offsets == (right, 1)


def test_an_offset_that_is_not_stated_is_not_marked() -> None:
    points = [clock("A", 0, 0), clock("B", None, None), clock("C", 5, None)]
    assert judge(report(points=points), truth(points={"A": at(0), "B": at(1), "C": at(2)})).offsets == (0, 0)


def test_where_the_first_point_has_no_clock_the_next_one_is_the_reference() -> None:
    points = [clock("A", None, None), clock("B", 0, 0), clock("C", 30, 5)]
    true = truth(points={"A": at(10**9, window_ns=None), "B": at(100), "C": at(133)})
    assert judge(report(path=["A", "B", "C"], points=points), true).offsets == (1, 1)


def test_with_drift_the_true_offset_is_what_it_was_while_both_captured() -> None:
    """100 ppm from 1 s to 3 s: 100 to 300 µs, less what the reference gained at 10 ppm."""
    reference, point = at(5, 10.0, (0, 3 * 10**9)), at(7, 100.0, (10**9, 9 * 10**9))
    assert true_offset(reference, point) == (2 + 90_000, 2 + 270_000)


@pytest.mark.parametrize(("stated", "right"), [(100.9, 1), (101.1, 0)])
def test_a_drift_is_right_within_one_ppm(stated: float, right: int) -> None:
    true = truth(points={"A": at(0, -20.0), "B": at(0, 80.0)})
    assert judge(report(points=[clock("A", 0, 0, 0.0), clock("B", 0, None, stated)]), true).drifts == (right, 1)


MARKS = st.builds(Marks, *(st.integers(0, 9) for _ in range(12)), st.tuples(st.integers(0, 3), st.integers(3, 5)))


@given(MARKS, MARKS, MARKS)
def test_marks_add_up_in_any_order(a: Marks, b: Marks, c: Marks) -> None:
    before = copy.deepcopy((a, b, c))
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + Marks() == a
    assert (a, b, c) == before


def test_the_table_has_a_row_a_kind_and_their_sum() -> None:
    one = judge(report(), truth())
    lines = table([("b", one), ("a", one), ("b", judge(report(verdict="undecided", losses=[]), truth()))]).splitlines()
    assert [line.split()[0] for line in lines] == ["kind", "a", "b", "all"]
    assert lines[2].split()[1:5] == ["2", "1/2", "1/1", "1/1"]
    assert lines[3].split()[1:3] == ["3", "2/3"]
    assert len({len(line) for line in lines}) == 1


def test_calibration_holds_stated_confidence_against_what_was_right() -> None:
    marks = [Marks(stated=[(0.95, True), (0.96, False), (0.99, True), (1.0, True)]), Marks(stated=[(0.4, False)])]
    rows = {line[:4]: line.split()[3:] for line in calibration(marks).splitlines()[1:]}
    assert rows["0.95"] == ["2", "50.0%"]
    assert rows["0.99"] == ["2", "100.0%"]
    assert rows["0.00"] == ["1", "0.0%"]
    assert rows["0.70"] == ["0", "-"]
