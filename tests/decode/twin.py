"""The frame decoder again, in slices and dicts, out of the standards that each function names; no kernel is imported.

Slow, and meant to be read beside the standards: from the link inwards here, IP and what it carries in twin_packets.
"""

import struct
from typing import NamedTuple

from tests.decode.twin_links import LLC, MPLS_UDP, TEREDO, by_version, gpe, l2tp, labels, rarer_link, tag
from tests.decode.twin_packets import (
    COLUMNS,
    CUT,
    IP4,
    IP6,
    LAYERS,
    MANY,
    PAYLOAD_CUT,
    Decoded,
    IpPacket,
    Layer,
    Row,
    arp,
    ip_header,
    number,
    payload_of,
)  # fmt: skip
from tests.oracle import Record

VLAN, MPLS, PPPOE, IPIP, GRE, ERSPAN, VXLAN, GENEVE, GTPU = range(1, 10)
ETHERNET = 0x6558
NO_KEY = 2**32 - 1


class Next(NamedTuple):
    """Where a header leads: octets that it takes, the EtherType behind it (0: nothing that is read), what is odd."""

    used: int
    ethertype: int
    oddity: int = 0


def decode_frame(record: Record) -> Decoded:
    """What one frame holds: its innermost packet, and the stack of what is around it."""
    row: Row = dict.fromkeys(COLUMNS, 0) | {"source": b"", "destination": b""}
    octets, wire = record.octets, max(record.original, len(record.octets))
    present, step = _link(record.link_type, octets)
    stack: tuple[Layer, ...] = ()
    found = Decoded(row)
    oddity, headers = 0, 0
    while True:
        octets, wire, oddity, ethertype = octets[step.used :], wire - step.used, oddity | step.oddity, step.ethertype
        headers += 1
        if headers == 25:
            oddity |= MANY
            break
        if ethertype in {IP4, IP6}:
            version = 4 if ethertype == IP4 else 6
            packet, odd = ip_header(version, octets, wire)
            oddity |= odd
            if packet is None:
                break
            payload = octets[packet.payload : packet.stop]
            step, kind, identifier = _tunnel(packet, payload)
            oddity |= step.oddity
            if kind and step.ethertype:
                present |= LAYERS["tunnel"]
                stack += ((kind, identifier, packet.source, packet.destination),)
                inner = _inner(octets[packet.payload + step.used : packet.stop], step.ethertype)
                step = inner._replace(used=packet.payload + step.used + inner.used)
                octets, wire = octets[: packet.stop], packet.stop
                continue
            found, layers, odd = payload_of(row, packet, payload, packet.stop - packet.payload)
            present, oddity = present | layers, oddity | odd | (PAYLOAD_CUT if packet.stop > len(octets) else 0)
        elif ethertype in {0x8100, 0x88A8, 0x9100}:  # IEEE 802.1Q
            if len(octets) < 4:
                oddity |= CUT
                break
            present |= LAYERS["vlan"]
            stack += ((VLAN, number(octets[:2]) % 4096, b"", b""),)
            step = _after(4, _llc(octets[4:], number(octets[2:4])))
            continue
        elif ethertype in {0x8847, 0x8848}:  # RFC 3032
            if len(octets) < 4:
                oddity |= CUT
                break
            label, bottom = number(octets[:3]) >> 4, octets[2] % 2
            stack += ((MPLS, label, b"", b""),)
            step = _after(4, _behind_labels(octets[4:])) if bottom else Next(4, ethertype)
            continue
        elif ethertype == 0x8864:  # RFC 2516
            if len(octets) < 6:
                oddity |= CUT
                break
            _, _, session, length = struct.unpack_from(">2B2H", octets)
            stack += ((PPPOE, session, b"", b""),)
            octets = octets[: 6 + length]
            step = _after(6, _ppp(octets[6:]))
            continue
        elif ethertype == 0x0806:
            layers, odd, neighbour = arp(row, octets)
            present, oddity = present | layers, oddity | odd
            found = Decoded(row, neighbour=neighbour)
        elif ethertype:
            step = _followed(*tag(ethertype, octets), octets)
            oddity |= step.oddity
            if step.ethertype:
                continue
        break
    row["present"], row["oddity"] = present, oddity
    return found._replace(stack=stack)


def _followed(used: int, ethertype: int, oddity: int, octets: bytes) -> Next:
    """A step that may lead to LLC, or to an Ethernet header that is passed as well."""
    if ethertype == LLC:
        return _after(used, _llc(octets[used:], 0))
    return _after(used, _inner(octets[used:], ethertype)) if ethertype else Next(used, 0, oddity)


def _after(used: int, step: Next) -> Next:
    return step._replace(used=used + step.used)


def _link(kind: int, octets: bytes) -> tuple[int, Next]:
    """The link header, by the tcpdump group's registry of link types; with the layers that are then present."""
    size = {1: 14, 113: 16, 276: 20, 0: 4, 108: 4, 104: 4}.get(kind, 0)
    if len(octets) < size:
        return 0, Next(0, 0, CUT)
    rest = octets[size:]
    match kind:
        case 1:
            return LAYERS["eth"], _after(size, _llc(rest, number(octets[12:14])))
        case 12 | 14 | 101 | 228 | 229 | 0 | 108:
            return 0, _after(size, _by_version(rest))
        case 113 | 276:
            protocol = number(octets[14:16] if kind == 113 else octets[:2])
            if number(octets[2:4] if kind == 113 else octets[8:10]) in {770, 803, 824}:  # frame relay, radiotap, netlink
                return 0, Next(size, 0)
            if protocol == 0:
                return 0, _after(size, _by_version(rest))
            return 0, _after(size, _llc(rest, 0) if protocol == 4 else Next(0, protocol))
        case 9 | 50 if octets[:2] in {b"\x0f\0", b"\x8f\0"}:  # RFC 1547 section 4.3.1
            return 0, Next(4, number(octets[2:4])) if len(octets) >= 4 else Next(0, 0, CUT)
        case 9 | 50:
            return 0, _ppp(octets)
        case 51:
            return 0, Next(0, 0x8864)
        case 104:
            return 0, Next(4, number(octets[2:4]))
    used, ethertype, oddity = rarer_link(kind, octets)
    if ethertype >= 0:
        return 0, Next(used, ethertype, oddity)
    return 0, _followed(used, ethertype if ethertype == LLC else -ethertype, 0, octets)


def _by_version(octets: bytes) -> Next:
    return Next(*by_version(octets))


def _llc(octets: bytes, ethertype: int) -> Next:
    """IEEE 802.3: below 0x600 it is a length, and LLC follows (802.2); SNAP has an EtherType behind its OUI (RFC 1042)."""
    if ethertype >= 0x600:
        return Next(0, ethertype)
    if len(octets) < 3:
        return Next(0, 0, CUT)
    if octets[:2] == b"\x06\x06":
        return Next(3, IP4)
    if octets[:2] != b"\xaa\xaa":
        return Next(0, 0)
    return Next(8, number(octets[6:8])) if len(octets) >= 8 else Next(0, 0, CUT)


def _ppp(octets: bytes) -> Next:
    """RFC 1662 section 3.1, and RFC 1661 section 6.5: an odd octet is a whole protocol number."""
    skip = 2 if octets.startswith(b"\xff\x03") else 0
    field = octets[skip : skip + 2]
    if field and field[0] % 2:
        field = field[:1]
    elif len(field) < 2:
        return Next(skip, 0, CUT)
    return Next(skip + len(field), {0x21: IP4, 0x57: IP6, 0x281: 0x8847}.get(number(field), 0))


def _behind_labels(octets: bytes) -> Next:
    """RFC 4928 section 3; RFC 4448 section 4.6 for the control word."""
    if not octets:
        return Next(0, 0, CUT)
    nibble = octets[0] >> 4
    if nibble == 0:
        return _after(4, _inner(octets[4:], ETHERNET)) if len(octets) >= 4 else Next(0, 0, CUT)
    return Next(0, {4: IP4, 6: IP6}.get(nibble, 0))


def _inner(octets: bytes, ethertype: int) -> Next:
    """Past the link header of a frame that a tunnel carries."""
    if ethertype == ETHERNET:
        return _after(14, _llc(octets[14:], number(octets[12:14]))) if len(octets) >= 14 else Next(0, 0, CUT)
    return _ppp(octets) if ethertype == 0x880B else Next(0, ethertype)


def _tunnel(packet: IpPacket, octets: bytes) -> tuple[Next, int, int]:
    """(past the tunnel's header, kind, identifier) where a packet's payload is a tunnel; kind 0 where not."""
    nothing = Next(0, 0), 0, 0
    if packet.fragment:
        return nothing
    match packet.protocol:
        case 4:
            return Next(0, IP4), IPIP, 0
        case 41:
            return Next(0, IP6), IPIP, 0
        case 47:
            return _gre(octets)
        case 17 if len(octets) >= 16:
            source, destination = struct.unpack_from(">2H", octets)
            step, kind, identifier = _udp_tunnel(source, destination, octets[8:], packet.stop - packet.payload - 8)
            return _after(8, step), kind, identifier
    return nothing


def _gre(octets: bytes) -> tuple[Next, int, int]:
    """RFC 2784 and 2890, RFC 2637 for version 1; draft-foschiano-erspan sections 4.1 to 4.3."""
    cut = Next(0, 0, CUT), 0, 0
    if len(octets) < 4:
        return cut
    flags, ethertype = struct.unpack_from(">2H", octets)
    version = flags % 8
    checksum, routing, key, sequence = (bool(flags >> bit & 1) for bit in (15, 14, 13, 12))
    if version > 1:
        return Next(0, 0), 0, 0
    used = 4 + 4 * (checksum or routing)
    keyed = octets[used : used + 4]
    used += 4 * key + 4 * sequence + 4 * (version == 1 and bool(flags & 0x80))
    if len(octets) < used:
        return cut
    rest = octets[used:]
    if ethertype == 0x88BE:
        if not sequence:
            return Next(used, ETHERNET), ERSPAN, 0
        return (Next(used + 8, ETHERNET), ERSPAN, number(rest[2:4]) % 1024) if len(rest) >= 8 else cut
    if ethertype == 0x22EB:
        if len(rest) < 12:
            return cut
        size = min(20 if rest[11] % 2 else 12, len(rest))
        return Next(used + size, ETHERNET), ERSPAN, number(rest[2:4]) % 1024
    identifier = number(keyed[2:] if version else keyed) if key else NO_KEY
    return Next(used, 0 if routing else ethertype), GRE, identifier


def _udp_tunnel(source: int, destination: int, octets: bytes, wire: int) -> tuple[Next, int, int]:
    nothing = Next(0, 0), 0, 0
    if 2152 in {source, destination}:
        return _gtpu(octets)
    if destination == 6081 and octets[2:4] != bytes(2):
        return _geneve(octets, wire, known=True)
    if destination in {4789, 8472}:
        return _vxlan(octets) if octets[0] & 0x77 == 0 else nothing
    if destination == 4790:
        step, kind, identifier = gpe(octets)
        return Next(*step), kind, identifier
    if destination == 6635:
        return (Next(0, 0x8847), MPLS_UDP, 0) if _labelled(octets, wire) else nothing
    if 1701 in {source, destination}:
        step, kind, identifier = l2tp(octets)
        return Next(*step), kind, identifier
    if octets[0] == 8:
        found = _vxlan(octets)
        return found if found[1] and _fits_in(octets[8:], wire - 8, ETHERNET) else nothing
    origin = 0 if octets[:2] != bytes(2) else 8  # RFC 4380 sections 2.6 and 5.1.1
    inside = octets[origin:]
    if len(inside) >= 40 and _fits_in(inside, wire - origin, IP6) and b"\x20\1\0\0" in {inside[8:12], inside[24:28]}:
        return Next(origin, IP6), TEREDO, 0
    if octets[0] < 64 and octets[7] == 0 and octets[2] in {0x65, 0x08, 0x86}:
        return _geneve(octets, wire, known=False)
    return nothing


def _labelled(octets: bytes, wire: int) -> bool:
    """RFC 7510, proved by what is below the labels."""
    used = labels(octets)
    if used is None:
        return False
    nibble = octets[used] >> 4 if len(octets) > used else 15
    if nibble == 0:
        return _fits_in(octets[used + 4 :], wire - used - 4, ETHERNET)
    return _fits_in(octets[used:], wire - used, {4: IP4, 6: IP6}.get(nibble, 0))


def _vxlan(octets: bytes) -> tuple[Next, int, int]:
    """RFC 7348 section 5; draft-smith-vxlan-group-policy section 2.1: G, D and A may be set."""
    flags, _, vni, reserved = octets[0], octets[1], number(octets[4:7]), octets[7]
    if not flags & 8 or octets[1] & ~0x48 or reserved:
        return Next(0, 0), 0, 0
    return Next(8, ETHERNET), VXLAN, vni


def _geneve(octets: bytes, wire: int, *, known: bool) -> tuple[Next, int, int]:
    """RFC 8926 section 3.4: version 0, the length of the options in words."""
    first, control, ethertype, last = struct.unpack_from(">2BH3xB", octets)
    used = 8 + 4 * (first % 64)
    if first >= 64 or control % 64 or last:
        return Next(0, 0), 0, 0
    if len(octets) < used:
        return Next(0, 0, CUT if known else 0), 0, 0
    if not known and not _fits_in(octets[used:], wire - used, ethertype):
        return Next(0, 0), 0, 0
    return Next(used, ethertype), GENEVE, number(octets[4:7])


def _fits_in(octets: bytes, wire: int, ethertype: int) -> bool:
    """Whether an IP packet fills what a tunnel carries to the octet."""
    if ethertype == ETHERNET and len(octets) >= 18:
        ethertype, octets, wire = number(octets[12:14]), octets[14:], wire - 14
    if ethertype not in {IP4, IP6} or len(octets) < 20:
        return False
    version, header = octets[0] >> 4, octets[0] % 16 * 4
    if version == 4:
        words = octets[:header]
        if header < 20 or len(words) < header or number(octets[2:4]) != wire:
            return False
        checksum = sum(struct.unpack(f">{header // 2}H", words)) % 0xFFFF  # RFC 1071: 0xFFFF is 0 in ones' complement
        return octets[10:12] == bytes(2) or (checksum == 0 and any(words))
    return version == 6 and len(octets) >= 40 and 40 + number(octets[4:6]) == wire and octets[8:12] != bytes(4)


def _gtpu(octets: bytes) -> tuple[Next, int, int]:
    """3GPP TS 29.281 sections 5.1 and 5.2: a G-PDU of version 1, and its extension headers."""
    if octets[0] >> 4 != 0b0011 or octets[1] != 255:
        return Next(0, 0), 0, 0
    used = 8
    if octets[0] % 8:
        if len(octets) < 12:
            return Next(0, 0, CUT), 0, 0
        following, used = octets[11] if octets[0] & 4 else 0, 12
        for _ in range(8):
            if not following:
                break
            words = octets[used] if used < len(octets) else 0
            if not words or len(octets) < used + 4 * words:
                return Next(0, 0, CUT), 0, 0
            used += 4 * words
            following = octets[used - 1]
        if following:
            return Next(0, 0, MANY), 0, 0
    return Next(used, _by_version(octets[used:]).ethertype), GTPU, number(octets[4:8])
