"""The six recorded cases as data: who calls whom, whether the policy is in force, and with how much traffic.

`networkpolicy-drop` and `policy-removed` are the incident before and after its cure, with one and the same plan of
traffic. The other four are the experiment that tells the causes apart, each with less traffic.
"""

from dataclasses import dataclass
from typing import Final

from cluster import CILIUM_1, KUBENET_CLIENT, KUBENET_SERVER, SHOP, Node, Pod


@dataclass(frozen=True, slots=True)
class Load:
    """How much traffic: connections and how many workers share them, and requests on a connection."""

    connections: int
    workers: int
    fewest_requests: int
    most_requests: int
    largest_body_octets: int


@dataclass(frozen=True, slots=True)
class Case:
    """One folder under `captures/`."""

    name: str
    title: str
    initiator: Pod
    responder: Pod
    network_policy: bool
    load: Load
    neighbour_load: Load | None

    @property
    def uplink_node(self) -> Node:
        """The node at whose uplink point B stands: the responder's."""
        return self.responder.node

    @property
    def denies(self) -> bool:
        """Whether the policy drops this case's requests: it guards the shop's ingress alone."""
        return self.network_policy and self.responder is SHOP and self.initiator.node is not CILIUM_1


INCIDENT: Final = Load(connections=12, workers=4, fewest_requests=2, most_requests=3, largest_body_octets=20_000)
EXPERIMENT: Final = Load(connections=6, workers=3, fewest_requests=1, most_requests=3, largest_body_octets=6_000)
NEIGHBOUR: Final = Load(connections=2, workers=1, fewest_requests=3, most_requests=3, largest_body_octets=3_000)

CASES: Final = (
    Case(
        "networkpolicy-drop",
        "503 after the shop moved to a Cilium node: requests from kubenet pods get no response",
        KUBENET_CLIENT,
        SHOP,
        network_policy=True,
        load=INCIDENT,
        neighbour_load=NEIGHBOUR,
    ),
    Case(
        "policy-removed",
        "the shop on its Cilium node after its network policy was deleted: every request is answered",
        KUBENET_CLIENT,
        SHOP,
        network_policy=False,
        load=INCIDENT,
        neighbour_load=NEIGHBOUR,
    ),
    Case(
        "kubenet-to-cilium-with-policy",
        "experiment: a kubenet pod calls a Cilium pod that has an ingress policy",
        KUBENET_CLIENT,
        SHOP,
        network_policy=True,
        load=EXPERIMENT,
        neighbour_load=NEIGHBOUR,
    ),
    Case(
        "cilium-to-kubenet-with-policy",
        "experiment: a Cilium pod that has an ingress policy calls a kubenet pod",
        SHOP,
        KUBENET_SERVER,
        network_policy=True,
        load=EXPERIMENT,
        neighbour_load=None,
    ),
    Case(
        "kubenet-to-cilium-without-policy",
        "experiment: a kubenet pod calls a Cilium pod that has no policy",
        KUBENET_CLIENT,
        SHOP,
        network_policy=False,
        load=EXPERIMENT,
        neighbour_load=NEIGHBOUR,
    ),
    Case(
        "cilium-to-kubenet-without-policy",
        "experiment: a Cilium pod that has no policy calls a kubenet pod",
        SHOP,
        KUBENET_SERVER,
        network_policy=False,
        load=EXPERIMENT,
        neighbour_load=None,
    ),
)
