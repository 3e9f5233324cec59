"""HTTP/1 messages: worked examples of RFC 9112 and RFC 9110, holes and cuts, and any delivery of the same octets."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.exchanges.http1 import read_http1
from mixcni.exchanges.messages import Reading
from mixcni.exchanges.streams import Segment, Stream
from tests.exchanges.streams import deliveries, stream_of, whole

GET = b"GET /hello.txt HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
HEAD = b"HEAD /hello.txt HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
POST = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
CONNECT = b"CONNECT server.example.com:80 HTTP/1.1\r\nHost: server.example.com\r\n\r\n"  # RFC 9110 section 9.3.6
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello World!"
OK_OF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nall that comes"
CHUNKED = (  # RFC 9112 section 7.1: sizes in hexadecimal, extensions, a trailer section
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n"
    b"4\r\nWiki\r\nB;name=value\r\npedia in \r\n\r\n00\r\nExpires: never\r\n\r\n"
)
CHUNKED_POST = b"POST /up HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
Told = list[tuple[str, int, tuple[int, int], tuple[int, int]]]


def told(reading: Reading) -> Told:
    return [(found.method, found.status, found.request, found.response) for found in reading.exchanges]


def spans(*parts: bytes) -> list[tuple[int, int]]:
    """Where each part stands when one follows the other from offset 1 on."""
    found, at = [], 1
    for part in parts:
        found.append((at, at + len(part)))
        at += len(part)
    return found


@pytest.mark.parametrize(
    ("requests", "responses"),
    [
        pytest.param([GET], [OK], id="RFC 9112 section 2.1"),
        pytest.param([GET, POST, GET], [OK, CHUNKED, OK], id="keep-alive or pipelined"),
        pytest.param([HEAD, GET], [OK_OF_HEAD, OK], id="HEAD has no content (RFC 9112 6.3, 1)"),
        pytest.param([GET, GET, GET], [NO_CONTENT, NOT_MODIFIED, OK], id="204 and 304 have none"),
        pytest.param([CHUNKED_POST, GET], [OK, UNTIL_CLOSE], id="chunked request, response until close (8)"),
        pytest.param([POST, b"\r\n" + GET], [OK, OK], id="empty line before a request line (RFC 9112 2.2)"),
        pytest.param([GET.replace(b"\r\n", b"\n")], [OK.replace(b"\r\n", b"\n")], id="bare line feeds (RFC 9112 2.2)"),
        pytest.param([b"M-SEARCH * HTTP/1.1\r\n\r\n"], [OK], id="a method of no RFC 9110"),
    ],
)
def test_messages_are_cut_by_their_framing(requests, responses):
    reading = read_http1(whole(b"".join(requests)), whole(b"".join(responses)))
    asked, answered = spans(*requests), spans(*responses)
    asked = [(a + len(r) - len(r.lstrip(b"\r\n")), b) for (a, b), r in zip(asked, requests, strict=True)]
    assert [found.request for found in reading.exchanges] == asked
    assert [found.response for found in reading.exchanges] == answered
    assert (reading.requests, reading.responses) == (len(requests), len(responses))
    assert [found.method for found in reading.exchanges] == [r.split()[0].decode() for r in requests]
    assert [found.status for found in reading.exchanges] == [int(r.split()[1]) for r in responses]


def test_fields_of_a_request_are_told():
    request = (
        b"GET /a?b=c HTTP/1.1\r\nHOST:  shop \r\nX-Request-Id: 6c2d\r\n"
        b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"
    )
    (found,) = read_http1(whole(request), whole(OK)).exchanges
    assert (found.target, found.host, found.request_id) == ("/a?b=c", "shop", "6c2d")
    assert found.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_interim_responses_are_counted_and_are_no_answer():
    reading = read_http1(whole(POST), whole(CONTINUE + HINTS + OK))
    assert told(reading) == [("POST", 200, (1, 1 + len(POST)), spans(CONTINUE, HINTS, OK)[2])]
    assert reading.exchanges[0].interim == 2
    assert reading.responses == 3
    waiting = read_http1(whole(POST), whole(CONTINUE)).exchanges[0]
    assert (waiting.status, waiting.interim, waiting.response) == (-1, 1, (1 + len(CONTINUE), 1 + len(CONTINUE)))


@pytest.mark.parametrize(
    ("request_octets", "response", "upgrade"),
    [(UPGRADE, SWITCHING, "websocket"), (CONNECT, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "")],
)
def test_what_follows_an_upgrade_or_a_tunnel_is_no_message(request_octets, response, upgrade):
    """Content-Length of a 2xx response to CONNECT is ignored (RFC 9110 section 9.3.6)."""
    reading = read_http1(whole(request_octets + GET), whole(response + OK))
    assert len(reading.exchanges) == reading.requests == reading.responses == 1
    assert reading.beyond == (1 + len(request_octets), 1 + len(response))
    assert reading.upgrade == upgrade


def test_a_refused_tunnel_goes_on_as_http():
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno"
    reading = read_http1(whole(CONNECT + GET), whole(refused + OK))
    assert [found.status for found in reading.exchanges] == [407, 200]
    assert reading.beyond is None


def test_requests_without_responses_stand_in_order():
    reading = read_http1(whole(GET + POST + GET), whole(OK))
    end = 1 + len(OK)
    assert [(found.status, found.response) for found in reading.exchanges] == [
        (200, (1, end)),
        (-1, (end, end)),
        (-1, (end, end)),
    ]


def test_content_is_skipped_where_it_was_not_captured():
    """The snap length leaves the heads alone: by Content-Length the next message is found inside a segment."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
    first, rest = large + bytes(1000), bytes(2000) + OK
    reverse = Stream(
        [
            Segment(1, 1 + len(first), first[:60], 0, 10**6),
            Segment(1 + len(first), 1 + len(first) + 2000, b"", 1, 10**6),
            Segment(1 + len(first) + 2000, 1 + len(first) + len(rest), OK, 2, 10**6),
        ]
    )
    reading = read_http1(whole(GET + GET), reverse)
    assert [found.response for found in reading.exchanges] == spans(large + bytes(3000), OK)


def test_a_head_cut_by_the_snap_length_ends_where_the_next_message_begins():
    reverse = stream_of((1, OK), (1 + len(OK), CHUNKED), captured=30)
    forward = stream_of((1, GET), (1 + len(GET), POST), captured=18)
    reading = read_http1(forward, reverse)
    assert [found.request for found in reading.exchanges] == spans(GET, POST)
    assert [found.response for found in reading.exchanges] == spans(OK, CHUNKED)
    assert [found.status for found in reading.exchanges] == [200, 200]


@pytest.mark.parametrize(("captured", "status"), [(4, -1), (7, -1), (8, -1), (9, -1), (11, -1), (12, 200), (14, 200)])
def test_a_status_line_cut_by_the_snap_length_is_a_response(captured, status):
    """Of 96 octets the headers of IPv6 and TCP with timestamps leave ten."""
    reverse = stream_of((1, OK), (1 + len(OK), CHUNKED), captured=captured)
    reading = read_http1(whole(GET + POST), reverse)
    assert [found.response for found in reading.exchanges] == spans(OK, CHUNKED)
    assert [found.status for found in reading.exchanges] == [status, status]


def test_a_status_line_that_ends_with_its_stream_is_not_there_yet():
    assert [found.status for found in read_http1(whole(GET), whole(b"HTTP/1.1 200 O")).exchanges] == [-1]
    assert read_http1(whole(GET), whole(b"HTTP/1.1 200 O")).responses == 0


def after(offset: int, octets: bytes, packet: int, acknowledged: int) -> Segment:
    return Segment(offset, offset + len(octets), octets, packet, acknowledged)


def test_behind_a_hole_in_the_responses_the_right_request_is_answered():
    """The first of three responses was not captured; what the others acknowledge tells whose they are."""
    length, size = len(GET), len(OK)
    reverse = Stream([after(1 + size, OK, 1, 1 + 2 * length), after(1 + 2 * size, OK, 2, 1 + 3 * length)])
    assert [f.status for f in read_http1(whole(GET * 3), reverse).exchanges] == [-1, 200, 200]


@pytest.mark.parametrize("fin", [0, 1])
def test_behind_a_hole_the_last_request_seen_is_not_taken_for_a_later_one(fin):
    """The first response and the second request were not captured; a FIN that is acknowledged is no request."""
    length, size = len(GET), len(OK)
    reading = read_http1(whole(GET), Stream([after(1 + size, OK, 1, 1 + 2 * length)]))
    assert [(f.method, f.status, f.is_missed) for f in reading.exchanges] == [("GET", -1, True), ("", 200, False)]
    reading = read_http1(whole(GET), Stream([after(1 + size, OK, 1, 1 + length + fin)]))
    assert [(f.method, f.status) for f in reading.exchanges] == [("GET", 200)]


def test_behind_a_hole_in_the_requests_the_right_response_is_taken():
    """The second of three requests was not captured."""
    length, size = len(GET), len(OK)
    reverse = Stream([after(1 + i * size, OK, i, 1 + (i + 1) * length) for i in range(3)])
    reading = read_http1(stream_of((1, GET), (1 + 2 * length, GET)), reverse)
    assert [(f.method, f.request[0], f.response[0]) for f in reading.exchanges] == [
        ("GET", 1, 1),
        ("", 1 + 2 * length, 1 + size),
        ("GET", 1 + 2 * length, 1 + 2 * size),
    ]


def test_from_the_midst_of_content_reading_begins_with_the_next_message():
    middle = b"rest of content that is no message"
    reverse = Stream([after(501, middle, 0, 900), after(501 + len(middle), OK, 1, 901 + len(GET))])
    reading = read_http1(Stream([after(901, GET, 2, 500)]), reverse)
    assert told(reading) == [("GET", 200, (901, 901 + len(GET)), (501 + len(middle), 501 + len(middle) + len(OK)))]


def test_a_response_to_a_head_that_was_not_seen_has_no_content():
    reverse = Stream([after(501, OK_OF_HEAD + NO_CONTENT, 1, 901)])
    assert [found.status for found in read_http1(Stream([]), reverse).exchanges] == [200, 204]


def test_a_chunk_size_in_a_hole_loses_the_framing_until_the_next_message():
    cut = CHUNKED.index(b"B;name")
    reverse = stream_of((1, CHUNKED[:cut]), (1 + len(CHUNKED), OK))
    reading = read_http1(whole(GET + GET), reverse)
    assert [found.response for found in reading.exchanges] == spans(CHUNKED, OK)


@pytest.mark.parametrize("junk", [b"\0" * 300, b"GET", b"GET /x HTTP/1.1\r\nHost", b"HTTP/1.1 2", b"5\r\n", b"\r\n" * 40])
def test_octets_that_are_no_message_are_none(junk):
    reading = read_http1(whole(junk), whole(junk))
    assert (reading.requests, reading.responses) == (0, 0)


REQUESTS, RESPONSES = [GET, HEAD, POST, CHUNKED_POST], [OK, NO_CONTENT, CHUNKED, CONTINUE + OK, NOT_MODIFIED]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, bytes]:
    requests = draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4))
    responses = [OK_OF_HEAD if request == HEAD else draw(st.sampled_from(RESPONSES)) for request in requests]
    return b"".join(requests), b"".join(responses)


@settings(max_examples=150)
@given(st.data())
def test_cuts_order_repetitions_and_overlaps_change_no_message(data: Any):
    requests, responses = data.draw(conversations())
    expected = read_http1(whole(requests), whole(responses))
    found = read_http1(stream_of(*data.draw(deliveries(requests))), stream_of(*data.draw(deliveries(responses))))
    assert found == expected


@given(st.data())
def test_what_was_complete_stays_when_the_capture_is_cut(data: Any):
    requests, responses = data.draw(conversations())
    every = read_http1(whole(requests), whole(responses)).exchanges
    asked, answered = data.draw(st.integers(0, len(requests))), data.draw(st.integers(0, len(responses)))
    found = read_http1(whole(requests[:asked]), whole(responses[:answered])).exchanges
    complete = [one for one in every if one.request[1] <= 1 + asked and one.response[1] <= 1 + answered]
    assert found[: len(complete)] == complete


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_octets_are_read_to_their_end(forward, reverse):
    reading = read_http1(whole(GET[:25] + forward), whole(OK[:15] + reverse))
    for found in reading.exchanges:
        assert 0 < found.request[0] <= found.request[1]
        assert 0 < found.response[0] <= found.response[1]
