"""What the commands that take capture files share."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import mixcni


def captures_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The capture files that paths name; a folder stands for the captures of the case in it."""
    for path in paths:
        if path.is_dir():
            yield from (file for point in mixcni.open_case(path).points for file in point.captures)
        else:
            yield path
