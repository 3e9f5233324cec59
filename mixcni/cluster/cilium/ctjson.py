"""`cilium bpf ct list -o json`: the maps' own keys and values.

A key's DestAddr is the side that opened the connection and its SourceAddr the other, while SourcePort and DestPort are
of the sides that they name: the maps keep addresses the other way round (upstream issue 5848).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mixcni.cluster.cilium.ctentry import CtEntry, as_connection
from mixcni.cluster.cilium.tuples import PortOrder, Tuple, swapped, tuple_of
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_mapping, a_number, not_read
from mixcni.cluster.version import VersionRange, releases

_FIELDS: Final = {
    "Lifetime": "expires", "Packets": "packets", "Bytes": "bytes", "RxPackets": "rx_packets", "RxBytes": "rx_bytes",
    "RxFlagsSeen": "rx_flags_seen", "LastRxReport": "last_rx_report", "TxPackets": "tx_packets", "TxBytes": "tx_bytes",
    "TxFlagsSeen": "tx_flags_seen", "LastTxReport": "last_tx_report", "Flags": "flags", "SourceSecurityID": "source_security_id",
    "IfIndex": "if_index", "BackendID": "backend_id",
}  # fmt: skip
_TURNED: Final = {"RevNAT": "rev_nat", "NatPort": "nat_port"}  # in network byte order, as the ports are
_PADDING: Final = ("Reserved", "Pad", "Unused", "Union")


def read_ct_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The entries of `ct list -o json`."""
    rows: list[tuple[int, Tuple, dict[str, int], tuple[tuple[str, str], ...]]] = []
    unparsed: list[Unparsed] = []
    names: set[str] = set()
    order = PortOrder()
    for record in records:
        key = tuple_of(record.value, section.addresses)
        if key is None:
            unparsed.extend(not_read(section, record, "no conntrack entry with a Key and a Value"))
            continue
        order.take(key)
        value = a_mapping(a_mapping(record.value)["Value"])
        names.update(value)
        numbers = {name: number for name in value if (number := a_number(value[name])) is not None}
        extra = tuple(
            (name, str(item)) for name, item in value.items()
            if name not in _FIELDS and name not in _TURNED and not name.startswith(_PADDING)
        )  # fmt: skip
        rows.append((record.line, key, numbers, extra))
    entries = [_entry(row, order.is_network, section.file) for row in rows]
    return Parsed(entries, unparsed, _version(names))


def _entry(row: tuple[int, Tuple, dict[str, int], tuple[tuple[str, str], ...]], is_network: bool, file: str) -> CtEntry:
    line, key, numbers, extra = row
    if is_network:
        key = key.swapped()
    values = {field: numbers[name] for name, field in _FIELDS.items() if name in numbers}
    for name, field in _TURNED.items():
        if name in numbers:
            values[field] = swapped(numbers[name] & 0xFFFF) if is_network else numbers[name]
    entry = CtEntry(
        key.protocol, key.direction, key.destination, key.source_port, key.source, key.destination_port, key.related, key.service,
        extra=extra, file=file, line=line,
    )  # fmt: skip
    entry = replace(entry, **values)  # type: ignore[arg-type]
    return as_connection(entry, "", "") if key.service else entry


def _version(names: set[str]) -> VersionRange | None:
    """The releases whose maps have these members."""
    if "RxPackets" in names:
        return releases(8, 15)
    return releases(16) if "Packets" in names else None
