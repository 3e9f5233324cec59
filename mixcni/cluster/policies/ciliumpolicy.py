"""CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy -> Policies, one for `spec` and each of `specs`.

After Cilium's documentation ("Layer 3 Policies", "Layer 4 Policies", "Host Policies") and the CRDs. What a policy says
that only a running agent can decide is kept as such: a rule with it neither allows nor fails to.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Final

from mixcni.cluster.addresses import parse_prefix
from mixcni.cluster.cilium.rules import PolicyRule
from mixcni.cluster.kubernetes.inventory import Inventory
from mixcni.cluster.kubernetes.objects import KubernetesObject, list_of, mapping_of, scalar_text, text_of
from mixcni.cluster.kubernetes.workloads import Service
from mixcni.cluster.kubernetes.yamltext import line_of
from mixcni.cluster.policies.icmp import icmp_type
from mixcni.cluster.policies.labels import NAMESPACE, NAMESPACE_LABELS, LabelSet, Requirement, Selector, selector_of
from mixcni.cluster.policies.networkpolicy import cidr_peer, selector_words
from mixcni.cluster.policies.rules import (
    EGRESS,
    INGRESS,
    CidrPeer,
    EndpointPeer,
    EntityPeer,
    NodePeer,
    OutsidePeer,
    Peer,
    Policy,
    PortMatch,
    Rule,
    UnknownPeer,
)

_ANY_NAMESPACE: Final = "any:" + NAMESPACE.partition(":")[2]
_ANY_NAMESPACE_LABELS: Final = "any:" + NAMESPACE_LABELS.partition(":")[2]
_LISTS: Final = (
    ("ingress", INGRESS, False), ("ingressDeny", INGRESS, True), ("egress", EGRESS, False), ("egressDeny", EGRESS, True),
)  # fmt: skip
_KNOWN: Final = frozenset(
    {"Endpoints", "Entities", "CIDR", "CIDRSet", "Nodes", "FQDNs", "Groups", "Services", "Requires", "Ports"}
)
_L7: Final = ("rules", "listener", "terminatingTLS", "originatingTLS", "serverNames")


def cilium_policies_of(item: KubernetesObject, inventory: Inventory) -> Iterator[Policy]:
    """The policies that an object states; `inventory` is asked for services and groups of CIDRs."""
    specs = [item.body.get("spec"), *list_of(item.body.get("specs"))]
    for spec in specs:
        if isinstance(spec, dict):
            yield _policy(item, spec, inventory)


def imported_policy_of(rule: PolicyRule, inventory: Inventory) -> Policy:
    """The policy that a rule states as the agent imported it: its selectors say all that they mean, nothing is added."""
    parts = {
        "endpointSelector": rule.endpoint_selector, "nodeSelector": rule.node_selector, "ingress": rule.ingress,
        "ingressDeny": rule.ingress_deny, "egress": rule.egress, "egressDeny": rule.egress_deny,
        "enableDefaultDeny": rule.enable_default_deny,
    }  # fmt: skip
    spec = {key: list(part) if isinstance(part, tuple) else part for key, part in parts.items() if part is not None}
    namespace, _, name = (rule.name or f"of line {rule.line}").rpartition("/")
    kind = rule.derived_from or "rule"
    item = KubernetesObject(kind, "", namespace, name, (), {}, rule.file, rule.line)
    return _policy(item, spec, inventory, is_imported=True)


def _policy(item: KubernetesObject, spec: Mapping[str, Any], inventory: Inventory, *, is_imported: bool = False) -> Policy:
    # A CiliumNetworkPolicy is of one namespace; a clusterwide one of none.
    is_clusterwide = item.kind == "CiliumClusterwideNetworkPolicy" or (is_imported and not item.namespace)
    namespace = "" if is_clusterwide else item.namespace or "default"
    on_nodes = spec.get("nodeSelector") is not None
    doubts = []
    subject = selector_of(spec.get("nodeSelector" if on_nodes else "endpointSelector"), sourced=True)
    if not on_nodes and spec.get("endpointSelector") is None:
        doubts.append("it has neither endpointSelector nor nodeSelector")
    if namespace and not is_imported:
        # Whatever namespace its selector names, a policy selects endpoints of its own alone.
        subject = Selector((*(each for each in subject.requirements if each.key not in (NAMESPACE, _ANY_NAMESPACE)),
                            Requirement(NAMESPACE, "In", (namespace,))))  # fmt: skip
    reader = _RuleReader(namespace, inventory, line_of(spec, item.line), is_imported=is_imported)
    rules = tuple(rule for name, direction, deny in _LISTS for rule in reader.rules(spec, name, direction, deny))
    return Policy(
        kind=item.kind,
        namespace=namespace,
        name=item.name,
        subject=subject,
        on_nodes=on_nodes,
        default_deny=_default_deny(spec),
        rules=rules,
        requires={direction: tuple(found) for direction, found in reader.requires.items()},
        file=item.file,
        line=line_of(spec, item.line),
        doubts=tuple(doubts),
    )


def _default_deny(spec: Mapping[str, Any]) -> frozenset[str]:
    """The directions with rules, unless enableDefaultDeny says otherwise (1.16 on)."""
    wanted = mapping_of(spec.get("enableDefaultDeny"))
    directions = set()
    for direction, lists in ((INGRESS, ("ingress", "ingressDeny")), (EGRESS, ("egress", "egressDeny"))):
        said = wanted.get(direction)
        if said if isinstance(said, bool) else any(list_of(spec.get(name)) for name in lists):
            directions.add(direction)
    return frozenset(directions)


class _RuleReader:
    """Reads the rules of one spec."""

    def __init__(self, namespace: str, inventory: Inventory, line: int, *, is_imported: bool) -> None:
        self.namespace = namespace
        self.is_imported = is_imported
        self.inventory = inventory
        self.line = line
        self.requires: dict[str, list[Selector]] = {INGRESS: [], EGRESS: []}

    def rules(self, spec: Mapping[str, Any], name: str, direction: str, deny: bool) -> Iterator[Rule]:
        """The rules of one of a spec's lists."""
        for index, entry in enumerate(list_of(spec.get(name))):
            body = mapping_of(entry)
            way = "from" if direction == INGRESS else "to"
            self.requires[direction].extend(
                selector_of(each, sourced=True) for each in list_of(body.get(f"{way}Requires"))
            )  # fmt: skip
            ports, proxied = _ports(body)
            if body.get("authentication"):
                proxied = "whether the peers authenticate each other"
            empty = not body or set(body) <= {f"{way}Requires"}
            peers = () if empty else self._peers(body, way)
            yield Rule(direction, deny, index, peers, ports, line_of(entry, self.line), proxied, name)

    def _peers(self, body: Mapping[str, Any], way: str) -> tuple[Peer, ...] | None:
        """Whom a rule names; None if it names nobody in particular."""
        found: list[Peer] = []
        given = {key.removeprefix(way): value for key, value in body.items() if key.startswith(way) and key != "toPorts"}
        if any(value == [] for value in given.values()):
            return ()  # an empty list selects nobody
        found.extend(UnknownPeer(f"{way}{key} is nothing that mixcni knows") for key in given if key not in _KNOWN)
        found.extend(self._endpoint(each) for each in list_of(given.get("Endpoints")))
        found.extend(EntityPeer(text_of(each)) for each in list_of(given.get("Entities")))
        found.extend(cidr_peer({"cidr": each}) for each in list_of(given.get("CIDR")))
        for each in list_of(given.get("CIDRSet")):
            found.extend(self._cidr_set(mapping_of(each)))
        nodes = (selector_of(each, sourced=True) for each in list_of(given.get("Nodes")))
        found.extend(NodePeer(selector, f"nodes {selector_words(selector)}") for selector in nodes)
        for each in map(mapping_of, list_of(given.get("FQDNs"))):
            name = scalar_text(each.get("matchName") or each.get("matchPattern"))
            found.append(OutsidePeer(f"the addresses of the DNS name {name}"))
        found.extend(OutsidePeer("the addresses of a group of a cloud provider") for _ in list_of(given.get("Groups")))
        for each in list_of(given.get("Services")):
            found.extend(self._service(mapping_of(each)))
        named = any(value is not None for key, value in given.items() if key != "Requires")
        return tuple(found) if found or named else None

    def _endpoint(self, value: Any) -> Peer:
        selector = selector_of(value, sourced=True)
        words = selector_words(selector)
        if self.is_imported or selector.has_key("reserved:"):
            return EndpointPeer(selector, f"endpoints {words}")
        if not selector.has_key(NAMESPACE, _ANY_NAMESPACE):
            if not self.namespace:
                # A wildcard in a clusterwide policy is every endpoint that Kubernetes knows, not everybody.
                return EndpointPeer(selector.plus(Requirement(NAMESPACE, "Exists")), f"endpoints {words} in all namespaces")
            if not selector.has_key(NAMESPACE_LABELS, _ANY_NAMESPACE_LABELS):
                own = Requirement(NAMESPACE, "In", (self.namespace,))
                return EndpointPeer(selector.plus(own), f"endpoints {words} in namespace {self.namespace}")
        return EndpointPeer(selector, f"endpoints {words}")

    def _cidr_set(self, each: Mapping[str, Any]) -> Iterator[Peer]:
        if "cidrGroupRef" in each or "cidrGroupSelector" in each:
            yield from self._cidr_groups(each)
        else:
            yield cidr_peer(each)

    def _cidr_groups(self, each: Mapping[str, Any]) -> Iterator[Peer]:
        groups = self.inventory.cidr_groups
        name = text_of(each.get("cidrGroupRef"))
        excepted = [parse_prefix(text_of(text)) for text in list_of(each.get("except"))]
        known = tuple(prefix for prefix in excepted if prefix is not None)
        if name and name not in groups:
            yield UnknownPeer(f"no dump has the CiliumCIDRGroup {name}")
            return
        selector = selector_of(each.get("cidrGroupSelector"))
        for own, (prefixes, labels) in groups.items():
            sourced = LabelSet({f"k8s:{key}": value for key, value in labels.items()})
            if own == name or (not name and selector.selects(sourced).holds is not False):
                yield from (CidrPeer(prefix, known, f"{prefix} of group {own}") for prefix in prefixes)
        if not name and not groups:
            yield UnknownPeer("no dump has CiliumCIDRGroups")

    def _service(self, each: Mapping[str, Any]) -> Iterator[Peer]:
        """toServices: the pods that a service selects, or where it selects none the addresses behind it."""
        by_name = mapping_of(each.get("k8sService"))
        by_labels = mapping_of(each.get("k8sServiceSelector"))
        body = by_name or by_labels
        namespace = text_of(body.get("namespace")) or self.namespace
        if by_name:
            name = text_of(by_name.get("serviceName"))
            chosen = [s for s in self.inventory.services if (s.namespace, s.name) == (namespace or "default", name)]
            what = f"service {namespace or 'default'}/{name}"
        else:
            selector = selector_of(by_labels.get("selector"))
            chosen = [s for s in self.inventory.services if _is_chosen(s, selector, namespace)]
            what = f"services {selector_words(selector, 'k8s:')}"
        if not chosen:
            yield UnknownPeer(f"no dump has the {what}")
        for service in chosen:
            yield from self._backends(service)

    def _backends(self, service: Service) -> Iterator[Peer]:
        what = f"service {service.namespace}/{service.name}"
        if service.selector:
            wanted = [Requirement(f"k8s:{key}", "In", (value,)) for key, value in service.selector.items()]
            own = Requirement(NAMESPACE, "In", (service.namespace,))
            yield EndpointPeer(Selector((*wanted, own)), f"the pods of {what}")
            return
        listed = [b for b in self.inventory.backends if (b.namespace, b.service) == (service.namespace, service.name)]
        for backend in listed:
            for address in backend.addresses:
                yield CidrPeer(ip_network(address), (), f"{address} of {what}")
        if not listed:
            yield UnknownPeer(f"no dump has the endpoints of {what}")


def _is_chosen(service: Service, selector: Selector, namespace: str) -> bool:
    labels = LabelSet({f"k8s:{key}": value for key, value in service.labels.items()})
    return (not namespace or service.namespace == namespace) and selector.selects(labels).holds is True


def _ports(body: Mapping[str, Any]) -> tuple[tuple[PortMatch, ...] | None, str]:
    """The ports of a rule, and what of it beyond them only a proxy can decide."""
    listed = [mapping_of(each) for each in list_of(body.get("toPorts"))]
    icmps = [mapping_of(each) for each in list_of(body.get("icmps"))]
    if not listed and not icmps:
        return None, ""
    found: list[PortMatch] = []
    proxied = ""
    for each in listed:
        ports = list_of(each.get("ports"))
        found.extend(_port(mapping_of(port)) for port in ports)
        if not ports:
            found.append(PortMatch(None))
        inspected = next((name for name in _L7 if each.get(name)), "")
        if inspected:
            proxied = f"which requests the proxy lets through by its {_what(each, inspected)}"
    for each in icmps:
        for field in map(mapping_of, list_of(each.get("fields"))):
            protocol, number = icmp_type(text_of(field.get("family")) or "IPv4", field.get("type", ""))
            found.append(PortMatch(protocol, number) if number is not None else PortMatch("", 0))
    return tuple(found), proxied


def _what(ports: Mapping[str, Any], name: str) -> str:
    return f"{', '.join(mapping_of(ports['rules'])).upper() or 'L7'} rules" if name == "rules" else name


def _port(port: Mapping[str, Any]) -> PortMatch:
    """A PortProtocol: any transport where it names no protocol, all ports where its port is 0."""
    word = text_of(port.get("protocol")).upper()
    protocol = None if word in ("", "ANY") else word
    text = scalar_text(port.get("port"))
    if text and not text.isdecimal():
        return PortMatch(protocol, name=text)
    first = int(text or 0)
    last = port.get("endPort")
    return PortMatch(protocol, first or None, last if first and isinstance(last, int) and last > first else None)
