"""Stale conntrack: a SYN met the entry of an earlier connection from the same port, and was taken for a part of that.

An initiator may use a port again as soon as its own TIME_WAIT allows (RFC 6191), while something on the way still tracks the
connection before: for 60 s to 120 s after its end in Linux, for 10 s in Cilium, for days where the end was not seen. A new SYN
may then be dropped as out of window, or sent to where the old connection went. Two things together name it: the captures show
the earlier connection, and a table has an entry that cannot be of the new one, since nobody ever answered that.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.logs.conntrack import ConntrackEntry
from mixcni.cluster.policy import protocol_name
from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Suspect, attempts_at, shown_by
from mixcni.schema import Direction, ExchangeKind, Fate
from mixcni.words import plural

CAUSE: Final = "stale_conntrack"
PRIOR: Final = 0.1  # of connection attempts that vanish silently
ODDS_REUSED: Final = 3.0  # few initiators come back to a port within minutes
ODDS_OLD_ENTRY: Final = 40.0  # what is lost on the way for another reason has no entry, or one without an answer
UNCONFIRMED: Final = 0.45  # at most, with but one of the two
REUSE_NS: Final = 600_000_000_000  # ten minutes: longer than Linux keeps a connection whose end it saw
FEWEST: Final = 0.5  # of the lost attempts that must show it, for it to be their cause
SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class _Reuse:
    """A lost attempt from a port that was in use before."""

    row: int
    earlier: int | None
    """The earlier connection's conversation."""
    entry: CtEntry | ConntrackEntry | None


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for lost connection attempts, or None where neither captures nor tables show an earlier connection."""
    fates = facts.localisation.fates
    kept = np.isin(fates["fate"][suspect.rows], (Fate.LOST, Fate.UNDECIDED))
    kept &= fates["kind"][suspect.rows] == ExchangeKind.HANDSHAKE
    rows = suspect.rows[kept]
    if suspect.direction != Direction.FORWARD or not rows.size:
        return None
    reuses = [reuse for row in rows.tolist() if (reuse := _reuse(row, facts)) is not None]
    both = [reuse for reuse in reuses if reuse.earlier is not None and reuse.entry is not None]
    chosen = both or reuses
    if len(chosen) < rows.size * FEWEST or not any(reuse.earlier is not None for reuse in chosen):
        return None
    return _finding(chosen, suspect, rows, facts)


def _reuse(row: int, facts: Facts) -> _Reuse | None:
    conversation = int(facts.localisation.fates["conversation"][row])
    earlier, entry = _earlier(conversation, facts), _old_entry(conversation, facts)
    return None if earlier is None and entry is None else _Reuse(row, earlier, entry)


def _earlier(conversation: int, facts: Facts) -> int | None:
    """The last connection before this one with the same ends that was answered, if it was not long before."""
    table, fates = facts.localisation.alignment.conversations, facts.localisation.fates
    same = np.ones(len(table), dtype=np.bool_)
    for name in ("initiator", "initiator_port", "responder", "responder_port", "protocol"):
        same &= table[name] == table[name][conversation]
    since = table["first_ns"][conversation] - table["first_ns"]
    candidates = np.flatnonzero(same & (since > 0) & (since < REUSE_NS))
    answered = np.unique(fates["conversation"][fates["fate"] == Fate.ANSWERED])
    candidates = candidates[np.isin(candidates, answered)]
    return int(candidates[np.argmax(table["first_ns"][candidates])]) if candidates.size else None


def _old_entry(conversation: int, facts: Facts) -> CtEntry | ConntrackEntry | None:
    """An entry of these ends in which somebody answered, which of this connection nobody did."""
    table = facts.localisation.alignment.conversations
    book = table.book
    source, destination = (book.address(int(table[name][conversation])) for name in ("initiator", "responder"))
    ports = int(table["initiator_port"][conversation]), int(table["responder_port"][conversation])
    protocol = int(table["protocol"][conversation])
    cilium = facts.cluster.conntrack_of(source, ports[0], destination, ports[1], protocol)
    of_cilium = (entry for entry in cilium if entry.source == source and _was_answered(entry))
    ends = (source, ports[0], destination, ports[1], protocol_name(protocol))
    of_kernel = (
        entry
        for entry in facts.cluster.of_type(ConntrackEntry)
        if (entry.source, entry.source_port, entry.destination, entry.destination_port, entry.protocol) == ends
        and not entry.is_unreplied
        and entry.state != "SYN_SENT"
    )
    return next(of_cilium, None) or next(of_kernel, None)


def _was_answered(entry: CtEntry) -> bool:
    """Whether the responder's packets, or an end, were seen: Rx of OUT entries is towards the opener, Tx of IN from the other."""
    if entry.direction == "SVC":
        return False  # what it counts are requests
    packets, flags = (
        (entry.rx_packets, entry.rx_flags_seen) if entry.direction == "OUT" else (entry.tx_packets, entry.tx_flags_seen)
    )
    return bool(packets or flags or set(entry.flag_names) & {"RxClosing", "TxClosing"})


def _finding(chosen: list[_Reuse], suspect: Suspect, rows: NDArray[np.int64], facts: Facts) -> Finding:
    localisation = facts.localisation
    table = localisation.alignment.conversations
    evidence: list[Evidence] = []
    seen = [(reuse.row, reuse.earlier) for reuse in chosen if reuse.earlier is not None]
    fates = np.flatnonzero(np.isin(localisation.fates["conversation"], np.array([earlier for _, earlier in seen])))
    began = table["first_ns"]
    gap = min(int(began[localisation.fates["conversation"][row]] - began[earlier]) for row, earlier in seen)
    says = (
        f"{len(seen)} of the {rows.size} lost connection attempts came from a port from which the same two had been connected "
        f"before, {gap / 1e9:.1f} s earlier at the least"
    )
    attempts = attempts_at(localisation, fates, suspect.near)
    evidence.append(shown_by(facts, says, suspect.near, attempts, odds=ODDS_REUSED))
    entries = [reuse.entry for reuse in chosen if reuse.entry is not None]
    for at, entry in enumerate(entries[:SHOWN]):
        text = (
            f"conntrack has an entry from {entry.source} port {entry.source_port} that was answered; the lost attempt never was"
        )
        evidence.append(Evidence(text, entry.file, entry.line, odds=1.0 if at else ODDS_OLD_ENTRY))
    confidence = confidence_of(PRIOR, evidence)
    collect = () if entries else ("on every node of the path: conntrack -L, cilium bpf ct list global, while it happens",)
    return Finding(
        cause=CAUSE,
        confidence=confidence if entries else min(confidence, UNCONFIRMED),
        sentence=(
            f"{plural(len(chosen), 'connection attempt')} used a port again of which "
            f"{'conntrack still has' if entries else 'something on the way may still have'} the connection before"
        ),
        evidence=tuple(evidence),
        remedies=(
            Remedy(
                "Let the initiator keep connections or use more ports, and see who keeps the old entry: a FIN that it did not see"
            ),
        )
        if entries
        else (),
        collect=collect,
        loss=suspect.loss,
    )
