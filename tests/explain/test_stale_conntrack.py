"""Port reuse is named where captures and a table both show the earlier connection."""

from pathlib import Path

import pytest

import mixcni
from mixcni.explain import Finding
from mixcni.explain.stale_conntrack import CAUSE
from mixcni.report import Report
from tests.cluster.dumps import CT_TAIL
from tests.wire import MS, START, Conversation, Frame, S, write_pcap

ENDS = ("10.244.3.7", 41000), ("10.242.2.149", 8080)
KERNEL = (
    "tcp 6 80 TIME_WAIT src=10.244.3.7 dst=10.242.2.149 sport=41000 dport=8080 "
    "src=10.242.2.149 dst=10.244.3.7 sport=8080 dport=41000 [ASSURED] mark=0 use=1\n"
)
CILIUM = f"TCP IN 10.244.3.7:41000 -> 10.242.2.149:8080 {CT_TAIL} IfIndex=0\n"
FRESH = (
    "tcp 6 80 SYN_SENT src=10.244.3.7 dst=10.242.2.149 sport=41000 dport=8080 [UNREPLIED] "
    "src=10.242.2.149 dst=10.244.3.7 sport=8080 dport=41000 mark=0 use=1\n"
)


def report_on(tmp_path: Path, dump: str, *, is_reused: bool = True) -> Report:
    """A connection that ends well, and 20 s later a SYN from its port (or another) that A sees and B does not."""
    first = Conversation(*ENDS)
    before = [*first.handshake(START), *first.exchange(b"question", b"answer", START + 10 * MS), *first.close(START + 20 * MS)]
    again = Conversation(ENDS[0] if is_reused else ("10.244.3.7", 41001), ENDS[1], iss=900_000_000)
    syn = again.say(0, "S", time_ns=START + 20 * S)
    other = Conversation(("10.244.3.9", 50000), ("10.242.2.150", 8080))
    beside = [*other.handshake(START), *other.exchange(b"question", b"answer", START + 60 * S)]

    def at(frames: list[Frame], delay: int) -> list[Frame]:
        return sorted((frame.at(frame.time_ns + delay) for frame in frames), key=lambda frame: frame.time_ns)

    points = {
        "A": [write_pcap(tmp_path / "A.pcap", at([*before, *beside, *(syn.at(START + n * S) for n in (20, 21, 23))], 0))],
        "B": [write_pcap(tmp_path / "B.pcap", at([*before, *beside], MS))],
    }
    (tmp_path / "dump.txt").write_text(dump)
    return mixcni.diagnose(mixcni.case_of_files(points, [tmp_path / "dump.txt"]))


def finding_of(report: Report) -> Finding | None:
    return next((finding for finding in report.findings_found if finding.cause == CAUSE), None)


@pytest.mark.parametrize("dump", [KERNEL, CILIUM], ids=["kernel", "Cilium"])
def test_it_is_named_first_and_cites_both(dump: str, tmp_path: Path) -> None:
    report = report_on(tmp_path, dump)
    finding = report.findings_found[0]
    assert (finding.cause, report.losses[0]["cause"]) == (CAUSE, CAUSE)
    assert "1 of the 1 lost connection attempts came from a port" in finding.evidence[0].says
    assert "20.0 s earlier" in finding.evidence[0].says
    assert finding.evidence[1].line == 1


@pytest.mark.parametrize(
    ("dump", "is_reused"),
    [(KERNEL.replace("sport=41000", "sport=41001").replace("dport=41000", "dport=41001"), False), (KERNEL, False)],
    ids=["no earlier connection", "an entry of another port"],
)
def test_a_port_that_was_not_used_before_is_no_finding(dump: str, is_reused: bool, tmp_path: Path) -> None:
    report = report_on(tmp_path, dump, is_reused=is_reused)
    assert report.losses
    assert finding_of(report) is None


@pytest.mark.parametrize(
    "dump",
    [FRESH, FRESH.replace("SYN_SENT", "ESTABLISHED"), CILIUM.replace("TxPackets=4", "TxPackets=0").split(" TxFlagsSeen")[0], ""],
    ids=["the entry is of the new SYN", "one without a reply", "one without a reply, Cilium", "no dump"],
)
def test_without_an_old_entry_it_is_possible_and_says_what_to_collect(dump: str, tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, dump))
    assert finding is not None
    assert not finding.is_named
    assert "conntrack -L" in finding.collect[0]
