"""Addresses with a port, as load-balancer and NAT dumps print them: `10.96.0.10:53/UDP`, `[fd00::1]:80`, `.../i`."""

import re
from typing import Final, NamedTuple

from mixcni.cluster.addresses import Address, AddressBook

SOCKET: Final = r"(?:\[[^\]\s]{0,64}\]|[^\s\[\](),]{0,64}):\d{1,5}(?:/[A-Za-z]\w{0,15}){0,2}"
"""As part of a pattern; a masked address fits as well."""

_SOCKET = re.compile(r"(\[[^\]\s]*\]|[^\s\[\](),]*):(\d{1,5})((?:/[A-Za-z]\w*){0,2})", re.ASCII)


class Socket(NamedTuple):
    """An address and a port."""

    address: Address | None
    """None where it is masked."""
    port: int
    protocol: str | None
    """TCP, UDP, SCTP or ANY; None where none is printed."""
    internal: bool
    """Printed `/i`: how traffic from inside the cluster sees the service, where that differs."""


def parse_socket(text: str, book: AddressBook) -> Socket | None:
    """The address, port and protocol that `text` spells; None if it is of no such form."""
    match = _SOCKET.fullmatch(text)
    if match is None or int(match[2]) > 0xFFFF:
        return None
    parts = [part for part in match[3].split("/") if part]
    internal = "i" in parts
    protocol = next((part for part in parts if part != "i"), None)
    return Socket(book[match[1]], int(match[2]), protocol, internal)
