"""The incident's cluster as data: nodes, pods, addresses and Cilium identities.

One node still runs kubenet, three already run Cilium. The network is built from these names and the dumps are written
from them, so that packets and dumps cannot disagree about who is who.
"""

from dataclasses import dataclass
from typing import Final

HTTP_PORT: Final = 8080

# The incident's reserved identities (Cilium's numeric identities below 256 are the same in every cluster).
HOST, WORLD, HEALTH, REMOTE_NODE = 1, 2, 4, 6


@dataclass(frozen=True, slots=True)
class Node:
    """A Kubernetes node: `gateway` is its address on the pods' side (cbr0 with kubenet, cilium_host with Cilium)."""

    name: str
    address: str
    router: str
    pod_cidr: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, named by its role in the lab."""

    name: str
    address: str
    node: Node


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the Cilium agent of cilium-1 calls an endpoint; `address` is empty for the host's own."""

    number: int
    identity: int
    labels: tuple[str, ...]
    address: str


def _pod_labels(app: str, namespace: str, account: str, key: str = "app") -> tuple[str, ...]:
    """The labels that Cilium 1.12 derives for a pod, in the order in which it prints them."""
    return tuple(
        sorted(
            (
                f"k8s:{key}={app}",
                f"k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name={namespace}",
                "k8s:io.cilium.k8s.policy.cluster=default",
                f"k8s:io.cilium.k8s.policy.serviceaccount={account}",
                f"k8s:io.kubernetes.pod.namespace={namespace}",
            )
        )
    )


KUBENET_1: Final = Node("kubenet-1", "10.118.202.21", "10.118.202.1", "10.244.3.0/24", "10.244.3.1")
CILIUM_1: Final = Node("cilium-1", "10.118.201.53", "10.118.201.1", "10.242.2.0/24", "10.242.2.153")
# The lab builds no network for these two: they exist in the dumps of cilium-1 alone, as its agent would know them.
CILIUM_2: Final = Node("cilium-2", "10.118.201.54", "10.118.201.1", "10.242.3.0/24", "10.242.3.60")
CILIUM_3: Final = Node("cilium-3", "10.118.201.55", "10.118.201.1", "10.242.4.0/24", "10.242.4.118")
CILIUM_NODES: Final = (CILIUM_1, CILIUM_2, CILIUM_3)

KUBENET_CLIENT: Final = Pod("kubenet-client", "10.244.3.7", KUBENET_1)
KUBENET_SERVER: Final = Pod("kubenet-server", "10.244.3.9", KUBENET_1)
SHOP: Final = Pod("shop", "10.242.2.149", CILIUM_1)
SHOP_WEB: Final = Pod("shop-web", "10.242.2.31", CILIUM_1)
PODS: Final = (KUBENET_CLIENT, KUBENET_SERVER, SHOP, SHOP_WEB)

SHOP_ENDPOINT: Final = Endpoint(1437, 31042, _pod_labels("shop", "default", "default"), SHOP.address)
SHOP_WEB_ENDPOINT: Final = Endpoint(873, 22917, _pod_labels("shop-web", "default", "default"), SHOP_WEB.address)
HEALTH_ENDPOINT: Final = Endpoint(2210, HEALTH, ("reserved:health",), "10.242.2.77")
HOST_ENDPOINT: Final = Endpoint(3301, HOST, ("k8s:node.kubernetes.io/instance-type=worker", "reserved:host"), "")
ENDPOINTS: Final = (SHOP_WEB_ENDPOINT, SHOP_ENDPOINT, HEALTH_ENDPOINT, HOST_ENDPOINT)

DNS_IDENTITY: Final = 9461
DNS_LABELS: Final = _pod_labels("kube-dns", "kube-system", "coredns", key="k8s-app")
REMOTE_PODS: Final = (
    ("10.242.3.18", DNS_IDENTITY, CILIUM_2),
    ("10.242.3.211", HEALTH, CILIUM_2),
    ("10.242.4.201", DNS_IDENTITY, CILIUM_3),
    ("10.242.4.34", HEALTH, CILIUM_3),
)


def identity_of(address: str) -> int:
    """The identity that the agent of cilium-1 gives a source address: `WORLD` where its ipcache has no entry."""
    if address in (CILIUM_1.address, CILIUM_1.gateway):
        return HOST
    local = {endpoint.address: endpoint.identity for endpoint in ENDPOINTS if endpoint.address}
    remote = {pod: identity for pod, identity, _ in REMOTE_PODS}
    nodes = {a: REMOTE_NODE for node in CILIUM_NODES[1:] for a in (node.address, node.gateway)}
    return (nodes | remote | local).get(address, WORLD)
