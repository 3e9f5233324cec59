"""A report as populations: who called which port of whom, and what became of their conversations.

Ports of initiators, times and the order of conversations say nothing of the network, so nothing of them is left here.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

FAR_END: Final = ("refused", "silent")
"""Fates that are no loss on the way, where no hop is named."""


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


def side_of(report: Mapping[str, Any], name: str, *, whole: bool, same: Mapping[str, str] = MappingProxyType({})) -> Side:
    """A report by the contract `mixcni.report/1` as its populations.

    Parameters
    ----------
    same : addresses to be read as others
    whole : whether it was made with every exchange; a saved one is whole where an answered one is in it, or nothing could be
    """
    by_conversation: dict[tuple[Callers, int], list[Mapping[str, Any]]] = {}
    for exchange in report["exchanges"]:
        initiator, responder = (same.get(exchange[end][0], exchange[end][0]) for end in ("initiator", "responder"))
        callers = Callers(initiator, responder, exchange["responder"][1])
        by_conversation.setdefault((callers, exchange["conversation"]), []).append(exchange)
    outcomes: dict[Callers, Counter[Trouble | str]] = {}
    for (callers, _), exchanges in by_conversation.items():
        outcomes.setdefault(callers, Counter())[_outcome(exchanges)] += 1
    whole = whole or any(exchange["fate"] == "answered" for exchange in report["exchanges"])
    return Side(
        name=name,
        verdict=report["verdict"],
        headline=report["headline"],
        path=tuple(report["path"]),
        populations={callers: _population(outcomes[callers]) for callers in sorted(outcomes)},
        causes={finding["cause"]: finding["confidence"] for finding in reversed(report["findings"])},
        whole=whole or not any(point["flows"] for point in report["points"]),
    )


def _outcome(exchanges: list[Mapping[str, Any]]) -> Trouble | str:
    """What became of one conversation: its first failure, else `undecided` if any exchange is, else `answered`."""
    ordered = sorted(exchanges, key=lambda exchange: int(exchange["number"]))
    for exchange in ordered:
        hop = exchange["hop"]
        if exchange["fate"] == "lost" or exchange["fate"] in FAR_END:
            return Trouble(exchange["fate"], (hop[0], hop[1]) if hop else None, exchange["direction"])
    return "undecided" if any(exchange["fate"] == "undecided" for exchange in ordered) else "answered"


def _population(outcomes: "Counter[Trouble | str]") -> Population:
    troubles = {key: count for key, count in outcomes.items() if isinstance(key, Trouble)}
    order = sorted(troubles, key=lambda trouble: (-troubles[trouble], str(trouble)))
    return Population(outcomes["answered"], {key: troubles[key] for key in order}, outcomes["undecided"])
