"""Files -> ClusterState: the one place where the steps that read dumps are run in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from mixcni.cluster.cilium.ct import read_ct
from mixcni.cluster.cilium.endpoints import read_endpoints
from mixcni.cluster.cilium.health import read_health
from mixcni.cluster.cilium.identities import read_identities
from mixcni.cluster.cilium.ipcache import read_ipcache
from mixcni.cluster.cilium.nodes import read_nodes
from mixcni.cluster.cilium.policymap import policy_map_owner, read_policy_map
from mixcni.cluster.dump import NOT_READ_YET, UNRECOGNISED, Dump, Parsed, ReadDump, Section, Unparsed
from mixcni.cluster.lines import MAX_DUMP_OCTETS, clean_text
from mixcni.cluster.recognise import split_sections
from mixcni.cluster.state import ClusterState
from mixcni.errors import DumpError

_NO_SUCH_MAP: Final = "no such file or directory. Skipping."
MAX_UNPARSED: Final = 1000  # lines kept a dump; a file of another kind has no more to say

_READERS: Final[Mapping[str, Callable[[Section], Parsed]]] = MappingProxyType(
    {
        "ct": read_ct,
        "endpoints": read_endpoints,
        "policy_map": read_policy_map,
        "health": read_health,
        "ipcache": read_ipcache,
        "identities": read_identities,
        "nodes": read_nodes,
    }
)


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
    found: list[ReadDump] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for file in _files(Path(path)):
            found.extend(read_octets(_octets(file), _name(file, root)))
    return ClusterState.of(found)


def read_octets(octets: bytes, file: str) -> list[ReadDump]:
    """The dumps in the octets of one file, whatever they are; `file` is the name under which they are cited."""
    text = clean_text(octets)
    if text.binary:
        return [ReadDump(Dump(file, 1, 1, UNRECOGNISED, None, None, None, 0, note="no text"), ())]
    dumps = [_read_section(section) for section in split_sections(text, file)]
    if text.cut and dumps:
        last = dumps[-1]
        why = f"only the first {MAX_DUMP_OCTETS} octets of the file were read"
        dumps[-1] = last._replace(dump=replace(last.dump, partial=why))
    if not dumps:
        note = "empty" if not octets.strip() else "nothing but comments, prompts and blank lines"
        dumps = [ReadDump(Dump(file, 1, 1, UNRECOGNISED, None, None, None, 0, note=note), ())]
    return dumps


def _read_section(section: Section) -> ReadDump:
    reader = None if section.note else _READERS.get(section.kind)
    if reader is None:
        unknown = section.kind == UNRECOGNISED
        unparsed = [Unparsed(number, text, "no dump that mixcni knows") for number, text in section.numbered()] if unknown else []
        parsed = Parsed((), unparsed, partial=None if unknown else NOT_READ_YET, note=section.note)
    else:
        parsed = reader(section)
    entries = tuple(parsed.entries)
    partial = (section.partial or parsed.partial) if reader else (parsed.partial or section.partial)
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
