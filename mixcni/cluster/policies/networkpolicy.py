"""Kubernetes NetworkPolicy -> Policy, with the semantics that its specification gives it and Cilium's departures.

Specification: Kubernetes, "Network Policies", and the API reference of NetworkPolicySpec. Cilium's departures: selectors
find endpoints that it manages, and no others; an ipBlock matches none of those, nor nodes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mixcni.cluster.addresses import parse_prefix
from mixcni.cluster.kubernetes.objects import KubernetesObject, list_of, mapping_of, text_of
from mixcni.cluster.kubernetes.yamltext import line_of
from mixcni.cluster.policies.labels import NAMESPACE, NAMESPACE_LABELS, Requirement, Selector, selector_of
from mixcni.cluster.policies.rules import EGRESS, INGRESS, CidrPeer, EndpointPeer, Peer, Policy, PortMatch, Rule, UnknownPeer

_PEERS: Final = {INGRESS: "from", EGRESS: "to"}


def network_policy_of(item: KubernetesObject) -> Policy:
    """The policy that a NetworkPolicy states."""
    spec = mapping_of(item.body.get("spec"))
    namespace = item.namespace or "default"
    rules = tuple(rule for direction in (INGRESS, EGRESS) for rule in _rules(spec, direction, namespace, item.line))
    return Policy(
        kind=item.kind,
        namespace=namespace,
        name=item.name,
        subject=selector_of(spec.get("podSelector")).plus(Requirement(NAMESPACE, "In", (namespace,))),
        on_nodes=False,
        default_deny=_directions(spec),
        rules=tuple(rule for rule in rules if rule.direction in _directions(spec)),
        requires={},
        file=item.file,
        line=item.line,
    )


def _directions(spec: Mapping[str, Any]) -> frozenset[str]:
    """policyTypes; without them, ingress always and egress if there are egress rules (API reference, policyTypes)."""
    types = [text_of(each).lower() for each in list_of(spec.get("policyTypes"))]
    if types:
        return frozenset(types) & {INGRESS, EGRESS}
    return frozenset({INGRESS, EGRESS} if list_of(spec.get(EGRESS)) else {INGRESS})


def _rules(spec: Mapping[str, Any], direction: str, namespace: str, line: int) -> Iterator[Rule]:
    for index, rule in enumerate(list_of(spec.get(direction))):
        body = mapping_of(rule)
        listed = list_of(body.get(_PEERS[direction]))
        # "If this field is empty or missing, this rule matches all sources" (API reference, from).
        peers = tuple(_peer(mapping_of(peer), namespace) for peer in listed) if listed else None
        ports = tuple(_port(mapping_of(port)) for port in list_of(body.get("ports"))) or None
        yield Rule(direction, False, index, peers, ports, line_of(rule, line), field=direction)


def _peer(peer: Mapping[str, Any], namespace: str) -> Peer:
    block = peer.get("ipBlock")
    if block is not None:
        return cidr_peer(mapping_of(block))
    pods, spaces = peer.get("podSelector"), peer.get("namespaceSelector")
    if pods is None and spaces is None:
        return UnknownPeer("a peer that is none of podSelector, namespaceSelector and ipBlock")
    selector = selector_of(pods)
    if spaces is None:
        selector = selector.plus(Requirement(NAMESPACE, "In", (namespace,)))
        where = f"in namespace {namespace}"
    else:
        wanted = selector_of(spaces, NAMESPACE_LABELS)
        # An empty selector is every namespace, and so whatever has one: the endpoints of pods.
        selector = selector.plus(Requirement(NAMESPACE, "Exists"), *wanted.requirements)
        where = f"in namespaces {selector_words(wanted, NAMESPACE_LABELS)}" if wanted.requirements else "in all namespaces"
    return EndpointPeer(selector, f"pods {selector_words(selector_of(pods), 'k8s:')} {where}")


def cidr_peer(block: Mapping[str, Any]) -> Peer:
    """An ipBlock, or an element of fromCIDRSet with a `cidr`."""
    text = text_of(block.get("cidr"))
    prefix = parse_prefix(text)
    if prefix is None:
        return UnknownPeer(f"{text!r} is no CIDR")
    texts = [text_of(each) for each in list_of(block.get("except"))]
    excepted = [parse_prefix(each) for each in texts]
    known = tuple(each for each in excepted if each is not None)
    if len(known) < len(texts):
        return UnknownPeer(f"the exceptions of {text} are not all CIDRs")
    return CidrPeer(prefix, known, f"{text} except {', '.join(texts)}" if texts else text)


def _port(port: Mapping[str, Any]) -> PortMatch:
    """A NetworkPolicyPort: TCP where it names no protocol, all ports where it names none."""
    protocol = text_of(port.get("protocol")).upper() or "TCP"
    number, last = port.get("port"), port.get("endPort")
    if isinstance(number, str) and not number.isdecimal():
        return PortMatch(protocol, name=number)
    first = int(number) if isinstance(number, int | str) else None
    return PortMatch(protocol, first, last if isinstance(last, int) and first is not None else None)


def selector_words(selector: Selector, prefix: str = "any:") -> str:
    """A selector in words: `app=shop`, `app in (a, b)`, or `with any labels`."""
    parts = []
    for each in selector.requirements:
        key = each.key.removeprefix(prefix)
        if each.operator == "In" and len(each.values) == 1:
            parts.append(f"{key}={each.values[0]}")
        else:
            parts.append(f"{key} {each.operator}" + (f" ({', '.join(each.values)})" if each.values else ""))
    return ", ".join(parts) or "with any labels"
