"""The report as text for a terminal, a log or a ticket: rich renders it, in colour where there is a terminal for it."""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mixcni.explain import Evidence, Finding
from mixcni.report.summary import Summary, evidence_place
from mixcni.report.tables import Crossing
from mixcni.schema import Direction
from mixcni.words import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH: Final = 100
EMPTY_HOP: Final = 6  # columns of a hop over which nothing came
COLOURS: Final = {"loss": "bold red", "no_loss": "bold green", "undecided": "bold yellow"}


def report_text(summary: Summary, width: int = WIDTH) -> str:
    """The report as plain text, no line longer than `width` columns unless a name is."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False, legacy_windows=False)
    print_report(summary, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def print_report(summary: Summary, console: "Console") -> None:
    """Write the report to a console, as wide as it is."""
    from rich.text import Text

    if summary.title:
        console.print(Text(printable(summary.title), style="dim"))
    console.print(Text(_capitalised(printable(summary.headline)), style=COLOURS[summary.verdict]))
    console.print()
    console.print(_point_table(summary))
    _print_path(console, summary)
    console.print(Text("A handshake counts as a request, its SYN, and a response, its SYN-ACK.", style="dim"))
    _print_list(console, "Exchanges", summary.parts)
    for finding, text in zip(summary.findings, summary.filters, strict=True):
        _print_finding(console, finding, text)
    _print_list(console, "Assumed", summary.assumptions)
    _print_list(console, "Not read", summary.trouble)


def _capitalised(text: str) -> str:
    head, colon, rest = text.partition(":")
    return f"{head.upper()}{colon}{rest}"


def _print_path(console: "Console", summary: Summary) -> None:
    """Both directions along the path, a line each, where they fit the console."""
    from rich.text import Text

    lines = []
    for direction, title, colour in ((Direction.FORWARD, "requests", "blue"), (Direction.REVERSE, "responses", "green")):
        line = Text(f"{title:<11}")
        for position, point in enumerate(summary.points):
            line.append(printable(point.name), style="bold")
            here = [hop for hop in summary.hops if hop.near == position]
            width = max((len(_hop_text(hop)) for hop in here), default=0) or EMPTY_HOP
            for hop in here:
                if hop.direction == direction:
                    text = _hop_text(hop)
                    text = text.ljust(width) if direction == Direction.FORWARD else text.rjust(width)
                    line.append(text, style="red" if hop.lost else colour)
        lines.append(line)
    if summary.hops and max(line.cell_len for line in lines) <= console.width:
        console.print(Text(), *lines, sep="\n")


def _hop_text(hop: Crossing) -> str:
    """What came over a hop as an arrow, and what did not as a cross on it; blanks where there was nothing to carry."""
    if not (hop.over or hop.lost):
        return ""
    word = "refused" if hop.is_refused else "lost"
    if hop.direction == Direction.FORWARD:
        return (
            f" ──{hop.over:,}──▶{f' ✕ {hop.lost:,} {word}' if hop.lost else ''} " if hop.over else f" ──✕ {hop.lost:,} {word}  "
        )
    return f" {f'{hop.lost:,} {word} ✕ ' if hop.lost else ''}◀──{hop.over:,}── " if hop.over else f"  {hop.lost:,} {word} ✕── "


def _point_table(summary: Summary) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("point", no_wrap=True)
    has_where = any(point.where for point in summary.points)
    if has_where:
        table.add_column("where", no_wrap=True)
    for name in ("packets", "requests", "responses"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for point in summary.points:
        where = [Text(printable(point.where))] if has_where else []
        counts = [Text(f"{count:,}") for count in (point.packets, point.requests, point.responses)]
        table.add_row(Text(printable(point.name)), *where, *counts, Text(point.remark))
    return table


def _print_list(console: "Console", title: str, sentences: Iterable[str]) -> None:
    from rich.text import Text

    shown = list(sentences)
    if not shown:
        return
    console.print()
    console.print(Text(title, style="bold"))
    for sentence in shown:
        _print_item(console, sentence)


def _print_item(console: "Console", sentence: str, mark: str = "•", indent: int = 2) -> None:
    """One item with a hanging indent."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(Text(mark), Text(printable(sentence)))
    console.print(Padding(table, (0, 0, 0, indent)))


def _print_finding(console: "Console", finding: Finding, display_filter: str) -> None:
    from rich.text import Text

    console.print()
    how = "Cause" if finding.is_named else "Possible"
    console.print(Text(f"{how}: {finding.cause}, confidence {finding.confidence:g}", style="bold"))
    console.print(Text(printable(f"{finding.sentence}.")))
    if display_filter:
        console.print(Text("  in Wireshark", style="dim"))
        console.print(Text(f"    {printable(display_filter)}", style="cyan"), soft_wrap=True)
    for title, facts in (("for it", finding.evidence), ("against it", finding.against)):
        if facts:
            console.print(Text(f"  {title}", style="dim"))
            for fact in facts:
                _print_item(console, _evidence_text(fact), "+" if title == "for it" else "-", 4)
    if finding.remedies:
        console.print(Text("  what to do", style="dim"))
        for number, remedy in enumerate(finding.remedies, 1):
            checked = ""
            if remedy.would_pass is not None:
                checked = f" [{remedy.would_pass} of the {remedy.of} that failed would pass]"
            _print_item(console, f"{remedy.sentence}{checked}", f"{number}.", 4)
            for line in remedy.yaml.splitlines():
                console.print(Text(f"         {printable(line)}", style="cyan"), soft_wrap=True)
    if finding.collect:
        console.print(Text("  what would make it surer", style="dim"))
        for sentence in finding.collect:
            _print_item(console, sentence, "?", 4)


def _evidence_text(fact: Evidence) -> str:
    place = evidence_place(fact)
    return f"{fact.says} ({place})" if place else fact.says
