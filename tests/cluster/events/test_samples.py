"""Each published sample of events gives the figures that were counted in it by hand, and no line is left over."""

from pathlib import Path

import pytest

from mixcni.cluster import ClusterState
from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.lost import LostEvents
from mixcni.cluster.events.monitorevent import MonitorEvent
from mixcni.cluster.loading import read_octets

SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> ClusterState:
    """What the sample of that name holds."""
    return ClusterState.of(read_octets((SAMPLES / name).read_bytes(), name))


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("monitor-arthurchiao-2019-cheatsheet.txt", {"trace": 5}),
        ("monitor-to-arthurchiao-2019-cheatsheet.txt", {"trace": 3}),
        ("monitor-docs-1.6-troubleshooting-drops.txt", {"drop": 5}),
        ("monitor-docs-1.8-debugging.txt", {"l7": 2, "verdict": 1, "trace": 10, "capture": 5}),
        ("monitor-docs-1.8-host-firewall-verdicts.txt", {"verdict": 4}),
        ("monitor-docs-1.8-policy-creation-verdicts.txt", {"verdict": 2}),
        ("monitor-ciliumio-1.8-verdicts.txt", {"verdict": 3}),
        ("monitor-acend-host-audit-verdicts.txt", {"verdict": 4}),
        ("monitor-docs-servicemesh.txt", {"trace": 5, "l7": 2}),
        ("monitor-drop-ciliumio-2019-cve.txt", {"drop": 1}),
        ("monitor-drop-ciliumio-2020-vulnerability.txt", {"drop": 2}),
        ("monitor-drop-arthurchiao-2020-clustermesh.txt", {"drop": 2}),
        ("monitor-drop-azure-aks-docs-2024.txt", {"drop": 1}),
        ("monitor-l7-studycilium-http.txt", {"l7": 2}),
        ("monitor-json-microscope-2019.jsonl", {"l7": 2, "trace": 1, "drop": 1, "debug": 1, "capture": 1, "agent": 1}),
    ],
)
def test_a_monitor_sample_has_its_events(name: str, types: dict[str, int]) -> None:
    state = sample(name)
    assert {dump.kind for dump in state.dumps} == {"monitor"}
    assert [odd for dump in state.dumps for odd in dump.unparsed] == []
    found = [event.type for event in state.of_type(MonitorEvent)]
    assert {kind: found.count(kind) for kind in types} == types
    assert len(found) == sum(types.values())


@pytest.mark.parametrize(
    ("name", "flows", "replies", "dropped", "lost"),
    [
        ("hubble-observe-docs-troubleshooting.txt", 12, 5, 0, 0),
        ("hubble-observe-docs-hubble-cli.txt", 7, 1, 5, 0),
        ("hubble-observe-docs-servicemesh.txt", 16, None, 0, 0),
        ("hubble-observe-docs-policy-creation-verdicts.txt", 4, 0, 1, 0),
        ("hubble-observe-acend-first-flows.txt", 20, None, 0, 0),
        ("hubble-observe-acend-policy-denied.txt", 6, 0, 6, 0),
        ("hubble-observe-pubidx-12466715864-ipv6-policy.txt", 5, 1, 2, 0),
        ("hubble-observe-studycilium-http-drop.txt", 1, 0, 1, 0),
        ("hubble-observe-daithang59-table-events-lost.txt", 0, 0, 0, 1),
        ("hubble-observe-daithang59-1.18-first8.jsonl", 7, None, 0, 1),
        ("hubble-export-docs-exporter.jsonl", 2, 0, 2, 0),
    ],
)
def test_a_hubble_sample_has_its_flows(name: str, flows: int, replies: int | None, dropped: int, lost: int) -> None:
    state = sample(name)
    assert {dump.kind for dump in state.dumps} == {"hubble"}
    assert [odd for dump in state.dumps for odd in dump.unparsed] == []
    found = state.of_type(HubbleFlow)
    assert (len(found), sum(flow.is_denied for flow in found)) == (flows, dropped)
    assert len(state.of_type(LostEvents)) == lost
    if replies is not None:
        assert sum(flow.is_reply is True for flow in found) == replies


def test_a_wrapped_line_is_one_event_and_a_cut_one_keeps_its_first_end() -> None:
    events = sample("monitor-arthurchiao-2019-cheatsheet.txt").of_type(MonitorEvent)
    first, last = events[0], events[-1]
    assert (str(first.source), first.source_port, str(first.destination), first.destination_port) == (
        "192.168.99.100", 8443, "10.15.38.236", 36598,
    )  # fmt: skip
    assert (first.observed, first.state, first.tcp_flags, first.line) == ("from-host", "new", ("ACK",), 2)
    assert (str(last.source), last.source_port, last.destination) == ("192.168.99.100", 8443, None)


def test_a_drop_has_its_reason_place_and_identities() -> None:
    (event,) = sample("monitor-drop-azure-aks-docs-2024.txt").of_type(MonitorEvent)
    assert (event.reason, event.code_place, event.interface, event.endpoint_id) == ("Policy denied", "bpf_lxc.c:1274", "29", 0)
    assert (event.source_identity, event.destination_identity) == (48447, 2)
    nested = sample("monitor-docs-1.6-troubleshooting-drops.txt").of_type(MonitorEvent)[0]
    assert (nested.reason, str(nested.source), nested.protocol) == ("Policy denied (L3)", "fd02::c0a8:210b:0:bf00", "ICMPv6")


def test_a_masked_address_is_none_and_its_port_is_kept() -> None:
    event = sample("monitor-drop-arthurchiao-2020-clustermesh.txt").of_type(MonitorEvent)[0]
    assert (event.source, event.source_port, str(event.destination)) == (None, 42728, "10.3.3.3")


def test_a_verdict_knows_its_side_in_the_words_of_all_releases() -> None:
    old = sample("monitor-docs-1.8-debugging.txt").of_type(MonitorEvent)
    verdict = next(event for event in old if event.type == "verdict")
    assert (verdict.direction, verdict.action, verdict.destination_identity, verdict.source_identity) == (
        "egress", "allow", 16777217, None,
    )  # fmt: skip
    new = sample("monitor-acend-host-audit-verdicts.txt").of_type(MonitorEvent)[0]
    assert (new.direction, new.action, new.match, new.source_identity) == ("ingress", "audit", "none", 2)


def test_a_reply_that_is_printed_turned_round_has_the_packets_own_ends() -> None:
    flow = sample("hubble-observe-acend-first-flows.txt").of_type(HubbleFlow)[0]
    assert (flow.source_name, flow.source_port) == ("kube-system/hubble-relay-f6d85866c-csthd", 4245)
    assert (str(flow.destination), flow.destination_port, flow.is_reply) == ("10.0.0.113", 46274, True)


def test_one_denied_syn_is_a_verdict_and_a_drop() -> None:
    verdict, drop = sample("hubble-observe-acend-policy-denied.txt").of_type(HubbleFlow)[:2]
    assert (verdict.type, verdict.direction, verdict.verdict, verdict.source_identity) == (
        "policy-verdict:none", "ingress", "DENIED", 84671,
    )  # fmt: skip
    assert (drop.type, drop.drop_reason, drop.verdict, drop.tcp_flags) == ("drop", "Policy denied", "DROPPED", ("SYN",))


def test_json_of_a_field_mask_has_what_it_has() -> None:
    icmp, syn = sample("hubble-export-docs-exporter.jsonl").of_type(HubbleFlow)
    assert (icmp.protocol, icmp.drop_reason, icmp.source_port) == ("ICMPv6", "INVALID_SOURCE_IP", None)
    assert (syn.drop_reason, syn.tcp_flags, syn.source_name, syn.source_identity) == (
        "POLICY_DENIED", ("SYN",), "default/xwing", None,
    )  # fmt: skip
    assert syn.time_ns == 1692619938510175415  # date -d 2023-08-21T12:12:18.510175415Z +%s%N


def test_lost_events_become_a_window_between_the_flows_around_them() -> None:
    state = sample("hubble-observe-daithang59-1.18-first8.jsonl")
    (lost,) = state.of_type(LostEvents)
    assert (lost.count, lost.since_ns, lost.until_ns, lost.is_timed) == (1, None, 1776090287531650542, True)
    assert lost.node == "ip-10-0-10-206.ap-southeast-1.compute.internal"
