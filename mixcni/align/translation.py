"""The same TCP connection under other addresses: what a NAT leaves as it is tells that two flows are one.

A NAT rewrites addresses and ports. Sequence numbers, acknowledgments, options and timestamps pass it unchanged (RFC 3022); where
something rewrites those too (a SYN proxy, a proxy that ends the connection), the two halves are two conversations here.

Evidence is weighed in bits, one a halving of the chance that two unrelated flows show the same, and conflicts are taken off.
Flows are joined one to one: each must be the other's best by a margin; what is not is listed, and nobody guesses. Where a table
states a translation, that is evidence as well, and what was joined only because of it is told apart.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.blocks import compare_blocks
from mixcni.align.carried import shared_payloads
from mixcni.align.clock import ClockModel
from mixcni.align.matching import MOST_UNSEEN, octets_between
from mixcni.align.stated import Statement, stated_pairs
from mixcni.align.united import PROTOCOL_TCP, UnitedFlows
from mixcni.kernels.grouping import numbered
from mixcni.schema import Evidence
from mixcni.topology import Translation

ISN_BITS: Final = 32  # RFC 6528: an initial sequence number says nothing of another connection's
SAME_OPTIONS_BITS: Final = 4  # hosts of one kind send the same
SAME_TIMESTAMP_BITS: Final = 16  # RFC 7323 section 5.4: a clock of milliseconds, with an offset a connection
IN_TIME_BITS: Final = 8
DATAGRAM_BITS: Final = 12  # an IP identification of 16 bits, which counts up on some hosts
PAYLOAD_BITS: Final = 16  # of what differs from message to message, as the identification of a DNS message
SAME_CALLER_BITS: Final = 24  # an address with a port that was chosen for this conversation
SAME_CALLED_BITS: Final = 8  # an address with the port of a service
TABLE_BITS: Final = 24  # a line that names both pairs of ends, of some moment: ports are used again
LENGTHS_BITS: Final = 4  # the lengths of datagrams, which those of one service have in common
TOKEN_BITS: Final = 40  # SEQ and ACK together, less what connections of one age have in common
BLOCKS_BITS: Final = 20  # the same octets at the same sequence number, out of the MOST_UNSEEN that nearness leaves
MOST_TOKENS: Final = 4  # more say no more
ENOUGH_BITS: Final = 40  # one in 10**12: of a million flows at each of two points not one pair is joined by chance
MARGIN_BITS: Final = 12
LONGEST_DELAY_NS: Final = 1_000_000_000  # between two points, beside what the clocks are uncertain by
SAME_HOST_NS: Final = 10_000_000  # a host hands a packet on from one of its interfaces to another in less
MOST_EQUAL: Final = 64  # flows with one initial sequence number; where more have it, it tells nothing


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two flow-key conversations that may be one.

    one, other : their numbers; turned : whether they stand the other way round; bits : evidence less conflicts
    """

    one: int
    other: int
    turned: bool
    bits: int
    evidence: Evidence


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
    doubtful: tuple[Pairing, ...]
    stated: tuple[Translation, ...] = ()


class _Strands:
    """Flow-key conversations of TCP, and those of them that may be part of another.

    iss, irs : (k,) int64, as a handshake told them; -1 where none did
    there : (k, p) bool, whether each point has it
    best : (k,) the flow that tells most of it; key : (k,) int64, number of its flow key; is_tcp : (k,) bool
    begun : numbers whose ISS another has too; unbegun : those whose handshake nobody saw and that a point lacks, and with them
        whatever lacks a point
    """

    def __init__(self, every: UnitedFlows, conversation: NDArray[np.int64], clocks: Sequence[ClockModel] | None) -> None:
        self.every, self.conversation, self.clocks = every, conversation, clocks
        count = int(conversation.max(initial=-1)) + 1
        self.there = np.zeros((count, len(every.points)), dtype=np.bool_)
        self.there[conversation, every.point] = True
        self.best = best_flows(every, conversation)
        self.key = every.keys[self.best]
        self.iss, self.irs = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
        told = every.syn_seen | (every.synack_seen & every.based[:, 0])
        self.iss[conversation[told]] = every.base[told, 0]
        self.irs[conversation[every.synack_seen]] = every.base[every.synack_seen, 1]
        self.is_tcp = is_tcp = every.protocol[self.best] == PROTOCOL_TCP
        self.iss[~is_tcp] = -1
        known, times = np.unique(self.iss[self.iss >= 0], return_counts=True)
        self.begun = np.flatnonzero(np.isin(self.iss, known[times > 1])).tolist()
        lacking = is_tcp & ~self.there.all(axis=1)
        self.unbegun = np.flatnonzero(lacking).tolist() if (lacking & (self.iss < 0)).any() else []
        self.datagrams = np.flatnonzero(~is_tcp & ~self.there.all(axis=1)).tolist() if not is_tcp.all() else []
        self.members: dict[int, list[int]] = defaultdict(list)
        chosen = np.zeros(count, dtype=np.bool_)
        chosen[[*self.begun, *self.unbegun, *self.datagrams]] = True
        for row in np.flatnonzero(chosen[conversation]).tolist():
            self.members[int(conversation[row])].append(row)

    def tolerance_ns(self, p: int, q: int) -> int | None:
        """How far apart one event may stand at two points; None where their clocks are not joined."""
        if self.clocks is None:
            return None
        total = LONGEST_DELAY_NS
        for clock in (self.clocks[p], self.clocks[q]):
            if not clock.is_known:
                return None
            total += clock.uncertainty_ns or 0
        return total

    def in_time(self, one: int, other: int) -> bool | None:
        """Whether the flows of two were there at the same time, as far as the clocks tell; None where they do not."""
        answers = []
        for a in self.members[one]:
            for b in self.members[other]:
                tolerance = self.tolerance_ns(int(self.every.point[a]), int(self.every.point[b]))
                if tolerance is None or self.every.first_ns[a] < 0 or self.every.first_ns[b] < 0:
                    continue
                apart = max(self.every.first_ns[a], self.every.first_ns[b]) - min(self.every.last_ns[a], self.every.last_ns[b])
                answers.append(bool(apart <= tolerance))
        return any(answers) if answers else None


def best_flows(every: UnitedFlows, conversation: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k,) the flow of each conversation that saw most of the handshake, the first such on the path."""
    authority = every.syn_seen.astype(np.int8) * 2 + every.synack_seen
    best = np.empty(int(conversation.max(initial=-1)) + 1, dtype=np.int64)
    for least in range(int(authority.max(initial=0)) + 1):
        rows = np.flatnonzero(authority == least)[::-1]
        best[conversation[rows]] = rows  # of one authority the first is written last, over all of less
    return best


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
    count = int(conversation.max(initial=-1)) + 1
    joined, turned = np.arange(count), np.zeros(count, dtype=np.bool_)
    evidence, bits = np.full(count, int(Evidence.KEY)), np.zeros(count, dtype=np.int64)
    strands = _Strands(every, conversation, clocks)
    pairings = _with_payload(strands, [*_by_handshake(strands), *_in_the_midst(strands), *_by_datagrams(strands)])
    accepted, doubtful = _mutual_best(pairings, strands.there)
    statements = stated_pairs(every, strands.best, translations)
    by_packets = {(pairing.one, pairing.other) for pairing in accepted}
    if statements:
        accepted, doubtful = _mutual_best(_with_statements(strands, pairings, statements), strands.there)
    there = strands.there.copy()
    refused, stated = [], []
    for pairing in sorted(accepted, key=lambda p: (-p.bits, p.one, p.other)):
        low, high = sorted((int(joined[pairing.one]), int(joined[pairing.other])))
        if low == high:
            continue
        if (there[low] & there[high] & ~(strands.there[pairing.one] & strands.there[pairing.other])).any():
            refused.append(pairing)  # what was joined to the one and to the other excludes it
            continue
        flip = turned[pairing.one] ^ turned[pairing.other] ^ pairing.turned
        moved = joined == high
        turned[moved] ^= flip
        joined[moved] = low
        there[low] |= there[high]
        for number in (pairing.one, pairing.other):
            evidence[number] |= int(pairing.evidence)
            bits[number] = min(bits[number] or pairing.bits, pairing.bits)
        if (pairing.one, pairing.other) not in by_packets and (pairing.one, pairing.other) in statements:
            stated.append(statements[pairing.one, pairing.other].translation)
    return Translated(joined, turned, evidence, bits, (*doubtful, *refused), tuple(stated))


def _may_meet(strands: _Strands, one: int, other: int) -> bool:
    """Whether their keys differ, and no point has both; or where one does, whether it heard both at once: around its own NAT."""
    if strands.key[one] == strands.key[other]:
        return False
    both = np.flatnonzero(strands.there[one] & strands.there[other])
    if both.size > 1:  # upstream of a NAT there is but the one form, downstream the other
        return False
    every = strands.every
    for point in both.tolist():
        rows = [[row for row in strands.members[n] if every.point[row] == point] for n in (one, other)]
        starts = [min(int(every.syn_ns[row]) for row in of_one) for of_one in rows]
        if min(starts) < 0 or abs(starts[0] - starts[1]) > SAME_HOST_NS:
            return False
    return True


def _by_handshake(strands: _Strands) -> list[Pairing]:
    """Pairings of conversations whose initial sequence numbers a handshake told."""
    by_iss: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number in strands.begun:
        by_iss[int(strands.iss[number])].append((number, int(strands.irs[number])))
    pairings = []
    for equal in by_iss.values():
        if len(equal) > MOST_EQUAL:
            continue
        for i, (one, irs) in enumerate(equal):
            for other, its_irs in equal[i + 1 :]:
                if (irs >= 0 and its_irs >= 0 and irs != its_irs) or not _may_meet(strands, one, other):
                    continue
                pairing = _weigh_handshake(strands, one, other, irs_agrees=irs >= 0 and irs == its_irs)
                if pairing is not None:
                    pairings.append(pairing)
    return pairings


def _weigh_handshake(strands: _Strands, one: int, other: int, *, irs_agrees: bool) -> Pairing | None:
    bits, evidence = ISN_BITS, Evidence.ISS
    if irs_agrees:
        bits, evidence = bits + ISN_BITS, evidence | Evidence.IRS
    options = [_syn_options(strands, number) for number in (one, other)]
    if options[0] is not None and options[1] is not None:
        same = bool((options[0][1:3] == options[1][1:3]).all())  # a middlebox may lower the MSS, not the others
        bits += SAME_OPTIONS_BITS if same else -SAME_TIMESTAMP_BITS
        if same and options[0][3] == options[1][3] and options[0][3] > 0:
            bits, evidence = bits + SAME_TIMESTAMP_BITS, evidence | Evidence.TIMESTAMPS
    bits += _kept_end_bits(strands, one, other)
    in_time = strands.in_time(one, other)
    if in_time is False:
        return None
    if in_time:
        bits, evidence = bits + IN_TIME_BITS, evidence | Evidence.TIME
    return Pairing(one, other, turned=False, bits=bits, evidence=evidence)


def _kept_end_bits(strands: _Strands, one: int, other: int) -> int:
    """What it weighs that a NAT left one end as it was, address and port."""
    every, mine, theirs = strands.every, int(strands.best[one]), int(strands.best[other])
    bits = 0
    for ends, weight in (("initiator", SAME_CALLER_BITS), ("responder", SAME_CALLED_BITS)):
        address, port = getattr(every, ends), getattr(every, f"{ends}_port")
        bits += weight * bool(address[mine] == address[theirs] and port[mine] == port[theirs])
    return bits


def _syn_options(strands: _Strands, number: int) -> NDArray[np.int64] | None:
    """The options of a conversation's SYN; None where it was not seen."""
    for row in strands.members[number]:
        if strands.every.syn_seen[row]:
            return np.asarray(strands.every.syn_options[row])
    return None


def _in_the_midst(strands: _Strands) -> list[Pairing]:
    """Pairings of conversations of which one at least was caught in its midst: by segments with the same numbers in both."""
    every = strands.every
    begun = {number: bool(strands.iss[number] >= 0) for number in strands.unbegun}
    if not begun:
        return []
    rows = np.array(sorted(row for number in begun for row in strands.members[number]), dtype=np.int64)
    segments = every.segments_of(rows)
    shared = _shared_tokens(strands, segments, begun)
    pairings = []
    for (one, other), (same_way, other_way, stamped) in shared.items():
        if not _may_meet(strands, one, other):
            continue
        turned = other_way > same_way
        if octets_between(every, int(strands.best[one]), int(strands.best[other]), turned=turned) > MOST_UNSEEN:
            continue
        in_time = strands.in_time(one, other)
        if in_time is False:
            continue
        bits = TOKEN_BITS * min(max(same_way, other_way), MOST_TOKENS) // 2
        evidence = Evidence.NUMBERS
        if stamped:
            bits, evidence = bits + SAME_TIMESTAMP_BITS * min(stamped, MOST_TOKENS), evidence | Evidence.TIMESTAMPS
        if in_time:
            bits, evidence = bits + IN_TIME_BITS, evidence | Evidence.TIME
        pairings.append(Pairing(one, other, turned=turned, bits=bits, evidence=evidence))
    pairings.extend(_by_nearness(strands, begun, set(shared)))
    return pairings


def _shared_tokens(
    strands: _Strands, segments: dict[str, NDArray[np.int64]], begun: dict[int, bool]
) -> dict[tuple[int, int], tuple[int, int, int]]:
    """For pairs of conversations how many different (SEQ, ACK, TSval, TSecr) both have: the same way, the other way, stamped."""
    names = ("seq", "ack", "ts_val", "ts_ecr")
    token = numbered(*(segments[name] for name in names))
    number = strands.conversation[segments["row"]]
    seen = np.unique(np.stack([token, number, segments["direction"]], axis=1), axis=0)
    stamped_token = np.zeros(int(token.max(initial=-1)) + 1, dtype=np.bool_)
    stamped_token[token[segments["ts_val"] >= 0]] = True
    counts: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    starts = np.flatnonzero(np.append(True, np.diff(seen[:, 0]) != 0)) if seen.size else np.empty(0, dtype=np.int64)
    ends = np.append(starts[1:], seen.shape[0])
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if not 1 < end - start <= MOST_EQUAL:
            continue
        holders = seen[start:end].tolist()
        for i, (_, one, way) in enumerate(holders):
            for _, other, its_way in holders[i + 1 :]:
                if one == other or (begun[one] and begun[other]):
                    continue
                entry = counts[min(one, other), max(one, other)]
                entry[int(way != its_way)] += 1
                entry[2] += bool(stamped_token[holders[i][0]])
    return {pair: (entry[0], entry[1], entry[2]) for pair, entry in counts.items()}


def _by_nearness(strands: _Strands, begun: dict[int, bool], known: set[tuple[int, int]]) -> list[Pairing]:
    """Pairings that rest on bases near each other alone: two chances in 2**12 a direction, which is never enough."""
    every = strands.every
    numbers = [number for number in begun if every.based[strands.best[number]].all()]
    pairings = []
    for turned in (False, True):
        forward = np.array([every.base[strands.best[n], 0] for n in numbers], dtype=np.int64)
        theirs = np.array([every.base[strands.best[n], 1 if turned else 0] for n in numbers], dtype=np.int64)
        order = np.argsort(theirs, kind="stable")
        low = np.searchsorted(theirs[order], forward - MOST_UNSEEN)
        high = np.searchsorted(theirs[order], forward + MOST_UNSEEN, side="right")
        for i, one in enumerate(numbers):
            for j in order[low[i] : high[i]].tolist():
                other = numbers[j]
                pair = min(one, other), max(one, other)
                if one >= other or pair in known or (begun[one] and begun[other]) or not _may_meet(strands, one, other):
                    continue
                rows = int(strands.best[one]), int(strands.best[other])
                if octets_between(every, *rows, turned=turned) <= MOST_UNSEEN and strands.in_time(one, other) is not False:
                    pairings.append(Pairing(*pair, turned=turned, bits=ENOUGH_BITS // 2, evidence=Evidence.NUMBERS))
    return pairings


def _by_datagrams(strands: _Strands) -> list[Pairing]:
    """Pairings of conversations without streams: by IP identifications, what they carry, and the end that stayed."""
    if not strands.datagrams:
        return []
    rows = sorted(row for number in strands.datagrams for row in strands.members[number])
    numbered_alike, carried = _shared_datagrams(strands), shared_payloads(strands.every, rows, strands.conversation)
    weighed = []
    for one, other in sorted({*numbered_alike, *carried}):
        alike, payloads = numbered_alike.get((one, other), 0), carried.get((one, other), 0)
        bits = DATAGRAM_BITS * min(alike, MOST_TOKENS) + PAYLOAD_BITS * min(payloads, MOST_TOKENS)
        weighed.append(_weigh_datagrams(strands, one, other, bits, Evidence.NUMBERS))
    return [pairing for pairing in weighed if pairing is not None]


def _weigh_datagrams(strands: _Strands, one: int, other: int, bits: int, evidence: Evidence) -> Pairing | None:
    """Two conversations without streams, with `bits` of evidence beside ends and time; None where they cannot be one."""
    in_time = strands.in_time(one, other)
    if in_time is False or not _may_meet(strands, one, other):
        return None
    bits += _kept_end_bits(strands, one, other)
    if in_time:
        bits, evidence = bits + IN_TIME_BITS, evidence | Evidence.TIME
    return Pairing(one, other, turned=False, bits=bits, evidence=evidence)


def _shared_datagrams(strands: _Strands) -> dict[tuple[int, int], int]:
    """For pairs of conversations how many different (direction, IP identification, length) both have."""
    every = strands.every
    rows = np.array(sorted(row for number in strands.datagrams for row in strands.members[number]), dtype=np.int64)
    sent = every.datagrams_of(rows)
    token = numbered(sent["protocol"], sent["direction"], sent["ip_id"], sent["octets"])
    seen = np.unique(np.stack([token, strands.conversation[sent["row"]]], axis=1), axis=0)
    starts = np.flatnonzero(np.append(np.ones(min(len(seen), 1), dtype=np.bool_), np.diff(seen[:, 0]) != 0))
    sizes = np.diff(np.append(starts, len(seen)))
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        if 1 < size <= MOST_EQUAL:
            for pair in itertools.combinations(seen[start : start + size, 1].tolist(), 2):
                counts[pair] += 1
    return counts


def _with_payload(strands: _Strands, pairings: list[Pairing]) -> list[Pairing]:
    """The pairings; what was sent tells of those that rest on numbers alone, and are not enough or not the only ones."""
    settled = set(_mutual_best(pairings, strands.there)[0])
    open_ones = [
        number
        for number, pairing in enumerate(pairings)
        if pairing not in settled and pairing.evidence & ~Evidence.TIME == Evidence.NUMBERS and strands.is_tcp[pairing.one]
    ]
    if not open_ones:
        return pairings
    members = [(strands.members[pairings[n].one], strands.members[pairings[n].other], pairings[n].turned) for n in open_ones]
    told = list(pairings)
    for number, agreement in zip(open_ones, compare_blocks(strands.every, members), strict=True):
        pairing = pairings[number]
        if agreement.other:
            told[number] = replace(pairing, bits=pairing.bits - ENOUGH_BITS)
        elif agreement.same:
            told[number] = replace(pairing, bits=pairing.bits + BLOCKS_BITS, evidence=pairing.evidence | Evidence.PAYLOAD)
    return [pairing for pairing in told if pairing.bits > 0]


def _with_statements(
    strands: _Strands, pairings: list[Pairing], statements: Mapping[tuple[int, int], Statement]
) -> list[Pairing]:
    """The pairings, those raised that a table states, and with those of datagrams for which nothing else but lengths speaks."""
    raised = []
    for pairing in pairings:
        pair = min(pairing.one, pairing.other), max(pairing.one, pairing.other)
        said = pair in statements and statements[pair].turned == pairing.turned
        more = replace(pairing, bits=pairing.bits + TABLE_BITS, evidence=pairing.evidence | Evidence.TABLE)
        raised.append(more if said else pairing)
    known = {(pairing.one, pairing.other) for pairing in pairings}
    followed = set(strands.datagrams)
    for (one, other), statement in statements.items():
        if (one, other) not in known and not statement.turned and followed.issuperset((one, other)):
            sent = [_lengths(strands, number) for number in (one, other)]
            if sent[0] <= sent[1] or sent[1] <= sent[0]:
                weighed = _weigh_datagrams(strands, one, other, LENGTHS_BITS + TABLE_BITS, Evidence.TABLE)
                raised.extend([weighed] if weighed is not None else [])
    return raised


def _lengths(strands: _Strands, number: int) -> set[tuple[int, int]]:
    """Direction and length of each datagram of a conversation."""
    sent = strands.every.datagrams_of(np.array(strands.members[number], dtype=np.int64), identified=False)
    return set(zip(sent["direction"].tolist(), sent["octets"].tolist(), strict=True))


def _mutual_best(pairings: list[Pairing], there: NDArray[np.bool_]) -> tuple[list[Pairing], tuple[Pairing, ...]]:
    """Pairings in which each is the other's best, with a margin over all that exclude it; and those that may be and are not made.

    A pairing excludes another if they share a conversation and a point has both of the other two.
    """
    by_member: dict[int, list[Pairing]] = defaultdict(list)
    for pairing in pairings:
        by_member[pairing.one].append(pairing)
        by_member[pairing.other].append(pairing)
    accepted, doubtful = [], []
    for pairing in pairings:
        rivals = []
        for member, partner in ((pairing.one, pairing.other), (pairing.other, pairing.one)):
            for rival in by_member[member]:
                its_partner = rival.other if rival.one == member else rival.one
                if rival is not pairing and (there[partner] & there[its_partner]).any():
                    rivals.append(rival.bits)
        highest = max(rivals, default=-1)
        if pairing.bits >= ENOUGH_BITS and pairing.bits >= highest + MARGIN_BITS:
            accepted.append(pairing)
        elif pairing.bits + MARGIN_BITS > highest or highest < ENOUGH_BITS:
            doubtful.append(pairing)
    taken = {(p.one, p.other) for p in accepted}
    return accepted, tuple(p for p in doubtful if (p.one, p.other) not in taken)
