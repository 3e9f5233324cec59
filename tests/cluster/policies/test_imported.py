"""The rules as an agent imported them (`cilium policy get`) judge as the manifests that they come from."""

import json
from typing import Any

import pytest

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from mixcni.cluster.policies import PolicyEngine
from tests.cluster.dumps import SAMPLES, state_of
from tests.cluster.policies.world import HERE, WHO

NAMESPACE = "k8s:io.kubernetes.pod.namespace"
WORLD = (HERE / "world.yaml").read_text()


def labels(kind: str, name: str, namespace: str = "") -> list[dict[str, str]]:
    told = {"derived-from": kind, "name": name, **({"namespace": namespace} if namespace else {})}
    return [{"key": f"io.cilium.k8s.policy.{key}", "value": value, "source": "k8s"} for key, value in told.items()]


def imported(*rules: dict[str, Any]) -> ClusterState:
    return state_of(WORLD, f"$ cilium policy get\n{json.dumps(list(rules), indent=2)}\nRevision: 11\n")


DB = {"endpointSelector": {"matchLabels": {"any:role": "db", NAMESPACE: "default"}}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # A NetworkPolicy without rules becomes a rule that allows nobody, one with an empty rule a selector of everybody.
        ({"ingress": [{}]}, "DDDD"),
        ({"ingress": [{"fromEndpoints": [{}]}]}, "AAAA"),
        ({"ingress": [{"fromEndpoints": [{"matchLabels": {"any:role": "frontend", NAMESPACE: "default"}}]}]}, "ADDD"),
        ({"ingress": [{"fromEndpoints": [{"matchLabels": {"any:role": "frontend"}}]}]}, "AADD"),
        ({"ingress": [{"fromEndpoints": [{"matchExpressions": [{"key": NAMESPACE, "operator": "Exists"}]}]}]}, "AADD"),
        ({"ingress": [{"fromCIDRSet": [{"cidr": "10.244.0.0/16"}]}]}, "DDAD"),
        ({"ingress": [{"fromEntities": ["world"]}], "ingressDeny": [{"fromCIDR": ["172.17.0.5/32"]}]}, "DDAD"),
        ({"egress": [{}], "enableDefaultDeny": {"ingress": False, "egress": True}}, "AAAA"),
    ],
)
def test_a_rule_means_what_it_says_and_nothing_is_added(parts: dict[str, Any], expected: str) -> None:
    engine = PolicyEngine(imported({**DB, **parts, "labels": labels("NetworkPolicy", "db", "default")}))
    (policy,) = engine.policies
    assert (policy.reference, policy.file) == ("NetworkPolicy default/db", "dump-1.txt")
    found = [
        engine.judge(engine.flow(WHO[peer], WHO["db"], "TCP", 80)).ingress for peer in ("front", "other-front", "old", "out")
    ]
    assert "".join({True: "A", False: "D", None: "?"}[each.allowed] for each in found) == expected


def test_manifests_are_asked_before_imported_rules() -> None:
    manifest = "---\nkind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: own}\nspec: {podSelector: {}}\n"
    rule = json.dumps([{**DB, "ingress": [{}], "labels": labels("NetworkPolicy", "db", "default")}])
    engine = PolicyEngine(state_of(WORLD + manifest, f"$ cilium policy get\n{rule}\n"))
    assert [policy.name for policy in engine.policies] == ["own"]


def test_the_rules_of_a_real_agent_are_policies() -> None:
    state = ClusterState.of(
        read for path in SAMPLES.glob("policy-get-*") for read in read_octets(path.read_bytes(), path.name)
    )  # fmt: skip
    found = [(policy.reference, sorted(policy.default_deny), len(policy.rules)) for policy in PolicyEngine(state).policies]
    assert found == [
        ("CiliumNetworkPolicy benchmark/allow-fortio-to-echo", ["ingress"], 1),
        ("CiliumNetworkPolicy benchmark/deny-all-to-echo", ["egress"], 2),
    ]
