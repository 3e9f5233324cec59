"""Whole captures in memory, to be changed and written again: classic pcap in, pcap or pcapng out.

Files come from this lab's own tcpdump, so anything else in one raises `LabError`.
"""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from namespaces import LabError
from pcapread import FILE_HEADER, RECORD_HEADER, TICKS_NS

LINUX_SLL2: Final = 276
ETHERNET_HEADER_OCTETS: Final = 14
SLL2_HEADER_OCTETS: Final = 20
WHOLE: Final = 262_144
NANOSECONDS: Final = 0xA1B23C4D
SECOND_NS: Final = 1_000_000_000

# pcapng (draft-ietf-opsawg-pcapng): block types, and the options that are written here.
SECTION, INTERFACE, STATISTICS, ENHANCED = 0x0A0D0D0A, 1, 5, 6
IF_NAME, IF_TSRESOL, ISB_IFRECV, ISB_IFDROP = 2, 9, 4, 5


class Record(NamedTuple):
    """One captured frame: `octets` is its length on the wire, of which `data` holds the first ones."""

    time_ns: int
    octets: int
    data: bytes


def read_pcap(path: Path) -> tuple[int, list[Record]]:
    """Link type and records of a little-endian pcap, gzipped or not; one of microseconds counts as well."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if len(content) < FILE_HEADER.size:
        raise LabError(f"{path.name} has no pcap header")
    magic, *_, link_type = FILE_HEADER.unpack_from(content)
    if magic not in TICKS_NS:
        raise LabError(f"{path.name} is not a little-endian pcap")
    records = []
    offset = FILE_HEADER.size
    while offset < len(content):
        if len(content) - offset < RECORD_HEADER.size:
            raise LabError(f"{path.name} is cut short")
        seconds, ticks, captured, octets = RECORD_HEADER.unpack_from(content, offset)
        offset += RECORD_HEADER.size
        if captured > len(content) - offset:
            raise LabError(f"{path.name} is cut short")
        records.append(Record(seconds * SECOND_NS + ticks * TICKS_NS[magic], octets, content[offset : offset + captured]))
        offset += captured
    return link_type, records


def pcap_of(link_type: int, records: Sequence[Record], snaplen: int = WHOLE) -> bytes:
    """A classic pcap with nanoseconds."""
    parts = [FILE_HEADER.pack(NANOSECONDS, 2, 4, 0, 0, snaplen, link_type)]
    for record in records:
        seconds, nanoseconds = divmod(record.time_ns, SECOND_NS)
        parts += [RECORD_HEADER.pack(seconds, nanoseconds, len(record.data), record.octets), record.data]
    return b"".join(parts)


def pcapng_of(
    link_type: int, records: Sequence[Record], snaplen: int = WHOLE, *, sections: int = 1, dropped: int | None = None
) -> bytes:
    """A pcapng with nanoseconds in so many sections; `dropped` packets are owned up to in the last one's statistics."""
    count = max(1, -(-len(records) // sections))
    parts = []
    for begin in range(0, max(1, len(records)), count):
        part = records[begin : begin + count]
        parts.append(_block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        options = _option(IF_NAME, b"eth0") + _option(IF_TSRESOL, b"\x09") + _option(0, b"")
        parts.append(_block(INTERFACE, struct.pack("<HHI", link_type, 0, snaplen) + options))
        for record in part:
            high, low = divmod(record.time_ns, 1 << 32)
            head = struct.pack("<IIIII", 0, high, low, len(record.data), record.octets)
            parts.append(_block(ENHANCED, head + _padded(record.data)))
    if dropped is not None and records:
        high, low = divmod(records[-1].time_ns, 1 << 32)
        received = struct.pack("<Q", len(records) + dropped)
        options = _option(ISB_IFRECV, received) + _option(ISB_IFDROP, struct.pack("<Q", dropped)) + _option(0, b"")
        parts.append(_block(STATISTICS, struct.pack("<III", 0, high, low) + options))
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length
