"""An identity that is another pod's: named where policy decides otherwise by it, and not where it makes no difference."""

import pytest

from mixcni.explain import Finding
from tests.cluster.dumps import CT_TAIL, state_of
from tests.explain.denied import ATTEMPTS, OTHER, POD, attempts, endpoint_list, findings, ipcache, policy_map

CAUSE = "identity_stale"
ENDPOINTS = endpoint_list(f"1437 Enabled Disabled 31042 k8s:app=shop {POD}")
MAP = policy_map(1437, "Allow Ingress 22917 8080/TCP", "Allow Ingress 0 9090/TCP")
STALE = ipcache(f"{POD}/32 31042", f"{OTHER}/32 9461")
IDENTITIES = """ID LABELS
9461 k8s:app=batch
k8s:io.kubernetes.pod.namespace=default
22917 k8s:app=web
k8s:io.kubernetes.pod.namespace=default
"""
CILIUM_ENDPOINT = f"""
apiVersion: cilium.io/v2
kind: CiliumEndpoint
metadata: {{name: web, namespace: default}}
status:
  id: 5
  identity: {{id: 22917, labels: ["k8s:app=web", "k8s:io.kubernetes.pod.namespace=default"]}}
  networking: {{addressing: [{{ipv4: {OTHER}}}], node: 10.118.201.54}}
"""
POD_OBJECT = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, namespace: default, labels: {{app: web, pod-template-hash: abc}}}}
spec: {{nodeName: cilium-2}}
status: {{podIP: {OTHER}, phase: Running}}
"""


def found_of(*dumps: str) -> list[Finding]:
    return [found for found in findings(attempts(OTHER, POD, lost="BC"), state_of(*dumps)) if found.cause == CAUSE]


@pytest.mark.parametrize(
    ("dumps", "own"),
    [
        ((ENDPOINTS, MAP, STALE, CILIUM_ENDPOINT), "identity 22917"),
        ((ENDPOINTS, MAP, STALE, IDENTITIES, POD_OBJECT), "the pod with app=web, io.kubernetes.pod.namespace=default"),
        (
            (ENDPOINTS, MAP, f"TCP IN {OTHER}:5 -> {POD}:9090 {CT_TAIL.replace('ID=1', 'ID=9461')}", CILIUM_ENDPOINT),
            "identity 22917",
        ),
    ],
    ids=["CiliumEndpoint", "pod's labels", "conntrack"],
)
def test_it_is_named_first_where_the_pods_own_identity_would_pass(dumps: tuple[str, ...], own: str) -> None:
    first = findings(attempts(OTHER, POD, lost="BC"), state_of(*dumps))[0]
    assert (first.cause, first.is_named, first.loss) == (CAUSE, True, 0)
    assert f"took {OTHER} for identity 9461, and it is {own}" in first.sentence
    assert any("the pod's own identity would pass" in fact.says for fact in first.evidence)
    assert all(fact.file and fact.line for fact in first.evidence)
    assert (first.remedies[0].would_pass, first.remedies[0].of) == (ATTEMPTS, ATTEMPTS)


@pytest.mark.parametrize(
    ("dumps", "against"),
    [
        ((ENDPOINTS, policy_map(1437, "Allow Ingress 1 ANY"), STALE, CILIUM_ENDPOINT), "the pod's own identity is denied too"),
        ((ENDPOINTS, policy_map(1437, "Allow Ingress 9461 ANY"), STALE, CILIUM_ENDPOINT), "the identity given is let through"),
    ],
    ids=["denied both", "allowed"],
)
def test_a_stale_identity_that_makes_no_difference_is_not_named(dumps: tuple[str, ...], against: str) -> None:
    found = found_of(*dumps)[0]
    assert not found.is_named
    assert any(against in fact.says for fact in found.against)


@pytest.mark.parametrize(
    "dumps",
    [
        (ENDPOINTS, MAP, STALE.replace("9461", "22917"), CILIUM_ENDPOINT),
        (ENDPOINTS, MAP, STALE.replace("9461", "22917"), IDENTITIES, POD_OBJECT),
        (ENDPOINTS, MAP, ipcache(f"{POD}/32 31042"), IDENTITIES, POD_OBJECT),
    ],
    ids=["one number", "the same labels", "no entry"],
)
def test_identities_that_agree_are_no_finding(dumps: tuple[str, ...]) -> None:
    assert found_of(*dumps) == []


def test_a_stale_destination_is_named_at_egress() -> None:
    endpoints = endpoint_list(f"873 Disabled Enabled 31042 k8s:app=shop {POD}")
    rows = policy_map(873, "Allow Egress 22917 8080/TCP", "Allow Egress 0 9090/TCP")
    seen = attempts(POD, OTHER, lost="AB")
    first = findings(seen, state_of(endpoints, rows, STALE, CILIUM_ENDPOINT))[0]
    assert (first.cause, first.is_named) == (CAUSE, True)
    assert f"The initiator's node took {OTHER} for identity 9461, and it is identity 22917" in first.sentence


def test_without_a_policy_map_it_is_possible_and_the_map_is_what_to_collect() -> None:
    found = found_of(ENDPOINTS, STALE, CILIUM_ENDPOINT)[0]
    assert not found.is_named
    assert any("cilium bpf policy get 1437" in sentence for sentence in found.collect)


def test_far_from_the_responders_node_its_view_of_the_source_explains_nothing() -> None:
    seen = attempts(OTHER, POD, lost="AB")
    causes = {found.cause for found in findings(seen, state_of(ENDPOINTS, MAP, STALE, CILIUM_ENDPOINT))}
    assert CAUSE not in causes


def test_without_the_initiators_dumps_it_is_possible_and_says_what_to_collect() -> None:
    found = found_of(ENDPOINTS, MAP, STALE)[0]
    assert not found.is_named
    assert any("kubectl get ciliumendpoints,pods" in sentence for sentence in found.collect)
