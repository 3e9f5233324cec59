"""An egress policy without a gateway: what a pod sends to the policy's networks is dropped on the pod's own node.

Cilium's egress gateway drops such packets (drop reason 194, "No egress gateway found") without an answer. Its map is a snapshot,
and the gateway may have come or gone between it and the captures.
"""

from typing import Final

import numpy as np

from mixcni.cluster import ClusterState
from mixcni.cluster.cilium.egress import EgressEntry
from mixcni.cluster.policies.directory import state_at
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Suspect, attempts_at, is_silence, pairs_of, shown_by
from mixcni.schema import Direction, ExchangeKind, Fate
from mixcni.topology import Address
from mixcni.words import plural

CAUSE: Final = "no_egress_gateway"
PRIOR: Final = 0.1  # of connection attempts that vanish silently
ODDS_SILENCE: Final = 2.0
ODDS_NOT_FOUND: Final = 200.0  # the node's own map says so


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for attempts that were lost next to the initiator, or None where no row of the map sends them nowhere."""
    fates = facts.localisation.fates
    kept = np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.UNDECIDED))
    kept &= fates["kind"][suspect.rows] == ExchangeKind.HANDSHAKE
    rows = suspect.rows[kept]
    if suspect.direction != Direction.FORWARD or suspect.near != 0 or not rows.size:
        return None
    pair, mine = next(iter(pairs_of(facts.localisation, rows).items()))
    entry = way_out(state_at(facts.cluster, pair.initiator), pair.initiator, pair.responder)
    if entry is None or entry.way != "not found" or 2 * mine.size < rows.size:
        return None
    says = f"an egress policy sends what {pair.initiator} sends to {entry.destination} over a gateway that was not found"
    evidence = [Evidence(says, entry.file, entry.line, odds=ODDS_NOT_FOUND)]
    if is_silence(facts.localisation, mine):
        near = facts.localisation.points[suspect.near].name
        attempts = attempts_at(facts.localisation, mine, suspect.near)
        says = f"no SYN-ACK, reset or ICMP error came back at {near}"
        evidence.append(shown_by(facts, says, suspect.near, attempts, odds=ODDS_SILENCE))
    return Finding(
        cause=CAUSE,
        confidence=confidence_of(PRIOR, evidence),
        sentence=(
            f"{plural(mine.size, 'connection attempt')} from {pair.initiator} to {pair.responder} went nowhere: the egress "
            "policy for them has no gateway"
        ),
        evidence=tuple(evidence),
        remedies=(Remedy("See which nodes the CiliumEgressGatewayPolicy's nodeSelector matches, and that Cilium runs on them"),),
        loss=suspect.loss,
    )


def way_out(cluster: ClusterState, source: Address, destination: Address) -> EgressEntry | None:
    """The row of the egress map that holds a pod's packets to an address: of several that of the longest prefix."""
    rows = [row for row in cluster.of_type(EgressEntry) if row.source == source and destination in row.destination]
    return max(rows, key=lambda row: row.destination.prefixlen, default=None)
