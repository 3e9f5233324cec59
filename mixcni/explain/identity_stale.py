"""The identity that a node gives an address is not that of the pod which has it now.

ipcache learns of a pod later than its packets arrive, or keeps an address's former owner; policy then judges the wrong pod. It
explains a loss where the map denies the identity given and would let the pod's own through.
"""

from dataclasses import dataclass
from typing import Final

from mixcni.cluster import ClusterState
from mixcni.cluster.cilium.identities import MIN_LOCAL, is_world
from mixcni.cluster.policies.directory import Directory, state_at
from mixcni.cluster.policies.labels import LabelSet, labels_of_pod, labels_of_texts
from mixcni.cluster.resolve import name_of
from mixcni.explain.denial import Side
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.managed import managed_evidence
from mixcni.explain.policy_denied_egress import SIDE as EGRESS_SIDE
from mixcni.explain.policy_denied_ingress import SIDE as INGRESS_SIDE
from mixcni.explain.suspects import Facts, Suspect, pairs_of, policy_port
from mixcni.topology import Address

CAUSE: Final = "identity_stale"
PRIOR: Final = 0.05  # of connection attempts that policy denies
ODDS_DIFFERENT: Final = 60.0  # two dumps contradict each other on one address
ODDS_FLIPPED: Final = 30.0  # and policy would decide the other way
ODDS_DENIED_BOTH: Final = 0.05  # the pod's own identity is denied too: the stale one changes nothing
ODDS_ALLOWED: Final = 0.02  # the identity given is let through
UNCONFIRMED: Final = 0.45  # at most, where no map shows that the identity made the difference
UNTOLD: Final = 0.2  # at most, where no dump tells the pod's own identity
MIN_CLUSTER: Final = 256  # identities below are reserved or well known, and have one owner for ever


@dataclass(frozen=True, slots=True)
class _Identity:
    """An identity that some dump has for an address."""

    number: int | None
    labels: LabelSet | None
    evidence: Evidence


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss of requests, or None where the identities agree or none comes into question.

    At ingress the responder's node may take the initiator for another, at egress the initiator's node the responder.
    """
    found = [finding for side in (INGRESS_SIDE, EGRESS_SIDE) if (finding := _examine(side, suspect, facts)) is not None]
    return max(found, key=lambda finding: finding.confidence, default=None)


def _examine(side: Side, suspect: Suspect, facts: Facts) -> Finding | None:
    pairs = pairs_of(facts.localisation, suspect.rows, suspect.near)
    if not pairs or not side.is_in_question(suspect, len(facts.localisation.points)):
        return None
    pair, rows = next(iter(pairs.items()))
    subject, other = side.subject(pair), side.other(pair)
    endpoint = facts.cluster.endpoint_of(subject)
    if endpoint is None or side.enforced(endpoint) is False:
        return None
    local = state_at(facts.cluster, subject)
    given = _given(local, Directory(local, whole=facts.cluster), other)
    told = managed_evidence(facts, other)
    if given is None or (told is not None and told.is_managed is False):
        return None  # what Cilium does not manage has no identity that could be stale
    own = _own(facts, other)
    denied = local.policy_verdict(endpoint.id, side.direction, given.number, policy_port(pair), pair.protocol)
    if own is None:
        if denied.allowed is not False or given.number is None or not MIN_CLUSTER <= given.number < MIN_LOCAL:
            return None
        return _untold(side, suspect, other, given)
    if not _differ(given, own):
        return None
    evidence = [given.evidence, Evidence(own.evidence.says, own.evidence.file, own.evidence.line, odds=ODDS_DIFFERENT)]
    against: list[Evidence] = []
    number = own.number if own.number is not None else _number_of(facts, own.labels)
    passed = local.policy_verdict(endpoint.id, side.direction, number, policy_port(pair), pair.protocol)
    file, line = (endpoint.file, endpoint.line) if denied.entry is None else (denied.entry.file, denied.entry.line)
    would_pass: int | None = None
    most = UNCONFIRMED
    if denied.allowed:
        against.append(Evidence(f"the identity given is let through: {denied.why}", file, line, odds=ODDS_ALLOWED))
    elif denied.allowed is False and passed.allowed and passed.entry is not None:
        says = f"{denied.why}; the pod's own identity would pass: {passed.why}"
        evidence.append(Evidence(says, passed.entry.file, passed.entry.line, odds=ODDS_FLIPPED))
        would_pass, most = rows.size, 1.0
    elif passed.allowed is False:
        against.append(Evidence(f"the pod's own identity is denied too: {passed.why}", file, line, odds=ODDS_DENIED_BOTH))
        would_pass = 0
    needs_map = denied.allowed is None and local.policy_entries(endpoint.id) is None
    return Finding(
        cause=CAUSE,
        confidence=min(most, confidence_of(PRIOR, [*evidence, *against])),
        sentence=(
            f"The {side.role}'s node took {other} for {_words(given)}, and it is {_words(own)}: policy judged the wrong identity"
        ),
        evidence=tuple(evidence),
        against=tuple(against),
        remedies=(
            Remedy(
                "Let the agent learn the address anew: see that the pod's CiliumEndpoint is right (delete it, and its node's "
                f"agent writes it again), then restart the agent on the {side.role}'s node",
                would_pass=would_pass,
                of=int(rows.size),
            ),
        ),
        collect=(f"on the {side.role}'s node: cilium bpf policy get {endpoint.id}",) if needs_map else (),
        loss=suspect.loss,
    )


def _untold(side: Side, suspect: Suspect, other: Address, given: _Identity) -> Finding:
    """Offered, not named: the identity was denied, and nobody dumped whose the address is."""
    return Finding(
        cause=CAUSE,
        confidence=min(UNTOLD, confidence_of(PRIOR, [given.evidence])),
        sentence=f"{other} may be another pod than {_words(given)}, for which the {side.role}'s node took it",
        evidence=(given.evidence,),
        collect=("kubectl get ciliumendpoints,pods -A -o yaml", f"on the node of {other}: cilium endpoint list"),
        loss=suspect.loss,
    )


def _given(cluster: ClusterState, directory: Directory, address: Address) -> _Identity | None:
    """The identity that the responder's node gives an address: by ipcache, else by a connection that it let in."""
    row = next((row for row in reversed(cluster.ipcache) if row.prefix.num_addresses == 1 and address in row.prefix), None)
    if row is not None:
        fact = Evidence(f"the ipcache row {row.prefix} gives {address} {name_of(row.identity)}", row.file, row.line)
        return _identity(directory, row.identity, fact)
    for entry in reversed(cluster.conntrack_with(address)):
        if entry.source == address and entry.direction == "IN" and entry.source_security_id:
            number = entry.source_security_id
            fact = Evidence(f"a connection from {address} was let in as {name_of(number)}", entry.file, entry.line)
            return _identity(directory, number, fact)
    return None


def _identity(directory: Directory, number: int, fact: Evidence) -> _Identity:
    guise = None if is_world(number) else directory.of_identity(number)
    return _Identity(number, guise.labels if guise is not None else None, fact)


def _own(facts: Facts, address: Address) -> _Identity | None:
    """The identity that an address's own node or the API server gives it."""
    cluster, inventory = facts.cluster, facts.cluster.kubernetes
    listed = inventory.cilium_pods.get(address)
    if listed is not None and listed.identity is not None:
        says = f"the CiliumEndpoint {listed.namespace}/{listed.name} has {address} with identity {listed.identity}"
        return _Identity(listed.identity, labels_of_texts(listed.labels), Evidence(says, listed.file, listed.line))
    endpoint = cluster.endpoint_of(address)
    if endpoint is not None and endpoint.identity is not None:
        says = f"the endpoint list has {address} as endpoint {endpoint.id} with identity {endpoint.identity}"
        return _Identity(endpoint.identity, labels_of_texts(endpoint.labels), Evidence(says, endpoint.file, endpoint.line))
    pod = inventory.pod_of(address)
    if pod is None:
        return None
    labels = labels_of_pod(pod.namespace, pod.labels, pod.service_account, inventory.namespaces.get(pod.namespace))
    words = ", ".join(f"{key}={value}" for key, value in sorted(pod.labels.items())) or "no labels"
    return _Identity(None, labels, Evidence(f"to Kubernetes {address} is the pod {pod.reference} ({words})", pod.file, pod.line))


def _differ(given: _Identity, own: _Identity) -> bool:
    """Whether two identities are surely not one."""
    if given.number is not None and own.number is not None:
        return given.number != own.number
    if given.labels is None or own.labels is None:
        return given.number is not None and is_world(given.number)
    return _of_pod(given.labels) != _of_pod(own.labels)


def _of_pod(labels: LabelSet) -> dict[str, str]:
    """The labels that a pod brings along itself, and its namespace."""
    own = "k8s:io.kubernetes.pod.namespace"
    return {
        key: value
        for key, value in labels.values.items()
        if key == own or (key.startswith("k8s:") and not key.startswith(("k8s:io.cilium.", "k8s:io.kubernetes.")))
    }


def _number_of(facts: Facts, labels: LabelSet | None) -> int | None:
    """The number of the identity with these labels; None where no dump has it, or two do."""
    if labels is None:
        return None
    listed = {identity.id: identity.labels for identity in facts.cluster.identities}
    listed.update({each.identity: each.labels for each in facts.cluster.endpoints if each.identity is not None})
    listed.update(facts.cluster.kubernetes.identities)
    found = [number for number, texts in listed.items() if _of_pod(labels_of_texts(texts)) == _of_pod(labels)]
    return found[0] if len(found) == 1 else None


def _words(identity: _Identity) -> str:
    """An identity by what tells it: its number, or its pod's labels."""
    if identity.number is not None:
        return name_of(identity.number)
    labels = _of_pod(identity.labels) if identity.labels is not None else {}
    return "the pod with " + (
        ", ".join(f"{key.partition(':')[2]}={value}" for key, value in sorted(labels.items())) or "no labels"
    )
