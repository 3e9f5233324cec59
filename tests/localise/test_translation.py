"""Addresses that are rewritten on the way change no fate, and what a NAT hides is not blamed on the network."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.schema import Fate, Sight
from tests.localise.test_fates import ANSWERED, POINTS, background, lost, network, request, response, syn, synack, undecided
from tests.localise.test_properties import RUNS, broken, facts, framed, talks
from tests.scene import End, Scene, Sent, Talk, captured, scene, scene_of

CLIENT, SERVER, NODE, POD, SERVICE = "10.244.3.7", "10.242.2.149", "10.118.201.53", "10.242.2.200", "10.96.0.10"
PORTS = (*range(41_000, 41_040), *range(42_000, 42_040), *range(43_000, 43_040))
SNAT: Mapping[End, End] = {(CLIENT, port): (NODE, 20_000 + i) for i, port in enumerate(PORTS)}
DNAT: Mapping[End, End] = {(SERVER, 8080): (POD, 80)}
BOTH: Mapping[End, End] = {**SNAT, **DNAT}
PLACES = {"between A and B": ("B", "C"), "between B and C": ("C",)}


def many_answered() -> list[Sent]:
    """Ten connections that show where the service's address leads."""
    sent = []
    for port in range(42_002, 42_012):
        talk = Talk(initiator=(CLIENT, port))
        talk.handshake(-1000.0)
        talk.exchange(-800.0)
        sent.extend(talk.sent)
    return sent


def translated(sent: list[Sent], where: tuple[str, ...], ends: Mapping[End, End]) -> Scene:
    return scene_of(captured(sent, seen_as=dict.fromkeys(where, ends)))


@RUNS
@given(broken(), st.sampled_from(sorted(PLACES)), st.sampled_from([SNAT, DNAT, BOTH]))
def test_consistently_rewritten_addresses_change_no_fate(
    broken: tuple[list[Sent], str, int], place: str, ends: Mapping[End, End]
) -> None:
    sent = [*many_answered(), *framed(broken[0])]
    assert facts(translated(sent, PLACES[place], ends)) == facts(scene_of(captured(sent)))


@RUNS
@given(broken(), st.sampled_from(sorted(PLACES)), st.sampled_from([DNAT, BOTH]))
def test_where_a_service_leads_is_not_guessed_from_few(
    broken: tuple[list[Sent], str, int], place: str, ends: Mapping[End, End]
) -> None:
    """With two answered ones to show it, a request that is lost beyond the NAT may be undecided, never blamed elsewhere."""
    sent = framed(broken[0])
    plain = scene_of(captured(sent)).localisation.losses
    found = translated(sent, PLACES[place], ends).localisation.losses
    blamed = [[(loss.near, loss.far, loss.direction) for loss in losses] for losses in (found, plain)]
    assert blamed[0] in ([], blamed[1])


@RUNS
@given(talks, st.sampled_from(sorted(PLACES)), st.data())
def test_behind_a_nat_what_one_capture_lacks_is_no_loss(talk: Talk, place: str, data: st.DataObject) -> None:
    point = data.draw(st.sampled_from("ABC"))
    lacks = data.draw(st.lists(st.booleans(), min_size=len(talk.sent), max_size=len(talk.sent)))
    sent = [replace(one, missed=point if missing else "") for one, missing in zip(talk.sent, lacks, strict=True)]
    seen = translated([*many_answered(), *framed(sent)], PLACES[place], BOTH)
    assert seen.localisation.losses == ()
    assert seen.localisation.verdict != "loss"


@pytest.mark.parametrize("ends", [SNAT, DNAT, BOTH], ids=["SNAT", "DNAT", "both"])
@pytest.mark.parametrize("talk", [syn("AB"), request("AB"), request("BC"), response("AB"), response("BC"), synack("BC")])
def test_each_point_is_asked_about_the_addresses_that_it_sees(talk: Any, ends: Mapping[End, End]) -> None:
    """C's scope is the pod that it stands in, under the pod's own address."""
    server = POD if ends is not SNAT else SERVER
    points = {**POINTS, "C": {**POINTS["C"], "scope": (network(f"{server}/32"),)}}
    seen = scene(background(), talk(), points=points, seen_as={"C": ends})
    assert seen.told(1) == scene(background(), talk(), points=POINTS).told(1)


def test_a_request_to_a_service_that_is_lost_before_its_pod_is_chosen_is_not_laid_on_the_hop_to_one() -> None:
    """C stands in one of the service's pods. Other requests were answered by a pod that nobody watches."""
    elsewhere = [Talk(initiator=(CLIENT, 43_000 + i)) for i in range(9)]
    for talk in elsewhere:
        talk.handshake(0)
        talk.exchange(100)
        talk.sent = [replace(one, missed="C") for one in talk.sent]
    seen = scene(background(), *elsewhere, syn("BC")(), seen_as={"C": DNAT})
    assert seen.told(10) == [undecided("NO_WINDOW")]
    assert seen.localisation.losses == ()


def test_a_request_to_a_service_with_one_pod_is_lost_on_the_hop_to_it() -> None:
    others = [Talk(initiator=(CLIENT, 43_000 + i)) for i in range(9)]
    for talk in others:
        talk.handshake(0)
        talk.exchange(100)
    seen = scene(background(), *others, syn("BC")(), seen_as={"C": DNAT})
    assert seen.told(10) == [lost("BC", "request")]


@pytest.mark.parametrize(
    ("called", "answers", "told"),
    [
        ((SERVICE, 80), False, lost("BC", "request")),
        ((SERVICE, 80), True, undecided("NO_WINDOW")),
        (("10.96.0.11", 80), False, undecided("NO_WINDOW")),
    ],
    ids=["a backend that is gone", "a backend elsewhere", "a service that is not in the scope"],
)
def test_a_service_in_a_points_scope_leads_there_but_for_what_answers_elsewhere(
    called: End, told: tuple[str, ...], *, answers: bool
) -> None:
    """A sees the service's address, B what a NAT made of it: an address that is not in the scope of C, the service's pod."""
    talk = Talk(initiator=(CLIENT, 41_000), responder=called)
    talk.repeated((1000, 2000, 4000), 0, "S", lost="BC")
    other = Talk(initiator=(CLIENT, 43_000), responder=called)
    if answers:
        other.handshake(500)
        other.exchange(600)
        other.sent = [replace(one, missed="C") for one in other.sent]
    points = {**POINTS, "C": {**POINTS["C"], "scope": (network(f"{SERVER}/32"), network(f"{SERVICE}/32"))}}
    seen = scene(background(), other, talk, points=points, seen_as={name: {called: (POD, 80)} for name in "BC"})
    assert seen.told(len(seen.alignment.conversations) - 1) == [told]


def test_what_may_be_the_same_connection_is_no_witness_against_it() -> None:
    """C saw two SYNs with the ISS of the one that B saw, under other addresses: neither is it for sure, so nothing is blamed."""
    talk = Talk(initiator=(CLIENT, 41_000), iss=99)
    talk.repeated((1000, 2000, 4000), 0, "S", lost="BC")
    twins = [Talk(initiator=(NODE, 30_000 + i), iss=99) for i in (0, 1)]
    for i, twin in enumerate(twins):
        twin.say(1000 + 300 * i, 0, "S", missed="AB")
    seen = scene(background(), talk, *twins)
    assert seen.told(1) == [undecided("NO_WINDOW")]
    assert seen.localisation.sights.sight[1, 2] == Sight.UNOBSERVABLE
    assert scene(background(), talk).told(1) == [lost("BC", "request")]


def test_a_node_that_hears_both_sides_of_its_nat_misses_and_loses_nothing() -> None:
    talk = background()
    plain, behind = captured(talk.sent), captured(talk.sent, seen_as={"B": BOTH, "C": BOTH})
    both = sorted([*plain["B"], *(frame.at(frame.time_ns + 20_000) for frame in behind["B"])], key=lambda frame: frame.time_ns)
    seen = scene_of({"A": plain["A"], "B": both, "C": behind["C"]})
    assert seen.told() == [ANSWERED] * 5
    assert all((hop.recovered, hop.lost, hop.missed_near, hop.missed_far) == (0, 0, 0, 0) for hop in seen.localisation.hops)
    assert set(seen.localisation.fates["fate"].tolist()) == {Fate.ANSWERED}


def test_whose_traffic_a_node_masquerades_is_not_told_by_its_own_address() -> None:
    """A's capture ends before a response is lost between it and B, which sees the node for the initiator: A's end saw nobody."""
    early = [Talk(initiator=(CLIENT, 42_010 + i)) for i in range(10)]
    for i, talk in enumerate(early):
        talk.handshake(100 + i)
        talk.exchange(200 + i)
    late = Talk(initiator=(CLIENT, 43_000))
    late.sent = synack("AB", 43_000)().sent
    frames = captured(
        [*background().sent, *(one for talk in early for one in talk.sent), *late.sent], seen_as={"B": SNAT, "C": SNAT}
    )
    frames["A"] = [frame for frame in frames["A"] if frame.time_ns <= early[0].sent[0].frame.time_ns + 500_000_000]
    seen = scene_of(frames)
    assert seen.told(len(seen.alignment.conversations) - 1) == [undecided("NO_WINDOW")]
    assert seen.localisation.verdict == "undecided"


def test_a_request_is_lost_behind_the_nat_of_the_node_that_chose_its_pod() -> None:
    """B hears every packet before and behind its own NAT, so that it shows which pod was chosen, however few were answered."""
    talk = syn("BC")()
    sent = [*background().sent, *talk.sent]
    plain, behind = captured(sent), captured(sent, seen_as={"B": BOTH, "C": BOTH})
    both = sorted([*plain["B"], *(frame.at(frame.time_ns + 20_000) for frame in behind["B"])], key=lambda frame: frame.time_ns)
    seen = scene_of({"A": plain["A"], "B": both, "C": behind["C"]})
    assert seen.told(1) == [lost("BC", "request")]
    assert scene_of({"A": plain["A"], "B": plain["B"], "C": behind["C"]}).told(1) == [undecided("NO_WINDOW")]
