"""A service without a backend: the address that was called is a service's, and nothing stands behind it that takes connections.

Cilium drops such packets (drop reason 158, "Service backend not found"); kube-proxy rejects them. The list of services is a
snapshot: backends may have come or gone between it and the captures.
"""

from typing import Final

import numpy as np

from mixcni.cluster.cilium.services import Service
from mixcni.cluster.logs.conntrack import ConntrackEntry
from mixcni.cluster.policy import protocol_name
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Pair, Suspect, attempts_at, is_silence, pairs_of, shown_by
from mixcni.schema import Direction, ExchangeKind, Fate
from mixcni.words import plural

CAUSE: Final = "no_backend"
PRIOR: Final = 0.1  # of connection attempts that vanish silently
ODDS_SILENCE: Final = 2.0
ODDS_NONE: Final = 200.0  # the node's own list says so
UNCONFIRMED: Final = 0.45  # at most, where no list of services is there
TAKES_CONNECTIONS: Final = (None, "active")
"""States of a backend that new connections are sent to; None before 1.11, when none was printed."""


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for lost connection attempts to a service's address, or None where its backends are there."""
    fates = facts.localisation.fates
    kept = np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.REFUSED, Fate.UNDECIDED))
    kept &= fates["kind"][suspect.rows] == ExchangeKind.HANDSHAKE
    rows = suspect.rows[kept]
    if suspect.direction != Direction.FORWARD or not rows.size:
        return None
    pair = next(iter(pairs_of(facts.localisation, rows)))
    services = [
        service
        for service in facts.cluster.services_at(pair.responder, pair.port)
        if service.protocol in (None, "ANY", protocol_name(pair.protocol))
    ]
    if not services:
        return _possible(pair, suspect, facts)
    if any(_takes_connections(service) for service in services):
        return None
    service = services[-1]
    near = facts.localisation.points[suspect.near].name
    states = ", ".join(str(backend) for backend in service.backends)
    has = f"only {states}" if states else "no backend"
    evidence = [Evidence(f"the service at {pair.responder}:{pair.port} has {has}", service.file, service.line, odds=ODDS_NONE)]
    if is_silence(facts.localisation, rows):
        says = f"no SYN-ACK, reset or ICMP error came back at {near}"
        attempts = attempts_at(facts.localisation, rows, suspect.near)
        evidence.append(shown_by(facts, says, suspect.near, attempts, odds=ODDS_SILENCE))
    return Finding(
        cause=CAUSE,
        confidence=confidence_of(PRIOR, evidence),
        sentence=(
            f"{plural(rows.size, 'connection attempt')} to the service at {pair.responder}:{pair.port} went nowhere: it has "
            f"{has} to take them"
        ),
        evidence=tuple(evidence),
        remedies=(Remedy("See why the service's selector finds no pod that is ready: labels, readiness probes, the named port"),),
        collect=("kubectl get endpointslices and pods of that service, as of the incident",),
        assumptions=(f"the list of services in {service.file} holds for the time of the captures",),
        loss=suspect.loss,
    )


def _takes_connections(service: Service) -> bool:
    return any(backend.state in TAKES_CONNECTIONS for backend in service.backends)


def _possible(pair: Pair, suspect: Suspect, facts: Facts) -> Finding | None:
    """The cause as a possibility: something else shows that the address is a service's, and no list of services is there."""
    cluster = facts.cluster
    if cluster.has_complete("services"):
        return None
    sign = next((entry for entry in cluster.conntrack_with(pair.responder) if entry.direction == "SVC"), None) or next(
        (
            entry
            for entry in cluster.of_type(ConntrackEntry)
            if entry.destination == pair.responder and entry.is_translated and entry.reply_source != pair.responder
        ),
        None,
    )
    if sign is None:
        return None
    says = f"{pair.responder} is a service's address: other connections to it were translated"
    return Finding(
        cause=CAUSE,
        confidence=min(PRIOR * 2, UNCONFIRMED),
        sentence=f"The service at {pair.responder}:{pair.port} may have no backend; no list of services tells",
        evidence=(Evidence(says, sign.file, sign.line),),
        collect=("on the initiator's node: cilium service list; kubectl get endpointslices -A -o yaml",),
        loss=suspect.loss,
    )
