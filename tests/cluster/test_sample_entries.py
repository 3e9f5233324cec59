"""What single entries of the samples say, from the load balancer to the status, and which commands failed."""

import pytest

from mixcni.cluster.cilium.lb import LbEntry
from mixcni.cluster.cilium.localendpoints import BpfEndpoint
from mixcni.cluster.cilium.rules import PolicyRule
from mixcni.cluster.cilium.status import StatusItem, pod_cidrs
from tests.cluster.dumps import only, sample, state_of


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
