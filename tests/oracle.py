"""The kernels again, in plain integers, slices and dicts: what reading and decoding should give, written a second time.

Nothing here imports mixcni's kernels. Slow, and meant to be read beside the standards.
"""

import struct
from typing import NamedTuple

PCAP_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
LAST_SECOND = 9_000_000_000


class Record(NamedTuple):
    """One frame of a capture file."""

    time_ns: int
    octets: bytes
    original: int
    link_type: int
    interface: int = 0


def seq_delta(a: int, b: int) -> int:
    """Signed distance from `a` to `b` on the circle of 2**32, in [-2**31, 2**31) (RFC 9293 section 3.4)."""
    forward = (b - a) % 2**32
    return forward if forward < 2**31 else forward - 2**32


def ticks_to_ns(ticks: int, per_second: int, offset_seconds: int) -> int:
    """A pcapng timestamp in nanoseconds, rounded down, its second held within LAST_SECOND; -1 without a resolution."""
    if per_second == 0:
        return -1
    second = max(-LAST_SECOND, min(LAST_SECOND, ticks // per_second + offset_seconds))
    return second * 10**9 + ticks % per_second * 10**9 // per_second


def pcap_records(octets: bytes) -> tuple[list[Record], int | None]:
    """The records of a classic pcap file, and the octet from which it cannot be read on."""
    order, unit, size = PCAP_MAGICS[octets[:4]]
    if len(octets) < 24:
        return [], 0
    link_type = struct.unpack_from(order + "I", octets, 20)[0] % 2**16
    records: list[Record] = []
    at = 24
    while at < len(octets):
        header = octets[at : at + size]
        if len(header) < size:
            return records, at
        seconds, fraction, captured, original = struct.unpack_from(order + "4I", header)
        frame = octets[at + size : at + size + captured]
        if captured > 262_144 or len(frame) < captured:
            return records, at
        records.append(Record(seconds * 10**9 + fraction * unit, frame, original, link_type))
        at += size + captured
    return records, None


def pcapng_options(order: str, octets: bytes) -> dict[int, bytes]:
    """The options of a block, the last of each code."""
    found = {}
    while len(octets) >= 4:
        code, length = struct.unpack_from(order + "2H", octets)
        if code == 0 or len(octets) < 4 + length:
            break
        found[code] = octets[4 : 4 + length]
        octets = octets[4 + length + -length % 4 :]
    return found


def pcapng_records(octets: bytes) -> tuple[list[Record], int | None]:
    """The packets of a pcapng file, and the octet from which it cannot be read on."""
    records: list[Record] = []
    interfaces: list[tuple[int, int, int, int]] = []
    order, at = "<", 0
    while at < len(octets):
        if octets[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(octets[at + 8 : at + 12], "")
            interfaces = []
            if not order or len(octets) - at < 28:
                return records, at
        if len(octets) - at < 12:
            return records, at
        kind, length = struct.unpack_from(order + "2I", octets, at)
        block = octets[at : at + length]
        least = {6: 32, 2: 32, 3: 16}.get(kind, 12)
        if length % 4 or not least <= length <= 2**24 or len(block) < length:
            return records, at
        if struct.unpack(order + "I", block[-4:])[0] != length:
            return records, at
        body = block[8:-4]
        if kind == 1 and length >= 20 and len(interfaces) < 2**16:
            interfaces.append(_interface(order, body))
        if kind in {2, 3, 6}:
            record = _packet(order, kind, body, interfaces)
            if record is None:
                return records, at
            records.append(record)
        at += length
    return records, None


def _interface(order: str, body: bytes) -> tuple[int, int, int, int]:
    link_type, _, snap_length = struct.unpack_from(order + "2HI", body)
    options = pcapng_options(order, body[8:])
    resolution = (options.get(9, b"") or b"\x06")[0]
    per_second = (2 if resolution >= 128 else 10) ** (resolution % 128)
    offset = options.get(14, b"")
    seconds = struct.unpack(order + "q", offset)[0] if len(offset) == 8 else 0
    return link_type, snap_length, per_second if per_second <= 2**62 else 0, max(-(2**61), min(2**61, seconds))


def _packet(order: str, kind: int, body: bytes, interfaces: list[tuple[int, int, int, int]]) -> Record | None:
    number = {6: struct.unpack_from(order + "I", body)[0], 2: struct.unpack_from(order + "H", body)[0], 3: 0}[kind]
    if number >= len(interfaces):
        return None
    link_type, snap_length, per_second, offset = interfaces[number]
    if kind == 3:
        (original,) = struct.unpack_from(order + "I", body)
        captured = min(original, len(body) - 4, snap_length or original)
        return Record(-1, body[4 : 4 + captured], original, link_type)
    high, low, captured, original = struct.unpack_from(order + "4I", body, 4)
    if captured > len(body) - 20:
        return None
    time_ns = ticks_to_ns(high * 2**32 + low, per_second, offset)
    return Record(time_ns, body[20 : 20 + captured], original, link_type, number)


COLUMNS = [
    *("present", "oddity", "source", "destination", "source_port", "destination_port", "protocol", "ttl", "ip_id"),
    *("tcp_flags", "seg_wnd", "seg_seq", "seg_ack", "payload_octets"),
]
LAYERS = {
    "eth": 1,
    "vlan": 2,
    4: 4,
    6: 8,
    "tcp": 16,
    "udp": 32,
    "icmp4": 64,
    "icmp6": 128,
    "arp": 256,
    "later": 512,
    "quote": 1024,
}
CUT, PAYLOAD_CUT, BAD_HEADER, BAD_TOTAL, NO_LENGTH, BAD_LINK, MANY = 1, 2, 4, 8, 16, 32, 64


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
    later: bool


def decode_frame(record: Record) -> tuple[dict[str, int | bytes], dict[str, int | bytes] | None]:
    """The packet columns of one frame, and those of the header that it quotes; addresses are 16 octets or empty."""
    row: dict[str, int | bytes] = dict.fromkeys(COLUMNS, 0)
    row["source"] = row["destination"] = b""
    present, oddity, ethertype, network = _link(record)
    wire = max(record.original, len(record.octets)) - (len(record.octets) - len(network))
    quote = None
    if ethertype == 0x0806:
        present |= LAYERS["arp"]
    elif ethertype in {0x0800, 0x86DD}:
        packet, odd = _ip(4 if ethertype == 0x0800 else 6, network, wire)
        oddity |= odd
        if packet is not None:
            present |= LAYERS[packet.version]
            stop = packet.stop
            if stop > wire:
                oddity, stop = oddity | BAD_TOTAL, wire
            if stop > len(network):
                oddity |= PAYLOAD_CUT
            for name in ("source", "destination", "protocol", "ttl", "ip_id"):
                row[name] = getattr(packet, name)
            if packet.later:
                present |= LAYERS["later"]
            else:
                layer, odd, quote = _transport(row, packet, network[:stop], stop)
                present, oddity = present | layer, oddity | odd
    row["present"], row["oddity"] = present, oddity
    return row, quote


def _link(record: Record) -> tuple[int, int, int, bytes]:
    octets, kind = record.octets, record.link_type
    if kind in {101, 228, 229, 0, 108}:
        network = octets[4 if kind in {0, 108} else 0 :]
        if not network:
            return 0, CUT, 0, b""
        ethertype = {4: 0x0800, 6: 0x86DD}.get(network[0] >> 4, 0)
        return 0, 0 if ethertype else BAD_HEADER, ethertype, network
    if kind not in {1, 113, 276}:
        return 0, BAD_LINK, 0, octets
    size, place = {1: (14, 12), 113: (16, 14), 276: (20, 0)}[kind]
    if len(octets) < size:
        return 0, CUT, 0, octets
    present = LAYERS["eth"] if kind == 1 else 0
    ethertype = int.from_bytes(octets[place : place + 2])
    network = octets[size:]
    tags = 0
    while ethertype in {0x8100, 0x88A8, 0x9100}:
        if len(network) < 4:
            return present, CUT, 0, network
        present, ethertype, network, tags = present | LAYERS["vlan"], int.from_bytes(network[2:4]), network[4:], tags + 1
        if tags == 9:
            return present, MANY, 0, network
    return present, 0, ethertype, network


def _ip(version: int, octets: bytes, wire: int) -> tuple[IpPacket | None, int]:
    size = 20 if version == 4 else 40
    if len(octets) < size:
        return None, CUT
    if octets[0] >> 4 != version:
        return None, BAD_HEADER
    if version == 6:
        return _ip6(octets, wire)
    first, _, total, ip_id, fragment, ttl, protocol, _, source, destination = struct.unpack_from(">2B3H2BH4s4s", octets)
    header = first % 16 * 4
    if header < 20:
        return None, BAD_HEADER
    if len(octets) < header:
        return None, CUT
    if 0 < total < header:
        return None, BAD_TOTAL
    mapped = bytes(10) + b"\xff\xff"
    packet = IpPacket(
        4, mapped + source, mapped + destination, protocol, ttl, ip_id, header, total or wire, bool(fragment % 2**13)
    )
    return packet, 0 if total else NO_LENGTH


def _ip6(octets: bytes, wire: int) -> tuple[IpPacket, int]:
    length, protocol, ttl = struct.unpack_from(">H2B", octets, 4)
    oddity, stop = 0, 40 + length
    if length == 0 and protocol != 59:
        oddity, stop = NO_LENGTH, wire
    packet = IpPacket(6, octets[8:24], octets[24:40], protocol, ttl, 0, 40, stop, later=False)
    headers = 0
    while packet.protocol in {0, 43, 44, 51, 60, 135} and not packet.later:
        rest = octets[packet.payload :]
        if len(rest) < 8:
            return packet._replace(protocol=0), oddity | CUT
        size = {44: 8, 51: 4 * rest[1] + 8}.get(packet.protocol, 8 * rest[1] + 8)
        later = packet.protocol == 44 and int.from_bytes(rest[2:4]) >= 8
        packet = packet._replace(protocol=rest[0], payload=packet.payload + size, later=later)
        headers += 1
        if packet.payload > len(octets):
            return packet._replace(protocol=0), oddity | CUT
        if headers == 17 and not later:
            return packet._replace(protocol=0), oddity | MANY
    return packet, oddity


def _transport(
    row: dict[str, int | bytes], packet: IpPacket, octets: bytes, stop: int
) -> tuple[int, int, dict[str, int | bytes] | None]:
    payload, left = octets[packet.payload :], stop - packet.payload
    if packet.protocol == 6:
        if len(payload) < 20:
            return 0, CUT, None
        source, destination, seq, ack, offset, flags, window = struct.unpack_from(">2H2I2BH", payload)
        header = offset // 16 * 4
        if header < 20:
            return 0, BAD_HEADER, None
        row.update(source_port=source, destination_port=destination, seg_seq=seq, seg_ack=ack, tcp_flags=flags, seg_wnd=window)
        row["payload_octets"] = max(left - header, 0)
        return LAYERS["tcp"], 0 if header <= left else BAD_TOTAL, None
    icmp = {1: 4, 58: 6}.get(packet.protocol) == packet.version
    if packet.protocol != 17 and not icmp:
        return 0, 0, None
    if len(payload) < 8:
        return 0, CUT, None
    first, second, third = struct.unpack_from(">3H", payload)
    if packet.protocol == 17:
        row.update(source_port=first, destination_port=second, payload_octets=max(left - 8, 0))
        return LAYERS["udp"], 0, None
    row["destination_port"] = first
    layer, kind = LAYERS[f"icmp{packet.version}"], payload[0]
    if kind in ({0, 8, 13, 14, 15, 16, 17, 18} if packet.version == 4 else {128, 129}):
        row["source_port"] = third
    quote = None
    if kind < 128 if packet.version == 6 else kind in {3, 4, 5, 11, 12}:
        quote = _quote(payload[8:])
    return layer | (LAYERS["quote"] if quote else 0), 0, quote


def _quote(octets: bytes) -> dict[str, int | bytes] | None:
    if not octets:
        return None
    packet, _ = _ip(4 if octets[0] >> 4 == 4 else 6, octets, len(octets))
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
