"""JSON in dumps -> values that know their lines: listings, objects in a row, one object a line, cut anywhere.

Arrays at the top are taken apart, so that a listing cut in the middle still gives every element before the cut. What
does not decode is kept by its lines, and reading goes on at the next line that looks like a value, at most MAX_TRIES
times: any text is read in time linear in its length.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.dump import Parsed, Section, Unparsed

MAX_TRIES: Final = 20  # times that reading goes on behind what is no JSON, or that a key is looked for in vain
BEGINS: Final = re.compile(r'[\[{]\s*(?:$|["{\]}]|\[\s*(?:$|["\[{\]\d-]))')
"""How a line begins with which JSON may begin."""

MAX_NUMBER: Final = 1 << 63  # a counter of 2**64 - 1, which says that there is none, is beyond it
_DECODER: Final = json.JSONDecoder()
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]')
_BRACKET = re.compile(r"[\[\]{}]")
_BETWEEN = re.compile(r"[\s,]*")
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_REMARK = re.compile(r"[A-Za-z][A-Za-z ]{0,40}: *\S[^\n]{0,200}")
_PUNCTUATION = frozenset(" \t,[]{}")


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON value of a dump: an element of a listing, an object, or a line of text between them."""

    value: Any
    line: int
    """Of its first character, in the file."""
    last_line: int
    text: str
    """All of the section's text; the value's own is `text[start:end]`."""
    start: int
    end: int

    def lines_of(self, keys: Sequence[str]) -> Iterator[int]:
        """The line of each key of an object, in the object's order; one that is spelt with escapes gets the last one's."""
        at, line, missed = self.start, self.line, 0
        for key in keys:
            found = self.text.find(json.dumps(key, ensure_ascii=False), at, self.end) if missed < MAX_TRIES else -1
            if found >= 0:
                line += self.text.count("\n", at, found)
                at = found
            missed += found < 0
            yield line


class Nesting:
    """Follows JSON line by line, to know where a value ends."""

    def __init__(self) -> None:
        self.depth = 0
        self.is_object = False
        """The last value began with `{`: objects follow each other where a dump has one a line."""

    def take(self, line: str) -> None:
        """One more line."""
        is_object = line.startswith("{")
        if self.depth <= 0 or (self.is_object and line.startswith('{"')):
            self.depth = 0  # an object at a line's start is no part of another one: that one was cut
            self.is_object = is_object
            if is_object and line.rstrip().endswith("}"):
                return
        if not _BRACKET.search(line):
            return
        for match in _TOKEN.finditer(line):
            token = match[0]
            if token in ("[", "{"):
                self.depth += 1
            elif token in ("]", "}"):
                self.depth -= 1

    @property
    def is_whole(self) -> bool:
        """Whether the last value is at its end."""
        return self.depth <= 0


class JsonReader:
    """The values of a section, one by one; what did not decode is in `unparsed` once they have been read."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.unparsed: list[Unparsed] = []
        self._text = "\n".join(section.lines)
        self._starts = [0]
        for line in section.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._in_array = False
        self._tries = 0

    def __iter__(self) -> Iterator[Record]:
        text, at = self._text, 0
        while (at := _behind_blanks(text, at)) < len(text):
            if text[at] == "[" and not self._in_array:
                self._in_array, at = True, at + 1
            elif text[at] in "]}":
                self._in_array, at = False, at + 1
            elif not self._in_array and (match := _REMARK.match(text, at)):
                yield self._record(match[0], at, match.end())
                at = match.end()
            else:
                try:
                    value, end = _DECODER.raw_decode(text, at)
                except (ValueError, RecursionError):
                    at = self._skip(at)
                    continue
                yield self._record(value, at, end)
                at = end

    def _record(self, value: Any, start: int, end: int) -> Record:
        return Record(value, self._line(start), self._line(end - 1), self._text, start, end)

    def _line(self, at: int) -> int:
        return self.section.first_line + bisect_right(self._starts, at) - 1

    def _skip(self, at: int) -> int:
        """Keep the lines from a place on as unparsed, up to one that may begin a value like the last; its place."""
        self._tries += 1
        lines = self.section.lines
        first = self._line(at) - self.section.first_line
        indent = _indent(lines[first])
        end = first + 1
        while end < len(lines) and not (
            self._tries < MAX_TRIES and lines[end].lstrip()[:1] in ("{", "[") and _indent(lines[end]) == indent
        ):
            end += 1
        for index in range(first, end):
            if not _PUNCTUATION.issuperset(lines[index]):
                self.unparsed.append(Unparsed(self.section.first_line + index, lines[index], "JSON that does not decode"))
        return min(self._starts[end], len(self._text))


def _behind_blanks(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def read_records(section: Section, records: Iterable[Record], entries_of: Callable[[Record], Iterable[Any] | str]) -> Parsed:
    """The entries that `entries_of` makes of each record; where it gives a reason instead, the record's lines are unparsed."""
    entries: list[Any] = []
    unparsed: list[Unparsed] = []
    for record in records:
        found = entries_of(record)
        if isinstance(found, str):
            unparsed.extend(not_read(section, record, found))
        else:
            entries.extend(found)
    return Parsed(entries, unparsed)


def not_read(section: Section, record: Record, why: str) -> Iterator[Unparsed]:
    """The lines of a record that no reader takes."""
    for number in range(record.line, record.last_line + 1):
        line = section.lines[number - section.first_line]
        if not _PUNCTUATION.issuperset(line):
            yield Unparsed(number, line, why)


def a_mapping(value: Any) -> Mapping[str, Any]:
    """The object itself; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> Sequence[Any]:
    """The array itself; an empty one for anything else."""
    return value if isinstance(value, list) else ()


def a_text(value: Any) -> str | None:
    """The string itself; None for anything else, and for an empty one."""
    return value if isinstance(value, str) and value else None


def a_number(value: Any) -> int | None:
    """The integer itself, or the one that a string spells; None for anything else, and for what int64 does not hold."""
    if isinstance(value, int):
        return None if isinstance(value, bool) or not -MAX_NUMBER <= value < MAX_NUMBER else value
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def texts(value: Any) -> tuple[str, ...]:
    """The strings of an array."""
    return tuple(item for item in a_list(value) if isinstance(item, str))


def look_up(value: Any, *path: str) -> Any:
    """What stands in nested objects at a path of keys; None where there is nothing."""
    for key in path:
        value = a_mapping(value).get(key)
    return value
