"""Tunnel headers: GRE, VXLAN, Geneve, GTP-U, L2TP, Teredo, MPLS in UDP, and what is sealed.

A UDP tunnel is taken at its word on its usual port; on any other, only where an inner packet fits the datagram to the octet.
Each function returns (next octet, EtherType of what follows, identifier, kind, oddity): kind 0 where there is no tunnel,
EtherType 0 where nothing follows that is read here.
"""

from mixcni.decode.kernel.ip import fits_exactly
from mixcni.decode.kernel.link import by_version, mpls_payload
from mixcni.decode.kernel.numbers import (
    E_ERSPAN,
    E_GENEVE,
    E_GRE,
    E_GTPU,
    E_L2TP,
    E_MPLS_UDP,
    E_TEREDO,
    E_VXLAN,
    ETHERTYPE_ERSPAN,
    ETHERTYPE_ERSPAN_3,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_NSH,
    ETHERTYPE_PPP,
    ETHERTYPE_TEB,
    O_HEADER_CUT,
    O_MANY,
    PORT_ESP,
    PORT_GENEVE,
    PORT_GTPU,
    PORT_L2TP,
    PORT_MPLS,
    PORT_VXLAN,
    PORT_VXLAN_GPE,
    PORT_VXLAN_LINUX,
    PORT_WIREGUARD,
    PORT_WIREGUARD_CILIUM,
)
from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.jit import kernel

NO_KEY = 0xFFFFFFFF
GTPU_DATA = 0xFF
MAX_GTPU_EXTENSIONS = 8
L2TP_CONTROL, L2TP_LENGTH, L2TP_SEQUENCE, L2TP_OFFSET = 0x8000, 0x4000, 0x0800, 0x0200  # RFC 2661 section 3.1
GPE_VERSION, GPE_PROTOCOL, GPE_OAM = 0x30, 0x04, 0x01  # draft-ietf-nvo3-vxlan-gpe section 3.1
MAX_LABELS = 8
TEREDO_PREFIX = 0x20010000  # RFC 4380 section 2.6: 2001:0::/32
TEREDO_ORIGIN = 8  # octets of an origin indication (section 5.1.1)


@kernel
def gre_header(octets, at, end):
    """GRE with checksum, routing, key and sequence number (RFC 2784, RFC 2890), PPTP's (RFC 2637), and ERSPAN in it."""
    if end - at < 4:
        return at, 0, 0, 0, O_HEADER_CUT
    flags, ethertype = be16(octets, at), be16(octets, at + 2)
    version = flags & 7
    if version > 1:
        return at, 0, 0, 0, 0
    size, key = 4, NO_KEY
    if flags & 0xC000:
        size += 4
    key_at = at + size
    if flags & 0x2000:
        size += 4
    if flags & 0x1000:
        size += 4
    if version == 1 and flags & 0x0080:  # PPTP's acknowledgment number
        size += 4
    if end - at < size:
        return at, 0, 0, 0, O_HEADER_CUT
    if flags & 0x2000:
        key = be32(octets, key_at)
        if version == 1:  # PPTP: the payload's length, and the call
            key &= 0xFFFF
    at += size
    if ethertype == ETHERTYPE_ERSPAN:
        if not flags & 0x1000:  # type I has neither a sequence number nor a header
            return at, ETHERTYPE_TEB, 0, E_ERSPAN, 0
        if end - at < 8:
            return at, 0, 0, 0, O_HEADER_CUT
        return at + 8, ETHERTYPE_TEB, be32(octets, at) & 0x3FF, E_ERSPAN, 0
    if ethertype == ETHERTYPE_ERSPAN_3:
        if end - at < 12:
            return at, 0, 0, 0, O_HEADER_CUT
        session = be32(octets, at) & 0x3FF
        at += 20 if u8(octets, at + 11) & 1 else 12  # with or without the platform's own header
        return min(at, end), ETHERTYPE_TEB, session, E_ERSPAN, 0
    if flags & 0x4000:  # source routing: nobody knows its length
        return at, 0, key, E_GRE, 0
    return at, ethertype, key, E_GRE, 0


@kernel
def inner_fits(octets, at, end, stop, ethertype):
    """Whether what follows a tunnel header ends where the datagram does: an IP packet, or an Ethernet frame with one."""
    if ethertype == ETHERTYPE_IPV4 or ethertype == ETHERTYPE_IPV6:
        return fits_exactly(octets, at, end, stop)
    if ethertype != ETHERTYPE_TEB or end - at < 18:
        return 0
    inner = be16(octets, at + 12)
    if inner == ETHERTYPE_IPV4 or inner == ETHERTYPE_IPV6:
        return fits_exactly(octets, at + 14, end, stop)
    return 0


@kernel
def vxlan_header(octets, at, end, stop, known):
    """VXLAN (RFC 7348) and its group policy extension: the reserved bits are zero and the VNI is there."""
    if end - at < 8:
        return at, 0, 0, 0, 0
    if u8(octets, at) & 0x77 or not u8(octets, at) & 0x08 or u8(octets, at + 1) & 0xB7 or u8(octets, at + 7):
        return at, 0, 0, 0, 0
    if not known and (u8(octets, at) != 0x08 or not inner_fits(octets, at + 8, end, stop, ETHERTYPE_TEB)):
        return at, 0, 0, 0, 0
    return at + 8, ETHERTYPE_TEB, be32(octets, at + 4) >> 8, E_VXLAN, 0


@kernel
def gpe_header(octets, at):
    """VXLAN with an extension for other protocols than Ethernet (draft-ietf-nvo3-vxlan-gpe section 3.1)."""
    flags = u8(octets, at)
    if flags & (GPE_VERSION | GPE_OAM) or not flags & GPE_PROTOCOL or be16(octets, at + 1) or u8(octets, at + 7):
        return at, 0, 0, 0, 0
    follows = u8(octets, at + 3)
    ethertype = 0
    if follows == 1:
        ethertype = ETHERTYPE_IPV4
    elif follows == 2:
        ethertype = ETHERTYPE_IPV6
    elif follows == 3:
        ethertype = ETHERTYPE_TEB
    elif follows == 4:
        ethertype = ETHERTYPE_NSH
    elif follows == 5:
        ethertype = ETHERTYPE_MPLS
    return at + 8, ethertype, be32(octets, at + 4) >> 8, E_VXLAN, 0


@kernel
def mpls_in_udp(octets, at, end, stop):
    """MPLS in UDP (RFC 7510), where what is below the bottom of its label stack fits the datagram to the octet."""
    inner = at
    for _ in range(MAX_LABELS):
        if end - inner < 4:
            break
        bottom = u8(octets, inner + 2) & 1
        inner += 4
        if bottom:
            inner, ethertype, _ = mpls_payload(octets, inner, end)
            return at, ETHERTYPE_MPLS, 0, (E_MPLS_UDP if inner_fits(octets, inner, end, stop, ethertype) else 0), 0
    return at, 0, 0, 0, 0


@kernel
def geneve_header(octets, at, end, stop, known):
    """Geneve (RFC 8926) with its options passed over."""
    if end - at < 8 or u8(octets, at) >> 6 or u8(octets, at + 1) & 0x3F or u8(octets, at + 7):
        return at, 0, 0, 0, 0
    size = 8 + 4 * (u8(octets, at) & 0x3F)
    ethertype = be16(octets, at + 2)
    if end - at < size:
        return at, 0, 0, 0, (O_HEADER_CUT if known else 0)
    if not known and not inner_fits(octets, at + size, end, stop, ethertype):
        return at, 0, 0, 0, 0
    return at + size, ethertype, be32(octets, at + 4) >> 8, E_GENEVE, 0


@kernel
def gtpu_header(octets, at, end):
    """GTP-U user data (3GPP TS 29.281 section 5): version 1, message 255, an IP packet inside."""
    if end - at < 8 or u8(octets, at) >> 4 != 3 or u8(octets, at + 1) != GTPU_DATA:
        return at, 0, 0, 0, 0
    flags, teid = u8(octets, at) & 7, be32(octets, at + 4)
    at += 8
    if flags:
        if end - at < 4:
            return at, 0, 0, 0, O_HEADER_CUT
        following = u8(octets, at + 3) if flags & 4 else 0
        at += 4
        for _ in range(MAX_GTPU_EXTENSIONS):
            if following == 0:
                break
            size = 4 * u8(octets, at) if at < end else 0
            if size == 0 or end - at < size:
                return at, 0, 0, 0, O_HEADER_CUT
            following = u8(octets, at + size - 1)
            at += size
        if following:
            return at, 0, 0, 0, O_MANY
    ethertype, _ = by_version(octets, at, end)
    return at, ethertype, teid, E_GTPU, 0


@kernel
def l2tp_header(octets, at, end):
    """L2TP's data messages (RFC 2661 section 3.1): version 2, with PPP inside; tunnel and session are the identifier."""
    flags = be16(octets, at)
    if flags & L2TP_CONTROL or flags & 0x000F != 2:
        return at, 0, 0, 0, 0
    size = 8 if flags & L2TP_LENGTH else 6
    identifier = be32(octets, at + size - 4) if end - at >= size else 0
    if flags & L2TP_SEQUENCE:
        size += 4
    if flags & L2TP_OFFSET:
        size += 2 + be16(octets, at + size) if end - at >= size + 2 else 2
    if end - at < size:
        return at, 0, 0, 0, O_HEADER_CUT
    return at + size, ETHERTYPE_PPP, identifier, E_L2TP, 0


@kernel
def teredo_header(octets, at, end, stop):
    """Teredo (RFC 4380) on any port: IPv6 that fits the datagram, from or to an address of Teredo's, perhaps behind an origin."""
    if be16(octets, at) == 0:
        at += TEREDO_ORIGIN
    if end - at < 40 or u8(octets, at) >> 4 != 6 or not fits_exactly(octets, at, end, stop):
        return at, 0, 0, 0, 0
    if be32(octets, at + 8) != TEREDO_PREFIX and be32(octets, at + 24) != TEREDO_PREFIX:
        return at, 0, 0, 0, 0
    return at, ETHERTYPE_IPV6, 0, E_TEREDO, 0


@kernel
def udp_tunnel(octets, at, end, stop, source_port, destination_port):
    """The tunnel whose header begins a datagram's payload at `at`, if there is one; the datagram ends at `stop` on the wire."""
    if end - at < 8:
        return at, 0, 0, 0, 0
    if destination_port == PORT_GTPU or source_port == PORT_GTPU:
        return gtpu_header(octets, at, end)
    if destination_port == PORT_GENEVE and be16(octets, at + 2):  # else it names no protocol, and is another tunnel
        return geneve_header(octets, at, end, stop, 1)
    if destination_port == PORT_VXLAN or destination_port == PORT_VXLAN_LINUX:
        return vxlan_header(octets, at, end, stop, 1)
    if destination_port == PORT_VXLAN_GPE:
        return gpe_header(octets, at)
    if destination_port == PORT_MPLS:
        return mpls_in_udp(octets, at, end, stop)
    if destination_port == PORT_L2TP or source_port == PORT_L2TP:
        return l2tp_header(octets, at, end)
    if u8(octets, at) == 0x08:
        return vxlan_header(octets, at, end, stop, 0)
    if u8(octets, at) >> 4 == 6 or be16(octets, at) == 0:
        found = teredo_header(octets, at, end, stop)
        if found[3]:
            return found
    if u8(octets, at) >> 6 == 0 and u8(octets, at + 7) == 0 and u8(octets, at + 2) in (0x65, 0x08, 0x86):
        return geneve_header(octets, at, end, stop, 0)
    return at, 0, 0, 0, 0


@kernel
def is_sealed(octets, at, end, stop, source_port, destination_port):
    """Whether a datagram is WireGuard, or ESP in UDP (RFC 3948): nothing can be read inside.

    WireGuard is told by a message type of 1 to 4 with three zero octets behind it, and the length that the type has.
    """
    if destination_port == PORT_ESP or source_port == PORT_ESP:
        return 1 if end - at >= 8 and be32(octets, at) != 0 else 0
    ports = (
        destination_port == PORT_WIREGUARD
        or source_port == PORT_WIREGUARD
        or destination_port == PORT_WIREGUARD_CILIUM
        or source_port == PORT_WIREGUARD_CILIUM
    )
    if not ports or end - at < 4 or u8(octets, at + 1) or u8(octets, at + 2) or u8(octets, at + 3):
        return 0
    kind, size = u8(octets, at), stop - at
    if kind == 1:
        return 1 if size == 148 else 0
    if kind == 2:
        return 1 if size == 92 else 0
    if kind == 3:
        return 1 if size == 64 else 0
    return 1 if kind == 4 and size >= 32 and size % 16 == 0 else 0
