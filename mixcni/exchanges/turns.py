"""FlowTable -> ExchangeTable: handshakes and turns as intervals of stream offsets."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.kernel import split_turns
from mixcni.flows import FlowTable
from mixcni.kernels.jit import run
from mixcni.schema import EXCHANGES
from mixcni.tables import Table

PROTOCOL_TCP = 6


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
    def of_size(cls, size: int) -> "TurnState":
        """The state of `size` flows before their first segment."""
        unset = np.full(size, -1, dtype=np.int64)
        return cls(unset, unset.copy(), *(np.zeros(size, dtype=np.int64) for _ in range(3)))


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


class ExchangeTable(Table):
    """Requests and their responses as one capture point saw them, flow by flow, in the order of their numbers."""

    schema = EXCHANGES


def pair_exchanges(flows: FlowTable) -> ExchangeTable:
    """The exchanges of every TCP flow: exchange 0 is the handshake, the others are turns of data.

    Parameters
    ----------
    flows : FlowTable of one capture point
    """
    segments = flows.segments
    rows = np.flatnonzero((flows["protocol"][segments["flow"]] == PROTOCOL_TCP) & (segments["length"] > 0))
    columns = SegmentColumns(**{name: segments[name][rows] for name in SegmentColumns._fields})
    tcp_flags = flows.packets["tcp_flags"][columns.packet]
    room = 2 * rows.size
    out = ExchangeArrays(**{name: np.zeros(room, dtype=column.dtype) for name, column in EXCHANGES.items()})
    count = run(split_turns, rows.size, columns, tcp_flags, TurnState.of_size(len(flows)), out)
    order = np.lexsort((out.number[:count], out.flow[:count]))
    return ExchangeTable({name: array[:count][order] for name, array in out._asdict().items()})
