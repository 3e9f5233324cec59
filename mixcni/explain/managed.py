"""Whether Cilium manages the node behind an address, with the line that says so."""

from dataclasses import dataclass

from mixcni.cluster.cilium.health import HealthNode
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.explain.findings import Evidence
from mixcni.explain.suspects import Facts
from mixcni.topology import Address, in_networks


@dataclass(frozen=True, slots=True)
class ManagedAnswer:
    """Whether Cilium manages an address's node; None: the lists of nodes do not tell."""

    is_managed: bool | None
    evidence: Evidence


def managed_evidence(facts: Facts, address: Address) -> ManagedAnswer | None:
    """What lists of nodes say of an address; None if there is no such list at all."""
    return _by_kubernetes(facts, address) or _by_cilium(facts, address)


def _by_kubernetes(facts: Facts, address: Address) -> ManagedAnswer | None:
    """By CiliumNodes, and Nodes or Pods that tell the address's node."""
    inventory = facts.cluster.kubernetes
    if not inventory.cilium_nodes:
        return None
    pod = inventory.pod_of(address)
    within = inventory.node_with_pod(address)
    name = pod.node if pod is not None else inventory.node_of(address) or (within.name if within is not None else "")
    if not name:
        return None
    count = len(inventory.cilium_nodes)
    what = f"the pod {pod.reference} runs on {name}" if pod is not None else f"{address} is of node {name}"
    if name in inventory.cilium_nodes:
        node = inventory.cilium_nodes[name]
        return ManagedAnswer(True, Evidence(f"{what}, which runs Cilium", node.file, node.line))
    cited = pod or inventory.nodes.get(name) or within
    assert cited is not None
    return ManagedAnswer(False, Evidence(f"{what}, which is not among the {count} nodes that run Cilium", cited.file, cited.line))


def _by_cilium(facts: Facts, address: Address) -> ManagedAnswer | None:
    """By the agent's own lists, which hold every node that runs Cilium and no other, and the case's word on pod networks."""
    cluster = facts.cluster
    listed: list[HealthNode | CiliumNode] = [*cluster.health, *cluster.nodes]
    node = next((name for name, cidr in facts.pod_cidrs.items() if in_networks(address, [cidr])), None)
    if not listed:
        return None
    first = listed[0]
    names = {entry.name.rpartition("/")[2] for entry in listed}
    if node is not None and node in names:
        return ManagedAnswer(True, Evidence(f"node {node} of {address} runs Cilium", first.file, first.line))
    if node is not None:
        which = f"{node}, the node of {address} ({facts.pod_cidrs[node]})"
        says = f"{which}, is not among the {len(names)} nodes that Cilium knows"
        return ManagedAnswer(False, Evidence(says, first.file, first.line))
    own_node = next((entry for entry in cluster.nodes if in_networks(address, list(entry.pod_cidrs))), None)
    if own_node is not None:
        says = f"{address} is in the pod CIDR of {own_node.name}, which runs Cilium"
        return ManagedAnswer(True, Evidence(says, own_node.file, own_node.line))
    cidrs = [cidr for entry in cluster.nodes for cidr in entry.pod_cidrs]
    own = cluster.nodes[0] if cluster.nodes else None
    if own is not None and cidrs:
        says = f"{address} is in no pod CIDR of the {len(cluster.nodes)} nodes that Cilium knows"
        return ManagedAnswer(False, Evidence(says, own.file, own.line))
    return ManagedAnswer(None, Evidence("", first.file, first.line))
