"""`-o json` of the commands that list a map as text: `{"KEY": ["VALUE", ...], ...}`, each pair a row of the table.

The rows of the JSON go through the reader of the table's rows, so that both forms give the same entries.
"""

from collections.abc import Callable, Iterable

from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, not_read, texts
from mixcni.cluster.version import VersionRange


def read_listing(section: Section, records: Iterable[Record], read: Callable[[Section], Parsed]) -> Parsed:
    """The entries that a table's reader makes of a listing's rows, one row at a time."""
    entries: list[object] = []
    unparsed: list[Unparsed] = []
    version: VersionRange | None = None
    for record in records:
        value = record.value
        if not isinstance(value, dict) or not all(isinstance(rows, list) for rows in value.values()):
            unparsed.extend(not_read(section, record, "wanted an object of lists of text"))
            continue
        for line, (key, rows) in zip(record.lines_of(list(value)), value.items(), strict=True):
            for row in texts(rows) or ("",):
                parsed = read(Section(section.file, section.kind, line, (f"{key}   {row}".rstrip(),), section.addresses))
                entries.extend(parsed.entries)
                unparsed.extend(parsed.unparsed)
                version = version or parsed.version
    return Parsed(entries, unparsed, version, partial=lost_rows(unparsed))
