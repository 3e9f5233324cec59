"""What gives a dump away: rows of titles, rows that no other dump has, structured text, and the words of failure.

Each pattern is tried once a line, from its start, and none can backtrack further than the line's length.
"""

import re
from collections.abc import Sequence
from typing import Final

from mixcni.cluster.dump import UNRECOGNISED

MAX_TITLES: Final = 500  # characters in a row of titles; longer lines are not looked at as one
JSON_LOOKED_AT: Final = 4000  # characters of JSON by which its kind is told

# Titles after folding runs of blanks to one and all letters to capitals.
_TITLES = re.compile(
    r"""
     (?P<policy_map>(?:POLICY\ )?(?:TRAFFIC\ )?DIRECTION\ .*PORT/PROTO)
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

_ROW = re.compile(
    r"""
     (?P<nat>\w+\ +(?:IN|OUT)\ +\S+\ ->\ \S+\ +XLATE_)
    |(?P<ct>(?:TCP|UDP|ICMP|ICMPv6|SCTP|IGMP|VRRP|ANY|\d{1,3})\ +(?:IN|OUT|SVC)\ +\S*[\d\].:x])
    |(?P<policy_map>
        (?:(?:Allow|Deny)\ +)?(?:Ingress|Egress)\ +\S+\ +
            (?:ANY|[A-Z]\w*|\d+(?:-\d+)?/\w+)\ +(?:NONE|\d+|-)(?:\ |$)
        |Endpoint\ ID:\ +\d+|Path:\ +/sys/fs/bpf/|/\S*cilium_policy_\w+:?$|Policy\ stats\ empty)
    |(?P<endpoints>\d+\ +(?:Enabled|Disabled|Unknown)\b)
    |(?P<ipcache>
        [0-9A-Fa-f.:]+/\d+(?:@\d+)?\ +(?:identity=|\d+(?:\ +\d+\ +[\w.:]+|\ +sync|$))
        |\S+\ maps\ to\ identity\ )
    |(?P<bpf_endpoints>[0-9A-Fa-f.:]+\ +(?:\(localhost\)(?:\ +sync\b|\s*$)|id=\d+\ ))
    |(?P<health>Cluster\ health:|Probe\ time:|(?:Host|Endpoint)\ connectivity\ to\ )
    |(?P<status>
        (?:KVStore|Kubernetes|Kubernetes\ APIs|ContainerRuntime|KubeProxyReplacement(?:\ Details)?|Host\ firewall
        |Cilium|CNI\ Chaining|CNI\ Config\ file|SRv6|NodeMonitor|Cilium\ health\ daemon|IPAM|IPv[46]\ address\ pool
        |IPv[46]\ BIG\ TCP|ClusterMesh|Bandwidth\ ?Manager|Host\ Routing|Routing|Attach\ Mode|Device\ Mode|Masquerading
        |Clock\ Source\ for\ BPF|Controller\ Status|Proxy\ Status|Global\ Identity\ Range|Encryption|Modules\ Health
        |XDP\ Acceleration|BPF\ Maps|Allocated\ addresses):(?:\ |$))
    |(?P<hubble_status>Healthcheck\ \(via|Current/Max\ Flows:)
    |(?P<monitor>
        xx\ drop\b|Policy\ verdict\ log:
        |(?:->|<-)\ (?:endpoint|stack|host|overlay|network|proxy|crypto|Request|Response)\b
        |->\ \d+:|Listening\ for\ events\b|Press\ Ctrl-C|CPU\ \d+:)
    |(?P<hubble>
        (?:[A-Z][a-z]{2}\ +\d{1,2}\ [\d:]{8}\.\d+|\d{4}-\d\d-\d\dT\S+)(?:\ \[[^\]]*\])?:\ .*\ (?:->|<-|<>)\ )
    |(?P<envoy>\[\d{4}-\d\d-\d\dT[\d:.]+Z\]\ ")
    |(?P<conntrack>(?:ipv[46]\ +\d+\ +)?(?:tcp|udp|icmp\w*|sctp|unknown|gre)\ +\d+\ .*\bsrc=)
    """,
    re.VERBOSE,
)
CT_ROW = re.compile(r"(?:TCP|UDP|ICMP|ICMPv6) (?:IN|OUT|SVC) \S+ -> \S+ (?!XLATE_)")
"""The one row of which a dump may have millions; a subset of what `row_kind` takes for ct."""

_PREAMBLES = ("Endpoint ID:", "Path:", "Cluster health:", "Probe time:")

# Weaker signs, for lines that no section lays claim to.
_BARE_IDENTITY = re.compile(r"\d+ +[a-z][\w.-]*:\S+(?: +\d+)?$")
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
    ("ipcache", re.compile(r'"[Tt]unnel[Ee]ndpoint"|"identity=')),
    ("endpoints", re.compile(r'"external-identifiers"|"policy-enabled"')),
    ("identities", re.compile(r'"labelsSHA256"')),
    ("nodes", re.compile(r'"alloc-range"|"primary-address"')),
)

ERROR = re.compile(
    r"""(?:>\s*)?(?:
     Unable\ to\ open\ |no\ maps\ found|No\ entries\ found|Invalid\ argument:|Is\ the\ agent\ running
    |[Ee]rror:|Error\ (?:from\ server|while\ running|response)|error\ dumping\ contents|Cannot\ |[Ff]ailed\ to\b
    |command\ terminated\ with\ exit\ code|Get\ "?http|OCI\ runtime\ exec\ failed|[Uu]nable\ to\b
    |(?:\S{0,80}sh:|exec:)\ .{0,200}not\ found|.{0,200}executable\ file\ not\ found
    |.{0,200}:\ [Nn]o\ such\ file\ or\ directory
    )""",
    re.VERBOSE,
)
"""The line of a command that failed, wholly or for one of its maps, less leading blanks."""


def header_kind(line: str) -> str | None:
    """The kind of table whose titles a line is; None if it is none."""
    if len(line) > MAX_TITLES:
        return None
    folded = " ".join(line.split())
    match = _TITLES.match(folded.upper()) if folded[:1].isalpha() else None
    return match.lastgroup if match else None


def row_kind(line: str) -> str | None:
    """The kind of dump that alone has rows like this one; None if several could."""
    match = _ROW.match(line.strip())  # a pattern that skips blanks would try each of its branches at each of them
    return match.lastgroup if match else None


def first_line_kind(line: str) -> str | None:
    """The kind that a line suggests where nothing stronger is near; `json` for JSON of whatever kind."""
    if _JSON.match(line):
        return "json"
    if _YAML.match(line.rstrip()):
        return "kubernetes"
    return "identities" if _BARE_IDENTITY.match(line.strip()) else None


def is_preamble(line: str) -> bool:
    """Whether a line stands above the rows of its dump, and so never below them."""
    line = line.lstrip()
    return line.startswith(_PREAMBLES) or (line.startswith("/") and "cilium_policy_" in line)


def json_kind(lines: Sequence[str]) -> str:
    """The kind of the dump that JSON is, by the names in its first JSON_LOOKED_AT characters."""
    head: list[str] = []
    left = JSON_LOOKED_AT
    for line in lines:
        if left <= 0:
            break
        head.append(line[:left])
        left -= len(line)
    text = "".join(head)
    return next((kind for kind, mark in _JSON_KINDS if mark.search(text)), UNRECOGNISED)
