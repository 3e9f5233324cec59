"""The twin's rarer link types, tags and UDP tunnels, out of the documents that each function names; no kernel is imported."""

import struct

from tests.decode.twin_packets import BAD_HEADER, BAD_LINK, CUT, IP4, IP6, number

Step = tuple[int, int, int]
"""Octets that a header takes, the EtherType behind it, what is odd.

An EtherType of LLC stands for LLC that follows; behind a link type, that of Ethernet or PPP is negative where a header follows.
"""
LLC, ETHERNET, PPP = -1, 0x6558, 0x880B
VXLAN, L2TP, TEREDO, MPLS_UDP = 7, 10, 11, 12


def by_version(octets: bytes) -> Step:
    """An IP packet by the first nibble."""
    if not octets:
        return 0, 0, CUT
    ethertype = {4: IP4, 6: IP6}.get(octets[0] >> 4, 0)
    return 0, ethertype, 0 if ethertype else BAD_HEADER


def rarer_link(kind: int, octets: bytes) -> Step:
    """OpenBSD's pf and enc, netfilter's log, IP over InfiniBand, and so on (tcpdump.org/linktypes), IEEE 802.11."""
    match kind:
        case 109 | 117:
            size = 12 if kind == 109 else -(-octets[0] // 4) * 4 if octets else 12
            return _behind(size, octets) if len(octets) >= size else (0, 0, CUT)
        case 239:
            return _netfilter(octets)
        case 242:
            return (44, number(octets[40:42]), 0) if len(octets) >= 44 else (0, 0, CUT)
        case 105 | 119 | 127 | 163 | 192:
            return _wireless(kind, octets)
        case 107:
            return _frame_relay(octets)
        case 206:
            return _after(min(1, len(octets)), _frame_relay(octets[1:]))
        case 226:
            return _behind(24, octets) if len(octets) >= 24 else (0, 0, CUT)
        case 167 | 178 | 179 | 180 | 181:
            return _juniper(kind, octets)
        case 281 | 284 | 285:
            return _typed(22 if kind == 285 else 18, octets)
        case 282:
            return min(4, len(octets)), -ETHERNET, 0
    return 0, 0, BAD_LINK


def _after(size: int, step: Step) -> Step:
    return size + step[0], *step[1:]


def _typed(size: int, octets: bytes) -> Step:
    """A header that ends with an EtherType, or a length."""
    if len(octets) < size:
        return 0, 0, CUT
    ethertype = number(octets[size - 2 : size])
    return size, ethertype if ethertype >= 0x600 else LLC, 0


def _frame_relay(octets: bytes) -> Step:
    """Q.922 section 3.2.1, RFC 2427 sections 3 and 4, RFC 1973 for PPP; else Cisco's."""
    address = next((size for size in (2, 3, 4) if octets[size - 1 : size] and octets[size - 1] % 2), min(len(octets) + 1, 4))
    if len(octets) < address + 2:
        return 0, 0, CUT
    if octets[0] % 2 or not octets[address - 1] % 2:
        return 0, 0, BAD_HEADER
    rest = octets[address:]
    if rest[0] != 3:
        return address + 2, number(rest[:2]), 0
    used = address + (1 if rest[1] else 2)
    if used >= len(octets):
        return used, 0, CUT
    rest = octets[used + 1 :]
    match octets[used]:
        case 0x80 if len(rest) < 5:
            return used + 1, 0, CUT
        case 0x80 if rest[:3] == bytes(3):
            return used + 6, number(rest[3:5]), 0
        case 0x80:
            return used + 6, -ETHERNET if rest[:5] in {b"\0\x80\xc2\0\1", b"\0\x80\xc2\0\7"} else 0, 0
        case 0xCF:
            return used + 1, -PPP, 0
    return used + 1, {0xCC: IP4, 0x8E: IP6}.get(octets[used], 0), 0


def _juniper(kind: int, octets: bytes) -> Step:
    """tcpdump's print-juniper.c: a magic number, flags, perhaps extensions, and a frame or a bare packet."""
    if len(octets) < 4 or octets[:3] != b"MGC":
        return 0, 0, CUT if len(octets) < 4 else BAD_HEADER
    bare, extended = bool(octets[3] & 2), bool(octets[3] & 0x80)
    if extended and len(octets) < 6:
        return 0, 0, CUT
    used = (6 + number(octets[4:6]) if extended else 4) + 4 * bare
    if len(octets) < used:
        return 0, 0, CUT
    if bare:
        return _behind(used, octets)
    rest = octets[used:]
    if kind == 181:
        return (used + 4, number(rest[2:4]), 0) if len(rest) >= 4 else (used, 0, CUT)
    return _after(used, _frame_relay(rest)) if kind == 180 else (used, -PPP if kind == 179 else -ETHERNET, 0)


def gpe(octets: bytes) -> tuple[Step, int, int]:
    """draft-ietf-nvo3-vxlan-gpe section 3.1: version 0, a protocol, no OAM."""
    if octets[0] & 0x35 != 0x04 or octets[1:3] != bytes(2) or octets[7]:
        return (0, 0, 0), 0, 0
    return (8, {1: IP4, 2: IP6, 3: ETHERNET, 4: 0x894F, 5: 0x8847}.get(octets[3], 0), 0), VXLAN, number(octets[4:7])


def labels(octets: bytes) -> int | None:
    """Octets of a stack of at most eight labels (RFC 3032 section 2.1); None where it does not end."""
    ends = (4 * i + 4 for i in range(8) if len(octets) >= 4 * i + 4 and octets[4 * i + 2] % 2)
    return next(ends, None)


def _behind(size: int, octets: bytes) -> Step:
    used, ethertype, oddity = by_version(octets[size:])
    return size + used, ethertype, oddity


def _netfilter(octets: bytes) -> Step:
    at = 4
    for _ in range(64):
        if len(octets) - at < 4:
            break
        size, kind = struct.unpack_from("<2H", octets, at)
        if kind == 9:
            return _behind(at + 4, octets)
        if size < 4:
            return 0, 0, BAD_HEADER
        at += -(-size // 4) * 4
    return 0, 0, CUT


def _wireless(kind: int, octets: bytes) -> Step:
    """IEEE 802.11 section 9.2.4, behind what radiotap.org, AVS, Prism or PPI say of the radio."""
    size, padded = 0, False
    if kind != 105:
        if len(octets) < 8:
            return 0, 0, CUT
        if kind == 192 and octets[4:8] != b"\x69\0\0\0":
            return 0, 0, BAD_LINK
        if kind in {127, 192}:
            size = int.from_bytes(octets[2:4], "little")
        else:
            size = number(octets[4:8]) if kind == 163 or number(octets[:4]) >> 12 == 0x80211 else 144
        if size == 0 or size > len(octets) or (kind == 127 and size < 8):
            return 0, 0, CUT
        padded = kind == 127 and _padded(octets[:size], octets)
    frame = octets[size:]
    if len(frame) < 24:
        return 0, 0, CUT
    first, second = frame[0], frame[1]
    if first % 16 != 8 or first & 0x40 or second & 0x40:
        return 0, 0, 0
    header = 30 if second % 4 == 3 else 24
    inside = 0
    if first & 0x80:
        if len(frame) < header + 2:
            return 0, 0, CUT
        inside = 14 if frame[header] & 0x80 else 0
        header += 6 if second & 0x80 else 2
    header = (-(-header // 4) * 4 if padded else header) + inside
    return (size + header, LLC, 0) if len(frame) >= header else (0, 0, CUT)


def _padded(header: bytes, octets: bytes) -> bool:
    words = 1
    while octets[4 * words + 3] & 0x80 and 4 * words + 8 <= len(header):
        words += 1
    at = 4 + 4 * words
    if header[4] & 1:
        at = -(-at // 8) * 8 + 8
    return bool(header[4] & 2) and at < len(header) and bool(header[at] & 0x20)


def tag(ethertype: int, octets: bytes) -> Step:
    """VN-Tag and FabricPath (Cisco), E-Tag (IEEE 802.1BR), backbone service tag (IEEE 802.1ah), NSH (RFC 8300 section 2.2)."""
    match ethertype:
        case 0x8926 | 0x893F:
            size = 6 if ethertype == 0x8926 else 8
            if len(octets) < size:
                return 0, 0, CUT
            following = number(octets[size - 2 : size])
            return size, following if following >= 0x600 else LLC, 0
        case 0x88E7 | 0x8903:
            return 4 if ethertype == 0x88E7 else 2, ETHERNET, 0
        case 0x894F:
            size = octets[1] % 64 * 4 if len(octets) >= 8 else 0
            if size < 8 or len(octets) < size:
                return 0, 0, CUT
            return size, {1: IP4, 2: IP6, 3: ETHERNET}.get(octets[3], 0), 0
    return 0, 0, 0


def l2tp(octets: bytes) -> tuple[Step, int, int]:
    """RFC 2661 section 3.1."""
    flags = number(octets[:2])
    if flags & 0x8000 or flags % 16 != 2:
        return (0, 0, 0), 0, 0
    used = 4 if flags & 0x4000 else 2
    identifier = number(octets[used : used + 4])
    used += 4 + 4 * bool(flags & 0x0800)
    if flags & 0x0200:
        used += 2 + (number(octets[used : used + 2]) if len(octets) >= used + 2 else 0)
    return ((used, PPP, 0), L2TP, identifier) if len(octets) >= used else ((0, 0, CUT), 0, 0)
