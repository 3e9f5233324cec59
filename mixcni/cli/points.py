"""`mixcni points`: what each capture holds, and what of it is damaged or cut."""

import json
import sys
from pathlib import Path

import click

import mixcni
from mixcni.cli.captures import captures_in
from mixcni.cli.group import FAILED
from mixcni.errors import MixcniError


@click.command()
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
    for path in captures_in(paths):
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
