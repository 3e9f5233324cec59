"""Captures with a filter for payload, or for SYNs: what they leave out is not lost before them."""

import itertools

import dpkt
import pytest

from mixcni.localise import Verdict
from mixcni.schema import Direction
from tests.scene import Scene, Talk, captured, scene_of
from tests.wire import Frame


def payload_of(frame: Frame) -> int:
    return len(dpkt.ethernet.Ethernet(frame.octets).data.data.data)


def is_syn(frame: Frame) -> bool:
    return bool(dpkt.ethernet.Ethernet(frame.octets).data.data.flags & dpkt.tcp.TH_SYN)


def answered(number: int, *, begun: bool = True) -> Talk:
    talk = Talk(initiator=("10.244.3.7", 40_000 + number), responder=("10.96.0.10", 8080))
    if begun:
        talk.handshake(100 * number)
    for turn in range(4):
        talk.exchange(100 * number + 50 + 2000 * turn)
    return talk


def unanswered(number: int, *, lost: str = "") -> Talk:
    talk = Talk(initiator=("10.244.3.7", 50_000 + number), responder=("10.96.0.10", 8080))
    talk.repeated([1000 + 10 * number + ms for ms in (0, 1000, 3000)], 0, "S", lost=lost)
    return talk


def unheard(number: int, *, lost: str = "") -> Talk:
    talk = Talk(initiator=("10.244.3.7", 60_000 + number), responder=("10.96.0.10", 8080))
    talk.handshake(500 + 10 * number)
    talk.repeated([1000 + 10 * number + ms for ms in (0, 300, 900, 2100)], 0, "PA", 100, lost=lost)
    return talk


def seen_with(talks: list[Talk], kept: str, at: str) -> Scene:
    """The scene where the capture at a point has only what `kept` says."""
    frames = captured(list(itertools.chain(*(talk.sent for talk in talks))))
    keep = (lambda frame: payload_of(frame) > 0) if kept == "payload" else is_syn
    return scene_of({name: [f for f in of_point if name not in at or keep(f)] for name, of_point in frames.items()})


@pytest.mark.parametrize("at", ["B", "C", "BC"])
@pytest.mark.parametrize("begun", [True, False], ids=["handshakes seen elsewhere", "begun before"])
def test_a_capture_of_payload_alone_is_not_blamed_for_syns(at: str, begun: bool) -> None:
    """The server answers no new connection; C has its SYNs, if it keeps any."""
    seen = seen_with([*(answered(n, begun=begun) for n in range(10)), *(unanswered(n) for n in range(20))], "payload", at)
    assert seen.localisation.losses == ()
    assert all(hop.lost == 0 for hop in seen.localisation.hops)
    assert seen.localisation.sights.left_out.syns[:, Direction.FORWARD].tolist() == [name in at for name in "ABC"]


def test_what_is_lost_behind_a_capture_of_payload_alone_is_lost_between_those_that_see_it() -> None:
    talks = [*(answered(n) for n in range(10)), *(unanswered(n, lost="BC") for n in range(20))]
    losses = seen_with(talks, "payload", "B").localisation.losses
    assert [(loss.near, loss.far, loss.direction) for loss in losses] == [(0, 2, Direction.FORWARD)]


@pytest.mark.parametrize("at", ["B", "C"])
def test_a_capture_of_syns_alone_is_not_blamed_for_requests(at: str) -> None:
    talks = [*(answered(n) for n in range(10)), *(unheard(n) for n in range(20))]
    assert seen_with(talks, "syns", at).localisation.losses == ()


def test_captures_of_all_leave_nothing_out_and_blame_as_ever() -> None:
    talks = [*(answered(n) for n in range(10)), *(unanswered(n, lost="AB") for n in range(20))]
    seen = seen_with(talks, "payload", "").localisation
    assert seen.verdict == Verdict.LOSS
    assert not seen.sights.left_out.syns.any()
    assert not seen.sights.left_out.payload.any()
