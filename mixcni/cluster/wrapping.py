"""Lines that a terminal broke at its width, made whole again.

Of what is copied out of a terminal each row that is wider comes as several lines, all but the last of which are exactly as
long as the terminal is wide. A table whose rows are equally long looks the same: whether lines were broken is decided by
reading them both ways (`loading`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

NARROWEST: Final = 40  # characters
WIDEST: Final = 1000
FEWEST: Final = 2  # broken lines: some line is the longest of every file, and what stands behind it may be a remark
MOST_WHOLE: Final = 4  # in a table whose rows are equally long, most lines of that length have another row behind them

Begins = Callable[[str], object]
"""Whether a line can be no other's rest."""


def width_of(lines: Sequence[str], begins: Begins, fewest: int = FEWEST) -> int | None:
    """The width at which lines were broken, if any were: that of the longest; None where too few have a rest behind them."""
    width = max(map(len, lines), default=0)
    if not NARROWEST <= width <= WIDEST:
        return None
    behind = [after for line, after in pairwise(lines) if len(line) == width and after]
    whole = sum(map(bool, map(begins, behind)))
    return width if len(behind) - whole >= max(fewest, MOST_WHOLE * whole) else None


def joined(lines: Sequence[str], width: int | None, begins: Begins) -> list[str]:
    """The lines, those of `width` with what goes on behind them; their number is as it was, for joined ones leave empty ones."""
    whole = list(lines)
    start = 0
    for index, (line, after) in enumerate(pairwise(lines), 1):
        if len(line) == width and after and not begins(after):
            whole[start] += after
            whole[index] = ""
        else:
            start = index
    return whole
