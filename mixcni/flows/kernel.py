"""Packets -> flows in one pass: flow keys by hash, TCP streams by sequence number.

Contract: the columns are a PacketTable's; address codes are not negative where a layer of transport is present. The pass stops
early when a table is full, and the caller enlarges it and goes on from the same packet.
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
def opens_another(flags, seq, direction, flow, flows):
    """Whether a packet of a known key begins a new connection: a SYN whose sequence number is not its flow's.

    A SYN belongs to a flow in which that side's sequence numbers are not known yet (simultaneous open).
    """
    if not flags & SYN or flags & ACK:
        return 0
    if not i64(flows.based[flow]) & 1 << direction:
        return 0
    return 0 if seq == (flows.iss[flow] if direction == FORWARD else flows.irs[flow]) else 1


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


@kernel
def learn_bases(flow, direction, flags, seq, ack, flows):
    """Set the bases of stream offsets that this segment is the first to tell.

    The base is the initial sequence number; where the SYN was not seen, one less than the first sequence number, and of the
    other side one less than the first acknowledgment: what comes next has offset 1 then, as after a handshake.
    """
    own, other = 1 << direction, 1 << (1 - direction)
    based = i64(flows.based[flow])
    if not based & own:
        base = seq if flags & SYN else (seq - 1) & SEQUENCE_MASK
        if direction == FORWARD:
            flows.iss[flow] = base
        else:
            flows.irs[flow] = base
        based |= own
    if flags & ACK and not based & other:
        base = (ack - 1) & SEQUENCE_MASK
        if direction == FORWARD:
            flows.irs[flow] = base
        else:
            flows.iss[flow] = base
        based |= other
    flows.based[flow] = based


@kernel
def track_segment(flow, direction, i, packets, flows, segments, row):
    """Follow one TCP segment in its flow; its stream offsets and label are written."""
    flags = i64(packets.tcp_flags[i])
    seq, ack = i64(packets.seg_seq[i]), i64(packets.seg_ack[i])
    learn_bases(flow, direction, flags, seq, ack, flows)
    if direction == FORWARD:
        if flags & SYN:
            flows.syn_seen[flow] = 1
        base, end, other_base, other_end = (
            flows.iss[flow],
            flows.end_forward[flow],
            flows.irs[flow],
            flows.end_reverse[flow],
        )
    else:
        if flags & SYN:
            flows.synack_seen[flow] = 1
        base, end, other_base, other_end = (
            flows.irs[flow],
            flows.end_reverse[flow],
            flows.iss[flow],
            flows.end_forward[flow],
        )
    offset = i64(end) + seq_delta((i64(base) + i64(end)) & SEQUENCE_MASK, seq)
    length = i64(packets.payload_octets[i])
    if flags & SYN:
        length += 1
    if flags & FIN:
        length += 1
        flows.fins[flow] += 1
    label = 0
    if flags & RST:
        flows.resets[flow] += 1
    elif length > 0:
        if offset + length <= i64(end):
            label = RETRANSMISSION
            flows.retransmissions[flow] += 1
        elif direction == FORWARD:
            flows.end_forward[flow] = offset + length
        else:
            flows.end_reverse[flow] = offset + length
    segments.offset[row] = offset
    segments.length[row] = length
    segments.label[row] = label
    if flags & ACK:
        segments.acknowledged[row] = i64(other_end) + seq_delta((i64(other_base) + i64(other_end)) & SEQUENCE_MASK, ack)
    else:
        segments.acknowledged[row] = -1


@kernel
def track_packets(packets, begin, slots, keys, newest, key_count, flows, flow_count, segments, row):
    """Assign packets from `begin` on to flows; (packets done, keys known, flows known, segments written).

    packets : PacketColumns, (n,) each
    slots, keys, newest : hash table of flow keys (mixcni.kernels.hashing), and each key's newest flow
    flows : FlowArrays, zeroed behind `flow_count`
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
        flags, seq = i64(packets.tcp_flags[i]), i64(packets.seg_seq[i])
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
            if is_tcp and opens_another(flags, seq, direction, flow, flows):
                flow = -1
        if flow < 0:
            flow = flow_count
            flow_count += 1
            newest[key] = flow
            direction = FORWARD
            if present & (L_ICMP | L_ICMPV6):
                direction = REVERSE if destination_port else FORWARD
            elif not is_initiator(flags, is_tcp, source_port, destination_port):
                direction = REVERSE
            begin_flow(flow, 1 if direction == FORWARD else 0, i, packets, source_port, destination_port, flows)
        segments.packet[row] = i
        segments.flow[row] = flow
        segments.direction[row] = direction
        payload = i64(packets.payload_octets[i])
        if is_tcp:
            track_segment(flow, direction, i, packets, flows, segments, row)
        else:
            segments.length[row] = payload
            segments.acknowledged[row] = -1
        flows.last_ns[flow] = packets.time_ns[i]
        if direction == FORWARD:
            flows.packets_forward[flow] += 1
            flows.payload_octets_forward[flow] += payload
        else:
            flows.packets_reverse[flow] += 1
            flows.payload_octets_reverse[flow] += payload
        row += 1
        i += 1
    return i, key_count, flow_count, row
