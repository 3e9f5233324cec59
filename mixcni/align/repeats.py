"""Equal datagrams at points whose clocks nothing has joined yet: which of one point's are which of another's.

Linux leaves the IP identification at 0 where a datagram is not to be fragmented (RFC 6864 section 4), and what one resolver is
asked is often of one length. What they carry tells most of them apart, for no router and no NAT changes it. Those that carry the
same are matched in their order, the k-th to the k-th, if both points have equally many and their intervals fit no other order:
of a steady beat one capture may lack the first and another the last, and nothing would show it.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import payloads_again
from mixcni.flows import FlowTable
from mixcni.flows.kernel.copies import COPY_NS
from mixcni.kernels.grouping import numbered

MOST_READ: Final = (
    100_000  # datagrams whose payload is looked at: of the kinds that repeat least, which are questions and replies
)
LEAST_ALIKE: Final = 3  # two have one interval, and any other such pair fits as well
ALIKE: Final = 0.1  # of how much intervals vary: delays may vary by this, as in mixcni.align.clocks

Columns = dict[str, NDArray[Any]]


def heard_again(points: Sequence[FlowTable], every: Columns) -> NDArray[np.int64]:
    """(n,) how often each datagram was heard again on an interface of its point, as its payload tells; -1 where it is a copy.

    An IP identification tells that without the payload (mixcni.flows.kernel.copies); these have none.

    Parameters
    ----------
    every : the datagrams of all points, point after point
    """
    again = np.zeros(every["ip_id"].size, dtype=np.int64)
    rows = np.flatnonzero(every["ip_id"] == 0)
    kind = numbered(*(every[name][rows] for name in ("point", "conversation", "direction", "octets")))
    order, soon = _soon_again(kind, every["time_ns"][rows])
    rows = np.sort(rows[order[soon | np.append(soon[1:], np.zeros(min(soon.size, 1), dtype=np.bool_))]])
    payloads = _payloads(points, every, rows) if rows.size <= MOST_READ else []
    if not payloads:
        return again
    numbers: dict[bytes, int] = {}
    content = np.array([numbers.setdefault(octets, len(numbers)) for octets in payloads], dtype=np.int64)
    kind = numbered(content, *(every[name][rows] for name in ("point", "conversation", "direction", "octets")))
    order, soon = _soon_again(kind, every["time_ns"][rows])
    first = np.maximum.accumulate(np.where(soon, 0, np.arange(soon.size)))
    again[rows[order]] = np.bincount(first, weights=soon, minlength=soon.size).astype(np.int64)
    again[rows[order[soon]]] = -1
    return again


def _soon_again(kind: NDArray[np.int64], times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n,) the rows by kind and time, and whether each comes so soon after one of its kind that both are one packet's."""
    order = np.lexsort((times, kind))
    soon = np.zeros(order.size, dtype=np.bool_)
    soon[1:] = (np.diff(kind[order]) == 0) & (np.diff(times[order]) <= COPY_NS) & (times[order][:-1] >= 0)
    return order, soon


def not_told_apart(every: Columns, group: NDArray[np.int64], datagram: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the datagram that each row shows, where those of several points that nothing matches are one, sent repeatedly.

    So none of them is lost where one of its like arrived: of which no capture says that it is another.

    Parameters
    ----------
    group : (n,) the number of each among those that differ
    datagram : (n,) as `match_once` or `match_repeats` tell it
    """
    alone = np.bincount(datagram)[datagram] == 1
    places = np.unique(np.stack([group, every["point"]], axis=1), axis=0)[:, 0]
    doubtful = np.bincount(places, minlength=int(group.max(initial=-1)) + 1) > 1
    doubtful &= np.bincount(group, weights=alone) > 0
    return np.where(doubtful[group], group, group.size + datagram)


def match_once(every: Columns, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the datagram that each row shows: equal ones are one if no point has two of them.

    Parameters
    ----------
    every : the datagrams of all points; `point` is read here
    group : (n,) the number of each among those that differ
    """
    repeated = _repeated(every, group)
    return np.where(repeated, group.size + np.arange(group.size), group)


def match_repeats(every: Columns, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the same, where of those that a point has repeatedly their order tells which is which.

    Parameters
    ----------
    every : the datagrams of all points with `point`, `packet` and `time_ns` by the point's own clock
    group : (n,) the number of each among those that differ
    """
    found = match_once(every, group)
    rows = np.flatnonzero(_repeated(every, group))
    rows = rows[np.lexsort((every["packet"][rows], every["point"][rows], group[rows]))]
    for mine in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1) if rows.size else []:
        first, *others = np.split(mine, np.flatnonzero(np.diff(every["point"][mine])) + 1)
        for other in others:
            if other.size == first.size and fit_one_order(every["time_ns"][first], every["time_ns"][other]):
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


def _repeated(every: Columns, group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a point has a datagram's like again."""
    place = numbered(group, every["point"])
    repeated = np.zeros(int(group.max(initial=-1)) + 1, dtype=np.bool_)
    repeated[group[np.bincount(place)[place] > 1]] = True
    return np.asarray(repeated[group])


def divide_by_payload(points: Sequence[FlowTable], every: Columns, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the groups, those that repeat without identifications divided by what they carry, as far as all captures have it.

    A group of which no two points have a payload in common stays: something between them rewrites it.
    """
    size = np.bincount(group)
    repeated = np.bincount(group, weights=_repeated(every, group) & (every["ip_id"] == 0)) > 0
    smallest = np.flatnonzero(repeated)[np.argsort(size[repeated], kind="stable")]
    read = np.zeros(size.size, dtype=np.bool_)
    read[smallest[np.cumsum(size[smallest]) <= MOST_READ]] = True
    rows = np.flatnonzero(read[group])
    payloads = _payloads(points, every, rows)
    if not payloads:
        return group
    shortest: dict[int, int] = {}
    for number, octets in zip(group[rows].tolist(), payloads, strict=True):
        shortest[number] = min(shortest.get(number, len(octets)), len(octets))
    numbers: dict[tuple[int, bytes], int] = {}
    divided = np.array(
        [
            numbers.setdefault((number, octets[: shortest[number]]), len(numbers))
            for number, octets in zip(group[rows].tolist(), payloads, strict=True)
        ],
        dtype=np.int64,
    )
    places = np.unique(np.stack([divided, group[rows], every["point"][rows]], axis=1), axis=0)
    shared = np.zeros(size.size, dtype=np.bool_)
    shared[places[1:][places[1:, 0] == places[:-1, 0], 1]] = True
    kept = shared[group[rows]]
    found = group.copy()
    found[rows[kept]] = size.size + divided[kept]
    return numbered(found)


def _payloads(points: Sequence[FlowTable], every: Columns, rows: NDArray[np.int64]) -> list[bytes]:
    """What was captured of each row's payload, rows standing point after point; nothing where a file cannot be read again."""
    payloads: dict[int, bytes] = {}
    for point, flows in enumerate(points):
        mine = rows[every["point"][rows] == point]
        if not mine.size:
            continue
        octets = payloads_again(flows.packets, every["packet"][mine])
        if octets is None:
            return []
        payloads.update(zip(mine.tolist(), octets, strict=True))
    return [payloads[row] for row in rows.tolist()]
