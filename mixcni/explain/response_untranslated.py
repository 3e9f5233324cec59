"""The response came back untranslated: from an address that the initiator never called, so that it refuses or ignores it.

So it is where requests are translated on their way (a service's address, DNAT) and responses take another way back, on which
nobody translates them. The two halves look like two connections; the acknowledgment of the initiator's sequence number, one of
2**32, and its port tell that they are one (RFC 9293 section 3.10.7.3). A capture on all of a node's interfaces has the
untranslated half of working connections too: there the initiator's own reset is asked for.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.explain.findings import Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, ends_text, exchanges_text, shown_by
from mixcni.schema import PROTOCOL_TCP, Direction, ExchangeKind, Fate, TcpFlag
from mixcni.words import listed, plural

CAUSE: Final = "response_untranslated"
PRIOR: Final = 0.05  # of connection attempts that find no answer
ODDS_NUMBER: Final = 200.0  # another connection of the same port would have to have the same number
ODDS_RESET: Final = 5.0
UNCONFIRMED: Final = 0.45  # at most, where it was not seen to arrive at the initiator: it may be translated later


def halves(facts: Facts) -> NDArray[np.int64]:
    """(n, 2) rows of the conversation table: an attempt that found no answer, and the answer to it from another address."""
    localisation = facts.localisation
    table, fates = localisation.alignment.conversations, localisation.fates
    failed = (fates["kind"] == ExchangeKind.HANDSHAKE) & (fates["fate"] != Fate.ANSWERED)
    attempts = np.unique(fates["conversation"][failed]).astype(np.int64)
    attempts = attempts[table["protocol"][attempts] == PROTOCOL_TCP]
    sent = localisation.alignment.transmissions
    answers = (sent["direction"] == Direction.REVERSE) & ((sent["tcp_flags"] & TcpFlag.SYN) != 0)
    answering = np.unique(sent["conversation"][answers]).astype(np.int64)
    answering = answering[np.isin(table["iss"][answering], table["iss"][attempts])]  # the numbers of most are no attempt's
    names = ("initiator", "initiator_port", "iss")

    def keys(rows: NDArray[np.int64]) -> list[tuple[int, ...]]:
        return list(zip(*(table[name][rows].tolist() for name in names), strict=True))

    known: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, key in zip(attempts.tolist(), keys(attempts), strict=True):
        known[key].append(row)
    found: list[tuple[int, int]] = []
    for row, key in zip(answering.tolist(), keys(answering), strict=True):
        found.extend((attempt, row) for attempt in known.get(key, ()) if attempt != row)
    differ = [(a, b) for a, b in found if table["responder"][a] != table["responder"][b]]
    return np.array(differ, dtype=np.int64).reshape(-1, 2)


def examine_responses(facts: Facts) -> Iterator[Finding]:
    """A finding for attempts whose answers came from another address; none where there are none."""
    pairs = halves(facts)
    if not pairs.size:
        return
    localisation = facts.localisation
    table, fates = localisation.alignment.conversations, localisation.fates
    rows = np.flatnonzero((fates["kind"] == ExchangeKind.HANDSHAKE) & np.isin(fates["conversation"], pairs[:, 0]))
    first = int((table.flow_of[pairs[:, 0]] >= 0).any(axis=0).argmax())
    shown = [_packets(facts, pairs[:, 1], p, Direction.REVERSE, TcpFlag.SYN) for p in range(len(localisation.points))]
    arrived = shown[first].size > 0
    position = first if arrived else next(p for p, packets in enumerate(shown) if packets.size)
    answers = shown[position]
    resets = _packets(facts, pairs[:, 1], position, Direction.FORWARD, TcpFlag.RST)
    name = localisation.points[position].name
    responders = listed(sorted({table.book.text(code) for code in table["responder"][pairs[:, 1]].tolist()}))
    says = f"{plural(answers.size, 'SYN-ACK')} at {name} from {responders} acknowledge SYNs that were sent to another address"
    evidence = [shown_by(facts, says, position, answers, odds=ODDS_NUMBER)]
    if resets.size:
        says = f"the initiator answered with {plural(resets.size, 'reset')}: it knows no such connection"
        evidence.append(shown_by(facts, says, position, resets, odds=ODDS_RESET))
    kind = localisation.points[position].kind
    is_sure = arrived and (2 * resets.size >= answers.size or (kind is not None and kind.is_pods_own))
    confidence = confidence_of(PRIOR, evidence)
    collect = [f"on every node of the path: conntrack -L, and ip route get {listed(_initiators(facts, pairs))} from {responders}"]
    if not is_sure:
        point = localisation.points[first].name
        collect.insert(0, f"a capture in the initiator's pod, before {point}: from which address the answers arrive")
    where = f"came back to {name}" if arrived else f"passed {name}"
    yield Finding(
        cause=CAUSE,
        confidence=confidence if is_sure else min(confidence, UNCONFIRMED),
        sentence=(
            f"The answers to {exchanges_text(localisation, rows)} {ends_text(localisation, rows)} {where} from {responders}, "
            "untranslated: whoever translated the requests did not see them"
        ),
        evidence=tuple(evidence),
        remedies=(
            Remedy(
                "Let the responses pass where the requests were translated: masquerade the requests there, or route the "
                "responders' answers back over that node"
            ),
        )
        if is_sure
        else (),
        collect=tuple(collect),
        loss=next((n for n, loss in enumerate(localisation.losses) if _is_most(rows, loss.fates)), None),
    )


def _is_most(rows: NDArray[np.int64], of: NDArray[np.int64]) -> bool:
    return 2 * int(np.isin(rows, of).sum()) > of.size


def _packets(
    facts: Facts, conversations: NDArray[np.int64], position: int, direction: Direction, flag: TcpFlag
) -> NDArray[np.int64]:
    """Rows of a point's packet table: segments of these conversations one way with a flag."""
    table = facts.localisation.alignment.transmissions
    mine = (table["point"] == position) & (table["direction"] == direction) & ((table["tcp_flags"] & flag) != 0)
    return np.asarray(table["packet"][mine & np.isin(table["conversation"], conversations)])


def _initiators(facts: Facts, pairs: NDArray[np.int64]) -> list[str]:
    table = facts.localisation.alignment.conversations
    return sorted({table.book.text(code) for code in table["initiator"][pairs[:, 0]].tolist()})
