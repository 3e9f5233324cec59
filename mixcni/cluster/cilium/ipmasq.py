"""`cilium bpf ipmasq list`: the networks to which a node's pods go with their own address, not masqueraded as the node's."""

import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from mixcni.cluster.addresses import Prefix, parse_prefix
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_text, read_records
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class IpmasqEntry:
    """A network that is not masqueraded to."""

    prefix: Prefix
    file: str = ""
    line: int = 0


def read_ipmasq(section: Section) -> Parsed:
    """The rows of `bpf ipmasq list`."""
    entries: list[IpmasqEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        prefix = parse_prefix(text.strip())
        if prefix is not None:
            entries.append(IpmasqEntry(prefix, section.file, number))
        elif not text.upper().lstrip().startswith("IP PREFIX"):
            unparsed.append(Unparsed(number, text, "wanted a prefix"))
    return Parsed(entries, unparsed, partial=lost_rows(unparsed))


def read_ipmasq_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The prefixes of `bpf ipmasq list -o json`: texts, or of older releases addresses with a mask in base 64 or as octets."""

    def entries_of(record: Record) -> list[IpmasqEntry] | str:
        prefix = _prefix_of(record.value)
        return "wanted a prefix" if prefix is None else [IpmasqEntry(prefix, section.file, record.line)]

    return read_records(section, records, entries_of)


def _prefix_of(value: Any) -> Prefix | None:
    text = a_text(value)
    if text is not None:
        return parse_prefix(text)
    mask = a_mapping(value).get("Mask")
    octets = _octets(mask) if isinstance(mask, str) else bytes(each for each in a_list(mask) if each in range(256))
    found = a_mapping(value)
    address = parse_prefix(a_text(found.get("IP", found.get("ip"))) or "")
    ones = int.from_bytes(octets).bit_count()
    if address is None or not octets or ones > address.max_prefixlen:
        return None
    return ip_network((address.network_address, ones), strict=False)


def _octets(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except ValueError:  # no base 64, or not even ASCII
        return b""


KIND: Final = Kind(
    name="ipmasq",
    entry=IpmasqEntry,
    read=read_ipmasq,
    read_json=read_ipmasq_json,
    titles=r"IP\ PREFIX/ADDRESS$",
    json=r'^\{\s*"(?:IP|ip)"\s*:\s*"[^"]+"\s*,\s*"Mask"\s*:',
    commands=("bpf ipmasq list", "bpf ipmasq", "cilium_ipmasq"),
    files=("ipmasq list",),
    errors=("ip-masq-agent map",),
)
