"""The incident's own four dumps: what the policy map does with a pod on a kubenet node, port by port."""

from ipaddress import ip_network

import pytest

from mixcni.cluster import ClusterState, read_dumps
from mixcni.cluster.kubernetes import objects_of
from mixcni.cluster.policies import Flow, PolicyEngine, read_policies
from mixcni.explain.present import Present, with_added
from tests.cluster.dumps import SAMPLES

KUBENET, SHOP, ENDPOINT = "10.244.3.7", "10.242.2.149", 2636
NETWORKS = {"kubenet-1": ip_network("10.244.3.0/24")}
ALLOW = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow, namespace: 468205436992-default}
spec:
  podSelector: {matchLabels: {app: wetown-java}}
  ingress:
  - from: [{ipBlock: {cidr: 10.244.3.0/24}}]
    ports: [{port: 8080}]
"""


@pytest.fixture(scope="module")
def state() -> ClusterState:
    return read_dumps(sorted(SAMPLES.glob("seed-*.txt")), root=SAMPLES)


def flow(engine: PolicyEngine, port: int, protocol: str = "TCP") -> Flow:
    return engine.flow(KUBENET, SHOP, protocol, port)


def test_the_dumps_say_that_the_pod_is_isolated_and_nobody_from_outside_was_let_in(state: ClusterState) -> None:
    endpoint = state.endpoint_of(SHOP)
    assert endpoint is not None
    assert (endpoint.id, endpoint.ingress_enforced, endpoint.egress_enforced) == (ENDPOINT, True, False)
    assert {str(entry.source) for entry in state.conntrack_with(SHOP)} == {"10.242.2.153"}
    assert {entry.source_security_id for entry in state.ct} == {1}


@pytest.mark.parametrize("port", [1, 80, 443, 8080, 9998, 9999, 10000, 15020, 15021, 65535])
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_world_reaches_9999_over_tcp_and_nothing_else(port: int, protocol: str, state: ClusterState) -> None:
    verdict = state.policy_verdict(ENDPOINT, "ingress", 2, port, protocol)
    assert verdict.allowed is ((port, protocol) == (9999, "TCP"))
    present = Present(state, PolicyEngine(state, unmanaged=NETWORKS))
    assert present.effect("ingress", flow(present.engine, port, protocol)).allowed is verdict.allowed


@pytest.mark.parametrize(("port", "allowed"), [(8080, True), (9999, True), (80, False)])
def test_with_a_rule_for_the_pod_network_its_port_is_open_as_well(port: int, allowed: bool, state: ClusterState) -> None:
    engine = PolicyEngine(state, unmanaged=NETWORKS)
    added = PolicyEngine(state, policies=read_policies(objects_of(ALLOW, "p")[0], state.kubernetes), unmanaged=NETWORKS)
    effect = with_added(Present(state, engine).effect("ingress", flow(engine, port)), added, "ingress", flow(engine, port))
    assert effect.allowed is allowed
