"""The policies of a cluster as one thing to ask: what becomes of this flow, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mixcni.cluster.addresses import Address, Prefix
from mixcni.cluster.cilium.rules import PolicyRule
from mixcni.cluster.cilium.status import StatusItem
from mixcni.cluster.kubernetes.inventory import Inventory
from mixcni.cluster.kubernetes.objects import POLICY_KINDS, KubernetesObject
from mixcni.cluster.policies.admin import admin_policies_of
from mixcni.cluster.policies.ciliumpolicy import cilium_policies_of, imported_policy_of
from mixcni.cluster.policies.directory import Directory
from mixcni.cluster.policies.networkpolicy import network_policy_of
from mixcni.cluster.policies.party import Flow, Party
from mixcni.cluster.policies.rules import EGRESS, INGRESS, Policy
from mixcni.cluster.policies.verdict import MODES, DirectionVerdict, FlowVerdict, Options, judge
from mixcni.cluster.policy import protocol_name
from mixcni.errors import ParameterError

if TYPE_CHECKING:
    from mixcni.cluster.state import ClusterState


def read_policies(objects: Sequence[KubernetesObject], inventory: Inventory) -> tuple[Policy, ...]:
    """The policies that objects state; other objects are left out."""
    found: list[Policy] = []
    for item in objects:
        if item.kind == "NetworkPolicy":
            found.append(network_policy_of(item))
        elif item.kind in POLICY_KINDS:
            found.extend(cilium_policies_of(item, inventory))
    return tuple(found)


def policies_of(cluster: "ClusterState") -> tuple[Policy, ...]:
    """The policies that a state has: the API server's, else the rules that an agent imported (`cilium policy get`)."""
    inventory = cluster.kubernetes
    found = read_policies(inventory.policies, inventory)
    return found or tuple(imported_policy_of(rule, inventory) for rule in cluster.of_type(PolicyRule))


def _host_firewall(cluster: "ClusterState") -> bool | None:
    """Whether host policies are enforced, by `cilium status`; None if no dump of it tells, or two differ."""
    words = {item.value.split()[0] for item in cluster.of_type(StatusItem) if item.name == "Host firewall" and item.value}
    return {"Enabled": True, "Disabled": False}.get(words.pop()) if len(words) == 1 else None


class PolicyEngine:
    """Judges flows by the policies as they are written.

    Parameters
    ----------
    policies : instead of those in the cluster's dumps
    unmanaged : pod networks of nodes that Cilium does not manage, by node
    mode : the agents' policyEnforcementMode

    Raises
    ------
    ParameterError : `mode` is none of Cilium's
    """

    def __init__(
        self,
        cluster: "ClusterState",
        *,
        policies: Sequence[Policy] | None = None,
        unmanaged: Mapping[str, Prefix] | None = None,
        mode: str = "default",
    ) -> None:
        if mode not in MODES:
            raise ParameterError(f"mode: wanted {', '.join(MODES)}, found {mode!r}")
        self.policies = policies_of(cluster) if policies is None else tuple(policies)
        self.admin = tuple(admin_policies_of(cluster.kubernetes.admin_policies))
        self.directory = Directory(cluster, unmanaged)
        self.options = Options(mode, _host_firewall(cluster))

    def flow(self, initiator: str | Address, responder: str | Address, protocol: str | int, port: int | None) -> Flow:
        """The flow between two addresses."""
        return Flow(self.directory.party(initiator), self.directory.party(responder), protocol_name(protocol), port)

    def judge(self, flow: Flow) -> FlowVerdict:
        """The verdict on a flow in both directions."""
        egress = self.judge_direction(EGRESS, flow)
        return FlowVerdict(flow, egress, self.judge_direction(INGRESS, flow))

    def judge_direction(self, direction: str, flow: Flow) -> DirectionVerdict:
        """The verdict on a flow in one direction."""
        subject, other = self.ends(direction, flow)
        verdict = judge(self.policies, direction, subject, other, flow, self.options)
        admin = (each for each in self.admin if direction in each.directions and each.selects(subject).holds is not False)
        if subject.is_managed is False or (first := next(admin, None)) is None:
            return verdict
        why = f"undecidable: {first.reference} ({first.file}, line {first.line}) may select it, and is not judged; {verdict.why}"
        return replace(verdict, allowed=None, why=why)

    def ends(self, direction: str, flow: Flow) -> tuple[Party, Party]:
        """The end on which a direction is enforced, and the other one as that end's node sees it."""
        pair = (flow.initiator, flow.responder) if direction == EGRESS else (flow.responder, flow.initiator)
        subject = self.directory.on_its_node(pair[0])
        local = self.directory.at(subject.address)
        other = pair[1] if local is self.directory or pair[1].address is None else local.party(pair[1].address)
        return subject, self.directory.seen_from(other, subject)
