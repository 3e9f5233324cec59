"""AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy: whom they select, and in which directions.

They stand before and behind NetworkPolicies (sig-network, "Network Policy API"), where the CNI knows them: Cilium up to 1.18 does
not. Their rules are not judged: of an endpoint that one selects, what policies do as they are written is left open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mixcni.cluster.kubernetes.objects import KubernetesObject, list_of, mapping_of
from mixcni.cluster.kubernetes.yamltext import line_of
from mixcni.cluster.policies.answer import NO, Answer, any_of, unknown
from mixcni.cluster.policies.labels import NAMESPACE, NAMESPACE_LABELS, Requirement, Selector, selector_of
from mixcni.cluster.policies.party import Party
from mixcni.cluster.policies.rules import EGRESS, INGRESS


@dataclass(frozen=True, slots=True)
class AdminPolicy:
    """One such policy."""

    reference: str
    subject: Selector
    directions: frozenset[str]
    """Those in which it has rules."""
    file: str
    line: int

    def selects(self, party: Party) -> Answer:
        """Whether it is about an end of a flow: pods, never nodes or what is outside."""
        return any_of(
            unknown("no dump has the labels by which policies select it")
            if guise.labels is None
            else NO
            if guise.is_node or guise.is_world
            else self.subject.selects(guise.labels)
            for guise in party.guises
        )


def admin_policies_of(objects: Iterable[KubernetesObject]) -> Iterator[AdminPolicy]:
    """The policies that objects state."""
    for item in objects:
        spec = mapping_of(item.body.get("spec"))
        directions = frozenset(way for way in (INGRESS, EGRESS) if list_of(spec.get(way)))
        yield AdminPolicy(item.reference, _subject(spec.get("subject")), directions, item.file, line_of(spec, item.line))


def _subject(value: object) -> Selector:
    """Namespaces by their labels, or pods by theirs and their namespaces'; a subject that says neither is everybody's."""
    body = mapping_of(value)
    pods = mapping_of(body.get("pods"))
    spaces = selector_of(pods.get("namespaceSelector") if pods else body.get("namespaces"), NAMESPACE_LABELS)
    own = selector_of(pods.get("podSelector"))
    return own.plus(Requirement(NAMESPACE, "Exists"), *spaces.requirements)
