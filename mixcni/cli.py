"""The command line: each command parses, calls one function and prints. Results go to stdout, talk to stderr."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import mixcni
from mixcni.errors import MixcniError

DONE, FAILED, USAGE, LOST = 0, 1, 2, 3


class _OneLine(click.Group):
    """A group whose errors are one line on stderr, and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
            ctx.exit(FAILED)


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(mixcni.__version__, prog_name="mixcni")
def main() -> None:
    """Say on which hop of a mixed kubenet and Cilium cluster requests lose their responses, and why.

    Exit codes: 0 done, 1 could not, 2 wrong usage, 3 the verdict that --fail-on names.
    """


def _report_options(command: Any) -> Any:
    for option in (
        click.option("--fail-on", type=click.Choice(["loss", "undecided"]), help="Exit with 3 if this is the verdict."),
        click.option("--all", "every_exchange", is_flag=True, help="With JSON: the answered exchanges too."),
        click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the report there: .json or .txt."),
        click.option("--json", "as_json", is_flag=True, help="Print the whole report, schema mixcni.report/1."),
    ):
        command = option(command)
    return command


@main.command()
@click.argument("case", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--point", "points", multiple=True, metavar="NAME=FILE", help="A capture of a point; in path order, repeatable.")
@click.option(
    "--cluster",
    "dumps",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="With --point: a dump, or a folder of them.",
)
@_report_options
def diagnose(case: Path | None, points: tuple[str, ...], dumps: tuple[Path, ...], **options: Any) -> None:
    r"""Say on which hop requests lose their responses, and why.

    CASE is a folder with captures and dumps. Without a folder name the files one by one:

    \b
      mixcni diagnose captures/networkpolicy-drop
      mixcni diagnose --point A=a.pcap --point B=b.pcap --cluster dumps/
    """
    if (case is None) == (not points):
        raise click.UsageError("give a case folder, or --point NAME=FILE for each capture")
    if case is not None:
        if dumps:
            raise click.UsageError("--cluster goes with --point; a case folder brings its own dumps")
        chosen = mixcni.open_case(case)
    else:
        chosen = mixcni.case_of_files(_files_by_point(points), dumps)
    _give(mixcni.diagnose(chosen), **options)


@main.command()
@_report_options
def demo(**options: Any) -> None:
    """Diagnose the founding case that comes with mixcni."""
    _give(mixcni.diagnose(mixcni.open_case(mixcni.demo_folder())), **options)


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One object a file, one a line.")
def points(paths: tuple[Path, ...], as_json: bool) -> None:
    r"""Say what each capture holds, and what of it is damaged or cut.

    A folder stands for the captures of the case in it.

    \b
      mixcni points A.pcap B.pcapng.gz
      mixcni points captures/networkpolicy-drop --json
    """
    from mixcni.words import printable

    failed = False
    for path in _captures_in(paths):
        try:
            capture = mixcni.open_capture(path)
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
            failed = True
            continue
        if as_json:
            click.echo(json.dumps(capture.facts()[0], ensure_ascii=False))
        else:
            click.echo("\n".join(map(printable, repr(capture).splitlines())))
    if failed:
        sys.exit(FAILED)


def _captures_in(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for point in mixcni.open_case(path).points for file in point.captures)
        else:
            yield path


def _files_by_point(points: tuple[str, ...]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for text in points:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise click.UsageError(f"--point {text}: wanted NAME=FILE")
        found.setdefault(name, []).append(Path(file))
    return found


def _give(report: "mixcni.Report", *, as_json: bool, output: Path | None, every_exchange: bool, fail_on: str | None) -> None:
    """Print or write a report, and end with the exit code that it asks for."""
    if output is not None:
        report.save(output, every_exchange=every_exchange)
        click.echo(f"mixcni: {report.headline}", err=True)
        click.echo(f"mixcni: wrote {output}", err=True)
    if as_json:
        click.echo(report.to_json(every_exchange=every_exchange))
    elif output is None:
        report.print()
    if fail_on is not None and report.verdict == fail_on:
        sys.exit(LOST)
