"""Whose an address is, and what the dumps say of one connection."""

import json

import pytest

from mixcni.cluster.flowlook import Flow, look_up_flow, parse_flow
from mixcni.errors import ParameterError
from tests.cluster import crafted
from tests.cluster.dumps import sample, state_of

EVERYTHING = (
    crafted.NODES, crafted.SERVICES, crafted.ENDPOINTS, crafted.IPCACHE, crafted.BPF_ENDPOINTS, crafted.CT, crafted.NAT,
    crafted.STATUS_VERBOSE, crafted.IDENTITIES, "$ cilium bpf policy get 25 -n\n" + crafted.POLICY,
    json.dumps(crafted.TWINS["ip_list"][1]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "owners"),
    [
        (
            "10.0.1.4",
            {"pod endpoint 25 in namespace shop", "pod endpoint 25", "pod shop/echo-7f5d", "pod address of node kind/worker2"},
        ),
        ("10.0.0.9", {"pod shop/echo-7f5d", "backend of service 0.0.0.0:30080", "pod address of node kind/worker"}),
        ("172.18.0.3", {"node kind/worker2", "node kind-worker2"}),
        ("10.0.1.1", {"local address of the node itself", "local address router", "pod address of node kind/worker2"}),
        ("10.96.0.10", {"service 10.96.0.10:53"}),
        ("172.18.0.2", {"node kind/worker", "node kind-worker", "backend of service 10.96.0.1:443"}),
        ("10.0.1.200", {"pod address of node kind/worker2"}),
        ("192.0.2.77", set()),
    ],
)
def test_an_address_is_what_any_dump_says_that_it_is(address: str, owners: set[str]) -> None:
    assert {str(owner) for owner in state_of(*EVERYTHING).owners_of(address)} == owners


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("10.0.0.1:1234-10.0.0.2:80", "TCP 10.0.0.1:1234 -> 10.0.0.2:80"),
        ("10.0.0.1:1234 -> 10.0.0.2:80", "TCP 10.0.0.1:1234 -> 10.0.0.2:80"),
        ("10.0.0.1-10.0.0.2:53/udp", "UDP 10.0.0.1 -> 10.0.0.2:53"),
        ("[fd00::1]:1234-[fd00::2]:80", "TCP [fd00::1]:1234 -> [fd00::2]:80"),
        ("[fd00::1]-[fd00::2]", "TCP fd00::1 -> fd00::2"),
    ],
)
def test_a_flow_is_read_in_the_ways_that_people_write_it(text: str, flow: str) -> None:
    assert str(parse_flow(text)) == flow
    assert isinstance(parse_flow(text), Flow)


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1", "10.0.0.1:1-", "a-b", "10.0.0.1:99999-10.0.0.2:1", "10.0.0.1:1-10.0.0.2:2/", "-" * 5000]
)
def test_what_is_no_flow_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ParameterError, match="flow: wanted"):
        parse_flow(text)


def sayings(flow: str, *texts: str) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for item in look_up_flow(state_of(*texts), parse_flow(flow)):
        said.setdefault(item.topic, []).append(item.says)
    return said


def test_a_connection_is_found_in_conntrack_and_policy() -> None:
    said = sayings("10.0.0.9:41000-10.0.1.4:8080", *EVERYTHING)
    (ct,) = said["ct"]
    assert ct == (
        "IN 10.0.0.9:41000 -> 10.0.1.4:8080; RxClosing TxClosing SeenNonSyn; requests: 6 packets, TCP flags 0x1b; "
        "replies: 4 packets, TCP flags 0x13; source identity 77"
    )
    assert "the ipcache row 10.0.0.9/32 gives 10.0.0.9 identity 33511" in " ".join(said["source"])
    assert said["policy_ingress"][0] == "endpoint 25 has ingress policy Enabled"
    assert said["policy_ingress"][1].startswith("allowed: ")
    assert sayings("10.0.0.9:41000-10.0.1.4:9090", *EVERYTHING)["policy_ingress"][1].startswith("denied: ")


def test_a_connection_is_found_from_either_end_and_by_its_translation() -> None:
    assert sayings("10.0.1.4:8080-10.0.0.9:41000", crafted.CT)["ct"] == sayings("10.0.0.9:41000-10.0.1.4:8080", crafted.CT)["ct"]
    assert sayings("10.0.0.9-10.0.1.4", crafted.CT)["ct"] == sayings("10.0.0.9:41000-10.0.1.4:8080", crafted.CT)["ct"]
    for asked in ("10.0.0.9:41000-192.0.2.1:443", "172.18.0.2:61000-192.0.2.1:443", "192.0.2.1:443-172.18.0.2:61000"):
        assert len(sayings(asked, crafted.NAT)["nat"]) == 2
    assert "nat" not in sayings("10.0.0.9:41001-192.0.2.1:443", crafted.NAT)


def test_a_service_without_backends_is_said_to_have_none() -> None:
    assert sayings("10.0.0.9-10.96.0.10:53/UDP", crafted.SERVICES)["service"] == [
        "10.96.0.10:53 is a service with no backend: nothing can answer"
    ]


def test_the_datapaths_own_services_are_asked_too() -> None:
    state = state_of(crafted.LB_SLOTS)
    found = {
        (str(s.frontend), s.frontend_port): [str(b) for b in s.backends]
        for port in (53, 80)
        for s in state.services_at("10.96.0.10", port)
    }
    assert found == {("10.96.0.10", 53): ["10.0.0.7:53/UDP"]}
    (broken,) = state.services_at("10.96.0.11")
    assert (broken.backends, broken.id) == ((), None)
    (local,) = state.services_at("10.96.0.12", 80)
    assert (local.type, local.scope, local.id) == ("NodePort", "internal", 6)
    old = sample("lb-list-pubidx-48092086106-1.15.txt")
    assert [(s.id, len(s.backends)) for s in old.services_at("10.96.0.10")] == [(4, 2), (3, 2)]


def test_absence_from_conntrack_counts_only_in_a_dump_that_is_whole() -> None:
    whole = sayings("10.9.9.9:1-10.0.1.4:8080", crafted.CT)["ct"]
    cut = [item.says for item in look_up_flow(sample("seed-ct-list.txt"), parse_flow("10.244.3.7:41000-10.242.2.149:8080"))]
    assert whole == ["conntrack has no entry of it"]
    assert any("which proves nothing: its last line ends in dots" in says for says in cut)
    assert sayings("10.9.9.9:1-10.0.1.4:8080")["ct"] == ["no conntrack dump is there"]
