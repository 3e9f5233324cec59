"""`mixcni demo`: the founding case, which comes with mixcni."""

from typing import Any

import click

import mixcni
from mixcni.cli.reports import give, report_options


@click.command()
@report_options
def demo(**options: Any) -> None:
    """Diagnose the founding case that comes with mixcni."""
    give(mixcni.diagnose(mixcni.open_case(mixcni.demo_folder())), **options)
