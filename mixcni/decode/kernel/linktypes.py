"""What a frame begins with, by its file's link type (the tcpdump group's registry).

Each function returns the octet where the next header begins, the EtherType of it (0 where nothing follows that is read here), and
flags.
"""

from mixcni.decode.kernel.link import by_version, ethernet_header, llc_header, ppp_header
from mixcni.decode.kernel.numbers import (
    ARPHRD_FRAME_RELAY,
    ARPHRD_NETLINK,
    ARPHRD_RADIOTAP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_PPPOE,
    L_ETHERNET,
    LINK_BROADCOM_PREPENDED,
    LINK_BROADCOM_TAG,
    LINK_CISCO_HDLC,
    LINK_DSA,
    LINK_EDSA,
    LINK_ENC,
    LINK_ETHERNET,
    LINK_FRAME_RELAY,
    LINK_FRAME_RELAY_WITH_DIRECTION,
    LINK_IPNET,
    LINK_IPOIB,
    LINK_IPV4,
    LINK_IPV6,
    LINK_JUNIPER_ETHERNET,
    LINK_JUNIPER_FRAME_RELAY,
    LINK_JUNIPER_HDLC,
    LINK_JUNIPER_PPP,
    LINK_JUNIPER_PPPOE,
    LINK_LOOP,
    LINK_NFLOG,
    LINK_NULL,
    LINK_PFLOG,
    LINK_PPP,
    LINK_PPP_SERIAL,
    LINK_PPPOE,
    LINK_RAW,
    LINK_RAW_BSD,
    LINK_RAW_OPENBSD,
    LINK_SLL,
    LINK_SLL2,
    O_BAD_HEADER,
    O_HEADER_CUT,
)
from mixcni.decode.kernel.wireless import wireless_header
from mixcni.kernels.byteorder import be16, be32, le16, u8
from mixcni.kernels.jit import kernel

CISCO_UNICAST, CISCO_BROADCAST = 0x0F00, 0x8F00  # address and control octets of Cisco's HDLC (RFC 1547 section 4.3.1)
NFLOG_PAYLOAD, NFLOG_HEADER, MAX_NFLOG_ATTRIBUTES = 9, 4, 64  # linux/netfilter/nfnetlink_log.h
INFINIBAND_HEADER = 40  # octets before IP over InfiniBand's own
IPNET_HEADER = 24  # octets of Solaris's ipnet
SWITCH_TAG = 4  # octets of Broadcom's tag and of Marvell's DSA; the extended one has an EtherType and two octets before that
LONGEST_Q922, Q922_LAST = 4, 0x01  # octets of an address (Q.922 section 3.2.1), and the bit that its last one has
UNNUMBERED = 0x03  # unnumbered information, the control field (RFC 2427 section 3)
NLPID_IPV4, NLPID_IPV6, NLPID_SNAP, NLPID_PPP = 0xCC, 0x8E, 0x80, 0xCF  # ISO/IEC TR 9577; RFC 2427 section 4
OUI_BRIDGED, BRIDGED_WITH_FCS, BRIDGED_WITHOUT_FCS = 0x0080C2, 0x0001, 0x0007  # RFC 2427 section 4.2: of Ethernet
JUNIPER_MAGIC, JUNIPER_EXTENSIONS, JUNIPER_NO_LINK = 0x4D4743, 0x80, 0x02


@kernel
def link_header(octets, at, end, link_type):
    """(next octet, EtherType, layer flags, oddity flags) of a frame of this link type."""
    if link_type == LINK_ETHERNET:
        if end - at < 14:
            return at, 0, 0, O_HEADER_CUT
        at, ethertype, oddity = llc_header(octets, at + 14, end, be16(octets, at + 12))
        return at, ethertype, L_ETHERNET, oddity
    raw = link_type == LINK_RAW or link_type == LINK_RAW_BSD or link_type == LINK_RAW_OPENBSD
    if raw or link_type == LINK_IPV4 or link_type == LINK_IPV6:
        ethertype, oddity = by_version(octets, at, end)
        return at, ethertype, 0, oddity
    if link_type == LINK_NULL or link_type == LINK_LOOP:
        if end - at < 4:
            return at, 0, 0, O_HEADER_CUT
        ethertype, oddity = by_version(octets, at + 4, end)
        return at + 4, ethertype, 0, oddity
    if link_type == LINK_SLL:
        if end - at < 16:
            return at, 0, 0, O_HEADER_CUT
        at, ethertype, oddity = cooked_protocol(octets, at + 16, end, be16(octets, at + 14), be16(octets, at + 2))
        return at, ethertype, 0, oddity
    if link_type == LINK_SLL2:
        if end - at < 20:
            return at, 0, 0, O_HEADER_CUT
        at, ethertype, oddity = cooked_protocol(octets, at + 20, end, be16(octets, at), be16(octets, at + 8))
        return at, ethertype, 0, oddity
    at, ethertype, oddity = rarer_link_header(octets, at, end, link_type)
    return at, ethertype, 0, oddity


@kernel
def rarer_link_header(octets, at, end, link_type):
    """(next octet, EtherType, oddity) of the other link types."""
    if link_type == LINK_PPPOE:
        return at, ETHERTYPE_PPPOE, 0
    if link_type == LINK_PPP or link_type == LINK_PPP_SERIAL or link_type == LINK_CISCO_HDLC:
        first = be16(octets, at) if end - at >= 2 else 0
        if link_type != LINK_CISCO_HDLC and first != CISCO_UNICAST and first != CISCO_BROADCAST:
            return ppp_header(octets, at, end)
        return hdlc_header(octets, at, end)
    if link_type == LINK_NFLOG:
        return nflog_header(octets, at, end)
    if link_type == LINK_IPOIB:
        size = INFINIBAND_HEADER + 4
        return (at + size, be16(octets, at + INFINIBAND_HEADER), 0) if end - at >= size else (at, 0, O_HEADER_CUT)
    if link_type == LINK_PFLOG or link_type == LINK_ENC:  # of pf the header's length, to be rounded up, is its first octet
        size = 12 if link_type == LINK_ENC or at >= end else u8(octets, at) + 3 & ~3
        if end - at < size:
            return at, 0, O_HEADER_CUT
        ethertype, oddity = by_version(octets, at + size, end)
        return at + size, ethertype, oddity
    if link_type == LINK_FRAME_RELAY:
        return frame_relay_header(octets, at, end)
    if link_type == LINK_FRAME_RELAY_WITH_DIRECTION:
        return frame_relay_header(octets, min(at + 1, end), end)
    if link_type == LINK_IPNET:
        if end - at < IPNET_HEADER:
            return at, 0, O_HEADER_CUT
        ethertype, oddity = by_version(octets, at + IPNET_HEADER, end)
        return at + IPNET_HEADER, ethertype, oddity
    if link_type == LINK_JUNIPER_PPPOE or LINK_JUNIPER_ETHERNET <= link_type <= LINK_JUNIPER_HDLC:
        return juniper_header(octets, at, end, link_type)
    if link_type == LINK_BROADCOM_PREPENDED:
        return ethernet_header(octets, min(at + SWITCH_TAG, end), end)
    if link_type == LINK_BROADCOM_TAG or link_type == LINK_DSA or link_type == LINK_EDSA:  # before the EtherType
        size = 14 + (2 * SWITCH_TAG if link_type == LINK_EDSA else SWITCH_TAG)
        return llc_header(octets, at + size, end, be16(octets, at + size - 2)) if end - at >= size else (at, 0, O_HEADER_CUT)
    at, follows, oddity = wireless_header(octets, at, end, link_type)
    if follows:
        return llc_header(octets, at, end, 0)
    return at, 0, oddity


@kernel
def hdlc_header(octets, at, end):
    """(next octet, EtherType, oddity) of Cisco's HDLC (RFC 1547 section 4.3.1)."""
    return (at + 4, be16(octets, at + 2), 0) if end - at >= 4 else (at, 0, O_HEADER_CUT)


@kernel
def frame_relay_header(octets, at, end):
    """(next octet, EtherType, oddity) behind an address of two to four octets: by NLPID (RFC 2427), or Cisco's EtherType."""
    size = 2
    while size < LONGEST_Q922 and end - at >= size and not u8(octets, at + size - 1) & Q922_LAST:
        size += 1
    if end - at < size + 2:
        return at, 0, O_HEADER_CUT
    if u8(octets, at) & Q922_LAST or not u8(octets, at + size - 1) & Q922_LAST:
        return at, 0, O_BAD_HEADER
    at += size
    if u8(octets, at) != UNNUMBERED:
        return at + 2, be16(octets, at), 0
    at += 1 if u8(octets, at + 1) else 2  # a pad of 0 may stand before the NLPID
    if at >= end:
        return end, 0, O_HEADER_CUT
    protocol = u8(octets, at)
    if protocol == NLPID_PPP:  # RFC 1973
        return ppp_header(octets, at + 1, end)
    if protocol == NLPID_SNAP:
        return snap_header(octets, at + 1, end)
    ethertype = ETHERTYPE_IPV4 if protocol == NLPID_IPV4 else ETHERTYPE_IPV6 if protocol == NLPID_IPV6 else 0
    return at + 1, ethertype, 0


@kernel
def snap_header(octets, at, end):
    """(next octet, EtherType, oddity) behind SNAP's OUI and protocol: an EtherType, or bridged Ethernet (RFC 2427)."""
    if end - at < 5:
        return at, 0, O_HEADER_CUT
    organization, protocol = be32(octets, at) >> 8, be16(octets, at + 3)
    if organization == 0:
        return at + 5, protocol, 0
    if organization == OUI_BRIDGED and (protocol == BRIDGED_WITH_FCS or protocol == BRIDGED_WITHOUT_FCS):
        return ethernet_header(octets, at + 5, end)
    return at + 5, 0, 0


@kernel
def juniper_header(octets, at, end, link_type):
    """(next octet, EtherType, oddity) behind what Juniper's capture puts before a frame (tcpdump's print-juniper.c)."""
    size = 4
    if end - at < size:
        return at, 0, O_HEADER_CUT
    if be32(octets, at) >> 8 != JUNIPER_MAGIC:
        return at, 0, O_BAD_HEADER
    flags = u8(octets, at + 3)
    if flags & JUNIPER_EXTENSIONS:
        size = 6 + be16(octets, at + 4) if end - at >= 6 else 6
    if flags & JUNIPER_NO_LINK:
        size += 4
    if end - at < size:
        return at, 0, O_HEADER_CUT
    at += size
    if flags & JUNIPER_NO_LINK:
        ethertype, oddity = by_version(octets, at, end)
        return at, ethertype, oddity
    if link_type == LINK_JUNIPER_PPP:
        return ppp_header(octets, at, end)
    if link_type == LINK_JUNIPER_FRAME_RELAY:
        return frame_relay_header(octets, at, end)
    return hdlc_header(octets, at, end) if link_type == LINK_JUNIPER_HDLC else ethernet_header(octets, at, end)


@kernel
def nflog_header(octets, at, end):
    """(next octet, EtherType, oddity) of a packet that netfilter logged: attributes in a little-endian host's order before it."""
    at += NFLOG_HEADER
    for _ in range(MAX_NFLOG_ATTRIBUTES):
        if end - at < 4:
            break
        size, kind = le16(octets, at), le16(octets, at + 2)
        if kind == NFLOG_PAYLOAD:
            ethertype, oddity = by_version(octets, at + 4, end)
            return at + 4, ethertype, oddity
        if size < 4:
            return at, 0, O_BAD_HEADER
        at += size + 3 & ~3
    return min(at, end), 0, O_HEADER_CUT


@kernel
def cooked_protocol(octets, at, end, protocol, hardware):
    """(next octet, EtherType, oddity) behind a Linux cooked header; 0 and 4 stand for frames that have no EtherType.

    Of some hardware types the field has another meaning, or none: what is behind is not read.
    """
    if hardware == ARPHRD_NETLINK or hardware == ARPHRD_FRAME_RELAY or hardware == ARPHRD_RADIOTAP:
        return at, 0, 0
    if protocol == 4:
        return llc_header(octets, at, end, 0)
    if protocol == 0:
        ethertype, oddity = by_version(octets, at, end)
        return at, ethertype, oddity
    return at, protocol, 0
