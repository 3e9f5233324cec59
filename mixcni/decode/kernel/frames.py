"""One frame after the other: headers from the outside in, until one that carries no other."""

from mixcni.decode.kernel.ip import ipv4_header, ipv6_header
from mixcni.decode.kernel.link import ethernet_header, llc_header, mpls_payload, ppp_header, tag_header
from mixcni.decode.kernel.linktypes import link_header
from mixcni.decode.kernel.numbers import (
    ARP_REPLY,
    E_IPIP,
    E_MPLS,
    E_PPPOE,
    E_VLAN,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_UPSTREAM,
    ETHERTYPE_PPP,
    ETHERTYPE_PPPOE,
    ETHERTYPE_QINQ,
    ETHERTYPE_QINQ_OLD,
    ETHERTYPE_TEB,
    ETHERTYPE_VLAN,
    L_ARP,
    L_FRAGMENT,
    L_ICMP,
    L_ICMPV6,
    L_LATER_FRAGMENT,
    L_OPAQUE,
    L_QUOTE,
    L_TCP,
    L_TUNNEL,
    L_UDP,
    L_VLAN,
    ND_ADVERTISEMENT,
    ND_SOLICITATION,
    O_BAD_HEADER,
    O_HEADER_CUT,
    O_MANY,
    O_PAYLOAD_CUT,
    OPT_TIMESTAMPS,
    PROTO_ESP,
    PROTO_GRE,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_IPIP,
    PROTO_IPV6,
    PROTO_TCP,
    PROTO_UDP,
)
from mixcni.decode.kernel.transport import address_code, code_of, decode_quote, has_identifier, is_error, tcp_options
from mixcni.decode.kernel.tunnel import gre_header, is_sealed, udp_tunnel
from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.jit import i64, kernel

MAX_HEADERS = 24  # link, network and tunnel headers of one frame
STACKS_A_FRAME = MAX_HEADERS
ADDRESSES_A_FRAME = 2 * MAX_HEADERS + 4  # of outer headers, its own two, and the two that an ICMP error quotes
NOWHERE = 0xFFFFFFFF  # address code in a stack's key where a layer has no addresses


@kernel
def push(stack, kind, identifier, source, destination, slots, keys, count):
    """(code, number of codes) of the stack that is `stack` with one more layer inside."""
    return code_of(stack << 4 | kind, identifier, source, destination, slots, keys, count)  # fewer than 2**28 stacks


@kernel
def ip_tunnel(octets, at, limit, stop, protocol):
    """(next octet, EtherType inside, identifier, kind, oddity) of the tunnel that an IP payload is; kind 0 where it is none."""
    if protocol == PROTO_UDP:
        if limit - at < 16:
            return at, 0, 0, 0, 0
        return udp_tunnel(octets, at + 8, limit, stop, be16(octets, at), be16(octets, at + 2))
    if protocol == PROTO_IPIP:
        return at, ETHERTYPE_IPV4, 0, E_IPIP, 0
    if protocol == PROTO_IPV6:
        return at, ETHERTYPE_IPV6, 0, E_IPIP, 0
    if protocol == PROTO_GRE:
        return gre_header(octets, at, limit)
    return at, 0, 0, 0, 0


@kernel
def inner_header(octets, at, end, ethertype):
    """(next octet, EtherType, oddity): past the Ethernet or PPP header that a tunnel carries, if it carries one."""
    if ethertype == ETHERTYPE_TEB:
        return ethernet_header(octets, at, end)
    if ethertype == ETHERTYPE_PPP:
        return ppp_header(octets, at, end)
    return at, ethertype, 0


@kernel
def decode_frames(octets, frames, begin, first_row, out, sides, counts, books):
    """Decode frames from `begin` on; (frames done, and how many there are then: rows of each side table and codes, as in Counts).

    Stops early when a book is nearly half full: the caller enlarges it and goes on.

    octets : (b,) uint8; frames : FrameArrays within it
    first_row : row of `out` for frame `begin`
    out : PacketArrays, with room for every frame; `oddity` and `stack` are 0, and written where they are not
    sides : SideArrays, with room for one more a frame, and for four SACK blocks a frame
    counts : Counts before this call
    books : BookArrays: the hash tables of addresses and of stacks
    """
    slots, keys, stack_slots, stack_keys = books.slots, books.keys, books.stack_slots, books.stack_keys
    quotes, options, timestamps, sacks, neighbours = (
        sides.quotes, sides.options, sides.timestamps, sides.sacks, sides.neighbours
    )  # fmt: skip
    quote_count, option_count, timestamp_count, sack_count, neighbour_count, count, stack_count = (
        counts.quotes, counts.options, counts.timestamps, counts.sacks, counts.neighbours, counts.addresses, counts.stacks
    )  # fmt: skip
    room, stack_room = len(slots) // 2 - ADDRESSES_A_FRAME, len(stack_slots) // 2 - STACKS_A_FRAME
    # The last packet's two addresses: the next one often has them too, and a comparison is cheaper than a look-up.
    a0, a1, a2, a3, a_code, b0, b1, b2, b3, b_code = -1, 0, 0, 0, -1, -1, 0, 0, 0, -1  # no word is -1
    i = begin
    while i < len(frames.start) and count < room and stack_count < stack_room:
        row = first_row + i - begin
        start = i64(frames.start[i])
        end = start + i64(frames.captured[i])
        wire_end = start + max(i64(frames.original[i]), i64(frames.captured[i]))
        source, destination, stack, protocol, ttl, ip_id = -1, -1, 0, 0, 0, 0
        source_port, destination_port, seq, ack, flags, window, size = 0, 0, 0, 0, 0, 0, 0
        payload_at = -1
        at, ethertype, present, oddity = link_header(octets, start, end, i64(frames.link_type[i]))
        for depth in range(MAX_HEADERS + 1):
            if depth == MAX_HEADERS:
                oddity |= O_MANY
            elif ethertype == ETHERTYPE_IPV4 or ethertype == ETHERTYPE_IPV6:
                if ethertype == ETHERTYPE_IPV4:
                    version, source_at, destination_at, fragment_at = 4, at + 12, at + 16, 0
                    payload, stop, protocol, layers, odd = ipv4_header(octets, at, end, wire_end)
                else:
                    version, source_at, destination_at = 6, at + 8, at + 24
                    payload, stop, protocol, layers, odd, fragment_at = ipv6_header(octets, at, end, wire_end)
                oddity |= odd
                if layers == 0:
                    protocol = 0
                    break
                limit = min(end, stop)  # octets behind the total length are padding
                if protocol != PROTO_TCP and not layers & L_FRAGMENT:
                    inner, inner_type, identifier, kind, odd = ip_tunnel(octets, payload, limit, stop, protocol)
                    oddity |= odd
                    if kind and inner_type:
                        present |= L_TUNNEL
                        near, count = address_code(octets, source_at, version, slots, keys, count)
                        far, count = address_code(octets, destination_at, version, slots, keys, count)
                        stack, stack_count = push(stack, kind, identifier, near, far, stack_slots, stack_keys, stack_count)
                        end, wire_end, protocol = limit, stop, 0
                        at, ethertype, odd = inner_header(octets, inner, end, inner_type)
                        oddity |= odd
                        continue
                present |= layers
                if layers & L_FRAGMENT:
                    sides.fragment_at[i] = at
                if stop > end:
                    oddity |= O_PAYLOAD_CUT
                if version == 4:
                    ttl, ip_id = u8(octets, at + 8), be16(octets, at + 4)
                    s0, s1, s2, s3 = 0, 0, 0xFFFF, be32(octets, source_at)
                    d0, d1, d2, d3 = 0, 0, 0xFFFF, be32(octets, destination_at)
                else:
                    ttl = u8(octets, at + 7)
                    if fragment_at:
                        ip_id = be16(octets, fragment_at + 6)
                    s0, s1 = be32(octets, source_at), be32(octets, source_at + 4)
                    s2, s3 = be32(octets, source_at + 8), be32(octets, source_at + 12)
                    d0, d1 = be32(octets, destination_at), be32(octets, destination_at + 4)
                    d2, d3 = be32(octets, destination_at + 8), be32(octets, destination_at + 12)
                if s3 == a3 and d3 == b3 and s2 == a2 and d2 == b2 and s1 == a1 and d1 == b1 and s0 == a0 and d0 == b0:
                    source, destination = a_code, b_code
                elif s3 == b3 and d3 == a3 and s2 == b2 and d2 == a2 and s1 == b1 and d1 == a1 and s0 == b0 and d0 == a0:
                    source, destination = b_code, a_code
                else:
                    source, count = code_of(s0, s1, s2, s3, slots, keys, count)
                    destination, count = code_of(d0, d1, d2, d3, slots, keys, count)
                    a0, a1, a2, a3, a_code, b0, b1, b2, b3, b_code = s0, s1, s2, s3, source, d0, d1, d2, d3, destination
                if layers & L_LATER_FRAGMENT:
                    break
                if protocol == PROTO_TCP:
                    header = (u8(octets, payload + 12) >> 4) * 4 if limit - payload >= 20 else 0
                    if limit - payload < 20:
                        oddity |= O_HEADER_CUT
                    elif header < 20:
                        oddity |= O_BAD_HEADER
                    else:
                        present |= L_TCP
                        source_port, destination_port = be16(octets, payload), be16(octets, payload + 2)
                        seq, ack = be32(octets, payload + 4), be32(octets, payload + 8)
                        flags, window = u8(octets, payload + 13), be16(octets, payload + 14)
                        size = stop - payload - header
                        if size < 0:
                            size = 0
                            oddity |= O_BAD_HEADER
                        payload_at = payload + header
                        if header > 20:
                            mss, scale, marks, sent, echoed, sack_at, sack_size, odd = tcp_options(
                                octets, payload + 20, min(payload + header, stop), limit
                            )
                            oddity |= odd
                            if marks & OPT_TIMESTAMPS:
                                timestamps.packet[timestamp_count] = row
                                timestamps.ts_val[timestamp_count] = sent
                                timestamps.ts_ecr[timestamp_count] = echoed
                                timestamp_count += 1
                            if mss >= 0 or scale >= 0 or marks & ~OPT_TIMESTAMPS or sack_size:
                                options.packet[option_count] = row
                                options.mss[option_count] = mss
                                options.window_scale[option_count] = scale
                                options.flags[option_count] = marks
                                options.sack_start[option_count] = sack_count
                                options.sack_count[option_count] = sack_size
                                option_count += 1
                                for block in range(sack_size):
                                    sacks.left[sack_count] = be32(octets, sack_at + 8 * block)
                                    sacks.right[sack_count] = be32(octets, sack_at + 8 * block + 4)
                                    sack_count += 1
                elif protocol == PROTO_UDP:
                    if limit - payload < 8:
                        oddity |= O_HEADER_CUT
                    else:
                        present |= L_UDP
                        source_port, destination_port = be16(octets, payload), be16(octets, payload + 2)
                        size = max(stop - payload - 8, 0)
                        payload_at = payload + 8
                        if is_sealed(octets, payload + 8, limit, stop, source_port, destination_port):
                            present |= L_OPAQUE
                elif (protocol == PROTO_ICMP and version == 4) or (protocol == PROTO_ICMPV6 and version == 6):
                    if limit - payload < 8:
                        oddity |= O_HEADER_CUT
                    else:
                        present |= L_ICMP if version == 4 else L_ICMPV6
                        icmp = u8(octets, payload)
                        payload_at = payload
                        destination_port = be16(octets, payload)
                        if is_error(version, icmp):
                            before = quote_count
                            quote_count, count = decode_quote(
                                octets, payload + 8, limit, row, quotes, quote_count, slots, keys, count
                            )
                            if quote_count > before:
                                present |= L_QUOTE
                        elif has_identifier(version, icmp):
                            source_port = be16(octets, payload + 4)
                        elif (icmp == ND_SOLICITATION or icmp == ND_ADVERTISEMENT) and version == 6 and limit - payload >= 24:
                            neighbours.packet[neighbour_count] = row
                            neighbours.is_reply[neighbour_count] = 1 if icmp == ND_ADVERTISEMENT else 0
                            neighbours.sender[neighbour_count] = source
                            code, count = address_code(octets, payload + 8, 6, slots, keys, count)
                            neighbours.target[neighbour_count] = code
                            neighbours.mac[neighbour_count] = 0
                            neighbour_count += 1
                elif protocol == PROTO_ESP:
                    present |= L_OPAQUE
            elif ethertype == ETHERTYPE_VLAN or ethertype == ETHERTYPE_QINQ or ethertype == ETHERTYPE_QINQ_OLD:
                if end - at < 4:
                    oddity |= O_HEADER_CUT
                    break
                present |= L_VLAN
                tag = be16(octets, at) & 0x0FFF
                stack, stack_count = push(stack, E_VLAN, tag, NOWHERE, NOWHERE, stack_slots, stack_keys, stack_count)
                at, ethertype, odd = llc_header(octets, at + 4, end, be16(octets, at + 2))
                oddity |= odd
                continue
            elif ethertype == ETHERTYPE_MPLS or ethertype == ETHERTYPE_MPLS_UPSTREAM:
                if end - at < 4:
                    oddity |= O_HEADER_CUT
                    break
                entry = be32(octets, at)
                stack, stack_count = push(stack, E_MPLS, entry >> 12, NOWHERE, NOWHERE, stack_slots, stack_keys, stack_count)
                at += 4
                if entry & 0x100:  # the bottom of the label stack
                    at, ethertype, odd = mpls_payload(octets, at, end)
                    oddity |= odd
                    at, ethertype, odd = inner_header(octets, at, end, ethertype)
                    oddity |= odd
                continue
            elif ethertype == ETHERTYPE_PPPOE:
                if end - at < 6:
                    oddity |= O_HEADER_CUT
                    break
                session = be16(octets, at + 2)
                stack, stack_count = push(stack, E_PPPOE, session, NOWHERE, NOWHERE, stack_slots, stack_keys, stack_count)
                end = min(end, at + 6 + be16(octets, at + 4))
                at, ethertype, odd = ppp_header(octets, at + 6, end)
                oddity |= odd
                continue
            elif ethertype == ETHERTYPE_ARP:
                if end - at < 28:
                    oddity |= O_HEADER_CUT
                    break
                present |= L_ARP
                if be16(octets, at + 2) == ETHERTYPE_IPV4 and u8(octets, at + 4) == 6 and u8(octets, at + 5) == 4:
                    source, count = address_code(octets, at + 14, 4, slots, keys, count)
                    destination, count = address_code(octets, at + 24, 4, slots, keys, count)
                    neighbours.packet[neighbour_count] = row
                    neighbours.is_reply[neighbour_count] = 1 if be16(octets, at + 6) == ARP_REPLY else 0
                    neighbours.sender[neighbour_count] = source
                    neighbours.target[neighbour_count] = destination
                    neighbours.mac[neighbour_count] = be16(octets, at + 8) << 32 | be32(octets, at + 10)
                    neighbour_count += 1
            elif ethertype:
                at, ethertype, odd = tag_header(octets, at, end, ethertype)
                oddity |= odd
                if ethertype:
                    continue
            break
        out.present[row] = present
        if oddity:
            out.oddity[row] = oddity
        out.source[row] = source
        out.destination[row] = destination
        out.source_port[row] = source_port
        out.destination_port[row] = destination_port
        out.protocol[row] = protocol
        out.ttl[row] = ttl
        out.ip_id[row] = ip_id
        out.tcp_flags[row] = flags
        out.seg_wnd[row] = window
        out.seg_seq[row] = seq
        out.seg_ack[row] = ack
        out.payload_octets[row] = size
        if stack:
            out.stack[row] = stack
        sides.payload_at[i] = payload_at
        i += 1
    return i, quote_count, option_count, timestamp_count, sack_count, neighbour_count, count, stack_count
