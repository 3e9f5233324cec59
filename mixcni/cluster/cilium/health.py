"""`cilium-health status`, and the health part of `cilium status`: which Cilium nodes reach each other.

Three layouts: probes in nested blocks (`cilium-health status`), a table of nodes (`cilium status --verbose`), and from
1.18 on both at once. Only nodes that run Cilium are probed: 15 of 15 reachable says nothing about any other node.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_number, a_text, look_up, not_read
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange, releases


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one address."""

    target: str
    """host or endpoint: the node itself, or the health endpoint behind its datapath."""
    address: Address | None
    protocol: str
    """icmp or http."""
    reachable: bool
    rtt_ns: int | None
    """Round-trip time; None if there was no answer."""
    says: str
    """As printed: `OK, RTT=1.2ms`, or what went wrong."""
    line: int

    def __str__(self) -> str:
        return f"{self.target} {self.protocol} {self.says}"


@dataclass(frozen=True, slots=True)
class HealthNode:
    """One node that runs Cilium, as the probes of another one saw it."""

    name: str
    is_local: bool
    address: Address | None
    """The node's primary address; None if masked or left out."""
    endpoint_address: Address | None
    """Of its health endpoint; None in the table, which does not print it."""
    node_reachable: bool | None
    endpoints_reachable: bool | None
    """None where the dump does not say."""
    addresses: tuple[Address, ...] = ()
    """All addresses of the node that were probed, the primary one first."""
    probes: tuple[Probe, ...] = ()
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class HealthSummary:
    """The line above the nodes: `Cluster health: 15/15 reachable (2022-12-12T08:19:02Z)`."""

    reachable: int | None
    total: int | None
    """Nodes that run Cilium; None where only the time of the probe is printed."""
    probed_at_ns: int | None
    """Since the Unix epoch, by the node's clock."""
    probe_interval_ns: int | None = None
    file: str = ""
    line: int = 0


_SUMMARY = re.compile(r"Cluster health:\s+(?:(\d{1,9})/(\d{1,9}) reachable)?(.*)")
_PROBE_TIME = re.compile(r"Probe time:\s+(\S+)")
_INTERVAL = re.compile(r"\(Probe interval: ([\w.\u00b5\u03bc]{1,40})\)")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_CONNECTIVITY = re.compile(r"(Host|Endpoint) connectivity to (\S+):$")
_PROBE = re.compile(r"(ICMP|HTTP)(?: to stack| to agent| via L3|):\s*(.*)")
_LAST_PROBED = re.compile(r"\(Last probed: [^()]{1,60}\)$")
_RTT = re.compile(r"OK, RTT=([\w.\u00b5\u03bc]{1,40})")
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,12})?(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d{1,9})(?:\.(\d{1,12}))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)", re.ASCII)
_UNIT_NS: Final = {
    "ns": 1, "us": 10**3, "\u00b5s": 10**3, "\u03bcs": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_LOCAL = re.compile(r"(\S+)(?:\s+\((localhost)\))?$")
_STATE = re.compile(r"reachable|unreachable|\(unknown\)|unknown|true|false|(\d{1,6})/(\d{1,6})")


@dataclass(slots=True)
class _Block:
    """A node whose probes still come."""

    name: str
    is_local: bool
    line: int
    host: list[Address | None] = field(default_factory=list)
    endpoint: list[Address | None] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    target: str | None = None

    def node(self, file: str) -> HealthNode:
        """The node; it is reachable if every probe of it was answered."""
        addresses = tuple(address for address in self.host if address is not None)
        return HealthNode(
            self.name, self.is_local, next(iter(self.host), None), next(iter(self.endpoint), None),
            self._answered("host"), self._answered("endpoint"), addresses, tuple(self.probes), file, self.line,
        )  # fmt: skip

    def _answered(self, target: str) -> bool | None:
        answers = [probe.reachable for probe in self.probes if probe.target == target]
        return all(answers) if answers else None


class _Reader:
    """Takes a health dump line by line; nested blocks and table rows may follow each other."""

    def __init__(self, section: Section) -> None:
        self.file = section.file
        self.book = section.addresses
        self.nodes: list[HealthNode] = []
        self.summaries: list[HealthSummary] = []
        self.unparsed: list[Unparsed] = []
        self.block: _Block | None = None
        self.states: set[str] = set()
        self.words: set[str] = set()

    def take(self, number: int, text: str) -> None:
        """One line."""
        text = text.strip()
        if match := _SUMMARY.match(text):
            self._summary(match, number)
        elif match := _PROBE_TIME.match(text):
            self.words.add("Probe time")
            self.summaries.append(HealthSummary(None, None, _time_ns(match[1]), None, self.file, number))
        elif text == "Nodes:" or " ".join(text.split()).startswith("Name IP "):
            return
        elif match := _CONNECTIVITY.match(text):
            self._connectivity(match, number, text)
        elif match := _PROBE.match(text):
            self._probe(match, number, text)
        elif text.endswith(":") and (match := _LOCAL.match(text[:-1])):
            self._close()
            self.block = _Block(match[1], match[2] is not None, number)
        else:
            self._row(number, text)

    def finish(self) -> None:
        """No more lines."""
        self._close()

    def _close(self) -> None:
        block, self.block = self.block, None
        if block is not None:
            self.nodes.append(block.node(self.file))

    def _summary(self, match: re.Match[str], number: int) -> None:
        reachable, total = (int(match[1]), int(match[2])) if match[1] else (None, None)
        interval = _INTERVAL.search(match[3])
        if interval:
            self.words.add("Probe interval")
        self.summaries.append(
            HealthSummary(
                reachable, total, _time_ns(match[3]), _duration_ns(interval[1]) if interval else None, self.file, number
            )
        )

    def _connectivity(self, match: re.Match[str], number: int, text: str) -> None:
        if self.block is None:
            self.unparsed.append(Unparsed(number, text, "connectivity of no node"))
            return
        self.block.target = match[1].lower()
        addresses = self.block.host if self.block.target == "host" else self.block.endpoint
        addresses.append(self.book[match[2]])

    def _probe(self, match: re.Match[str], number: int, text: str) -> None:
        block = self.block
        if block is None or block.target is None:
            self.unparsed.append(Unparsed(number, text, "a probe of no address"))
            return
        says = _LAST_PROBED.sub("", match[2]).rstrip()
        rtt = _RTT.match(says)
        address = (block.host if block.target == "host" else block.endpoint)[-1]
        reachable = says.startswith("OK")
        rtt_ns = _duration_ns(rtt[1]) if rtt else None
        block.probes.append(Probe(block.target, address, match[1].lower(), reachable, rtt_ns, says, number))

    def _row(self, number: int, text: str) -> None:
        """`NAME [(localhost)] IP NODE ENDPOINTS`; states stand last, so a name may be anything."""
        tokens = text.split()
        states: list[str] = []
        while len(tokens) > 1 and len(states) < 2 and _STATE.fullmatch(tokens[-1]):
            states.insert(0, tokens.pop())
        if not states or len(tokens) > 3:
            self.unparsed.append(Unparsed(number, text, "wanted a node's name, address and states"))
            return
        self._close()
        self.states.update(states)
        is_local = "(localhost)" in tokens
        tokens = [token for token in tokens if token != "(localhost)"]  # noqa: S105, no password: a mark
        address = self.book[tokens[-1]] if tokens else None
        name = tokens[0] if tokens else ""
        reachable = [_is_reachable(state) for state in (*states, "unknown")[:2]]
        addresses = () if address is None else (address,)
        self.nodes.append(HealthNode(name, is_local, address, None, reachable[0], reachable[1], addresses, (), self.file, number))

    def version(self) -> VersionRange | None:
        """The releases that print these words."""
        if "Probe interval" in self.words:
            return releases(18)
        if any("/" in state for state in self.states):
            return releases(17)
        if self.states & {"true", "false"}:
            return releases(6, 7)
        if self.states & {"reachable", "unreachable"}:
            return releases(8, 16)
        return releases(0, 17) if "Probe time" in self.words else None


def read_health(section: Section) -> Parsed:
    """The nodes of a health dump, and its summary as an extra."""
    reader = _Reader(section)
    for number, text in section.numbered():
        reader.take(number, text)
    reader.finish()
    total = next((summary.total for summary in reader.summaries if summary.total is not None), None)
    local = next((node.name for node in reader.nodes if node.is_local), None)
    return Parsed(
        reader.nodes,
        reader.unparsed,
        reader.version(),
        partial=_missing(len({node.name for node in reader.nodes}), total),
        node=local,
        extras=reader.summaries,
    )


def _missing(shown: int, total: int | None) -> str | None:
    """Without --verbose, `cilium status` prints only the nodes that are not reachable."""
    if total is None or shown >= total:
        return None
    return f"it shows {shown} of {total} nodes, as without --verbose"


def _is_reachable(state: str) -> bool | None:
    """`1/1` counts addresses: all of them must answer."""
    if match := _STATE.fullmatch(state):
        if match[1]:
            return match[1] == match[2]
        return {"reachable": True, "true": True, "unreachable": False, "false": False}.get(state)
    return None


def _time_ns(text: str) -> int | None:
    """The first RFC 3339 time in `text`, since the Unix epoch; without a zone it is UTC. None for one beyond int64, too."""
    match = _TIMESTAMP.search(text)
    if match is None:
        return None
    try:
        seconds = int(datetime.fromisoformat(f"{match[1]}T{match[2]}{(match[4] or 'Z').replace('Z', '+00:00')}").timestamp())
    except ValueError:
        return None
    return a_number(seconds * 10**9 + int((match[3] or "").ljust(9, "0") or 0))


def _duration_ns(text: str) -> int | None:
    """A duration as Go prints it (`1m36.5s`, `405.072\u00b5s`)."""
    if not _DURATION.fullmatch(text):
        return None
    parts: list[tuple[str, str, str]] = _DURATION_PART.findall(text)
    return a_number(
        sum(
            int(whole) * _UNIT_NS[unit] + int((part or "0").ljust(12, "0")) * _UNIT_NS[unit] // 10**12
            for whole, part, unit in parts
        )
    )


def read_health_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The nodes of `cilium-health status -o json`, and its time as an extra."""
    nodes: list[HealthNode] = []
    summaries: list[HealthSummary] = []
    unparsed: list[Unparsed] = []
    local: str | None = None
    for record in records:
        found = [a_mapping(item) for item in a_list(look_up(record.value, "nodes"))]
        if not found:
            unparsed.extend(not_read(section, record, "no health with nodes"))
            continue
        local = local or a_text(look_up(record.value, "local", "name"))
        lines = record.lines_of([a_text(item.get("name")) or "" for item in found])
        nodes += (_json_node(item, local, section, line) for line, item in zip(lines, found, strict=True))
        probed_at, interval = (a_text(look_up(record.value, name)) for name in ("timestamp", "probeInterval"))
        summaries.append(
            HealthSummary(
                sum(node.node_reachable is True and node.endpoints_reachable is not False for node in nodes), len(nodes),
                _time_ns(probed_at or ""), _duration_ns(interval or ""), section.file, record.line,
            )
        )  # fmt: skip
    return Parsed(nodes, unparsed, releases(18) if any(item.probe_interval_ns for item in summaries) else None, node=local,
                  extras=summaries)  # fmt: skip


def _json_node(item: Any, local: str | None, section: Section, line: int) -> HealthNode:
    name = a_text(item.get("name")) or ""
    health = item.get("health-endpoint") or {"primary-address": item.get("endpoint")}
    host = list(_json_probes("host", item.get("host"), section.addresses, line))
    endpoint = list(_json_probes("endpoint", health, section.addresses, line))
    own, its = ([probe.address for probe in probes if probe.address is not None] for probes in (host, endpoint))
    return HealthNode(
        name, name == local, own[0] if own else None, its[0] if its else None,
        all(probe.reachable for probe in host) if host else None,
        all(probe.reachable for probe in endpoint) if endpoint else None,
        tuple(dict.fromkeys(own)), (*host, *endpoint), section.file, line,
    )  # fmt: skip


def _json_probes(target: str, value: Any, book: AddressBook, line: int) -> Iterator[Probe]:
    """The probes of a node's primary and further addresses; an empty status is an answer, a latency counts nanoseconds."""
    for item in (look_up(value, "primary-address"), *a_list(look_up(value, "secondary-addresses"))):
        address = book[a_text(look_up(item, "ip")) or ""]
        for protocol in ("icmp", "http"):
            probe = look_up(item, protocol)
            if isinstance(probe, dict):
                error, latency = a_text(probe.get("status")), a_number(probe.get("latency"))
                says = error or ("OK" if latency is None else f"OK, RTT={latency}ns")
                yield Probe(target, address, protocol, error is None, None if error else latency, says, line)


KIND: Final = Kind(
    name="health",
    entry=HealthNode,
    read=read_health,
    read_json=read_health_json,
    extras=(("health_summaries", HealthSummary),),
    titles=r"NAME\ IP\ (?:NODE|REACHABLE)\b",
    rows=r"Cluster\ health:|Probe\ time:|(?:Host|Endpoint)\ connectivity\ to\ ",
    json=r'"health-endpoint"\s*:\s*\{|"primary-address"\s*:\s*\{\s*"(?:http|icmp)"|"probeInterval"',
    commands=("cilium-health status", "health status"),
    errors=("health.sock",),
    preamble=("Cluster health:", "Probe time:"),
)
