"""What the responder did itself is a finding of its own, and no loss of the network's."""

from pathlib import Path

import mixcni
from mixcni.report import Report
from tests.wire import MS, START, Conversation, Frame, S, write_pcap


def report_on(tmp_path: Path, frames: list[Frame]) -> Report:
    """Two points that saw the same, a millisecond apart."""
    later = [frame.at(frame.time_ns + MS) for frame in frames]
    points = {"A": [write_pcap(tmp_path / "A.pcap", frames)], "B": [write_pcap(tmp_path / "B.pcap", later)]}
    return mixcni.diagnose(mixcni.case_of_files(points))


def other_traffic(until_ns: int) -> list[Frame]:
    """Another connection that keeps both captures running."""
    talk = Conversation(("10.244.3.8", 50000))
    return [*talk.handshake(), *talk.exchange(b"question", b"answer", until_ns)]


def test_a_silent_server_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "PA", b"question", time_ns=START + 10 * MS)]
    frames.append(talk.segment(1, "A", seq=talk.next[1], ack=talk.next[0], time_ns=START + 11 * MS))
    report = report_on(tmp_path, [*frames, *other_traffic(START + 20 * S)])
    finding = report.findings_found[0]
    assert (report.verdict, report.losses) == ("no_loss", [])
    assert (finding.cause, finding.loss) == ("server_silent", None)
    assert "1 request to 10.242.2.149 port 8080 arrived at B" in finding.sentence


def test_a_refusing_server_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    talk = Conversation()
    syn = talk.say(0, "S")
    reset = talk.segment(1, "RA", seq=0, ack=syn_end(talk), time_ns=START + 5 * MS)
    report = report_on(tmp_path, [syn, reset, *other_traffic(START + 20 * S)])
    finding = report.findings_found[0]
    assert (report.verdict, report.losses) == ("no_loss", [])
    assert finding.cause == "server_refused"
    assert report.exchanges.set_index("conversation").loc[0, "fate"] == "refused"
    assert finding.evidence[0].frames == (1,)


def syn_end(talk: Conversation) -> int:
    """What acknowledges the SYN."""
    return talk.next[0]


def test_a_healthy_connection_has_no_finding(tmp_path: Path) -> None:
    assert report_on(tmp_path, other_traffic(START + S)).findings_found == ()
