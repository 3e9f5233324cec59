"""The same TCP connection under other addresses: what a NAT leaves as it is tells that two flows are one.

A NAT rewrites addresses and ports. Sequence numbers, acknowledgments, options and timestamps pass it unchanged (RFC 3022). A
firewall that chooses other initial numbers leaves the ends as they are. Where something rewrites both (a proxy that ends the
connection), the two halves are two conversations here.

Evidence is weighed in bits, one a halving of the chance that two unrelated flows show the same, and conflicts are taken off.
Flows are joined one to one: each must be the other's best by a margin; what is not is listed, and nobody guesses. Where a table
states a translation, that is evidence as well, and what was joined only because of it is told apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.blocks import compare_blocks
from mixcni.align.clock import ClockModel
from mixcni.align.kernel import unite_pairs
from mixcni.align.midst import SAME_TIMESTAMP_BITS, pair_in_midst
from mixcni.align.pairings import MOST_EQUAL, Pairings, mutual_best, pair_key, pairs_within
from mixcni.align.stated import Statement, stated_pairs
from mixcni.align.strands import Strands
from mixcni.align.united import UnitedFlows
from mixcni.align.unstreamed import as_long, pair_datagrams, weigh_datagrams
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.schema import Evidence
from mixcni.topology import Translation

ISN_BITS: Final = 32  # RFC 6528: an initial sequence number says nothing of another connection's
SAME_OPTIONS_BITS: Final = 4  # hosts of one kind send the same
TABLE_BITS: Final = 24  # a line that names both pairs of ends, of some moment: ports are used again
LENGTHS_BITS: Final = 4  # the lengths of datagrams, which those of one service have in common
BLOCKS_BITS: Final = 20  # the same octets at the same sequence number, out of the MOST_UNSEEN that nearness leaves
ENOUGH_BITS: Final = 40  # one in 10**12: of a million flows at each of two points not one pair is joined by chance
MARGIN_BITS: Final = 12
UNJOINED: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of conversations that a NAT may have rewritten.

    joined : (k,) for each flow-key conversation that of which it is part; turned : (k,) whether it stands the other way round
    evidence, bits : (k,) on what that rests; doubtful : pairings that were not made
    stated : what tables say of conversations that packets alone would have left apart
    """

    joined: NDArray[np.int64]
    turned: NDArray[np.bool_]
    evidence: NDArray[np.int64]
    bits: NDArray[np.int64]
    doubtful: Pairings
    stated: tuple[Translation, ...] = ()


def join_translated(
    every: UnitedFlows,
    conversation: NDArray[np.int64],
    clocks: Sequence[ClockModel] | None,
    translations: Sequence[Translation] = (),
) -> Translated:
    """Conversations by flow key, joined where another key is the same connection.

    Parameters
    ----------
    every : the flows of all points
    conversation : (n,) each flow's conversation by its key
    clocks : one a point, where they are known by now
    translations : what tables of the cluster state
    """
    strands = Strands(every, conversation, clocks)
    by_syns = [_pair_by_handshake(strands), _pair_renumbered(strands)]
    pairings = Pairings.joined([*by_syns, pair_in_midst(strands), pair_datagrams(strands)])
    pairings = _with_payload(strands, pairings)
    best, unsure = mutual_best(pairings, strands.there, ENOUGH_BITS, MARGIN_BITS)
    statements = stated_pairs(every, strands.best, translations)
    by_packets = pairings.part(best).key()
    if statements:
        pairings = _with_statements(strands, pairings, statements)
        best, unsure = mutual_best(pairings, strands.there, ENOUGH_BITS, MARGIN_BITS)
    made = pairings.part(best)
    made = made.part(np.lexsort((made.other, made.one, -made.bits)))
    joined, turned = np.arange(len(strands.there)), np.zeros(len(strands.there), dtype=np.bool_)
    refused = np.zeros(made.one.size, dtype=np.bool_)
    there = strands.there.ravel()
    pairs = made.one, made.other, made.turned
    run(unite_pairs, made.one.size + joined.size, *pairs, len(every.points), there, there.copy(), joined, turned, refused)
    kept = made.part(~refused)
    evidence, bits = np.full(joined.size, int(Evidence.KEY)), np.full(joined.size, UNJOINED)
    for numbers in (kept.one, kept.other):
        np.bitwise_or.at(evidence, numbers, kept.evidence)
        np.minimum.at(bits, numbers, kept.bits)
    bits[bits == UNJOINED] = 0
    said = kept.part(~np.isin(kept.key(), by_packets))
    told = (statements.get((min(pair), max(pair))) for pair in zip(said.one.tolist(), said.other.tolist(), strict=True))
    stated = tuple(statement.translation for statement in told if statement is not None)
    return Translated(joined, turned, evidence, bits, Pairings.joined([pairings.part(unsure), made.part(refused)]), stated)


def _pair_by_handshake(strands: Strands) -> Pairings:
    """Pairings of conversations whose initial sequence numbers a handshake told.

    Where many begin alike that joins none; those that may be one for all else are in doubt.
    """
    numbers = strands.begun
    pairs = [numbers[places] for places in pairs_within(numbered(strands.iss[numbers]), MOST_EQUAL)]
    its = strands.irs[pairs[0]], strands.irs[pairs[1]]
    kept = ((its[0] == its[1]) | (np.minimum(*its) < 0)) & strands.may_meet((pairs[0], pairs[1]))
    one, other = pairs[0][kept], pairs[1][kept]
    same_irs = (its[0] == its[1])[kept] & (its[0] >= 0)[kept]
    bits = ISN_BITS + ISN_BITS * same_irs
    evidence = int(Evidence.ISS) | int(Evidence.IRS) * same_irs
    found = _weighed_by_syns(strands, Pairings(one, other, np.zeros(one.size, dtype=np.bool_), bits, evidence))
    if not found.one.size:
        return found
    common = strands.begin_is_common()[found.one]
    possible = ~common | strands.may_follow((found.one, found.other))
    bits = np.where(common, np.minimum(found.bits, ENOUGH_BITS - 1), found.bits)
    return found._replace(bits=bits).part(possible)


def _pair_renumbered(strands: Strands) -> Pairings:
    """Pairings of one flow key and two initial sequence numbers, of which no point has both: a firewall may have chosen one.

    Where a handshake did not tell how the numbers moved, two may be one, and are not joined.
    """
    numbers = strands.partial
    one, other = (numbers[places] for places in pairs_within(numbered(strands.key[numbers]), MOST_EQUAL))
    apart = ~(strands.there[one] & strands.there[other]).any(axis=1)
    one, other = one[apart], other[apart]
    nothing = np.zeros(one.size, dtype=np.int64)
    found = _weighed_by_syns(strands, Pairings(one, other, nothing.astype(np.bool_), nothing, nothing | int(Evidence.KEY)))
    told = strands.begins_told()
    joinable = told[found.one] & told[found.other]
    return found._replace(bits=np.where(joinable, found.bits, np.minimum(found.bits, ENOUGH_BITS - 1)))


def _weighed_by_syns(strands: Strands, pairings: Pairings) -> Pairings:
    """The pairings with what their SYNs' options, the ends that stayed and their times weigh."""
    one, other = pairings.one, pairings.other
    options, seen = strands.syn_options()
    comparable = seen[one] & seen[other]
    same = comparable & (options[one, 1:3] == options[other, 1:3]).all(axis=1)  # a middlebox may lower the MSS
    common = options[one, 2] & options[other, 2]  # or take options out
    stripped = (options[one, 1] == options[other, 1]) & ((common == options[one, 2]) | (common == options[other, 2]))
    stamped = same & (options[one, 3] == options[other, 3]) & (options[one, 3] > 0)
    bits = pairings.bits + SAME_OPTIONS_BITS * same - SAME_TIMESTAMP_BITS * (comparable & ~same & ~stripped)
    bits += SAME_TIMESTAMP_BITS * stamped + strands.kept_end_bits((one, other))
    evidence = pairings.evidence | int(Evidence.TIMESTAMPS) * stamped
    return strands.weighed(pairings._replace(bits=bits, evidence=evidence))


def _with_payload(strands: Strands, pairings: Pairings) -> Pairings:
    """The pairings; what was sent tells of those that rest on numbers alone, and are not enough or not the only ones."""
    settled, _ = mutual_best(pairings, strands.there, ENOUGH_BITS, MARGIN_BITS)
    by_numbers = (pairings.evidence & ~int(Evidence.TIME)) == int(Evidence.NUMBERS)
    rows = np.flatnonzero(~settled & by_numbers & strands.is_tcp[pairings.one])
    if not rows.size:
        return pairings
    asked = pairings.part(rows)
    members = [
        (strands.members(one), strands.members(other), turned)
        for one, other, turned in zip(asked.one.tolist(), asked.other.tolist(), asked.turned.tolist(), strict=True)
    ]
    agreements = compare_blocks(strands.every, members)
    differs = np.array([agreement.other > 0 for agreement in agreements])
    agrees = np.array([agreement.same > 0 for agreement in agreements]) & ~differs
    pairings.bits[rows] += BLOCKS_BITS * agrees - ENOUGH_BITS * differs
    pairings.evidence[rows] |= int(Evidence.PAYLOAD) * agrees
    return pairings.part(pairings.bits > 0)


def _with_statements(strands: Strands, pairings: Pairings, statements: Mapping[tuple[int, int], Statement]) -> Pairings:
    """The pairings, those raised that a table states, and with those of datagrams for which nothing else but lengths speaks."""
    said = np.array([*statements], dtype=np.int64)
    key, turned = pair_key(said[:, 0], said[:, 1]), np.array([statement.turned for statement in statements.values()])
    order = np.argsort(key)
    at = order[np.minimum(np.searchsorted(key, pairings.key(), sorter=order), key.size - 1)]
    raised = (key[at] == pairings.key()) & (turned[at] == pairings.turned)
    more = pairings._replace(bits=pairings.bits + TABLE_BITS * raised, evidence=pairings.evidence | int(Evidence.TABLE) * raised)
    one, other = as_long(strands, statements)
    new = ~np.isin(pair_key(one, other), pairings.key())
    bits = np.full(int(new.sum()), LENGTHS_BITS + TABLE_BITS)
    return Pairings.joined([more, weigh_datagrams(strands, (one[new], other[new]), bits, Evidence.TABLE)])
