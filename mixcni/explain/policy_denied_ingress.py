"""Denied by ingress policy on the responder's Cilium node.

The typical case of a migration: a pod on a node that Cilium does not manage has no ipcache entry, so its packets get the identity
world (2); the policy of the pod they are for names pods, which are identities; none is world.
"""

from typing import Final

from mixcni.cluster.policies.rules import INGRESS
from mixcni.explain.denial import Side, examine_denial
from mixcni.explain.findings import Finding
from mixcni.explain.suspects import Facts, Suspect

SIDE: Final = Side("policy_denied_ingress", INGRESS)


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for requests that were lost beyond a point on the way to the responder; None where there are none."""
    return examine_denial(SIDE, suspect, facts)
