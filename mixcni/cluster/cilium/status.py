"""`cilium status`, short and verbose: how the agent is set up, and what troubles it.

One entry is a `Name: value` line at the margin; what stands indented below it (controllers, allocated addresses, maps) is
its details. The table of nodes inside is a dump of its own, of health.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mixcni.cluster.addresses import Prefix, parse_prefix
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_mapping, a_text, look_up, not_read
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange

NAMES: Final = (
    "KVStore", "Kubernetes", "Kubernetes APIs", "ContainerRuntime", "KubeProxyReplacement", "KubeProxyReplacement Details",
    "Host firewall", "Cilium", "CNI Chaining", "CNI Config file", "SRv6", "NodeMonitor", "Cilium health daemon", "IPAM",
    "IPv4 address pool", "IPv6 address pool", "IPv4 BIG TCP", "IPv6 BIG TCP", "ClusterMesh", "BandwidthManager",
    "Bandwidth Manager", "Host Routing", "Routing", "Attach Mode", "Device Mode", "Masquerading", "Clock Source for BPF",
    "Controller Status", "Proxy Status", "Global Identity Range", "Encryption", "Modules Health", "XDP Acceleration",
    "BPF Maps", "Allocated addresses", "Stale status", "Identity Range", "Auth Certificate Provider", "Tunnel", "Hubble",
)  # fmt: skip
"""What stands at the margin, over all releases."""


@dataclass(frozen=True, slots=True)
class StatusItem:
    """One line of the status."""

    name: str
    """Up to 1.18 as in NAMES; in JSON the key."""
    value: str
    """Blanks folded; for JSON that is neither text nor a state with a message, the JSON."""
    details: tuple[str, ...] = ()
    """The lines below that belong to it."""
    file: str = ""
    line: int = 0


_BLOCKS: Final = frozenset({
    "Controller Status", "Allocated addresses", "KubeProxyReplacement Details", "BPF Maps", "ClusterMesh", "Proxy Status",
    "Encryption", "Modules Health", "NodeMonitor",
})  # fmt: skip
_INDENTS: Final = " \u2502\u251c\u2514"  # blanks, or the lines of a tree
_TREES: Final = frozenset({"Modules Health"})  # whose first line is not indented
_ITEM = re.compile(r"([A-Z][\w/-]*(?: [\w/-]+){0,4}):(?:\s+(\S.*)|\s*)$")
_VERSION = re.compile(r"\(?v(\d{1,4}\.\d{1,4})\.", re.ASCII)
_FROM = re.compile(r"\bfrom (\S{3,64}?),?(?=[\s,]|$)")
_ALLOCATED = re.compile(r"(\S{2,64}) \((\S{1,300})(?: \[[^\]]*\])?\)")


@dataclass(slots=True)
class _Open:
    """An item whose details still come."""

    name: str
    value: str
    line: int
    details: list[str] = field(default_factory=list)


def read_status(section: Section) -> Parsed:
    """The lines of `status`, each with those below it."""
    items: list[_Open] = []
    unparsed: list[Unparsed] = []
    is_flat = not any(text[0] == " " for _, text in section.numbered())  # indentation was lost by copy and paste
    for number, text in section.numbered():
        is_indented = text[0] in _INDENTS
        match = None if is_indented else _ITEM.match(text)
        if match is not None and (match[1] in NAMES or not (items and items[-1].name in _BLOCKS)):
            items.append(_Open(match[1], " ".join((match[2] or "").split()), number))
        elif items and (is_indented or items[-1].name in _TREES or (is_flat and items[-1].name in _BLOCKS)):
            items[-1].details.append(" ".join(text.split()))
        else:
            unparsed.append(Unparsed(number, text, "wanted `name: value`"))
    entries = [StatusItem(item.name, item.value, tuple(item.details), section.file, item.line) for item in items]
    return Parsed(entries, unparsed, _version(entries))


def _version(entries: Iterable[StatusItem]) -> VersionRange | None:
    """The release that the agent says it is, from 1.4 on."""
    told = next(
        (match for entry in entries if entry.name in ("Cilium", "cilium") and (match := _VERSION.search(entry.value))), None
    )
    return VersionRange.parse(told[1]) if told else None


def read_status_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The members of `status -o json`, one entry each."""
    entries: list[StatusItem] = []
    unparsed: list[Unparsed] = []
    node: str | None = None
    for record in records:
        if not isinstance(record.value, dict):
            unparsed.extend(not_read(section, record, "wanted an object"))
            continue
        node = node or a_text(look_up(record.value, "cluster", "self"))
        lines = record.lines_of(list(record.value))
        for line, (name, value) in zip(lines, record.value.items(), strict=True):
            entries.append(StatusItem(name, _in_words(value), (), section.file, line))
    return Parsed(entries, unparsed, _version(entries), node=node)


def _in_words(value: Any) -> str:
    """Text as it is, a state with its message, anything else as JSON."""
    if isinstance(value, str):
        return value
    told = a_mapping(value)
    if told and set(told) <= {"state", "msg"}:
        return " ".join(part for part in (a_text(told.get("state")), a_text(told.get("msg"))) if part)
    return json.dumps(value, ensure_ascii=False)


def pod_cidrs(items: Iterable[StatusItem]) -> tuple[Prefix, ...]:
    """The prefixes from which the node gives addresses to its pods, as IPAM prints them."""
    told = (match[1] for item in items if item.name == "IPAM" for match in _FROM.finditer(item.value))
    return tuple(prefix for text in told if (prefix := parse_prefix(text)) is not None)


def allocations(items: Iterable[StatusItem]) -> dict[str, str]:
    """Who has each address of the node's pool, by `status --verbose`: `namespace/pod`, router, health ..."""
    lines = (line for item in items if item.name in ("Allocated addresses", "IPAM") for line in item.details)
    return {match[1]: match[2] for line in lines if (match := _ALLOCATED.fullmatch(line))}


KIND: Final = Kind(
    name="status",
    entry=StatusItem,
    read=read_status,
    read_json=read_status_json,
    rows="(?:" + "|".join(name.replace(" ", r"\ ") for name in NAMES) + r"):(?:\ |$)",
    json=r'"(?:attach-mode|bandwidth-manager|bpf-maps|client-id|clock-source|cni-chaining|kube-proxy-replacement)"\s*:',
    commands=("cilium status", "cilium-dbg status"),
    errors=("/v1/healthz",),
)
