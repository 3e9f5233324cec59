"""Denied by policy, at ingress on the responder's Cilium node or at egress on the initiator's: what both causes examine.

What no rule allows is dropped without an answer, and before a conntrack entry is made (Cilium, formats of the datapath; drop
reason 133). The endpoint, the identity that its node gives the other end, the policy map, the manifests and conntrack are each
asked; a denial is named only where a map or a manifest shows one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.cluster import ClusterState
from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.identities import HOST, WORLD
from mixcni.cluster.cilium.identities import is_world as is_world_identity
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.policies.directory import state_at
from mixcni.cluster.policies.rules import EGRESS, INGRESS
from mixcni.cluster.policy import protocol_name
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.managed import managed_evidence
from mixcni.explain.mapverdict import is_outside, map_verdict, service_of, who_text
from mixcni.explain.remedies import allow_remedies
from mixcni.explain.suspects import (
    Facts,
    Pair,
    Suspect,
    attempts_at,
    initiator_port_of,
    is_silence,
    pairs_of,
    policy_port,
    shown_by,
)
from mixcni.schema import Direction, ExchangeKind, Fate
from mixcni.topology import Address
from mixcni.words import listed, plural

AUDIT: Final = "Disabled (Audit)"  # policies are judged, and what they would drop is reported and let through
PRIOR = 0.1  # of connection attempts that vanish silently next to the endpoint, before any dump is read

# Likelihood ratios, each the rough share of incidents with this cause that show the fact over the share of others that do.
ODDS_SILENCE = 2.0  # a firewall that drops, a dead route and an overloaded host are silent too
ODDS_ENFORCED = 8.0  # most pods have no policy
ODDS_DENIED = 30.0  # the map itself says so: only a map changed since then would be misleading
ODDS_DENIED_IF_WORLD = 8.0  # the map says so of world, and no dump tells that the source is world
ODDS_WRITTEN = 8.0  # the manifests say so, if they are all there are
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
AS_WORLD = 0.6  # at most, where the other end is taken for world and may be a pod that is let through
SHOWN_ATTEMPTS = 3
TAKEN_FOR_WORLD: Final = "no dump tells the identity of {}: taken for world (2), as an address is that Cilium does not know"


@dataclass(frozen=True, slots=True)
class Side:
    """Which end's policy a cause is about."""

    cause: str
    direction: str

    def subject(self, pair: Pair) -> Address:
        """The end whose policy it is."""
        return pair.responder if self.direction == INGRESS else pair.initiator

    def other(self, pair: Pair) -> Address:
        """The end that its rules are about."""
        return pair.initiator if self.direction == INGRESS else pair.responder

    @property
    def role(self) -> str:
        """The subject's, in words."""
        return "responder" if self.direction == INGRESS else "initiator"

    @property
    def other_role(self) -> str:
        """What the other end is to a packet, in words."""
        return "source" if self.direction == INGRESS else "destination"

    def enforced(self, endpoint: Endpoint) -> bool | None:
        """Whether an endpoint enforces policy in this direction."""
        return endpoint.ingress_enforced if self.direction == INGRESS else endpoint.egress_enforced

    def is_in_question(self, suspect: Suspect, points: int) -> bool:
        """Whether requests were lost where this policy would drop them: beyond the last points, or behind the first."""
        if suspect.direction != Direction.FORWARD:
            return False
        return suspect.far >= points - 1 if self.direction == INGRESS else suspect.near == 0


@dataclass(slots=True)
class _Case:
    """The facts about one endpoint while they are gathered."""

    side: Side
    cluster: ClusterState
    """As the endpoint's node has it."""

    evidence: list[Evidence] = field(default_factory=list)
    against: list[Evidence] = field(default_factory=list)
    collect: list[str] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    denied: int = 0
    outside: bool = False
    """The other end is nothing that Cilium manages."""
    open_: str = ""
    """Why the map does not decide it, where it does not."""
    serves_others: bool = False
    """The responder answered others in the same capture, and this initiator nowhere in it."""
    is_guess: bool = False
    """The other end is taken for world, which nothing but its being refused tells."""
    by_rule: bool = False
    """A rule denies it, not the default."""
    identity: int | None = None
    has_map: bool = True
    endpoint: Endpoint | None = None


def examine_denial(side: Side, suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss of requests, or None where a denial on that side does not come into question.

    It comes into question for connection attempts that were lost next to the endpoint.
    """
    localisation = facts.localisation
    if not side.is_in_question(suspect, len(localisation.points)):
        return None
    fates = localisation.fates
    unanswered = np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.UNDECIDED, Fate.SILENT))
    rows = suspect.rows[(fates["kind"][suspect.rows] == ExchangeKind.HANDSHAKE) & unanswered]
    if not rows.size:
        return None
    # Policy sees the ends as the last point before it does, be they translated on the way there.
    pairs = pairs_of(localisation, rows, suspect.near)
    pair, mine = next(iter(pairs.items()))
    own = managed_evidence(facts, side.subject(pair))
    if own is not None and own.is_managed is False and endpoint_at(facts.cluster, side.subject(pair)) is None:
        return None  # Cilium enforces nothing there
    case = _Case(side, state_at(facts.cluster, side.subject(pair)), outside=is_outside(facts, side.other(pair)))
    _silence(case, suspect, rows, facts)
    _translation(case, pair, mine, suspect, facts)
    if side.direction == INGRESS:
        _contrast(case, pair, facts)
    _endpoint(case, pair, suspect, facts)
    if case.endpoint is not None:
        _identity(case, pair)
        if side.enforced(case.endpoint) is not False:
            _policy_map(case, pairs, case.endpoint, facts)
            _manifests(case, pairs, facts)
    _managed(case, pair, facts)
    _conntrack(case, pair, mine, suspect.near, facts)
    confidence = confidence_of(PRIOR, [*case.evidence, *case.against])
    if not case.denied:
        confidence = min(confidence, UNCONFIRMED)
    elif not case.has_map or case.is_guess:
        confidence = min(confidence, WITHOUT_MAP if not case.is_guess else AS_WORLD)
    remedies: tuple[Remedy, ...] = ()
    if case.endpoint is not None and case.endpoint.identity != HOST:
        remedies = allow_remedies(facts, pairs, case.endpoint, case.identity, side.direction)
    return Finding(
        cause=side.cause,
        confidence=confidence,
        sentence=_sentence(case, pairs, suspect, rows, facts),
        evidence=tuple(case.evidence),
        against=tuple(case.against),
        remedies=remedies,
        collect=tuple(case.collect),
        assumptions=tuple(case.assumptions),
        loss=suspect.loss,
    )


def endpoint_at(cluster: ClusterState, address: Address) -> Endpoint | None:
    """The endpoint with an address, be it the node itself, on which host policies are enforced."""
    return cluster.endpoint_of(address) or cluster.host_endpoint_of(address)


def _sentence(case: _Case, pairs: Collection[Pair], suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> str:
    initiators = listed(sorted({str(pair.initiator) for pair in pairs}))
    what = f"connection attempts from {initiators} to {listed(sorted({_target(pair) for pair in pairs}))}"
    policy = f"{case.side.direction.capitalize()} policy"
    if case.endpoint is None:
        near = facts.localisation.points[suspect.near].name
        return f"{policy} on the {case.side.role}'s node may have dropped the {what} beyond {near}; no dump of it tells"
    endpoint = f"{policy} of endpoint {case.endpoint.id}"
    if not case.denied and (case.open_ or not case.has_map):
        why = case.open_ or "no dump of its policy map is there, and no dump shows that no rule could allow it"
        return f"{endpoint} may have denied {what}: {why}"
    if not case.denied:
        return f"{endpoint} does not explain why {what} vanished"
    side = case.side
    pair, outside = next(iter(pairs)), case.outside or case.is_guess
    who = who_text(case.cluster, side.direction, pair, side.other(pair), side.other_role, outside=outside)
    count = f"{case.denied}" if case.denied == rows.size else f"{case.denied} of {rows.size}"
    rules = "no rule allows it" if case.has_map else "no rule is known to allow it"
    how = "and a rule denies it" if case.by_rule else f"and {rules}, so the default is to drop"
    return f"{endpoint} denied {count} {what}: enforcement is on, {who}, {how}"


def _target(pair: Pair) -> str:
    return f"{pair.responder}:{pair.port}" if pair.responder.version == 4 else f"[{pair.responder}]:{pair.port}"


def _silence(case: _Case, suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> None:
    localisation = facts.localisation
    near = localisation.points[suspect.near]
    attempts = attempts_at(localisation, rows, suspect.near)
    conversations = np.unique(localisation.fates["conversation"][rows])
    if is_silence(localisation, rows):
        says = (
            f"{attempts.size} SYNs of {conversations.size} connection attempts passed {near.name}, and no SYN-ACK, reset or ICMP "
            "error came back: Cilium drops and does not reject"
        )
        case.evidence.append(shown_by(facts, says, suspect.near, attempts, odds=ODDS_SILENCE))
    else:
        says = "resets or ICMP errors came back, and Cilium's policy drops without an answer"
        case.against.append(shown_by(facts, says, suspect.near, attempts, odds=ODDS_ANSWERED_BACK))


def _translation(case: _Case, pair: Pair, rows: NDArray[np.int64], suspect: Suspect, facts: Facts) -> None:
    """That the initiator called, or was, somebody else before a translation."""
    before = next(iter(pairs_of(facts.localisation, rows)))
    if before != pair:
        near = facts.localisation.points[suspect.near].name
        ends = [f"from {each.initiator} to {each.responder}:{each.port}" for each in (before, pair)]
        says = f"what was sent {ends[0]} is {ends[1]}"
        attempts = attempts_at(facts.localisation, rows, suspect.near)
        case.evidence.append(shown_by(facts, f"{says} at {near}: that is what policy sees", suspect.near, attempts))


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
    arrived = {table.book.text(int(code)) for code in table.ends.initiator[to_pair, last].tolist()}
    case.serves_others = str(pair.initiator) not in arrived.union(sources)
    attempts = attempts_at(localisation, np.flatnonzero(np.isin(fates["conversation"], to_pair)), last)
    says = (
        f"in the same capture {plural(len(to_pair), 'other conversation')} with {pair.responder} "
        f"{'was' if len(to_pair) == 1 else 'were'} answered, from "
        f"{', '.join(sources[:4])}: the pod serves, and the way into it works"
    )
    case.evidence.append(shown_by(facts, says, last, attempts[:SHOWN_ATTEMPTS], odds=ODDS_CONTRAST, of=attempts.size))


def _endpoint(case: _Case, pair: Pair, suspect: Suspect, facts: Facts) -> None:
    cluster, side = case.cluster, case.side
    position = min(suspect.far, len(facts.localisation.points) - 1) if side.direction == INGRESS else 0
    node = facts.localisation.points[position].node or f"the {side.role}'s node"
    address = side.subject(pair)
    endpoint = endpoint_at(cluster, address)
    if endpoint is None:
        if cluster.endpoints:
            first = cluster.endpoints[0]
            says = f"no endpoint list has {address}: the dumps are of another node, or of another time"
            case.against.append(Evidence(says, first.file, odds=1.0))
        case.collect.append(
            f"on {node}: cilium endpoint list, cilium bpf policy get ENDPOINT, cilium bpf ipcache list, cilium bpf ct list global"
        )
        return
    case.endpoint = endpoint
    enforced, word = side.enforced(endpoint), endpoint.ingress_policy if side.direction == INGRESS else endpoint.egress_policy
    if enforced:
        says = f"endpoint {endpoint.id} has {address} and enforces policy at {side.direction}: what no rule allows is dropped"
        case.evidence.append(Evidence(says, endpoint.file, endpoint.line, odds=ODDS_ENFORCED))
    elif enforced is False:
        says = f"endpoint {endpoint.id} has {address} and {side.direction} enforcement {word}: policy drops nothing"
        if word == AUDIT:
            says += ", it only reports what it would have dropped"
        case.against.append(Evidence(says, endpoint.file, endpoint.line, odds=ODDS_NOT_ENFORCED))
    else:
        case.collect.append(f"on {node}: cilium endpoint list with its POLICY columns")


def _identity(case: _Case, pair: Pair) -> None:
    side, other = case.side, case.side.other(pair)
    service = service_of(case.cluster, pair) if side.direction == EGRESS else None
    if service is not None:
        case.evidence.append(service.evidence)
        identities = {case.cluster.identity_of(address).identity for address, _ in service.backends}
        case.identity = identities.pop() if len(identities) == 1 else None
        return
    answer = case.cluster.identity_of(other)
    case.identity = answer.identity
    if answer.identity is None:
        case.collect.append(f"on the {side.role}'s node: cilium bpf ipcache list")
        if case.outside:
            case.assumptions.append(TAKEN_FOR_WORLD.format(other))
        return
    case.evidence.append(Evidence(answer.says, answer.file or "", answer.line, odds=ODDS_WORLD if answer.is_world else 1.0))
    if side.direction == EGRESS and answer.is_world and not case.cluster.has_complete("services"):
        case.assumptions.append(f"{other} is no service's address, of which no list is there")
        case.collect.append(f"on the {side.role}'s node: cilium service list")


def _policy_map(case: _Case, pairs: dict[Pair, NDArray[np.int64]], endpoint: Endpoint, facts: Facts) -> None:
    cluster, side = case.cluster, case.side
    own = {pair: rows for pair, rows in pairs.items() if endpoint_at(cluster, side.subject(pair)) == endpoint}
    entries = cluster.policy_entries(endpoint.id)
    if entries is None:
        _without_map(case, own, endpoint)
        return
    assumed = cluster.policy_map_is_assumed(endpoint.id)
    if assumed:
        case.assumptions.append(assumed)
    file, first = (entries[0].file, entries[0].line) if entries else (endpoint.file, endpoint.line)
    said = False
    for pair, rows in own.items():
        other = side.other(pair)
        outside = is_outside(facts, other)
        verdict = map_verdict(cluster, endpoint.id, side.direction, pair, other, outside=outside)
        if verdict.allowed is None and _is_like_world(case, pair, facts):
            verdict = cluster.policy_verdict(endpoint.id, side.direction, WORLD, policy_port(pair), pair.protocol)
            case.is_guess = outside = True
        line = verdict.entry.line if verdict.entry else first
        if verdict.allowed is False:
            case.denied += rows.size
            case.by_rule = verdict.entry is not None
            is_taken = outside and cluster.identity_of(other).identity is None
            odds = 1.0 if said else ODDS_DENIED_IF_WORLD if is_taken else ODDS_DENIED
            said = True
            case.evidence.append(Evidence(f"policy map of endpoint {endpoint.id}: {verdict.why}", file, line, odds=odds))
        elif verdict.allowed:
            odds = ODDS_ALLOWED if rows.size * 2 > sum(r.size for r in pairs.values()) else 1.0
            case.against.append(Evidence(f"policy map of endpoint {endpoint.id}: {verdict.why}", file, line, odds=odds))
        else:
            case.open_ = case.open_ or verdict.why
            case.against.append(Evidence(f"policy map of endpoint {endpoint.id} does not decide it: {verdict.why}", file, line))
    _allowed_rows(case, entries)


def _is_like_world(case: _Case, pair: Pair, facts: Facts) -> bool:
    """Whether an end of which no dump tells fares as world does: the pod answers others, and it was never let in."""
    other = case.side.other(pair)
    told = managed_evidence(facts, other)
    if not case.serves_others or case.cluster.identity_of(other).identity is not None or (told is not None and told.is_managed):
        return False
    case.assumptions.append(TAKEN_FOR_WORLD.format(other))
    return True


def _without_map(case: _Case, own: dict[Pair, NDArray[np.int64]], endpoint: Endpoint) -> None:
    """Nobody dumped what an endpoint admits: of what Cilium manages it may be anything, of the rest it is taken to be nothing."""
    case.has_map = False
    case.collect.append(f"on the {case.side.role}'s node: cilium bpf policy get {endpoint.id}")
    is_world = case.identity is not None and is_world_identity(case.identity)
    if case.side.enforced(endpoint) and (case.outside or is_world):
        case.denied = sum(rows.size for rows in own.values())
        case.assumptions.append(
            f"no dump of the policy map of endpoint {endpoint.id} is there: it is taken to admit none of the lost connections"
        )


def _manifests(case: _Case, pairs: dict[Pair, NDArray[np.int64]], facts: Facts) -> None:
    """What the policies say as they are written: they stand in for a missing map, and are held against one that is there."""
    engine = facts.policies
    if not engine.policies:
        return
    pair = next(iter(pairs))
    flow = engine.flow(pair.initiator, pair.responder, pair.protocol, policy_port(pair))
    found = engine.judge_direction(case.side.direction, flow)
    if found.allowed and found.policy is None:
        case.collect.append("kubectl get networkpolicies,ciliumnetworkpolicies,ciliumclusterwidenetworkpolicies -A -o yaml")
    elif found.allowed is False:
        odds = 1.0 if case.has_map else ODDS_WRITTEN
        case.denied = case.denied if case.has_map else max(case.denied, int(pairs[pair].size))
        case.evidence.append(Evidence(f"the policies as they are written: {found.why}", found.file, found.line, odds=odds))
    elif found.allowed and case.denied and case.has_map:
        says = f"the policies as they are written would allow it, so the map is of another time or misses a rule: {found.why}"
        case.against.append(Evidence(says, found.file, found.line))
    elif found.allowed:
        case.denied = 0
        says = f"the policies as they are written allow it: {found.why}"
        case.against.append(Evidence(says, found.file, found.line, odds=ODDS_ALLOWED))
    else:
        case.against.append(Evidence(f"the policies as they are written do not decide it: {found.why}", found.file, found.line))


def _allowed_rows(case: _Case, entries: tuple[PolicyEntry, ...]) -> None:
    """Say what the map does allow: the rows that a denied request did not match."""
    allowed = [entry for entry in entries if entry.direction == case.side.direction and not entry.deny]
    if not allowed or not case.denied:
        return
    words = "; ".join(f"{entry.peer} on {entry.ports}" for entry in allowed[:4])
    more = f" and {len(allowed) - 4} more" if len(allowed) > 4 else ""
    case.evidence.append(Evidence(f"{case.side.direction} is allowed only for {words}{more}", allowed[0].file, allowed[0].line))


def _managed(case: _Case, pair: Pair, facts: Facts) -> None:
    """Whether the other end's node is one that Cilium knows."""
    told = managed_evidence(facts, case.side.other(pair))
    if told is None:
        case.collect.append("on any Cilium node: cilium-health status, or cilium node list")
    elif told.is_managed:
        case.against.append(replace(told.evidence, odds=0.5))
    elif told.is_managed is False:
        case.evidence.append(replace(told.evidence, odds=ODDS_UNMANAGED))


def _conntrack(case: _Case, pair: Pair, rows: NDArray[np.int64], seen_by: int, facts: Facts) -> None:
    cluster, side = case.cluster, case.side
    if not cluster.ct and not cluster.has_complete("ct"):
        if case.endpoint is not None:  # else it is among what that node is asked for
            case.collect.append(f"on the {side.role}'s node: cilium bpf ct list global")
        return
    lost = np.unique(facts.localisation.fates["conversation"][rows]).tolist()
    entries = [entry for conversation in lost for entry in _let_through(case, conversation, pair, seen_by, facts)]
    way = "incoming" if side.direction == INGRESS else "outgoing"
    if entries:
        first = entries[0]
        says = f"conntrack has {len(entries)} of the {len(lost)} lost connections as {way}: they passed the policy"
        odds = ODDS_CONNTRACK if 2 * len(entries) >= len(lost) else ODDS_CONNTRACK_FEW
        case.against.append(Evidence(says, first.file, first.line, odds=odds))
        case.denied = max(case.denied - len(entries), 0)
        return
    address = side.subject(pair)
    others = [entry for entry in cluster.conntrack_with(address) if address == _end(side, entry)]
    if not others:
        return
    first = others[0]
    peers = sorted({str(entry.source if side.direction == INGRESS else entry.destination) for entry in others})
    is_whole = cluster.has_complete("ct")
    from_to = ("to", "from") if side.direction == INGRESS else ("from", "to")
    says = (
        f"conntrack{'' if is_whole else ', whose dump is not whole,'} has none of the {len(lost)} lost "
        f"{protocol_name(pair.protocol)} connections, and {len(others)} others {from_to[0]} {address}, {from_to[1]} "
        f"{', '.join(peers[:4])}{' and more' if len(peers) > 4 else ''}: a denied request leaves no entry"
    )
    case.evidence.append(Evidence(says, first.file, first.line, odds=ODDS_NO_CONNTRACK if is_whole else 1.0))


def _end(side: Side, entry: CtEntry) -> Address | None:
    return entry.destination if side.direction == INGRESS else entry.source


def _let_through(case: _Case, conversation: int, pair: Pair, seen_by: int, facts: Facts) -> list[CtEntry]:
    """The conntrack entry that shows a conversation as let through, if there is one."""
    port = initiator_port_of(facts.localisation, conversation, seen_by)
    found = case.cluster.conntrack_of(pair.initiator, port, pair.responder, pair.port, pair.protocol)
    wanted = "IN" if case.side.direction == INGRESS else "OUT"
    return [entry for entry in found if entry.direction == wanted and entry.source == pair.initiator][:1]
