"""The rows of fragments: of a packet that was put together one stands for all, and of others the later ones find their ports.

RFC 791 section 3.2 and RFC 8200 section 4.5 say which fragments are of one packet.
"""

import bisect
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.reassembly import LIFETIME_NS
from mixcni.schema import FRAGMENTS, Layer
from mixcni.tables import Table

ABOVE_IP = Layer.TCP | Layer.UDP | Layer.ICMP | Layer.ICMPV6 | Layer.QUOTE | Layer.OPAQUE
OF_SEGMENT = ("tcp_flags", "seg_wnd", "seg_seq", "seg_ack", "payload_octets")


class FragmentTable(Table):
    """The fragments of packets that were put together, but for the one that came last; those of a packet together."""

    schema = FRAGMENTS

    def of(self, whole: int) -> list[int]:
        """The rows of the other fragments of the packet in row `whole`."""
        rows: list[int] = self["packet"][slice(*np.searchsorted(self["whole"], [whole, whole + 1]))].tolist()
        return rows

    def added_to(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """These rows of packets, ascending, and those of all fragments that they were put together from."""
        while len(self):  # a fragment may itself be a packet that was put together, inside a tunnel
            missing = np.setdiff1d(self["packet"][np.isin(self["whole"], rows)], rows)
            if not missing.size:
                break
            rows = np.union1d(rows, missing)
        return rows


def own_fragments(columns: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> None:
    """Write the ports of every later fragment whose first one was captured; in place.

    Fragments are of one packet if addresses, protocol, outer stack and identification are equal and they are within a minute.

    Parameters
    ----------
    columns : of a PacketTable
    rows : of fragments, and of packets that were put together, ascending
    """
    rows = rows[(columns["present"][rows] & Layer.FRAGMENT) != 0]
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


def hide_fragments(
    columns: dict[str, NDArray[Any]], sides: dict[str, dict[str, NDArray[Any]]], parts: list[tuple[int, int]]
) -> dict[str, NDArray[Any]]:
    """Leave what fragments carry to the row of the packet that was put together from them, in place; the columns of FRAGMENTS.

    They keep their IP header, and get the packet's ports.

    Parameters
    ----------
    columns : of a PacketTable
    sides : of the tables beside it, by name; those with a column `packet` are in its order afterwards
    parts : (row of a fragment, row of its packet)
    """
    every = np.array(sorted(parts, key=lambda part: part[::-1]), dtype=np.int64).reshape(-1, 2)
    rows, whole = every[:, 0].copy(), every[:, 1].copy()
    if rows.size:
        columns["present"][rows] &= ~np.uint16(ABOVE_IP)
        for name in OF_SEGMENT:
            columns[name][rows] = 0
        around = columns["stack"][rows] == columns["stack"][whole]
        for name in ("source_port", "destination_port"):
            columns[name][rows] = np.where(around, columns[name][whole], columns[name][rows])
        for name, side in sides.items():
            if "packet" in side:
                kept = np.flatnonzero(~np.isin(side["packet"], rows))
                order = kept[np.argsort(side["packet"][kept], kind="stable")]
                sides[name] = {column: array[order] for column, array in side.items()}
    return dict(zip(FRAGMENTS, (rows, whole), strict=True))
