"""Loops over the datagrams of all points: placed in their conversations, ordered, numbered by what is alike, clustered, in turns.

Contract: arrays of one length where they are named together; what is written has room for all rows; rows are below 2**31.
"""

from mixcni.kernels.hashing import WORD, mix
from mixcni.kernels.jit import i64, kernel
from mixcni.schema import PROTOCOL_TCP

FORWARD = 0  # mixcni.schema.Direction
OCTETS_BITS = 32  # of `kind`, in which the IP identification stands above the octets of payload
POINTS_A_WORD = 62  # an int64 has so many bits, and some to spare


@kernel
def place_datagrams(segments, flows, packets, point, out, row):
    """Write one point's whole datagrams from `row` on, copies at that point left out; the row behind the last.

    segments : SegmentColumns, (n,) each, in file order
    flows : PlacedFlows, a row a flow; packets : SentColumns, a row a packet
    out : Datagrams, with room for n rows from `row` on
    """
    for i in range(len(segments.flow)):
        flow = i64(segments.flow[i])
        packet = i64(segments.packet[i])
        if segments.copy_of[i] >= 0 or flows.protocol[flow] == PROTOCOL_TCP or packets.in_part[packet]:
            continue
        out.conversation[row] = flows.conversation[flow]
        out.point[row] = point
        out.direction[row] = i64(segments.direction[i]) ^ i64(flows.flipped[flow])
        out.kind[row] = i64(packets.ip_id[packet]) << OCTETS_BITS | i64(packets.payload_octets[packet])
        out.time_ns[row] = packets.time_ns[packet]
        out.packet[row] = packet
        row += 1
    return row


@kernel
def order_by_time(conversation, time_ns, direction, kind, begin, following, order, scratch):
    """Write the rows in the order of conversation, time, direction and kind; equal ones stay in theirs.

    begin : (c + 1,) int64, where each conversation's rows begin in the order; following : (c,) int64, the same, written over
    order : (n,) int32, written; scratch : int32, as many as the largest conversation has rows
    """
    for row in range(len(conversation)):
        place = i64(conversation[row])
        order[following[place]] = row
        following[place] = i64(following[place]) + 1
    for place in range(len(following)):
        merge_runs(order, i64(begin[place]), i64(begin[place + 1]), time_ns, direction, kind, scratch)


@kernel
def merge_runs(order, begin, end, time_ns, direction, kind, scratch):
    """Sort the rows of order[begin:end], which stand in a few sorted runs: those of one point after those of another."""
    runs = 2
    while runs > 1:
        runs, at = 0, begin
        while at < end:
            middle = end_of_run(order, at, end, time_ns, direction, kind)
            stop = middle
            if middle < end:
                stop = end_of_run(order, middle, end, time_ns, direction, kind)
                merge_two(order, at, middle, stop, time_ns, direction, kind, scratch)
            runs, at = runs + 1, stop


@kernel
def is_before(a, b, time_ns, direction, kind):
    """Whether row `a` comes before row `b` by time, and at one time by direction, then by IP identification and length."""
    if time_ns[a] != time_ns[b]:
        return time_ns[a] < time_ns[b]
    if direction[a] != direction[b]:
        return direction[a] < direction[b]
    return kind[a] < kind[b]


@kernel
def end_of_run(order, begin, end, time_ns, direction, kind):
    """Up to where the rows from `begin` on are in order."""
    at = begin + 1
    while at < end and not is_before(order[at], order[at - 1], time_ns, direction, kind):
        at += 1
    return at


@kernel
def merge_two(order, begin, middle, end, time_ns, direction, kind, scratch):
    """Merge order[begin:middle] and order[middle:end], sorted each; of equal rows those of the first come first."""
    size = middle - begin
    for i in range(size):
        scratch[i] = order[begin + i]
    left, right, out = 0, middle, begin
    while left < size:
        if right < end and is_before(order[right], scratch[left], time_ns, direction, kind):
            order[out] = order[right]
            right += 1
        else:
            order[out] = scratch[left]
            left += 1
        out += 1


@kernel
def number_within(order, outer, inner, innermost, seed, slots, number):
    """Number the rows that differ in any of three columns, as they first come in `order`; how many numbers there are.

    order : rows, those of one `outer` together; columns : (n,) integers not below 0, `innermost` below 2**32
    seed : in [0, 2**32); slots : int32, filled with -1, a power of two, at least twice as many as one `outer` has rows
    number : (n,) int32, written
    """
    count, begin = 0, 0
    while begin < len(order):
        place, end, mask = i64(outer[order[begin]]), begin, 1
        while end < len(order) and outer[order[end]] == place:
            end += 1
        while mask < 2 * (end - begin):
            mask *= 2
        mask -= 1
        for i in range(begin, end):
            row = i64(order[i])
            key, last = i64(inner[row]), i64(innermost[row])
            slot = mix(mix(mix(mix(seed, place), key >> 32), key & WORD), last) & mask
            first = i64(slots[slot])
            while first >= 0 and outer[first] == place and not (inner[first] == key and innermost[first] == last):
                slot = (slot + 1) & mask
                first = i64(slots[slot])
            if first >= 0 and outer[first] == place:
                number[row] = number[first]
            else:  # free, or of rows that are done with
                slots[slot] = row
                number[row] = count
                count += 1
        begin = end
    return count


@kernel
def mark_soon(order, number, kind, time_ns, longest, last, soon):
    """Mark which rows of one number follow another within `longest` or are followed so.

    Rows with an IP identification or without a time (-1) are not.

    order : rows, those of one number in the order of time
    last : int32, a row a number, filled with -1; soon : (n,) bool, written; False before
    """
    for i in range(len(order)):
        row = i64(order[i])
        if i64(kind[row]) >> OCTETS_BITS:
            continue
        before = i64(last[number[row]])
        if before >= 0 and time_ns[before] >= 0 and i64(time_ns[row]) - i64(time_ns[before]) <= longest:
            soon[before] = soon[row] = True
        last[number[row]] = row


@kernel
def mark_repeated(group, place, kind, seen, repeated):
    """Mark the groups of which a place has several rows without an IP identification.

    group, place, kind : (n,) of rows; seen : bool, a row a place, False; repeated : bool, a row a group, written; False before
    """
    for row in range(len(group)):
        if i64(kind[row]) >> OCTETS_BITS == 0:
            if seen[place[row]]:
                repeated[group[row]] = True
            seen[place[row]] = True


@kernel
def keep_rows(kept, rows, group, place, order, moved):
    """Move the kept rows up, in place, and leave the others out of `order`; how many are kept.

    kept : (n,) bool; rows : Datagrams; group, place : (n,) as numbered
    moved : (n,) int32, written: where each row stands then, -1 nowhere
    """
    count = 0
    for row in range(len(kept)):
        if kept[row]:
            rows.conversation[count] = rows.conversation[row]
            rows.point[count] = rows.point[row]
            rows.direction[count] = rows.direction[row]
            rows.kind[count] = rows.kind[row]
            rows.time_ns[count] = rows.time_ns[row]
            rows.packet[count] = rows.packet[row]
            group[count] = group[row]
            place[count] = place[row]
            moved[row] = count
            count += 1
        else:
            moved[row] = -1
    done = 0
    for i in range(len(order)):
        row = i64(moved[order[i]])
        if row >= 0:
            order[done] = row
            done += 1
    return count


@kernel
def cluster_equal(order, group, point, time_ns, words, longest, newest, seen, datagram, first):
    """Number the datagrams: rows of one group at different points, the last `longest` after the first; how many there are.

    order : rows, those of one group in the order of time; words : of POINTS_A_WORD points each
    newest : (g,) int32, filled with -1; seen : (g * words,) int64: the newest datagram of each group, and where it was seen
    datagram : (n,) int32, written; first : int32, written, the first row of each datagram
    """
    count = 0
    for i in range(len(order)):
        row = i64(order[i])
        number, at, time = i64(group[row]), i64(point[row]), i64(time_ns[row])
        current, cell, bit = i64(newest[number]), number * words + at // POINTS_A_WORD, 1 << at % POINTS_A_WORD
        if current < 0 or i64(seen[cell]) & bit or time - i64(time_ns[first[current]]) > longest:
            current = count
            for word in range(number * words, (number + 1) * words):
                seen[word] = 0
            newest[number], first[count] = current, row
            count += 1
        seen[cell] = i64(seen[cell]) | bit
        datagram[row] = current
    return count


@kernel
def find_nearest(first, conversation, direction, point, nearest):
    """Write the point at which what each conversation's initiator sent was seen first.

    first : rows, the first of each datagram, those of one conversation in the order of time; columns : (n,) of rows
    nearest : int32, a row a conversation, filled with -1
    """
    for i in range(len(first)):
        row = i64(first[i])
        if direction[row] == FORWARD and nearest[conversation[row]] < 0:
            nearest[conversation[row]] = point[row]


@kernel
def mark_arrived(conversation, point, nearest, datagram, arrived):
    """Mark the datagrams that were seen at the nearest point of their conversation.

    conversation, point, datagram : (n,) of rows; nearest : a row a conversation; arrived : bool, written; False before
    """
    for row in range(len(datagram)):
        if point[row] == nearest[conversation[row]]:
            arrived[datagram[row]] = True


@kernel
def open_turns(order, conversation, direction, question, arrived, turn, opening):
    """Number the turns; how many there are: one begins with a question, and where the initiator speaks again.

    Of a question that messages tell, the next turn begins only if the reply before has arrived.

    order : datagrams, those of a conversation together, in it those of a question, in it by time; columns : (d,) of datagrams
    turn : (d,) int32, written; opening : int32, written, the first datagram of each turn
    """
    count, before = 0, -1
    for i in range(len(order)):
        row = i64(order[i])
        if (
            before < 0
            or conversation[row] != conversation[before]
            or question[row] != question[before]
            or (direction[row] == FORWARD and direction[before] != FORWARD and (question[before] == 0 or arrived[before]))
        ):
            opening[count] = row
            count += 1
        turn[row] = count - 1
        before = row
    return count


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
