"""Clean lines -> sections: which dump each stretch of a file is, by what stands in it.

People paste several dumps into one file, with or without the commands above them, and cut heads off. A row of titles, a
row of unmistakable grammar, a prompt or a fence begins a section; other lines belong to the section above them. What
nothing lays claim to is a section too, of kind `unrecognised`: it is shown, never guessed at.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.commands import Hints, hints_of_command, hints_of_file_name, kind_of_error
from mixcni.cluster.dump import UNRECOGNISED, Section
from mixcni.cluster.jsontext import Nesting
from mixcni.cluster.kinds import KINDS
from mixcni.cluster.lines import YAML_RULE, Command, DumpText
from mixcni.cluster.signs import (
    CT_ROW,
    begins_json,
    begins_object,
    begins_yaml,
    first_line_kind,
    header_kind,
    is_error,
    is_preamble,
    json_kind,
    row_kind,
)
from mixcni.cluster.yamljson import as_json

JSON: Final = "json"
"""The kind of a section until its values are read."""
CHOSEN: Final = "its lines were chosen by `grep`"
MAX_LOOKS: Final = 20  # times that the lines ahead are looked at, to tell whether a listing begins as YAML
LINES_LOOKED_AT: Final = 100
_NOT_FOR_ERRORS: Final = frozenset(kind.name for kind in KINDS if kind.quotes_errors)
_REVISION: Final = "Revision:"  # the line behind the JSON of `policy get`
_BEGIN_MAP: Final = ("Endpoint ID:", "/")  # the first line above each map that `policy get --all` prints
_BLOCK = re.compile(r"[|>][-+\d]{0,2}\s*$")
_FAILED_COMMAND = re.compile(r"Error while running '([^']*)'")


@dataclass(slots=True)
class _Open:
    """A section that still grows."""

    kind: str
    first: int
    last: int
    hints: Hints
    has_rows: bool = False
    """A line beyond titles and preamble was seen: another title row begins another section."""
    errors: list[tuple[int, str]] = field(default_factory=list)
    is_yaml: bool = False
    """It holds anything but what is unmistakably of another dump, and ends at a prompt or a fence."""
    nesting: Nesting | None = None
    """Of JSON: it holds anything to the end of its last value."""


class _Splitter:
    """Takes a file's lines one by one and closes sections as others begin."""

    def __init__(self, text: DumpText, file: str) -> None:
        self.text = text
        self.file = file
        self.by_name = hints_of_file_name(file)
        self.pending = Hints()
        self.pending_at: int | None = None
        self.current: _Open | None = None
        self.sections: list[Section] = []
        self.index = 0
        self.closed_at = 0
        self.addresses = AddressBook()
        self.looked_ahead = 0

    def take(self, index: int, line: str) -> None:
        """One line: a boundary, a row of the open section, or the first line of another."""
        current = self.current
        self.index = index
        if not line:
            if index in self.text.fences:
                self._close()
            elif (command := self.text.commands.get(index)) is not None:
                self._take_command(index, command)
        elif current is not None and current.kind == "ct" and CT_ROW.match(line):
            current.last, current.has_rows = index, True
        elif current is not None and (self._is_yaml_of(current, line) or self._is_json_of(current, line)):
            current.last = index
        elif line.rstrip() == YAML_RULE:
            return
        elif is_error(line, quoted=current is not None and current.kind in _NOT_FOR_ERRORS):
            self._take_error(index, line.strip())
        else:
            self._take_row(index, line)

    def _is_yaml_of(self, current: _Open, line: str) -> bool:
        """Whether a line goes on with an open section of YAML: at its margin it has keys and dashes alone, below it no titles."""
        if not current.is_yaml or line[0] in "{[":
            return False
        if current.kind == JSON and begins_object(line):
            return False
        if line[0] == " " and header_kind(line) not in (None, "kubernetes"):
            return self._is_quoted(current, line)
        return not line[0].isalnum() or not (header_kind(line) or row_kind(line) or is_error(line))

    def _is_quoted(self, current: _Open, line: str) -> bool:
        """Whether an indented line is part of a block of text that YAML quotes: below a key that ends in `|` or `>`."""
        indent = len(line) - len(line.lstrip())
        above = (self.text.lines[index] for index in range(self.index - 1, current.first - 1, -1))
        key = next((other for other in above if other and len(other) - len(other.lstrip()) < indent), "")
        return _BLOCK.search(key) is not None

    def _is_json_of(self, current: _Open, line: str) -> bool:
        """Whether a line goes on with the values of an open section of JSON."""
        nesting = current.nesting
        if nesting is None:
            return False
        if nesting.is_whole:
            if not (nesting.is_object and begins_json(line) and line.startswith("{")):
                return line.startswith(_REVISION)
        elif line[0].isalpha() and header_kind(line):
            return False  # the JSON above was cut
        nesting.take(line)
        return True

    def finish(self) -> list[Section]:
        """All sections, in the order of the file."""
        self.index += 1
        self._close()
        self._close_silent_command()
        return self._with_status_whole(self.sections)

    def _with_status_whole(self, sections: list[Section]) -> list[Section]:
        """The sections, the two halves of a status around its table of nodes made one."""
        boundaries = sorted((*self.text.commands, *self.text.fences))
        whole: list[Section] = []
        for section in sections:
            around = [] if section.is_json else [before.kind for before in whole[-2:] if not before.is_json]
            if section.kind == "status" and around == ["status", "health"]:
                first = whole[-2]
                last = section.first_line + len(section.lines) - 2
                at = bisect_left(boundaries, first.first_line - 1)
                if at == len(boundaries) or boundaries[at] > last:
                    gap = section.first_line - first.first_line - len(first.lines)
                    whole[-2] = replace(
                        first, lines=[*first.lines, *[""] * gap, *section.lines], errors=(*first.errors, *section.errors)
                    )
                    continue
            whole.append(section)
        return whole

    def _take_command(self, index: int, command: Command) -> None:
        hints = hints_of_command(command.text, command.host)
        if hints.kind is None and not (command.prompted or command.heading):
            return  # an author's comment
        self._close()
        self._close_silent_command()
        self.closed_at = index
        self.pending = hints
        self.pending_at = index if command.prompted and hints.kind is not None else None

    def _take_error(self, index: int, error: str) -> None:
        """The command above failed, or a part of its output is missing."""
        failed = _FAILED_COMMAND.search(error)
        kind = hints_of_command(failed[1]).kind if failed else None
        current = self.current
        if current is not None and current.kind == UNRECOGNISED and current.errors and not current.has_rows:
            current.kind = kind or kind_of_error(error) or UNRECOGNISED  # an error above did not say of what it was
        elif current is None or current.is_yaml or current.kind == UNRECOGNISED or (kind is not None and kind != current.kind):
            self._close()
            kind = kind or self.pending.kind or kind_of_error(error) or self.by_name.kind or UNRECOGNISED
            current = self._open(kind, index)
        current.errors.append((index + 1, error))
        current.last = index
        if failed:
            self._close()

    def _take_row(self, index: int, line: str) -> None:
        current = self.current
        titles = header_kind(line)
        kind = titles or row_kind(line)
        is_yaml = False
        if kind is None and begins_json(line):
            kind = JSON
        elif kind is None and (current is None or current.kind in (UNRECOGNISED, JSON) or begins_object(line)):
            kind = first_line_kind(line) or (JSON if self._begins_yaml(index, line) else None)
            is_yaml = kind in ("kubernetes", JSON)
            if kind is None and current is None:
                kind = self.pending.kind or UNRECOGNISED
            elif kind is None and current is not None and current.kind == JSON:
                kind = UNRECOGNISED
        preamble = is_preamble(line)
        if current is None or (kind is not None and not self._belongs(current, kind, line, titles is not None, preamble)):
            self._close()
            current = self._open(kind or UNRECOGNISED, index)
            current.is_yaml = is_yaml
            if kind == JSON and not is_yaml:
                current.nesting = Nesting()
                current.nesting.take(line)
        current.last = index
        current.has_rows = current.has_rows or not (titles or preamble)

    def _begins_yaml(self, index: int, line: str) -> bool:
        """Whether a listing of Cilium's begins with a line as YAML: by its command, its file's name, or its first members."""
        if self.looked_ahead >= MAX_LOOKS or not begins_yaml(line):
            return False
        self.looked_ahead += 1
        if self.pending.is_yaml or (self.by_name.is_yaml and self.by_name.kind is not None):
            return True
        lines = list(takewhile(bool, self.text.lines[index : index + LINES_LOOKED_AT]))
        return json_kind("\n".join(as_json(lines)).lstrip("[\n ")) is not None

    def _belongs(self, current: _Open, kind: str, line: str, has_titles: bool, is_preamble: bool) -> bool:
        """Whether a line of `kind` goes on with the open section."""
        if current.kind == "map" and kind in ("ipcache", "bpf_endpoints") and not has_titles:
            current.kind = kind  # `map get` has the same titles for every map
        if current.kind != kind or kind == JSON:
            return False
        if line.lstrip().startswith(_BEGIN_MAP):
            return False
        # The health table's titles may come again, below the blocks of a node.
        return not current.has_rows or not (is_preamble or (has_titles and kind != "health"))

    def _open(self, kind: str, index: int) -> _Open:
        hints = self.pending
        is_its = kind == JSON or hints.kind in (None, kind, "map") or (hints.kind, kind) == ("status", "health")
        if not is_its and not (kind == "map" and hints.map_name):
            hints = Hints(node=hints.node)  # the command above printed something else: its options say nothing here
        self.pending_at = None
        # What the command says of one map it says of the first, and of JSON of the first value alone.
        self.pending = Hints(node=self.pending.node) if kind == JSON else self.pending._replace(endpoint_id=None)
        self.current = opened = _Open(kind, index, index, hints)
        return opened

    def _close(self) -> None:
        """The open section is whole: a Section of it, with what lines left out inside it mean."""
        current, self.current = self.current, None
        if current is None:
            return
        closed_before, self.closed_at = self.closed_at, self.index
        lines = list(self.text.lines[current.first : current.last + 1])
        for number, _ in current.errors:
            lines[number - 1 - current.first] = ""
        is_json = current.kind == JSON
        kind = (current.hints.kind or self.by_name.kind or UNRECOGNISED) if is_json else current.kind
        if is_json and current.is_yaml:
            lines = as_json(lines)
        partial = current.hints.partial or (CHOSEN if self.text.is_chosen else None)
        elisions = self.text.elisions  # between two dumps they may stand for lines of either
        at = bisect_left(elisions, closed_before)
        if partial is None and at < len(elisions) and elisions[at] < self.index:
            partial = f"lines were left out at line {elisions[at] + 1}"
        endpoint_id = current.hints.endpoint_id
        if endpoint_id is None and kind == "policy_map":
            endpoint_id = self.by_name.endpoint_id
        self.sections.append(
            Section(
                self.file, kind, current.first + 1, lines, self.addresses, endpoint_id, current.hints.node, partial,
                current.hints.map_name, tuple(current.errors), is_json,
            )
        )  # fmt: skip

    def _close_silent_command(self) -> None:
        """A command at a prompt that printed nothing is a dump as well: of nothing, or of what a filter let through."""
        at, self.pending_at = self.pending_at, None
        kind, endpoint_id, partial, node, map_name, _ = self.pending
        if at is None or kind is None:
            return
        errors = () if partial else ((at + 1, "the command printed nothing"),)
        self.sections.append(
            Section(self.file, kind, at + 1, ("",), self.addresses, endpoint_id, node, partial, map_name, errors)
        )


def split_sections(text: DumpText, file: str) -> list[Section]:
    """The dumps in a file, in its order; `file` is its name, which counts only where its text is silent."""
    splitter = _Splitter(text, file)
    for index, line in enumerate(text.lines):
        splitter.take(index, line)
    return splitter.finish()
