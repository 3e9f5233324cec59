"""Denied at egress: named where the initiator's own dumps show it, and not in the near misses."""

import pytest

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from mixcni.cluster.ofnode import with_nodes
from mixcni.explain import Finding
from tests.cluster.dumps import state_of
from tests.explain.denied import ATTEMPTS, OTHER, POD, attempts, endpoint_list, findings, ipcache, policy_map

CAUSE = "policy_denied_egress"
ENFORCED = endpoint_list(f"873 Disabled Enabled 22917 k8s:app=web {POD}")
NAMES_PODS = policy_map(873, "Allow Egress 31042 8080/TCP", "Allow Egress 0 9090/TCP")
WORLD = ipcache(f"{POD}/32 22917")
DNS_ALONE = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shop-alone, namespace: default}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: shop}}}]
"""
POD_OBJECT = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: default, labels: {{app: web}}}}
spec: {{nodeName: cilium-1}}
status: {{podIP: {POD}, phase: Running}}
"""


def egress_findings(*dumps: str, lost: str = "AB") -> list[Finding]:
    return [found for found in findings(attempts(POD, OTHER, lost=lost), state_of(*dumps)) if found.cause == CAUSE]


def test_it_is_named_first_with_the_rows_that_were_not_hit() -> None:
    found = findings(attempts(POD, OTHER, lost="AB"), state_of(ENFORCED, NAMES_PODS, WORLD))
    first = found[0]
    assert (first.cause, first.is_named, first.loss) == (CAUSE, True, 0)
    assert f"Egress policy of endpoint 873 denied {ATTEMPTS} connection attempts" in first.sentence
    assert any("no row of the policy map holds egress to identity 2 (world), 8080/TCP" in fact.says for fact in first.evidence)
    assert any(fact.says.startswith("egress is allowed only for identity 31042 on 8080/TCP") for fact in first.evidence)
    assert all(fact.file and (fact.line or fact.frames) for fact in first.evidence)
    assert first.against == ()


def test_the_remedy_opens_egress_and_is_held_against_the_requests() -> None:
    first = egress_findings(ENFORCED, NAMES_PODS, WORLD)[0]
    best = first.remedies[0]
    assert "egress:" in best.yaml
    assert f"cidr: {OTHER}/32" in best.yaml
    assert (best.would_pass, best.of) == (ATTEMPTS, ATTEMPTS)


@pytest.mark.parametrize(
    ("dumps", "against"),
    [
        ((ENFORCED, policy_map(873, "Allow Egress 2 8080/TCP"), WORLD), "allows egress to identity 2 (world), 8080/TCP"),
        ((ENFORCED, policy_map(873, "Allow Egress 0 ANY"), WORLD), "any peer ANY"),
        ((ENFORCED.replace("Enabled", "Disabled"), NAMES_PODS, WORLD), "egress enforcement Disabled: policy drops nothing"),
        (
            (ENFORCED.replace("Disabled Enabled", "Disabled Disabled (Audit)"), NAMES_PODS, WORLD),
            "policy drops nothing, it only reports what it would have dropped",
        ),
    ],
    ids=["world allowed", "anybody allowed", "not enforced", "audit"],
)
def test_a_near_miss_is_not_named(dumps: tuple[str, ...], against: str) -> None:
    found = egress_findings(*dumps)[0]
    assert not found.is_named
    assert any(against in fact.says for fact in found.against)


def test_behind_the_initiators_node_egress_policy_has_no_say() -> None:
    assert egress_findings(ENFORCED, NAMES_PODS, WORLD, lost="BC") == []


def test_an_initiator_that_cilium_does_not_manage_has_no_egress_policy() -> None:
    nodes = "Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR\ncilium-1 10.1.0.1 10.242.2.0/24"
    found = findings(attempts(OTHER, POD, lost="AB"), state_of(nodes, ENFORCED))
    assert CAUSE not in {finding.cause for finding in found}


@pytest.mark.parametrize(
    ("dumps", "collect"),
    [
        ((NAMES_PODS, WORLD), "cilium endpoint list"),
        ((), "cilium endpoint list, cilium bpf policy get ENDPOINT"),
    ],
    ids=["endpoints", "all"],
)
def test_with_its_dump_missing_it_is_possible_and_says_what_to_collect(dumps: tuple[str, ...], collect: str) -> None:
    found = egress_findings(*dumps)[0]
    assert not found.is_named
    assert any(collect in sentence for sentence in found.collect)


def test_manifests_stand_in_for_a_map_that_nobody_dumped() -> None:
    objects = f"{DNS_ALONE}---{POD_OBJECT}"
    found = egress_findings(ENFORCED, WORLD, objects)[0]
    assert found.is_named
    fact = next(fact for fact in found.evidence if fact.says.startswith("the policies as they are written: "))
    assert "selected by NetworkPolicy default/shop-alone" in fact.says
    assert (fact.file, fact.line) == ("dump-2.txt", 2)
    assert any("cilium bpf policy get 873" in sentence for sentence in found.collect)
    assert found.confidence <= 0.9, "there may be more manifests than were dumped"


def test_manifests_that_select_nobody_are_not_all_where_the_endpoint_is_isolated() -> None:
    objects = f"{DNS_ALONE.replace('app: web', 'app: other')}---{POD_OBJECT}"
    found = egress_findings(ENFORCED, WORLD, objects)[0]
    assert found.is_named == egress_findings(ENFORCED, WORLD)[0].is_named
    assert any("kubectl get networkpolicies" in sentence for sentence in found.collect)


def test_of_two_nodes_the_initiators_own_map_and_ipcache_decide() -> None:
    """Endpoint ids are a node's own: 873 on the other node is another endpoint, and its map lets everything through."""
    other = (endpoint_list("873 Disabled Enabled 555 k8s:app=other 10.242.9.9"), policy_map(873, "Allow Egress 0 ANY"))
    nodes = {
        "cilium-1/endpoint-list.txt": ENFORCED,
        "cilium-1/policy-873.txt": NAMES_PODS,
        "cilium-1/ipcache.txt": WORLD,
        "cilium-2/endpoint-list.txt": other[0],
        "cilium-2/policy-873.txt": other[1],
        "cilium-2/ipcache.txt": ipcache(f"{POD}/32 22917"),
    }
    state = ClusterState.of(with_nodes([read for file, text in nodes.items() for read in read_octets(text.encode(), file)]))
    assert state.dumped_nodes == ("cilium-1", "cilium-2")
    first = findings(attempts(POD, OTHER, lost="AB"), state)[0]
    assert (first.cause, first.is_named) == (CAUSE, True)
    assert {fact.file for fact in first.evidence} >= {"cilium-1/endpoint-list.txt", "cilium-1/policy-873.txt"}
    assert not any(
        fact.file.startswith("cilium-2/endpoint") or fact.file.startswith("cilium-2/policy") for fact in first.evidence
    )
