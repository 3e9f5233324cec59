"""One TCP segment in its flow: where it stands in its stream, and what our label says of it.

Our label is Wireshark's, computed over what TCP itself had: copies folded, tunnels apart, strays left out. It differs where the
octets tell better than the order of numbers:

- A repetition is a segment all of whose octets were heard before. Wireshark takes any that begins below the highest number.
- Octets that were never heard before and fill a hole, or were acknowledged already, are out of order, however late they come,
  unless they are proven to have been sent again (mixcni.flows.losses). Wireshark asks whether they come within a round trip,
  and calls them a retransmission of what nobody saw if not (wireshark issues 13843, 13863, 15993); behind their acknowledgment
  it calls them spurious.
- An octet at SND.NXT - 1 is a keep-alive only when nothing is outstanding (RFC 9293 section 3.8.4), else it is a repetition.
- An acknowledgment is of a lost segment only where an octet was not seen (wireshark issues 8404, 18558).
- A port is reused where another connection begins, not where a connection's own SYN-ACK has another number than was guessed.
- Resets, and segments that the receiver would not take, say nothing.
"""

from mixcni.flows.kernel.numbers import (
    ACK,
    ACK_LOST_SEGMENT,
    ACKED,
    BASE,
    BASED,
    END,
    FAST_RETRANSMISSION,
    FIN,
    HOLES,
    KEEP_ALIVE,
    LARGEST_SCALE,
    LEARNT,
    OUT_OF_ORDER,
    PORT_REUSED,
    REPEATS,
    RESENT,
    RETRANSMISSION,
    SEEN,
    SEQUENCE_MASK,
    SPURIOUS_RETRANSMISSION,
    SYN,
    TOLD,
    UNKNOWN,
    WINDOW,
    ZERO_WINDOW_PROBE,
)
from mixcni.flows.kernel.stream import farthest, learn_base, place, reaches, window_of
from mixcni.kernels.jit import i64, kernel

UNSCALED_WINDOW = 65_535  # RFC 7323 section 2.2: that of a SYN is never scaled


@kernel
def place_reset(streams, own, other, flags, seq, ack):
    """(offset, offset acknowledged or -1) of a reset; it moves nothing, and its text is no part of the stream (RFC 9293 3.5.3).

    Its numbers are often no side's own: the answer to a SYN has SEG.SEQ 0 (RFC 9293 section 3.10.7.1).
    """
    offset, acknowledged = 0, -1
    if streams[own + BASED] != UNKNOWN:
        offset = place(i64(streams[own + BASE]), farthest(streams, own), seq)
    if flags & ACK and streams[other + BASED] != UNKNOWN:
        acknowledged = max(place(i64(streams[other + BASE]), farthest(streams, other), ack), -1)
    return offset, acknowledged


@kernel
def place_segment(streams, own, other, flags, seq, ack, payload, window):
    """(offset, length, offset acknowledged or -1, whether it is taken, whether its stream begins anew) of one that is no reset.

    A segment that the receiver would not take has length 0 and acknowledges nothing. What a side says first acknowledges no more
    than what its SYN's window let be sent, and a SYN no more than was sent: old numbers answer no SYN. A SYN sets the base anew
    as long as nothing of that side was acknowledged: a connection may get two different SYN-ACKs, and the initiator says which
    one counts.
    """
    length = payload + (1 if flags & SYN else 0) + (1 if flags & FIN else 0)
    based, base = i64(streams[own + BASED]), i64(streams[own + BASE])
    differs = 1 if flags & SYN and seq != base else 0
    known = 1 if based != UNKNOWN and not (differs and streams[own + ACKED] <= 0) else 0
    offset = 0 if flags & SYN else 1
    taken = 1
    if known:
        offset = place(base, farthest(streams, own), seq)
        taken = 0 if differs else reaches(streams, own, offset, offset + length, window_of(streams, own))
    acknowledged = -1
    if flags & ACK and taken and streams[other + BASED] != UNKNOWN:
        acknowledged = place(i64(streams[other + BASE]), farthest(streams, other), ack)
        room = window_of(streams, other)
        if not known and streams[other + BASED] == TOLD:
            room = 0 if flags & SYN else UNSCALED_WINDOW
        if not reaches(streams, other, acknowledged, acknowledged, room):
            acknowledged = -1
            taken = known
    if not taken:
        return offset, 0, -1, 0, 0
    if not known:
        streams[own + END], streams[own + SEEN] = 0, 0
    if not known or flags & SYN:
        learn_base(streams, own, flags, seq)
    if flags & ACK and streams[other + BASED] == UNKNOWN:
        streams[other + BASE], streams[other + BASED] = (ack - 1) & SEQUENCE_MASK, LEARNT
        acknowledged = 1
    if acknowledged >= 0:
        streams[other + ACKED] = max(i64(streams[other + ACKED]), acknowledged)
    if not flags & SYN:  # a SYN's window is never scaled (RFC 7323 section 2.2)
        streams[other + WINDOW] = max(i64(streams[other + WINDOW]), window << LARGEST_SCALE)
    return offset, length, max(acknowledged, -1), 1, 1 - known


@kernel
def is_keep_alive(payload, offset, length, end, acked):
    """Whether a segment is a keep-alive with an octet: the last one again, and nothing is outstanding."""
    return payload == 1 and length == 1 and offset == end - 1 and acked >= end


@kernel
def label_segment(streams, own, other, theirs, reused, payload, offset, length, acknowledged, end, new, filled):
    """Our label of a segment that was taken: Wireshark's of the same packets, `theirs`, where the octets do not tell better.

    reused : whether the segment begins another connection of a key that was known
    end : stream offset up to which octets were seen before
    new, filled : how many of its octets were not seen, and how many of those are late
    """
    label = theirs & ~(REPEATS | KEEP_ALIVE | PORT_REUSED | ACK_LOST_SEGMENT)
    if reused:
        label |= PORT_REUSED
    if theirs & ACK_LOST_SEGMENT and (acknowledged > streams[other + END] or streams[other + HOLES] > 0):
        label |= ACK_LOST_SEGMENT
    if length == 0:
        return label | theirs & KEEP_ALIVE
    acked = i64(streams[own + ACKED])
    if is_keep_alive(payload, offset, length, end, acked):
        return label | KEEP_ALIVE
    if theirs & ZERO_WINDOW_PROBE:
        return label
    if new != length:
        streams[own + RESENT] += length - new
    if filled:
        label |= OUT_OF_ORDER
    if new == 0:
        label |= RETRANSMISSION | theirs & FAST_RETRANSMISSION
        if acked >= offset + length:
            label |= SPURIOUS_RETRANSMISSION
    return label
