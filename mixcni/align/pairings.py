"""Pairs of conversations that may be one, as columns, and which of them are each other's best."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.grouping import numbered

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
MOST_EQUAL: Final = 64  # conversations that have one number, token or datagram; where more have it, it tells nothing
MOST_TOKENS: Final = 4  # that two conversations have in common; more say no more


class Pairings(NamedTuple):
    """Pairs of flow-key conversations that may be one, (m,) each.

    one, other : their numbers; turned : whether they stand the other way round
    bits : evidence less conflicts; evidence : mixcni.schema.Evidence, what it rests on
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    turned: NDArray[np.bool_]
    bits: NDArray[np.int64]
    evidence: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["Pairings"]) -> "Pairings":
        """All of some, in their order."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    @classmethod
    def none(cls) -> "Pairings":
        """No pairing."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(nothing, nothing, nothing.astype(np.bool_), nothing, nothing)

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Pairings":
        """Some of them, by a mask or by their places."""
        return Pairings(self.one[chosen], self.other[chosen], self.turned[chosen], self.bits[chosen], self.evidence[chosen])

    def key(self) -> NDArray[np.int64]:
        """(m,) one number a pair, whichever of the two is named first."""
        return pair_key(self.one, self.other)


def pair_key(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number a pair of numbers below 2**31, whichever of the two is named first."""
    return np.asarray(np.minimum(one, other) << 32 | np.maximum(one, other))


def pairs_within(group: NDArray[np.int64], most: int | None = None) -> Pairs:
    """All pairs of rows of one group, the earlier row first; groups of more than `most` rows are left out.

    Parameters
    ----------
    group : (n,) numbers from 0
    """
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    size = sizes[group[order]]
    place = np.arange(group.size) - (np.cumsum(sizes) - sizes)[group[order]]
    following = size - 1 - place  # rows of its group behind each
    if most is not None:
        following[size > most] = 0
    first = np.repeat(np.arange(group.size), following)
    second = first + 1 + np.arange(first.size) - np.repeat(np.cumsum(following) - following, following)
    return order[first], order[second]


def mutual_best(
    pairings: Pairings, there: NDArray[np.bool_], enough: int, margin: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairings are each member's best, with a margin over all that exclude them; and which of the others may be right.

    A pairing excludes another if they share a conversation and a point has both of the other two.

    Parameters
    ----------
    there : (k, p) whether each point has each conversation
    enough : bits that a pairing needs; margin : bits by which it must surpass those that it excludes
    """
    count = pairings.one.size
    member, partner = np.concatenate([pairings.one, pairings.other]), np.concatenate([pairings.other, pairings.one])
    a, b = pairs_within(numbered(member))
    rivals = (there[partner[a]] & there[partner[b]]).any(axis=1)
    a, b = a[rivals] % count, b[rivals] % count
    highest = np.full(count, -1, dtype=np.int64)
    np.maximum.at(highest, a, pairings.bits[b])
    np.maximum.at(highest, b, pairings.bits[a])
    best = (pairings.bits >= enough) & (pairings.bits >= highest + margin)
    unsure = ~best & ((pairings.bits + margin > highest) | (highest < enough))
    key = pairings.key()
    return best, unsure & ~np.isin(key, key[best])
