"""Entries of one kind as a DataFrame: the surface where a person looks at them."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def to_frame(entries: Sequence[Any], entry_type: type) -> "pd.DataFrame":
    """One row an entry, one column a field; addresses are text, what is absent `pd.NA`, labels joined by commas."""
    import pandas as pd

    columns = {}
    for item in fields(entry_type):
        values = [_cell(getattr(entry, item.name)) for entry in entries]
        columns[item.name] = pd.array(values, dtype=_dtype(str(item.type)))  # type: ignore[call-overload]
    return pd.DataFrame(columns)


def _cell(value: Any) -> Any:
    if type(value) is tuple:
        return ", ".join("=".join(part) if type(part) is tuple else str(part) for part in value)
    return value if value is None or isinstance(value, bool | int) else str(value)


def _dtype(annotation: str) -> str:
    """The pandas dtype of a field by its annotation: integers and truth values with room for pd.NA, else text."""
    kinds = {part.strip() for part in annotation.removeprefix("<class '").removesuffix("'>").split("|")} - {"None"}
    if kinds == {"bool"}:
        return "boolean"
    return "Int64" if kinds == {"int"} else "string"
