"""Near misses in which policy would be accused wrongly, or a proof in the dumps passed over."""

import itertools
import shutil
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest

import mixcni
from mixcni.explain import Finding
from mixcni.explain.suspects import last_seen_by, pairs_of
from tests.cases import ROOT
from tests.cluster.dumps import state_of
from tests.explain.denied import OTHER, POD, attempts, endpoint_list, findings, ipcache, policy_map
from tests.scene import Scene, Talk, captured, scene_of
from tests.wire import START, Conversation

INGRESS, EGRESS = "policy_denied_ingress", "policy_denied_egress"
ENFORCED = endpoint_list(f"7 Enabled Disabled 4711 k8s:app=a {POD}")
ISOLATED = endpoint_list(f"873 Disabled Enabled 4711 k8s:app=a {POD}")
PODS_ALONE = policy_map(7, "Allow Ingress 9461 ANY", "Allow Ingress 1 ANY", "Allow Egress 0 ANY")
NODES = (
    "Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR\ncilium-1 10.1.0.1 10.242.2.0/24\ncilium-2 10.1.0.2 10.242.3.0/24"
)
NODE, VIP, BACKEND = "192.168.0.9", "10.96.0.10", "10.242.3.18"
KUBENET = {"kubenet-1": ip_network("10.244.3.0/24")}


def of_cause(found: tuple[Finding, ...], cause: str) -> Finding:
    return next(finding for finding in found if finding.cause == cause)


def behind_a_masquerade() -> Scene:
    """Attempts that B sees from the address of the initiator's node, and that are lost behind B."""
    talks = []
    for number in range(4):
        talk = Talk(Conversation((OTHER, 41000 + number), (POD, 8080)), stamped=1000 * (number + 7))
        talk.repeated([100 * number, 100 * number + 1000, 100 * number + 3000], 0, "S", lost="BC")
        other = Talk(Conversation((OTHER, 42000 + number), (POD, 9090)), stamped=5000 * (number + 9))
        other.handshake(50 + 1500 * number)
        other.exchange(90 + 1500 * number)
        talks += [talk, other]
    seen = {(OTHER, port + number): (NODE, 51000 + port % 1000 + number) for port in (41000, 42000) for number in range(4)}
    return scene_of(captured(list(itertools.chain(*(talk.sent for talk in talks))), seen_as={"B": seen, "C": seen}))


def test_policy_is_asked_about_the_address_behind_a_masquerade() -> None:
    scene = behind_a_masquerade()
    rows = policy_map(7, "Allow Ingress 6 ANY", "Allow Ingress 1 ANY")
    found = findings(scene, state_of(ENFORCED, rows, ipcache(f"{NODE}/32 6")))
    assert not of_cause(found, INGRESS).is_named, "the pod itself would be world, and its node may pass"
    rows = policy_map(7, "Allow Ingress 4712 ANY", "Allow Ingress 1 ANY")
    denied = of_cause(findings(scene, state_of(ENFORCED, rows, ipcache(f"{NODE}/32 6", f"{OTHER}/32 4712"))), INGRESS)
    assert denied.is_named, "the pod's identity may pass, and its node's may not"
    assert f"from {NODE}" in denied.sentence
    assert any(f"from {OTHER} to {POD}:8080 is from {NODE} to {POD}:8080 at B" in fact.says for fact in denied.evidence)


def test_conntrack_is_asked_for_the_port_behind_a_masquerade() -> None:
    rows = policy_map(7, "Allow Ingress 4712 ANY")
    entries = "\n".join(f"TCP IN {NODE}:{51000 + n} -> {POD}:8080 expires=1 RxPackets=3 TxPackets=0" for n in range(4))
    found = of_cause(findings(behind_a_masquerade(), state_of(ENFORCED, rows, ipcache(f"{NODE}/32 6"), entries)), INGRESS)
    assert any("conntrack has 4 of the 4 lost connections as incoming" in fact.says for fact in found.against)
    assert not found.is_named


def test_ends_are_as_a_point_sees_them_where_it_is_asked() -> None:
    localisation = behind_a_masquerade().localisation
    rows = localisation.losses[0].fates
    assert {str(pair.initiator) for pair in pairs_of(localisation, rows)} == {OTHER}
    assert {str(pair.initiator) for pair in pairs_of(localisation, rows, 1)} == {NODE}
    assert set(last_seen_by(localisation, rows).tolist()) == {1}


@pytest.mark.parametrize("dumps", [(), (NODES,)], ids=["no nodes", "nodes"])
def test_a_source_of_which_no_dump_tells_may_be_a_pod_that_is_allowed(dumps: tuple[str, ...]) -> None:
    found = of_cause(findings(attempts(BACKEND, POD, lost="BC"), state_of(ENFORCED, PODS_ALONE, *dumps)), INGRESS)
    assert not found.is_named
    assert "may have denied" in found.sentence
    assert any("cilium bpf ipcache list" in sentence for sentence in found.collect)


def test_a_source_of_which_no_dump_tells_is_denied_where_everybody_is() -> None:
    rows = policy_map(7, "Allow Ingress 9461 9090/TCP", "Allow Ingress 0 9999/TCP")
    found = of_cause(findings(attempts(BACKEND, POD, lost="BC"), state_of(ENFORCED, rows)), INGRESS)
    assert found.is_named
    assert "no dump tells the source's identity, and none would pass" in found.sentence


def test_who_alone_is_never_answered_is_taken_for_world_and_the_report_says_so(tmp_path: Path) -> None:
    """The incident's own four dumps, with nothing said about nodes or networks."""
    for capture in (ROOT / "captures" / "networkpolicy-drop").glob("*.pcap"):
        shutil.copy(capture, tmp_path)
    for sample in (ROOT / "tests" / "cluster" / "samples").glob("seed-*.txt"):
        shutil.copy(sample, tmp_path)
    found = of_cause(mixcni.diagnose(mixcni.open_case(tmp_path)).findings_found, INGRESS)
    assert (found.is_named, found.confidence) == (True, 0.6)
    assert "the source is taken for world" in found.sentence
    assert any("no dump tells the identity of 10.244.3.7" in assumed for assumed in found.assumptions)


def test_a_pod_of_a_node_that_runs_cilium_is_managed() -> None:
    scene = attempts(BACKEND, POD, lost="BC")
    known = of_cause(findings(scene, state_of(ENFORCED, PODS_ALONE, NODES)), INGRESS)
    assert any("is in the pod CIDR of cilium-2, which runs Cilium" in fact.says for fact in known.against)


def test_a_kubenet_pod_may_be_within_a_cidr_that_a_rule_names() -> None:
    rows = policy_map(7, "Allow Ingress 16777218 8080/TCP", "Allow Ingress 1 ANY")
    scene = attempts(OTHER, POD, lost="BC")
    assert not of_cause(findings(scene, state_of(ENFORCED, rows, NODES), KUBENET), INGRESS).is_named
    assert of_cause(findings(scene, state_of(ENFORCED, PODS_ALONE, NODES), KUBENET), INGRESS).is_named
    labels = PODS_ALONE.replace(" -n", "") + "\nAllow Ingress cidr:10.244.0.0/16 8080/TCP NONE 0 0\nreserved:world"
    assert not of_cause(findings(scene, state_of(ENFORCED, labels, NODES), KUBENET), INGRESS).is_named


def test_enforcement_alone_accuses_no_pod_that_cilium_knows() -> None:
    known = state_of(ENFORCED, ipcache(f"{BACKEND}/32 9461"), NODES)
    found = of_cause(findings(attempts(BACKEND, POD, lost="BC"), known), INGRESS)
    assert (found.is_named, "no dump of its policy map is there" in found.sentence) == (False, True)
    world = of_cause(findings(attempts(OTHER, POD, lost="BC"), state_of(ENFORCED, ipcache("10.9.9.9/32 1"))), INGRESS)
    assert world.is_named, "no selector of pods matches world"


def test_the_words_tell_a_rule_that_denies_from_the_default() -> None:
    rows = policy_map(7, "Deny Ingress 16777218 8080/TCP", "Allow Ingress 0 ANY")
    found = of_cause(
        findings(attempts(OTHER, POD, lost="BC"), state_of(ENFORCED, rows, ipcache("10.244.3.0/24 16777218"))), INGRESS
    )
    assert found.is_named
    assert found.sentence.endswith("the source has identity 16777218, and a rule denies it")


SERVICE = f"ID Frontend Service Type Backend\n1 {VIP}:8080/TCP ClusterIP 1 => {BACKEND}:8443/TCP (active)\n"


@pytest.mark.parametrize(
    ("row", "dump", "is_named"),
    [
        ("Allow Egress 9461 8443/TCP", SERVICE, False),
        ("Allow Egress 9461 8080/TCP", SERVICE, True),
        ("Allow Egress 9462 8443/TCP", SERVICE, True),
        ("Allow Egress 9461 8443/TCP", f"TCP SVC {POD}:40000 -> {VIP}:8080 expires=1 TxPackets=3 RxPackets=0", False),
    ],
    ids=["backend allowed", "the service's port allowed", "another pod allowed", "backends unknown"],
)
def test_egress_to_a_service_is_decided_on_its_backends(row: str, dump: str, is_named: bool) -> None:
    state = state_of(ISOLATED, policy_map(873, row), ipcache(f"{BACKEND}/32 9461"), dump)
    found = of_cause(findings(attempts(POD, VIP, lost="AB"), state), EGRESS)
    assert found.is_named == is_named
    assert any(f"{VIP}" in fact.says and "policy is asked about its backends" in fact.says for fact in found.evidence)


def test_a_host_policy_is_found_where_the_node_itself_is_called() -> None:
    node = "10.1.0.1"
    endpoints = endpoint_list("99 Enabled Disabled 1 reserved:host ", f"7 Disabled Disabled 4711 k8s:app=a {POD}")
    rows = policy_map(99, "Allow Ingress 6 ANY", "Allow Egress 0 ANY")
    scene = attempts(OTHER, node, lost="BC")
    found = of_cause(findings(scene, state_of(endpoints, rows, ipcache(f"{node}/32 1"))), INGRESS)
    assert found.is_named
    assert found.sentence.startswith("Ingress policy of endpoint 99 denied 4 connection attempts")
    local = f"IP ADDRESS LOCAL ENDPOINT INFO\n{node}:0 (localhost)\n"
    assert state_of(endpoints, local).host_endpoint_of(node) is not None
    assert state_of(endpoints, ipcache(f"{node}/32 6")).host_endpoint_of(node) is None
    off = endpoints.replace("99 Enabled", "99 Disabled")
    assert not of_cause(findings(scene, state_of(off, rows, ipcache(f"{node}/32 1"))), INGRESS).is_named


def drops(reason: str, count: int = 4) -> str:
    return "\n".join(
        f"xx drop ({reason}) flow 0x1 to endpoint 7, identity world->4711: {OTHER}:{41000 + number} -> {POD}:8080 tcp SYN"
        for number in range(count)
    )


@pytest.mark.parametrize("reason", ["Stale or unroutable IP", "Missed tail call", "CT: Map insertion failed"])
def test_what_the_datapath_tells_stands_before_what_tables_would_have_it_do(reason: str) -> None:
    scene = attempts(OTHER, POD, lost="BC")
    found = findings(scene, state_of(ENFORCED, PODS_ALONE, ipcache("10.9.9.9/32 1"), drops(reason)))
    assert (found[0].cause, found[0].is_named) == ("datapath_drop", True)
    assert reason in found[0].sentence
    assert {(fact.file, fact.line) for fact in found[0].evidence} == {("dump-3.txt", line) for line in (1, 2, 3)}
    denied = of_cause(found, INGRESS)
    assert not denied.is_named
    assert "would have denied" in denied.sentence
    assert any("which is no denial" in fact.says for fact in denied.against)


def test_a_drop_by_policy_is_no_cause_of_its_own_and_few_drops_name_none() -> None:
    scene = attempts(OTHER, POD, lost="BC")
    told = findings(scene, state_of(ENFORCED, PODS_ALONE, ipcache("10.9.9.9/32 1"), drops("Policy denied")))
    assert (told[0].cause, told[0].is_named) == (INGRESS, True)
    assert not any(finding.cause == "datapath_drop" for finding in told)
    few = of_cause(findings(scene, state_of(drops("Missed tail call", 1))), "datapath_drop")
    assert not few.is_named
    assert few.loss is not None


def test_hubbles_reason_and_the_kernels_are_told_alike() -> None:
    when = f"{datetime.fromtimestamp(START // 10**9, UTC):%b %d %H:%M:%S}.100"
    flows = "\n".join(
        f"{when}: {OTHER}:{41000 + n} (world) <> {POD}:8080 (ID:4711) Stale or unroutable IP DROPPED (TCP Flags: SYN)"
        for n in range(4)
    )
    found = of_cause(findings(attempts(OTHER, POD, lost="BC"), state_of(flows)), "datapath_drop")
    assert found.is_named
    assert found.remedies[0].sentence.startswith("Compare `cilium bpf ipcache get`")
    kernel = "SKB CPU PROCESS FUNC\n" + "\n".join(
        f"0xffff9fc40335a0e{n} 4 [curl] kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP) {OTHER}:{41000 + n}->{POD}:8080(tcp)"
        for n in range(4)
    )
    found = of_cause(findings(attempts(OTHER, POD, lost="BC"), state_of(kernel)), "datapath_drop")
    assert "NETFILTER_DROP" in found.sentence


def test_without_a_capture_in_the_pod_the_dumps_still_tell_policy_from_a_silent_server(tmp_path: Path) -> None:
    founding = ROOT / "captures" / "networkpolicy-drop"
    for name in ("A.pcap", "B.pcap"):
        shutil.copy(founding / name, tmp_path)
    silent = {finding.cause: finding for finding in mixcni.diagnose(mixcni.open_case(tmp_path)).findings_found}
    assert silent["server_silent"].is_named
    shutil.copytree(founding / "cilium", tmp_path / "cilium")
    found = {finding.cause: finding for finding in mixcni.diagnose(mixcni.open_case(tmp_path)).findings_found}
    assert found[INGRESS].is_named
    assert not found["server_silent"].is_named
    assert found[INGRESS].remedies[0].would_pass == 12
    shutil.rmtree(tmp_path / "cilium")
    shutil.copytree(founding / "cilium", tmp_path / "cilium", ignore=shutil.ignore_patterns("*policy*", "endpoint*"))
    assert {finding.cause for finding in mixcni.diagnose(mixcni.open_case(tmp_path)).findings_found if finding.is_named} == {
        "server_silent"
    }
