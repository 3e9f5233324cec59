"""Addresses and prefixes as dumps print them.

People mask addresses before they publish a dump (`10.x.x.x`); such a text is no address, and the answer is None.
An `AddressBook` holds every address of one reading once: a conntrack table names few addresses many times.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

from mixcni.errors import ParameterError

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network

MAX_TEXT = 64  # the longest address with a zone or prefix length is shorter; longer texts are not even tried


class AddressBook:
    """Text to address, each text parsed once."""

    def __init__(self) -> None:
        self._known: dict[str, Address | None] = {}

    def __getitem__(self, text: str) -> Address | None:
        """The address that `text` spells, brackets allowed, or None."""
        try:
            return self._known[text]
        except KeyError:
            address = self._known[text] = parse_address(text)
            return address


def parse_address(text: str) -> Address | None:
    """The IPv4 or IPv6 address that `text` spells, in brackets or not; None if it spells none."""
    if len(text) > MAX_TEXT:
        return None
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    if ":" not in bare:
        try:
            return IPv4Address(inet_pton(AF_INET, bare))  # ten times as fast as by text
        except (OSError, ValueError):
            return None
    try:
        return ip_address(bare)
    except ValueError:
        return None


def parse_prefix(text: str) -> Prefix | None:
    """The prefix that `text` spells, host bits dropped; a bare address is its host prefix; None if it spells none."""
    if len(text) > MAX_TEXT:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def as_address(address: str | Address) -> Address:
    """What a caller gave as an address, as one; an IPv4-mapped IPv6 address is the IPv4 one.

    Raises
    ------
    ParameterError : it spells no address
    """
    parsed = parse_address(address) if isinstance(address, str) else address
    if not isinstance(parsed, Address):
        raise ParameterError(f"address: wanted an IPv4 or IPv6 address, found {address!r}")
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
