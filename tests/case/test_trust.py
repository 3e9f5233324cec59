"""Whether captures can be trusted: each reason not to, made by hand and told."""

from dataclasses import replace
from pathlib import Path

import pytest

from mixcni.case import case_of_files, diagnose
from mixcni.case.trust import PointTrust, Trust, dropped_by_capture, judge_captures
from tests.cases import CAPTURES, FOUNDING, copy_of, replaced, without_packets
from tests.scene import Talk, captured
from tests.wire import write_pcap

SAMPLES = Path(__file__).parents[1] / "samples" / "pcaps"


def judged(trust: Trust, name: str) -> PointTrust:
    return next(point for point in trust.points if point.point == name)


def test_sound_captures_have_no_warning() -> None:
    trust = judge_captures(CAPTURES / "policy-removed")
    assert trust.headline == "captures: nothing speaks against any of 3 points"
    for point in trust.points:
        assert point.offset_ns is not None
        assert point.uncertainty_ns is not None
        assert abs(point.offset_ns) <= point.uncertainty_ns  # the lab's points share one clock
        assert point.miss_rate[0] == 0
        assert min(point.forward, point.reverse) > 0


def test_the_founding_case_says_what_its_captures_leave_open() -> None:
    trust = judge_captures(CAPTURES / FOUNDING)
    assert judged(trust, "C").warnings == ("its clock is taken to be that at B: both are on cilium-1",)
    assert [judged(trust, name).forward for name in "ABC"] == [36, 36, 0]
    assert trust.missing == (
        "no point has a packet back to the initiator: that none came looks the same as captures of one direction",
    )


def test_a_capture_without_packets_and_without_a_window_is_told(tmp_path: Path) -> None:
    trust = judge_captures(copy_of(FOUNDING, tmp_path, without_packets("C.pcap")))
    assert judged(trust, "C").warnings == ("no packets: nothing tells whether it ran",)
    assert judged(trust, "C").window_ns is None


def test_a_capture_of_one_direction_beside_one_of_both_is_told(tmp_path: Path) -> None:
    import dpkt

    folder = copy_of("policy-removed", tmp_path)
    with (folder / "B.pcap").open("rb") as stream:
        reader = dpkt.pcap.Reader(stream)
        kept = [(time, octets) for time, octets in reader if octets[30:34] == bytes([10, 242, 2, 149])]
    with (folder / "B.pcap").open("wb") as stream:
        writer = dpkt.pcap.Writer(stream, nano=True)
        for time, octets in kept:
            writer.writepkt(octets, time)
    point = judged(judge_captures(folder), "B")
    assert point.reverse == 0
    assert any("none back, though A and C saw some: does it capture both" in warning for warning in point.warnings)


def test_damage_is_told_at_the_point_whose_file_has_it(tmp_path: Path) -> None:
    folder = copy_of("policy-removed", tmp_path)
    (folder / "C.pcap").write_bytes((folder / "C.pcap").read_bytes()[:-5])
    trust = judge_captures(folder)
    assert judged(trust, "C").warnings == ("C.pcap is damaged: what could not be read of it was not seen",)
    assert judged(trust, "A").warnings == judged(trust, "B").warnings == ()


def test_points_without_kind_and_scope_are_named(tmp_path: Path) -> None:
    trust = judge_captures(copy_of(FOUNDING, tmp_path, replaced("case.toml", 'kind = "node"', "")))
    assert any(sentence.startswith("B: neither what kind of point it is") for sentence in trust.missing)


@pytest.mark.parametrize(("sample", "dropped"), [("pcapng-le-all-blocks.pcapng", int), ("pcap-le-us-http.pcap", None)])
def test_drop_counters_are_those_of_the_files(sample: str, dropped: object) -> None:
    found = dropped_by_capture((SAMPLES / sample,))
    assert (found is None) == (dropped is None)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dropped": 30, "packets": 270}, "the capture itself dropped 30 packets (10.0%)"),
        ({"snaplen_cut": 5, "packets": 9}, "5 packets of 9 cut by the snaplen"),
        ({"not_decoded": 5, "packets": 9}, "5 packets of 9 of a link type that is not decoded"),
        ({"super_segments": 1}, "1 segment longer than the MSS"),
        ({"copies": 4}, "4 packets captured twice here"),
        ({"steps_ns": (1_500_000,)}, "its clock was set while capturing: +1.500 ms"),
        ({"uncertainty_ns": None}, "its clock is bounded from one side only"),
        ({"forward": 0}, "back to the initiator and none to the responder"),
    ],
)
def test_each_reason_for_doubt_has_its_sentence(changed: dict[str, object], says: str) -> None:
    from mixcni.case.trust import _warnings

    localisation = diagnose(CAPTURES / "policy-removed").localisation
    sound = judged(judge_captures(CAPTURES / "policy-removed"), "B")
    assert not list(_warnings(sound, localisation, 1))
    assert any(says in warning for warning in _warnings(replace(sound, **changed), localisation, 1))  # type: ignore[arg-type]


def test_clocks_that_are_joined_with_each_other_alone_say_so(tmp_path: Path) -> None:
    """A shares no segment with B and C, which share theirs."""
    asked, other = Talk(), Talk(initiator=("10.244.3.9", 50_000), responder=("10.242.2.31", 80))
    for talk in (asked, other):
        talk.handshake(0)
        talk.exchange(100)
    sent = [*(replace(one, missed="BC") for one in asked.sent), *(replace(one, missed="A") for one in other.sent)]
    for name, frames in captured(sent, "ABC").items():
        write_pcap(tmp_path / f"{name}.pcap", frames)
    case = case_of_files({name: [tmp_path / f"{name}.pcap"] for name in "ABC"})
    warnings = judged(judge_captures(case), "C").warnings
    assert "its clock is joined to that at B, and not to that at A: no segment was seen at both" in warnings
    assumed = diagnose(case).assumptions
    assert "the clock at C is measured against that at B, which is taken to agree with that at A" in assumed
    assert "the clock at B is taken to agree with that at A: no segment was seen at both" in assumed


def test_the_text_keeps_to_its_width() -> None:
    assert all(len(line) <= 100 for line in str(judge_captures(CAPTURES / FOUNDING)).splitlines())
