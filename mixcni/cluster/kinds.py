"""Every kind of dump that mixcni knows, in the order in which their signs are tried.

A new kind is a parser module that ends with its `KIND`, and a line here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mixcni.cluster import archives
from mixcni.cluster.cilium import (
    ct,
    egress,
    endpoints,
    fqdn,
    health,
    identities,
    ipcache,
    iplist,
    ipmasq,
    lb,
    localendpoints,
    maps,
    metrics,
    nat,
    nodeids,
    nodes,
    others,
    policymap,
    rules,
    services,
    status,
    tunnel,
)
from mixcni.cluster.events import hubble, hubblestatus, monitor, pwru, retis
from mixcni.cluster.kind import Kind
from mixcni.cluster.kubernetes import reading as kubernetes
from mixcni.cluster.logs import conntrack, envoy

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
    ipmasq.KIND,
    egress.KIND,
    nodeids.KIND,
    health.KIND,
    nodes.KIND,
    iplist.KIND,
    rules.KIND,
    identities.KIND,
    lb.KIND,
    metrics.KIND,
    tunnel.KIND,
    fqdn.KIND,
    others.KIND,
    maps.KIND,
    maps.LIST_KIND,
    hubblestatus.KIND,
    monitor.KIND,
    retis.KIND,
    hubble.KIND,
    pwru.KIND,
    envoy.KIND,
    conntrack.KIND,
    archives.KIND,
)

KIND_OF_NAME: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in KINDS})
TABLES: Final[Mapping[str, type]] = MappingProxyType(
    {kind.name: kind.entry for kind in KINDS if kind.entry is not None}
    | {name: entry for kind in KINDS for name, entry in kind.extras}
)
"""The dataclass of the entries of each table."""
