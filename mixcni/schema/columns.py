"""What is said of a column."""

from collections.abc import Mapping
from typing import NamedTuple


class Column(NamedTuple):
    """One column: its dtype, unit, the clause or field that defines it, and what else to know."""

    dtype: str
    unit: str
    source: str
    note: str = ""


Schema = Mapping[str, Column]
