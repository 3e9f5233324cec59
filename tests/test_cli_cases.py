"""compare, matrix, collect, points of a case, completion; and what all commands have in common."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from mixcni.cli import main
from mixcni.cli.group import COMMANDS
from tests.cases import CAPTURES, FOUNDING, ROOT
from tests.test_cli import run

COLUMNS = 80


def test_compare_prints_what_is_cured_and_its_json_is_the_contract() -> None:
    from mixcni.comparison import schema_text

    arguments = ("compare", CAPTURES / FOUNDING, CAPTURES / "policy-removed")
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("CURED: of 3 populations of callers 1 cured")
    told = json.loads(run(*arguments, "--json").stdout)
    jsonschema.validate(told, json.loads(schema_text()))
    assert told["outcome"] == "cured"


@pytest.mark.parametrize(("before", "after", "code"), [("policy-removed", FOUNDING, 3), (FOUNDING, "policy-removed", 0)])
def test_compare_fails_on_what_is_new(before: str, after: str, code: int) -> None:
    assert run("compare", CAPTURES / before, CAPTURES / after, "--fail-on-new").exit_code == code


def test_matrix_prints_the_statement_and_draws_the_table(tmp_path: Path) -> None:
    from mixcni.experiments import schema_text

    cases = sorted(CAPTURES.glob("*-policy"))
    result = run("matrix", *cases, "--json", "--figure", tmp_path / "m.svg")
    assert result.exit_code == 0
    assert result.stderr == f"mixcni: wrote {tmp_path / 'm.svg'}\n"
    told = json.loads(result.stdout)
    jsonschema.validate(told, json.loads(schema_text()))
    assert told["statement"]["sentence"] == "a kubenet pod calls a policy-protected pod on a Cilium node"
    assert (tmp_path / "m.svg").read_text().startswith("<svg")


def test_collect_prints_a_script_and_writes_it_where_output_says(tmp_path: Path) -> None:
    options = ("--from", "web/client@kubenet-1=10.244.3.7", "--to", "shop/shop-0@cilium-1=10.242.2.149", "--cilium", "cilium-1")
    result = run("collect", *options)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "#!/usr/bin/env bash")
    assert run("collect", *options, "-o", tmp_path / "c.sh").stdout == ""
    assert (tmp_path / "c.sh").read_text() == result.stdout
    plan = tmp_path / "plan.toml"
    plan.write_text(f'from = "{options[1]}"\nto = "{options[3]}"\ncilium = ["cilium-1"]\n')
    assert run("collect", "--plan", plan).stdout == result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("compare", CAPTURES / FOUNDING, "nowhere"), 2, "does not exist"),
        (("compare", CAPTURES / FOUNDING, CAPTURES / FOUNDING, "--same", "x"), 2, "--same x: wanted OLD=NEW"),
        (("compare", ROOT / "notebooks", CAPTURES / FOUNDING), 1, "wanted capture files (pcap or pcapng) or a case.toml"),
        (("compare", CAPTURES / FOUNDING / "truth.json", CAPTURES / FOUNDING), 1, "wanted a report by mixcni.report/1, found at"),
        (("matrix",), 2, "Missing argument 'CASE...'"),
        (("collect", "--from", "web/client"), 2, "give --from and --to, or both in --plan"),
        (("collect", "--from", "web/client", "--to", "a/b"), 1, "web/client: its node is not known"),
        (("collect", "--from", "a/b", "--to", "a/b", "--ring", "20"), 2, "--ring 20: wanted FILESxMB"),
        (("collect", "--from", "a/b", "--to", "a/b", "--tunnel", "gre"), 2, "--tunnel gre: wanted vxlan, geneve or none"),
        (("points", "nowhere"), 1, "mixcni: nowhere"),
        (("diagnose", CAPTURES / FOUNDING, "-o", "/nowhere/r.json"), 1, "mixcni: /nowhere/r.json: No such file or directory"),
        (("completion", "tcsh"), 2, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(arguments: tuple[str | Path, ...], code: int, says: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert says in result.stderr
    assert code != 1 or result.stderr.count("\n") == 1


def test_points_of_a_folder_says_whether_the_captures_can_be_trusted() -> None:
    result = run("points", CAPTURES / "policy-removed")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Captures: nothing speaks against any of 3 points")
    assert "clock to A" in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_the_shells_own(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_MIXCNI_COMPLETE={shell}_complete" in result.stdout
    if shell == "bash":
        done = subprocess.run(["bash", "-n"], input=result.stdout.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


def test_completion_knows_the_commands() -> None:
    environment = {**os.environ, "_MIXCNI_COMPLETE": "bash_complete", "COMP_WORDS": "mixcni co", "COMP_CWORD": "1"}
    code = "from mixcni.cli import main; main(prog_name='mixcni')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert {line.split(",")[1] for line in done.stdout.split()} == {name for name in COMMANDS if name.startswith("co")}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns_and_keeps_its_examples(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= COLUMNS
    assert "\\b" not in result.stdout
    command = main.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    if "\b" in str(command.help):
        assert f"\n    mixcni {name} " in result.stdout.replace("    kubectl", "    mixcni collect")


def test_the_groups_help_lists_every_command() -> None:
    shown = run("--help").stdout
    assert all(f"\n  {name} " in shown for name in COMMANDS)


def test_a_closed_pipe_ends_it_without_a_word() -> None:
    program = f"{sys.executable} -m mixcni points --json {CAPTURES / FOUNDING} {CAPTURES / FOUNDING} | head -c 1"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.parametrize("no_colour", [True, False])
def test_colour_is_for_terminals_and_no_color_is_heeded(no_colour: bool) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "40"}
    environment.pop("NO_COLOR", None)
    if no_colour:
        environment["NO_COLOR"] = "1"
    near, far = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mixcni", "diagnose", str(CAPTURES / FOUNDING)], stdout=far, stderr=far, cwd=ROOT, env=environment
    ):
        os.close(far)
        shown = b""
        while True:
            try:
                part = os.read(near, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(near)
    assert (b"\x1b[1;31m" in shown) == (not no_colour)
    text = shown.decode()
    assert "lost between B and C" in " ".join(text.split())


def test_the_names_at_the_top_are_functions_and_not_modules() -> None:
    import mixcni.collection
    import mixcni.comparison
    import mixcni.experiments

    assert callable(mixcni.compare)
    assert callable(mixcni.matrix)
