"""`cilium ip list`: the agent's own view of which address has which identity, and who told of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from mixcni.cluster.addresses import Address, Prefix, parse_prefix
from mixcni.cluster.cilium.identities import RESERVED, is_label, reserved_identity
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class IpListEntry:
    """One prefix of the agent's ipcache."""

    prefix: Prefix
    identity: int | None
    """None where labels are printed whose number is not the same in every cluster."""
    labels: tuple[str, ...] = ()
    source: str | None = None
    """custom-resource, k8s, kvstore, local, generated ..."""
    host_ip: Address | None = None
    """The node that the address is on."""
    encrypt_key: int | None = None
    namespace: str | None = None
    pod: str | None = None
    """Namespace and pod, in JSON alone."""
    file: str = ""
    line: int = 0


_NUMBER = re.compile(r"\d{1,10}", re.ASCII)


def read_ip_list(section: Section) -> Parsed:
    """The rows of `ip list`; further labels of an identity stand on rows of their own."""
    entries: list[IpListEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[:2] == ["IP", "IDENTITY"]:
            continue
        if (prefix := parse_prefix(tokens[0])) is not None and len(tokens) > 1:
            entries.append(_entry(prefix, tokens[1:], section, number))
        elif entries and len(tokens) <= 2 and is_label(tokens[0]):
            last = entries[-1]
            labels = (*last.labels, tokens[0])
            entries[-1] = replace(last, labels=labels, identity=reserved_identity(labels))
        else:
            unparsed.append(Unparsed(number, text, "wanted an address with its identity, or a further label"))
    return Parsed(entries, unparsed, partial=lost_rows(unparsed))


def _entry(prefix: Prefix, cells: list[str], section: Section, number: int) -> IpListEntry:
    who, *rest = cells
    labels = (who,) if is_label(who) else (f"reserved:{who}",) if who in RESERVED else ()
    identity = int(who) if _NUMBER.fullmatch(who) else reserved_identity(labels) if labels else None
    host = next((address for cell in rest[1:] if (address := section.addresses[cell]) is not None), None)
    key = int(rest[-1]) if len(rest) > 1 and _NUMBER.fullmatch(rest[-1]) else None
    return IpListEntry(prefix, identity, labels, rest[0] if rest else None, host, key, None, None, section.file, number)


def read_ip_list_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The entries of `ip list -o json`."""

    def entry_of(record: Record) -> list[IpListEntry] | str:
        value = a_mapping(record.value)
        prefix = parse_prefix(a_text(value.get("cidr")) or "")
        if prefix is None:
            return "no entry with a prefix"
        told = a_mapping(value.get("metadata"))
        return [
            IpListEntry(
                prefix, a_number(value.get("identity")), (), a_text(told.get("source")),
                section.addresses[a_text(value.get("hostIP")) or ""], a_number(value.get("encryptKey")),
                a_text(told.get("namespace")), a_text(told.get("name")), section.file, record.line,
            )
        ]  # fmt: skip

    return read_records(section, records, entry_of)


KIND: Final = Kind(
    name="ip_list",
    entry=IpListEntry,
    read=read_ip_list,
    read_json=read_ip_list_json,
    titles=r"IP\ IDENTITY\b",
    json=r'^\{\s*"cidr"\s*:|"encryptKey"\s*:|"hostIP"\s*:',
    commands=("ip list",),
    errors=("/v1/ip",),
)
