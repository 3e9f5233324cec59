"""Exchanges of worked conversations, of the recorded cases, and of any packets against the plain twin."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.decode import decode_packets
from mixcni.exchanges import ExchangeTable, pair_exchanges
from mixcni.flows import track_flows
from mixcni.read import CaptureFile
from mixcni.schema import ExchangeKind
from tests.cases import CAPTURES, NAMES, truth_of
from tests.flows.oracle import split, track
from tests.flows.rows import Row, as_rows, handshake, said, table_of, tracked
from tests.flows.strategies import ANY_ROWS, ONE_CONNECTION, plausible_connections
from tests.kernels.forms import FORMS, in_form
from tests.wire import MS, START, Conversation, decoded

Turn = tuple[int, int, int, int, int, int]


def exchanges_of(rows: list[Row]) -> ExchangeTable:
    return pair_exchanges(tracked(rows))


def told(rows: list[Row]) -> list[Turn]:
    """(request start, end, response start, end, request packet, response packet) of each exchange."""
    names = ("request_start", "request_end", "response_start", "response_end", "request_packet", "response_packet")
    table = exchanges_of(rows)
    return list(zip(*(table[name].tolist() for name in names), strict=True))


SHAKEN = (0, 1, 0, 1, 0, 1)
"""Exchange 0 of a flow whose first two packets are SYN and SYN-ACK."""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], [SHAKEN], id="handshake alone"),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(1, "PA", 1, 11, 20), said(0, "A", 11, 21)],
            [SHAKEN, (1, 11, 1, 21, 3, 4)],
            id="one request",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(1, "PA", 1, 11, 20), said(0, "PA", 11, 21, 5), said(1, "PA", 21, 16, 7)],
            [SHAKEN, (1, 11, 1, 21, 3, 4), (11, 16, 21, 28, 5, 6)],
            id="keep-alive",
        ),
        pytest.param(
            [said(0, "A", 1, 1, 10), said(0, "PA", 11, 1, 10), said(1, "A", 1, 21, 20), said(1, "PA", 21, 21, 20)],
            [SHAKEN, (1, 21, 1, 41, 3, 5)],
            id="segments of one request and of one response",
        ),
        pytest.param(
            [said(1, "PA", 1, 1, 30), said(0, "PA", 1, 31, 5), said(1, "PA", 31, 6, 5)],
            [SHAKEN, (1, 1, 1, 31, -1, 3), (1, 6, 31, 36, 4, 5)],
            id="responder speaks first",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(0, "PA", 1, 1, 10), said(1, "PA", 1, 11, 20), said(0, "PA", 1, 1, 10)],
            [SHAKEN, (1, 11, 1, 21, 3, 5)],
            id="request repeated before and after its response",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(1, "PA", 1, 11, 20), said(1, "PA", 1, 11, 20), said(0, "PA", 11, 21, 5)],
            [SHAKEN, (1, 11, 1, 21, 3, 4), (11, 16, 21, 21, 6, -1)],
            id="response repeated, next request unanswered",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(0, "PA", 11, 1, 10), said(1, "PA", 1, 11, 20), said(1, "PA", 21, 21, 20)],
            [SHAKEN, (1, 21, 1, 41, 3, 5)],
            id="pipelined requests are one turn",
        ),
        pytest.param(
            [said(0, "A", 101, 1, 100), said(0, "A", 1, 1, 100), said(1, "PA", 1, 201, 20)],
            [SHAKEN, (1, 201, 1, 21, 3, 5)],
            id="request out of order",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(1, "A", 101, 11, 100), said(1, "A", 1, 11, 100)],
            [SHAKEN, (1, 11, 1, 201, 3, 4)],
            id="response out of order",
        ),
        pytest.param(
            [said(0, "PA", 1, 1, 10), said(0, "PA", 1, 1, 15), said(1, "PA", 1, 16, 3), said(0, "PA", 11, 4, 9)],
            [SHAKEN, (1, 16, 1, 4, 3, 5), (16, 20, 4, 4, 6, -1)],
            id="new octets behind repeated ones",
        ),
        pytest.param(
            [said(0, "FPA", 1, 1, 10), said(1, "FPA", 1, 12, 20), said(0, "A", 12, 22)],
            [SHAKEN, (1, 11, 1, 21, 3, 4)],
            id="FIN with data",
        ),
        pytest.param([said(0, "FA", 1, 1), said(1, "FA", 1, 2), said(0, "A", 2, 2)], [SHAKEN], id="FIN alone"),
        pytest.param([said(0, "PA", 1, 1, 4), said(1, "RA", 1, 5, 9)], [SHAKEN, (1, 5, 1, 1, 3, -1)], id="reset with text"),
        pytest.param(
            [said(0, "PA", 1, 1, 4), said(1, "PA", 1, 5, 4), said(0, "A", 4, 5, 1), said(0, "A", 4, 5)],
            [SHAKEN, (1, 5, 1, 5, 3, 4)],
            id="keep-alive probes",
        ),
        pytest.param([said(0, "A", 1 + 2**30, 1, 99)], [SHAKEN], id="beyond any window"),
    ],
)
def test_turns_after_a_handshake(rows, expected):
    opened = said(1, "A", 1, 1)  # tells the window of the responder
    assert told([*handshake()[:2], opened, *rows]) == expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([said(0, "S", 0)], [(0, 1, 0, 0, 0, -1)], id="SYN alone"),
        pytest.param([said(0, "S", 0)] * 3, [(0, 1, 0, 0, 0, -1)], id="SYN repeated"),
        pytest.param([said(1, "SA", 0, 1)], [(0, 0, 0, 1, -1, 0)], id="SYN-ACK alone"),
        pytest.param([said(0, "S", 0), said(1, "RA", -5000, 1)], [(0, 1, 0, 0, 0, -1)], id="SYN refused"),
        pytest.param(
            [said(0, "S", 0, payload=5), said(1, "SA", 0, 6), said(1, "PA", 1, 6, 9)],
            [SHAKEN, (1, 6, 1, 10, 0, 2)],
            id="SYN with data (RFC 7413)",
        ),
        pytest.param(
            [said(0, "S", 0, payload=5), said(1, "SA", 0, 1), said(0, "PA", 1, 1, 5), said(1, "PA", 1, 6, 9)],
            [SHAKEN, (1, 6, 1, 10, 0, 3)],
            id="SYN whose data is sent again",
        ),
        pytest.param(
            [said(0, "S", 0), said(1, "SA", 0, 1, 4), said(0, "PA", 1, 5, 3)],
            [SHAKEN, (1, 1, 1, 5, -1, 1), (1, 4, 5, 5, 2, -1)],
            id="SYN-ACK with data",
        ),
        pytest.param(
            [said(0, "PA", 700, 300, 10), said(1, "PA", 300, 710, 20)],
            [(1, 11, 1, 21, 0, 1)],
            id="from the midst of a connection",
        ),
        pytest.param([said(0, "PA", 1, 1, 3), said(0, "PA", 4, 9, 3)], [(1, 7, 1, 1, 0, -1)], id="requests alone"),
        pytest.param([said(1, "PA", 1, 4, 3), said(1, "PA", 4, 9, 3)], [(1, 1, 1, 7, -1, 0)], id="responses alone"),
        pytest.param(
            [said(1, "A", 1, 901), said(0, "PA", 2001, 1, 50), said(1, "PA", 1, 2051, 5)],
            [(1101, 1151, 1, 6, 1, 2)],
            id="octets sent before the capture began are no request",
        ),
        pytest.param([said(1, "A", 1, 901), said(0, "A", 900, 1, 1)], [], id="keep-alive probe is the first to be heard"),
    ],
)
def test_half_seen_conversations(rows, expected):
    assert told(rows) == expected


def test_numbers_count_within_each_flow_and_zero_is_the_handshake():
    one, two = ((0, 40_000), (1, 80)), ((0, 40_001), (1, 80))
    rows = [*handshake(ends=one), *handshake(ends=two)]
    for i in range(3):
        for ends in (one, two):
            rows += [said(0, "PA", 1 + i, 1 + i, 1, ends=ends), said(1, "PA", 1 + i, 2 + i, 1, ends=ends)]
    rows.append(said(0, "PA", 9, 9, 1, ends=((0, 40_002), (1, 80))))
    table = exchanges_of(rows)
    assert table["flow"].tolist() == [0] * 4 + [1] * 4 + [2]
    assert table["number"].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 1]
    assert table["kind"].tolist() == [min(number, ExchangeKind.TURN) for number in table["number"].tolist()]


def test_other_protocols_have_no_exchanges():
    assert len(exchanges_of([Row(0, 40_000, 1, 53, 17, 0, payload=9), Row(0, 7, 1, 8 << 8, 1, 0)])) == 0


def test_turns_go_on_beyond_four_gib():
    step = 65_535 << 14  # the largest window, RFC 7323 section 2.3
    rows = handshake(window=65_535)
    for i in range(5):
        at = 1 + i * step
        rows += [said(0, "A", at, 1 + i, step, window=65_535), said(1, "PA", 1 + i, at + step, 1, window=65_535)]
    assert told(rows)[1:] == [(1 + i * step, 1 + (i + 1) * step, 1 + i, 2 + i, 3 + 2 * i, 4 + 2 * i) for i in range(5)]


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150)
@given(rows=st.one_of(ANY_ROWS, ONE_CONNECTION, plausible_connections()))
def test_every_form_agrees_with_the_twin(form, rows):
    with in_form(form):
        found = pair_exchanges(track_flows(table_of(rows)))
    _, segments = track(rows)
    assert as_rows(found) == split(rows, segments)


@given(plausible_connections())
def test_turns_tile_both_streams(rows):
    """No octet is in two turns, and between a flow's first and last turn none is in no turn."""
    turns = [row for row in as_rows(exchanges_of(rows)) if row["kind"] == ExchangeKind.TURN]
    for before, after in itertools.pairwise(turns):
        for name in ("request", "response"):
            assert before[f"{name}_start"] <= before[f"{name}_end"]
            if before["flow"] == after["flow"] and before[f"{name}_packet"] >= 0:
                assert before[f"{name}_end"] == after[f"{name}_start"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("point", ["A", "B", "C"])
def test_a_recorded_connection_has_an_exchange_a_request_and_a_handshake(name, point):
    """truth.json has what the applications saw; not every point saw every connection."""
    flows = track_flows(decode_packets([CaptureFile(CAPTURES / name / f"{point}.pcap", strict=True)]))
    exchanges = as_rows(pair_exchanges(flows))
    of_end: dict[tuple[str, int], list[dict[str, int]]] = {}
    for flow in range(len(flows)):
        end = flows.packets.book.text(int(flows["initiator"][flow])), int(flows["initiator_port"][flow])
        of_end[end] = [row for row in exchanges if row["flow"] == flow]
    record = truth_of(name)
    compared = 0
    for attempt in [*record["attempts"], *record["probes"]]:
        found = of_end.pop(tuple(attempt["initiator"]), None)
        if found is None:
            continue
        compared += 1
        answered = [request for request in attempt["requests"] if request["outcome"] in range(100, 600)]
        assert [row["number"] for row in found] == list(range(len(attempt["requests"]) + 1))
        assert [row["kind"] for row in found] == [ExchangeKind.HANDSHAKE] + [ExchangeKind.HTTP1] * len(attempt["requests"])
        assert (found[0]["request_end"], found[0]["response_end"]) == (1, int(attempt["outcome"] == "connected"))
        replied = [row for row in found[1:] if row["response_end"] - row["response_start"] > 0]
        assert len(replied) == len(answered)
        for row, request in zip(found[1:], attempt["requests"], strict=True):
            assert row["response_end"] - row["response_start"] > request["body_octets"]
    assert compared > 0
    assert not of_end  # and no connection that the record does not have


def test_exchanges_of_frames_hold_the_rows_of_their_first_packets(tmp_path):
    talk = Conversation(("fd00::1", 40_000), ("fd00::2", 80), iss=2**32 - 5, irs=2**32 - 1)
    frames = [*talk.handshake(), *talk.exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", START + 9 * MS)]
    table = pair_exchanges(track_flows(decoded(tmp_path / "frames.pcap", frames)))
    assert (table["request_packet"].tolist(), table["response_packet"].tolist()) == ([0, 3], [1, 4])
    assert (table["request_end"].tolist(), table["response_end"].tolist()) == ([1, 19], [1, 28])
