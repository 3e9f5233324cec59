"""Which of a case's policy map dumps is an endpoint's.

`cilium bpf policy get` does not print whose map it is, unless asked for all of them. Its command or its file's name may
say so; else the map is an endpoint's only if there is no other endpoint that it could belong to, and that is an
assumption, stated as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.dump import Dump


@dataclass(frozen=True, slots=True)
class PolicyMap:
    """One endpoint's policy map."""

    entries: tuple[PolicyEntry, ...]
    dump: Dump
    assumed: str | None
    """Why the dump is taken to be this endpoint's, where nothing in it says so."""


def choose_policy_map(
    endpoint_id: int,
    dumps: Sequence[Dump],
    entries: Sequence[PolicyEntry],
    endpoints: Sequence[Endpoint],
    node: str | None = None,
) -> PolicyMap | None:
    """The endpoint's policy map; None if no dump can be its, or if several nodes have an endpoint of that id and none is named.

    Of several dumps of one map those with numbers are taken before those with labels, and the later before the earlier.
    """
    maps = [dump for dump in dumps if dump.kind == "policy_map" and dump.unavailable is None]
    if node is not None:
        maps = [dump for dump in maps if dump.node in (node, None)]
    own = [dump for dump in maps if dump.endpoint_id == endpoint_id]
    if len({dump.node for dump in own} - {None}) > 1:
        return None
    if own:
        return _best(own, entries, None)
    nameless = [dump for dump in maps if dump.endpoint_id is None]
    if len(nameless) != 1:
        return None
    why = _only_candidate(endpoint_id, endpoints)
    if why is None:
        return None
    dump = nameless[0]
    assumed = f"the policy map in {dump.file}, line {dump.line}, is taken to be that of endpoint {endpoint_id}: {why}"
    return _best(nameless, entries, assumed)


def _only_candidate(endpoint_id: int, endpoints: Sequence[Endpoint]) -> str | None:
    """Why a map without a name can only be this endpoint's; None if it may be another's."""
    known = {endpoint.id for endpoint in endpoints}
    if not known:
        return "there is no other policy map, and no endpoint list"
    if known == {endpoint_id}:
        return "it is the only endpoint in the endpoint list"
    enforced = {endpoint.id for endpoint in endpoints if endpoint.ingress_enforced or endpoint.egress_enforced}
    if enforced == {endpoint_id}:
        return "it is the only endpoint with policy enforcement"
    return None


def _best(dumps: Sequence[Dump], entries: Sequence[PolicyEntry], assumed: str | None) -> PolicyMap:
    maps = [PolicyMap(tuple(entry for entry in entries if dump.holds(entry.file, entry.line)), dump, assumed) for dump in dumps]
    with_numbers = [found for found in maps if found.entries and not any(entry.labels for entry in found.entries)]
    return (with_numbers or maps)[-1]
