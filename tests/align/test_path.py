"""The order of the points where nobody gives it."""

import itertools
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.align import first_hop_limit, infer_order
from mixcni.align.conversations import join_flows
from mixcni.align.united import UnitedFlows
from tests.scene import Sent, Talk, captured, tracked
from tests.wire import MS, S, pack

NOTHING: Final = ["nothing tells the points apart: they stand in the order of their names"]


def talked(port: int = 41_000, host: str = "10.244.3.7") -> list[Sent]:
    talk = Talk(initiator=(host, port))
    talk.handshake(0)
    talk.exchange(100)
    return talk.sent


def inferred(sent: list[Sent], names: str, stored: str, nodes: str = "", **more: Any) -> tuple[str, list[str]]:
    """The order found for points that are on the way as `names` and are given as `stored`; `more` goes to `captured`."""
    frames = captured(sent, names, **more)
    order, reasons, _, _ = infer_order(list(stored), tracked({name: frames[name] for name in stored}), list(nodes))
    return "".join(stored[i] for i in order), reasons


@pytest.mark.parametrize("names", ["".join(names) for names in itertools.permutations("ABC")])
def test_the_hop_limit_falls_along_the_path(names: str) -> None:
    order, reasons = inferred(talked(), names, "ABC")
    assert order == names
    assert f"{names[0]} before {names[1]}: the hop limit falls by 1 between them" in reasons


@pytest.mark.parametrize("names", ["ABC", "CBA", "BCA"])
def test_a_point_that_hears_the_responder_of_what_never_arrived_is_farther(names: str) -> None:
    """The founding case: requests at two points, and at the third only what others asked the same responder."""
    lost = [replace(one, lost=names[1:]) for one in talked()[:1]]
    probes = [replace(one, missed=names[:2]) for one in talked(50_000, "10.242.2.153")]
    order, reasons = inferred([*lost, *probes], names, "ABC")
    assert order == names
    assert any(f"{names[2]}: it hears the responders of what" in reason for reason in reasons)


@pytest.mark.parametrize("names", ["ABC", "CAB", "BCA"])
def test_a_point_without_the_replies_that_the_initiator_never_heard_is_nearer(names: str) -> None:
    """On bridges, where no hop limit falls: SYN-ACKs get as far as the second point, and to the initiator none does."""
    talk = Talk()
    talk.repeated([0, 1000, 3000], 0, "S")
    talk.repeated([20, 1020, 3020], 1, "SA", lost=names[:2])
    order, reasons = inferred(talk.sent, names, "ABC", hops=0)
    assert order[0] == names[0]
    assert f"{names[0]} before {names[1]}: {names[1]} has replies that neither {names[0]} nor their initiators heard" in reasons


def test_replies_that_take_another_way_tell_nothing_of_the_order() -> None:
    talk = [replace(one, missed="B" * one.side) for one in talked()]
    assert inferred(talk, "AB", "BA", hops=0, delay_ns=0) == ("AB", NOTHING)


def test_points_that_nothing_tells_apart_stand_by_name() -> None:
    order, reasons = inferred(talked(), "BA", "BA", hops=0, delay_ns=0)
    assert order == "AB"
    assert reasons == ["nothing tells the points apart: they stand in the order of their names"]


def test_a_point_of_which_nothing_tells_stands_behind_those_of_which_something_does() -> None:
    """B hears of nothing that A and C do: what they sent may have been lost before it, whatever its name."""
    asked = [replace(one, missed="B") for one in talked()[:1]]
    other = Talk(initiator=("10.244.3.9", 50_000), responder=("10.242.2.31", 80))
    other.handshake(0)
    order, _ = inferred([*asked, *(replace(one, missed="AC") for one in other.sent)], "ACB", "ABC")
    assert order == "ACB"


def apart(first_hop: str) -> list[Sent]:
    """A SYN without an answer at the point `first_hop` alone, and at B and C what others say to each other."""
    asked = [replace(one, missed="ABC".replace(first_hop, "")) for one in unanswered()]
    other = Talk(initiator=("10.242.1.9", 50_000), responder=("10.242.2.31", 80))
    other.handshake(0)
    return [*asked, *(replace(one, missed="A") for one in other.sent)]


def test_a_point_on_the_initiators_own_link_stands_before_those_that_hear_nothing_of_them() -> None:
    order, reasons = inferred(apart("A"), "ABC", "BCA")
    assert order == "ABC"
    assert "A before B: requests at A crossed no router before, and it hears nothing from who sent them" in reasons


def test_a_point_behind_a_router_of_which_nothing_tells_is_unplaced() -> None:
    frames = captured(apart("A"), "BAC")  # a hop before A
    order = infer_order(list("ABC"), tracked({name: frames[name] for name in "ABC"}))
    assert order.positions == [1, 2, 0]
    assert order.unplaced == {0}
    assert "A stands last, nothing tells where it is" in order.reasons


def test_two_points_of_which_each_is_on_the_link_of_some_initiators_are_not_told_by_it() -> None:
    assert inferred([*talked(), *unanswered(), *unanswered(41_001, "10.244.3.8")], "BA", "AB", hops=0) == ("AB", NOTHING)
    own = {"A": "10.244.3.7", "B": "10.244.3.8"}
    lost = [replace(one, missed="AB".replace(name, "")) for name, host in own.items() for one in unanswered(41_002, host)]
    assert inferred(lost, "BA", "AB", hops=0) == ("AB", NOTHING)


def test_points_on_the_links_of_their_own_initiators_stand_beside_each_other() -> None:
    """D is another client's node: what it sent was lost, and none of it passes A, behind which B and C are."""
    lost = [one for port in (41_001, 41_002) for one in unanswered(port, "10.244.4.9")]
    frames = captured(talked(), "ABC") | captured(lost, "D")
    order = infer_order(list("ABCD"), tracked(frames))
    assert order.beside == {(0, 3)}
    assert "D before B: it hears the responders of what D saw" in order.reasons
    assert "A and D stand beside each other: requests crossed no router before either, and none passes both" in order.reasons
    assert not any(reason.startswith(("A before D", "D before A", "A and D stand in")) for reason in order.reasons)


def test_a_point_on_the_responders_own_link_stands_beside_none() -> None:
    """C hears the probes of its own node, which crossed no router, and neither did the replies."""
    lost = [replace(one, lost="AC") for one in unanswered()]
    order = infer_order(list("AC"), tracked(captured(lost, "AC") | captured(talked(50_000, "10.242.2.153"), "C")))
    assert (order.positions, order.beside) == ([0, 1], frozenset())


def test_an_order_that_contradicts_itself_is_none() -> None:
    """Three conversations, each seen at two points: A before B, B before C, C before A."""
    frames: dict[str, list[object]] = {name: [] for name in "ABC"}
    for i, names in enumerate(("AB", "BC", "CA")):
        for name, of_point in captured(talked(41_000 + i), names).items():
            frames[name].extend(of_point)
    order, reasons, _, _ = infer_order(list("ABC"), tracked(frames))  # type: ignore[arg-type]
    assert order == [0, 1, 2]
    assert reasons == ["hop limits and times contradict each other: the points stand in the order of their names"]


def test_one_point_is_its_own_order() -> None:
    assert inferred(talked(), "A", "A")[0] == "A"


def test_a_point_that_heard_the_responder_itself_is_not_told_from_one_that_hears_it_call_others() -> None:
    """Z heard the answer of 10.242.2.149; that A sees it call another host puts neither before the other."""
    called = [replace(one, missed="A") for one in talked()]
    calling = Talk(initiator=("10.242.2.149", 50_000), responder=("10.242.2.31", 80))
    calling.handshake(0)
    order, reasons = inferred([*called, *(replace(one, missed="Z") for one in calling.sent)], "ZA", "ZA")
    assert order == "AZ"
    assert reasons == ["nothing tells the points apart: they stand in the order of their names"]


def test_a_point_that_hears_responses_alone_has_no_hop_limit_of_requests() -> None:
    frames = captured(talked(), "ABC")
    frames["A"] = [frame for frame in frames["A"] if frame.octets[26:30] == pack("10.242.2.149")]
    flows = tracked(frames)
    conversations = join_flows(UnitedFlows(flows, [table.packets["time_ns"] for table in flows]))
    assert [first_hop_limit(table, conversations, point).tolist() for point, table in enumerate(flows)] == [[-1], [63], [62]]


@pytest.mark.parametrize("names", ["".join(names) for names in itertools.permutations("ABC")])
@pytest.mark.parametrize("place", range(3))
def test_where_a_point_hears_replies_alone_their_hop_limit_tells(names: str, place: int) -> None:
    sent = [replace(one, missed=names[place]) if one.side == 0 else one for one in talked()]
    order, reasons = inferred(sent, names, "ABC")
    assert order == names
    assert any("the hop limit of replies rises by" in reason for reason in reasons)


def unanswered(port: int = 41_000, host: str = "10.244.3.7") -> list[Sent]:
    """A SYN and its retransmissions, which pass all points."""
    talk = Talk(initiator=(host, port))
    talk.repeated((0, 1_000, 3_000), 0, "S")
    return talk.sent


@given(
    st.permutations("ABC"),
    st.tuples(*3 * [st.integers(-3600 * S, 3600 * S)]),
    st.integers(100_000, 4 * MS),
)
def test_where_no_router_is_between_points_round_trips_tell_their_order_whatever_their_clocks(
    names: list[str], offsets: tuple[int, int, int], delay: int
) -> None:
    path = "".join(names)
    order, reasons = inferred(talked(), path, "ABC", hops=0, delay_ns=delay, offsets=dict(zip("ABC", offsets, strict=True)))
    assert order == path
    more = f"{2 * delay / 1e3:,.0f} µs"
    assert (
        f"{path[0]} before {path[1]}: from a request to its response {more} more pass at {path[0]}, each by its own clock"
        in reasons
    )


def test_a_way_that_is_faster_there_than_back_does_not_turn_the_order() -> None:
    """By half the difference of opposite delays B's clock is 0.4 ms ahead, and requests were there earlier."""
    frames = captured(talked(), "AB", hops=0, delay_ns=0)
    late = [frame.at(frame.time_ns + (100_000 if i in {0, 2, 3, 5} else 0)) for i, frame in enumerate(frames["B"])]
    early = [frame.at(frame.time_ns + (900_000 if i in {1, 4} else 0)) for i, frame in enumerate(frames["A"])]
    order, reasons, _, _ = infer_order(["B", "A"], tracked({"B": late, "A": early}))
    assert order == [1, 0]
    assert "1,000 µs" in reasons[0]


def test_less_than_drift_may_add_to_a_round_trip_is_not_told_by_it() -> None:
    """Of 10 ms a clock may make 10 µs more or less (RFC 5905, a slew of 500 ppm at either point)."""
    assert inferred(talked(), "BA", "AB", hops=0, delay_ns=4_000) == ("AB", NOTHING)


def test_requests_that_got_no_response_are_told_apart_by_one_clock_alone() -> None:
    order, reasons = inferred(unanswered(), "BA", "AB", "nn", hops=0, delay_ns=20_000)
    assert order == "BA"
    assert reasons == ["B before A: requests are at B 20 µs earlier, by the clock of n that both are taken to have"]
    assert inferred(unanswered(), "BA", "AB", "nm", hops=0, delay_ns=20_000) == ("AB", NOTHING)


@pytest.mark.parametrize("offset", [50_000, 20 * MS])
def test_a_clock_that_segments_contradict_is_none_that_two_points_share(offset: int) -> None:
    """A's is ahead by more than the way takes, so that responses seem to go backwards in time, or no host takes as long."""
    offsets = {"A": offset}
    sent = [*talked()[:2], *(one for port in (41_001, 41_002) for one in talked(port)[:2])]
    assert inferred(sent, "AB", "BA", "nn", hops=0, delay_ns=2_000, offsets=offsets)[0] == "AB"
    assert inferred(sent, "BA", "BA", "nn", hops=0, delay_ns=2_000, offsets=offsets)[1] == NOTHING


def test_conversations_begun_at_either_end_tell_no_order() -> None:
    back = [replace(one, side=1 - one.side) for one in talked(50_000, "10.242.2.153")]
    assert inferred([*talked(), *back], "BA", "AB", hops=0) == ("AB", NOTHING)


def test_what_got_no_response_counts_by_the_side_on_which_its_ends_are() -> None:
    """What the far end begins is answered; the requests are not, and go to what is at the far end."""
    begun = Talk(initiator=("10.242.2.149", 50_000), responder=("10.244.3.1", 80))
    begun.handshake(0)
    begun.exchange(100)
    back = [replace(one, side=1 - one.side) for one in begun.sent]
    requests = [one for port in range(41_000, 41_020) for one in unanswered(port)]
    assert inferred([*back, *requests], "BA", "AB", hops=0)[0] == "BA"


def test_what_is_told_of_some_points_alone_is_said() -> None:
    """D is B again, by a copy of its frames."""
    frames = captured(talked(), "CBA")
    order, reasons, _, _ = infer_order(list("BCD"), tracked({"B": frames["B"], "C": frames["C"], "D": frames["B"]}))
    assert order == [1, 0, 2]
    assert reasons[-1] == "B and D stand in the order of their names, nothing tells"
