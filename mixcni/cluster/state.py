"""What all dumps together say about the cluster: tables to look at, and the questions that a diagnosis asks of them.

Every answer cites the line that it rests on, and "not known" is an answer: the absence of an entry counts only where a
complete dump is there in which it would have to stand.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from mixcni.cluster.addresses import Address, as_address
from mixcni.cluster.cilium.ct import CtEntry
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.health import HealthNode, HealthSummary
from mixcni.cluster.cilium.identities import (
    ANY,
    MIN_LOCAL,
    RESERVED_NAMES,
    WORLD,
    WORLD_IPV4,
    WORLD_IPV6,
    Identity,
    is_world,
)
from mixcni.cluster.cilium.ipcache import IpcacheEntry
from mixcni.cluster.cilium.nodes import CiliumNode
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.dump import UNRECOGNISED, Dump, ReadDump
from mixcni.cluster.frames import to_frame
from mixcni.cluster.lookup import ConnectionIndex, PrefixIndex
from mixcni.cluster.policy import PROTOCOLS, PolicyVerdict, decide
from mixcni.cluster.version import VersionRange
from mixcni.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

TABLES: Final[Mapping[str, type]] = {
    "ct": CtEntry,
    "endpoints": Endpoint,
    "policy_map": PolicyEntry,
    "health": HealthNode,
    "health_summaries": HealthSummary,
    "ipcache": IpcacheEntry,
    "identities": Identity,
    "nodes": CiliumNode,
    "dumps": Dump,
}
MAX_SHOWN: Final = 12  # dumps in a repr; a sysdump has dozens

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
    """Where that stands; None if it rests on an absence or on nothing."""

    @property
    def is_world(self) -> bool | None:
        """Whether rules see the address as outside the cluster; None: not known."""
        return None if self.identity is None else is_world(self.identity)


@dataclass(frozen=True)
class ClusterState:
    """All that was read of a cluster's dumps."""

    dumps: tuple[Dump, ...] = ()
    ct: tuple[CtEntry, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    policy_map: tuple[PolicyEntry, ...] = ()
    health: tuple[HealthNode, ...] = ()
    health_summaries: tuple[HealthSummary, ...] = ()
    ipcache: tuple[IpcacheEntry, ...] = ()
    identities: tuple[Identity, ...] = ()
    nodes: tuple[CiliumNode, ...] = ()

    @classmethod
    def of(cls, found: Iterable[ReadDump]) -> "ClusterState":
        """The state that these dumps make up, their order kept."""
        dumps: list[Dump] = []
        tables: dict[type, list[Any]] = {entry_type: [] for entry_type in TABLES.values()}
        for dump, entries, extras in found:
            dumps.append(dump)
            for some in (entries, extras):
                if some:
                    tables[type(some[0])].extend(some)
        return cls(tuple(dumps), **{name: tuple(tables[kind]) for name, kind in TABLES.items() if name != "dumps"})
