"""Fates by request where a connection's protocol is known: pipelined, on HTTP/2 streams, and told apart in the report."""

from pathlib import Path

import jsonschema
import pytest

from mixcni.align import align_points
from mixcni.exchanges import pair_exchanges
from mixcni.flows import track_flows
from mixcni.localise import Localisation, localise_losses
from mixcni.report.messages import message_of
from mixcni.report.words import request_text
from mixcni.schema import ExchangeKind, Fate
from mixcni.topology import CapturePoint
from tests.exchanges import h2
from tests.exchanges.test_dns import ask
from tests.exchanges.test_http1 import GET, OK, POST
from tests.scene import Sent, captured
from tests.wire import MS, START, Conversation, Frame, decoded

S2 = 2_000  # ms: longer than any RTO


class Wire:
    """A connection whose segments carry what a test says; times are ms."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.sent = [Sent(frame, side) for frame, side in zip(self.conversation.handshake(), (0, 1, 0), strict=True)]

    def hear(self, ms: int, octets: int) -> None:
        """The initiator's acknowledgment of so many octets, the last thing that it says."""
        ack = 5001 + octets
        frame = self.conversation.segment(0, "A", seq=self.conversation.next[0], ack=ack, time_ns=START + ms * MS)
        self.sent.append(Sent(frame, 0))

    def say(self, ms: int, side: int, octets: bytes = b"", *, lost: str = "", times: int = 1) -> None:
        frame = self.conversation.say(side, "PA" if octets else "A", octets, time_ns=START + ms * MS)
        self.sent += [Sent(frame.at(frame.time_ns + i * 400 * MS), side, lost) for i in range(times)]


def localised(folder: Path, frames: dict[str, list[Frame]]) -> Localisation:
    flows = [track_flows(decoded(folder / f"{name}.pcap", of_point)) for name, of_point in frames.items()]
    points = [CapturePoint(name) for name in frames]
    return localise_losses(points, align_points(list(frames), flows), [pair_exchanges(table) for table in flows])


def told(found: Localisation) -> list[tuple[str, str]]:
    fates = found.fates
    return [(request_text(found, row), Fate(int(fates["fate"][row])).name) for row in range(len(fates))]


def test_of_pipelined_requests_each_has_its_own_fate(tmp_path):
    """As turns they were one request, answered by the first response."""
    wire = Wire()
    wire.say(20, 0, GET + POST)
    wire.say(40, 1, OK)
    wire.say(50, 1, OK, lost="AB", times=5)
    wire.hear(S2 + 900, len(OK))
    found = localised(tmp_path, captured(wire.sent))
    assert told(found) == [("SYN", "ANSWERED"), ("GET /hello.txt", "ANSWERED"), ("POST /orders", "LOST")]
    assert [(found.points[loss.near].name, found.points[loss.far].name, int(loss.direction)) for loss in found.losses] == [
        ("A", "B", 1)
    ]


def test_messages_are_told_by_the_point_that_saw_most_octets_and_not_the_longest_stretch(tmp_path):
    """Of a response the first point has the end alone, which tells it of no response: its beginning is lost for good."""
    wire = Wire()
    wire.say(20, 0, GET)
    head = OK + b"x" * 900
    wire.say(40, 1, head, lost="AB", times=5)
    wire.say(41, 1, b"y" * 30)
    wire.hear(S2 + 900, 0)
    found = localised(tmp_path, captured(wire.sent))
    assert told(found) == [("SYN", "ANSWERED"), ("GET /hello.txt", "LOST")]
    assert [(found.points[loss.near].name, int(loss.direction)) for loss in found.losses] == [("A", 1)]


def test_an_interim_response_is_no_answer(tmp_path):
    wire = Wire()
    wire.say(20, 0, POST)
    wire.say(40, 1, b"HTTP/1.1 100 Continue\r\n\r\n")
    wire.say(60, 1, OK, lost="BC", times=5)
    wire.hear(S2 + 900, 25)
    assert told(localised(tmp_path, captured(wire.sent)))[1] == ("POST /orders", "LOST")


def streams(*answered: int) -> Wire:
    """Two HTTP/2 streams, those in `answered` with a response, and frames of the connection itself at the end."""
    client, server, wire = h2.Speaker(), h2.Speaker(), Wire()
    wire.say(20, 0, h2.PREFACE + h2.settings() + client.request(1, "/one") + client.request(3, "/two"))
    wire.say(40, 1, h2.settings() + b"".join(server.headers(stream, [(":status", "200")], end=True) for stream in answered))
    wire.say(60, 0, h2.settings(ack=True) + h2.noise())
    wire.say(80, 1, h2.noise())
    wire.say(S2 + 900, 0)
    wire.say(S2 + 950, 1)
    return wire


@pytest.mark.parametrize("answered", [(1, 3), (3, 1), (1,), (3,), ()])
def test_an_http2_stream_is_answered_by_its_own_frames_alone(tmp_path, answered):
    """Neither another stream's response nor a PING is an answer, and a PING is no request that waits for one."""
    found = localised(tmp_path, captured(streams(*answered).sent))
    assert told(found) == [
        ("SYN", "ANSWERED"),
        ("GET /one", "ANSWERED" if 1 in answered else "SILENT"),
        ("GET /two", "ANSWERED" if 3 in answered else "SILENT"),
    ]


def test_a_datagram_s_message_is_told_and_has_no_part_in_the_fates_of_connections(tmp_path):
    wire = Wire()
    wire.say(20, 0, GET)
    wire.say(40, 1, OK)
    sent = [*wire.sent, Sent(ask(7, "a.b", 30 * MS), 0)]
    fates = [("SYN", "ANSWERED"), ("GET /hello.txt", "ANSWERED"), ("A a.b", "UNDECIDED")]
    assert told(localised(tmp_path, captured(sent))) == fates


def test_messages_are_told_with_their_exchange(tmp_path):
    wire = Wire()
    wire.say(20, 0, GET)
    wire.say(40, 1, OK)
    found = localised(tmp_path, captured(wire.sent))
    assert found.fates["kind"].tolist() == [ExchangeKind.HANDSHAKE, ExchangeKind.HTTP1]
    assert message_of(found, 0) is None
    message = message_of(found, 1)
    assert message is not None
    assert (message["protocol"], message["host"], message["status"], message["retry_of"]) == (
        "http1",
        "www.example.com",
        200,
        None,
    )


def test_a_point_that_saw_less_does_not_tell_the_messages(tmp_path):
    """A saw the response's first octets only; B and C saw it whole. The messages are those of the point that saw most."""
    wire = Wire()
    wire.say(20, 0, GET)
    wire.say(40, 1, OK[:20])
    wire.say(50, 1, OK[20:], lost="AB", times=5)
    wire.say(S2 + 900, 0)
    found = localised(tmp_path, captured(wire.sent))
    assert found.fates["told_at"].tolist() == [-1, 1]
    assert found.fates["response_end"].tolist() == [1, 1 + len(OK)]
    assert told(found)[1] == ("GET /hello.txt", "ANSWERED")


def test_the_contract_takes_messages(tmp_path):
    import json

    import mixcni
    from mixcni.report.contract import schema_text
    from tests.cases import CAPTURES

    report = mixcni.diagnose(CAPTURES / "policy-removed")
    written = json.loads(report.to_json(every_exchange=True))
    jsonschema.validate(written, json.loads(schema_text()))
    messages = [exchange["message"] for exchange in written["exchanges"] if "message" in exchange]
    assert len(messages) == sum(exchange["request"] != "SYN" for exchange in written["exchanges"])
    assert {message["protocol"] for message in messages} == {"http1"}
    assert report.exchanges["status"].dropna().between(200, 299).all()
