"""Conversations without streams, UDP and ICMP, under other addresses: what they send is alike, and has no numbers of its own."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.carried import shared_payloads
from mixcni.align.pairings import MOST_EQUAL, MOST_TOKENS, Pairings, Pairs, pair_key, pairs_within
from mixcni.align.stated import Statement
from mixcni.align.strands import Strands
from mixcni.kernels.grouping import numbered
from mixcni.schema import Evidence

DATAGRAM_BITS: Final = 12  # an IP identification of 16 bits, which counts up on some hosts
PAYLOAD_BITS: Final = 16  # of what differs from message to message, as the identification of a DNS message


def pair_datagrams(strands: Strands) -> Pairings:
    """Pairings by IP identifications, what datagrams carry, and the end that stayed."""
    if not strands.datagrams.size:
        return Pairings.none()
    rows = strands.rows_of(strands.datagrams)
    identified, carried = _same_datagrams(strands, rows), shared_payloads(strands.every, rows, strands.conversation)
    one, other, times = (np.concatenate(columns) for columns in zip(identified, carried, strict=True))
    weights = np.repeat([DATAGRAM_BITS, PAYLOAD_BITS], [identified[0].size, carried[0].size])
    _, first, pair = np.unique(pair_key(one, other), return_index=True, return_inverse=True)
    bits = np.bincount(pair, weights=weights * np.minimum(times, MOST_TOKENS), minlength=first.size).astype(np.int64)
    return weigh_datagrams(strands, (one[first], other[first]), bits, Evidence.NUMBERS)


def weigh_datagrams(strands: Strands, pairs: Pairs, bits: NDArray[np.int64], evidence: Evidence) -> Pairings:
    """Pairings with `bits` of evidence each, beside ends and time; those left out that cannot be one."""
    count = pairs[0].size
    weighed = Pairings(
        *pairs, np.zeros(count, dtype=np.bool_), bits + strands.kept_end_bits(pairs), np.full(count, int(evidence))
    )
    return strands.weighed(weighed.part(strands.may_meet(pairs)))


def as_long(strands: Strands, statements: Mapping[tuple[int, int], Statement]) -> Pairs:
    """Pairs that a table states, where all that the one sent was as long as something that the other sent the same way."""
    followed = set(strands.datagrams.tolist())
    pairs = [pair for pair, said in statements.items() if not said.turned and followed.issuperset(pair)]
    concerned = np.unique(np.array(pairs, dtype=np.int64))
    sent = strands.every.datagrams_of(strands.rows_of(concerned), identified=False)
    lengths: dict[int, set[tuple[int, int]]] = {number: set() for number in concerned.tolist()}
    columns = strands.conversation[sent["row"]], sent["direction"], sent["octets"]
    for number, direction, octets in zip(*(column.tolist() for column in columns), strict=True):
        lengths[number].add((direction, octets))
    kept = [pair for pair in pairs if lengths[pair[0]] <= lengths[pair[1]] or lengths[pair[1]] <= lengths[pair[0]]]
    chosen = np.array(kept, dtype=np.int64).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def _same_datagrams(strands: Strands, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of conversations, the lower number first, and how many different (direction, IP identification, length) both have."""
    sent = strands.every.datagrams_of(rows)
    token = numbered(sent["protocol"], sent["direction"], sent["ip_id"], sent["octets"])
    number = strands.conversation[sent["row"]]
    _, row = np.unique(numbered(token, number), return_index=True)
    token, number = token[row], number[row]
    a, b = pairs_within(token, MOST_EQUAL)
    _, first, times = np.unique(pair_key(number[a], number[b]), return_index=True, return_counts=True)
    return number[a[first]], number[b[first]], times
