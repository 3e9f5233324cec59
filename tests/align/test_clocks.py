"""Clocks: the offset that was put in is found within the uncertainty that is stated, and what is not known is said not to be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.align import align_points
from mixcni.align import clocks as align_clocks
from mixcni.align.clocks import ClockModel, _model
from mixcni.align.pairclock import Matched, fit_pair
from tests.scene import Sent, Talk, captured, tracked
from tests.wire import MS, S

OFFSETS = st.integers(-(10**6) * 3600 * 1000, 10**6 * 3600 * 1000).map(lambda us: us * 1000)


def talked() -> Talk:
    talk = Talk()
    talk.handshake(0)
    for i in range(3):
        talk.exchange(100 + 100 * i)
    return talk


def drifting(span_ms: float) -> int:
    """By how much clocks whose drift is not known may run apart in so long, ns."""
    return round(200e-6 * span_ms * MS)


def clocks(sent: list[Sent], names: str = "ABC", **more: object) -> list[ClockModel]:
    flows = tracked(captured(sent, names, **more))  # type: ignore[arg-type]
    return list(align_points(list(names), flows).clocks)


@given(OFFSETS, OFFSETS, st.integers(0, 50 * MS))
@settings(max_examples=40)
def test_any_offset_is_found_within_its_stated_uncertainty(b: int, c: int, delay: int) -> None:
    found = clocks(talked().sent, offsets={"B": b, "C": c}, delay_ns=delay)
    for clock, offset, steps in zip(found, (0, b, c), (0, 1, 2), strict=True):
        assert clock.uncertainty_ns is not None
        assert abs(clock.offset_ns - offset) <= clock.uncertainty_ns <= steps * (delay + drifting(320 + 2 * delay / MS)) + 2
        assert clock.reference == "A"


def test_a_path_that_is_slower_one_way_stays_within_the_uncertainty() -> None:
    """20 ms there and 2 ms back: the middle is wrong by 9 ms, and half the round trip of 22 ms says it may be."""
    frames = captured(talked().sent, "AB", delay_ns=2 * MS)
    slow = {frame.time_ns for one, frame in zip(talked().sent, frames["B"], strict=True) if one.side == 0}
    frames["B"] = [frame.at(frame.time_ns + 18 * MS) if frame.time_ns in slow else frame for frame in frames["B"]]
    clock = align_points(["A", "B"], tracked(frames)).clocks[1]
    assert (clock.offset_ns, clock.uncertainty_ns) == (9 * MS, 11 * MS + drifting(312))


@pytest.mark.parametrize("ppm", [-200, 200])
def test_the_offset_of_a_brief_capture_stays_within_the_uncertainty_whatever_the_drift(ppm: float) -> None:
    """A way of 10 µs there and back, and no time to tell a drift that moves the clock by more."""
    frames = captured(talked().sent, "AB", delay_ns=10_000)
    begin = frames["B"][0].time_ns
    frames["B"] = [frame.at(frame.time_ns + round((frame.time_ns - begin) * ppm * 1e-6)) for frame in frames["B"]]
    clock = align_points(["A", "B"], tracked(frames)).clocks[1]
    assert clock.drift_ppm is None
    assert clock.uncertainty_ns is not None
    for moved in (0, round(310 * MS * ppm * 1e-6)):
        assert abs(clock.offset_ns - moved) <= clock.uncertainty_ns


@pytest.mark.parametrize(("side", "bias"), [(0, MS), (1, -MS)])
def test_one_direction_bounds_an_offset_from_one_side_only(side: int, bias: int) -> None:
    one_way = [replace(one, missed="" if one.side == side else "B") for one in talked().sent]
    clock = clocks(one_way, "AB", offsets={"B": 7 * S})[1]
    assert (clock.offset_ns, clock.uncertainty_ns, clock.is_known) == (7 * S + bias, None, True)


def test_other_copies_of_a_retransmitted_segment_do_not_move_the_clock() -> None:
    """A caught the second copy and B the first: 300 ms that are no delay."""
    talk = talked()
    number = talk.say(900, 0, "PA", 100, missed="A")
    talk.again(1200, number, lost="AB")
    talk.say(1250, 1, "A")
    clock = clocks(talk.sent, "AB")[1]
    assert (clock.offset_ns, clock.uncertainty_ns) == (0, MS + drifting(311))


def test_where_all_was_retransmitted_copies_seen_equally_often_serve() -> None:
    talk = Talk()
    talk.repeated((0, 1000, 3000), 0, "S")
    clock = clocks(talk.sent, "AB", offsets={"B": -S})[1]
    assert (clock.offset_ns, clock.uncertainty_ns, clock.segments) == (-S + MS, None, 3)


def test_a_point_joined_through_another_has_the_sum_of_both_uncertainties() -> None:
    first, second = talked(), Talk(initiator=("10.244.3.8", 50_000))
    second.handshake(0)
    sent = [replace(one, missed="C") for one in first.sent] + [replace(one, missed="A") for one in second.sent]
    found = clocks(sent, offsets={"B": S, "C": -3 * S})
    assert [clock.offset_ns for clock in found] == [0, S, -3 * S]
    assert [clock.uncertainty_ns for clock in found] == [0, MS + drifting(312), 2 * MS + drifting(312) + drifting(10)]


def test_a_clock_that_nothing_joins_is_not_known() -> None:
    other = Talk(initiator=("10.244.3.8", 50_000))
    other.handshake(0)
    sent = [replace(one, missed="C") for one in talked().sent] + [replace(one, missed="AB") for one in other.sent]
    clock = clocks(sent, offsets={"C": 5 * S})[2]
    assert (clock.offset_ns, clock.uncertainty_ns, clock.is_known) == (0, None, False)


@given(OFFSETS, OFFSETS)
@settings(max_examples=20)
def test_points_that_nothing_joins_to_the_first_are_measured_against_each_other(b: int, c: int) -> None:
    """B and C share no segment with A: one of them is taken to agree with it, and they are as far apart as their clocks are."""
    other = Talk(initiator=("10.244.3.9", 50_000), responder=("10.242.2.31", 80))
    other.handshake(0)
    other.exchange(100)
    sent = [*(replace(one, missed="BC") for one in talked().sent), *(replace(one, missed="A") for one in other.sent)]
    found = clocks(sent, offsets={"B": b, "C": c}, delay_ns=MS)
    assert 0 in [clock.offset_ns for clock in found[1:]]
    assert abs(found[2].offset_ns - found[1].offset_ns - (c - b)) <= MS + drifting(200)
    assert [clock.is_known for clock in found] == [True, False, False]
    assert sorted(clock.beside for clock in found[1:]) in (["", "B"], ["", "C"])


@pytest.mark.parametrize(("b", "c", "beside"), [(0, 0, ["", "B"]), (0, -2 * S, ["", "B"]), (-2 * S, 0, ["C", ""])])
def test_of_points_that_nothing_joins_to_the_first_the_one_agrees_that_captured_with_it_the_longest(
    b: int, c: int, beside: list[str]
) -> None:
    other = Talk(initiator=("10.244.3.9", 50_000), responder=("10.242.2.31", 80))
    other.handshake(0)
    other.exchange(100)
    sent = [*(replace(one, missed="BC") for one in talked().sent), *(replace(one, missed="A") for one in other.sent)]
    found = clocks(sent, offsets={"B": b, "C": c})
    assert [clock.beside for clock in found[1:]] == beside


@pytest.mark.parametrize("others", [0, 30], ids=["one connection", "one in thirty that B saw"])
def test_of_more_segments_than_are_needed_some_connections_that_both_saw_tell(
    monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr(align_clocks, "MOST_MATCHED", 6)
    talks = [Talk(initiator=("10.244.3.8", 50_000 + i)) for i in range(others)]
    for talk in talks:
        talk.handshake(0)
    sent = [*talked().sent, *(replace(one, missed="B") for talk in talks for one in talk.sent)]
    (_, clock) = clocks(sent, "AB", offsets={"B": S})
    assert clock.uncertainty_ns is not None
    assert abs(clock.offset_ns - S) <= clock.uncertainty_ns


def test_many_connections_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    talks = [Talk(initiator=("10.244.3.8", 50_000 + i)) for i in range(30)]
    for i, talk in enumerate(talks):
        talk.handshake(10 * i)
    sent = [one for talk in talks for one in talk.sent]
    assert clocks(sent, "AB")[1].segments == 60
    monkeypatch.setattr(align_clocks, "MOST_MATCHED", 40)
    (_, clock) = clocks(sent, "AB", offsets={"B": S})
    assert clock.segments == 16
    assert clock.uncertainty_ns is not None
    assert abs(clock.offset_ns - S) <= clock.uncertainty_ns


def test_bare_acknowledgments_tell_nothing() -> None:
    talk = talked()
    bare = [replace(one, missed="B" if one.frame.octets[47] & 0x02 or len(one.frame.octets) > 54 else "") for one in talk.sent]
    assert not clocks(bare, "AB")[1].is_known


def test_conversations_are_told_on_the_common_clock() -> None:
    frames = captured(talked().sent, offsets={"C": -90 * S})
    alignment = align_points(list("ABC"), tracked(frames))
    times = [alignment.transmissions["time_ns"][alignment.transmissions["point"] == point] for point in (0, 2)]
    assert abs(times[0] - times[1]).max() <= 2 * MS
    assert alignment.conversations["first_ns"][0] == times[0].min()


def test_of_copies_that_stand_otherwise_apart_none_is_paired() -> None:
    """A saw the first and the third of three SYNs, B the first and the second: as many, and not the same."""
    talk = Talk()
    first = talk.say(0, 0, "S")
    talk.again(1000, first, missed="A")
    talk.again(3000, first, missed="B")
    (_, clock) = clocks(talk.sent, "AB")
    assert not clock.is_known


def test_one_pair_that_is_none_moves_no_clock_that_is_bounded_from_one_side() -> None:
    """Twenty SYNs go one way, each seen once at A and B, of one the first copy at A and the second at B."""
    talks = [Talk(initiator=("10.244.3.7", 42_000 + i)) for i in range(20)]
    for i, talk in enumerate(talks):
        talk.say(10 * i, 0, "S")
    odd = Talk(initiator=("10.244.3.7", 43_000))
    first = odd.say(50, 0, "S", missed="A")
    odd.again(1050, first, missed="B")
    _, clock = clocks([*(one for talk in talks for one in talk.sent), *odd.sent], "AB")
    assert clock.offset_ns == pytest.approx(MS, abs=MS)
    assert clock.uncertainty_ns is None


def test_no_clock_is_surer_of_its_drift_than_the_one_it_is_joined_through() -> None:
    parent = ClockModel("A", 0, 0, 10, drift_ppm=0.0, drift_uncertainty_ppm=3.0)
    times = np.arange(20, dtype=np.int64) * S
    there, back = np.arange(20) % 2 == 0, np.where(np.arange(20) % 2 == 0, MS, -MS) // 10
    matched = Matched(there, times, times + back, np.arange(20), np.arange(20))
    plain, joined = (_model("A", one, fit_pair(matched), times) for one in (replace(parent, drift_uncertainty_ppm=0.0), parent))
    assert plain.drift_uncertainty_ppm is not None
    assert joined.drift_uncertainty_ppm == pytest.approx(plain.drift_uncertainty_ppm + 3)
    assert _model("A", replace(parent, drift_uncertainty_ppm=None), fit_pair(matched), times).drift_ppm is None
