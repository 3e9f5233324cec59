"""One recording of each way in which the lab makes, carries and hides a fault; its truth against counters and logs."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from addresses import addresses_of
from kinds import draw_scenario
from scenario import Scenario

from tests.cases import CAPTURES

SUITE = CAPTURES / "lab" / "suite.py"
Condition = Callable[[Scenario], bool]

# What a case has to be like, and the kind that is drawn from until one is.
WANTED: dict[str, tuple[str, Condition]] = {
    "rules": (
        "drop-requests",
        lambda s: s.mechanism == "nft" and s.carrier == "plain" and s.what == "all" and s.select == "share",
    ),
    "responses": (
        "drop-responses",
        lambda s: s.mechanism == "nft" and s.carrier == "plain" and s.what == "data" and not s.offload,
    ),
    "route": ("drop-requests", lambda s: s.mechanism == "route"),
    "wire": ("drop-requests", lambda s: s.mechanism == "wire" and s.select == "share" and s.what == "all"),
    "queue": ("transient-loss", lambda s: s.mechanism == "tbf" and s.carrier == "plain"),
    "neighbour": ("arp-unanswered", lambda s: s.carrier == "plain"),
    "mtu": ("mtu-black-hole", lambda s: s.mechanism == "mtu" and s.direction == "response" and s.action == "frag-needed-ignored"),
    "refusal": ("reject-rst", lambda s: s.mechanism == "nft"),
    "both translations": ("snat-loss", lambda s: s.carrier == "both" and s.what == "all" and s.manifest and s.scope),
    "vxlan": ("vxlan-loss", lambda s: s.element == "underlay" and s.direction == "request"),
    "geneve": ("tunnel-loss", lambda s: s.carrier == "geneve"),
    "ipip": ("tunnel-loss", lambda s: s.carrier == "ipip" and s.element == "underlay"),
    "memory of ports": ("stale-entry", lambda s: s.element == "node-2"),
    "names": ("dns", lambda s: s.verdict == "loss" and s.mechanism == "nft"),
    "asymmetry": ("asymmetric-loss", lambda s: s.direction == "response"),
    "full queue": ("server-overload", lambda s: s.carrier == "plain"),
    "nothing": ("none", lambda s: len(s.layout) == 4),
}


def name_of(what: str) -> str:
    kind, condition = WANTED[what]
    seed = next(seed for seed in range(1, 1_000) if condition(draw_scenario(kind, seed)))
    return f"{kind}-{seed}" + ("-noisy" if what == "nothing" else "")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the recordings, several made at a time."""
    out = tmp_path_factory.mktemp("suite")
    names = [argument for what in WANTED for argument in ("--case", name_of(what))]
    done = subprocess.run(
        [sys.executable, str(SUITE), str(out), "--record", *names], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return out


def truth_of(suite: Path, what: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((suite / name_of(what) / "truth.json").read_text())
    return truth


def initiators(entries: list[dict[str, Any]], names: list[dict[str, Any]] | None = None) -> set[tuple[str, int]]:
    """The initiators of log entries; of flows by every name that a point has for them."""
    found = {tuple(entry["initiator"]) for entry in entries}
    for flow in names or []:
        found |= {tuple(ends[0]) for ends in flow["names"].values()}
    return found


@pytest.mark.lab
@pytest.mark.parametrize("what", WANTED)
def test_a_recording_is_whole_and_its_truth_fits_its_scenario(suite: Path, what: str) -> None:
    truth = truth_of(suite, what)
    scenario = draw_scenario(truth["kind"], truth["seed"])
    assert truth["scenario"] == json.loads(json.dumps(scenario.said() | {"layout": scenario.layout}))
    assert all(summary["dropped_by_kernel"] == 0 for summary in truth["captures"].values())
    for point, told in truth["points"].items():
        files = list((suite / name_of(what) / "case").glob(f"{point}[.-]*"))
        assert bool(files) == (not told["noise"].get("removed", False))
    assert (suite / name_of(what) / "case" / "case.toml").exists() == scenario.manifest
    if scenario.verdict == "loss":
        assert truth["hop"] == list(scenario.hop(scenario.points) or ())
        assert all(flow["decidable"] for flow in truth["failing"])
    else:
        assert (truth["verdicts"], truth["failing"]) == (["no_loss"], [])


@pytest.mark.lab
@pytest.mark.parametrize("what", [what for what in WANTED if what not in {"route", "full queue", "nothing"}])
def test_the_faults_own_counter_saw_packets(suite: Path, what: str) -> None:
    assert max(count for count in truth_of(suite, what)["counted"].values() if isinstance(count, int)) > 0


@pytest.mark.lab
@pytest.mark.parametrize(
    "what", ["rules", "route", "wire", "neighbour", "both translations", "vxlan", "refusal", "memory of ports"]
)
def test_what_is_lost_on_the_way_there_never_comes_to_the_server(suite: Path, what: str) -> None:
    truth = truth_of(suite, what)
    failed = [flow for flow in truth["failing"] if truth["scenario"].get("reuse_ports", 0) == 0]
    assert not initiators(failed, failed) & initiators(truth["server"])
    answered = sum(isinstance(entry["outcome"], int) for entry in truth["server"])
    assert answered == sum(isinstance(r["outcome"], int) for attempt in truth["attempts"] for r in attempt["requests"])


@pytest.mark.lab
@pytest.mark.parametrize("what", ["responses", "mtu"])
def test_what_is_lost_on_the_way_back_was_answered_by_the_server(suite: Path, what: str) -> None:
    truth = truth_of(suite, what)
    assert truth["failing"]
    assert initiators(truth["failing"]) <= initiators(truth["server"])


@pytest.mark.lab
def test_the_wire_lost_packets_of_the_failing_flows_alone(suite: Path) -> None:
    truth = truth_of(suite, "wire")
    assert sorted({flow["initiator"][1] for flow in truth["failing"]}) == truth["counted"]["ports"]


@pytest.mark.lab
def test_dropped_syns_are_what_the_rule_counted(suite: Path) -> None:
    """Where all of a flow's requests are dropped, each of its SYNs is, and nothing else ever follows."""
    truth = truth_of(suite, "rules")
    seen = [point for point in truth["points"] if point == truth["hop"][0]]
    assert seen
    assert truth["counted"]["dropped_packets"] == sum(flow["sent"][seen[0]] for flow in truth["failing"])


@pytest.mark.lab
def test_a_translated_flow_has_another_name_behind_it(suite: Path) -> None:
    truth = truth_of(suite, "both translations")
    known = addresses_of(draw_scenario(truth["kind"], truth["seed"]))
    for attempt in truth["attempts"]:
        first, *others = attempt["names"].values()
        assert first[1] == [known.service, 80]
        assert all(name[0] != first[0] and name[1] == [known.server, 8080] for name in others)


@pytest.mark.lab
def test_scoring_leaves_reports_beside_the_truth_and_prints_a_row_a_kind(suite: Path, tmp_path: Path) -> None:
    scored = ("rules", "responses", "wire", "nothing")
    for what in scored:
        (tmp_path / name_of(what)).symlink_to(suite / name_of(what))
    done = subprocess.run([sys.executable, str(SUITE), str(tmp_path), "--score"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    heading, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert heading.split()[:3] == ["kind", "recordings", "verdict"]
    assert {row.split()[0] for row in rows} == {WANTED[what][0] for what in scored} | {"all"}
    for what in scored:
        report, truth = json.loads((suite / name_of(what) / "report.json").read_text()), truth_of(suite, what)
        assert report["verdict"] in truth["verdicts"]
        assert all(loss["hop"] in truth["hops"] for loss in report["losses"])


def test_the_suite_names_its_kinds_without_root_and_helps_with_a_wrong_name(tmp_path: Path) -> None:
    listed = subprocess.run([sys.executable, str(SUITE), "--list"], capture_output=True, text=True, check=True)
    assert "drop-requests" in listed.stdout.split()
    wrong = subprocess.run(
        [sys.executable, str(SUITE), str(tmp_path), "--case", "drop-request-3"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    assert (
        wrong.stderr == "suite.py: no case 'drop-request-3': wanted KIND-SEED or KIND-SEED-noisy; did you mean drop-requests?\n"
    )
