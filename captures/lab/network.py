"""The incident's network: a kubenet node and a Cilium node, a router between them, and the network policy.

    kubenet-client  kubenet-server                          shop   shop-web
           |              |                                   |        |
           +---- cbr0 ----+                          lxc veths, a /32 route each
                  |                                           |
              kubenet-1 eth0 ----- underlay router ----- eth0 cilium-1

Cilium's eBPF programs are not here. What they do to a request is: a pod on `cilium-1` is reached by a route of its
own, and its ingress policy is an nftables table on the node's forward path, where a packet that the node's uplink
has already shown to tcpdump disappears without an answer.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster import CILIUM_1, KUBENET_1, PODS, SHOP, Node, Pod
from namespaces import Namespace, Namespaces, has_sysctl

UPLINK: Final = "eth0"
POD_INTERFACE: Final = "eth0"
OFFLOAD: Final = Path(__file__).with_name("offload.py")
POLICY_TABLE: Final = "network_policy"
DENIED: Final = "denied"

# What Cilium's default deny lets through to the selected pod: replies, and the identities that the policy names.
# Probes come from the node itself and are never forwarded, as Cilium always admits the identity `host`.
POLICY_RULES: Final = f"""
table ip {POLICY_TABLE} {{
    counter {DENIED} {{ }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        ip saddr {CILIUM_1.pod_cidr} ip daddr {SHOP.address} accept
        ip daddr {SHOP.address} counter name {DENIED} drop
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Network:
    """The built network: one namespace a node and one a pod."""

    nodes: dict[str, Namespace]
    pods: dict[str, Namespace]

    def at(self, pod: Pod) -> Namespace:
        """The namespace of a pod."""
        return self.pods[pod.name]

    def on(self, node: Node) -> Namespace:
        """The namespace of a node."""
        return self.nodes[node.name]

    def enforce_policy(self) -> None:
        """Put the shop's ingress policy in force on its node."""
        self.on(CILIUM_1).run("nft", "-f", "-", stdin=POLICY_RULES)

    def remove_policy(self) -> int:
        """Delete the policy; the number of packets that it has dropped."""
        node = self.on(CILIUM_1)
        listing = json.loads(node.run("nft", "-j", "list", "counter", "ip", POLICY_TABLE, DENIED))
        node.run("nft", "delete", "table", "ip", POLICY_TABLE)
        return sum(int(item["counter"]["packets"]) for item in listing["nftables"] if "counter" in item)


def build_network(lab: Namespaces) -> Network:
    """Make and wire all namespaces; no policy is in force yet."""
    underlay = lab.add("underlay")
    underlay.sysctl(net__ipv4__ip_forward=1)
    network = Network(nodes={}, pods={})
    for node in (KUBENET_1, CILIUM_1):
        network.nodes[node.name] = _add_node(lab, node, underlay)
    _add_bridge(network.on(KUBENET_1))
    _add_cilium_host(network.on(CILIUM_1))
    for pod in PODS:
        add_pod = _add_kubenet_pod if pod.node is KUBENET_1 else _add_cilium_pod
        network.pods[pod.name] = add_pod(lab, pod, network.on(pod.node))
    return network


def _add_node(lab: Namespaces, node: Node, underlay: Namespace) -> Namespace:
    namespace = lab.add(node.name)
    namespace.sysctl(net__ipv4__ip_forward=1)
    underlay.ip(f"link add {node.name} type veth peer name {UPLINK} netns {namespace.name}")
    underlay.ip(f"address add {node.router}/24 dev {node.name}")
    underlay.ip(f"link set {node.name} up")
    namespace.ip(f"address add {node.address}/24 dev {UPLINK}")
    namespace.ip(f"link set {UPLINK} up")
    namespace.ip(f"route add default via {node.router}")
    underlay.ip(f"route add {node.pod_cidr} via {node.address}")
    _turn_off_offload(namespace, UPLINK)
    return namespace


def _add_bridge(node: Namespace) -> None:
    prefix_length = KUBENET_1.pod_cidr.partition("/")[2]
    node.ip("link add cbr0 type bridge")
    node.ip(f"address add {KUBENET_1.gateway}/{prefix_length} dev cbr0")
    node.ip("link set cbr0 up")


def _add_cilium_host(node: Namespace) -> None:
    # Cilium itself makes this pair; cilium_host holds the address from which the kubelet's probes leave.
    node.ip("link add cilium_host type veth peer name cilium_net")
    node.ip(f"address add {CILIUM_1.gateway}/32 dev cilium_host")
    node.ip("link set cilium_net up")
    node.ip("link set cilium_host up")


def _add_kubenet_pod(lab: Namespaces, pod: Pod, node: Namespace) -> Namespace:
    prefix_length = pod.node.pod_cidr.partition("/")[2]
    host_side = f"veth-{pod.address.rpartition('.')[2]}"
    namespace = _add_pod(lab, pod, node, host_side)
    node.ip(f"link set {host_side} master cbr0 up")
    namespace.ip(f"address add {pod.address}/{prefix_length} dev {POD_INTERFACE}")
    namespace.ip(f"link set {POD_INTERFACE} up")
    namespace.ip(f"route add default via {pod.node.gateway}")
    return namespace


def _add_cilium_pod(lab: Namespaces, pod: Pod, node: Namespace) -> Namespace:
    gateway = pod.node.gateway
    host_side = f"lxc{pod.address.rpartition('.')[2]}"
    namespace = _add_pod(lab, pod, node, host_side)
    node.ip(f"link set {host_side} up")
    node.ip(f"route add {pod.address}/32 dev {host_side} src {gateway}")
    namespace.ip(f"address add {pod.address}/32 dev {POD_INTERFACE}")
    namespace.ip(f"link set {POD_INTERFACE} up")
    namespace.ip(f"route add {gateway} dev {POD_INTERFACE} scope link")
    namespace.ip(f"route add default via {gateway}")
    return namespace


def _add_pod(lab: Namespaces, pod: Pod, node: Namespace, host_side: str) -> Namespace:
    """A pod's namespace and its veth pair, not yet up and without addresses."""
    namespace = lab.add(pod.name)
    node.ip(f"link add {host_side} type veth peer name {POD_INTERFACE} netns {namespace.name}")
    _turn_off_offload(namespace, POD_INTERFACE)
    _turn_off_offload(node, host_side)
    if has_sysctl("net.ipv4.tcp_syn_linear_timeouts"):
        # Linux 6.5 and later repeat the first SYNs every second; the incident's kernels doubled from the first on.
        namespace.sysctl(net__ipv4__tcp_syn_linear_timeouts=0)
    return namespace


def _turn_off_offload(namespace: Namespace, interface: str) -> None:
    """Let packets look as on a wire: one segment each, else 20 kB are a single frame, and with true checksums."""
    namespace.ip(f"link set {interface} gso_max_segs 1")
    namespace.run(sys.executable, str(OFFLOAD), interface)
