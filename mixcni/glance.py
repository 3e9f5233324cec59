"""A glance at a thing: a sentence, rows, notes; as text for a prompt and as HTML for a notebook, from the same words."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mixcni.words import printable


@dataclass(frozen=True, slots=True)
class Glance:
    """What `repr` and a notebook show of something.

    Parameters
    ----------
    head : what it is, and the trouble with it, in one line
    rows : cells, one row a part; all rows have the same number of them
    right : which columns hold counts, and stand to the right
    notes : a line each, below the rows
    """

    head: str
    rows: Sequence[Sequence[str]] = ()
    right: Sequence[int] = ()
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Lines with aligned columns."""
        rows = [[printable(cell) for cell in row] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [printable(self.head)]
        for row in rows:
            cells = (
                cell.rjust(width) if i in self.right else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append(f"  {'  '.join(cells)}".rstrip())
        return "\n".join([*lines, *(f"  {printable(note)}" for note in self.notes)])

    def html(self) -> str:
        """A table under its sentence, in the colours of the page around it."""
        side = ["right" if i in self.right else "left" for i in range(max(map(len, self.rows), default=0))]
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align: {side[i]}">{_safe(cell)}</td>' for i, cell in enumerate(row)) + "</tr>"
            for row in self.rows
        )
        table = f"<table>{body}</table>" if body else ""
        notes = "".join(f"<li>{_safe(note)}</li>" for note in self.notes)
        return f"<div><p>{_safe(self.head)}</p>{table}{f'<ul>{notes}</ul>' if notes else ''}</div>"


def _safe(text: str) -> str:
    return escape(printable(text))
