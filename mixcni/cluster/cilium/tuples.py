"""The keys of conntrack and NAT maps as JSON has them: addresses as arrays of octets, ports mostly in network byte order.

The commands print the maps' memory, in which ports are big-endian, as numbers of a little-endian machine: port 80 is
20480. Some tools turn them first, and nothing in a dump says which it is. So all of a dump's ports are looked at: those
of connections from an ephemeral port to a lower one are more in the right order than in the wrong one.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.jsontext import a_list, a_mapping, a_number, a_text

IN, RELATED, SERVICE = 1, 2, 4  # bits of Flags; without IN it is OUT
EPHEMERAL: Final = 32768  # Linux hands out local ports from here on (ip_local_port_range)

_PROTOCOLS: Final = {0: "ANY", 1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 112: "VRRP", 132: "SCTP"}


class Tuple(NamedTuple):
    """A map's key; source and destination as the field names say, which conntrack keeps the other way round."""

    protocol: str
    direction: str
    source: Address | None
    source_port: int
    destination: Address | None
    destination_port: int
    related: bool
    service: bool
    book: AddressBook

    def swapped(self) -> "Tuple":
        """The same with the octets of both ports in the other order."""
        return self._replace(source_port=swapped(self.source_port), destination_port=swapped(self.destination_port))

    def address_of(self, value: Any) -> Address | None:
        """An address of the same dump."""
        return address_of(value, self.book)


class PortOrder:
    """Which order of octets the ports of a dump are in, by all of its TCP and UDP keys."""

    def __init__(self) -> None:
        self._plain = 0
        self._network = 0

    def take(self, key: Tuple) -> None:
        """One more key."""
        if key.protocol in ("TCP", "UDP"):
            self._plain += _is_likely(key.source_port, key.destination_port)
            self._network += _is_likely(swapped(key.source_port), swapped(key.destination_port))

    @property
    def is_network(self) -> bool:
        """Whether the octets must be swapped; so it is where nothing tells, for that is what the command prints."""
        return self._network >= self._plain


def _is_likely(one: int, other: int) -> bool:
    """Whether two ports are a client's and a service's."""
    return min(one, other) < EPHEMERAL <= max(one, other)


def swapped(port: int) -> int:
    """A 16-bit number with its octets in the other order."""
    return (port & 0xFF) << 8 | port >> 8 & 0xFF


def protocol_of(number: int) -> str:
    """The name of an IP protocol as Cilium prints it; its number where it has none."""
    return _PROTOCOLS.get(number, str(number))


def tuple_of(entry: Any, book: AddressBook) -> Tuple | None:
    """The key of a map entry `{"Key": ..., "Value": ...}`; None if it is none."""
    key, value = a_mapping(entry).get("Key"), a_mapping(entry).get("Value")
    if not isinstance(key, dict) or not isinstance(value, dict):
        return None
    numbers = [a_number(key.get(name)) for name in ("NextHeader", "Flags", "SourcePort", "DestPort")]
    protocol, flags, source_port, destination_port = (-1 if number is None else number for number in numbers)
    if not (0 <= protocol <= 0xFF and flags >= 0 and 0 <= source_port <= 0xFFFF and 0 <= destination_port <= 0xFFFF):
        return None
    return Tuple(
        protocol_of(protocol), "IN" if flags & IN else "OUT", address_of(key.get("SourceAddr"), book), source_port,
        address_of(key.get("DestAddr"), book), destination_port, bool(flags & RELATED), bool(flags & SERVICE), book,
    )  # fmt: skip


def address_of(value: Any, book: AddressBook) -> Address | None:
    """An address in JSON: text, or an array of four or sixteen octets."""
    if (text := a_text(value)) is not None:
        return book[text]
    octets: Sequence[Any] = a_list(value)
    if len(octets) not in (4, 16) or not all(type(octet) is int and 0 <= octet <= 0xFF for octet in octets):
        return None
    if len(octets) == 4:
        return book[".".join(map(str, octets))]
    return book[":".join(f"{high << 8 | low:x}" for high, low in zip(octets[::2], octets[1::2], strict=True))]
