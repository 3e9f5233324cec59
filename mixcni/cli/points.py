"""`mixcni points`: what each capture holds, and whether the captures of a case can be trusted."""

import json
import sys
from pathlib import Path

import click

import mixcni
from mixcni.cli.captures import captures_in
from mixcni.cli.group import FAILED
from mixcni.cli.progress import shown_progress
from mixcni.cli.reports import columns
from mixcni.errors import MixcniError


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="What each file holds: one object a file, one a line.")
def points(paths: tuple[Path, ...], as_json: bool) -> None:
    r"""Say whether captures can be trusted, and what each holds.

    Of a case folder: when each point's capture ran, what it dropped and missed, how its clock goes, and what to beware of. Of a
    file: what it holds, and what of it is damaged or cut. With --json a folder stands for the captures of the case in it.

    \b
      mixcni points captures/networkpolicy-drop
      mixcni points A.pcap B.pcapng.gz --json
    """
    failed = False
    for path in paths:
        try:
            if path.is_dir() and not as_json:
                _print_trust(path)
                continue
            files = list(captures_in([path]))
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
            failed = True
            continue
        for file in files:
            failed |= not _print_file(file, as_json=as_json)
    if failed:
        sys.exit(FAILED)


def _print_trust(folder: Path) -> None:
    from mixcni.case.trust import judge_captures

    with shown_progress() as progress:
        trust = judge_captures(folder, progress=progress)
    click.echo(trust.text(columns()))


def _print_file(path: Path, *, as_json: bool) -> bool:
    """Print what a file holds; False where it cannot be read, which is said."""
    from mixcni.words import printable

    try:
        capture = mixcni.open_capture(path)
    except MixcniError as error:
        click.echo(f"mixcni: {error}", err=True)
        return False
    if as_json:
        click.echo(json.dumps(capture.facts()[0], ensure_ascii=False))
    else:
        click.echo("\n".join(map(printable, repr(capture).splitlines())))
    return True
