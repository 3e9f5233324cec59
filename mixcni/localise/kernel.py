"""Loops of localisation: where bounds stand among a stream's pieces, how often each was transmitted, and what that proves.

Contract: arrays of one length where they are named together; every bound that is looked for is there.
"""

from mixcni.kernels.jit import i64, kernel

FORWARD = 0  # mixcni.schema.Direction
FIN, SYN, RST = 0x01, 0x02, 0x04  # mixcni.schema.TcpFlag


@kernel
def locate_bounds(stream, at, first, start, cursor, place):
    """Write the atom that begins at each bound; `place` may be `at` itself.

    Bounds come mostly in the order of their stream, so each is looked for behind the last one, else by bisection.

    stream, at : (n,) int64, the bounds
    first : (streams + 1,) int64, each stream's first atom; start : (a,) int64, where atoms begin, ascending in a stream
    cursor : (streams,) int64, scratch: any atom of each stream
    place : (n,) int64, written
    """
    for i in range(len(stream)):
        place[i] = find_bound(i64(stream[i]), i64(at[i]), first, start, cursor)


@kernel
def find_bound(of, bound, first, start, cursor):
    """The atom of a stream that begins at a bound, where the stream's cursor is set as well."""
    stop, found = i64(first[of + 1]), i64(cursor[of])
    if found + 1 < stop and start[found + 1] <= bound:
        found += 1
    if start[found] != bound:
        low, high = i64(first[of]), stop
        while low < high:
            middle = (low + high) >> 1
            if start[middle] < bound:
                low = middle + 1
            else:
                high = middle
        found = low
    cursor[of] = found
    return found


@kernel
def locate_transmissions(rows, first, start, cursor, begin, stop):
    """Write the atoms of each transmission with octets, exclusive; `begin` and `stop` of one without stay alike.

    rows : BoundColumns, (r,) each; first, start, cursor : as for `locate_bounds`; begin, stop : (r,) int64, 0 before
    """
    for i in range(len(begin)):
        if rows.end[i] > rows.start[i]:
            of = 2 * i64(rows.conversation[i]) + i64(rows.direction[i])
            begin[i] = find_bound(of, i64(rows.start[i]), first, start, cursor)
            stop[i] = find_bound(of, i64(rows.end[i]), first, start, cursor)


@kernel
def note_bounds(rows, bits, least, newest, keys):
    """Write the bounds of all transmissions with octets, but those that its stream's last one had as well; how many there are.

    rows : BoundColumns, (r,) each
    bits, least : a key is the stream, then so many bits for the offset less `least`
    newest : (2 * streams,) int64, scratch: each stream's last start and end; less than `least` before
    keys : int64, written; room for two a row
    """
    count = 0
    for i in range(len(rows.start)):
        start, end = i64(rows.start[i]), i64(rows.end[i])
        if end <= start:
            continue
        of = 2 * i64(rows.conversation[i]) + i64(rows.direction[i])
        if start != newest[2 * of] and start != newest[2 * of + 1]:
            keys[count] = (of << bits) + (start - least)
            count += 1
        if end != newest[2 * of + 1]:
            keys[count] = (of << bits) + (end - least)
            count += 1
        newest[2 * of], newest[2 * of + 1] = start, end
    return count


@kernel
def cover_atoms(begin, stop, point, time_ns, widest, out):
    """Count the transmissions of each atom at each point, and write when the first and the last one was.

    begin, stop, point, time_ns : (r,) integers, of each transmission its atoms, exclusive; one of more than `widest` is left out
    out : AtomCounts, (points * a,) each, those of a point together
    """
    size = len(out.counts) // out.points
    for i in range(len(begin)):
        if stop[i] - begin[i] > widest:
            continue
        base, time = i64(point[i]) * size, i64(time_ns[i])
        for cell in range(base + i64(begin[i]), base + i64(stop[i])):
            out.counts[cell] += 1
            out.first_ns[cell] = min(i64(out.first_ns[cell]), time)
            out.last_ns[cell] = max(i64(out.last_ns[cell]), time)


@kernel
def survey_transmissions(rows, points, out):
    """Write what all transmissions say of each conversation, at each point and in each direction.

    rows : SurveyedColumns, (r,) each
    out : SurveyArrays; before, `tcp_flags`, `came` and `extent` are 0, `acknowledged` and `closing` -1, `closed_ns` NEVER
    """
    for i in range(len(rows.conversation)):
        conversation, direction = i64(rows.conversation[i]), i64(rows.direction[i])
        flags = i64(rows.tcp_flags[i])
        end = i64(rows.end[i]) - (flags & FIN)
        cell = (conversation * points + i64(rows.point[i])) * 2 + direction
        out.tcp_flags[cell] = i64(out.tcp_flags[cell]) | flags
        if direction == FORWARD and flags & (FIN | RST):
            out.closed_ns[conversation] = min(i64(out.closed_ns[conversation]), i64(rows.time_ns[i]))
        if direction != FORWARD and flags & FIN:
            out.closing[conversation] = max(i64(out.closing[conversation]), end)
        if flags & RST:
            continue
        out.came[cell] = True
        if end > rows.start[i]:
            out.extent[cell] = max(i64(out.extent[cell]), end)
        receives = 2 * conversation + 1 - direction
        out.acknowledged[receives] = max(i64(out.acknowledged[receives]), i64(rows.acknowledged[i]))


@kernel
def mark_kinds(begin, stop, tcp_flags, syn, payload):
    """Mark the atoms at which a transmission with a SYN begins, and those at which one without SYN and FIN does.

    begin, stop, tcp_flags : (r,) of transmissions; syn, payload : (a,) bool, written; False before
    """
    for i in range(len(begin)):
        if begin[i] == stop[i]:
            continue
        flags = i64(tcp_flags[i])
        if flags & SYN:
            syn[begin[i]] = True
        if flags & (SYN | FIN) == 0:
            payload[begin[i]] = True


@kernel
def count_carrying(flow, packet, protocol, payload_octets, wanted):
    """How many segments of flows of a protocol there are, if each carries payload; 0 where one does not.

    flow, packet : (n,) of segments; protocol : a row a flow; payload_octets : a row a packet
    """
    count = 0
    for i in range(len(flow)):
        if protocol[flow[i]] == wanted:
            if payload_octets[packet[i]] == 0:
                return 0
            count += 1
    return count


@kernel
def stand_between(stream, seen, first_ns, last_ns, holes, inside):
    """Write which atoms stand between two others of their stream that a point saw, without a hole between these.

    stream : (a,); seen : (a,) bool, whether the point saw each; first_ns, last_ns : (a,) when it did
    holes : (2 * h,) int64, ns, begins and ends in turn; inside : (a,) bool, written; False before
    """
    before, last = -1, -1
    for i in range(len(stream)):
        if not seen[i]:
            continue
        if last >= 0 and stream[last] == stream[i]:
            if is_whole(last, i, first_ns, last_ns, holes):
                for between in range(last + 1, i):
                    inside[between] = True
            if before >= 0 and stream[before] == stream[i] and is_whole(before, i, first_ns, last_ns, holes):
                inside[last] = True
        before, last = last, i


@kernel
def is_whole(earlier, later, first_ns, last_ns, holes):
    """Whether no hole is between the times of two atoms."""
    begin = min(i64(last_ns[earlier]), i64(first_ns[later]))
    end = max(i64(last_ns[earlier]), i64(first_ns[later]))
    whole = True
    for at in range(0, len(holes), 2):
        whole = whole and (end < holes[at] or begin > holes[at + 1])
    return whole


@kernel
def tally_hop(pieces, known, direction):
    """Count the pieces of one direction on a hop by what became of them, in the order of mixcni.localise.hops.Tally.

    pieces : HopColumns, (a,) each; known : (c,) bool, whether the upper point saw a conversation
    """
    watched, delivered, recovered, lost, passed, lacking, repeated, appeared, copies = 0, 0, 0, 0, 0, 0, 0, 0, 0
    for i in range(len(pieces.common)):
        if not pieces.common[i] or pieces.direction[i] != direction:
            continue
        sent, seen = i64(pieces.sent[i]), i64(pieces.seen[i])
        if sent > 0 and seen > 0 and not pieces.inside[i]:
            sent = seen  # a copy that one of them could not see is no loss
        watched += 1
        lacking += max(seen - sent, 0)
        if seen == 0:
            passed += pieces.passed[i]
            lost += sent > 0 and not pieces.passed[i]
            continue
        delivered += 1
        recovered += max(sent - seen, 0)
        repeated += sent > 1
        if sent == 0 and known[pieces.conversation[i]]:
            appeared += 1
            copies += seen
    return watched, delivered, recovered, lost, passed, lacking, repeated, appeared, copies
