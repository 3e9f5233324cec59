"""The two ends of a flow as rules see them.

An address is a pod to Kubernetes and may be nobody to Cilium: what Cilium takes it for is its `Guise`. Where the dumps
leave more than one open, a party has several, and a verdict stands only if it is the same for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mixcni.cluster.addresses import Address
from mixcni.cluster.policies.labels import WORLDS, LabelSet


@dataclass(frozen=True)
class Guise:
    """One thing that Cilium may take an address for."""

    address: Address | None
    labels: LabelSet | None
    """None: something of the cluster whose labels no dump has."""
    says: str
    """What it is, in words: `the pod default/shop`, `world`."""
    file: str | None = None
    line: int | None = None
    """Where that stands."""
    node_labels: Mapping[str, str] | None = None
    """Of the node that it is, where it is one and a dump has it."""

    @property
    def is_world(self) -> bool:
        """Whether CIDR rules may match it: neither an endpoint that Cilium manages nor a node of the cluster."""
        return self.labels is not None and any(self.labels.has(world) for world in WORLDS)

    @property
    def is_node(self) -> bool:
        """Whether it is a node of the cluster, the local one or another."""
        return self.labels is not None and (self.labels.has("reserved:host") or self.labels.has("reserved:remote-node"))

    @property
    def is_local_host(self) -> bool:
        """Whether it is the node on which the other end runs."""
        return self.labels is not None and self.labels.has("reserved:host")


@dataclass(frozen=True)
class Party:
    """One end of a flow.

    Parameters
    ----------
    guises : what Cilium may take it for, at least one
    is_managed : whether Cilium enforces policy on it; None: no dump tells
    ports : container ports by (name, protocol), for rules with named ports; None: no dump tells
    node : the node that it is or runs on; "" not known
    is_datapaths : the guises are as the subject's node has them in its own dumps
    """

    address: Address | None
    guises: tuple[Guise, ...]
    is_managed: bool | None
    ports: Mapping[tuple[str, str], int] | None = None
    node: str = ""
    is_datapaths: bool = False

    @property
    def says(self) -> str:
        """What it is, in words."""
        return " or ".join(dict.fromkeys(guise.says for guise in self.guises))


@dataclass(frozen=True)
class Flow:
    """A connection that somebody opens."""

    initiator: Party
    responder: Party
    protocol: str
    """In capitals: TCP, UDP, SCTP, ICMP, ICMPV6."""
    port: int | None
    """The responder's, after a service's address was translated; of ICMP the type."""
