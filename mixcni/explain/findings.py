"""What an explanation is made of: a cause, the evidence for and against it, a confidence, and what to do."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NAMED: Final = 0.5  # a finding below this confidence is a possibility: it is listed, and named as no loss's cause


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact, with the place where it stands.

    Parameters
    ----------
    says : the fact, in a sentence
    file : the capture or dump; "" where the fact is the absence of something from the case
    line : of the dump, from 1; None for captures, or for a fact about the whole file
    frames : frame numbers in the capture, the first few
    odds : likelihood ratio: how much more often it is seen when the cause is the true one
    more : how many frames more show it, in this capture or in others of its point
    """

    says: str
    file: str = ""
    line: int | None = None
    frames: tuple[int, ...] = ()
    odds: float = 1.0
    more: int = 0


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do, and which of the requests that failed would pass then.

    `would_pass` is None where it cannot be told from what is here.
    """

    sentence: str
    yaml: str = ""
    would_pass: int | None = None
    of: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause with what speaks for it and against it.

    loss : index in Localisation.losses of what it explains; None for a finding of its own
    collect : what would make the answer surer, a sentence each
    """

    cause: str
    confidence: float
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    against: tuple[Evidence, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    collect: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    loss: int | None = None

    @property
    def is_named(self) -> bool:
        """Whether it is sure enough to be called the cause."""
        return self.confidence >= NAMED


MOST_CERTAIN: Final = 0.99  # dumps are snapshots: an entry or a rule may postdate the packets


def confidence_of(prior: float, evidence: Iterable[Evidence]) -> float:
    """Posterior probability of a cause: prior odds times the odds of each fact, as if independent; at most MOST_CERTAIN."""
    log_odds = math.log(prior / (1 - prior)) + sum(math.log(fact.odds) for fact in evidence)
    return round(min(MOST_CERTAIN, 1 / (1 + math.exp(-log_odds))), 3)
