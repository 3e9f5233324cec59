"""`cilium node list`: the nodes that run Cilium, of this cluster and of its mesh.

A Kubernetes node that is not here is not managed by Cilium, whatever it runs instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook, Prefix, parse_prefix
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_text, look_up, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import releases

_ABSENT = frozenset({"<nil>", "-", "N/A"})
_SOURCES: Final = frozenset({
    "local", "custom-resource", "clustermesh", "kvstore", "agent-local", "kvstore-mesh", "k8s", "k8s-node", "unspec",
    "generated", "external-workload", "directory", "kube-apiserver", "restored", "unspecified",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class CiliumNode:
    """One node that runs Cilium."""

    name: str
    """`cluster/node`, or the node's name alone."""
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    pod_cidrs: tuple[Prefix, ...]
    """Printed as `Endpoint CIDR`, IPv4 first; none where addresses come from a cloud's pool."""
    source: str | None = None
    """Who told of it: local, custom-resource, clustermesh, kvstore; None before 1.15."""
    file: str = ""
    line: int = 0

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its own addresses, IPv4 first."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)


def read_nodes(section: Section) -> Parsed:
    """The nodes of `node list`; cells are told by what they are, for any of them may be missing."""
    entries: list[CiliumNode] = []
    unparsed: list[Unparsed] = []
    has_source: bool | None = None
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0].upper() == "NAME" and "CIDR" in text.upper():
            has_source = tokens[-1].lower() == "source"
            continue
        node = _node(tokens, section.file, number, section.addresses)
        if isinstance(node, CiliumNode):
            entries.append(node)
        else:
            unparsed.append(Unparsed(number, text, node))
    version = None if has_source is None else releases(15) if has_source else releases(0, 14)
    return Parsed(entries, unparsed, version)


def _node(tokens: Sequence[str], file: str, number: int, book: AddressBook) -> CiliumNode | str:
    """The node of a row, or why it is none."""
    name, *cells = tokens
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    cidrs: list[Prefix] = []
    source: str | None = None
    for cell in (part for token in cells for part in token.split(",") if part):
        if cell in _ABSENT:
            continue
        address = book[cell] if "/" not in cell else None
        if isinstance(address, IPv4Address):
            ipv4 = ipv4 or address
        elif isinstance(address, IPv6Address):
            ipv6 = ipv6 or address
        elif "/" in cell and (prefix := parse_prefix(cell)) is not None:
            cidrs.append(prefix)
        elif cell in _SOURCES:
            source = cell
        elif not _is_masked(cell):
            return f"{cell!r} is no address, prefix or source"
    if ipv4 is None and ipv6 is None and not cidrs and source is None and not any(map(_is_masked, cells)):
        return "a name without any address"
    return CiliumNode(name, ipv4, ipv6, tuple(cidrs), source, file, number)


def _is_masked(cell: str) -> bool:
    """Whether someone hid digits of an address: `10.x.x.x`."""
    return "." in cell and set(cell) <= set("0123456789xX*./") and not set(cell).isdisjoint("xX*")


def read_nodes_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The nodes of `node list -o json`."""

    def entry_of(record: Record) -> list[CiliumNode] | str:
        name = a_text(look_up(record.value, "name"))
        primary = look_up(record.value, "primary-address")
        if name is None or primary is None:
            return "no node with a name and a primary-address"
        ipv4, ipv6 = (section.addresses[a_text(look_up(primary, family, "ip")) or ""] for family in ("ipv4", "ipv6"))
        ranges = (parse_prefix(a_text(look_up(primary, family, "alloc-range")) or "") for family in ("ipv4", "ipv6"))
        return [
            CiliumNode(
                name, ipv4 if isinstance(ipv4, IPv4Address) else None, ipv6 if isinstance(ipv6, IPv6Address) else None,
                tuple(prefix for prefix in ranges if prefix is not None), a_text(look_up(record.value, "source")),
                section.file, record.line,
            )
        ]  # fmt: skip

    return read_records(section, records, entry_of)


KIND: Final = Kind(
    name="nodes",
    entry=CiliumNode,
    read=read_nodes,
    read_json=read_nodes_json,
    titles=r"NAME\ (?:IPV4\ ADDRESS|IPV6\ ADDRESS|ENDPOINT\ CIDR)",
    json=r'"alloc-range"|"primary-address"\s*:\s*\{\s*"ipv[46]"|"health-endpoint-address"',
    commands=("node list",),
    errors=("/v1/cluster/nodes",),
)
