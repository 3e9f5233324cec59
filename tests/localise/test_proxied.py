"""Requests on both sides of a proxy are linked by what they carry, by nesting where that is one to one, and never guessed."""

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.localise import Localisation, link_proxied
from mixcni.schema import ProxyLink
from tests.exchanges import h2
from tests.localise.test_messages import localised
from tests.scene import Sent, captured
from tests.wire import MS, START, Conversation, Frame

CLIENT, PROXY, SERVER, OTHER = "10.0.1.7", "10.0.2.9", "10.0.3.5", "10.0.3.6"
SERVICE = "10.96.0.7"
ID, ID2 = "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f", "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a60"
TRACE = "0af7651916cd43dd8448eb211c80319c"  # W3C Trace Context 3.2, its example
SPANS = "b7ad6b7169203331", "00f067aa0ba902b7"
OK, UNAVAILABLE, NOT_FOUND = (b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status for status in (200, 503, 404))
GONE = 5_000  # ms: longer than any RTO

Told = list[tuple[int, int, str, int]]


def get(target: str = "/cart", host: str = "shop", **fields: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode()


class Call:
    """A connection on one side of the proxy, and what is asked on it; times are ms."""

    def __init__(self, ms: float, source: str, port: int, destination: str, *, dead: bool = False) -> None:
        """`dead` : its SYN gets lost, and those that follow."""
        self.conversation = Conversation((source, port), (destination, 8080), iss=port * 1009, irs=port * 2003)
        at = START + round(ms * MS)
        if dead:
            syn = self.conversation.say(0, "S", time_ns=at)
            self.sent = [Sent(syn.at(at + delay * MS), 0, "BC") for delay in (0, 1000)]
        else:
            self.sent = [Sent(frame, side) for frame, side in zip(self.conversation.handshake(at), (0, 1, 0), strict=True)]

    def say(self, ms: float, side: int, octets: bytes, *, lost: str = "", times: int = 1) -> "Call":
        frame = self.conversation.say(side, "PA" if octets else "A", octets, time_ns=START + round(ms * MS))
        self.sent += [Sent(frame.at(frame.time_ns + i * 400 * MS), side, lost) for i in range(times)]
        return self

    def ask(self, ms: float, request: bytes, answered_ms: float, response: bytes = OK) -> "Call":
        return self.say(ms, 0, request).say(answered_ms, 1, response).say(answered_ms + 1, 0, b"")


def down(ms: float, port: int = 41000, source: str = CLIENT) -> Call:
    return Call(ms, source, port, PROXY)


def up(ms: float, port: int = 51000, destination: str = SERVER, *, dead: bool = False) -> Call:
    return Call(ms, PROXY, port, destination, dead=dead)


def late(ms: float = GONE) -> Call:
    """A connection after all else through the proxy's point, so that every capture ran until then."""
    return Call(ms, CLIENT, 49999, SERVER)


def merged(*parts: Mapping[str, Sequence[Frame]]) -> dict[str, list[Frame]]:
    names = sorted({name for part in parts for name in part})
    return {name: sorted((f for part in parts for f in part.get(name, ())), key=lambda f: f.time_ns) for name in names}


def frames_of(
    downstream: Iterable[Call],
    upstream: Iterable[Call],
    *,
    offsets: Mapping[str, int] | None = None,
    ways: tuple[str, str] = ("AB", "BC"),
    through: Iterable[Call] = (),
) -> dict[str, list[Frame]]:
    """Captures at A, with the client, at B, with the proxy, and at C, with the server.

    ways : the points that see either side; through : connections that all points see
    """
    parts = [
        captured([sent for call in calls for sent in call.sent], way, offsets=offsets)
        for calls, way in ((downstream, ways[0]), (upstream, ways[1]), (through, "ABC"))
    ]
    return merged(*(part for part in parts if any(part.values())))


def located(frames: dict[str, list[Frame]]) -> Localisation:
    """The stages over captures."""
    with tempfile.TemporaryDirectory() as folder:
        return localised(Path(folder), frames)


def told(found: Localisation) -> Told:
    """(client's port, proxy's port, by what, rivals) of each pair."""
    table, fates = link_proxied(found), found.fates
    ports = found.alignment.conversations["initiator_port"][fates["conversation"]]
    return sorted(
        (int(ports[table["downstream"][i]]), int(ports[table["upstream"][i]]),
         ProxyLink(int(table["linked_by"][i])).name, int(table["rivals"][i]))
        for i in range(len(table))
    )  # fmt: skip


def linked(downstream: Iterable[Call], upstream: Iterable[Call], **more: Any) -> Told:
    return told(located(frames_of(downstream, upstream, through=[late()], **more)))


def carried(by: ProxyLink) -> tuple[dict[str, str], dict[str, str]]:
    """What a request carries on either side of the proxy."""
    if by == ProxyLink.REQUEST_ID:
        return {"x_request_id": ID}, {"x_request_id": ID}
    if by == ProxyLink.TRACE:
        return {"traceparent": f"00-{TRACE}-{SPANS[0]}-01"}, {"traceparent": f"00-{TRACE}-{SPANS[1]}-01"}
    return {}, {}


LINKS = (ProxyLink.REQUEST_ID, ProxyLink.TRACE, ProxyLink.NESTING)


@pytest.mark.parametrize("by", LINKS)
def test_a_request_is_linked_with_the_one_that_the_proxy_sent_for_it(by):
    before, after = carried(by)
    found = located(frames_of([down(0).ask(50, get(**before), 90)], [up(52).ask(60, get(**after), 70)], through=[late()]))
    assert told(found) == [(41000, 51000, by.name, 0)]
    table = link_proxied(found)
    assert found.points[table["clock"][0]].name == "B"
    assert table["request_apart_ns"].tolist() == [9 * MS], "the request is a millisecond on its way from A to B"
    assert table["response_apart_ns"].tolist() == [19 * MS], "and the response from C"


@pytest.mark.parametrize("by", LINKS)
def test_every_attempt_of_a_proxy_is_linked(by):
    before, after = carried(by)
    client = down(0).ask(50, get(**before), 190)
    attempts = [
        up(52).ask(60, get(**after), 70, UNAVAILABLE),
        up(100, 51001, OTHER).ask(110, get(**after), 120),
    ]
    assert linked([client], attempts) == [(41000, 51000, by.name, 0), (41000, 51001, by.name, 0)]


def test_grpc_on_streams_of_one_connection_is_linked_stream_by_stream():
    client, proxy, ids = h2.Speaker(), h2.Speaker(), (ID, ID2)
    asked = [client.request(stream, "/shop.Cart/Add", grpc=True, x_request_id=ids[stream // 2]) for stream in (1, 3)]
    sent = [proxy.request(stream, "/shop.Cart/Add", grpc=True, x_request_id=ids[1 - stream // 2]) for stream in (1, 3)]
    downstream = down(0).say(50, 0, h2.PREFACE + h2.settings() + b"".join(asked))
    upstream = up(50).say(60, 0, h2.PREFACE + h2.settings() + b"".join(sent))
    for call, at in ((upstream, 70), (downstream, 90)):
        server = h2.Speaker()
        fields = [(":status", "200"), ("grpc-status", "0")]
        call.say(at, 1, h2.settings() + b"".join(server.headers(stream, fields, end=True) for stream in (1, 3)))
        call.say(at + 1, 0, h2.settings(ack=True))
    found = located(frames_of([downstream], [upstream], through=[late()]))
    table, fates = link_proxied(found), found.fates
    assert table["rivals"].tolist() == [0, 0]
    pairs = zip(fates["number"][table["downstream"]].tolist(), fates["number"][table["upstream"]].tolist(), strict=True)
    assert list(pairs) == [(1, 2), (2, 1)]


def test_a_prefix_that_the_proxy_takes_off_does_not_hide_that_it_is_the_request():
    client = down(0).ask(50, get("/shop/cart?id=1", x_request_id=ID), 90)
    assert linked([client], [up(52).ask(60, get("/cart?id=1", x_request_id=ID), 70)]) == [(41000, 51000, "REQUEST_ID", 0)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(get(x_request_id=ID), get("/reviews", x_request_id=ID), id="a service's own request that hands the id on"),
        pytest.param(get("/shop/cart", x_request_id=ID), get("/", x_request_id=ID), id="the root ends no target"),
        pytest.param(get(x_request_id=ID), get(x_request_id=ID2), id="another id"),
        pytest.param(get(traceparent=f"00-{TRACE}-{SPANS[0]}-01"), get("/b", traceparent=f"00-{TRACE}-{SPANS[1]}-01"),
                     id="another request of the trace"),
        pytest.param(get("/a", traceparent=f"00-{'0' * 32}-{SPANS[0]}-01"),
                     get("/a", "b", traceparent=f"00-{'0' * 32}-{SPANS[0]}-01"),
                     id="no trace has the id zero (W3C Trace Context 3.2.2.3)"),
        pytest.param(get(), get("/b"), id="another target"),
        pytest.param(get(), get(host="b"), id="another host"),
        pytest.param(get(), get().replace(b"GET", b"PUT"), id="another method"),
    ],
)  # fmt: skip
def test_another_request_is_not_linked(before, after):
    assert linked([down(0).ask(50, before, 90)], [up(52).ask(60, after, 70)]) == []


@pytest.mark.parametrize(
    ("sent_ms", "answered_ms", "response"),
    [(45, 70, OK), (60, 95, OK), (100, 110, OK), (60, 70, NOT_FOUND)],
    ids=["sent before", "answered after", "both after", "answered otherwise"],
)
def test_what_is_not_nested_or_answered_otherwise_is_not_linked(sent_ms, answered_ms, response):
    assert linked([down(0).ask(50, get(), 90)], [up(20).ask(sent_ms, get(), answered_ms, response)]) == []


def test_two_equal_requests_at_once_are_listed_and_not_guessed():
    clients = [down(0).ask(50, get(), 90), down(1, 41001).ask(51, get(), 91)]
    attempts = [up(52).ask(60, get(), 70), up(53, 51001).ask(61, get(), 71)]
    every = [(a, b, "NESTING", 1) for a, b in itertools.product((41000, 41001), (51000, 51001))]
    assert linked(clients, attempts) == every


def test_two_equal_requests_at_once_are_told_apart_by_their_ids():
    clients = [down(0).ask(50, get(x_request_id=ID), 90), down(1, 41001).ask(51, get(x_request_id=ID2), 91)]
    attempts = [up(52).ask(60, get(x_request_id=ID2), 70), up(53, 51001).ask(61, get(x_request_id=ID), 71)]
    assert linked(clients, attempts) == [(41000, 51001, "REQUEST_ID", 0), (41001, 51000, "REQUEST_ID", 0)]


def test_two_answered_requests_within_one_are_not_both_its_own():
    """The proxy tries again only what failed: the other belongs to a request that no capture has."""
    attempts = [up(52).ask(60, get(), 70), up(53, 51001).ask(75, get(), 80)]
    assert linked([down(0).ask(50, get(), 90)], attempts) == [(41000, 51000, "NESTING", 1), (41000, 51001, "NESTING", 1)]


def test_the_second_try_of_a_client_is_no_request_of_a_proxy():
    """With the same id, and while the first still waits: it is sent to the same server, side by side with it."""
    calls = [down(0).ask(50, get(x_request_id=ID), 190), down(51, 41001).ask(60, get(x_request_id=ID), 90)]
    assert linked(calls, []) == []


def test_of_two_proxies_in_a_row_each_is_linked_to_the_next():
    inner = Call(54, SERVER, 52000, OTHER).ask(62, get(x_request_id=ID), 66)
    frames = merged(
        frames_of([down(0).ask(50, get(x_request_id=ID), 90)], [up(52).ask(60, get(x_request_id=ID), 70)], through=[late()]),
        captured(inner.sent, "C"),
    )
    assert told(located(frames)) == [(41000, 51000, "REQUEST_ID", 0), (51000, 52000, "REQUEST_ID", 0)]


def test_a_hedged_attempt_belongs_to_the_request_and_not_to_the_attempt_that_it_overtakes():
    attempts = [up(52).ask(60, get(x_request_id=ID), 85), up(62, 51001, OTHER).ask(70, get(x_request_id=ID), 75)]
    expected = [(41000, 51000, "REQUEST_ID", 0), (41000, 51001, "REQUEST_ID", 0)]
    assert linked([down(0).ask(50, get(x_request_id=ID), 90)], attempts) == expected


def test_a_connection_that_the_proxy_could_not_make_is_linked_to_the_request_that_failed():
    """The founding symptom: 503, and a SYN that nobody answered."""
    client = down(0).ask(50, get(x_request_id=ID), 3000, UNAVAILABLE)
    assert linked([client], [up(55, dead=True)]) == [(41000, 51000, "ATTEMPT", 0)]


def test_of_two_that_failed_at_once_neither_is_said_to_have_wanted_the_connection():
    clients = [down(0).ask(50, get(), 3000, UNAVAILABLE), down(1, 41001).ask(51, get("/b"), 3001, UNAVAILABLE)]
    assert linked(clients, [up(55, dead=True)]) == [(41000, 51000, "ATTEMPT", 1), (41001, 51000, "ATTEMPT", 1)]


@pytest.mark.parametrize("response", [OK, NOT_FOUND])
def test_a_connection_that_failed_is_not_linked_to_a_request_that_did_not(response):
    assert linked([down(0).ask(50, get(), 3000, response)], [up(55, dead=True)]) == []


def test_without_a_common_clock_nesting_links_nothing_and_an_id_does():
    """A saw one side only, C the other, and nothing was seen at both."""
    for fields, expected in (({}, []), ({"x_request_id": ID}, [(41000, 51000, "REQUEST_ID", 0)])):
        calls = [down(0).ask(50, get(**fields), 90)], [up(52).ask(60, get(**fields), 70)]
        found = located(frames_of(*calls, ways=("A", "C"), offsets={"C": -3_600_000 * MS}))
        assert told(found) == expected


@pytest.mark.parametrize(
    ("responder", "answered_ms", "expected"),
    [
        pytest.param(SERVICE, 70, [(41000, 51000, "REQUEST_ID", 0)], id="the longer one is downstream"),
        pytest.param(PROXY, 70, [(41000, 51000, "REQUEST_ID", 0)], id="so say the addresses"),
        pytest.param(SERVICE, 140, [(51000, 41000, "REQUEST_ID", 0)], id="the other way round where that took the longer"),
        pytest.param(PROXY, 140, [], id="which the addresses contradict"),
    ],
)
def test_without_a_common_clock_the_addresses_and_how_long_each_took_tell_which_is_downstream(responder, answered_ms, expected):
    """A client that calls a service by its own address has no address of the proxy."""
    client = Call(0, CLIENT, 41000, responder).ask(50, get(x_request_id=ID), 90)
    calls = [client], [up(52).ask(60, get(x_request_id=ID), answered_ms)]
    assert told(located(frames_of(*calls, ways=("A", "C"), offsets={"C": -3_600_000 * MS}))) == expected


def test_without_a_common_clock_what_nothing_tells_apart_is_listed_once():
    """Neither was answered, and no address is common."""
    calls = [Call(0, CLIENT, 41000, SERVICE).say(50, 0, get(x_request_id=ID))], [up(52).say(60, 0, get(x_request_id=ID))]
    assert told(located(frames_of(*calls, ways=("A", "C"), offsets={"C": 3_600_000 * MS}))) == [(41000, 51000, "REQUEST_ID", 1)]


def test_what_is_sent_to_the_sender_of_a_request_while_that_waits_is_not_what_it_was_sent_on_as():
    """A call back with the same id and target: nested in time, and the addresses say the opposite."""
    assert linked([down(52).ask(62, get(x_request_id=ID), 70)], [up(0).ask(50, get(x_request_id=ID), 90)]) == []


SCENES = st.sampled_from([("AB", "BC"), ("A", "C"), ("AB", "C"), ("A", "BC"), ("B", "B")])
OFFSETS = st.fixed_dictionaries(dict.fromkeys("ABC", st.integers(-3_600_000, 3_600_000)))


@given(ways=SCENES, offsets=OFFSETS, order=st.permutations("ABC"), together=st.booleans())
def test_neither_a_clock_s_offset_nor_the_order_of_files_changes_a_link_by_id(ways, offsets, order, together):
    clients = [down(0).ask(50, get(x_request_id=ID), 190), down(1, 41001).ask(51, get("/b", x_request_id=ID2), 95)]
    attempts = [
        up(52).ask(60, get(x_request_id=ID), 70, UNAVAILABLE),
        up(100, 51001, OTHER).ask(110, get(x_request_id=ID), 120),
        up(54, 51002).ask(58, get("/b", x_request_id=ID2), 80),
    ]
    frames = frames_of(clients, attempts, ways=ways, offsets={name: ms * MS for name, ms in offsets.items()},
                       through=[late()] if together else [])  # fmt: skip
    found = told(located({name: frames[name] for name in order if name in frames}))
    assert found == [(41000, 51000, "REQUEST_ID", 0), (41000, 51001, "REQUEST_ID", 0), (41001, 51002, "REQUEST_ID", 0)]
