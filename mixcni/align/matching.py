"""Which flows are one connection by their key: the same addresses and ports, and the same numbers."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mixcni.align.united import HALF, MASK, PROTOCOL_TCP, UnitedFlows
from mixcni.kernels.grouping import numbered, ranks

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
    members: dict[int, dict[int, list[int]]] = defaultdict(dict)
    for row in np.flatnonzero((conversation >= 0) & np.isin(keys, keys[unbegun])).tolist():
        members[int(keys[row])].setdefault(int(conversation[row]), []).append(row)
    count = int(conversation.max(initial=-1)) + 1
    for row in unbegun.tolist():
        of_key = members[int(keys[row])]
        gaps = {
            number: min((octets_between(every, row, other) for other in others), default=np.inf)
            for number, others in of_key.items()
            if not ((every.point[others] == every.point[row]) & (every.tunnelled[others] == every.tunnelled[row])).any()
        }
        number = min(gaps, key=lambda n: gaps[n], default=-1)
        if number < 0 or gaps[number] > MOST_UNSEEN:
            number, count = count, count + 1
        of_key.setdefault(number, []).append(row)
        conversation[row] = number


def octets_between(every: UnitedFlows, row: int, other: int, *, turned: bool | None = None) -> float:
    """Octets between what two flows saw, in the direction in which they are farther apart; 0 where they meet.

    `turned` : whether the one stands the other way round; None: as their addresses tell
    """
    if turned is None:
        turned = every.initiator[row] != every.initiator[other] or every.initiator_port[row] != every.initiator_port[other]
    widest = 0
    for direction in (0, 1):
        mine, theirs = (row, 1 - direction if turned else direction), (other, direction)
        if not (every.based[mine] and every.based[theirs]):
            continue
        ahead = int((every.base[mine] - every.base[theirs] + HALF) & MASK) - int(HALF)
        widest = max(widest, ahead - int(every.reach[theirs]), -ahead - int(every.reach[mine]))
    return widest
