"""The founding case with something missing: an answer with its assumption, or undecided with the reason, never a traceback."""

import gzip
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import mixcni
from mixcni.errors import CaseError, UnknownFormat
from tests.cases import Change, copy_of, diagnose_changed, replaced, without, without_packets
from tests.scene import Talk, captured
from tests.wire import START, Conversation, S, write_pcap

WINDOW = replaced(
    "case.toml", 'scope = ["10.242.2.149"]', 'scope = ["10.242.2.149"]\nwindow = [2026-11-22T12:22:00Z, 2026-11-22T12:24:00Z]'
)


def without_point_c(folder: Path) -> None:
    text = re.sub(r'\[\[point\]\]\nname = "C".*?\n\n', "", (folder / "case.toml").read_text(), flags=re.DOTALL)
    (folder / "case.toml").write_text(text.replace('["A", "B", "C"]', '["A", "B"]'))
    (folder / "C.pcap").unlink()


def without_dumps(folder: Path) -> None:
    shutil.rmtree(folder / "cilium")


def of_another_node(folder: Path) -> None:
    for dump in (folder / "cilium").iterdir():
        dump.write_text(dump.read_text().replace("10.242.2.", "10.242.9."))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ((without_packets("C.pcap"),), "the capture at C has no packets, so it cannot be told whether it ran"),
        ((lambda folder: (folder / "C.pcap").write_bytes(b""),), "the capture at C has no packets"),
        ((without("C.pcap"),), "the capture at C has no packets"),
        ((without_point_c,), "a capture in the responder's pod would decide"),
    ],
    ids=["C has no packets", "C has no octets", "C is not there", "only A and B"],
)
def test_without_c_the_captures_do_not_decide_and_say_which_would(
    changes: tuple[Change, ...], reason: str, tmp_path: Path
) -> None:
    report = diagnose_changed(tmp_path, *changes)
    assert (report.verdict, report.losses) == ("undecided", [])
    assert all(reason in exchange["reason"] for exchange in report.to_dict()["exchanges"])
    assert "by the dumps they are denied by ingress policy" in report.headline
    assert report.findings_found[0].cause == "policy_denied_ingress"


def test_an_empty_capture_with_a_window_decides_and_the_assumption_is_stated(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, without_packets("C.pcap"), WINDOW)
    assert report.verdict == "loss"
    assert report.losses[0]["hop"] == ["B", "C"]
    assert "the capture at C has no packets and is taken to have run in the window that the case gives" in report.assumptions


@pytest.mark.parametrize(
    ("changes", "cause", "collect"),
    [
        ((without("cilium/ct-list.txt"),), "policy_denied_ingress", "cilium bpf ct list global"),
        ((without("cilium/health-status.txt"),), "policy_denied_ingress", "cilium-health status"),
        ((without("cilium/ipcache-list.txt"),), "policy_denied_ingress", "cilium bpf ipcache list"),
        ((without("cilium/bpf-policy-get-1437.txt"),), "policy_denied_ingress", "cilium bpf policy get 1437"),
        ((without("cilium/endpoint-list.txt"),), None, "on cilium-1: cilium endpoint list"),
        ((without_dumps,), None, "on cilium-1: cilium endpoint list"),
        ((of_another_node,), None, "on cilium-1: cilium endpoint list"),
    ],
    ids=["ct", "health", "ipcache", "policy map", "endpoints", "all", "another node's"],
)
def test_without_a_dump_the_hop_stands_and_what_to_collect_is_said(
    changes: tuple[Change, ...], cause: str | None, collect: str, tmp_path: Path
) -> None:
    report = diagnose_changed(tmp_path, *changes)
    loss = report.losses[0]
    assert (report.verdict, loss["hop"], loss["direction"], loss["cause"]) == ("loss", ["B", "C"], "request", cause)
    finding = report.findings_found[0]
    assert finding.cause == "policy_denied_ingress"
    assert any(collect in sentence for sentence in finding.collect)


@pytest.mark.parametrize(
    ("file", "assumed"),
    [
        ("cilium/ipcache-list.txt", "no dump tells the identity of 10.244.3.7: taken for world (2)"),
        ("cilium/bpf-policy-get-1437.txt", "no dump of the policy map of endpoint 1437 is there: it is taken to admit none"),
    ],
)
def test_what_a_missing_dump_would_have_said_is_stated_as_an_assumption(file: str, assumed: str, tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, without(file))
    assert any(sentence.startswith(assumed) for sentence in report.assumptions)


def test_the_dump_of_another_node_speaks_against_its_own_use(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, of_another_node)
    assert [fact.says for fact in report.findings_found[0].against] == [
        "no endpoint list has 10.242.2.149: the dumps are of another node, or of another time"
    ]


def test_without_a_manifest_the_path_is_inferred_and_the_verdict_is_the_same(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, without("case.toml"))
    assert (report.verdict, report.losses[0]["hop"], report.losses[0]["cause"]) == ("loss", ["B", "C"], "policy_denied_ingress")
    assert any("the path of a request is taken to be A → B → C" in sentence for sentence in report.assumptions)


def test_without_a_manifest_a_capture_without_packets_stands_last(tmp_path: Path) -> None:
    """What got no answer may have been lost before it: that its name comes first makes no silent server of it."""
    talk = Conversation()
    attempts = [talk.segment(0, "S", seq=1000, time_ns=START + seconds * S) for seconds in (0, 1, 3)]
    write_pcap(tmp_path / "node.pcap", attempts)
    write_pcap(tmp_path / "cilium.pcap", [])
    report = mixcni.diagnose(tmp_path)
    assert report.to_dict()["path"] == ["node", "cilium"]
    assert report.verdict == "undecided"
    assert any("cilium has no packets, and stands last" in assumption for assumption in report.assumptions)
    assert not any("nothing tells where it is" in assumption for assumption in report.assumptions)


def test_what_one_point_alone_saw_is_undecided_where_nothing_tells_where_that_point_stands(tmp_path: Path) -> None:
    """A's requests crossed a router already and got no answer: A may be the last point, or the first one of another path."""
    talk = Talk()
    talk.repeated((0, 1_000, 3_000), 0, "S")
    other = Talk(initiator=("10.242.1.9", 50_000), responder=("10.242.2.31", 80))
    other.handshake(0)
    other.exchange(8_000)
    sent = [*(replace(one, missed="BC") for one in talk.sent), *(replace(one, missed="A") for one in other.sent)]
    for name, frames in captured(sent, "BAC").items():
        write_pcap(tmp_path / f"{name}.pcap", frames)
    report = mixcni.diagnose(tmp_path)
    assert report.verdict == "undecided"
    undecided = [exchange["reason"] for exchange in report.to_dict()["exchanges"] if exchange["fate"] == "undecided"]
    assert undecided == ["A alone saw it, and nothing tells where A stands: the order of the points would decide"]
    assert not [finding for finding in report.findings_found if finding.cause == "server_silent"]


def test_what_one_of_two_clients_nodes_sent_is_lost_before_the_next_point_that_both_lead_to(tmp_path: Path) -> None:
    """D, whose requests all are lost, and A are two clients' nodes; their names do not say that D lies behind A or before it."""
    answered, lost = Talk(), Talk(initiator=("10.244.4.9", 41_001))
    answered.handshake(0)
    for i in range(20):
        answered.exchange(100 + 500 * i)
    lost.repeated((50, 1_050, 3_050), 0, "S")
    for name, frames in (captured(answered.sent, "ABC") | captured(lost.sent, "D")).items():
        write_pcap(tmp_path / f"{name}.pcap", frames)
    report = mixcni.diagnose(tmp_path)
    assert [loss["hop"] for loss in report.losses] == [["D", "B"]]


def test_a_cut_capture_gives_what_stands_before_and_says_what_was_dropped(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, lambda folder: (folder / "B.pcap").write_bytes((folder / "B.pcap").read_bytes()[:-7]))
    damage = next(entry for entry in report.to_dict()["inputs"] if entry["file"] == "B.pcap")["damage"]
    assert [(entry["offset"], entry["wanted"], entry["had"], entry["skipped"]) for entry in damage] == [(3290, 90, 83, 83)]
    assert report.verdict == "loss"
    assert "B.pcap, octet 3290" in str(report)


def test_packed_captures_give_the_same_report(tmp_path: Path) -> None:
    def packed(folder: Path) -> None:
        for name in "ABC":
            octets = (folder / f"{name}.pcap").read_bytes()
            (folder / f"{name}.pcap").unlink()
            (folder / f"{name}.pcap.gz").write_bytes(gzip.compress(octets))
        (folder / "case.toml").write_text((folder / "case.toml").read_text().replace(".pcap", ".pcap.gz"))

    plain, again = diagnose_changed(tmp_path / "1"), diagnose_changed(tmp_path / "2", packed)
    assert str(again).replace(".pcap.gz", ".pcap").split() == str(plain).split()


def test_a_file_that_is_no_capture_is_one_clear_line(tmp_path: Path) -> None:
    folder = copy_of("networkpolicy-drop", tmp_path, lambda folder: (folder / "C.pcap").write_bytes(b"hello, no capture"))
    with pytest.raises(UnknownFormat, match=r"C\.pcap, octet 0: wanted a pcap or pcapng magic number, found 68 65 6c 6c"):
        mixcni.diagnose(folder)


def test_a_folder_without_captures_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(CaseError, match=r"wanted capture files \(pcap or pcapng\) or a case.toml, found neither among 1 files"):
        mixcni.diagnose(tmp_path)


def test_a_capture_of_a_link_type_that_is_not_decoded_is_no_witness_of_loss(tmp_path: Path) -> None:
    def of_another_link(folder: Path) -> None:
        octets = bytearray((folder / "C.pcap").read_bytes())
        octets[20:24] = (147).to_bytes(4, "little")
        (folder / "C.pcap").write_bytes(octets)

    report = diagnose_changed(tmp_path, of_another_link)
    assert (report.verdict, report.losses) == ("undecided", [])
    assert all("the capture at C has packets of a link type" in exchange["reason"] for exchange in report.to_dict()["exchanges"])
    assert any(re.fullmatch(r"\d+ packets at C of a link type that is not decoded are left out", a) for a in report.assumptions)
