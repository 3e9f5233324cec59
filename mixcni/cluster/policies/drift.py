"""Where an endpoint's policy map and the policies as they are written part: rules not yet realised, or maps of another time.

Both are asked the same questions: for each direction, every peer that a dump has an identity of, on every port that a row
or rule names and one that none does. Only where both decide, and differ, there is drift.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.identities import ANY, MIN_LOCAL, RESERVED_NAMES, WORLD, is_world
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policies.engine import PolicyEngine
from mixcni.cluster.policies.labels import labels_of_texts
from mixcni.cluster.policies.party import Flow, Guise, Party
from mixcni.cluster.policies.rules import EGRESS, INGRESS, TRANSPORTS, PortMatch
from mixcni.cluster.policies.verdict import DirectionVerdict, judge
from mixcni.cluster.policy import PolicyVerdict

if TYPE_CHECKING:
    from mixcni.cluster.state import ClusterState

_ASKED: Final = (1, WORLD, 6)  # host, world and remote nodes are asked about in any case


@dataclass(frozen=True, slots=True)
class Drift:
    """One question that the map and the policies answer differently."""

    direction: str
    identity: int
    peer: str
    protocol: str
    port: int
    in_map: PolicyVerdict
    as_written: DirectionVerdict

    @property
    def says(self) -> str:
        """The difference in a sentence."""
        verb = "lets" if self.in_map.allowed else "does not let"
        way = f"{self.peer} reach" if self.direction == INGRESS else f"the endpoint reach {self.peer} on"
        return (
            f"the policy map {verb} {way} {self.port}/{self.protocol} ({self.in_map.why}), against the policies as they are "
            f"written: {self.as_written.why}"
        )


def find_drift(cluster: "ClusterState", endpoint_id: int, engine: PolicyEngine | None = None) -> tuple[Drift, ...]:
    """The differences between an endpoint's policy map and the policies in the dumps; none where either is missing.

    Parameters
    ----------
    engine : the policies to hold against the map, if not those in the dumps
    """
    engine = engine or PolicyEngine(cluster)
    endpoint = next((each for each in cluster.endpoints if each.id == endpoint_id), None)
    entries = cluster.policy_entries(endpoint_id)
    if endpoint is None or entries is None or not engine.policies or not endpoint.labels:
        return ()
    return tuple(_differences(cluster, endpoint, entries, engine))


def _differences(
    cluster: "ClusterState", endpoint: Endpoint, entries: Iterable[PolicyEntry], engine: PolicyEngine
) -> Iterator[Drift]:
    address = endpoint.addresses[0] if endpoint.addresses else None
    pod = cluster.kubernetes.pod_of(address) if address is not None else None
    mine = Party(
        address,
        (Guise(address, labels_of_texts(endpoint.labels), f"endpoint {endpoint.id}", endpoint.file, endpoint.line),),
        True,
        pod.ports if pod is not None else None,
    )
    rows = list(entries)
    for identity in _identities(cluster, rows):
        guise = engine.directory.of_identity(identity)
        if guise is None:
            continue
        theirs = Party(None, (guise,), True)
        for direction in (INGRESS, EGRESS):
            for protocol, port in _ports(rows, engine):
                flow = Flow(theirs, mine, protocol, port) if direction == INGRESS else Flow(mine, theirs, protocol, port)
                in_map = cluster.policy_verdict(endpoint.id, direction, identity, port, protocol)
                written = judge(engine.policies, direction, mine, theirs, flow, engine.options)
                if None not in (in_map.allowed, written.allowed) and in_map.allowed != written.allowed:
                    yield Drift(direction, identity, guise.says, protocol, port, in_map, written)


def _identities(cluster: "ClusterState", rows: Iterable[PolicyEntry]) -> list[int]:
    """The identities that some dump names, but those of CIDRs, whose rules name addresses and no numbers."""
    named = {row.identity for row in rows if row.identity is not None} | {entry.identity for entry in cluster.ipcache}
    named |= {identity.id for identity in cluster.identities if identity.id not in RESERVED_NAMES}
    named |= set(cluster.kubernetes.identities) | set(_ASKED)
    named -= {ANY}
    return sorted(number for number in named if number < MIN_LOCAL and (number == WORLD or not is_world(number)))


def _ports(rows: Iterable[PolicyEntry], engine: PolicyEngine) -> list[tuple[str, int]]:
    """Ports on either side of every edge that a row or a rule draws, for each transport; and one that none names."""
    edges = {1}
    matches: Iterable[PortMatch] = (
        match for policy in engine.policies for rule in policy.rules for match in rule.ports or ()
    )  # fmt: skip
    for first, last in [(row.port, row.port_end) for row in rows] + [(match.port, match.port_end) for match in matches]:
        if first is not None:
            end = first if last is None else last
            edges |= {first, end, max(first - 1, 0), min(end + 1, 65535)}
    return [(protocol, port) for protocol in TRANSPORTS[:2] for port in sorted(edges) if port]
