"""`cilium bpf tunnel list`: which node to encapsulate to for a prefix of pod addresses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.cilium.listings import read_listing
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import releases


@dataclass(frozen=True, slots=True)
class TunnelEntry:
    """A node's prefix of pod addresses, and the node."""

    prefix_address: Address
    """Its first address; the length is not in the map."""
    tunnel_endpoint: Address
    encrypt_key: int | None = None
    file: str = ""
    line: int = 0


_KEY = re.compile(r"\d{1,3}", re.ASCII)
_PORT = re.compile(r":\d{1,5}", re.ASCII)


def read_tunnels(section: Section) -> Parsed:
    """The rows of `bpf tunnel list`."""
    entries: list[TunnelEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        key, *values = text.split()
        if key == "TUNNEL":
            continue
        prefix = _address(key, section.addresses)
        node = _address(values[0], section.addresses) if values else None
        if prefix is None or node is None:
            unparsed.append(Unparsed(number, text, "wanted the address of a prefix and of a node"))
        else:
            entries.append(TunnelEntry(prefix, node, _key(values[1:]), section.file, number))
    return Parsed(entries, unparsed, releases(0, 15) if entries else None, partial=lost_rows(unparsed))


def _key(values: list[str]) -> int | None:
    return int(values[0]) if values and _KEY.fullmatch(values[0]) else None


def _address(text: str, book: AddressBook) -> Address | None:
    """The address that a key or a value begins with, `:0` behind it or not."""
    if (whole := book[text]) is not None and ":" not in text:
        return whole
    host, colon, port = text.rpartition(":")
    return (book[host] if colon and _PORT.fullmatch(colon + port) else None) or whole


def read_tunnels_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf tunnel list -o json`."""
    return read_listing(section, records, read_tunnels)


KIND: Final = Kind(
    name="tunnel",
    entry=TunnelEntry,
    read=read_tunnels,
    read_json=read_tunnels_json,
    titles=r"TUNNEL\ (?:VALUE|ENDPOINT|DESTINATION)\b",
    json=r'^\{\s*"[0-9A-Fa-f.:\[\]]+:0"\s*:\s*\[\s*"[0-9A-Fa-f.:\[\]]+(?::0)?(?:\s\d+)?"',
    commands=("bpf tunnel list", "cilium_tunnel"),
)
