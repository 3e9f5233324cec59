"""DESIGN.md section 4, rule by rule: a scene each, and the fate of every exchange in it."""

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mixcni.schema import Direction
from mixcni.topology import PointKind
from tests.scene import Sent, Talk, scene
from tests.wire import MS, START, S, icmp_error

CLIENT, SERVER = "10.244.3.7", "10.242.2.149"
SYN_TIMES = (1000, 2000, 4000)
ANSWERED = ("ANSWERED", "", "", "NONE")
SILENT = ("SILENT", "", "", "NONE")
END_MS = 8000


def network(text: str) -> Any:
    return ipaddress.ip_network(text)


POINTS: dict[str, dict[str, Any]] = {
    "A": {"kind": PointKind.POD, "scope": (network(f"{CLIENT}/32"),)},
    "B": {"kind": PointKind.NODE},
    "C": {"kind": PointKind.POD, "scope": (network(f"{SERVER}/32"),)},
}
WINDOW = (START - S, START + 10 * S)


def lost(hop: str, way: str) -> tuple[str, ...]:
    return ("LOST", hop, way, "NONE")


def undecided(reason: str) -> tuple[str, ...]:
    return ("UNDECIDED", "", "", reason)


def background(port: int = 42_000, last_ms: float = END_MS) -> Talk:
    """A connection that is answered throughout, so that all captures are seen to run and to miss nothing."""
    talk = Talk(initiator=(CLIENT, port))
    talk.handshake(0)
    for ms in (100, 200, 300, last_ms):
        talk.exchange(ms)
    return talk


def connected() -> Talk:
    talk = Talk()
    talk.handshake(1000)
    return talk


def answered_throughout() -> Talk:
    talk = connected()
    talk.exchange(1100)
    return talk


def syn(hop: str) -> Callable[[], Talk]:
    def talk() -> Talk:
        talk = Talk()
        talk.repeated(SYN_TIMES, 0, "S", lost=hop)
        return talk

    return talk


def request(hop: str) -> Callable[[], Talk]:
    def talk() -> Talk:
        talk = answered_throughout()
        talk.repeated((2000, 2300, 3000, 5000), 0, "PA", 100, lost=hop)
        return talk

    return talk


def response(hop: str) -> Callable[[], Talk]:
    def talk() -> Talk:
        talk = connected()
        asked = talk.say(1100, 0, "PA", 100)
        replied = talk.say(1110, 1, "PA", 200, lost=hop)
        for ms in (1400, 2000, 4000):
            talk.again(ms, asked)
            talk.again(ms + 10, replied, lost=hop)
        return talk

    return talk


def synack(hop: str, port: int = 41_000) -> Callable[[], Talk]:
    def talk() -> Talk:
        talk = Talk(initiator=(CLIENT, port))
        asked = talk.say(1000, 0, "S")
        replied = talk.say(1010, 1, "SA", lost=hop)
        for ms in (2000, 4000):
            talk.again(ms, asked)
            talk.again(ms + 10, replied, lost=hop)
        return talk

    return talk


def silent(flags: str = "") -> Callable[[], Talk]:
    def talk() -> Talk:
        talk = connected()
        talk.say(1100, 0, "PA", 100)
        if flags:
            talk.say(1110, 1, flags)
        return talk

    return talk


def refused_by_responder(port: int = 41_000) -> Talk:
    talk = Talk(initiator=(CLIENT, port))
    talk.say(1000, 0, "S")
    talk.say(1010, 1, "RA")
    return talk


def refused_on_the_way(port: int = 41_000) -> Talk:
    talk = Talk(initiator=(CLIENT, port))
    talk.say(1000, 0, "S", lost="BC")
    talk.say(1005, 1, "RA", begun="B")
    return talk


def icmp_from(router: str, begun: str, hop: str) -> Callable[..., Talk]:
    def talk(port: int = 41_000) -> Talk:
        talk = Talk(initiator=(CLIENT, port))
        talk.say(1000, 0, "S", lost=hop)
        error = icmp_error(router, CLIENT, talk.sent[0].frame, code=13, time_ns=START + 1005 * MS)
        talk.sent.append(Sent(error, 1, begun=begun))
        return talk

    return talk


def reset_in_passing(reset_ms: float, *, begun: str = "B") -> Callable[[], Talk]:
    """The request passes and is answered, and something resets the connection in the responder's name."""

    def talk() -> Talk:
        talk = connected()
        talk.say(1100, 0, "PA", 100)
        number = talk.conversation.next[1]
        talk.say(1110, 1, "PA", 200)
        reset = talk.conversation.segment(1, "R", seq=number, time_ns=START + round(reset_ms * MS))
        talk.sent.append(Sent(reset, 1, begun=begun))
        return talk

    return talk


def lost_both_ways() -> Talk:
    talk = connected()
    asked = talk.say(1100, 0, "PA", 100, lost="BC")
    talk.again(1400, asked)
    replied = talk.say(1410, 1, "PA", 200, lost="AB")
    talk.again(2000, asked)
    talk.again(2010, replied, lost="AB")
    talk.again(4000, asked)
    return talk


def recovered() -> Talk:
    talk = connected()
    asked = talk.say(1100, 0, "PA", 100, lost="BC")
    talk.again(1400, asked)
    replied = talk.say(1410, 1, "PA", 200, lost="AB")
    talk.again(1710, replied)
    talk.say(1720, 0, "A")
    return talk


def bare_ack_lost() -> Talk:
    talk = Talk()
    talk.say(1000, 0, "S")
    talk.say(1010, 1, "SA")
    talk.say(1020, 0, "A", lost="BC")
    talk.exchange(1100)
    talk.say(1130, 0, "A", lost="AB")
    return talk


def resegmented() -> Talk:
    """A host with TSO: the point beside it sees one segment of 5792 octets, the others four of 1448."""
    talk = connected()
    whole = talk.say(1100, 0, "PA", 5792, missed="BC")
    sequence = talk.conversation.next[0] - 5792
    acknowledged = talk.conversation.next[1]
    for i in range(4):
        piece = talk.conversation.segment(
            0, "PA", seq=sequence + 1448 * i, ack=acknowledged, payload=b"x" * 1448, time_ns=talk.sent[whole].frame.time_ns
        )
        talk.sent.append(Sent(piece, 0, missed="A"))
    talk.say(1110, 1, "PA", 200)
    talk.say(1120, 0, "A")
    return talk


def without_packets(talk: Talk, points: str) -> Talk:
    """The same, missed as a whole by the captures at `points`."""
    talk.sent = [replace(sent, missed=sent.missed + points) for sent in talk.sent]
    return talk


@pytest.mark.parametrize(
    ("talk", "told", "verdict"),
    [
        (answered_throughout, [ANSWERED, ANSWERED], "no_loss"),
        (syn("AB"), [lost("AB", "request")], "loss"),
        (syn("BC"), [lost("BC", "request")], "loss"),
        (request("AB"), [ANSWERED, ANSWERED, lost("AB", "request")], "loss"),
        (request("BC"), [ANSWERED, ANSWERED, lost("BC", "request")], "loss"),
        (synack("BC"), [lost("BC", "response")], "loss"),
        (synack("AB"), [lost("AB", "response")], "loss"),
        (response("BC"), [ANSWERED, lost("BC", "response")], "loss"),
        (response("AB"), [ANSWERED, lost("AB", "response")], "loss"),
        (recovered, [ANSWERED, ANSWERED], "no_loss"),
        (bare_ack_lost, [ANSWERED, ANSWERED], "no_loss"),
        (resegmented, [ANSWERED, ANSWERED], "no_loss"),
        (silent(), [ANSWERED, SILENT], "no_loss"),
        (silent("A"), [ANSWERED, SILENT], "no_loss"),
        (silent("FA"), [ANSWERED, SILENT], "no_loss"),
        (lost_both_ways, [ANSWERED, lost("AB", "response")], "loss"),
        (refused_by_responder, [("REFUSED", "", "", "BY_RESPONDER")], "no_loss"),
        (refused_on_the_way, [("REFUSED", "BC", "request", "BY_RESET")], "loss"),
        (reset_in_passing(1102), [ANSWERED, ("REFUSED", "BC", "request", "BY_RESET")], "loss"),
        (reset_in_passing(1120), [ANSWERED, ANSWERED], "no_loss"),
        (reset_in_passing(1103, begun=""), [ANSWERED, ANSWERED], "no_loss"),
        (icmp_from("10.118.201.53", "B", "BC"), [("REFUSED", "BC", "request", "BY_ICMP")], "loss"),
        (icmp_from("10.118.202.21", "A", "AB"), [("REFUSED", "AB", "request", "BY_ICMP")], "loss"),
        (icmp_from(SERVER, "", ""), [("REFUSED", "", "", "BY_RESPONDER")], "no_loss"),
    ],
)  # fmt: skip
def test_the_fate_of_each_exchange(talk: Callable[[], Talk], told: list[tuple[str, ...]], verdict: str) -> None:
    seen = scene(background(), talk(), points=POINTS)
    assert seen.told(1) == told
    assert seen.told(0) == [ANSWERED] * 5
    assert seen.localisation.verdict == verdict


@pytest.mark.parametrize(
    "talk", [syn("AB"), syn("BC"), request("AB"), request("BC"), response("AB"), response("BC"), synack("BC")]
)
def test_what_is_learned_from_other_flows_decides_as_what_was_given(talk: Callable[[], Talk]) -> None:
    assert scene(background(), talk()).told(1) == scene(background(), talk(), points=POINTS).told(1)


def test_the_hop_counts_what_a_retransmission_made_up_for() -> None:
    hops = {(hop.near, hop.far, hop.direction): hop for hop in scene(background(), recovered(), points=POINTS).localisation.hops}
    assert {place: (hop.recovered, hop.lost, hop.missed_near, hop.missed_far) for place, hop in hops.items()} == {
        (0, 1, 0): (0, 0, 0, 0),
        (0, 1, 1): (1, 0, 0, 0),
        (1, 2, 0): (1, 0, 0, 0),
        (1, 2, 1): (0, 0, 0, 0),
    }


def test_resegmentation_changes_no_count() -> None:
    seen = scene(background(), resegmented(), points=POINTS)
    assert all((hop.recovered, hop.lost, hop.missed_near, hop.missed_far) == (0, 0, 0, 0) for hop in seen.localisation.hops)
    assert [rate.missed for rate in seen.localisation.rates] == [0, 0, 0]


def test_many_lost_copies_are_counted_and_make_the_loss_certain() -> None:
    talk = Talk()
    talk.repeated((1000, 2000, 4000, 4500, 5000, 5500), 0, "S", lost="BC")
    fates = scene(background(), talk, points=POINTS).localisation.fates
    row = len(fates) - 1
    assert (fates["copies"][row], fates["last_seen"][row]) == (6, 1)
    assert fates["confidence"][row] > 0.99


# Lost in both directions


def test_losses_in_both_directions_name_the_requests_first() -> None:
    """One request and two responses: without its request an exchange has no response to lose."""
    talks = [syn("BC")(), *(synack("AB", port)() for port in (43_001, 43_002))]
    losses = scene(background(), *talks, points=POINTS).localisation.losses
    assert [(loss.direction, loss.conversations) for loss in losses] == [(Direction.FORWARD, 1), (Direction.REVERSE, 2)]


# Captures that miss


def test_what_a_later_point_saw_was_missed_by_the_capture_before_it() -> None:
    seen = scene(background(), without_packets(answered_throughout(), "B"), points=POINTS)
    assert seen.told(1) == [ANSWERED, ANSWERED]
    assert seen.localisation.verdict == "no_loss"
    assert (seen.localisation.rates[1].missed, seen.localisation.rates[0].missed) == (4, 0)
    assert seen.localisation.rates[1].interval[0] > 0


def test_a_capture_that_missed_a_request_which_its_responder_got_is_not_where_it_was_lost() -> None:
    """B lacks the whole connection and C saw the request arrive: the response lost on the way back is blamed on no hop of B's."""
    seen = scene(background(), without_packets(response("BC")(), "B"), points=POINTS)
    assert [row[:3] for row in seen.told(1)] == [ANSWERED[:3], ("LOST", "AC", "response")]


def test_a_capture_that_misses_much_is_no_ground_for_blame() -> None:
    """C lacks every second packet of what was answered: that it lacks two copies of a SYN proves nothing."""
    other = Talk(initiator=(CLIENT, 42_000))
    other.handshake(0)
    for i in range(40):
        other.exchange(100 + 100 * i)
    other.exchange(END_MS)
    other.sent = [replace(sent, missed="C" if i // 2 % 2 else "") for i, sent in enumerate(other.sent)]
    talk = Talk()
    talk.repeated((1000, 2000), 0, "S", lost="BC")
    seen = scene(other, talk, points=POINTS)
    assert seen.told(1) == [undecided("MISS_RATE")]
    assert seen.decider(len(seen.localisation.fates) - 1) == "C"
    assert seen.localisation.verdict == "undecided"
    assert seen.localisation.rates[2].interval[0] > 0.3


def test_one_syn_is_not_called_lost_at_a_capture_that_was_never_seen_to_work() -> None:
    talk = Talk()
    talk.say(1000, 0, "S", lost="BC")
    points = {**POINTS, **{name: {**POINTS[name], "window": WINDOW} for name in "ABC"}}
    seen = scene(talk, points=points)
    assert seen.told() == [undecided("MISS_RATE")]
    assert scene(background(), talk, points=points).told(1) == [lost("BC", "request")]


def test_many_single_syns_prove_together_what_one_does_not() -> None:
    talks = []
    for i in range(12):
        talk = Talk(initiator=(CLIENT, 43_000 + i))
        talk.say(1000 + i, 0, "S", lost="BC")
        talks.append(talk)
    points = {**POINTS, **{name: {**POINTS[name], "window": WINDOW} for name in "ABC"}}
    seen = scene(*talks, points=points)
    assert {row for i in range(12) for row in seen.told(i)} == {lost("BC", "request")}
    assert seen.localisation.losses[0].confidence < 1


def test_the_few_that_a_capture_missed_among_many_unanswered_are_not_called_lost() -> None:
    """A hundred SYNs to a host that does not answer; C, which misses about one in twenty-five, lacks four of them."""
    other = Talk(initiator=(CLIENT, 42_000))
    other.handshake(0)
    for i in range(50):
        other.exchange(50 + 40 * i)
    other.exchange(END_MS)
    other.sent = [replace(sent, missed="C" if i % 24 == 4 else "") for i, sent in enumerate(other.sent)]
    talks = []
    for i in range(100):
        talk = Talk(initiator=(CLIENT, 43_000 + i))
        talk.say(1000 + i, 0, "S", missed="C" if i % 25 == 7 else "")
        talks.append(talk)
    seen = scene(other, *talks, points=POINTS)
    assert {row for i in range(1, 101) for row in seen.told(i)} == {SILENT, undecided("MISS_RATE")}


# Windows and scopes
