"""Losses that retransmissions make up for are told per hop, and called random only where nothing else decides them."""

from pathlib import Path

import pytest

from mixcni.explain.random_loss import CAUSE
from tests.explain.scenes import finding_of, report_on
from tests.scene import Talk
from tests.wire import MS, START, Frame, udp_frame

REPEATED_MS = 250
CALLS = 15
SIZES = (100, 900, 400)


def talk_with(number: int, hit: set[int], *, missed: str = "", gap_ms: float = 2000, sizes: tuple[int, ...] = SIZES) -> Talk:
    """A connection of many requests; the first copy of some of them is lost between B and C, or missed there."""
    talk = Talk(initiator=(f"10.244.{3 + number % 2}.{7 + number % 4}", 41_000 + number))
    talk.handshake(40 * number)
    for call in range(CALLS):
        at = 1000 + 37 * number + gap_ms * call
        octets = sizes[call % len(sizes)]
        if call in hit:
            sent = talk.say(at, 0, "PA", octets, lost="" if missed else "BC", missed=missed)
            if not missed:
                talk.again(at + REPEATED_MS, sent)
                at += REPEATED_MS
        else:
            talk.say(at, 0, "PA", octets)
        talk.say(at + 4, 1, "PA", 200)
        talk.say(at + 8, 0, "A")
    return talk


def large(number: int) -> Talk:
    """A connection whose large segments are lost, and sent again in two halves that get through."""
    talk = Talk(initiator=("10.244.3.7", 41_000 + number))
    talk.handshake(40 * number)
    for call in range(CALLS):
        at = 1000 + 37 * number + 2000 * call
        if call % 3 == 1:
            conversation = talk.conversation
            before = conversation.next[0]
            talk.say(at, 0, "PA", 1400, lost="BC")
            conversation.next[0] = before
            talk.say(at + REPEATED_MS, 0, "PA", 700)
            talk.say(at + REPEATED_MS + 1, 0, "PA", 700)
            at += REPEATED_MS
        else:
            talk.say(at, 0, "PA", 300)
        talk.say(at + 6, 1, "PA", 200)
        talk.say(at + 8, 0, "A")
    return talk


def spread() -> list[Talk]:
    """Eight connections, of which six lose a copy each, at other times and of other sizes."""
    return [talk_with(number, {(5 * number + 2) % CALLS} if number < 6 else set()) for number in range(8)]


def test_it_is_named_with_its_count_and_frames_and_nothing_is_lost(tmp_path: Path) -> None:
    report = report_on(tmp_path, spread())
    finding = report.findings_found[0]
    assert (report.verdict, report.losses) == ("no_loss", [])
    assert (finding.cause, finding.loss, finding.is_named) == (CAUSE, None, True)
    assert "Between B and C, on the way of the requests, 6 copies of segments were lost at random" in finding.sentence
    assert "in 6 of 8 conversations" in finding.sentence
    assert (finding.evidence[0].file, len(finding.evidence[0].frames)) == ("B.pcap", 6)
    assert "up to 250 ms later than usual" in finding.evidence[0].says
    assert [each.cause for each in report.findings_found] == [CAUSE]


@pytest.mark.parametrize(
    ("talks", "against"),
    [
        ([talk_with(n, {5}, gap_ms=2000) for n in range(8)], "a burst"),
        ([large(number) for number in range(4)], "larger than what got through"),
        ([talk_with(n, {2 + n % 3, 8, 11} if n % 2 else set()) for n in range(24)], "source network 10.244.4.0/24"),
        ([talk_with(n, set(range(0, CALLS, 2))) for n in range(8)], "more than 20% of all"),
    ],
    ids=["at one time", "large ones", "one network", "half of all"],
)
def test_what_something_decides_is_told_and_not_called_random(talks: list[Talk], against: str, tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, talks), CAUSE)
    assert finding is not None
    assert not finding.is_named
    assert any(against in fact.says for fact in finding.against)


def test_few_lost_copies_are_told_as_possible_with_what_to_collect(tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, [talk_with(0, {3}), *(talk_with(n, set()) for n in range(1, 6))]), CAUSE)
    assert finding is not None
    assert not finding.is_named
    assert any("tc -s qdisc" in wanted for wanted in finding.collect)


def test_what_a_capture_missed_is_not_lost(tmp_path: Path) -> None:
    talks = [talk_with(number, {(5 * number + 2) % CALLS}, missed="B") for number in range(6)]
    report = report_on(tmp_path, talks)
    assert report.verdict == "no_loss"
    assert finding_of(report, CAUSE) is None


def test_copies_that_one_point_heard_twice_are_not_lost(tmp_path: Path) -> None:
    """As a capture on several interfaces has them, 0.3 ms apart: what arrives came in time."""
    talks = [talk_with(number, set()) for number in range(6)]
    for talk in talks:
        requests = [number for number, sent in enumerate(talk.sent) if sent.side == 0 and len(sent.frame.octets) > 100]
        for number in requests[::4]:
            talk.again((talk.sent[number].frame.time_ns - START) / MS + 0.3, number, missed="C")
    report = report_on(tmp_path, talks)
    assert sum(hop.recovered for hop in report.localisation.hops) > 0
    assert finding_of(report, CAUSE) is None


def test_copies_that_the_far_capture_may_have_missed_are_not_lost(tmp_path: Path) -> None:
    """All is lost and repeated behind B, whose capture lacks as many of its copies as of everything else."""
    talks = []
    for number in range(8):
        talk = Talk(initiator=(f"10.244.3.{7 + number % 4}", 41_000 + number))
        talk.handshake(40 * number)
        for call in range(CALLS):
            at, lacks = 1000 + 37 * number + 2000 * call, "B" if (number + call) % 5 == 0 else ""
            if call % 3 == 1:
                sent = talk.say(at, 0, "PA", 100, lost="BC", missed=lacks)
                at += REPEATED_MS
                talk.again(at, sent)
            else:
                talk.say(at, 0, "PA", 100, missed=lacks)
            talk.say(at + 4, 1, "PA", 200)
            talk.say(at + 8, 0, "A")
        talks.append(talk)
    report = report_on(tmp_path, talks)
    assert any(hop.recovered for hop in report.localisation.hops if hop.near == 0)
    assert not any("Between A and B" in finding.sentence for finding in report.findings_found if finding.cause == CAUSE)


def test_a_healthy_path_has_no_finding(tmp_path: Path) -> None:
    assert report_on(tmp_path, [talk_with(number, set()) for number in range(4)]).findings_found == ()


@pytest.mark.parametrize("is_one", [True, False], ids=["one caller", "callers like the others"])
def test_attempts_that_lose_all_their_copies_are_not_lost_at_random(is_one: bool, tmp_path: Path) -> None:
    """A hop that loses single copies of others does not explain attempts that lose three in a row."""
    gone = []
    for number in range(6):
        talk = Talk(initiator=("10.244.9.9" if is_one else f"10.244.{3 + number % 2}.{7 + number % 4}", 43_000 + number))
        talk.repeated([3000 + 50 * number, 4000 + 50 * number, 6000 + 50 * number], 0, "S", lost="BC")
        gone.append(talk)
    report = report_on(tmp_path, [*spread(), *gone])
    assert report.losses[0]["exchanges"] == 6
    assert report.losses[0]["cause"] != CAUSE
    assert all(finding.loss is None for finding in report.findings_found if finding.cause == CAUSE)


def datagrams(point_delay: int, lost: frozenset[int], count: int = 120) -> list[Frame]:
    """Questions of three callers and their answers, at one point; of the lost ones there is none."""
    frames = []
    for number in range(count):
        if number in lost:
            continue
        caller, server = (f"10.244.3.{7 + number % 3}", 20_000 + number), ("10.242.2.149", 5353)
        at = START + (500 + 200 * number) * MS
        frames.append(udp_frame(caller, server, b"question %d" % number, time_ns=at + point_delay * MS))
        frames.append(udp_frame(server, caller, b"answer %d" % number, time_ns=at + (9 - point_delay) * MS))
    return frames


def test_single_datagrams_that_nobody_repeats_are_what_a_random_loss_takes(tmp_path: Path) -> None:
    gone = frozenset({31, 77})
    all_sent = {f.time_ns: f for f in datagrams(0, frozenset())}
    kept = {f.time_ns for f in datagrams(0, gone)}
    asked = [f for f in all_sent.values() if f.time_ns not in kept and (f.time_ns - START) // MS % 100 == 0]
    at_b = [frame.at(frame.time_ns + MS) for frame in asked]
    more = {"A": [*datagrams(0, gone), *asked], "B": [*datagrams(1, gone), *at_b], "C": datagrams(2, gone)}
    report = report_on(tmp_path, spread(), more=more)
    assert [(loss["hop"], loss["exchanges"], loss["cause"]) for loss in report.losses] == [(["B", "C"], 2, CAUSE)]
