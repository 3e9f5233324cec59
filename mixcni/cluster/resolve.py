"""Which identity Cilium gives an address, by what the node's dumps say.

In the datapath the longest ipcache prefix decides, and an address that none holds is world. The endpoint list says the
same of the node's own pods. Where there is no ipcache dump, conntrack still tells how the node classified a source when
it let a connection in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mixcni.cluster.addresses import Address
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.identities import ANY, MIN_LOCAL, RESERVED_NAMES, WORLD, WORLD_IPV4, WORLD_IPV6, is_world
from mixcni.cluster.cilium.ipcache import IpcacheEntry
from mixcni.cluster.dump import Dump
from mixcni.cluster.lookup import ConnectionIndex, PrefixIndex

How = Literal["endpoint list", "ipcache", "no ipcache entry", "conntrack", "unknown"]


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """Which identity Cilium gives an address, and how that is known."""

    address: Address
    identity: int | None
    """None: not known."""
    how: How
    says: str
    """The answer as a sentence, with its evidence."""
    file: str | None = None
    line: int | None = None
    """Where that stands; None if it rests on nothing."""

    @property
    def is_world(self) -> bool | None:
        """Whether rules see the address as outside the cluster; None: not known."""
        return None if self.identity is None else is_world(self.identity)


def name_of(identity: int) -> str:
    """An identity in words: its number, and what a reserved or node-local one stands for."""
    if identity in RESERVED_NAMES:
        return f"identity {identity} ({RESERVED_NAMES[identity]})"
    if is_world(identity):
        return f"identity {identity} (a CIDR or DNS name outside the cluster, numbered by this node)"
    return f"identity {identity}"


class IdentityResolver:
    """Answers for addresses, out of the dumps of a case."""

    def __init__(
        self,
        endpoints: dict[Address, Endpoint],
        ipcache: Sequence[IpcacheEntry],
        ipcache_dumps: Sequence[Dump],
        connections: ConnectionIndex,
    ) -> None:
        self._endpoints = endpoints
        self._prefixes = PrefixIndex(ipcache)
        self._dumps = ipcache_dumps
        self._connections = connections

    def identity_of(self, address: Address) -> IdentityAnswer:
        """The identity of `address`; None in it where the dumps do not tell."""
        endpoint = self._endpoints.get(address)
        if endpoint is not None and endpoint.identity is not None:
            says = f"{address} is endpoint {endpoint.id} of this node: {name_of(endpoint.identity)}"
            own = [row.identity for row in self._prefixes.longest(address) if row.prefix.prefixlen == address.max_prefixlen]
            if own and own[-1] not in (ANY, endpoint.identity):
                says += f"; an ipcache dump has {name_of(own[-1])} for it"
            return IdentityAnswer(address, endpoint.identity, "endpoint list", says, endpoint.file, endpoint.line)
        rows = self._prefixes.longest(address)
        if rows and rows[-1].prefix.prefixlen > 0:
            return self._by_prefix(address, rows)
        complete = [dump for dump in self._dumps if dump.is_complete and dump.entries]
        if complete:
            return self._uncovered(address, rows, complete)
        return self._by_conntrack(address) or self._unknown(address)

    def _by_prefix(self, address: Address, rows: Sequence[IpcacheEntry]) -> IdentityAnswer:
        entry = rows[-1]
        if entry.identity == ANY:
            says = f"the ipcache row {entry.prefix} has identity 0: deleted, or not known"
            return IdentityAnswer(address, None, "unknown", says, entry.file, entry.line)
        says = f"the ipcache row {entry.prefix} gives {address} {name_of(entry.identity)}"
        node = entry.tunnel_endpoint
        is_host = entry.prefix.prefixlen == entry.prefix.max_prefixlen
        if not is_host and entry.identity < MIN_LOCAL and node is not None and int(node) != 0:
            says += f": pod addresses of the Cilium node {node}, this one not yet known by itself"
        others = sorted({row.identity for row in rows} - {entry.identity})
        if others:
            says += f"; other dumps have {', '.join(map(name_of, others))} for it"
        return IdentityAnswer(address, entry.identity, "ipcache", says, entry.file, entry.line)

    def _uncovered(self, address: Address, rows: Sequence[IpcacheEntry], dumps: Sequence[Dump]) -> IdentityAnswer:
        """World, by the row for all addresses if it is one of world's, which are two where both families are in use."""
        worlds = (WORLD, WORLD_IPV4 if address.version == 4 else WORLD_IPV6)
        row = rows[-1] if rows else None
        identity = row.identity if row is not None and row.identity in worlds else WORLD
        says = f"no ipcache entry covers {address}: world ({identity})"
        file, line = (dumps[-1].file, dumps[-1].line) if row is None else (row.file, row.line)
        return IdentityAnswer(address, identity, "no ipcache entry", says, file, line)

    def _by_conntrack(self, address: Address) -> IdentityAnswer | None:
        """How the node classified the address when it last let a connection of it in."""
        for entry in reversed(self._connections.with_end(address)):
            if entry.source == address and entry.direction == "IN" and entry.source_security_id:
                identity = entry.source_security_id
                says = f"no ipcache dump is there; a connection from {address} was let in as {name_of(identity)}"
                return IdentityAnswer(address, identity, "conntrack", says, entry.file, entry.line)
        return None

    def _unknown(self, address: Address) -> IdentityAnswer:
        if not self._dumps:
            return IdentityAnswer(address, None, "unknown", f"no ipcache dump is there that could say what {address} is")
        dump = self._dumps[-1]
        why = dump.unavailable or dump.partial or "it has no rows"
        says = f"no ipcache entry covers {address}, but the dump proves nothing by that: {why}"
        return IdentityAnswer(address, None, "unknown", says, dump.file, dump.line)
