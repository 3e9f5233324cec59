"""Flows and their protocols: what replaces turns, what is linked as a retry, and what cannot be read."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixcni.decode import decode_packets
from mixcni.errors import CaptureError
from mixcni.exchanges import pair_exchanges, reading
from mixcni.flows import track_flows
from mixcni.read import CaptureFile
from mixcni.schema import ExchangeKind
from tests.exchanges.streams import exchanges_of, flows_of, talk_of
from tests.exchanges.test_http1 import CHUNKED, GET, OK, POST, SWITCHING, UPGRADE
from tests.exchanges.test_tls_and_echo import ALERT, CLIENT_HELLO, SERVER_HELLO
from tests.wire import MS, START, Conversation, Frame, S, write_pcap

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def attempt(port: int, *turns: tuple[int, bytes], after: int = 0) -> list[Frame]:
    return [frame.at(frame.time_ns + after) for frame in talk_of(turns, initiator=("10.244.3.7", port))]


def retries(tmp_path, *attempts: list[Frame]) -> list[int]:
    """`retry_of` of each exchange that has details."""
    frames = sorted(frame for one in attempts for frame in one)
    return [int(row) for row in exchanges_of(tmp_path / "retry.pcap", frames).details["retry_of"]]


def test_a_request_tried_again_after_none_or_a_gateways_answer_is_linked(tmp_path):
    """Rows 0, 2 and 4 are the handshakes."""
    first, second, third = (
        attempt(40_001, (0, GET)),
        attempt(40_002, (0, GET), (1, UNAVAILABLE), after=S),
        attempt(40_003, (0, GET), (1, OK), after=2 * S),
    )
    assert retries(tmp_path, first, second, third) == [-1, 1, 3]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(attempt(40_002, (0, GET), after=31 * S), id="after the retry window"),
        pytest.param(attempt(40_002, (0, GET.replace(b"hello", b"other")), after=S), id="another target"),
        pytest.param(
            attempt(40_002, (0, GET.replace(b"\r\n\r\n", b"\r\nx-request-id: 2\r\n\r\n")), after=S), id="another request id"
        ),
    ],
)
def test_another_request_is_no_retry(tmp_path, second):
    first = attempt(40_001, (0, GET.replace(b"\r\n\r\n", b"\r\nx-request-id: 1\r\n\r\n")))
    assert retries(tmp_path, first, second) == [-1, -1]


def test_a_handshake_for_the_same_name_after_none_or_an_alert_is_a_retry(tmp_path):
    attempts = [(0, CLIENT_HELLO)], [(0, CLIENT_HELLO), (1, ALERT)], [(0, CLIENT_HELLO), (1, SERVER_HELLO)], [(0, CLIENT_HELLO)]
    frames = [attempt(40_001 + i, *turns, after=i * S) for i, turns in enumerate(attempts)]
    assert retries(tmp_path, *frames) == [-1, 1, 3, -1]


def test_after_an_answer_the_same_request_is_another(tmp_path):
    assert retries(tmp_path, attempt(40_001, (0, GET), (1, OK)), attempt(40_002, (0, GET), (1, OK), after=S)) == [-1, -1]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(20, 300), st.randoms(use_true_random=False))
def test_segments_cut_late_and_repeated_in_a_capture_change_no_message(tmp_path, size, chance):
    """Within a few segments of where they were, as a network does it; each is still before its acknowledgment."""
    turns = [(0, POST), (1, CHUNKED), (0, GET), (1, OK)]
    talk = Conversation()
    frames, now = talk.handshake(), START + 10 * MS
    for side, octets in turns:
        sent = [talk.say(side, "PA", octets[at : at + size], time_ns=now) for at in range(0, len(octets), size)]
        sent += chance.choices(sent, k=2)
        chance.shuffle(sent)
        frames += [frame.at(now + i * MS) for i, frame in enumerate(sent)]
        now += (len(sent) + 1) * MS
    names = ("request_start", "request_end", "response_start", "response_end", "kind")
    table = exchanges_of(tmp_path / "mixed.pcap", frames)
    assert [table[name].tolist() for name in names] == [
        [0, 1, 1 + len(POST)],
        [1, 1 + len(POST), 1 + len(POST + GET)],
        [0, 1, 1 + len(CHUNKED)],
        [1, 1 + len(CHUNKED), 1 + len(CHUNKED + OK)],
        [ExchangeKind.HANDSHAKE, ExchangeKind.HTTP1, ExchangeKind.HTTP1],
    ]
    assert table.details["status"].tolist() == [200, 200]


def test_octets_behind_an_upgrade_are_turns(tmp_path):
    turns = [(0, UPGRADE), (1, SWITCHING), (0, b"\x81\x02hi"), (1, b"\x81\x02yo"), (0, b"\x88\0")]
    table = exchanges_of(tmp_path / "ws.pcap", talk_of(turns))
    frame = table.to_frame()
    assert frame["kind"].tolist() == ["handshake", "http1", "turn", "turn"]
    assert frame["number"].tolist() == [0, 1, 2, 3]
    assert frame["request_start"].tolist()[2:] == [1 + len(UPGRADE), 5 + len(UPGRADE)]
    assert frame["response_start"].tolist()[2] == 1 + len(SWITCHING)


def test_flows_that_speak_nothing_known_keep_their_turns(tmp_path):
    table = exchanges_of(tmp_path / "turns.pcap", talk_of([(0, b"EHLO a\r\n"), (1, b"250 ok\r\n"), (0, b"QUIT\r\n")]))
    assert table.to_frame()["kind"].tolist() == ["handshake", "turn", "turn"]
    assert len(table.details) == 0


def test_requests_of_a_side_taken_for_the_responder_are_counted_and_stay_turns(tmp_path):
    """Caught in the midst, and by its ports the other one: who has the ephemeral port is taken for the initiator."""
    frames = talk_of([(0, GET), (1, OK), (0, GET), (1, OK)], initiator=("10.0.0.1", 8_080), responder=("10.0.0.2", 50_051))
    flows = flows_of(tmp_path / "turned.pcap", frames[4:-3])
    table = pair_exchanges(flows)
    assert table.http is not None
    assert table.http.tolist() == [[1, 2]]
    assert set(table.to_frame()["kind"]) == {"turn"}


def test_requests_in_the_midst_between_ephemeral_ports_are_read(tmp_path):
    """The response is heard first; its sender is the responder all the same."""
    frames = talk_of([(0, GET), (1, OK), (0, GET), (1, OK)], initiator=("10.0.0.1", 40_000), responder=("10.0.0.2", 50_051))
    flows = flows_of(tmp_path / "turned.pcap", frames[4:-3])
    assert flows["responder_port"].tolist() == [50_051]
    table = pair_exchanges(flows)
    assert table.http is not None
    assert table.http.tolist() == [[1, 2]]
    assert "http1" in set(table.to_frame()["kind"])


def test_many_flows_are_read_some_at_a_time(tmp_path, monkeypatch):
    """The tables of one reading and of a reading a flow are the same."""
    attempts = [attempt(40_000 + i, (0, GET), (1, OK), (0, GET), (1, OK), after=i * MS) for i in range(5)]
    flows = flows_of(tmp_path / "many.pcap", sorted(frame for one in attempts for frame in one))
    at_once = pair_exchanges(flows)
    monkeypatch.setattr(reading, "BATCH_OCTETS", 100)
    one_by_one = pair_exchanges(flows)
    for name in at_once:
        assert np.array_equal(at_once[name], one_by_one[name])
    assert at_once.http is not None
    assert at_once.http.tolist() == [[2, 2]] * 5


def test_behind_the_limit_of_a_direction_are_turns(tmp_path, monkeypatch):
    """An exchange that may go on there is one of them: nothing is unanswered because it was not read."""
    monkeypatch.setattr(reading, "MOST_OCTETS", len(GET) + 1)
    table = exchanges_of(
        tmp_path / "long.pcap", talk_of([(0, GET), (1, OK), (0, GET), (1, OK), (0, GET), (1, OK)], size=len(GET))
    )
    frame = table.to_frame()
    assert frame["kind"].tolist() == ["handshake", "turn", "turn", "turn"]
    monkeypatch.setattr(reading, "MOST_OCTETS", 2 * len(OK))
    table = exchanges_of(tmp_path / "long.pcap", talk_of([(0, GET), (1, OK)] * 4, size=len(GET)))
    assert table.to_frame()["kind"].tolist() == ["handshake", "http1", "turn", "turn", "turn"]
    assert table.http is not None
    assert table.http.tolist() == [[4, 4]]  # behind the limit by the first octets of segments
    assert table["request_start"].tolist()[2:] == [1 + i * len(GET) for i in (1, 2, 3)]
    assert table["response_end"].tolist()[1:] == [1 + i * len(OK) for i in (1, 2, 3, 4)]


def test_a_capture_that_changed_in_the_meantime_is_an_error(tmp_path):
    flows = flows_of(tmp_path / "changed.pcap", talk_of([(0, GET), (1, OK)]))
    write_pcap(tmp_path / "changed.pcap", talk_of([(0, GET + GET), (1, OK)]))
    with pytest.raises(CaptureError, match=r"changed.pcap, octet 0: a capture read again needs 209 octets"):
        pair_exchanges(flows)
    write_pcap(tmp_path / "changed.pcap", [])
    with pytest.raises(CaptureError, match="needs 2 octets by its wanted frames, has 0"):
        pair_exchanges(flows)


def test_what_can_be_read_once_has_turns_and_no_http(tmp_path):
    path = write_pcap(tmp_path / "gone.pcap", talk_of([(0, GET), (1, OK)]))
    flows = track_flows(decode_packets([CaptureFile(path)]))
    path.unlink()
    table = pair_exchanges(flows)
    assert table.http is None
    assert table.to_frame()["kind"].tolist() == ["handshake", "turn"]
