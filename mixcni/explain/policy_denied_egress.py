"""Denied by egress policy on the initiator's Cilium node.

Such packets are seen in the pod and on the host side of its veth, and nowhere beyond: Cilium judges them where they leave the
pod. In a migration the destination is often the address of a pod that Cilium does not manage, which a policy's selectors do
not find, however well its labels fit.
"""

from typing import Final

from mixcni.cluster.policies.rules import EGRESS
from mixcni.explain.denial import Side, examine_denial
from mixcni.explain.findings import Finding
from mixcni.explain.suspects import Facts, Suspect
from mixcni.topology import PointKind

SIDE: Final = Side("policy_denied_egress", EGRESS)


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for requests that were lost right behind the initiator; None where there are none, or Cilium has no say.

    On a node's uplink a packet has passed egress policy already, and so it has for an initiator that Cilium does not manage.
    """
    near = facts.localisation.points[suspect.near] if 0 <= suspect.near < len(facts.localisation.points) else None
    if near is None or near.kind in (PointKind.NODE, PointKind.TUNNEL):
        return None
    return examine_denial(SIDE, suspect, facts)
