"""A SYN with another number in the midst of a connection: what belongs to its flow, and what goes on beside it."""

from typing import Any

import pytest

from mixcni.exchanges import pair_exchanges
from mixcni.flows import FlowTable
from tests.flows.rows import Row, column, handshake, said, tracked

MS = 10**6
STRAYS = (1, 999, 70_000, 2**29, 2**31 + 5, 2**32 - 2**20)
"""ISNs of SYNs that nobody of the connection sent, or that came a minute late; the connection's own is 1000."""


def request(*, number: int = 0, **more: Any) -> list[Row]:
    """A request of 100 octets and its response of 200."""
    forward, reverse = 1 + number * 100, 1 + number * 200
    return [said(0, "PA", forward, reverse, 100, **more), said(1, "PA", reverse, forward + 100, 200, **more)]


def stray(iss: int, side: int = 0, **more: Any) -> Row:
    """A SYN of another connection with the same key."""
    return said(side, "S", 0, iss=iss, irs=iss, **more)


def is_untouched(flows: FlowTable, number: int, requests: int) -> bool:
    """Whether a flow has the octets of so many requests and responses, all of them and no others."""
    names = (
        "end_forward",
        "octets_seen_forward",
        "end_reverse",
        "octets_seen_reverse",
        "hole_octets_forward",
        "hole_octets_reverse",
    )
    told = [int(flows[name][number]) for name in (*names, "unseen_octets_forward", "unseen_octets_reverse")]
    return told == [1 + requests * 100] * 2 + [1 + requests * 200] * 2 + [0] * 4


@pytest.mark.parametrize("iss", STRAYS)
@pytest.mark.parametrize("side", [0, 1])
def test_a_connection_goes_on_beside_a_stray_syn(iss, side):
    """It is answered with an ACK of the connection's own numbers (RFC 9293 section 3.10.7.4, RFC 5961 section 4.2)."""
    challenge = said(1 - side, "A", *((201, 101) if side == 0 else (101, 201)))
    flows = tracked([*handshake(), *request(), stray(iss, side), challenge, *request(number=1)])
    assert column(flows, "flow") == [0] * 5 + [1] + [0] * 3
    assert flows["packets_forward"].tolist()[1] + flows["packets_reverse"].tolist()[1] == 1
    assert is_untouched(flows, 0, 2)
    assert [int(flows[name][1]) for name in ("end_forward", "end_reverse", "unseen_octets_reverse")] == [1, 0, 0]
    exchanges = pair_exchanges(flows)
    assert exchanges["request_end"].max() == 201
    assert exchanges["response_end"].max() == 401


def test_any_number_of_syns_that_nobody_answers_leave_the_connection_its_segments():
    rows = handshake()
    for number in range(20):
        rows += [stray(10**6 * (number + 1)), *request(number=number)]
    flows = tracked(rows)
    assert len(flows) == 21
    assert flows["packets_forward"].tolist() == [2 + 20] + [1] * 20
    assert is_untouched(flows, 0, 20)


@pytest.mark.parametrize("iss", STRAYS)
def test_a_host_that_forgot_its_connection_resets_it_and_opens_the_next(iss):
    """RFC 9293 section 3.5.1, figure 9: the SYN, the old numbers, the reset of them, and the SYN again."""
    new = {"iss": iss, "irs": 10**9}
    again = [*handshake(**new)[1:], *request(**new)]
    rows = [*handshake(), *request(), stray(iss), said(1, "A", 201, 101), said(0, "R", 101), stray(iss, time_ns=10**9), *again]
    flows = tracked(rows)
    assert column(flows, "flow") == [0] * 5 + [1, 0, 0, 1] + [1] * 4
    assert (flows["resets"].tolist(), is_untouched(flows, 0, 1), is_untouched(flows, 1, 1)) == ([1, 0], True, True)


@pytest.mark.parametrize("flags", ["RA", "R"])
def test_a_refusal_is_of_the_syn_and_a_reset_of_the_connection_whose_number_it_has(flags):
    refusal = said(1, "RA", -5000, 1, iss=70_000)
    abort = said(1, flags, 201, 101)
    flows = tracked([*handshake(), *request(), stray(70_000), refusal, abort])
    assert column(flows, "flow")[5:] == [1, 1, 0]
    assert flows["resets"].tolist() == [1, 1]


def test_late_segments_of_a_connection_that_is_over_are_its_own():
    old = [said(0, "FA", 101, 201), said(1, "FA", 201, 102), said(0, "A", 102, 202)]
    new = {"iss": 64_000 + 1101, "irs": 2**31}
    rows = [*handshake(), *request(), *old, *handshake(**new), *request(**new)]
    late = [said(1, "FA", 201, 102, time_ns=MS), said(0, "A", 102, 202, time_ns=MS)]
    flows = tracked([*rows, *late, *request(number=1, **new)])
    assert column(flows, "flow") == [0] * 8 + [1] * 5 + [0, 0, 1, 1]
    assert is_untouched(flows, 1, 2)


@pytest.mark.parametrize("ack", [2, 70_000, 2**29])
def test_a_syn_ack_of_what_was_never_sent_answers_no_syn(ack):
    flows = tracked([said(0, "S", 0), said(1, "SA", 0, ack, irs=9), *handshake()[1:], *request()])
    assert (len(flows), flows["irs"][0], is_untouched(flows, 0, 1)) == (1, 5000, True)


@pytest.mark.parametrize("ack", [70_000, 2**29])
def test_an_acknowledgment_of_what_a_first_window_cannot_hold_answers_no_syn(ack):
    """The connection whose numbers it has was not captured."""
    flows = tracked([said(0, "S", 0), said(1, "A", 7, ack, irs=900_000), *handshake(), *request()])
    assert (len(flows), flows["irs"][0], is_untouched(flows, 0, 1)) == (1, 5000, True)


def test_where_a_capture_missed_much_the_acknowledgment_that_goes_on_is_believed():
    flows = tracked([said(0, "S", 0), *(said(1, "A", 1, ack) for ack in (100_000, 101_000, 102_000))])
    assert column(flows, "acknowledged") == [-1, -1, 101_000, 102_000]


def test_a_syn_ack_that_took_the_key_leaves_the_connection_its_segments_too():
    other = said(1, "SA", 0, 1, iss=2**30, irs=2**31)
    flows = tracked([*handshake(), *request(), other, *request(number=1)])
    assert column(flows, "flow") == [0] * 5 + [1, 0, 0]
    assert is_untouched(flows, 0, 2)


def test_the_other_side_may_have_opened_the_predecessor():
    ends = (0, 40_000), (1, 50_000)
    rows = [*handshake(ends=ends[::-1]), stray(9, ends=ends), said(0, "PA", 1, 1, 5, ends=ends[::-1])]
    flows = tracked(rows)
    assert column(flows, "flow") == [0, 0, 0, 1, 0]
    assert (flows["initiator"].tolist(), flows["end_forward"].tolist()) == ([1, 0], [6, 1])
