"""Frames built anew: the headers that decoding reads are copied with their addresses replaced, all else is zeros.

The walk over the headers is decoding's own (mixcni.decode.kernel): what it finds a header in is what decoding will find one in.
Every length stays. Checksums are made right for what is there now: of a whole packet without its payload, that is zeros; where
a fragment's cannot be known it is 0. A wrong checksum in the original is therefore not seen any more.
"""

from collections.abc import Callable
from typing import Final

from mixcni.anonymise.checksums import checksum, pseudo_header
from mixcni.decode.kernel.frames import MAX_HEADERS, inner_header, ip_tunnel
from mixcni.decode.kernel.ip import ipv4_header, ipv6_header
from mixcni.decode.kernel.link import llc_header, mpls_payload, ppp_header
from mixcni.decode.kernel.linktypes import link_header
from mixcni.decode.kernel.numbers import (
    E_TEREDO,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    ETHERTYPE_MPLS_UPSTREAM,
    ETHERTYPE_PPPOE,
    ETHERTYPE_QINQ,
    ETHERTYPE_QINQ_OLD,
    ETHERTYPE_TEB,
    ETHERTYPE_VLAN,
    L_FRAGMENT,
    L_LATER_FRAGMENT,
    LINK_BROADCOM_PREPENDED,
    LINK_BROADCOM_TAG,
    LINK_CISCO_HDLC,
    LINK_DSA,
    LINK_EDSA,
    LINK_ETHERNET,
    LINK_IPNET,
    LINK_IPV4,
    LINK_IPV6,
    LINK_LOOP,
    LINK_NULL,
    LINK_PPP,
    LINK_PPP_SERIAL,
    LINK_PPPOE,
    LINK_RAW,
    LINK_RAW_BSD,
    LINK_RAW_OPENBSD,
    LINK_SLL,
    LINK_SLL2,
    ND_ADVERTISEMENT,
    ND_SOLICITATION,
    PORT_ESP,
    PROTO_AH,
    PROTO_DSTOPTS,
    PROTO_ESP,
    PROTO_FRAGMENT,
    PROTO_GRE,
    PROTO_HOPOPT,
    PROTO_ICMP,
    PROTO_ICMPV6,
    PROTO_MOBILITY,
    PROTO_ROUTING,
    PROTO_TCP,
    PROTO_UDP,
)
from mixcni.decode.kernel.transport import is_error
from mixcni.kernels.byteorder import be16

ICMP_REDIRECT, ND_REDIRECT = 5, 137
KEPT_LINKS: Final = {
    LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_RAW_BSD, LINK_RAW_OPENBSD, LINK_PPP_SERIAL, LINK_PPPOE, LINK_RAW, LINK_CISCO_HDLC,
    LINK_LOOP, LINK_SLL, LINK_IPNET, LINK_IPV4, LINK_IPV6, LINK_SLL2, LINK_BROADCOM_TAG, LINK_BROADCOM_PREPENDED, LINK_DSA,
    LINK_EDSA,
}  # fmt: skip
"""Link types in whose headers all addresses are known; frames of others become zeros."""
MACS_AT: Final = {LINK_ETHERNET: 0, LINK_BROADCOM_TAG: 0, LINK_BROADCOM_PREPENDED: 4, LINK_DSA: 0, LINK_EDSA: 0}
"""Where a frame has its receiver's hardware address, with its sender's behind it."""
KNOWN_TCP_OPTIONS: Final = {2: 4, 3: 3, 4: 2, 5: 0, 8: 10}  # kept as they are, by kind; 0: of any length (RFC 2018)
SEALED_HEAD: Final = 8  # octets: SPI and sequence number of ESP, type and receiver of WireGuard

MapOctets = Callable[[bytes], bytes]


class FrameMask:
    """Frames with their addresses replaced and their payload removed.

    Parameters
    ----------
    address : maps an address of 4 or 16 octets
    mac : maps a hardware address of 6 octets
    """

    def __init__(self, address: MapOctets, mac: MapOctets) -> None:
        self._address, self._mac = address, mac

    def frame(self, octets: bytes, link_type: int, original_length: int) -> bytes:
        """The frame as it may leave the house, as long as it was.

        Parameters
        ----------
        octets : as captured
        link_type : LINKTYPE_ number
        original_length : octets on the wire
        """
        return bytes(_Walk(self._address, self._mac, octets).walk(link_type, max(original_length, len(octets))))


class _Walk:
    """One frame on its way from the outside in."""

    def __init__(self, address: MapOctets, mac: MapOctets, octets: bytes) -> None:
        self.map_address, self.map_mac = address, mac
        self.source = octets
        self.out = bytearray(len(octets))
        self.sums: list[Callable[[], None]] = []  # run from the inside out: an outer sum is over the inner packet

    def walk(self, link_type: int, wire_end: int) -> bytearray:
        source, end = self.source, len(self.source)
        if link_type not in KEPT_LINKS:
            return self.out
        at, ethertype, _, _ = link_header(source, 0, end, link_type)
        self._link(link_type, at)
        for _ in range(MAX_HEADERS):
            begin = at
            if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
                inside = self._ip(at, end, wire_end, ethertype)
                if inside is None:
                    break
                at, ethertype, end, wire_end = inside
            elif ethertype in (ETHERTYPE_VLAN, ETHERTYPE_QINQ, ETHERTYPE_QINQ_OLD) and end - at >= 4:
                at, ethertype, _ = llc_header(source, at + 4, end, be16(source, at + 2))
                self._keep(begin, at)
            elif ethertype in (ETHERTYPE_MPLS, ETHERTYPE_MPLS_UPSTREAM) and end - at >= 4:
                at += 4
                self._keep(begin, at)
                if source[begin + 2] & 1:
                    at, ethertype, _ = mpls_payload(source, at, end)
                    self._keep(begin, at)
                    at, ethertype = self._inner(at, end, ethertype)
            elif ethertype == ETHERTYPE_PPPOE and end - at >= 6:
                end = min(end, at + 6 + be16(source, at + 4))
                at, ethertype, _ = ppp_header(source, at + 6, end)
                self._keep(begin, at)
            else:
                if ethertype == ETHERTYPE_ARP:
                    self._arp(at, end)
                break
        for recompute in reversed(self.sums):
            recompute()
        return self.out

    def _keep(self, begin: int, end: int) -> None:
        end = min(end, len(self.source))
        self.out[begin:end] = self.source[begin:end]

    def _put_address(self, at: int, size: int) -> None:
        self.out[at : at + size] = self.map_address(self.source[at : at + size])

    def _put_mac(self, at: int) -> None:
        self.out[at : at + 6] = self.map_mac(self.source[at : at + 6])

    def _put_sum(self, at: int, value: int) -> None:
        self.out[at : at + 2] = value.to_bytes(2, "big")

    def _link(self, link_type: int, at: int) -> None:
        """The link header, which ends at `at`; what it says of hardware is replaced."""
        self._keep(0, at)
        if link_type in MACS_AT and at >= MACS_AT[link_type] + 12:
            self._put_mac(MACS_AT[link_type])
            self._put_mac(MACS_AT[link_type] + 6)
        elif link_type in (LINK_SLL, LINK_SLL2) and at >= 16:
            size_at, address_at = (4, 6) if link_type == LINK_SLL else (11, 12)
            size = be16(self.source, 4) if link_type == LINK_SLL else self.source[size_at]
            self.out[address_at : address_at + 8] = bytes(8)
            if size == 6:
                self._put_mac(address_at)
            elif size == 4:  # of a tunnel device: its own IPv4 address
                self._put_address(address_at, 4)

    def _inner(self, at: int, end: int, ethertype: int) -> tuple[int, int]:
        """Past the Ethernet or PPP header that a tunnel carries."""
        begin = at
        at, inside, _ = inner_header(self.source, at, end, ethertype)
        if at > begin:
            self._keep(begin, at)
            if ethertype == ETHERTYPE_TEB:
                self._put_mac(begin)
                self._put_mac(begin + 6)
        return at, inside

    def _ip(self, at: int, end: int, wire_end: int, ethertype: int) -> tuple[int, int, int, int] | None:
        """An IP packet; where it is a tunnel (next octet, EtherType, end, end on the wire) of what is inside."""
        source = self.source
        if ethertype == ETHERTYPE_IPV4:
            payload, stop, protocol, layers, _ = ipv4_header(source, at, end, wire_end)
            whole, size = end - at >= 20, 4
        else:
            payload, stop, protocol, layers, _, _ = ipv6_header(source, at, end, wire_end)
            whole, size = end - at >= 40, 16
        self._ip_header(at, min(payload, end), whole=whole, size=size)
        if not layers:
            return None
        limit = min(end, stop)
        if protocol != PROTO_TCP and not layers & L_FRAGMENT:
            inner, inner_type, _, kind, odd = ip_tunnel(source, payload, limit, stop, protocol)
            if kind and inner_type and kind != E_TEREDO:  # what precedes its packets holds addresses, and theirs hold others
                self._tunnel(at, payload, inner, stop, protocol, size)
                at, ethertype = self._inner(inner, limit, inner_type)
                return at, ethertype, limit, stop
            if odd:  # a tunnel's header that is cut: as much of it as says so
                first = payload + (8 if protocol == PROTO_UDP else 0)
                self._keep(first, min(first + 8, limit))
        if not layers & L_LATER_FRAGMENT:
            self._payload(at, payload, limit, stop, protocol, size, is_fragment=bool(layers & L_FRAGMENT))
        return None

    def _ip_header(self, at: int, payload: int, *, whole: bool, size: int) -> None:
        addresses = at + (12 if size == 4 else 8)
        self._keep(at, min(addresses, len(self.source)))
        if not whole:
            return
        self._put_address(addresses, size)
        self._put_address(addresses + size, size)
        if size == 4:
            self._ip_options(at + 20, payload)
            if be16(self.source, at + 10):  # 0: left to the hardware
                self.sums.append(lambda: self._header_sum(at, max(payload, at + 20)))
        else:
            self._extensions(at, payload)

    def _header_sum(self, at: int, end: int) -> None:
        self._put_sum(at + 10, 0)
        self._put_sum(at + 10, checksum(self.out[at:end]))

    def _ip_options(self, at: int, end: int) -> None:
        """Kinds and lengths of IPv4 options (RFC 791 section 3.1); what routes they hold is zeros."""
        while at < end:
            self._keep(at, at + 1)
            if self.source[at] <= 1:
                at += 1
                continue
            length = self.source[at + 1] if at + 1 < end else 0
            self._keep(at + 1, min(at + 2, end))
            if length < 2:
                return
            at += length

    def _extensions(self, at: int, payload: int) -> None:
        """Lengths of IPv6's extension headers (RFC 8200 section 4), and fragment headers; options are zeros, that is Pad1."""
        kind, at = self.source[at + 6], at + 40
        while at + 2 <= payload and kind in (
            PROTO_HOPOPT, PROTO_ROUTING, PROTO_DSTOPTS, PROTO_MOBILITY, PROTO_FRAGMENT, PROTO_AH,
        ):  # fmt: skip
            kept, length = 2, 8 + 8 * self.source[at + 1]
            if kind == PROTO_FRAGMENT:
                kept = length = 8
            elif kind == PROTO_AH:
                kept, length = 12, 8 + 4 * self.source[at + 1]
            elif kind == PROTO_ROUTING:
                kept = 4
            self._keep(at, min(at + kept, payload))
            kind, at = self.source[at], at + length

    def _tunnel(self, at: int, payload: int, inner: int, stop: int, protocol: int, size: int) -> None:
        """A tunnel's own header, which ends at `inner`; Geneve's options are zeros."""
        first = payload + (8 if protocol == PROTO_UDP else 0)
        is_geneve = protocol == PROTO_UDP and inner - first > 8 and self.source[first] >> 6 == 0
        self._keep(payload, first + 8 if is_geneve else inner)
        if protocol == PROTO_UDP:
            self._transport_sum(at, payload, payload + 6, stop, protocol, size, optional=True)
        elif protocol == PROTO_GRE and self.source[payload] & 0x80:
            self.sums.append(lambda: self._plain_sum(payload, payload + 4, stop))

    def _payload(self, at: int, payload: int, limit: int, stop: int, protocol: int, size: int, *, is_fragment: bool) -> None:
        """What an IP packet carries: the headers of TCP, UDP and ICMP; SPI and number of what is sealed."""
        room = limit - payload
        if protocol == PROTO_TCP and room >= 20:
            self._keep(payload, payload + 20)
            header = (self.source[payload + 12] >> 4) * 4
            self._tcp_options(payload + 20, min(payload + header, limit))
            self._sum_of_transport(at, payload, payload + 16, stop, protocol, size, is_fragment=is_fragment)
        elif protocol == PROTO_UDP and room >= 8:
            sealed = PORT_ESP in (be16(self.source, payload), be16(self.source, payload + 2))
            self._keep(payload, payload + 8)
            if sealed:
                self._keep(payload + 8, min(payload + 8 + SEALED_HEAD, limit))
            elif self._is_wireguard(payload + 8, limit):
                self._keep(payload + 8, payload + 12)
            self._sum_of_transport(at, payload, payload + 6, stop, protocol, size, is_fragment=is_fragment)
        elif (protocol, size) in ((PROTO_ICMP, 4), (PROTO_ICMPV6, 16)) and room >= 8:
            self._icmp(payload, limit, 4 if size == 4 else 6)
            if is_fragment:
                self._put_sum(payload + 2, 0)
            elif size == 4:
                self.sums.append(lambda: self._plain_sum(payload, payload + 2, stop))
            else:
                self._transport_sum(at, payload, payload + 2, stop, protocol, size)
        elif protocol == PROTO_ESP:
            self._keep(payload, min(payload + SEALED_HEAD, limit))

    def _is_wireguard(self, at: int, limit: int) -> bool:
        """A message type with three zero octets behind it; it names nobody, whatever it is."""
        return limit - at >= 4 and 1 <= self.source[at] <= 4 and not any(self.source[at + 1 : at + 4])

    def _sum_of_transport(
        self, at: int, payload: int, sum_at: int, stop: int, protocol: int, size: int, *, is_fragment: bool
    ) -> None:
        if is_fragment:
            self._put_sum(sum_at, 0)
        else:
            self._transport_sum(at, payload, sum_at, stop, protocol, size, optional=protocol == PROTO_UDP)

    def _transport_sum(
        self, at: int, payload: int, sum_at: int, stop: int, protocol: int, size: int, *, optional: bool = False
    ) -> None:
        """The sum of a whole packet; octets that were not captured count as the zeros that the payload is now."""
        if optional and not be16(self.source, sum_at):  # UDP without one (RFC 768)
            return
        addresses = at + (12 if size == 4 else 8)

        def recompute() -> None:
            self._put_sum(sum_at, 0)
            ends = bytes(self.out[addresses : addresses + size]), bytes(self.out[addresses + size : addresses + 2 * size])
            value = checksum(pseudo_header(*ends, protocol, stop - payload) + self.out[payload : min(stop, len(self.out))])
            self._put_sum(sum_at, value or (0xFFFF if optional else 0))

        self.sums.append(recompute)

    def _plain_sum(self, begin: int, sum_at: int, stop: int) -> None:
        self._put_sum(sum_at, 0)
        self._put_sum(sum_at, checksum(self.out[begin : min(stop, len(self.out))]))

    def _tcp_options(self, at: int, end: int) -> None:
        """MSS, window scale, SACK and timestamps as they are; of others kind and length."""
        while at < end:
            kind = self.source[at]
            self._keep(at, at + 1)
            if kind <= 1:
                at += 1
                if kind == 0:
                    return
                continue
            length = self.source[at + 1] if at + 1 < end else 0
            self._keep(at + 1, min(at + 2, end))
            if length < 2:
                return
            if KNOWN_TCP_OPTIONS.get(kind) in (0, length):
                self._keep(at, min(at + length, end))
            at += length

    def _icmp(self, at: int, limit: int, version: int) -> None:
        kind = self.source[at]
        self._keep(at, at + 8)
        if version == 4 and kind == ICMP_REDIRECT:
            self._put_address(at + 4, 4)
        if is_error(version, kind):
            self._quote(at + 8, limit)
        elif version == 6 and kind in (ND_SOLICITATION, ND_ADVERTISEMENT, ND_REDIRECT) and limit - at >= 24:
            self._put_address(at + 8, 16)
            if kind == ND_REDIRECT and limit - at >= 40:
                self._put_address(at + 24, 16)
            self._nd_options(at + (40 if kind == ND_REDIRECT else 24), limit)

    def _nd_options(self, at: int, limit: int) -> None:
        """Link-layer addresses of neighbour discovery (RFC 4861 section 4.6.1); of other options type and length."""
        while limit - at >= 8 and self.source[at + 1]:
            self._keep(at, at + 2)
            if self.source[at] in (1, 2) and self.source[at + 1] == 1:
                self._put_mac(at + 2)
            at += 8 * self.source[at + 1]

    def _quote(self, at: int, limit: int) -> None:
        """The packet that an ICMP error quotes: its IP header, and of what it carries the ports and the sequence number."""
        if at >= limit:
            return
        if self.source[at] >> 4 == 4:
            payload, _, protocol, layers, _ = ipv4_header(self.source, at, limit, limit)
            whole, size = limit - at >= 20, 4
        else:
            payload, _, protocol, layers, _, _ = ipv6_header(self.source, at, limit, limit)
            whole, size = limit - at >= 40, 16
        self._ip_header(at, min(payload, limit), whole=whole, size=size)
        if layers and not layers & L_LATER_FRAGMENT and protocol in (PROTO_TCP, PROTO_UDP) and limit - payload >= 8:
            self._keep(payload, payload + 8)

    def _arp(self, at: int, end: int) -> None:
        """Both ends of Ethernet's ARP for IPv4 (RFC 826); nothing of any other."""
        if end - at < 28:
            return
        self._keep(at, at + 8)
        if be16(self.source, at + 2) == ETHERTYPE_IPV4 and self.source[at + 4 : at + 6] == b"\x06\x04":
            for begin in (at + 8, at + 18):
                self._put_mac(begin)
                self._put_address(begin + 6, 4)
