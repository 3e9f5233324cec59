"""What all dumps together say about the cluster: tables to look at, and the questions that a diagnosis asks of them.

Every answer cites the line that it rests on, and "not known" is an answer: the absence of an entry counts only where a
complete dump is there in which it would have to stand.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mixcni.cluster.addresses import Address, as_address
from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.cilium.endpoints import NOT_ENFORCED, Endpoint
from mixcni.cluster.cilium.health import HealthNode, HealthSummary
from mixcni.cluster.cilium.identities import HOST, RESERVED_NAMES, Identity
from mixcni.cluster.cilium.ipcache import IpcacheEntry
from mixcni.cluster.cilium.lb import LbEntry, services_of
from mixcni.cluster.cilium.localendpoints import BpfEndpoint
from mixcni.cluster.cilium.metrics import Metric
from mixcni.cluster.cilium.nat import NatEntry
from mixcni.cluster.cilium.nodeids import NodeId
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.cilium.services import Service
from mixcni.cluster.dump import UNRECOGNISED, Dump, ReadDump
from mixcni.cluster.frames import to_frame
from mixcni.cluster.kinds import TABLES
from mixcni.cluster.kubernetes import Inventory, KubernetesObject
from mixcni.cluster.lookup import ConnectionIndex, DumpIndex
from mixcni.cluster.ofnode import NODE_LOCAL
from mixcni.cluster.owners import Owner, OwnerIndex
from mixcni.cluster.plain import columns
from mixcni.cluster.policy import PolicyVerdict, decide, protocol_name
from mixcni.cluster.policychoice import PolicyMap, choose_policy_map
from mixcni.cluster.resolve import IdentityAnswer, IdentityResolver
from mixcni.cluster.version import VersionRange
from mixcni.errors import ParameterError
from mixcni.glance import Glance

if TYPE_CHECKING:
    import pandas as pd

Entry = TypeVar("Entry")
_TABLE_OF_TYPE: Final = {entry_type: name for name, entry_type in TABLES.items()}
MAX_SHOWN: Final = 12  # dumps in a repr; a sysdump has dozens


@dataclass(frozen=True, repr=False)
class ClusterState:
    """All that was read of a cluster's dumps, a tuple a kind, each in the order of reading.

    Examples
    --------
    >>> cluster = mixcni.diagnose("captures/networkpolicy-drop").cluster
    >>> cluster.endpoint_of("10.242.2.149").id
    1437
    """

    dumps: tuple[Dump, ...] = ()
    entries: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """By the name of their table; a table without entries may be left out."""

    @classmethod
    def of(cls, found: Iterable[ReadDump]) -> "ClusterState":
        """The state that these dumps make up, their order kept."""
        dumps: list[Dump] = []
        entries: dict[type, list[Any]] = {}
        for read in found:
            dumps.append(read.dump)
            for some in (read.entries, read.extras):
                if some:
                    entries.setdefault(type(some[0]), []).extend(some)
        return cls(tuple(dumps), MappingProxyType({name: tuple(entries.get(kind, ())) for name, kind in TABLES.items()}))

    def of_type(self, entry_type: type[Entry]) -> tuple[Entry, ...]:
        """The entries that a dataclass describes, in the order of reading."""
        return self.entries.get(_TABLE_OF_TYPE[entry_type], ())

    @property
    def ct(self) -> tuple[CtEntry, ...]:
        """Connection tracking entries."""
        return self.of_type(CtEntry)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Endpoints of the nodes."""
        return self.of_type(Endpoint)

    @property
    def policy_map(self) -> tuple[PolicyEntry, ...]:
        """Rows of policy maps."""
        return self.of_type(PolicyEntry)

    @property
    def health(self) -> tuple[HealthNode, ...]:
        """Nodes that were probed."""
        return self.of_type(HealthNode)

    @property
    def health_summaries(self) -> tuple[HealthSummary, ...]:
        """How many of them were reachable, and when."""
        return self.of_type(HealthSummary)

    @property
    def ipcache(self) -> tuple[IpcacheEntry, ...]:
        """Prefixes and their identities."""
        return self.of_type(IpcacheEntry)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Identities and their labels."""
        return self.of_type(Identity)

    @property
    def nodes(self) -> tuple[CiliumNode, ...]:
        """Nodes that run Cilium."""
        return self.of_type(CiliumNode)

    @property
    def services(self) -> tuple[Service, ...]:
        """Services and their backends."""
        return self.of_type(Service)

    @property
    def all_services(self) -> tuple[Service, ...]:
        """The agent's services, then the datapath's own."""
        return (*self.services, *self._services_of_lb)

    @property
    def nat(self) -> tuple[NatEntry, ...]:
        """Translated connections."""
        return self.of_type(NatEntry)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Packets forwarded and dropped, by reason."""
        return self.of_type(Metric)

    @cached_property
    def dumped_nodes(self) -> tuple[str, ...]:
        """The nodes, as far as they are known, that dumps of a node's own state were taken on."""
        return tuple(dict.fromkeys(dump.node for dump in self.dumps if dump.node and dump.kind in NODE_LOCAL))

    def on_node(self, node: str) -> "ClusterState":
        """The state as one node has it: its own dumps, and those that are of no one node or of one that is not known.

        Raises
        ------
        ParameterError : no dump is known to be of that node
        """
        if node not in self.dumped_nodes:
            near = difflib.get_close_matches(node, self.dumped_nodes) or list(self.dumped_nodes)
            raise ParameterError(f"node: no dump of {node!r}, wanted {' or '.join(near) or 'dumps that name their node'}")
        dumps = tuple(dump for dump in self.dumps if dump.kind not in NODE_LOCAL or dump.node in (node, None))
        kept = DumpIndex(dumps)
        entries = {name: tuple(entry for entry in some if kept.of(entry.file, entry.line)) for name, some in self.entries.items()}
        return ClusterState(dumps, MappingProxyType(entries))

    def node_of(self, entry: Any) -> str | None:
        """The node whose dump an entry stands in; None if nothing tells."""
        dump = self._dump_index.of(entry.file, entry.line)
        return None if dump is None else dump.node

    @cached_property
    def kubernetes(self) -> Inventory:
        """What the API server's objects say of addresses, nodes, services and policies."""
        return Inventory(self.of_type(KubernetesObject))

    @property
    def glance(self) -> Glance:
        """What `repr` and a notebook show: the trouble first, what failed, what did not parse, what is missing."""
        if not self.dumps:
            return Glance("ClusterState: no dumps")
        version = f", Cilium {self.version} by their form" if self.version else ""
        if not version and any(dump.version for dump in self.dumps):
            version = ", their forms of no one Cilium release"
        order = sorted(self.dumps, key=lambda d: (d.unavailable is None, not d.unparsed, d.partial is None))
        return Glance(
            f"ClusterState: {len(self.dumps)} {'dump' if len(self.dumps) == 1 else 'dumps'}{version}",
            [(dump.kind, _count(dump), f"{dump.file}:{dump.line}", _remark(dump)) for dump in order[:MAX_SHOWN]],
            right=(1,),
            notes=[f"... and {len(order) - MAX_SHOWN} more"] if len(order) > MAX_SHOWN else [],
        )

    def __repr__(self) -> str:
        return self.glance.text()

    def _repr_html_(self) -> str:
        return self.glance.html()

    @property
    def tables(self) -> Mapping[str, tuple[Any, ...]]:
        """The entries by the name of their table, `dumps` among them."""
        return MappingProxyType({**{name: self.entries.get(name, ()) for name in TABLES}, "dumps": self.dumps})

    def to_frame(self, kind: str) -> "pd.DataFrame":
        """One table as a DataFrame, a row an entry; without entries it is empty and has the same columns.

        Raises
        ------
        ParameterError : there is no table of that name
        """
        return to_frame(self.table(kind), TABLES.get(kind, Dump))

    def table(self, kind: str) -> tuple[Any, ...]:
        """The entries of one table.

        Raises
        ------
        ParameterError : there is no table of that name
        """
        tables = self.tables
        if kind not in tables:
            near = difflib.get_close_matches(kind, tables) or list(tables)
            raise ParameterError(f"kind: no table {kind!r}, wanted {' or '.join(near)}")
        return tables[kind]

    def columns(self, kind: str) -> tuple[str, ...]:
        """The names of a table's fields, without those that say where an entry stands."""
        return columns(TABLES.get(kind, Dump))

    @cached_property
    def version(self) -> VersionRange | None:
        """The releases that could have printed all the dumps; None if they say nothing or contradict each other."""
        meeting: VersionRange | None = None
        for found in (dump.version for dump in self.dumps if dump.version is not None):
            meeting = found if meeting is None else meeting.meet(found)
            if meeting is None:
                return None
        return meeting

    def endpoint_of(self, address: str | Address) -> Endpoint | None:
        """The endpoint that has `address`; None if no endpoint list knows it. Of two lists the later one counts."""
        return self._endpoints.get(as_address(address))

    def host_endpoint_of(self, address: str | Address) -> Endpoint | None:
        """The endpoint that stands for the node itself, of which endpoint lists print no address; None if it is not that node's.

        A node's own addresses are those that its local endpoints name, and where one node was dumped those of identity 1.
        """
        hosts = [endpoint for endpoint in self.endpoints if endpoint.identity == HOST]
        wanted, is_alone = as_address(address), len(hosts) == 1 and len(self.dumped_nodes) < 2
        for host in hosts:
            node = self.node_of(host)
            own = {each.address for each in self.of_type(BpfEndpoint) if each.localhost and self.node_of(each) == node}
            if wanted in own or (is_alone and self._resolver.identity_of(wanted).identity == HOST):
                return host
        return None

    def identity_of(self, address: str | Address) -> IdentityAnswer:
        """The identity that the Cilium node gives packets from `address`, and how that is known.

        By the endpoint list, else the longest ipcache prefix. An address that no prefix but 0.0.0.0/0 holds is world,
        if a complete ipcache dump is there; without one, by conntrack's word on earlier connections, or not known.
        """
        return self._resolver.identity_of(as_address(address))

    def labels_of(self, identity: int) -> tuple[str, ...] | None:
        """The labels that an identity stands for, by the identity list, the endpoints, or its being reserved."""
        if identity in self._labels:
            return self._labels[identity]
        name = RESERVED_NAMES.get(identity)
        return None if name is None else (f"reserved:{name}",)

    def owners_of(self, address: str | Address) -> tuple[Owner, ...]:
        """What the dumps say that an address is: pod, node, service, backend."""
        return self._owners.of(as_address(address))

    def services_at(self, address: str | Address, port: int | None = None) -> tuple[Service, ...]:
        """The services whose frontend is `address`, and `port` if one is given: the agent's, then the datapath's own."""
        wanted = as_address(address)
        return tuple(item for item in self.all_services if item.frontend == wanted and port in (None, item.frontend_port))

    def nat_of(self, address: str | Address, port: int | None = None) -> tuple[NatEntry, ...]:
        """The translations in which `address`, with `port` if one is given, is an end or what an end becomes."""
        wanted = as_address(address)

        def has(entry: NatEntry) -> bool:
            ends = (
                (entry.source, entry.source_port),
                (entry.destination, entry.destination_port),
                (entry.xlate_address, entry.xlate_port),
            )
            return any(own == wanted and port in (None, its) for own, its in ends)

        return tuple(filter(has, self.nat))

    def conntrack_of(
        self,
        source: str | Address,
        source_port: int,
        destination: str | Address,
        destination_port: int,
        protocol: str | int,
    ) -> tuple[CtEntry, ...]:
        """The conntrack entries of a connection in either orientation, the one asked for first."""
        wanted = protocol_name(protocol)
        found = self._connections.of(as_address(source), source_port, as_address(destination), destination_port)
        return tuple(entry for entry in found if protocol_name(entry.protocol) == wanted)

    def conntrack_with(self, address: str | Address) -> tuple[CtEntry, ...]:
        """The conntrack entries that have `address` at either end."""
        return tuple(self._connections.with_end(as_address(address)))

    def conntrack_between(self, addresses: Iterable[str | Address]) -> tuple[CtEntry, ...]:
        """The conntrack entries that have one of `addresses` at either end and another of them at the other."""
        ends = {as_address(address) for address in addresses}
        touching = (entry for address in ends for entry in self._connections.with_end(address) if entry.source == address)
        return tuple(entry for entry in touching if entry.destination in ends)

    def has_complete(self, kind: str) -> bool:
        """Whether a dump of that kind is there from which no entry is missing: only then absence is evidence."""
        return any(dump.kind == kind and dump.is_complete for dump in self.dumps)

    def is_cilium_node(self, address: str | Address) -> bool | None:
        """Whether a node with that address runs Cilium, by lists of nodes, health, CiliumNodes and node ids; None if none tells.

        The first two list every node that runs Cilium and no other one, so absence from a complete one means no; but only if it
        gives an address of that family for each of its nodes, none masked.
        """
        wanted = as_address(address)
        if wanted in self._node_addresses:
            return True
        nodes: list[CiliumNode | HealthNode] = [*self.nodes, *self.health]
        for dump in self.dumps:
            if dump.kind in ("nodes", "health") and dump.is_complete and dump.entries:
                listed = [node.addresses for node in nodes if dump.holds(node.file, node.line)]
                if all(any(own.version == wanted.version for own in addresses) for addresses in listed):
                    return False
        node = self.kubernetes.node_of(wanted)
        return None if node is None else self.kubernetes.is_managed(node)

    def policy_entries(self, endpoint_id: int, node: str | None = None) -> tuple[PolicyEntry, ...] | None:
        """The rows of an endpoint's policy map; None if no dump of it is there.

        Ids are a node's own: of several nodes that have such an endpoint one must be named, else the answer is None.
        """
        found = self._policy_map_of(endpoint_id, node)
        return None if found is None else found.entries

    def policy_map_is_assumed(self, endpoint_id: int, node: str | None = None) -> str | None:
        """The assumption by which a policy map is this endpoint's, in words; None if a dump says so or none is there."""
        found = self._policy_map_of(endpoint_id, node)
        return None if found is None else found.assumed

    def policy_verdict(
        self,
        endpoint_id: int,
        direction: str,
        identity: int | None,
        port: int | None,
        protocol: str | int,
        node: str | None = None,
    ) -> PolicyVerdict:
        """What the endpoint's policy map does with a new connection; not decided if no dump of the map is there."""
        found = self._policy_map_of(endpoint_id, node)
        if found is None and self._policy_map_nodes(endpoint_id) > 1 and node is None:
            return PolicyVerdict(None, None, f"several nodes have an endpoint {endpoint_id}, and none of them is named")
        if found is None:
            return PolicyVerdict(None, None, f"no dump of the policy map of endpoint {endpoint_id} is there")
        labels = None if identity is None else self._labels.get(identity)
        version = found.dump.version if self.version is None else self.version
        verdict = decide(found.entries, direction, identity, port, protocol, version, labels=labels)
        if verdict.allowed is not False:
            return verdict
        if verdict.entry is None and found.dump.partial:
            return PolicyVerdict(None, None, f"no row denies it, but rows of the policy map are missing: {found.dump.partial}")
        policy = self._policy_of(endpoint_id, direction.lower(), node or found.dump.node)
        if policy in NOT_ENFORCED:
            allowed = None if policy == "Disabled" else True
            return PolicyVerdict(
                allowed, verdict.entry, f"{verdict.why}, were {direction} enforced; but the endpoint list has {policy}"
            )
        return verdict

    @cached_property
    def _endpoints(self) -> dict[Address, Endpoint]:
        return {address: endpoint for endpoint in self.endpoints for address in endpoint.addresses}

    @cached_property
    def _labels(self) -> dict[int, tuple[str, ...]]:
        known = {endpoint.identity: endpoint.labels for endpoint in self.endpoints if endpoint.identity and endpoint.labels}
        known.update({identity.id: identity.labels for identity in self.identities if identity.labels})
        return known

    @cached_property
    def _connections(self) -> ConnectionIndex:
        return ConnectionIndex(self.ct)

    @cached_property
    def _resolver(self) -> IdentityResolver:
        dumps = [dump for dump in self.dumps if dump.kind == "ipcache"]
        return IdentityResolver(self._endpoints, self.ipcache, dumps, self._connections)

    @cached_property
    def _node_addresses(self) -> frozenset[Address]:
        listed = {address for node in self.nodes for address in node.addresses}
        listed |= {address for node in self.kubernetes.cilium_nodes.values() for address in node.addresses}
        listed |= {each.address for each in self.of_type(NodeId) if each.id}
        return frozenset(listed.union(*(node.addresses for node in self.health)))

    def _policy_of(self, endpoint_id: int, direction: str, node: str | None) -> str | None:
        """Whether an endpoint enforces policy in a direction, in the endpoint list's word; None if none tells, or two differ."""
        same = [endpoint for endpoint in self.endpoints if endpoint.id == endpoint_id]
        if node is not None and len(self.dumped_nodes) > 1:
            same = [endpoint for endpoint in same if self.node_of(endpoint) in (node, None)]
        words = {endpoint.ingress_policy if direction == "ingress" else endpoint.egress_policy for endpoint in same}
        return words.pop() if len(words) == 1 else None

    def _policy_map_of(self, endpoint_id: int, node: str | None) -> PolicyMap | None:
        return choose_policy_map(endpoint_id, self.dumps, self.policy_map, self.endpoints, node)

    def _policy_map_nodes(self, endpoint_id: int) -> int:
        return len({dump.node for dump in self.dumps if dump.kind == "policy_map" and dump.endpoint_id == endpoint_id} - {None})

    @cached_property
    def _services_of_lb(self) -> tuple[Service, ...]:
        return services_of(self.of_type(LbEntry))

    @cached_property
    def _dump_index(self) -> DumpIndex:
        return DumpIndex(self.dumps)

    @cached_property
    def _owners(self) -> OwnerIndex:
        return OwnerIndex({entry_type: self.entries.get(name, ()) for name, entry_type in TABLES.items()})


def _count(dump: Dump) -> str:
    if dump.unavailable:
        return "unavailable"
    return "" if dump.kind == UNRECOGNISED else f"{dump.entries} {'entry' if dump.entries == 1 else 'entries'}"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _remark(dump: Dump) -> str:
    """What a reader should know of a dump before trusting it, in one line."""
    parts = [dump.unavailable or "", f"{_lines(len(dump.unparsed))} not understood" if dump.unparsed else ""]
    parts += [dump.partial or "", dump.note]
    return "; ".join(part[:100] for part in parts if part)
