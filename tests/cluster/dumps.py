"""Dumps for the tests of mixcni/cluster: the samples, the recorded cases, and text as if it stood in a file."""

from pathlib import Path

from mixcni.cluster import ClusterState
from mixcni.cluster.dump import Dump
from mixcni.cluster.loading import read_octets
from mixcni.cluster.ofnode import with_nodes

SAMPLES = Path(__file__).parent / "samples"
RECORDED = Path(__file__).parents[2] / "captures"
READ = (
    "ct", "endpoints", "policy_map", "health", "ipcache", "identities", "nodes", "nat", "bpf_endpoints", "services", "lb",
    "metrics", "tunnel", "fqdn_cache", "ip_list", "map", "map_list", "status", "policy_rules",
)  # fmt: skip
"""The kinds of state that Cilium's commands print."""

CT_TAIL = (
    "expires=277365 RxPackets=5 RxBytes=452 RxFlagsSeen=0x1b LastRxReport=277355 TxPackets=4 TxBytes=400 "
    "TxFlagsSeen=0x13 LastTxReport=277350 Flags=0x0013 [ RxClosing TxClosing SeenNonSyn ] RevNAT=0 SourceSecurityID=1"
)
"""A conntrack line of 1.6 and 1.7 from `expires` on."""

ENDPOINT_TITLES = "ENDPOINT POLICY (ingress) POLICY (egress) IDENTITY LABELS (source:key[=value]) IPv6 IPv4 STATUS"
POLICY_TITLES = "POLICY DIRECTION IDENTITY PORT/PROTO PROXY PORT BYTES PACKETS"
IPCACHE_TITLES = "IP PREFIX/ADDRESS IDENTITY"


def state_of(*texts: str, **named: str) -> ClusterState:
    """The state that texts make up; `named` ones stand in files `NAME.txt`, the others in `dump-0.txt` and so on."""
    files = {f"dump-{index}.txt": text for index, text in enumerate(texts)}
    files.update({f"{name.replace('_', '-')}.txt": text for name, text in named.items()})
    return ClusterState.of(with_nodes([found for file, text in files.items() for found in read_octets(text.encode(), file)]))


def sample(name: str) -> ClusterState:
    """What the sample of that name holds."""
    return ClusterState.of(with_nodes(read_octets((SAMPLES / name).read_bytes(), name)))


def only(state: ClusterState) -> Dump:
    """The only dump of a state."""
    (dump,) = state.dumps
    return dump


def facts(state: ClusterState) -> list[tuple[object, ...]]:
    """All that was read, without the places where it stands."""
    rows: list[tuple[object, ...]] = []
    for name, table in state.tables.items():
        for entry in table:
            if name == "dumps":
                rows.append((entry.kind, entry.entries, entry.version, entry.endpoint_id, entry.unavailable is None))
            else:
                values = {field: getattr(entry, field) for field in entry.__dataclass_fields__ if field not in ("file", "line")}
                probes, backends = values.pop("probes", ()), values.pop("backends", ())
                rows.append(
                    (name, *values.values(), *((p.target, p.address, p.protocol, p.says) for p in probes), *map(str, backends))
                )
    return rows
