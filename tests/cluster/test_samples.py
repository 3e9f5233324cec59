"""Each published sample gives the figures that were counted in it by hand."""

import re
from pathlib import Path

import pytest

from mixcni.cluster.cilium.lb import LbEntry
from mixcni.cluster.cilium.localendpoints import BpfEndpoint
from mixcni.cluster.cilium.rules import PolicyRule
from mixcni.cluster.cilium.status import StatusItem, pod_cidrs
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


@pytest.mark.parametrize(
    ("name", "services", "backends"),
    [("lb-list-arthurchiao-2019-cheatsheet.txt", 2, 3), ("lb-list-pubidx-48092086106-1.15.txt", 6, 8)],
)
def test_rows_of_the_load_balancer_know_their_service_wherever_its_own_row_stands(
    name: str, services: int, backends: int
) -> None:
    rows = sample(name).of_type(LbEntry)
    frontends = {(row.frontend, row.frontend_port) for row in rows}
    assert len(frontends) == services == sum(row.is_service for row in rows)
    assert sum(row.backend is not None for row in rows) == backends
    assert {(row.frontend, row.frontend_port) for row in rows if row.is_service} == frontends
    assert not any(row.frontend is None for row in rows)


def test_flags_and_ids_of_the_load_balancer_are_read() -> None:
    rows = sample("lb-list-pubidx-48092086106-1.15.txt").of_type(LbEntry)
    (last,) = [row for row in rows if row.is_service and row.frontend_port == 443 and row.rev_nat == 2]
    assert last.flags == ("ClusterIP", "InternalLocal", "non-routable")
    assert [(str(r.backend), r.backend_port, r.slot) for r in rows if r.rev_nat == 3 and not r.is_service] == [
        ("10.244.0.238", 53, 1), ("10.244.0.180", 53, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "backends"),
    [
        ("service-list-arthurchiao-2019-cheatsheet.txt", [1, 1, 2, 1]),
        ("service-list-arthurchiao-2022-nat46.txt", [3]),
        ("service-list-ssup2.txt", [2, 2, 1, 2, 2, 2, 2]),
        ("service-list-pubidx-48092086106-1.15.txt", [1, 1, 2, 2, 1, 1]),
    ],
)
def test_services_have_their_backends(name: str, backends: list[int]) -> None:
    services = sample(name).services
    assert [len(service.backends) for service in services] == backends
    assert [service.id for service in services] == list(range(1, len(backends) + 1))
    assert all(backend.address is not None for service in services for backend in service.backends)


def test_a_service_may_have_backends_of_the_other_family() -> None:
    (service,) = sample("service-list-arthurchiao-2022-nat46.txt").services
    assert (str(service.frontend), service.frontend_port, service.type) == ("1.2.3.4", 80, "ExternalIPs")
    assert [str(backend) for backend in service.backends] == [
        "[f00d::1]:60 (active)", "[f00d::2]:70 (active)", "[f00d::3]:80 (active)",
    ]  # fmt: skip


def test_translations_have_both_ends_and_what_the_wire_shows() -> None:
    entry, other = sample("nat-list-arthurchiao-2020-health-probe.txt").nat
    assert (entry.protocol, entry.direction, str(entry.source), entry.source_port) == ("ICMP", "OUT", "10.5.2.101", 65204)
    assert (entry.xlate, str(entry.xlate_address), entry.xlate_port, entry.created_sec, entry.host_local) == (
        "SRC", "10.5.2.101", 65204, 1987884, 1,
    )  # fmt: skip
    assert (other.direction, other.xlate) == ("IN", "DST")
    into, out = sample("nat-list-pubidx-35289026988-nat64.txt").nat
    assert (str(into.source), str(into.destination), str(into.xlate_address)) == (
        "64:ff9b::8c52:7104", "192.168.64.2", "2001:db8:dead:beef::2",
    )  # fmt: skip
    assert (out.created, out.created_sec, out.needs_ct) == ("155sec ago", 155, 0)


def test_metrics_have_reasons_of_several_words_and_directions_in_capitals() -> None:
    metrics = sample("metrics-list-arthurchiao-2019-cheatsheet.txt").metrics
    assert [(m.reason, m.direction, m.packets, m.bytes, m.is_drop) for m in metrics] == [
        ("Error retrieving tunnel key", "EGRESS", 231382, 18545353, True),
        ("Invalid source ip", "UNKNOWN", 1508284, 120985464, True),
        ("Success", "EGRESS", 226488, 69418245, False),
        ("Success", "UNKNOWN", 207163, 20200009, False),
    ]


def test_local_endpoints_have_their_interface_and_the_node_its_own_addresses() -> None:
    rows = sample("map-get-lxc-ssup2.txt").of_type(BpfEndpoint)
    assert [(str(r.address), r.localhost, r.id, r.ifindex, r.state) for r in rows] == [
        ("30.0.0.160", True, None, None, "sync"), ("192.167.1.138", True, None, None, "sync"),
        ("192.167.1.235", False, 829, 8, "sync"), ("192.167.1.139", False, 53, 10, "sync"),
    ]  # fmt: skip


def test_rules_are_read_with_their_origin_and_the_revision_below() -> None:
    state = sample("policy-get-daithang59-1.18.txt")
    rules = state.of_type(PolicyRule)
    assert [(rule.name, rule.derived_from, rule.line) for rule in rules] == [
        ("benchmark/allow-fortio-to-echo", "CiliumNetworkPolicy", 2), ("benchmark/deny-all-to-echo", "CiliumNetworkPolicy", 58),
    ]  # fmt: skip
    assert [(len(rule.ingress or ()), len(rule.egress or ())) for rule in rules] == [(1, 0), (0, 2)]
    assert [rule.enable_default_deny for rule in rules] == [
        {"ingress": True, "egress": False},
        {"ingress": False, "egress": True},
    ]
    assert only(state).note == "revision 11"


@pytest.mark.parametrize(
    ("name", "items", "facts"),
    [
        ("status-acend-1.12.txt", 19, {"Host Routing": "Legacy", "KubeProxyReplacement": "Disabled"}),
        ("status-arthurchiao-2019-cheatsheet.txt", 11, {"IPv4 address pool": "4/65535 allocated"}),
        ("status-docs-1.6-troubleshooting.txt", 9, {"Controller Status": "14/14 healthy"}),
        ("status-daithang59-1.18.txt", 25, {
            "Routing": "Network: Native Host: BPF", "Attach Mode": "TCX", "Device Mode": "veth",
            "Modules Health": "Stopped(12) Degraded(0) OK(77)",
        }),
    ],
)  # fmt: skip
def test_the_status_is_one_dump_of_named_lines_around_its_table_of_nodes(name: str, items: int, facts: dict[str, str]) -> None:
    state = sample(name)
    (dump,) = [dump for dump in state.dumps if dump.kind == "status"]
    values = {item.name: item.value for item in state.of_type(StatusItem)}
    assert (dump.entries, dump.unparsed) == (items, ())
    assert {key: values[key] for key in facts} == facts


def test_the_status_names_release_and_pod_addresses() -> None:
    state = sample("status-acend-1.12.txt")
    assert [str(dump.version) for dump in state.dumps if dump.kind == "status"] == ["1.12"]
    assert [str(prefix) for prefix in pod_cidrs(state.of_type(StatusItem))] == ["10.1.0.0/24"]


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("cilium-bpf-ct-list-global.md", "ct", "Unable to open /sys/fs/bpf/tc/globals/cilium_ct4_global"),
        ("cilium-bpf-ipcache-list.md", "ipcache", "error dumping contents of map"),
        ("cilium-bpf-policy-get---all---numeric.md", "policy_map", "no maps found"),
        ("cilium-health-status---verbose.md", "health", "Error: Cannot get status"),
        ("cilium-identity-list.md", "identities", "Error: Cannot get identities"),
        ("cilium-node-list.md", "nodes", 'Get "http'),
        ("cilium-node-list--o-json.md", "nodes", 'Get "http'),
        ("cilium-bpf-endpoint-list.md", "bpf_endpoints", "> Error while running"),
        ("cilium-status---verbose.md", "status", 'Get "http'),
        ("cilium-bpf-nat-list.md", "nat", "Unable to open /sys/fs/bpf/tc/globals/cilium_snat_v4_external"),
        ("cilium-ip-list--n--o-json.md", "ip_list", "Error: Cannot get ipcache entries"),
        ("cilium-service-list.md", "services", "Error: Cannot get services list"),
    ],
)
def test_a_command_that_failed_is_unavailable_and_no_empty_table(name: str, kind: str, says: str) -> None:
    state = sample(name)
    dump = only(state)
    assert (dump.kind, dump.entries, dump.unparsed) == (kind, 0, ())
    assert (dump.unavailable or "").startswith(says)
    assert not state.has_complete(kind)


def test_a_table_of_titles_alone_is_no_failure() -> None:
    dump = only(sample("cilium-bpf-lb-list.md"))
    assert (dump.kind, dump.unavailable) == ("lb", None)


@pytest.mark.parametrize("when", ["1022-12-12T08:19:02Z", "9999-12-12T08:19:02Z"])
def test_a_time_that_int64_does_not_hold_is_not_known(when: str) -> None:
    state = state_of(f"Cluster health: 1/1 reachable ({when}) (Probe interval: 999999999h)\n  n (localhost) 10.0.0.1 1/1 1/1\n")
    (summary,) = state.health_summaries
    assert (summary.reachable, summary.probed_at_ns, summary.probe_interval_ns) == (1, None, None)
    assert len(state.to_frame("health_summaries")) == 1
