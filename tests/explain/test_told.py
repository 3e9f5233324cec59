"""Events and log lines are pinned to their conversations and to no other, and weigh in the finding as they should."""

import json
from pathlib import Path
from typing import Any

import pytest

import mixcni
from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from mixcni.explain import Finding, Pins, pin_events
from mixcni.explain.pins import TOLERANCE_NS
from mixcni.report import Report
from tests.cases import FOUNDING, Change, diagnose_changed, truth_of, without

CAUSE = "policy_denied_ingress"
LOST = [attempt for attempt in truth_of(FOUNDING)["attempts"] if attempt["outcome"] == "timeout"]
PORT = LOST[0]["initiator"][1]
STARTED_NS = LOST[0]["started_ns"]


def with_dump(name: str, text: str) -> Change:
    return lambda folder: (folder / "cilium" / name).write_text(text)


WITHOUT_DUMPS = tuple(
    without(f"cilium/{name}")
    for name in (
        "bpf-policy-get-1437.txt", "ct-list.txt", "endpoint-list.txt", "health-status.txt", "identity-list.txt",
        "ipcache-list.txt",
    )
)  # fmt: skip


def stamp(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 10**9)
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def drop(port: int = PORT, at_ns: int = STARTED_NS, **more: Any) -> str:
    flow = {
        "time": stamp(at_ns), "verdict": "DROPPED", "drop_reason_desc": "POLICY_DENIED", "traffic_direction": "INGRESS",
        "IP": {"source": "10.244.3.7", "destination": "10.242.2.149", "ipVersion": "IPv4"},
        "l4": {"TCP": {"source_port": port, "destination_port": 8080, "flags": {"SYN": True}}},
        "event_type": {"type": 1, "sub_type": 133}, **more,
    }  # fmt: skip
    return json.dumps({"flow": flow, "node_name": "cilium-1", "time": flow["time"]}) + "\n"


MONITOR = (
    f"xx drop (Policy denied) flow 0x1 to endpoint 1437, identity 2->59271: 10.244.3.7:{PORT} -> 10.242.2.149:8080 tcp SYN\n"
)


def finding_of(report: Report) -> Finding:
    return next(finding for finding in report.findings_found if finding.cause == CAUSE)


def pins_of(report: Report, *texts: str) -> Pins:
    state = ClusterState.of(found for n, text in enumerate(texts) for found in read_octets(text.encode(), f"{n}.txt"))
    return pin_events(report.localisation, state)


@pytest.fixture(scope="module")
def founding() -> Report:
    return mixcni.diagnose(Path(__file__).parents[2] / "captures" / FOUNDING)


def test_a_drop_is_pinned_to_the_connection_of_its_ports(founding: Report) -> None:
    table = founding.localisation.alignment.conversations
    pins = pins_of(founding, drop(), MONITOR, drop(port=1))
    assert [(pin.kind, pin.entry.file, pin.entry.line) for pin in pins.pins] == [("monitor", "1.txt", 1), ("hubble", "0.txt", 1)]
    for pin in pins.pins:
        assert (table["initiator_port"][pin.conversation], pin.is_forward) == (PORT, True)
    monitor, hubble = (pin.apart_ns for pin in pins.pins)
    assert monitor is None
    assert hubble is not None
    assert 0 <= hubble < 10**6, "the application began to connect less than a millisecond before its SYN"
    frame = pins.to_frame()
    assert list(frame["kind"]) == ["monitor", "hubble"]
    assert frame["says"][1] == "Hubble: drop DROPPED (POLICY_DENIED) at ingress of a SYN"


@pytest.mark.parametrize(
    ("off_ns", "is_pinned"), [(TOLERANCE_NS - 10**7, True), (TOLERANCE_NS + 10**7, False), (3600 * 10**9, False)]
)
def test_an_event_of_another_time_is_not_pinned(off_ns: int, is_pinned: bool, founding: Report) -> None:
    table = founding.localisation.alignment.conversations
    row = next(i for i in range(len(table)) if table["initiator_port"][i] == PORT)
    first = int(table["first_ns"][row])
    assert bool(pins_of(founding, drop(at_ns=first - off_ns)).pins) is is_pinned


def test_a_time_without_a_year_is_told_in_any_time_zone(founding: Report) -> None:
    from datetime import UTC, datetime, timedelta

    at = datetime.fromtimestamp(STARTED_NS // 10**9, UTC)
    line = f"10.244.3.7:{PORT} (world) <> 10.242.2.149:8080 (ID:59271) Policy denied DROPPED (TCP Flags: SYN)"
    for hours, is_pinned in ((0, True), (2, True), (-8, True), (5.75, True), (20, False)):
        text = f"{at + timedelta(hours=hours):%b %e %H:%M:%S}.500: {line}"
        assert bool(pins_of(founding, text).pins) is is_pinned, hours
    assert not pins_of(founding, f"{at + timedelta(minutes=7):%b %e %H:%M:%S}.500: {line}").pins


def test_a_name_stands_for_the_address_that_another_flow_gives_it(founding: Report) -> None:
    named = drop(source={"pod_name": "shop", "namespace": "default"}, destination={"pod_name": "web", "namespace": "default"})
    text = f"{stamp(STARTED_NS)}: default/shop:{PORT} <> default/web:8080 Policy denied DROPPED (TCP Flags: SYN)"
    assert len(pins_of(founding, named, text).pins) == 2
    assert not pins_of(founding, text).pins


def test_an_unanswered_conntrack_entry_and_kernel_drops_are_pinned(founding: Report) -> None:
    conntrack = (
        f"tcp 6 117 SYN_SENT src=10.244.3.7 dst=10.242.2.149 sport={PORT} dport=8080 [UNREPLIED] "
        f"src=10.242.2.149 dst=10.244.3.7 sport=8080 dport={PORT} mark=0 use=1\n"
    )
    ends = f"10.244.3.7:{PORT}->10.242.2.149:8080(tcp)"
    pwru = f"0xffff9fc40335a0e8 4 curl:1 {ends} kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP)\n"
    pins = pins_of(founding, conntrack, pwru)
    assert [pin.says for pin in pins.pins] == [
        "pwru: dropped (NETFILTER_DROP) in kfree_skb_reason", "kernel conntrack: SYN_SENT, no reply seen",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [("hubble.json", drop()), ("monitor.txt", MONITOR)])
def test_with_no_dump_but_a_drop_event_the_cause_is_named_and_cites_it(name: str, text: str, tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, *WITHOUT_DUMPS, with_dump(name, text))
    finding = finding_of(report)
    assert report.losses[0]["cause"] == CAUSE
    assert [(fact.file, fact.line) for fact in finding.evidence if fact.odds > 10] == [(f"cilium/{name}", 1)]
    assert finding.sentence.startswith("Ingress policy denied 1 of 12 connection attempts: ")


@pytest.mark.parametrize(
    "text",
    [
        drop(port=1),
        drop(at_ns=STARTED_NS + 3600 * 10**9),
        drop(drop_reason_desc="CT_MAP_INSERTION_FAILED"),
        drop(traffic_direction="EGRESS"),
        drop(
            IP={"source": "10.242.2.149", "destination": "10.244.3.7"},
            l4={"TCP": {"source_port": 8080, "destination_port": PORT, "flags": {"SYN": True, "ACK": True}}},
        ),
        drop(
            verdict="FORWARDED",
            drop_reason_desc="DROP_REASON_UNKNOWN",
            event_type={"type": 4},
            trace_observation_point="FROM_NETWORK",
        ),
        MONITOR.replace("xx drop (Policy denied)", "xx drop (CT: Map insertion failed)"),
        "",
    ],
    ids=["other port", "other time", "other reason", "other side", "an answer", "no drop", "other reason, monitor", "nothing"],
)
def test_a_near_miss_names_nothing_and_says_what_to_collect(text: str, tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, *WITHOUT_DUMPS, with_dump("events.txt", text))
    assert report.losses[0]["cause"] is None
    assert "cilium endpoint list" in finding_of(report).collect[0]


def test_packets_that_were_handed_to_the_pod_speak_against_a_denial(tmp_path: Path) -> None:
    handed = "".join(
        drop(attempt["initiator"][1], attempt["started_ns"], verdict="FORWARDED", drop_reason_desc="", event_type={"type": 4},
             trace_observation_point="TO_ENDPOINT")
        for attempt in LOST
    )  # fmt: skip
    finding = finding_of(diagnose_changed(tmp_path, with_dump("hubble.json", handed)))
    assert not [fact for fact in finding.evidence if "Hubble" in fact.says]
    assert any("Hubble: to-endpoint FORWARDED" in fact.says for fact in finding.against)
    assert finding.confidence < 0.99


def access_log(status: int, flags: str, at_ns: int = STARTED_NS, upstream: str = "10.242.2.149:8080") -> str:
    return (
        f'[{stamp(at_ns)[:-7]}Z] "GET /cart HTTP/1.1" {status} {flags} reset - "-" 0 91 3500 - "-" '
        f'"curl/8" "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f" "shop:80" "{upstream}" outbound|80||shop - 10.96.0.7:80 '
        "10.244.3.7:55555 - default\n"
    )


def test_a_503_of_the_time_is_the_first_evidence(tmp_path: Path) -> None:
    finding = finding_of(diagnose_changed(tmp_path, with_dump("istio-proxy.log", access_log(503, "UF,URX"))))
    first = finding.evidence[0]
    assert (first.file, first.line, first.odds) == ("cilium/istio-proxy.log", 1, 1.0)
    assert "GET /cart got 503 UF,URX (the connection to the upstream could not be made; all retries" in first.says
    assert "request c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f" in first.says


@pytest.mark.parametrize(
    "text",
    [
        access_log(200, "-"),
        access_log(503, "UF,URX", STARTED_NS - 3600 * 10**9),
        access_log(503, "UF,URX", upstream="10.242.2.150:8080"),
    ],
    ids=["answered", "another time", "another upstream"],
)
def test_a_request_that_is_not_this_one_is_no_evidence(text: str, tmp_path: Path) -> None:
    finding = finding_of(diagnose_changed(tmp_path, with_dump("istio-proxy.log", text)))
    assert not any("access log" in fact.says for fact in finding.evidence)


def test_a_blind_source_is_said_to_prove_nothing(tmp_path: Path, founding: Report) -> None:
    lost = json.dumps({"lost_events": {"source": "PERF_EVENT_RING_BUFFER", "num_events_lost": "17"}, "time": stamp(STARTED_NS)})
    report = diagnose_changed(tmp_path, with_dump("hubble.json", lost))
    assert any("hubble PERF_EVENT_RING_BUFFER lost 17 events" in text and "proves nothing" in text for text in report.assumptions)
    pins = pins_of(founding, drop(at_ns=STARTED_NS - 10**10) + lost + "\n" + drop(at_ns=STARTED_NS + 10**10))
    (blind,) = pins.blind
    assert (blind.since_ns, blind.until_ns) == (STARTED_NS - 10**10, STARTED_NS)
    assert pins.blind_between(STARTED_NS - 1, STARTED_NS)
    assert not pins.blind_between(STARTED_NS + 10**10, STARTED_NS + 2 * 10**10)
