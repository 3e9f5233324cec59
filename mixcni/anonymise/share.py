"""A case folder that can be given away: the same captures, dumps and manifest, all through one anonymiser."""

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from mixcni.anonymise.anonymiser import Anonymiser
from mixcni.anonymise.dumps import share_dump
from mixcni.case import Case, Progress
from mixcni.case.manifest import NAME, read_manifest
from mixcni.cluster import read_dumps
from mixcni.cluster.lines import MAX_DUMP_OCTETS
from mixcni.errors import CaseError
from mixcni.read import CaptureFile
from mixcni.report.pcapng import InterfaceBlock, PacketBlock, write_pcapng
from mixcni.topology import CapturePoint

SHORT_NAME: Final = 2  # characters: A, B1; a longer name of a point may tell something
ETHERNET: Final = 1


def names_of(case: Case) -> set[str]:
    """Names of nodes and hosts that the case and its dumps hold."""
    names = {point.node for point in case.points} | set(case.pod_cidrs)
    state = read_dumps(case.dumps, root=case.folder)
    listed = [*(entry.name for entry in state.health), *(entry.name for entry in state.nodes)]
    names.update(part for name in listed for part in (name, name.rpartition("/")[2]))
    names.update(dump.node for dump in state.dumps if dump.node)
    return {name for name in names if name}


def share_case(case: Case, folder: Path, key: bytes | None = None, *, progress: Progress | None = None) -> tuple[str, ...]:
    """Write a case to `folder`, anonymised; what was left out or changed beside that, a sentence each.

    Parameters
    ----------
    folder : is made; it must be empty if it is there
    key : decides which address becomes which; None: random, and kept nowhere
    progress : called with the octets rewritten so far and the octets of all captures

    Raises
    ------
    CaseError : the folder holds something
    CaptureError : a capture cannot be read
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CaseError(folder, "an empty folder, or none", "something in it" if folder.is_dir() else "a file")
    mask = Anonymiser(key, names_of(case))
    folder.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    points = []
    sizes = {path: path.stat().st_size for point in case.points for path in point.captures}
    total, done = sum(sizes.values()), 0
    for point, name in zip(case.points, _point_names(case), strict=True):
        files = [f"{name}.pcapng"] if len(point.captures) == 1 else [f"{name}-{i:04d}.pcapng" for i in range(len(point.captures))]
        for path, file in zip(point.captures, files, strict=True):
            tell = None if progress is None else _Told(progress, done + sizes[path], total)
            notes.extend(_share_capture(path, case.relative(path), folder / file, mask, tell))
            done += sizes[path]
        points.append(_point_toml(point, name, files, mask))
    dumps = list(_share_dumps(case, folder, mask, notes))
    (folder / "case.toml").write_text("\n".join(_manifest(case, points, dumps, mask)) + "\n", encoding="utf-8")
    return tuple(notes)


class _Told(NamedTuple):
    """Says how far a file is rewritten: `end` is the octets of all captures up to its end, `total` of all there are."""

    progress: Progress
    end: int
    total: int

    def left(self, octets: int) -> None:
        """`octets` of this file are still to be read."""
        self.progress(self.end - octets, self.total)


def _point_names(case: Case) -> list[str]:
    """A, B, C stay; where a name is longer, all become P1, P2, ... in the order of the old names, which may count."""
    names = [point.name for point in case.points]
    if all(len(name) <= SHORT_NAME for name in names):
        return names
    ranked = sorted(names)
    return [f"P{ranked.index(name) + 1}" for name in names]


def _share_capture(path: Path, shown: str, target: Path, mask: Anonymiser, tell: "_Told | None") -> Iterator[str]:
    """One capture, frame by frame, as pcapng with its interfaces; times stay by its own clock."""
    numbers: dict[tuple[int, int], int] = {}
    surveyed = CaptureFile(path)
    for block in surveyed.blocks():
        used = sorted({*zip(block.frames.interface.tolist(), block.frames.link_type.tolist(), strict=True)})
        numbers.update({pair: len(numbers) for pair in used if pair not in numbers})
    capture = CaptureFile(path)
    order = _in_their_places(numbers)
    untimed = 0

    def packets() -> Iterator[PacketBlock]:
        nonlocal untimed
        for block in capture.blocks():
            frames = block.frames
            for i in range(frames.start.size):
                start, time, link_type = int(frames.start[i]), int(frames.time_ns[i]), int(frames.link_type[i])
                octets = block.octets[start : start + int(frames.captured[i])].tobytes()
                original = int(frames.original[i])
                untimed += time < 0
                number = order.index((int(frames.interface[i]), link_type))
                yield PacketBlock(number, time, original, mask.frame(octets, link_type, original), "")
            if tell is not None:
                tell.left(block.octets_behind)

    interfaces = [InterfaceBlock("", "", link_type) for _, link_type in order]
    with target.open("wb") as stream:
        write_pcapng(stream, interfaces, packets(), program="mixcni extract", comment="anonymised", drops=_drops(surveyed, order))
    if untimed:
        yield f"{shown}: {untimed} frames without a time are written with the time 0"
    yield from (f"{shown}: what is damaged is left out: {damage.what} at octet {damage.offset}" for damage in capture.damage)


def _in_their_places(numbers: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """(old number, link type) of each new interface: at its old number where that is free, for decoding keeps numbers."""
    waiting = sorted(numbers)
    placed: dict[int, tuple[int, int]] = {}
    for pair in waiting:
        place = pair[0] if pair[0] not in placed else max(*placed, waiting[-1][0]) + 1
        placed[place] = pair
    return [placed.get(place, (-1, ETHERNET)) for place in range(max(placed, default=0) + 1)]


def _drops(capture: CaptureFile, order: list[tuple[int, int]]) -> list[int | None]:
    """What each interface's capture lost by its own count; of a file of several sections in sum, at the first."""
    counted = [interface.dropped for interface in capture.interfaces]
    if len(counted) <= len(order):
        return [*counted, *[None] * (len(order) - len(counted))]
    known = [count for count in counted if count is not None]
    return [sum(known) if known else None, *[None] * (len(order) - 1)]


def _share_dumps(case: Case, folder: Path, mask: Anonymiser, notes: list[str]) -> Iterator[str]:
    for number, path in enumerate(case.dumps):
        shown = case.relative(path)
        with path.open("rb") as stream:
            shared = share_dump(stream.read(MAX_DUMP_OCTETS + 1), shown, number, mask)
        if shared is None:
            notes.append(f"{shown}: left out: no dump of a kind that can be rewritten")
            continue
        notes.extend(shared.notes)
        (folder / "dumps").mkdir(exist_ok=True)
        (folder / "dumps" / shared.name).write_text(shared.text, encoding="utf-8")
        yield f"dumps/{shared.name}"


def _point_toml(point: CapturePoint, name: str, files: list[str], mask: Anonymiser) -> list[str]:
    lines = ["", "[[point]]", f"name = {_quoted(name)}", f"captures = [{', '.join(map(_quoted, files))}]"]
    if point.node:
        lines.append(f"node = {_quoted(mask.name(point.node))}")
    if point.kind is not None:
        lines.append(f"kind = {_quoted(point.kind)}")
    if point.scope:
        lines.append(f"scope = [{', '.join(_quoted(str(mask.network(network))) for network in point.scope)}]")
    if point.window is not None:
        first, last = point.window
        lines.append(f"window = [{_time(first // 1000)}, {_time(-(-last // 1000))}]")
    return lines


def _manifest(case: Case, points: list[list[str]], dumps: list[str], mask: Anonymiser) -> Iterator[str]:
    yield 'title = "an anonymised case"'
    for lines in points:
        yield from lines
    routes = {word: route for word, route in _routes(case).items() if len(route) > 1}
    if routes:
        yield from ("", "[path]", *(f"{word} = [{', '.join(map(_quoted, route))}]" for word, route in routes.items()))
    yield from ("", "[cluster]", f"dumps = [{', '.join(map(_quoted, dumps))}]")
    if case.pod_cidrs:
        yield from ("", "[cluster.pod_cidrs]")
        yield from (f"{_quoted(mask.name(node))} = {_quoted(str(mask.network(net)))}" for node, net in case.pod_cidrs.items())
    if case.scenario is not None:
        yield from ("", "[scenario]")
        for name, value in case.scenario.as_dict().items():
            yield f"{name} = {str(value).lower() if isinstance(value, bool) else _quoted(mask.name(str(value)))}"


def _routes(case: Case) -> dict[str, list[str]]:
    """The ways of requests and of responses as the case gives them, by the points' new names."""
    renamed = dict(zip((point.name for point in case.points), _point_names(case), strict=True))
    if not case.path_given:
        return {}
    routes = {"request": tuple(renamed), "response": ()}
    if (case.folder / NAME).is_file():
        manifest = read_manifest(case.folder / NAME)
        if set(renamed) <= {point.name for point in manifest.points}:
            routes = {"request": manifest.request_path, "response": manifest.response_path}
    return {word: [renamed[name] for name in route if name in renamed] for word, route in routes.items()}


def _quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0.0): the same escapes as JSON's."""
    import json

    return json.dumps(str(text), ensure_ascii=True)


def _time(microseconds: int) -> str:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
