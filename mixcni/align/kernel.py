"""Loops of alignment: segments put on their conversations' bases, hulls, and the clustering of equal datagrams.

Contract: arrays of one length where they are named together; what is written has room for all rows.
"""

from mixcni.kernels.jit import i64, kernel

PROTOCOL_TCP = 6
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
def place_segments(segments, flows, packets, point, out, row):
    """Write one point's TCP segments as transmissions from `row` on, copies at that point left out; the row behind the last.

    segments : SegmentColumns, (n,) each, in file order
    flows : PlacedFlows, a row a flow; packets : PacketColumns, a row a packet
    out : TransmissionColumns, with room for n rows from `row` on
    """
    for i in range(len(segments.flow)):
        flow = i64(segments.flow[i])
        if segments.copy_of[i] >= 0 or flows.protocol[flow] != PROTOCOL_TCP:
            continue
        direction = i64(segments.direction[i]) ^ i64(flows.flipped[flow])
        packet = i64(segments.packet[i])
        start = i64(segments.offset[i]) + i64(flows.shift[2 * flow + direction])
        acknowledged = i64(segments.acknowledged[i])
        if acknowledged >= 0:
            acknowledged += i64(flows.shift[2 * flow + 1 - direction])
        else:
            acknowledged = -1
        out.conversation[row] = flows.conversation[flow]
        out.point[row] = point
        out.direction[row] = direction
        out.start[row] = start
        out.end[row] = start + i64(segments.length[i])
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
    for i in range(len(x)):
        if size and x[vertices[size - 1]] == x[i]:
            continue
        while size >= 2:
            a, b = vertices[size - 2], vertices[size - 1]
            if (x[b] - x[a]) * (y[i] - y[a]) - (y[b] - y[a]) * (x[i] - x[a]) > 0:
                break
            size -= 1
        vertices[size] = i
        size += 1
    return size


@kernel
def cluster_equal(group, point, time_ns, longest, cluster):
    """Number the clusters of rows that are one datagram: of one group, at different points, the last `longest` after the first.

    group, point, time_ns : rows in the order of group, then time
    cluster : written
    """
    number, seen, begun = -1, 0, 0
    for i in range(len(group)):
        bit = 1 << i64(point[i])
        if i == 0 or group[i] != group[i - 1] or seen & bit or i64(time_ns[i]) - begun > longest:
            number += 1
            seen, begun = 0, i64(time_ns[i])
        seen |= bit
        cluster[i] = number


@kernel
def find_first(datagram, time_ns, first):
    """Write the earliest row of each datagram, of equally early ones the first.

    datagram, time_ns : (n,) of rows; first : (d,) int64, written; -1 before
    """
    for i in range(len(datagram)):
        number = i64(datagram[i])
        row = i64(first[number])
        if row < 0 or time_ns[i] < time_ns[row]:
            first[number] = i


@kernel
def unite_pairs(one, other, turned, points, there, together, root, flipped, refused):
    """Join pairs in their order, each unless a point has both what is joined to the one and what is joined to the other.

    A set's root is its lowest number.

    one, other, turned : (m,) pairs
    there, together : (k * points,) bool, at points * number + point: whether the point has a number, and, written, a root's set
    root, flipped : (k,) the root of each number, and whether it stands the other way round, written; itself and False before
    refused : (m,) bool, written; False before
    """
    for i in range(len(one)):
        a, b = i64(one[i]), i64(other[i])
        low, high = find_root(root, flipped, a), find_root(root, flipped, b)
        if low == high:
            continue
        flip = bool(flipped[a]) ^ bool(flipped[b]) ^ bool(turned[i])
        if low > high:
            low, high = high, low
        for point in range(points):
            both = together[points * low + point] and together[points * high + point]
            if both and not (there[points * a + point] and there[points * b + point]):
                refused[i] = True
        if refused[i]:
            continue
        root[high], flipped[high] = low, flip
        for point in range(points):
            if together[points * high + point]:
                together[points * low + point] = True
    for number in range(len(root)):
        find_root(root, flipped, number)


@kernel
def find_root(root, flipped, number):
    """The root of a number's set, which is written as its own; so is whether it stands the other way round than that."""
    top, flip = i64(number), False
    while root[top] != top:
        flip ^= bool(flipped[top])
        top = i64(root[top])
    root[number], flipped[number] = top, flip
    return top
