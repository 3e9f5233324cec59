"""Packets -> flow keys: both ends, the protocol and what is around them, the same for both directions."""

from mixcni.flows.kernel.numbers import (
    ECHO_REPLY,
    ECHO_REPLY_V6,
    ECHO_REQUEST,
    ECHO_REQUEST_V6,
    L_ICMP,
    L_ICMPV6,
    L_TCP,
    L_UDP,
    LAYER_BITS,
    LAYER_MASK,
    LAYER_SHIFT,
    NO_KEY,
)
from mixcni.kernels.hashing import find_code4
from mixcni.kernels.jit import i64, kernel


@kernel
def ports_of(packets, i):
    """(whether packet `i` can belong to a flow, whether it is an echo reply, source port, destination port).

    The identifier of an ICMP echo stands for the port of the end that asks, and 0 for the other's.
    """
    present = i64(packets.present[i])
    source_port, destination_port = i64(packets.source_port[i]), i64(packets.destination_port[i])
    if present & (L_TCP | L_UDP):
        return 1, 0, source_port, destination_port
    if not present & (L_ICMP | L_ICMPV6):
        return 0, 0, 0, 0
    kind = destination_port >> 8
    if kind == (ECHO_REQUEST if present & L_ICMP else ECHO_REQUEST_V6):
        return 1, 0, source_port, 0
    if kind == (ECHO_REPLY if present & L_ICMP else ECHO_REPLY_V6):
        return 1, 1, 0, source_port
    return 0, 0, 0, 0


@kernel
def is_low_first(source, source_port, destination, destination_port):
    """Whether a packet's source is the lower of its two ends."""
    return 1 if source < destination or (source == destination and source_port <= destination_port) else 0


@kernel
def key_packets(packets, begin, exact, slots, keys, count, key_of):
    """Number the flow keys of packets from `begin` on; (where it stopped: at the end, or where the table is full; keys known).

    packets : PacketColumns, (n,) each
    exact : (s,) int32, of each outer stack, which others are the same with directions left out
    slots, keys, count : the table of keys (mixcni.kernels.hashing): lower end, higher end, their ports, layer and stack
    key_of : (n,) int32, written: the key's number, NO_KEY where a packet can belong to no flow
    """
    i, room = begin, len(slots) // 2 - 1
    while i < len(key_of) and count < room:
        followed, _, source_port, destination_port = ports_of(packets, i)
        if followed:
            w0, w1 = i64(packets.source[i]), i64(packets.destination[i])
            w2 = source_port << 16 | destination_port
            w3 = i64(exact[packets.stack[i]]) << LAYER_BITS | i64(packets.present[i]) >> LAYER_SHIFT & LAYER_MASK
            if not is_low_first(w0, source_port, w1, destination_port):
                w0, w1, w2 = w1, w0, destination_port << 16 | source_port
            slot, key = find_code4(slots, keys, w0, w1, w2, w3)
            if key < 0:
                key = count
                slots[slot] = key
                keys[4 * key], keys[4 * key + 1], keys[4 * key + 2], keys[4 * key + 3] = w0, w1, w2, w3
                count += 1
            key_of[i] = key
        else:
            key_of[i] = NO_KEY
        i += 1
    return i, count
