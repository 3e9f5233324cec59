"""Packets -> flows in one pass."""

from mixcni.flows.kernel.copies import are_copies, exchange_recent, hash_packet
from mixcni.flows.kernel.flow import (
    NO_FLOW,
    begin_flow,
    direction_of,
    end_of,
    find_flow,
    is_initiator,
    join_partner,
    nearer_of,
    opens_another,
    place_flow,
    place_of,
    rows_of,
)
from mixcni.flows.kernel.keys import is_low_first, ports_of
from mixcni.flows.kernel.measure import UNMEASURED, time_handshake, time_round_trip, time_window
from mixcni.flows.kernel.numbers import (
    ACK,
    ACKED,
    C_FILLS,
    C_FLOWS,
    C_HOLES,
    C_OPTIONS,
    C_PACKETS,
    C_SAMPLES,
    C_SEGMENTS,
    C_WATCHES,
    CLOSED_BY,
    COMPLETENESS,
    COPIES,
    END,
    ENDS,
    F_WATCH,
    FIN,
    FINS,
    FIRST_NS,
    FLOW,
    FORWARD,
    HANDSHAKE_RTT_NS,
    HISTORY,
    HOLE_WIDTH,
    L_FRAGMENT,
    L_TCP,
    L_UDP,
    LABELS,
    LARGE,
    LAST_NS,
    LINE,
    O_BAD_HEADER,
    O_OPTIONS_CUT,
    OCTETS,
    OUT_OF_ORDER,
    PACKETS,
    PAYLOAD,
    PEER_MSS,
    PORT_REUSED,
    PREDECESSOR,
    RESETS,
    REVERSE,
    RST,
    SCALE,
    SEEN,
    STACK_FORWARD,
    STATE,
    STREAM,
    SYN,
    SYN_SEEN,
    SYNACK_SEEN,
    WATCH,
)
from mixcni.flows.kernel.segment import is_keep_alive, label_segment, place_reset, place_segment
from mixcni.flows.kernel.stream import cover, forget_holes
from mixcni.flows.kernel.wireshark import MP_SHIFT, analyse, copy_watch, heed_options, is_another, new_watch
from mixcni.flows.kernel.zeek import C_D, INACTIVE, add_letter, advance, note, note_label
from mixcni.kernels.jit import i64, kernel
from mixcni.kernels.prefetch import prefetch

IDLE_NS = 60_000_000_000  # of UDP and ICMP echo: Zeek's udp_inactivity_timeout and icmp_inactivity_timeout (init-bare.zeek)
COMPLETE_SYN, COMPLETE_SYNACK, COMPLETE_ACK, COMPLETE_DATA, COMPLETE_FIN, COMPLETE_RST = 1, 2, 4, 8, 16, 32
FLIPPED = 94  # ^, in Zeek's history: the first packet was the responder's
MOST_SUB_HOPS = 255
AHEAD = 4  # packets: how early the state of one's flow is asked for
COLUMNS_AHEAD = 64  # packets: how early what stands of one in columns is
A_LINE = 16  # elements of 32 bits in a line of the cache
WATCHES_A_PACKET = 3  # a connection's, and one each for two flows that no longer share it


@kernel
def heed_time(at, time_ns, flows):
    """Widen a flow's interval by the time of a packet: they need not be in the order of time, and may lack one."""
    if time_ns >= 0:
        if time_ns < flows[at + FIRST_NS] or flows[at + FIRST_NS] < 0:
            flows[at + FIRST_NS] = time_ns
        flows[at + LAST_NS] = max(i64(flows[at + LAST_NS]), time_ns)


@kernel
def prefetch_columns(i, row, option, key_of, packets, options, segments):
    """Have what the next packets are read from and written to near: these are more streams than a processor foresees."""
    at = i + COLUMNS_AHEAD
    if i % A_LINE or at + 3 * A_LINE >= len(key_of):
        return
    prefetch(key_of, at + 2 * AHEAD)
    prefetch(packets.time_ns, at)
    prefetch(packets.time_ns, at + A_LINE // 2)
    prefetch(packets.seg_seq, at)
    prefetch(packets.seg_ack, at)
    prefetch(packets.source, at)
    prefetch(packets.destination, at)
    prefetch(packets.stack, at)
    prefetch(packets.original_length, at)
    prefetch(packets.payload_octets, at)
    prefetch(packets.present, at)
    prefetch(packets.source_port, at)
    prefetch(packets.destination_port, at)
    prefetch(packets.ip_id, at)
    prefetch(packets.seg_wnd, at)
    at = row + COLUMNS_AHEAD
    for half in range(0, A_LINE, A_LINE // 2):
        prefetch(segments.packet, at + half)
        prefetch(segments.offset, at + half)
        prefetch(segments.length, at + half)
        prefetch(segments.acknowledged, at + half)
        prefetch(segments.copy_of, at + half)
    prefetch(segments.flow, at)
    at = option + COLUMNS_AHEAD
    if at + A_LINE < len(options.packet):
        prefetch(options.packet, at)
        prefetch(options.packet, at + A_LINE // 2)
        prefetch(options.window_scale, at)
        prefetch(options.flags, at)


@kernel
def count_flags(flow, direction, flags, flows):
    """Count what a segment's control bits say of its flow; repetitions count."""
    at = flow * FLOW
    if flags & SYN:
        flows[at + (SYN_SEEN if direction == FORWARD else SYNACK_SEEN)] = 1
    if flags & FIN:
        flows[at + FINS] += 1
    if flags & RST:
        flows[at + RESETS] += 1
    if flags & (FIN | RST) and flows[at + CLOSED_BY] < 0:
        flows[at + CLOSED_BY] = direction


@kernel
def completeness_of(flags, payload, is_first):
    """The bits that a segment adds to Wireshark's tcp.completeness: a SYN counts as the first segment alone."""
    if is_first:
        if flags & (SYN | ACK) != SYN:
            return 0
        return COMPLETE_SYN | (COMPLETE_DATA if payload else 0)
    found = 0
    if flags & SYN:
        found |= COMPLETE_SYNACK if flags & ACK else 0
    elif flags & ACK:
        found |= COMPLETE_DATA if payload else COMPLETE_ACK
    if flags & FIN and flags & ACK:
        found |= COMPLETE_FIN
    return found | (COMPLETE_RST if flags & RST else 0)


@kernel
def keep_options(streams, own, other, options, option):
    """Keep the MSS and the window scale that a SYN offers."""
    streams[other + PEER_MSS] = options.mss[option] + 1
    streams[own + SCALE] = options.window_scale[option] + 1


@kernel
def count_label(label, stream, labels):
    """Count each label of a segment for its direction."""
    for bit in range(LABELS):
        if label >> bit & 1:
            labels[LABELS * stream + bit] += 1


@kernel
def take_watch(watches, counts):
    """A watch that knows nothing yet; there is room for it."""
    watch = i64(counts[C_WATCHES])
    counts[C_WATCHES] += 1
    new_watch(watches, watch)
    return watch


@kernel
def part_from(shared, flows, users, watches, counts):
    """Give the flow that shares a watch one of its own, with what the shared one has so far."""
    watch, flow = take_watch(watches, counts), i64(users[shared])
    copy_watch(watches, watch, shared)
    users[shared] = -1
    flows[flow * FLOW + F_WATCH] = watch


@kernel
def prefetch_rows(i, key_of, newest, flows, streams, watches):
    """Have the state of a flow near when its next packet comes: those of a busy capture are more than caches hold.

    Which watch a flow has stands in its row, which is asked for before.
    """
    if i + 2 * AHEAD >= len(key_of):
        return
    key = i64(key_of[i + 2 * AHEAD])
    if key >= 0 and newest[key] >= 0:
        flow = i64(newest[key])
        prefetch(flows, flow * FLOW)
        for direction in range(2):
            own = (2 * flow + direction) * STREAM
            prefetch(streams, own)
            prefetch(streams, own + LINE)
    key = i64(key_of[i + AHEAD])
    if key >= 0 and newest[key] >= 0:
        watch = 2 * i64(flows[newest[key] * FLOW + F_WATCH]) * WATCH
        if watch >= 0:
            prefetch(watches, watch)
            prefetch(watches, watch + WATCH)


@kernel
def track_packets(packets, key_of, options, keys, state, segments, samples, fills, counts):
    """Assign packets to flows, from where `counts` says; it is left where the pass stopped: at the end, or where a table is full.

    packets : PacketColumns, (n,) each; key_of : (n,) int32, numbers of their flow keys, NO_KEY where one belongs to no flow
    options : OptionColumns; keys : KeyColumns, one row a flow key
    state : TrackingState
    segments : SegmentArrays; samples, fills : Samples and Fills
    counts : (COUNTS,) int64
    """
    newest, latest, watched, recent, history = state.newest, state.latest, state.watched, state.recent, state.history
    flows, streams, labels, holes, watches, watch_ns, users = (
        state.flows, state.streams, state.labels, state.holes, state.watches, state.watch_ns, state.users
    )  # fmt: skip
    flow_room, watch_room, hole_room = len(flows) // FLOW, len(users) - WATCHES_A_PACKET, len(holes) // HOLE_WIDTH - 1
    i, option, row = i64(counts[C_PACKETS]), i64(counts[C_OPTIONS]), i64(counts[C_SEGMENTS])
    flow_count = i64(counts[C_FLOWS])
    while i < len(key_of) and flow_count < flow_room and counts[C_WATCHES] <= watch_room and counts[C_HOLES] < hole_room:
        key = i64(key_of[i])
        prefetch_columns(i, row, option, key_of, packets, options, segments)
        prefetch_rows(i, key_of, newest, flows, streams, watches)
        if key < 0:
            i += 1
            continue
        present = i64(packets.present[i])
        _, reply, source_port, destination_port = ports_of(packets, i)
        source, destination = i64(packets.source[i]), i64(packets.destination[i])
        sender = end_of(source, source_port)
        flags, seq, ack = i64(packets.tcp_flags[i]), i64(packets.seg_seq[i]), i64(packets.seg_ack[i])
        stack, time_ns = i64(packets.stack[i]), i64(packets.time_ns[i])
        is_tcp = 1 if present & L_TCP else 0
        if newest[key] == NO_FLOW:
            join_partner(key, sender, newest, latest, keys, flows)
        place = place_of(key, newest)
        flow, direction, before = i64(newest[place]), FORWARD, NO_FLOW
        if flow >= 0:
            direction = direction_of(flow, sender, flows)
            if stack != flows[flow * FLOW + STACK_FORWARD + direction]:
                flow, direction, before = find_flow(flow, sender, stack, flows)
                if flow < 0:
                    place = key
        earlier, reused, is_first = flow, 0, 0
        if flow >= 0 and is_tcp and flows[flow * FLOW + PREDECESSOR] >= 0 and flags & (SYN | ACK) != SYN:
            flow, direction = nearer_of(flow, direction, sender, flags, seq, ack, flows, streams)
        if flow >= 0:
            own, other = rows_of(flow, direction)
            if is_tcp:
                if opens_another(flags, seq, ack, direction, streams, own, other):
                    flow, reused = -1, 1
            elif time_ns - flows[flow * FLOW + LAST_NS] > IDLE_NS and flows[flow * FLOW + LAST_NS] >= 0:
                flow = -1
        if flow < 0:
            flow, is_first = flow_count, 1
            flow_count += 1
            direction = FORWARD
            if reply or (present & (L_TCP | L_UDP) and not is_initiator(flags, is_tcp, source_port, destination_port)):
                direction = REVERSE
            receiver = end_of(destination, destination_port)
            begin_flow(flow, direction == FORWARD, sender, receiver, i64(packets.protocol[i]), stack, time_ns, flows)
            own, other = rows_of(flow, direction)
            if direction == REVERSE:
                add_letter(history, flow, FORWARD, FLIPPED)
            place_flow(flow, key, place, earlier, before, newest, latest, keys, flows, streams)
        at = flow * FLOW
        flows[at + STACK_FORWARD + direction] = stack
        if time_ns > flows[at + LAST_NS] >= 0:
            flows[at + LAST_NS] = time_ns
        else:
            heed_time(at, time_ns, flows)
        payload = i64(packets.payload_octets[i])
        streams[own + PACKETS] += 1
        streams[own + OCTETS] += packets.original_length[i]
        streams[own + PAYLOAD] += payload
        stream = 2 * flow + direction
        segments.packet[row] = i
        segments.flow[row] = flow
        segments.direction[row] = direction
        copied = exchange_recent(recent, hash_packet(stream, seq, ack, i64(packets.ip_id[i]), payload), row)
        if copied >= 0 and (
            2 * segments.flow[copied] + segments.direction[copied] != stream
            or not are_copies(packets, i, i64(segments.packet[copied]), flows[at + COPIES])
        ):
            copied = -1
        segments.copy_of[row] = copied
        offset, length, acknowledged, fed, sub_hop, label, label_wireshark = 0, payload, -1, 0, 0, 0, 0
        if copied >= 0:
            flows[at + COPIES] += 1
            sub_hop = min(i64(segments.sub_hop[copied]) + 1, MOST_SUB_HOPS)
            if segments.copy_of[copied] >= 0:
                segments.copy_of[row] = segments.copy_of[copied]
            offset, length = i64(segments.offset[copied]), i64(segments.length[copied])
            acknowledged = i64(segments.acknowledged[copied])
        elif present & L_UDP:
            if not streams[own + HISTORY]:
                streams[own + HISTORY] = 1
                add_letter(history, flow, direction, C_D)
        elif is_tcp:
            if flags & (SYN | FIN | RST):
                count_flags(flow, direction, flags, flows)
            if flags & RST:
                length = 0
                offset, acknowledged = place_reset(streams, own, other, flags, seq, ack)
                fed = 1 if offset == streams[own + END] else 0
            else:
                offset, length, acknowledged, fed, anew = place_segment(
                    streams, own, other, flags, seq, ack, payload, i64(packets.seg_wnd[i])
                )
                if anew:
                    forget_holes(streams, own, holes, counts)
            note(streams, own, history, flow, direction, flags, offset, payload)
            if flags & (SYN | FIN | RST) or streams[own + STATE] == INACTIVE:
                advance(streams, own, other, direction, flags, payload)
        segments.offset[row] = offset
        segments.length[row] = length
        segments.acknowledged[row] = acknowledged
        if is_tcp:
            while option < len(options.packet) and options.packet[option] < i:
                option += 1
            scale, operations = -1, 0
            if option < len(options.packet) and options.packet[option] == i:
                scale, operations = i64(options.window_scale[option]), i64(options.flags[option]) >> MP_SHIFT
                if flags & SYN and not flags & RST and fed:
                    keep_options(streams, own, other, options, option)
            streams[own + COMPLETENESS] |= completeness_of(flags, payload, is_first)
            oddity, window = i64(packets.oddity[i]), i64(packets.seg_wnd[i])
            sized = not present & L_FRAGMENT and not oddity & O_BAD_HEADER
            cut = oddity & O_OPTIONS_CUT
            ends = i64(flows[at + ENDS])
            watch, another = i64(watched[ends]), 0
            side = 1 - is_low_first(source, source_port, destination, destination_port)
            if watch >= 0:
                if is_another(watches, (2 * watch + side) * WATCH, flags, seq):
                    another = PORT_REUSED
                elif users[watch] >= 0 and (users[watch] != flow or not fed):
                    part_from(watch, flows, users, watches, counts)
            if watch < 0 or another:
                watch = take_watch(watches, counts)
                watched[ends] = watch
                users[watch] = -1
                if flows[at + F_WATCH] < 0:
                    flows[at + F_WATCH], users[watch] = watch, flow
            if flows[at + F_WATCH] < 0:
                flows[at + F_WATCH] = take_watch(watches, counts)
            mine, its, pair = (2 * watch + side) * WATCH, (2 * watch + 1 - side) * WATCH, 2 * watch * WATCH
            theirs = 0
            if sized:
                theirs = analyse(watches, watch_ns, mine, its, pair, flags, seq, ack, payload, window, time_ns, another)
            heed_options(watches, watch_ns, mine, its, pair, flags, scale, operations, cut, time_ns)
            label_wireshark = theirs
            if fed:
                watch = i64(flows[at + F_WATCH])
                if watch != watched[ends]:
                    mine, its, pair = (2 * watch + side) * WATCH, (2 * watch + 1 - side) * WATCH, 2 * watch * WATCH
                    theirs = 0
                    if sized:
                        theirs = analyse(watches, watch_ns, mine, its, pair, flags, seq, ack, payload, window, time_ns, 0)
                    heed_options(watches, watch_ns, mine, its, pair, flags, scale, operations, cut, time_ns)
                if not flags & RST:
                    end, acked, new, filled, opener = i64(streams[own + END]), i64(streams[own + ACKED]), 0, 0, -1
                    if length and not is_keep_alive(payload, offset, length, end, acked):
                        new = length
                        if offset == end and streams[own + SEEN]:
                            streams[own + END] = end + length
                        else:
                            new, filled, opener = cover(streams, own, holes, counts, offset, offset + length, row)
                        if new and acked > max(offset, end):  # they come behind their own acknowledgment
                            filled += min(acked, offset + length) - max(offset, end)
                    label = label_segment(
                        streams, own, other, theirs, reused, payload, offset, length, acknowledged, end, new, filled
                    )
                    if label & OUT_OF_ORDER and opener >= 0:
                        fills.late[counts[C_FILLS]], fills.opener[counts[C_FILLS]] = row, opener
                        counts[C_FILLS] += 1
                    if flows[at + HANDSHAKE_RTT_NS] == UNMEASURED:
                        time_handshake(flow, direction, flags, label, acknowledged, time_ns, flows)
                    sample = time_round_trip(
                        streams, own, other, payload, new, filled, offset == end, offset + length, acknowledged, time_ns
                    )
                    if sample >= 0:
                        samples.stream[counts[C_SAMPLES]] = 2 * flow + 1 - direction
                        samples.rtt_ns[counts[C_SAMPLES]] = sample
                        counts[C_SAMPLES] += 1
                    if not flags & SYN:
                        time_window(streams, own, window, time_ns)
                    if payload > streams[own + PEER_MSS] - 1 and streams[own + PEER_MSS]:
                        streams[own + LARGE] += 1
            if label:
                count_label(label, stream, labels)
                note_label(labels, history, flow, direction, label)
        segments.label[row] = label
        segments.label_wireshark[row] = label_wireshark
        segments.sub_hop[row] = sub_hop
        row += 1
        i += 1
    counts[C_PACKETS], counts[C_OPTIONS], counts[C_SEGMENTS] = i, option, row
    counts[C_FLOWS] = flow_count
