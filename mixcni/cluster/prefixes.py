"""What tools put before every line of a dump, taken off: times, pods, file names and line numbers, quotes, indentation.

A prefix counts only where all lines that are not empty have it, and where more of them are of a known form without it: a
listing whose rows begin with times or numbers of their own keeps them.
"""

import re
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Final, NamedTuple

from mixcni.cluster.signs import certainty

MOST_TOOLS: Final = 3  # one behind the other: a time, behind a pod's name, behind a line's number
LOOKED_AT: Final = 50  # lines that tell whether a text is of a known form

_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?(?: |$)", re.ASCII)
_POD = re.compile(r"\[pod/[\w.-]{1,253}/[\w.-]{1,63}\](?: |$)")
_FILE = re.compile(r"[\w./-]{0,200}\.(?:txt|md|log|out|dump|json|ya?ml)[:-]", re.ASCII)
_FILE_NUMBER = re.compile(_FILE.pattern + r"\d{1,9}[:-]", re.ASCII)
_GREP_NUMBER = re.compile(r"(\d{1,9})[:-]", re.ASCII)
_CAT_NUMBER = re.compile(r" *(\d{1,9})(?: {2}|$)", re.ASCII)  # a tabulator stands as blanks
_MARKS: Final = (_POD, _STAMP, _FILE_NUMBER, _FILE, _CAT_NUMBER, _GREP_NUMBER)
_NUMBERS: Final = frozenset({_CAT_NUMBER, _GREP_NUMBER})
_OF_GREP: Final = frozenset({_FILE, _FILE_NUMBER, _GREP_NUMBER})
_QUOTES: Final = ("#", ">")


class Bare(NamedTuple):
    """Lines less what stood before each of them; their number is as it was."""

    lines: list[str]
    is_chosen: bool = False
    """A tool put the prefix there that prints some lines of a file and leaves others out."""


def without_prefixes(lines: list[str]) -> Bare:
    """The lines less whatever every one of them begins with."""
    bare = best = Bare(_without_quotes(_without_indentation(lines)))
    surest = _known(bare.lines)
    for _ in range(MOST_TOOLS):
        mark = _mark_of(bare.lines)
        if mark is None:
            break
        is_chosen = bare.is_chosen or (mark in _OF_GREP and not _is_whole(mark, bare.lines))
        bare = Bare(_without_quotes(_without_indentation(_less(mark, bare.lines))), is_chosen)
        if (known := _known(bare.lines)) > surest:
            best, surest = bare, known
    return best


def _mark_of(lines: Sequence[str]) -> re.Pattern[str] | None:
    """The prefix that every line has; None if there is none."""
    filled = [line for line in lines if line]
    mark = next((mark for mark in _MARKS if all(map(mark.match, filled))), None) if filled else None
    return None if mark in _NUMBERS and not _ascend(mark, filled) else mark


def _known(lines: Sequence[str]) -> tuple[int, ...]:
    """How many of the first lines are surely a dump's, the surest first."""
    found = [certainty(line) for line in islice(filter(None, lines), LOOKED_AT)]
    return tuple(map(found.count, (3, 2, 1)))


def _less(mark: re.Pattern[str], lines: Sequence[str]) -> list[str]:
    return [line[match.end() :] if (match := mark.match(line)) else line for line in lines]


def _numbers(mark: re.Pattern[str], lines: Sequence[str]) -> list[int]:
    return [int(match[1]) for line in lines if (match := mark.match(line))]


def _ascend(mark: re.Pattern[str], lines: Sequence[str]) -> bool:
    numbers = _numbers(mark, lines)
    return all(before < after for before, after in pairwise(numbers))


def _is_whole(mark: re.Pattern[str], lines: Sequence[str]) -> bool:
    """Whether numbered lines are all that the file had, by their numbers: `grep -n ''` prints them."""
    return mark in _NUMBERS and _numbers(mark, lines) == list(range(1, len(lines) + 1))


def _without_quotes(lines: list[str]) -> list[str]:
    """The lines less the `# ` or `> ` that every line begins with: a quoted or commented block."""
    for mark in _QUOTES:
        filled = [line for line in lines if line]
        is_block = len(filled) > 1 or any(certainty(line[2:]) > certainty(line) for line in filled)
        if is_block and all(line[:2] in (mark, mark + " ") for line in filled):
            lines = _without_indentation([line[2:] for line in lines])
    return lines


def _without_indentation(lines: list[str]) -> list[str]:
    """The lines less common leading blanks; lines of blanks alone become empty."""
    width: int | None = None
    for index, line in enumerate(lines):
        if line[:1] not in ("", " "):
            width = 0
        elif line and not line.strip():
            lines[index] = ""
        elif line:
            blanks = len(line) - len(line.lstrip())
            width = blanks if width is None else min(width, blanks)
    return [line[width:] for line in lines] if width else lines
