"""What stands before the network layer: Ethernet, PPP, LLC and SNAP, tags and labels.

Each function returns the octet where the next header begins, the EtherType of it (0 where nothing follows that is read here), and
flags.
"""

from mixcni.decode.kernel.numbers import (
    ETHERTYPE_BACKBONE,
    ETHERTYPE_E_TAG,
    ETHERTYPE_FABRIC_PATH,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_NSH,
    ETHERTYPE_TEB,
    ETHERTYPE_VN_TAG,
    FIRST_ETHERTYPE,
    O_BAD_HEADER,
    O_HEADER_CUT,
)
from mixcni.kernels.byteorder import be16, u8
from mixcni.kernels.jit import kernel

# PPP protocol numbers (IANA)
PPP_IPV4, PPP_IPV6, PPP_MPLS = 0x0021, 0x0057, 0x0281
SNAP, LLC_IP = 0xAAAA, 0x0606  # DSAP and SSAP (IEEE 802.2; RFC 1042)
NSH_IPV4, NSH_IPV6, NSH_ETHERNET = 1, 2, 3  # RFC 8300 section 2.2


@kernel
def by_version(octets, at, end):
    """(EtherType, oddity flags) of an IP packet that no EtherType precedes, told by its version; 0 where there is none."""
    if at >= end:
        return 0, O_HEADER_CUT
    version = u8(octets, at) >> 4
    if version == 4:
        return ETHERTYPE_IPV4, 0
    if version == 6:
        return ETHERTYPE_IPV6, 0
    return 0, O_BAD_HEADER


@kernel
def ethernet_header(octets, at, end):
    """(next octet, EtherType, oddity) of an Ethernet II or IEEE 802.3 frame."""
    if end - at < 14:
        return at, 0, O_HEADER_CUT
    return llc_header(octets, at + 14, end, be16(octets, at + 12))


@kernel
def llc_header(octets, at, end, ethertype):
    """(next octet, EtherType, oddity): where a length stands for the EtherType, LLC and perhaps SNAP say what follows."""
    if ethertype >= FIRST_ETHERTYPE:
        return at, ethertype, 0
    if end - at < 3:
        return at, 0, O_HEADER_CUT
    service = be16(octets, at)
    if service == LLC_IP:
        return at + 3, ETHERTYPE_IPV4, 0
    if service != SNAP:
        return at, 0, 0
    if end - at < 8:
        return at, 0, O_HEADER_CUT
    return at + 8, be16(octets, at + 6), 0


@kernel
def ppp_header(octets, at, end):
    """(next octet, EtherType, oddity) of a PPP frame, its address and control fields compressed away or not (RFC 1662)."""
    if end - at >= 2 and be16(octets, at) == 0xFF03:
        at += 2
    if end - at < 1:
        return at, 0, O_HEADER_CUT
    protocol = u8(octets, at)
    if protocol & 1:  # compressed to one octet (RFC 1661 section 6.5)
        at += 1
    elif end - at < 2:
        return at, 0, O_HEADER_CUT
    else:
        protocol = be16(octets, at)
        at += 2
    if protocol == PPP_IPV4:
        return at, ETHERTYPE_IPV4, 0
    if protocol == PPP_IPV6:
        return at, ETHERTYPE_IPV6, 0
    return at, (ETHERTYPE_MPLS if protocol == PPP_MPLS else 0), 0


@kernel
def tag_header(octets, at, end, ethertype):
    """(next octet, EtherType, oddity) behind a tag that tells no flows apart, or a header that carries Ethernet.

    Cisco's VN-Tag and FabricPath, IEEE 802.1BR's E-Tag, 802.1ah's backbone service tag, and NSH (RFC 8300 section 2.2).
    """
    size = 6 if ethertype == ETHERTYPE_VN_TAG else 8 if ethertype == ETHERTYPE_E_TAG else 0
    if size:
        return llc_header(octets, at + size, end, be16(octets, at + size - 2)) if end - at >= size else (at, 0, O_HEADER_CUT)
    size = 4 if ethertype == ETHERTYPE_BACKBONE else 2 if ethertype == ETHERTYPE_FABRIC_PATH else 0
    if size:
        return ethernet_header(octets, at + size, end)
    if ethertype != ETHERTYPE_NSH:
        return at, 0, 0
    size = 4 * (be16(octets, at) & 0x3F) if end - at >= 8 else 0
    if size < 8 or end - at < size:
        return at, 0, O_HEADER_CUT
    follows = u8(octets, at + 3)
    if follows == NSH_ETHERNET:
        return ethernet_header(octets, at + size, end)
    if follows == NSH_IPV4:
        return at + size, ETHERTYPE_IPV4, 0
    return at + size, (ETHERTYPE_IPV6 if follows == NSH_IPV6 else 0), 0


@kernel
def mpls_payload(octets, at, end):
    """(next octet, EtherType, oddity) behind the bottom of a label stack, by the first nibble (RFC 4928): IP, or Ethernet.

    A nibble of 0 begins the control word that precedes Ethernet (RFC 4448).
    """
    if at >= end:
        return at, 0, O_HEADER_CUT
    nibble = u8(octets, at) >> 4
    if nibble == 4:
        return at, ETHERTYPE_IPV4, 0
    if nibble == 6:
        return at, ETHERTYPE_IPV6, 0
    if nibble:
        return at, 0, 0
    if end - at < 4:
        return at, 0, O_HEADER_CUT
    return at + 4, ETHERTYPE_TEB, 0
