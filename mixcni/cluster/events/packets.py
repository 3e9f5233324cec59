"""The packet that an event tells of: its ends, protocol and TCP flags, from a summary's words or from its octets."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from mixcni.cluster.addresses import Address, AddressBook, parse_address

TCP_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS")
"""In the order of their bits (RFC 9293 section 3.1, RFC 3540)."""
PROTOCOLS: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}

_PORT = re.compile(r"(.*?)\s?:(\d{1,5})", re.ASCII)
_ENDS = re.compile(r"(\S+(?: :\d{1,5}(?!\S))?)\s+->\s+(\S+(?: :\d{1,5}(?!\S))?)(?:\s+(.*))?", re.ASCII)
_TUNNEL = re.compile(r"\s*\[tunnel [^\]]*\](?:\s*$)?")
_WORD_OF_FLAG = re.compile(r"[A-Z]{2,3}")
_ETHERTYPES = {0x0800: 4, 0x86DD: 6}
_VLANS = (0x8100, 0x88A8)
_EXTENSIONS = frozenset({0, 43, 44, 60})


class Packet(NamedTuple):
    """As far as it is told; None where it is not, or where an address was masked."""

    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    protocol: str | None = None
    """TCP, UDP, SCTP, ICMP or ICMPv6; else the word that was printed."""
    tcp_flags: tuple[str, ...] = ()
    says: str = ""
    """What else the summary says, such as the type of an ICMP message."""


class End(NamedTuple):
    """One end: an address, or a name where none is told, and a port."""

    address: Address | None
    port: int | None
    name: str


def parse_end(text: str, book: AddressBook) -> End:
    """The end that `10.0.0.1:80`, `[fd00::1]:80`, `fd00::1`, `10.x.x.x:80` or `default/pod:80` names."""
    text = text.strip()
    # Of several colons without brackets none is before a port: an IPv6 address, or a MAC.
    match = _PORT.fullmatch(text) if text[:1] == "[" or text.count(":") == 1 else None
    if match is None or int(match[2]) > 0xFFFF:
        return End(book[text], None, text)
    return End(book[match[1]], int(match[2]), match[1])


def parse_summary(text: str, book: AddressBook) -> Packet | None:
    """The packet of a monitor's summary such as `10.0.0.1:80 -> 10.0.0.2:90 tcp SYN, ACK`; None if it is no such summary."""
    text = _TUNNEL.sub("", text.strip())
    match = _ENDS.match(text)
    if match is None:
        return Packet(says=text) if text in ("[unknown]", "") else None
    source, destination = parse_end(match[1], book), parse_end(match[2], book)
    words = (match[3] or "").strip()
    first, _, rest = words.partition(" ")
    protocol: str | None = None
    flags: tuple[str, ...] = ()
    if first.lower() in ("tcp", "udp", "sctp"):
        protocol = first.upper()
        flags = flags_in(rest) if protocol == "TCP" else ()
        says = "" if protocol == "TCP" else rest
    elif words and source.port is None:
        version = 6 if ":" in source.name else 4
        says = rest if first.lower() in ("icmp", "icmpv6") else words
        protocol = "ICMPv6" if version == 6 else "ICMP"
        if "." not in source.name and parse_address(source.name) is None:
            protocol = first  # between two MAC addresses: the EtherType
    else:
        says = words
    return Packet(source.address, source.port, destination.address, destination.port, protocol, flags, says)


def flags_in(text: str) -> tuple[str, ...]:
    """The TCP flags that are named in `text`, in its order."""
    return tuple(word for word in _WORD_OF_FLAG.findall(text[:200]) if word in TCP_FLAGS)


def flags_of_bits(bits: int) -> tuple[str, ...]:
    """The names of the TCP flags in a header's bits."""
    return tuple(name for bit, name in enumerate(TCP_FLAGS) if bits >> bit & 1)


def flags_of_letters(letters: str) -> tuple[str, ...]:
    """The TCP flags in tcpdump's letters, `S.` for SYN and ACK."""
    names = {"F": "FIN", "S": "SYN", "R": "RST", "P": "PSH", ".": "ACK", "U": "URG", "E": "ECE", "W": "CWR", "e": "NS"}
    return tuple(names[letter] for letter in letters if letter in names)


def packet_of_octets(octets: bytes, *, is_ethernet: bool = True) -> Packet | None:
    """The packet in the first octets of a frame, as far as they go; None if they hold no IP header."""
    at, version = 0, octets[0] >> 4 if octets and not is_ethernet else 0
    if is_ethernet:
        at = 12
        while int.from_bytes(octets[at : at + 2]) in _VLANS and at + 6 <= len(octets):
            at += 4
        version = _ETHERTYPES.get(int.from_bytes(octets[at : at + 2]), 0)
        at += 2
    if version == 4 and len(octets) >= at + 20:
        number, source, destination = octets[at + 9], octets[at + 12 : at + 16], octets[at + 16 : at + 20]
        is_first = int.from_bytes(octets[at + 6 : at + 8]) & 0x1FFF == 0
        at += max((octets[at] & 15) * 4, 20)
    elif version == 6 and len(octets) >= at + 40:
        number, source, destination = octets[at + 6], octets[at + 8 : at + 24], octets[at + 24 : at + 40]
        is_first = True
        at += 40
        while number in _EXTENSIONS and at + 8 <= len(octets):
            if number == 44:
                is_first = int.from_bytes(octets[at + 2 : at + 4]) >> 3 == 0
            length = 8 if number == 44 else (octets[at + 1] + 1) * 8
            number, at = octets[at], at + length
    else:
        return None
    transport = octets[at:] if is_first else b""
    return _with_ports(parse_address(_spelled(source)), parse_address(_spelled(destination)), number, transport)


def _spelled(address: bytes) -> str:
    if len(address) == 4:
        return ".".join(map(str, address))
    return ":".join(f"{address[at] << 8 | address[at + 1]:x}" for at in range(0, 16, 2))


def _with_ports(source: Address | None, destination: Address | None, number: int, octets: bytes) -> Packet:
    protocol = PROTOCOLS.get(number, str(number))
    if protocol in ("ICMP", "ICMPv6"):
        says = f"type {octets[0]} code {octets[1]}" if len(octets) >= 2 else ""
        return Packet(source, None, destination, None, protocol, (), says)
    if protocol not in ("TCP", "UDP", "SCTP") or len(octets) < 4:
        return Packet(source, None, destination, None, protocol)
    ports = int.from_bytes(octets[:2]), int.from_bytes(octets[2:4])
    flags = flags_of_bits(octets[13]) if protocol == "TCP" and len(octets) >= 14 else ()
    return Packet(source, ports[0], destination, ports[1], protocol, flags)


def protocol_of(number: int | None) -> str | None:
    """The name of an IP protocol number; the number itself where it has no name here."""
    return None if number is None else PROTOCOLS.get(number, str(number))


def joined(parts: Iterable[str]) -> str:
    """The parts that say something, in one line."""
    return ", ".join(part for part in parts if part)
