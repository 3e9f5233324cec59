"""UDP over several points: which datagrams are one, which turn they belong to, and that a NAT hides neither."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import dpkt
import pytest

from mixcni.schema import Evidence
from tests.scene import End, Scene, Sent, Talk, captured, scene_of
from tests.wire import MS, START, Frame, S, ip_frame

CLIENT, RESOLVER, POD = ("10.244.3.7", 40_000), ("10.96.0.10", 53), ("10.242.2.20", 53)
ANSWERED, SILENT = ("ANSWERED", "", "", "NONE"), ("SILENT", "", "", "NONE")


def datagram(source: End, target: End, ms: float, ip_id: int, octets: int = 32) -> Frame:
    udp = dpkt.udp.UDP(sport=source[1], dport=target[1], data=b"q" * octets, ulen=8 + octets)
    return Frame(START + round(ms * MS), ip_frame(source[0], target[0], 17, udp, ip_id=ip_id))


def question(ms: float, number: int, *, client: End = CLIENT, lost: str = "", missed: str = "", ip_id: int | None = None) -> Sent:
    return Sent(datagram(client, RESOLVER, ms, 1000 + number if ip_id is None else ip_id), 0, lost, missed)


def reply(ms: float, number: int, *, client: End = CLIENT, lost: str = "", missed: str = "", ip_id: int | None = None) -> Sent:
    return Sent(datagram(RESOLVER, client, ms, 2000 + number if ip_id is None else ip_id, 48), 1, lost, missed)


def background() -> list[Sent]:
    """A connection that is answered throughout, so that all captures are seen to run."""
    talk = Talk(initiator=(CLIENT[0], 42_000), responder=(RESOLVER[0], 8080))
    talk.handshake(0)
    for ms in (100, 4000, 8000):
        talk.exchange(ms)
    return talk.sent


def told(sent: Sequence[Sent], seen_as: Mapping[str, Mapping[End, End]] | None = None) -> tuple[Scene, list[tuple[str, ...]]]:
    """What is told of the datagrams' conversation."""
    seen = scene_of(captured([*background(), *sent], seen_as=seen_as))
    protocols = seen.alignment.conversations["protocol"].tolist()
    return seen, [row for number, protocol in enumerate(protocols) if protocol == 17 for row in seen.told(number)]


def lost(hop: str, way: str) -> tuple[str, ...]:
    return ("LOST", hop, way, "NONE")


@pytest.mark.parametrize(
    ("sent", "fates"),
    [
        ([question(1000, 1), reply(1010, 1)], [ANSWERED]),
        ([question(1000, 1), question(1001, 2), reply(1010, 1), reply(1011, 2)], [ANSWERED]),
        ([question(1000, 1), reply(1010, 1), question(1100, 2), reply(1110, 2)], [ANSWERED, ANSWERED]),
        ([question(1000, 1)], [SILENT]),
        ([question(1000, 1, lost="BC"), question(3000, 2), reply(3010, 2)], [ANSWERED]),
        ([question(1000, 1, lost="BC"), question(3000, 2, lost="BC")], [lost("BC", "request")]),
        ([question(1000, 1, lost="BC"), question(3000, 2)], [SILENT]),
        (
            [question(1000, 1), reply(1010, 1, lost="AB"), question(3000, 2), reply(3010, 2, lost="AB")],
            [lost("AB", "response")] * 2,
        ),
        ([question(1000, 1), reply(1010, 1, missed="B")], [ANSWERED]),
        ([question(1000, 1, missed="AB"), reply(1010, 1)], [ANSWERED]),
    ],
    ids=[
        "answered", "two at once", "two turns", "no reply", "asked again", "asked twice", "asked twice, heard once",
        "replies lost", "a reply that B lacks", "a question that A and B lack",
    ],
)  # fmt: skip
@pytest.mark.parametrize("numbered", [True, False], ids=["with identifications", "without"])
def test_the_fate_of_each_turn(sent: list[Sent], fates: list[tuple[str, ...]], numbered: bool) -> None:
    """RFC 6864: an identification may be 0 where a datagram is not to be fragmented; then length and time tell."""
    octets = [bytearray(one.frame.octets) for one in sent]
    for frame in octets:
        if not numbered:
            frame[14 + 4 : 14 + 6] = b"\0\0"
    plain = [replace(one, frame=one.frame._replace(octets=bytes(frame))) for one, frame in zip(sent, octets, strict=True)]
    assert told(plain)[1] == fates


def test_a_copy_that_was_made_up_for_is_counted_on_its_hop() -> None:
    seen, _ = told([question(1000, 1, lost="BC"), question(3000, 2), reply(3010, 2)])
    assert [(hop.near, hop.far, hop.recovered) for hop in seen.localisation.hops if hop.recovered] == [(1, 2, 1)]


@pytest.mark.parametrize(
    "seen_as",
    [{"C": {RESOLVER: POD}}, {"B": {RESOLVER: POD}, "C": {RESOLVER: POD}}],
    ids=["behind B", "behind A"],
)  # fmt: skip
def test_a_service_address_hides_no_datagram(seen_as: Mapping[str, Mapping[End, End]]) -> None:
    sent = []
    for number in range(5):
        client = (CLIENT[0], 50_000 + number)
        sent += [question(1000 + 100 * number, number, client=client), reply(1010 + 100 * number, number, client=client)]
    seen, fates = told(sent, seen_as)
    assert fates == [ANSWERED] * 5
    table = seen.alignment.conversations
    rows = table["protocol"] == 17
    assert (table.flow_of[rows] >= 0).all()
    assert all(Evidence.NUMBERS & flags for flags in table["evidence"][rows].tolist())


def test_a_request_to_where_others_may_have_been_rewritten_leaves_the_verdict_open() -> None:
    """Behind A both ends are others, no clock is joined, and identifications alone join nothing: who lost what is not known."""
    clients = [(CLIENT[0], 50_000 + number) for number in range(5)]
    sent = [question(100 * n, n, client=client, lost="AB" * (n == 4)) for n, client in enumerate(clients)]
    sent += [reply(100 * n + 10, n, client=client) for n, client in enumerate(clients[:4])]
    behind = {RESOLVER: POD} | {client: ("10.118.201.53", 20_000 + n) for n, client in enumerate(clients)}
    seen = scene_of(captured(sent, seen_as={"B": behind, "C": behind}))
    assert len(seen.alignment.candidates) > 0
    assert seen.localisation.losses == ()
    assert seen.localisation.verdict == "undecided"


def test_what_is_sent_to_many_is_no_request() -> None:
    """Multicast passes where it was asked for: that a point lacks it is no loss."""
    group = ("239.255.255.250", 1900)
    other = Sent(datagram(("10.244.3.9", 50_000), group, 500, 7), 0)
    mine = Sent(datagram(CLIENT, group, 1000, 8), 0, "AB")
    seen, fates = told([other, mine])
    assert fates == []
    assert seen.localisation.verdict == "no_loss"


def test_clocks_are_told_by_datagrams_alone() -> None:
    sent = []
    for number in range(10):
        sent += [question(100 * number, number), reply(100 * number + 10, number)]
    frames = captured(sent, offsets={"C": 7 * 3600 * S})
    seen = scene_of(frames)
    assert abs(seen.alignment.clocks[2].offset_ns - 7 * 3600 * S) <= (seen.alignment.clocks[2].uncertainty_ns or 0)
    assert {row[0] for row in seen.told()} == {"ANSWERED"}


def fragmented(frame: Frame, size: int = 1480) -> list[Frame]:
    """A datagram in IPv4 fragments of `size` octets."""
    header, payload = frame.octets[14:34], frame.octets[34:]
    found = []
    for at in range(0, len(payload), size):
        flags = (0x2000 if at + size < len(payload) else 0) | at // 8
        piece = payload[at : at + size]
        total = (20 + len(piece)).to_bytes(2)
        ip = header[:2] + total + header[4:6] + flags.to_bytes(2) + header[8:10] + bytes(2) + header[12:]
        found.append(Frame(frame.time_ns + at, frame.octets[:14] + ip + piece))
    return found


def large_replies(first_alone: set[int], *, filtered: str = "") -> list[tuple[str, ...]]:
    """What is told of questions with large replies, of which A has some in their first fragment alone; `filtered` points all."""
    sent = [question(1000 + 100 * i, i, client=(CLIENT[0], 40_000 + i)) for i in range(12)]
    large = {i: datagram(RESOLVER, (CLIENT[0], 40_000 + i), 1010 + 100 * i, 2000 + i, 3000) for i in range(12)}
    frames = captured([*background(), *sent])
    for place, name in enumerate("CBA"):
        for i, reply in large.items():
            pieces = fragmented(reply.at(reply.time_ns + place * MS))
            frames[name] += pieces[:1] if name in filtered or (name == "A" and i in first_alone) else pieces
        frames[name].sort(key=lambda frame: frame.time_ns)
    seen = scene_of(frames)
    return [row for number in range(1, 13) for row in seen.told(number)]


def test_a_datagram_of_which_a_fragment_is_lost_has_not_arrived() -> None:
    """As where a firewall drops what has no ports; of 12 replies half are so."""
    told = large_replies({0, 2, 4, 6, 8, 10})
    assert told == [lost("AB", "response"), ANSWERED] * 6


def test_a_capture_with_a_filter_by_port_has_first_fragments_alone() -> None:
    assert large_replies(set(range(12)), filtered="ABC") == [ANSWERED] * 12
    assert large_replies(set(range(12)), filtered="A") == [ANSWERED] * 12


def test_of_many_questions_whose_replies_arrive_a_few_lose_theirs() -> None:
    """Nothing acknowledges a datagram: that most replies arrived, and nobody asked again, says that the capture misses little."""
    sent = []
    for i in range(40):
        client = (CLIENT[0], 40_000 + i)
        sent += [
            question(1000 + 100 * i, i, client=client),
            reply(1010 + 100 * i, i, client=client, lost="AB" if i in (7, 19) else ""),
        ]
    told_of = told(sent)[1]
    assert [i for i, row in enumerate(told_of) if row == lost("AB", "response")] == [7, 19]
    assert told_of.count(ANSWERED) == 38
