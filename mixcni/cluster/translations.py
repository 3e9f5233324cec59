"""What NAT and conntrack tables state of a connection: its ends before a translation, and behind it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from mixcni.cluster.addresses import Address
from mixcni.cluster.cilium.nat import NatEntry
from mixcni.cluster.logs.conntrack import ConntrackEntry
from mixcni.cluster.policy import protocol_name
from mixcni.cluster.state import ClusterState
from mixcni.topology import Translation

NUMBERS: Final = {"TCP": 6, "UDP": 17}
"""Protocols whose ports name a connection."""

Frontends = dict[tuple[str | None, int], set[tuple[Address, int]]]


def stated_translations(cluster: ClusterState) -> tuple[Translation, ...]:
    """The translations in the kernel's conntrack, in Cilium's NAT table, and in its conntrack with the services' list."""
    kernel = (_of_kernel(entry) for entry in cluster.of_type(ConntrackEntry))
    nat = (_of_nat(entry) for entry in cluster.nat)
    return tuple(found for found in (*kernel, *nat, *_of_services(cluster)) if found is not None and found.before != found.behind)


def _of_kernel(entry: ConntrackEntry) -> Translation | None:
    """A conntrack entry names the connection as it comes, and its replies as they come: from behind the translation."""
    return _translation(
        entry.protocol,
        ((entry.source, entry.source_port), (entry.destination, entry.destination_port)),
        ((entry.reply_destination, entry.reply_destination_port), (entry.reply_source, entry.reply_source_port)),
        entry.file,
        entry.line,
    )


def _of_nat(entry: NatEntry) -> Translation | None:
    """OUT is the packet before its source is rewritten; IN is the reply before its destination is rewritten back."""
    own, other = (entry.source, entry.source_port), (entry.destination, entry.destination_port)
    becomes = entry.xlate_address, entry.xlate_port
    if (entry.direction, entry.xlate) == ("OUT", "SRC"):
        return _translation(entry.protocol, (own, other), (becomes, other), entry.file, entry.line)
    if (entry.direction, entry.xlate) == ("IN", "DST"):
        return _translation(entry.protocol, (becomes, own), (other, own), entry.file, entry.line)
    return None


def _of_services(cluster: ClusterState) -> Iterator[Translation | None]:
    """An opener's entry has the backend, and the number of the service whose frontend it asked for."""
    frontends: Frontends = defaultdict(set)
    for service in cluster.all_services:
        if service.id and service.frontend is not None:
            frontends[cluster.node_of(service), service.id].add((service.frontend, service.frontend_port))
    for entry in cluster.ct:
        asked = frontends.get((cluster.node_of(entry), entry.rev_nat or 0), set())
        if entry.direction == "OUT" and len(asked) == 1:
            opener = entry.source, entry.source_port
            backend = entry.destination, entry.destination_port
            yield _translation(entry.protocol, (opener, *asked), (opener, backend), entry.file, entry.line)


def _translation(
    protocol: str,
    before: tuple[tuple[Address | None, int | None], ...],
    behind: tuple[tuple[Address | None, int | None], ...],
    file: str,
    line: int,
) -> Translation | None:
    """None where an end is not printed, or the protocol has no ports."""
    number = NUMBERS.get(protocol_name(protocol))
    ends = [(address, port) for address, port in (*before, *behind) if address is not None and port]
    if number is None or len(ends) < len(before) + len(behind):
        return None
    return Translation(number, (ends[0], ends[1]), (ends[2], ends[3]), file, line)
