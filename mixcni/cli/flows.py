"""`mixcni flows`: the connections in each capture, as text, CSV, JSON or Parquet."""

import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import mixcni
from mixcni.cli.captures import captures_in
from mixcni.cli.group import FAILED
from mixcni.errors import MixcniError, ParameterError

if TYPE_CHECKING:
    from mixcni.flows import FlowTable

NUMBERS: Final = 4  # columns of the text from here on are numbers
HEADINGS: Final = ("initiator", "responder", "proto", "state", "packets", "payload octets", "resent", "seconds")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--json", "form", flag_value="json", help="One object a flow, one a line.")
@click.option("--csv", "form", flag_value="csv", help="All columns, a row a flow.")
@click.option("--parquet", "form", flag_value="parquet", help="All columns, as a Parquet file; with -o.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write there, not to standard output.")
def flows(paths: tuple[Path, ...], form: str | None, output: Path | None) -> None:
    r"""Say which connections there are in captures, and how each went.

    Files of one name with numbers or dates behind it are one capture in several files. A folder stands for the points of the
    case in it. Retransmissions and the like are counted as Wireshark counts them.

    \b
      mixcni flows A.pcap
      mixcni flows B-0001.pcap.gz B-0002.pcap.gz --json
      mixcni flows captures/networkpolicy-drop --csv -o flows.csv
    """
    if form == "parquet" and output is None:
        raise click.UsageError("--parquet needs -o FILE")
    failures: list[MixcniError] = []
    tables = _tables(paths, failures)
    if form == "json":
        _write("".join(f"{line}\n" for line in _json_lines(tables)), output)
    elif form == "csv":
        _write(_frame(tables).to_csv(index=False), output)
    elif form == "parquet":
        _write_parquet(_frame(tables), output)
    else:
        _write("\n".join(f"{_text(name, table)}\n" for name, table in tables), output)
    if failures:
        sys.exit(FAILED)


def _tables(paths: tuple[Path, ...], failures: list[MixcniError]) -> Iterator[tuple[str, "FlowTable"]]:
    """The flows of each capture point among the files, under its name; a point that cannot be read is told of and left out."""
    from mixcni.case import files_by_point
    from mixcni.flows import track_flows

    for name, files in files_by_point(captures_in(paths)):
        try:
            capture = mixcni.open_capture(files)
        except MixcniError as error:
            click.echo(f"mixcni: {error}", err=True)
            failures.append(error)
        else:
            yield name, track_flows(capture.table)


def _json_lines(tables: Iterable[tuple[str, "FlowTable"]]) -> Iterator[str]:
    from mixcni.exchanges import pair_exchanges

    for name, table in tables:
        for told in table.objects(pair_exchanges(table).http):
            yield json.dumps({**told, "point": name}, ensure_ascii=False)


def _frame(tables: Iterable[tuple[str, "FlowTable"]]) -> Any:
    """All flows in one DataFrame, with the name of the point before the other columns."""
    import pandas as pd

    from mixcni.schema import FLOWS

    frames = []
    for name, table in tables:
        frame = table.to_frame()
        frame.insert(0, "point", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["point", *FLOWS])


def _text(name: str, table: "FlowTable") -> str:
    """The flows of a point as a table that fits 80 columns where addresses are short."""
    from mixcni.words import plural, printable

    rows = [_cells(told) for told in table.objects()]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]

    def line(cells: Iterable[str]) -> str:
        padded = (
            cell.rjust(width) if number >= NUMBERS else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    head = f"{printable(name)}: {plural(len(table), 'flow')}, {plural(len(table.packets), 'packet')}"
    return "\n".join([head, line(HEADINGS), *map(line, rows)] if rows else [head])


def _cells(told: dict[str, Any]) -> tuple[str, ...]:
    first, last = told["first_ns"], told["last_ns"]
    ends = (_end(*told[side]) for side in ("initiator", "responder"))
    return (
        *ends,
        told["protocol"],
        told["conn_state"],
        "+".join(f"{count:,}" for count in told["packets"]),
        "+".join(f"{count:,}" for count in told["payload_octets"]),
        str(told["retransmissions"]),
        "-" if first is None else f"{(last - first) / 1e9:.3f}",
    )


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
        click.echo(f"mixcni: wrote {output}", err=True)


def _write_parquet(frame: Any, output: Path | None) -> None:
    octets = io.BytesIO()
    try:
        frame.to_parquet(octets, index=False)
    except ImportError as error:
        raise ParameterError("Parquet needs pyarrow: pip install 'mixcni[scale]'") from error
    assert output is not None
    output.write_bytes(octets.getvalue())
    click.echo(f"mixcni: wrote {output}", err=True)
