"""`mixcni matrix`: cases as experiments, and when it fails."""

from pathlib import Path

import click

import mixcni
from mixcni.cli.progress import shown_progress
from mixcni.cli.reports import columns


@click.command()
@click.argument("cases", nargs=-1, required=True, metavar="CASE...", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One object, schema mixcni.matrix/1.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw the table there: .svg, .png or .pdf.")
def matrix(cases: tuple[Path, ...], as_json: bool, figure: Path | None) -> None:
    r"""Say which experiments fail, and the smallest statement that says when.

    Each CASE is a folder whose case.toml has a [scenario]: initiator, responder and network_policy. What it does not say is taken
    from pod networks and endpoint lists, where they tell.

    \b
      mixcni matrix captures/*-policy
      mixcni matrix monday/ tuesday/ --json --figure matrix.svg
    """
    with shown_progress() as progress:
        table = mixcni.matrix(cases, progress=progress)
    if figure is not None:
        table.figure().save(figure)
        click.echo(f"mixcni: wrote {figure}", err=True)
    click.echo(table.to_json() if as_json else table.text(columns()))
