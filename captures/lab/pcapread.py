"""TCP packets of a capture that this lab has just recorded: classic pcap of Ethernet with IPv4.

A reader of the lab's own, so that the dumps do not depend on the library that will be tested on them. It trusts its
file, for tcpdump wrote it a moment ago; anything else in it raises `LabError`.
"""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from namespaces import LabError

TICKS_NS: Final = {0xA1B2C3D4: 1_000, 0xA1B23C4D: 1}
ETHERNET: Final = 1
IPV4: Final = 0x0800
TCP: Final = 6
FILE_HEADER: Final = struct.Struct("<I2H2i2I")
RECORD_HEADER: Final = struct.Struct("<4I")


class Packet(NamedTuple):
    """One TCP packet; `octets` is the frame's whole length, which is what Cilium counts as well."""

    time_ns: int
    source: tuple[str, int]
    destination: tuple[str, int]
    flags: int
    octets: int


def read_tcp_packets(path: Path) -> Iterator[Packet]:
    """The TCP packets of a capture in its order; ARP, ICMP and UDP are passed over."""
    content = path.read_bytes()
    if len(content) < FILE_HEADER.size:
        raise LabError(f"{path.name} has no pcap header")
    magic, *_, link_type = FILE_HEADER.unpack_from(content)
    if magic not in TICKS_NS or link_type != ETHERNET:
        raise LabError(f"{path.name} is not a little-endian pcap of Ethernet frames")
    offset = FILE_HEADER.size
    while offset < len(content):
        if len(content) - offset < RECORD_HEADER.size:
            raise LabError(f"{path.name} is cut short")
        seconds, ticks, captured, octets = RECORD_HEADER.unpack_from(content, offset)
        offset += RECORD_HEADER.size
        if captured != octets or captured > len(content) - offset:
            raise LabError(f"{path.name} is cut short")
        packet = _decode(content[offset : offset + captured], seconds * 1_000_000_000 + ticks * TICKS_NS[magic])
        offset += captured
        if packet is not None:
            yield packet


def _decode(frame: bytes, time_ns: int) -> Packet | None:
    if len(frame) < 34 or int.from_bytes(frame[12:14]) != IPV4 or frame[23] != TCP:
        return None
    tcp = frame[14 + 4 * (frame[14] & 0x0F) :]
    if len(tcp) < 20:
        return None
    source_port, destination_port = struct.unpack_from(">2H", tcp)
    source, destination = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
    return Packet(time_ns, (source, source_port), (destination, destination_port), tcp[13], len(frame))
