"""The recorded cases end to end: the whole report as a baseline, and its verdict against what the applications saw."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mixcni
from mixcni.report import Report, schema_text
from tests.cases import CAPTURES, DENIED, NAMES, truth_of

BASELINES = Path(__file__).with_name("baselines")


@cache
def report_on(name: str) -> Report:
    return mixcni.diagnose(mixcni.open_case(CAPTURES / name))


def check_baseline(path: Path, text: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-baselines"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"run pytest --update-baselines, and read the difference in {path.name}"


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_report_is_the_baseline(name: str, request: pytest.FixtureRequest) -> None:
    check_baseline(BASELINES / f"{name}.txt", f"{report_on(name)}\n", request)
    check_baseline(BASELINES / f"{name}.json", f"{report_on(name).to_json()}\n", request)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("every_exchange", [False, True])
def test_the_json_holds_to_its_schema(name: str, every_exchange: bool) -> None:
    jsonschema.validate(
        json.loads(report_on(name).to_json(every_exchange=every_exchange)),
        json.loads(schema_text()),
        cls=jsonschema.Draft202012Validator,
    )


def test_the_schema_is_one_and_refuses_what_is_not_in_it() -> None:
    schema = json.loads(schema_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = report_on(NAMES[0]).to_dict()
    wrong: list[dict[str, Any]] = [
        {**good, "verdict": "perhaps"},
        {**good, "more": 1},
        {name: value for name, value in good.items() if name != "losses"},
        {**good, "losses": [{**good["losses"][0], "hop": ["B"]}]},
        {**good, "exchanges": [{**good["exchanges"][0], "fate": "gone"}]},
    ]
    assert validator.is_valid(good)
    assert not any(validator.is_valid(report) for report in wrong)


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_what_was_done_to_the_packets(name: str) -> None:
    fault, report = truth_of(name)["fault"], report_on(name).to_dict()
    if fault is None:
        assert (report["verdict"], report["losses"]) == ("no_loss", [])
        return
    assert report["verdict"] == "loss"
    assert [(loss["hop"], loss["direction"], loss["cause"]) for loss in report["losses"]] == [
        (fault["hop"], fault["direction"], fault["mechanism"])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_attempt_has_the_fate_that_its_application_saw(name: str) -> None:
    fates: dict[tuple[str, int], list[str]] = {}
    for exchange in report_on(name).to_dict(every_exchange=True)["exchanges"]:
        fates.setdefault(tuple(exchange["initiator"]), []).append(exchange["fate"])
    for attempt in truth_of(name)["attempts"]:
        seen = fates[tuple(attempt["initiator"])]
        if attempt["outcome"] == "timeout":
            assert seen == ["lost"]
        else:
            assert seen == ["answered"] * (1 + len(attempt["requests"])), "the handshake and each request"


@pytest.mark.parametrize("name", DENIED)
def test_the_incidents_own_table(name: str) -> None:
    attempts = sum(attempt["outcome"] == "timeout" for attempt in truth_of(name)["attempts"])
    points: Any = report_on(name).points
    assert points[["requests", "responses"]].to_dict("index") == {
        "A": {"requests": attempts, "responses": 0},
        "B": {"requests": attempts, "responses": 0},
        "C": {"requests": 0, "responses": 0},
    }
    at_c = points.loc["C"].to_dict()
    assert at_c["other_conversations"] == at_c["other_answered"] > 0


@pytest.mark.parametrize("name", DENIED)
def test_every_remedy_that_can_be_checked_lets_every_lost_request_pass(name: str) -> None:
    report = report_on(name).to_dict()
    remedies = report["findings"][0]["remedies"]
    lost = report["losses"][0]["exchanges"]
    assert len(remedies) == 4
    assert [remedy["checked"] for remedy in remedies if remedy["checked"]] == [{"would_pass": lost, "of": lost}] * 3
    assert "cidr: 10.244.3.0/24" in remedies[0]["yaml"]


@pytest.mark.parametrize("name", DENIED)
def test_evidence_cites_lines_and_frames_that_say_so(name: str) -> None:
    """Each cited dump line is there and names what the sentence names; each cited frame is there."""
    for fact in report_on(name).to_dict()["findings"][0]["evidence"]:
        file = CAPTURES / name / fact["file"]
        if fact["line"] is None:
            assert fact["frames"]
            continue
        line = file.read_text().splitlines()[fact["line"] - 1]
        words = {"endpoint-list.txt": "10.242.2.149", "ipcache-list.txt": "0.0.0.0/0", "ct-list.txt": "10.242.2.149:8080"}
        assert words.get(file.name, "") in line
