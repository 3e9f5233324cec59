"""HTTP/2 and gRPC: streams written by hyperframe and hpack, from their beginning, from the midst, and around holes."""

import subprocess
from typing import Any

import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.exchanges.frames import Blocks
from mixcni.exchanges.http2 import read_http2
from mixcni.exchanges.messages import Found
from mixcni.exchanges.streams import Stream
from mixcni.schema import ExchangeKind
from tests.exchanges import h2
from tests.exchanges.streams import deliveries, exchanges_of, stream_of, talk_of, whole
from tests.wire import write_pcap


def conversation() -> tuple[bytes, bytes]:
    """Two streams at once, the second answered first; a gRPC call with trailers; one that is refused."""
    client, server = h2.Speaker(), h2.Speaker()
    forward = h2.PREFACE + h2.settings()
    forward += client.request(1, "/a", x_request_id="r1") + h2.noise() + client.request(3, "/b")
    forward += client.request(5, "/shop.Cart/Add", grpc=True, end=False) + h2.data(5, b"\0\0\0\0\2hi", end=True)
    forward += client.request(7, "/d")
    reverse = h2.settings() + h2.settings(ack=True)
    reverse += server.headers(1, [(":status", "103"), ("link", "</s.css>")])
    reverse += server.headers(3, [(":status", "404"), ("server", "x")], end=True)
    reverse += server.headers(1, [(":status", "200"), ("server", "x")], cut=1) + h2.data(1, bytes(3000)) + h2.noise()
    reverse += h2.data(1, b"end", end=True)
    reverse += server.headers(5, [(":status", "200"), ("content-type", "application/grpc")]) + h2.data(5, b"\0\0\0\0\0")
    reverse += server.headers(5, [("grpc-status", "14"), ("grpc-message", "no")], end=True) + h2.reset(7)
    return forward, reverse


def read(forward: Stream, reverse: Stream) -> list[Found]:
    return read_http2(forward, reverse, (forward.first, reverse.first)).exchanges


def test_each_stream_is_an_exchange():
    forward, reverse = conversation()
    found = {one.identifier: one for one in read(whole(forward), whole(reverse))}
    assert list(found) == [1, 3, 5, 7]
    assert [(one.target, one.status, one.grpc_status) for one in found.values()] == [
        ("/a", 200, -1), ("/b", 404, -1), ("/shop.Cart/Add", 200, 14), ("/d", -1, -1),
    ]  # fmt: skip
    assert [one.kind for one in found.values()] == [ExchangeKind.HTTP2] * 2 + [ExchangeKind.GRPC, ExchangeKind.HTTP2]
    assert (found[1].request_id, found[1].host, found[1].interim, found[1].method) == ("r1", "shop", 1, "GET")
    begin, end = found[1].response
    assert reverse[end - 4 : end - 1] == b"end"
    assert reverse[begin - 1 :].startswith(
        b"\0\0\1\1\0\0\0\0\1"
    )  # the HEADERS frame of the final response, one octet of its block
    assert found[7].response[1] == 1 + len(reverse)


@settings(max_examples=40)
@given(st.data())
def test_cuts_order_repetitions_and_overlaps_change_no_stream(data: Any):
    forward, reverse = conversation()
    expected = read(whole(forward), whole(reverse))
    assert read(stream_of(*data.draw(deliveries(forward))), stream_of(*data.draw(deliveries(reverse)))) == expected


def test_from_the_midst_streams_are_paired_and_fields_known_as_far_as_they_can_be():
    """The static table and what was put into the dynamic one since are known (RFC 7541 section 2.3)."""
    client, server = h2.Speaker(), h2.Speaker()
    client.request(1, "/old", x_request_id="before")
    forward = client.request(3, "/new", x_request_id="before", traceparent="00-a") + client.request(5, "/new", traceparent="00-a")
    server.headers(1, [(":status", "200"), ("server", "x")])
    reverse = server.headers(3, [(":status", "200"), ("server", "x")], end=True) + server.headers(
        5, [(":status", "200")], end=True
    )
    found = read(whole(forward), whole(reverse))
    assert [(one.identifier, one.method, one.target, one.request_id, one.traceparent, one.status) for one in found] == [
        (3, "GET", "/new", "", "00-a", 200),
        (5, "GET", "/new", "", "00-a", 200),
    ]


def test_behind_a_hole_frames_are_found_again_and_no_field_is_wrong():
    client = h2.Speaker()
    first = h2.PREFACE + client.request(1, "/one", x_request_id="a")
    lost = client.request(3, "/two")
    last = client.request(5, "/two") + client.request(7, "/seven")
    forward = stream_of((1, first), (1 + len(first + lost), last))
    found = read(forward, whole(b""))
    assert [one.identifier for one in found] == [1, 5, 7]
    assert [one.target for one in found] == ["/one", "", "/seven"]  # `/two` is in the part that was lost
    assert [one.request_id for one in found] == ["a", "", ""]  # which stood where `/two` stands now


def test_content_that_was_not_captured_is_skipped():
    forward, reverse = conversation()
    cut = reverse.index(bytes(3000))
    parts = (1, reverse[: cut + 10]), (1 + cut + 3000, reverse[cut + 3000 :])
    assert read(whole(forward), stream_of(*parts)) == read(whole(forward), whole(reverse))


def test_an_upgrade_makes_the_request_stream_1(tmp_path):
    """RFC 7540 section 3.2."""
    ask = b"GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    agreed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    client, server = h2.Speaker(), h2.Speaker()
    answer = agreed + h2.settings() + server.headers(1, [(":status", "200")], end=True)
    later = h2.PREFACE + h2.settings() + client.request(3, "/second")
    turns = [(0, ask), (1, answer), (0, later), (1, server.headers(3, [(":status", "204")], end=True))]
    frame = exchanges_of(tmp_path / "h2c.pcap", talk_of(turns)).to_frame()
    assert frame["kind"].tolist() == ["handshake", "http1", "http2"]
    assert frame["target"].tolist()[1:] == ["/first", "/second"]
    assert frame["status"].tolist()[1:] == [200, 204]
    assert frame["response_start"][1] == 1 + len(agreed + h2.settings())


def test_blocks_that_cannot_be_decoded_have_no_fields():
    blocks = Blocks()
    assert blocks.decode(b"\xff\xff\xff\xff\xff\xff\xff\xff") == {}
    assert blocks.decode(b"\x82") == {b":method": b"GET"}  # RFC 7541 section C.2.4
    assert blocks.decode(b"\xbe") == {}  # an entry of a dynamic table that is not known


def test_a_flood_of_continuations_ends_no_reading():
    """Of a header block in more frames than any sender uses nothing is told, and what follows is read."""
    flood = h2.serialized(HeadersFrame(1, data=b"\x82"), *(ContinuationFrame(1, data=b"\x82") for _ in range(300)))
    client = h2.Speaker()
    found = read(whole(h2.PREFACE + flood + client.request(3, "/after")), whole(b""))
    assert [(one.identifier, one.target) for one in found] == [(1, ""), (3, "/after")]


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_are_read_to_their_end(octets, begun):
    assert read(whole((h2.PREFACE if begun else b"") + octets), whole(octets)) is not None


@pytest.mark.tshark
def test_streams_and_fields_are_tsharks(tmp_path):
    forward, reverse = conversation()
    path = write_pcap(tmp_path / "h2.pcap", talk_of([(0, forward), (1, reverse)], responder=("10.242.2.149", 50_051)))
    fields = ("http2.headers.path", "http2.headers.status", "http2.streamid")
    wanted = [argument for field in fields for argument in ("-e", field)]
    command = ["tshark", "-r", str(path), "-d", "tcp.port==50051,http2", "-Y", "http2", "-T", "fields", *wanted]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    paths, statuses, streams = ([value for line in lines for value in line.split("\t")[i].split(",") if value] for i in range(3))
    ours = read(whole(forward), whole(reverse))
    assert paths == [one.target for one in ours]
    assert sorted(statuses) == sorted(["103", *(str(one.status) for one in ours if one.status > 0)])
    assert {int(stream) for stream in streams} == {0, *(one.identifier for one in ours)}
    found = exchanges_of(path, talk_of([(0, forward), (1, reverse)], responder=("10.242.2.149", 50_051))).to_frame()
    assert found["kind"].tolist() == ["handshake", "http2", "http2", "grpc", "http2"]
