"""Which of two points requests meet first, by time, where no router between them takes from the hop limit.

Between a request and its response more time passes at the point nearer the initiator, by the way to the other one and back;
from a response to the next request more passes at the point nearer the responder. Each point tells such a time by its own clock
alone, so no offset moves it, known or not. An offset could be told from it only where both ways take equally long; the order can.

Requests that got no response have no such time. They are told apart by the clock that points of one node share, and by the
addresses at either end of other conversations.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.clocks import carrying_rows, match_transmissions
from mixcni.align.conversations import ConversationTable
from mixcni.align.envelope import LARGEST_DRIFT
from mixcni.align.pairclock import Matched
from mixcni.align.strands import SAME_HOST_NS
from mixcni.align.transmissions import TransmissionTable

LEAST_TELLING: Final = 3  # times; one or two may be another copy of a segment, or a clock that was set in between
AGREEING: Final = 0.9  # of them, and of the conversations that both points saw; the others may have been begun at the far end
MICROSECOND_NS: Final = 1_000


class Differences(NamedTuple):
    """How much later q, or the response at p, was than the order p, q allows to be 0: negative says q, p.

    conversation : (n,) int64; value, slack : (n,) ns, and within which it is right
    """

    conversation: NDArray[np.int64]
    value: NDArray[np.int64]
    slack: NDArray[np.int64]


class TimeOrder(NamedTuple):
    """Which of two points requests meet first.

    is_given_order : whether it is the one named first; apart_ns : median of what tells it
    by_round_trip : whether round trips tell it, each by one clock; else times by a clock that both share
    """

    is_given_order: bool
    apart_ns: int
    by_round_trip: bool


def order_by_time(
    table: TransmissionTable, conversations: ConversationTable, p: int, q: int, *, one_clock: bool
) -> TimeOrder | None:
    """Which of the points p and q requests meet first; None where times do not tell.

    Parameters
    ----------
    table : with times by each point's own clock, ns
    one_clock : whether both points are on one node
    """
    matched = match_transmissions(table, *carrying_rows(table, (p, q)))
    of_packet = np.full(int(matched.packet_p.max(initial=-1)) + 1, -1, dtype=np.int64)
    rows = np.flatnonzero((table["point"] == p) & (table["packet"] < of_packet.size))
    of_packet[table["packet"][rows]] = table["conversation"][rows]
    conversation = of_packet[matched.packet_p]
    found = _agreed(_round_trips(matched, conversation), conversations, p, q, by_round_trip=True)
    if found is None and one_clock and _may_share_clock(matched):
        found = _agreed(_on_one_clock(matched, conversation), conversations, p, q, by_round_trip=False)
    return found


def _round_trips(matched: Matched, conversation: NDArray[np.int64]) -> Differences:
    """By how much more time passes at p than at q between what goes forward and what comes back next."""
    order = np.argsort(conversation, kind="stable")
    before, after = order[:-1], order[1:]
    turn = (conversation[before] == conversation[after]) & (matched.forward[before] != matched.forward[after])
    before, after = before[turn], after[turn]
    at_p, at_q = matched.at_p[after] - matched.at_p[before], matched.at_q[after] - matched.at_q[before]
    value = np.where(matched.forward[before], at_p - at_q, at_q - at_p)
    drifted = np.ceil(LARGEST_DRIFT * np.maximum(np.abs(at_p), np.abs(at_q))).astype(np.int64)
    return Differences(conversation[after], value, drifted + 2 * _resolution_ns(matched))


def _may_share_clock(matched: Matched) -> bool:
    """Whether what both points saw is as near in time, and as far both ways, as it is by one clock."""
    later = matched.at_q - matched.at_p
    medians = [float(np.median(later[way])) for way in (matched.forward, ~matched.forward) if way.any()]
    opposite = len(medians) < 2 or medians[0] * medians[1] < 0
    return bool(medians) and opposite and max(map(abs, medians)) <= SAME_HOST_NS


def _on_one_clock(matched: Matched, conversation: NDArray[np.int64]) -> Differences:
    later = matched.at_q - matched.at_p
    value = np.where(matched.forward, later, -later)
    return Differences(conversation, value, np.full(value.size, _resolution_ns(matched), dtype=np.int64))


def _resolution_ns(matched: Matched) -> int:
    """Within what the times of both points are right: a microsecond where either has no finer ones."""
    coarse = any(not (times % MICROSECOND_NS).any() for times in (matched.at_p, matched.at_q))
    return MICROSECOND_NS if coarse else 1


def _agreed(
    differences: Differences, conversations: ConversationTable, p: int, q: int, *, by_round_trip: bool
) -> TimeOrder | None:
    """What nearly all conversations that both points saw agree on, each by nearly all of its differences."""
    telling = np.abs(differences.value) > differences.slack
    if np.count_nonzero(telling) < LEAST_TELLING:
        return None
    of = differences.conversation[telling]
    forward = np.bincount(of[differences.value[telling] > 0], minlength=len(conversations))
    total = np.bincount(of, minlength=len(conversations))
    way = (forward >= AGREEING * total).astype(np.int64) - (forward <= (1 - AGREEING) * total)  # 0 where there is no difference
    way = _with_silent(way, conversations, p)[(conversations.flow_of[:, [p, q]] >= 0).all(axis=1)]
    if abs(int(way.sum())) < (2 * AGREEING - 1) * way.size:
        return None
    return TimeOrder(int(way.sum()) > 0, int(np.median(np.abs(differences.value[telling]))), by_round_trip)


def _with_silent(way: NDArray[np.int64], conversations: ConversationTable, p: int) -> NDArray[np.int64]:
    """(c,) the ways, those of conversations that no difference tells by which side their addresses are on.

    way : (c,) 1 where the conversation met p first, -1 where q, 0 unknown
    """
    ends = conversations.ends.initiator[:, p], conversations.ends.responder[:, p]
    side = np.zeros(len(conversations.book), dtype=np.int64)
    for codes, sign in zip(ends, (1, -1), strict=True):
        np.add.at(side, codes[way != 0], sign * way[way != 0])
    side = np.sign(side)
    return np.where(way != 0, way, np.where((ends[0] >= 0) & (ends[1] >= 0), np.sign(side[ends[0]] - side[ends[1]]), 0))
