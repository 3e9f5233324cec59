"""What an endpoint's policy map does with connections to or from the other end, whoever that may be.

An end whose identity no dump tells may be anybody: the map's verdict on it stands only if it is the same for all that it may be.
Egress to a service's address is decided behind the translation, on the backends (Cilium translates before it asks the map).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixcni.cluster import ClusterState
from mixcni.cluster.cilium.identities import MIN_LOCAL, MIN_LOCAL_NODE, WORLD
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policies.rules import EGRESS
from mixcni.cluster.policy import PolicyVerdict, protocol_name
from mixcni.explain.findings import Evidence
from mixcni.explain.managed import managed_evidence
from mixcni.explain.suspects import Facts, Pair, policy_port
from mixcni.topology import Address, in_networks

_OUTSIDE_LABELS = ("cidr:", "fqdn:", "reserved:world")


@dataclass(frozen=True, slots=True)
class Service:
    """A service's address, and where connections to it go."""

    evidence: Evidence
    backends: tuple[tuple[Address, int], ...]
    """None of them: no dump has them."""


def service_of(cluster: ClusterState, pair: Pair) -> Service | None:
    """What a responder's address stands for, if a dump shows that it is a service's."""
    listed = [
        service
        for service in cluster.services_at(pair.responder, pair.port)
        if service.protocol in (None, "ANY", protocol_name(pair.protocol))
    ]
    backends = tuple(dict.fromkeys((b.address, b.port) for each in listed for b in each.backends if b.address is not None))
    if listed:
        words = ", ".join(map(str, listed[-1].backends)) or "none"
        says = f"{pair.responder}:{pair.port} is a service: policy is asked about its backends, {words}"
        return Service(Evidence(says, listed[-1].file, listed[-1].line), backends)
    named = cluster.kubernetes.service_of(pair.responder)
    sign = named or next((entry for entry in cluster.conntrack_with(pair.responder) if entry.direction == "SVC"), None)
    if sign is None:
        return None
    says = f"{pair.responder} is a service's address: policy is asked about its backends, which no list of services names"
    return Service(Evidence(says, sign.file, sign.line), ())


def is_outside(facts: Facts, address: Address) -> bool:
    """Whether an address can be no pod's or node's that Cilium manages: world, or within a CIDR that some rule names."""
    told = managed_evidence(facts, address)
    return (told is not None and told.is_managed is False) or in_networks(address, list(facts.pod_cidrs.values()))


def map_verdict(
    cluster: ClusterState, endpoint_id: int, direction: str, pair: Pair, other: Address, *, outside: bool
) -> PolicyVerdict:
    """The verdict of an endpoint's policy map, None where the dumps do not decide it.

    Parameters
    ----------
    other : the end that the map's rows are about
    outside : it is nothing that Cilium manages
    """
    service = service_of(cluster, pair) if direction == EGRESS else None
    ends = [(other, policy_port(pair))] if service is None else list(service.backends)
    if not ends:
        return PolicyVerdict(None, None, f"{other} is a service's address, and no dump has its backends")
    return _agreed(
        [
            verdict
            for address, port in ends
            for verdict in _possible(cluster, endpoint_id, direction, address, port, pair.protocol, outside=outside)
        ]
    )


def _possible(
    cluster: ClusterState, endpoint_id: int, direction: str, address: Address, port: int, protocol: int, *, outside: bool
) -> Iterator[PolicyVerdict]:
    """The verdict on an address, or where no dump tells its identity those on all that it may have."""
    identity = cluster.identity_of(address).identity
    rows = cluster.policy_entries(endpoint_id) or ()
    if identity is not None or not outside or any(map(_names_outside, rows)):
        yield cluster.policy_verdict(endpoint_id, direction, identity, port, protocol)
        return
    local = {row.identity for row in rows if row.identity is not None and MIN_LOCAL <= row.identity < MIN_LOCAL_NODE}
    for possible in (WORLD, *sorted(local)):
        yield cluster.policy_verdict(endpoint_id, direction, possible, port, protocol)


def _names_outside(row: PolicyEntry) -> bool:
    """Whether a row names a CIDR or name by its labels, and so by a number that it does not print."""
    return row.identity is None and any(label.startswith(_OUTSIDE_LABELS) for label in row.labels)


def _agreed(verdicts: Sequence[PolicyVerdict]) -> PolicyVerdict:
    """The verdict that all are; where they differ, none, and the two ways in words."""
    first = verdicts[0]
    other = next((verdict for verdict in verdicts if verdict.allowed != first.allowed), None)
    return first if other is None else PolicyVerdict(None, None, f"{first.why}, but {other.why}")


def who_text(cluster: ClusterState, direction: str, pair: Pair, other: Address, role: str, *, outside: bool) -> str:
    """The other end as policy sees it, in words."""
    if direction == EGRESS and service_of(cluster, pair) is not None:
        return f"the {role} is a service"
    identity = cluster.identity_of(other).identity
    if identity is None:
        return f"the {role} is taken for world" if outside else f"no dump tells the {role}'s identity, and none would pass"
    if identity == WORLD:
        return f"the {role} has no ipcache entry and so the identity world"
    return f"the {role} has identity {identity}"
