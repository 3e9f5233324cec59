"""A neighbour that does not answer is named where its answer would have been seen, and nowhere else."""

from pathlib import Path

import dpkt
import pytest

import mixcni
from mixcni.explain.neighbour_unresolved import CAUSE
from mixcni.report import Report
from tests.wire import MS, START, Conversation, Frame, S, pack, write_pcap

RESPONDER, ROUTER = "10.242.2.149", "10.242.2.1"


def arp(operation: int, sender: str, target: str, time_ns: int) -> Frame:
    """An ARP request (1) or reply (2); RFC 826."""
    arp = dpkt.arp.ARP(op=operation, sha=b"\x02\0\0\0\0\1", spa=pack(sender), tha=bytes(6), tpa=pack(target))
    ethernet = dpkt.ethernet.Ethernet(dst=b"\xff" * 6, src=b"\x02\0\0\0\0\1", type=dpkt.ethernet.ETH_TYPE_ARP, data=bytes(arp))
    return Frame(time_ns, bytes(ethernet))


def attempts() -> list[Frame]:
    """Three SYNs of one connection that nobody answers."""
    talk = Conversation(("10.244.3.7", 41000), (RESPONDER, 8080))
    syn = talk.say(0, "S", time_ns=START + S)
    return [syn, syn.at(START + 2 * S), syn.at(START + 4 * S)]


def healthy(initiator: str, responder: str) -> list[Frame]:
    """A connection that works from the beginning to the end of the captures."""
    talk = Conversation((initiator, 50000), (responder, 8080))
    return [*talk.handshake(START), *talk.exchange(b"question", b"answer", START + 30 * S)]


def questions(target: str = RESPONDER, asker: str = ROUTER, count: int = 6) -> list[Frame]:
    return [arp(1, asker, target, START + S + 10 * MS + i * S) for i in range(count)]


def report_on(tmp_path: Path, at_b: list[Frame], *, with_router: bool = True) -> Report:
    """A sees the attempts and a healthy connection, B the healthy one and what is asked there."""
    other = healthy("10.244.3.8", "10.242.2.150")
    beside = healthy("10.242.2.150", ROUTER) if with_router else []

    def ordered(frames: list[Frame]) -> list[Frame]:
        return sorted(frames, key=lambda frame: frame.time_ns)

    later = [frame.at(frame.time_ns + MS) for frame in other]
    points = {
        "A": [write_pcap(tmp_path / "A.pcap", ordered([*other, *attempts()]))],
        "B": [write_pcap(tmp_path / "B.pcap", ordered([*later, *beside, *at_b]))],
    }
    return mixcni.diagnose(mixcni.case_of_files(points))


def finding_of(report: Report) -> mixcni.explain.Finding | None:
    return next((finding for finding in report.findings_found if finding.cause == CAUSE), None)


def test_it_is_named_first_with_the_frames_of_the_questions(tmp_path: Path) -> None:
    report = report_on(tmp_path, questions())
    finding = report.findings_found[0]
    assert (finding.cause, finding.is_named) == (CAUSE, True)
    assert "6 ARP requests of 10.242.2.1 for 10.242.2.149 at B" in finding.evidence[-1].says
    assert len(finding.evidence[-1].frames) == 6
    assert finding.sentence.startswith("10.242.2.149 did not answer 10.242.2.1")


@pytest.mark.parametrize(
    "frames",
    [
        [*questions(), arp(2, RESPONDER, ROUTER, START + 3 * S)],
        [],
        questions(count=1),
        questions(asker="0.0.0.0"),
        [arp(1, RESPONDER, RESPONDER, START + S + i * S) for i in range(4)],
        [arp(1, ROUTER, RESPONDER, START + (20 + i) * S) for i in range(4)],
        [*questions(), *Conversation((RESPONDER, 40000), (ROUTER, 80)).handshake(START + 2 * S)],
    ],
    ids=["answered", "nobody asked", "asked once", "a probe", "an announcement", "asked at another time", "it speaks"],
)
def test_a_near_miss_is_no_finding(frames: list[Frame], tmp_path: Path) -> None:
    assert finding_of(report_on(tmp_path, frames)) is None


@pytest.mark.parametrize(
    ("frames", "with_router", "collect"),
    [
        (questions(), False, "a capture of ARP and ICMPv6 on the interface of 10.242.2.1"),
        (questions(target="10.242.2.254"), True, "whether 10.242.2.254 is the next hop to 10.242.2.149"),
    ],
    ids=["an answer would not pass", "another was asked for"],
)
def test_where_it_cannot_be_told_it_is_possible_and_says_what_to_collect(
    frames: list[Frame], with_router: bool, collect: str, tmp_path: Path
) -> None:
    finding = finding_of(report_on(tmp_path, frames, with_router=with_router))
    assert finding is not None
    assert not finding.is_named
    assert any(collect in wanted for wanted in finding.collect)
