"""`kubectl get -o yaml|json`: objects, lists of them, and streams of both, each with its file and line.

A list is taken apart by its lines before it is parsed, so that one broken object costs no other, and a list of any
length needs the memory of one object. What is no YAML and no object that is read is kept by its lines.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from mixcni.cluster.dump import NOT_READ_YET, Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record
from mixcni.cluster.kind import Kind
from mixcni.cluster.kubernetes.objects import POLICY_KINDS, KubernetesObject, list_of, mapping_of, object_of, text_of
from mixcni.cluster.kubernetes.yamltext import YamlError, line_of, read_yaml

MAX_UNREAD: Final = 1000  # unparsed lines kept for objects of kinds that are not read

_KEY: Final = re.compile(r"""(?:[\w."'/-]{1,80}\s?:(?:\s|$)|-(?:\s|$)|[\[\]{}]|\.\.\.$|%)""")
_TABLE: Final = re.compile(r"(?:NAMESPACE +)?NAME +.*\bAGE\b")
_NOTHING: Final = re.compile(r"No resources found")
_SLIMMED: Final = frozenset({"kind: Pod", "- kind: Pod", "kind: Node", "- kind: Node"})
_LEFT_OUT: Final = frozenset({
    "managedFields:", "annotations:", "ownerReferences:", "env:", "envFrom:", "volumes:", "volumeMounts:", "resources:",
    "tolerations:", "affinity:", "conditions:", "containerStatuses:", "initContainerStatuses:", "livenessProbe:",
    "readinessProbe:", "startupProbe:", "lifecycle:", "securityContext:", "images:", "nodeInfo:", "capacity:", "allocatable:",
    "volumesInUse:", "volumesAttached:", "topologySpreadConstraints:",
})  # fmt: skip
"""Blocks of pods and nodes that nothing is kept of."""
_DECODER: Final = json.JSONDecoder()
_BETWEEN: Final = re.compile(r"[\s,]*")
_ITEMS: Final = re.compile(r'"items"\s*:\s*\[')


class _Chunk(NamedTuple):
    """Consecutive lines that hold one object."""

    first_line: int
    lines: Sequence[str]
    default_kind: str = ""


def read_kubernetes(section: Section) -> Parsed:
    """The objects in a section of YAML; a table as `kubectl get` prints it by default is recognised, and not read."""
    first = next((line for line in section.lines if line.strip()), "")
    if _TABLE.match(first):
        return Parsed((), partial=NOT_READ_YET)
    result = _Result(section.file)
    lines = list(section.lines)
    for index, line in enumerate(lines):
        if line and not line[0].isspace() and line != "---" and not _KEY.match(line):
            if not _NOTHING.match(line):
                result.unparsed.append(Unparsed(section.first_line + index, line, "no YAML"))
            lines[index] = ""
    for document in _documents(lines, section.first_line):
        for chunk in _chunks(document):
            result.take(chunk)
    return result.parsed()


def read_kubernetes_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The objects in JSON values; the elements of lists get lines of their own, and so do a policy's rules."""
    result = _Result(section.file)
    for record in records:
        value = record.value
        if not isinstance(value, dict):
            result.odd(record.line, str(value)[:200], "no object")
        elif "items" in value and text_of(value.get("kind")).endswith("List"):
            kind = _element_kind(value)
            line, before = record.line, record.start
            for item, start, end in _items_of(record.text, record.start, record.end):
                line, before = line + record.text.count("\n", before, start), start
                result.take_value(item, kind, line, record.text[start:end])
        else:
            result.take_value(value, "", record.line, record.text[record.start : record.end])
    return result.parsed()


class _Result:
    """Objects and odd lines as they are found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.objects: list[KubernetesObject] = []
        self.unparsed: list[Unparsed] = []
        self.broken: int | None = None

    def take(self, chunk: _Chunk) -> None:
        """One object out of its lines."""
        if not any(chunk.lines):
            return
        try:
            value = _read(chunk)
        except YamlError as error:
            self.broken = self.broken or error.line
            text = chunk.lines[min(max(error.line - chunk.first_line, 0), len(chunk.lines) - 1)]
            self.odd(error.line, text, error.why)
            return
        for each in self._elements(value):
            if each is not None:
                self.add(each, chunk.default_kind, chunk.first_line)

    def take_value(self, value: Any, default_kind: str, line: int, text: str) -> None:
        """One object that JSON held; a policy is read again for the lines of its rules."""
        kind = text_of(mapping_of(value).get("kind")) or default_kind
        if kind in POLICY_KINDS:
            try:
                value = read_yaml(text.split("\n"), line)
            except YamlError as error:
                self.odd(error.line, "", error.why)
        self.add(value, default_kind, line)

    def odd(self, line: int, text: str, why: str) -> None:
        """Keep a line that is none of an object's."""
        self.unparsed.append(Unparsed(line, text, why))

    def parsed(self) -> Parsed:
        """What all was made of."""
        partial = None if self.broken is None else f"the YAML around line {self.broken} could not be read"
        return Parsed(self.objects, sorted(self.unparsed), partial=partial)

    def _elements(self, value: Any) -> Sequence[Any]:
        if isinstance(value, list):
            return value
        if isinstance(value, dict) and isinstance(value.get("items"), list) and text_of(value.get("kind")).endswith("List"):
            kind = _element_kind(value)
            return [{"kind": kind, **each} if isinstance(each, dict) and kind and "kind" not in each else each
                    for each in value["items"]]  # fmt: skip
        return [value]

    def add(self, value: Any, default_kind: str, line: int) -> None:
        """One object that is parsed already."""
        found = object_of(value, default_kind, self.file, line)
        if isinstance(found, KubernetesObject):
            self.objects.append(found)
        elif len(self.unparsed) < MAX_UNREAD:
            name = text_of(mapping_of(mapping_of(value).get("metadata")).get("name"))
            self.odd(line_of(value, line), name or "an object without a name", found)


def _read(chunk: _Chunk) -> Any:
    """The value of a chunk. Of pods and nodes, of which there are thousands, only the parts that are kept are parsed.

    Raises
    ------
    YamlError : as read_yaml does
    """
    if any(line.strip() in _SLIMMED for line in chunk.lines):
        try:
            return read_yaml(_slim(chunk.lines), chunk.first_line)
        except YamlError:
            pass  # what was left out was no block: the whole of it decides
    return read_yaml(chunk.lines, chunk.first_line)


def _slim(lines: Sequence[str]) -> list[str]:
    """The lines, those of blocks that nothing is kept of emptied: a key without a value and all that is indented below it."""
    kept: list[str] = []
    inside: int | None = None
    for line in lines:
        stripped = line.lstrip()
        indent = len(line) - len(stripped)
        if inside is not None and stripped:
            if indent > inside or (indent == inside and stripped.startswith("- ")):
                kept.append("")
                continue
            inside = None
        if stripped in _LEFT_OUT:
            inside = indent
        kept.append("" if inside is not None else line)
    return kept


def _element_kind(value: Any) -> str:
    """What the elements of a list are, by its kind: `PodList` says so, `List` does not."""
    return text_of(value.get("kind")).removesuffix("List")


def _documents(lines: Sequence[str], first_line: int) -> Iterator[_Chunk]:
    """The documents of a stream: parted by `---`, or where a key comes again that an object has once at its top."""
    start, seen = 0, set[str]()
    for index, line in enumerate(lines):
        key = next((key for key in ("apiVersion:", "kind:", "items:") if line.startswith(key)), None)
        if line.startswith("---") or (key is not None and key in seen):
            yield _Chunk(first_line + start, lines[start:index])
            is_rule = line.startswith("---")
            start, seen = index + is_rule, set()
        if key is not None:
            seen.add(key)
    yield _Chunk(first_line + start, lines[start:])


def _chunks(document: _Chunk) -> Iterator[_Chunk]:
    """A document's objects: itself, or each element of its `items`, the dash before which becomes a blank."""
    lines = document.lines
    at = next((index for index, line in enumerate(lines) if line.rstrip() == "items:"), None)
    if at is None:
        yield document
        return
    begin = next((index for index in range(at + 1, len(lines)) if lines[index].strip()), len(lines))
    dash = " " * (len(lines[begin]) - len(lines[begin].lstrip())) + "- " if begin < len(lines) else "- "
    end = next((i for i in range(begin, len(lines)) if lines[i] and not lines[i].startswith((" ", "- ", "#"))), len(lines))
    kind = next((line[5:].strip().strip("\"'") for line in (*lines[:at], *lines[end:]) if line.startswith("kind:")), "List")
    starts = [index for index in range(begin, end) if lines[index].startswith(dash)]
    if starts[:1] != [begin]:
        yield document  # its elements do not begin on lines of their own
        return
    for start, after in zip(starts, [*starts[1:], end], strict=True):
        first = f"{dash[:-2]}  {lines[start][len(dash) :]}"
        yield _Chunk(document.first_line + start, [first, *lines[start + 1 : after]], kind.removesuffix("List"))


def _items_of(text: str, start: int, end: int) -> Iterator[tuple[Any, int, int]]:
    """The elements of a JSON list's `items`, each with where it begins and ends."""
    match = _ITEMS.search(text, start, end)
    at = match.end() if match else end
    while at < end:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        if at >= end or text[at] == "]":
            return
        value, after = _DECODER.raw_decode(text, at)
        yield value, at, after
        at = after


def objects_of(manifests: Any, file: str) -> tuple[list[KubernetesObject], list[Unparsed]]:
    """The objects in YAML text, or in mappings as a program has them, and what of it is none that is read."""
    result = _Result(file)
    if isinstance(manifests, str):
        lines = [line.expandtabs().rstrip("\r") for line in manifests.split("\n")]
        for document in _documents(lines, 1):
            for chunk in _chunks(document):
                result.take(chunk)
    else:
        for number, each in enumerate(manifests, 1):
            elements = list_of(each.get("items")) if isinstance(each, dict) and "items" in each else [each]
            for element in elements:
                result.add(element, _element_kind(each) if element is not each else "", number)
    return result.objects, sorted(result.unparsed)


KIND: Final = Kind(
    name="kubernetes",
    entry=KubernetesObject,
    read=read_kubernetes,
    read_json=read_kubernetes_json,
    titles=r"(?:NAMESPACE\ )?NAME\ .*\bAGE\b",
    json=r'"apiVersion"\s*:',
    commands=("kubectl get",),
)
