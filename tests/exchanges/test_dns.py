"""DNS by ID and question, over UDP and TCP: worked exchanges, repetitions, and what is no answer."""

from typing import Any

import dpkt
import pytest

from mixcni.exchanges import ExchangeTable
from mixcni.exchanges.dns import read_message, stream_messages
from tests.exchanges.streams import exchanges_of, stream_of, talk_of
from tests.wire import MS, START, Frame, S, udp_frame

CLIENT, SERVER = ("10.244.3.7", 40_000), ("10.96.0.10", 53)


def dns(identifier: int, name: str, *, kind: int = 1, response: bool = False, code: int = 0) -> bytes:
    """A query, or a response without records."""
    message = dpkt.dns.DNS(id=identifier, qd=[dpkt.dns.DNS.Q(name=name, type=kind, cls=1)], an=[], ns=[], ar=[])
    message.qr, message.rcode, message.rd = int(response), code, 1
    return bytes(message)


def ask(
    identifier: int, name: str, at: int, *, client: tuple[str, int] = CLIENT, server: tuple[str, int] = SERVER, **more: Any
) -> Frame:
    return udp_frame(client, server, dns(identifier, name, **more), time_ns=START + at)


def answer(identifier: int, name: str, at: int, *, client: tuple[str, int] = CLIENT, **more: Any) -> Frame:
    return udp_frame(SERVER, client, dns(identifier, name, response=True, **more), time_ns=START + at)


def rows(table: ExchangeTable) -> list[tuple[str, str, int, int, int]]:
    """(type, name, request packet, response packet, RCODE) of each."""
    frame = table.to_frame()
    names = ("method", "target", "request_packet", "response_packet", "status")
    return list(zip(*(frame[name].tolist() for name in names), strict=True))


def test_queries_are_answered_by_id_and_question(tmp_path):
    """A and AAAA from one port, as the resolver of glibc asks; names are compared without case (RFC 4343)."""
    frames = [
        ask(7, "shop.default.svc", 0), ask(8, "shop.default.svc", 1, kind=28),
        answer(8, "shop.default.svc", 2, kind=28, code=3), answer(7, "SHOP.default.svc", 3),
    ]  # fmt: skip
    assert rows(exchanges_of(tmp_path / "a.pcap", frames)) == [
        ("A", "shop.default.svc", 0, 3, 0),
        ("AAAA", "shop.default.svc", 1, 2, 3),
    ]


def test_an_answer_of_another_id_question_or_port_is_none(tmp_path):
    frames = [ask(7, "a.b", 0), answer(9, "a.b", 1), answer(7, "a.c", 2), answer(7, "a.b", 3, client=("10.244.3.7", 40_001))]
    table = exchanges_of(tmp_path / "a.pcap", frames)
    assert rows(table) == [("A", "a.b", 0, -1, -1)]


@pytest.mark.parametrize("questions", [0, 2])
def test_a_response_that_does_not_repeat_the_question_as_it_was_answers_by_its_id(tmp_path, questions):
    """FORMERR and the like of servers that did not read the query; and of one that repeats it with something behind."""
    whole = dns(7, "a.b", response=True, code=1)
    refusal = whole[:4] + questions.to_bytes(2) + whole[6:] * bool(questions) + bytes(6) * (not questions)
    frames = [ask(7, "a.b", 0), ask(8, "a.c", 1), udp_frame(SERVER, CLIENT, refusal, time_ns=START + 2)]
    assert [row[2:] for row in rows(exchanges_of(tmp_path / "a.pcap", frames))] == [(0, 2, 1), (1, -1, -1)]


def test_a_response_whose_question_was_cut_answers_by_its_id(tmp_path):
    frames = [ask(7, "a.b", 0), answer(7, "a.b", 1)]
    cut = frames[1]._replace(octets=frames[1].octets[: 14 + 20 + 8 + 12])
    assert [row[2:] for row in rows(exchanges_of(tmp_path / "a.pcap", [frames[0], cut]))] == [(0, 1, 0)]


@pytest.mark.parametrize(("port", "count"), [(53, 1), (5300, 0)])
def test_updates_and_notifications_are_messages_on_the_port_of_dns(tmp_path, port, count):
    message = bytearray(dns(7, "zone", kind=6))
    message[2] |= 5 << 3  # RFC 2136 section 2.2: opcode 5
    frames = [
        udp_frame(CLIENT, ("10.96.0.10", port), bytes(message)),
        udp_frame(("10.96.0.10", port), CLIENT, bytes(message[:2]) + b"\xa8\0" + bytes(message[4:])),
    ]
    assert sum(row[2:4] == (0, 1) for row in rows(exchanges_of(tmp_path / "a.pcap", frames)) if row[0]) == count


def test_a_query_sent_again_is_linked_to_the_first_and_the_answer_is_the_firsts(tmp_path):
    frames = [ask(7, "a.b", 0), ask(7, "a.b", 5 * S), answer(7, "a.b", 6 * S), ask(7, "a.b", 7 * S)]
    table = exchanges_of(tmp_path / "a.pcap", frames)
    assert [row[2:4] for row in rows(table)] == [(0, 2), (1, -1), (3, -1)]
    assert table.details["retry_of"].tolist() == [-1, 0, -1]


def test_a_query_from_another_port_after_no_answer_is_a_retry(tmp_path):
    other = ("10.244.3.7", 40_001)
    frames = [ask(7, "a.b", 0), ask(9, "a.b", 5 * S, client=other), answer(9, "a.b", 5 * S + MS, client=other)]
    assert exchanges_of(tmp_path / "a.pcap", frames).details["retry_of"].tolist() == [-1, 0]
    late = [ask(7, "a.b", 0), ask(9, "a.b", 31 * S, client=other)]
    assert exchanges_of(tmp_path / "b.pcap", late).details["retry_of"].tolist() == [-1, -1]


@pytest.mark.parametrize("port", [53, 5353, 1053, 30_000])
def test_dns_is_known_on_any_port(tmp_path, port):
    frames = [ask(7, "a.b", 0, server=("10.96.0.10", port))]
    assert rows(exchanges_of(tmp_path / "a.pcap", frames)) == [("A", "a.b", 0, -1, -1)]


def test_over_tcp_each_message_stands_behind_its_length(tmp_path):
    """RFC 1035 section 4.2.2: two queries in one segment, the lengths of the responses in segments of their own."""

    def framed(octets: bytes) -> bytes:
        return len(octets).to_bytes(2) + octets

    one, two = dns(1, "a.b"), dns(2, "c.d")
    turns = [(0, framed(one) + framed(two))]
    for response in (dns(2, "c.d", response=True), dns(1, "a.b", response=True)):
        turns += [(1, framed(response)[:2]), (1, response)]
    table = exchanges_of(tmp_path / "a.pcap", talk_of(turns, responder=SERVER))
    assert [row[:2] for row in rows(table)[1:]] == [("A", "a.b"), ("A", "c.d")]
    assert table["response_start"].tolist()[1:] == [1 + 2 + len(two), 1]
    assert table["request_end"].tolist()[1:] == [1 + 2 + len(one), 1 + 4 + len(one) + len(two)]


def test_messages_behind_a_hole_are_found_at_the_next_segment():
    one = dns(1, "a.b")
    framed = len(one).to_bytes(2) + one
    messages = stream_messages(stream_of((1, framed[:15]), (100, framed)))
    assert [(message.start, message.name) for message in messages] == [(1, ""), (100, "a.b")]


@pytest.mark.parametrize(
    "octets",
    [b"", dns(1, "a.b")[:11], b"\0" * 12, dns(1, "a.b")[:4] + b"\0\2" + dns(1, "a.b")[6:]],
    ids=["empty", "cut", "no question", "two questions"],
)
def test_what_is_no_message_of_one_question_is_none(octets):
    assert read_message(octets, 1, 1, 0) is None


def test_a_name_that_does_not_end_is_not_told():
    message = read_message(dns(1, "long.name")[:16], 1, 17, 0)
    assert message is not None
    assert (message.name, message.kind) == ("", "")
