"""The innermost TCP or UDP header of a recorded frame, whatever the lab's tunnels put around it.

A reader of the lab's own, so that a case's truth does not depend on the library that will be judged by it.
"""

import socket
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from namespaces import LabError
from pcapfile import ETHERNET_HEADER_OCTETS, LINUX_SLL2, SLL2_HEADER_OCTETS, Record
from pcapread import ETHERNET, IPV4

TCP, UDP, IPIP = 6, 17, 4
UDP_HEADER_OCTETS: Final = 8
# VXLAN (RFC 7348) and Geneve without options (RFC 8926) both have a header of eight octets, then Ethernet.
TUNNEL_PORTS: Final = frozenset({4789, 8472, 6081})
TUNNEL_OCTETS: Final = 8 + ETHERNET_HEADER_OCTETS
SYN, ACK = 0x02, 0x10

End = tuple[str, int]


class Segment(NamedTuple):
    """One TCP segment or UDP datagram; `seq` and `flags` are 0 for UDP."""

    time_ns: int
    protocol: int
    source: End
    destination: End
    seq: int
    flags: int

    @property
    def opens(self) -> bool:
        """Whether it is a SYN without ACK."""
        return self.flags & (SYN | ACK) == SYN


def segments(link_type: int, records: Sequence[Record]) -> Iterator[Segment]:
    """The innermost segments of a capture in its order; ARP and ICMP are passed over."""
    for record in records:
        packet = _ip_packet(link_type, record.data)
        while packet is not None and len(packet) >= 20:
            protocol, body = packet[9], packet[4 * (packet[0] & 0x0F) :]
            if protocol == IPIP:
                packet = body
                continue
            if protocol == UDP and int.from_bytes(body[2:4]) in TUNNEL_PORTS:
                packet = body[UDP_HEADER_OCTETS + TUNNEL_OCTETS :]
                continue
            if (protocol == TCP and len(body) >= 14) or (protocol == UDP and len(body) >= UDP_HEADER_OCTETS):
                source = socket.inet_ntoa(packet[12:16]), int.from_bytes(body[:2])
                destination = socket.inet_ntoa(packet[16:20]), int.from_bytes(body[2:4])
                seq, flags = (int.from_bytes(body[4:8]), body[13]) if protocol == TCP else (0, 0)
                yield Segment(record.time_ns, protocol, source, destination, seq, flags)
            break


def _ip_packet(link_type: int, frame: bytes) -> bytes | None:
    """The outermost IPv4 packet in a frame of Ethernet or of `-i any`; None for anything else."""
    if link_type == ETHERNET:
        protocol, header = frame[12:14], ETHERNET_HEADER_OCTETS
    elif link_type == LINUX_SLL2:
        protocol, header = frame[:2], SLL2_HEADER_OCTETS
    else:
        raise LabError(f"link type {link_type} is neither Ethernet nor that of -i any")
    return frame[header:] if protocol == IPV4.to_bytes(2) else None
