"""Every kind of dump that mixcni knows, in the order in which their signs are tried.

A new kind is a parser module that ends with its `KIND`, and a line here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mixcni.cluster.cilium import (
    ct,
    endpoints,
    fqdn,
    health,
    identities,
    ipcache,
    iplist,
    lb,
    localendpoints,
    maps,
    metrics,
    nat,
    nodes,
    policymap,
    rules,
    services,
    status,
    tunnel,
)
from mixcni.cluster.kind import Kind
from mixcni.cluster.kubernetes import reading as kubernetes

# Kinds that are recognised by their signs, and not read.
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

KINDS: Final[tuple[Kind, ...]] = (
    kubernetes.KIND,
    nat.KIND,
    ct.KIND,
    policymap.KIND,
    services.KIND,
    status.KIND,
    endpoints.KIND,
    localendpoints.KIND,
    ipcache.KIND,
    health.KIND,
    nodes.KIND,
    iplist.KIND,
    rules.KIND,
    identities.KIND,
    lb.KIND,
    metrics.KIND,
    tunnel.KIND,
    fqdn.KIND,
    maps.KIND,
    maps.LIST_KIND,
    _HUBBLE_STATUS,
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
