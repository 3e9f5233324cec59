"""What the commands that make a report share: its options, and how it is printed or written."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

import mixcni
from mixcni.cli.group import LOST


def report_options(command: Any) -> Any:
    """The options of a command that makes a report, for `give`."""
    for option in (
        click.option("--fail-on", type=click.Choice(["loss", "undecided"]), help="Exit with 3 if this is the verdict."),
        click.option("--all", "every_exchange", is_flag=True, help="With JSON: the answered exchanges too."),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), help="Write the report there: .html, .md, .json, .txt or .pcapng."
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the whole report, schema mixcni.report/1."),
    ):
        command = option(command)
    return command


def give(report: "mixcni.Report", *, as_json: bool, output: Path | None, every_exchange: bool, fail_on: str | None) -> None:
    """Print or write a report, and end with the exit code that it asks for."""
    from mixcni.words import printable

    if output is not None:
        report.save(output, every_exchange=every_exchange)
        click.echo(f"mixcni: {printable(report.headline)}", err=True)
        click.echo(f"mixcni: wrote {output}", err=True)
    if as_json:
        click.echo(report.to_json(every_exchange=every_exchange))
    elif output is None:
        report.print()
    if fail_on is not None and report.verdict == fail_on:
        sys.exit(LOST)


def columns() -> int:
    """How wide to write text: a terminal's width up to what can be followed; into a pipe a fixed one."""
    from mixcni.report.report import WIDEST
    from mixcni.words import WIDTH

    return min(shutil.get_terminal_size().columns, WIDEST) if sys.stdout.isatty() else WIDTH
