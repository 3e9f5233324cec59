"""The recorded cases, and copies of them with something changed."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mixcni
from mixcni.report import Report

ROOT = Path(__file__).resolve().parents[1]
CAPTURES = ROOT / "captures"
FOUNDING = "networkpolicy-drop"
NAMES = (
    FOUNDING,
    "policy-removed",
    "kubenet-to-cilium-with-policy",
    "cilium-to-kubenet-with-policy",
    "kubenet-to-cilium-without-policy",
    "cilium-to-kubenet-without-policy",
)
DENIED = (FOUNDING, "kubenet-to-cilium-with-policy")
PCAP_HEADER = 24

Change = Callable[[Path], object]


def truth_of(name: str) -> dict[str, Any]:
    """What the applications of a recorded case saw."""
    record: dict[str, Any] = json.loads((CAPTURES / name / "truth.json").read_text())
    return record


def copy_of(name: str, tmp_path: Path, *changes: Change) -> Path:
    """A copy of a recorded case, without its truth, after `changes` were made to its folder."""
    folder = tmp_path / name
    shutil.copytree(CAPTURES / name, folder, ignore=shutil.ignore_patterns("truth.json"))
    for change in changes:
        change(folder)
    return folder


def diagnose_changed(tmp_path: Path, *changes: Change, name: str = FOUNDING) -> Report:
    """The report on a changed copy of a recorded case."""
    return mixcni.diagnose(copy_of(name, tmp_path, *changes))


def without(file: str) -> Change:
    """Remove a file of the case."""
    return lambda folder: (folder / file).unlink()


def without_packets(file: str) -> Change:
    """Leave a capture's file header alone."""
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:PCAP_HEADER])


def replaced(file: str, old: str, new: str) -> Change:
    """Replace a text that must be there in a file of the case."""

    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (folder / file).write_text(text.replace(old, new))

    return change


def with_fates(report: Report, changes: Mapping[int, Mapping[str, int]]) -> Report:
    """The report with some columns of some rows of its fate table changed."""
    fates = report.localisation.fates
    columns = {name: column.copy() for name, column in fates.columns().items()}
    for row, values in changes.items():
        for name, value in values.items():
            columns[name][row] = value
    made = type(fates)(columns, fates.request_seen, fates.response_seen)
    return replace(report, localisation=replace(report.localisation, fates=made))
