"""TCP analysis as Wireshark 4.0 does it: epan/dissectors/packet-tcp.c, tcp_analyze_sequence_number, case by case.

What it knows of a connection is a watch: two rows of `watches`, one a side. Numbers are raw sequence numbers, and 0 means
"none yet" there as it does in Wireshark, which is wrong once in 2**32 octets and must be so here too.

Not followed: that MPTCP's subflows have their operations in common, of which a new one keeps an ACK from being a duplicate; TCP
headers that ICMP errors quote, which count in Wireshark as the last SYN. Its list of unacknowledged segments is kept as a count:
all that it does to labels is that beyond 10,000 of them a FIN no longer takes a sequence number.
"""

from mixcni.flows.kernel.numbers import (
    ACK,
    ACK_LOST_SEGMENT,
    DUPLICATE_ACK,
    FAST_RETRANSMISSION,
    FIN,
    KEEP_ALIVE,
    KEEP_ALIVE_ACK,
    LARGEST_SCALE,
    LOST_SEGMENT,
    OUT_OF_ORDER,
    PORT_REUSED,
    RETRANSMISSION,
    RST,
    SEQUENCE_MASK,
    SPURIOUS_RETRANSMISSION,
    SYN,
    W_ACK,
    W_ACK_NS,
    W_BASE,
    W_DUPLICATES,
    W_KNOWN,
    W_LABEL,
    W_MAX,
    W_NEXT,
    W_NEXT_NS,
    W_OPERATIONS,
    W_RTT_NS,
    W_SYN_NS,
    W_UNACKED,
    W_WINDOW,
    WATCH,
    WINDOW_FULL,
    WINDOW_UPDATE,
    ZERO_WINDOW,
    ZERO_WINDOW_PROBE,
    ZERO_WINDOW_PROBE_ACK,
)
from mixcni.kernels.jit import i64, kernel
from mixcni.kernels.seqspace import seq_delta

MAX_UNACKED = 10_000  # TCP_MAX_UNACKED_SEGMENTS
FAST_NS = 20_000_000  # a fast retransmission follows its duplicate ACK within 20 ms
OUT_OF_ORDER_NS = 3_000_000  # out of order is what comes within 3 ms, where no handshake told the round trip
MP_SHIFT = 4  # where MPTCP's options begin among the flags of mixcni.schema.OptionFlag
OPERATIONS, KNOWN = 0xFF, 8  # W_OPERATIONS: those of the connection so far, and above that what a side knew of them
BASED, FIRST_ACK, SCALE = 0x40, 0x20, 0x1F  # W_KNOWN: what is known of a side, and its window scale, which is
NO_SCALE, SHIFT = 1, 2  # 0 where nothing is known, NO_SCALE where scaling is not used, else the shift count and SHIFT
NEUTRAL = SEQUENCE_MASK  # a count of duplicate ACKs that is -1 in 32 bits, and at least 2 as well


@kernel
def new_watch(watches, watch):
    """Write the two rows of a connection of which nothing is known."""
    for row in range(2 * watch * WATCH, (2 * watch + 2) * WATCH, WATCH):
        for field in range(WATCH):
            watches[row + field] = 0
        watches[row + W_WINDOW] = SEQUENCE_MASK


@kernel
def copy_watch(watches, watch, source):
    """Write the two rows of a connection that was, until now, what watch `source` has."""
    for field in range(2 * WATCH):
        watches[2 * watch * WATCH + field] = watches[2 * source * WATCH + field]


@kernel
def is_another(watches, own, flags, seq):
    """Whether a segment begins another conversation of a known key: a SYN whose sequence number is not its side's first."""
    return flags & SYN and not flags & ACK and watches[own + W_KNOWN] & BASED and seq != watches[own + W_BASE]


@kernel
def is_before(elapsed, bound):
    """Whether a time is below a bound as unsigned 64-bit numbers: negative ones are the largest."""
    if (elapsed < 0) == (bound < 0):
        return elapsed < bound
    return bound < 0


@kernel
def repeat_kind(next_seq, next_ns, seq, end, length, other_ack, other_ack_ns, duplicates, round_trip_ns, time_ns):
    """Which kind of repetition a segment with octets, a SYN or a FIN is, if it is one.

    end : sequence number behind it, with its SYN or FIN
    other_ack, other_ack_ns, duplicates : the last acknowledgment of the other side, when it came, and how often it was repeated
    """
    old = next_seq != 0 and seq_delta(next_seq, seq) < 0
    if length > 1 and (next_seq - 1) & SEQUENCE_MASK == seq:
        old = False
    if length > 0 and other_ack != 0 and seq_delta(other_ack, (seq + length) & SEQUENCE_MASK) <= 0:
        return RETRANSMISSION | SPURIOUS_RETRANSMISSION
    if not old:
        return 0
    if duplicates >= 2 and other_ack == seq and is_before(time_ns - other_ack_ns, FAST_NS):
        return RETRANSMISSION | FAST_RETRANSMISSION
    bound = round_trip_ns if round_trip_ns != 0 else OUT_OF_ORDER_NS
    if is_before(time_ns - next_ns, bound) and next_seq != end:
        return OUT_OF_ORDER
    return RETRANSMISSION


@kernel
def analyse(watches, watch_ns, own, other, pair, flags, seq, ack, length, window, time_ns, label):
    """Follow a segment whose length is known; its labels, `label` among them.

    own, other : rows of `watches`, sender and receiver; pair : that of the two which has what they share
    length : octets of payload
    """
    if flags & SYN and watches[own + W_KNOWN] & BASED:
        if seq == watches[own + W_BASE]:
            if not flags & ACK:  # a reset may have moved it (wireshark issue 17616)
                watches[own + W_NEXT] = watches[own + W_MAX]
        elif flags & ACK:
            watches[own + W_BASE] = seq
            label |= PORT_REUSED
    next_seq, last_ack, last_window = i64(watches[own + W_NEXT]), i64(watches[own + W_ACK]), i64(watches[own + W_WINDOW])
    duplicates = i64(watches[own + W_DUPLICATES])
    other_label, other_ack = i64(watches[other + W_LABEL]), i64(watches[other + W_ACK])
    if not watches[own + W_KNOWN] & BASED:
        watches[own + W_BASE] = seq if flags & SYN else (seq - 1) & SEQUENCE_MASK
        watches[own + W_KNOWN] |= BASED
    if flags & ACK and not watches[other + W_KNOWN] & BASED:
        watches[other + W_BASE] = (ack - 1) & SEQUENCE_MASK
        watches[other + W_KNOWN] |= BASED

    plain = not flags & (SYN | FIN | RST)
    if length == 1 and seq == next_seq and watches[other + W_WINDOW] == 0:
        label |= ZERO_WINDOW_PROBE
    else:
        if window == 0 and plain:
            label |= ZERO_WINDOW
        if next_seq != 0 and seq_delta(seq, next_seq) < 0 and not flags & RST:
            label |= LOST_SEGMENT
        if plain:
            if length <= 1 and seq == (next_seq - 1) & SEQUENCE_MASK:
                label |= KEEP_ALIVE
            known = i64(watches[other + W_KNOWN])
            if length > 0 and known & SCALE:
                shift = 0 if known & FIRST_ACK else max((known & SCALE) - SHIFT, 0)
                if (seq + length - other_ack - (i64(watches[other + W_WINDOW]) << shift)) & SEQUENCE_MASK == 0:
                    label |= WINDOW_FULL
            if length == 0 and seq == next_seq and ack == last_ack:
                if window != last_window:
                    if window != 0:
                        label |= WINDOW_UPDATE
                elif window != 0:
                    if other_label & KEEP_ALIVE:
                        label |= KEEP_ALIVE_ACK
                    elif i64(watches[own + W_OPERATIONS]) >> KNOWN == i64(watches[pair + W_OPERATIONS]) & OPERATIONS:
                        label |= DUPLICATE_ACK
                        duplicates = 1 if duplicates == NEUTRAL else duplicates + 1
                elif other_label & ZERO_WINDOW_PROBE:
                    label |= ZERO_WINDOW_PROBE_ACK
    if ack != last_ack:
        duplicates = 0
    watches[own + W_DUPLICATES] = duplicates

    due = i64(watches[other + W_MAX])
    if flags & ACK:
        if due != 0 and seq_delta(ack, due) < 0:
            if seq_delta(i64(watches[other + W_NEXT]), due) < 0:
                watches[other + W_MAX] = watches[other + W_NEXT]
                label |= ACK_LOST_SEGMENT
            else:
                if watches[other + W_DUPLICATES] == 0:
                    label |= ACK_LOST_SEGMENT
                watches[other + W_DUPLICATES] = NEUTRAL
        if ack != last_ack:
            watches[other + W_UNACKED] = 0

    end = (seq + length) & SEQUENCE_MASK
    if length > 0 or flags & (SYN | FIN):
        behind = (end + 1) & SEQUENCE_MASK if flags & (SYN | FIN) else end
        if not label & KEEP_ALIVE:
            label |= repeat_kind(
                next_seq,
                i64(watch_ns[own // 2 + W_NEXT_NS]),
                seq,
                behind,
                length,
                other_ack,
                i64(watch_ns[other // 2 + W_ACK_NS]),
                i64(watches[other + W_DUPLICATES]),
                i64(watch_ns[pair // 2 + W_RTT_NS]),
                time_ns,
            )
        if watches[own + W_UNACKED] < MAX_UNACKED:
            watches[own + W_UNACKED] += 1
            end = behind

    if not label & ZERO_WINDOW_PROBE:
        if next_seq == 0 or seq_delta(end, next_seq) < 0:
            next_seq = end
            watches[own + W_NEXT] = end
            watch_ns[own // 2 + W_NEXT_NS] = time_ns
        due = i64(watches[own + W_MAX])
        if due == 0 or seq == due:
            watches[own + W_MAX] = next_seq
    watches[own + W_WINDOW] = window
    watches[own + W_ACK] = ack
    watch_ns[own // 2 + W_ACK_NS] = time_ns
    watches[own + W_LABEL] = label
    operations = i64(watches[pair + W_OPERATIONS]) & OPERATIONS
    if operations:
        watches[own + W_OPERATIONS] = i64(watches[own + W_OPERATIONS]) & OPERATIONS | operations << KNOWN
    return label


@kernel
def heed_options(watches, watch_ns, own, other, pair, flags, scale, operations, options_cut, time_ns):
    """Remember what a segment says of the handshake, after it was analysed: the round trip, the window scale, MPTCP's operations.

    scale : shift count of its option, -1 where it has none; options_cut : whether not all its options were captured
    operations : MPTCP's options that it has, a bit each (RFC 8684 section 3)
    """
    if operations:
        watches[pair + W_OPERATIONS] |= operations
    if flags & SYN:
        if not flags & ACK:
            watch_ns[pair // 2 + W_SYN_NS] = time_ns
        watches[own + W_KNOWN] |= FIRST_ACK
    elif flags & ACK:
        syn_ns = i64(watch_ns[pair // 2 + W_SYN_NS])
        if syn_ns != 0 and watch_ns[pair // 2 + W_RTT_NS] == 0:
            watch_ns[pair // 2 + W_RTT_NS] = time_ns - syn_ns
        watches[own + W_KNOWN] &= ~FIRST_ACK & SEQUENCE_MASK
    if scale >= 0:
        set_scale(watches, own, min(scale, LARGEST_SCALE) + SHIFT)
    if flags & SYN and not options_cut:
        if not watches[own + W_KNOWN] & SCALE:
            set_scale(watches, own, NO_SCALE)
            set_scale(watches, other, NO_SCALE)
        elif flags & ACK and watches[other + W_KNOWN] & SCALE == NO_SCALE:
            set_scale(watches, own, NO_SCALE)


@kernel
def set_scale(watches, row, code):
    """Remember a side's window scale: a shift count and SHIFT, or NO_SCALE."""
    watches[row + W_KNOWN] = i64(watches[row + W_KNOWN]) & ~SCALE & SEQUENCE_MASK | code
