"""A report as populations: who called which port of whom, and what became of their conversations.

Ports of initiators, times and the order of conversations say nothing of the network, so nothing of them is left here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from mixcni.report import Report
from mixcni.schema import Direction, Fate

FAILED: Final = (Fate.LOST, Fate.REFUSED, Fate.SILENT)
FAILED_WORDS: Final = tuple(fate.name.lower() for fate in FAILED)
WAYS: Final = {int(Direction.FORWARD): "request", int(Direction.REVERSE): "response"}


class Callers(NamedTuple):
    """Who calls whom: an initiator's address and one port of a responder."""

    initiator: str
    responder: str
    port: int

    def __str__(self) -> str:
        responder = f"[{self.responder}]" if ":" in self.responder else self.responder
        return f"{self.initiator} → {responder}:{self.port}"


class Trouble(NamedTuple):
    """One way in which conversations fail.

    hop : point names, the one nearer the initiator first; None at the far end
    """

    fate: str
    hop: tuple[str, str] | None
    direction: str | None

    def __str__(self) -> str:
        if self.hop is None:
            return "refused by the responder" if self.fate == "refused" else "without an answer from the responder"
        way = "to the responder" if self.direction == "request" else "back to the initiator"
        return f"{self.fate} between {self.hop[0]} and {self.hop[1]} on the way {way}"


@dataclass(frozen=True, slots=True)
class Population:
    """The conversations of one kind of callers.

    answered : conversations in which every exchange was answered
    troubles : conversations by the first way in which an exchange of theirs failed
    undecided : conversations that were not watched well enough to tell
    """

    answered: int = 0
    troubles: Mapping[Trouble, int] = field(default_factory=dict)
    undecided: int = 0

    @property
    def failed(self) -> int:
        """Conversations with a failed exchange."""
        return sum(self.troubles.values())

    @property
    def decided(self) -> int:
        """Conversations of which the captures tell whether they failed."""
        return self.answered + self.failed


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports.

    whole : whether answered exchanges are in it; if not, how often nothing failed is not known
    causes : confidence of each finding, by its cause
    """

    name: str
    verdict: str
    headline: str
    path: tuple[str, ...]
    populations: Mapping[Callers, Population]
    causes: Mapping[str, float]
    whole: bool

    @property
    def answered_are_missing(self) -> str:
        """What to do about a report that was saved without its answered exchanges; empty where it has them."""
        return "" if self.whole else f"{self.name} was saved without its answered exchanges: save it with --all"


def side_of_report(report: Report, name: str, same: Mapping[str, str] = MappingProxyType({})) -> Side:
    """A report as its populations.

    Parameters
    ----------
    same : addresses to be read as others
    """
    localisation = report.localisation
    fates, table = localisation.fates, localisation.alignment.conversations
    points = [point.name for point in localisation.points]
    failed = np.isin(fates["fate"], FAILED)
    rows = np.flatnonzero(failed)  # the table is in the order of conversations and their exchanges
    first = rows[np.unique(fates["conversation"][rows], return_index=True)[1]]
    key = np.full((len(table), 4), -1, dtype=np.int64)
    key[fates["conversation"][fates["fate"] == Fate.UNDECIDED], 0] = Fate.UNDECIDED
    answered = np.zeros(len(table), dtype=np.bool_)
    answered[fates["conversation"]] = True
    key[answered & (key[:, 0] < 0), 0] = Fate.ANSWERED
    for column, part in enumerate(("fate", "near", "far", "direction")):
        key[fates["conversation"][first], column] = fates[part][first]
    ends = [table[part].astype(np.int64) for part in ("initiator", "responder", "responder_port")]
    kinds, counts = np.unique(np.column_stack([*ends, key])[key[:, 0] >= 0], axis=0, return_counts=True)
    outcomes: dict[Callers, Counter[Trouble | str]] = {}
    for (initiator, responder, port, fate, near, far, direction), count in zip(kinds.tolist(), counts.tolist(), strict=True):
        near_end, far_end = table.book.text(initiator), table.book.text(responder)
        callers = Callers(same.get(near_end, near_end), same.get(far_end, far_end), port)
        outcome: Trouble | str = Fate(fate).name.lower()
        if fate in FAILED:
            hop = (points[near], points[far]) if 0 <= near < len(points) and 0 <= far < len(points) else None
            outcome = Trouble(Fate(fate).name.lower(), hop, WAYS.get(direction) if hop else None)
        outcomes.setdefault(callers, Counter())[outcome] += count
    causes = {finding.cause: finding.confidence for finding in reversed(report.findings_found)}
    return Side(name, report.verdict, report.headline, tuple(points), _populations(outcomes), causes, whole=True)


def side_of_saved(report: Mapping[str, Any], name: str, same: Mapping[str, str] = MappingProxyType({})) -> Side:
    """A saved report, by the contract `mixcni.report/1`, as its populations.

    It is whole where an answered exchange is in it, or no flow was there to have one.

    Parameters
    ----------
    same : addresses to be read as others
    """
    by_conversation: dict[tuple[Callers, int], list[Mapping[str, Any]]] = {}
    for exchange in report["exchanges"]:
        initiator, responder = (same.get(exchange[end][0], exchange[end][0]) for end in ("initiator", "responder"))
        callers = Callers(initiator, responder, exchange["responder"][1])
        by_conversation.setdefault((callers, exchange["conversation"]), []).append(exchange)
    outcomes: dict[Callers, Counter[Trouble | str]] = {}
    for (callers, _), exchanges in by_conversation.items():
        outcomes.setdefault(callers, Counter())[_outcome(exchanges)] += 1
    has_answers = any(exchange["fate"] == "answered" for exchange in report["exchanges"])
    whole = has_answers or not any(point["flows"] for point in report["points"])
    causes = {finding["cause"]: finding["confidence"] for finding in reversed(report["findings"])}
    return Side(name, report["verdict"], report["headline"], tuple(report["path"]), _populations(outcomes), causes, whole=whole)


def _outcome(exchanges: list[Mapping[str, Any]]) -> Trouble | str:
    """What became of one conversation: its first failure, else `undecided` if any exchange is, else `answered`."""
    ordered = sorted(exchanges, key=lambda exchange: int(exchange["number"]))
    for exchange in ordered:
        hop = exchange["hop"]
        if exchange["fate"] in FAILED_WORDS:
            return Trouble(exchange["fate"], (hop[0], hop[1]) if hop else None, exchange["direction"])
    return "undecided" if any(exchange["fate"] == "undecided" for exchange in ordered) else "answered"


def _populations(outcomes: "Mapping[Callers, Counter[Trouble | str]]") -> dict[Callers, Population]:
    return {callers: _population(outcomes[callers]) for callers in sorted(outcomes)}


def _population(outcomes: "Counter[Trouble | str]") -> Population:
    troubles = {key: count for key, count in outcomes.items() if isinstance(key, Trouble)}
    order = sorted(troubles, key=lambda trouble: (-troubles[trouble], str(trouble)))
    return Population(outcomes["answered"], {key: troubles[key] for key in order}, outcomes["undecided"])
