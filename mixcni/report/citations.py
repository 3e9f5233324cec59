"""The lines that findings cite, with what stands around them, read again from the dumps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from mixcni.cluster.lines import MAX_DUMP_OCTETS, clean_text
from mixcni.words import printable

AROUND: Final = 1  # lines before and after the cited one
WIDEST: Final = 400  # characters of a line that are shown


class CitedLine(NamedTuple):
    """A line of a dump; `number` from 1."""

    number: int
    text: str
    is_cited: bool


class Citations:
    """Lines of the dumps, by the names under which a report cites them.

    Parameters
    ----------
    paths : where each dump was read, by its name
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._lines: dict[str, Sequence[str]] = {}

    def around(self, file: str, line: int | None) -> tuple[CitedLine, ...]:
        """The cited line and its neighbours; none where the dump is no longer there."""
        if line is None or file not in self._paths:
            return ()
        if file not in self._lines:
            self._lines[file] = self._read(self._paths[file])
        lines = self._lines[file]
        numbers = range(max(line - AROUND, 1), min(line + AROUND, len(lines)) + 1)
        return tuple(CitedLine(n, _cut(lines[n - 1]), n == line) for n in numbers if lines[n - 1].strip())

    def _read(self, path: Path) -> Sequence[str]:
        try:
            with path.open("rb") as stream:
                return clean_text(stream.read(MAX_DUMP_OCTETS + 1)).lines
        except OSError:  # removed since: the place is cited all the same
            return ()


def _cut(line: str) -> str:
    line = printable(line.rstrip())
    return line if len(line) <= WIDEST else f"{line[:WIDEST]}…"
