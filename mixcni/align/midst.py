"""Connections caught in their midst: segments with the same numbers, under whatever addresses, are of one connection."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.matching import MOST_UNSEEN, octets_between
from mixcni.align.pairings import MOST_EQUAL, MOST_TOKENS, Pairings, Pairs, pair_key, pairs_within
from mixcni.align.strands import Strands
from mixcni.kernels.grouping import numbered
from mixcni.schema import Evidence

TOKEN_BITS: Final = 40  # SEQ and ACK together, less what connections of one age have in common
SAME_TIMESTAMP_BITS: Final = 16  # RFC 7323 section 5.4: a clock of milliseconds, with an offset a connection
NEAR_BITS: Final = 20  # bases near each other: two chances in 2**12 a direction, which is never enough


def pair_in_midst(strands: Strands) -> Pairings:
    """Pairings of conversations of which one at least was caught in its midst."""
    if not strands.unbegun.size:
        return Pairings.none()
    shared = _with_shared_tokens(strands)
    near = _near(strands)
    near = near.part(~np.isin(near.key(), shared.key()))
    shared = shared.part(strands.may_meet((shared.one, shared.other)))
    apart = octets_between(strands.every, strands.best[shared.one], strands.best[shared.other], shared.turned)
    return strands.weighed(Pairings.joined([shared.part(apart <= MOST_UNSEEN), near]))


def _with_shared_tokens(strands: Strands) -> Pairings:
    """Pairs with segments of the same (SEQ, ACK, TSval, TSecr), turned where more of them go the other way."""
    segments = strands.every.segments_of(strands.rows_of(strands.unbegun))
    token = numbered(*(segments[name] for name in ("seq", "ack", "ts_val", "ts_ecr")))
    stamped_token = np.zeros(int(token.max(initial=-1)) + 1, dtype=np.bool_)
    stamped_token[token[segments["ts_val"] >= 0]] = True
    columns = token, strands.conversation[segments["row"]], segments["direction"]
    _, row = np.unique(numbered(*columns), return_index=True)
    token, number, way = (column[row] for column in columns)
    a, b = pairs_within(token, MOST_EQUAL)
    kept = number[a] != number[b]
    kept &= (strands.iss[number[a]] < 0) | (strands.iss[number[b]] < 0)
    a, b = a[kept], b[kept]
    _, first, pair = np.unique(pair_key(number[a], number[b]), return_index=True, return_inverse=True)
    other_way, stamped = (
        np.bincount(pair, weights=each, minlength=first.size).astype(np.int64)
        for each in (way[a] != way[b], stamped_token[token[a]])
    )
    same_way = np.bincount(pair, minlength=first.size) - other_way
    bits = TOKEN_BITS * np.minimum(np.maximum(same_way, other_way), MOST_TOKENS) // 2
    bits += SAME_TIMESTAMP_BITS * np.minimum(stamped, MOST_TOKENS)
    evidence = np.where(stamped > 0, int(Evidence.NUMBERS | Evidence.TIMESTAMPS), int(Evidence.NUMBERS))
    pairs = number[a[first]], number[b[first]]
    return Pairings(np.minimum(*pairs), np.maximum(*pairs), other_way > same_way, bits, evidence)


def _near(strands: Strands) -> Pairings:
    """Pairings that rest on bases near each other alone."""
    every, numbers = strands.every, strands.unbegun
    numbers = numbers[every.based[strands.best[numbers]].all(axis=1)]
    forward = every.base[strands.best[numbers], 0]
    found = []
    for turned in (False, True):
        one, other = _within(forward, every.base[strands.best[numbers], int(turned)])
        pairs = numbers[one], numbers[other]
        kept = (pairs[0] < pairs[1]) & ((strands.iss[pairs[0]] < 0) | (strands.iss[pairs[1]] < 0))
        pairs = pairs[0][kept], pairs[1][kept]
        flags = np.full(pairs[0].size, turned)
        kept = octets_between(every, strands.best[pairs[0]], strands.best[pairs[1]], flags) <= MOST_UNSEEN
        kept &= strands.may_meet(pairs)
        alike = np.full(flags.size, NEAR_BITS), np.full(flags.size, int(Evidence.NUMBERS))
        found.append(Pairings(*pairs, flags, *alike).part(kept))
    return Pairings.joined(found)


def _within(mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> Pairs:
    """The places of all pairs of numbers that are MOST_UNSEEN apart at most."""
    order = np.argsort(theirs, kind="stable")
    low = np.searchsorted(theirs[order], mine - MOST_UNSEEN)
    count = np.searchsorted(theirs[order], mine + MOST_UNSEEN, side="right") - low
    one = np.repeat(np.arange(mine.size), count)
    return one, order[low[one] + np.arange(one.size) - (np.cumsum(count) - count)[one]]
