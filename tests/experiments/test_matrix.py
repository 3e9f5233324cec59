"""Cases as experiments: the recorded ones, and copies of them that say less."""

import json
from pathlib import Path

import jsonschema
import pytest

import mixcni
from mixcni.errors import ParameterError
from mixcni.experiments import Matrix, schema_text
from mixcni.experiments.scenario import experiments_of
from mixcni.schema import Fate
from tests.cases import CAPTURES, FOUNDING, NAMES, copy_of, replaced, truth_of, with_fates, without

FOUR = sorted(name for name in NAMES if name.endswith("-policy"))
SCENARIO = '[scenario]\ninitiator = "kubenet"\nresponder = "cilium"\nnetwork_policy = true\n'


@pytest.fixture(scope="module")
def four() -> Matrix:
    return mixcni.matrix(CAPTURES / name for name in FOUR)


def test_the_four_experiments_say_when_it_fails(four: Matrix) -> None:
    assert four.statement == "a kubenet pod calls a policy-protected pod on a Cilium node"
    assert four.headline.startswith(f"fails exactly when {four.statement}, in 6 experiments")
    assert [four.words(statement) for statement in four.others] == ["a kubenet pod calls a policy-protected pod"]
    assert four.fit.deciding == (("kubenet", "kubenet", True),)


@pytest.mark.parametrize("name", NAMES)
def test_each_outcome_is_what_the_clients_saw(name: str) -> None:
    (main, *_) = mixcni.matrix([CAPTURES / name]).experiments
    record = truth_of(name)
    assert (main.outcome == "fails") == (record["fault"] is not None and main.failed > 0)
    assert main.decided in {6, 12}


def test_other_pods_calls_in_a_case_are_experiments_of_their_own(four: Matrix) -> None:
    others = [experiment for experiment in four.experiments if experiment.callers]
    assert {experiment.callers for experiment in others} == {"10.242.2.31 → 10.242.2.149:8080"}
    assert {(e.factors["initiator"], e.factors["responder"], e.outcome) for e in others} == {("cilium", "cilium", "works")}


def test_what_case_toml_does_not_say_is_taken_from_the_dumps(tmp_path: Path) -> None:
    folder = copy_of(FOUNDING, tmp_path, replaced("case.toml", SCENARIO, ""))
    (main, *_) = mixcni.matrix([folder]).experiments
    assert dict(main.factors) == {"initiator": "kubenet", "responder": "cilium", "network_policy": True}
    assert main.inferred == ("initiator", "responder", "network_policy")


def test_without_the_dumps_it_says_what_is_not_known(tmp_path: Path) -> None:
    folder = copy_of(FOUNDING, tmp_path, replaced("case.toml", SCENARIO, ""), without("cilium/endpoint-list.txt"))
    table = mixcni.matrix([folder, CAPTURES / "policy-removed"])
    main = table.experiments[0]
    assert main.lacks == ("responder", "network_policy")
    assert any("its responder and network_policy is not known; case.toml can say it" in note for note in table.notes)
    assert table.headline.startswith("works in all of")


def test_a_scenario_that_the_dumps_contradict_is_told(tmp_path: Path) -> None:
    folder = copy_of(FOUNDING, tmp_path, replaced("case.toml", "network_policy = true", "network_policy = false"))
    notes = mixcni.matrix([folder]).notes
    assert f"{FOUNDING}: case.toml says network_policy = false, and the dumps say true" in notes


def test_no_statement_fits_where_the_same_fails_and_works(tmp_path: Path) -> None:
    folder = copy_of("policy-removed", tmp_path, replaced("case.toml", "network_policy = false", "network_policy = true"))
    table = mixcni.matrix([CAPTURES / FOUNDING, folder])
    assert table.statement is None
    assert "it both fails and works when a kubenet pod calls a policy-protected pod on a Cilium node" in table.headline
    assert table.to_dict()["contradictions"] == [{"initiator": "kubenet", "responder": "cilium", "network_policy": True}]


def test_every_form_has_the_same_facts(four: Matrix) -> None:
    told = four.to_dict()
    jsonschema.validate(told, json.loads(schema_text()))
    assert json.loads(four.to_json()) == told
    html, text = four._repr_html_(), str(four)
    for experiment, row in zip(four.experiments, told["experiments"], strict=True):
        assert (experiment.name, experiment.outcome) == (row["case"], row["outcome"])
        assert experiment.name in text
        assert experiment.name in html
    assert four.table["outcome"].tolist() == [row["outcome"] for row in told["experiments"]]
    assert all(len(line) <= 130 for line in text.splitlines())


def test_the_figure_shows_every_experiment_in_words(four: Matrix) -> None:
    svg = four.figure().svg
    assert svg.count("works") >= 5
    assert "fails 6/6" in svg
    assert all(name in svg for name in FOUR)


def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    folder = copy_of(FOUNDING, tmp_path, replaced("case.toml", 'initiator = "kubenet"', r'initiator = "<b>\u001b[2J$x$"'))
    moved = folder.rename(tmp_path / "<img src=x>")
    table = mixcni.matrix([moved])
    forms = table._repr_html_() + table.figure().svg
    assert "<img" not in forms
    assert "<b>\\" not in forms
    assert "\x1b" not in forms + str(table)


def test_no_case_is_a_mistake() -> None:
    with pytest.raises(ParameterError, match="cases: wanted at least one, got none"):
        mixcni.matrix([])


def test_a_conversation_that_was_not_followed_to_its_end_counts_for_nothing() -> None:
    case = mixcni.open_case(CAPTURES / FOUNDING)
    report = mixcni.diagnose(case)
    table, fates = report.localisation.alignment.conversations, report.localisation.fates
    calls = [row for row, text in enumerate(table.book.texts(table["initiator"])) if text == "10.242.2.31"]
    last = max(row for row in range(len(fates)) if fates["conversation"][row] == calls[0])
    (_, other) = experiments_of("x", case, with_fates(report, {last: {"fate": Fate.UNDECIDED}}))
    assert (other.outcome, other.failed, other.decided) == ("works", 0, len(calls) - 1)
