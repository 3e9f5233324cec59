"""What Cilium takes an address for, by all dumps together.

The datapath's own word comes first: the endpoint list, then ipcache. Kubernetes' word counts for what the datapath's dumps
do not say, and only for pods on nodes that Cilium manages: a pod on another node has no ipcache entry, so it is world
whatever its labels are (formats of the dumps, "Who gets which identity").
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mixcni.cluster.addresses import Address, Prefix, as_address
from mixcni.cluster.cilium.identities import MIN_LOCAL, RESERVED_NAMES, is_world
from mixcni.cluster.kubernetes.workloads import Node, Pod
from mixcni.cluster.policies.labels import NAMESPACE, LabelSet, labels_of_pod, labels_of_texts
from mixcni.cluster.policies.party import Guise, Party

if TYPE_CHECKING:
    from mixcni.cluster.state import ClusterState

_HOST: Final = "reserved:host"
_REMOTE: Final = "reserved:remote-node"


def state_at(cluster: "ClusterState", address: Address) -> "ClusterState":
    """The state as the node has it that an address is an endpoint of; all of it, unless several nodes were dumped."""
    node = _node_with(cluster, address)
    return cluster if node is None else cluster.on_node(node)


def _node_with(cluster: "ClusterState", address: Address) -> str | None:
    """The node whose endpoint an address is, of several that were dumped; None: there is no choice, or nothing tells."""
    endpoint = cluster.endpoint_of(address)
    node = cluster.node_of(endpoint) if endpoint is not None and len(cluster.dumped_nodes) > 1 else None
    return node if node in cluster.dumped_nodes else None


class Directory:
    """Looks addresses up.

    Parameters
    ----------
    unmanaged : pod networks of nodes that Cilium does not manage, by node, as the case names them
    whole : the state with all nodes' dumps, where `cluster` is one node's
    """

    def __init__(
        self, cluster: "ClusterState", unmanaged: Mapping[str, Prefix] | None = None, whole: "ClusterState | None" = None
    ) -> None:
        self.cluster = cluster
        self.whole = whole or cluster
        self._of_node: dict[str, Directory] = {}
        self.inventory = cluster.kubernetes
        self.unmanaged = dict(unmanaged or {})
        self._known: dict[Address, Party] = {}

    def party(self, address: str | Address) -> Party:
        """The end of a flow that an address is."""
        wanted = as_address(address)
        if wanted not in self._known:
            self._known[wanted] = self._find(wanted)
        return self._known[wanted]

    def at(self, address: Address | None) -> "Directory":
        """The directory of the node that an address is an endpoint of: identities are as each node's own dumps have them."""
        node = None if address is None else _node_with(self.whole, address)
        if node is None:
            return self
        if node not in self._of_node:
            self._of_node[node] = Directory(self.whole.on_node(node), self.unmanaged, self.whole)
        return self._of_node[node]

    def on_its_node(self, party: Party) -> Party:
        """The same end as its own node has it: a pod with labels, be it world to a node that has not heard of it."""
        pod = None if party.address is None else self.inventory.pod_of(party.address)
        if party.address is None or pod is None or not self._runs_cilium(pod.node, None):
            return party
        return self._managed(party.address, self._of_pod(party.address, pod), pod) if party.is_managed is False else party

    def seen_from(self, other: Party, subject: Party) -> Party:
        """The same end as the other end's node sees it: its own node is host to it, any other node is a remote one."""
        if not any(guise.is_node for guise in other.guises):
            return other
        local = None if not subject.node or not other.node else subject.node == other.node
        if local is None and other.is_datapaths:
            return other
        guises: list[Guise] = []
        for guise in other.guises:
            if not guise.is_node or guise.labels is None:
                guises.append(guise)
                continue
            rest = {key: value for key, value in guise.labels.values.items() if key not in (_HOST, _REMOTE)}
            marks = [_HOST] if local else [_REMOTE] if local is False else [_HOST, _REMOTE]
            guises.extend(
                replace(guise, labels=LabelSet({mark: "", **rest}), says=f"{guise.says} ({mark.partition(':')[2]})")
                for mark in marks
            )  # fmt: skip
        return replace(other, guises=tuple(guises))

    def of_identity(self, identity: int, address: Address | None = None) -> Guise | None:
        """What an identity stands for; None if no dump has its labels."""
        texts = self.cluster.labels_of(identity) or self.inventory.identities.get(identity)
        if texts is None and identity < MIN_LOCAL:
            texts = self.whole.labels_of(identity)
        if texts is None:
            return self._world(address, f"world ({identity})") if is_world(identity) else None
        labels = labels_of_texts(texts)
        named = f"identity {identity}"
        if identity in RESERVED_NAMES:
            named = RESERVED_NAMES[identity]
        elif NAMESPACE in labels.values:
            named = f"a pod of identity {identity} in namespace {labels.values[NAMESPACE]}"
        return Guise(address, labels, named)

    def _find(self, address: Address) -> Party:
        """The party of an address, by the surest dump that tells."""
        pod = self.inventory.pod_of(address)
        endpoint = self.cluster.endpoint_of(address)
        if endpoint is not None and endpoint.labels:
            says = f"endpoint {endpoint.id}" if pod is None else f"the pod {pod.reference}"
            guise = Guise(address, labels_of_texts(endpoint.labels), says, endpoint.file, endpoint.line)
            return self._managed(address, guise, pod)
        answer = self.cluster.identity_of(address)
        if answer.identity is not None and answer.how != "endpoint list":
            return self._by_identity(address, answer.identity, answer.file, answer.line, pod)
        listed = self.inventory.cilium_pods.get(address)
        if listed is not None and listed.labels:
            name = f"the pod {listed.namespace}/{listed.name}"
            return self._managed(address, Guise(address, labels_of_texts(listed.labels), name, listed.file, listed.line), pod)
        return self._by_kubernetes(address, pod)

    def _by_identity(self, address: Address, identity: int, file: str | None, line: int | None, pod: Pod | None) -> Party:
        """By the identity that ipcache or conntrack gives the address."""
        guise = self.of_identity(identity, address)
        if identity >= MIN_LOCAL and is_world(identity):
            guise = self._world(address, f"world (as identity {identity} for a CIDR rule)")
        if guise is None and pod is not None:
            guise = self._of_pod(address, pod)
        if guise is None:
            guise = Guise(address, None, f"identity {identity}, whose labels no dump has")
        name = f"{address}, {guise.says}"
        guise = replace(guise, says=f"the pod {pod.reference}" if pod is not None and not guise.is_world else name,
                        file=file, line=line)  # fmt: skip
        if guise.is_world:
            return self._outside(address, guise, pod)
        if guise.is_node:
            return replace(self._node(address, guise), is_datapaths=True)
        return self._managed(address, guise, pod)

    def _by_kubernetes(self, address: Address, pod: Pod | None) -> Party:
        """By the API server's objects, where the datapath's dumps say nothing."""
        given = next((name for name, cidr in self.unmanaged.items() if address in cidr), None)
        if given is not None:
            says = f"world: in the pod network of {given}, not Cilium's"
            return self._outside(address, self._world(address, says), pod, given)
        node = self.inventory.node_of(address)
        if node is not None:
            return self._by_node(address, node)
        runs = self.cluster.is_cilium_node(address)
        if runs:
            return self._node(address, Guise(address, LabelSet({_REMOTE: ""}), f"the node {address}"))
        if pod is not None:
            return self._by_pod(address, pod)
        service = self.inventory.service_of(address)
        if service is not None:
            says = f"the service {service.namespace}/{service.name}, which stands for one of its backends"
            return Party(address, (Guise(address, None, says, service.file, service.line),), None)
        within = self.inventory.node_with_pod(address)
        if within is not None:
            return self._by_pod_cidr(address, within)
        if self._is_outside(address):
            says = f"world: {address} is no node, and in no pod network of Cilium's"
            return self._outside(address, self._world(address, says), None)
        doubt = Guise(address, None, f"{address}, of which no dump tells anything")
        return Party(address, (doubt,), None)

    def _is_outside(self, address: Address) -> bool:
        """Whether an address can be no pod's that Cilium manages: public, or in no pod network where these are known."""
        listed = (each.pod_cidrs for nodes in (self.inventory.cilium_nodes.values(), self.cluster.nodes) for each in nodes)
        networks = [cidr for cidrs in listed for cidr in cidrs if cidr.version == address.version]
        return address.is_global or (bool(networks) and not any(address in cidr for cidr in networks))

    def _by_node(self, address: Address, name: str) -> Party:
        listed: Node = self.inventory.cilium_nodes.get(name) or self.inventory.nodes[name]
        labels = self.inventory.nodes[name].labels if name in self.inventory.nodes else None
        marks = {_REMOTE: ""}
        if self.inventory.is_api_server(address):
            marks["reserved:kube-apiserver"] = ""
        node = Guise(address, LabelSet(marks), f"the node {name}", listed.file, listed.line, labels)
        outside = self._world(address, f"world: the node {name}, on which Cilium does not run")
        if self.inventory.is_api_server(address) and outside.labels is not None:
            outside = replace(outside, labels=LabelSet({**outside.labels.values, "reserved:kube-apiserver": ""}))
        outside = replace(outside, file=listed.file, line=listed.line)
        managed = self._runs_cilium(name, address)
        guises = (node,) if managed else (outside,) if managed is False else (node, outside)
        return Party(address, guises, managed, node=name)

    def _by_pod(self, address: Address, pod: Pod) -> Party:
        managed = self._runs_cilium(pod.node, None)
        if managed:
            return self._managed(address, self._of_pod(address, pod), pod)
        where = f"the pod {pod.reference} on {pod.node}, a node on which Cilium does not run"
        outside = replace(self._world(address, f"world: {where}"), file=pod.file, line=pod.line)
        if managed is False:
            return self._outside(address, outside, pod)
        inside = self._of_pod(address, pod)
        guises = (inside, replace(outside, says="world, should Cilium not run on its node"))
        return Party(address, guises, None, pod.ports, pod.node)

    def _by_pod_cidr(self, address: Address, node: Node) -> Party:
        managed = self._runs_cilium(node.name, None)
        outside = self._world(address, f"world: in the pod network of {node.name}, on which Cilium does not run")
        if managed is False:
            return self._outside(address, replace(outside, file=node.file, line=node.line), None, node.name)
        says = f"{address}, in the pod network of {node.name}, and no pod in any dump"
        guise = Guise(address, None, says, node.file, node.line)
        return Party(address, (guise,) if managed else (guise, outside), managed, node=node.name)

    def _runs_cilium(self, node: str, address: Address | None) -> bool | None:
        """Whether Cilium manages a node, by CiliumNodes, the case, or a list of the agent's."""
        if node in self.unmanaged:
            return False
        known = self.inventory.is_managed(node)
        if known is not None:
            return known
        listed = self.inventory.nodes.get(node)
        own = (address,) if address is not None else listed.addresses if listed is not None else ()
        for each in own:
            answer = self.cluster.is_cilium_node(each)
            if answer is not None:
                return answer
        return None

    def _of_pod(self, address: Address, pod: Pod) -> Guise:
        labels = labels_of_pod(pod.namespace, pod.labels, pod.service_account, self.inventory.namespaces.get(pod.namespace))
        return Guise(address, labels, f"the pod {pod.reference}", pod.file, pod.line)

    def _managed(self, address: Address, guise: Guise, pod: Pod | None) -> Party:
        listed = self.inventory.cilium_pods.get(address)
        ports = pod.ports if pod is not None else listed.ports if listed is not None and listed.ports else None
        return Party(address, (guise,), True, ports, pod.node if pod is not None else "")

    def _outside(self, address: Address, guise: Guise, pod: Pod | None, node: str = "") -> Party:
        return Party(address, (guise,), False, node=pod.node if pod is not None else node)

    def _node(self, address: Address, guise: Guise) -> Party:
        name = self.inventory.node_of(address) or ""
        labels = self.inventory.nodes[name].labels if name in self.inventory.nodes else None
        return Party(address, (replace(guise, node_labels=labels),), True, node=name)

    def _world(self, address: Address | None, says: str) -> Guise:
        return Guise(address, LabelSet({"reserved:world": ""}), says)
