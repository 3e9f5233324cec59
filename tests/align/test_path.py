"""The order of the points where nobody gives it."""

import itertools
from dataclasses import replace

import pytest

from mixcni.align import forward_hop_limit, infer_order
from mixcni.align.conversations import join_flows
from tests.scene import Sent, Talk, captured, tracked
from tests.wire import pack


def talked(port: int = 41_000, host: str = "10.244.3.7") -> list[Sent]:
    talk = Talk(initiator=(host, port))
    talk.handshake(0)
    talk.exchange(100)
    return talk.sent


def inferred(sent: list[Sent], names: str, stored: str, hops: int = 1) -> tuple[str, list[str]]:
    """The order found for points that are on the way as `names` and are given as `stored`."""
    frames = captured(sent, names, hops=hops)
    order, reasons = infer_order(list(stored), tracked({name: frames[name] for name in stored}))
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


def test_points_that_nothing_tells_apart_stand_by_name() -> None:
    order, reasons = inferred(talked(), "BA", "BA", hops=0)
    assert order == "AB"
    assert reasons == ["nothing tells the points apart: they stand in the order of their names"]


def test_an_order_that_contradicts_itself_is_none() -> None:
    """Three conversations, each seen at two points: A before B, B before C, C before A."""
    frames: dict[str, list[object]] = {name: [] for name in "ABC"}
    for i, names in enumerate(("AB", "BC", "CA")):
        for name, of_point in captured(talked(41_000 + i), names).items():
            frames[name].extend(of_point)
    order, reasons = infer_order(list("ABC"), tracked(frames))  # type: ignore[arg-type]
    assert order == [0, 1, 2]
    assert reasons == ["hop limits contradict each other: the points stand in the order of their names"]


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
    conversations = join_flows(flows, [table.packets["time_ns"] for table in flows])
    assert [forward_hop_limit(table, conversations, point).tolist() for point, table in enumerate(flows)] == [[-1], [63], [62]]
