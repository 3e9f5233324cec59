"""`mixcni flows`: the same flows as text, CSV, JSON and Parquet, by capture point."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from mixcni.cli import main
from tests.cases import CAPTURES, FOUNDING
from tests.wire import Conversation, write_pcap

CASE = CAPTURES / FOUNDING
CONTRACT = [
    "initiator",
    "responder",
    "protocol",
    "tunnel",
    "conn_state",
    "history",
    "packets",
    "octets",
    "payload_octets",
    "retransmissions",
    "out_of_order",
    "duplicate_acks",
    "first_ns",
    "last_ns",
    "http",
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["flows", *map(str, arguments)])


def objects(*arguments: str | Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]


def test_json_is_the_contract_a_line_a_flow():
    told = objects(CASE / "A.pcap")
    assert len(told) == 12
    assert all(list(flow)[: len(CONTRACT)] == CONTRACT for flow in told)
    assert told[0]["initiator"][0] == "10.244.3.7"
    assert (told[0]["conn_state"], told[0]["packets"], told[0]["retransmissions"]) == ("S0", [3, 0], 2)


def test_a_folder_stands_for_its_points():
    told = objects(CASE)
    assert [flow["point"] for flow in told] == sorted(flow["point"] for flow in told)
    assert {flow["point"] for flow in told} == {"A", "B", "C"}


def test_a_rotated_set_is_one_capture_and_files_of_one_name_in_two_folders_are_two(tmp_path: Path):
    talk = Conversation()
    frames = talk.handshake()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write_pcap(tmp_path / folder / "A-1.pcap", frames[:1])
        write_pcap(tmp_path / folder / "A-2.pcap", frames[1:])
    told = objects(*sorted(tmp_path.rglob("*.pcap")))
    assert [(flow["point"], flow["packets"]) for flow in told] == [("one/A", [2, 1]), ("two/A", [2, 1])]


def test_csv_and_parquet_hold_every_column_and_row(tmp_path: Path):
    by_csv = pd.read_csv(io.StringIO(run(CASE, "--csv").stdout))
    assert run(CASE, "--parquet", "-o", tmp_path / "flows.parquet").exit_code == 0
    by_parquet = pd.read_parquet(tmp_path / "flows.parquet")
    assert list(by_csv.columns) == list(by_parquet.columns)
    assert by_csv["conn_state"].tolist() == by_parquet["conn_state"].tolist() == [flow["conn_state"] for flow in objects(CASE)]
    assert by_parquet["first"].dt.tz is not None


def test_the_text_fits_80_columns_and_says_how_each_flow_went():
    lines = run(CASE / "A.pcap").stdout.splitlines()
    assert lines[0] == "A: 12 flows, 38 packets"
    assert max(map(len, lines)) <= 100
    assert lines[1].split() == ["initiator", "responder", "proto", "state", "packets", "payload", "octets", "resent", "seconds"]
    assert lines[2].split()[2:5] == ["tcp", "S0", "3+0"]


def test_a_capture_without_flows_is_its_heading(tmp_path: Path):
    assert run(write_pcap(tmp_path / "A.pcap", [])).stdout == "A: 0 flows, 0 packets\n"
    assert run(tmp_path / "A.pcap", "--json").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((CASE, "--parquet"), 2, "--parquet needs -o FILE"),
        (("nothing.pcap",), 1, "mixcni: nothing.pcap cannot be read: No such file or directory"),
        ((CASE / "case.toml",), 1, "wanted a pcap or pcapng magic number"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str | Path, ...], code: int, says: str):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr


def test_a_file_that_cannot_be_read_does_not_stop_the_others():
    result = run(CASE / "case.toml", CASE / "A.pcap", "--json")
    assert (result.exit_code, len(result.stdout.splitlines()), result.stderr.count("\n")) == (1, 12, 1)
