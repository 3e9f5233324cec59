"""Flow-key conversations of all points, and which of them may be part of another under other addresses."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.clock import ClockModel
from mixcni.align.pairings import Pairings, Pairs
from mixcni.align.united import UnitedFlows
from mixcni.kernels.grouping import numbered
from mixcni.schema import PROTOCOL_TCP, Evidence

IN_TIME_BITS: Final = 8
SAME_CALLER_BITS: Final = 24  # an address with a port that was chosen for this conversation
SAME_CALLED_BITS: Final = 8  # an address with the port of a service
LONGEST_DELAY_NS: Final = 1_000_000_000  # between two points, beside what the clocks are uncertain by
SAME_HOST_NS: Final = 10_000_000  # a host hands a packet on from one of its interfaces to another in less
SEVERAL: Final = 3  # keys of one connection before and behind a NAT are two
NEVER: Final = np.iinfo(np.int64).max


class Strands:
    """Flow-key conversations, and those of them that may be part of another.

    iss, irs : (k,) int64, as a handshake told them; -1 where none did
    there : (k, p) bool, whether each point has it
    best : (k,) the flow that tells most of it; key : (k,) int64, number of its flow key; is_tcp : (k,) bool
    begun : numbers of those whose ISS another has too
    partial : of TCP those that a point lacks; unbegun : these, if the handshake of one of them was not seen
    datagrams : without streams, those that a point lacks
    """

    def __init__(self, every: UnitedFlows, conversation: NDArray[np.int64], clocks: Sequence[ClockModel] | None) -> None:
        self.every, self.conversation = every, conversation
        count, points = int(conversation.max(initial=-1)) + 1, len(every.points)
        self.there = np.zeros((count, points), dtype=np.bool_)
        self.there[conversation, every.point] = True
        self.best = best_flows(every, conversation)
        self.key = every.keys[self.best]
        self.iss, self.irs = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
        told = every.syn_seen | (every.synack_seen & every.based[:, 0])
        self.iss[conversation[told]] = every.base[told, 0]
        self.irs[conversation[every.synack_seen]] = every.base[every.synack_seen, 1]
        self.is_tcp = is_tcp = every.protocol[self.best] == PROTOCOL_TCP
        self.iss[~is_tcp] = -1
        lacking = ~self.there.all(axis=1)
        partial = is_tcp & lacking
        known, times = np.unique(self.iss[self.iss >= 0], return_counts=True)
        self.begun = np.flatnonzero(np.isin(self.iss, known[times > 1]))
        self.partial = np.flatnonzero(partial)
        self.unbegun = np.flatnonzero(partial & (partial & (self.iss < 0)).any())
        self.datagrams = np.flatnonzero(~is_tcp & lacking)
        self._members = np.argsort(conversation, kind="stable")
        self._sizes = np.bincount(conversation, minlength=count)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._tolerance_ns = _tolerances(clocks, points)

    def members(self, number: int) -> list[int]:
        """The flows of one conversation, as rows of `every`."""
        start = self._starts[number]
        return list(self._members[start : start + self._sizes[number]].tolist())

    def rows_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The flows of some conversations, ascending."""
        chosen = np.zeros(len(self.there), dtype=np.bool_)
        chosen[numbers] = True
        return np.flatnonzero(chosen[self.conversation])

    def syn_options(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(k, 4) the options of each conversation's SYN, and (k,) whether one was seen."""
        seen = np.flatnonzero(self.every.syn_seen)[::-1]  # the first is written last
        options = np.zeros((len(self.there), 4), dtype=np.int64)
        options[self.conversation[seen]] = self.every.syn_options[seen]
        held = np.zeros(len(self.there), dtype=np.bool_)
        held[self.conversation[seen]] = True
        return options, held

    def begins_told(self) -> NDArray[np.bool_]:
        """(k,) whether a handshake told every flow of one where its numbers begin, in each direction that it has segments of."""
        every = self.every
        untold = every.based & ~np.stack([every.syn_seen, every.synack_seen], axis=1)
        told = np.ones(len(self.there), dtype=np.bool_)
        told[self.conversation[untold.any(axis=1)]] = False
        return told

    def begin_is_common(self) -> NDArray[np.bool_]:
        """(k,) whether a point heard several connections begin with one's ISS and TSval, one after the other.

        What writes packets by hand often gives them all one number. A NAT of the point's own makes another key, and at once.
        """
        every, begin = self.every, numbered(self.iss, self.syn_options()[0][:, 3])
        rows = np.flatnonzero((self.iss[self.conversation] >= 0) & (every.syn_ns >= 0))
        begun = begin[self.conversation[rows]]
        place = numbered(begun, every.point[rows])
        _, of_key = np.unique(numbered(place, every.keys[rows]), return_index=True)
        first, last = np.full(rows.size, NEVER), np.zeros(rows.size, dtype=np.int64)
        np.minimum.at(first, place, every.syn_ns[rows])
        np.maximum.at(last, place, every.syn_ns[rows])
        keys = np.bincount(place[of_key], minlength=rows.size)
        common = (keys >= SEVERAL) & (last - first > SAME_HOST_NS)
        return np.isin(begin, begun[common[place]])

    def may_follow(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Whether of two the one that is heard farther on has no more of the initiator, and no less of the responder."""
        positions = np.arange(self.there.shape[1])
        first, last = self.there.argmax(axis=1), np.where(self.there, positions, -1).max(axis=1, initial=-1)
        reach = np.full((len(self.there), 2), -1, dtype=np.int64)
        np.maximum.at(reach, self.conversation, self.every.reach)
        follows = np.ones(pairs[0].size, dtype=np.bool_)
        for near, far in (pairs, pairs[::-1]):
            behind = last[near] < first[far]
            follows &= ~behind | ((reach[far, 0] <= reach[near, 0]) & (reach[far, 1] >= reach[near, 1]))
        return follows

    def may_meet(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Whether the keys of two differ, and no point has both; or where one does, whether it heard both at once.

        That is a point around its own NAT: upstream of one there is but the one form, downstream the other.
        """
        one, other = pairs
        both = self.there[one] & self.there[other]
        times = both.sum(axis=1)
        meets = (self.key[one] != self.key[other]) & (times <= 1)
        shared = np.flatnonzero(meets & (times == 1))
        if shared.size:
            point = both[shared].argmax(axis=1)
            begun = np.full(self.there.shape, NEVER, dtype=np.int64)
            np.minimum.at(begun, (self.conversation, self.every.point), self.every.syn_ns)
            starts = begun[one[shared], point], begun[other[shared], point]
            meets[shared] = (np.minimum(*starts) >= 0) & (np.abs(starts[0] - starts[1]) <= SAME_HOST_NS)
        return np.asarray(meets)

    def kept_end_bits(self, pairs: Pairs) -> NDArray[np.int64]:
        """What it weighs that a NAT left one end as it was, address and port."""
        every, mine, theirs = self.every, self.best[pairs[0]], self.best[pairs[1]]
        bits = np.zeros(mine.size, dtype=np.int64)
        for ends, weight in (("initiator", SAME_CALLER_BITS), ("responder", SAME_CALLED_BITS)):
            address, port = getattr(every, ends), getattr(every, f"{ends}_port")
            bits += weight * ((address[mine] == address[theirs]) & (port[mine] == port[theirs]))
        return bits

    def weighed(self, pairings: Pairings) -> Pairings:
        """The pairings with what their times weigh, those left out whose flows were not there at the same time."""
        at_once, known = self._in_time((pairings.one, pairings.other))
        raised = pairings._replace(
            bits=pairings.bits + IN_TIME_BITS * at_once, evidence=pairings.evidence | int(Evidence.TIME) * at_once
        )
        return raised.part(at_once | ~known)

    def _in_time(self, pairs: Pairs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether the flows of two were there at the same time, as far as the clocks tell, and whether those tell it."""
        sizes = self._sizes[pairs[0]], self._sizes[pairs[1]]
        pair = np.repeat(np.arange(sizes[0].size), sizes[0] * sizes[1])  # each flow of the one with each of the other
        place = np.arange(pair.size) - (np.cumsum(sizes[0] * sizes[1]) - sizes[0] * sizes[1])[pair]
        a = self._members[self._starts[pairs[0]][pair] + place // sizes[1][pair]]
        b = self._members[self._starts[pairs[1]][pair] + place % sizes[1][pair]]
        first, last = self.every.first_ns, self.every.last_ns
        tolerance = self._tolerance_ns[self.every.point[a], self.every.point[b]]
        known = (tolerance >= 0) & (first[a] >= 0) & (first[b] >= 0)
        near = known & (np.maximum(first[a], first[b]) - np.minimum(last[a], last[b]) <= tolerance)
        return tuple(np.bincount(pair[found], minlength=sizes[0].size) > 0 for found in (near, known))  # type: ignore[return-value]


def _tolerances(clocks: Sequence[ClockModel] | None, points: int) -> NDArray[np.int64]:
    """(p, p) how far apart one event may stand at two points, ns; -1 where their clocks are not joined."""
    tolerance = np.full((points, points), -1, dtype=np.int64)
    known = [point for point, clock in enumerate(clocks or ()) if clock.is_known]
    for p in known:
        for q in known:
            tolerance[p, q] = LONGEST_DELAY_NS + sum((clocks or ())[point].uncertainty_ns or 0 for point in (p, q))
    return tolerance


def best_flows(every: UnitedFlows, conversation: NDArray[np.int64]) -> NDArray[np.int64]:
    """(k,) the flow of each conversation that saw most of the handshake, the first such on the path."""
    authority = every.syn_seen.astype(np.int8) * 2 + every.synack_seen
    best = np.empty(int(conversation.max(initial=-1)) + 1, dtype=np.int64)
    for least in range(int(authority.max(initial=0)) + 1):
        rows = np.flatnonzero(authority == least)[::-1]
        best[conversation[rows]] = rows  # of one authority the first is written last, over all of less
    return best
