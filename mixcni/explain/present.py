"""What policy does with a flow as things are, and what it would do with other policies beside or instead.

The policy map of the endpoint is asked first, since it is what the datapath does; manifests where no map was dumped. Policies
that are added are laid over that.
"""

from typing import NamedTuple

from mixcni.cluster import ClusterState
from mixcni.cluster.cilium.identities import WORLD
from mixcni.cluster.policies import DirectionVerdict, Flow, Party, PolicyEngine
from mixcni.cluster.policies.rules import INGRESS


class Effect(NamedTuple):
    """What becomes of a flow in one direction."""

    allowed: bool | None
    why: str
    file: str = ""
    line: int | None = None
    enforced: bool | None = None
    """Whether what nothing allows is denied there; None: not known."""
    by_deny: bool = False
    """A rule denies it in so many words, so that no other can allow it."""


class Present:
    """Judges by policy map and manifests."""

    def __init__(self, cluster: ClusterState, engine: PolicyEngine) -> None:
        self.cluster = cluster
        self.engine = engine

    def effect(self, direction: str, flow: Flow) -> Effect:
        """What policy does with a flow in one direction now."""
        subject, other = self.engine.ends(direction, flow)
        if subject.is_managed is False:
            return _of(self.engine.judge_direction(direction, flow), enforced=False)
        return self._by_map(direction, flow, subject, other) or self._by_manifests(direction, flow)

    def _by_map(self, direction: str, flow: Flow, subject: Party, other: Party) -> Effect | None:
        """By the subject's policy map; None if no dump decides by it."""
        cluster = self.engine.directory.at(subject.address).cluster
        endpoint = None if subject.address is None else cluster.endpoint_of(subject.address)
        if endpoint is None:
            return None
        enforced = endpoint.ingress_enforced if direction == INGRESS else endpoint.egress_enforced
        if enforced is False:
            return Effect(True, f"endpoint {endpoint.id} enforces no policy at {direction}", endpoint.file, endpoint.line, False)
        if cluster.policy_entries(endpoint.id) is None:
            return None
        identity = None if other.address is None else cluster.identity_of(other.address).identity
        if identity is None and all(guise.is_world for guise in other.guises):
            identity = WORLD
        verdict = cluster.policy_verdict(endpoint.id, direction, identity, flow.port, flow.protocol)
        if verdict.allowed is None:
            return None
        row = verdict.entry
        place = (row.file, row.line) if row is not None else (endpoint.file, endpoint.line)
        why = f"policy map of endpoint {endpoint.id}: {verdict.why}"
        if enforced is None:
            enforced = True if verdict.allowed is False else None
        return Effect(verdict.allowed, why, *place, enforced, row is not None and row.deny and verdict.allowed is False)

    def _by_manifests(self, direction: str, flow: Flow) -> Effect:
        found = self.engine.judge_direction(direction, flow)
        if not self.engine.policies:
            return Effect(None, "no dump has the policy map, and none the policies as they are written")
        isolated = found.policy is not None or found.allowed is not True
        return _of(found, enforced=isolated)


def with_added(now: Effect, added: PolicyEngine, direction: str, flow: Flow) -> Effect:
    """What becomes of a flow once further policies are there as well: rules add up, and a deny rule wins over all."""
    new = added.judge_direction(direction, flow)
    if new.policy is None and new.allowed:
        return now  # none of them is about this end
    if new.allowed is None:
        return _of(new, enforced=None)
    if now.by_deny or (new.allowed is False and new.rule is not None):
        return now if now.by_deny else _of(new, enforced=True)
    if new.allowed:
        return _of(new, enforced=True)
    # They isolate the end, and allow nothing of this kind: what has been allowed so far by a rule still is.
    if now.allowed is True and now.enforced is None:
        return Effect(None, f"{new.why}; and no dump tells whether a rule allows it so far", new.file, new.line, True)
    if now.allowed is True and now.enforced:
        return now
    if now.allowed is None:
        return Effect(None, f"{new.why}; unless a rule that is there already allows it: {now.why}", new.file, new.line, True)
    return _of(new, enforced=True)


def _of(found: DirectionVerdict, *, enforced: bool | None) -> Effect:
    return Effect(found.allowed, found.why, found.file, found.line, enforced, found.allowed is False and found.rule is not None)
