"""The neighbour was not resolved: somebody asked for the hardware address of the party that was called, and nobody answered.

A host holds a packet back until its ARP or neighbour discovery question is answered, and drops it after three questions a
second apart (RFC 1122 section 2.3.2, RFC 4861 section 7.2.2): no reset, and to a pod's own node not even an ICMP error. What is
asked as a broadcast is seen far around and its answer is not; so a missing answer counts only where the asker's own packets pass.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.explain.findings import Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Suspect, attempts_at, is_silence, pairs_of, shown_by
from mixcni.schema import Direction, Fate
from mixcni.topology import Address
from mixcni.words import plural

CAUSE: Final = "neighbour_unresolved"
PRIOR: Final = 0.1  # of losses that vanish silently, as for the other silent causes
ODDS_SILENCE: Final = 2.0
ODDS_UNANSWERED: Final = 100.0  # repeated questions for the very address, its answers would be seen here, and none came
UNCONFIRMED: Final = 0.45  # at most, where an answer may have passed unseen, or the next hop is not known to be the one asked for
BEFORE_NS, AFTER_NS = (
    1_000_000_000,
    5_000_000_000,
)  # around the lost packets: questions come with them and up to three seconds later
FEWEST: Final = 2  # questions: one alone may be the capture's end


@dataclass(frozen=True, slots=True)
class _Questions:
    """Unanswered questions at one point for one address."""

    position: int
    asker: Address
    target: Address
    packets: NDArray[np.int64]
    would_show: bool
    """An answer would have been seen here too."""


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss, or None where nobody asked in vain."""
    localisation = facts.localisation
    fates = localisation.fates
    rows = suspect.rows[np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.REFUSED, Fate.UNDECIDED))]
    if not rows.size:
        return None
    pair = next(iter(pairs_of(localisation, rows)))
    party = pair.responder if suspect.direction == Direction.FORWARD else pair.initiator
    asked = [
        questions
        for position in sorted({suspect.near, min(suspect.far, len(localisation.points) - 1)})
        for questions in _unanswered(position, _span(rows, facts), facts)
    ]
    of_party = [questions for questions in asked if questions.target == party]
    chosen = max(of_party or asked, key=lambda questions: (questions.would_show, questions.packets.size), default=None)
    if chosen is None:
        return None
    return _finding(chosen, party, suspect, rows, facts)


def _span(rows: NDArray[np.int64], facts: Facts) -> tuple[int, int]:
    """From shortly before the lost conversations' first packets to some seconds after their last, on the common clock."""
    table = facts.localisation.alignment.transmissions
    mine = np.isin(table["conversation"], facts.localisation.fates["conversation"][rows])
    times = table["time_ns"][mine]
    return int(times.min()) - BEFORE_NS, int(times.max()) + AFTER_NS


def _unanswered(position: int, span: tuple[int, int], facts: Facts) -> list[_Questions]:
    """The questions at a point in a time that nobody answered there, by who asked for whom."""
    alignment = facts.localisation.alignment
    packets = alignment.points[position].packets
    neighbours = packets.neighbours
    if not len(neighbours):
        return []
    moment = alignment.times[position]
    times = moment[neighbours["packet"]]
    within = (times >= span[0]) & (times <= span[1])
    sender, target, is_reply = neighbours["sender"], neighbours["target"], neighbours["is_reply"]
    answered = np.unique(sender[is_reply & within])
    named_by_reply = np.unique(target[is_reply & within])  # a neighbour advertisement is about its target
    speaks = np.unique(packets["source"][(moment >= span[0]) & (moment <= span[1]) & (packets["protocol"] != 0)])
    found: list[_Questions] = []
    questions = np.flatnonzero(within & ~is_reply & (sender != target))
    for asker, wanted in np.unique(np.stack([sender[questions], target[questions]], axis=1), axis=0).tolist():
        mine = questions[(sender[questions] == asker) & (target[questions] == wanted)]
        if asker < 0 or wanted in answered or wanted in named_by_reply or wanted in speaks or mine.size < FEWEST:
            continue
        source = packets.book.address(asker)
        if source.is_unspecified:
            continue  # a probe whether the address is free (RFC 5227): silence is what it hopes for
        would_show = bool((is_reply & (target == asker)).any()) or _has_traffic(asker, packets)
        found.append(_Questions(position, source, packets.book.address(wanted), neighbours["packet"][mine], would_show))
    return found


def _has_traffic(asker: int, packets: PacketTable) -> bool:
    """Whether packets to the asker pass the point: an answer to it would as well."""
    present = packets["protocol"] != 0
    return bool((present & (packets["destination"] == asker)).any())


def _finding(chosen: _Questions, party: Address, suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> Finding:
    localisation = facts.localisation
    point = localisation.points[chosen.position]
    protocol = "ARP requests" if chosen.target.version == 4 else "neighbour solicitations"
    asked = (
        f"{chosen.packets.size} {protocol} of {chosen.asker} for {chosen.target} at {point.name} while these packets were lost"
    )
    is_sure = chosen.target == party and chosen.would_show
    evidence = [shown_by(facts, f"{asked}, and no answer", chosen.position, chosen.packets, odds=ODDS_UNANSWERED)]
    if is_silence(localisation, rows):
        says = f"no reset or ICMP error came back at {localisation.points[suspect.near].name}"
        attempts = attempts_at(localisation, rows, suspect.near)
        evidence.insert(0, shown_by(facts, says, suspect.near, attempts, odds=ODDS_SILENCE))
    confidence = confidence_of(PRIOR, evidence)
    collect = [f"on the node of {point.name}: ip neigh show {chosen.target}; ip route get {party}"]
    if not chosen.would_show:
        collect.append(f"a capture of ARP and ICMPv6 on the interface of {chosen.asker}: its answers do not pass {point.name}")
    if chosen.target != party:
        collect.append(f"the routes of the node of {point.name}: whether {chosen.target} is the next hop to {party}")
    lost = plural(len(set(localisation.fates["conversation"][rows].tolist())), "connection")
    sentence = (
        f"{chosen.target} did not answer {chosen.asker}, which asked for its hardware address at {point.name}: "
        f"packets of {lost} to {party} had nowhere to go"
    )
    if not is_sure:
        sentence = f"{asked} had no answer that was seen: it may be the next hop of the lost packets"
    return Finding(
        cause=CAUSE,
        confidence=confidence if is_sure else min(confidence, UNCONFIRMED),
        sentence=sentence,
        evidence=tuple(evidence),
        remedies=(Remedy(f"See whether {chosen.target} still exists, and on that link: a pod may be gone, or a route stale"),)
        if is_sure
        else (),
        collect=tuple(collect),
        loss=suspect.loss,
    )
