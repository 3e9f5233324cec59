"""Flows caught in their midst between two ephemeral ports: who asks is the initiator, whoever was heard first."""

import numpy as np
import pytest

from mixcni.flows import FlowTable, track_flows
from tests.wire import MS, START, Conversation, Frame, decoded, udp_frame

CLIENT, SERVER = ("10.0.0.1", 40_000), ("10.0.0.2", 50_051)
REQUEST, RESPONSE = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CLIENT_HELLO, SERVER_HELLO = b"\x16\3\1\0\x40\1" + bytes(63), b"\x16\3\3\0\x40\2" + bytes(63)
PREFACE, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"
QUERY = b"\0\7\1\0\0\1" + bytes(6) + b"\1a\0\0\1\0\1"
ANSWER = QUERY[:2] + b"\x81\x80" + QUERY[4:]


def midst(*turns: tuple[int, bytes], server: tuple[str, int] = SERVER, syn: bool = False, again: bool = False) -> list[Frame]:
    """Segments of a connection whose handshake was not captured, unless `syn`; `again`: the last one is repeated."""
    talk = Conversation(CLIENT, server)
    frames = talk.handshake()
    for side, payload in turns:
        frames.append(talk.say(side, "PA", payload, time_ns=START + len(frames) * 10 * MS))
    if again:
        frames.append(frames[-1].at(frames[-1].time_ns + 500 * MS))
    frames += talk.close(START + 2000 * MS)[:1]
    return frames if syn else frames[3:]


def flows_of(tmp_path, frames: list[Frame]) -> FlowTable:
    return track_flows(decoded(tmp_path / "A.pcap", frames))


def ends(flows: FlowTable) -> list[tuple[int, int]]:
    return list(zip(flows["initiator_port"].tolist(), flows["responder_port"].tolist(), strict=True))


TOLD = {
    "a response first": [(1, RESPONSE), (0, REQUEST)],
    "a response alone": [(1, RESPONSE)],
    "a request behind octets that tell nothing": [(1, b"the end of a page"), (0, REQUEST)],
    "the server's hello": [(1, SERVER_HELLO), (0, b"\x17\3\3\0\1x")],
    "the client's hello": [(1, b"a banner"), (0, CLIENT_HELLO)],
    "the preface of http/2": [(1, SETTINGS), (0, PREFACE)],
    "a query over tcp": [(1, len(ANSWER).to_bytes(2) + ANSWER), (0, len(QUERY).to_bytes(2) + QUERY)],
}


@pytest.mark.parametrize("turns", TOLD.values(), ids=TOLD.keys())
def test_who_asks_is_the_initiator(tmp_path, turns):
    assert ends(flows_of(tmp_path, midst(*turns))) == [(CLIENT[1], SERVER[1])]


@pytest.mark.parametrize(("first", "last"), [(ANSWER, b"x"), (b"x", QUERY)], ids=["an answer", "a query"])
def test_datagrams_are_turned_by_their_dns_messages(tmp_path, first, last):
    frames = [udp_frame(SERVER, CLIENT, first), udp_frame(CLIENT, SERVER, last, time_ns=START + MS)]
    flows = flows_of(tmp_path, frames)
    assert ends(flows) == [(CLIENT[1], SERVER[1])]
    assert flows["history"].tolist() == [b"^dD"]


UNTOLD = {
    "octets that tell nothing": [(1, b"x"), (0, b"y")],
    "both sides ask": [(1, REQUEST), (0, REQUEST)],
    "records without a hello": [(1, b"\x17\3\3\0\1x"), (0, b"\x17\3\3\0\1x")],
}


@pytest.mark.parametrize("turns", UNTOLD.values(), ids=UNTOLD.keys())
def test_where_payloads_do_not_tell_who_was_heard_first_stays_the_initiator(tmp_path, turns):
    assert ends(flows_of(tmp_path, midst(*turns))) == [(SERVER[1], CLIENT[1])]


def test_a_syn_and_ports_tell_more_than_payloads(tmp_path):
    """A server that asks over a connection which its client opened."""
    assert ends(flows_of(tmp_path, midst((1, REQUEST), (0, RESPONSE), syn=True))) == [(CLIENT[1], SERVER[1])]
    assert ends(flows_of(tmp_path, midst((1, REQUEST), (0, RESPONSE), server=("10.0.0.2", 80)))) == [(CLIENT[1], 80)]


def test_a_turned_flow_is_in_every_column_what_its_ports_would_have_made_it(tmp_path):
    turns = [(1, RESPONSE), (0, REQUEST), (1, RESPONSE), (0, REQUEST)]
    turned, told = (flows_of(tmp_path, midst(*turns, server=server, again=True)) for server in (SERVER, ("10.0.0.2", 80)))
    assert turned["rtt_min_ns_reverse"][0] > 0
    assert turned["retransmission_forward"].tolist() == [1]
    for name in set(turned) - {"responder_port"}:
        assert np.array_equal(turned[name], told[name]), name
    for name in turned.segments:
        assert np.array_equal(turned.segments[name], told.segments[name]), name


def test_a_turned_flow_whose_responder_was_heard_first_has_zeeks_mark_of_that(tmp_path):
    turns = [(0, RESPONSE), (1, REQUEST)]
    flows = flows_of(tmp_path, midst(*turns))
    assert ends(flows) == [(SERVER[1], CLIENT[1])]
    assert flows["history"].tolist() == [b"^dDf"]
    assert flows["closed_by"].tolist() == [1]
