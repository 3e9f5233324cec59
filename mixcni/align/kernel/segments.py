"""Loops of alignment: segments put on their conversations' bases, and hulls.

Contract: arrays of one length where they are named together; what is written has room for all rows.
"""

from mixcni.kernels.jit import i64, kernel
from mixcni.schema import PROTOCOL_TCP

FORWARD = 0  # mixcni.schema.Direction
SYN, RST, ACK = 0x02, 0x04, 0x10  # mixcni.schema.TcpFlag


@kernel
def survey_flows(flow, direction, packet, tcp_flags, told, syn_packet):
    """Write of which directions a flow's segments tell the base, and the packet of its first SYN from the initiator.

    A segment tells its own base, and its acknowledgment the other one. A reset tells none: that of a closed port has sequence
    number 0 (RFC 9293 section 3.10.7.1).

    flow, direction, packet : (n,) of segments in file order; tcp_flags : a row a packet
    told : (2 * f,) bool, written at 2 * flow + direction; False before
    syn_packet : (f,) int64, written; -1 before
    """
    for i in range(len(flow)):
        flags = i64(tcp_flags[packet[i]])
        if flags & RST:
            continue
        of, way = i64(flow[i]), i64(direction[i])
        told[2 * of + way] = True
        if flags & ACK:
            told[2 * of + 1 - way] = True
        if flags & SYN and way == FORWARD and syn_packet[of] < 0:
            syn_packet[of] = packet[i]


@kernel
def first_packets(flow, direction, packet, first):
    """Write the first packet of each direction of a flow.

    flow, direction, packet : (n,) of segments in file order
    first : (2 * f,) int64, written at 2 * flow + direction; -1 before
    """
    for i in range(len(flow)):
        cell = 2 * i64(flow[i]) + i64(direction[i])
        if first[cell] < 0:
            first[cell] = packet[i]


@kernel
def span_flows(flow, packet, own_ns, time_ns, first, last):
    """Write when the first and the last packet of each flow came; packets without a time, those of `own_ns` below 0, left out.

    flow, packet : (n,) of segments; own_ns, time_ns : a row a packet, by the point's own and by the wanted clock
    first, last : (f,) int64, ns, written; the greatest and the least integer before
    """
    for i in range(len(flow)):
        row, of = i64(packet[i]), i64(flow[i])
        if own_ns[row] >= 0:
            first[of] = min(i64(first[of]), i64(time_ns[row]))
            last[of] = max(i64(last[of]), i64(time_ns[row]))


@kernel
def place_segments(segments, flows, packets, point, out, row, forms):
    """Write one point's TCP segments as transmissions from `row` on, copies at that point left out; the row behind the last.

    segments : SegmentColumns, (n,) each, in file order
    flows : PlacedFlows, a row a flow; packets : PacketColumns, a row a packet
    out : TransmissionColumns, with room for n rows from `row` on
    forms : SeenForms, written
    """
    for i in range(len(segments.flow)):
        flow = i64(segments.flow[i])
        if segments.copy_of[i] >= 0 or flows.protocol[flow] != PROTOCOL_TCP:
            continue
        direction = i64(segments.direction[i]) ^ i64(flows.flipped[flow])
        packet = i64(segments.packet[i])
        start = i64(segments.offset[i]) + i64(flows.shift[2 * flow + direction])
        length = i64(segments.length[i])
        conversation = i64(flows.conversation[flow])
        if not flows.is_primary[flow]:
            forms.is_several[conversation] = True
        if length > 0:
            stream = 2 * conversation + direction
            forms.least[stream] = min(i64(forms.least[stream]), i64(packets.ttl[packet]))
            forms.most[stream] = max(i64(forms.most[stream]), i64(packets.ttl[packet]))
        acknowledged = i64(segments.acknowledged[i])
        if acknowledged >= 0:
            acknowledged += i64(flows.shift[2 * flow + 1 - direction])
        else:
            acknowledged = -1
        out.conversation[row] = conversation
        out.point[row] = point
        out.direction[row] = direction
        out.start[row] = start
        out.end[row] = start + length
        out.acknowledged[row] = acknowledged
        out.tcp_flags[row] = packets.tcp_flags[packet]
        out.time_ns[row] = packets.time_ns[packet]
        out.packet[row] = packet
        row += 1
    return row


@kernel
def lower_hull(x, y, vertices):
    """Write the rows of the lower convex hull of points in the order of x (then y), from left to right; how many they are.

    Andrew's monotone chain. Of points with one x only the lowest counts.
    """
    size = 0
    ax, ay, bx, by = 0.0, 0.0, 0.0, 0.0  # the last two vertices
    for i in range(len(x)):
        if size and bx == x[i]:
            continue
        while size >= 2 and (bx - ax) * (y[i] - ay) - (by - ay) * (x[i] - ax) <= 0:
            size -= 1
            bx, by = ax, ay
            if size >= 2:
                ax, ay = x[vertices[size - 2]], y[vertices[size - 2]]
        vertices[size] = i
        size += 1
        ax, ay, bx, by = bx, by, x[i], y[i]
    return size
