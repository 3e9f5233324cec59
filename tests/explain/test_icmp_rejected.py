"""An ICMP error that refused a request is named with its sender, what it says, and its frames."""

from pathlib import Path

import pytest

from mixcni.explain.icmp_rejected import CAUSE
from tests.explain.scenes import finding_of, healthy, report_on
from tests.scene import Talk
from tests.wire import MS, START, Frame, icmp_error

ROUTER, INITIATOR, RESPONDER = "192.168.1.1", "10.244.3.7", "10.242.2.149"
ATTEMPTS = 6
SERVICE = "ID   Frontend            Service Type   Backend\n1    10.242.2.149:8080   ClusterIP\n"


def attempts(lost: str = "BC", answered: int = ATTEMPTS) -> list[Talk]:
    """Connection attempts; those that no error answers are repeated."""
    talks = []
    for number in range(ATTEMPTS):
        talk = Talk(initiator=(INITIATOR, 41_000 + number))
        times = [1000 + 20 * number, *([2000 + 20 * number, 4000 + 20 * number] if number >= answered else [])]
        talk.repeated(times, 0, "S", lost=lost)
        talks.append(talk)
    return talks


def errors(talks: list[Talk], points: str = "AB", *, router: str = ROUTER, **more: int) -> dict[str, list[Frame]]:
    """What a router says to the first SYN of each, as these points see it."""
    return {
        point: [
            icmp_error(router, INITIATOR, talk.sent[0].frame, time_ns=talk.sent[0].frame.time_ns + (6 - delay) * MS, **more)
            for talk in talks
        ]
        for delay, point in enumerate(reversed(points))
    }


@pytest.mark.parametrize(
    ("kind", "code", "name", "remedy"),
    [
        (
            3,
            13,
            "communication administratively prohibited (type 3, code 13): a filter forbids it",
            "Find the filter on 192.168.1.1",
        ),
        (3, 0, "network unreachable (type 3, code 0): there is no route", "See the routes of 192.168.1.1"),
        (11, 0, "time to live exceeded (type 11, code 0): it was forwarded in a circle", "Follow the routes to 10.242.2.149"),
    ],
)
def test_it_is_named_first_with_sender_meaning_and_frames(kind: int, code: int, name: str, remedy: str, tmp_path: Path) -> None:
    talks = attempts()
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks, kind=kind, code=code))
    finding = report.findings_found[0]
    assert (finding.cause, report.losses[0]["cause"], report.losses[0]["hop"]) == (CAUSE, CAUSE, ["B", "C"])
    assert finding.sentence.startswith("192.168.1.1 refused 6 connection attempts from 10.244.3.7 to 10.242.2.149 port 8080")
    assert name in finding.sentence
    assert finding.remedies[0].sentence.startswith(remedy)
    assert (finding.evidence[0].file, len(finding.evidence[0].frames)) == ("B.pcap", ATTEMPTS)


def test_attempts_without_an_error_do_not_speak_against_a_sender_that_limits_its_rate(tmp_path: Path) -> None:
    talks = attempts(answered=2)
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks[:2], code=13))
    finding = report.findings_found[0]
    assert (finding.cause, report.losses[0]["exchanges"]) == (CAUSE, ATTEMPTS)
    assert "4 of the 6 that failed between B and C got no error: senders limit their rate" in finding.against[0].says


@pytest.mark.parametrize(("kind", "code"), [(3, 4), (5, 1)], ids=["too big", "redirect"])
def test_an_error_that_ends_nothing_is_no_finding(kind: int, code: int, tmp_path: Path) -> None:
    talks = attempts(answered=0)
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks, kind=kind, code=code))
    assert report.losses
    assert finding_of(report, CAUSE) is None


def test_the_responders_own_error_is_its_own_doing(tmp_path: Path) -> None:
    talks = attempts(lost="")
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks, "ABC", router=RESPONDER, code=3))
    assert (report.findings_found[0].cause, report.losses) == ("server_refused", [])
    assert finding_of(report, CAUSE) is None


def test_what_another_says_beyond_the_last_point_is_not_the_responders_doing(tmp_path: Path) -> None:
    talks = attempts()
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks, code=1), without="C", kinds={"B": "node"})
    finding = report.findings_found[0]
    assert (finding.cause, finding.loss, report.losses) == (CAUSE, None, [])
    assert "behind B" in finding.sentence
    assert finding_of(report, "server_refused") is None


def test_a_list_of_services_that_tells_why_stands_before_it(tmp_path: Path) -> None:
    talks = attempts()
    report = report_on(tmp_path, [*healthy(), *talks], more=errors(talks, code=3), dump=SERVICE)
    assert [finding.cause for finding in report.findings_found[:2]] == ["no_backend", CAUSE]


def test_where_the_capture_left_icmp_out_it_is_possible_and_says_what_to_collect(tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, [*healthy(), *attempts()]), CAUSE)
    assert finding is not None
    assert not finding.is_named
    assert "6 of 6 callers sent one SYN and no second one" in finding.evidence[0].says
    assert "whose filter lets ICMP pass" in finding.collect[0]


@pytest.mark.parametrize(("answered", "with_icmp"), [(0, False), (ATTEMPTS, True)], ids=["callers went on", "ICMP was captured"])
def test_callers_that_go_on_and_captures_with_icmp_do_not_make_it_possible(
    answered: int, with_icmp: bool, tmp_path: Path
) -> None:
    talks = attempts(answered=answered)
    stranger = healthy(1)[0].sent[0].frame
    more = {point: [icmp_error(ROUTER, "10.244.3.9", stranger, code=4, time_ns=START + 700 * MS)] for point in "AB" if with_icmp}
    assert finding_of(report_on(tmp_path, [*healthy(), *talks], more=more), CAUSE) is None
