"""What the kernel reads of connections that were captured whole is what the reader of all connections finds in them."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.exchanges import pair_exchanges
from mixcni.exchanges.http1 import read_http1
from mixcni.exchanges.kernel import HEAD_FIELDS, ODD, code_spans, pair_whole
from mixcni.exchanges.reading import _with_packets, choose_segments
from mixcni.exchanges.recognise import recognise
from mixcni.exchanges.streams import Segment, Stream
from mixcni.exchanges.tables import TEXTS
from mixcni.exchanges.whole import SPANS, CarrierArrays, MessageArrays, StreamArrays, read_whole
from mixcni.flows import FlowTable
from mixcni.kernels.hashing import empty_slots
from mixcni.kernels.jit import run
from tests.cases import CAPTURES
from tests.exchanges.streams import flows_of, talk_of
from tests.exchanges.test_http1 import (
    CHUNKED,
    CHUNKED_POST,
    CONNECT,
    CONTINUE,
    GET,
    HEAD,
    HINTS,
    NO_CONTENT,
    NOT_MODIFIED,
    OK,
    OK_OF_HEAD,
    POST,
    SWITCHING,
    UNTIL_CLOSE,
    UPGRADE,
)
from tests.kernels.forms import NEEDS_COMPILER, TWO_FORMS, in_form
from tests.wire import Frame

FIELDS = b"GET /a?b=c HTTP/1.1\r\nhost :  shop \t\r\nX-Request-ID: 7\r\nTraceParent:00-1-2-01\r\nContent-Length: 0\r\n\r\n"
SAID_TWICE = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
CHUNKED_OK = (
    b"HTTP/1.1 200 OK\r\nX-Request-Id: r\r\nTransfer-Encoding: Chunked\r\n\r\n4 \r\nWiki\r\n0a;x=1\r\n0123456789\r\n0\r\n\r\n"
)
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno"
BARE_FEEDS = GET.replace(b"\r\n", b"\n")
REQUESTS = [GET, GET, HEAD, POST, FIELDS, CHUNKED_POST, b"\r\n" + GET, SAID_TWICE, CONNECT, UPGRADE, BARE_FEEDS]
RESPONSES = [
    OK,
    OK,
    OK_OF_HEAD,
    NO_CONTENT,
    NOT_MODIFIED,
    CONTINUE,
    HINTS,
    CHUNKED_OK,
    CHUNKED,
    UNAVAILABLE,
    UNTIL_CLOSE,
    SWITCHING,
]
USUAL = [
    ([GET], [OK]),
    ([GET, POST, FIELDS], [OK, CHUNKED_OK, UNAVAILABLE]),
    ([HEAD, GET], [OK_OF_HEAD, OK]),
    ([GET, GET, GET], [NO_CONTENT, NOT_MODIFIED, OK]),
    ([CHUNKED_POST, b"\r\n" + GET], [CONTINUE, HINTS, OK, UNTIL_CLOSE]),
    ([GET, POST], []),
    ([POST[:-2]], [OK[:-5]]),
]
SAID = ("request_packet", "response_packet", "status", "interim", *TEXTS)
Message = tuple[Any, ...]
Connection = tuple[list[Segment], list[Segment]]


def connection(forward: bytes, reverse: bytes, cuts: Sequence[float] = (), acknowledged: Sequence[int] = ()) -> Connection:
    """Both directions in segments cut at these shares of their octets; those of the responder acknowledge so much, in turn."""
    sides: list[list[Segment]] = []
    packet = itertools.count(1)
    for octets in (forward, reverse):
        bounds = sorted({0, len(octets), *(int(share * len(octets)) for share in cuts)})
        acks = itertools.cycle(acknowledged or [1 + len(forward)])
        spans = itertools.pairwise(bounds)
        sides.append([Segment(1 + a, 1 + b, octets[a:b], next(packet), next(acks) if sides else 1) for a, b in spans])
    return sides[0], sides[1]


def by_reader(forward: list[Segment], reverse: list[Segment]) -> tuple[list[Message], tuple[int, int]]:
    streams = Stream(forward), Stream(reverse)
    reading = _with_packets(read_http1(*streams), streams)
    messages = [(*one.request, *one.response, *(getattr(one, name) for name in SAID)) for one in reading.exchanges]
    return messages, (reading.requests, reading.responses)


def by_kernel(connections: Sequence[Connection], room: int = 64) -> list[tuple[list[Message], tuple[int, int]] | None]:
    """What the kernel finds in each connection; None in an odd one."""
    segments = [segment for both in connections for side in both for segment in side]
    octets = np.frombuffer(b"".join(segment.octets for segment in segments), dtype=np.uint8)
    sizes = np.array([len(segment.octets) for segment in segments], dtype=np.int64)
    first = np.cumsum([0, *(len(side) for both in connections for side in both)])
    bounds = np.append(0, np.cumsum(sizes))
    streams = StreamArrays(bounds[first[:-1]], bounds[first[1:]], first)
    packets, acks = (np.array([getattr(one, name) for one in segments], dtype=np.int64) for name in ("packet", "acknowledged"))
    carriers = CarrierArrays(bounds[:-1], packets, acks)
    counts = np.zeros(2 * len(connections), dtype=np.int64)
    found: list[list[Message]] = [[] for _ in connections]
    flow = 0
    while flow < len(connections):
        out = MessageArrays.room(room)
        head = np.zeros(HEAD_FIELDS, dtype=np.int64)
        reached, rows = run(pair_whole, 0, octets, streams, carriers, flow, head, out, counts)
        room *= 2 if reached == flow else 1
        flow = reached
        names = [name for name in MessageArrays._fields if name not in ("flow", "texts")]
        for row in range(rows):
            spans = out.texts[SPANS * row : SPANS * (row + 1)].reshape(-1, 2).tolist()
            texts = tuple(octets[at : at + size].tobytes().decode("latin-1") for at, size in spans)
            found[out.flow[row]].append((*(int(getattr(out, name)[row]) for name in names), *texts))
    told = [(int(a), int(b)) for a, b in counts.reshape(-1, 2)]
    return [None if count[0] == ODD else (messages, count) for messages, count in zip(found, told, strict=True)]


def ordered(messages: list[Message]) -> list[Message]:
    """As the reader orders them: by the request, then by the response."""
    return sorted(messages, key=lambda message: (message[0], message[2]))


pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize("cuts", [(), (0.5,), (0.1, 0.2, 0.9)])
def test_usual_connections_are_read_and_alike(form: str, cuts: tuple[float, ...]) -> None:
    connections = [connection(b"".join(requests), b"".join(responses), cuts) for requests, responses in USUAL]
    with in_form(form):
        found = by_kernel(connections, room=1)
    for both, one in zip(connections, found, strict=True):
        assert one is not None
        assert (ordered(one[0]), one[1]) == by_reader(*both)


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize(
    ("requests", "responses"),
    [
        ([SAID_TWICE], [OK]),
        ([CONNECT], [OK]),
        ([UPGRADE], [SWITCHING]),
        ([GET], [CHUNKED]),
        ([GET], [OK, OK]),
        ([GET[:-2]], []),
        ([GET], [b"SSH-2.0-x\r\n"]),
        ([b"GET /\r\n"], [b"as it was in 1991"]),
        ([GET.replace(b"HTTP/1.1", b"HTTP/2.0")], []),
    ],
)
def test_odd_connections_are_left_to_the_reader(form: str, requests: list[bytes], responses: list[bytes]) -> None:
    usual = connection(GET, OK)
    with in_form(form):
        found = by_kernel([usual, connection(b"".join(requests), b"".join(responses)), usual])
    assert found == [by_reader(*usual), None, by_reader(*usual)]


@pytest.mark.parametrize("form", TWO_FORMS)
@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_read_is_what_the_reader_finds(form: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.floats(0, 1), max_size=5))
    sides = [b"".join(data.draw(st.lists(st.sampled_from(pool), max_size=4))) for pool in (REQUESTS, RESPONSES)]
    for side in (0, 1):  # an octet here and there may be another
        for at, octet in data.draw(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(b" \t\r\n:;0AHk")), max_size=2)):
            sides[side] = sides[side][:at] + bytes([octet]) + sides[side][at + 1 :]
    acks = data.draw(st.lists(st.integers(-1, len(sides[0]) + 2), max_size=4))
    both = connection(sides[0], sides[1], cuts, acks)
    with in_form(form):
        found = by_kernel([both])[0]
    if found is not None:
        assert (ordered(found[0]), found[1]) == by_reader(*both)


@pytest.mark.parametrize("form", TWO_FORMS)
@given(texts=st.lists(st.sampled_from([b"", b"a", b"ab", b"abcd", b"abce", b"abcdefgh", b"abcdefgi"]), max_size=30))
@settings(deadline=None)
def test_each_different_text_has_one_code(form: str, texts: list[bytes]) -> None:
    octets = np.frombuffer(b"".join(texts), dtype=np.uint8)
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    spans = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).ravel()
    first, codes = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.int32)
    with in_form(form):
        count = run(code_spans, 0, octets, spans, empty_slots(64), first, codes)
    different = list(dict.fromkeys(texts))
    assert [texts[row] for row in first[:count]] == different
    assert codes.tolist() == [different.index(text) for text in texts]


def mixed(path: Path) -> FlowTable:
    """A capture of connections that are whole, and of such as are not: cut, repeated, out of order, switched."""
    frames: list[Frame] = []
    for number, (requests, responses) in enumerate(USUAL * 2):
        turns = itertools.zip_longest(requests, responses, fillvalue=b"")
        talk = talk_of(
            [side for pair in turns for side in enumerate(pair)],
            size=40 + 100 * (number % 3),
            initiator=("10.244.3.7", 41_000 + number),
        )
        if number % 4 == 3:
            talk.insert(6, talk[5].at(talk[5].time_ns + 1))  # sent again
        if number % 4 == 2 and len(talk) > 8:
            talk[4:6] = talk[5].at(talk[4].time_ns), talk[4].at(talk[5].time_ns)  # and out of order
        frames.extend(talk)
    frames.extend(talk_of([(0, UPGRADE), (1, SWITCHING + b"\x81\x00")], initiator=("10.244.3.7", 42_000)))
    return flows_of(path, sorted(frames, key=lambda frame: frame.time_ns))


@NEEDS_COMPILER
@pytest.mark.parametrize("capture", ["mixed", "networkpolicy-drop/C.pcap", "policy-removed/C.pcap"])
def test_the_table_is_the_same_with_machine_code_and_without(capture: str, tmp_path: Path) -> None:
    flows = mixed(tmp_path / "a.pcap") if capture == "mixed" else _flows_in(CAPTURES / capture)
    with in_form("plain"):
        wanted = pair_exchanges(flows)
    with in_form("compiled"):
        found = pair_exchanges(flows)
        protocol = recognise(flows)
        counts = read_whole(flows, protocol, choose_segments(flows, protocol), {"": 0}).counts
    read = (counts[:, 0] != ODD).sum()
    assert read > 0
    assert capture != "mixed" or read < len(flows)
    for name in wanted:
        assert np.array_equal(found[name], wanted[name])
    assert found.details.to_frame().equals(wanted.details.to_frame())
    assert found.http is not None
    assert wanted.http is not None
    assert np.array_equal(found.http, wanted.http)


def _flows_in(path: Path) -> FlowTable:
    from mixcni.decode import decode_packets
    from mixcni.flows import track_flows
    from mixcni.read import CaptureFile

    return track_flows(decode_packets([CaptureFile(path)]))
