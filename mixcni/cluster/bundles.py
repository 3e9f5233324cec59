"""An archive's members -> dumps that know their node and release, and a table of the bundles that they came in.

A sysdump names the pods that its bugtools ran in; the Kubernetes listings beside them say on which nodes those pods are.
A bugtool on its own has the node's name in the output of `hostname`, for agents are on the host's network.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from mixcni.cluster.archives import Bundle, Member, open_members
from mixcni.cluster.dump import UNRECOGNISED, Dump, ReadDump
from mixcni.cluster.ofnode import NODE_LOCAL
from mixcni.cluster.version import VersionRange
from mixcni.errors import DumpError, ParameterError

Reader = Callable[[bytes, str], list[ReadDump]]

_NO_DUMP = re.compile(
    r"(?:bpftool-|pprof|gops-|cat--|cp--|dmesg|ip6?-|ip6?tables|ipset|lsmod|ls-|ps-|ss-|sysctl|taskset|tc-|top-|uname|uptime|resolvectl"
    r"|journalctl|envoy-config|find--|mount|nft|du-|df|free|ethtool|bridge|systemctl)"
    r"|.*\.(?:h|o|c|png|svg|pb|prof|trace|json\.sum)$|cilium-sysdump\.log$"
)
_LOGS = re.compile(r"logs-(?!.*(?:envoy|istio|ingress|gateway)).*\.log$")
_BUGTOOL = re.compile(r"cilium-bugtool-(.+?)(?:\.tar(?:\.gz)?|\.tgz|\.zip)?$")
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(?:\.\d+)?(\+0000-UTC)?")
_POD_LISTING = re.compile(r"(?:k8s|cilium|kubernetes)-pods[\w.-]*\.(?:ya?ml|txt)$|pods\.(?:ya?ml|txt)$")
_VERSION_FILE = re.compile(r"(?:cilium(?:-dbg)?-)?version(?:\.\w+)?$|.*cilium(?:-dbg|-agent)?-(?:-)?version[\w.-]*$")
_VERSION = re.compile(r"\b(?:Daemon|Cilium|Client)\b\D{0,12}(\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[\w.]+)?)")
_RUNNING = re.compile(r"(?m)^Cilium: +Ok +(\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[\w.]+)?)")
_NAME = re.compile(r" {4}name: ['\"]?([a-z0-9][a-z0-9.-]{0,252})['\"]?\s*$")
_NODE_NAME = re.compile(r" {4}nodeName: ['\"]?([a-z0-9][a-z0-9.-]{0,252})['\"]?\s*$")
_IMAGE = re.compile(r"\s+(?:- )?image: \S*/cilium:v(\d{1,3}\.\d{1,3}\.\d{1,3}(?:-[\w.]+?)?)(?:@\S*)?\s*$")
_ITEM = re.compile(r"- apiVersion:|- metadata:|---")
_HOST_LINE = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9.-]{0,252})\s*$")
SHOWN_NAMES: Final = 3


@dataclass(slots=True)
class _Pods:
    """What the Kubernetes listings say of pods."""

    node: dict[str, str] = field(default_factory=dict)
    version: dict[str, str] = field(default_factory=dict)

    def take(self, text: str) -> None:
        """One listing, `kubectl get pods -o yaml` or `-o wide`."""
        if re.match(r"\s*(?:apiVersion|items|---)", text):
            self._take_yaml(text)
        else:
            self._take_table(text.splitlines())

    def _take_yaml(self, text: str) -> None:
        # kubectl sorts keys: an item's own name and node stand at the fourth column, those of what it holds further in.
        name = node = version = None
        for line in [*text.splitlines(), "---"]:
            if _ITEM.match(line):
                self._add(name, node, version)
                name = node = version = None
            elif match := _NAME.match(line):
                name = match[1]
            elif match := _NODE_NAME.match(line):
                node = match[1]
            elif match := _IMAGE.match(line):
                version = version or match[1]

    def _take_table(self, lines: list[str]) -> None:
        titles = next((line for line in lines if "NAME " in line and " NODE" in line), None)
        if titles is None:
            return
        columns = {match[0]: match.start() for match in re.finditer(r"\S+(?: \S+)*", titles)}
        for line in lines[lines.index(titles) + 1 :]:
            cells = {title: line[at:].split(" ", 1)[0] for title, at in columns.items() if at < len(line)}
            self._add(cells.get("NAME"), cells.get("NODE"), None)

    def _add(self, name: str | None, node: str | None, version: str | None) -> None:
        if name and node and node != "<none>":
            self.node[name] = node
        if name and version:
            self.version[name] = version


@dataclass(slots=True)
class _Found:
    """A bundle while its members come."""

    pod: str | None
    taken: str | None
    members: int = 0
    dumps: int = 0
    host: str | None = None
    version: str | None = None


def read_archive(path: Path, name: str, read: Reader) -> list[ReadDump]:
    """The dumps in an archive, each with the node and release that the archive tells, and one dump for the archive itself.

    Raises
    ------
    DumpError : it cannot be opened
    """
    reading = _Reading(name, read)
    try:
        for member in open_members(path, name):
            reading.take(member)
    except OSError as error:
        raise DumpError(path, error.strerror or str(error)) from error
    return list(reading.finish())


class _Reading:
    """Takes an archive's members in their order; what they say of each other is known once all have come."""

    def __init__(self, name: str, read: Reader) -> None:
        self.name = name
        self.read = read
        self.dumps: list[tuple[str, ReadDump]] = []
        self.bundles: dict[str, _Found] = {}
        self.pods = _Pods()
        self.not_offered: Counter[str] = Counter()

    def take(self, member: Member) -> None:
        bundle_name, found = self._bundle_of(member.origin)
        found.members += 1
        if member.problem:
            dump = Dump(member.origin, 1, 1, UNRECOGNISED, None, None, None, 0, unavailable=member.problem)
            self.dumps.append((bundle_name, ReadDump(dump, ())))
            return
        base = member.origin.replace("!", "/").rsplit("/", 1)[-1]
        if base.startswith("hostname"):
            found.host = found.host or _host_in(member.octets)
        if _POD_LISTING.match(base):
            self.pods.take(member.octets.decode("utf-8", "replace"))
        self._take_version(base, member.octets, found)
        if _is_no_dump(member.origin, base) or base.startswith("hostname") or _VERSION_FILE.match(base):
            self.not_offered[base.split("-", 1)[0].split(".", 1)[0]] += 1
            return
        for read in self.read(member.octets, member.origin):
            found.dumps += read.dump.kind != UNRECOGNISED
            self.dumps.append((bundle_name, read))

    def _take_version(self, base: str, octets: bytes, found: _Found) -> None:
        head = octets[:20_000]
        match = _VERSION.search(head.decode("utf-8", "replace")) if _VERSION_FILE.match(base) else None
        if match is None and "status" in base:
            match = _RUNNING.search(head.decode("utf-8", "replace"))
        if match is not None:
            found.version = match[1]

    def _bundle_of(self, origin: str) -> tuple[str, _Found]:
        """The bugtool that a member stands in; the archive itself for what stands beside them."""
        parts = [(match.end(), match[0]) for match in re.finditer(r"[^!/]+", origin)]
        name, pod, stamp = self.name, None, _STAMP.search(origin)
        for end, part in parts:
            match = _BUGTOOL.match(part) if end < len(origin) or part != parts[-1][1] else None
            if match is None or part.endswith(".md"):
                continue
            inner = _STAMP.search(match[1])
            before = match[1][: inner.start()].rstrip("-") if inner else match[1]
            name, stamp = origin[:end], inner or stamp
            pod = before or None
            break
        if name not in self.bundles:
            self.bundles[name] = _Found(pod, _spelled(stamp))
        return name, self.bundles[name]

    def finish(self) -> Iterator[ReadDump]:
        """All dumps, with what the archive says of where they came from."""
        table = tuple(self._bundle(name, found) for name, found in self.bundles.items())
        by_name = {bundle.name: bundle for bundle in table}
        skipped = sum(self.not_offered.values())
        words = ", ".join(word for word, _ in self.not_offered.most_common(SHOWN_NAMES))
        note = f"{skipped} members are no dumps by their names ({words}, ...) and were not read" if skipped else ""
        yield ReadDump(Dump(self.name, 1, 1, "archive", None, None, None, len(table), note=note), table)
        for name, read in self.dumps:
            yield _placed(read, by_name[name], self.name)

    def _bundle(self, name: str, found: _Found) -> Bundle:
        node = self.pods.node.get(found.pod or "") or found.host
        version = found.version or self.pods.version.get(found.pod or "")
        return Bundle(
            name=name, pod=found.pod, node=node, version=version, taken=found.taken, members=found.members, dumps=found.dumps,
            file=self.name,
        )  # fmt: skip


def _placed(read: ReadDump, bundle: Bundle, archive: str) -> ReadDump:
    """A dump with its bundle's node and release, where it names none that contradicts."""
    dump = read.dump
    if bundle.name == archive and bundle.node is None and bundle.version is None:
        return read
    node = dump.node or (bundle.node if dump.kind in NODE_LOCAL else None)
    version = dump.version
    exact = _range(bundle.version)
    if exact is not None and (version is None or version.meet(exact) is not None) and dump.kind != UNRECOGNISED:
        version = exact
    return read._replace(dump=replace(dump, node=node, version=version))


def _range(version: str | None) -> VersionRange | None:
    if version is None:
        return None
    try:
        return VersionRange.parse(version.split("-")[0])
    except ParameterError:
        return None


def _is_no_dump(origin: str, base: str) -> bool:
    return _NO_DUMP.match(base) is not None or _LOGS.match(base) is not None or "/state/" in origin


def _host_in(octets: bytes) -> str | None:
    """The host that `hostname` printed, be it below a heading and inside a fence."""
    text = octets[:2000].decode("utf-8", "replace")
    lines = (match[1] for match in _HOST_LINE.finditer(text))
    return next((line for line in lines if line != "hostname"), None)


def _spelled(stamp: re.Match[str] | None) -> str | None:
    if stamp is None:
        return None
    year, month, day, hour, minute, second, utc = stamp.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}{'Z' if utc else ''}"
