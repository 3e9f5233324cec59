"""The kernels again, in plain integers, slices and dicts: sequence space and the reading of files, written a second time.

Nothing here imports mixcni's kernels. Slow, and meant to be read beside the standards. The frame decoder's twin is
tests/decode/twin.py.
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
    version = struct.unpack_from(order + "2H", octets, 4)
    if version[0] < 2:
        return [], 0
    link_type = struct.unpack_from(order + "I", octets, 20)[0] % 2**16
    records: list[Record] = []
    at = 24
    while at < len(octets):
        header = octets[at : at + size]
        if len(header) < size:
            return records, at
        seconds, fraction, captured, original = struct.unpack_from(order + "4I", header)
        if version == (543, 0) or version < (2, 4):
            captured, original = sorted((captured, original))
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
            if not order or len(octets) - at < 28 or struct.unpack_from(order + "2H", octets, at + 12) not in {(1, 0), (1, 2)}:
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
