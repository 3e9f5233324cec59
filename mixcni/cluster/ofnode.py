"""Which node each dump was taken on: endpoint ids, conntrack and counters are a node's own, and must not be mixed.

A dump may say so itself (a prompt, `(localhost)` in health, the status), or a dump of the same output may. A bugtool
folder holds one agent's dumps, a name of a known node in a path is that node's, and folders that hold files of the same
names are one node each. What none of these tells stays unknown.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from mixcni.cluster.cilium.health import HealthNode
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.cluster.dump import Dump, ReadDump
from mixcni.cluster.version import VersionRange

NODE_LOCAL: Final = frozenset({
    "ct", "nat", "endpoints", "policy_map", "bpf_endpoints", "lb", "metrics", "tunnel", "map", "map_list", "status",
    "fqdn_cache", "monitor", "conntrack", "health", "pwru", "retis", "egress", "ipmasq", "node_ids", "others",
})  # fmt: skip
"""Kinds of dump whose entries are about the node that they were taken on."""

OF_ONE_RELEASE: Final = (NODE_LOCAL - {"conntrack"}) | {"ipcache", "identities", "nodes", "services", "ip_list", "policy_rules"}
"""Kinds of dump that the agent's own commands print."""

MIN_NAME: Final = 3  # characters; a shorter one says nothing in a path

_BUGTOOL = re.compile(r"cilium-bugtool-(.+?)(?:-\d{8}-\d{6})?(?:\.tar(?:\.gz)?)?")
_STAMP = re.compile(r"\d{8}-\d{6}.*")


def with_nodes(found: Sequence[ReadDump]) -> list[ReadDump]:
    """The dumps, each with the node that it was taken on, and the release that printed it, as far as anything tells."""
    of_file = _agreed((read.dump.file, read.dump.node) for read in found)
    of_folder = _agreed((place, read.dump.node) for read in found if (place := _bugtool(read.dump.file)))
    names = _names_in_paths(found)
    twins = _twin_folders([read.dump for read in found])

    def node_of(dump: Dump) -> str | None:
        place = _bugtool(dump.file)
        if place is not None:
            return of_folder.get(place) or place.rsplit("/", 1)[-1]
        parent = PurePosixPath(dump.file).parent
        folder = parent.name if str(parent) in twins else None
        return of_file.get(dump.file) or _named_in(dump.file, names) or folder

    placed = [
        read if read.dump.node or read.dump.kind not in NODE_LOCAL else read._replace(dump=replace(read.dump, node=node))
        for read in found
        for node in [node_of(read.dump)]
    ]
    return _with_releases(_with_one_name_each(placed))


def _with_one_name_each(found: list[ReadDump]) -> list[ReadDump]:
    """The dumps, a node that some call `cluster/node` and others `node` under the longer name, if that is one and only one."""
    longer: dict[str, set[str]] = defaultdict(set)
    for name in {read.dump.node for read in found if read.dump.node and "/" in read.dump.node}:
        longer[name.rsplit("/", 1)[-1]].add(name)
    only = {short: names.pop() for short, names in longer.items() if len(names) == 1}
    return [
        read._replace(dump=replace(read.dump, node=only[read.dump.node])) if read.dump.node in only else read for read in found
    ]


def _with_releases(found: list[ReadDump]) -> list[ReadDump]:
    """The dumps, their releases narrowed to the one that the status of the same node, or in the same file, says it is."""
    statuses = [read.dump for read in found if read.dump.kind == "status" and read.dump.version is not None]
    of_node, of_file = (
        {key: versions.pop() for key, versions in told.items() if len(versions) == 1}
        for told in (
            _collected((dump.node, dump.version) for dump in statuses),
            _collected((d.file, d.version) for d in statuses),
        )
    )

    def narrowed(dump: Dump) -> Dump:
        release = of_node.get(dump.node) if dump.node else of_file.get(dump.file)
        if release is None or dump.kind not in OF_ONE_RELEASE or dump.unavailable:
            return dump
        return replace(dump, version=release if dump.version is None else dump.version.meet(release) or dump.version)

    return [read._replace(dump=narrowed(read.dump)) for read in found]


def _collected(pairs: Iterable[tuple[str | None, VersionRange | None]]) -> dict[str, set[VersionRange]]:
    found: dict[str, set[VersionRange]] = defaultdict(set)
    for key, version in pairs:
        if key is not None and version is not None:
            found[key].add(version)
    return found


def _agreed(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """The node of each place whose dumps name one and only one."""
    named: dict[str, set[str]] = defaultdict(set)
    for place, node in pairs:
        if node is not None:
            named[place].add(node)
    return {place: next(iter(nodes)) for place, nodes in named.items() if len(nodes) == 1}


def _bugtool(file: str) -> str | None:
    """The agent's folder or archive in a path, by the pod's name where it has one."""
    parts = PurePosixPath(file.replace("!", "/").replace(":", "/")).parts
    for at, part in enumerate(parts):
        if (match := _BUGTOOL.fullmatch(part)) and not part.endswith(".md"):
            pod = match[1]
            return "/".join((*parts[:at], part if _STAMP.fullmatch(pod) else pod))
    return None


def _names_in_paths(found: Sequence[ReadDump]) -> re.Pattern[str] | None:
    """Finds the names of nodes that node lists and health give, of `cluster/node` the node; None if they give none.

    Neither a letter nor a digit may stand around a name: `worker` is not in `worker2/ct.txt`.
    """
    entries = (entry for read in found for entry in read.entries if isinstance(entry, CiliumNode | HealthNode))
    names = {name for entry in entries if len(name := entry.name.rsplit("/", 1)[-1]) >= MIN_NAME}
    if not names:
        return None
    either = "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9]|\.\d)")


def _named_in(file: str, names: re.Pattern[str] | None) -> str | None:
    """The longest name of a node in a path."""
    return max(names.findall(file), key=len, default=None) if names is not None else None


def _twin_folders(dumps: Iterable[Dump]) -> frozenset[str]:
    """The folders that hold files of the same names with dumps of one node each."""
    files = {dump.file for dump in dumps if dump.kind in NODE_LOCAL}
    paths = [PurePosixPath(file) for file in files]
    counts = Counter(path.name for path in paths)
    return frozenset(str(path.parent) for path in paths if counts[path.name] > 1)
