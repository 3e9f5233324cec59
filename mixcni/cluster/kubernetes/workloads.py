"""Typed views of the objects that a diagnosis asks about: pods, nodes, services and what Cilium says of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixcni.cluster.addresses import Address, Prefix, parse_address, parse_prefix
from mixcni.cluster.kubernetes.objects import KubernetesObject, list_of, mapping_of, scalar_text, text_of

NamedPorts = Mapping[tuple[str, str], int]
"""Container ports by (name, protocol in capitals)."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: where it runs, and under which addresses."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    node: str
    """"" before it is scheduled."""
    addresses: tuple[Address, ...]
    """Of a pod in its host's network they are the node's."""
    is_host_network: bool
    service_account: str
    ports: NamedPorts
    phase: str
    file: str
    line: int

    @property
    def reference(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node, as Kubernetes (a Node) or Cilium (a CiliumNode) lists it."""

    name: str
    labels: Mapping[str, str]
    addresses: tuple[Address, ...]
    pod_cidrs: tuple[Prefix, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class CiliumPod:
    """A CiliumEndpoint: what Cilium knows of one pod that it manages."""

    namespace: str
    name: str
    identity: int | None
    labels: tuple[str, ...]
    """Of its identity, as source:key=value."""
    addresses: tuple[Address, ...]
    node_address: Address | None
    ports: NamedPorts
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service: how it selects pods, and where it is reached."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    selector: Mapping[str, str]
    """Empty where its backends are listed by hand."""
    addresses: tuple[Address, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Backends:
    """Endpoints or an EndpointSlice: addresses behind a service."""

    namespace: str
    service: str
    addresses: tuple[Address, ...]
    file: str
    line: int


def pod_of(item: KubernetesObject) -> Pod:
    """The pod that an object describes."""
    spec, status = mapping_of(item.body.get("spec")), mapping_of(item.body.get("status"))
    found = [status.get("podIP"), *(mapping_of(each).get("ip") for each in list_of(status.get("podIPs")))]
    account = text_of(spec.get("serviceAccountName")) or text_of(spec.get("serviceAccount")) or "default"
    return Pod(
        item.namespace or "default", item.name, dict(item.labels), text_of(spec.get("nodeName")), _addresses(found),
        spec.get("hostNetwork") is True, account, _container_ports(spec), text_of(status.get("phase")), item.file, item.line,
    )  # fmt: skip


def node_of(item: KubernetesObject) -> Node:
    """The node that a Node describes."""
    spec, status = mapping_of(item.body.get("spec")), mapping_of(item.body.get("status"))
    addresses = _addresses(
        each.get("address")
        for each in map(mapping_of, list_of(status.get("addresses")))
        if each.get("type") in ("InternalIP", "ExternalIP")
    )
    cidrs = _prefixes([spec.get("podCIDR"), *list_of(spec.get("podCIDRs"))])
    return Node(item.name, dict(item.labels), addresses, cidrs, item.file, item.line)


def cilium_node_of(item: KubernetesObject) -> Node:
    """The node that a CiliumNode describes."""
    spec = mapping_of(item.body.get("spec"))
    listed = [mapping_of(each) for each in list_of(spec.get("addresses"))]
    addresses = _addresses(each.get("ip") for each in listed if each.get("type") in ("InternalIP", "ExternalIP"))
    ipam = mapping_of(spec.get("ipam"))
    pools = [mapping_of(each) for each in list_of(mapping_of(ipam.get("pools")).get("allocated"))]
    cidrs = [*list_of(ipam.get("podCIDRs")), *(cidr for pool in pools for cidr in list_of(pool.get("cidrs")))]
    return Node(item.name, dict(item.labels), addresses, _prefixes(cidrs), item.file, item.line)


def cilium_pod_of(item: KubernetesObject) -> CiliumPod:
    """The pod that a CiliumEndpoint describes."""
    status = mapping_of(item.body.get("status"))
    identity, networking = mapping_of(status.get("identity")), mapping_of(status.get("networking"))
    pairs = [mapping_of(each) for each in list_of(networking.get("addressing"))]
    node = networking.get("node")
    number = identity.get("id")
    ports = {
        (text_of(each.get("name")), text_of(each.get("protocol")).upper() or "TCP"): each["port"]
        for each in map(mapping_of, list_of(status.get("named-ports")))
        if isinstance(each.get("port"), int)
    }
    return CiliumPod(
        item.namespace, item.name, number if isinstance(number, int) else None,
        tuple(text_of(label) for label in list_of(identity.get("labels"))),
        _addresses(each.get(family) for each in pairs for family in ("ipv4", "ipv6")),
        parse_address(node) if isinstance(node, str) else None, ports, item.file, item.line,
    )  # fmt: skip


def service_of(item: KubernetesObject) -> Service:
    """The service that an object describes."""
    spec = mapping_of(item.body.get("spec"))
    selector = {key: scalar_text(value) for key, value in mapping_of(spec.get("selector")).items()}
    listed = [spec.get("clusterIP"), *list_of(spec.get("clusterIPs")), *list_of(spec.get("externalIPs"))]
    return Service(item.namespace or "default", item.name, dict(item.labels), selector, _addresses(listed), item.file, item.line)


def backends_of(item: KubernetesObject) -> Backends:
    """The addresses that Endpoints or an EndpointSlice list; of a slice all of them, ready or not."""
    if item.kind == "Endpoints":
        subsets = [mapping_of(each) for each in list_of(item.body.get("subsets"))]
        found = [
            mapping_of(each).get("ip")
            for subset in subsets
            for part in ("addresses", "notReadyAddresses")
            for each in list_of(subset.get(part))
        ]
        service = item.name
    else:
        slices = [mapping_of(each) for each in list_of(item.body.get("endpoints"))]
        found = [address for each in slices for address in list_of(each.get("addresses"))]
        service = dict(item.labels).get("kubernetes.io/service-name", "")
    return Backends(item.namespace or "default", service, _addresses(found), item.file, item.line)


def identity_labels_of(item: KubernetesObject) -> tuple[int | None, tuple[str, ...]]:
    """Number and labels (source:key=value) of a CiliumIdentity."""
    labels = mapping_of(item.body.get("security-labels"))
    texts = tuple(f"{key}={scalar_text(value)}" if value not in ("", None) else key for key, value in labels.items())
    return (int(item.name) if item.name.isascii() and item.name.isdigit() else None), texts


def _container_ports(spec: Mapping[str, Any]) -> NamedPorts:
    ports = {}
    for part in ("containers", "initContainers"):
        for container in map(mapping_of, list_of(spec.get(part))):
            for each in map(mapping_of, list_of(container.get("ports"))):
                name, number = text_of(each.get("name")), each.get("containerPort")
                if name and isinstance(number, int):
                    ports[name, text_of(each.get("protocol")).upper() or "TCP"] = number
    return ports


def _addresses(found: Any) -> tuple[Address, ...]:
    """The addresses among texts, each once, in order."""
    return tuple(dict.fromkeys(_parsed(found)))


def _parsed(found: Any) -> Iterator[Address]:
    for text in found:
        address = parse_address(text) if isinstance(text, str) else None
        if address is not None:
            yield address


def _prefixes(found: Any) -> tuple[Prefix, ...]:
    parsed = (parse_prefix(text) for text in found if isinstance(text, str))
    return tuple(dict.fromkeys(prefix for prefix in parsed if prefix is not None))
