"""Something on the way is said to have reset a connection where a point beyond shows that the responder did not."""

from pathlib import Path

import pytest

from mixcni.explain.middlebox_reset import CAUSE
from tests.explain.scenes import finding_of, healthy, report_on
from tests.scene import Talk

REFUSED = 5


def attempts(begun: str = "B", lost: str = "BC", ttl: int = 64) -> list[Talk]:
    """Connection attempts that a reset answers, which first appears at `begun`."""
    talks = []
    for number in range(REFUSED):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.say(1000 + 20 * number, 0, "S", lost=lost)
        talk.say(1005 + 20 * number, 1, "RA", begun=begun, ttl=ttl)
        talks.append(talk)
    return talks


def requests(idle_ms: float = 50, *, begun: str = "B", lost: str = "", ttl: int = 64, window: int = 1000) -> list[Talk]:
    """Connections that are made, and reset at their first request, which gets as far as `lost` says."""
    talks = []
    for number in range(REFUSED):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.handshake(1000 + 50 * number)
        talk.say(1100 + 50 * number + idle_ms, 0, "PA", 100, lost=lost)
        talk.say(1105 + 50 * number + idle_ms, 1, "RA", begun=begun, ttl=ttl, window=window)
        talks.append(talk)
    return talks


@pytest.mark.parametrize(
    "talks", [attempts(), requests(lost="BC"), requests()], ids=["attempts", "requests", "requests that got through all the same"]
)
def test_it_is_named_first_with_the_resets_frames(talks: list[Talk], tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *talks])
    finding = report.findings_found[0]
    assert (finding.cause, report.losses[0]["cause"], report.losses[0]["hop"]) == (CAUSE, CAUSE, ["B", "C"])
    assert "Something between B and C reset 5" in finding.sentence
    first = finding.evidence[0]
    assert first.says == "5 resets in the responder's name came back at B, and C, which watched, has none of them"
    assert (first.file, len(first.frames)) == ("B.pcap", REFUSED)
    assert finding_of(report, "server_refused") is None


def test_resets_that_are_unlike_the_responders_segments_say_so(tmp_path: Path) -> None:
    finding = report_on(tmp_path, [*healthy(), *requests(ttl=200)]).findings_found[0]
    says = "5 of them are not like the responder's segments: another TTL than the responder's other segments"
    assert finding.evidence[1].says.startswith(says)
    assert "55 routers away from B by the TTL" in finding.sentence


def test_connections_that_were_idle_are_said_to_have_been_forgotten(tmp_path: Path) -> None:
    finding = report_on(tmp_path, [*healthy(until_ms=100_000), *requests(90_000, lost="BC")]).findings_found[0]
    assert finding.cause == CAUSE
    assert any("5 connections had been silent for 90 s or longer" in fact.says for fact in finding.evidence)
    assert "TCP keepalives" in finding.remedies[0].sentence


@pytest.mark.parametrize(
    "talks",
    [attempts("", ""), requests(begun=""), requests(begun="", lost="BC")],
    ids=["closed port", "request", "behind a loss"],
)
def test_the_responders_own_resets_are_no_finding(talks: list[Talk], tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *talks], kinds={"C": "pod"})
    assert finding_of(report, CAUSE) is None


def test_a_reset_that_follows_a_loss_is_not_its_cause(tmp_path: Path) -> None:
    """Responses lost between B and C, and reset five seconds later by something that gave up."""
    talks = []
    for number in range(REFUSED):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.handshake(1000 + 20 * number)
        talk.say(1100 + 20 * number, 0, "PA", 100)
        talk.say(1110 + 20 * number, 1, "PA", 200, lost="BC")
        talk.say(6100 + 20 * number, 1, "RA", begun="B")
        talks.append(talk)
    report = report_on(tmp_path, [*healthy(), *talks])
    assert report.losses[0]["direction"] == "response"
    assert finding_of(report, CAUSE) is None


def test_a_reset_before_the_response_is_its_cause(tmp_path: Path) -> None:
    """What closes a connection in its ends' names lets nothing of it through any more."""
    talks = []
    for number in range(REFUSED):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.handshake(1000 + 20 * number)
        talk.say(1100 + 20 * number, 0, "PA", 100)
        talk.say(1110 + 20 * number, 1, "PA", 200, lost="BC")
        talk.say(1108 + 20 * number, 1, "RA", begun="B")
        talks.append(talk)
    report = report_on(tmp_path, [*healthy(), *talks])
    assert (report.losses[0]["direction"], report.losses[0]["cause"]) == ("response", CAUSE)


def test_without_the_capture_beyond_it_is_possible_and_says_what_to_collect(tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *requests(ttl=200)], without="C", kinds={"B": "node"})
    finding = finding_of(report, CAUSE)
    assert finding is not None
    assert (finding.is_named, finding.loss) == (False, None)
    assert finding.collect[0] == "a capture in the pod of 10.242.2.149: whether the resets leave it"
    refused = finding_of(report, "server_refused")
    assert refused is None or not refused.is_named


def test_without_it_resets_that_are_like_the_responders_are_taken_for_its_own(tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *requests(begun="")], without="C", kinds={"B": "node"})
    assert finding_of(report, CAUSE) is None
    assert report.findings_found[0].cause == "server_refused"
