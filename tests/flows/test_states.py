"""How connections go and end, in Zeek's words; what was measured of them, and what of their streams was not seen."""

import pytest

from mixcni.schema import Completeness, ConnState, Ending
from tests.flows.rows import Row, handshake, said, tracked
from tests.wire import MS, S

SYN, SYNACK, ACK = handshake()
ASK, ANSWER = said(0, "PA", 1, 1, 10), said(1, "PA", 1, 11, 20)
FINS = [said(0, "FA", 11, 21), said(1, "FA", 21, 12), said(0, "A", 12, 22)]
C = Completeness


@pytest.mark.parametrize(
    ("rows", "state", "history", "ending", "closed_by", "completeness"),
    [
        ([SYN], ConnState.S0, "S", Ending.NONE, -1, C.SYN),
        ([SYN, SYN._replace(time_ns=S)], ConnState.S0, "ST", Ending.NONE, -1, C.SYN),
        ([SYN, SYNACK], ConnState.S1, "Sh", Ending.NONE, -1, C.SYN | C.SYNACK),
        ([SYN, SYNACK, ACK], ConnState.S1, "ShA", Ending.NONE, -1, C.SYN | C.SYNACK | C.ACK),
        ([SYN, SYNACK, ACK, ASK, ANSWER], ConnState.S1, "ShADd", Ending.NONE, -1, C(15)),
        ([SYN, SYNACK, ACK, ASK, ANSWER, *FINS], ConnState.SF, "ShADdFf", Ending.CLOSED, 0, C(31)),
        ([SYN, SYNACK, ACK, ASK, ANSWER, FINS[0]], ConnState.S2, "ShADdF", Ending.HALF_CLOSED, 0, C(31)),
        ([SYN, SYNACK, ACK, ASK, said(1, "FA", 1, 11)], ConnState.S3, "ShADf", Ending.HALF_CLOSED, 1, C(31)),
        ([SYN, said(1, "RA", -5000, 1)], ConnState.REJ, "Sr", Ending.RESET, 1, C.SYN | C.ACK | C.RST),
        ([SYN, SYNACK, ACK, said(0, "R", 1)], ConnState.RSTO, "ShAR", Ending.RESET, 0, C(7) | C.RST),
        ([SYN, SYNACK, ACK, ASK, said(1, "R", 1)], ConnState.RSTR, "ShADr", Ending.RESET, 1, C(15) | C.RST),
        ([SYN, said(0, "R", 1)], ConnState.RSTOS0, "SR", Ending.RESET, 0, C.SYN | C.RST),
        ([SYNACK, said(1, "R", 1)], ConnState.RSTRH, "^hr", Ending.RESET, 1, C.RST),
        ([SYN, said(0, "F", 1)], ConnState.SH, "SF", Ending.HALF_CLOSED, 0, C.SYN),
        ([SYNACK, said(1, "FA", 1, 1)], ConnState.SHR, "^hf", Ending.HALF_CLOSED, 1, C.ACK | C.FIN),
        ([ASK, ANSWER], ConnState.OTH, "Dd", Ending.NONE, -1, C.DATA),
        ([SYN, SYNACK, ACK, ASK, ANSWER, *FINS, said(1, "R", 22)], ConnState.SF, "ShADdFfr", Ending.CLOSED, 0, C(63)),
        ([said(0, "SF", 0)], ConnState.SH, "Q", Ending.NONE, 0, C.SYN),
        ([SYN, SYNACK, ACK, said(1, "A", 1, 1, window=0)], ConnState.S1, "ShAaw", Ending.NONE, -1, C(7)),
        ([SYN, SYNACK, ACK, said(1, "A", 1, 900)], ConnState.S1, "ShAaG", Ending.NONE, -1, C(7)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_how_a_connection_went(rows, state, history, ending, closed_by, completeness):
    """conn_state of Zeek's main.zeek, case by case; the letters of its history; tcp.completeness."""
    flows = tracked(rows)
    assert (ConnState(flows["conn_state"][0]), flows["history"][0].decode()) == (state, history)
    assert (Ending(flows["ending"][0]), flows["closed_by"][0]) == (ending, closed_by)
    assert C(flows["completeness"][0]) == completeness


@pytest.mark.parametrize(
    ("rows", "state", "history"),
    [
        ([Row(0, 40_000, 1, 53, 17, 0, payload=9)], ConnState.S0, "D"),
        ([Row(0, 40_000, 1, 53, 17, 0), Row(1, 53, 0, 40_000, 17, 0)], ConnState.SF, "Dd"),
        ([Row(1, 53, 0, 40_000, 17, 0)], ConnState.SHR, "^d"),
        ([Row(0, 7, 1, 8 << 8, 1, 0)], ConnState.OTH, ""),
    ],
)
def test_what_is_said_of_datagrams(rows, state, history):
    flows = tracked(rows)
    assert (ConnState(flows["conn_state"][0]), flows["history"][0].decode()) == (state, history)


def test_repetitions_are_noted_at_the_first_the_tenth_and_the_hundredth():
    again = [ASK._replace(time_ns=i * S) for i in range(1, 101)]
    assert tracked([SYN, SYNACK, ACK, ASK, *again])["history"].tolist() == [b"ShADTTT"]


def test_a_long_history_ends_after_31_letters():
    resets = [said(0, "R", i) for i in range(1, 50)]
    assert tracked([SYN, SYNACK, ACK, *resets])["history"].tolist() == [b"ShA" + b"R" * 28]


def test_holes_and_what_the_capture_missed():
    """Octets 11 to 20 and 31 to 40 were never seen; the first of them were acknowledged."""
    data = [said(0, "PA", at, 1, 10) for at in (1, 21, 41)]
    flows = tracked([SYN, SYNACK, ACK, *data, said(1, "A", 1, 31)])
    assert (flows["holes_forward"][0], flows["hole_octets_forward"][0], flows["unseen_octets_forward"][0]) == (2, 20, 10)
    assert flows["octets_seen_forward"][0] == 31
    filled = tracked([SYN, SYNACK, ACK, *data, said(1, "A", 1, 31), said(0, "PA", 5, 1, 30)])
    assert (filled["holes_forward"][0], filled["hole_octets_forward"][0], filled["resent_octets_forward"][0]) == (1, 6, 16)
    assert filled["out_of_order_forward"][0] == 1


def test_what_is_acknowledged_beyond_all_that_was_seen_was_missed():
    flows = tracked([SYN, SYNACK, ACK, said(1, "A", 1, 101)])
    assert (flows["holes_forward"][0], flows["unseen_octets_forward"][0]) == (0, 100)
    one_direction = tracked([said(1, "A", 1, 1), said(1, "A", 1, 5001)])
    assert (one_direction["packets_forward"][0], one_direction["unseen_octets_forward"][0]) == (0, 5000)


def test_holes_beyond_the_most_that_are_followed_still_count_as_octets():
    data = [said(0, "PA", 1 + 20 * i, 1, 10) for i in range(400)]
    flows = tracked([SYN, SYNACK, ACK, *data])
    assert (flows["holes_forward"][0], flows["hole_octets_forward"][0]) == (256, 399 * 10)
    assert flows["octets_seen_forward"][0] == 1 + 400 * 10


@pytest.mark.parametrize(
    ("rows", "rtt"),
    [
        ([SYN, SYNACK._replace(time_ns=3 * MS), ACK._replace(time_ns=4 * MS)], 4 * MS),
        ([SYN, SYN._replace(time_ns=S), SYNACK._replace(time_ns=S + 3), ACK._replace(time_ns=S + 4)], -1),  # of which SYN?
        ([SYN, SYNACK, SYNACK._replace(time_ns=S), ACK._replace(time_ns=S + 4)], -1),
        ([SYN, SYNACK], -1),
        ([SYN._replace(time_ns=9), SYNACK, ACK], -1),
        ([SYNACK, ACK], -1),
    ],
)
def test_the_round_trip_of_the_handshake(rows, rtt):
    """Karn's rule (RFC 6298 section 3): never of a segment that was sent twice."""
    assert tracked(rows)["handshake_rtt_ns"].tolist() == [rtt]


def asked(*times_ms: int) -> list[Row]:
    """Ten octets at each even time, acknowledged at the odd one behind it."""
    rows = []
    for i, time in enumerate(times_ms):
        at = 1 + 10 * (i // 2)
        rows.append(said(0, "PA", at, 1, 10, time_ns=time * MS) if i % 2 == 0 else said(1, "A", 1, at + 10, time_ns=time * MS))
    return rows


def test_round_trips_have_a_minimum_and_a_median():
    flows = tracked([SYN, SYNACK, ACK, *asked(10, 14, 20, 22, 30, 39, 40, 43)])
    assert (flows["rtt_min_ns_forward"][0], flows["rtt_median_ns_forward"][0]) == (2 * MS, 3 * MS)
    assert (flows["rtt_min_ns_reverse"][0], flows["rtt_median_ns_reverse"][0]) == (-1, -1)


@pytest.mark.parametrize(
    "rows",
    [
        [ASK, ASK._replace(time_ns=300 * MS), said(1, "A", 1, 11, time_ns=301 * MS)],  # which one does it acknowledge?
        [said(0, "PA", 11, 1, 10), said(0, "PA", 1, 1, 10, time_ns=S), said(1, "A", 1, 21, time_ns=S + MS)],  # it waited
        [said(1, "A", 1, 11), ASK, said(1, "A", 1, 21, time_ns=S)],
        [said(0, "FA", 1, 1), said(1, "A", 1, 2, time_ns=MS)],
        [ASK._replace(time_ns=-1), said(1, "A", 1, 11, time_ns=MS)],
        [ASK._replace(time_ns=2 * MS), said(1, "A", 1, 11, time_ns=MS)],
    ],
    ids=["sent twice", "behind a gap", "behind its acknowledgment", "FIN", "without a time", "clock went back"],
)
def test_what_is_no_round_trip(rows):
    assert tracked([SYN, SYNACK, ACK, *rows])["rtt_min_ns_forward"].tolist() == [-1]


def test_the_time_without_room():
    closed = [said(1, "A", 1, 1, window=window, time_ns=ms * MS) for ms, window in ((1, 0), (4, 0), (9, 5), (20, 0), (22, 1))]
    flows = tracked([SYN, SYNACK, ACK, *closed, said(1, "A", 1, 1, window=0, time_ns=30 * MS)])
    assert (flows["no_room_ns_reverse"][0], flows["no_room_ns_forward"][0]) == (10 * MS, 0)
    assert flows["zero_window_reverse"][0] == 4


def test_what_a_syn_offers_and_segments_longer_than_that():
    rows = [SYN._replace(mss=1460, scale=7), SYNACK._replace(mss=100), ACK, said(0, "PA", 1, 1, 101), said(1, "PA", 1, 102, 1460)]
    flows = tracked(rows)
    assert (flows["mss_forward"][0], flows["mss_reverse"][0]) == (1460, 100)
    assert (flows["window_scale_forward"][0], flows["window_scale_reverse"][0]) == (7, -1)
    assert (flows["super_segments_forward"][0], flows["super_segments_reverse"][0]) == (1, 0)


def test_labels_and_octets_are_counted_by_direction():
    rows = [SYN, SYNACK, ACK, ASK, ASK._replace(time_ns=S), said(1, "A", 1, 11), said(1, "A", 1, 11, time_ns=S)]
    flows = tracked([row._replace(size=100) for row in rows])
    assert (flows["retransmission_forward"][0], flows["retransmission_reverse"][0], flows["retransmissions"][0]) == (1, 0, 1)
    assert (flows["duplicate_ack_reverse"][0], flows["duplicate_ack_forward"][0]) == (1, 0)
    assert (flows["octets_forward"][0], flows["octets_reverse"][0]) == (400, 300)
