"""IPv4 and IPv6 headers (RFC 791, RFC 8200)."""

from mixcni.decode.kernel.numbers import (
    L_FRAGMENT,
    L_IPV4,
    L_IPV6,
    L_LATER_FRAGMENT,
    O_BAD_HEADER,
    O_BAD_TOTAL,
    O_HEADER_CUT,
    O_LENGTH_ABSENT,
    O_MANY,
    PROTO_AH,
    PROTO_DSTOPTS,
    PROTO_FRAGMENT,
    PROTO_HOPOPT,
    PROTO_MOBILITY,
    PROTO_NONE,
    PROTO_ROUTING,
)
from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.jit import kernel

MAX_EXTENSIONS = 16


@kernel
def ipv4_header(octets, at, end, packet_end):
    """(start of the payload, end by the total length, protocol, layer flags, oddity flags); RFC 791 section 3.1.

    packet_end : where the packet ends on the wire: it counts for a total length of 0 (segmentation offload), and for a larger one
    """
    if end - at < 20:
        return at, at, 0, 0, O_HEADER_CUT
    header = (u8(octets, at) & 0x0F) * 4
    if u8(octets, at) >> 4 != 4 or header < 20:
        return at, at, 0, 0, O_BAD_HEADER
    if end - at < header:
        return at, at, 0, 0, O_HEADER_CUT
    total = be16(octets, at + 2)
    oddity = 0
    stop = at + total
    if total == 0:
        oddity = O_LENGTH_ABSENT
        stop = packet_end
    elif total < header:
        return at, at, 0, 0, O_BAD_TOTAL
    elif stop > packet_end:
        oddity = O_BAD_TOTAL
        stop = packet_end
    present = L_IPV4
    fragment = be16(octets, at + 6)
    if fragment & 0x3FFF:
        present |= L_FRAGMENT
        if fragment & 0x1FFF:
            present |= L_LATER_FRAGMENT
    return at + header, stop, u8(octets, at + 9), present, oddity


@kernel
def ipv6_header(octets, at, end, packet_end):
    """As `ipv4_header`, with the extension headers walked (RFC 8200 section 4); then where a fragment header stands, or 0."""
    if end - at < 40:
        return at, at, 0, 0, O_HEADER_CUT, 0
    if u8(octets, at) >> 4 != 6:
        return at, at, 0, 0, O_BAD_HEADER, 0
    oddity, fragment_at = 0, 0
    length = be16(octets, at + 4)
    stop = at + 40 + length
    protocol = u8(octets, at + 6)
    if length == 0 and protocol != PROTO_NONE:
        oddity = O_LENGTH_ABSENT
        stop = packet_end
    elif stop > packet_end:
        oddity = O_BAD_TOTAL
        stop = packet_end
    present = L_IPV6
    at += 40
    for _ in range(MAX_EXTENSIONS + 1):
        if protocol == PROTO_HOPOPT or protocol == PROTO_ROUTING or protocol == PROTO_DSTOPTS or protocol == PROTO_MOBILITY:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT, fragment_at
            size = 8 + 8 * u8(octets, at + 1)
        elif protocol == PROTO_FRAGMENT:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT, fragment_at
            size = 8
            fragment_at = at
            if be16(octets, at + 2) & 0xFFF9:  # an atomic fragment (RFC 6946) is a whole packet
                present |= L_FRAGMENT
                if be16(octets, at + 2) & 0xFFF8:
                    present |= L_LATER_FRAGMENT
        elif protocol == PROTO_AH:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT, fragment_at
            size = 8 + 4 * u8(octets, at + 1)
        else:
            return at, stop, protocol, present, oddity, fragment_at
        protocol = u8(octets, at)
        at += size
        if at > end:
            return at, stop, 0, present, oddity | O_HEADER_CUT, fragment_at
        if present & L_LATER_FRAGMENT:
            return at, stop, protocol, present, oddity, fragment_at
    return at, stop, 0, present, oddity | O_MANY, fragment_at


@kernel
def fits_exactly(octets, at, end, stop):
    """Whether an IP packet begins at `at` and ends just at `stop`: what proves a tunnel on a port of its own.

    end : where the captured octets end; stop : where the packet must end on the wire
    """
    if end - at < 20:
        return 0
    version = u8(octets, at) >> 4
    if version == 4:
        header = (u8(octets, at) & 0x0F) * 4
        if header < 20 or end - at < header or at + be16(octets, at + 2) != stop:
            return 0
        total = 0
        for i in range(at, at + header, 2):
            total += be16(octets, i)
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        return 1 if total == 0xFFFF or be16(octets, at + 10) == 0 else 0  # RFC 1071; 0 where it is left to the hardware
    if version == 6 and end - at >= 40:
        return 1 if at + 40 + be16(octets, at + 4) == stop and be32(octets, at + 8) != 0 else 0
    return 0
