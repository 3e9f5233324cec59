"""Packets -> flows in one pass: flow keys by hash, TCP streams by sequence number.

Contract: the columns are a PacketTable's; address codes are not negative where a layer of transport is present. The pass stops
early when a table is full, and the caller enlarges it and goes on from the same packet.

A flow has two streams, rows 2 * flow + direction of StreamArrays. What the receiver would not take is no part of a stream:
segments beyond any window that was advertised (RFC 9293 section 3.10.7.4) and the text of resets.
"""

from mixcni.kernels.hashing import find_code4
from mixcni.kernels.jit import i64, kernel
from mixcni.kernels.seqspace import seq_delta

L_TCP, L_UDP, L_ICMP, L_ICMPV6 = 0x10, 0x20, 0x40, 0x80  # mixcni.schema.Layer
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # mixcni.schema.TcpFlag
RETRANSMISSION = 0x0001  # mixcni.schema.Label
FORWARD, REVERSE = 0, 1  # mixcni.schema.Direction
FIRST_EPHEMERAL_PORT = 32_768  # Linux, net.ipv4.ip_local_port_range
SEQUENCE_MASK = (1 << 32) - 1
ECHO_REQUEST, ECHO_REPLY, ECHO_REQUEST_V6, ECHO_REPLY_V6 = 8, 0, 128, 129
LARGEST_SCALE = 14  # RFC 7323 section 2.3: a window is at most its field shifted by 14
LARGEST_WINDOW = 1 << 30  # RFC 7323 section 2.3, octets
UNKNOWN, LEARNT, TOLD = 0, 1, 2  # how a stream's base is known: not, from the midst of the connection, from its SYN


@kernel
def is_initiator(flags, is_tcp, source_port, destination_port):
    """Whether the first packet of a flow was sent by its initiator.

    A SYN says yes and a SYN-ACK no (RFC 9293 section 3.5); in the midst of a connection the side with the ephemeral port is
    taken for the initiator, and where both or neither have one, the side that was heard first.
    """
    if is_tcp and flags & SYN:
        return 0 if flags & ACK else 1
    if source_port < FIRST_EPHEMERAL_PORT and destination_port >= FIRST_EPHEMERAL_PORT:
        return 0
    return 1


@kernel
def opens_another(flags, seq, ack, direction, flow, streams):
    """Whether a segment of a known key begins a new connection: a SYN whose sequence number is not its flow's.

    A SYN belongs to a flow in which that side's sequence numbers are not known yet (simultaneous open), unless only resets
    were heard of it and they make the SYN's sender the responder. A SYN-ACK opens another flow only if it acknowledges another
    SYN than its flow's too: then that SYN was not captured.
    """
    own, other = 2 * flow + direction, 2 * flow + 1 - direction
    if not flags & SYN or flags & RST:
        return 0
    if streams.based[own] == UNKNOWN:
        return 1 if streams.based[other] == UNKNOWN and direction == (FORWARD if flags & ACK else REVERSE) else 0
    if seq == streams.base[own]:
        return 0
    if flags & ACK:
        return 1 if streams.based[other] != UNKNOWN and (ack - 1) & SEQUENCE_MASK != streams.base[other] else 0
    return 1


@kernel
def begin_flow(flow, forward, i, packets, source_port, destination_port, flows):
    """Write the fixed columns of a new flow, whose first packet is packet `i`."""
    source, destination = packets.source[i], packets.destination[i]
    if forward:
        flows.initiator[flow], flows.responder[flow] = source, destination
        flows.initiator_port[flow], flows.responder_port[flow] = source_port, destination_port
    else:
        flows.initiator[flow], flows.responder[flow] = destination, source
        flows.initiator_port[flow], flows.responder_port[flow] = destination_port, source_port
    flows.protocol[flow] = packets.protocol[i]
    flows.first_ns[flow] = packets.time_ns[i]
    flows.last_ns[flow] = packets.time_ns[i]


@kernel
def widen_interval(flow, time_ns, flows):
    """Let a flow's interval hold a packet's time; packets need not be in the order of time, and may lack one (-1)."""
    if time_ns < 0:
        return
    if flows.first_ns[flow] < 0 or time_ns < flows.first_ns[flow]:
        flows.first_ns[flow] = time_ns
    flows.last_ns[flow] = max(flows.last_ns[flow], time_ns)


@kernel
def count_flags(flow, direction, flags, flows):
    """Count what a segment's control bits say of its flow; repetitions count."""
    if flags & SYN and direction == FORWARD:
        flows.syn_seen[flow] = 1
    elif flags & SYN:
        flows.synack_seen[flow] = 1
    if flags & FIN:
        flows.fins[flow] += 1
    if flags & RST:
        flows.resets[flow] += 1


@kernel
def farthest(stream, streams):
    """The stream offset up to which octets were seen or acknowledged."""
    return max(i64(streams.end[stream]), i64(streams.acknowledged[stream]))


@kernel
def place(stream, seq, streams):
    """Stream offset of a sequence number: of all that it can stand for, the one nearest to the farthest known."""
    known = farthest(stream, streams)
    return known + seq_delta((i64(streams.base[stream]) + known) & SEQUENCE_MASK, seq)


@kernel
def reaches(stream, start, end, streams):
    """Whether a stream can have come from `start` as far as `end`: no farther than any window that its receiver advertised.

    Where a capture misses more than a window, the first segment behind the gap is not believed, and the one that goes on
    from it is. A repetition confirms nothing: a late segment of an older connection repeats as well.
    """
    if end < 0 and streams.based[stream] == TOLD:
        return 0
    window = i64(streams.window[stream])
    if window == 0:
        window = LARGEST_WINDOW
    if end <= farthest(stream, streams) + window:
        return 1
    stray = i64(streams.stray[stream])
    streams.stray[stream] = end
    return 1 if 0 < stray <= start and stray < end <= stray + window else 0


@kernel
def track_reset(own, other, flags, seq, ack, streams, segments, row):
    """Place a reset; it moves nothing, and its text is no part of the stream (RFC 9293 section 3.5.3).

    Its numbers are often no side's own: the answer to a SYN has SEG.SEQ 0 (RFC 9293 section 3.10.7.1).
    """
    segments.offset[row] = place(own, seq, streams) if streams.based[own] != UNKNOWN else 0
    segments.length[row] = 0
    segments.label[row] = 0
    segments.acknowledged[row] = -1
    if flags & ACK and streams.based[other] != UNKNOWN:
        segments.acknowledged[row] = max(place(other, ack, streams), -1)


@kernel
def learn_base(own, flags, seq, streams):
    """Set the base of a stream's offsets: the initial sequence number, or one less than the first sequence number heard.

    What comes next has offset 1 then, as after a handshake.
    """
    if flags & SYN:
        streams.base[own], streams.based[own] = seq, TOLD
    else:
        streams.base[own], streams.based[own] = (seq - 1) & SEQUENCE_MASK, LEARNT


@kernel
def track_segment(own, other, flags, seq, ack, payload, window, streams, segments, row):
    """Follow one segment that is no reset in stream `own`, acknowledging `other`; 1 where it repeats old octets.

    Its stream offsets and label are written. A segment that the receiver would not take has length 0 and acknowledges nothing.
    A SYN sets the base anew as long as nothing of that side was acknowledged: a connection may get two different SYN-ACKs,
    and the initiator says which one counts.
    """
    length = payload + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
    differs = 1 if flags & SYN and seq != streams.base[own] else 0
    known = 1 if streams.based[own] != UNKNOWN and not (differs and streams.acknowledged[own] <= 0) else 0
    offset = place(own, seq, streams) if known else 0 if flags & SYN else 1
    taken = 1
    if known:
        taken = 0 if differs else reaches(own, offset, offset + length, streams)
    acknowledged = -1
    if flags & ACK and taken and streams.based[other] != UNKNOWN:
        acknowledged = place(other, ack, streams)
        if not reaches(other, acknowledged, acknowledged, streams):
            acknowledged = -1
            taken = known
    segments.offset[row] = offset
    segments.length[row] = length if taken else 0
    segments.label[row] = 0
    segments.acknowledged[row] = -1
    if not taken:
        return 0
    if not known:
        streams.end[own] = 0
    if not known or flags & SYN:
        learn_base(own, flags, seq, streams)
    if flags & ACK and streams.based[other] == UNKNOWN:
        streams.base[other], streams.based[other] = (ack - 1) & SEQUENCE_MASK, LEARNT
        acknowledged = 1
    if acknowledged >= 0:
        segments.acknowledged[row] = acknowledged
        streams.acknowledged[other] = max(i64(streams.acknowledged[other]), acknowledged)
    if not flags & SYN:  # a SYN's window is never scaled (RFC 7323 section 2.2)
        streams.window[other] = max(i64(streams.window[other]), window << LARGEST_SCALE)
    end = i64(streams.end[own])
    if length == 0:
        return 0
    if offset + length > end:
        streams.end[own] = offset + length
        return 0
    if payload == 1 and length == 1 and offset == end - 1 and streams.acknowledged[own] >= end:
        return 0  # a keep-alive probe: SEG.SEQ is SND.NXT - 1 and nothing is outstanding (RFC 9293 section 3.8.4)
    segments.label[row] = RETRANSMISSION
    return 1


@kernel
def track_packets(packets, begin, slots, keys, newest, key_count, flows, streams, flow_count, segments, row):
    """Assign packets from `begin` on to flows; (packets done, keys known, flows known, segments written).

    packets : PacketColumns, (n,) each
    slots, keys, newest : hash table of flow keys (mixcni.kernels.hashing), and each key's newest flow
    flows, streams : FlowArrays and StreamArrays, zeroed behind `flow_count`
    segments : SegmentArrays, written from `row` on
    """
    i = begin
    key_room, flow_room = len(slots) // 2 - 1, len(flows.first_ns)
    while i < len(packets.present) and key_count < key_room and flow_count < flow_room:
        present = i64(packets.present[i])
        if not present & (L_TCP | L_UDP | L_ICMP | L_ICMPV6):
            i += 1
            continue
        source_port, destination_port = i64(packets.source_port[i]), i64(packets.destination_port[i])
        reply = False
        if present & (L_ICMP | L_ICMPV6):
            kind = destination_port >> 8
            request = kind == ECHO_REQUEST if present & L_ICMP else kind == ECHO_REQUEST_V6
            reply = kind == ECHO_REPLY if present & L_ICMP else kind == ECHO_REPLY_V6
            if not request and not reply:
                i += 1
                continue
            destination_port = 0
            if reply:
                source_port, destination_port = 0, source_port
        source, destination = i64(packets.source[i]), i64(packets.destination[i])
        low_first = source < destination or (source == destination and source_port <= destination_port)
        if low_first:
            w0, w1, w2 = source, destination, source_port << 16 | destination_port
        else:
            w0, w1, w2 = destination, source, destination_port << 16 | source_port
        slot, key = find_code4(slots, keys, w0, w1, w2, i64(packets.protocol[i]))
        flags, seq, ack = i64(packets.tcp_flags[i]), i64(packets.seg_seq[i]), i64(packets.seg_ack[i])
        is_tcp = 1 if present & L_TCP else 0
        flow, direction = -1, FORWARD
        if key < 0:
            key = key_count
            key_count += 1
            slots[slot] = key
            keys[4 * key], keys[4 * key + 1], keys[4 * key + 2] = w0, w1, w2
            keys[4 * key + 3] = packets.protocol[i]
        else:
            flow = i64(newest[key])
            if flows.initiator[flow] != source or flows.initiator_port[flow] != source_port:
                direction = REVERSE
            if is_tcp and opens_another(flags, seq, ack, direction, flow, streams):
                flow = -1
        if flow < 0:
            flow = flow_count
            flow_count += 1
            newest[key] = flow
            direction = FORWARD
            if reply or (present & (L_TCP | L_UDP) and not is_initiator(flags, is_tcp, source_port, destination_port)):
                direction = REVERSE
            begin_flow(flow, 1 if direction == FORWARD else 0, i, packets, source_port, destination_port, flows)
        segments.packet[row] = i
        segments.flow[row] = flow
        segments.direction[row] = direction
        own, other, payload = 2 * flow + direction, 2 * flow + 1 - direction, i64(packets.payload_octets[i])
        streams.packets[own] += 1
        streams.payload_octets[own] += payload
        widen_interval(flow, packets.time_ns[i], flows)
        if not is_tcp:
            segments.length[row] = payload
            segments.acknowledged[row] = -1
        else:
            count_flags(flow, direction, flags, flows)
            if flags & RST:
                track_reset(own, other, flags, seq, ack, streams, segments, row)
            else:
                window = i64(packets.seg_wnd[i])
                flows.retransmissions[flow] += track_segment(own, other, flags, seq, ack, payload, window, streams, segments, row)
        row += 1
        i += 1
    return i, key_count, flow_count, row
