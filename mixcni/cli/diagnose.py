"""`mixcni diagnose`: where requests lose their responses, and why."""

from pathlib import Path
from typing import Any

import click

import mixcni
from mixcni.cli.progress import shown_progress
from mixcni.cli.reports import give, report_options


@click.command()
@click.argument("case", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--point", "points", multiple=True, metavar="NAME=FILE", help="A capture of a point; in path order, repeatable.")
@click.option(
    "--cluster",
    "dumps",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="With --point: a dump, or a folder of them.",
)
@report_options
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
    with shown_progress() as progress:
        report = mixcni.diagnose(chosen, progress=progress)
    give(report, **options)


def _files_by_point(points: tuple[str, ...]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for text in points:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise click.UsageError(f"--point {text}: wanted NAME=FILE")
        found.setdefault(name, []).append(Path(file))
    return found
