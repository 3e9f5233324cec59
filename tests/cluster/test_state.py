"""What all dumps together answer, and what they leave open."""

import dataclasses
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mixcni.cluster import ClusterState, loading, read_dumps
from mixcni.cluster.dump import NOT_READ_YET
from mixcni.cluster.kind import Kind
from mixcni.cluster.kinds import TABLES
from mixcni.errors import DumpError, ParameterError
from tests.cluster import crafted
from tests.cluster.dumps import CT_TAIL, ENDPOINT_TITLES, IPCACHE_TITLES, POLICY_TITLES, RECORDED, SAMPLES, only, sample, state_of

FOUNDING = RECORDED / "networkpolicy-drop" / "cilium"
MADE = SAMPLES.parent / "events" / "made"
IPCACHE = (
    f"{IPCACHE_TITLES}\n10.0.0.5/32 identity=4711 encryptkey=0 tunnelendpoint=0.0.0.0\n"
    "10.0.1.0/24 identity=2 encryptkey=0 tunnelendpoint=192.168.0.2\n10.0.2.9/32 identity=0 encryptkey=0 tunnelendpoint=0.0.0.0\n"
    "203.0.113.0/24 identity=16777217 encryptkey=0 tunnelendpoint=0.0.0.0\n"
    "203.0.113.7/32 identity=16777218 encryptkey=0 tunnelendpoint=0.0.0.0\n"
)
DEFAULT = "0.0.0.0/0 identity={} encryptkey=0 tunnelendpoint=0.0.0.0\n"
ENDPOINTS = f"{ENDPOINT_TITLES}\n7 Enabled Disabled 4712 k8s:app=a fd00::7 10.0.0.7 ready\n"


# Identities.


@pytest.mark.parametrize(
    ("address", "identity", "how", "line"),
    [
        ("10.0.0.5", 4711, "ipcache", 2),
        ("10.0.1.77", 2, "ipcache", 3),
        ("203.0.113.7", 16777218, "ipcache", 6),
        ("203.0.113.8", 16777217, "ipcache", 5),
        ("10.0.2.9", None, "unknown", 4),
        ("10.244.3.7", 2, "no ipcache entry", 1),
        ("::ffff:10.0.0.5", 4711, "ipcache", 2),
    ],
)
def test_the_longest_prefix_decides_and_an_address_in_none_is_world(
    address: str, identity: int | None, how: str, line: int
) -> None:
    answer = state_of(IPCACHE).identity_of(address)
    assert (answer.identity, answer.how, answer.file, answer.line) == (identity, how, "dump-0.txt", line)


@pytest.mark.parametrize(
    ("address", "is_world"), [("10.244.3.7", True), ("203.0.113.8", True), ("10.0.0.5", False), ("10.0.2.9", None)]
)
def test_addresses_outside_the_cluster_are_world_to_rules(address: str, is_world: bool | None) -> None:
    assert state_of(IPCACHE).identity_of(address).is_world is is_world


def test_the_fallback_of_a_cilium_nodes_pod_cidr_is_named_as_such() -> None:
    assert "Cilium node 192.168.0.2" in state_of(IPCACHE).identity_of("10.0.1.77").says


@pytest.mark.parametrize(("row", "identity"), [(2, 2), (9, 9), (16777219, 2)])
def test_the_row_for_all_addresses_is_world_by_its_number_or_by_rule(row: int, identity: int) -> None:
    answer = state_of(IPCACHE + DEFAULT.format(row)).identity_of("10.244.3.7")
    assert (answer.identity, answer.how) == (identity, "no ipcache entry")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (IPCACHE + "...\n", "lines were left out at line 7"),
        (IPCACHE + "\n\n...\n", "lines were left out at line 9"),
        ("...\n" + IPCACHE, "lines were left out at line 1"),
        (f"$ cilium bpf ipcache list | grep 10.0\n{IPCACHE}", "it was read through `grep`"),
        (IPCACHE + "10.x.x.x/32 identity=99 encryptkey=0 tunnelendpoint=0.0.0.0\n", "the prefix in line 7 could not be read"),
        (IPCACHE + "command terminated with exit code 137\n", "the command failed at line 7"),
        ("10.0.0.5 maps to identity identity=4711 encryptkey=0 tunnelendpoint=0.0.0.0\n", "it is the answer for one address"),
        (IPCACHE_TITLES, "it has no rows"),
        ("$ cilium bpf ipcache list\nNo entries found.\n", "No entries found."),
        ("", None),
    ],
    ids=[
        "cut below",
        "cut further below",
        "cut above",
        "greped",
        "masked",
        "killed",
        "one address",
        "titles",
        "not walkable",
        "no dump",
    ],
)
def test_absence_from_a_table_that_is_not_whole_proves_nothing(text: str, reason: str | None) -> None:
    answer = (state_of(text) if text else state_of(ENDPOINTS)).identity_of("10.244.3.7")
    assert (answer.identity, answer.how, answer.is_world) == (None, "unknown", None)
    assert answer.says.endswith(
        f"proves nothing by that: {reason}" if reason else "no ipcache dump is there that could say what 10.244.3.7 is"
    )


def test_without_an_ipcache_conntrack_tells_how_a_source_was_classified() -> None:
    line = f"TCP {{}} 10.244.3.7:1 -> 10.0.0.7:80 {CT_TAIL.replace('SourceSecurityID=1', 'SourceSecurityID=3')}"
    answer = state_of(line.format("IN")).identity_of("10.244.3.7")
    assert (answer.identity, answer.how) == (3, "conntrack")
    assert state_of(line.format("IN")).identity_of("10.0.0.7").identity is None  # the destination's is not in it
    assert state_of(line.format("OUT")).identity_of("10.244.3.7").identity is None
    assert state_of(line.format("IN"), IPCACHE).identity_of("10.244.3.7").identity == 2


def test_the_nodes_own_endpoints_are_known_by_the_endpoint_list() -> None:
    answer = state_of(ENDPOINTS, IPCACHE).identity_of("10.0.0.7")
    assert (answer.identity, answer.how, answer.line) == (4712, "endpoint list", 2)


def test_an_ipcache_that_contradicts_the_endpoint_list_is_said_so() -> None:
    says = state_of(ENDPOINTS, IPCACHE.replace("10.0.0.5/32", "10.0.0.7/32")).identity_of("10.0.0.7").says
    assert says.endswith("; an ipcache dump has identity 4711 for it")
    assert (
        "ipcache"
        not in state_of(ENDPOINTS, IPCACHE.replace("10.0.0.5/32 identity=4711", "10.0.0.7/32 identity=4712"))
        .identity_of("10.0.0.7")
        .says
    )


def test_of_two_ipcache_dumps_the_later_counts_and_the_other_is_named() -> None:
    answer = state_of(IPCACHE, IPCACHE.replace("4711", "4713")).identity_of("10.0.0.5")
    assert (answer.identity, answer.file) == (4713, "dump-1.txt")
    assert answer.says.endswith("other dumps have identity 4711 for it")


def test_what_is_no_address_is_the_callers_mistake() -> None:
    for ask in (ClusterState().identity_of, ClusterState().endpoint_of, ClusterState().is_cilium_node):
        with pytest.raises(ParameterError, match="wanted an IPv4 or IPv6 address"):
            ask("10.x.x.x")


@pytest.mark.parametrize(("identity", "labels"), [(4712, ("k8s:app=a",)), (1, ("reserved:host",)), (99999, None)])
def test_labels_come_from_the_dumps_or_from_being_reserved(identity: int, labels: tuple[str, ...] | None) -> None:
    assert state_of(ENDPOINTS).labels_of(identity) == labels


def test_lines_left_out_of_another_commands_output_take_nothing_from_the_dump_below() -> None:
    state = state_of(f"$ date\n...\n$ cilium bpf ipcache list\n{IPCACHE}")
    assert state.has_complete("ipcache")


# Endpoints, connections, nodes.


def test_an_endpoint_is_found_by_either_of_its_addresses_and_the_later_list_counts() -> None:
    state = state_of(ENDPOINTS, ENDPOINTS.replace("7 Enabled", "8 Enabled").replace("fd00::7", "fd00::8"))
    for address, number in (("10.0.0.7", 8), ("fd00::7", 7), ("fd00::8", 8)):
        endpoint = state.endpoint_of(address)
        assert endpoint is not None
        assert endpoint.id == number
    assert state.endpoint_of("10.0.0.8") is None


def test_a_connection_is_found_in_both_orientations_the_one_asked_for_first() -> None:
    there, back = f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL}", f"TCP IN 10.0.0.2:80 -> 10.0.0.1:1 {CT_TAIL}"
    state = state_of(f"{back}\n{there}\nUDP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL}\nTCP IN 10.0.0.1:2 -> 10.0.0.2:80 {CT_TAIL}")
    for protocol in ("tcp", "TCP", 6):
        assert [entry.line for entry in state.conntrack_of("10.0.0.1", 1, "10.0.0.2", 80, protocol)] == [2, 1]
        assert [entry.line for entry in state.conntrack_of("10.0.0.2", 80, "10.0.0.1", 1, protocol)] == [1, 2]
    assert [entry.line for entry in state.conntrack_of("10.0.0.1", 1, "10.0.0.2", 80, 17)] == [3]
    assert state.conntrack_of("10.0.0.1", 9, "10.0.0.2", 80, 6) == ()


def test_a_connection_of_a_port_with_itself_is_found_once() -> None:
    state = state_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.1:1 {CT_TAIL}")
    assert len(state.conntrack_of("10.0.0.1", 1, "10.0.0.1", 1, "TCP")) == 1
    assert len(state.conntrack_with("10.0.0.1")) == 1


def test_connections_among_addresses_have_both_ends_among_them() -> None:
    state = state_of("\n".join(f"TCP IN 10.0.0.{a}:1 -> 10.0.0.{b}:80 {CT_TAIL}" for a, b in ((1, 2), (2, 1), (1, 3), (3, 4))))
    found = state.conntrack_between(["10.0.0.1", "10.0.0.2"])
    assert sorted(entry.line for entry in found) == [1, 2]
    assert {entry.line for entry in state.conntrack_with("10.0.0.1")} == {1, 2, 3}


NODES = (
    "Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR\n"
    "earth/a 192.168.0.1 10.2.0.0/24{}\nearth/b 192.168.0.2 10.2.1.0/24{}\n"
)


@pytest.mark.parametrize(
    ("text", "address", "is_one"),
    [
        (NODES.format("", ""), "192.168.0.1", True),
        (NODES.format("", ""), "192.168.0.9", False),
        (NODES.format("", ""), "fd00::9", None),
        (NODES.format(" fd00::1 fd01::/96", " fd00::2 fd02::/96"), "fd00::9", False),
        (NODES.format(" fd00::1 fd01::/96", ""), "fd00::9", None),
        (NODES.format("", "") + "...", "192.168.0.9", None),
        (NODES.format("", "").replace("192.168.0.2", "192.168.x.x"), "192.168.0.9", None),
        (IPCACHE, "192.168.0.9", None),
    ],
    ids=["listed", "not listed", "family not listed", "both families", "one without it", "cut", "masked", "no list"],
)
def test_a_node_that_a_whole_list_of_its_family_lacks_does_not_run_cilium(text: str, address: str, is_one: bool | None) -> None:
    assert state_of(text).is_cilium_node(address) is is_one


@pytest.mark.parametrize(
    ("text", "kind", "whole"),
    [
        (IPCACHE, "ipcache", True),
        (IPCACHE + "...", "ipcache", False),
        (IPCACHE, "ct", False),
        ('[{"Key":{"SourcePort":1},"Value":{"RxFlagsSeen":1,"Lifetime":2}}]', "ct", False),
        ("no maps found", "policy_map", False),
    ],
    ids=["whole", "cut", "another kind", "JSON of no entry", "failed"],
)
def test_a_dump_is_complete_if_it_was_read_and_nothing_of_it_is_missing(text: str, kind: str, whole: bool) -> None:
    assert state_of(text).has_complete(kind) is whole


def test_a_map_of_a_family_that_the_node_lacks_takes_nothing_from_the_others() -> None:
    skipped = (
        "Unable to open /sys/fs/bpf/tc/globals/cilium_ct6_global: Unable to get object: no such file or directory. Skipping."
    )
    state = state_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL}\n\n{skipped}")
    dump = only(state)
    assert (dump.entries, dump.unavailable, dump.is_complete) == (1, None, True)
    assert dump.note == f"line 3: {skipped}"


# Policy verdicts against the rest of the state.

MAP = f"$ cilium bpf policy get 7 -n\n{POLICY_TITLES}\nAllow Ingress 1 ANY NONE 0 0\n"


@pytest.mark.parametrize(
    ("policy", "allowed", "word"),
    [
        ("Enabled", False, "dropped by default"),
        ("Disabled (Audit)", True, "the endpoint list has Disabled (Audit)"),
        ("Disabled", None, "the endpoint list has Disabled"),
        ("Unknown", False, "dropped by default"),
    ],
)
def test_a_denial_stands_only_where_the_endpoint_enforces_policy(policy: str, allowed: bool | None, word: str) -> None:
    verdict = state_of(MAP, ENDPOINTS.replace("Enabled", policy)).policy_verdict(7, "ingress", 2, 80, "TCP")
    assert verdict.allowed is allowed
    assert word in verdict.why


def test_an_egress_verdict_asks_for_egress_enforcement() -> None:
    state = state_of(MAP, ENDPOINTS)
    assert state.policy_verdict(7, "egress", 2, 80, "TCP").allowed is None
    assert state.policy_verdict(7, "ingress", 2, 80, "TCP").allowed is False


def test_a_map_with_rows_missing_denies_nothing_by_default() -> None:
    state = state_of(MAP + "...\n")
    verdict = state.policy_verdict(7, "ingress", 2, 80, "TCP")
    assert (verdict.allowed, verdict.why) == (
        None, "no row denies it, but rows of the policy map are missing: lines were left out at line 4",
    )  # fmt: skip
    assert state.policy_verdict(7, "ingress", 1, 80, "TCP").allowed is True


def test_the_release_that_other_dumps_show_decides_how_the_map_is_asked() -> None:
    columns = POLICY_TITLES.replace("BYTES PACKETS", "AUTH TYPE BYTES PACKETS PREFIX")
    rows = "Allow Ingress 2 80/TCP NONE disabled 0 0 24\nDeny Ingress 0 ANY NONE disabled 0 0 0\n"
    policy_map = f"$ cilium bpf policy get 7 -n\n{columns}\n{rows}"
    one = CT_TAIL.replace("RxPackets=5 RxBytes=452", "Packets=0 Bytes=0").replace(" TxPackets=4 TxBytes=400", "")
    assert state_of(policy_map).policy_verdict(7, "ingress", 2, 80, "TCP").allowed is None
    older = state_of(policy_map, f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL} IfIndex=0")
    assert (str(older.version), older.policy_verdict(7, "ingress", 2, 80, "TCP").allowed) == ("1.14-1.15", True)
    newer = state_of(policy_map, f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {one} BackendID=0")
    assert (str(newer.version), newer.policy_verdict(7, "ingress", 2, 80, "TCP").allowed) == ("1.18", False)


# Surface.


def test_dumps_of_no_common_release_have_no_version_and_say_so() -> None:
    state = sample("ct-list-ssup2-1.7.txt")
    assert str(state.version) == "1.6-1.7"
    both = state_of((SAMPLES / "ct-list-ssup2-1.7.txt").read_text(), (SAMPLES / "seed-health-status.txt").read_text())
    assert both.version is None
    assert repr(both).startswith("ClusterState: 2 dumps, their forms of no one Cilium release\n")


def test_the_glance_has_the_trouble_first_and_is_bounded() -> None:
    state = state_of(*[IPCACHE] * 14, "no maps found", ENDPOINTS + "9 Enabled Disabled 5 k8s:a=b ?? ready\n")
    lines = repr(state).splitlines()
    assert lines[0] == "ClusterState: 16 dumps, Cilium 1.12-1.15 by their form"
    assert lines[1].split() == ["policy_map", "unavailable", "dump-14.txt:1", "no", "maps", "found"]
    assert lines[2].split() == ["endpoints", "2", "entries", "dump-15.txt:1", "1", "line", "not", "understood"]
    assert lines[3].split() == ["ipcache", "5", "entries", "dump-0.txt:1"]
    assert lines[-1] == "  ... and 4 more"
    assert len(lines) == 14


def test_the_glance_at_the_founding_case_is_aligned() -> None:
    assert repr(read_dumps(FOUNDING, root=FOUNDING)) == (
        "ClusterState: 6 dumps, Cilium 1.12-1.13 by their form\n"
        "  policy_map   3 entries  bpf-policy-get-1437.txt:1\n"
        "  ct          31 entries  ct-list.txt:1\n"
        "  endpoints    4 entries  endpoint-list.txt:1\n"
        "  health       3 entries  health-status.txt:1\n"
        "  identities  11 entries  identity-list.txt:1\n"
        "  ipcache     14 entries  ipcache-list.txt:1"
    )
    assert repr(ClusterState()) == "ClusterState: no dumps"


@pytest.mark.parametrize("kind", list(TABLES))
def test_a_table_without_entries_has_the_columns_and_types_of_one_with_some(kind: str) -> None:
    crafted_dumps = [read for _, text, _ in crafted.TEXTS.values() for read in loading.read_octets(text.encode(), "crafted.txt")]
    state = ClusterState.of([*loading.find_dumps([FOUNDING, SAMPLES, MADE]), *crafted_dumps])
    full, empty = state.to_frame(kind), ClusterState().to_frame(kind)
    assert list(full.columns) == list(empty.columns) == [item.name for item in dataclasses.fields(TABLES[kind])]
    assert (full.dtypes == empty.dtypes).all()
    assert len(full) > 0 == len(empty)
    assert {str(dtype) for dtype in full.dtypes} <= {"Int64", "boolean", "string"}


def test_a_frame_tells_absent_from_zero() -> None:
    frame = sample("ct-list-arthurchiao-2021-agent-restart-truncated.txt").to_frame("ct")
    assert frame["tx_packets"].isna().all()
    assert frame["rx_packets"].tolist() == [14, 2]
    assert (str(frame["rx_packets"].dtype), str(frame["truncated"].dtype), str(frame["source"].dtype)) == (
        "Int64",
        "boolean",
        "string",
    )
    assert frame["source"].tolist() == ["10.5.224.91", "10.5.224.91"]
    assert pd.isna(frame["packets"]).all()


def test_a_frame_writes_what_is_not_flat_as_text() -> None:
    assert sample("ct-list-arthurchiao-2019-cheatsheet.txt").to_frame("ct")["extra"][0] == "ports=9090:34382"
    assert sample("seed-endpoint-list.txt").to_frame("endpoints")["labels"][0].count(", ") == 15
    assert (
        "endpoint icmp Connection timed out" in sample("health-status-ciliumio-2018-timeout.txt").to_frame("health")["probes"][1]
    )
    frame = state_of(ENDPOINTS + "9 Enabled Disabled 5 k8s:a=b ?? ready\n").to_frame("dumps")
    assert frame["unparsed"].tolist() == ["line 3: '??' is no label, address or status"]
    assert state_of(IPCACHE).to_frame("dumps")["version"].tolist() == ["1.12-1.15"]


def test_an_unknown_table_names_its_near_misses() -> None:
    with pytest.raises(ParameterError, match="no table 'endpoint', wanted endpoints"):
        ClusterState().to_frame("endpoint")


def test_entries_cite_files_below_the_root_and_lines_as_an_editor_counts_them() -> None:
    state = read_dumps(FOUNDING, root=FOUNDING.parent)
    for name, table in state.tables.items():
        for entry in table:
            assert entry.file.startswith("cilium/")
            assert (
                name == "dumps"
                or _number_in_line(name, entry) in (FOUNDING.parent / entry.file).read_text().split("\n")[entry.line - 1]
            )


def _number_in_line(name: str, entry: Any) -> str:
    """What must stand in the line that an entry cites."""
    words = {"ct": "source", "ipcache": "prefix", "health": "address", "health_summaries": "total", "policy_map": "ports"}
    return str(getattr(entry, words.get(name, "id")))


def test_a_file_that_is_not_there_is_an_error_and_a_folder_is_read_whole(tmp_path: Path) -> None:
    with pytest.raises(DumpError):
        read_dumps(tmp_path / "none.txt")
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").write_text(IPCACHE)
    (tmp_path / "sub" / "b.txt").write_text(IPCACHE)
    (tmp_path / "a.txt").write_text(ENDPOINTS)
    assert [dump.file for dump in read_dumps(tmp_path, root=tmp_path).dumps] == ["a.txt", "sub/b.txt"]


def test_what_is_not_read_yet_is_counted_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "KIND_OF_NAME", {"nat": Kind(name="nat")})
    state = sample("nat-list-pubidx-35289026988-nat64.txt")
    assert only(state).partial == NOT_READ_YET
    assert not only(state).is_read
    assert NOT_READ_YET in repr(state)
    assert state.endpoint_of(ip_address("10.0.0.1")) is None
