"""Cutting a connection's octets into exchanges: the handshake, then turns of requests and responses.

Contract: segments are a SegmentTable's columns in file order; stream offsets put the SYN at 0 and the first octet of data at 1,
and what is no part of a stream, as a reset, has length 0.
"""

from mixcni.kernels.jit import i64, kernel
from mixcni.schema import PROTOCOL_TCP

FIN, SYN = 0x01, 0x02  # mixcni.schema.TcpFlag
FORWARD = 0  # mixcni.schema.Direction
HANDSHAKE, TURN = 0, 1  # mixcni.schema.ExchangeKind


@kernel
def open_exchange(flow, kind, turns, request_start, response_start, out, row):
    """Write an exchange without octets yet; `turns` counts those of its flow."""
    out.flow[row] = flow
    out.kind[row] = kind
    number = 0
    if kind == TURN:
        turns[flow] += 1
        number = turns[flow]
    out.number[row] = number
    out.request_start[row] = request_start
    out.request_end[row] = request_start
    out.response_start[row] = response_start
    out.response_end[row] = response_start
    out.request_packet[row] = -1
    out.response_packet[row] = -1


@kernel
def track_handshake(flow, direction, packet, handshake, out, count):
    """Enter a SYN or SYN-ACK into its flow's exchange 0; the number of exchanges."""
    row = i64(handshake[flow])
    if row < 0:
        row = count
        handshake[flow] = row
        open_exchange(flow, HANDSHAKE, handshake, 0, 0, out, row)
        count += 1
    if direction == FORWARD:
        if out.request_packet[row] < 0:
            out.request_end[row] = 1
            out.request_packet[row] = packet
    elif out.response_packet[row] < 0:
        out.response_end[row] = 1
        out.response_packet[row] = packet
    return count


@kernel
def split_turns(segments, protocol, tcp_flags, state, out):
    """Write the exchanges of all flows; how many there are.

    A turn is a run of new octets from the initiator, then a run of new octets from the responder; retransmitted octets open
    nothing. A responder that speaks first has a turn with an empty request. A run begins where that side's last one ended:
    octets which arrive late, or which the capture missed, belong to it. Without a SYN the first begins with its first segment.

    segments : SegmentColumns, (n,) each; protocol : a row a flow, of which those over TCP count; tcp_flags : a row a packet
    state : TurnState, one row a flow: `current`, `handshake` -1; `turns` 0; `end_forward`, `end_reverse` 0 or where turns begin
    out : ExchangeArrays, with room for a row a segment that has length, twice for a SYN with data
    """
    count = 0
    for i in range(len(segments.flow)):
        flow, length = i64(segments.flow[i]), i64(segments.length[i])
        if length == 0 or protocol[flow] != PROTOCOL_TCP:
            continue
        direction, packet = i64(segments.direction[i]), i64(segments.packet[i])
        flags = i64(tcp_flags[packet])
        start = i64(segments.offset[i])
        end = start + length
        known = i64(state.end_forward[flow]) if direction == FORWARD else i64(state.end_reverse[flow])
        if flags & SYN:
            count = track_handshake(flow, direction, packet, state.handshake, out, count)
        if flags & FIN:
            end -= 1
        start = known if known > 0 else max(start, 1)
        end = max(end, known)
        if direction == FORWARD:
            state.end_forward[flow] = end
        else:
            state.end_reverse[flow] = end
        if end <= start:
            continue
        row = i64(state.current[flow])
        if direction == FORWARD:
            if row < 0 or out.response_packet[row] >= 0:
                row = count
                count += 1
                open_exchange(flow, TURN, state.turns, start, max(i64(state.end_reverse[flow]), 1), out, row)
                state.current[flow] = row
            if out.request_packet[row] < 0:
                out.request_packet[row] = packet
            out.request_end[row] = end
        else:
            if row < 0:
                row = count
                count += 1
                open_exchange(flow, TURN, state.turns, max(i64(state.end_forward[flow]), 1), start, out, row)
                state.current[flow] = row
            if out.response_packet[row] < 0:
                out.response_start[row] = start
                out.response_packet[row] = packet
            out.response_end[row] = end
    return count
