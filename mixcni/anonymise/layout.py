"""Lines rewritten cell by cell so that the columns of a table still stand below one another."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

CELL: Final = re.compile(r"\S+(?: \S+)*")  # words one blank apart
GAP: Final = 2  # blanks that part two cells


def rewritten(lines: Sequence[str], text: Callable[[str], str]) -> Iterator[str]:
    """The lines with `text` applied to each cell; where one outgrows its column, the columns behind it move, in all lines.

    Blank lines part tables. A line of one cell is rewritten as it stands.
    """
    for is_blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        block = list(group)
        yield from block if is_blank else _table(block, text)


def _table(lines: list[str], text: Callable[[str], str]) -> Iterator[str]:
    old = [[(match.start(), match[0]) for match in CELL.finditer(line)] for line in lines]
    new = [[text(cell) for _, cell in cells] for cells in old]
    wider: dict[int, int] = {}  # by where a column begins: how far it must move, beside what moves all before it
    for cells, words in zip(old, new, strict=True):
        for (begin, _), word, (following, _) in zip(cells, words, cells[1:], strict=False):
            need = begin + len(word) + GAP - following
            if need > 0:
                wider[following] = max(wider.get(following, 0), need)
    columns = sorted(wider)
    for cells, words in zip(old, new, strict=True):
        line = ""
        for (begin, _), word in zip(cells, words, strict=True):
            moved = begin + sum(wider[column] for column in columns if column <= begin)
            line = line.ljust(max(moved, len(line) + GAP if line else 0)) + word
        yield line
