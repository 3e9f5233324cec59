"""The twin's half for packets: IP headers and what they carry, out of the standards that each function names.

`octets` are what was captured from some header on, `wire` how many there were.
"""

import struct
from typing import Any, NamedTuple

LAYERS = {
    "eth": 0x1, "vlan": 0x2, 4: 0x4, 6: 0x8, "tcp": 0x10, "udp": 0x20, "icmp4": 0x40, "icmp6": 0x80, "arp": 0x100, "later": 0x200,
    "quote": 0x400, "tunnel": 0x800, "fragment": 0x1000, "opaque": 0x2000,
}  # fmt: skip
CUT, PAYLOAD_CUT, BAD_HEADER, BAD_TOTAL, NO_LENGTH, BAD_LINK, MANY, OPTIONS_CUT, BAD_OPTION = (2**i for i in range(9))
IP4, IP6 = 0x0800, 0x86DD
COLUMNS = [
    *("present", "oddity", "source", "destination", "source_port", "destination_port", "protocol", "ttl", "ip_id"),
    *("tcp_flags", "seg_wnd", "seg_seq", "seg_ack", "payload_octets"),
]
Layer = tuple[int, int, bytes, bytes]
Row = dict[str, Any]


class Decoded(NamedTuple):
    """One frame's columns (addresses as 16 octets, empty where there is none), its stack, and what stands beside its row."""

    row: Row
    stack: tuple[Layer, ...] = ()
    quote: Row | None = None
    options: Row | None = None
    timestamps: Row | None = None
    neighbour: Row | None = None


class IpPacket(NamedTuple):
    """An IP header and where its payload lies in the octets that began with it; lengths in octets."""

    version: int
    source: bytes
    destination: bytes
    protocol: int
    ttl: int
    ip_id: int
    payload: int
    stop: int
    later: bool = False
    fragment: bool = False


def number(octets: bytes) -> int:
    """Network byte order (RFC 1700)."""
    return int.from_bytes(octets)


def ip_header(version: int, octets: bytes, wire: int) -> tuple[IpPacket | None, int]:
    """(the header, what is odd about it); None where it is cut or cannot be."""
    size = 20 if version == 4 else 40
    if len(octets) < size:
        return None, CUT
    if octets[0] >> 4 != version:
        return None, BAD_HEADER
    packet, oddity = (_ip4 if version == 4 else _ip6)(octets, wire)
    if packet is not None and packet.stop > wire:
        packet, oddity = packet._replace(stop=wire), oddity | BAD_TOTAL
    return packet, oddity


def _ip4(octets: bytes, wire: int) -> tuple[IpPacket | None, int]:
    """RFC 791 section 3.1."""
    first, _, total, ip_id, fragment, ttl, protocol, _, source, destination = struct.unpack_from(">2B3H2BH4s4s", octets)
    header = first % 16 * 4
    if header < 20:
        return None, BAD_HEADER
    if len(octets) < header:
        return None, CUT
    if 0 < total < header:
        return None, BAD_TOTAL
    mapped = bytes(10) + b"\xff\xff"
    later, more = bool(fragment % 2**13), bool(fragment & 2**13)
    packet = IpPacket(
        4, mapped + source, mapped + destination, protocol, ttl, ip_id, header, total or wire, later, later or more
    )  # fmt: skip
    return packet, 0 if total else NO_LENGTH


def _ip6(octets: bytes, wire: int) -> tuple[IpPacket, int]:
    """RFC 8200 sections 3 and 4; RFC 6946 for atomic fragments."""
    length, protocol, ttl = struct.unpack_from(">H2B", octets, 4)
    oddity, stop = 0, 40 + length
    if length == 0 and protocol != 59:
        oddity, stop = NO_LENGTH, wire
    packet = IpPacket(6, octets[8:24], octets[24:40], protocol, ttl, 0, 40, stop)
    headers = 0
    while packet.protocol in {0, 43, 44, 51, 60, 135} and not packet.later:
        rest = octets[packet.payload :]
        if len(rest) < 8:
            return packet._replace(protocol=0), oddity | CUT
        size = {44: 8, 51: 4 * rest[1] + 8}.get(packet.protocol, 8 * rest[1] + 8)
        if packet.protocol == 44:
            offset, more = number(rest[2:4]) >> 3, rest[3] % 2
            fragment = packet.fragment or bool(offset or more)
            packet = packet._replace(later=bool(offset), fragment=fragment, ip_id=number(rest[6:8]))
        packet = packet._replace(protocol=rest[0], payload=packet.payload + size)
        headers += 1
        if packet.payload > len(octets):
            return packet._replace(protocol=0), oddity | CUT
        if headers == 17 and not packet.later:
            return packet._replace(protocol=0), oddity | MANY
    return packet, oddity


def arp(row: Row, octets: bytes) -> tuple[int, int, Row | None]:
    """RFC 826, of IPv4 over hardware addresses of 6 octets."""
    if len(octets) < 28:
        return 0, CUT, None
    _, protocol, hardware, length, operation, mac, sender, _, target = struct.unpack_from(">2H2BH6s4s6s4s", octets)
    if (protocol, hardware, length) != (IP4, 6, 4):
        return LAYERS["arp"], 0, None
    mapped = bytes(10) + b"\xff\xff"
    row.update(source=mapped + sender, destination=mapped + target)
    neighbour = {"is_reply": operation == 2, "sender": mapped + sender, "target": mapped + target, "mac": number(mac)}
    return LAYERS["arp"], 0, neighbour


def payload_of(row: Row, packet: IpPacket, payload: bytes, left: int) -> tuple[Decoded, int, int]:
    """(what an IP packet holds, layers, oddity); `left` octets of payload by the IP lengths."""
    for name in ("source", "destination", "protocol", "ttl", "ip_id"):
        row[name] = getattr(packet, name)
    layers = LAYERS[packet.version] | LAYERS["fragment"] * packet.fragment | LAYERS["later"] * packet.later
    found = Decoded(row)
    if packet.later:
        return found, layers, 0
    icmp = {1: 4, 58: 6}.get(packet.protocol) == packet.version
    if packet.protocol == 6:
        found, layer, oddity = _tcp(row, payload, left)
    elif packet.protocol == 50:
        layer, oddity = LAYERS["opaque"], 0
    elif packet.protocol != 17 and not icmp:
        layer, oddity = 0, 0
    elif len(payload) < 8:
        layer, oddity = 0, CUT
    elif icmp:
        found, layer, oddity = _icmp(row, packet, payload)
    else:
        source, destination = struct.unpack_from(">2H", payload)
        row.update(source_port=source, destination_port=destination, payload_octets=max(left - 8, 0))
        layer, oddity = LAYERS["udp"], 0
        if _sealed({source, destination}, payload[8:], left - 8):
            layer |= LAYERS["opaque"]
    return found, layers | layer, oddity


def _sealed(ports: set[int], octets: bytes, wire: int) -> bool:
    """ESP in UDP (RFC 3948 section 2), or WireGuard by its message types and their lengths (the protocol's section 5.4)."""
    if 4500 in ports:
        return len(octets) >= 8 and octets[:4] != bytes(4)
    if not ports & {51820, 51871} or len(octets) < 4 or octets[1:4] != bytes(3):
        return False
    if octets[0] == 4:
        return wire >= 32 and wire % 16 == 0
    return {1: 148, 2: 92, 3: 64}.get(octets[0]) == wire


def _tcp(row: Row, payload: bytes, left: int) -> tuple[Decoded, int, int]:
    """RFC 9293 section 3.1."""
    if len(payload) < 20:
        return Decoded(row), 0, CUT
    source, destination, seq, ack, offset, flags, window = struct.unpack_from(">2H2I2BH", payload)
    header = offset // 16 * 4
    if header < 20:
        return Decoded(row), 0, BAD_HEADER
    row.update(source_port=source, destination_port=destination, seg_seq=seq, seg_ack=ack, tcp_flags=flags, seg_wnd=window)
    row["payload_octets"] = max(left - header, 0)
    options, timestamps, oddity = _options(payload[20:header], cut=len(payload) < min(header, left))
    found = Decoded(row, options=options, timestamps=timestamps)
    return found, LAYERS["tcp"], oddity | (0 if header <= left else BAD_HEADER)


def _options(octets: bytes, *, cut: bool) -> tuple[Row | None, Row | None, int]:
    """(options, where there are others than timestamps; timestamps; oddity), the last of a kind counts.

    RFC 9293 section 3.2; RFC 7323 (window scale, timestamps), RFC 2018 (SACK).
    """
    found: Row = {"mss": -1, "window_scale": -1, "flags": 0, "blocks": []}
    timestamps: Row | None = None
    oddity = OPTIONS_CUT if cut else 0
    while octets and octets[0]:
        if octets[0] == 1:
            octets = octets[1:]
            continue
        size = octets[1] if len(octets) > 1 else 0
        if size < 2 or size > len(octets):
            oddity = oddity or BAD_OPTION
            break
        value = octets[2:size]
        match octets[0], size:
            case 2, 4:
                found["mss"] = number(value)
            case 3, 3:
                found["window_scale"] = value[0]
            case 4, 2:
                found["flags"] |= 1
            case 8, 10:
                found["flags"] |= 2
                timestamps = dict(zip(("ts_val", "ts_ecr"), struct.unpack(">2I", value), strict=True))
            case 5, 10 | 18 | 26 | 34:
                found["blocks"] = list(struct.iter_unpack(">2I", value))
        octets = octets[size:]
    is_empty = found | {"flags": found["flags"] & ~2} == {"mss": -1, "window_scale": -1, "flags": 0, "blocks": []}
    return (None if is_empty else found), timestamps, oddity


def _icmp(row: Row, packet: IpPacket, payload: bytes) -> tuple[Decoded, int, int]:
    """RFC 792 and RFC 4443; RFC 4861 sections 4.3 and 4.4 for neighbours."""
    row["destination_port"] = number(payload[:2])
    layer, kind = LAYERS[f"icmp{packet.version}"], payload[0]
    if kind in ({0, 8, 13, 14, 15, 16, 17, 18} if packet.version == 4 else {128, 129}):
        row["source_port"] = number(payload[4:6])
    if kind < 128 if packet.version == 6 else kind in {3, 4, 5, 11, 12}:
        quote = _quote(payload[8:])
        return Decoded(row, quote=quote), layer | (LAYERS["quote"] if quote else 0), 0
    neighbour = None
    if packet.version == 6 and kind in {135, 136} and len(payload) >= 24:
        neighbour = {"is_reply": kind == 136, "sender": packet.source, "target": payload[8:24], "mac": 0}
    return Decoded(row, neighbour=neighbour), layer, 0


def _quote(octets: bytes) -> Row | None:
    if not octets:
        return None
    packet, _ = ip_header(4 if octets[0] >> 4 == 4 else 6, octets, len(octets))
    if packet is None or packet.later or packet.protocol not in {6, 17}:
        return None
    payload = octets[packet.payload :]
    if len(payload) < 8:
        return None
    source, destination, seq = struct.unpack_from(">2HI", payload)
    return {
        "source": packet.source,
        "destination": packet.destination,
        "source_port": source,
        "destination_port": destination,
        "protocol": packet.protocol,
        "seg_seq": seq if packet.protocol == 6 else 0,
    }
