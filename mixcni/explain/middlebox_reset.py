"""Reset by something on the way: a reset in the responder's name that the responder did not send.

Firewalls that reject, load balancers and proxies that forgot a connection, and inspection that dislikes its content answer so.
What proves it is a point on the far side that watched and has no such reset; what the reset is like (TTL, identification,
hardware address) supports it. Beyond the last point only the latter is there, and names nobody.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.refusals import (
    Heard,
    away_text,
    hardware_senders,
    origins_of,
    reasons_text,
    resets_at,
    responders_packets,
    routers_passed,
    ttls,
)
from mixcni.explain.suspects import Facts, Suspect, ends_text, exchanges_text, pairs_of, shown_by
from mixcni.localise.atoms import NEVER
from mixcni.localise.fates import RTO_NS
from mixcni.schema import Direction, Fate, Reason
from mixcni.words import listed, plural

CAUSE: Final = "middlebox_reset"
PRIOR: Final = 0.2  # of refused requests: most are refused by the responder itself
MOST: Final = 0.9  # at most: a cause that says why it was reset stands before the bare fact
UNCONFIRMED: Final = 0.45  # at most, where no point beyond watched
MOST_ODDS_PLACE: Final = 100.0  # a point beyond watched and has none of the resets, by its miss rate
ODDS_FOREIGN: Final = 20.0  # hosts do not change their TTL, nor send on behind a reset
ODDS_OWN: Final = 0.1
ODDS_TTL: Final = 5.0  # against the responder's segments in other connections, which may take another path
ODDS_FEW: Final = 0.3  # of the loss, that a minority was reset
IDLE_NS: Final = 30_000_000_000  # the shortest idle timeouts of load balancers and NATs in use are of this order


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss, or None where no reset came back from its hop."""
    localisation = facts.localisation
    if suspect.loss is None or suspect.far >= len(localisation.points):
        return None
    heard = _from_hop(suspect, facts)
    if not heard.packets.size:
        return None
    fates = localisation.fates
    rows = suspect.rows[np.isin(fates["conversation"][suspect.rows], heard.conversation)]
    near, far = (localisation.points[position].name for position in (suspect.near, suspect.far))
    doubt = max(1 - float(np.nanmax(fates["hop_confidence"][rows])), 1 / MOST_ODDS_PLACE)
    count = plural(heard.packets.size, "reset")
    says = f"{count} in the responder's name came back at {near}, and {far}, which watched, has none of them"
    evidence = [_cited(facts, heard, says, (1 - doubt) / doubt)]
    against: list[Evidence] = []
    _sort(_appearance(facts, heard), evidence, against)
    if rows.size * 2 < suspect.rows.size:
        others = suspect.rows.size - rows.size
        says = f"to {others} of the {suspect.rows.size} that failed between {near} and {far} no reset came back"
        against.append(Evidence(says, facts.capture_of(suspect.near), odds=ODDS_FEW))
    idle = _idle(facts, rows, suspect.near)
    if idle is not None:
        evidence.append(idle)
    what = f"{exchanges_text(localisation, rows)} {ends_text(localisation, rows)}"
    confidence = confidence_of(PRIOR, [*evidence, *against])
    return Finding(
        cause=CAUSE,
        confidence=min(confidence, MOST),
        sentence=(f"Something between {near} and {far} reset {what} in the responder's name{_distance(facts, heard)}"),
        evidence=tuple(evidence),
        against=tuple(against),
        remedies=(_remedy(near, far, idle is not None),),
        collect=(
            _where_to_look(facts, suspect.near, suspect.far),
            f"a capture between {near} and {far}, with link-layer headers: whose hardware address the resets have",
        ),
        loss=suspect.loss,
    )


def examine_beyond(facts: Facts) -> Finding | None:
    """The finding for requests refused as if by the responder, where the resets are unlike it, or nothing can tell."""
    localisation = facts.localisation
    rows = refused_by_reset(facts)
    heard = _heard_last(facts, rows)
    if heard is None:
        return None
    point = localisation.points[heard.position]
    looks = _appearance(facts, heard)
    evidence = [fact for fact in looks if fact.odds > 1]
    unknown = not looks and point.kind is not None and point.kind.lies_on_the_way
    if point.kind is not None and point.kind.is_pods_own:
        return None  # what leaves the responder's own pod is the responder's
    if not evidence and not unknown:
        return None
    against = [fact for fact in looks if fact.odds < 1]
    count = plural(heard.packets.size, "reset")
    says = f"{count} in the responder's name came back at {point.name}, behind which nobody watched"
    evidence.insert(0, _cited(facts, heard, says, 1.0))
    pair = next(iter(pairs_of(localisation, rows)))
    what = f"{exchanges_text(localisation, rows)} {ends_text(localisation, rows)}"
    return Finding(
        cause=CAUSE,
        confidence=min(confidence_of(PRIOR, [*evidence, *against]), UNCONFIRMED),
        sentence=(f"Something behind {point.name} may have reset {what} in the responder's name{_distance(facts, heard)}"),
        evidence=tuple(evidence),
        against=tuple(against),
        collect=(
            f"a capture in the pod of {pair.responder}: whether the resets leave it",
            _where_to_look(facts, heard.position, heard.position),
        ),
    )


def refused_by_reset(facts: Facts) -> NDArray[np.int64]:
    """Rows of the fate table: requests that a reset ended, and nothing says that the responder did not send it."""
    fates, refusals = facts.localisation.fates, facts.localisation.refusals
    rows = np.flatnonzero((fates["fate"] == Fate.REFUSED) & (fates["reason"] == Reason.BY_RESPONDER))
    reset_ns, icmp_ns = (times[fates["conversation"][rows]] for times in (refusals.reset_ns, refusals.icmp_ns))
    return np.asarray(rows[(reset_ns >= 0).any(axis=1) & (icmp_ns < 0).all(axis=1)])


def look_foreign(facts: Facts, rows: NDArray[np.int64]) -> bool:
    """Whether the resets of most of these requests look as if the responder had not sent them."""
    heard = _heard_last(facts, rows)
    return heard is not None and 2 * origins_of(facts, heard)[0] > heard.packets.size


def _heard_last(facts: Facts, rows: NDArray[np.int64]) -> Heard | None:
    """The resets of these requests at the point nearest the responder that heard any."""
    if not rows.size:
        return None
    conversations = np.unique(facts.localisation.fates["conversation"][rows])
    heard = (facts.localisation.refusals.reset_ns[conversations] >= 0).any(axis=0)
    return resets_at(facts, int(np.flatnonzero(heard)[-1]), conversations)


def _from_hop(suspect: Suspect, facts: Facts) -> Heard:
    """The resets at a hop's near point in conversations of which no point beyond it saw any."""
    localisation = facts.localisation
    fates, refusals = localisation.fates, localisation.refusals
    rows = suspect.rows
    if suspect.direction == Direction.FORWARD:
        rows = rows[(fates["fate"][rows] == Fate.REFUSED) & (fates["reason"][rows] == Reason.BY_RESET)]
    conversations = np.unique(fates["conversation"][rows]).astype(np.int64)
    saw = refusals.reset_ns[conversations] >= 0
    heard = resets_at(facts, suspect.near, conversations[saw[:, suspect.near] & ~saw[:, suspect.far :].any(axis=1)])
    return heard if suspect.direction == Direction.FORWARD else heard.of(_reset_first(heard, rows, facts))


def _reset_first(heard: Heard, rows: NDArray[np.int64], facts: Facts) -> NDArray[np.int64]:
    """The conversations whose reset came before the lost response was to be repeated: others were lost first."""
    alignment, fates = facts.localisation.alignment, facts.localisation.fates
    count = len(alignment.conversations)
    begins, sent_ns, reset_ns = np.zeros(count, dtype=np.int64), *np.full((2, count), NEVER)
    begins[fates["conversation"][rows]] = fates["response_start"][rows]
    np.minimum.at(reset_ns, heard.conversation, alignment.times[heard.position][heard.packets])
    table = alignment.transmissions
    start, conversation = begins[table["conversation"]], table["conversation"]
    response = (table["direction"] == Direction.REVERSE) & (table["start"] <= start)
    response &= table["end"] > start
    np.minimum.at(sent_ns, conversation[response], table["time_ns"][response])
    mine = np.unique(heard.conversation)
    return np.asarray(mine[reset_ns[mine] - RTO_NS <= sent_ns[mine]])


def _appearance(facts: Facts, heard: Heard) -> list[Evidence]:
    """What the resets are like beside the responder's segments in the same connection, and in others."""
    found: list[Evidence] = []
    foreign, own, reasons = origins_of(facts, heard)
    if foreign * 2 > heard.packets.size:
        says = f"{foreign} of them are not like the responder's segments: {reasons_text(reasons)}"
        found.append(_cited(facts, heard, says, ODDS_FOREIGN))
    elif own * 2 > heard.packets.size:
        says = f"{own} of them are like the responder's segments in their connections, by TTL or IP identification"
        found.append(_cited(facts, heard, says, ODDS_OWN))
    others = responders_packets(facts, heard)
    mine, theirs = ttls(facts, heard.position, heard.packets), ttls(facts, heard.position, others)
    if theirs and not foreign and not own:
        says = f"they have TTL {_numbers(mine)}, the responder's segments in other connections {_numbers(theirs)}"
        apart = min(abs(a - b) for a in mine for b in theirs)
        found.append(_cited(facts, heard, says, ODDS_TTL if apart else 1.0))
    senders, usual = (hardware_senders(facts, heard.position, packets) for packets in (heard.packets, others))
    if senders and usual:
        same = "the same as" if set(senders) <= set(usual) else "and not"
        says = f"they came from the neighbour {listed(senders)}, {same} the responder's segments in the capture"
        if same == "and not":
            says += f", which came from {listed(usual)}"
        found.append(_cited(facts, heard, says, 1.0))
    return found


def _sort(facts: list[Evidence], evidence: list[Evidence], against: list[Evidence]) -> None:
    for fact in facts:
        (against if fact.odds < 1 else evidence).append(fact)


def _cited(facts: Facts, heard: Heard, says: str, odds: float) -> Evidence:
    return shown_by(facts, says, heard.position, heard.packets, odds=odds)


def _idle(facts: Facts, rows: NDArray[np.int64], near: int) -> Evidence | None:
    """That the connections had been silent for long before the requests that were reset."""
    localisation = facts.localisation
    table, fates = localisation.alignment.transmissions, localisation.fates
    count = len(localisation.alignment.conversations)
    begins, asked_ns, before_ns = np.zeros(count, dtype=np.int64), np.full(count, NEVER), np.full(count, -1)
    conversations = np.unique(fates["conversation"][rows])
    begins[fates["conversation"][rows]] = fates["request_start"][rows]
    here = np.flatnonzero((table["point"] == near) & np.isin(table["conversation"], conversations))
    conversation, times = table["conversation"][here], table["time_ns"][here]
    asks = (table["direction"][here] == Direction.FORWARD) & (table["end"][here] > begins[conversation])
    np.minimum.at(asked_ns, conversation[asks], times[asks])
    earlier = times < asked_ns[conversation]
    np.maximum.at(before_ns, conversation[earlier], times[earlier])
    known = conversations[(asked_ns[conversations] != NEVER) & (before_ns[conversations] >= 0)]
    gaps = asked_ns[known] - before_ns[known]
    idle = known[gaps >= IDLE_NS]
    if idle.size * 2 <= conversations.size:
        return None
    first = asks & np.isin(conversation, idle) & (times == asked_ns[conversation])
    shortest = gaps[gaps >= IDLE_NS].min() / 1e9
    says = f"{plural(idle.size, 'connection')} had been silent for {shortest:.0f} s or longer before the request that was reset"
    return shown_by(facts, says, near, table["packet"][here[first]])


def _distance(facts: Facts, heard: Heard) -> str:
    """How far away the resets' sender is, where they all say the same."""
    found = {routers_passed(ttl) for ttl in ttls(facts, heard.position, heard.packets)}
    name = facts.localisation.points[heard.position].name
    return f", {away_text(found.pop())} from {name} by the TTL" if len(found) == 1 else ""


def _remedy(near: str, far: str, is_idle: bool) -> Remedy:
    if is_idle:
        return Remedy(
            f"Keep what stands between {near} and {far} from forgetting idle connections: TCP keepalives, or an idle timeout "
            "in the callers' pools, shorter than its own"
        )
    return Remedy(
        f"Find what resets between {near} and {far} (a firewall's reject rule, a load balancer, a proxy, inspection of content) "
        "and let it pass these connections"
    )


def _where_to_look(facts: Facts, near: int, far: int) -> str:
    nodes = dict.fromkeys(node for position in (near, far) if (node := facts.localisation.points[position].node))
    where = f"on {listed(list(nodes))}" if nodes else "on the nodes between"
    return f"{where}: nft list ruleset, or iptables-save -c, for rules that reject with tcp-reset and whose counters rise"


def _numbers(values: list[int]) -> str:
    return listed([str(value) for value in values])
