"""PacketTable -> FlowTable: biflows, with every segment's place in its stream."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.flows.kernel import track_packets
from mixcni.kernels.hashing import enter_codes
from mixcni.kernels.jit import run
from mixcni.schema import FLOWS, SEGMENTS
from mixcni.tables import Table

FIRST_FLOWS = 1 << 10


class PacketColumns(NamedTuple):
    """The packet columns that tracking reads."""

    present: NDArray[np.uint16]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    time_ns: NDArray[np.int64]
    tcp_flags: NDArray[np.uint8]
    seg_seq: NDArray[np.uint32]
    seg_ack: NDArray[np.uint32]
    seg_wnd: NDArray[np.uint16]
    payload_octets: NDArray[np.uint32]


class FlowArrays(NamedTuple):
    """The columns of a FlowTable that the kernel writes, one row a flow."""

    initiator: NDArray[np.int32]
    responder: NDArray[np.int32]
    initiator_port: NDArray[np.uint16]
    responder_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    syn_seen: NDArray[np.bool_]
    synack_seen: NDArray[np.bool_]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]
    retransmissions: NDArray[np.int64]
    fins: NDArray[np.int64]
    resets: NDArray[np.int64]


class StreamArrays(NamedTuple):
    """What is known of each direction of each flow, row 2 * flow + direction.

    base : initial sequence number; based : how it is known (mixcni.flows.kernel)
    end, acknowledged : stream offsets, exclusive, of what was seen and of what the other side acknowledged
    window : largest that the receiver can have advertised, octets; 0 none yet
    stray : stream offset of the last segment that was too far ahead
    packets, payload_octets : every transmission counted
    """

    base: NDArray[np.uint32]
    based: NDArray[np.uint8]
    end: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    window: NDArray[np.int64]
    stray: NDArray[np.int64]
    packets: NDArray[np.int64]
    payload_octets: NDArray[np.int64]

    def columns(self, count: int) -> dict[str, NDArray[Any]]:
        """The columns of a FlowTable of `count` flows that tell of one direction."""
        names = {"end": ("end_forward", "end_reverse"), "base": ("iss", "irs")}
        names |= {name: (f"{name}_forward", f"{name}_reverse") for name in ("packets", "payload_octets")}
        return {
            column: getattr(self, name)[direction : 2 * count : 2].copy()
            for name, pair in names.items()
            for direction, column in enumerate(pair)
        }


class SegmentArrays(NamedTuple):
    """The columns of a SegmentTable as the kernel writes them."""

    packet: NDArray[np.int64]
    flow: NDArray[np.int32]
    direction: NDArray[np.uint8]
    label: NDArray[np.uint16]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    acknowledged: NDArray[np.int64]


class SegmentTable(Table):
    """Every packet that belongs to a flow, in file order: whose it is, and which octets of the stream it carries."""

    schema = SEGMENTS


class FlowTable(Table):
    """The biflows of one capture point, in the order of their first packets, with the packets they are made of."""

    schema = FLOWS
    packets: PacketTable
    segments: SegmentTable

    def __init__(self, columns: dict[str, NDArray[Any]], packets: PacketTable, segments: SegmentTable) -> None:
        super().__init__(columns)
        self.packets = packets
        self.segments = segments

    def to_frame(self) -> Any:
        """The flows as a DataFrame with addresses as text."""
        import pandas as pd

        frame = super().to_frame()
        for name in ("initiator", "responder"):
            frame[name] = pd.Series(self.packets.book.texts(self[name]), dtype="str")
        return frame


def track_flows(packets: PacketTable) -> FlowTable:
    """The flows of one capture point: TCP by connection, UDP and ICMP echo by flow key.

    A TCP SYN with a sequence number that is not its flow's opens another flow under the same key (RFC 9293 section 3.5).
    A connection of a port with itself has one stream, forward, since its packets do not tell the two directions apart.

    Parameters
    ----------
    packets : PacketTable, in the order in which they are to be followed
    """
    columns = PacketColumns(**{name: packets[name] for name in PacketColumns._fields})
    count = len(packets)
    segments = SegmentArrays(**{name: np.zeros(count, dtype=column.dtype) for name, column in SEGMENTS.items()})
    flows = FlowArrays(**{name: np.zeros(FIRST_FLOWS, dtype=FLOWS[name].dtype) for name in FlowArrays._fields})
    dtypes = {"base": np.uint32, "based": np.uint8}
    streams = StreamArrays(**{n: np.zeros(2 * FIRST_FLOWS, dtype=dtypes.get(n, np.int64)) for n in StreamArrays._fields})
    slots, keys, newest = _key_table(4 * FIRST_FLOWS)
    done, key_count, flow_count, row = 0, 0, 0, 0
    while True:
        done, key_count, flow_count, row = run(
            track_packets, count, columns, done, slots, keys, newest, key_count, flows, streams, flow_count, segments, row
        )
        if done == count:
            break
        if flow_count == flows.first_ns.size:
            flows = FlowArrays(*(_doubled(array) for array in flows))
            streams = StreamArrays(*(_doubled(array) for array in streams))
        else:
            old_keys, old_newest = keys, newest
            slots, keys, newest = _key_table(4 * slots.size)
            keys[: old_keys.size], newest[: old_newest.size] = old_keys, old_newest
            run(enter_codes, key_count, slots, keys, key_count)
    return FlowTable(
        {name: array[:flow_count] for name, array in flows._asdict().items()} | streams.columns(flow_count),
        packets,
        SegmentTable({name: array[:row] for name, array in segments._asdict().items()}),
    )


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])


def _key_table(size: int) -> tuple[NDArray[np.int32], NDArray[np.uint32], NDArray[np.int32]]:
    return (
        np.full(size, -1, dtype=np.int32),
        np.zeros(4 * (size // 2), dtype=np.uint32),
        np.zeros(size // 2, dtype=np.int32),
    )
