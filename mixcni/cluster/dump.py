"""The words between the steps that read dumps: a section, what a reader made of it, and the row that says so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.version import VersionRange

NOT_READ_YET: Final = "recognised, not read yet"
UNRECOGNISED: Final = "unrecognised"


class Unparsed(NamedTuple):
    """A line that no reader understood; the dump's other lines are used."""

    line: int
    text: str
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


def lost_rows(unparsed: Sequence[Unparsed]) -> str | None:
    """Why a table of which some lines did not parse proves nothing by the absence of a row; None if all did."""
    return f"line {min(unparsed).line} could not be read" if unparsed else None


@dataclass(frozen=True, slots=True)
class Section:
    """Consecutive lines of one file that one command printed, with what stood around them."""

    file: str
    kind: str
    first_line: int
    """The number of `lines[0]` in the file, from 1."""
    lines: Sequence[str]
    """Clean; empty where the file has what is no part of the dump."""
    addresses: AddressBook
    endpoint_id: int | None = None
    node: str | None = None
    partial: str | None = None
    map_name: str | None = None
    """The map that `map get` was asked for, if its command says so."""
    errors: tuple[tuple[int, str], ...] = ()
    """Number and text of lines in which the command said that it failed."""
    is_json: bool = False

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Number and text of each line that is not empty."""
        return ((number, line) for number, line in enumerate(self.lines, self.first_line) if line)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a reader made of a section."""

    entries: Sequence[Any]
    unparsed: Sequence[Unparsed] = ()
    version: VersionRange | None = None
    """The releases that print this form; None where the form has never changed."""
    partial: str | None = None
    note: str = ""
    node: str | None = None
    extras: Sequence[Any] = ()
    """Entries of another table that the same dump holds, such as the summary above health's nodes."""


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump: where it stands, what it is, and how much of it was understood."""

    file: str
    line: int
    """Its first line, from 1."""
    last_line: int
    kind: str
    version: VersionRange | None
    node: str | None
    """The node it tells of, where a prompt or the dump itself names one."""
    endpoint_id: int | None
    """The endpoint that a policy map belongs to, if anything says so."""
    entries: int
    unparsed: tuple[Unparsed, ...] = ()
    unavailable: str | None = None
    """The command failed, for this reason: nothing at all follows from the absence of an entry."""
    partial: str | None = None
    """Rows are missing, for this reason: an absent entry proves nothing."""
    note: str = ""
    unparsed_beyond: tuple[int, ...] = ()
    """The numbers of further lines that did not parse, whose texts are not kept."""

    @property
    def is_read(self) -> bool:
        """Whether mixcni has a reader for dumps of this kind and form."""
        return self.partial != NOT_READ_YET

    @property
    def unparsed_lines(self) -> tuple[int, ...]:
        """The numbers of all lines that did not parse."""
        return (*(odd.line for odd in self.unparsed), *self.unparsed_beyond)

    @property
    def is_complete(self) -> bool:
        """Whether an entry that is not in this dump was not there on the node either."""
        return self.unavailable is None and self.partial is None

    def holds(self, file: str, line: int) -> bool:
        """Whether a line of a file is one of this dump's."""
        return file == self.file and self.line <= line <= self.last_line


class ReadDump(NamedTuple):
    """One dump and what it holds."""

    dump: Dump
    entries: tuple[Any, ...]
    extras: tuple[Any, ...] = ()
