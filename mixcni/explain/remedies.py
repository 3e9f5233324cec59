"""What to do about denied requests, each held against the very requests that failed."""

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policy import decide, protocol_name
from mixcni.explain.findings import Remedy
from mixcni.explain.suspects import Facts, Pair
from mixcni.topology import Network, in_networks

FIRST_LOCAL_IDENTITY: Final = 1 << 24  # Cilium numbers CIDRs that a rule names from here on, each node by itself
WORLD: Final = 2
NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"
CILIUMS_OWN: Final = ("io.cilium.", "io.kubernetes.")
PREFERRED: Final = ("app.kubernetes.io/name", "app", "k8s-app", "name")
MAX_ADDRESSES: Final = 8  # listed one by one before the smallest network around them is taken


def allow_remedies(
    facts: Facts, pairs: dict[Pair, NDArray[np.int64]], endpoint: Endpoint, identity: int | None
) -> tuple[Remedy, ...]:
    """The remedies for requests that ingress policy denied, the best first.

    Parameters
    ----------
    pairs : the denied requests by who called whom
    endpoint : the responder's
    identity : that Cilium gives the initiator; None unknown
    """
    mine = {pair: rows for pair, rows in pairs.items() if facts.cluster.endpoint_of(pair.responder) == endpoint}
    total = int(sum(rows.size for rows in mine.values()))
    if identity is not None and WORLD < identity < FIRST_LOCAL_IDENTITY:
        return (_allow_pods(facts, mine, endpoint, identity, total), _delete(facts, mine, total))
    return (
        _allow_networks(facts, mine, endpoint, total),
        _migrate(facts, mine, total),
        _delete(facts, mine, total),
    )


def _would_pass(
    facts: Facts,
    pairs: dict[Pair, NDArray[np.int64]],
    endpoint: Endpoint,
    extra: Iterable[PolicyEntry],
    identities: dict[Pair, int],
) -> int:
    """How many of the requests pass the endpoint's map with more rows in it, given their initiators' identities then."""
    rows = [*(facts.cluster.policy_entries(endpoint.id) or ()), *extra]
    passed = 0
    for pair, fates in pairs.items():
        verdict = decide(rows, "ingress", identities[pair], pair.port, pair.protocol, facts.cluster.version)
        passed += fates.size if verdict.allowed else 0
    return passed


def _row(endpoint: Endpoint, identity: int, port: int | None, protocol: str | None) -> PolicyEntry:
    return PolicyEntry(
        endpoint_id=endpoint.id, deny=False, ingress=True, identity=identity, labels=(), port=port, port_end=port,
        protocol=protocol, proxy_port=None, auth=None, bytes=None, packets=None, prefix_length=None,
    )  # fmt: skip


def _ports(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    return [
        {"protocol": protocol_name(protocol), "port": port} for port, protocol in sorted({(p.port, p.protocol) for p in pairs})
    ]


def _policy(endpoint: Endpoint, name: str, peers: list[dict[str, Any]], pairs: Iterable[Pair]) -> str:
    namespace, labels = selector_of(endpoint)
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": peers, "ports": _ports(pairs)}],
        },
    }
    return str(yaml.safe_dump(manifest, sort_keys=False))


def selector_of(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    """The namespace and the labels by which a policy selects an endpoint's pod: its name label, else all of its own."""
    namespace, labels = "default", {}
    for label in endpoint.labels:
        source, _, rest = label.partition(":")
        key, _, value = rest.partition("=")
        if source != "k8s":
            continue
        if key == NAMESPACE_LABEL:
            namespace = value
        elif not key.startswith(CILIUMS_OWN):
            labels[key] = value
    for key in PREFERRED:
        if key in labels:
            return namespace, {key: labels[key]}
    return namespace, labels


def networks_to_allow(pairs: Iterable[Pair], pod_cidrs: Iterable[Network]) -> list[Network]:
    """The narrowest networks that hold all initiators: the nodes' pod CIDRs where they are known, else the addresses."""
    given, single = set[Network](), set[Network]()
    for pair in pairs:
        cidr = next((cidr for cidr in pod_cidrs if in_networks(pair.initiator, [cidr])), None)
        if cidr is not None:
            given.add(cidr)
        else:
            single.add(ipaddress.ip_network(pair.initiator))
    found = sorted(given, key=str)
    for version in (4, 6):
        own = sorted((net for net in single if net.version == version), key=lambda net: int(net.network_address))
        if len(own) > MAX_ADDRESSES:
            around = own[0]
            while not all(net.subnet_of(around) for net in own):  # type: ignore[arg-type]
                around = around.supernet()
            own = [around]
        found.extend(own)
    return found


def _allow_networks(facts: Facts, pairs: dict[Pair, NDArray[np.int64]], endpoint: Endpoint, total: int) -> Remedy:
    networks = networks_to_allow(pairs, facts.pod_cidrs.values())
    ports = {(pair.port, pair.protocol) for pair in pairs}
    identities: dict[Pair, int] = {}
    rows: list[PolicyEntry] = []
    for number, network in enumerate(networks, FIRST_LOCAL_IDENTITY + 1):
        rows.extend(_row(endpoint, number, port, protocol_name(protocol)) for port, protocol in ports)
        identities.update({pair: number for pair in pairs if in_networks(pair.initiator, [network])})
    known = set(facts.pod_cidrs.values())
    what = "the pod CIDR" if all(network in known for network in networks) else "the source addresses"
    hint = "" if what == "the pod CIDR" else ", or better the pod CIDRs of the nodes that Cilium does not manage yet"
    return Remedy(
        sentence=(
            f"Allow {what} {', '.join(map(str, networks))}{hint} to reach these ports, and remove the rule after the migration: "
            "a CIDR rule matches addresses that Cilium does not manage"
        ),
        yaml=_policy(endpoint, "allow-kubenet-pods", [{"ipBlock": {"cidr": str(network)}} for network in networks], pairs),
        would_pass=_would_pass(facts, pairs, endpoint, rows, identities),
        of=total,
    )


def _allow_pods(facts: Facts, pairs: dict[Pair, NDArray[np.int64]], endpoint: Endpoint, identity: int, total: int) -> Remedy:
    labels = facts.cluster.labels_of(identity) or ()
    peer = Endpoint(0, None, None, identity, tuple(labels), None, None, None)
    namespace, selector = selector_of(peer)
    ports = {(pair.port, pair.protocol) for pair in pairs}
    rows = [_row(endpoint, identity, port, protocol_name(protocol)) for port, protocol in ports]
    identities = {pair: facts.cluster.identity_of(pair.initiator).identity or WORLD for pair in pairs}
    peers = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": selector},
        }
    ]
    return Remedy(
        sentence=f"Allow the pods of identity {identity} to reach these ports",
        yaml=_policy(endpoint, "allow-callers", peers, pairs) if selector else "",
        would_pass=_would_pass(facts, pairs, endpoint, rows, identities),
        of=total,
    )


def _migrate(facts: Facts, pairs: dict[Pair, NDArray[np.int64]], total: int) -> Remedy:
    nodes = sorted(name for name, cidr in facts.pod_cidrs.items() if any(in_networks(pair.initiator, [cidr]) for pair in pairs))
    which = f"of {', '.join(nodes)}" if nodes else "of the initiators' nodes"
    return Remedy(
        sentence=(
            f"Finish the migration {which} to Cilium: its pods then have identities of their own, which the policy's selectors "
            "can match; until then keep policy enforcement off (policyEnforcementMode: never), as Cilium's migration guide does"
        ),
        of=total,
    )


def _delete(facts: Facts, pairs: dict[Pair, NDArray[np.int64]], total: int) -> Remedy:
    """Without a policy that selects it an endpoint allows everybody: Cilium then fills its map with one row for identity 0."""
    passed = 0
    for pair, rows in pairs.items():
        endpoint = facts.cluster.endpoint_of(pair.responder)
        identity = facts.cluster.identity_of(pair.initiator).identity
        if endpoint is not None:
            everybody = [_row(endpoint, 0, None, None)]
            verdict = decide(everybody, "ingress", identity, pair.port, pair.protocol, facts.cluster.version)
            passed += rows.size if verdict.allowed else 0
    return Remedy(
        sentence="Delete the policy that selects the pod: to prove the cause only, since it opens the pod to everybody",
        would_pass=passed,
        of=total,
    )
