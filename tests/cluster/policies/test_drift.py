"""The policy map held against the policies as they are written."""

import pytest

from mixcni.cluster.policies import find_drift
from tests.cluster.dumps import ENDPOINT_TITLES, POLICY_TITLES, state_of

ENDPOINT = f"{ENDPOINT_TITLES}\n7 Enabled Disabled 1001 k8s:app=shop 10.0.0.7 ready\nk8s:io.kubernetes.pod.namespace=default"
IDENTITIES = """ID LABELS
1001 k8s:app=shop
k8s:io.kubernetes.pod.namespace=default
1002 k8s:app=web
k8s:io.kubernetes.pod.namespace=default
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shop, namespace: default}
spec:
  podSelector: {matchLabels: {app: shop}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 8080, endPort: 8083}]
"""
HOST, EVERYWHERE = "Allow Ingress 1 ANY", "Allow Egress 0 ANY"


def drift(*rows: str) -> set[tuple[str, int, str, int, bool]]:
    text = "\n".join(["$ cilium bpf policy get 7", POLICY_TITLES, *(f"{row} NONE 0 0" for row in rows)])
    found = find_drift(state_of(ENDPOINT, IDENTITIES, POLICY, text), 7)
    assert all("against the policies as they are written" in each.says for each in found)
    return {(each.direction, each.identity, each.protocol, each.port, bool(each.in_map.allowed)) for each in found}


def test_a_map_that_does_what_is_written_has_no_drift() -> None:
    assert drift(HOST, EVERYWHERE, "Allow Ingress 1002 8080-8083/TCP") == set()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["Allow Ingress 1002 8080/TCP"], {("ingress", 1002, "TCP", 8083, False)}),  # the end of the range is not in the map
        (
            ["Allow Ingress 1002 8080-8083/TCP", "Allow Ingress 2 8080/TCP"],
            {("ingress", 2, "TCP", 8080, True)},
        ),
        (
            ["Allow Ingress 1002 8080-8083/TCP", "Deny Ingress 1002 8083/TCP"],
            {("ingress", 1002, "TCP", 8083, False)},
        ),
    ],
    ids=["missing", "left over", "denied"],
)
def test_a_difference_is_found_on_its_port(rows: list[str], expected: set[tuple[str, int, str, int, bool]]) -> None:
    assert drift(HOST, EVERYWHERE, *rows) >= expected
    assert {(each[0], each[1]) for each in drift(HOST, EVERYWHERE, *rows)} == {(each[0], each[1]) for each in expected}


def test_without_a_map_or_a_policy_nothing_is_said() -> None:
    assert find_drift(state_of(ENDPOINT, IDENTITIES, POLICY), 7) == ()
    assert find_drift(state_of(ENDPOINT, IDENTITIES, f"$ cilium bpf policy get 7\n{POLICY_TITLES}\n{HOST} NONE 0 0"), 7) == ()
