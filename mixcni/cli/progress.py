"""How far reading has come, on standard error: for large captures, and only where a person looks on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mixcni.case import Progress

WORTH_A_BAR: Final = 1 << 26  # octets: less is read before a bar says anything


@contextmanager
def shown_progress() -> Iterator[Progress | None]:
    """What `diagnose` is to tell of its progress; None where standard error is no terminal.

    The bar has the octets read, the rate and the time left. It is gone once all is read.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("reading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=WORTH_A_BAR <= total > done)

        yield show
