"""Answers that come from an address that nobody called are known by the number that they acknowledge."""

from pathlib import Path

import pytest

from mixcni.explain.response_untranslated import CAUSE
from mixcni.report import Report
from tests.explain.scenes import finding_of, healthy, report_on
from tests.scene import Talk
from tests.wire import MS, START, Conversation, Frame

INITIATOR, SERVICE, BACKEND = "10.244.3.7", ("10.96.0.10", 80), ("10.242.2.149", 8080)


def report_of(tmp_path: Path, *, points: str = "ABC", shift: int = 0, has_resets: bool = True) -> Report:
    """Five attempts to a service that is translated behind B; the backend's answers are seen at `points`, as its own."""
    talks: list[Talk] = []
    more: dict[str, list[Frame]] = {"A": [], "B": [], "C": []}
    for number in range(5):
        ends, at = (INITIATOR, 41_000 + number), 1000 + 20 * number
        talk = Talk(initiator=ends, responder=SERVICE)
        talk.say(at, 0, "S", lost="BC")
        talks.append(talk)
        iss = talk.conversation.next[0] - 1
        back = Conversation(ends, BACKEND)
        more["C"].append(back.segment(0, "S", seq=iss + shift, time_ns=START + (at + 2) * MS))
        for delay, point in enumerate(reversed(points)):
            more[point].append(back.segment(1, "SA", seq=77, ack=iss + shift + 1, time_ns=START + (at + 4 + delay) * MS))
            if has_resets:
                more[point].append(back.segment(0, "R", seq=iss + shift + 1, time_ns=START + (at + 9 - delay) * MS))
    return report_on(tmp_path, [*healthy(), *talks], more=more)


def test_it_is_named_first_with_both_halves_frames(tmp_path: Path) -> None:
    finding = report_of(tmp_path).findings_found[0]
    assert (finding.cause, finding.is_named) == (CAUSE, True)
    assert "5 connection attempts from 10.244.3.7 to 10.96.0.10 port 80 came back to A from 10.242.2.149" in finding.sentence
    assert [len(fact.frames) for fact in finding.evidence] == [5, 5]
    assert finding.evidence[1].says.startswith("the initiator answered with 5 resets")


def test_half_of_a_connection_is_not_taken_for_one_that_the_capture_missed(tmp_path: Path) -> None:
    missed = finding_of(report_of(tmp_path), "capture_missed")
    assert missed is None or not missed.is_named


def test_other_connections_from_the_same_ports_are_no_finding(tmp_path: Path) -> None:
    assert finding_of(report_of(tmp_path, shift=5000), CAUSE) is None


@pytest.mark.parametrize("points", ["ABC without resets", "BC"])
def test_where_it_was_not_seen_to_arrive_it_is_possible_and_says_what_to_collect(points: str, tmp_path: Path) -> None:
    finding = finding_of(report_of(tmp_path, points=points.split(maxsplit=1)[0], has_resets=False), CAUSE)
    assert finding is not None
    assert not finding.is_named
    assert finding.collect[0] == "a capture in the initiator's pod, before A: from which address the answers arrive"


def test_answers_lost_before_they_would_be_translated_are_no_finding(tmp_path: Path) -> None:
    """C alone has the backend's half, as behind any NAT: the halves are one connection."""
    assert finding_of(report_of(tmp_path, points="C", has_resets=False), CAUSE) is None
