"""Whose address an address is, by the objects of the API server, and which nodes Cilium manages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mixcni.cluster.addresses import Address, Prefix, parse_prefix
from mixcni.cluster.kubernetes.objects import ADMIN_KINDS, POLICY_KINDS, KubernetesObject, list_of, mapping_of
from mixcni.cluster.kubernetes.workloads import (
    Backends,
    CiliumPod,
    Node,
    Pod,
    Service,
    backends_of,
    cilium_node_of,
    cilium_pod_of,
    identity_labels_of,
    node_of,
    pod_of,
    service_of,
)

GONE = frozenset({"Succeeded", "Failed"})  # phases of pods whose addresses are no longer theirs


@dataclass(frozen=True)
class Inventory:
    """The objects of all `kubectl get` dumps; of two versions of one object the later one counts."""

    objects: Sequence[KubernetesObject] = ()

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """All pods, those that ended among them."""
        return tuple(self._all(pod_of, "Pod"))

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """Nodes by name."""
        return {node.name: node for node in self._all(node_of, "Node")}

    @cached_property
    def cilium_nodes(self) -> Mapping[str, Node]:
        """The nodes that have a CiliumNode, by name: all that run Cilium, and no other."""
        return {node.name: node for node in self._all(cilium_node_of, "CiliumNode")}

    @cached_property
    def cilium_pods(self) -> Mapping[Address, CiliumPod]:
        """CiliumEndpoints by address."""
        return {address: pod for pod in self._all(cilium_pod_of, "CiliumEndpoint") for address in pod.addresses}

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """All services."""
        return tuple(self._all(service_of, "Service"))

    @cached_property
    def backends(self) -> tuple[Backends, ...]:
        """All lists of addresses behind services."""
        return tuple(self._all(backends_of, "Endpoints", "EndpointSlice"))

    @cached_property
    def policies(self) -> tuple[KubernetesObject, ...]:
        """All policies, as objects."""
        return tuple(self._all(lambda item: item, *POLICY_KINDS))

    @cached_property
    def admin_policies(self) -> tuple[KubernetesObject, ...]:
        """The policies of administrators, as objects."""
        return tuple(self._all(lambda item: item, *ADMIN_KINDS))

    @cached_property
    def namespaces(self) -> Mapping[str, Mapping[str, str]]:
        """Labels of namespaces by name."""
        return {item.name: dict(item.labels) for item in self._all(lambda item: item, "Namespace")}

    @cached_property
    def identities(self) -> Mapping[int, tuple[str, ...]]:
        """Labels of identities (source:key=value) by number, by CiliumIdentities and CiliumEndpoints."""
        known = {pod.identity: pod.labels for pod in self.cilium_pods.values() if pod.identity is not None and pod.labels}
        listed = self._all(identity_labels_of, "CiliumIdentity")
        return known | {number: labels for number, labels in listed if number is not None}

    @cached_property
    def cidr_groups(self) -> Mapping[str, tuple[tuple[Prefix, ...], Mapping[str, str]]]:
        """Prefixes and labels of CiliumCIDRGroups by name."""
        groups = {}
        for item in self._all(lambda item: item, "CiliumCIDRGroup"):
            texts = list_of(mapping_of(item.body.get("spec")).get("externalCIDRs"))
            prefixes = (parse_prefix(text) for text in texts if isinstance(text, str))
            groups[item.name] = (tuple(prefix for prefix in prefixes if prefix is not None), dict(item.labels))
        return groups

    @cached_property
    def _pod_of(self) -> Mapping[Address, Pod]:
        return {
            address: pod
            for pod in self.pods
            if not pod.is_host_network and pod.phase not in GONE
            for address in pod.addresses
        }  # fmt: skip

    @cached_property
    def _service_of(self) -> Mapping[Address, Service]:
        return {address: service for service in self.services for address in service.addresses}

    @cached_property
    def _node_of(self) -> Mapping[Address, str]:
        listed = [*self.nodes.values(), *self.cilium_nodes.values()]
        return {address: node.name for node in listed for address in node.addresses}

    def pod_of(self, address: Address) -> Pod | None:
        """The pod with that address of its own; None for those in their host's network."""
        return self._pod_of.get(address)

    def node_of(self, address: Address) -> str | None:
        """The name of the node with that address."""
        return self._node_of.get(address)

    def service_of(self, address: Address) -> Service | None:
        """The service that is reached under an address."""
        return self._service_of.get(address)

    def is_managed(self, node: str) -> bool | None:
        """Whether Cilium runs on a node; None without a list of CiliumNodes."""
        if not self.cilium_nodes:
            return None
        return node in self.cilium_nodes

    def unmanaged_nodes(self) -> tuple[Node, ...]:
        """The nodes that Kubernetes lists and Cilium does not; none where either list is missing."""
        return tuple(node for node in self.nodes.values() if self.is_managed(node.name) is False)

    def node_with_pod(self, address: Address) -> Node | None:
        """The node whose pod CIDR holds an address."""
        listed = [*self.cilium_nodes.values(), *self.nodes.values()]
        return next((node for node in listed if any(address in cidr for cidr in node.pod_cidrs)), None)

    def is_api_server(self, address: Address) -> bool:
        """Whether an address is behind the service default/kubernetes."""
        return address in self._api_servers

    @cached_property
    def _api_servers(self) -> frozenset[Address]:
        own = (each for each in self.backends if (each.namespace, each.service) == ("default", "kubernetes"))
        return frozenset(address for each in own for address in each.addresses)

    def _all(self, make: Callable[[KubernetesObject], Any], *kinds: str) -> list[Any]:
        latest = {(item.kind, item.namespace, item.name): item for item in self.objects if item.kind in kinds}
        return [make(item) for item in latest.values()]
