"""Clean lines -> sections: which dump each stretch of a file is, by what stands in it.

People paste several dumps into one file, with or without the commands above them, and cut heads off. A header row, a
row of unmistakable grammar, a prompt or a fence begins a section; other lines belong to the section above them. What
nothing lays claim to is a section too, of kind `unrecognised`: it is shown, never guessed at.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.commands import Hints, hints_of_command, hints_of_file_name, kind_of_error
from mixcni.cluster.dump import UNRECOGNISED, Section
from mixcni.cluster.lines import Command, DumpText

MAX_HEADER: Final = 500  # characters in a row of titles; longer lines are not looked at as one

# Titles after folding runs of blanks to one and all letters to capitals.
_HEADER = re.compile(
    r"""
     (?P<policy_map>(?:POLICY\ )?(?:DIRECTION\ |TRAFFIC\ DIRECTION\ ).*PORT/PROTO)
    |(?P<endpoints>ENDPOINT\ (?:POLICY\ |IDENTITY\ |.*LABELS))
    |(?P<ipcache>IP\ PREFIX/ADDRESS\b)
    |(?P<map>KEY\ VALUE(?:\ |$))
    |(?P<bpf_endpoints>IP\ ADDRESS\ LOCAL\ ENDPOINT)
    |(?P<identities>(?:ID|IDENTITY)\ LABELS\b)
    |(?P<nodes>NAME\ (?:IPV4\ ADDRESS|IPV6\ ADDRESS|ENDPOINT\ CIDR))
    |(?P<health>NAME\ IP\ (?:NODE|REACHABLE)\b)
    |(?P<lb>SERVICE\ ADDRESS\b|ID\ BACKEND\ ADDRESS\b)
    |(?P<services>ID\ FRONTEND\b)
    |(?P<metrics>REASON\ DIRECTION\ PACKETS)
    |(?P<ip_list>IP\ IDENTITY\b)
    |(?P<tunnel>TUNNEL\ )
    |(?P<hubble>TIMESTAMP\ .*\bVERDICT\b)
    |(?P<pwru>SKB\ .*\bFUNC\b)
    |(?P<kubernetes>(?:NAMESPACE\ )?NAME\ .*\bAGE\b)
    """,
    re.VERBOSE,
)
_HEADER_START = re.compile(r"[A-Za-z]")

# Rows that no other dump has.
_ROW = re.compile(
    r"""\s*(?:
     (?P<nat>\w+\ +(?:IN|OUT)\ +\S+\ ->\ \S+\ +XLATE_)
    |(?P<ct>(?:TCP|UDP|ICMP|ICMPv6|SCTP|IGMP|VRRP|ANY|\d{1,3})\ +(?:IN|OUT|SVC)\ +\S*[\d\].:x])
    |(?P<policy_map>(?:(?:Allow|Deny)\ +)?(?:Ingress|Egress)\ +\S+\ +(?:ANY|[A-Z]\w*|\d+(?:-\d+)?/\w+)\ +(?:NONE|\d+|-)(?:\ |$)
        |Endpoint\ ID:\ +\d+|Path:\ +/sys/fs/bpf/|/\S*cilium_policy_\w+:?$|Policy\ stats\ empty)
    |(?P<endpoints>\d+\ +(?:Enabled|Disabled|Unknown)\b)
    |(?P<ipcache>[0-9A-Fa-f.:]+/\d+(?:@\d+)?\ +(?:identity=|\d+(?:\ +\d+\ +[\w.:]+|\ +sync|$))|\S+\ maps\ to\ identity\ )
    |(?P<bpf_endpoints>[0-9A-Fa-f.:]+\ +(?:\(localhost\)|id=\d+\ ))
    |(?P<health>Cluster\ health:|Probe\ time:|(?:Host|Endpoint)\ connectivity\ to\ )
    |(?P<status>(?:KVStore|Kubernetes|Kubernetes\ APIs|ContainerRuntime|KubeProxyReplacement(?:\ Details)?|Host\ firewall|Cilium
        |CNI\ Chaining|CNI\ Config\ file|SRv6|NodeMonitor|Cilium\ health\ daemon|IPAM|IPv[46]\ address\ pool|IPv[46]\ BIG\ TCP
        |ClusterMesh|BandwidthManager|Bandwidth\ Manager|Host\ Routing|Routing|Attach\ Mode|Device\ Mode|Masquerading|Clock\ Source\ for\ BPF
        |Controller\ Status|Proxy\ Status|Global\ Identity\ Range|Encryption|Modules\ Health|XDP\ Acceleration
        |BPF\ Maps|Allocated\ addresses):(?:\ |$))
    |(?P<hubble_status>Healthcheck\ \(via|Current/Max\ Flows:)
    |(?P<monitor>xx\ drop\b|Policy\ verdict\ log:|(?:->|<-)\ (?:endpoint|stack|host|overlay|network|proxy|crypto|Request|Response)\b
        |->\ \d+:|Listening\ for\ events\b|Press\ Ctrl-C|CPU\ \d+:)
    |(?P<hubble>(?:[A-Z][a-z]{2}\ +\d{1,2}\ [\d:]{8}\.\d+|\d{4}-\d\d-\d\dT\S+)(?:\ \[[^\]]*\])?:\ .*\ (?:->|<-|<>)\ )
    |(?P<envoy>\[\d{4}-\d\d-\d\dT[\d:.]+Z\]\ ")
    |(?P<conntrack>(?:ipv[46]\ +\d+\ +)?(?:tcp|udp|icmp\w*|sctp|unknown|gre)\ +\d+\ .*\bsrc=)
    )""",
    re.VERBOSE,
)
_CT_ROW = re.compile(r"(?:TCP|UDP|ICMP|ICMPv6) (?:IN|OUT|SVC) \S+ -> \S+ (?!XLATE_)")
_WEAK_ROW = re.compile(r"\s*(?P<identities>\d+ +[a-z][\w.-]*:\S+(?: +\d+)?$)")

_JSON = re.compile(r'[\[{](?:\s*$|\s*["{\[])')
_YAML = re.compile(r"(?:- )?(?:apiVersion|kind): ?\S|items:$")
_JSON_KINDS = (
    ("kubernetes", re.compile(r'"apiVersion"\s*:')),
    ("policy_rules", re.compile(r'"endpointSelector"|"nodeSelector"')),
    ("hubble", re.compile(r'"flow"\s*:|"lost_events"\s*:|"drop_reason|"traffic_direction"')),
    ("monitor", re.compile(r'"type"\s*:\s*"(?:drop|trace|logRecord|debug|capture|agent|policy-verdict)"')),
    ("envoy", re.compile(r'"response_flags"|"upstream_cluster"|"response_code"')),
    ("ct", re.compile(r'"RxFlagsSeen"|"TxFlagsSeen"|"SourceSecurityID"|"Lifetime"')),
    ("health", re.compile(r'"health-endpoint"|"primary-address"\s*:\s*\{\s*"(?:http|icmp)"|"probeInterval"')),
    ("policy_map", re.compile(r'"TrafficDirection"|"ProxyPort"')),
    ("ipcache", re.compile(r'"tunnelendpoint"|"tunnelEndpoint"|"TunnelEndpoint"|"identity=')),
    ("endpoints", re.compile(r'"external-identifiers"|"policy-enabled"')),
    ("identities", re.compile(r'"labelsSHA256"')),
    ("nodes", re.compile(r'"alloc-range"|"primary-address"')),
)
_JSON_LOOKED_AT = 4000  # characters of a section in which JSON is told apart
_SWALLOWS = frozenset({"kubernetes", "json"})  # structured text holds anything

_ERROR = re.compile(
    r"""\s*>?\s*(?:
     Unable\ to\ open\ |no\ maps\ found|No\ entries\ found|Invalid\ argument:|[Ee]rror:|Error\ (?:from\ server|while\ running|response)
    |Is\ the\ agent\ running|error\ dumping\ contents|Cannot\ |[Ff]ailed\ to\ |command\ terminated\ with\ exit\ code
    |Get\ "?http|OCI\ runtime\ exec\ failed|[Uu]nable\ to\ |(?:[\w./-]*sh:\ .*|exec:\ .*):?\ (?:command\ )?not\ found
    |.{0,200}executable\ file\ not\ found|.{0,200}:\ [Nn]o\ such\ file\ or\ directory
    )""",
    re.VERBOSE,
)
_FAILED_COMMAND = re.compile(r"Error while running '([^']*)'")
_NOT_FOR_ERRORS = frozenset({"json", "kubernetes", "monitor", "hubble", "envoy", "conntrack"})


@dataclass(slots=True)
class _Open:
    """A section that still grows."""

    kind: str
    first: int
    last: int
    hints: Hints
    has_rows: bool = False
    """A line beyond titles and preamble was seen: another title row begins another section."""
    errors: list[tuple[int, str]] = field(default_factory=list)


class _Splitter:
    """Takes a file's lines one by one and closes sections as others begin."""

    def __init__(self, text: DumpText, file: str) -> None:
        self.text = text
        self.file = file
        self.by_name = hints_of_file_name(file)
        self.pending = Hints()
        self.pending_at: int | None = None
        self.current: _Open | None = None
        self.sections: list[Section] = []
        self.addresses = AddressBook()

    def take(self, index: int, line: str) -> None:
        """One line: a boundary, a row of the open section, or the first line of another."""
        current = self.current
        if not line:
            if index in self.text.fences:
                self._close()
            elif (command := self.text.commands.get(index)) is not None:
                self._take_command(index, command)
            return
        if current is not None:
            if current.kind == "ct" and _CT_ROW.match(line):
                current.last, current.has_rows = index, True
                return
            if current.kind in _SWALLOWS:
                current.last = index
                return
            if current.kind not in _NOT_FOR_ERRORS and _ERROR.match(line):
                self._take_error(index, line)
                return
        elif _ERROR.match(line):
            self._take_error(index, line)
            return
        self._take_row(index, line)

    def finish(self) -> list[Section]:
        """All sections, in the order of the file."""
        self._close()
        self._close_silent_command()
        return self.sections

    def _take_command(self, index: int, command: Command) -> None:
        hints = hints_of_command(command.text, command.host)
        if hints.kind is None and not command.prompted:
            return  # an author's comment
        self._close()
        self._close_silent_command()
        self.pending = hints
        self.pending_at = index if command.prompted and hints.kind is not None else None

    def _take_error(self, index: int, line: str) -> None:
        """The command above failed, or a part of its output is missing."""
        failed = _FAILED_COMMAND.search(line)
        hints = hints_of_command(failed[1]) if failed else Hints(kind_of_error(line))
        if self.current is None or self.current.kind == UNRECOGNISED:
            self._close()
            kind = self.pending.kind or hints.kind or self.by_name.kind or UNRECOGNISED
            self._open(kind, index)
        if self.current is None:
            return
        self.current.errors.append((index + 1, line.strip()))
        self.current.last = index
        if failed:
            self._close()

    def _take_row(self, index: int, line: str) -> None:
        current = self.current
        header = _header_kind(line)
        match = None if header else _ROW.match(line)
        kind = header or (match.lastgroup if match else None)
        if kind is None and (current is None or current.kind == UNRECOGNISED):
            if _JSON.match(line):
                kind = "json"
            elif _YAML.match(line):
                kind = "kubernetes"
            elif weak := _WEAK_ROW.match(line):
                kind = weak.lastgroup
            elif current is None:
                kind = self.pending.kind or UNRECOGNISED
        if kind is not None and (current is None or not self._belongs(current, kind, header is not None, line)):
            self._close()
            self._open(kind, index)
        if self.current is not None:
            self.current.last = index
            self.current.has_rows = self.current.has_rows or not (header or _is_preamble(line))

    def _belongs(self, current: _Open, kind: str, is_header: bool, line: str) -> bool:
        """Whether a line of `kind` goes on with the open section."""
        if current.kind == "map" and kind in ("ipcache", "bpf_endpoints") and not is_header:
            current.kind = kind  # `map get` has the same titles for every map
            return True
        if current.kind == "policy_map" and kind == "policy_map" and _is_preamble(line):
            return not current.has_rows and not line.lstrip().startswith(("Endpoint ID", "/"))
        if is_header:
            return current.kind == kind and (not current.has_rows or kind == "health")
        return current.kind == kind

    def _open(self, kind: str, index: int) -> None:
        hints = self.pending
        if hints.kind not in (None, kind, "map") and not (hints.kind == "status" and kind == "health"):
            hints = Hints(node=hints.node)  # the command above printed something else: its options say nothing here
        self.pending_at = None
        self.pending = self.pending._replace(endpoint_id=None)  # it was the first map's
        self.current = _Open(kind, index, index, hints)

    def _close(self) -> None:
        """The open section is whole: a Section of it, with what lines left out inside it mean."""
        current, self.current = self.current, None
        if current is None:
            return
        lines = list(self.text.lines[current.first : current.last + 1])
        for number, _ in current.errors:
            lines[number - 1 - current.first] = ""
        kind = _json_kind(lines) if current.kind == "json" else current.kind
        partial = current.hints.partial
        at = bisect_left(self.text.elisions, current.first)
        if partial is None and at < len(self.text.elisions) and self.text.elisions[at] <= current.last + 1:
            partial = f"lines were left out at line {self.text.elisions[at] + 1}"
        endpoint_id = current.hints.endpoint_id
        if endpoint_id is None and kind == "policy_map":
            endpoint_id = self.by_name.endpoint_id
        self.sections.append(
            Section(
                self.file, kind, current.first + 1, lines, self.addresses, endpoint_id, current.hints.node, partial,
                tuple(current.errors), note="JSON" if current.kind == "json" else "",
            )
        )  # fmt: skip

    def _close_silent_command(self) -> None:
        """A command at a prompt that printed nothing is a dump as well: of nothing, or of what a filter let through."""
        at, self.pending_at = self.pending_at, None
        if at is not None and self.pending.kind is not None:
            hints = self.pending
            error = () if hints.partial else ((at + 1, "the command printed nothing"),)
            self.sections.append(
                Section(
                    self.file, hints.kind, at + 1, ("",), self.addresses, hints.endpoint_id, hints.node, hints.partial, error
                )
            )


def split_sections(text: DumpText, file: str) -> list[Section]:
    """The dumps in a file, in its order; `file` is its name, which counts only where its text is silent."""
    splitter = _Splitter(text, file)
    for index, line in enumerate(text.lines):
        splitter.take(index, line)
    return splitter.finish()


def _header_kind(line: str) -> str | None:
    if len(line) > MAX_HEADER or not _HEADER_START.match(line.lstrip()):
        return None
    match = _HEADER.match(" ".join(line.split()).upper())
    return match.lastgroup if match else None


def _is_preamble(line: str) -> bool:
    """Lines above a policy map's titles that say whose it is."""
    return line.lstrip().startswith(("Endpoint ID:", "Path:")) or (line.startswith("/") and "cilium_policy_" in line)


def _json_kind(lines: list[str]) -> str:
    head = ""
    for line in lines:
        head += line[:_JSON_LOOKED_AT]
        if len(head) > _JSON_LOOKED_AT:
            break
    return next((kind for kind, mark in _JSON_KINDS if mark.search(head)), UNRECOGNISED)
