"""What mixcni knows of one kind of dump: its signs, the commands that print it, and who reads it.

A parser's module ends with the `Kind` that it reads; `kinds.KINDS` lists them. All else follows from that list: how
stretches of a file are recognised, which commands and error messages name the kind, and which table its entries go to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mixcni.cluster.dump import Parsed, Section
from mixcni.cluster.jsontext import Record

TextReader = Callable[[Section], Parsed]
JsonReader = Callable[[Section, Iterable[Record]], Parsed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of dump."""

    name: str
    """Also the name of the table of its entries."""
    entry: type | None = None
    """The dataclass of an entry, with `file` and `line`; None: recognised, but not read.

    A class variable `SHOWN` names properties that stand beside its fields where entries are printed.
    """
    read: TextReader | None = None
    read_json: JsonReader | None = None
    extras: tuple[tuple[str, type], ...] = ()
    """Further tables that the dump holds, by name: those of `Parsed.extras`."""
    titles: str = ""
    """Verbose regular expression for a row of titles, runs of blanks folded to one, all letters capitals."""
    rows: str = ""
    """Verbose regular expression for the beginning of rows that no other kind has, leading blanks taken off."""
    first_row: str = ""
    """The same for a weaker sign, which counts only where no section lays claim to a line."""
    json: str = ""
    """Regular expression that is searched for in the first characters of a JSON value."""
    commands: tuple[str, ...] = ()
    """The words of the commands that print it, options left out; `cilium_...` names a map of `map get`."""
    files: tuple[str, ...] = ()
    """Further words by which people name files of it."""
    errors: tuple[str, ...] = ()
    """Texts that only an error of its command holds."""
    preamble: tuple[str, ...] = ()
    """How lines above the rows begin, which are never found below them."""
    quotes_errors: bool = False
    """Its lines may quote errors, so that none of them is taken for the failure of a command."""
