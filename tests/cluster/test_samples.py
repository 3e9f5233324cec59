"""Each published sample gives the figures that were counted in it by hand."""

import re
from pathlib import Path

import pytest

from mixcni.cluster.cilium.localendpoints import BpfEndpoint
from mixcni.cluster.ofnode import NODE_LOCAL
from tests.cluster import crafted
from tests.cluster.dumps import READ, RECORDED, SAMPLES, only, sample, state_of


@pytest.mark.parametrize(
    ("name", "kind", "entries", "versions"),
    [
        ("ct-list-arthurchiao-2019-cheatsheet.txt", "ct", [3], ["1.3"]),
        ("ct-list-arthurchiao-2020-health-probe.txt", "ct", [2], ["1.8-1.15"]),
        ("ct-list-arthurchiao-2021-agent-restart.txt", "ct", [3], ["1.8-1.15"]),
        ("ct-list-arthurchiao-2021-agent-restart-truncated.txt", "ct", [1, 0, 1], ["1.3-1.15", None, "1.4-1.15"]),
        ("ct-list-ssup2-1.7.txt", "ct", [5], ["1.6-1.7"]),
        ("ct-list-pubidx-55132155314-1.18-comments.txt", "ct", [3], ["1.18"]),
        ("bpf-policy-get-all-arthurchiao-2019-cheatsheet.txt", "policy_map", [4, 4], ["1.0-1.8", "1.0-1.8"]),
        ("bpf-policy-get-all-arthurchiao-2020-etcd.txt", "policy_map", [4], ["1.0-1.8"]),
        ("bpf-policy-get-docs-1.8-debugging.txt", "policy_map", [5], ["1.0-1.8"]),
        ("bpf-policy-get-docs-1.8-debugging-numeric.txt", "policy_map", [5], ["1.0-1.8"]),
        ("bpf-policy-get-all-pubidx-59100957300-1.18.txt", "policy_map", [4], ["1.18"]),
        ("endpoint-list-arthurchiao-2019-cheatsheet.txt", "endpoints", [2], [None]),
        ("endpoint-list-arthurchiao-2021-trip.txt", "endpoints", [1], [None]),
        ("endpoint-list-arthurchiao-2021-trip-nocolumns.txt", "endpoints", [2], [None]),
        ("endpoint-list-ciliumio-2018-health.txt", "endpoints", [1], [None]),
        ("endpoint-list-docs-1.8-host-firewall-audit.txt", "endpoints", [3], ["1.8+"]),
        ("endpoint-list-acend-host-audit.txt", "endpoints", [3], ["1.8+"]),
        ("endpoint-list-acend-backend.txt", "endpoints", [1], [None]),
        ("endpoint-list-kubeasz-ipv6.txt", "endpoints", [5], [None]),
        ("endpoint-list-kubeasz-ipv6-enabled.txt", "endpoints", [5], [None]),
        ("endpoint-list-ssup2.txt", "endpoints", [4], [None]),
        ("endpoint-list-studycilium-deathstar-disabled.txt", "endpoints", [1], [None]),
        ("endpoint-list-studycilium-deathstar-enabled.txt", "endpoints", [1], [None]),
        ("endpoint-list-pubidx-48092086106-1.15.txt", "endpoints", [2], [None]),
        ("ipcache-list-arthurchiao-2019-cheatsheet.txt", "ipcache", [0, 4], [None, "1.5-1.11"]),
        ("ipcache-list-f5-vtep-pubidx-30712842-vtepmac.txt", "ipcache", [4], ["1.11-1.12"]),
        ("identity-list-arthurchiao-2019-cheatsheet.txt", "identities", [6], [None]),
        ("identity-list-docs-1.8-debugging.txt", "identities", [8], [None]),
        ("node-list-arthurchiao-2019-cheatsheet.txt", "nodes", [1], ["1.0-1.14"]),
        ("node-list-pubidx-37841698464-clustermesh.txt", "nodes", [4], ["1.0-1.14"]),
        ("health-status-ciliumio-2018-ok.txt", "health", [2], ["1.0-1.17"]),
        ("health-status-ciliumio-2018-timeout.txt", "health", [2], ["1.0-1.17"]),
        ("health-status-docs-1.6-troubleshooting.txt", "health", [2], ["1.0-1.17"]),
        ("health-status-arthurchiao-2020-health-probe.txt", "health", [3], ["1.0-1.17"]),
        ("bpf-endpoint-list-arthurchiao-2019-cheatsheet.txt", "bpf_endpoints", [3], ["1.0-1.13"]),
        ("bpf-endpoint-list-pubidx-48092086106-1.15.txt", "bpf_endpoints", [3], ["1.14+"]),
        ("map-get-lxc-ssup2.txt", "bpf_endpoints", [4], ["1.0-1.13"]),
        ("lb-list-arthurchiao-2019-cheatsheet.txt", "lb", [5], [None]),
        ("lb-list-pubidx-48092086106-1.15.txt", "lb", [14], ["1.12-1.15"]),
        ("service-list-arthurchiao-2019-cheatsheet.txt", "services", [4], ["1.0-1.7"]),
        ("service-list-arthurchiao-2022-nat46.txt", "services", [1], ["1.11+"]),
        ("service-list-ssup2.txt", "services", [7], ["1.0-1.7"]),
        ("service-list-pubidx-48092086106-1.15.txt", "services", [6], ["1.11+"]),
        ("nat-list-arthurchiao-2020-health-probe.txt", "nat", [2], ["1.0-1.13"]),
        ("nat-list-pubidx-35289026988-nat64.txt", "nat", [2], ["1.16+"]),
        ("metrics-list-arthurchiao-2019-cheatsheet.txt", "metrics", [4], ["1.0-1.15"]),
        ("policy-get-daithang59-1.18.txt", "policy_rules", [2], [None]),
        ("cilium-bpf-lb-list.md", "lb", [0], [None]),
    ],
)
def test_a_sample_has_its_entries_and_no_unparsed_line(
    name: str, kind: str, entries: list[int], versions: list[str | None]
) -> None:
    state = sample(name)
    assert [dump.kind for dump in state.dumps] == [kind] * len(entries)
    assert [dump.entries for dump in state.dumps] == entries
    assert [dump.version and str(dump.version) for dump in state.dumps] == versions
    assert [unparsed for dump in state.dumps for unparsed in dump.unparsed] == []
    assert len(state.tables[kind]) == sum(entries)


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*/cilium/*.txt")), ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_a_recorded_dump_is_read_to_its_last_line(path: Path) -> None:
    text = path.read_text()
    dump = only(state := state_of(**{path.stem: text}))
    kind = next(kind for kind, words in _RECORDED_KINDS.items() if words in path.name)
    assert (dump.kind, dump.unparsed, dump.unavailable, dump.partial) == (kind, (), None, None)
    # Twin: an entry is a line that begins where its column does.
    begins = {"ct": r"(?m)^(TCP|UDP|ICMP|ICMPv6) ", "health": r"(?m)^  \S+.*\d"}.get(
        kind, r"(?m)^(?!Name|POLICY|ENDPOINT|ID |IP )\S"
    )
    assert dump.entries == len(re.findall(begins, text)) > 0
    assert len(state.tables[kind]) == dump.entries


_RECORDED_KINDS = {
    "policy_map": "bpf-policy-get",
    "ct": "ct-list",
    "endpoints": "endpoint-list",
    "health": "health-status",
    "identities": "identity-list",
    "ipcache": "ipcache-list",
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("endpoint-list-arthurchiao-2019-cheatsheet.txt", [(10916, 44531), (12041, 104)]),
        ("endpoint-list-arthurchiao-2021-trip.txt", [(139, 263455)]),
        ("endpoint-list-ciliumio-2018-health.txt", [(29898, 299)]),
        ("endpoint-list-acend-backend.txt", [(248, 68421)]),
        ("endpoint-list-studycilium-deathstar-disabled.txt", [(1579, 318)]),
        ("endpoint-list-pubidx-48092086106-1.15.txt", [(2425, 1), (3373, 4)]),
        ("endpoint-list-ssup2.txt", [(691, 32535), (2296, 104), (3424, 104), (3787, 4)]),
    ],
)
def test_endpoints_have_their_ids_and_identities(name: str, rows: list[tuple[int, int]]) -> None:
    assert [(endpoint.id, endpoint.identity) for endpoint in sample(name).endpoints] == rows


def test_dropped_columns_leave_the_policy_unknown_and_the_addresses_in_place() -> None:
    endpoints = sample("endpoint-list-arthurchiao-2021-trip-nocolumns.txt").endpoints
    assert [(e.id, e.identity, str(e.ipv4), e.status, len(e.labels)) for e in endpoints] == [
        (2362, 322854, "10.2.2.2", "ready", 4),
        (2363, 288644, "10.2.2.5", "ready", 4),
    ]
    assert {(e.ingress_policy, e.egress_policy, e.ingress_enforced) for e in endpoints} == {(None, None, None)}


@pytest.mark.parametrize(
    ("name", "number", "labels", "status"),
    [
        ("endpoint-list-docs-1.8-host-firewall-audit.txt", 1687, 2, "ready"),
        ("endpoint-list-acend-host-audit.txt", 671, 9, "ready"),
    ],
)
def test_a_host_endpoint_in_audit_mode_has_no_address(name: str, number: int, labels: int, status: str) -> None:
    (host,) = [endpoint for endpoint in sample(name).endpoints if endpoint.id == number]
    assert host.ingress_policy == "Disabled (Audit)"
    assert (host.ingress_enforced, host.addresses, len(host.labels), host.status) == (False, (), labels, status)


def test_an_endpoint_may_lack_address_and_state() -> None:
    (bare,) = [endpoint for endpoint in sample("endpoint-list-acend-host-audit.txt").endpoints if endpoint.id == 4081]
    assert (bare.addresses, bare.status) == ((), None)


def test_endpoints_with_both_families_have_both_and_share_identities() -> None:
    before, after = (sample(f"endpoint-list-kubeasz-ipv6{tail}.txt").endpoints for tail in ("", "-enabled"))
    assert all(e.ipv4 is not None and e.ipv6 is not None for e in (*before, *after))
    assert [e.identity for e in before].count(31371) == 2
    assert {e.id for e in before if e.ingress_enforced} == set()
    assert {e.id for e in after if e.ingress_enforced} == {643, 1011}


def test_enabling_a_policy_shows_in_the_endpoint() -> None:
    words = [
        sample(f"endpoint-list-studycilium-deathstar-{state}.txt").endpoints[0].ingress_policy
        for state in ("disabled", "enabled")
    ]
    assert words == ["Disabled", "Enabled"]


def test_the_endpoint_id_is_taken_from_the_path_of_a_map() -> None:
    for name, number in (
        ("bpf-policy-get-all-arthurchiao-2019-cheatsheet.txt", 2159),
        ("bpf-policy-get-all-arthurchiao-2020-etcd.txt", 2489),
        ("bpf-policy-get-all-pubidx-59100957300-1.18.txt", 25),
    ):
        state = sample(name)
        assert {dump.endpoint_id for dump in state.dumps} == {number}
        assert {entry.endpoint_id for entry in state.policy_map} == {number}


def test_labels_and_numbers_of_one_map_are_the_same_rows() -> None:
    labelled, numbered = (sample(f"bpf-policy-get-docs-1.8-debugging{tail}.txt").policy_map for tail in ("", "-numeric"))
    assert [entry.identity for entry in numbered] == [0, 1, 0, 0, 16777217]
    assert [entry.identity for entry in labelled] == [0, 1, 0, 0, None]
    assert [len(entry.labels) for entry in labelled] == [1, 1, 1, 1, 2]
    assert {entry.proxy_port for entry in numbered} == {36447, None}
    for left, right in zip(labelled, numbered, strict=True):
        assert (left.direction, left.ports, left.proxy_port, left.bytes, left.packets) == (
            right.direction, right.ports, right.proxy_port, right.bytes, right.packets,
        )  # fmt: skip


def test_a_map_of_1_18_has_no_counters_where_it_prints_a_dash() -> None:
    entries = sample("bpf-policy-get-all-pubidx-59100957300-1.18.txt").policy_map
    assert [(e.identity, e.ports, e.bytes, e.packets, e.prefix_length, e.auth) for e in entries] == [
        (None, "8080/TCP", 41535, 165, 24, "disabled"),
        (None, "8444/TCP", None, None, 24, "disabled"),
        (0, "ANY", 99, 9, 0, "disabled"),
        (0, "ANY", None, None, 0, "disabled"),
    ]
    assert [len(entry.labels) for entry in entries] == [2, 1, 0, 0]


def test_debuginfo_holds_endpoints_a_map_and_a_failed_command() -> None:
    state = sample("debuginfo-pubidx-41261033259-1.18-excerpt.md")
    assert [(dump.kind, dump.entries, dump.unavailable) for dump in state.dumps] == [
        ("endpoints", 2, None),
        ("policy_map", 3, None),
        ("ct", 0, "Invalid argument: unknown type 33"),
    ]
    assert state.dumps[1].endpoint_id == 33
    assert [(e.identity, e.packets, e.prefix_length) for e in state.policy_map] == [(0, 10, 0), (1, 1013, 0), (0, 159, 0)]


def test_a_whole_debuginfo_is_one_dump_a_heading() -> None:
    state = state_of(crafted.DEBUGINFO)
    assert [(dump.kind, dump.entries, dump.endpoint_id) for dump in state.dumps if dump.kind != "unrecognised"] == [
        ("services", 2, None), ("policy_rules", 1, None), ("endpoints", 2, None), ("policy_map", 1, 33), ("ct", 0, None),
        ("endpoints", 1, None), ("identities", 1, None), ("status", 14, None), ("health", 1, None),
    ]  # fmt: skip
    # What is no dump of state is shown, and not taken for one: maps of memory, logs, versions, settings.
    assert [len(dump.unparsed) for dump in state.dumps if dump.kind == "unrecognised"] == [1, 4, 3, 1, 1, 3]
    assert not any(dump.unparsed for dump in state.dumps if dump.kind != "unrecognised")
    assert {dump.node for dump in state.dumps if dump.kind in NODE_LOCAL} == {"kind-worker"}


def test_an_ipcache_that_cannot_be_walked_is_unavailable_and_the_agents_map_is_read() -> None:
    state = sample("ipcache-list-arthurchiao-2019-cheatsheet.txt")
    assert state.dumps[0].unavailable == "No entries found."
    assert [(str(e.prefix), e.identity, e.encrypt_key, str(e.tunnel_endpoint)) for e in state.ipcache] == [
        ("10.50.191.164/32", 43640, 0, "0.0.0.0"),
        ("10.50.127.5/32", 23488, 0, "10.50.8.52"),
        ("10.50.178.1/32", 1, 0, "10.50.8.44"),
        ("10.50.191.97/32", 0, 0, "0.0.0.0"),
    ]


def test_an_unknown_key_of_a_preview_build_is_kept() -> None:
    entries = sample("ipcache-list-f5-vtep-pubidx-30712842-vtepmac.txt").ipcache
    assert [(str(e.prefix), e.identity) for e in entries] == [
        ("10.1.5.0/24", 2),
        ("10.1.6.0/24", 2),
        ("10.0.0.130/32", 3),
        ("0.0.0.0/0", 2),
    ]
    assert entries[0].extra == (("vtepmac", "01:50:56:A0:7D:D8"),)
    assert str(entries[0].tunnel_endpoint) == "10.169.72.36"


def test_two_greped_tables_in_one_paste_are_two_dumps() -> None:
    state = sample("bpf-endpoint-and-ipcache-list-pubidx-69598493232-grep.txt")
    assert [(dump.kind, dump.entries) for dump in state.dumps] == [("bpf_endpoints", 1), ("ipcache", 3)]
    assert {entry.flags for entry in state.ipcache} == {("hastunnel",), ()}
    (local,) = state.of_type(BpfEndpoint)
    assert (local.id, local.sec_id, local.parent_ifindex, local.rt_info) == (1478, 22446, 0, 0)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("identity-list-arthurchiao-2019-cheatsheet.txt", [1, 2, 4, 5, 100, 101]),
        ("identity-list-docs-1.8-debugging.txt", [1, 2, 3, 4, 5, 6, 323, 16777217]),
    ],
)
def test_identities_have_their_numbers_and_lines_left_out_make_them_partial(name: str, ids: list[int]) -> None:
    state = sample(name)
    assert [identity.id for identity in state.identities] == ids
    assert (only(state).partial or "").startswith("lines were left out at line")
    assert not state.has_complete("identities")


def test_identities_have_all_their_labels() -> None:
    labels = {identity.id: identity.labels for identity in sample("identity-list-docs-1.8-debugging.txt").identities}
    assert labels[16777217] == ("cidr:104.198.14.52/32", "reserved:world")
    assert len(labels[323]) == 5
    assert labels[6] == ("reserved:remote-node",)


def test_nodes_have_addresses_by_family_and_their_pod_cidrs() -> None:
    (minikube,) = sample("node-list-arthurchiao-2019-cheatsheet.txt").nodes
    assert (minikube.name, str(minikube.ipv4), minikube.ipv6) == ("minikube", "10.0.2.15", None)
    assert [str(cidr) for cidr in minikube.pod_cidrs] == ["10.15.0.0/16", "f00d::a0f:0:0:0/112"]
    nodes = sample("node-list-pubidx-37841698464-clustermesh.txt").nodes
    assert [node.name for node in nodes] == ["earth/master", "earth/node-1", "mars/master", "mars/node-1"]
    assert [str(node.pod_cidrs[0]) for node in nodes] == ["10.2.0.0/24", "10.2.1.0/24", "10.4.0.0/24", "10.4.1.0/24"]


@pytest.mark.parametrize(
    ("name", "answered", "failed", "local"),
    [
        ("health-status-ciliumio-2018-ok.txt", 8, 0, "k8s1"),
        ("health-status-ciliumio-2018-timeout.txt", 6, 2, "k8s1"),
        ("health-status-docs-1.6-troubleshooting.txt", 8, 0, "ip-172-0-52-116.us-west-2.compute.internal"),
        ("health-status-arthurchiao-2020-health-probe.txt", 8, 0, "cluster1/node1"),
    ],
)
def test_probes_are_counted_by_their_answer(name: str, answered: int, failed: int, local: str) -> None:
    state = sample(name)
    probes = [probe for node in state.health for probe in node.probes]
    assert [probe.reachable for probe in probes].count(True) == answered
    assert [probe.reachable for probe in probes].count(False) == failed
    assert all((probe.rtt_ns is None) == (not probe.reachable) for probe in probes)
    assert [node.name for node in state.health if node.is_local] == [local]
    assert only(state).node == local


def test_a_failed_probe_belongs_to_the_endpoint_of_its_node() -> None:
    good, bad = sample("health-status-ciliumio-2018-timeout.txt").health
    assert (good.node_reachable, good.endpoints_reachable) == (True, True)
    assert (bad.name, bad.node_reachable, bad.endpoints_reachable) == ("k8s2", True, False)
    assert {probe.says for probe in bad.probes if probe.target == "endpoint"} == {"Connection timed out"}
    assert str(bad.endpoint_address) == "10.10.1.172"
    assert good.probes[0].rtt_ns == 424_945


def test_remarks_behind_values_are_no_part_of_them() -> None:
    first, elided, last = sample("health-status-arthurchiao-2020-health-probe.txt").health
    assert (str(first.address), str(first.endpoint_address)) == ("10.5.6.60", "10.6.2.213")
    assert (elided.name, elided.address, elided.node_reachable) == ("cluster1/node2", None, None)
    assert str(last.address) == "10.6.6.100"


@pytest.mark.parametrize(
    ("name", "reachable", "total", "shown", "version"),
    [
        ("status-docs-1.6-troubleshooting.txt", 4, 4, 0, None),
        ("status-arthurchiao-2019-cheatsheet.txt", 1, 1, 0, None),
        ("status-acend-1.12.txt", 1, 1, 0, "1.12"),
        ("status-daithang59-1.18.txt", 1, 3, 2, "1.18"),
    ],
)
def test_the_health_part_of_status_is_partial_where_it_shows_unhealthy_nodes_alone(
    name: str, reachable: int, total: int, shown: int, version: str | None
) -> None:
    state = sample(name)
    (summary,) = state.health_summaries
    assert (summary.reachable, summary.total) == (reachable, total)
    (health,) = [dump for dump in state.dumps if dump.kind == "health"]
    assert (health.entries, health.partial) == (shown, f"it shows {shown} of {total} nodes, as without --verbose")
    assert (health.version and str(health.version)) == version
    assert {(node.node_reachable, node.endpoints_reachable) for node in state.health} <= {(False, False)}
    assert {dump.kind for dump in state.dumps} == {"status", "health"}
    assert state.is_cilium_node("10.9.9.9") is None


@pytest.mark.parametrize(
    ("prefix", "kind"), [("monitor-", "monitor"), ("hubble-observe-", "hubble"), ("hubble-status-", "hubble_status")]
)
def test_events_are_recognised_and_taken_for_nothing_else(prefix: str, kind: str) -> None:
    paths = sorted(SAMPLES.glob(f"{prefix}*"))
    assert paths
    for path in paths:
        state = sample(path.name)
        assert {dump.kind for dump in state.dumps} == {kind}
        assert not any(dump.unparsed for dump in state.dumps)
        assert all(not state.tables[name] for name in READ)
