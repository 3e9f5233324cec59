"""PacketTable -> FlowTable: biflows, with every segment's place in its stream."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.decode.stacks import StackTable
from mixcni.flows.columns import Samples, columns_of
from mixcni.flows.kernel import LETTERS, WATCHES_A_PACKET, key_packets, track_packets
from mixcni.flows.kernel.numbers import (
    C_FILLS,
    C_FLOWS,
    C_HOLES,
    C_PACKETS,
    C_SAMPLES,
    C_SEGMENTS,
    C_WATCHES,
    COUNTS,
    FLOW,
    HOLE_WIDTH,
    LABELS,
    LAYER_BITS,
    LAYER_MASK,
    LINE,
    STREAM,
    WATCH,
)
from mixcni.flows.losses import Fills, mark_losses
from mixcni.flows.sack import acknowledged_selectively, mark_spurious
from mixcni.flows.tables import FlowTable, SegmentTable
from mixcni.flows.turning import turn_round
from mixcni.kernels.codes import CodeTable
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.schema import SEGMENTS
from mixcni.tables import columns_in_one

FEWEST_HOLES = 1 << 8
KEYS_EXPECTED = 1 << 16  # at most; the table grows where there are more
RECENT = 1 << 14  # packets that may have copies, of all flows together


class PacketColumns(NamedTuple):
    """The packet columns that tracking reads."""

    present: NDArray[np.uint16]
    oddity: NDArray[np.uint16]
    original_length: NDArray[np.uint32]
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    source_port: NDArray[np.uint16]
    destination_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]
    ttl: NDArray[np.uint8]
    ip_id: NDArray[np.uint16]
    time_ns: NDArray[np.int64]
    tcp_flags: NDArray[np.uint8]
    seg_seq: NDArray[np.uint32]
    seg_ack: NDArray[np.uint32]
    seg_wnd: NDArray[np.uint16]
    payload_octets: NDArray[np.uint32]
    stack: NDArray[np.int32]


class OptionColumns(NamedTuple):
    """The columns of TCP options that tracking reads."""

    packet: NDArray[np.int64]
    mss: NDArray[np.int32]
    window_scale: NDArray[np.int16]
    flags: NDArray[np.uint16]


class ContextColumns(NamedTuple):
    """Of each outer stack, which others are the same with directions left out; `loose` leaves identifiers out as well."""

    exact: NDArray[np.int32]
    loose: NDArray[np.int32]


class KeyColumns(NamedTuple):
    """Of each flow key, the number of its ends and protocol, and that of these and its stack without identifiers behind them."""

    ends: NDArray[np.int32]
    loose: NDArray[np.int32]


class TrackingState(NamedTuple):
    """What the kernel keeps between packets (mixcni.flows.kernel.numbers, mixcni.flows.kernel.packets)."""

    newest: NDArray[np.int32]
    latest: NDArray[np.int32]
    watched: NDArray[np.int32]
    recent: NDArray[np.int64]
    flows: NDArray[np.int64]
    streams: NDArray[np.int64]
    history: NDArray[np.uint8]
    labels: NDArray[np.int32]
    holes: NDArray[np.int64]
    watches: NDArray[np.uint32]
    watch_ns: NDArray[np.int64]
    users: NDArray[np.int32]


class SegmentArrays(NamedTuple):
    """The columns of a SegmentTable as the kernel writes them."""

    packet: NDArray[np.int64]
    flow: NDArray[np.int32]
    direction: NDArray[np.uint8]
    label: NDArray[np.uint16]
    label_wireshark: NDArray[np.uint16]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    copy_of: NDArray[np.int64]
    sub_hop: NDArray[np.uint8]


def track_flows(packets: PacketTable) -> FlowTable:
    """The flows of one capture point: TCP by connection, UDP and ICMP echo by flow key until a minute passes without a packet.

    A TCP SYN with a sequence number that is not its flow's opens another flow under the same key (RFC 9293 section 3.5);
    segments that go on with the numbers of the connection before stay in its flow (RFC 5961 section 4: a stray SYN ends nothing).
    Packets of one key in different outer stacks are different flows, as tenants' addresses may be equal (`other_stack`).
    Where neither a SYN nor the ports tell which end is the initiator, payloads do (mixcni.flows.turning).
    A connection of a port with itself has one stream, forward, since its packets do not tell the two directions apart.

    Parameters
    ----------
    packets : PacketTable, in the order in which they are to be followed
    """
    columns = PacketColumns(**{name: packets[name] for name in PacketColumns._fields})
    options = OptionColumns(**{name: packets.options[name] for name in OptionColumns._fields})
    count = len(packets)
    key_of, keys = _flow_keys(columns, contexts_of(packets.stacks))
    segments = SegmentArrays(**columns_in_one(SEGMENTS, count))
    samples = Samples(np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int64))
    fills = Fills(np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32))
    state = _first_state(keys.ends.size)
    counts = np.zeros(COUNTS, dtype=np.int64)
    while True:
        run(track_packets, count, columns, key_of, options, keys, state, segments, samples, fills, counts)
        if counts[C_PACKETS] == count:
            break
        state = _enlarged(state, counts)
    segments = SegmentArrays(**{name: array[: counts[C_SEGMENTS]] for name, array in segments._asdict().items()})
    fills = Fills(*(rows[: counts[C_FILLS]] for rows in fills))
    taken = Samples(samples.stream[: counts[C_SAMPLES]], samples.rtt_ns[: counts[C_SAMPLES]])
    turn_round(packets, state, segments, taken.stream, int(counts[C_FLOWS]))
    of_flows, of_segments = columns_of(state, taken, int(counts[C_FLOWS])), segments._asdict()
    told = acknowledged_selectively(packets, of_segments)
    mark_losses(packets, of_segments, of_flows, fills, told)
    mark_spurious(of_segments, of_flows, told)
    return FlowTable(of_flows, packets, SegmentTable(of_segments))


def _flow_keys(packets: PacketColumns, contexts: ContextColumns) -> tuple[NDArray[np.int32], KeyColumns]:
    """(the number of each packet's flow key, what keys have in common)."""
    count = packets.present.size
    key_of = np.empty(count, dtype=np.int32)
    table = CodeTable(1, min(count // 8, KEYS_EXPECTED))
    done = 0
    while done < count:
        done, table.count = run(key_packets, count, packets, done, contexts.exact, *table.arrays, table.count, key_of)
        table.grow_if_full(count)
    return key_of, _in_common(table.words(), contexts)


def _in_common(keys: NDArray[np.uint32], contexts: ContextColumns) -> KeyColumns:
    """Which keys have the same ends, and which of those the same stack but for identifiers."""
    stack, layer = keys[:, 3] >> LAYER_BITS, keys[:, 3] & LAYER_MASK
    ends = numbered(*keys[:, :3].T, layer) if stack.any() else np.arange(len(keys))
    loose = numbered(ends, contexts.loose[stack])
    return KeyColumns(ends.astype(np.int32), (loose + len(keys)).astype(np.int32))


def contexts_of(stacks: StackTable) -> ContextColumns:
    """For each outer stack the first one that differs from it only in which end sent the packet, and in identifiers (`loose`)."""
    known: dict[tuple[bool, Any], int] = {}
    found: tuple[list[int], list[int]] = [], []
    columns = zip(*(stacks[name].tolist() for name in ("outer", "kind", "identifier", "source", "destination")), strict=True)
    for row, (outer, kind, identifier, source, destination) in enumerate(columns):
        ends = min(source, destination), max(source, destination)
        for number, identity in enumerate((identifier, None)):
            around = found[number][outer] if row else -1
            found[number].append(known.setdefault((bool(number), (around, kind, identity, ends)), row))
    return ContextColumns(*(np.array(rows, dtype=np.int32) for rows in found))


def _first_state(keys: int) -> TrackingState:
    flows = keys + WATCHES_A_PACKET  # mostly a key has one flow
    watches = zeroed_lines(flows * WATCH)
    return TrackingState(
        newest=np.full(keys, -1, dtype=np.int32),
        latest=np.full(2 * keys, -1, dtype=np.int32),
        watched=np.full(keys, -1, dtype=np.int32),
        recent=np.zeros(RECENT, dtype=np.int64),
        flows=zeroed_lines(flows * FLOW),
        streams=zeroed_lines(2 * flows * STREAM),
        history=np.zeros(flows * (LETTERS + 1), dtype=np.uint8),
        labels=np.zeros(2 * flows * LABELS, dtype=np.int32),
        holes=np.zeros(max(keys // 2, FEWEST_HOLES) * HOLE_WIDTH, dtype=np.int64),
        watches=watches.view(np.uint32),
        watch_ns=watches,
        users=np.zeros(flows, dtype=np.int32),
    )


def _enlarged(state: TrackingState, counts: NDArray[np.int64]) -> TrackingState:
    """The state with twice the room of each table that is full."""
    names: list[str] = []
    if counts[C_FLOWS] == state.flows.size // FLOW:
        names += ["flows", "streams", "history", "labels"]
    if counts[C_WATCHES] > state.users.size - WATCHES_A_PACKET:
        names += ["watches", "users"]
    if counts[C_HOLES] >= state.holes.size // HOLE_WIDTH - 1:
        names += ["holes"]
    state = state._replace(**{name: _doubled(getattr(state, name)) for name in names})
    return state._replace(watch_ns=state.watches.view(np.int64))


def zeroed_lines(size: int) -> NDArray[np.int64]:
    """(size,) zeros that begin with a line of the cache; pages that nothing is written to take no memory."""
    memory = np.zeros(size + LINE, dtype=np.int64)
    start = -(memory.ctypes.data // memory.itemsize) % LINE
    return memory[start : start + size]


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    larger = zeroed_lines(2 * array.nbytes // 8).view(array.dtype)
    larger[: array.size] = array
    return larger
