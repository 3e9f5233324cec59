"""Whether a conversation passes a place where it was not seen: what a NAT makes of its addresses, and which way it takes."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.localise.survey import Survey
from mixcni.schema import Direction
from mixcni.topology import CapturePoint

ALL_ALIKE: Final = 8  # conversations that must all have taken one way; were there two ways, one in 128 such runs had one alone
MANY: Final = 3  # conversations that two points each share with others; then that they share none with each other is no chance


class Passage(IntEnum):
    """What becomes of a responder's address on the way to a point, by what other conversations with it show."""

    UNCHANGED = 0
    REWRITTEN = 1
    UNKNOWN = 2


def rewritten_towards(alignment: Alignment, survey: Survey, position: int) -> NDArray[np.int8]:
    """(c,) mixcni.localise.passage.Passage of each conversation's responder, from the nearest point before `position` on.

    A service address stands for several pods: to which a request was sent that was lost is not known, unless all requests to it
    that were answered were seen here. Nor is it where some to that address may have been seen under another.
    """
    conversations = alignment.conversations
    found = np.full(len(conversations), Passage.UNCHANGED, dtype=np.int8)
    in_doubt = np.isin(np.arange(len(conversations)), alignment.candidates["conversation"])
    if not (conversations.is_rewritten | in_doubt).any():
        return found
    seen = conversations.flow_of >= 0
    its_key, key = (
        ends.responder.astype(np.int64) << 16 | ends.responder_port for ends in (conversations.ends, conversations.behind)
    )
    farthest = np.where(seen, np.arange(seen.shape[1]), -1).max(axis=1, initial=-1)
    for near in range(position):
        rows = np.flatnonzero((farthest == near) & ~seen[:, position])
        if rows.size:
            answered = survey.heard[:, near, Direction.REVERSE]
            found[rows] = _passages(key[:, near], its_key[:, position], seen[:, [near, position]], rows, answered)
            unsure = np.isin(key[rows, near], key[in_doubt & seen[:, near], near]) & (found[rows] == Passage.UNCHANGED)
            found[rows[unsure]] = Passage.UNKNOWN
    return found


def rewritten_before(alignment: Alignment, position: int) -> NDArray[np.int8]:
    """(c,) the same of each conversation's initiator, from the nearest point behind `position` back to it.

    A node's address stands for the pods whose traffic it masquerades, under ports that say nothing of which.
    """
    conversations = alignment.conversations
    found = np.full(len(conversations), Passage.UNCHANGED, dtype=np.int8)
    if not conversations.is_rewritten.any():
        return found
    seen, initiator = conversations.flow_of >= 0, conversations.ends.initiator.astype(np.int64)
    count = seen.shape[1]
    nearest = np.where(seen, np.arange(count), count).min(axis=1, initial=count)
    for far in range(position + 1, count):
        rows = np.flatnonzero((nearest == far) & ~seen[:, position])
        if rows.size:
            every = np.ones(len(conversations), dtype=np.bool_)
            found[rows] = _passages(initiator[:, far], initiator[:, position], seen[:, [far, position]], rows, every)
    return found


def _passages(
    key: NDArray[np.int64],
    its_key: NDArray[np.int64],
    seen: NDArray[np.bool_],
    rows: NDArray[np.int64],
    telling: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """(rows,) what becomes of an address, told by the other conversations that have it.

    Parameters
    ----------
    key : (c,) the address where conversations were seen; its_key : (c,) at the point in question
    seen : (c, 2) whether each of the two points saw a conversation
    telling : (c,) the conversations that must all have been seen at the point in question
    """
    both = np.asarray(seen.all(axis=1))
    rewritten = np.unique(key[both & (key != its_key)])
    others = np.flatnonzero(seen[:, 0] & telling & np.isin(key, rewritten))
    number = np.searchsorted(rewritten, key[others])
    total = np.bincount(number, minlength=rewritten.size)
    met = np.bincount(number, weights=both[others], minlength=rewritten.size)
    alike: NDArray[np.bool_] = (total >= ALL_ALIKE) & np.equal(met, total)
    found = np.full(rows.size, Passage.UNCHANGED, dtype=np.int8)
    mine = np.isin(key[rows], rewritten)
    place = np.searchsorted(rewritten, key[rows[mine]])
    found[mine] = np.where(alike[place], np.int8(Passage.REWRITTEN), np.int8(Passage.UNKNOWN))
    return found


def answering(alignment: Alignment, survey: Survey) -> NDArray[np.bool_]:
    """(address codes,) whether anything but resets came from an address, in any conversation, as any point names it."""
    conversations = alignment.conversations
    heard = np.zeros(len(conversations.book), dtype=np.bool_)
    names = conversations.ends.responder[survey.came[:, :, Direction.REVERSE].any(axis=1)]
    heard[names[names >= 0]] = True
    return heard


def may_be_seen(alignment: Alignment) -> NDArray[np.bool_]:
    """(c, p) whether a point saw what may be this conversation under other addresses: then that it lacks it proves nothing."""
    conversations = alignment.conversations
    seen = conversations.flow_of >= 0
    maybe = np.zeros(seen.shape, dtype=np.bool_)
    table = conversations.candidates
    np.logical_or.at(maybe, table["conversation"], seen[table["candidate"]])
    return maybe


def take_other_ways(points: Sequence[CapturePoint], alignment: Alignment) -> NDArray[np.bool_]:
    """(p, p) whether two points lie on different ways, as two nodes of one tier do: each shares many, and none with the other.

    And what passes the one passes the other by: it is seen on both sides of it. Nor is a point between them that shares some
    with both, for what it has of the one may go on to the other. Or they are known to stand beside each other. Of what is lost
    between the two nothing is.
    """
    seen = alignment.conversations.flow_of >= 0
    shared = seen[seen.sum(axis=1) > 1]
    together = shared.T.astype(np.int64) @ shared
    many = np.diag(together) >= MANY
    before, behind = np.zeros_like(shared), np.zeros_like(shared)
    before[:, 1:] = np.logical_or.accumulate(shared, axis=1)[:, :-1]
    behind[:, :-1] = np.logical_or.accumulate(shared[:, ::-1], axis=1)[:, ::-1][:, 1:]
    around = (before & behind & ~shared).astype(np.int64)  # points on either side saw it, and this one did not
    passes_by = shared.T.astype(np.int64) @ around > 0
    onward = np.triu(together > 0, 1).astype(np.int64)
    joined = onward @ onward > 0
    apart = many[:, None] & many[None, :] & (together == 0) & (passes_by | passes_by.T) & ~(joined | joined.T)
    beside = np.array([[other.name in point.beside for other in points] for point in points], dtype=np.bool_)
    return np.asarray(apart | beside)
