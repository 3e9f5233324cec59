"""What a capture may have missed, what filters hide, and where several points tell more than one: no blame without evidence."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from mixcni.schema import Direction
from mixcni.topology import PointKind
from tests.localise.test_fates import (
    ANSWERED,
    CLIENT,
    END_MS,
    POINTS,
    SERVER,
    SILENT,
    SYN_TIMES,
    answered_throughout,
    background,
    connected,
    icmp_from,
    lost,
    refused_by_responder,
    refused_on_the_way,
    request,
    response,
    silent,
    syn,
    synack,
    undecided,
    without_packets,
)
from tests.scene import Scene, Sent, Talk, captured, rewritten, scene, scene_of
from tests.wire import MS, START, icmp_error


def cut_short(hop: str, closed_ms: float = 0) -> Talk:
    """A response of two segments whose second is lost for good; the initiator closes at `closed_ms`."""
    talk = connected()
    talk.say(1100, 0, "PA", 100)
    talk.say(1110, 1, "A", 1448)
    talk.say(1130, 0, "A")
    if closed_ms:
        talk.say(closed_ms, 0, "FA")
    talk.repeated((1400, 1700, 2300, 3500), 1, "PA", 700, lost=hop)
    return talk


@pytest.mark.parametrize("hop", ["AB", "BC"])
def test_a_response_whose_rest_is_lost_for_good_is_lost(hop: str) -> None:
    assert scene(background(), cut_short(hop), points=POINTS).told(1) == [ANSWERED, lost(hop, "response")]


def test_what_an_initiator_that_closes_does_not_wait_for_is_not_lost() -> None:
    assert scene(background(), cut_short("AB", closed_ms=1300), points=POINTS).told(1) == [ANSWERED, ANSWERED]


def test_whoever_refuses_a_request_has_it() -> None:
    """B saw the SYN and lacks the reset that C and A have: it came from beyond the last point, not from between A and B."""
    talk = Talk()
    talk.say(1000, 0, "S")
    talk.say(1010, 1, "RA", missed="B")
    assert scene(background(), talk, points=POINTS).told(1) == [("REFUSED", "", "", "BY_RESPONDER")]
    short = Talk()
    short.say(1000, 0, "S", lost="BC")
    short.say(1010, 1, "RA", begun="B", missed="B")
    assert scene(background(), short, points=POINTS).told(1) == [("REFUSED", "BC", "request", "BY_RESET")]


def test_one_refusal_that_the_last_capture_lacks_is_no_other_refusal_than_the_responders() -> None:
    """C lacks one packet in twenty, and of thirty refused SYNs one with its reset."""
    other = background()
    for i in range(60):
        other.exchange(400 + 20 * i)
    other.sent = [replace(sent, missed="C" if i % 20 == 4 else "") for i, sent in enumerate(other.sent)]
    talks = []
    for i in range(30):
        talk = Talk(initiator=(CLIENT, 43_000 + i))
        talk.say(2000 + 10 * i, 0, "S", missed="C" if i == 7 else "")
        talk.say(2005 + 10 * i, 1, "RA", missed="C" if i == 7 else "")
        talks.append(talk)
    seen = scene(other, *talks, points=POINTS)
    assert seen.localisation.losses == ()
    assert seen.told(8) == [("REFUSED", "", "", "BY_RESPONDER")]


def test_an_icmp_error_in_a_services_name_does_not_say_that_the_service_has_refused() -> None:
    """A NAT puts the service's address into an error that a router sent: C watched, and has not the request."""
    seen = scene(background(), icmp_from(SERVER, "B", "BC")(), points=POINTS)
    assert seen.told(1) == [("REFUSED", "BC", "request", "BY_ICMP")]


def test_losses_are_told_where_the_captures_tell_them_narrowest() -> None:
    """B's capture begins after the first of two lost SYNs: that is known to be lost between A and C, the other shows where."""
    early, late = Talk(initiator=(CLIENT, 43_001)), Talk(initiator=(CLIENT, 43_002))
    early.repeated((1000, 1300, 1900), 0, "S", lost="BC")
    late.repeated((3000, 4000, 6000), 0, "S", lost="BC")
    frames = captured([*background().sent, *early.sent, *late.sent])
    begin = START + 2500 * MS
    frames["B"] = [frame for frame in frames["B"] if frame.time_ns >= begin]
    seen = scene_of(frames, {**POINTS, "B": {"kind": PointKind.NODE, "window": (begin, START + 9000 * MS)}})
    assert (seen.told(1), seen.told(2)) == ([lost("AC", "request")], [lost("BC", "request")])
    assert [(loss.near, loss.far, loss.conversations) for loss in seen.localisation.losses] == [(1, 2, 2)]


def test_a_request_to_an_address_that_never_answered_may_have_had_to_pass() -> None:
    """Nobody but A ever saw the address: whether its way leads past B is not known, and that nothing was lost is not either."""
    talk = Talk(responder=("10.242.2.77", 8080))
    talk.repeated(SYN_TIMES, 0, "S", lost="AB")
    seen = scene(background(), talk)
    assert seen.told(1) == [undecided("NO_WINDOW")]
    assert seen.localisation.verdict == "undecided"


def test_a_response_that_was_lost_as_the_capture_ended_is_not_one_that_is_waited_for() -> None:
    seen = scene(background(last_ms=1200), synack("AB")(), points=POINTS)
    frames = captured([*background(last_ms=1200).sent, *synack("AB")().sent])
    end = START + 1500 * MS
    frames = {name: [frame for frame in of_point if frame.time_ns <= end] for name, of_point in frames.items()}
    seen = scene_of(frames, POINTS)
    assert seen.told(1) == [undecided("CAPTURE_ENDED")]
    assert seen.localisation.verdict == "undecided"


@pytest.mark.parametrize(
    ("hole", "told"), [((500, 5000), undecided("NO_WINDOW")), ((500, 1500), lost("BC", "request")), (None, lost("BC", "request"))]
)
def test_a_hole_in_a_capture_is_time_that_nobody_watched(hole: tuple[int, int] | None, told: tuple[str, ...]) -> None:
    holes = ((START + hole[0] * MS, START + hole[1] * MS),) if hole else ()
    assert scene(background(), syn("BC")(), points={**POINTS, "C": {**POINTS["C"], "holes": holes}}).told(1) == [told]


@pytest.mark.parametrize(
    ("talk", "told"),
    [
        (answered_throughout, [ANSWERED, ANSWERED]),
        (response("AB"), [ANSWERED, lost("AC", "response")]),
        (request("BC"), [ANSWERED, ANSWERED, lost("BC", "request")]),
    ],
)
def test_responses_that_take_another_way_are_not_missed_at_a_point_of_the_way_there(
    talk: Callable[[], Talk], told: list[tuple[str, ...]]
) -> None:
    sent = [replace(one, missed="B" if one.side else one.missed) for one in (*background().sent, *talk().sent)]
    seen = scene_of(captured(sent), {**POINTS, "B": {"kind": PointKind.NODE, "passed_by": (True, False)}})
    assert seen.told(1) == told
    assert all(rate.missed == 0 for rate in seen.localisation.rates)


def seeing(name: str, keeps: Callable[[Sent], bool], *talks: Talk) -> Scene:
    """The scene of talks of which one point's capture has a filter."""
    sent = [one for talk in talks for one in talk.sent]
    return scene_of(captured([one if keeps(one) else replace(one, missed=one.missed + name) for one in sent]))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", "ABC")
@pytest.mark.parametrize("talk", [syn("BC"), response("AB"), refused_by_responder, refused_on_the_way, silent(), synack("BC")])
def test_a_capture_of_one_direction_is_no_ground_for_blame_of_the_other(talk: Callable[[], Talk], name: str, side: int) -> None:
    told = scene(background(), talk()).told(1)[-1]
    found = seeing(name, lambda one: one.side == side, background(), talk()).told(1)[-1:] or [told]
    assert found[0] == told or found[0][0] in {"UNDECIDED", "ANSWERED"} or wider(found[0][1], told[1])


def wider(hop: str, other: str) -> bool:
    """Whether a hop is another one and more of the way around it."""
    return len(hop) == len(other) == 2 and hop[0] <= other[0] and hop[1] >= other[1]


def test_a_point_beside_the_way_of_replies_is_no_witness_of_them() -> None:
    """Requests go by B, replies by D, and none of these gets to A: B's silence about replies says nothing."""
    sent: list[Sent] = []
    for i in range(6):
        talk = synack("AB", 43_000 + i)()
        sent += [replace(one, missed="DB"[one.side]) for one in talk.sent]
    (loss,) = scene_of(captured(sent, "ABDC")).localisation.losses
    assert (loss.near, loss.far, loss.direction) == (0, 2, Direction.REVERSE)


def test_a_capture_of_every_second_connection_is_no_ground_for_blame() -> None:
    """C's capture has a filter by port; the hosts behind it answer nobody after a while."""
    talks = []
    for i in range(24):
        talk = Talk(initiator=(CLIENT, 43_000 + i))
        if i < 12:
            talk.handshake(50 * i)
            talk.exchange(50 * i + 30)
        else:
            talk.repeated((1000 + i, 2000 + i, 4000 + i), 0, "S")
        talks.append(without_packets(talk, "C") if i % 2 else talk)
    seen = scene(background(), *talks)
    assert seen.localisation.losses == ()
    assert {row for i in range(13, 25) for row in seen.told(i)} <= {SILENT, undecided("MISS_RATE")}


def by_two_nodes(*lost_at: tuple[int, str]) -> Scene:
    """Two nodes, X and Y, of one tier between A and C: connections of even ports go by X, the others by Y.

    `lost_at` : (port, hop) of connections whose SYNs are lost
    """
    gone = dict(lost_at)
    sent: list[Sent] = []
    for port in range(43_000, 43_010):
        talk = Talk(initiator=(CLIENT, port))
        other = "Y" if port % 2 == 0 else "X"
        if port in gone:
            talk.repeated((1000, 2000, 4000), 0, "S", lost=gone[port])
        else:
            talk.handshake(10.0 * (port - 43_000))
            talk.exchange(500)
            talk.exchange(END_MS)
        sent += [replace(one, missed=one.missed + other) for one in talk.sent]
    return scene_of(captured(sent, "AXYC"))


def test_which_of_two_nodes_a_request_took_that_neither_saw_is_not_guessed() -> None:
    seen = by_two_nodes((43_003, "AX"))
    assert {(loss.near, loss.far) for loss in seen.localisation.losses} == {(0, 3)}


def test_behind_one_of_two_nodes_a_loss_is_found() -> None:
    seen = by_two_nodes((43_002, "XY"), (43_003, "YC"))
    assert {(loss.near, loss.far) for loss in seen.localisation.losses} == {(1, 3), (2, 3)}
    assert all(rate.missed == 0 for rate in seen.localisation.rates)


def test_what_one_of_two_clients_sends_is_lost_behind_the_point_that_both_pass() -> None:
    """X and Y are two clients' nodes before B and C: that Y's get no farther than B puts Y and C on no different ways."""
    sent: list[Sent] = []
    for number in range(5):
        talk, failing = Talk(initiator=(CLIENT, 43_000 + number)), Talk(initiator=("10.244.4.9", 44_000 + number))
        talk.handshake(10.0 * number)
        talk.exchange(END_MS)
        failing.repeated((1000, 2000, 4000), 0, "S", lost="BC")
        sent += [replace(one, missed="Y") for one in talk.sent] + [replace(one, missed="X") for one in failing.sent]
    (loss,) = scene_of(captured(sent, "XYBC")).localisation.losses
    assert (loss.near, loss.far, loss.conversations) == (2, 3, 5)


def test_a_point_that_none_of_the_failing_reach_lies_on_their_way_all_the_same() -> None:
    """All that A sends is reset behind B, and C hears probes from B's node alone: not two nodes of one tier."""
    probes, refused = [], []
    for number in range(6):
        probe = Talk(initiator=("10.242.2.1", 43_000 + number))
        probe.handshake(20.0 * number)
        probe.exchange(END_MS - 100 + 20 * number)
        probes += [replace(one, missed=one.missed + "A") for one in probe.sent]
        talk = Talk(initiator=(CLIENT, 44_000 + number))
        talk.say(1000 + 10 * number, 0, "S", lost="BC")
        talk.say(1004 + 10 * number, 1, "RA", begun="B")
        refused += talk.sent
    (loss,) = scene_of(captured([*probes, *refused])).localisation.losses
    assert (loss.near, loss.far, loss.direction, loss.conversations) == (1, 2, Direction.FORWARD, 6)


@pytest.mark.parametrize(
    ("failing", "told"),
    [(refused_on_the_way, ("REFUSED", "BC", "request", "BY_RESET")), (syn("BC"), lost("BC", "request"))],
    ids=["refused", "lost"],
)
def test_probes_of_the_last_node_make_no_other_way_of_it(failing: Callable[[], Talk], told: tuple[str, ...]) -> None:
    """No request gets past B, which hears its own node's probes too: A and C share nothing, and are on one way all the same."""
    sent: list[Sent] = []
    for number in range(3):
        probe = Talk(initiator=("10.242.2.153", 50_000 + number))
        probe.handshake(100 * number)
        probe.exchange(END_MS)
        sent += without_packets(probe, "A").sent
        talk = failing()
        ends = {talk.conversation.ends[0]: (CLIENT, 43_000 + number)}
        sent += [replace(one, frame=one.frame._replace(octets=rewritten(one.frame.octets, ends))) for one in talk.sent]
    seen = scene_of(captured(sent))
    refused = [row for number in range(6) for row in seen.told(number) if row[0] != "ANSWERED"]
    assert refused == [told] * 3


def test_a_reset_that_its_sender_made_while_the_request_passed_is_no_responders() -> None:
    """C saw the request, and none of the resets that A and B have: no responder made them."""
    talk = connected()
    talk.say(1100, 0, "PA", 100)
    talk.say(1105, 1, "RA", begun="B")
    assert scene(background(), talk, points=POINTS).told(1)[1] == ("REFUSED", "BC", "request", "BY_RESET")


@pytest.mark.parametrize("others", [0, 6], ids=["alone", "beside others that never meet A"])
def test_requests_that_a_point_lacks_each_at_its_time_were_not_all_missed_in_the_pause_of_their_refusals(others: int) -> None:
    """A router before B refuses six attempts when it has tried for 3 s, all at once: one silence of B's, as a pause has it."""
    sent = background().sent
    for number in range(6):
        talk = Talk(initiator=(CLIENT, 44_000 + number))
        talk.repeated((150 + 100 * number, 1150 + 100 * number), 0, "S", lost="AB")
        error = icmp_error("10.118.201.53", CLIENT, talk.sent[0].frame, time_ns=START + (3000 + number) * MS)
        sent = [*sent, *talk.sent, Sent(error, 1, begun="A")]
        probe = Talk(initiator=("10.242.2.153", 50_000 + number), responder=("10.242.2.31", 9100))
        probe.handshake(10 + 190 * number)
        sent += without_packets(probe, "AC").sent
    for number in range(others):
        talk = Talk(initiator=("10.242.2.153", 45_000 + number), responder=("10.242.2.77", 53))
        talk.repeated(SYN_TIMES, 0, "S")
        sent += without_packets(talk, "AC").sent
    losses = scene_of(captured(sent), POINTS).localisation.losses
    assert [(loss.near, loss.far, loss.conversations) for loss in losses] == [(0, 1, 6)]


@pytest.mark.parametrize(("answers", "told"), [(True, ANSWERED), (False, undecided("NO_WINDOW"))])
def test_what_the_initiator_acknowledged_answered_it_though_no_capture_has_it(told: tuple[str, ...], *, answers: bool) -> None:
    """B alone hears its node's probe, and misses all that comes back: the last octet that is acknowledged may be a FIN's."""
    probe = Talk(initiator=("10.244.3.1", 50_000), responder=("10.244.3.1", 8081))
    probe.handshake(1000)
    probe.say(1100, 0, "PA", 100)
    probe.say(1110, 1, "PA", 200 if answers else 0)
    probe.say(1200, 1, "FA")
    probe.say(1210, 0, "A")
    probe.sent = [replace(one, missed="ABC" if one.side else "AC") for one in probe.sent]
    assert scene(background(), probe, points=POINTS).told(1) == [ANSWERED, told]
