"""Yes, no, or not decidable and why: the logic of rules about which dumps do not tell everything."""

from collections.abc import Iterable
from typing import NamedTuple


class Answer(NamedTuple):
    """Whether something holds."""

    holds: bool | None
    """None: what is here does not decide it."""
    why: str = ""
    """Where it is not decided, what is missing."""


YES = Answer(True)
NO = Answer(False)


def unknown(why: str) -> Answer:
    """It is not decided, for this reason."""
    return Answer(None, why)


def answer_of(holds: bool) -> Answer:
    """A plain truth value as an answer."""
    return YES if holds else NO


def all_of(answers: Iterable[Answer]) -> Answer:
    """Whether all hold: one that does not decides, else the first that is not decided."""
    doubt: Answer | None = None
    for answer in answers:
        if answer.holds is False:
            return NO
        if answer.holds is None and doubt is None:
            doubt = answer
    return doubt or YES


def any_of(answers: Iterable[Answer]) -> Answer:
    """Whether one holds: one that does decides, else the first that is not decided."""
    doubt: Answer | None = None
    for answer in answers:
        if answer.holds:
            return YES
        if answer.holds is None and doubt is None:
            doubt = answer
    return doubt or NO


def negated(answer: Answer) -> Answer:
    """The opposite."""
    return answer if answer.holds is None else answer_of(not answer.holds)
