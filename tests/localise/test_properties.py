"""What must hold of fates whatever is said, when, and by which clocks."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixcni.schema import Fate
from tests.scene import Scene, Sent, Talk, captured, scene, scene_of
from tests.wire import MS, START, S

RUNS = settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
OCTETS = st.integers(1, 3000)
TURNS = st.lists(st.tuples(OCTETS, OCTETS, st.integers(30, 900)), max_size=5)
SEQUENCE = st.integers(0, 2**32 - 1)
HOURS_NS = st.integers(-(10**6) * 3600, 10**6 * 3600).map(lambda seconds: seconds * 10**6)


def conversation(turns: list[tuple[int, int, int]], iss: int, irs: int, *, segment: int = 1448) -> Talk:
    """A connection that is answered throughout; requests and responses in segments, each acknowledged in the end."""
    talk = Talk(iss=iss, irs=irs)
    talk.handshake(0)
    ms = 100
    for request, response, pause in turns:
        for side, octets in ((0, request), (1, response)):
            for begin in range(0, octets, segment):
                talk.say(ms, side, "A", min(segment, octets - begin))
                ms += 5
        talk.say(ms + 10, 0, "A")
        ms += pause
    for side, flags in ((0, "FA"), (1, "FA"), (0, "A")):
        talk.say(ms, side, flags)
        ms += 10
    return talk


talks = st.builds(conversation, TURNS, SEQUENCE, SEQUENCE)


def facts(seen: Scene) -> list[list[Any]]:
    fates = seen.localisation.fates
    return [fates[name].tolist() for name in ("conversation", "number", "fate", "near", "far", "direction", "reason", "copies")]


def framed(sent: list[Sent]) -> list[Sent]:
    """The same between two answered connections, so that all captures are seen to run from before it until long after."""
    last = max(one.frame.time_ns for one in sent)
    frame = []
    for port, ms in ((42_000, -2000.0), (42_001, (last - START) / MS + 5000)):
        talk = Talk(initiator=("10.244.3.7", port))
        talk.handshake(ms)
        talk.exchange(ms + 100)
        frame.append(talk.sent)
    return [*frame[0], *sent, *frame[1]]


@RUNS
@given(talks)
def test_where_nothing_is_dropped_every_exchange_is_answered(talk: Talk) -> None:
    seen = scene(talk)
    assert set(seen.localisation.fates["fate"].tolist()) == {Fate.ANSWERED}
    assert seen.localisation.verdict == "no_loss"
    assert all((hop.recovered, hop.lost, hop.missed_near, hop.missed_far) == (0, 0, 0, 0) for hop in seen.localisation.hops)


@RUNS
@given(talks, st.data())
def test_what_was_answered_end_to_end_is_never_called_lost_for_what_one_capture_lacks(talk: Talk, data: st.DataObject) -> None:
    point = data.draw(st.sampled_from("ABC"))
    lacks = data.draw(st.lists(st.booleans(), min_size=len(talk.sent), max_size=len(talk.sent)))
    sent = [replace(one, missed=point if missing else "") for one, missing in zip(talk.sent, lacks, strict=True)]
    seen = scene_of(captured(framed(sent)))
    assert seen.localisation.losses == ()
    assert seen.localisation.verdict != "loss"


@RUNS
@given(talks, st.data())
def test_retransmissions_that_got_through_are_no_loss(talk: Talk, data: st.DataObject) -> None:
    """Copies are lost anywhere, and the next one passes 300 ms later: a transient loss is counted and not blamed."""
    sent: list[Sent] = []
    late = 0
    for one in talk.sent:
        copies = data.draw(st.lists(st.sampled_from(["AB", "BC"]), max_size=2)) if len(one.frame.octets) > 54 else []
        for hop in [*copies, ""]:
            sent.append(replace(one, frame=one.frame.at(one.frame.time_ns + late), lost=hop))
            late += 300 * MS if hop else 0
    seen = scene_of(captured(sent))
    assert seen.localisation.verdict == "no_loss"
    assert sum(hop.recovered for hop in seen.localisation.hops) >= sum(bool(one.lost) for one in sent)


def with_loss(talk: Talk, number: int, hop: str) -> list[Sent]:
    """The talk up to frame `number`, from which on nothing passes `hop`; that frame is sent five times in all."""
    sent = [*talk.sent[:number], replace(talk.sent[number], lost=hop)]
    for i, seconds in enumerate((1, 3, 7, 15)):
        sent.append(replace(sent[number], frame=sent[number].frame.at(sent[number].frame.time_ns + seconds * S + i)))
    return sent


@st.composite
def broken(draw: st.DrawFn) -> tuple[list[Sent], str, int]:
    """A talk in which a segment with octets is lost for good: what was sent, the hop, and the side that sent it."""
    talk = draw(talks.filter(lambda talk: any(len(one.frame.octets) > 54 for one in talk.sent)))
    carrying = [0, 1] + [i for i, one in enumerate(talk.sent) if len(one.frame.octets) > 54]
    number = draw(st.sampled_from(carrying))
    hop = draw(st.sampled_from(["AB", "BC"]))
    return with_loss(talk, number, hop), hop, talk.sent[number].side


@RUNS
@given(broken())
def test_what_is_lost_is_lost_on_that_hop_in_that_direction(broken: tuple[list[Sent], str, int]) -> None:
    """A response that has begun to arrive is an answer: then nothing is called lost."""
    sent, hop, side = broken
    losses = scene_of(captured(framed(sent))).localisation.losses
    assert [("ABC"[loss.near] + "ABC"[loss.far], int(loss.direction)) for loss in losses] in ([(hop, side)], [] if side else None)


@RUNS
@given(broken(), st.sampled_from("ABC"), HOURS_NS)
def test_a_shifted_clock_changes_no_fate(broken: tuple[list[Sent], str, int], point: str, offset: int) -> None:
    sent = framed(broken[0])
    assert facts(scene_of(captured(sent, offsets={point: offset}))) == facts(scene_of(captured(sent)))


@RUNS
@given(broken(), st.sampled_from(["AB", "BC"]))
def test_a_point_between_moves_blame_only_within_its_neighbours(broken: tuple[list[Sent], str, int], where: str) -> None:
    """Where blame was on another hop it stays there; where it was on this one it is on one of the two that it became."""
    sent, hop = framed(broken[0]), broken[1]
    plain = scene_of(captured(sent)).localisation
    names = "AXBC" if where == "AB" else "ABXC"
    halves = {"AB": ("AX", "XB"), "BC": ("BX", "XC")}[where]
    moved = [replace(one, lost=halves[0] if one.lost == where else one.lost) for one in sent]
    between = scene_of(captured(moved, names)).localisation
    expected = halves[0] if hop == where else hop
    assert between.fates["fate"].tolist() == plain.fates["fate"].tolist()
    assert {names[loss.near] + names[loss.far] for loss in between.losses} == ({expected} if plain.losses else set())
