"""Capture filters of a node's uplink: the path's packets as they are, and inside tunnels.

libpcap releases in use have no keyword for what a VXLAN or Geneve packet carries, so inner addresses are compared octet by octet
(pcap-filter(7): `udp[at:4]` counts from the UDP header, and holds for IPv4 outside only).
"""

import ipaddress
from collections.abc import Iterator
from typing import Final

from mixcni.topology import Address

UDP, TUNNEL, ETHERNET = 8, 8, 14  # octets of the headers before the inner IP (RFC 768, 7348 section 5, 8926 section 3.4)
INNER: Final = UDP + TUNNEL + ETHERNET
SOURCE: Final = {4: 12, 6: 8}
DESTINATION: Final = {4: 16, 6: 24}


def uplink_filter(ends: tuple[Address, Address], tunnel: str, port: int) -> str:
    """Packets between two addresses, ICMP errors about them, and the same inside a tunnel.

    Parameters
    ----------
    tunnel : `vxlan`, `geneve` or "" for none; port : its UDP port
    """
    plain = " and ".join(f"host {end}" for end in ends)
    errors = "icmp" if ends[0].version == 4 else "icmp6"
    parts = [f"({plain})", errors]
    if tunnel:
        inner = f"({' and '.join(_has_inner(end) for end in ends)})"
        if tunnel == "geneve":
            inner = f"({inner} or udp[{UDP}] & 0x3f != 0)"  # with options the inner packet begins later: all of those
        parts.append(f"(ip and udp port {port} and {inner})")
        parts.append(f"(ip6 and udp port {port})")
    return " or ".join(parts)


def _has_inner(end: Address) -> str:
    """Whether an address is the inner packet's source or destination."""
    sides = [" and ".join(_octets(INNER + at[end.version], end)) for at in (SOURCE, DESTINATION)]
    return f"(({sides[0]}) or ({sides[1]}))"


def _octets(at: int, end: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[str]:
    packed = end.packed
    for word in range(0, len(packed), 4):
        yield f"udp[{at + word}:4] = 0x{packed[word : word + 4].hex()}"
