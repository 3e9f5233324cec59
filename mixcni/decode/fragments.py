"""Later fragments find the flow that they belong to: the ports are in the first one alone.

RFC 791 section 3.2 and RFC 8200 section 4.5 say which fragments are of one packet.
"""

import bisect
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.schema import Layer

LIFETIME_NS = 60_000_000_000  # RFC 8200 section 4.5: fragments that come later are of another packet


def own_fragments(columns: dict[str, NDArray[Any]]) -> None:
    """Write the ports of every later fragment whose first one was captured; in place.

    Fragments are of one packet if addresses, protocol, outer stack and identification are equal and they are within a minute.

    Parameters
    ----------
    columns : of a PacketTable
    """
    rows = np.flatnonzero(columns["present"] & Layer.FRAGMENT)
    if not rows.size:
        return
    names = ("source", "destination", "protocol", "stack", "ip_id")
    keys = list(zip(*(columns[name][rows].tolist() for name in names), strict=True))
    times = columns["time_ns"]
    is_later = ((columns["present"][rows] & Layer.LATER_FRAGMENT) != 0).tolist()
    firsts: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for row, key, later in zip(rows.tolist(), keys, is_later, strict=True):
        if not later:
            firsts[key].append((int(times[row]), row))
    for candidates in firsts.values():
        candidates.sort()
    for row, key, later in zip(rows.tolist(), keys, is_later, strict=True):
        if not later or key not in firsts:
            continue
        time, candidates = int(times[row]), firsts[key]
        place = bisect.bisect_left(candidates, (time, -1))  # a key may have as many firsts as the file has frames
        near, first = min((abs(time - when), first) for when, first in candidates[max(place - 1, 0) : place + 1])
        if near <= LIFETIME_NS:
            columns["source_port"][row] = columns["source_port"][first]
            columns["destination_port"][row] = columns["destination_port"][first]
