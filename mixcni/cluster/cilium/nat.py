"""`cilium bpf nat list`: which connections the node translates, and into what.

The OUT tuple is the connection before source NAT, and XLATE_SRC is what the wire shows instead: the pair joins captures
from both sides of the node. The IN entry of the pair translates replies back.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.cilium.tuples import PortOrder, Tuple, swapped, tuple_of
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_number, not_read
from mixcni.cluster.kind import Kind
from mixcni.cluster.sockets import SOCKET, parse_socket
from mixcni.cluster.version import VersionRange, releases


@dataclass(frozen=True, slots=True)
class NatEntry:
    """One direction of one translated connection."""

    protocol: str
    direction: str
    """OUT: leaving the node, its source is rewritten. IN: the reply, its destination is rewritten back."""
    source: Address | None
    source_port: int
    destination: Address | None
    destination_port: int
    xlate: str
    """SRC or DST: which end is rewritten."""
    xlate_address: Address | None
    xlate_port: int
    created: str | None = None
    """As printed. From 1.16 on the age (`155sec ago`); 1.8 to 1.15 print about the host's uptime instead."""
    created_sec: int | None = None
    """The number in `created`, seconds."""
    host_local: int | None = None
    """Up to 1.13: the connection is of the node itself."""
    needs_ct: int | None = None
    """1.14 on: conntrack has an entry too."""
    extra: tuple[tuple[str, str], ...] = ()
    """Keys that mixcni does not know, and addresses that are none, as printed."""
    file: str = ""
    line: int = 0


_ROW = re.compile(rf"(\w{{1,12}})\s+(IN|OUT)\s+({SOCKET})\s+->\s+({SOCKET})\s+XLATE_(SRC|DST)\s+({SOCKET})(?:\s+|$)", re.ASCII)
_CREATED = re.compile(r"Created=(\?\s*\(raw \d+\)|-?\d+\s*sec(?: ago)?|\S*)(?:\s+|$)")
_NUMBER_IN = re.compile(r"\d{1,18}", re.ASCII)
_PAIR = re.compile(r"([A-Za-z]\w*)=(\S*)", re.ASCII)


def read_nat(section: Section) -> Parsed:
    """The entries of `bpf nat list`."""
    entries: list[NatEntry] = []
    unparsed: list[Unparsed] = []
    keys: set[str] = set()
    for number, text in section.numbered():
        entry = _entry(text.strip(), section.file, number, section.addresses, keys)
        if isinstance(entry, NatEntry):
            entries.append(entry)
        else:
            unparsed.append(Unparsed(number, text, entry))
    return Parsed(entries, unparsed, _version(keys), partial=lost_rows(unparsed))


def _entry(text: str, file: str, number: int, book: AddressBook, keys: set[str]) -> NatEntry | str:
    """The entry of a line, or why it is none."""
    match = _ROW.match(text)
    if match is None:
        return "wanted protocol, direction, source -> destination and XLATE_SRC or XLATE_DST with an address"
    source, destination, xlate = (parse_socket(match[group], book) for group in (3, 4, 6))
    if source is None or destination is None or xlate is None:
        return "a port is out of range"
    rest, created = text[match.end() :], None
    if found := _CREATED.search(rest):
        created = found[1]
        keys.add("ago" if created.endswith("ago") else "Created")
        rest = rest[: found.start()] + rest[found.end() :]
    values = dict(_PAIR.findall(rest))
    keys.update(values)
    host_local, needs_ct = values.pop("HostLocal", None), values.pop("NeedsCT", None)
    sockets = {"source": (source, match[3]), "destination": (destination, match[4]), "xlate": (xlate, match[6])}
    masked = tuple((name, printed) for name, (socket, printed) in sockets.items() if socket.address is None)
    seconds = _NUMBER_IN.search(created) if created and "raw" not in created else None
    return NatEntry(
        match[1], match[2], source.address, source.port, destination.address, destination.port, match[5], xlate.address,
        xlate.port, created, int(seconds[0]) if seconds else None, _flag(host_local), _flag(needs_ct),
        (*values.items(), *masked), file, number,
    )  # fmt: skip


def _flag(text: str | None) -> int | None:
    found = _NUMBER_IN.match(text) if text else None
    return int(found[0]) if found else None


def _version(keys: set[str]) -> VersionRange | None:
    """The releases that print these keys."""
    if "ago" in keys:
        return releases(16)
    if "NeedsCT" in keys:
        return releases(14)
    return releases(0, 13) if "HostLocal" in keys else None


def read_nat_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The entries of `bpf nat list -o json`: the maps' own keys and values, ports in network byte order."""
    rows: list[tuple[Record, Tuple]] = []
    unparsed: list[Unparsed] = []
    keys: set[str] = set()
    order = PortOrder()
    for record in records:
        key = tuple_of(record.value, section.addresses)
        if key is None:
            unparsed.extend(not_read(section, record, "no NAT entry with a Key and a Value"))
            continue
        order.take(key)
        keys.update(a_mapping(a_mapping(record.value)["Value"]))
        rows.append((record, key))
    entries = [_json_entry(record, key, order.is_network, section) for record, key in rows]
    return Parsed(entries, unparsed, _version(keys))


def _json_entry(record: Record, key: Tuple, is_network: bool, section: Section) -> NatEntry:
    value = a_mapping(a_mapping(record.value).get("Value"))
    port = a_number(value.get("Port")) or 0
    created = a_number(value.get("Created"))
    if is_network:
        key, port = key.swapped(), swapped(port)
    known = {"Port", "Created", "Addr", "HostLocal", "NeedsCT"}
    return NatEntry(
        key.protocol, key.direction, key.source, key.source_port, key.destination, key.destination_port,
        "DST" if key.direction == "IN" else "SRC", key.address_of(value.get("Addr")), port,
        None if created is None else str(created), None, a_number(value.get("HostLocal")), a_number(value.get("NeedsCT")),
        tuple((name, str(item)) for name, item in value.items() if name not in known and not name.startswith("Pad")),
        section.file, record.line,
    )  # fmt: skip


KIND: Final = Kind(
    name="nat",
    entry=NatEntry,
    read=read_nat,
    read_json=read_nat_json,
    rows=r"\w+\ +(?:IN|OUT)\ +\S+\ +->\ +\S+\ +XLATE_",
    json=r'"NeedsCT"|"HostLocal"|"Key"\s*:\s*\{[^{}]*\}\s*,\s*"Value"\s*:\s*\{\s*"Created"',
    commands=("bpf nat list", "cilium_snat"),
    files=("nat list",),
)
