"""TCP with its options, and what ICMP quotes."""

from mixcni.decode.kernel.ip import ipv4_header, ipv6_header
from mixcni.decode.kernel.numbers import (
    L_LATER_FRAGMENT,
    O_BAD_OPTION,
    O_OPTIONS_CUT,
    OPT_MP_CAPABLE,
    OPT_SACK_PERMITTED,
    OPT_TIMESTAMPS,
    PROTO_TCP,
    PROTO_UDP,
)
from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.hashing import find_code4
from mixcni.kernels.jit import kernel

# TCP option kinds (IANA; RFC 9293 section 3.1, RFC 7323, RFC 2018)
END_OF_OPTIONS, NO_OPERATION, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS, MPTCP = 0, 1, 2, 3, 4, 5, 8, 30
LAST_SUBTYPE = 7  # MP_FASTCLOSE (RFC 8684 section 3)
ALIGNED_TIMESTAMPS = 0x0101080A  # no-operation twice, timestamps of 10 octets (RFC 7323 appendix A)
MAX_SACK_BLOCKS = 4


@kernel
def code_of(w0, w1, w2, w3, slots, keys, count):
    """(code, number of codes) of the address with these words, entered into the book where it is new."""
    slot, code = find_code4(slots, keys, w0, w1, w2, w3)
    if code < 0:
        code = count
        slots[slot] = code
        keys[4 * code] = w0
        keys[4 * code + 1] = w1
        keys[4 * code + 2] = w2
        keys[4 * code + 3] = w3
        count += 1
    return code, count


@kernel
def address_code(octets, at, version, slots, keys, count):
    """(code, number of codes) of the address at `at`: IPv4 as IPv4-mapped (RFC 4291 section 2.5.5.2)."""
    if version == 4:
        return code_of(0, 0, 0xFFFF, be32(octets, at), slots, keys, count)
    return code_of(be32(octets, at), be32(octets, at + 4), be32(octets, at + 8), be32(octets, at + 12), slots, keys, count)


@kernel
def is_error(version, kind):
    """Whether an ICMP type quotes the packet that caused it (RFC 792; RFC 4443 section 2.1)."""
    if version == 4:
        return kind == 3 or kind == 4 or kind == 5 or kind == 11 or kind == 12
    return kind < 128


@kernel
def has_identifier(version, kind):
    """Whether an ICMP message is a query with an identifier (RFC 792: echo, timestamp, information; RFC 950; RFC 4443)."""
    if version == 4:
        return kind == 0 or kind == 8 or (13 <= kind <= 18)
    return kind == 128 or kind == 129


@kernel
def decode_quote(octets, at, end, row, quotes, quote_count, slots, keys, count):
    """(quotes written, number of codes): the flow key of the header that an ICMP error quotes, from `at` on.

    Written only where the quoted IP header and 8 octets of its payload were captured.
    """
    if at >= end:
        return quote_count, count
    if u8(octets, at) >> 4 == 4:
        payload, _, protocol, present, _ = ipv4_header(octets, at, end, end)
        version, source, destination = 4, at + 12, at + 16
    else:
        payload, _, protocol, present, _, _ = ipv6_header(octets, at, end, end)
        version, source, destination = 6, at + 8, at + 24
    if present == 0 or present & L_LATER_FRAGMENT or end - payload < 8:
        return quote_count, count
    if protocol != PROTO_TCP and protocol != PROTO_UDP:
        return quote_count, count
    quotes.packet[quote_count] = row
    code, count = address_code(octets, source, version, slots, keys, count)
    quotes.source[quote_count] = code
    code, count = address_code(octets, destination, version, slots, keys, count)
    quotes.destination[quote_count] = code
    quotes.source_port[quote_count] = be16(octets, payload)
    quotes.destination_port[quote_count] = be16(octets, payload + 2)
    quotes.protocol[quote_count] = protocol
    quotes.seg_seq[quote_count] = be32(octets, payload + 4) if protocol == PROTO_TCP else 0
    return quote_count + 1, count


@kernel
def tcp_options(octets, at, end, captured):
    """(MSS, window scale, flags, TSval, TSecr, where SACK blocks stand, how many, oddity flags) of the TCP options in [at, end).

    `captured` is where the captured octets end. -1 stands for an MSS and a window scale that are not there.
    """
    if end - at == 12 and end <= captured and be32(octets, at) == ALIGNED_TIMESTAMPS:  # nearly every segment's
        return -1, -1, OPT_TIMESTAMPS, be32(octets, at + 4), be32(octets, at + 8), 0, 0, 0
    mss, scale, flags, sent, echoed, sack_at, sacks = -1, -1, 0, 0, 0, 0, 0
    oddity = 0
    if end > captured:
        oddity = O_OPTIONS_CUT
        end = captured
    while at < end:
        kind = u8(octets, at)
        if kind == NO_OPERATION:
            at += 1
            continue
        if kind == END_OF_OPTIONS:
            break
        size = u8(octets, at + 1) if end - at >= 2 else 0
        if size < 2 or end - at < size:
            if not oddity:
                oddity = O_BAD_OPTION
            break
        if kind == TIMESTAMPS and size == 10:
            flags |= OPT_TIMESTAMPS
            sent, echoed = be32(octets, at + 2), be32(octets, at + 6)
        elif kind == MSS and size == 4:
            mss = be16(octets, at + 2)
        elif kind == WINDOW_SCALE and size == 3:
            scale = u8(octets, at + 2)
        elif kind == SACK_PERMITTED and size == 2:
            flags |= OPT_SACK_PERMITTED
        elif kind == SACK and size >= 10 and (size - 2) % 8 == 0:
            sack_at, sacks = at + 2, min((size - 2) // 8, MAX_SACK_BLOCKS)
        elif kind == MPTCP and size >= 3 and u8(octets, at + 2) >> 4 <= LAST_SUBTYPE:
            flags |= OPT_MP_CAPABLE << (u8(octets, at + 2) >> 4)
        at += size
    return mss, scale, flags, sent, echoed, sack_at, sacks, oddity
