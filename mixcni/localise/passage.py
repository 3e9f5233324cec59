"""Whether a conversation passes a place where it was not seen: what a NAT makes of its addresses, and which way it takes."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment

ALL_ALIKE: Final = 8  # conversations that must all have taken one way; were there two ways, one in 128 such runs had one alone
MANY: Final = 3  # conversations that two points each share with others; then that they share none with each other is no chance


class Passage(IntEnum):
    """What becomes of a responder's address on the way to a point, by what other conversations with it show."""

    UNCHANGED = 0
    REWRITTEN = 1
    UNKNOWN = 2


def rewritten_towards(alignment: Alignment, position: int) -> NDArray[np.int8]:
    """(c,) mixcni.localise.passage.Passage of each conversation's responder, from the nearest point before `position` on.

    A service address stands for several pods: to which a request was sent that was lost is not known, unless all requests to it
    that were answered were seen here.
    """
    conversations = alignment.conversations
    found = np.full(len(conversations), Passage.UNCHANGED, dtype=np.int8)
    seen, ends = conversations.flow_of >= 0, conversations.ends
    if not conversations.is_rewritten.any():
        return found
    farthest = np.where(seen, np.arange(seen.shape[1]), -1).max(axis=1, initial=-1)
    for near in range(position):
        rows = np.flatnonzero((farthest == near) & ~seen[:, position])
        if not rows.size:
            continue
        key = ends.responder[:, near].astype(np.int64) << 16 | ends.responder_port[:, near]
        its_key = ends.responder[:, position].astype(np.int64) << 16 | ends.responder_port[:, position]
        both = seen[:, near] & seen[:, position]
        rewritten = np.unique(key[both & (key != its_key)])
        answered = np.flatnonzero(seen[:, near] & _has_reverse(alignment, near))
        for number in np.intersect1d(rewritten, key[rows]).tolist():
            others = answered[key[answered] == number]
            alike = others.size >= ALL_ALIKE and bool(both[others].all())
            found[rows[key[rows] == number]] = Passage.REWRITTEN if alike else Passage.UNKNOWN
    return found


def _has_reverse(alignment: Alignment, point: int) -> NDArray[np.bool_]:
    """(c,) whether a point saw packets from each conversation's responder."""
    table = alignment.transmissions
    found = np.zeros(len(alignment.conversations), dtype=np.bool_)
    found[table["conversation"][(table["point"] == point) & (table["direction"] == 1)]] = True
    return found


def may_be_seen(alignment: Alignment) -> NDArray[np.bool_]:
    """(c, p) whether a point saw what may be this conversation under other addresses: then that it lacks it proves nothing."""
    conversations = alignment.conversations
    seen = conversations.flow_of >= 0
    maybe = np.zeros(seen.shape, dtype=np.bool_)
    table = conversations.candidates
    np.logical_or.at(maybe, table["conversation"], seen[table["candidate"]])
    return maybe


def take_other_ways(alignment: Alignment) -> NDArray[np.bool_]:
    """(p, p) whether two points lie on different ways, as two nodes of one tier do: each shares many, and none with the other."""
    seen = alignment.conversations.flow_of >= 0
    shared = seen[seen.sum(axis=1) > 1].astype(np.int64)
    together = shared.T @ shared
    many = np.diag(together) >= MANY
    return np.asarray(many[:, None] & many[None, :] & (together == 0))
