"""Handshakes and turns of TCP connections as intervals of stream offsets."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.kernel import split_turns
from mixcni.flows import FlowTable
from mixcni.kernels.jit import run
from mixcni.schema import EXCHANGES


class SegmentColumns(NamedTuple):
    """The segment columns that splitting reads."""

    packet: NDArray[np.int64]
    flow: NDArray[np.int32]
    direction: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]


class TurnState(NamedTuple):
    """What is known of each flow while its turns are split, one row a flow."""

    current: NDArray[np.int64]
    handshake: NDArray[np.int64]
    turns: NDArray[np.int64]
    end_forward: NDArray[np.int64]
    end_reverse: NDArray[np.int64]

    @classmethod
    def since(cls, offsets: NDArray[np.int64]) -> "TurnState":
        """The state before the first segment of flows whose octets before `offsets`, (f, 2), are told already; 0 for none."""
        unset = np.full(len(offsets), -1, dtype=np.int64)
        return cls(unset, unset.copy(), np.zeros(len(offsets), dtype=np.int64), *(offsets[:, side].copy() for side in (0, 1)))


class ExchangeArrays(NamedTuple):
    """The columns of an ExchangeTable as the kernel writes them."""

    flow: NDArray[np.int32]
    number: NDArray[np.int32]
    kind: NDArray[np.uint8]
    request_start: NDArray[np.int64]
    request_end: NDArray[np.int64]
    response_start: NDArray[np.int64]
    response_end: NDArray[np.int64]
    request_packet: NDArray[np.int64]
    response_packet: NDArray[np.int64]


def pair_turns(flows: FlowTable, since: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Columns of the exchanges of every TCP flow: exchange 0 is the handshake, the others are turns of data.

    Parameters
    ----------
    flows : FlowTable of one capture point
    since : (f, 2) stream offsets: what stands before them in its direction belongs to no turn; 0 where all does
    """
    segments, state = flows.segments, TurnState.since(since)
    columns = SegmentColumns(**{name: segments[name] for name in SegmentColumns._fields})
    room = 2 * len(segments)
    out = ExchangeArrays(**{name: np.empty(room, dtype=column.dtype) for name, column in EXCHANGES.items()})
    count = run(split_turns, len(segments), columns, flows["protocol"], flows.packets["tcp_flags"], state, out)
    flow, number = out.flow[:count], out.number[:count]
    shaken = state.handshake >= 0
    sizes = state.turns + shaken
    place = (np.cumsum(sizes) - sizes - ~shaken)[flow] + number  # a flow's numbers have no gap, but for the handshake's
    order = np.empty(count, dtype=np.int64)
    order[place] = np.arange(count)
    return {name: array[:count][order] for name, array in out._asdict().items()}
