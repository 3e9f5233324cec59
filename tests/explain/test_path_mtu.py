"""A path-MTU black hole is named where size alone tells what is lost, and not where loss is random."""

from pathlib import Path

import pytest

import mixcni
from mixcni.explain import Finding
from mixcni.explain.path_mtu import CAUSE
from mixcni.report import Report
from tests.wire import MS, START, Conversation, Frame, S, icmp_error, write_pcap


def talk_of(port: int, sizes: list[int], lost: set[int], copies: int, at: int) -> tuple[list[Frame], list[Frame]]:
    """What A and B see of a connection that sends segments of these sizes; those in `lost` are sent `copies` times in vain."""
    talk = Conversation(("10.244.3.7", port))
    seen_a = talk.handshake(at)
    seen_b = [frame.at(frame.time_ns + MS) for frame in seen_a]
    now = at + 100 * MS
    for number, size in enumerate(sizes):
        frame = talk.say(0, "PA", b"x" * size, time_ns=now)
        if number in lost:
            seen_a.extend(frame.at(now + copy * S) for copy in range(copies))
            break
        answer = talk.say(1, "PA", b"answer", time_ns=now + 10 * MS)
        thanks = talk.say(0, "A", time_ns=now + 20 * MS)
        seen_a.extend([frame, answer, thanks])
        seen_b.extend([frame.at(now + MS), answer.at(now + 9 * MS), thanks.at(now + 21 * MS)])
        now += 100 * MS
    return seen_a, seen_b


def report_on(
    tmp_path: Path, *talks: tuple[list[Frame], list[Frame]], points: str = "AB", more: list[Frame] | None = None
) -> Report:
    other = Conversation(("10.244.3.9", 50000), ("10.242.2.150", 8080))
    healthy = [*other.handshake(START), *other.exchange(b"question", b"answer", START + 60 * S)]
    files = {}
    for number, name in enumerate("AB"):
        frames = [frame.at(frame.time_ns + number * MS) for frame in healthy]
        for talk in talks:
            frames.extend(talk[number])
        if number == 0:
            frames.extend(more or [])
        files[name] = [write_pcap(tmp_path / f"{name}.pcap", sorted(frames, key=lambda frame: frame.time_ns))]
    return mixcni.diagnose(mixcni.case_of_files(files))


def finding_of(report: Report) -> Finding | None:
    return next((finding for finding in report.findings_found if finding.cause == CAUSE), None)


def test_it_is_named_first_with_the_lost_frames(tmp_path: Path) -> None:
    report = report_on(tmp_path, *(talk_of(41000 + n, [100, 200, 1400], {2}, 4, START + n * S) for n in range(3)))
    finding = report.findings_found[0]
    assert (finding.cause, finding.is_named) == (CAUSE, True)
    assert finding.evidence[0].says.startswith("all 12 copies of segments in frames of 1454 octets and more")
    assert "frames of up to 254 got through" in finding.evidence[0].says
    assert "no ICMP error told the sender" in finding.sentence
    assert len(finding.evidence[0].frames) == 12


def test_what_routers_said_is_cited(tmp_path: Path) -> None:
    talks = [talk_of(41000 + n, [100, 200, 1400], {2}, 4, START + n * S) for n in range(3)]
    error = icmp_error("10.1.1.1", "10.244.3.7", talks[0][0][-1], code=4, time_ns=START + 10 * S)
    finding = finding_of(report_on(tmp_path, *talks, more=[error]))
    assert finding is not None
    assert "routers said 1 time that packets of these connections were too big" in finding.evidence[1].says
    assert "no ICMP error" not in finding.sentence


@pytest.mark.parametrize(
    "talks",
    [
        [talk_of(41000, [100, 1400, 1400], {2}, 4, START)],
        [talk_of(41000, [100, 200, 300], {2}, 4, START)],
        [talk_of(41000, [100, 200, 1400], {2}, 4, START), talk_of(41001, [100, 200], {1}, 4, START)],
    ],
    ids=["as large a one got through", "all are small", "a small one was lost too"],
)
def test_a_near_miss_is_no_finding(talks: list[tuple[list[Frame], list[Frame]]], tmp_path: Path) -> None:
    report = report_on(tmp_path, *talks)
    assert report.losses
    assert finding_of(report) is None


@pytest.mark.parametrize("sizes", [[100, 1400], [100, 200, 300, 400, 1400]], ids=["few packets", "the way may have broken"])
def test_where_it_cannot_be_told_it_is_possible_and_says_what_to_collect(sizes: list[int], tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, talk_of(41000, sizes, {len(sizes) - 1}, 4, START)))
    assert finding is not None
    assert not finding.is_named
    assert any("ping -M do -s 1412" in wanted for wanted in finding.collect)
