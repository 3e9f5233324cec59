"""Frames that findings cite stand in the file that is named, by their numbers in it, and those that are left out are counted."""

from pathlib import Path

import mixcni
from mixcni.explain.findings import Evidence
from mixcni.explain.suspects import SHOWN_FRAMES
from mixcni.report import Report
from mixcni.report.contract import report_object
from mixcni.report.summary import evidence_place
from tests.explain.scenes import healthy
from tests.scene import Talk, captured
from tests.wire import MS, START, write_pcap


def unanswered(count: int, at_ms: int) -> list[Talk]:
    """Connections whose server says nothing to their requests."""
    talks = []
    for number in range(count):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.repeated((at_ms + number, at_ms + 1_000 + number), 0, "S")
        talks.append(talk)
    return talks


def report_on(tmp_path: Path, talks: list[Talk], cut_ms: int) -> Report:
    """The report on two points, each of which began a second file at a moment."""
    frames = captured([sent for talk in talks for sent in talk.sent], "AB")
    points = {}
    for name, of_point in frames.items():
        parts = [[frame for frame in of_point if (frame.time_ns >= START + cut_ms * MS) == late] for late in (False, True)]
        points[name] = [write_pcap(tmp_path / f"{name}-{number}.pcap", part) for number, part in enumerate(parts)]
    return mixcni.diagnose(mixcni.case_of_files(points))


def silent(report: Report) -> Evidence:
    return next(finding for finding in report.findings_found if finding.cause == "server_silent").evidence[0]


def test_a_frame_in_a_rotated_file_is_cited_by_that_file_and_its_number_there(tmp_path: Path) -> None:
    late, others = unanswered(2, 15_000), healthy()
    fact = silent(report_on(tmp_path, [*others, *late], cut_ms=14_000))
    second = sorted(
        sent.frame.time_ns for talk in [*others, *late] for sent in talk.sent if sent.frame.time_ns >= START + 14_000 * MS
    )
    expected = sorted(second.index(sent.frame.time_ns) + 1 for talk in late for sent in talk.sent)
    assert (Path(fact.file).name, list(fact.frames), fact.more) == ("B-1.pcap", expected, 0)


def test_frames_of_a_second_file_and_those_beyond_the_first_few_are_counted(tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *unanswered(20, 13_500)], cut_ms=14_000)
    fact = silent(report)
    assert (Path(fact.file).name, len(fact.frames), fact.more) == ("B-0.pcap", SHOWN_FRAMES, 40 - SHOWN_FRAMES)
    assert evidence_place(fact).endswith(f" and {40 - SHOWN_FRAMES} more")
    found = report_object(report)["findings"]
    assert found[0]["evidence"][0]["more"] == 40 - SHOWN_FRAMES
