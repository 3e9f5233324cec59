"""An end that Cilium does not manage is said to be that, where its dumps show it."""

from ipaddress import ip_network

import pytest

from mixcni.explain import Finding
from tests.cluster.dumps import state_of
from tests.explain.denied import OTHER, POD, attempts, endpoint_list, findings, ipcache

CAUSE = "not_managed_by_cilium"
ENDPOINTS = endpoint_list(f"1437 Enabled Disabled 31042 k8s:app=shop {POD}")
NODES = "Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR\ncilium-1 10.118.201.53 10.242.2.0/24\n"
OBJECTS = f"""
apiVersion: v1
kind: List
items:
- {{apiVersion: cilium.io/v2, kind: CiliumNode, metadata: {{name: cilium-1}}}}
- apiVersion: v1
  kind: Pod
  metadata: {{name: client, namespace: default, labels: {{app: web}}}}
  spec: {{nodeName: kubenet-1}}
  status: {{podIP: {OTHER}, phase: Running}}
"""
CIDRS = {"kubenet-1": ip_network("10.244.3.0/24")}


def found_of(initiator: str, responder: str, *dumps: str, cidrs: bool = False) -> list[Finding]:
    seen = attempts(initiator, responder, lost="BC")
    return [found for found in findings(seen, state_of(*dumps), CIDRS if cidrs else None) if found.cause == CAUSE]


@pytest.mark.parametrize(("role", "ends"), [("source", (OTHER, POD)), ("destination", (POD, OTHER))])
def test_it_is_named_for_either_end_with_what_kubernetes_knows(role: str, ends: tuple[str, str]) -> None:
    found = found_of(*ends, ENDPOINTS, ipcache(f"{POD}/32 31042"), OBJECTS)[0]
    assert found.is_named
    assert found.sentence.startswith(f"The {role} {OTHER} is not managed by Cilium")
    assert found.loss is None, "it is a statement, and no loss's cause"
    assert [fact.says.split(",")[0] for fact in found.evidence] == [
        "the pod default/client runs on kubenet-1",
        f"no ipcache entry covers {OTHER}: world (2)",
        f"to Kubernetes {OTHER} is the pod default/client (app=web); no selector of a Cilium policy finds it by them",
    ]
    assert all(fact.file and fact.line for fact in found.evidence)


def test_it_is_named_first_where_no_policy_map_shows_a_denial() -> None:
    unknown = ENDPOINTS.replace("Enabled", "Unknown")
    found = findings(attempts(OTHER, POD, lost="BC"), state_of(unknown, ipcache(f"{POD}/32 31042"), NODES), CIDRS)
    assert (found[0].cause, found[0].is_named) == (CAUSE, True)


@pytest.mark.parametrize(
    "dumps",
    [
        (ENDPOINTS, ipcache(f"{POD}/32 31042", f"{OTHER}/32 22917"), NODES),
        (ENDPOINTS, OBJECTS.replace("kubenet-1", "cilium-1")),
    ],
    ids=["it has an identity", "its node runs Cilium"],
)
def test_a_near_miss_is_not_named(dumps: tuple[str, ...]) -> None:
    assert [found.is_named for found in found_of(OTHER, POD, *dumps)] == [False]


def test_an_address_on_the_internet_is_not_called_unmanaged() -> None:
    assert not found_of("203.0.113.9", POD, ENDPOINTS, ipcache(f"{POD}/32 31042"), NODES)[0].is_named


def test_with_its_dumps_missing_it_is_possible_and_says_what_to_collect() -> None:
    found = found_of(OTHER, POD, ENDPOINTS)[0]
    assert not found.is_named
    assert "may be not managed" in found.sentence
    assert any("cilium bpf ipcache list" in sentence for sentence in found.collect)
    assert any("kubectl get nodes,ciliumnodes -o yaml" in sentence for sentence in found.collect)


def test_between_addresses_that_cilium_has_nothing_to_do_with_nothing_is_said() -> None:
    assert found_of("203.0.113.9", OTHER, ENDPOINTS) == []
