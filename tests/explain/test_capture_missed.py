"""What a capture lacks though it passed is told as that, with its share, and never as a loss."""

from pathlib import Path

from mixcni.explain.capture_missed import CAUSE
from tests.explain.scenes import finding_of, healthy, report_on
from tests.explain.test_random_loss import CALLS, spread, talk_with
from tests.scene import Talk


def missing(count: int) -> list[Talk]:
    return [talk_with(number, {(5 * number + 2) % CALLS} if number < count else set(), missed="B") for number in range(8)]


def test_it_is_named_with_its_share_and_the_frames_that_others_have(tmp_path: Path) -> None:
    report = report_on(tmp_path, missing(6))
    finding = report.findings_found[0]
    assert (report.verdict, finding.cause, finding.loss, finding.is_named) == ("no_loss", CAUSE, None, True)
    assert finding.sentence.startswith("The capture at B lacks 6 of")
    assert "acknowledged or seen on both sides of B" in finding.evidence[0].says
    neighbour = next(fact for fact in finding.evidence if "A has 6 segments more than it" in fact.says)
    assert (neighbour.file, len(neighbour.frames)) == ("A.pcap", 6)


def test_one_missing_packet_alone_is_only_possible(tmp_path: Path) -> None:
    finding = finding_of(report_on(tmp_path, missing(1)), CAUSE)
    assert finding is not None
    assert not finding.is_named


def test_lost_copies_are_not_missed_ones(tmp_path: Path) -> None:
    assert finding_of(report_on(tmp_path, spread()), CAUSE) is None


def test_a_loss_that_stands_out_is_never_laid_at_the_captures_door(tmp_path: Path) -> None:
    """B misses some packets of others; what one caller loses behind it is lost all the same."""
    gone = []
    for number in range(8):
        talk = Talk(initiator=("10.244.9.9", 43_000 + number))
        talk.repeated([3000 + 50 * number, 4000 + 50 * number, 6000 + 50 * number], 0, "S", lost="BC")
        gone.append(talk)
    report = report_on(tmp_path, [*missing(6), *gone])
    assert [(loss["hop"], loss["exchanges"]) for loss in report.losses] == [(["B", "C"], 8)]
    finding = finding_of(report, CAUSE)
    assert finding is not None
    assert finding.loss is None
    assert report.losses[0]["cause"] != CAUSE


def test_where_nothing_proves_a_miss_it_is_possible_and_says_what_to_collect(tmp_path: Path) -> None:
    """One request with one copy that C does not show, in captures too small to tell how much C misses."""
    talk = Talk(initiator=("10.244.3.7", 41_000))
    talk.handshake(100)
    talk.say(200, 0, "PA", 100, lost="BC")
    report = report_on(tmp_path, [*healthy(1), talk])
    finding = finding_of(report, CAUSE)
    assert report.verdict == "undecided"
    assert finding is not None
    assert not finding.is_named
    assert "1 request that it does not show cannot be told lost" in finding.sentence
    assert finding.collect[0].startswith("at C again: tcpdump")
    assert "missed by a capture" not in report.headline
