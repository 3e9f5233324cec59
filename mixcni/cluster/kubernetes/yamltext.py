"""YAML -> plain values whose mappings know their lines, within limits.

libyaml gives events and nothing more: no tag makes an object, nothing recurses, and what an alias stands for is counted
each time that it is used. A value larger or deeper than the limits is refused with its line, before it is built.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 100  # mappings and sequences inside each other; a pod has a dozen
MAX_NODES: Final = 1_000_000  # values in one object, those behind aliases counted each time

LOADER: Final = getattr(yaml, "CLoader", yaml.Loader)  # its parser alone is used: it makes no objects
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH: Final = {
    word: truth
    for truth, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for spelt in words
    for word in (spelt, spelt.capitalize(), spelt.upper())
}
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})", re.ASCII)


class Lined(dict[str, Any]):
    """A mapping out of a file, with the line on which it begins."""

    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


class YamlError(Exception):
    """At `line`, the text is no YAML, or more of it than the limits allow: `why`."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(line, why)
        self.line = line
        self.why = why

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


def line_of(value: Any, default: int) -> int:
    """The line of a mapping that knows it; `default` for any other value."""
    return value.line if isinstance(value, Lined) else default


def read_yaml(lines: Sequence[str], first_line: int) -> Any:
    """The value of the first document in `lines`, the first of which is number `first_line` of its file.

    Raises
    ------
    YamlError : it is no YAML, uses an alias of something not yet whole, or is past MAX_DEPTH or MAX_NODES
    """
    try:
        return _Builder(first_line).build(yaml.parse("\n".join(lines), Loader=LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = min(mark.line if mark else 0, len(lines) - 1)  # what is missing at the end is missing on the last line
        raise YamlError(first_line + at, f"no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(first_line, f"no YAML: {str(error).splitlines()[0]}") from None


class _Builder:
    """Makes the value that a stream of events describes."""

    def __init__(self, first_line: int) -> None:
        self.first_line = first_line
        self.count = 0
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.stack: list[tuple[Any, str | None, int]] = []  # what is open, its anchor, the count before it
        self.keys: list[str | None] = []  # of each open mapping, the key whose value comes next
        self.root: list[Any] = []

    def build(self, events: Iterator[Any]) -> Any:
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                value = _scalar(event.value) if event.implicit[0] else event.value
                self._count(1, event)
                if event.anchor:
                    self.anchors[event.anchor] = value, 1
                self._place(value, event)
            elif kind is yaml.MappingStartEvent:
                self._open(Lined(self._line(event)), event)
            elif kind is yaml.SequenceStartEvent:
                self._open([], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._close(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                break
        return self.root[0] if self.root else None

    def _line(self, event: Any) -> int:
        return self.first_line + int(event.start_mark.line)

    def _count(self, nodes: int, event: Any) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            raise YamlError(self._line(event), f"more than {MAX_NODES} values in one object")

    def _open(self, value: Any, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise YamlError(self._line(event), f"more than {MAX_DEPTH} values inside each other")
        self.stack.append((value, event.anchor, self.count))
        self.keys.append(None)
        self._count(1, event)

    def _close(self, event: Any) -> None:
        value, anchor, before = self.stack.pop()
        self.keys.pop()
        if isinstance(value, Lined) and "<<" in value:
            _merge(value)
        if anchor:
            self.anchors[anchor] = value, self.count - before
        self._place(value, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise YamlError(self._line(event), f"alias *{event.anchor} of nothing that is whole before it")
        value, nodes = self.anchors[event.anchor]
        self._count(nodes, event)
        self._place(value, event)

    def _place(self, value: Any, event: Any) -> None:
        """Put a value where it belongs: the root, the next of a sequence, a mapping's next key or its value."""
        if not self.stack:
            self.root.append(value)
            return
        container = self.stack[-1][0]
        if isinstance(container, list):
            container.append(value)
        elif self.keys[-1] is None:
            if isinstance(value, dict | list):
                raise YamlError(self._line(event), "a mapping's key is no scalar")
            self.keys[-1] = event.value if type(event) is yaml.ScalarEvent else str(value)
        else:
            container[self.keys[-1]] = value
            self.keys[-1] = None


def _merge(mapping: Lined) -> None:
    """Take the keys that `<<` brings along and that are not there."""
    others = mapping.pop("<<")
    for other in others if isinstance(others, list) else [others]:
        if isinstance(other, dict):
            for key, value in other.items():
                mapping.setdefault(key, value)


def _scalar(text: str) -> Any:
    """A plain scalar as Kubernetes reads it (YAML 1.1); numbers with a point and times stay text."""
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    return int(text) if _INTEGER.fullmatch(text) else text
