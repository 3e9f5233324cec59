"""Every kind of dump that mixcni knows, in the order in which their signs are tried.

A new kind is a parser module that ends with its `KIND`, and a line here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mixcni.cluster.cilium import ct, endpoints, health, identities, ipcache, nodes, policymap
from mixcni.cluster.kind import Kind

# Kinds that are recognised by their signs, and not read.
_BPF_ENDPOINTS = Kind(
    name="bpf_endpoints",
    titles=r"IP\ ADDRESS\ LOCAL\ ENDPOINT",
    rows=r"[0-9A-Fa-f.:]+\ +(?:\(localhost\)(?:\ +sync\b|\s*$)|id=\d+\ )",
    commands=("bpf endpoint list", "cilium_lxc"),
)
_NAT = Kind(
    name="nat",
    rows=r"\w+\ +(?:IN|OUT)\ +\S+\ ->\ \S+\ +XLATE_",
    commands=("bpf nat list", "cilium_snat"),
    files=("nat list",),
)
_LB = Kind(
    name="lb",
    titles=r"SERVICE\ ADDRESS\b|ID\ BACKEND\ ADDRESS\b",
    commands=("bpf lb list", "cilium_lb"),
    files=("lb list",),
)
_SERVICES = Kind(name="services", titles=r"ID\ FRONTEND\b", commands=("service list",), errors=("/v1/service",))
_METRICS = Kind(
    name="metrics",
    titles=r"REASON\ DIRECTION\ PACKETS",
    commands=("bpf metrics list", "cilium_metrics"),
    files=("metrics list",),
)
_IP_LIST = Kind(name="ip_list", titles=r"IP\ IDENTITY\b", commands=("ip list",), errors=("/v1/ip",))
_TUNNEL = Kind(name="tunnel", titles=r"TUNNEL\ ", commands=("bpf tunnel list", "cilium_tunnel"))
_MAP = Kind(name="map", titles=r"KEY\ VALUE(?:\ |$)", commands=("map get",))
_MAP_LIST = Kind(name="map_list", commands=("map list",))
_STATUS = Kind(
    name="status",
    rows=r"""
        (?:KVStore|Kubernetes|Kubernetes\ APIs|ContainerRuntime|KubeProxyReplacement(?:\ Details)?|Host\ firewall
        |Cilium|CNI\ Chaining|CNI\ Config\ file|SRv6|NodeMonitor|Cilium\ health\ daemon|IPAM|IPv[46]\ address\ pool
        |IPv[46]\ BIG\ TCP|ClusterMesh|Bandwidth\ ?Manager|Host\ Routing|Routing|Attach\ Mode|Device\ Mode|Masquerading
        |Clock\ Source\ for\ BPF|Controller\ Status|Proxy\ Status|Global\ Identity\ Range|Encryption|Modules\ Health
        |XDP\ Acceleration|BPF\ Maps|Allocated\ addresses):(?:\ |$)
    """,
    commands=("cilium status", "cilium-dbg status"),
    errors=("/v1/healthz",),
)
_POLICY_RULES = Kind(
    name="policy_rules",
    json=r'"endpointSelector"|"nodeSelector"',
    commands=("policy get",),
    errors=("/v1/policy",),
)
_MONITOR = Kind(
    name="monitor",
    rows=r"""
        xx\ drop\b|Policy\ verdict\ log:
        |(?:->|<-)\ (?:endpoint|stack|host|overlay|network|proxy|crypto|Request|Response)\b
        |->\ \d+:|Listening\ for\ events\b|Press\ Ctrl-C|CPU\ \d+:
    """,
    json=r'"type"\s*:\s*"(?:drop|trace|logRecord|debug|capture|agent|policy-verdict)"',
    commands=("cilium monitor", "cilium-dbg monitor"),
    quotes_errors=True,
)
_HUBBLE = Kind(
    name="hubble",
    titles=r"TIMESTAMP\ .*\bVERDICT\b",
    rows=r"(?:[A-Z][a-z]{2}\ +\d{1,2}\ [\d:]{8}\.\d+|\d{4}-\d\d-\d\dT\S+)(?:\ \[[^\]]*\])?:\ .*\ (?:->|<-|<>)\ ",
    json=r'"flow"\s*:|"lost_events"\s*:|"drop_reason|"traffic_direction"',
    commands=("hubble observe",),
    quotes_errors=True,
)
_HUBBLE_STATUS = Kind(name="hubble_status", rows=r"Healthcheck\ \(via|Current/Max\ Flows:", commands=("hubble status",))
_PWRU = Kind(name="pwru", titles=r"SKB\ .*\bFUNC\b")
_ENVOY = Kind(
    name="envoy",
    rows=r'\[\d{4}-\d\d-\d\dT[\d:.]+Z\]\ "',
    json=r'"response_flags"|"upstream_cluster"|"response_code"',
    quotes_errors=True,
)
_CONNTRACK = Kind(
    name="conntrack",
    rows=r"(?:ipv[46]\ +\d+\ +)?(?:tcp|udp|icmp\w*|sctp|unknown|gre)\ +\d+\ .*\bsrc=",
    commands=("conntrack",),
    quotes_errors=True,
)
_KUBERNETES = Kind(
    name="kubernetes",
    titles=r"(?:NAMESPACE\ )?NAME\ .*\bAGE\b",
    json=r'"apiVersion"\s*:',
    commands=("kubectl get",),
)

KINDS: Final[tuple[Kind, ...]] = (
    _KUBERNETES,
    _NAT,
    ct.KIND,
    policymap.KIND,
    endpoints.KIND,
    _BPF_ENDPOINTS,
    ipcache.KIND,
    health.KIND,
    nodes.KIND,
    identities.KIND,
    _LB,
    _SERVICES,
    _METRICS,
    _IP_LIST,
    _TUNNEL,
    _MAP,
    _MAP_LIST,
    _STATUS,
    _HUBBLE_STATUS,
    _POLICY_RULES,
    _MONITOR,
    _HUBBLE,
    _PWRU,
    _ENVOY,
    _CONNTRACK,
)

KIND_OF_NAME: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in KINDS})
TABLES: Final[Mapping[str, type]] = MappingProxyType(
    {kind.name: kind.entry for kind in KINDS if kind.entry is not None}
    | {name: entry for kind in KINDS for name, entry in kind.extras}
)
"""The dataclass of the entries of each table."""
