"""Files -> ClusterState: the one place where the steps that read dumps are run in order."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

from mixcni.cluster.archives import is_archive
from mixcni.cluster.bundles import read_archive
from mixcni.cluster.cilium.policymap import policy_map_owner
from mixcni.cluster.dump import NOT_READ_YET, UNRECOGNISED, Dump, Parsed, ReadDump, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import JsonReader, Record, a_number, look_up, not_read
from mixcni.cluster.kinds import KIND_OF_NAME
from mixcni.cluster.lines import MAX_DUMP_OCTETS, MAX_WRAPPED_OCTETS, DumpText, clean_text, wrap_width
from mixcni.cluster.ofnode import with_nodes
from mixcni.cluster.recognise import split_sections
from mixcni.cluster.signs import json_kind, row_kind
from mixcni.cluster.state import ClusterState
from mixcni.errors import DumpError

_NO_SUCH_MAP: Final = "no such file or directory. Skipping."
MAX_UNPARSED: Final = 1000  # lines kept a dump; a file of another kind has no more to say


def read_dumps(paths: str | Path | Iterable[str | Path], *, root: str | Path | None = None) -> ClusterState:
    """What the dumps in files, and in all files below folders, say about the cluster.

    Dumps are recognised by what stands in them. A line that does not parse, a dump of an unknown kind, a command that
    failed: each is kept and shown in `dumps`, and the rest is used.

    Parameters
    ----------
    paths : files and folders in the order of reading; of two dumps of the same thing the later one counts
    root : folder that file names in the result are relative to; without it they are as given

    Raises
    ------
    DumpError : a file cannot be opened
    """
    return ClusterState.of(find_dumps(paths, root=root))


def find_dumps(paths: str | Path | Iterable[str | Path], *, root: str | Path | None = None) -> list[ReadDump]:
    """The dumps that `read_dumps` makes a state of, in the order of reading, each with its own entries."""
    found: list[ReadDump] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for file in _files(Path(path)):
            name = _name(file, root)
            found.extend(read_archive(file, name, read_octets) if is_archive(file) else read_octets(_octets(file), name))
    return with_nodes(found)


def read_octets(octets: bytes, file: str) -> list[ReadDump]:
    """The dumps in the octets of one file, whatever they are; `file` is the name under which they are cited."""
    is_blank = not octets or octets.isspace()
    text = clean_text(octets)
    if len(octets) > MAX_WRAPPED_OCTETS:
        octets = b""  # of a large dump every copy counts
    if text.binary:
        return [ReadDump(Dump(file, 1, 1, UNRECOGNISED, None, None, None, 0, note="no text"), ())]
    dumps = _read_text(text, file)
    if _left_over(dumps) and (width := wrap_width(octets)) is not None:
        whole = _read_text(clean_text(octets, width), file)
        dumps = whole if _is_more(whole, dumps) else dumps
    if text.cut and dumps:
        last = dumps[-1]
        why = f"only the first {MAX_DUMP_OCTETS} octets of the file were read"
        dumps[-1] = last._replace(dump=replace(last.dump, partial=why))
    if not dumps:
        note = "empty" if is_blank else "nothing but comments, prompts and blank lines"
        dumps = [ReadDump(Dump(file, 1, 1, UNRECOGNISED, None, None, None, 0, note=note), ())]
    return dumps


def _read_text(text: DumpText, file: str) -> list[ReadDump]:
    return [dump for section in split_sections(text, file) for dump in _read_section(section)]


def _left_over(found: Sequence[ReadDump]) -> int:
    """How many lines no reader understood."""
    return sum(len(read.dump.unparsed_lines) for read in found)


def _is_more(whole: Sequence[ReadDump], broken: Sequence[ReadDump]) -> bool:
    """Whether lines made whole tell what the broken ones did not: rests that add nothing are remarks, and stay left over."""
    own, others = ([entry for read in found for entry in read.entries] for found in (whole, broken))
    return _left_over(whole) < _left_over(broken) and len(own) >= len(others) and own != others


def _read_section(section: Section) -> Iterator[ReadDump]:
    """The dump in a section; JSON values of several kinds in a row are several."""
    if section.is_json:
        yield from _read_json(section)
        return
    kind = KIND_OF_NAME.get(section.kind)
    yield _dump_of(section, kind.read(section) if kind and kind.read else _not_read(section))


def _not_read(section: Section) -> Parsed:
    if section.kind != UNRECOGNISED:
        return Parsed((), partial=NOT_READ_YET)
    return Parsed((), [Unparsed(number, text, "no dump that mixcni knows") for number, text in section.numbered()])


def _read_json(section: Section) -> Iterator[ReadDump]:
    """The dumps in a section of JSON: values of one kind in a row are one."""
    reader = JsonReader(section)
    found: list[tuple[Section, Parsed, _Lines]] = []
    for (name, endpoint_id), records in groupby(reader, _JsonKinds(section.kind).of):
        kind, lines = KIND_OF_NAME.get(name), _Lines(records)
        if kind is not None and kind.read_json is not None:
            parsed = kind.read_json(section, lines)
        else:
            parsed = _json_not_read(section, name, lines)
        owner = section.endpoint_id if endpoint_id is None else endpoint_id
        found.append((replace(section, kind=name, endpoint_id=owner), parsed, lines))
    if not found:
        found.append((section, Parsed(()), _Lines(iter(()))))
    # A dump runs to the next one's first line, and begins where the section does if it is the first.
    begins = [section.first_line, *(lines.first for _, _, lines in found[1:])]
    ends = [begin - 1 for begin in begins[1:]] + [section.first_line + len(section.lines) - 1]
    broken = deque(reader.unparsed)
    for (own, parsed, lines), begin, end in zip(found, begins, ends, strict=True):
        last = max(end, lines.last)  # two dumps may share a line
        odd = list(_taken(broken, last))
        text = section.lines[begin - section.first_line : last - section.first_line + 1]
        yield _dump_of(replace(own, first_line=begin, lines=text), _with_broken(parsed, odd, own.kind))


def _taken(broken: deque[Unparsed], last: int) -> Iterator[Unparsed]:
    """The lines up to the last one of a dump, taken off the queue."""
    while broken and broken[0].line <= last:
        yield broken.popleft()


def _with_broken(parsed: Parsed, odd: Sequence[Unparsed], kind: str) -> Parsed:
    """What a reader made of JSON, with the lines that did not decode."""
    unparsed = sorted([*parsed.unparsed, *odd])
    partial = f"the JSON from line {odd[0].line} on does not decode" if odd else None
    lost = None if kind == UNRECOGNISED else lost_rows(unparsed)
    return replace(parsed, unparsed=unparsed, partial=parsed.partial or partial or lost)


class _Lines:
    """Records as they come, and the lines on which the first one begins and the last one ends."""

    def __init__(self, records: Iterator[Record]) -> None:
        self._records = records
        self.first = self.last = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.first = self.first or record.line
            self.last = record.last_line
            yield record


class _JsonKinds:
    """The kind of each JSON value, looked for once for all that have the same keys."""

    def __init__(self, hint: str) -> None:
        self._last = hint
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, record: Record) -> tuple[str, int | None]:
        """The kind of a value, and the endpoint whose map it is, if it says so.

        Text between values is of the kind before; of a value that shows no kind the command's is taken.
        """
        value = record.value
        if isinstance(value, dict):
            keys = tuple(value)
            if keys not in self._known:
                self._known[keys] = json_kind(record.text, record.start, record.end) or self._last
            self._last = self._known[keys]
        elif isinstance(value, str) and self._last == UNRECOGNISED:
            self._last = row_kind(value) or UNRECOGNISED  # what stands behind an empty array may tell
        return self._last, a_number(look_up(value, "EndpointID"))


def _json_not_read(section: Section, kind: str, records: Iterable[Record]) -> Parsed:
    if kind == UNRECOGNISED:
        why = "JSON of no dump that mixcni knows"
        return Parsed((), [line for record in records for line in not_read(section, record, why)], note="JSON")
    for _ in records:
        pass
    return Parsed((), partial=NOT_READ_YET, note="JSON")


def _dump_of(section: Section, parsed: Parsed) -> ReadDump:
    entries = tuple(parsed.entries)
    is_read = parsed.partial != NOT_READ_YET and section.kind != UNRECOGNISED
    partial = (section.partial or parsed.partial) if is_read else (parsed.partial or section.partial)
    unavailable: str | None = None
    notes = [parsed.note] if parsed.note else []
    if section.errors:
        says = section.errors[0][1]
        if entries:
            notes.append(f"line {section.errors[0][0]}: {says}")
            # A map that a node does not have (of IPv6, mostly) is skipped, and nothing is missing; any other error cut it short.
            broken = next((number for number, error in section.errors if not error.endswith(_NO_SUCH_MAP)), None)
            if broken is not None:
                partial = partial or f"the command failed at line {broken}"
        else:
            unavailable, notes = says, []
    unparsed_lines = () if unavailable else tuple(parsed.unparsed)
    if len(unparsed_lines) > MAX_UNPARSED:
        notes.append(f"{len(unparsed_lines) - MAX_UNPARSED} more lines did not parse")
    dump = Dump(
        section.file, section.first_line, section.first_line + len(section.lines) - 1, section.kind, parsed.version,
        section.node or parsed.node, policy_map_owner(section) if section.kind == "policy_map" else section.endpoint_id,
        len(entries), unparsed_lines[:MAX_UNPARSED], unavailable, partial, "; ".join(notes),
        tuple(odd.line for odd in unparsed_lines[MAX_UNPARSED:]),
    )  # fmt: skip
    return ReadDump(dump, entries, tuple(parsed.extras))


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder in the order of their names, hidden ones left out."""
    if not path.is_dir():
        yield path
        return
    for below in sorted(path.rglob("*")):
        if below.is_file() and not any(part.startswith(".") for part in below.relative_to(path).parts):
            yield below


def _octets(file: Path) -> bytes:
    """The octets of a file, one more than are read of it if it is larger.

    Raises
    ------
    DumpError : it cannot be opened or read
    """
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_DUMP_OCTETS + 1)
    except OSError as error:
        raise DumpError(file, error.strerror or str(error)) from error


def _name(file: Path, root: str | Path | None) -> str:
    if root is None or not file.is_relative_to(root):
        return str(file)
    return file.relative_to(root).as_posix()
