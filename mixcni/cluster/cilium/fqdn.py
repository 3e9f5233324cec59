"""`cilium fqdn cache list`: the names that endpoints looked up, and the addresses that rules by name therefore allow."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records, texts
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class FqdnEntry:
    """One answer that an endpoint got from DNS."""

    endpoint_id: int
    source: str | None
    """lookup, or connection: kept because a connection still uses it."""
    fqdn: str
    ttl: int | None
    """Seconds."""
    expiration_time: str | None
    ips: tuple[Address, ...]
    lookup_time: str | None = None
    file: str = ""
    line: int = 0


_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\S+)?")


def read_fqdn_cache(section: Section) -> Parsed:
    """The rows of `fqdn cache list`: a source came with 1.12, and the list of addresses may be empty."""
    entries: list[FqdnEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0].upper() == "ENDPOINT" and "FQDN" in text:
            continue
        at = next((at for at, token in enumerate(tokens) if at > 1 and _NUMBER.fullmatch(token)), 0)
        if not at or at > 3 or not _NUMBER.fullmatch(tokens[0]):
            unparsed.append(Unparsed(number, text, "wanted endpoint, source, name, TTL, time and addresses"))
            continue
        rest = tokens[at + 1 :]
        time = rest.pop(0) if rest and _TIME.match(rest[0]) else None
        ips = [section.addresses[part] for token in rest for part in token.split(",") if part]
        if None in ips:
            unparsed.append(Unparsed(number, text, "a word behind the time is no address"))
            continue
        source = tokens[1] if at == 3 else None
        addresses = tuple(ip for ip in ips if ip is not None)
        entries.append(
            FqdnEntry(int(tokens[0]), source, tokens[at - 1], int(tokens[at]), time, addresses, None, section.file, number)
        )
    return Parsed(entries, unparsed, partial=lost_rows(unparsed))


def read_fqdn_cache_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The answers of `fqdn cache list -o json`."""

    def entry_of(record: Record) -> list[FqdnEntry] | str:
        value = a_mapping(record.value)
        fqdn = a_text(value.get("fqdn"))
        if fqdn is None:
            return "no answer with a name"
        ips = (section.addresses[text] for text in texts(value.get("ips")))
        return [
            FqdnEntry(
                a_number(value.get("endpoint-id")) or 0, a_text(value.get("source")), fqdn, a_number(value.get("ttl")),
                a_text(value.get("expiration-time")), tuple(ip for ip in ips if ip is not None),
                a_text(value.get("lookup-time")), section.file, record.line,
            )
        ]  # fmt: skip

    return read_records(section, records, entry_of)


KIND: Final = Kind(
    name="fqdn_cache",
    entry=FqdnEntry,
    read=read_fqdn_cache,
    read_json=read_fqdn_cache_json,
    titles=r"ENDPOINT\ (?:SOURCE\ )?FQDN\ TTL\b",
    json=r'^\{[^{}]*"(?:expiration-time|fqdn)"\s*:',
    commands=("fqdn cache list",),
    errors=("/v1/fqdn",),
)
