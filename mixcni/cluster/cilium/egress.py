"""`cilium bpf egress list`: which pods' traffic to which networks leaves over an egress gateway, and from which address.

The node of the pod tunnels what a row holds to the gateway, which makes the egress address its source. Where the gateway is
missing it is dropped (drop reason 194, "No egress gateway found"). Of rows that overlap the longest prefix counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mixcni.cluster.addresses import Address, AddressBook, Prefix, parse_prefix
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_mapping, a_text, read_records
from mixcni.cluster.kind import Kind

Way = Literal["gateway", "not found", "excluded"]
_WAY_OF_TEXT: Final[dict[str, Way]] = {"Not Found": "not found", "0.0.0.0": "not found",  # noqa: S104, an address in a dump
                                       "Excluded CIDR": "excluded", "0.0.0.1": "excluded"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EgressEntry:
    """What becomes of one pod's packets to one network."""

    source: Address
    """The pod's."""
    destination: Prefix
    egress_address: Address | None
    """The source that they leave with; None where it is not this node that they leave by, or none is set."""
    gateway: Address | None
    """The node that they leave by; None where there is none."""
    way: Way
    """Over the gateway; nowhere, for it was not found; or excluded: as if there were no policy."""
    file: str = ""
    line: int = 0


def read_egress(section: Section) -> Parsed:
    """The rows of `bpf egress list`."""
    entries: list[EgressEntry] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0].lower() == "source":
            continue
        entry = _entry([*tokens[:3], " ".join(tokens[3:])], section.addresses, section.file, number) if len(tokens) > 3 else None
        if entry is None:
            unparsed.append(Unparsed(number, text, "wanted a source, a network, an egress address and a gateway"))
        else:
            entries.append(entry)
    return Parsed(entries, unparsed, partial=lost_rows(unparsed))


def _entry(cells: Sequence[str], book: AddressBook, file: str, number: int) -> EgressEntry | None:
    source, destination, egress, gateway = book[cells[0]], parse_prefix(cells[1]), book[cells[2]], book[cells[3]]
    way = _WAY_OF_TEXT.get(cells[3], "gateway")
    if source is None or destination is None or (gateway is None and way == "gateway"):
        return None
    leaves = egress if egress is not None and not egress.is_unspecified else None
    return EgressEntry(source, destination, leaves, gateway if way == "gateway" else None, way, file, number)


def read_egress_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf egress list -o json`."""

    def entries_of(record: Record) -> list[EgressEntry] | str:
        value = a_mapping(record.value)
        cells = [a_text(value.get(name)) or "" for name in ("SourceIP", "DestCIDR", "EgressIP", "GatewayIP")]
        entry = _entry(cells, section.addresses, section.file, record.line)
        return "wanted SourceIP, DestCIDR, EgressIP and GatewayIP" if entry is None else [entry]

    return read_records(section, records, entries_of)


KIND: Final = Kind(
    name="egress",
    entry=EgressEntry,
    read=read_egress,
    read_json=read_egress_json,
    titles=r"SOURCE\ IP\ DESTINATION\ CIDR\ EGRESS\ IP\b",
    json=r'"EgressIP"\s*:',
    commands=("bpf egress list", "bpf egress", "cilium_egress"),
    files=("egress list",),
    errors=("egress gateway bpf map", "egress policy map"),
)
