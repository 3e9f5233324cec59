"""One direction of a connection as stream offsets: where a segment stands, whether it can be, and which octets are new.

`row` is where the direction's fields begin in `streams`. What the receiver would not take is no part of a stream: segments beyond
any window that was advertised (RFC 9293 section 3.10.7.4), and the text of resets.
"""

from mixcni.flows.kernel.numbers import (
    ACKED,
    BASE,
    BASED,
    C_FREE_HOLE,
    C_HOLES,
    END,
    GIVEN_UP,
    HOLE,
    HOLE_END,
    HOLE_NEXT,
    HOLE_OPENER,
    HOLE_START,
    HOLE_WIDTH,
    HOLES,
    LARGEST_WINDOW,
    LAST_HOLE,
    LEARNT,
    LOW,
    MAX_HOLES,
    SEEN,
    SEQUENCE_MASK,
    STRAY,
    STREAM,
    SYN,
    TOLD,
    WINDOW,
)
from mixcni.kernels.jit import i64, kernel
from mixcni.kernels.seqspace import seq_delta


@kernel
def place(base, known, seq):
    """Stream offset of a sequence number: of all that it can stand for, the one nearest to the farthest known."""
    return known + seq_delta((base + known) & SEQUENCE_MASK, seq)


@kernel
def farthest(streams, row):
    """The stream offset up to which octets were seen or acknowledged."""
    return max(i64(streams[row + END]), i64(streams[row + ACKED]))


@kernel
def window_of(streams, row):
    """The largest window that the receiver of a stream can have advertised."""
    window = i64(streams[row + WINDOW])
    return window or LARGEST_WINDOW


@kernel
def reaches(streams, row, start, end, window):
    """Whether a stream can have come from `start` as far as `end`: no farther than `window` octets behind what is known of it.

    Where a capture misses more than a window, the first segment behind the gap is not believed, and the one that goes on
    from it is. A repetition confirms nothing: a late segment of an older connection repeats as well.
    """
    if end < 0 and streams[row + BASED] == TOLD:
        return 0
    if end <= farthest(streams, row) + window:
        return 1
    stray = i64(streams[row + STRAY])
    streams[row + STRAY] = end
    return 1 if 0 < stray <= start and stray < end <= stray + window else 0


@kernel
def learn_base(streams, row, flags, seq):
    """Set the base of a stream's offsets: the initial sequence number, or one less than the first sequence number heard.

    What comes next has offset 1 then, as after a handshake.
    """
    streams[row + BASE] = seq if flags & SYN else (seq - 1) & SEQUENCE_MASK
    streams[row + BASED] = TOLD if flags & SYN else LEARNT


@kernel
def take_hole(holes, counts):
    """A row of `holes` that is free; there is one."""
    free = i64(counts[C_FREE_HOLE])
    if free:
        counts[C_FREE_HOLE] = holes[(free - 1) * HOLE_WIDTH + HOLE_NEXT]
        return free
    counts[C_HOLES] += 1
    return i64(counts[C_HOLES])


@kernel
def drop_hole(streams, row, holes, counts, before, hole):
    """Take a hole out of its stream; `before` is the one before it, 0 where it is the first. The hole behind it."""
    at = (hole - 1) * HOLE_WIDTH
    behind = i64(holes[at + HOLE_NEXT])
    if before:
        holes[(before - 1) * HOLE_WIDTH + HOLE_NEXT] = behind
    else:
        streams[row + HOLE] = behind
    if streams[row + LAST_HOLE] == hole:
        streams[row + LAST_HOLE] = before
    holes[at + HOLE_NEXT] = counts[C_FREE_HOLE]
    counts[C_FREE_HOLE] = hole
    streams[row + HOLES] -= 1
    return behind


@kernel
def add_hole(streams, row, holes, counts, before, start, end, opener):
    """Enter the hole [start, end) behind hole `before`, or as the first where that is 0; too many, and the first is given up."""
    hole = take_hole(holes, counts)
    at = (hole - 1) * HOLE_WIDTH
    holes[at + HOLE_START], holes[at + HOLE_END], holes[at + HOLE_OPENER] = start, end, opener
    if before:
        holes[at + HOLE_NEXT] = holes[(before - 1) * HOLE_WIDTH + HOLE_NEXT]
        holes[(before - 1) * HOLE_WIDTH + HOLE_NEXT] = hole
    else:
        holes[at + HOLE_NEXT] = streams[row + HOLE]
        streams[row + HOLE] = hole
    if streams[row + LAST_HOLE] == before:
        streams[row + LAST_HOLE] = hole
    streams[row + HOLES] += 1
    if streams[row + HOLES] > MAX_HOLES:
        at = (i64(streams[row + HOLE]) - 1) * HOLE_WIDTH
        streams[row + GIVEN_UP] += holes[at + HOLE_END] - holes[at + HOLE_START]
        drop_hole(streams, row, holes, counts, 0, i64(streams[row + HOLE]))


@kernel
def forget_holes(streams, row, holes, counts):
    """Drop all holes of a stream: it begins anew."""
    streams[row + GIVEN_UP] = 0
    while streams[row + HOLE]:
        drop_hole(streams, row, holes, counts, 0, i64(streams[row + HOLE]))


@kernel
def cover(streams, row, holes, counts, start, end, segment):
    """Enter the octets [start, end) of a segment, at least one, as seen.

    Returns how many are new, how many of those lie below others seen, and the segment that opened the hole in which they begin,
    or -1. What lies below the first octet that was heard of a stream counts as never seen. There is room for two more holes.
    """
    if not streams[row + SEEN]:
        streams[row + SEEN], streams[row + LOW], streams[row + END] = 1, start, end
        return end - start, 0, -1
    known = i64(streams[row + END])
    if start >= known:
        if start > known:
            add_hole(streams, row, holes, counts, i64(streams[row + LAST_HOLE]), known, start, segment)
        streams[row + END] = end
        return end - start, 0, -1
    filled, low, opener = 0, i64(streams[row + LOW]), -1
    if start < low:
        filled = min(end, low) - start
        streams[row + LOW] = start
        if end < low:
            add_hole(streams, row, holes, counts, 0, end, low, -1)
            return filled, filled, -1
    before, hole = 0, i64(streams[row + HOLE])
    while hole:
        at = (hole - 1) * HOLE_WIDTH
        first, last = i64(holes[at + HOLE_START]), i64(holes[at + HOLE_END])
        if first >= end:
            break
        if last <= start:
            before, hole = hole, i64(holes[at + HOLE_NEXT])
            continue
        filled += min(last, end) - max(first, start)
        if first <= start:
            opener = i64(holes[at + HOLE_OPENER])
        if first < start:
            holes[at + HOLE_END] = start
            if last > end:
                add_hole(streams, row, holes, counts, hole, end, last, opener)
                break
            before, hole = hole, i64(holes[at + HOLE_NEXT])
        elif last > end:
            holes[at + HOLE_START] = end
            break
        else:
            hole = drop_hole(streams, row, holes, counts, before, hole)
    if end > known:
        streams[row + END] = end
        return filled + end - known, filled, opener
    return filled, filled, opener


@kernel
def sum_holes(chosen, streams, holes, octets, unseen):
    """Write, for each of the chosen streams, the octets in its holes and how many of them the other side acknowledged."""
    for i in range(len(chosen)):
        stream = i64(chosen[i])
        row = stream * STREAM
        hole, acked = i64(streams[row + HOLE]), i64(streams[row + ACKED])
        while hole:
            at = (hole - 1) * HOLE_WIDTH
            start, end = i64(holes[at + HOLE_START]), i64(holes[at + HOLE_END])
            octets[stream] += end - start
            unseen[stream] += max(min(end, acked) - start, 0)
            hole = i64(holes[at + HOLE_NEXT])
