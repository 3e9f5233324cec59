"""Before and after: populations, chance, and what cannot be compared."""

import copy
import itertools
import json
import random
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixcni
from mixcni.comparison import Comparison, schema_text
from mixcni.comparison.changes import BAD, Outcome, causes_of, changes_of
from mixcni.comparison.populations import Callers, Population, Side, Trouble, side_of_report, side_of_saved
from mixcni.comparison.significance import LEVEL, chance_of, enough_after
from mixcni.errors import CaseError, ParameterError
from tests.cases import CAPTURES, FOUNDING, NAMES, Change, copy_of, without_packets

LOST = Trouble("lost", ("B", "C"), "request")
BACK = Trouble("lost", ("A", "B"), "response")
SHOP = Callers("10.0.0.1", "10.0.0.9", 80)


def side(
    populations: dict[Callers, Population], name: str = "x", *, whole: bool = True, causes: dict[str, float] | None = None
) -> Side:
    return Side(name, "loss", "", ("A", "B", "C"), populations, causes or {}, whole)


def outcome_of(before: Population, after: Population) -> Outcome:
    return changes_of(side({SHOP: before}), side({SHOP: after}))[0].outcome


def fisher_twin(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Two-sided, by counting tables with the same margins in whole numbers."""
    (failed, total), (failed_after, total_after) = before, after
    column, every = failed + failed_after, total + total_after

    def ways(k: int) -> int:
        return comb(column, k) * comb(every - column, total - k)

    possible = [ways(k) for k in range(max(0, total - (every - column)), min(column, total) + 1)]
    return sum(way for way in possible if way <= ways(failed)) / comb(every, total)


SHARE = st.integers(0, 25).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(SHARE, SHARE)
def test_the_chance_is_fishers(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert chance_of(before, after) == pytest.approx(fisher_twin(before, after), rel=1e-6)


def test_the_lady_tasting_tea() -> None:
    """Fisher, The Design of Experiments, chapter 2: of 8 cups 4 told rightly, 1 chance in 70 each way."""
    assert chance_of((4, 4), (0, 4)) == pytest.approx(2 / 70)


@given(st.integers(1, 30).flatmap(lambda total: st.tuples(st.integers(1, total), st.just(total))))
def test_enough_is_the_least_that_is_no_chance(before: tuple[int, int]) -> None:
    wanted = enough_after(*before)
    assert wanted is not None or chance_of(before, (0, 100_000)) > LEVEL
    if wanted is not None:
        assert chance_of(before, (0, wanted)) <= LEVEL
        assert wanted == 1 or chance_of(before, (0, wanted - 1)) > LEVEL


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (Population(0, {LOST: 12}), Population(12), Outcome.CURED),
        (Population(12), Population(0, {LOST: 12}), Outcome.NEW),
        (Population(0, {LOST: 12}), Population(0, {LOST: 7}), Outcome.UNCHANGED),
        (Population(0, {LOST: 12}), Population(0, {BACK: 7}), Outcome.MOVED),
        (Population(2, {LOST: 18}), Population(18, {LOST: 2}), Outcome.BETTER),
        (Population(18, {LOST: 2}), Population(2, {LOST: 18}), Outcome.WORSE),
        (Population(9), Population(4), Outcome.FINE),
        (Population(0, {LOST: 1}), Population(1), Outcome.INCOMPARABLE),  # 1 of 2 would be so by chance
        (Population(9, {LOST: 1}), Population(12), Outcome.INCOMPARABLE),  # one in ten may stay away from twelve
        (Population(0, {LOST: 12}), Population(0), Outcome.INCOMPARABLE),
        (Population(0, {LOST: 12}), Population(0, {}, 12), Outcome.INCOMPARABLE),
        (Population(1), Population(0, {LOST: 1}), Outcome.INCOMPARABLE),
    ],
)
def test_outcomes(before: Population, after: Population, outcome: Outcome) -> None:
    assert outcome_of(before, after) == outcome


def test_callers_with_one_conversation_each_count_together() -> None:
    callers = [Callers(f"10.0.0.{n}", "10.0.1.1", 80) for n in range(1, 13)]
    before = side({caller: Population(0, {LOST: 1}) for caller in callers})
    after = side({caller: Population(1) for caller in callers})
    changes = changes_of(before, after)
    assert {(change.outcome, change.together) for change in changes} == {(Outcome.CURED, 12)}
    elsewhere = side({caller._replace(port=80 + n): Population(1) for n, caller in enumerate(callers)})
    apart = side({caller._replace(port=80 + n): Population(0, {LOST: 1}) for n, caller in enumerate(callers)})
    assert {change.outcome for change in changes_of(apart, elsewhere)} == {Outcome.INCOMPARABLE}


def test_a_cure_of_the_port_is_not_lent_to_callers_that_failed_otherwise() -> None:
    few, many = Callers("10.0.0.1", "10.0.1.1", 80), Callers("10.0.0.2", "10.0.1.1", 80)
    before = side({few: Population(0, {BACK: 1}), many: Population(0, {LOST: 20})})
    after = side({few: Population(1), many: Population(20)})
    assert {change.callers: change.outcome for change in changes_of(before, after)} == {
        few: Outcome.INCOMPARABLE,
        many: Outcome.CURED,
    }


def test_a_hop_that_one_path_does_not_have_is_not_called_another_place() -> None:
    before, after = (
        side({SHOP: Population(0, {LOST: 9})}),
        side({SHOP: Population(0, {Trouble("lost", ("A", "C"), "request"): 9})}),
    )
    assert changes_of(before, after)[0].outcome == Outcome.UNCHANGED


@pytest.mark.parametrize(
    ("before", "after", "populations", "outcome"),
    [
        ({"deny": 0.9}, {}, (Population(0, {LOST: 9}), Population(9)), Outcome.CURED),
        (
            {"deny": 0.9},
            {},
            (Population(0, {LOST: 9}), Population(0, {LOST: 9})),
            Outcome.INCOMPARABLE,
        ),  # the dumps may be missing
        ({}, {"deny": 0.9}, (Population(9), Population(0, {LOST: 9})), Outcome.NEW),
        ({}, {"deny": 0.9}, (Population(9), Population(9)), Outcome.INCOMPARABLE),
        ({"deny": 0.9}, {"deny": 0.8}, (Population(0, {LOST: 9}), Population(0, {LOST: 9})), Outcome.UNCHANGED),
    ],
)
def test_causes(
    before: dict[str, float], after: dict[str, float], populations: tuple[Population, Population], outcome: Outcome
) -> None:
    sides = side({SHOP: populations[0]}, causes=before), side({SHOP: populations[1]}, causes=after)
    causes = causes_of(*sides, changes_of(*sides))
    assert [(cause.cause, cause.outcome) for cause in causes] == [("deny", outcome)]


def test_a_possibility_is_no_cause() -> None:
    sides = side({SHOP: Population(9)}, causes={"deny": 0.3}), side({SHOP: Population(9)})
    assert causes_of(*sides, changes_of(*sides)) == ()


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    return {name: mixcni.diagnose(CAPTURES / name).to_dict(every_exchange=True) for name in (FOUNDING, "policy-removed")}


def rebuilt(report: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same traffic with other ports, other conversation numbers and in another order."""
    other = copy.deepcopy(report)
    dice = random.Random(seed)
    numbers = list({exchange["conversation"] for exchange in other["exchanges"]})
    moved = dict(zip(numbers, dice.sample(range(1000, 3000), len(numbers)), strict=True))
    for exchange in other["exchanges"]:
        exchange["conversation"] = moved[exchange["conversation"]]
        exchange["initiator"][1] = 20_000 + exchange["conversation"]
    dice.shuffle(other["exchanges"])
    return other


@pytest.mark.parametrize("seed", range(5))
def test_ports_numbers_and_order_say_nothing(reports: dict[str, dict[str, Any]], seed: int) -> None:
    sides = [side_of_saved(reports[name], name) for name in reports]
    others = [side_of_saved(rebuilt(reports[name], seed), name) for name in reports]
    assert changes_of(sides[0], sides[1]) == changes_of(others[0], others[1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [None, without_packets("C.pcap")])
def test_a_report_and_its_saved_form_have_the_same_populations(tmp_path: Path, name: str, change: Change | None) -> None:
    report = mixcni.diagnose(copy_of(name, tmp_path, *([] if change is None else [change])))
    assert side_of_report(report, "x") == replace(side_of_saved(report.to_dict(every_exchange=True), "x"), whole=True)


@pytest.fixture(scope="module")
def cure() -> Comparison:
    return mixcni.compare(CAPTURES / FOUNDING, CAPTURES / "policy-removed")


def test_deleting_the_policy_cures_the_founding_case(cure: Comparison) -> None:
    assert cure.outcome == "cured"
    frame = cure.changes.set_index("initiator")
    client = frame.loc["10.244.3.7"].to_dict()
    counts = [client[name] for name in ("outcome", "failed_before", "of_before", "failed_after", "of_after")]
    assert counts == ["cured", 12, 12, 0, 12]
    assert set(frame.drop("10.244.3.7")["outcome"]) == {"fine"}
    assert cure.causes[["cause", "outcome"]].to_numpy().tolist() == [
        ["not_managed_by_cilium", "cured"],
        ["policy_denied_ingress", "cured"],
    ]


def test_the_other_way_round_it_is_new() -> None:
    comparison = mixcni.compare(CAPTURES / "policy-removed", CAPTURES / FOUNDING)
    assert comparison.outcome == "new"
    assert comparison.outcome in BAD


@pytest.mark.parametrize("name", NAMES)
def test_a_case_beside_itself_has_not_changed(name: str) -> None:
    comparison = mixcni.compare(CAPTURES / name, CAPTURES / name)
    assert comparison.outcome in {"fine", "unchanged"}
    assert not {change.outcome for change in comparison.populations} & {*BAD, Outcome.CURED, Outcome.BETTER}


def test_saved_reports_compare_as_their_cases_do(tmp_path: Path, cure: Comparison) -> None:
    files = []
    for name in (FOUNDING, "policy-removed"):
        files.append(tmp_path / f"{name}.json")
        mixcni.diagnose(CAPTURES / name).save(files[-1], every_exchange=True)
    saved = mixcni.compare(*files)
    assert saved.changes.equals(cure.changes)


def test_what_was_saved_without_answers_is_not_called_cured(tmp_path: Path) -> None:
    file = tmp_path / "after.json"
    mixcni.diagnose(CAPTURES / "policy-removed").save(file)
    comparison = mixcni.compare(CAPTURES / FOUNDING, file)
    assert comparison.outcome == "incomparable"
    assert comparison.notes == ("after.json was saved without its answered exchanges: save it with --all",)


def test_a_pod_with_a_new_address_is_the_same_one_if_told_so(reports: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "after.json"
    file.write_text(json.dumps(reports["policy-removed"]).replace('"10.244.3.7"', '"10.244.3.12"'))
    before = tmp_path / "before.json"
    before.write_text(json.dumps(reports[FOUNDING]))
    apart = mixcni.compare(before, file)
    assert apart.outcome == "incomparable"
    assert "on the other side 10.244.3.12 called it" in str(apart).replace("\n    ", " ")
    assert mixcni.compare(before, file, same={"10.244.3.7": "10.244.3.12"}).outcome == "cured"
    with pytest.raises(ParameterError, match=r"same: wanted an address of the case before, got '10\.9\.9\.9'"):
        mixcni.compare(before, file, same={"10.9.9.9": "10.244.3.12"})


def test_every_form_has_the_same_facts(cure: Comparison) -> None:
    told = cure.to_dict()
    jsonschema.validate(told, json.loads(schema_text()))
    assert json.loads(cure.to_json()) == told
    flat = " ".join(str(cure).split())
    html = cure._repr_html_()
    for change, row in zip(cure.populations, told["populations"], strict=True):
        assert change.says in flat
        assert change.says in html.replace("&#x27;", "'")
        assert (row["outcome"], row["says"]) == (str(change.outcome), change.says)
    assert max(map(len, str(cure).splitlines())) <= 100
    assert repr(cure).startswith(f"Comparison: {cure.headline}")


def test_a_hostile_name_does_not_leave_the_page_or_steer_the_terminal(reports: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "<script>alert(1)</script>\x1b[2J.json".replace("/", "")
    file.write_text(json.dumps({**reports[FOUNDING], "headline": "loss: \x1b]0;x\x07<img src=x>"}))
    comparison = mixcni.compare(file, file)
    assert "<script" not in comparison._repr_html_()
    assert "<img" not in comparison._repr_html_()
    assert "\x1b" not in str(comparison) + repr(comparison) + comparison._repr_html_()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "wanted a report by mixcni.report/1, found at the top: 'schema' is a required property"),
        ("nonsense", "wanted a report that mixcni saved as JSON, found Expecting value"),
        ("[" * 100_000, "wanted a report that mixcni saved as JSON"),
    ],
)
def test_a_file_that_is_no_report_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(CaseError) as caught:
        mixcni.compare(file, CAPTURES / FOUNDING)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_troubles_are_told_in_words() -> None:
    every = itertools.product(("lost", "refused"), (("A", "B"), None), ("request", "response"))
    assert all(str(Trouble(fate, hop, way if hop else None)) for fate, hop, way in every)
    assert str(BACK) == "lost between A and B on the way back to the initiator"
