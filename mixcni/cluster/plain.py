"""Entries as plain values: what JSON and CSV have of them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from mixcni.cluster.version import VersionRange

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


def plain_entry(kind: str, entry: Any) -> dict[str, Plain]:
    """Where an entry stands and what it is, then its fields by name."""
    own = {name: _plain(name, getattr(entry, name)) for name in columns(entry.__class__)}
    return {"file": entry.file, "line": entry.line, "kind": kind, **own}


@cache
def columns(entry_type: type) -> tuple[str, ...]:
    """The names of an entry's fields, without those that say where it stands, and of what its type derives for show."""
    own = (item.name for item in fields(entry_type) if item.name not in ("file", "line"))
    return (*own, *getattr(entry_type, "SHOWN", ()))


def _plain(name: str, value: Any) -> Plain:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if name == "extra" and isinstance(value, tuple):
        return dict(value)
    if isinstance(value, tuple | list | frozenset):
        return [_plain("", item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain("", item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, VersionRange):
        return {item.name: _plain(item.name, getattr(value, item.name)) for item in fields(value)}
    return str(value)


def flat(value: Plain) -> str | int | float | None:
    """A plain value in one cell: lists joined by commas, objects as `key=value`, truth as true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(flat(item)) for item in value)
    if isinstance(value, dict):
        return " ".join(f"{key}={flat(item)}" for key, item in value.items())
    return value
