"""Which kinds of TCP segments a point's capture leaves out: a filter for payload has no SYN, one for SYNs no payload.

Its silence about what it leaves out proves nothing, whatever its miss rate for the rest.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.kernels.jit import run
from mixcni.localise.atoms import Atoms
from mixcni.localise.kernel import count_carrying, mark_kinds
from mixcni.localise.watch import Watch
from mixcni.schema import PROTOCOL_TCP, Direction

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
    alignment: Alignment, atoms: Atoms, passed: NDArray[np.bool_], windows: Sequence[Watch | None], inside: NDArray[np.bool_]
) -> LeftOut:
    """The kinds that each capture leaves out: it has none, though some are proven to have passed while it ran.

    A capture in which every segment carries payload leaves SYNs out even where none is proven to have passed.

    Parameters
    ----------
    passed : (a, p) whether each atom is known to have been at each point
    windows, inside : as in mixcni.localise.sight.Sights
    """
    syn, payload = np.zeros((2, atoms.stream.size), dtype=np.bool_)
    run(mark_kinds, atoms.begin.size, atoms.begin, atoms.stop, atoms.tcp_flags, syn, payload)
    payload &= (alignment.conversations["protocol"] == PROTOCOL_TCP)[atoms.conversation]
    syns, no_payload = np.zeros((2, len(windows), len(Direction)), dtype=np.bool_)
    for direction in Direction:
        on_way = atoms.direction == direction
        for kind, left_out in ((syn & on_way, syns), (payload & on_way, no_payload)):
            for point, window in enumerate(windows):
                if window is not None and not (kind & atoms.seen[:, point]).any():
                    proven = np.flatnonzero(kind & passed[:, point] & inside[:, point])
                    conversation = atoms.conversation[proven]
                    left_out[point, direction] = bool((alignment.conversations.flow_of[conversation, point] >= 0).any())
    pieces = np.zeros_like(atoms.seen)
    for point, window in enumerate(windows):
        if window is not None and _carry_payload_all(alignment, point):
            syns[point] = True
        for kind, left_out in ((syn, syns), (payload, no_payload)):
            if left_out[point].any():
                pieces[:, point] |= kind & left_out[point][atoms.direction]
    return LeftOut(syns, no_payload, pieces)


def _carry_payload_all(alignment: Alignment, point: int) -> bool:
    """Whether each of many TCP segments in a point's capture carries payload."""
    flows = alignment.points[point]
    segments = flows.segments
    columns = segments["flow"], segments["packet"], flows["protocol"], flows.packets["payload_octets"]
    return bool(run(count_carrying, len(segments), *columns, PROTOCOL_TCP) >= LEAST_FILTERED)
