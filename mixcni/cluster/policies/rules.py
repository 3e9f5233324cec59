"""What a policy says once it is read: whom it selects, and rules with peers and ports, of whatever kind it is.

Three notations become one: Kubernetes NetworkPolicy, CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mixcni.cluster.addresses import Prefix
from mixcni.cluster.policies.answer import NO, YES, Answer, all_of, answer_of, any_of, unknown
from mixcni.cluster.policies.labels import CLUSTER, WORLDS, LabelSet, Selector
from mixcni.cluster.policies.party import Guise, Party

INGRESS, EGRESS = "ingress", "egress"
TRANSPORTS: Final = ("TCP", "UDP", "SCTP")

_ENTITY_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "host": ("reserved:host",),
    "remote-node": ("reserved:remote-node",),
    "kube-apiserver": ("reserved:kube-apiserver",),
    "health": ("reserved:health",),
    "init": ("reserved:init",),
    "ingress": ("reserved:ingress",),
    "unmanaged": ("reserved:unmanaged",),
    "world": WORLDS,
    "none": (),
    "cluster": tuple(
        f"reserved:{name}" for name in ("host", "remote-node", "init", "ingress", "health", "unmanaged")
    ),
}  # fmt: skip
ENTITIES: Final = (*_ENTITY_LABELS, "world-ipv4", "world-ipv6", "all")


class Peer(Protocol):
    """Whom a rule is about."""

    def matches(self, guise: Guise, subject: Guise, /) -> Answer:
        """Whether the other end is one of them; `subject` is the end on which the rule is enforced."""
        ...

    @property
    def says(self) -> str:
        """The peer in a few words."""
        ...


@dataclass(frozen=True)
class EndpointPeer:
    """Endpoints by their labels: only what Cilium manages has any beyond the reserved ones."""

    selector: Selector
    says: str

    def matches(self, guise: Guise, _subject: Guise, /) -> Answer:
        """By the labels of its identity."""
        if guise.labels is None:
            return unknown("no dump has the labels of the other end")
        return self.selector.selects(guise.labels)


@dataclass(frozen=True)
class CidrPeer:
    """Addresses that are no endpoint and no node of Cilium's (Cilium, "IP/CIDR based"): endpoints have none that counts."""

    prefix: Prefix
    excepted: tuple[Prefix, ...]
    says: str

    def matches(self, guise: Guise, _subject: Guise, /) -> Answer:
        """By its address, if Cilium manages no endpoint or node there."""
        address = guise.address
        if guise.labels is None:
            return unknown("no dump tells whether the other end is one that Cilium manages")
        if address is None or address not in self.prefix or any(address in prefix for prefix in self.excepted):
            return NO
        if guise.is_world:
            return YES
        if guise.is_node:
            return unknown("CIDRs match nodes only with policy-cidr-match-mode=nodes, which no dump shows")
        return NO


@dataclass(frozen=True)
class EntityPeer:
    """One of Cilium's entities."""

    name: str

    @property
    def says(self) -> str:
        """In words."""
        return f"entity {self.name}"

    def matches(self, guise: Guise, subject: Guise, /) -> Answer:
        """By its reserved labels."""
        if self.name == "all":
            return YES
        if self.name not in ENTITIES:
            return unknown(f"{self.name!r} is no entity that mixcni knows")
        if guise.labels is None:
            if self.name == "none" or self.name.startswith("world"):
                return NO if self.name == "none" else unknown("no dump tells what the other end is")
            return unknown("no dump tells what the other end is")
        if self.name in ("world-ipv4", "world-ipv6"):
            return self._world(guise)
        if any(guise.labels.has(label) for label in _ENTITY_LABELS[self.name]):
            return YES
        return self._cluster(guise, subject) if self.name == "cluster" else NO

    def _world(self, guise: Guise) -> Answer:
        """One half of world, which exists where both families are in use."""
        if guise.labels is not None and guise.labels.has(f"reserved:{self.name}"):
            return YES
        if not guise.is_world or guise.address is None or f"ipv{guise.address.version}" != self.name[6:]:
            return NO
        return unknown(f"{self.name} stands for world only where both address families are in use, which no dump shows")

    def _cluster(self, guise: Guise, subject: Guise) -> Answer:
        """Every endpoint that has this cluster's name as a label; one without any reserved label is an endpoint."""
        if guise.labels is None or guise.is_world:
            return NO
        mine = subject.labels.get(CLUSTER)[1] if subject.labels else ()
        other = guise.labels.get(CLUSTER)[1]
        if mine and other:
            return answer_of(mine == other)
        return answer_of(not any(key.startswith("reserved:") for key in guise.labels.values))


@dataclass(frozen=True)
class NodePeer:
    """Nodes by the labels of the node (fromNodes, toNodes), which needs an option of the agent."""

    selector: Selector
    says: str

    def matches(self, guise: Guise, _subject: Guise, /) -> Answer:
        """Never decided: no dump shows whether nodes are told apart."""
        if guise.labels is not None and not guise.labels.has("reserved:remote-node"):
            return NO
        return unknown("nodes are told apart only with enable-node-selector-labels, which no dump shows")


@dataclass(frozen=True)
class OutsidePeer:
    """Addresses outside the cluster that only a running agent knows: DNS names, groups of a cloud."""

    what: str

    @property
    def says(self) -> str:
        """In words."""
        return self.what

    def matches(self, guise: Guise, _subject: Guise, /) -> Answer:
        """Never decided for what is outside the cluster."""
        if guise.labels is not None and not guise.is_world:
            return NO
        return unknown(f"{self.what} cannot be decided offline")


@dataclass(frozen=True)
class UnknownPeer:
    """A peer that cannot be read: it may be anybody."""

    why: str

    @property
    def says(self) -> str:
        """In words."""
        return self.why

    def matches(self, _guise: Guise, _subject: Guise, /) -> Answer:
        """Never decided."""
        return unknown(self.why)


@dataclass(frozen=True)
class PortMatch:
    """Ports of one protocol, one ICMP type, or a port by its name."""

    protocol: str | None
    """In capitals; None: any."""
    port: int | None = None
    """First one; None: all."""
    port_end: int | None = None
    name: str = ""

    @property
    def says(self) -> str:
        """As policy maps print it: 8080/TCP."""
        port = self.name or ("ANY" if self.port is None else str(self.port))
        last = f"-{self.port_end}" if self.port_end not in (None, self.port) else ""
        return f"{port}{last}/{self.protocol or 'ANY'}"

    def matches(self, protocol: str, port: int | None, ports_of: Party) -> Answer:
        """Whether a packet's protocol and port are among them; `ports_of` is the end whose port it is."""
        if self.protocol is None:
            if protocol not in TRANSPORTS and (self.name or self.port is not None):
                return NO
        elif self.protocol != protocol:
            return NO
        if self.name:
            return self._named(protocol, port, ports_of)
        if self.port is None:
            return YES
        if port is None:
            return NO
        return answer_of(self.port <= port <= (self.port if self.port_end is None else self.port_end))

    def _named(self, protocol: str, port: int | None, ports_of: Party) -> Answer:
        if ports_of.ports is None:
            if all(guise.is_world for guise in ports_of.guises):
                return NO  # names are those of containers
            return unknown(f"no dump has the container ports, and so the number of the port {self.name!r}")
        return answer_of(port is not None and ports_of.ports.get((self.name, protocol)) == port)


@dataclass(frozen=True)
class Rule:
    """One entry of a policy's rules in one direction.

    Parameters
    ----------
    index : its number in its list, from 0
    peers : None: anybody; empty: nobody
    ports : None: any protocol and port
    proxied : what of it only a proxy or an authentication can decide, beyond addresses and ports; "" nothing
    """

    direction: str
    deny: bool
    index: int
    peers: tuple[Peer, ...] | None
    ports: tuple[PortMatch, ...] | None
    line: int
    proxied: str = ""
    field: str = ""
    """The list in the manifest: ingress, egressDeny ..."""

    def peer_matches(self, guise: Guise, subject: Guise) -> Answer:
        """Whether the other end is one of the rule's peers."""
        return YES if self.peers is None else any_of(peer.matches(guise, subject) for peer in self.peers)

    def port_matches(self, protocol: str, port: int | None, ports_of: Party) -> Answer:
        """Whether the port is one of the rule's."""
        return YES if self.ports is None else any_of(match.matches(protocol, port, ports_of) for match in self.ports)

    @property
    def says(self) -> str:
        """Peers and ports in words."""
        peers = "anybody" if self.peers is None else ", ".join(peer.says for peer in self.peers) or "nobody"
        ports = "any port" if self.ports is None else ", ".join(match.says for match in self.ports) or "no port"
        return f"{peers} on {ports}"


@dataclass(frozen=True)
class Policy:
    """One policy, or one entry of a policy's `specs`.

    Parameters
    ----------
    subject : whom it selects
    on_nodes : it selects nodes by their own labels: a host policy
    default_deny : the directions in which whom it selects is denied what nothing allows
    requires : by direction, conditions on endpoints that rules allow (fromRequires, toRequires)
    doubts : what of it could not be read, in words; while there is any, that it does not allow proves nothing
    """

    kind: str
    namespace: str
    name: str
    subject: Selector
    on_nodes: bool
    default_deny: frozenset[str]
    rules: tuple[Rule, ...]
    requires: Mapping[str, tuple[Selector, ...]]
    file: str
    line: int
    doubts: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """Kind, namespace and name."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.file}, line {self.line}"

    def selects(self, guise: Guise) -> Answer:
        """Whether it is about an endpoint, or a host policy about a node."""
        if self.on_nodes:
            if guise.labels is not None and not guise.is_node:
                return NO
            if guise.node_labels is None:
                return unknown("no dump has the node's labels, by which a host policy selects it")
            return self.subject.selects(_node_labels(guise.node_labels))
        if guise.labels is None:
            return unknown("no dump has the labels by which policies select it")
        if guise.is_node or guise.is_world:
            return NO
        return self.subject.selects(guise.labels)

    def requirements_met(self, direction: str, guise: Guise) -> Answer:
        """Whether an endpoint meets this policy's conditions on all that rules allow."""
        wanted = self.requires.get(direction, ())
        if guise.labels is None:
            return unknown("no dump has the labels of the other end") if wanted else YES
        labels = guise.labels
        return all_of(selector.selects(labels) for selector in wanted)


def _node_labels(labels: Mapping[str, str]) -> LabelSet:
    return LabelSet({f"k8s:{key}": value for key, value in labels.items()})
