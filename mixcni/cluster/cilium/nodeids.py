"""`cilium bpf nodeid list`: the addresses of nodes that run Cilium, and the number that this node gave each node."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import releases


@dataclass(frozen=True, slots=True)
class NodeId:
    """One address of a node."""

    id: int
    """A node's own: two nodes number a third one differently."""
    address: Address
    spi: int | None = None
    """Which IPsec key its packets are encrypted with, 0 none; None before 1.16."""
    file: str = ""
    line: int = 0


_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,4}|\d{1,5}", re.ASCII)


def read_node_ids(section: Section) -> Parsed:
    """The rows of `bpf nodeid list`."""
    entries: list[NodeId] = []
    unparsed: list[Unparsed] = []
    has_spi: bool | None = None
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0].upper() == "NODE":
            has_spi = tokens[-1].upper() == "SPI"
            continue
        address = section.addresses[tokens[1]] if len(tokens) in (2, 3) and _NUMBER.fullmatch(tokens[0]) else None
        if address is None or not all(map(_NUMBER.fullmatch, tokens[2:])):
            unparsed.append(Unparsed(number, text, "wanted a number and an address"))
        else:
            numbers = [int(token, 16) if token[:2] == "0x" else int(token) for token in (tokens[0], *tokens[2:])]
            entries.append(NodeId(numbers[0], address, numbers[1] if len(numbers) > 1 else None, section.file, number))
    version = None if has_spi is None else releases(16) if has_spi else releases(12, 15)
    return Parsed(entries, unparsed, version, partial=lost_rows(unparsed))


def read_node_ids_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf nodeid list -o json`."""

    def entries_of(record: Record) -> list[NodeId] | str:
        value = a_mapping(record.value)
        number = a_number(value.get("ID", value.get("id")))
        address = section.addresses[a_text(value.get("Address", value.get("address"))) or ""]
        if number is None or address is None:
            return "wanted an ID and an Address"
        return [NodeId(number, address, a_number(value.get("SPI")), section.file, record.line)]

    return read_records(section, records, entries_of)


KIND: Final = Kind(
    name="node_ids",
    entry=NodeId,
    read=read_node_ids,
    read_json=read_node_ids_json,
    titles=r"NODE\ ID\ IP\ ADDRESSES\b",
    json=r'^\{\s*"(?:ID|id)"\s*:\s*\d+\s*,\s*"(?:Address|address)"\s*:',
    commands=("bpf nodeid list", "bpf nodeid", "cilium_node_map"),
    files=("nodeid list",),
    errors=("node bpf map", "node ID map"),
)
