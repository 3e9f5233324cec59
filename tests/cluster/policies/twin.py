"""Policies once more, plain and slow: written from the specification's sentences over the manifests themselves.

No rule objects, no three-valued logic, nothing of mixcni: a random cluster has nothing that its dumps leave open, so each
question has the answer yes or no.
"""

import ipaddress
from typing import Any, NamedTuple


class End(NamedTuple):
    """One end of a flow: a pod that Cilium manages (`pod`), an address outside (`world`), or a node (`host`, `remote-node`)."""

    what: str
    address: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[str, str, int], ...] = ()
    """Container ports: name, protocol, number."""


Namespaces = dict[str, dict[str, str]]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Kubernetes, "Label selectors": all of matchLabels and matchExpressions must be satisfied; empty selects everything."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions") or []:
        key, operator, values = one["key"], one["operator"], one.get("values") or []
        if operator == "In" and not (key in labels and labels[key] in values):
            return False
        if operator == "NotIn" and key in labels and labels[key] in values:
            return False
        if operator == "Exists" and key not in labels:
            return False
        if operator == "DoesNotExist" and key in labels:
            return False
    return True


def in_block(block: dict[str, Any], address: str) -> bool:
    """An address of `cidr` that is in none of `except`."""
    one = ipaddress.ip_address(address)
    if one not in ipaddress.ip_network(block["cidr"]):
        return False
    return not any(one in ipaddress.ip_network(each) for each in block.get("except") or [])


def allowed(
    policies: list[dict[str, Any]],
    spaces: Namespaces,
    direction: str,
    subject: End,
    other: End,
    responder: End,
    protocol: str,
    port: int,
) -> bool:
    """Whether `subject`, a pod, may have this connection with `other` in this direction."""
    isolated = permitted = False
    conditions: list[dict[str, Any]] = []
    by_labels: list[bool] = []
    for policy in policies:
        spec = policy["spec"]
        if policy["kind"] == "NetworkPolicy":
            if policy["metadata"]["namespace"] != subject.namespace or not selects(spec["podSelector"], dict(subject.labels)):
                continue
            types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
            if direction.capitalize() not in types:
                continue
            isolated = True
            for rule in spec.get(direction) or []:
                if np_peer(rule, direction, policy["metadata"]["namespace"], spaces, other) and np_port(
                    rule, responder, protocol, port
                ):
                    permitted = True
        else:
            if not cnp_selects(policy, subject):
                continue
            allow, deny = spec.get(direction) or [], spec.get(f"{direction}Deny") or []
            default = (spec.get("enableDefaultDeny") or {}).get(direction)
            isolated = isolated or (bool(allow or deny) if default is None else default)
            way = "from" if direction == "ingress" else "to"
            for rule in deny:
                if cnp_peer(rule, way, policy, spaces, other) and cnp_port(rule, responder, protocol, port):
                    return False  # "Deny policies take precedence over allow policies"
            for rule in allow:
                conditions += rule.get(f"{way}Requires") or []
                if cnp_peer(rule, way, policy, spaces, other) and cnp_port(rule, responder, protocol, port):
                    by_labels.append(f"{way}Endpoints" in rule)
    if direction == "ingress" and other.what == "host":
        return True  # "Kubernetes will automatically allow all communication from the local host of all local endpoints"
    meets = all(selects(each, dict(other.labels)) for each in conditions) if other.what == "pod" else not conditions
    permitted = permitted or any(meets or not labelled for labelled in by_labels)
    return permitted or not isolated


def np_peer(rule: dict[str, Any], direction: str, namespace: str, spaces: Namespaces, other: End) -> bool:
    """API reference: an empty or missing list is everybody; else one of its elements must hold."""
    peers = rule.get("from" if direction == "ingress" else "to")
    if not peers:
        return True
    for peer in peers:
        if "ipBlock" in peer:
            if other.what == "world" and in_block(peer["ipBlock"], other.address):  # Cilium: CIDRs match no endpoint, no node
                return True
        elif other.what == "pod":
            where = other.namespace == namespace
            if "namespaceSelector" in peer:
                where = selects(
                    peer["namespaceSelector"], spaces[other.namespace] | {"kubernetes.io/metadata.name": other.namespace}
                )
            if where and selects(peer.get("podSelector") or {}, dict(other.labels)):
                return True
    return False


def np_port(rule: dict[str, Any], responder: End, protocol: str, port: int) -> bool:
    """API reference: an empty or missing list is all ports; protocol defaults to TCP; endPort makes a range."""
    ports = rule.get("ports")
    if not ports:
        return True
    for one in ports:
        if one.get("protocol", "TCP") != protocol:
            continue
        number = one.get("port")
        if number is None:
            return True
        if isinstance(number, str):
            if (number, protocol, port) in responder.ports:
                return True
        elif number <= port <= one.get("endPort", number):
            return True
    return False


def cnp_selects(policy: dict[str, Any], subject: End) -> bool:
    """A CiliumNetworkPolicy is about its own namespace, a clusterwide one about all."""
    if policy["kind"] == "CiliumNetworkPolicy" and policy["metadata"]["namespace"] != subject.namespace:
        return False
    return selects(policy["spec"]["endpointSelector"], dict(subject.labels))


def cnp_peer(rule: dict[str, Any], way: str, policy: dict[str, Any], spaces: Namespaces, other: End) -> bool:
    """Cilium, "Layer 3 Policies": an empty rule allows nobody, one without a layer 3 part everybody."""
    if not set(rule) - {f"{way}Requires"}:
        return False
    parts = [key for key in rule if key.startswith(way) and key not in ("toPorts", f"{way}Requires")]
    if not parts:
        return True
    if any(rule[part] == [] for part in parts):
        return False
    for selector in rule.get(f"{way}Endpoints") or []:
        if other.what == "pod":
            labels = dict(other.labels) | {"k8s:io.kubernetes.pod.namespace": other.namespace}
            labels |= {f"io.cilium.k8s.namespace.labels.{key}": value for key, value in spaces[other.namespace].items()}
            keys = list(selector.get("matchLabels") or {}) + [each["key"] for each in selector.get("matchExpressions") or []]
            elsewhere = any("io.kubernetes.pod.namespace" in key or "namespace.labels" in key for key in keys)
            own = (
                policy["kind"] == "CiliumClusterwideNetworkPolicy"
                or elsewhere
                or other.namespace == policy["metadata"]["namespace"]
            )
            if own and selects(selector, labels):
                return True
    for entity in rule.get(f"{way}Entities") or []:
        if entity in ("all", other.what) or (entity == "cluster" and other.what != "world"):
            return True
    if other.what == "world":
        blocks = [{"cidr": each} for each in rule.get(f"{way}CIDR") or []] + (rule.get(f"{way}CIDRSet") or [])
        return any(in_block(block, other.address) for block in blocks)
    return False


def cnp_port(rule: dict[str, Any], responder: End, protocol: str, port: int) -> bool:
    """Cilium, "Layer 4 Policies": no toPorts is all of layer 4; no protocol, or ANY, is any transport."""
    if "toPorts" not in rule and "icmps" not in rule:
        return True
    for each in rule.get("toPorts") or []:
        for one in each["ports"]:
            word = one.get("protocol", "ANY")
            if word not in ("ANY", protocol) or protocol == "ICMP":
                continue
            if not one["port"].isdecimal():
                if (one["port"], protocol, port) in responder.ports:
                    return True
            elif int(one["port"]) <= port <= one.get("endPort", int(one["port"])):
                return True
    return any(protocol == "ICMP" and field["type"] == port for each in rule.get("icmps") or [] for field in each["fields"])
