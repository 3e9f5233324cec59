"""Whom rules find: entities, selectors with all operators, ports and ICMP types, each in a table."""

from ipaddress import ip_address

import pytest
import yaml

from mixcni.cluster.policies import PolicyEngine
from mixcni.cluster.policies.answer import NO, YES, Answer, all_of, any_of, negated, unknown
from mixcni.cluster.policies.icmp import icmp_type
from mixcni.cluster.policies.labels import LabelSet, labels_of_pod, labels_of_texts, selector_of
from mixcni.cluster.policies.party import Guise, Party
from mixcni.cluster.policies.rules import EntityPeer, PortMatch
from tests.cluster.dumps import state_of
from tests.cluster.policies.world import HERE, WHO, documents, engine, letter, verdict, world

V4, V6 = ip_address("203.0.113.9"), ip_address("2001:db8::9")
GUISES = {
    "host": ["reserved:host"], "remote-node": ["reserved:remote-node"],
    "api": ["reserved:kube-apiserver", "reserved:remote-node"],
    "health": ["reserved:health"], "init": ["reserved:init"], "ingress": ["reserved:ingress"],
    "unmanaged": ["reserved:unmanaged"], "world": ["reserved:world"], "cidr": ["cidr:203.0.113.0/24", "reserved:world"],
    "v4": ["reserved:world-ipv4"], "pod": ["k8s:app=a", "k8s:io.kubernetes.pod.namespace=default"],
}  # fmt: skip
ENTITIES = {
    # entity: the guises in the order of GUISES; Cilium, "Entities based"
    "all": "AAAAAAAAAAA", "none": "-----------", "host": "A----------", "remote-node": "-AA--------",
    "kube-apiserver": "--A--------", "health": "---A-------", "init": "----A------", "ingress": "-----A-----",
    "unmanaged": "------A----", "world": "-------AAA-", "cluster": "AAAAAAA---A", "world-ipv4": "-------??A-",
    "world-ipv6": "-----------",
}  # fmt: skip


def sign(answer: Answer) -> str:
    return {True: "A", False: "-", None: "?"}[answer.holds]


@pytest.mark.parametrize(("entity", "expected"), ENTITIES.items())
def test_an_entity_is_whom_the_documentation_says(entity: str, expected: str) -> None:
    pod = Guise(V4, labels_of_texts(GUISES["pod"]), "pod")
    found = [EntityPeer(entity).matches(Guise(V4, labels_of_texts(texts), name), pod) for name, texts in GUISES.items()]
    assert "".join(map(sign, found)) == expected


def test_an_unknown_entity_or_end_is_not_decided() -> None:
    pod = Guise(V4, labels_of_texts(GUISES["pod"]), "pod")
    assert EntityPeer("galaxy").matches(pod, pod).holds is None
    nobody = Guise(V4, None, "?")
    assert [sign(EntityPeer(name).matches(nobody, pod)) for name in ("all", "none", "world", "cluster")] == ["A", "-", "?", "?"]


LABELS = LabelSet({"k8s:app": "a", "reserved:host": "", "container:app": "b"})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": "any:app", "operator": "In", "values": ["b", "c"]}, True),
        ({"key": "k8s:app", "operator": "In", "values": ["b", "c"]}, False),
        ({"key": "app", "operator": "In", "values": ["b"]}, True),
        ({"key": "k8s:app", "operator": "NotIn", "values": ["b"]}, True),
        ({"key": "k8s:app", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
        ({"key": "reserved:host", "operator": "Exists"}, True),
        ({"key": "reserved:host", "operator": "DoesNotExist"}, False),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "app", "operator": "Like", "values": ["a"]}, None),
    ],
)
def test_every_operator_of_a_selector(expression: dict[str, object], expected: bool | None) -> None:
    assert selector_of({"matchExpressions": [expression]}, sourced=True).selects(LABELS).holds is expected


@pytest.mark.parametrize(
    ("labels", "expected"), [({"matchLabels": {"team": "x"}}, None), ({}, True), ({"matchLabels": {"app": "b"}}, False)]
)
def test_labels_of_a_namespace_that_nobody_dumped_are_not_decided(labels: dict[str, object], expected: bool | None) -> None:
    known = labels_of_pod("default", {"app": "a", "pod-template-hash": "f00"}, "default", None)
    prefix = "k8s:io.cilium.k8s.namespace.labels." if "team" in str(labels) else "k8s:"
    assert selector_of(labels, prefix).selects(known).holds is expected


def test_labels_that_are_not_identity_relevant_select_nothing() -> None:
    """Cilium, "Limiting Identity-Relevant Labels": pod-template-hash and others never reach the datapath."""
    policy = {"kind": "NetworkPolicy", "metadata": {"name": "n", "namespace": "default"},
              "spec": {"podSelector": {"matchLabels": {"pod-template-hash": "abc"}}, "policyTypes": ["Ingress"]}}  # fmt: skip
    assert letter(verdict(engine([policy]), "ingress", "db", "front", "80/TCP")) == "A"


def test_labels_cut_off_before_their_namespace_leave_selectors_open() -> None:
    cut = labels_of_texts(["k8s:app=a"])
    assert selector_of({"matchLabels": {"app": "a"}}).selects(cut).holds is True
    assert selector_of({"matchLabels": {"tier": "x"}}).selects(cut).holds is None


PORTS = Party(V4, (Guise(V4, labels_of_texts(GUISES["pod"]), "pod"),), True, {("web", "TCP"): 8080, ("dns", "UDP"): 53})
UNTOLD = Party(V4, (Guise(V4, labels_of_texts(GUISES["pod"]), "pod"),), True)


@pytest.mark.parametrize(
    ("match", "protocol", "port", "expected"),
    [
        (PortMatch("TCP", 80), "TCP", 80, True),
        (PortMatch("TCP", 80), "UDP", 80, False),
        (PortMatch("TCP", 80, 90), "TCP", 90, True),
        (PortMatch("TCP", 80, 90), "TCP", 91, False),
        (PortMatch("TCP"), "TCP", 1, True),
        (PortMatch(None, 80), "SCTP", 80, True),
        (PortMatch(None, 8), "ICMP", 8, False),
        (PortMatch(None), "ICMP", 8, True),
        (PortMatch("TCP", name="web"), "TCP", 8080, True),
        (PortMatch("TCP", name="web"), "TCP", 80, False),
        (PortMatch("UDP", name="web"), "UDP", 8080, False),
        (PortMatch("TCP", name="none"), "TCP", 8080, False),
        (PortMatch("TCP", 80), "TCP", None, False),
    ],
)
def test_ports_ranges_and_names(match: PortMatch, protocol: str, port: int | None, expected: bool) -> None:
    assert match.matches(protocol, port, PORTS).holds is expected
    if match.name:
        assert match.matches(protocol, port, UNTOLD).holds is None


@pytest.mark.parametrize(
    ("family", "value", "expected"),
    [
        ("IPv4", 8, ("ICMP", 8)), ("IPv4", "EchoRequest", ("ICMP", 8)), ("IPv6", "EchoRequest", ("ICMPV6", 128)),
        ("IPv4", "3", ("ICMP", 3)), ("IPv6", "PacketTooBig", ("ICMPV6", 2)), ("IPv4", "PacketTooBig", ("ICMP", None)),
    ],
)  # fmt: skip
def test_icmp_types_by_number_and_name(family: str, value: int | str, expected: tuple[str, int | None]) -> None:
    assert icmp_type(family, value) == expected


def test_the_logic_of_three_values() -> None:
    """Kleene's: what decides decides, whatever is not known."""
    doubt = unknown("why")
    assert (all_of([YES, doubt, NO]), all_of([YES, doubt]), all_of([])) == (NO, doubt, YES)
    assert (any_of([NO, doubt, YES]), any_of([NO, doubt]), any_of([])) == (YES, doubt, NO)
    assert (negated(YES), negated(NO), negated(doubt)) == (NO, YES, doubt)


HOST_POLICY = {
    "kind": "CiliumClusterwideNetworkPolicy", "metadata": {"name": "nodes"},
    "spec": {"nodeSelector": {"matchLabels": {"pool": "a"}},
             "ingress": [{"fromEntities": ["world"], "toPorts": [{"ports": [{"port": "22", "protocol": "TCP"}]}]}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "peer", "port", "expected"),
    [
        ("node-1", "out", "22/TCP", "A"),
        ("node-1", "out", "23/TCP", "?"),  # denied if the host firewall is on, which no dump shows
        ("node-2", "out", "23/TCP", "A"),  # another pool
        ("kubenet", "out", "23/TCP", "A"),  # Cilium does not run there
        ("db", "out", "23/TCP", "A"),  # a host policy is about no pod
    ],
)
def test_a_host_policy_is_about_nodes_with_its_labels(subject: str, peer: str, port: str, expected: str) -> None:
    assert letter(verdict(engine([HOST_POLICY]), "ingress", subject, peer, port)) == expected


@pytest.mark.parametrize(("word", "expected"), [("Enabled [eth0]", False), ("Disabled", True), ("Unknown", None)])
def test_a_host_policy_denies_where_the_status_says_that_the_host_firewall_is_on(word: str, expected: bool | None) -> None:
    status = f"$ cilium status\nKVStore:  Ok\nHost firewall:   {word}\n"
    cluster = state_of((HERE / "world.yaml").read_text(), status)
    policies = PolicyEngine(cluster, policies=engine([HOST_POLICY]).policies)
    assert policies.judge(policies.flow(WHO["out"], WHO["node-1"], "TCP", 23)).ingress.allowed is expected


def test_a_service_is_not_taken_for_the_world() -> None:
    party = engine([]).directory.party("10.96.0.10")
    assert party.guises[0].labels is None
    assert "the service default/myservice" in party.says


def test_a_private_address_that_no_dump_tells_of_may_be_a_pod() -> None:
    """`kubectl get` of one namespace has few of the pods: that an address is none of them proves nothing."""
    few = state_of("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {podIP: 10.0.0.1, phase: Running}\n")
    directory = PolicyEngine(few).directory
    assert directory.party("10.0.0.2").guises[0].labels is None
    assert directory.party("8.8.8.8").guises[0].is_world


def test_a_pod_unknown_to_a_peers_ipcache_is_still_judged_by_its_own_labels() -> None:
    """One node's ipcache lacks the pod: there it is world; on its own node the policies that select it are enforced."""
    stale = "IP PREFIX/ADDRESS IDENTITY\n10.0.0.9/32 identity=1001 encryptkey=0 tunnelendpoint=0.0.0.0"
    objects = (HERE / "world.yaml").read_text() + "---\n" + yaml.safe_dump(documents()["kubernetes default-deny-egress"][0])
    policies = PolicyEngine(state_of(stale, objects))
    found = policies.judge(policies.flow(WHO["front"], WHO["db"], "TCP", 80))
    assert found.flow.initiator.guises[0].is_world
    assert found.egress.allowed is False


def test_a_walkthrough_has_every_rule_that_was_tried() -> None:
    from_front = [{"podSelector": {"matchLabels": {"role": "frontend"}}}]
    spec = {"podSelector": {"matchLabels": {"role": "db"}}, "ingress": [{"from": from_front, "ports": [{"port": 6379}]}]}
    policies = engine([HOST_POLICY, {"kind": "NetworkPolicy", "metadata": {"name": "db", "namespace": "default"}, "spec": spec}])
    found = policies.judge(policies.flow("10.244.3.7", "10.0.1.1", "TCP", 6379))
    old = "world: the pod default/old on kubenet-1, a node on which Cilium does not run"
    assert str(found).splitlines() == [
        f"10.244.3.7 ({old}) to 10.0.1.1 (the pod default/db), 6379/TCP",
        f"  egress   ALLOWED: {old}: Cilium enforces no policy on it",
        f"  ingress  DENIED: {found.ingress.why}",
        f"           - {found.ingress.steps[0]}",
        "  verdict  denied",
    ]
    selected = "the pod default/db is selected by NetworkPolicy default/db (policies.yaml, line 2)"
    assert found.ingress.why == f"{selected}, and nothing allows 6379/TCP from {old}: denied by default"
    rule = "NetworkPolicy default/db, ingress[0] (policies.yaml, line 2)"
    assert found.ingress.steps == (f"{rule} allows pods role=frontend in namespace default on 6379/TCP: the peer does not match",)


def test_the_cluster_knows_whom_cilium_manages() -> None:
    inventory = world().kubernetes
    assert [node.name for node in inventory.unmanaged_nodes()] == ["kubenet-1"]
    assert (inventory.is_managed("cilium-1"), inventory.is_managed("kubenet-1")) == (True, False)
    assert [world().is_cilium_node(WHO[name]) for name in ("node-1", "kubenet", "out")] == [True, False, None]
