"""`mixcni cluster`: the contract of its JSON, its tables, and what it says of lines that it does not understand."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mixcni.cli import main
from mixcni.cluster.kinds import TABLES
from mixcni.cluster.plain import columns
from tests.cluster import crafted
from tests.cluster.dumps import SAMPLES

DUMP_KEYS = ["file", "line", "kind", "version", "node", "entries", "unparsed", "unavailable"]


def run(*arguments: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(main, ["cluster", *map(str, arguments)], input=text)


def rows(result: Result) -> list[dict[str, Any]]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_dump_a_line_as_the_contract_has_it() -> None:
    found = rows(run(SAMPLES, "--json"))
    assert {tuple(row) for row in found} == {tuple(DUMP_KEYS)}
    (seed,) = [row for row in found if row["file"].endswith("seed-ct-list.txt")]
    assert seed == {
        "file": str(SAMPLES / "seed-ct-list.txt"), "line": 1, "kind": "ct", "version": "1.8-1.15", "node": None, "entries": 20,
        "unparsed": [], "unavailable": None,
    }  # fmt: skip


def test_a_command_that_failed_says_so_beside_its_lack_of_entries() -> None:
    (failed,) = rows(run(SAMPLES / "cilium-bpf-nat-list.md", "--json"))
    (empty,) = rows(run(SAMPLES / "cilium-bpf-lb-list.md", "--json"))
    assert (failed["kind"], failed["entries"]) == ("nat", 0)
    assert failed["unavailable"]
    assert (empty["kind"], empty["entries"], empty["unavailable"]) == ("lb", 0, None)


def test_lines_that_do_not_parse_are_numbered_without_a_limit() -> None:
    text = crafted.IPCACHE + "what is this\n" * 1500
    (dump,) = rows(run("-", "--json", text=text))
    assert dump["unparsed"] == list(range(4, 1504))
    shown = run("-", text=text).stdout
    assert "-:4: 'what' is no prefix: what is this" in shown
    assert "-:14:" not in shown
    assert "and 1490 more lines of this dump" in shown


@pytest.mark.parametrize("name", crafted.TEXTS)
def test_entries_are_one_a_line_with_their_fields_by_name(name: str) -> None:
    kind, text, count = crafted.TEXTS[name]
    found = [row for row in rows(run("-", "--entries", text=text)) if row["kind"] != "health"]
    assert len(found) == count
    names = columns(TABLES[kind])
    assert {item.name for item in fields(TABLES[kind])} - {"file", "line"} <= set(names)
    assert {tuple(row) for row in found} == {("file", "line", "kind", *names)}
    assert {(row["file"], row["kind"]) for row in found} == {("-", kind)}
    lines = text.split("\n")
    assert all(lines[row["line"] - 1].strip() for row in found)


def test_entries_have_addresses_as_text_and_what_is_absent_as_null() -> None:
    entry = rows(run("-", "--entries", text=crafted.CT))[2]
    assert (entry["source"], entry["source_port"], entry["packets"], entry["extra"]) == ("fd00::9", 41000, None, {})
    (service,) = [row for row in rows(run("-", "--entries", text=crafted.SERVICES)) if row["id"] == 3]
    assert [backend["address"] for backend in service["backends"]] == ["10.0.0.9", "10.0.1.9"]
    assert rows(run("-", "--entries", text=crafted.ENDPOINTS))[0]["labels"] == [
        "k8s:app=echo",
        "k8s:io.kubernetes.pod.namespace=shop",
    ]


def test_a_table_is_csv_or_json_with_the_same_rows() -> None:
    result = run(SAMPLES / "seed-ct-list.txt", "--table", "ct")
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    objects = rows(run(SAMPLES / "seed-ct-list.txt", "--table", "ct", "--json"))
    assert len(table) == len(objects) == 20
    for cells, row in zip(table, objects, strict=True):
        assert list(cells) == list(row)
        assert (cells["source"], int(cells["source_port"]), int(cells["rx_packets"])) == (
            row["source"],
            row["source_port"],
            row["rx_packets"],
        )
    assert table[0]["related"] == "false"
    assert list(csv.DictReader(io.StringIO(run(SAMPLES / "seed-ct-list.txt", "--table", "nat").stdout))) == []


def test_tables_of_summaries_and_of_dumps_are_tables_too() -> None:
    (summary,) = rows(run(SAMPLES / "seed-health-status.txt", "--table", "health_summaries", "--json"))
    assert (summary["kind"], summary["reachable"], summary["total"]) == ("health_summaries", 15, 15)
    (dump,) = rows(run(SAMPLES / "seed-health-status.txt", "--table", "dumps", "--json"))
    assert (dump["kind"], dump["entries"], dump["version"]) == ("health", 15, "1.8-1.16")


def test_one_connection_is_looked_up_in_words_and_in_json() -> None:
    asked = "10.0.0.9:41000-10.0.1.4:8080"
    found = rows(run("-", "--flow", asked, "--json", text=crafted.CT))
    assert {tuple(row) for row in found} == {("flow", "topic", "says", "file", "line", "node")}
    (ct,) = [row for row in found if row["topic"] == "ct"]
    assert (ct["flow"], ct["file"], ct["line"]) == ("TCP 10.0.0.9:41000 -> 10.0.1.4:8080", "-", 1)
    assert ct["says"] in run("-", "--flow", asked, text=crafted.CT).stdout


def test_people_see_what_was_not_recognised_and_why() -> None:
    shown = run("-", text="lima-k3s-1\n").stdout
    assert shown.splitlines()[1].startswith("unrecognised  0")
    assert shown.splitlines()[-1] == "-:1: no dump that mixcni knows: lima-k3s-1"
    assert "the command failed: no maps found" in run("-", text="no maps found\n").stdout


def test_nothing_in_a_dump_steers_the_terminal() -> None:
    shown = run("-", text="what\x9b31m is\u202e this\n").stdout
    assert "\x9b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["none.txt"], 1, "none.txt"),
        ([str(SAMPLES), "--table", "cts"], 1, "kind: no table 'cts', wanted ct"),
        ([str(SAMPLES), "--flow", "x"], 1, "flow: wanted"),
        ([str(SAMPLES), "--flow", "10.0.0.1-10.0.0.2", "--entries"], 2, "give one of --entries, --table and --flow"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_an_exit_code(arguments: list[str], code: int, says: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert code == 2 or result.stderr.count("\n") == 1


def test_what_can_be_read_is_shown_beside_what_cannot(tmp_path: Path) -> None:
    (tmp_path / "nat.txt").write_text(crafted.NAT)
    result = run(tmp_path / "none.txt", tmp_path / "nat.txt", "--json")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert json.loads(result.stdout)["entries"] == 2


def test_the_command_is_there_when_mixcni_is_run() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from mixcni.cli import main; main()", "cluster", "-", "--json"], input=crafted.NAT.encode(),
        capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["entries"] == 2


def test_what_a_person_reads_off_a_row_stands_beside_its_fields() -> None:
    entries = rows(run("-", "--entries", text=crafted.POLICY))
    assert [(row["direction"], row["deny"], row["peer"], row["ports"]) for row in entries] == [
        ("ingress", False, "any peer", "8080-8095/TCP"), ("ingress", True, "identity 2", "ANY"),
        ("egress", False, "identity 33511", "53/UDP"),
    ]  # fmt: skip
    assert rows(run("-", "--entries", text=crafted.CT))[0]["flag_names"] == ["RxClosing", "TxClosing", "SeenNonSyn"]
