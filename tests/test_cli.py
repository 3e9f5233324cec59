"""The command line: results to stdout, one line a failure to stderr, exit codes as the help says."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mixcni
from mixcni.cli import main
from tests.cases import CAPTURES, DENIED, FOUNDING, NAMES, ROOT, truth_of


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", NAMES)
def test_diagnose_prints_the_report(name: str) -> None:
    result = run("diagnose", CAPTURES / name)
    assert (result.exit_code, result.stderr) == (0, "")
    verdict = "LOSS:" if name in DENIED else "NO LOSS:"
    assert result.stdout.splitlines()[1].startswith(verdict) or verdict in result.stdout


def test_json_is_the_contract_and_nothing_else_is_on_stdout() -> None:
    result = run("diagnose", CAPTURES / FOUNDING, "--json")
    report = json.loads(result.stdout)
    assert (report["schema"], report["verdict"]) == ("mixcni.report/1", "loss")
    everything = json.loads(run("diagnose", CAPTURES / FOUNDING, "--json", "--all").stdout)
    assert {exchange["fate"] for exchange in everything["exchanges"]} == {"lost", "answered"}


def test_files_named_one_by_one_give_the_same_verdict() -> None:
    folder = CAPTURES / FOUNDING
    points = [argument for name in "ABC" for argument in ("--point", f"{name}={folder / f'{name}.pcap'}")]
    result = run("diagnose", *points, "--cluster", folder / "cilium", "--json")
    report = json.loads(result.stdout)
    assert report["losses"][0]["hop"] == ["B", "C"]
    assert report["losses"][0]["cause"] == "policy_denied_ingress"


@pytest.mark.parametrize(
    ("name", "fail_on", "code"), [(FOUNDING, "loss", 3), ("policy-removed", "loss", 0), (FOUNDING, "undecided", 0)]
)
def test_fail_on_sets_the_exit_code(name: str, fail_on: str, code: int) -> None:
    assert run("diagnose", CAPTURES / name, "--fail-on", fail_on).exit_code == code


def test_what_the_library_says_is_a_line_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def talkative(_case: object, **_options: object) -> None:
        logging.getLogger("mixcni").info("compiling a kernel")
        raise mixcni.ParameterError("enough")

    monkeypatch.setattr(mixcni, "diagnose", talkative, raising=False)
    for _ in range(2):
        result = run("diagnose", CAPTURES / FOUNDING)
        assert (result.stdout, result.stderr) == ("", "mixcni: compiling a kernel\nmixcni: enough\n")


def test_a_report_is_written_where_output_says(tmp_path: Path) -> None:
    result = run("diagnose", CAPTURES / FOUNDING, "-o", tmp_path / "r.json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"mixcni: wrote {tmp_path / 'r.json'}" in result.stderr
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "loss"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("diagnose",), 2, "give a case folder, or --point NAME=FILE for each capture"),
        (("diagnose", "no-such-folder"), 2, "does not exist"),
        (("diagnose", "--point", "A"), 2, "--point A: wanted NAME=FILE"),
        (("diagnose", CAPTURES / FOUNDING, "--cluster", CAPTURES), 2, "--cluster goes with --point"),
        (("diagnose", "--point", "A=nothing.pcap"), 1, "mixcni: nothing.pcap: wanted a file, found nothing"),
        (("diagnose", "--point", f"A={ROOT / 'README.md'}"), 1, "wanted a pcap or pcapng magic number, found 23 20 6d 69"),
        (("diagnose", CAPTURES / FOUNDING, "-o", "report.docx"), 1, "a report is saved as .html, .md, .json, .txt or .pcapng"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(arguments: tuple[str | Path, ...], code: int, says: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert code != 1 or result.stderr.count("\n") == 1


def test_points_gives_one_object_a_line_and_a_file() -> None:
    result = run("points", CAPTURES / FOUNDING, "--json")
    facts = [json.loads(line) for line in result.stdout.splitlines()]
    counted = truth_of(FOUNDING)["captures"]
    assert [(Path(entry["file"]).stem, entry["packets"]) for entry in facts] == [
        (name, counted[name]["captured"]) for name in "ABC"
    ]
    assert list(facts[0]) == [
        *("file", "link_types", "packets", "first_ns", "last_ns", "tcp_segments", "tcp_payload_octets"),
        *("syn", "synack", "fin", "rst", "udp", "fragments", "tunnels", "not_decoded", "snaplen_cut", "damage"),
    ]


def test_points_goes_on_after_a_file_that_is_no_capture() -> None:
    result = run("points", ROOT / "README.md", CAPTURES / FOUNDING / "A.pcap")
    assert result.exit_code == 1
    assert result.stdout.startswith("Capture: 38 packets in 1 file\n  A.pcap  ETHERNET  38 packets, 36 TCP segments")
    assert "README.md, octet 0: wanted a pcap or pcapng magic number" in result.stderr


def test_the_demo_is_the_founding_case() -> None:
    result = run("demo")
    assert result.exit_code == 0
    assert "lost between B and C" in " ".join(result.stdout.split())
    assert mixcni.demo_folder().name == FOUNDING


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "mixcni", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"mixcni, version {mixcni.__version__}\n"


def test_every_command_has_its_help() -> None:
    for name, command in main.commands.items():
        assert command.help, name
        assert run(name, "--help").exit_code == 0
