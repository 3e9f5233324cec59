"""Denied by ingress policy on the responder's Cilium node.

The typical case of a migration: a pod on a node that Cilium does not manage has no ipcache entry, so its packets get the identity
world (2); the policy of the pod they are for names pods, which are identities; none is world; what no rule allows is dropped
without an answer, and before a conntrack entry is made (Cilium, formats of the datapath; drop reason 133).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.health import HealthNode
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.cluster.policy import protocol_name
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.remedies import allow_remedies
from mixcni.explain.suspects import Facts, Pair, Suspect, frames_at, is_silence, pairs_of
from mixcni.schema import Direction, Fate, TcpFlag
from mixcni.topology import in_networks

CAUSE = "policy_denied_ingress"
PRIOR = 0.1  # of connection attempts that vanish silently on the last hop, before any dump is read
WORLD = 2  # Cilium's reserved identity

# Likelihood ratios, each the rough share of incidents with this cause that show the fact over the share of others that do.
ODDS_SILENCE = 2.0  # a firewall that drops, a dead route and an overloaded host are silent too
ODDS_ENFORCED = 8.0  # most pods have no policy
ODDS_DENIED = 30.0  # the map itself says so: only a map changed since then would be misleading
ODDS_DENIED_IF_WORLD = 8.0  # the map says so of world, and no dump tells that the source is world
ODDS_NO_CONNTRACK = 2.0  # what is lost on the way for any reason has no entry either
ODDS_WORLD = 2.0
ODDS_UNMANAGED = 2.0
ODDS_CONTRAST = 2.0  # others reach the same port: the pod serves, and the wire to it works
ODDS_NOT_ENFORCED = 0.01
ODDS_ALLOWED = 0.02
ODDS_CONNTRACK = 0.05
ODDS_CONNTRACK_FEW = 0.5  # for some of them alone: a port used before has left its entry
ODDS_ANSWERED_BACK = 0.1  # Cilium drops, it does not reject
UNCONFIRMED = 0.45  # at most, where no dump shows a denial: the cause is possible, and not named
WITHOUT_MAP = 0.9  # at most, where enforcement is on and nobody dumped what it admits
SHOWN_LINES = 3


@dataclass(slots=True)
class _Case:
    """The facts about one responder while they are gathered."""

    evidence: list[Evidence] = field(default_factory=list)
    against: list[Evidence] = field(default_factory=list)
    collect: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    denied: int = 0
    identity: int | None = None
    is_assumed: bool = False
    has_map: bool = True
    endpoint: Endpoint | None = None


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss of requests, or None where this cause does not come into question.

    It comes into question for connection attempts that were lost beyond a point on the way to the responder.
    """
    localisation = facts.localisation
    if suspect.direction != Direction.FORWARD or suspect.far < len(localisation.points) - 1:
        return None
    fates = localisation.fates
    rows = suspect.rows[(fates["kind"][suspect.rows] == 0) & np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.UNDECIDED))]
    if not rows.size:
        return None
    pairs = pairs_of(localisation, rows)
    pair, mine = next(iter(pairs.items()))
    case = _Case()
    _silence(case, suspect, rows, facts)
    _contrast(case, pair, facts)
    _endpoint(case, pair, suspect, facts)
    if case.endpoint is not None:
        _identity(case, pair, facts)
        if case.endpoint.ingress_enforced is not False:
            _policy_map(case, pairs, case.endpoint, facts)
    _managed(case, pair, facts)
    _conntrack(case, pair, mine, facts)
    confidence = confidence_of(PRIOR, [*case.evidence, *case.against])
    if not case.denied:
        confidence = min(confidence, UNCONFIRMED)
    elif not case.has_map:
        confidence = min(confidence, WITHOUT_MAP)
    remedies: tuple[Remedy, ...] = ()
    if case.endpoint is not None:
        remedies = allow_remedies(facts, pairs, case.endpoint, case.identity)
    return Finding(
        cause=CAUSE,
        confidence=confidence,
        sentence=_sentence(case, pair, suspect, rows, facts),
        evidence=tuple(case.evidence),
        against=tuple(case.against),
        remedies=remedies,
        collect=tuple(case.collect),
        assumptions=tuple(case.assumptions),
        loss=suspect.loss,
    )


def _sentence(case: _Case, pair: Pair, suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> str:
    target = f"{pair.responder}:{pair.port}" if pair.responder.version == 4 else f"[{pair.responder}]:{pair.port}"
    what = f"connection attempts from {pair.initiator} to {target}"
    if case.endpoint is None:
        near = facts.localisation.points[suspect.near].name
        return f"Ingress policy on the responder's node may have dropped the {what} beyond {near}; no dump of it tells"
    if not case.denied:
        return f"Ingress policy of endpoint {case.endpoint.id} does not explain why {what} vanished"
    if case.is_assumed:
        who = "the source is taken for world"
    elif case.identity == WORLD:
        who = "the source has no ipcache entry and so the identity world"
    else:
        who = f"the source has identity {case.identity}"
    count = f"{case.denied}" if case.denied == rows.size else f"{case.denied} of {rows.size}"
    return (
        f"Ingress policy of endpoint {case.endpoint.id} denied {count} {what}: enforcement is on, {who}, "
        f"and no rule {'allows it' if case.has_map else 'is known to allow it'}, so the default is to drop"
    )


def _silence(case: _Case, suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> None:
    localisation = facts.localisation
    near = localisation.points[suspect.near]
    frames = frames_at(localisation, rows, suspect.near)
    file = facts.capture_of(suspect.near)
    conversations = np.unique(localisation.fates["conversation"][rows])
    table = localisation.alignment.transmissions
    copies = int(
        (
            np.isin(table["conversation"], conversations)
            & (table["point"] == suspect.near)
            & ((table["tcp_flags"] & TcpFlag.SYN) != 0)
        ).sum()
    )
    if is_silence(localisation, rows):
        says = (
            f"{copies} SYNs of {conversations.size} connection attempts passed {near.name}, and no SYN-ACK, reset or ICMP error "
            "came back: Cilium drops and does not reject"
        )
        case.evidence.append(Evidence(says, file, frames=frames, odds=ODDS_SILENCE))
    else:
        says = "resets or ICMP errors came back, and Cilium's policy drops without an answer"
        case.against.append(Evidence(says, file, frames=frames, odds=ODDS_ANSWERED_BACK))


def _contrast(case: _Case, pair: Pair, facts: Facts) -> None:
    """Others that reached the same responder at the last point in the same capture."""
    localisation = facts.localisation
    table, fates = localisation.alignment.conversations, localisation.fates
    last = len(localisation.points) - 1
    answered = np.unique(fates["conversation"][fates["fate"] == Fate.ANSWERED])
    seen = answered[table.flow_of[answered, last] >= 0]
    to_pair = [row for row in seen.tolist() if table.book.address(int(table["responder"][row])) == pair.responder]
    if not to_pair:
        return
    sources = sorted({table.book.text(int(table["initiator"][row])) for row in to_pair})
    frames = frames_at(localisation, np.flatnonzero(np.isin(fates["conversation"], to_pair)), last, SHOWN_LINES)
    says = (
        f"in the same capture {len(to_pair)} other conversations with {pair.responder} were answered, from "
        f"{', '.join(sources[:4])}: the pod serves, and the way into it works"
    )
    case.evidence.append(Evidence(says, facts.capture_of(last), frames=frames, odds=ODDS_CONTRAST))


def _endpoint(case: _Case, pair: Pair, suspect: Suspect, facts: Facts) -> None:
    cluster = facts.cluster
    position = min(suspect.far, len(facts.localisation.points) - 1)
    node = facts.localisation.points[position].node or "the responder's node"
    endpoint = cluster.endpoint_of(pair.responder)
    if endpoint is None:
        if cluster.endpoints:
            first = cluster.endpoints[0]
            says = f"no endpoint list has {pair.responder}: the dumps are of another node, or of another time"
            case.against.append(Evidence(says, first.file, odds=1.0))
        case.collect.append(
            f"on {node}: cilium endpoint list, cilium bpf policy get ENDPOINT, cilium bpf ipcache list, cilium bpf ct list global"
        )
        return
    case.endpoint = endpoint
    if endpoint.ingress_enforced:
        says = f"endpoint {endpoint.id} has {pair.responder} and enforces policy at ingress: what no rule allows is dropped"
        case.evidence.append(Evidence(says, endpoint.file, endpoint.line, odds=ODDS_ENFORCED))
    elif endpoint.ingress_enforced is False:
        says = (
            f"endpoint {endpoint.id} has {pair.responder} and ingress enforcement {endpoint.ingress_policy}: policy drops nothing"
        )
        case.against.append(Evidence(says, endpoint.file, endpoint.line, odds=ODDS_NOT_ENFORCED))
    else:
        case.collect.append(f"on {node}: cilium endpoint list with its POLICY columns")


def _identity(case: _Case, pair: Pair, facts: Facts) -> None:
    answer = facts.cluster.identity_of(pair.initiator)
    case.identity = answer.identity
    if answer.identity is None:
        case.identity, case.is_assumed = WORLD, True
        case.assumptions.append(
            f"no dump tells the identity of {pair.initiator}: taken for world (2), as an address is that Cilium does not know"
        )
        case.collect.append("on the responder's node: cilium bpf ipcache list")
    elif answer.is_world:
        case.evidence.append(Evidence(answer.says, answer.file or "", answer.line, odds=ODDS_WORLD))
    else:
        case.evidence.append(Evidence(answer.says, answer.file or "", answer.line))


def _policy_map(case: _Case, pairs: dict[Pair, NDArray[np.int64]], endpoint: Endpoint, facts: Facts) -> None:
    cluster = facts.cluster
    entries = cluster.policy_entries(endpoint.id)
    if entries is None:
        case.denied = sum(rows.size for pair, rows in pairs.items() if cluster.endpoint_of(pair.responder) == endpoint)
        case.denied = case.denied if endpoint.ingress_enforced else 0
        if case.denied:
            case.has_map = False
            case.assumptions.append(
                f"no dump of the policy map of endpoint {endpoint.id} is there: it is taken to admit none of the lost connections"
            )
        case.collect.append(f"on the responder's node: cilium bpf policy get {endpoint.id}")
        return
    assumed = cluster.policy_map_is_assumed(endpoint.id)
    if assumed:
        case.assumptions.append(assumed)
    file, first = (entries[0].file, entries[0].line) if entries else (endpoint.file, endpoint.line)
    said = False
    for pair, rows in pairs.items():
        if cluster.endpoint_of(pair.responder) != endpoint:
            continue
        identity = cluster.identity_of(pair.initiator).identity
        verdict = cluster.policy_verdict(
            endpoint.id, "ingress", WORLD if identity is None else identity, pair.port, pair.protocol
        )
        line = verdict.entry.line if verdict.entry else first
        if verdict.allowed is False:
            case.denied += rows.size
            odds = 1.0 if said else ODDS_DENIED_IF_WORLD if identity is None else ODDS_DENIED
            said = True
            case.evidence.append(Evidence(f"policy map of endpoint {endpoint.id}: {verdict.why}", file, line, odds=odds))
        elif verdict.allowed:
            odds = ODDS_ALLOWED if rows.size * 2 > sum(r.size for r in pairs.values()) else 1.0
            case.against.append(Evidence(f"policy map of endpoint {endpoint.id}: {verdict.why}", file, line, odds=odds))
        else:
            case.against.append(Evidence(f"policy map of endpoint {endpoint.id} does not decide it: {verdict.why}", file, line))
    _allowed_rows(case, entries)


def _allowed_rows(case: _Case, entries: tuple) -> None:  # type: ignore[type-arg]
    """Say what the map does allow: the rows that a denied request did not match."""
    allowed = [entry for entry in entries if entry.ingress and not entry.deny]
    if not allowed or not case.denied:
        return
    words = "; ".join(f"{entry.peer} on {entry.ports}" for entry in allowed[:4])
    more = f" and {len(allowed) - 4} more" if len(allowed) > 4 else ""
    case.evidence.append(Evidence(f"ingress is allowed only for {words}{more}", allowed[0].file, allowed[0].line))


def _managed(case: _Case, pair: Pair, facts: Facts) -> None:
    """Whether the initiator's node is one that Cilium knows."""
    cluster = facts.cluster
    listed: list[HealthNode | CiliumNode] = [*cluster.health, *cluster.nodes]
    node = next((name for name, cidr in facts.pod_cidrs.items() if in_networks(pair.initiator, [cidr])), None)
    if not listed:
        case.collect.append("on any Cilium node: cilium-health status, or cilium node list")
        return
    names = {entry.name.rpartition("/")[2] for entry in listed}
    if node is not None and node in names:
        case.against.append(Evidence(f"node {node} of {pair.initiator} runs Cilium", listed[0].file, listed[0].line, odds=0.5))
    elif node is not None:
        which = f"{node}, the node of {pair.initiator} ({facts.pod_cidrs[node]})"
        says = f"{which}, is not among the {len(names)} nodes that Cilium knows"
        case.evidence.append(Evidence(says, listed[0].file, listed[0].line, odds=ODDS_UNMANAGED))
    else:
        cidrs = [cidr for entry in cluster.nodes for cidr in entry.pod_cidrs]
        if cidrs and not in_networks(pair.initiator, cidrs):
            first = cluster.nodes[0]
            says = f"{pair.initiator} is in no pod CIDR of the {len(cluster.nodes)} nodes that Cilium knows"
            case.evidence.append(Evidence(says, first.file, first.line, odds=ODDS_UNMANAGED))


def _conntrack(case: _Case, pair: Pair, rows: NDArray[np.int64], facts: Facts) -> None:
    cluster = facts.cluster
    if not cluster.ct and not cluster.has_complete("ct"):
        case.collect.append("on the responder's node: cilium bpf ct list global")
        return
    lost = np.unique(facts.localisation.fates["conversation"][rows]).tolist()
    entries = [entry for conversation in lost for entry in _incoming(conversation, pair, facts)]
    if entries:
        first = entries[0]
        says = f"conntrack has {len(entries)} of the {len(lost)} lost connections as incoming: they passed the policy"
        odds = ODDS_CONNTRACK if 2 * len(entries) >= len(lost) else ODDS_CONNTRACK_FEW
        case.against.append(Evidence(says, first.file, first.line, odds=odds))
        case.denied = max(case.denied - len(entries), 0)
        return
    others = [entry for entry in cluster.conntrack_with(pair.responder) if entry.destination == pair.responder]
    if not others:
        return
    first = others[0]
    sources = sorted({str(entry.source) for entry in others})
    is_whole = cluster.has_complete("ct")
    says = (
        f"conntrack{'' if is_whole else ', whose dump is not whole,'} has none of the {len(lost)} lost "
        f"{protocol_name(pair.protocol)} connections, and {len(others)} others to {pair.responder}, from "
        f"{', '.join(sources[:4])}{' and more' if len(sources) > 4 else ''}: a denied request leaves no entry"
    )
    case.evidence.append(Evidence(says, first.file, first.line, odds=ODDS_NO_CONNTRACK if is_whole else 1.0))


def _incoming(conversation: int, pair: Pair, facts: Facts) -> list[CtEntry]:
    """The conntrack entry that shows a conversation as let in, if there is one."""
    port = int(facts.localisation.alignment.conversations["initiator_port"][conversation])
    found = facts.cluster.conntrack_of(pair.initiator, port, pair.responder, pair.port, pair.protocol)
    return [entry for entry in found if entry.direction == "IN" and entry.source == pair.initiator][:1]
