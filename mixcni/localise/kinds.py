"""Which kinds of TCP segments a point's capture leaves out: a filter for payload has no SYN, one for SYNs no payload.

Its silence about what it leaves out proves nothing, whatever its miss rate for the rest.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.localise.atoms import Atoms
from mixcni.localise.missrate import is_watched
from mixcni.localise.watch import Watch
from mixcni.schema import Direction, TcpFlag

PROTOCOL_TCP = 6
LEAST_FILTERED: Final = 20  # segments that all carry payload; TCP acknowledges every second one (RFC 9293 section 3.8.6.3)


class LeftOut(NamedTuple):
    """What the captures have none of, whatever passed.

    syns, payload : (p, 2) bool, by direction, whether it is SYNs, or payload
    pieces : (a, p) bool, the atoms of such kinds
    """

    syns: NDArray[np.bool_]
    payload: NDArray[np.bool_]
    pieces: NDArray[np.bool_]


def find_left_out(
    alignment: Alignment, atoms: Atoms, passed: NDArray[np.bool_], windows: Sequence[Watch | None], slacks: Sequence[int]
) -> LeftOut:
    """The kinds that each capture leaves out: it has none, though some are proven to have passed while it ran.

    A capture in which every segment carries payload leaves SYNs out even where none is proven to have passed.

    Parameters
    ----------
    passed : (a, p) whether each atom is known to have been at each point
    windows, slacks : one a point, as in mixcni.localise.sight.Sights
    """
    table, conversations = alignment.transmissions, alignment.conversations
    is_tcp = conversations["protocol"] == PROTOCOL_TCP
    carrying = np.flatnonzero(table["end"] > table["start"])
    syn = np.zeros(atoms.stream.size, dtype=np.bool_)
    syn[atoms.begin[(table["tcp_flags"][carrying] & TcpFlag.SYN) != 0]] = True
    closing = (table["tcp_flags"][carrying] & (TcpFlag.SYN | TcpFlag.FIN)) != 0
    payload = np.zeros(atoms.stream.size, dtype=np.bool_)
    payload[atoms.begin[~closing]] = True
    payload &= is_tcp[atoms.stream // 2]
    shape = len(alignment.points), len(Direction)
    syns, no_payload = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    seen = conversations.flow_of >= 0
    for point, window in enumerate(windows):
        if window is None:
            continue
        watched = seen[atoms.stream // 2, point] & is_watched(atoms, point, window, slacks[point])
        for direction in Direction:
            here = watched & (atoms.stream % 2 == direction)
            for kind, left_out in ((syn, syns), (payload, no_payload)):
                proven = here & kind & passed[:, point]
                any_there = bool((kind & (atoms.stream % 2 == direction) & (atoms.counts[:, point] > 0)).any())
                left_out[point, direction] = bool(proven.any()) and not any_there
        if _carry_payload_all(alignment, point):
            syns[point] = True
    way = atoms.stream % 2
    pieces = (syn[:, None] & syns[:, way].T) | (payload[:, None] & no_payload[:, way].T)
    return LeftOut(syns, no_payload, pieces)


def _carry_payload_all(alignment: Alignment, point: int) -> bool:
    """Whether each of many TCP segments in a point's capture carries payload."""
    flows = alignment.points[point]
    segments = flows.segments
    packet = segments["packet"][flows["protocol"][segments["flow"]] == PROTOCOL_TCP]
    return packet.size >= LEAST_FILTERED and bool((flows.packets["payload_octets"][packet] > 0).all())
