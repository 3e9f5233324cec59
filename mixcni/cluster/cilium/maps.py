"""`cilium map get` and `map list`: what the agent believes to be in its BPF maps.

Every map has the same columns. The maps that mixcni knows better (ipcache, local endpoints) are read as what they are;
the others keep key and value as text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_text, read_records
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One entry of a map, as text."""

    map: str | None
    """The map's name; None where neither command nor heading tells it."""
    key: str
    value: str
    state: str | None
    """sync, or what the agent still has to do: insert, delete, to-be-deleted."""
    error: str | None
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class MapSummary:
    """One map and how full it is."""

    name: str
    entries: int
    errors: int
    cache_enabled: bool
    file: str = ""
    line: int = 0


_STATES: Final = frozenset({"sync", "insert", "delete", "ok", "to-be-deleted", "not-in-sync", "update"})
_COLUMNS = re.compile(r" {2,}")
_SUMMARY = re.compile(r"\s*(\S{1,100})\s+(\d{1,10})\s+(\d{1,10})\s+(true|false)\s*$", re.ASCII)
_SLOT = re.compile(r"\(\d+\)")


def read_map(section: Section) -> Parsed:
    """The entries of `map get`; where columns were lost, the state's word parts value and error."""
    entries: list[MapEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        if text.split()[:2] == ["Key", "Value"]:
            continue
        cells = _cells(text)
        if cells is None:
            unparsed.append(Unparsed(number, text, "wanted a key, a value and a state"))
        else:
            key, value, state, error = cells
            entries.append(MapEntry(section.map_name, key, value, state, error, section.file, number))
    return Parsed(entries, unparsed)


def _cells(text: str) -> tuple[str, str, str | None, str | None] | None:
    """Key, value, state and error of a row."""
    tokens = text.split()
    at = next((at for at, token in enumerate(tokens) if at and token in _STATES), None)
    if at is None and not (len(tokens) >= 2 and _COLUMNS.search(text.strip())):
        return None
    before = tokens if at is None else tokens[:at]
    key = len(_COLUMNS.split(text.strip(), maxsplit=1)[0].split())
    if not 0 < key < len(before):
        key = 2 if len(before) > 2 and _SLOT.fullmatch(before[1]) else 1
    error = None if at is None else " ".join(tokens[at + 1 :]) or None
    return " ".join(before[:key]), " ".join(before[key:]), None if at is None else tokens[at], error


def read_map_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The entries of `map get -o json` and, all maps in one object, `map list -o json`."""

    def entries_of(record: Record) -> list[MapEntry] | str:
        value = a_mapping(record.value)
        maps = a_list(value.get("maps")) or ([value] if "path" in value or "cache" in value else [])
        cells = [(name, a_mapping(item)) for each in maps for name, item in _cached(each)]
        if not maps:
            return "no map with a path or a cache"
        lines = record.lines_of([a_text(item.get("key")) or "" for _, item in cells])
        return [
            MapEntry(
                name, a_text(item.get("key")) or "", a_text(item.get("value")) or "", a_text(item.get("desired-action")),
                a_text(item.get("last-error")), section.file, line,
            )
            for line, (name, item) in zip(lines, cells, strict=True)
        ]  # fmt: skip

    return read_records(section, records, entries_of)


def _cached(value: Any) -> list[tuple[str | None, Any]]:
    path = a_text(a_mapping(value).get("path"))
    name = path.rsplit("/", 1)[-1] if path else None
    return [(name, item) for item in a_list(a_mapping(value).get("cache"))]


def read_map_list(section: Section) -> Parsed:
    """The maps of `map list`."""
    entries: list[MapSummary] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        if text.split()[:3] == ["Name", "Num", "entries"]:
            continue
        if match := _SUMMARY.match(text):
            entries.append(MapSummary(match[1], int(match[2]), int(match[3]), match[4] == "true", section.file, number))
        else:
            unparsed.append(Unparsed(number, text, "wanted a map's name, two numbers, and whether it is cached"))
    return Parsed(entries, unparsed)


KIND: Final = Kind(
    name="map",
    entry=MapEntry,
    read=read_map,
    read_json=read_map_json,
    titles=r"KEY\ VALUE(?:\ |$)",
    json=r'"desired-action"\s*:|^\{\s*"cache"\s*:|^\{\s*"maps"\s*:|^\{\s*"path"\s*:\s*"/sys/fs/bpf',
    commands=("map get",),
)
LIST_KIND: Final = Kind(
    name="map_list",
    entry=MapSummary,
    read=read_map_list,
    titles=r"NAME\ NUM\ ENTRIES\b",
    commands=("map list",),
)
