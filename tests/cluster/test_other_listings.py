"""Listings beside the tables of state: egress gateways, masquerading, node ids, and those that are counted and shown."""

import json

import pytest

from mixcni.cluster.cilium.egress import EgressEntry
from mixcni.cluster.cilium.ipmasq import IpmasqEntry
from mixcni.cluster.cilium.others import Row
from mixcni.cluster.flowlook import look_up_flow, parse_flow
from tests.cluster.crafted import EGRESS, IPMASQ, NODE_IDS, OTHERS
from tests.cluster.dumps import only, state_of


def test_a_gateway_may_be_missing_and_a_network_excluded() -> None:
    rows = state_of(EGRESS).of_type(EgressEntry)
    assert [(row.way, str(row.gateway), str(row.egress_address)) for row in rows] == [
        ("gateway", "172.18.0.3", "192.0.2.7"), ("not found", "None", "None"), ("excluded", "None", "None"),
    ]  # fmt: skip
    old = EGRESS.replace("Not Found", "0.0.0.0").replace("Excluded CIDR", "0.0.0.1")
    assert [row.way for row in state_of(old).of_type(EgressEntry)] == ["gateway", "not found", "excluded"]


def test_what_says_how_packets_leave_is_told_of_a_connection() -> None:
    state = state_of(EGRESS, IPMASQ)
    told = [say for say in look_up_flow(state, parse_flow("10.0.0.9:1-203.0.113.8:80")) if say.topic == "egress"]
    assert [(say.file, say.line) for say in told] == [("dump-0.txt", 2), ("dump-0.txt", 3)]
    assert told[0].says == "to 203.0.113.0/24 it leaves over the gateway 172.18.0.3, its source becomes 192.0.2.7"
    assert "dropped" in told[1].says
    told = [say for say in look_up_flow(state, parse_flow("10.0.0.9:1-10.200.0.8:80")) if say.topic == "egress"]
    assert [(say.file, say.line, say.says) for say in told] == [("dump-1.txt", 2, "to 10.0.0.0/8 pods are not masqueraded")]


@pytest.mark.parametrize("value", [["10.0.0.0/8", "fd00::/8"], [{"IP": "10.0.0.0", "Mask": [255, 0, 0, 0]}]])
def test_networks_as_json_have_several_forms(value: object) -> None:
    state = state_of(f"$ cilium-dbg bpf ipmasq list -o json\n{json.dumps(value)}")
    assert str(state.of_type(IpmasqEntry)[0].prefix) == "10.0.0.0/8"
    assert only(state).unparsed == ()


@pytest.mark.parametrize("mask", ["?", "/wAAAA\u00ff==", "////////////////"])
def test_a_network_with_a_mask_that_is_none_is_left_over(mask: str) -> None:
    state = state_of(f'$ cilium bpf ipmasq list -o json\n[{{"IP": "10.0.0.0", "Mask": "{mask}"}}]')
    assert (len(only(state).unparsed), only(state).entries) == (1, 0)


def test_a_node_with_an_id_runs_cilium_and_one_without_may_too() -> None:
    state = state_of(NODE_IDS)
    assert state.is_cilium_node("172.18.0.3") is True
    assert state.is_cilium_node("172.18.0.9") is None
    assert str(only(state).version) == "1.16+"
    old = state_of("NODE ID   IP ADDRESSES\n7         172.18.0.3\n")
    assert (old.is_cilium_node("172.18.0.3"), str(only(old).version)) == (True, "1.12-1.15")


def test_other_listings_are_counted_and_their_rows_shown_by_title() -> None:
    state = state_of(OTHERS)
    assert [(dump.kind, dump.entries, dump.unparsed) for dump in state.dumps] == [
        ("others", count, ()) for count in (1, 1, 1, 2, 1, 1, 1, 1)
    ]
    rows = state.of_type(Row)
    assert [row.listing for row in rows] == [
        "auth", "bandwidth", "recorder", "sha", "sha", "vtep", "srv6 vrf", "multicast group", "statedb devices",
    ]  # fmt: skip
    assert dict(rows[0].cells)["REMOTE NODE ID"] == "41394"
    assert rows[4].cells == (("", "1437"),)
    assert dict(rows[-1].cells)["Addresses"] == "172.18.0.2"


def test_the_json_of_other_listings_is_told_by_its_keys() -> None:
    auth = [
        {"LocalIdentity": 33511, "RemoteIdentity": 4711, "RemoteNodeID": 1, "AuthType": 1, "Expiration": "2024-05-01T10:00:00Z"}
    ]
    (row,) = state_of(json.dumps(auth)).of_type(Row)
    assert (row.listing, dict(row.cells)["RemoteIdentity"]) == ("auth", "4711")
    tables = {"devices": [{"Name": "eth0", "MTU": 1500, "Addrs": []}], "routes": [{"Dst": "0.0.0.0/0"}]}
    state = state_of(json.dumps(tables, indent=1))
    assert [(row.listing, row.cells[0]) for row in state.of_type(Row)] == [
        ("devices", ("Name", "eth0")), ("routes", ("Dst", "0.0.0.0/0")),
    ]  # fmt: skip
    assert only(state).kind == "others"


@pytest.mark.parametrize(
    ("command", "error", "kind"),
    [
        ("bpf egress list", "Cannot find egress gateway bpf maps", "egress"),
        ("bpf ipmasq list", "error opening ip-masq-agent map: no such file", "ipmasq"),
        ("bpf nodeid list", "Cannot find node bpf map", "node_ids"),
        ("bpf auth list", "Cannot find auth bpf map", "others"),
        ("bpf bandwidth list", "bandwidth manager not enabled", "others"),
    ],
)
def test_a_map_that_is_not_there_is_no_empty_listing(command: str, error: str, kind: str) -> None:
    for program in ("cilium", "cilium-dbg"):
        dump = only(state_of(f"$ {program} {command}\n{error}\n"))
        assert (dump.kind, dump.unavailable) == (kind, error)
