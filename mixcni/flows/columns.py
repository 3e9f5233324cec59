"""What the rows of state say when all packets were followed: the columns of a FlowTable that tell of directions and endings."""

from typing import Any, NamedTuple

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
    HOLES,
    INITIATOR,
    LABELS,
    LARGE,
    LAST_NS,
    LOW,
    MSS,
    NO_ROOM_NS,
    OCTETS,
    OTHER_STACK,
    PACKETS,
    PAYLOAD,
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
from mixcni.schema import FLOWS, ConnState, Ending, Label

PROTOCOL_TCP, PROTOCOL_UDP = 6, 17
DIRECTIONS = ("forward", "reverse")
Columns = dict[str, NDArray[Any]]
FIELDS = {
    "protocol": PROTOCOL, "syn_seen": SYN_SEEN, "synack_seen": SYNACK_SEEN, "first_ns": FIRST_NS, "last_ns": LAST_NS,
    "fins": FINS, "resets": RESETS, "copies": COPIES, "stack_forward": STACK_FORWARD, "stack_reverse": STACK_REVERSE,
    "other_stack": OTHER_STACK, "completeness": COMPLETENESS, "closed_by": CLOSED_BY,
}  # fmt: skip
"""The columns that stand in the row of a flow as they are."""


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
    flows = state.flows.reshape(-1, FLOW)[:count]
    columns = {name: flows[:, field].astype(FLOWS[name].dtype) for name, field in FIELDS.items()}
    for name, field in (("initiator", INITIATOR), ("responder", RESPONDER)):
        columns[name] = (flows[:, field] >> PORT_BITS).astype(np.int32)
        columns[f"{name}_port"] = (flows[:, field] & ((1 << PORT_BITS) - 1)).astype(np.uint16)
    columns["handshake_rtt_ns"] = np.maximum(flows[:, HANDSHAKE_RTT_NS], -1)
    return columns | _told_by_streams(state, columns, samples, count)


def _told_by_streams(state: Any, flows: Columns, samples: Samples, count: int) -> Columns:
    """The columns that follow from the state of each direction; `flows` are those that stand in the rows of flows."""
    rows = state.streams.reshape(-1, 2, STREAM)[:count]
    labels = state.labels.reshape(-1, 2, LABELS)[:count]
    octets, unseen = (np.zeros(2 * count, dtype=np.int64) for _ in range(2))
    run(sum_holes, 2 * count, state.streams, state.holes, octets, unseen)
    in_holes = octets.reshape(-1, 2) + rows[:, :, GIVEN_UP]
    seen, acked, end = rows[:, :, SEEN] != 0, rows[:, :, ACKED], rows[:, :, END]
    least, median = _round_trips(samples, count)
    by_direction: dict[str, NDArray[Any]] = {
        "end": np.maximum(end, 0),
        "packets": rows[:, :, PACKETS],
        "octets": rows[:, :, OCTETS],
        "payload_octets": rows[:, :, PAYLOAD],
        "octets_seen": np.where(seen, end - rows[:, :, LOW] - in_holes, 0),
        "holes": rows[:, :, HOLES],
        "hole_octets": in_holes,
        # Where no octet was seen, the first acknowledgment is where counting begins.
        "unseen_octets": unseen.reshape(-1, 2) + np.maximum(acked - np.where(seen, end, 1), 0),
        "resent_octets": rows[:, :, RESENT],
        "mss": rows[:, :, MSS] - 1,
        "window_scale": rows[:, :, SCALE] - 1,
        "rtt_min_ns": least,
        "rtt_median_ns": median,
        "no_room_ns": rows[:, :, NO_ROOM_NS],
        "super_segments": rows[:, :, LARGE],
        **{str(label.name).lower(): labels[:, :, label.bit_length() - 1] for label in Label},
    }
    columns = {
        f"{name}_{direction}": values[:, side].astype(FLOWS[f"{name}_{direction}"].dtype)
        for name, values in by_direction.items()
        for side, direction in enumerate(DIRECTIONS)
    }
    columns["iss"], columns["irs"] = (rows[:, side, BASE].astype(np.uint32) for side in (0, 1))
    repeats = Label.RETRANSMISSION.bit_length() - 1
    columns["retransmissions"] = labels[:, :, repeats].sum(axis=1, dtype=np.int64)
    columns["history"] = np.ascontiguousarray(state.history.reshape(-1, LETTERS + 1)[:count, :LETTERS]).view(f"S{LETTERS}")[:, 0]
    columns["conn_state"] = _conn_states(rows, flows["protocol"])
    columns["ending"] = _endings(rows, flows)
    return columns


def _round_trips(samples: Samples, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least and the median of each direction, (count, 2); -1 where none was measured."""
    found = np.full((2, 2 * count), -1, dtype=np.int64)
    number = np.bincount(samples.stream, minlength=2 * count)
    ordered = _by_stream(samples)
    streams = np.flatnonzero(number)
    first = (np.cumsum(number) - number)[streams]
    found[0, streams] = ordered[first]
    found[1, streams] = ordered[first + (number[streams] - 1) // 2]
    return found[0].reshape(-1, 2), found[1].reshape(-1, 2)


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


def _conn_states(rows: NDArray[np.int64], protocol: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Zeek's conn_state (scripts/base/protocols/conn/main.zeek), rule by rule in its order."""
    a, b = rows[:, 0, STATE], rows[:, 1, STATE]
    idle_a, idle_b = ((end == INACTIVE) | (end == PARTIAL) for end in (a, b))
    empty = (rows[:, 0, PAYLOAD] == 0) & (rows[:, 1, PAYLOAD] == 0)
    rejected = (a == SYN_SENT) | (a == SYN_ACK_SENT) | ((a == RESET) & empty)
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
    found = np.select([rule for rule, _ in rules], [int(state) for _, state in rules], int(ConnState.OTH)).astype(np.uint8)
    asked, answered = rows[:, 0, PACKETS] > 0, rows[:, 1, PACKETS] > 0
    datagrams = np.select([asked & answered, asked], [int(ConnState.SF), int(ConnState.S0)], int(ConnState.SHR)).astype(np.uint8)
    other = np.where(protocol == PROTOCOL_UDP, datagrams, np.uint8(ConnState.OTH))
    return np.where(protocol == PROTOCOL_TCP, found, other)


def _endings(rows: NDArray[np.int64], flows: Columns) -> NDArray[np.uint8]:
    """How each flow ended; a reset after both FINs ends nothing."""
    fins = ((rows[:, :, HISTORY] & N_FIN) != 0).sum(axis=1) * (flows["protocol"] == PROTOCOL_TCP)
    rules = [fins == 2, flows["resets"] > 0, fins == 1]
    return np.select(rules, [int(Ending.CLOSED), int(Ending.RESET), int(Ending.HALF_CLOSED)], int(Ending.NONE)).astype(np.uint8)
