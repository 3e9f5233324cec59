"""Real kernel traffic recorded now, by a seed that no kept case has, and held against what its applications saw."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mixcni
from tests.cases import CAPTURES

LAB = CAPTURES / "lab" / "record.py"
SEED = 77


def record(name: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, str(LAB), name, "--out", str(out), "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    truth: dict[str, Any] = json.loads((out / name / "truth.json").read_text())
    return truth


@pytest.mark.lab
@pytest.mark.parametrize(
    ("name", "verdict"),
    [("kubenet-to-cilium-with-policy", "loss"), ("kubenet-to-cilium-without-policy", "no_loss")],
)
def test_a_fresh_recording_is_diagnosed_as_its_applications_saw_it(name: str, verdict: str, tmp_path: Path) -> None:
    truth = record(name, tmp_path)
    report = mixcni.diagnose(tmp_path / name)
    assert report.verdict == verdict
    fates: dict[tuple[str, int], set[str]] = {}
    for exchange in report.to_dict(every_exchange=True)["exchanges"]:
        fates.setdefault(tuple(exchange["initiator"]), set()).add(exchange["fate"])
    for attempt in truth["attempts"]:
        assert fates[tuple(attempt["initiator"])] == {"lost" if attempt["outcome"] == "timeout" else "answered"}
    if truth["fault"]:
        loss = report.losses[0]
        assert (loss["hop"], loss["direction"], loss["cause"]) == (["B", "C"], "request", "policy_denied_ingress")


@pytest.mark.lab
def test_the_lab_leaves_no_namespace_behind(tmp_path: Path) -> None:
    def listed() -> set[str]:
        done = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
        return {line.split()[0] for line in done.stdout.splitlines() if line.startswith("mixcni-lab-")}

    before = listed()
    record("cilium-to-kubenet-without-policy", tmp_path)
    assert listed() <= before


def test_the_lab_names_its_cases_without_root() -> None:
    done = subprocess.run([sys.executable, str(LAB), "--list"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 6
    wrong = subprocess.run([sys.executable, str(LAB), "policy-remove"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr) == (1, "record.py: no case 'policy-remove'; did you mean policy-removed?\n")
