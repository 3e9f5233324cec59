"""Decoding frames into packet columns: one pass, every length checked once before the octets behind it are read.

Lengths are the IP header's, as far as the frame was that long on the wire. Contract: each frame lies whole within `octets`
(read/ sees to it). A header is read only where it was captured whole; what is cut or cannot be is flagged in `oddity`, and
never stops a decode. Every loop over headers is bounded.
"""

from mixcni.kernels.byteorder import be16, be32
from mixcni.kernels.hashing import find_code4
from mixcni.kernels.jit import i64, kernel

# mixcni.schema.Layer
L_ETHERNET, L_VLAN, L_IPV4, L_IPV6, L_TCP, L_UDP, L_ICMP, L_ICMPV6 = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80
L_ARP, L_LATER_FRAGMENT, L_QUOTE = 0x100, 0x200, 0x400
# mixcni.schema.Oddity
O_HEADER_CUT, O_PAYLOAD_CUT, O_BAD_HEADER, O_BAD_TOTAL, O_LENGTH_ABSENT, O_LINK, O_MANY = (
    0x1,
    0x2,
    0x4,
    0x8,
    0x10,
    0x20,
    0x40,
)

ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_VLAN, ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
ETHERTYPE_QINQ, ETHERTYPE_QINQ_OLD = 0x88A8, 0x9100
LINK_NULL, LINK_ETHERNET, LINK_RAW, LINK_LOOP, LINK_SLL = 0, 1, 101, 108, 113
LINK_IPV4, LINK_IPV6, LINK_SLL2 = 228, 229, 276
PROTO_HOPOPT, PROTO_ICMP, PROTO_TCP, PROTO_UDP, PROTO_ROUTING, PROTO_FRAGMENT, PROTO_AH = 0, 1, 6, 17, 43, 44, 51
PROTO_ICMPV6, PROTO_DSTOPTS, PROTO_MOBILITY = 58, 60, 135
MAX_TAGS = 8
MAX_EXTENSIONS = 16
ADDRESSES_A_FRAME = 4  # its own two, and the two that an ICMP error quotes


@kernel
def by_version(octets, at, end):
    """(EtherType, oddity flags) of an IP packet that no EtherType precedes, told by its version; 0 where there is none."""
    if at >= end:
        return 0, O_HEADER_CUT
    version = i64(octets[at]) >> 4
    if version == 4:
        return ETHERTYPE_IPV4, 0
    if version == 6:
        return ETHERTYPE_IPV6, 0
    return 0, O_BAD_HEADER


@kernel
def link_header(octets, at, end, link_type):
    """Where the network header begins, its EtherType, and the layer and oddity flags of what stood before it."""
    if link_type == LINK_ETHERNET:
        if end - at < 14:
            return at, 0, 0, O_HEADER_CUT
        present, ethertype, at = L_ETHERNET, be16(octets, at + 12), at + 14
    elif link_type == LINK_RAW or link_type == LINK_IPV4 or link_type == LINK_IPV6:
        ethertype, oddity = by_version(octets, at, end)
        return at, ethertype, 0, oddity
    elif link_type == LINK_NULL or link_type == LINK_LOOP:
        if end - at < 4:
            return at, 0, 0, O_HEADER_CUT
        ethertype, oddity = by_version(octets, at + 4, end)
        return at + 4, ethertype, 0, oddity
    elif link_type == LINK_SLL:
        if end - at < 16:
            return at, 0, 0, O_HEADER_CUT
        present, ethertype, at = 0, be16(octets, at + 14), at + 16
    elif link_type == LINK_SLL2:
        if end - at < 20:
            return at, 0, 0, O_HEADER_CUT
        present, ethertype, at = 0, be16(octets, at), at + 20
    else:
        return at, 0, 0, O_LINK
    for _ in range(MAX_TAGS + 1):
        if ethertype != ETHERTYPE_VLAN and ethertype != ETHERTYPE_QINQ and ethertype != ETHERTYPE_QINQ_OLD:
            return at, ethertype, present, 0
        if end - at < 4:
            return at, 0, present, O_HEADER_CUT
        present |= L_VLAN
        ethertype = be16(octets, at + 2)
        at += 4
    return at, 0, present, O_MANY


@kernel
def ipv4_header(octets, at, end, packet_end):
    """(start of the payload, end by the total length, protocol, layer flags, oddity flags); RFC 791 section 3.1.

    packet_end : where the packet ends on the wire, for a total length of 0 (segmentation offload)
    """
    if end - at < 20:
        return at, at, 0, 0, O_HEADER_CUT
    header = (i64(octets[at]) & 0x0F) * 4
    if i64(octets[at]) >> 4 != 4 or header < 20:
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
    present = L_IPV4
    if be16(octets, at + 6) & 0x1FFF:
        present |= L_LATER_FRAGMENT
    return at + header, stop, i64(octets[at + 9]), present, oddity


@kernel
def ipv6_header(octets, at, end, packet_end):
    """As `ipv4_header`, with the extension headers walked (RFC 8200 sections 3 and 4)."""
    if end - at < 40:
        return at, at, 0, 0, O_HEADER_CUT
    if i64(octets[at]) >> 4 != 6:
        return at, at, 0, 0, O_BAD_HEADER
    oddity = 0
    length = be16(octets, at + 4)
    stop = at + 40 + length
    protocol = i64(octets[at + 6])
    if length == 0 and protocol != 59:  # 59: no next header
        oddity = O_LENGTH_ABSENT
        stop = packet_end
    present = L_IPV6
    at += 40
    for _ in range(MAX_EXTENSIONS + 1):
        if protocol == PROTO_HOPOPT or protocol == PROTO_ROUTING or protocol == PROTO_DSTOPTS or protocol == PROTO_MOBILITY:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT
            size = 8 + 8 * i64(octets[at + 1])
        elif protocol == PROTO_FRAGMENT:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT
            size = 8
            if be16(octets, at + 2) & 0xFFF8:
                present |= L_LATER_FRAGMENT
        elif protocol == PROTO_AH:
            if end - at < 8:
                return at, stop, 0, present, oddity | O_HEADER_CUT
            size = 8 + 4 * i64(octets[at + 1])
        else:
            return at, stop, protocol, present, oddity
        protocol = i64(octets[at])
        at += size
        if at > end:
            return at, stop, 0, present, oddity | O_HEADER_CUT
        if present & L_LATER_FRAGMENT:
            return at, stop, protocol, present, oddity
    return at, stop, 0, present, oddity | O_MANY


@kernel
def address_code(octets, at, version, slots, keys, count):
    """(code, number of codes) of the address at `at`, entered into the book where it is new."""
    if version == 4:
        w0, w1, w2, w3 = 0, 0, 0xFFFF, be32(octets, at)
    else:
        w0, w1, w2, w3 = be32(octets, at), be32(octets, at + 4), be32(octets, at + 8), be32(octets, at + 12)
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
    if i64(octets[at]) >> 4 == 4:
        payload, _, protocol, present, _ = ipv4_header(octets, at, end, end)
        version, source, destination = 4, at + 12, at + 16
    else:
        payload, _, protocol, present, _ = ipv6_header(octets, at, end, end)
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
def decode_tcp(octets, at, end, stop, row, out):
    """(layer flags, oddity flags) of the TCP header at `at` (RFC 9293 section 3.1), its columns written."""
    if end - at < 20:
        return 0, O_HEADER_CUT
    header = (i64(octets[at + 12]) >> 4) * 4
    if header < 20:
        return 0, O_BAD_HEADER
    oddity = 0
    payload = stop - at - header
    if payload < 0:
        payload = 0
        oddity |= O_BAD_TOTAL
    out.source_port[row] = be16(octets, at)
    out.destination_port[row] = be16(octets, at + 2)
    out.seg_seq[row] = be32(octets, at + 4)
    out.seg_ack[row] = be32(octets, at + 8)
    out.tcp_flags[row] = octets[at + 13]
    out.seg_wnd[row] = be16(octets, at + 14)
    out.payload_octets[row] = payload
    return L_TCP, oddity


@kernel
def decode_frames(octets, frames, begin, first_row, out, quotes, quote_count, slots, keys, count):
    """Decode frames from `begin` on; (frames done, quotes written, addresses known).

    Stops early when the address book is nearly half full: the caller enlarges it and goes on.

    octets : (b,) uint8; frames : FrameArrays within it
    first_row : row of `out` for frame `begin`
    out : PacketArrays, zeroed, with room for every frame
    quotes : QuoteArrays, room for one a frame
    slots, keys : the address book's hash table (mixcni.kernels.hashing)
    """
    room = len(slots) // 2 - ADDRESSES_A_FRAME
    i = begin
    while i < len(frames.start) and count < room:
        row = first_row + i - begin
        start = i64(frames.start[i])
        end = start + i64(frames.captured[i])
        wire_end = start + max(i64(frames.original[i]), i64(frames.captured[i]))
        out.source[row] = -1
        out.destination[row] = -1
        at, ethertype, present, oddity = link_header(octets, start, end, i64(frames.link_type[i]))
        version, layers = 0, 0
        payload, stop, protocol = at, at, 0
        if ethertype == ETHERTYPE_IPV4:
            version = 4
            payload, stop, protocol, layers, odd = ipv4_header(octets, at, end, wire_end)
            oddity |= odd
            if layers:
                out.ttl[row] = octets[at + 8]
                out.ip_id[row] = be16(octets, at + 4)
                code, count = address_code(octets, at + 12, 4, slots, keys, count)
                out.source[row] = code
                code, count = address_code(octets, at + 16, 4, slots, keys, count)
                out.destination[row] = code
        elif ethertype == ETHERTYPE_IPV6:
            version = 6
            payload, stop, protocol, layers, odd = ipv6_header(octets, at, end, wire_end)
            oddity |= odd
            if layers:
                out.ttl[row] = octets[at + 7]
                code, count = address_code(octets, at + 8, 6, slots, keys, count)
                out.source[row] = code
                code, count = address_code(octets, at + 24, 6, slots, keys, count)
                out.destination[row] = code
        elif ethertype == ETHERTYPE_ARP:
            present |= L_ARP
        present |= layers
        if layers and stop > wire_end:
            oddity |= O_BAD_TOTAL
            stop = wire_end  # what was never on the wire was not sent
        if layers and stop > end:
            oddity |= O_PAYLOAD_CUT
        if layers and not layers & L_LATER_FRAGMENT:
            out.protocol[row] = protocol
            limit = min(end, stop)  # octets behind the total length are padding
            if protocol == PROTO_TCP:
                layer, odd = decode_tcp(octets, payload, limit, stop, row, out)
                present |= layer
                oddity |= odd
            elif protocol == PROTO_UDP:
                if limit - payload < 8:
                    oddity |= O_HEADER_CUT
                else:
                    present |= L_UDP
                    out.source_port[row] = be16(octets, payload)
                    out.destination_port[row] = be16(octets, payload + 2)
                    out.payload_octets[row] = max(stop - payload - 8, 0)
            elif (protocol == PROTO_ICMP and version == 4) or (protocol == PROTO_ICMPV6 and version == 6):
                if limit - payload < 8:
                    oddity |= O_HEADER_CUT
                else:
                    present |= L_ICMP if version == 4 else L_ICMPV6
                    kind = i64(octets[payload])
                    out.destination_port[row] = be16(octets, payload)
                    if is_error(version, kind):
                        before = quote_count
                        quote_count, count = decode_quote(
                            octets, payload + 8, limit, row, quotes, quote_count, slots, keys, count
                        )
                        if quote_count > before:
                            present |= L_QUOTE
                    elif has_identifier(version, kind):
                        out.source_port[row] = be16(octets, payload + 4)
        elif layers:
            out.protocol[row] = protocol
        out.present[row] = present
        out.oddity[row] = oddity
        i += 1
    return i, quote_count, count
