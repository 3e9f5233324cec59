"""Policies of administrators are read; whom one selects is not said to be denied or let through by the others."""

import pytest

from mixcni.cluster.policies import PolicyEngine
from tests.cluster.dumps import only, state_of

POD = """apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels:
    app: web
spec:
  nodeName: cilium-1
status:
  podIP: 10.242.2.31
---
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    team: shop
---
apiVersion: cilium.io/v2
kind: CiliumNode
metadata:
  name: cilium-1
"""
ADMIN = """apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata:
  name: no-outside
spec:
  priority: 10
  subject:
    {}
  ingress:
  - name: deny
    action: Deny
    from:
    - namespaces: {{}}
"""


@pytest.mark.parametrize(
    ("subject", "is_open"),
    [
        ("namespaces: {}", True),
        ("namespaces: {matchLabels: {team: shop}}", True),
        ("namespaces: {matchLabels: {team: other}}", False),
        ("pods: {namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: web}}}", True),
        ("pods: {namespaceSelector: {matchLabels: {team: shop}}, podSelector: {matchLabels: {app: db}}}", False),
    ],
)
def test_whom_it_selects_is_left_open_in_its_directions(subject: str, is_open: bool) -> None:
    engine = PolicyEngine(state_of(POD, ADMIN.format(subject)))
    verdict = engine.judge(engine.flow("8.8.8.8", "10.242.2.31", "TCP", 8080))
    assert verdict.ingress.allowed == (None if is_open else True)
    assert verdict.egress.allowed is True, "it has no rules at egress"
    back = engine.judge(engine.flow("10.242.2.31", "8.8.8.8", "TCP", 443))
    assert (back.egress.allowed, back.ingress.allowed) == (True, True)
    assert (
        "AdminNetworkPolicy no-outside (dump-1.txt, line 6) may select it, and is not judged" in verdict.ingress.why
    ) == is_open


@pytest.mark.parametrize("kind", ["AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"])
def test_each_kind_is_read(kind: str) -> None:
    state = state_of(ADMIN.format("namespaces: {}").replace("AdminNetworkPolicy", kind))
    assert (only(state).kind, only(state).entries, only(state).unparsed) == ("kubernetes", 1, ())
    assert [item.kind for item in state.kubernetes.admin_policies] == [kind]
