"""Whose an address is: pod, node, service or backend, by every dump that names it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from mixcni.cluster.addresses import Address, Prefix, parse_address
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.health import HealthNode
from mixcni.cluster.cilium.iplist import IpListEntry
from mixcni.cluster.cilium.localendpoints import BpfEndpoint
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.cluster.cilium.services import Service
from mixcni.cluster.cilium.status import StatusItem, allocations

Role = Literal["pod", "node", "health", "service", "backend", "local address", "pod address of node"]


class Owner(NamedTuple):
    """One thing that an address is, and where that stands."""

    role: Role
    name: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.role} {self.name}"


class OwnerIndex:
    """Every owner that the dumps name, by address."""

    def __init__(self, tables: Mapping[type, Iterable[Any]]) -> None:
        self._owners: dict[Address, list[Owner]] = defaultdict(list)
        self._prefixes: list[tuple[Prefix, Owner]] = []
        for address, owner in _all(tables):
            if owner not in self._owners[address]:
                self._owners[address].append(owner)
        for node in tables.get(CiliumNode, ()):
            for prefix in node.pod_cidrs:
                self._prefixes.append((prefix, Owner("pod address of node", node.name, node.file, node.line)))

    def of(self, address: Address) -> tuple[Owner, ...]:
        """What the address is; that it is one of a node's pod addresses comes last."""
        within = (owner for prefix, owner in self._prefixes if address in prefix)
        return (*self._owners.get(address, ()), *within)


def _all(tables: Mapping[type, Iterable[Any]]) -> Iterator[tuple[Address, Owner]]:
    for endpoint in tables.get(Endpoint, ()):
        for address in endpoint.addresses:
            yield address, Owner("pod", _endpoint_name(endpoint), endpoint.file, endpoint.line)
    for entry in tables.get(IpListEntry, ()):
        if entry.pod and entry.prefix.prefixlen == entry.prefix.max_prefixlen:
            name = f"{entry.namespace}/{entry.pod}" if entry.namespace else entry.pod
            yield entry.prefix.network_address, Owner("pod", name, entry.file, entry.line)
    for item in tables.get(StatusItem, ()):
        for text, name in allocations([item]).items():
            if (address := parse_address(text)) is not None:
                yield address, Owner("pod" if "/" in name else "local address", name, item.file, item.line)
    for node in tables.get(CiliumNode, ()):
        for address in node.addresses:
            yield address, Owner("node", node.name, node.file, node.line)
    for probed in tables.get(HealthNode, ()):
        for address in probed.addresses:
            yield address, Owner("node", probed.name, probed.file, probed.line)
        if probed.endpoint_address is not None:
            yield probed.endpoint_address, Owner("health", probed.name, probed.file, probed.line)
    for local in tables.get(BpfEndpoint, ()):
        if local.address is not None:
            role: Role = "local address" if local.localhost else "pod"
            name = "of the node itself" if local.localhost else f"endpoint {local.id}"
            yield local.address, Owner(role, name, local.file, local.line)
    for service in tables.get(Service, ()):
        name = service.name or f"{service.frontend}:{service.frontend_port}"
        if service.frontend is not None:
            yield service.frontend, Owner("service", name, service.file, service.line)
        for backend in service.backends:
            if backend.address is not None:
                yield backend.address, Owner("backend", f"of service {name}", service.file, backend.line)


def _endpoint_name(endpoint: Endpoint) -> str:
    if endpoint.pod:
        return f"{endpoint.pod} (endpoint {endpoint.id})"
    namespace = next((label.partition("=")[2] for label in endpoint.labels if "io.kubernetes.pod.namespace=" in label), None)
    return f"endpoint {endpoint.id}" + (f" in namespace {namespace}" if namespace else "")
