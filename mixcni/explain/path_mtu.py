"""A path-MTU black hole: what is large does not get through, what is small does, and nobody tells the sender in a way it heeds.

A router that cannot forward a packet with DF set answers with ICMP "fragmentation needed" (RFC 1191), for IPv6 "packet too big"
(RFC 8201). Where that answer is filtered, or a tunnel's overhead is nobody's business, the same segment is sent again and again
(RFC 2923 section 2.1). Random loss does not ask for a packet's size: that is what tells the two apart.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.transmissions import TransmissionTable
from mixcni.explain.findings import Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Suspect, pairs_of, shown_by
from mixcni.schema import Direction, ExchangeKind, Fate
from mixcni.words import plural

CAUSE: Final = "path_mtu_black_hole"
PRIOR: Final = 0.05  # of losses within connections that were made
ODDS_BY_SIZE: Final = 200.0  # every copy of the large ones lost and every small one through: random loss would not choose
ODDS_TOO_BIG: Final = 5.0  # a router even said so
ODDS_BY_FEW: Final = 5.0  # the same of few packets, or of ones before the others: the way may have broken then
UNCONFIRMED: Final = 0.45  # at most, where the other end of the hop was not captured, or few packets speak
SMALLEST: Final = 500  # octets of a frame: every link takes that (RFC 791: 576), so that no smaller one exceeds an MTU
FEWEST_LOST, FEWEST_THROUGH = 3, 3  # copies
TOO_BIG: Final = {1: (3 << 8) | 4, 58: 2 << 8}  # type and code of ICMP (RFC 1191) and ICMPv6 (RFC 4443 section 3.2)


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Frames of one direction between two parties, on the wire at the hop's upper end.

    lost, through : (n,) int64 octets; lost_packets : (n,) int64, rows of the upper point's packet table
    through_later : how many got through after the first was lost: the way still stood
    """

    lost: NDArray[np.int64]
    through: NDArray[np.int64]
    through_later: int
    lost_packets: NDArray[np.int64]


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for losses within connections that were made, or None where size does not tell what was lost."""
    localisation = facts.localisation
    fates = localisation.fates
    kept = (fates["kind"][suspect.rows] != ExchangeKind.HANDSHAKE) & np.isin(
        fates["fate"][suspect.rows], (Fate.LOST, Fate.UNDECIDED)
    )
    rows = suspect.rows[kept]
    up, down = (suspect.near, suspect.far) if suspect.direction == Direction.FORWARD else (suspect.far, suspect.near)
    if not rows.size or up >= len(localisation.points):
        return None
    pair, mine = next(iter(pairs_of(localisation, rows).items()))
    sizes = _sizes(mine, suspect.direction, up, down, facts)
    if not sizes.lost.size or int(sizes.lost.min()) < max(SMALLEST, int(sizes.through.max(initial=0)) + 1):
        return None  # nothing was lost, or size did not decide it
    return _finding(sizes, f"{pair.initiator} and {pair.responder}", suspect, (up, down), mine, facts)


def _sizes(rows: NDArray[np.int64], direction: Direction, up: int, down: int, facts: Facts) -> _Sizes:
    """What of a direction was seen at the hop's upper end, and whether it came to the lower one: if that is open, by its ACKs."""
    alignment = facts.localisation.alignment
    table, every = alignment.transmissions, alignment.conversations
    first = facts.localisation.fates["conversation"][rows[0]]
    same = np.ones(len(every), dtype=np.bool_)
    for name in ("initiator", "responder", "protocol"):
        same &= every[name] == every[name][first]
    data = same[table["conversation"]] & (table["direction"] == direction) & (table["end"] > table["start"])
    sent = np.flatnonzero(data & (table["point"] == up))
    if down < len(facts.localisation.points):
        reached = _reached(table, sent, np.flatnonzero(data & (table["point"] == down)))
    else:
        reached = _acknowledged(table, sent, direction)
    lengths = alignment.points[up].packets["original_length"][table["packet"][sent]].astype(np.int64)
    times = table["time_ns"][sent]
    later = int((times[reached] > times[~reached].min()).sum()) if not reached.all() else 0
    return _Sizes(lengths[~reached], lengths[reached], later, table["packet"][sent][~reached])


def _reached(table: TransmissionTable, sent: NDArray[np.int64], seen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the first octet of each segment was seen in some segment at the other end."""
    columns = {name: np.asarray(table[name]) for name in ("conversation", "start", "end")}
    order = seen[np.lexsort((columns["start"][seen], columns["conversation"][seen]))]
    reached = np.zeros(sent.size, dtype=np.bool_)
    for number in np.unique(columns["conversation"][sent]).tolist():
        there = order[columns["conversation"][order] == number]
        here = np.flatnonzero(columns["conversation"][sent] == number)
        starts, ends = columns["start"][there], np.maximum.accumulate(columns["end"][there]) if there.size else there
        first = columns["start"][sent[here]]
        at = np.searchsorted(starts, first, side="right") - 1
        reached[here] = (at >= 0) & (ends[np.maximum(at, 0)] > first) if there.size else False
    return reached


def _acknowledged(table: TransmissionTable, sent: NDArray[np.int64], direction: Direction) -> NDArray[np.bool_]:
    """Whether the other side acknowledged the first octet of each segment."""
    conversation, start = (np.asarray(table[name]) for name in ("conversation", "start"))
    acknowledged, way = (np.asarray(table[name]) for name in ("acknowledged", "direction"))
    highest = np.full(int(conversation.max(initial=-1)) + 1, -1, dtype=np.int64)
    back = way != direction
    np.maximum.at(highest, conversation[back], acknowledged[back])
    return np.asarray(highest[conversation[sent]] > start[sent], dtype=np.bool_)


def _finding(
    sizes: _Sizes, between: str, suspect: Suspect, hop: tuple[int, int], rows: NDArray[np.int64], facts: Facts
) -> Finding:
    localisation = facts.localisation
    up, down = hop
    smallest, largest = int(sizes.lost.min()), int(sizes.through.max(initial=0))
    where = localisation.points[up].name
    enough = sizes.lost.size >= FEWEST_LOST and sizes.through.size >= FEWEST_THROUGH and sizes.through_later > 0
    says = (
        f"all {sizes.lost.size} copies of segments in frames of {smallest} octets and more between {between} were lost after "
        f"{where}, and all {sizes.through.size} in frames of up to {largest} got through, {sizes.through_later} of them later"
    )
    evidence = [shown_by(facts, says, up, sizes.lost_packets, odds=ODDS_BY_SIZE if enough else ODDS_BY_FEW)]
    told = _too_big(up, rows, facts)
    if told.size:
        says = f"routers said {plural(told.size, 'time')} that packets of these connections were too big, and the sender went on"
        evidence.append(shown_by(facts, says, up, told, odds=ODDS_TOO_BIG))
    confidence = confidence_of(PRIOR, evidence)
    is_sure = enough and down < len(localisation.points)
    if not is_sure:
        confidence = min(confidence, UNCONFIRMED)
    silence = "" if told.size else "; no ICMP error told the sender"
    return Finding(
        cause=CAUSE,
        confidence=confidence,
        sentence=(
            f"Packets between {between} in frames of {smallest} octets and more do not get through after {where}, those of up to "
            f"{largest} do{silence}: the path takes less than its ends believe"
        ),
        evidence=tuple(evidence),
        remedies=(
            Remedy(
                "Give the pods' interfaces the MTU that the path has, less what tunnels add (50 octets for VXLAN over IPv4, 60 "
                'for WireGuard), or let ICMP "fragmentation needed" and "packet too big" pass'
            ),
        ),
        collect=(
            "on every node of the path: ip link show, and cilium status --verbose for the MTU that it assumes",
            f"ping -M do -s {max(smallest - 42, 0)} from one end to the other",
        ),
        loss=suspect.loss,
    )


def _too_big(up: int, rows: NDArray[np.int64], facts: Facts) -> NDArray[np.int64]:
    """Packets at the upper point in which somebody says that a packet of these conversations was too big."""
    alignment = facts.localisation.alignment
    flows = alignment.points[up]
    packets = flows.packets
    quotes = packets.quotes
    if not len(quotes):
        return np.empty(0, dtype=np.int64)
    told = np.zeros(len(quotes), dtype=np.bool_)
    for protocol, message in TOO_BIG.items():
        error = quotes["packet"]
        told |= (packets["protocol"][error] == protocol) & (packets["destination_port"][error] == message)
    numbers = np.unique(facts.localisation.fates["conversation"][rows])
    mine = alignment.conversations.flow_of[numbers, up]
    found: list[int] = []
    for flow in mine[mine >= 0].tolist():
        ends = {
            (int(flows["initiator"][flow]), int(flows["initiator_port"][flow])),
            (int(flows["responder"][flow]), int(flows["responder_port"][flow])),
        }
        for quote in np.flatnonzero(told).tolist():
            here = int(quotes["source"][quote]), int(quotes["source_port"][quote])
            there = int(quotes["destination"][quote]), int(quotes["destination_port"][quote])
            if {here, there} == ends:
                found.append(int(quotes["packet"][quote]))
    return np.array(sorted(found), dtype=np.int64)
