"""`mixcni compare`: what changed between two captures of one path."""

import sys
from pathlib import Path

import click

import mixcni
from mixcni.cli.group import LOST
from mixcni.cli.progress import shown_progress
from mixcni.cli.reports import columns


@click.command()
@click.argument("before", type=click.Path(exists=True, path_type=Path))
@click.argument("after", type=click.Path(exists=True, path_type=Path))
@click.option("--same", multiple=True, metavar="OLD=NEW", help="A pod's address before, and the one it has after; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema mixcni.comparison/1.")
@click.option("--fail-on-new", is_flag=True, help="Exit with 3 if anything fails that did not, or more, or elsewhere.")
def compare(before: Path, after: Path, same: tuple[str, ...], as_json: bool, fail_on_new: bool) -> None:
    r"""Say what is cured, what is new, what still fails, and what cannot be compared.

    BEFORE and AFTER are case folders, or reports saved with `diagnose --all -o FILE.json`. Ports of callers, times and order do
    not matter; whether there is enough traffic to tell from chance does.

    \b
      mixcni compare captures/networkpolicy-drop captures/policy-removed
      mixcni compare before.json after/ --same 10.244.3.7=10.244.3.12
    """
    from mixcni.comparison.changes import BAD

    with shown_progress() as progress:
        comparison = mixcni.compare(before, after, same=_addresses(same), progress=progress)
    click.echo(comparison.to_json() if as_json else comparison.text(columns()))
    if fail_on_new and comparison.outcome in BAD:
        sys.exit(LOST)


def _addresses(same: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in same:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise click.UsageError(f"--same {text}: wanted OLD=NEW")
        found[old] = new
    return found
