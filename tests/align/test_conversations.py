"""Which flows are one conversation, which way round it stands, and on which bases its offsets are."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.align import align_points
from mixcni.align.alignment import Alignment
from mixcni.schema import Direction
from tests.scene import Sent, Talk, captured, tracked
from tests.wire import MS, START, Frame, udp_frame


def aligned(frames: dict[str, list[Frame]]) -> Alignment:
    return align_points(list(frames), tracked(frames))


def talked(iss: int = 1000, irs: int = 5000, *, at_ms: float = 0, ends: tuple[int, int] = (41_000, 8080)) -> Talk:
    talk = Talk(initiator=("10.244.3.7", ends[0]), responder=("10.242.2.149", ends[1]), iss=iss, irs=irs)
    talk.handshake(at_ms)
    for i in range(3):
        talk.exchange(at_ms + 100 + 100 * i)
    return talk


def pieces(alignment: Alignment, point: int) -> set[tuple[int, int, int, int]]:
    table = alignment.transmissions
    rows = np.flatnonzero((table["point"] == point) & (table["end"] > table["start"]))
    names = ("conversation", "direction", "start", "end")
    return set(zip(*(table[name][rows].tolist() for name in names), strict=True))


EVERY_PIECE = {
    *((0, 0, start, end) for start, end in ((0, 1), (1, 101), (101, 201), (201, 301))),
    *((0, 1, start, end) for start, end in ((0, 1), (1, 201), (201, 401), (401, 601))),
}  # fmt: skip


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_offsets_are_the_same_at_all_points_for_any_initial_sequence_number(iss: int, irs: int) -> None:
    alignment = aligned(captured(talked(iss, irs).sent))
    assert [pieces(alignment, point) for point in range(3)] == [EVERY_PIECE] * 3
    assert (alignment.conversations["iss"].tolist(), alignment.conversations["irs"].tolist()) == ([iss], [irs])


@pytest.mark.parametrize("begin", range(1, 11))
@pytest.mark.parametrize("point", "ABC")
@pytest.mark.parametrize("isn", [1000, 2**32 - 150])
def test_a_flow_caught_in_the_midst_has_the_offsets_of_the_whole(begin: int, point: str, isn: int) -> None:
    talk = talked(isn, isn)
    frames = captured(talk.sent)
    frames[point] = [frame for frame in frames[point] if frame.time_ns >= talk.sent[begin].frame.time_ns]
    alignment = aligned(frames)
    assert len(alignment.conversations) == 1
    assert pieces(alignment, "ABC".index(point)) <= EVERY_PIECE
    assert pieces(alignment, ("ABC".index(point) + 1) % 3) == EVERY_PIECE


@pytest.mark.parametrize("begins", list(itertools.permutations((3, 4, 6))))
def test_a_connection_whose_handshake_nobody_saw_has_the_base_of_the_earliest_octets(begins: tuple[int, ...]) -> None:
    talk = talked()
    sent = [
        Sent(one.frame, one.side, missed="".join(n for n, b in zip("ABC", begins, strict=True) if i < b))
        for i, one in enumerate(talk.sent)
    ]
    alignment = aligned(captured(sent))
    assert len(alignment.conversations) == 1
    every = {piece for piece in EVERY_PIECE if piece[3] > 1}
    assert [pieces(alignment, point) <= every for point in range(3)] == [True] * 3
    assert pieces(alignment, begins.index(3)) == every
    assert (alignment.transmissions["start"] >= 0).all()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("ends", [(41_000, 8080), (8080, 8081), (41_000, 41_001)])
def test_a_point_that_saw_one_direction_only_agrees_on_who_began(side: int, ends: tuple[int, int]) -> None:
    """By its ports alone the flow would stand the other way round: the point that saw the SYN knows better."""
    sent = [
        Sent(one.frame, one.side, missed="" if one.side == side and i > 2 else "B")
        for i, one in enumerate(talked(ends=ends).sent)
    ]
    alignment = aligned(captured(sent))
    assert len(alignment.conversations) == 1
    assert alignment.conversations["initiator_port"].tolist() == [ends[0]]
    assert pieces(alignment, 1) == {piece for piece in EVERY_PIECE if piece[1] == side and piece[3] > 1}
    assert pieces(alignment, 0) == EVERY_PIECE


def test_the_answer_alone_is_a_flow_of_the_one_who_asked() -> None:
    sent = [Sent(one.frame, one.side, missed="B" if one.side == 0 else "") for one in talked().sent]
    alignment = aligned(captured(sent))
    assert len(alignment.conversations) == 1
    assert not alignment.conversations.flipped.any()
    assert pieces(alignment, 1) == {piece for piece in EVERY_PIECE if piece[1] == Direction.REVERSE}


def test_a_reused_port_is_another_conversation_at_every_point() -> None:
    first, second = talked(1000), talked(900_000, at_ms=5000)
    alignment = aligned(captured([*first.sent, *second.sent]))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert alignment.conversations["iss"].tolist() == [1000, 900_000]


def test_the_tail_of_an_old_connection_does_not_join_a_new_one_of_its_port() -> None:
    """A saw only the new connection, B only the end of the old one, whose sequence numbers are far away."""
    old, new = talked(2_000_000_000, 2_100_000_000), talked(1000, at_ms=5000)
    sent = [Sent(one.frame, one.side, missed="AC" if i > 5 else "ABC") for i, one in enumerate(old.sent)]
    alignment = aligned(captured([*sent, *(Sent(one.frame, one.side, missed="B") for one in new.sent)]))
    assert alignment.conversations.flow_of.tolist() == [[-1, 0, -1], [0, -1, 0]]


def test_of_several_connections_of_a_port_the_tail_joins_that_whose_octets_it_has() -> None:
    first, second = talked(1000, 5000), talked(900_000, 905_000, at_ms=5000)
    sent = [Sent(one.frame, one.side, missed="B" if i < 5 else "") for i, one in enumerate(first.sent)]
    sent += [Sent(one.frame, one.side, missed="B") for one in second.sent]
    alignment = aligned(captured(sent))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, -1, 1]]


def test_no_segment_is_without_its_conversation_where_an_old_syn_comes_late() -> None:
    """The SYN of the first connection arrives again after the second began: a third flow with the numbers of the first."""
    first, second = talked(1000), talked(900_000, at_ms=5000)
    late = Sent(first.sent[0].frame.at(START + 9000 * MS), 0)
    alignment = aligned(captured([*first.sent, *second.sent, late]))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert (alignment.transmissions["conversation"] >= 0).all()
    for point in range(3):
        assert {piece for piece in pieces(alignment, point) if piece[0] == 0} == EVERY_PIECE


def test_the_base_of_a_direction_is_that_of_a_point_that_heard_it() -> None:
    """A saw the SYN alone and knows no reverse number; B saw all but the handshake."""
    sent = [Sent(one.frame, one.side, missed="BC" if i < 3 else "A") for i, one in enumerate(talked(1000, 3_000_000_000).sent)]
    sent[1:3] = [Sent(one.frame, one.side, missed="ABC") for one in sent[1:3]]
    alignment = aligned(captured(sent))
    assert len(alignment.conversations) == 1
    assert pieces(alignment, 1) == {piece for piece in EVERY_PIECE if piece[3] > 1}


def test_datagrams_are_joined_by_their_key() -> None:
    client, server = ("10.244.3.7", 40_000), ("10.242.2.149", 53)
    sent = [Sent(udp_frame(client, server, b"q", time_ns=START), 0), Sent(udp_frame(server, client, b"r", time_ns=START + MS), 1)]
    alignment = aligned(captured(sent))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    table = alignment.transmissions
    assert [table[name].tolist() for name in ("point", "direction", "start", "end")] == [
        [0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 1, 0], [0] * 6, [1] * 6
    ]  # fmt: skip


def test_captures_of_nothing_have_no_conversation() -> None:
    alignment = aligned({"A": [], "B": []})
    assert (len(alignment.conversations), len(alignment.transmissions)) == (0, 0)
    assert [clock.is_known for clock in alignment.clocks] == [True, False]


def test_every_packet_of_a_flow_is_one_transmission() -> None:
    alignment = aligned(captured([*talked().sent, *talked(77, at_ms=50, ends=(41_001, 8080)).sent]))
    for point, flows in enumerate(alignment.points):
        rows = alignment.transmissions["point"] == point
        assert alignment.transmissions["packet"][rows].tolist() == flows.segments["packet"].tolist()
