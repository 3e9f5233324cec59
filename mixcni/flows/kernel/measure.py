"""What one TCP connection tells of time: round trips, and how long a receiver had no room."""

from mixcni.flows.kernel.numbers import (
    ACK,
    CLOSED_NS,
    FLOW,
    FORWARD,
    HANDSHAKE_RTT_NS,
    NO_ROOM_NS,
    RETRANSMISSION,
    SYN,
    SYN_NS,
    SYNACK_SEEN,
    TIMED_END,
    TIMED_NS,
)
from mixcni.kernels.jit import i64, kernel

UNMEASURED, AMBIGUOUS = -1, -2


@kernel
def time_handshake(flow, direction, flags, label, acknowledged, time_ns, flows):
    """Measure from the SYN to the ACK that ends the handshake, unless a segment of it was sent twice (RFC 6298 section 3)."""
    at = flow * FLOW
    if flags & SYN:
        if label & RETRANSMISSION:
            flows[at + HANDSHAKE_RTT_NS] = AMBIGUOUS
        elif direction == FORWARD and not flags & ACK:
            flows[at + SYN_NS] = time_ns
    elif direction == FORWARD and flags & ACK and acknowledged > 0 and flows[at + SYNACK_SEEN] and flows[at + SYN_NS] >= 0:
        elapsed = time_ns - i64(flows[at + SYN_NS])
        flows[at + HANDSHAKE_RTT_NS] = elapsed if elapsed >= 0 else AMBIGUOUS


@kernel
def time_round_trip(streams, own, other, payload, new, filled, in_order, end, acknowledged, time_ns):
    """Follow a segment that was taken in the measurement of both directions; the round trip that it ends, or -1.

    One segment of a stream is measured at a time, from when it was seen to its acknowledgment. It must be new and next in order,
    and the measurement is given up where the stream repeats or fills anything: the acknowledgment may then be of a repetition
    (Karn's rule, RFC 6298 section 3), or have waited for the octets before it.
    """
    found = UNMEASURED
    due = i64(streams[other + TIMED_END])
    if due and acknowledged >= due:
        streams[other + TIMED_END] = 0
        if time_ns >= streams[other + TIMED_NS]:
            found = time_ns - i64(streams[other + TIMED_NS])
    if payload:
        if filled or not new:
            streams[own + TIMED_END] = 0
        elif in_order and streams[own + TIMED_END] == 0 and time_ns >= 0:
            streams[own + TIMED_END], streams[own + TIMED_NS] = end, time_ns
    return found


@kernel
def time_window(streams, own, window, time_ns):
    """Follow whether the sender of a segment that was taken, no SYN, has room to receive."""
    since = i64(streams[own + CLOSED_NS])
    if window == 0:
        if since == 0 and time_ns >= 0:
            streams[own + CLOSED_NS] = time_ns + 1
    elif since:
        streams[own + CLOSED_NS] = 0
        streams[own + NO_ROOM_NS] += max(time_ns + 1 - since, 0)
