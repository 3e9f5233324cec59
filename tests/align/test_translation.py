"""One connection under several addresses: what a NAT leaves as it is joins its flows, and what is not certain is not guessed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.align import align_points
from mixcni.align.alignment import Alignment
from mixcni.schema import Evidence
from tests.scene import End, Sent, Talk, captured, tracked
from tests.wire import MS, START, Frame, S

CLIENT, POD, VIP, NODE = "10.244.3.7", "10.242.2.149", "10.96.0.20", "10.118.201.53"
CLIENT6, POD6, VIP6 = "fd00:10:244:3::7", "fd00:10:242:2::149", "fd00:10:96::20"
PORT, SERVICE = 41_000, 8080
SNAT: Mapping[End, End] = {(CLIENT, PORT): (NODE, 62_001)}
DNAT: Mapping[End, End] = {(VIP, 80): (POD, SERVICE)}
BOTH: Mapping[End, End] = {**SNAT, **DNAT}


def talked(ends: tuple[End, End] = ((CLIENT, PORT), (VIP, 80)), at_ms: float = 0, **more: Any) -> Talk:
    talk = Talk(initiator=ends[0], responder=ends[1], **more)
    talk.handshake(at_ms)
    for i in range(4):
        talk.exchange(at_ms + 100 + 100 * i)
    return talk


def aligned(frames: Mapping[str, list[Frame]]) -> Alignment:
    return align_points(list(frames), tracked(frames))


def ends_of(alignment: Alignment, point: int, row: int = 0) -> tuple[End, End]:
    ends, book = alignment.conversations.ends, alignment.conversations.book
    return (
        (book.text(int(ends.initiator[row, point])), int(ends.initiator_port[row, point])),
        (book.text(int(ends.responder[row, point])), int(ends.responder_port[row, point])),
    )


@pytest.mark.parametrize(
    ("seen_as", "at_c"),
    [
        ({"C": SNAT}, ((NODE, 62_001), (VIP, 80))),
        ({"C": DNAT}, ((CLIENT, PORT), (POD, SERVICE))),
        ({"C": BOTH}, ((NODE, 62_001), (POD, SERVICE))),
        ({"B": DNAT, "C": BOTH}, ((NODE, 62_001), (POD, SERVICE))),
        ({"C": {(CLIENT, PORT): (CLIENT, 1024)}}, ((CLIENT, 1024), (VIP, 80))),
    ],
    ids=["SNAT", "DNAT", "both", "one behind the other", "port alone"],
)
@pytest.mark.parametrize("offset", [0, -7 * 3600 * S])
def test_a_connection_is_one_on_both_sides_of_a_nat(seen_as: Any, at_c: tuple[End, End], offset: int) -> None:
    alignment = aligned(captured(talked().sent, seen_as=seen_as, offsets={"C": offset}))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    assert ends_of(alignment, 0) == ((CLIENT, PORT), (VIP, 80))
    assert ends_of(alignment, 2) == at_c
    assert alignment.conversations.is_rewritten.tolist() == [True]
    assert alignment.conversations["evidence_bits"][0] >= 64
    assert Evidence(int(alignment.conversations["evidence"][0])) == Evidence.KEY | Evidence.ISS | Evidence.IRS | Evidence.TIME
    assert len(alignment.candidates) == 0


def test_ipv6_is_rewritten_as_well() -> None:
    talk = talked(((CLIENT6, PORT), (VIP6, 80)))
    alignment = aligned(captured(talk.sent, seen_as={"B": {(VIP6, 80): (POD6, SERVICE)}, "C": {(VIP6, 80): (POD6, SERVICE)}}))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    assert ends_of(alignment, 1)[1] == (POD6, SERVICE)


def test_what_no_nat_rewrites_stays_one_without_evidence_beside_the_key() -> None:
    conversations = aligned(captured(talked().sent)).conversations
    assert (conversations["evidence"][0], conversations["evidence_bits"][0]) == (Evidence.KEY, 0)
    assert not conversations.is_rewritten.any()


@pytest.mark.parametrize("begin", range(4, 12))
@pytest.mark.parametrize("ends", [(PORT, 80), (80, 81), (41_000, 41_001)])
@pytest.mark.parametrize("stamped", [0, 7_000_000])
def test_a_connection_in_its_midst_is_known_by_its_numbers(begin: int, ends: tuple[int, int], stamped: int) -> None:
    """C's capture begins late, and by the rewritten ports alone C's flow may stand the other way round."""
    talk = talked(((CLIENT, ends[0]), (VIP, ends[1])), stamped=stamped)
    seen_as = {"C": {(CLIENT, ends[0]): (NODE, 1025), (VIP, ends[1]): (POD, 50_000)}}
    sent = [replace(one, missed="C" if i < begin else "") for i, one in enumerate(talk.sent)]
    alignment = aligned(captured(sent, seen_as=seen_as))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    assert ends_of(alignment, 2) == ((NODE, 1025), (POD, 50_000))
    table = alignment.transmissions
    names = ("direction", "start", "end", "acknowledged")
    rows = [set(zip(*(table[name][table["point"] == point].tolist() for name in names), strict=True)) for point in (0, 2)]
    assert rows[1] <= rows[0]


@pytest.mark.parametrize("stamped", [0, 7_000_000])
def test_an_iss_alone_needs_more_than_itself(stamped: int) -> None:
    """A saw the SYN alone, C behind a NAT too, and no clock is known: timestamps decide, and without them nothing does."""
    talk = Talk(initiator=(CLIENT, PORT), responder=(VIP, 80), stamped=stamped)
    talk.say(0, 0, "S")
    alignment = aligned(captured(talk.sent, "AC", seen_as={"C": BOTH}))
    assert len(alignment.conversations) == (1 if stamped else 2)
    assert len(alignment.candidates) == (0 if stamped else 2)


@pytest.mark.parametrize("seen_as", [SNAT, DNAT], ids=["SNAT", "DNAT"])
def test_an_iss_is_enough_with_an_end_that_the_nat_left_as_it_was(seen_as: Any) -> None:
    talk = Talk(initiator=(CLIENT, PORT), responder=(VIP, 80))
    talk.say(0, 0, "S")
    assert aligned(captured(talk.sent, "AC", seen_as={"C": seen_as})).conversations.flow_of.tolist() == [[0, 0]]


def test_an_iss_alone_is_enough_where_the_clocks_agree() -> None:
    talk = Talk(initiator=(CLIENT, PORT + 1), responder=(VIP, 80))
    talk.say(500, 0, "S")
    seen_as = {"C": {**BOTH, (CLIENT, PORT + 1): (NODE, 62_002)}}
    alignment = aligned(captured([*talked().sent, *talk.sent], seen_as=seen_as, offsets={"C": 3600 * S}))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert Evidence(int(alignment.conversations["evidence"][1])) == Evidence.KEY | Evidence.ISS | Evidence.TIME


def test_the_same_iss_at_another_time_is_another_connection() -> None:
    first = Talk(initiator=(CLIENT, PORT + 1), responder=(VIP, 80), iss=99)
    first.say(500, 0, "S", missed="C")
    later = Talk(initiator=(NODE, 62_002), responder=(POD, SERVICE), iss=99)
    later.say(90_000, 0, "S", missed="AB")
    alignment = aligned(captured([*talked().sent, *first.sent, *later.sent], seen_as={"C": BOTH}))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, 1, -1], [-1, -1, 1]]


def test_two_that_may_be_it_are_listed_and_not_guessed() -> None:
    """Behind the NAT two flows have the ISS of one before it: neither is joined."""
    talk = Talk(initiator=(CLIENT, PORT + 1), responder=(VIP, 80), iss=99)
    talk.say(500, 0, "S", missed="C")
    twins = [Talk(initiator=(NODE, 62_002 + i), responder=(POD, SERVICE), iss=99) for i in (0, 1)]
    for i, twin in enumerate(twins):
        twin.say(500 + 200 * i, 0, "S", missed="AB")
    sent = [*talked().sent, *talk.sent, *twins[0].sent, *twins[1].sent]
    alignment = aligned(captured(sent, seen_as={"C": BOTH}))
    assert len(alignment.conversations) == 4
    pairs = set(zip(alignment.candidates["conversation"].tolist(), alignment.candidates["candidate"].tolist(), strict=True))
    assert pairs == {(1, 2), (2, 1), (1, 3), (3, 1)}
    assert set(alignment.candidates["evidence_bits"].tolist()) == {44}


def test_another_irs_is_another_connection() -> None:
    before, behind = talked(iss=7, irs=100), talked(((NODE, 62_001), (POD, SERVICE)), iss=7, irs=200)
    sent = [replace(one, missed="BC") for one in before.sent] + [replace(one, missed="A") for one in behind.sent]
    alignment = aligned(captured(sent))
    assert len(alignment.conversations) == 2
    assert len(alignment.candidates) == 0


def test_a_node_that_hears_both_sides_of_its_own_nat_has_each_segment_once() -> None:
    """B captures on `any`: the packets before and behind its NAT."""
    talk = talked()
    plain, behind = captured(talk.sent), captured(talk.sent, seen_as={"B": BOTH, "C": BOTH})
    both = sorted([*plain["B"], *(frame.at(frame.time_ns + 20_000) for frame in behind["B"])], key=lambda frame: frame.time_ns)
    alignment = aligned({"A": plain["A"], "B": both, "C": behind["C"]})
    assert len(alignment.conversations) == 1
    assert alignment.conversations.members_at(1).conversation.tolist() == [0, 0]
    table = alignment.transmissions
    counts = [int((table["point"] == point).sum()) for point in range(3)]
    assert counts == [len(talk.sent)] * 3


def test_what_only_one_side_of_a_nat_heard_counts_too() -> None:
    talk = talked()
    plain, behind = captured(talk.sent), captured(talk.sent, seen_as={"B": BOTH, "C": BOTH})
    both = sorted(
        [*plain["B"][:6], *(frame.at(frame.time_ns + 20_000) for frame in behind["B"])], key=lambda frame: frame.time_ns
    )
    alignment = aligned({"A": plain["A"], "B": both, "C": behind["C"]})
    table = alignment.transmissions
    assert int((table["point"] == 1).sum()) == len(talk.sent)
    assert len(alignment.conversations) == 1


def two_nats(seed: int, count: int, start_ms: float) -> tuple[list[Sent], dict[str, dict[End, End]]]:
    sent: list[Sent] = []
    seen_as: dict[str, dict[End, End]] = {"B": {}, "C": {(VIP, 80): (POD, SERVICE)}}
    chance = np.random.default_rng(seed)
    for i, port in enumerate(chance.permutation(np.arange(20_000, 60_000))[:count].tolist()):
        talk = talked(((CLIENT, port), (VIP, 80)), start_ms + 3 * i)
        sent.extend(talk.sent)
        seen_as["B"][CLIENT, port] = (NODE, 1024 + i)
        seen_as["C"][CLIENT, port] = (NODE, 1024 + i)
    return sent, seen_as


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=20)
def test_each_of_many_finds_its_own(seed: int, count: int) -> None:
    sent, seen_as = two_nats(seed, count, 0)
    conversations = aligned(captured(sent, seen_as=seen_as)).conversations
    assert conversations.flow_of.tolist() == [[i, i, i] for i in range(count)]


def test_a_port_used_again_behind_a_nat_is_another_conversation() -> None:
    first, second = talked(iss=10, irs=20), talked(at_ms=5000, iss=900_000, irs=800_000)
    alignment = aligned(captured([*first.sent, *second.sent], seen_as={"C": BOTH}))
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_one_connection_plain_and_in_its_tunnel_at_one_point_is_counted_once() -> None:
    talk = talked()
    plain = captured(talk.sent)
    wrapped = [
        Frame(frame.time_ns + 10_000, vxlan(frame.octets, one.side)) for frame, one in zip(plain["B"], talk.sent, strict=True)
    ]
    both = sorted([*plain["B"], *wrapped], key=lambda frame: frame.time_ns)
    alignment = aligned({**plain, "B": both})
    assert len(alignment.conversations) == 1
    assert [int((alignment.transmissions["point"] == point).sum()) for point in range(3)] == [len(talk.sent)] * 3


def test_one_connection_plain_here_and_in_a_tunnel_there_is_one() -> None:
    frames = captured(talked().sent)
    frames["B"] = [Frame(frame.time_ns, vxlan(frame.octets, 0)) for frame in frames["B"]]
    alignment = aligned(frames)
    assert alignment.conversations.flow_of.tolist() == [[0, 0, 0]]
    assert len(alignment.conversations) == 1


def vxlan(octets: bytes, side: int) -> bytes:
    """A frame in Cilium's VXLAN between two nodes (RFC 7348; port 8472)."""
    from tests.wire import udp_frame

    nodes = ("10.118.201.53", "10.118.202.21")
    header = b"\x08\0\0\0" + (5).to_bytes(3) + b"\0"
    return udp_frame((nodes[side], 50_000), (nodes[1 - side], 8472), header + octets, time_ns=START).octets


def test_times_that_a_capture_lacks_are_not_moved() -> None:
    alignment = aligned(captured(talked().sent, offsets={"C": 5 * S}))
    assert abs(int(alignment.times[2][0]) - START) <= 3 * MS


def with_iss(iss: int, port: int, at_ms: float, host: str = CLIENT, *, answered: bool) -> list[Sent]:
    """A connection whose packets somebody wrote with this ISS: one that goes through, or whose SYNs get no farther than B."""
    if answered:
        return talked(((host, port), (POD, SERVICE)), at_ms, iss=iss, irs=5000).sent
    talk = Talk(initiator=(host, port), responder=(POD, SERVICE), iss=iss, irs=5000)
    talk.repeated([at_ms, at_ms + 1000, at_ms + 3000], 0, "S", lost="BC")
    return talk.sent


@pytest.mark.parametrize("count", [3, 8])
def test_an_iss_that_many_connections_have_says_nothing_of_another_key(count: int) -> None:
    """SYNs that get no farther than B, and what C alone hears of the node's probes, all written with one number."""
    lost = [with_iss(1000, PORT + i, 50 * i, answered=False) for i in range(count)]
    probes = [with_iss(1000, 50_000 + i, 500 * i, NODE, answered=True) for i in range(count)]
    probes = [[replace(one, missed="AB") for one in sent] for sent in probes]
    alignment = aligned(captured([one for sent in lost + probes for one in sent]))
    assert len(alignment.conversations) == 2 * count
    assert len(alignment.candidates) == 0


def test_where_many_have_one_iss_those_behind_a_nat_are_in_doubt() -> None:
    sent = [one for i in range(3) for one in with_iss(1000, PORT + i, 500 * i, answered=True)]
    nat = {(CLIENT, PORT + i): (NODE, 62_001 + i) for i in range(3)}
    alignment = aligned(captured(sent, seen_as={"C": nat}))
    assert len(alignment.conversations) == 6
    assert len(alignment.candidates) == 18
