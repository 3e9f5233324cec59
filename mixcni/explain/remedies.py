"""What to do about denied requests, each policy held against the very requests that failed."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.identities import MIN_LOCAL, WORLD
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policies.rules import INGRESS
from mixcni.cluster.policy import decide, protocol_name
from mixcni.explain.findings import Remedy
from mixcni.explain.suspects import Facts, Pair, policy_port
from mixcni.explain.what_if import what_if
from mixcni.topology import Address, Network, in_networks

Pairs = dict[Pair, NDArray[np.int64]]

NAMESPACE_LABEL: Final = "io.kubernetes.pod.namespace"
CILIUMS_OWN: Final = ("io.cilium.", "io.kubernetes.")
PREFERRED: Final = ("app.kubernetes.io/name", "app", "k8s-app", "name")
MAX_ADDRESSES: Final = 8  # listed one by one before the smallest network around them is taken


def allow_remedies(
    facts: Facts, pairs: Pairs, endpoint: Endpoint, identity: int | None, direction: str = INGRESS
) -> tuple[Remedy, ...]:
    """The remedies for requests that an endpoint's policy denied, the best first.

    Parameters
    ----------
    pairs : the denied requests by who called whom
    endpoint : whose policy it is
    identity : that Cilium gives the other end; None unknown
    """
    makes = _Maker(facts, pairs, endpoint, direction)
    if identity is not None and WORLD < identity < MIN_LOCAL:
        return (makes.allow_pods(identity), makes.delete())
    return (makes.allow_networks(), makes.migrate(), makes.allow_world(), makes.delete())


class _Maker:
    """Makes the remedies for one endpoint."""

    def __init__(self, facts: Facts, pairs: Pairs, endpoint: Endpoint, direction: str) -> None:
        self.facts = facts
        self.endpoint = endpoint
        self.direction = direction
        self.is_ingress = direction == INGRESS
        self.pairs = {pair: rows for pair, rows in pairs.items() if facts.cluster.endpoint_of(self.subject(pair)) == endpoint}
        self.total = int(sum(rows.size for rows in self.pairs.values()))
        self.namespace, self.labels = selector_of(endpoint)

    def subject(self, pair: Pair) -> Address:
        """The end whose policy it is."""
        return pair.responder if self.is_ingress else pair.initiator

    def other(self, pair: Pair) -> Address:
        """The end that its rules are about."""
        return pair.initiator if self.is_ingress else pair.responder

    def checked(self, sentence: str, manifest: Mapping[str, Any] | None) -> Remedy:
        """A remedy with its policy, and how many of the requests pass with it."""
        if manifest is None:
            return Remedy(sentence, of=self.total)
        facts = self.facts
        found = what_if(facts.localisation, facts.cluster, manifest, facts.pod_cidrs).passing(list(self.pairs))
        return Remedy(sentence, str(yaml.safe_dump(dict(manifest), sort_keys=False)), found, self.total)

    def network_policy(self, name: str, peers: list[dict[str, Any]]) -> dict[str, Any]:
        """A NetworkPolicy that lets the endpoint's pod have these peers on the ports that failed."""
        way, end = ("ingress", "from") if self.is_ingress else ("egress", "to")
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "podSelector": {"matchLabels": self.labels},
                "policyTypes": [way.capitalize()],
                way: [{end: peers, "ports": self.ports()}],
            },
        }

    def ports(self) -> list[dict[str, Any]]:
        """The ports that failed."""
        wanted = sorted({(pair.port, pair.protocol) for pair in self.pairs})
        return [{"protocol": protocol_name(protocol), "port": port} for port, protocol in wanted]

    def allow_networks(self) -> Remedy:
        """The narrowest networks around the other ends, by CIDR."""
        known = pod_networks(self.facts)
        networks = networks_to_allow(map(self.other, self.pairs), known.values())
        is_known = all(network in known.values() for network in networks)
        what = "the pod CIDR" if is_known else "the source addresses" if self.is_ingress else "the destination addresses"
        hint = "" if is_known else ", or better the pod CIDRs of the nodes that Cilium does not manage yet"
        action = "to reach these ports" if self.is_ingress else "to be reached on these ports"
        sentence = (
            f"Allow {what} {', '.join(map(str, networks))}{hint} {action}, and remove the rule after the migration: "
            "a CIDR rule matches addresses that Cilium does not manage"
        )
        peers = [{"ipBlock": {"cidr": str(network)}} for network in networks]
        return self.checked(sentence, self.network_policy("allow-kubenet-pods", peers))

    def allow_world(self) -> Remedy:
        """Everything outside the cluster: it works, and opens the port to far more than it is for."""
        way, end = ("ingress", "fromEntities") if self.is_ingress else ("egress", "toEntities")
        ports = [{"port": str(port["port"]), "protocol": port["protocol"]} for port in self.ports()]
        manifest = {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": "allow-world", "namespace": self.namespace},
            "spec": {
                "endpointSelector": {"matchLabels": self.labels},
                way: [{end: ["world"], "toPorts": [{"ports": ports}]}],
            },
        }
        danger = "to everything outside the cluster, the internet included" if self.is_ingress else "towards the whole internet"
        sentence = f"Allow the entity world on these ports, as a stop-gap alone: it opens them {danger}"
        return self.checked(sentence, manifest)

    def allow_pods(self, identity: int) -> Remedy:
        """The pods of an identity that Cilium knows."""
        texts = self.facts.cluster.labels_of(identity) or self.facts.cluster.kubernetes.identities.get(identity, ())
        namespace, selector = selector_of(Endpoint(0, None, None, identity, tuple(texts), None, None, None))
        verb = "to reach these ports" if self.is_ingress else "to be reached on these ports"
        sentence = f"Allow the pods of identity {identity} {verb}"
        if not selector:
            return self.checked(sentence, None)
        peers = [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "podSelector": {"matchLabels": selector},
            }
        ]
        return self.checked(sentence, self.network_policy("allow-callers" if self.is_ingress else "allow-callees", peers))

    def migrate(self) -> Remedy:
        """The real cure: pods that Cilium manages have identities."""
        known = pod_networks(self.facts)
        others = [self.other(pair) for pair in self.pairs]
        nodes = sorted(name for name, cidr in known.items() if any(in_networks(other, [cidr]) for other in others))
        ends = "initiators" if self.is_ingress else "responders"
        which = f"of {', '.join(nodes)}" if nodes else f"of the {ends}' nodes"
        return Remedy(
            sentence=(
                f"Finish the migration {which} to Cilium: its pods then have identities of their own, which the policy's "
                "selectors can match; until then keep policy enforcement off (policyEnforcementMode: never), as Cilium's "
                "migration guide does"
            ),
            of=self.total,
        )

    def delete(self) -> Remedy:
        """Without a policy that selects it an endpoint allows everybody: its map then has one row, for identity 0."""
        cluster, passed = self.facts.cluster, 0
        everybody = [
            PolicyEntry(
                endpoint_id=self.endpoint.id, deny=False, ingress=self.is_ingress, identity=0, labels=(), port=None,
                port_end=None, protocol=None, proxy_port=None, auth=None, bytes=None, packets=None, prefix_length=None,
            )
        ]  # fmt: skip
        for pair, rows in self.pairs.items():
            identity = cluster.identity_of(self.other(pair)).identity
            verdict = decide(everybody, self.direction, identity, policy_port(pair), pair.protocol, cluster.version)
            passed += rows.size if verdict.allowed else 0
        opened = "it opens the pod to everybody" if self.is_ingress else "the pod may then call everybody"
        return Remedy(
            sentence=f"Delete the policy that selects the pod: to prove the cause only, since {opened}",
            would_pass=passed,
            of=self.total,
        )


def pod_networks(facts: Facts) -> dict[str, Network]:
    """Pod networks of the nodes that Cilium does not manage: as the case gives them, and as Kubernetes lists them."""
    listed = {node.name: cidr for node in facts.cluster.kubernetes.unmanaged_nodes() for cidr in node.pod_cidrs}
    return {**listed, **facts.pod_cidrs}


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


def networks_to_allow(addresses: Iterable[Address], pod_cidrs: Iterable[Network]) -> list[Network]:
    """The narrowest networks that hold all addresses: the nodes' pod CIDRs where they are known, else the addresses."""
    known = list(pod_cidrs)
    given, single = set[Network](), set[Network]()
    for address in addresses:
        cidr = next((cidr for cidr in known if in_networks(address, [cidr])), None)
        if cidr is not None:
            given.add(cidr)
        else:
            single.add(ipaddress.ip_network(address))
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
