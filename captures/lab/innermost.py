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
IPV6: Final = 0x86DD
IPV4_OCTETS, IPV6_OCTETS, UDP_HEADER_OCTETS = 20, 40, 8
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
        while packet:
            header = _header(packet)
            if header is None:
                break
            protocol, source, destination, body = header
            if protocol == IPIP:
                packet = body
            elif protocol == UDP and int.from_bytes(body[2:4]) in TUNNEL_PORTS:
                packet = body[UDP_HEADER_OCTETS + TUNNEL_OCTETS :]
            else:
                if (protocol == TCP and len(body) >= 14) or (protocol == UDP and len(body) >= UDP_HEADER_OCTETS):
                    ends = (source, int.from_bytes(body[:2])), (destination, int.from_bytes(body[2:4]))
                    seq, flags = (int.from_bytes(body[4:8]), body[13]) if protocol == TCP else (0, 0)
                    yield Segment(record.time_ns, protocol, *ends, seq, flags)
                break


def _header(packet: bytes) -> tuple[int, str, str, bytes] | None:
    """Protocol, source, destination and what follows the header of IPv4, or of IPv6 without extension headers."""
    version = packet[0] >> 4
    if version == 4 and len(packet) >= IPV4_OCTETS:
        source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
        return packet[9], source, destination, packet[4 * (packet[0] & 0x0F) :]
    if version == 6 and len(packet) >= IPV6_OCTETS:
        source, destination = (socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24))
        return packet[6], source, destination, packet[IPV6_OCTETS:]
    return None


def _ip_packet(link_type: int, frame: bytes) -> bytes | None:
    """The outermost IP packet in a frame of Ethernet or of `-i any`; None for anything else."""
    if link_type == ETHERNET:
        protocol, header = frame[12:14], ETHERNET_HEADER_OCTETS
    elif link_type == LINUX_SLL2:
        protocol, header = frame[:2], SLL2_HEADER_OCTETS
    else:
        raise LabError(f"link type {link_type} is neither Ethernet nor that of -i any")
    return frame[header:] if int.from_bytes(protocol) in {IPV4, IPV6} else None
