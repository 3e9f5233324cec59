"""Checksums of inputs: of what was read, when they are asked for, and none of what is no longer there."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

import mixcni
from mixcni.report import InputFile
from tests.cases import CAPTURES, FOUNDING


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CAPTURES / FOUNDING, tmp_path / "case"))


def test_every_input_is_named_by_the_checksum_of_what_was_read_of_it(folder: Path) -> None:
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}
    report = mixcni.diagnose(folder)
    with (folder / "A.pcap").open("ab") as stream:
        stream.write(b"a capture that still runs")
    inputs = report.to_dict()["inputs"]
    assert len(inputs) > 3
    assert {Path(entry["file"]).name: entry["sha256"] for entry in inputs}.items() <= before.items()


def test_of_a_file_that_is_gone_there_is_no_checksum(folder: Path) -> None:
    report = mixcni.diagnose(folder)
    (folder / "A.pcap").unlink()
    inputs = {Path(entry["file"]).name: entry["sha256"] for entry in report.to_dict()["inputs"]}
    assert inputs["A.pcap"] is None
    assert inputs["B.pcap"] is not None
    report.save(folder / "report.md")
    assert re.search(r"\| A\.pcap \| \d+ \| none \| gone since \|", (folder / "report.md").read_text())


def test_of_a_file_that_was_cut_since_there_is_no_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(bytes(90))
    assert InputFile("a.pcap", path, 100, 1).sha256 is None
