"""Which flows are one connection by their key: the same addresses and ports, and the same numbers."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mixcni.align.united import UnitedFlows, sequence_distance
from mixcni.kernels.grouping import numbered, ranks
from mixcni.schema import PROTOCOL_TCP

MOST_UNSEEN = 1 << 20  # octets in flight between what two points saw of one connection, a large window (RFC 7323) and more


def match_by_key(every: UnitedFlows) -> NDArray[np.int64]:
    """(n,) each flow's conversation: by flow key and initial sequence number; in the midst of a connection, by its octets.

    A point that has one flow twice (an old SYN came late) has it in as many conversations; what it heard plain and within a
    tunnel is in one, and so are all datagrams of a key, between which a silence is no more than that.
    """
    keys = every.keys
    known = every.syn_seen | every.synack_seen | (every.protocol != PROTOCOL_TCP)
    rows = np.flatnonzero(known)
    is_tcp = every.protocol[rows] == PROTOCOL_TCP
    base = np.where(is_tcp, every.base[rows, 0], 0)
    at_point = numbered(keys[rows], base, every.point[rows], every.tunnelled[rows])
    again = ranks(at_point)
    again[~is_tcp] = 0
    conversation = np.full(len(every), -1, dtype=np.int64)
    conversation[rows] = numbered(keys[rows], base, again)
    _join_unbegun(every, keys, conversation, np.flatnonzero(~known))
    return conversation


def _join_unbegun(
    every: UnitedFlows, keys: NDArray[np.int64], conversation: NDArray[np.int64], unbegun: NDArray[np.int64]
) -> None:
    """Enter flows that were caught in the midst of a connection.

    Each joins the nearest conversation of its key whose octets meet its own and which its point does not have yet, else it is
    one by itself.
    """
    of_key: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero((conversation >= 0) & np.isin(keys, keys[unbegun])).tolist():
        of_key[int(keys[row])].append(row)
    count = int(conversation.max(initial=-1)) + 1
    for row in unbegun.tolist():
        others = np.array(of_key[int(keys[row])], dtype=np.int64)
        of_key[int(keys[row])].append(row)
        heard_here = (every.point[others] == every.point[row]) & (every.tunnelled[others] == every.tunnelled[row])
        others = others[~np.isin(conversation[others], conversation[others[heard_here]])]
        mine = np.full(others.size, row)
        gaps = octets_between(every, mine, others, every.is_turned(mine, others))
        if gaps.min(initial=MOST_UNSEEN + 1) <= MOST_UNSEEN:
            conversation[row] = conversation[others[gaps.argmin()]]
        else:
            conversation[row], count = count, count + 1


def octets_between(
    every: UnitedFlows, row: NDArray[np.int64], other: NDArray[np.int64], turned: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Octets between what two flows saw, in the direction in which they are farther apart, elementwise; 0 where they meet.

    `turned` : whether the one stands the other way round
    """
    widest = np.zeros(other.size, dtype=np.int64)
    for direction in (0, 1):
        its_way = turned ^ direction
        ahead = sequence_distance(every.base[other, direction], every.base[row, its_way])
        apart = np.maximum(ahead - every.reach[other, direction], -ahead - every.reach[row, its_way])
        told = every.based[row, its_way] & every.based[other, direction]
        np.maximum(widest, np.where(told, apart, 0), out=widest)
    return widest
