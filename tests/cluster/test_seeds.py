"""The four dumps of the founding case, in every detail that their description states."""

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from tests.cluster.dumps import SAMPLES, only, sample

POD = IPv4Address("10.242.2.149")


def test_the_endpoint_of_the_seed_is_read_from_flattened_columns() -> None:
    state = sample("seed-endpoint-list.txt")
    (endpoint,) = state.endpoints
    assert (endpoint.id, endpoint.ingress_policy, endpoint.egress_policy, endpoint.identity) == (
        2636,
        "Enabled",
        "Disabled",
        59271,
    )
    assert (endpoint.ipv6, endpoint.ipv4, endpoint.status) == (None, POD, "ready")
    assert (endpoint.ingress_enforced, endpoint.egress_enforced) == (True, False)
    words = (SAMPLES / "seed-endpoint-list.txt").read_text().split()
    assert list(endpoint.labels) == [word for word in words if word.startswith("k8s:")]
    assert len(endpoint.labels) == 16
    assert not only(state).unparsed


def test_the_policy_map_of_the_seed_has_seven_rows_in_order() -> None:
    state = sample("seed-bpf-policy-get.txt")
    rows = [
        (
            entry.deny,
            entry.direction,
            entry.identity,
            entry.ports,
            entry.proxy_port,
            entry.bytes,
            entry.packets,
            len(entry.labels),
        )
        for entry in state.policy_map
    ]
    assert rows == [
        (False, "ingress", 0, "9999/TCP", None, 0, 0, 1),
        (False, "ingress", 1, "ANY", None, 408725, 5154, 1),
        (False, "ingress", None, "ANY", None, 11824851, 910, 11),
        (False, "ingress", None, "ANY", None, 8007, 14, 16),
        (False, "ingress", None, "ANY", None, 0, 0, 5),
        (False, "ingress", None, "ANY", None, 0, 0, 17),
        (False, "egress", 0, "ANY", None, 990293, 6509, 1),
    ]
    assert str(only(state).version) == "1.9-1.13"
    assert not only(state).unparsed
    assert "k8s:app=istiod" in state.policy_map[2].labels


def test_the_seed_admits_the_host_and_port_9999_and_drops_world_on_every_other_port() -> None:
    state = sample("seed-bpf-policy-get.txt")
    endpoint = 2636  # not in the dump: the only map there is

    def verdict(direction: str, identity: int, port: int) -> bool | None:
        return state.policy_verdict(endpoint, direction, identity, port, "TCP").allowed

    assert verdict("ingress", 1, 15021) is True
    assert verdict("ingress", 2, 9999) is True
    assert verdict("ingress", 2, 8080) is False
    assert verdict("egress", 2, 8080) is True
    why = state.policy_verdict(endpoint, "ingress", 2, 8080, "TCP").why
    assert "dropped by default (drop reason 133, Policy denied)" in why


def test_the_conntrack_table_of_the_seed_holds_kubelet_probes_alone() -> None:
    state = sample("seed-ct-list.txt")
    assert len(state.ct) == 20
    for entry in state.ct:
        assert (entry.protocol, entry.direction) == ("TCP", "IN")
        assert (entry.source, entry.destination) == (IPv4Address("10.242.2.153"), POD)
        assert (entry.flags, entry.source_security_id, entry.rev_nat, entry.if_index) == (0x13, 1, 0, 0)
        assert (entry.rx_flags_seen, entry.tx_flags_seen) == (0x1B, 0x1B)
        assert entry.flag_names == ("RxClosing", "TxClosing", "SeenNonSyn")
        assert entry.expires is not None
        assert entry.last_rx_report is not None
        assert entry.expires - entry.last_rx_report == 9  # units of 256 jiffies at HZ 250: the 10 s after FIN
        assert entry.rx_bytes is not None
        assert entry.rx_packets is not None
        assert 77 <= entry.rx_bytes / entry.rx_packets <= 84
    ports = [entry.destination_port for entry in state.ct]
    assert (ports.count(15021), ports.count(15020)) == (11, 9)
    assert [entry.truncated for entry in state.ct] == [False] * 19 + [True]
    dump = only(state)
    assert (str(dump.version), len(dump.unparsed)) == ("1.8-1.15", 0)
    assert dump.partial == "its last line ends in dots: more may have stood below"


def test_the_health_of_the_seed_knows_fifteen_cilium_nodes_and_no_other() -> None:
    state = sample("seed-health-status.txt")
    (summary,) = state.health_summaries
    probed = datetime(2022, 12, 12, 8, 19, 2, tzinfo=UTC)
    assert (summary.reachable, summary.total, summary.probed_at_ns) == (15, 15, int(probed.timestamp()) * 10**9)
    assert {str(node.address) for node in state.health} == {f"10.118.201.{last}" for last in range(48, 63)}
    assert len(state.health) == 15
    assert all(node.node_reachable is True and node.endpoints_reachable is True for node in state.health)
    assert all(node.name == str(node.address) for node in state.health)
    assert [node.name for node in state.health if node.is_local] == ["10.118.201.53"]
    assert only(state).node == "10.118.201.53"
    assert (str(only(state).version), only(state).is_complete) == ("1.8-1.16", True)
    assert state.is_cilium_node("10.118.201.48") is True
    assert state.is_cilium_node("10.118.201.63") is False


@pytest.mark.parametrize("name", ["endpoint-list", "bpf-policy-get", "ct-list", "health-status"])
def test_no_line_of_a_seed_is_lost(name: str) -> None:
    state = sample(f"seed-{name}.txt")
    assert [dump.unparsed for dump in state.dumps] == [()]
