"""An end that Cilium does not manage: world to every policy, whatever its labels are.

This is a statement of its own, no loss's cause: it says why a policy that names pods does not find the address, and is true of
it whether or not a policy dropped anything.
"""

from dataclasses import replace
from typing import Final

from mixcni.explain.findings import NAMED, Evidence, Finding, confidence_of
from mixcni.explain.managed import managed_evidence
from mixcni.explain.suspects import Facts, Suspect, pairs_of
from mixcni.schema import Direction
from mixcni.topology import Address, in_networks

CAUSE: Final = "not_managed_by_cilium"
PRIOR: Final = 0.1  # of ends of failed connections in a mixed cluster whose other end is an endpoint of Cilium's
ODDS_NODE: Final = 30.0  # its node is named, and is not among Cilium's
ODDS_NO_POD_CIDR: Final = 2.0  # all that is outside the cluster is in no pod CIDR either
ODDS_WORLD: Final = 3.0  # the same is true of world
ODDS_POD: Final = 2.0  # Kubernetes knows it as a pod, and Cilium as nobody
ODDS_MANAGED: Final = 0.01
ODDS_IDENTITY: Final = 0.02
MOST: Final = 0.9  # at most: lists of nodes are of one moment, and a cause that explains a loss stands before a statement


def examine(suspect: Suspect, facts: Facts) -> tuple[Finding, ...]:
    """A finding for each end, source or destination, of which a dump makes it likely; for none where none comes into question.

    An end comes into question where the other one is an endpoint of Cilium's: there its identity matters.
    """
    if suspect.direction != Direction.FORWARD:
        return ()
    found: dict[Address, Finding] = {}
    for pair in pairs_of(facts.localisation, suspect.rows, suspect.near):
        for role, end, other in (("source", pair.initiator, pair.responder), ("destination", pair.responder, pair.initiator)):
            if end not in found and _is_endpoint(facts, other) and not _is_endpoint(facts, end):
                found[end] = _finding(facts, role, end)
    return tuple(found.values())


def _is_endpoint(facts: Facts, address: Address) -> bool:
    """Whether a dump shows an address as an endpoint that Cilium manages."""
    cluster = facts.cluster
    return cluster.endpoint_of(address) is not None or address in cluster.kubernetes.cilium_pods


def _finding(facts: Facts, role: str, address: Address) -> Finding:
    evidence: list[Evidence] = []
    against: list[Evidence] = []
    collect: list[str] = []
    told = managed_evidence(facts, address)
    if told is None or told.is_managed is None:
        collect.append("kubectl get nodes,ciliumnodes -o yaml; on any Cilium node: cilium node list")
    elif told.is_managed:
        against.append(replace(told.evidence, odds=ODDS_MANAGED))
    else:
        evidence.append(replace(told.evidence, odds=ODDS_NODE if _is_named(facts, address) else ODDS_NO_POD_CIDR))
    answer = facts.cluster.identity_of(address)
    fact = Evidence(answer.says, answer.file or "", answer.line)
    if answer.identity is None:
        collect.append("on the endpoint's node: cilium bpf ipcache list")
    elif answer.is_world:
        evidence.append(replace(fact, odds=ODDS_WORLD))
    else:
        against.append(replace(fact, odds=ODDS_IDENTITY))
    pod = facts.cluster.kubernetes.pod_of(address)
    if pod is not None:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(pod.labels.items())) or "no labels"
        odds = ODDS_POD if answer.is_world else 1.0
        says = f"to Kubernetes {address} is the pod {pod.reference} ({labels}); no selector of a Cilium policy finds it by them"
        evidence.append(Evidence(says, pod.file, pod.line, odds=odds))
    confidence = min(MOST, confidence_of(PRIOR, [*evidence, *against]))
    certain = "is" if confidence >= NAMED else "may be"
    return Finding(
        cause=CAUSE,
        confidence=confidence,
        sentence=(
            f"The {role} {address} {certain} not managed by Cilium: to its policies it is world, which no selector of pods or "
            "namespaces matches"
        ),
        evidence=tuple(evidence),
        against=tuple(against),
        collect=tuple(collect),
    )


def _is_named(facts: Facts, address: Address) -> bool:
    """Whether a dump or the case says which node an address is of."""
    inventory = facts.cluster.kubernetes
    given = in_networks(address, list(facts.pod_cidrs.values()))
    return given or any(each is not None for each in (inventory.pod_of(address), inventory.node_of(address),
                                                     inventory.node_with_pod(address)))  # fmt: skip
