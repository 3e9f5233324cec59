"""Policies as manifests state them, judged as Cilium would: the reverse side of the policy map in policy.py.

`PolicyEngine` says of a flow what becomes of it in each direction, by which rule, or that it is selected and nothing
allows it, or why the dumps do not decide it. `find_drift` holds that against an endpoint's policy map.
"""

from mixcni.cluster.policies.drift import Drift, find_drift
from mixcni.cluster.policies.engine import PolicyEngine, read_policies
from mixcni.cluster.policies.party import Flow, Guise, Party
from mixcni.cluster.policies.rules import Policy, Rule
from mixcni.cluster.policies.verdict import DirectionVerdict, FlowVerdict

__all__ = [
    "DirectionVerdict", "Drift", "Flow", "FlowVerdict", "Guise", "Party", "Policy", "PolicyEngine", "Rule", "find_drift",
    "read_policies",
]  # fmt: skip
