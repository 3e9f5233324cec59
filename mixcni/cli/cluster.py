"""`mixcni cluster`: what dumps of Cilium's state hold, and what of them was not understood."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from mixcni.cli.group import FAILED
from mixcni.errors import MixcniError

if TYPE_CHECKING:
    from mixcni.cluster import ClusterState
    from mixcni.cluster.dump import Dump, ReadDump

MAX_LINES: Final = 10  # lines not understood that are shown of one dump; --json has all their numbers


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--json", "as_json", is_flag=True, help="One object a dump, one a line.")
@click.option("--entries", is_flag=True, help="One object an entry, one a line, its fields by name.")
@click.option("--table", metavar="KIND", help="One kind's entries as CSV; with --json one object a line.")
@click.option("--flow", metavar="A:PORT-B:PORT", help="What the dumps say of one connection; /UDP may be added.")
def cluster(paths: tuple[Path, ...], as_json: bool, entries: bool, table: str | None, flow: str | None) -> None:
    r"""Say what dumps of Cilium's state hold, and what of them was not understood.

    Dumps are recognised by what stands in them. A folder stands for all files below it, - for standard input.

    \b
      mixcni cluster dumps/
      mixcni cluster dumps/ --table ct > ct.csv
      mixcni cluster dumps/ --flow 10.244.3.7:41000-10.242.2.149:8080
      cilium bpf ct list global | mixcni cluster - --entries
    """
    from mixcni.cluster import ClusterState

    if sum((entries, table is not None, flow is not None)) > 1:
        raise click.UsageError("give one of --entries, --table and --flow")
    found, failed = _dumps(paths)
    if failed and not found:
        sys.exit(FAILED)
    if flow is not None:
        _show_flow(ClusterState.of(found), flow, as_json=as_json)
    elif table is not None:
        _show_table(ClusterState.of(found), table, as_json=as_json)
    elif entries:
        _print_lines(_entries(found))
    elif as_json:
        _print_lines(_facts(read.dump) for read in found)
    else:
        _show([read.dump for read in found])
    if failed:
        sys.exit(FAILED)


def _dumps(paths: Iterable[Path]) -> "tuple[list[ReadDump], bool]":
    """The dumps in all that can be read, and whether something could not be."""
    from mixcni.cluster.loading import find_dumps, read_octets
    from mixcni.cluster.ofnode import with_nodes

    found: list[ReadDump] = []
    failed = False
    for path in paths:
        try:
            found.extend(read_octets(sys.stdin.buffer.read(), "-") if str(path) == "-" else find_dumps(path))
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
            failed = True
    return with_nodes(found), failed


def _print_lines(objects: Iterable[Any]) -> None:
    for item in objects:
        sys.stdout.write(json.dumps(item, ensure_ascii=False) + "\n")


def _facts(dump: "Dump") -> dict[str, Any]:
    """The contract's object; `unavailable` says why there is nothing in a dump whose command failed, else it is null."""
    return {
        "file": dump.file,
        "line": dump.line,
        "kind": dump.kind,
        "version": None if dump.version is None else str(dump.version),
        "node": dump.node,
        "entries": dump.entries,
        "unparsed": list(dump.unparsed_lines),
        "unavailable": dump.unavailable or None,
    }


def _entries(found: "Iterable[ReadDump]") -> Iterator[dict[str, Any]]:
    from mixcni.cluster.plain import plain_entry

    for read in found:
        for entry in read.entries:
            yield plain_entry(read.dump.kind, entry)


def _show_table(state: "ClusterState", name: str, *, as_json: bool) -> None:
    from mixcni.cluster.plain import flat, plain_entry

    rows = (plain_entry(name, entry) for entry in state.table(name))
    if as_json:
        _print_lines(rows)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "line", "kind", *state.columns(name)])
    for row in rows:
        writer.writerow([flat(value) for value in row.values()])


def _show_flow(state: "ClusterState", text: str, *, as_json: bool) -> None:
    from mixcni.cluster.flowlook import look_up_flow, parse_flow

    asked = parse_flow(text)
    sayings = look_up_flow(state, asked)
    if as_json:
        _print_lines(
            {"flow": str(asked), "topic": item.topic, "says": item.says, "file": item.file, "line": item.line, "node": item.node}
            for item in sayings
        )
        return
    rows = [(item.topic, item.node or "", "" if item.file is None else f"{item.file}:{item.line}", item.says) for item in sayings]
    _echo(str(asked))
    _print_rows(rows)


def _show(dumps: "Sequence[Dump]") -> None:
    """A row a dump, then the lines that were not understood."""
    titles = ("kind", "entries", "place", "Cilium", "node", "")
    rows = [
        (dump.kind, _count(dump), f"{dump.file}:{dump.line}", str(dump.version or ""), dump.node or "", _remark(dump))
        for dump in dumps
    ]
    _print_rows([titles, *rows])
    for dump in dumps:
        for odd in dump.unparsed[:MAX_LINES]:
            _echo(f"{dump.file}:{odd.line}: {odd.why}: {odd.text.strip()[:200]}")
        more = len(dump.unparsed_lines) - len(dump.unparsed[:MAX_LINES])
        if more > 0:
            _echo(f"{dump.file}: and {more} more lines of this dump, whose numbers --json gives")


def _count(dump: "Dump") -> str:
    return "" if dump.unavailable or not dump.is_read else str(dump.entries)


def _remark(dump: "Dump") -> str:
    from mixcni.words import plural

    parts = [dump.unavailable and f"the command failed: {dump.unavailable}", dump.partial, dump.note]
    if dump.unparsed_lines:
        parts.insert(0, f"{plural(len(dump.unparsed_lines), 'line')} not understood")
    return "; ".join(part for part in parts if part)


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for row in rows:
        _echo("  ".join((*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1])).rstrip())


def _echo(text: str) -> None:
    from mixcni.words import printable

    click.echo(printable(text))
