"""Fates by what was watched: empty and late captures, clocks that are off, kinds of points, and what a later capture proves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mixcni.localise import Verdict
from mixcni.topology import PointKind
from tests.localise.test_fates import (
    ANSWERED,
    CLIENT,
    END_MS,
    POINTS,
    SERVER,
    SILENT,
    SYN_TIMES,
    WINDOW,
    answered_throughout,
    background,
    connected,
    icmp_from,
    lost,
    network,
    refused_by_responder,
    refused_on_the_way,
    response,
    silent,
    syn,
    undecided,
    without_packets,
)
from tests.scene import Scene, Sent, Talk, captured, scene, scene_of
from tests.wire import MS, START, S, pack


def empty(talks: list[Talk], name: str, **known: Any) -> Scene:
    frames = captured([sent for talk in talks for sent in talk.sent])
    frames[name] = []
    return scene_of(frames, {**POINTS, name: {**POINTS[name], **known}})


@pytest.mark.parametrize(
    ("known", "told", "verdict"),
    [
        ({}, undecided("NO_WINDOW"), "undecided"),
        ({"window": WINDOW}, lost("BC", "request"), "loss"),
        ({"window": WINDOW, "scope": ()}, undecided("NO_WINDOW"), "undecided"),
        ({"window": (START - 20 * S, START - 10 * S)}, undecided("NO_WINDOW"), "undecided"),
    ],
    ids=["no window", "a window", "a window and no scope", "a window at another time"],
)
def test_an_empty_capture_speaks_only_in_the_window_that_the_case_gives(
    known: dict[str, Any], told: tuple[str, ...], verdict: str
) -> None:
    seen = empty([syn("BC")()], "C", **known)
    assert (seen.told(), seen.localisation.verdict) == ([told], verdict)
    assert seen.decider(0) == ("" if told[0] == "LOST" else "C")
    assert seen.localisation.sights.assumed_windows == ((2,) if told[0] == "LOST" else ())


def test_a_point_that_never_saw_the_address_says_nothing_of_it() -> None:
    elsewhere = Talk(initiator=("10.244.3.8", 42_000), responder=("10.242.2.31", 8080))
    elsewhere.handshake(0)
    elsewhere.exchange(END_MS)
    seen = scene(elsewhere, syn("BC")())
    assert seen.told(1) == [undecided("NO_WINDOW")]
    assert seen.localisation.verdict == "undecided"


def test_an_address_that_was_only_seen_to_call_is_not_expected_as_one_that_is_called() -> None:
    """B is the uplink of the responders' node: what A's node keeps to itself does not pass it."""
    neighbour = Talk(initiator=("10.244.3.9", 42_000))
    neighbour.handshake(0)
    neighbour.exchange(END_MS)
    local = Talk(responder=("10.244.3.9", 8080))
    local.repeated(SYN_TIMES, 0, "S", lost="AB")
    assert scene(without_packets(neighbour, "A"), background(), local, points=POINTS).told(2) == [undecided("NO_WINDOW")]


@pytest.mark.parametrize(
    ("last_ms", "told"),
    [(1500, undecided("CAPTURE_ENDED")), (2100, lost("BC", "request"))],
    ids=["before the RTO", "after it"],
)
def test_a_loss_needs_the_flow_to_be_watched_for_longer_than_its_rto(last_ms: float, told: tuple[str, ...]) -> None:
    """RFC 6298 section 2: the first retransmission timeout is 1 s. Two copies within it prove no timeout."""
    talk = Talk()
    talk.repeated((1000, 1200), 0, "S", lost="BC")
    seen = scene(background(last_ms=last_ms - 20), talk, points=POINTS)
    assert seen.told(1) == [told]
    assert seen.localisation.verdict == ("loss" if told[0] == "LOST" else "undecided")


@pytest.mark.parametrize(
    ("again_ms", "told"),
    [(1050, undecided("CAPTURE_ENDED")), (1995, lost("AB", "response"))],
    ids=["at once", "after a timeout"],
)
def test_who_asks_again_has_waited_for_a_response_in_vain(again_ms: float, told: tuple[str, ...]) -> None:
    """A's capture ends with a repetition of the SYN, less than a second after the response to the first one was lost."""
    talk = Talk()
    asked = talk.say(1000, 0, "S")
    talk.say(1010, 1, "SA", lost="AB")
    talk.again(again_ms, asked)
    assert scene(background(last_ms=again_ms - 30), talk, points=POINTS).told(1) == [told]


def test_a_copy_that_was_sent_when_a_capture_had_ended_is_no_loss() -> None:
    talk = connected()
    asked = talk.say(1100, 0, "PA", 100)
    talk.again(3000, asked)
    talk.say(3010, 1, "PA", 200)
    talk.say(3020, 0, "A")
    frames = captured([*background().sent, *talk.sent])
    frames["B"] = [frame for frame in frames["B"] if frame.time_ns < START + 2000 * MS]
    seen = scene_of(frames, POINTS).localisation
    assert [hop.recovered for hop in seen.hops] == [0, 0, 0, 0]
    assert not len(seen.uneven.near)


def test_a_request_that_waits_at_the_last_point_when_the_capture_ends_leaves_no_loss() -> None:
    seen = scene(background(last_ms=1200), silent()(), points=POINTS)
    assert seen.told(1) == [ANSWERED, undecided("CAPTURE_ENDED")]
    assert seen.localisation.verdict == "no_loss"


@pytest.mark.parametrize(
    ("talk", "begin_ms", "end_ms", "told"),
    [
        (answered_throughout, 1105, END_MS, [ANSWERED, ANSWERED]),
        (syn("BC"), 1500, END_MS, [lost("BC", "request")]),
        (syn("BC"), 4500, END_MS, [undecided("NO_WINDOW")]),
        (syn("BC"), 3500, 4600, [undecided("CAPTURE_ENDED")]),
        (response("BC"), 1500, END_MS, [ANSWERED, lost("BC", "response")]),
    ],
    ids=["answered", "two copies in the window", "none in it", "one, not watched for an RTO", "responses in the window"],
)
def test_of_a_late_capture_only_its_window_counts(
    talk: Callable[[], Talk], begin_ms: int, end_ms: int, told: list[tuple[str, ...]]
) -> None:
    """C runs from `begin_ms` to `end_ms`: what was sent before does not count as seen, as missed or as watched."""
    begin, end = START + begin_ms * MS, START + end_ms * MS
    frames = captured([*background().sent, *talk().sent])
    frames["C"] = [frame for frame in frames["C"] if begin <= frame.time_ns <= end]
    assert scene_of(frames, {**POINTS, "C": {**POINTS["C"], "window": (begin, end)}}).told(1) == told


def test_responses_that_got_past_before_a_capture_began_do_not_show_that_it_hears_none() -> None:
    """A's capture begins when the outage has: it has requests alone of what B has too, and the responses of another pod."""
    talk = connected()
    talk.exchange(1100)
    asked = talk.say(2000, 0, "PA", 100)
    replied = talk.say(2010, 1, "PA", 200, lost="AB")
    for ms in (2300, 3000, 5000):
        talk.again(ms, asked)
        talk.again(ms + 10, replied, lost="AB")
    probe = Talk(initiator=("10.244.3.1", 50_000), responder=(CLIENT, 8081))
    probe.handshake(1900)
    probe.exchange(END_MS)
    frames = captured([*talk.sent, *without_packets(probe, "BC").sent])
    frames["A"] = [frame for frame in frames["A"] if frame.time_ns > START + 1900 * MS]
    assert scene_of(frames, POINTS).told(0)[-1] == lost("AB", "response")


@pytest.mark.parametrize("hours", [-7, 7, 24 * 365])
@pytest.mark.parametrize("talk", [syn("BC"), response("BC"), answered_throughout, refused_on_the_way])
def test_a_clock_that_is_off_by_hours_changes_nothing(hours: int, talk: Callable[[], Talk]) -> None:
    plain, off = (scene(background(), talk(), points=POINTS, offsets={"C": hours * 3600 * S * one}) for one in (0, 1))
    assert off.told(1) == plain.told(1)
    assert off.localisation.verdict == plain.localisation.verdict


def test_a_clock_that_is_off_by_hours_and_that_nothing_joins_is_not_believed() -> None:
    probe = Talk(initiator=("10.242.2.153", 50_000))
    probe.handshake(0)
    probe.exchange(END_MS)
    seen = scene(without_packets(probe, "AB"), syn("BC")(), points=POINTS, offsets={"C": 7 * 3600 * S})
    assert seen.told(0) == [undecided("NO_WINDOW")]


# Fewer points, other kinds


@pytest.mark.parametrize(
    ("talk", "told"),
    [
        (answered_throughout, [ANSWERED, ANSWERED]),
        (syn("AB"), [lost("AB", "request")]),
        (syn("BC"), [undecided("ON_THE_WAY")]),
        (response("AB"), [ANSWERED, lost("AB", "response")]),
        (response("BC"), [ANSWERED, undecided("ON_THE_WAY")]),
        (silent("A"), [ANSWERED, undecided("ON_THE_WAY")]),
        (silent("FA"), [ANSWERED, SILENT]),
    ],
)
def test_a_node_as_the_last_point_is_not_the_responder(talk: Callable[[], Talk], told: list[tuple[str, ...]]) -> None:
    frames = captured([*background().sent, *talk().sent])
    del frames["C"]
    assert scene_of(frames, POINTS).told(1) == told


def test_a_last_point_of_unknown_kind_is_taken_for_the_responders_side() -> None:
    frames = captured([*background().sent, *syn("BC")().sent])
    del frames["C"]
    assert scene_of(frames).told(1) == [SILENT]


@pytest.mark.parametrize(
    ("name", "told"), [("A", [ANSWERED, SILENT]), ("B", [ANSWERED, undecided("ON_THE_WAY")]), ("C", [ANSWERED, ANSWERED])]
)
def test_a_single_point_tells_of_its_own_side(name: str, told: list[tuple[str, ...]]) -> None:
    frames = captured([*background().sent, *response("BC")().sent])
    assert scene_of({name: frames[name]}, POINTS).told(1) == told


def test_on_the_host_side_of_a_veth_silence_proves_nothing() -> None:
    """DESIGN.md section 4: with eBPF host routing even allowed ingress bypasses it; replies and the node's probes do not."""
    bypassed = background()
    bypassed.sent = [replace(sent, missed="C" if sent.side == 0 else "") for sent in bypassed.sent]
    points = {**POINTS, "C": {**POINTS["C"], "kind": PointKind.VETH}}
    probe = Talk(initiator=("10.242.2.153", 50_000))
    probe.handshake(0)
    for i in range(100):
        probe.exchange(100 + i)
    seen = scene(bypassed, without_packets(probe, "AB"), syn("BC")(), points=points)
    assert seen.told(2) == [undecided("ON_THE_WAY")]
    assert scene(background(), syn("BC")(), points=points).told(1) == [lost("BC", "request")], "it sees what enters: no bypass"


def test_a_response_that_the_first_capture_could_not_see_is_not_called_answered() -> None:
    """A's capture lacks the whole connection, and nobody acknowledged the response: it may be lost between A and B."""
    seen = scene(background(), without_packets(response("AB")(), "A"), points=POINTS)
    assert seen.told(1) == [ANSWERED, undecided("NO_WINDOW")]
    assert seen.decider(len(seen.localisation.fates) - 1) == "A"


def test_a_refusal_whose_far_side_nobody_watched_is_laid_on_nobody() -> None:
    seen = empty([background(), refused_on_the_way()], "C")
    assert seen.told(1) == [undecided("NO_WINDOW")]
    assert seen.decider(len(seen.localisation.fates) - 1) == "C"


@pytest.mark.parametrize(
    ("talk", "told"),
    [
        (refused_by_responder, ("REFUSED", "", "", "BY_RESPONDER")),
        (refused_on_the_way, undecided("NO_WINDOW")),
        (icmp_from(SERVER, "", ""), ("REFUSED", "", "", "BY_RESPONDER")),
        (icmp_from(SERVER, "B", "BC"), undecided("NO_WINDOW")),
    ],
    ids=["a reset from as far", "one from B", "an error from as far", "one from B in its name"],
)
def test_a_refusal_from_as_far_as_those_that_the_responder_was_seen_to_send_is_its_own(
    talk: Callable[[int], Talk], told: tuple[str, ...]
) -> None:
    """C's capture ends before the last refusal."""
    sent = [*background().sent, *refused_by_responder(43_000).sent, *icmp_from(SERVER, "", "")(43_001).sent]
    later = [replace(one, frame=one.frame.at(one.frame.time_ns + S)) for one in talk(43_002).sent]
    frames = captured([*sent, *later])
    frames["C"] = [frame for frame in frames["C"] if frame.time_ns < START + 1500 * MS]
    assert scene_of(frames, POINTS).told(3) == [told]


def test_an_icmp_error_is_heard_by_a_capture_that_has_no_requests() -> None:
    """B's capture has one direction alone: the error that it heard came from beyond it, though it saw nothing of the attempt."""
    frames = captured([*background().sent, *icmp_from("10.118.201.53", "B", "BC")().sent])
    frames["B"] = [frame for frame in frames["B"] if frame.octets[26:30] != pack(CLIENT)]
    assert scene_of(frames, POINTS).told(1) == [("REFUSED", "BC", "request", "BY_ICMP")]


def test_a_connection_begun_at_the_far_end_is_no_request_of_the_path() -> None:
    """The responder's pod calls the initiator's: its SYN meets C, B and A, and is lost before A. The path says nothing of it."""
    back = Talk(initiator=(CLIENT, 80), responder=(SERVER, 40_000))
    for ms in SYN_TIMES:
        frame = back.conversation.segment(1, "S", seq=77, time_ns=START + ms * MS)
        back.sent.append(Sent(frame, 1, lost="AB"))
    seen = scene(background(), back, points=POINTS)
    assert seen.told(1) == [undecided("NO_WINDOW")]
    assert seen.localisation.losses == ()


def test_a_later_capture_proves_what_an_earlier_one_missed_of_a_request() -> None:
    """Of two segments B missed the first, which C has, and the second is lost beyond B: the hop is B→C, not A→B."""
    talk = answered_throughout()
    talk.say(2000, 0, "A", 100, missed="B")
    talk.repeated((2001, 2300, 3000, 5000), 0, "PA", 50, lost="BC")
    assert scene(background(), talk, points=POINTS).told(1)[2] == lost("BC", "request")


@pytest.mark.parametrize("missed", ["", "B", "AB"], ids=["B's capture is late", "B lacks the rest", "both lack it"])
def test_a_request_is_lost_where_its_first_missing_octets_were_seen_last(missed: str) -> None:
    """Of three lost segments the first alone is sent again. That B has nothing of the second says nothing of A→B."""
    talk = answered_throughout()
    first = talk.say(2000, 0, "A", 100, lost="BC")
    talk.say(2001, 0, "PA", 50, lost="BC", missed=missed)
    talk.say(2002, 0, "PA", 50, lost="BC")
    for ms in (2300, 3000, 5000):
        talk.again(ms, first, lost="BC")
    frames = captured([*background().sent, *talk.sent])
    if not missed:
        frames["B"] = [frame for frame in frames["B"] if frame.time_ns > START + 2100 * MS]
    assert scene_of(frames, POINTS).told(1)[-1] == lost("BC", "request")


@pytest.mark.parametrize(
    ("scope", "verdict"), [(f"{CLIENT}/32", Verdict.NO_LOSS), ("10.244.3.9/32", Verdict.UNDECIDED)], ids=["its", "another's"]
)
def test_where_the_first_capture_is_empty_the_others_tell_of_what_passes_it(scope: str, verdict: Verdict) -> None:
    seen = empty([background()], "A", scope=(network(scope),))
    assert {fate for fate, *_ in seen.told()} == {"ANSWERED"}
    assert seen.localisation.verdict == verdict


def test_what_each_capture_shows_alone_says_nothing_of_the_path() -> None:
    """A and C have conversations of their own, B has nothing."""
    own = Talk(initiator=(CLIENT, 50_000), responder=("10.244.3.9", 9100))
    own.handshake(0)
    own.exchange(100)
    seen = scene(without_packets(background(), "AB"), without_packets(own, "BC"))
    assert {fate for row in (0, 1) for fate, *_ in seen.told(row)} == {"ANSWERED"}
    assert seen.localisation.verdict == Verdict.UNDECIDED


def test_no_captures_of_anything_are_undecided() -> None:
    assert scene().localisation.verdict == Verdict.UNDECIDED
