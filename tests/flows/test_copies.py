"""Copies of one packet at one point, and one flow key in several outer stacks."""

import numpy as np
import pytest

from mixcni.decode import decode_packets
from mixcni.flows import FlowTable, track_flows
from mixcni.read import CaptureFile
from mixcni.schema import Label
from tests.flows.rows import STACKS, VXLAN, Row, column, handshake, said, table_of, tracked
from tests.flows.test_tshark import SAMPLES
from tests.kernels.forms import FORMS, in_form
from tests.wire import MS

SAME = {"ip_id": 7, "time_ns": 0}


def twice(first: Row, **changed: int) -> FlowTable:
    return tracked([*handshake(), first, first._replace(**changed)])


@pytest.mark.parametrize(
    ("first", "changed", "is_copy"),
    [
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000}, True),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": MS}, True),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": MS + 1}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "ttl": 63}, True),  # forwarded by this host
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "ttl": 62}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "ttl": 65}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "ip_id": 8}, False),  # sent again
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "window": 65}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7), {"time_ns": 50_000, "flags": 16}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7, time_ns=5), {"time_ns": 4}, False),
        (said(0, "PA", 1, 1, 10, ip_id=7, time_ns=-1), {}, False),
        (said(0, "A", 1, 1), {"time_ns": 50_000}, False),  # no identification: a duplicate ACK looks the same
        (said(0, "A", 1, 1), {"time_ns": 50_000, "ttl": 63}, True),
        (said(0, "FA", 1, 1), {"time_ns": 50_000}, True),
    ],
)
def test_what_is_a_copy(first, changed, is_copy):
    flows = twice(first, **changed)
    assert column(flows, "copy_of")[-1] == (3 if is_copy else -1)
    assert (column(flows, "sub_hop")[-1], flows["copies"][0]) == (int(is_copy), int(is_copy))


def test_a_flow_that_had_a_copy_may_have_others_without_an_identification():
    rows = [copy for row in handshake() for copy in (row, row._replace(time_ns=50_000))]
    assert column(tracked(rows), "copy_of") == [-1, 0, -1, 2, -1, 4]


def test_copies_are_counted_and_take_no_part_in_tcp_analysis():
    data = said(0, "PA", 1, 1, 10, ip_id=7)
    flows = tracked([*handshake(), *(data._replace(ttl=64 - hop, time_ns=hop * 1000) for hop in range(3))])
    assert column(flows, "copy_of")[3:] == [-1, 3, 3]
    assert column(flows, "sub_hop")[3:] == [0, 1, 2]
    assert column(flows, "label")[3:] == [0, 0, 0]
    assert column(flows, "offset")[3:] == [1, 1, 1]
    assert (flows["retransmissions"][0], flows["copies"][0], flows["packets_forward"][0]) == (0, 2, 5)


def test_copies_of_any_protocol_are_known_by_their_identification():
    ask = Row(0, 40_000, 1, 53, 17, 0, payload=30, ip_id=7)
    flows = tracked([ask, ask._replace(time_ns=1000), ask._replace(ip_id=0), ask._replace(ip_id=0)])
    assert column(flows, "copy_of") == [-1, 0, -1, -1]


def test_a_capture_with_every_packet_twice_has_no_retransmission():
    path = next(path for path in SAMPLES if path.name == "tcp-every-packet-twice-http.pcap")
    flows = track_flows(decode_packets([CaptureFile(path)]))
    assert flows["copies"].sum() == len(flows.segments) // 2
    assert not flows.segments["label"].any()
    assert np.count_nonzero(flows.segments["label_wireshark"] & Label.RETRANSMISSION)


def around(rows: list[Row], forward: int, reverse: int) -> list[Row]:
    """These rows in outer stacks, by who sent them."""
    return [row._replace(stack=forward if row.a == 0 else reverse) for row in rows]


@pytest.mark.parametrize(
    ("forward", "reverse"),
    [(1, 2), (1, 4), (1, 0), (0, 1), (5, 5), (6, 7)],
    ids=["tunnel", "own VNI each", "response beside the tunnel", "request beside it", "VLAN", "tunnel in a VLAN"],
)
def test_the_two_directions_of_a_tunnel_are_one_flow(forward, reverse):
    flows = tracked(around([*handshake(), said(0, "PA", 1, 1, 9), said(1, "PA", 1, 10, 9)], forward, reverse))
    assert (len(flows), flows["stack_forward"][0], flows["stack_reverse"][0]) == (1, forward, reverse)
    assert (flows["end_forward"][0], flows["end_reverse"][0]) == (10, 10)


def test_equal_keys_in_two_tunnels_are_two_flows():
    """Two tenants whose connections have the same addresses, ports and even numbers."""
    one, other = (around([*handshake(), said(0, "PA", 1, 1, 9)], *stacks) for stacks in ((1, 2), (3, 3)))
    flows = tracked([row for pair in zip(one, other, strict=True) for row in pair])
    assert column(flows, "flow") == [0, 1] * 4
    assert flows["other_stack"].tolist() == [-1, 0]
    assert column(flows, "label") == [0] * 8
    assert (flows["end_forward"].tolist(), flows["end_reverse"].tolist()) == ([10, 10], [1, 1])


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_equal_keys_in_any_number_of_tunnels_are_as_many_flows(form):
    count = 100
    tunnels = [(0, VXLAN, vni, *ends) for vni in range(count) for ends in ((10, 11), (11, 10))]
    talk = [*handshake(), said(0, "PA", 1, 1, 9), said(1, "PA", 1, 10, 9)]
    rows = [row for one in talk for vni in range(count) for row in around([one], 2 * vni + 1, 2 * vni + 2)]
    with in_form(form):
        flows = track_flows(table_of(rows, [STACKS[0], *tunnels]))
    assert column(flows, "flow") == [*range(count)] * len(talk)
    assert flows["other_stack"].tolist() == [*range(-1, count - 1)]
    assert set(flows["end_forward"].tolist() + flows["end_reverse"].tolist()) == {10}


def test_one_flow_heard_plain_and_in_its_tunnel_is_two_that_are_linked():
    plain = [*handshake(), said(0, "PA", 1, 1, 9, ip_id=7)]
    order = [row for pair in zip(plain, around(plain, 1, 2), strict=True) for row in pair]
    flows = tracked(order)
    assert column(flows, "flow") == [0, 1] * 4
    assert flows["other_stack"].tolist() == [-1, 0]
    assert flows["copies"].tolist() == [0, 0]


def test_a_port_used_again_stays_in_its_tunnel():
    rows = [*around(handshake(), 1, 2), *handshake(), *around(handshake(iss=77, irs=88), 1, 2)]
    flows = tracked(rows)
    assert column(flows, "flow") == [0] * 3 + [1] * 3 + [2] * 3
    assert column(flows, "label")[6] == Label.PORT_REUSED
    assert flows["other_stack"].tolist() == [-1, 0, -1]


@pytest.mark.parametrize(("silence", "count"), [(60 * 10**9, 1), (60 * 10**9 + 1, 2)])
@pytest.mark.parametrize("protocol", [17, 1])
def test_a_minute_without_a_packet_ends_a_flow_of_udp_or_echo(silence, count, protocol):
    """Zeek: udp_inactivity_timeout and icmp_inactivity_timeout."""
    first = Row(0, 40_000, 1, 8 << 8 if protocol == 1 else 53, protocol, 0, payload=9, time_ns=5)
    flows = tracked([first, first._replace(time_ns=5 + silence), first._replace(time_ns=6 + silence)])
    assert len(flows) == count
    assert column(flows, "flow") == [0, count - 1, count - 1]


def test_tcp_has_no_time_out():
    assert len(tracked([said(0, "A", 1, 1, 9), said(0, "A", 10, 1, 9, time_ns=10**15)])) == 1
