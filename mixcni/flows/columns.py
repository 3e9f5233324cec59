"""What the rows of state say when all packets were followed: the columns of a FlowTable that tell of directions and endings."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.flows.kernel import LETTERS, sum_holes
from mixcni.flows.kernel.numbers import (
    ACKED,
    BASE,
    CLOSED_BY,
    COMPLETENESS,
    COPIES,
    END,
    FINS,
    FIRST_NS,
    FLOW,
    GIVEN_UP,
    HANDSHAKE_RTT_NS,
    HISTORY,
    HOLE,
    HOLES,
    INITIATOR,
    LABELS,
    LARGE,
    LAST_NS,
    LOW,
    NO_ROOM_NS,
    OCTETS,
    OTHER_STACK,
    PACKETS,
    PAYLOAD,
    PEER_MSS,
    PORT_BITS,
    PROTOCOL,
    RESENT,
    RESETS,
    RESPONDER,
    SCALE,
    SEEN,
    STACK_FORWARD,
    STACK_REVERSE,
    STATE,
    STREAM,
    SYN_SEEN,
    SYNACK_SEEN,
)
from mixcni.flows.kernel.zeek import CLOSED, ESTABLISHED, INACTIVE, N_FIN, PARTIAL, RESET, SYN_ACK_SENT, SYN_SENT
from mixcni.kernels.jit import run
from mixcni.schema import FLOWS, PROTOCOL_TCP, PROTOCOL_UDP, ConnState, Ending, Label
from mixcni.tables import columns_in_one

BLOCK = 512  # rows of state, each of half a KiB
FLOWS_AT_ONCE = 1 << 13  # what is made of their state on the way to the columns stays in the cache
DIRECTIONS = ("forward", "reverse")
Columns = dict[str, NDArray[Any]]
FIELDS = {
    "protocol": PROTOCOL, "syn_seen": SYN_SEEN, "synack_seen": SYNACK_SEEN, "first_ns": FIRST_NS, "last_ns": LAST_NS,
    "fins": FINS, "resets": RESETS, "copies": COPIES, "stack_forward": STACK_FORWARD, "stack_reverse": STACK_REVERSE,
    "other_stack": OTHER_STACK, "closed_by": CLOSED_BY,
}  # fmt: skip
"""The columns that stand in the row of a flow as they are."""

LABEL_BITS = {str(label.name).lower(): label.bit_length() - 1 for label in Label}


class Samples(NamedTuple):
    """Round trips: whose octets were acknowledged (2 * flow + direction), and after how long."""

    stream: NDArray[np.int32]
    rtt_ns: NDArray[np.int64]


def columns_of(state: Any, samples: Samples, count: int) -> Columns:
    """The columns of a FlowTable.

    Parameters
    ----------
    state : TrackingState, after all packets
    samples : of round trips, in the order of their packets
    count : flows that there are
    """
    columns = columns_in_one(FLOWS, count)
    for bound, of_streams in zip(("min", "median"), _round_trips(samples, count), strict=True):
        for side, direction in enumerate(DIRECTIONS):
            columns[f"rtt_{bound}_ns_{direction}"][:] = of_streams[side]
    for begin in range(0, count, FLOWS_AT_ONCE):
        rows = slice(begin, min(begin + FLOWS_AT_ONCE, count))
        for name, values in _told_by_flows(state, rows).items():
            columns[name][rows] = values
    return columns


def _told_by_flows(state: Any, part: slice) -> Columns:
    """The columns that follow from the state of some flows: all but those of round trips."""
    flows = _by_field(state.flows.reshape(-1, FLOW)[part])
    told: Columns = {name: flows[field] for name, field in FIELDS.items()}
    for name, field in (("initiator", INITIATOR), ("responder", RESPONDER)):
        told[name], told[f"{name}_port"] = flows[field] >> PORT_BITS, flows[field] & ((1 << PORT_BITS) - 1)
    told["handshake_rtt_ns"] = np.maximum(flows[HANDSHAKE_RTT_NS], -1)
    return told | _told_by_streams(state, told, part)


def _by_field(rows: NDArray[Any]) -> NDArray[Any]:
    """A transposed copy, made block by block: whole columns of rows that caches do not hold are read a line an element."""
    fields = np.empty(rows.shape[::-1], dtype=rows.dtype)
    for start in range(0, len(rows), BLOCK):
        fields[..., start : start + BLOCK] = rows[start : start + BLOCK].T
    return fields


def _told_by_streams(state: Any, flows: Columns, part: slice) -> Columns:
    """The columns that follow from the state of each direction; `flows` are those that stand in the rows of flows."""
    streams = state.streams.reshape(-1, 2, STREAM)[part]
    rows = _by_field(streams)
    labels = _by_field(state.labels.reshape(-1, 2, LABELS)[part])
    octets, unseen = np.zeros((2, 2 * len(streams)), dtype=np.int64)
    with_holes = np.flatnonzero(rows[HOLE].T)
    run(sum_holes, with_holes.size, with_holes, streams.reshape(-1), state.holes, octets, unseen)
    in_holes = octets.reshape(-1, 2).T + rows[GIVEN_UP]
    seen, acked, end = rows[SEEN] != 0, rows[ACKED], rows[END]
    by_direction: Columns = {
        "end": np.maximum(end, 0),
        "packets": rows[PACKETS],
        "octets": rows[OCTETS],
        "payload_octets": rows[PAYLOAD],
        "octets_seen": np.where(seen, end - rows[LOW] - in_holes, 0),
        "holes": rows[HOLES],
        "hole_octets": in_holes,
        # Where no octet was seen, the first acknowledgment is where counting begins.
        "unseen_octets": unseen.reshape(-1, 2).T + np.maximum(acked - np.where(seen, end, 1), 0),
        "resent_octets": rows[RESENT],
        "mss": rows[PEER_MSS][::-1] - 1,
        "window_scale": rows[SCALE] - 1,
        "no_room_ns": rows[NO_ROOM_NS],
        "super_segments": rows[LARGE],
        **{name: labels[bit] for name, bit in LABEL_BITS.items()},
    }
    columns = {
        f"{name}_{direction}": values[side] for name, values in by_direction.items() for side, direction in enumerate(DIRECTIONS)
    }
    columns["iss"], columns["irs"] = rows[BASE]
    columns["completeness"] = rows[COMPLETENESS][0] | rows[COMPLETENESS][1]
    columns["retransmissions"] = labels[LABEL_BITS["retransmission"]].sum(axis=0, dtype=np.int64)
    columns["history"] = np.ascontiguousarray(state.history.reshape(-1, LETTERS + 1)[part, :LETTERS]).view(f"S{LETTERS}")[:, 0]
    columns["conn_state"] = _conn_states(rows, flows["protocol"])
    columns["ending"] = _endings(rows, flows)
    return columns


def _round_trips(samples: Samples, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the median of each direction, (2, count); -1 where none was measured."""
    found = np.full((2, 2 * count), -1, dtype=np.int64)
    number = np.bincount(samples.stream, minlength=2 * count)
    ordered = _by_stream(samples)
    streams = np.flatnonzero(number)
    first = (np.cumsum(number) - number)[streams]
    found[0, streams] = ordered[first]
    found[1, streams] = ordered[first + (number[streams] - 1) // 2]
    return found[0].reshape(-1, 2).T, found[1].reshape(-1, 2).T


def _by_stream(samples: Samples) -> NDArray[np.int64]:
    """The round trips, those of each stream together and ascending; in one word with their stream, where that holds both."""
    if not samples.stream.size:
        return samples.rtt_ns
    least = int(samples.rtt_ns.min())
    width = (int(samples.rtt_ns.max()) - least).bit_length()
    if int(samples.stream.max()).bit_length() + width > 63:
        return samples.rtt_ns[np.lexsort((samples.rtt_ns, samples.stream))]
    words = samples.stream.astype(np.int64) << width
    words |= samples.rtt_ns - least
    words.sort()
    return np.asarray((words & ((1 << width) - 1)) + least)


def _conn_states(rows: NDArray[np.int64], protocol: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Zeek's conn_state: of TCP by the states of both ends and whether there was payload, of UDP by who was heard."""
    empty = (rows[PAYLOAD] == 0).all(axis=0)
    found = TCP_STATES[rows[STATE][0], rows[STATE][1], empty.astype(np.int64)]
    asked, answered = rows[PACKETS] > 0
    datagrams = np.select([asked & answered, asked], [int(ConnState.SF), int(ConnState.S0)], int(ConnState.SHR)).astype(np.uint8)
    other = np.where(protocol == PROTOCOL_UDP, datagrams, np.uint8(ConnState.OTH))
    return np.where(protocol == PROTOCOL_TCP, found, other)


def _tcp_states() -> NDArray[np.uint8]:
    """conn_state by the states of originator and responder, and whether neither sent payload.

    Zeek's scripts/base/protocols/conn/main.zeek, rule by rule in its order.
    """
    a, b, empty = np.indices((RESET + 1, RESET + 1, 2))
    idle_a, idle_b = ((end == INACTIVE) | (end == PARTIAL) for end in (a, b))
    rejected = (a == SYN_SENT) | (a == SYN_ACK_SENT) | ((a == RESET) & (empty == 1))
    rules = [
        ((b == RESET) & rejected, ConnState.REJ),
        ((b == RESET) & idle_a, ConnState.RSTRH),
        (b == RESET, ConnState.RSTR),
        ((a == RESET) & idle_b, ConnState.RSTOS0),
        (a == RESET, ConnState.RSTO),
        ((b == CLOSED) & (a == CLOSED), ConnState.SF),
        ((a == CLOSED) & idle_b, ConnState.SH),
        (a == CLOSED, ConnState.S2),
        ((b == CLOSED) & idle_a, ConnState.SHR),
        (b == CLOSED, ConnState.S3),
        ((a == SYN_SENT) & (b == INACTIVE), ConnState.S0),
        ((a == ESTABLISHED) & (b == ESTABLISHED), ConnState.S1),
    ]
    return np.select([rule for rule, _ in rules], [int(state) for _, state in rules], int(ConnState.OTH)).astype(np.uint8)


TCP_STATES: Final = _tcp_states()


def _endings(rows: NDArray[np.int64], flows: Columns) -> NDArray[np.uint8]:
    """How each flow ended; a reset after both FINs ends nothing."""
    fins = ((rows[HISTORY] & N_FIN) != 0).sum(axis=0) * (flows["protocol"] == PROTOCOL_TCP)
    rules = [fins == 2, flows["resets"] > 0, fins == 1]
    return np.select(rules, [int(Ending.CLOSED), int(Ending.RESET), int(Ending.HALF_CLOSED)], int(Ending.NONE)).astype(np.uint8)
