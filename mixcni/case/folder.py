"""A case: the captures of each point, the dumps, and what is known of both, found in one folder or named one by one."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mixcni.case.manifest import NAME, Manifest, PointEntry, Scenario, both_ways, read_manifest
from mixcni.case.rotation import in_time_order, missing_files, run_at_once
from mixcni.errors import CaseError
from mixcni.glance import Glance
from mixcni.read import is_capture
from mixcni.topology import CapturePoint, Network

ROTATION: Final = re.compile(r"(?:[-_.]\d+)+$")  # tcpdump -G/-C, dumpcap -b: numbers and dates behind the name
COUNTED: Final = re.compile(r"[-_.]\d{1,3}$")  # a file of a set, or the name of a node: its packets tell
SUFFIX: Final = re.compile(r"(?:\.(?:pcap|pcapng|cap|dmp)\d*)?(?:\.(?:gz|zst|lz4))?$", re.IGNORECASE)
MAX_FILES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to diagnose.

    Parameters
    ----------
    folder : paths in reports are relative to it
    points : in path order where `path_given`, else by name
    dumps : files with cluster state
    pod_cidrs : pod networks of nodes that Cilium does not manage, by node
    notes : what was found missing or odd while opening, a sentence each

    Examples
    --------
    >>> mixcni.open_case("captures/policy-removed").path_given
    True
    """

    folder: Path
    title: str
    points: tuple[CapturePoint, ...]
    path_given: bool = False
    dumps: tuple[Path, ...] = ()
    pod_cidrs: Mapping[str, Network] = field(default_factory=dict)
    scenario: Scenario | None = None
    notes: tuple[str, ...] = ()

    @property
    def glance(self) -> Glance:
        """What `repr` and a notebook show."""
        names = " → ".join(point.name for point in self.points)
        files = sum(len(point.captures) for point in self.points)
        head = f"Case: {self.title or self.folder.name}; points {names}; {files} captures, {len(self.dumps)} dumps"
        return Glance(head, notes=self.notes)

    def __repr__(self) -> str:
        return self.glance.text()

    def _repr_html_(self) -> str:
        return self.glance.html()

    def relative(self, path: Path) -> str:
        """`path` as reports show it."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.as_posix()


def point_name(file_name: str) -> str:
    """The point that a capture file belongs to by its name: `B` for `B-0001.pcap.gz`."""
    stem = _stem(file_name)
    return ROTATION.sub("", stem) or stem


def _stem(file_name: str) -> str:
    return SUFFIX.sub("", file_name)


def files_by_point(files: Iterable[Path]) -> list[tuple[str, tuple[Path, ...]]]:
    """Capture files by the point that their names tell, in the order in which points come up; each point's files by time.

    Points of one name in several folders are different ones, and have their folder's name before theirs. So are files like
    `node-1.pcap` and `node-2.pcap` whose packets are of one time: each is a point under its whole name.
    """
    groups: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        groups.setdefault((file.parent, point_name(file.name)), []).append(file)
    for (folder, name), members in list(groups.items()):
        if len(members) > 1 and all(COUNTED.search(_stem(file.name)) for file in members) and run_at_once(members):
            del groups[folder, name]
            for file in members:
                groups.setdefault((folder, _stem(file.name)), []).append(file)
    known = Counter(name for _, name in groups)
    return [
        (name if known[name] == 1 else f"{folder.name}/{name}", in_time_order(members))
        for (folder, name), members in groups.items()
    ]


def open_case(path: str | Path) -> Case:
    """The case in a folder: by its case.toml, else captures grouped by leading name and every other file taken for a dump.

    Raises
    ------
    CaseError : there is no such folder, no capture in it, or its case.toml is wrong
    CaptureError : a file cannot be opened
    """
    folder = Path(path)
    if folder.is_file() and folder.name == NAME:
        folder = folder.parent
    if not folder.is_dir():
        raise CaseError(folder, "a case folder", "a file" if folder.exists() else "nothing")
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file, folder))
    if len(files) > MAX_FILES:
        raise CaseError(folder, f"at most {MAX_FILES} files", str(len(files)))
    manifest = folder / NAME
    if manifest.is_file():
        return _by_manifest(folder, read_manifest(manifest), files)
    captures = [file for file in files if is_capture(file)]
    if not captures:
        raise CaseError(folder, "capture files (pcap or pcapng) or a case.toml", f"neither among {len(files)} files")
    points = tuple(CapturePoint(name, members) for name, members in sorted(files_by_point(captures)))
    taken = set(captures)
    return Case(folder, "", points, dumps=tuple(file for file in files if file not in taken), notes=tuple(_holes(points)))


def case_of_files(points: Mapping[str, Iterable[Path]], dumps: Iterable[Path] = ()) -> Case:
    """A case of files named one by one; the points stand in path order.

    Parameters
    ----------
    points : each point's files by its name, in any order: they are read in that of their first packets
    dumps : files or folders with cluster state

    Raises
    ------
    CaseError : no point, or a file that is not there
    """
    if not points:
        raise CaseError(Path(), "at least one capture point", "none")
    named = {name: tuple(files) for name, files in points.items()}
    found: list[Path] = []
    for dump in dumps:
        found.extend(sorted(file for file in dump.rglob("*") if file.is_file()) if dump.is_dir() else [dump])
    for file in [*(file for files in named.values() for file in files), *found]:
        if not file.is_file():
            raise CaseError(file, "a file", "nothing")
    chosen = tuple(CapturePoint(name, in_time_order(files)) for name, files in named.items())
    return Case(Path(), "", chosen, path_given=len(chosen) > 1, dumps=tuple(found))


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _by_manifest(folder: Path, manifest: Manifest, files: list[Path]) -> Case:
    notes: list[str] = []
    points = [_point(folder, entry, files, notes) for entry in manifest.points]
    if not any(point.captures for point in points):
        raise CaseError(folder / NAME, "[[point]] tables whose captures are there", f"{len(points)} points without files")
    by_name = {point.name: point for point in points}
    order = _order(manifest)
    if order:
        aside = [name for name in by_name if name not in order]
        if aside:
            notes.append(f"points {', '.join(aside)} are not on the path that case.toml gives: left out")
    chosen = tuple(replace(by_name[name], passed_by=ways) for name, ways in order.items()) if order else tuple(points)
    taken = {file for point in points for file in point.captures} | {folder / NAME}
    if manifest.dumps is None:
        dumps = [file for file in files if file not in taken]
    else:
        dumps = []
        for pattern in manifest.dumps:
            matched = _matching(folder, pattern, files)
            if not matched:
                notes.append(f"no dump matches {pattern!r}")
            dumps.extend(file for file in matched if file not in dumps)
    return Case(
        folder=folder,
        title=manifest.title,
        points=chosen,
        path_given=bool(order),
        dumps=tuple(dumps),
        pod_cidrs=manifest.pod_cidrs,
        scenario=manifest.scenario,
        notes=tuple(notes),
    )


def _order(manifest: Manifest) -> dict[str, tuple[bool, bool]]:
    """The points in path order, and whether requests and responses pass each; those of the way back stand among the others."""
    request, response = manifest.request_path, manifest.response_path
    names = both_ways(request, response, [point.name for point in manifest.points]) or []
    return {name: (name in request, name in response or not response) for name in names}


def _matching(folder: Path, pattern: str, files: list[Path]) -> list[Path]:
    """The case's files that a pattern names; patterns do not leave the folder."""
    try:
        return [file for file in files if file.relative_to(folder).match(pattern) and _same_depth(file, folder, pattern)]
    except ValueError as error:
        raise CaseError(folder / NAME, "a file pattern", repr(pattern)) from error


def _same_depth(file: Path, folder: Path, pattern: str) -> bool:
    return "**" in pattern or len(file.relative_to(folder).parts) == len(Path(pattern).parts)


def _point(folder: Path, entry: PointEntry, files: list[Path], notes: list[str]) -> CapturePoint:
    captures: list[Path] = []
    for pattern in entry.captures:
        captures.extend(file for file in _matching(folder, pattern, files) if file not in captures)
    if not captures:
        notes.append(f"point {entry.name}: no capture matches {', '.join(entry.captures)}: nothing is known there")
    point = CapturePoint(entry.name, in_time_order(captures), entry.node, entry.kind, entry.scope, entry.window)
    notes.extend(_holes([point]))
    return point


def _holes(points: Iterable[CapturePoint]) -> Iterator[str]:
    """What of the points' rotated sets is missing: what passed meanwhile may not be in them, and was not lost for that."""
    for point in points:
        missing = missing_files(point.captures)
        if missing:
            yield f"point {point.name} lacks {missing}: what passed it meanwhile cannot be told from what was lost"
