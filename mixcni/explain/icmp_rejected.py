"""Rejected with an ICMP error: a router or firewall on the way said that it would not forward, and why.

The error's type and code say what was wrong there (RFC 792, RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). Senders limit the
rate of their errors (RFC 1812 section 4.3.2.8), so that of many attempts that one rule refuses only some are answered. An error
from the responder's own address is the responder's, where no point beyond watched.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.refusals import Heard, away_text, errors_at, routers_passed, ttls
from mixcni.explain.suspects import Facts, Pair, Suspect, attempts_at, ends_text, exchanges_text, pairs_of, shown_by
from mixcni.localise.fates import RTO_NS
from mixcni.schema import Direction, ExchangeKind, Fate, Reason, TcpFlag
from mixcni.topology import Address
from mixcni.words import plural

CAUSE: Final = "icmp_rejected"
PRIOR: Final = 0.2  # of refused requests, as for resets from the way
MOST: Final = 0.9  # at most: a cause that says why it was rejected stands before the bare fact
UNCONFIRMED: Final = 0.45  # at most, where no error was captured
ODDS_SAID: Final = 100.0  # the error quotes the very request
ODDS_OTHERS_SILENT: Final = 0.5  # most got no error: rate limits do that, and another cause beside it does
ODDS_ONE_SYN: Final = 3.0  # callers stop after one SYN when they are told, or when their patience is shorter than a second
FEWEST: Final = 3  # attempts that stopped after one SYN

ICMP, ICMPV6 = 1, 58
NO_ROUTE = "there is no route to that address", "See the routes of {router}: whether the node's pod network is announced to it"
NO_NEIGHBOUR = (
    "the last router gets no answer to ARP or neighbour discovery for it, or has no route",
    "See whether {responder} still exists, and on {router} ip route get {responder} and ip neigh show {responder}",
)
PROHIBITED = "a filter forbids it", "Find the filter on {router} and let it pass these connections"
NO_PORT = (
    "nothing takes that port, as a filter's reject rule says too, and kube-proxy's for a service without endpoints",
    "On {router}: iptables-save or nft list ruleset, and the endpoints of the service if {responder} is one's address",
)
EXPIRED = (
    "it was forwarded in a circle, or over too many routers",
    "Follow the routes to {responder} from {router}: two of them point at each other",
)
OTHER = "it cannot be delivered so", "See what {router} says of it"
MEANINGS: Final = {
    (ICMP, 3, 0): ("network unreachable", NO_ROUTE),
    (ICMP, 3, 1): ("host unreachable", NO_NEIGHBOUR),
    (ICMP, 3, 2): ("protocol unreachable", OTHER),
    (ICMP, 3, 3): ("port unreachable", NO_PORT),
    (ICMP, 3, 9): ("network administratively prohibited", PROHIBITED),
    (ICMP, 3, 10): ("host administratively prohibited", PROHIBITED),
    (ICMP, 3, 13): ("communication administratively prohibited", PROHIBITED),
    (ICMP, 11, 0): ("time to live exceeded", EXPIRED),
    (ICMPV6, 1, 0): ("no route to destination", NO_ROUTE),
    (ICMPV6, 1, 1): ("communication administratively prohibited", PROHIBITED),
    (ICMPV6, 1, 3): ("address unreachable", NO_NEIGHBOUR),
    (ICMPV6, 1, 4): ("port unreachable", NO_PORT),
    (ICMPV6, 1, 5): ("source address failed ingress or egress policy", PROHIBITED),
    (ICMPV6, 1, 6): ("reject route to destination", NO_ROUTE),
    (ICMPV6, 3, 0): ("hop limit exceeded", EXPIRED),
}
"""What an error is called, what it means, and where to look, by protocol, type and code."""


@dataclass(frozen=True, slots=True)
class _Said:
    """The errors of one sender that say the same: (protocol, type, code)."""

    router: Address
    message: tuple[int, int, int]
    packets: NDArray[np.int64]

    @property
    def name(self) -> str:
        """The error in words, with type and code."""
        _, kind, code = self.message
        known = MEANINGS.get(self.message)
        return f"{known[0]} (type {kind}, code {code})" if known else f"type {kind}, code {code}"


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss of requests, or None where no ICMP error refused them, and none may have been left out."""
    localisation = facts.localisation
    if suspect.direction != Direction.FORWARD or suspect.loss is None or suspect.far >= len(localisation.points):
        return None
    fates = localisation.fates
    rows = suspect.rows[(fates["fate"][suspect.rows] == Fate.REFUSED) & (fates["reason"][suspect.rows] == Reason.BY_ICMP)]
    heard = _heard(facts, rows, suspect.far)
    if heard is None:
        return _possible(suspect, facts)
    near, far = (localisation.points[position].name for position in (suspect.near, suspect.far))
    against: list[Evidence] = []
    evidence = _evidence(facts, heard)
    others = suspect.rows.size - rows.size
    if others:
        says = f"{others} of the {suspect.rows.size} that failed between {near} and {far} got no error: senders limit their rate"
        fact = Evidence(says, facts.capture_of(suspect.near), odds=ODDS_OTHERS_SILENT if others > rows.size else 1.0)
        (against if fact.odds < 1 else evidence).append(fact)
    pair = next(iter(pairs_of(localisation, rows)))
    main = _said(facts, heard)[0]
    return Finding(
        cause=CAUSE,
        confidence=min(confidence_of(PRIOR, [*evidence, *against]), MOST),
        sentence=(
            f"{main.router} refused {exchanges_text(localisation, rows)} {ends_text(localisation, rows)} between {near} and "
            f"{far} with the ICMP error {main.name}: {_meaning(main)}"
        ),
        evidence=tuple(evidence),
        against=tuple(against),
        remedies=(_remedy(main, pair),),
        collect=_collect(facts, main, pair),
        loss=suspect.loss,
    )


def examine_beyond(facts: Facts) -> Finding | None:
    """The finding for requests that were refused behind the last point that watched, by another than the responder."""
    rows = refused_by_others(facts)
    heard = _heard(facts, rows, len(facts.localisation.points))
    if heard is None:
        return None
    pair = next(iter(pairs_of(facts.localisation, rows)))
    main = _said(facts, heard)[0]
    name = facts.localisation.points[heard.position].name
    evidence = _evidence(facts, heard)
    return Finding(
        cause=CAUSE,
        confidence=min(confidence_of(PRIOR, evidence), MOST),
        sentence=(
            f"{main.router} refused {exchanges_text(facts.localisation, rows)} {ends_text(facts.localisation, rows)} behind "
            f"{name} with the ICMP error {main.name}: {_meaning(main)}"
        ),
        evidence=tuple(evidence),
        remedies=(_remedy(main, pair),),
        collect=_collect(facts, main, pair),
    )


def refused_by_others(facts: Facts) -> NDArray[np.int64]:
    """Rows of the fate table: requests refused beyond the points by ICMP errors that do not have the responder's address."""
    localisation = facts.localisation
    fates, refusals = localisation.fates, localisation.refusals
    rows = np.flatnonzero((fates["fate"] == Fate.REFUSED) & (fates["reason"] == Reason.BY_RESPONDER))
    table = localisation.alignment.conversations
    kept = []
    for row in rows.tolist():
        conversation = int(fates["conversation"][row])
        position = int(np.flatnonzero(refusals.icmp_packet[conversation] >= 0)[-1:].max(initial=-1))
        if position < 0:
            continue
        packets = localisation.alignment.points[position].packets
        router = packets.book.address(int(packets["source"][refusals.icmp_packet[conversation, position]]))
        if router != table.book.address(int(table.ends.responder[conversation, position])):
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def _heard(facts: Facts, rows: NDArray[np.int64], before: int) -> Heard | None:
    """The errors about these requests at the point nearest the hop that heard any."""
    if not rows.size:
        return None
    conversations = np.unique(facts.localisation.fates["conversation"][rows]).astype(np.int64)
    heard = np.flatnonzero((facts.localisation.refusals.icmp_ns[conversations, :before] >= 0).any(axis=0))
    found = errors_at(facts, int(heard[-1]), conversations) if heard.size else None
    return found if found is not None and found.packets.size else None


def _said(facts: Facts, heard: Heard) -> list[_Said]:
    """The errors by sender and message, the most frequent first."""
    packets: PacketTable = facts.localisation.alignment.points[heard.position].packets
    keys = np.stack(
        [packets[name][heard.packets].astype(np.int64) for name in ("source", "protocol", "destination_port")], axis=1
    )
    found = []
    for source, protocol, message in np.unique(keys, axis=0).tolist():
        mine = heard.packets[(keys == (source, protocol, message)).all(axis=1)]
        found.append(_Said(packets.book.address(source), (protocol, *divmod(message, 256)), mine))
    return sorted(found, key=lambda said: -said.packets.size)


def _evidence(facts: Facts, heard: Heard) -> list[Evidence]:
    name = facts.localisation.points[heard.position].name
    found = []
    for number, said in enumerate(_said(facts, heard)[:4]):
        away = {routers_passed(ttl) for ttl in ttls(facts, heard.position, said.packets)}
        far = f", {away_text(away.pop())} by its TTL" if len(away) == 1 else ""
        says = f"{plural(said.packets.size, 'ICMP error')} at {name} from {said.router}{far}: {said.name}, each quoting a request"
        found.append(shown_by(facts, says, heard.position, said.packets, odds=1.0 if number else ODDS_SAID))
        node = facts.cluster.kubernetes.node_of(said.router)
        if node is not None:
            listed_node = facts.cluster.kubernetes.nodes.get(node)
            place = (listed_node.file, listed_node.line) if listed_node else ("", None)
            found.append(Evidence(f"{said.router} is the node {node}", *place))
    return found


def _possible(suspect: Suspect, facts: Facts) -> Finding | None:
    """That an error may have come which the capture was not told to keep: callers stopped at once, and it has no ICMP at all."""
    localisation = facts.localisation
    fates, table = localisation.fates, localisation.alignment.transmissions
    rows = suspect.rows[(fates["fate"][suspect.rows] == Fate.LOST) & (fates["kind"][suspect.rows] == ExchangeKind.HANDSHAKE)]
    packets = localisation.alignment.points[suspect.near].packets
    if rows.size < FEWEST or np.isin(packets["protocol"], (ICMP, ICMPV6)).any():
        return None
    window = localisation.sights.windows[suspect.near]
    syn = (table["point"] == suspect.near) & (table["direction"] == Direction.FORWARD)
    syn &= ((table["tcp_flags"] & TcpFlag.SYN) != 0) & np.isin(table["conversation"], fates["conversation"][rows])
    conversation, count = np.unique(table["conversation"][syn], return_counts=True)
    last = int(table["time_ns"][syn].max(initial=0))
    once = int((count == 1).sum())
    if window is None or once * 2 <= conversation.size or window.last - last < RTO_NS:
        return None
    pair = next(iter(pairs_of(localisation, rows)))
    name = localisation.points[suspect.near].name
    says = f"{once} of {conversation.size} callers sent one SYN and no second one, which is due after a second (RFC 6298)"
    evidence = (shown_by(facts, says, suspect.near, attempts_at(localisation, rows, suspect.near), odds=ODDS_ONE_SYN),)
    return Finding(
        cause=CAUSE,
        confidence=min(confidence_of(PRIOR, evidence) / 2, UNCONFIRMED),
        sentence=(
            f"An ICMP error that was not captured may have refused {exchanges_text(localisation, rows)} "
            f"{ends_text(localisation, rows)} behind {name}: the callers gave up at once"
        ),
        evidence=evidence,
        collect=(
            f"a capture at {name} whose filter lets ICMP pass, such as 'icmp or icmp6 or tcp port {pair.port}'",
            f"the time for which {pair.initiator} waits for a connection: if it is below a second it stopped of itself",
        ),
        loss=suspect.loss,
    )


def _meaning(said: _Said) -> str:
    return MEANINGS.get(said.message, ("", OTHER))[1][0]


def _remedy(said: _Said, pair: Pair) -> Remedy:
    text = MEANINGS.get(said.message, ("", OTHER))[1][1]
    return Remedy(text.format(router=said.router, responder=pair.responder))


def _collect(facts: Facts, said: _Said, pair: Pair) -> tuple[str, ...]:
    node = facts.cluster.kubernetes.node_of(said.router)
    where = f"on {node}, which is {said.router}" if node else f"on {said.router}, a node or router"
    return (
        f"{where}: ip route get {pair.responder}; nft list ruleset, or iptables-save -c, for reject rules whose counters rise",
        "kubectl get services,endpointslices -A -o yaml: whether the address is a service's, and who stands behind it",
    )
