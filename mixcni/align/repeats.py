"""Equal datagrams at points whose clocks nothing has joined yet: which of one point's are which of another's.

Linux leaves the IP identification at 0 where a datagram is not to be fragmented (RFC 6864 section 4), and what one resolver is
asked is often of one length. What they carry tells most of them apart, for no router and no NAT changes it. Those that carry the
same are matched in their order, the k-th to the k-th, if both points have equally many and their intervals fit no other order:
of a steady beat one capture may lack the first and another the last, and nothing would show it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.alike import Alike, Datagrams
from mixcni.align.kernel import mark_repeated, mark_soon
from mixcni.decode.payloads import payloads_again
from mixcni.flows import FlowTable
from mixcni.flows.kernel.copies import COPY_NS
from mixcni.kernels.grouping import in_order, numbered
from mixcni.kernels.jit import run

MOST_READ: Final = (
    100_000  # datagrams whose payload is looked at: of the kinds that repeat least, which are questions and replies
)
LEAST_ALIKE: Final = 3  # two have one interval, and any other such pair fits as well
ALIKE: Final = 0.1  # of how much intervals vary: delays may vary by this, as in mixcni.align.clocks


def heard_again(points: Sequence[FlowTable], rows: Datagrams, alike: Alike) -> NDArray[np.int64]:
    """(n,) how often each datagram was heard again on an interface of its point, as its payload tells; -1 where it is a copy.

    An IP identification tells that without the payload (mixcni.flows.kernel.copies); these have none.

    Parameters
    ----------
    rows, alike : of all points
    """
    again, near = np.zeros(rows.packet.size, dtype=np.int64), np.zeros(rows.packet.size, dtype=np.bool_)
    last = np.full(int(alike.place.max()) + 1, -1, dtype=np.int32)
    run(mark_soon, near.size, alike.order, alike.place, rows.kind, rows.time_ns, COPY_NS, last, near)
    chosen = np.flatnonzero(near)
    content = _contents(points, rows, chosen) if 0 < chosen.size <= MOST_READ else None
    if content is None:
        return again
    order, soon = _soon_again(numbered(alike.place[chosen], content), rows.time_ns[chosen])
    first = np.maximum.accumulate(np.where(soon, 0, np.arange(soon.size)))
    again[chosen[order]] = np.bincount(first, weights=soon, minlength=soon.size).astype(np.int64)
    again[chosen[order[soon]]] = -1
    return again


def _soon_again(kind: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n,) the rows by kind and time, and whether each comes so soon after one of its kind that both are one packet's."""
    order = np.lexsort((times, kind))
    soon = np.zeros(order.size, dtype=np.bool_)
    soon[1:] = (np.diff(kind[order]) == 0) & (np.diff(times[order]) <= COPY_NS) & (times[order][:-1] >= 0)
    return order, soon


def not_told_apart(rows: Datagrams, group: NDArray[np.integer], datagram: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the datagram that each row shows, where those of several points that nothing matches are one, sent repeatedly.

    So none of them is lost where one of its like arrived: of which no capture says that it is another.

    Parameters
    ----------
    group : (n,) the number of each among those that differ
    datagram : (n,) as `match_once` or `match_repeats` tell it
    """
    alone = np.bincount(datagram)[datagram] == 1
    doubtful = _at_several_points(rows.point, group)
    doubtful &= np.bincount(group, weights=alone) > 0
    return np.where(doubtful[group], group, group.size + datagram)


def _at_several_points(point: NDArray[np.uint16], group: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(g,) whether more than one point has a row of each group."""
    place = numbered(group, point)
    group_of = np.empty(int(place.max(initial=-1)) + 1, dtype=np.int64)
    group_of[place] = group
    return np.bincount(group_of, minlength=int(group.max(initial=-1)) + 1) > 1


def match_once(rows: Datagrams, group: NDArray[np.integer]) -> NDArray[np.int64]:
    """(n,) the datagram that each row shows: equal ones are one if no point has two of them.

    Parameters
    ----------
    rows : of all points; `point` is read here
    group : (n,) the number of each among those that differ
    """
    repeated = _repeated(rows.point, group)
    return np.where(repeated, group.size + np.arange(group.size), group)


def match_repeats(rows: Datagrams, group: NDArray[np.integer]) -> NDArray[np.int64]:
    """(n,) the same, where of those that a point has repeatedly their order tells which is which.

    Parameters
    ----------
    rows : of all points, with times by each point's own clock
    group : (n,) the number of each among those that differ
    """
    found = match_once(rows, group)
    again = np.flatnonzero(_repeated(rows.point, group))
    again = again[in_order(group[again], rows.point[again], rows.packet[again])]
    for mine in np.split(again, np.flatnonzero(np.diff(group[again])) + 1) if again.size else []:
        first, *others = np.split(mine, np.flatnonzero(np.diff(rows.point[mine])) + 1)
        for other in others:
            if other.size == first.size and fit_one_order(rows.time_ns[first], rows.time_ns[other]):
                found[other] = found[first]
    return found


def fit_one_order(times: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Whether the k-th of equal datagrams here is the k-th there by their intervals, and the next or the one before is not.

    times, others : (k,) ns, in the order of capture, each by a clock of its own
    """
    if times.size < LEAST_ALIKE or min(int(times.min()), int(others.min())) < 0:
        return False
    varies = int(np.ptp(others - times))
    return varies < ALIKE * min(int(np.ptp(others[1:] - times[:-1])), int(np.ptp(others[:-1] - times[1:])))


def _repeated(point: NDArray[np.uint16], group: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(n,) whether a point has a datagram's like again."""
    place = numbered(group, point)
    repeated = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.bool_)
    repeated[group[np.bincount(place)[place] > 1]] = True
    return np.asarray(repeated[group])


def divide_by_payload(points: Sequence[FlowTable], rows: Datagrams, alike: Alike) -> None:
    """Divide the groups that repeat without identifications by what they carry, in place, as far as all captures have it.

    A group of which no two points have a payload in common stays: something between them rewrites it.
    """
    group = alike.group
    size = np.bincount(group)
    repeated = np.zeros(size.size, dtype=np.bool_)
    run(mark_repeated, group.size, group, alike.place, rows.kind, np.zeros(int(alike.place.max()) + 1, dtype=np.bool_), repeated)
    smallest = np.flatnonzero(repeated)
    smallest = smallest[in_order(size[smallest])]
    read = np.zeros(size.size, dtype=np.bool_)
    read[smallest[np.cumsum(size[smallest]) <= MOST_READ]] = True
    chosen = np.flatnonzero(read[group])
    content = _contents(points, rows, chosen, group[chosen]) if chosen.size else None
    if content is None:
        return
    divided = numbered(group[chosen], content)
    shared = np.zeros(size.size, dtype=np.bool_)
    shared[group[chosen[_at_several_points(rows.point[chosen], divided)[divided]]]] = True
    kept = shared[group[chosen]]
    group[chosen[kept]] = size.size + divided[kept]


def _contents(
    points: Sequence[FlowTable], rows: Datagrams, chosen: NDArray[np.int64], group: NDArray[np.integer] | None = None
) -> NDArray[np.int64] | None:
    """(m,) the number of each chosen row's payload among those that differ; None where a file cannot be read again.

    What captures cut is compared as far as all have it that are of one `group`.

    Parameters
    ----------
    chosen : (m,) rows, ascending
    group : (m,) of each; None: what was cut differs
    """
    payloads: list[bytes] = []
    for point, flows in enumerate(points):
        mine = chosen[rows.point[chosen] == point]
        octets = payloads_again(flows.packets, rows.packet[mine]) if mine.size else []
        if octets is None:
            return None
        payloads += octets
    if group is not None:
        length = np.fromiter(map(len, payloads), dtype=np.int64, count=len(payloads))
        shortest = np.full(int(group.max(initial=-1)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(shortest, group, length)
        for row in np.flatnonzero(length > shortest[group]).tolist():
            payloads[row] = payloads[row][: shortest[group[row]]]
    numbers = {octets: number for number, octets in enumerate(dict.fromkeys(payloads))}
    return np.fromiter(map(numbers.__getitem__, payloads), dtype=np.int64, count=len(payloads))
