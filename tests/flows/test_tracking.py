"""Flows of worked conversations: orientation, identity, stream offsets, and what does not belong to a stream."""

import pytest

from mixcni.decode import PacketTable
from mixcni.flows import FlowTable, track_flows
from mixcni.schema import Label
from tests.flows.rows import Row, column, handshake, said, table_of, tracked
from tests.kernels.forms import FORMS, in_form
from tests.wire import Conversation, S, decoded, icmp_error, ip_frame, udp_frame
from tests.wire import Frame as WireFrame

LARGEST_WINDOW = 65_535 << 14  # RFC 7323 section 2.3
RETRANSMISSION = int(Label.RETRANSMISSION)
SPURIOUS = int(Label.RETRANSMISSION | Label.SPURIOUS_RETRANSMISSION)


@pytest.mark.parametrize(
    ("flags", "ports", "sender_is_initiator"),
    [
        ("S", (80, 40_000), True),  # RFC 9293 section 3.5: who sends the SYN opens
        ("SA", (40_000, 80), False),
        ("SA", (80, 40_000), False),
        ("A", (40_000, 80), True),
        ("A", (80, 40_000), False),
        ("A", (80, 8080), True),  # neither is ephemeral: who was heard first
        ("A", (40_000, 50_000), True),  # both are
        ("A", (32_767, 32_768), False),
        ("A", (32_768, 32_769), True),
        ("R", (80, 40_000), False),
    ],
)
def test_the_first_packet_says_who_is_the_initiator(flags, ports, sender_is_initiator):
    flows = tracked([said(0, flags, 0, ends=((0, ports[0]), (1, ports[1])))])
    initiator = (int(flows["initiator"][0]), int(flows["initiator_port"][0]))
    assert initiator == ((0, ports[0]) if sender_is_initiator else (1, ports[1]))
    assert column(flows, "direction") == [0 if sender_is_initiator else 1]


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "ending", [[], [said(0, "FA", 1, 1), said(1, "FA", 1, 2)], [said(1, "R", 1)]], ids=["open", "FIN", "RST"]
)
def test_a_new_initial_sequence_number_opens_another_flow(form, ending):
    with in_form(form):
        flows = tracked([*handshake(), *ending, *handshake(iss=77_000, irs=99_000)])
    assert flows["iss"].tolist() == [1000, 77_000]
    assert flows["irs"].tolist() == [5000, 99_000]
    assert column(flows, "flow") == [0] * (3 + len(ending)) + [1] * 3
    assert column(flows, "offset")[-3:] == [0, 0, 1]


def test_the_other_side_may_open_the_next_connection_of_a_key():
    ends = (0, 40_000), (1, 50_000)
    flows = tracked([*handshake(ends=ends), *handshake(ends=ends[::-1], iss=7, irs=9)])
    assert flows["initiator"].tolist() == [0, 1]


def test_a_retransmitted_syn_belongs_to_its_flow():
    flows = tracked([said(0, "S", 0, time_ns=i) for i in (0, 10**9, 3 * 10**9)])
    assert len(flows) == 1
    assert column(flows, "label") == [0, RETRANSMISSION, RETRANSMISSION]
    assert (flows["retransmissions"][0], flows["end_forward"][0], flows["synack_seen"][0]) == (2, 1, False)


def test_a_reset_before_the_syn_is_repeated_changes_nothing():
    """A closed port answers with SEG.SEQ 0 (RFC 9293 section 3.10.7.1), which is not its initial sequence number."""
    refusal = said(1, "RA", -5000, 1)
    flows = tracked([said(0, "S", 0), refusal, *handshake(), said(1, "PA", 1, 1, 100)])
    assert len(flows) == 1
    assert flows["irs"].tolist() == [5000]
    assert column(flows, "offset") == [0, 0, 0, 0, 1, 1]
    assert (flows["resets"][0], flows["end_reverse"][0]) == (1, 101)


def test_resets_of_an_older_connection_do_not_say_who_opens_the_next():
    flows = tracked([said(1, "R", 9, ends=((0, 40_000), (1, 50_000))), *handshake(ends=((0, 40_000), (1, 50_000)))])
    assert flows["initiator"].tolist() == [1, 0]
    assert column(flows, "flow") == [0, 1, 1, 1]


def test_simultaneous_open_is_one_flow():
    """RFC 9293 section 3.5, figure 7."""
    flows = tracked([said(0, "S", 0), said(1, "S", 0), said(0, "SA", 0, 1), said(1, "SA", 0, 1), said(0, "A", 1, 1)])
    assert len(flows) == 1
    assert (flows["iss"][0], flows["irs"][0], flows["initiator"][0]) == (1000, 5000, 0)
    assert column(flows, "offset") == [0, 0, 0, 0, 1]


def test_old_duplicate_syn_does_not_keep_its_port_from_the_true_one():
    """RFC 9293 section 3.5, figure 8: SYN 100, a duplicate SYN 90 and its answer, the reset, SYN 100 again and its answer."""
    rows = [
        said(0, "S", 0, iss=100),
        said(0, "S", 0, iss=90),
        said(1, "SA", 0, 1, iss=90, irs=300),
        said(0, "R", 1, iss=90),
        said(0, "S", 0, iss=100),
        said(1, "SA", 0, 1, iss=100, irs=400),
        said(0, "A", 1, 1, iss=100, irs=400),
    ]
    flows = tracked(rows)
    assert column(flows, "flow") == [0, 1, 1, 1, 2, 2, 2]
    assert (flows["iss"][-1], flows["irs"][-1], flows["resets"].tolist()) == (100, 400, [0, 1, 0])


def test_syn_acks_alone_tell_connections_of_one_port_apart():
    """What a point on the response path sees where requests take another one."""
    rows = [said(1, "SA", 0, 1, iss=iss, irs=irs) for iss, irs in ((10, 500), (10, 500), (20, 700))]
    flows = tracked([*rows, said(1, "PA", 1, 1, 50, iss=20, irs=700)])
    assert column(flows, "flow") == [0, 0, 1, 1]
    assert column(flows, "offset") == [0, 0, 0, 1]


def test_a_second_and_different_syn_ack_counts_until_one_is_acknowledged():
    first, second = said(1, "SA", 0, 1), said(1, "SA", 0, 1, irs=800_000)
    again = first._replace(time_ns=S)
    flows = tracked([said(0, "S", 0), first, second, said(0, "A", 1, 1, irs=800_000), again])
    assert flows["irs"].tolist() == [800_000]
    assert column(flows, "length") == [1, 1, 1, 0, 0]
    assert column(flows, "acknowledged") == [-1, 1, 1, 1, -1]


def test_a_syn_ack_repeated_after_the_handshake_moves_nothing():
    again = said(1, "SA", 0, 1, time_ns=S)
    flows = tracked([*handshake(), said(0, "PA", 1, 1, 10), again, said(1, "A", 1, 11, time_ns=S)])
    assert column(flows, "offset") == [0, 0, 1, 1, 0, 1]
    assert column(flows, "label") == [0, 0, 0, 0, SPURIOUS, 0]
    assert flows["end_reverse"].tolist() == [1]


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_offsets_grow_across_the_wrap_and_beyond_four_gib(form):
    """Ten steps of the largest window: more than 2**32 twice over."""
    step = LARGEST_WINDOW
    rows = handshake(iss=2**32 - 2, irs=2**32 - 1, window=65_535)
    for i in range(10):
        at = 1 + i * step
        rows += [
            said(0, "A", at, 1, step, iss=2**32 - 2, irs=2**32 - 1),
            said(1, "A", 1, at + step, iss=2**32 - 2, irs=2**32 - 1, window=65_535),
        ]
    with in_form(form):
        flows = tracked(rows)
    assert flows["end_forward"].tolist() == [1 + 10 * step]
    assert column(flows, "offset")[3::2] == [1 + i * step for i in range(10)]
    assert column(flows, "acknowledged")[4::2] == [1 + (i + 1) * step for i in range(10)]
    assert flows["payload_octets_forward"].tolist() == [10 * step]


def test_acknowledgments_alone_are_followed_beyond_two_gib():
    """A capture of one direction: the octets that are acknowledged are never seen."""
    acks = [1 + i * LARGEST_WINDOW for i in range(8)]
    flows = tracked([said(1, "A", 1, ack, window=65_535) for ack in acks])
    assert column(flows, "acknowledged") == acks
    assert (flows["end_forward"][0], column(flows, "length")) == (0, [0] * 8)


def test_a_repetition_is_labelled_and_octets_out_of_order_keep_their_place():
    data = [said(0, "A", at, 1, 100) for at in (1, 201, 101, 101, 1, 301)]
    flows = tracked([*handshake(), *data])
    assert column(flows, "offset")[3:] == [1, 201, 101, 101, 1, 301]
    assert column(flows, "label")[3:] == [0, Label.LOST_SEGMENT, Label.OUT_OF_ORDER, RETRANSMISSION, RETRANSMISSION, 0]
    assert (flows["end_forward"][0], flows["retransmissions"][0]) == (401, 2)


def test_a_repetition_with_new_octets_behind_it_is_new():
    flows = tracked([*handshake(), said(0, "A", 1, 1, 100), said(0, "A", 51, 1, 100)])
    assert column(flows, "label")[3:] == [0, 0]
    assert flows["end_forward"].tolist() == [151]


def test_fins_and_resets_are_counted_each_time_and_only_fins_take_an_octet():
    rows = [*handshake(), said(0, "FA", 1, 1), said(0, "FA", 1, 1, time_ns=S), said(1, "RA", 1, 2, 9), said(1, "R", 1)]
    flows = tracked(rows)
    assert (flows["fins"][0], flows["resets"][0]) == (2, 2)
    assert column(flows, "length")[3:] == [1, 1, 0, 0]  # RFC 9293 section 3.5.3: a reset's text explains it
    assert (flows["end_forward"][0], flows["end_reverse"][0]) == (2, 1)


@pytest.mark.parametrize("payload", [0, 1])
def test_a_keep_alive_probe_is_no_retransmission(payload):
    """RFC 9293 section 3.8.4: SEG.SEQ is SND.NXT - 1, with or without a garbage octet."""
    flows = tracked([*handshake(), said(0, "PA", 1, 1, 10), said(1, "A", 1, 11), said(0, "A", 10, 1, payload)])
    assert (column(flows, "label")[-1], flows["retransmissions"][0], flows["end_forward"][0]) == (Label.KEEP_ALIVE, 0, 11)


def test_a_last_octet_that_nobody_acknowledged_is_a_retransmission():
    flows = tracked([*handshake(), said(0, "PA", 1, 1, 1), said(0, "PA", 1, 1, 1)])
    assert column(flows, "label")[-2:] == [0, RETRANSMISSION]


def test_bases_are_learnt_in_the_midst_of_a_connection():
    """One less than the first sequence number, and than the first acknowledgment: what comes next has offset 1."""
    flows = tracked([said(0, "A", 700, 300, 10), said(1, "A", 300, 710, 20), said(0, "A", 710, 320)])
    assert (flows["iss"][0], flows["irs"][0]) == (1699, 5299)
    assert (flows["syn_seen"][0], flows["synack_seen"][0]) == (False, False)
    assert column(flows, "offset") == [1, 1, 11]
    assert column(flows, "acknowledged") == [1, 11, 21]


def test_a_first_acknowledgment_of_the_handshake_tells_the_initial_sequence_numbers():
    flows = tracked([said(0, "A", 1, 1), said(1, "SA", 0, 1), said(0, "PA", 1, 1, 5)])  # the first two in the wrong order
    assert (len(flows), flows["iss"][0], flows["irs"][0]) == (1, 1000, 5000)
    assert column(flows, "offset") == [1, 0, 1]


@pytest.mark.parametrize("seq", [2**30, 2**31 - 5, 2**31 + 5, 2**32 - 2**20])
def test_a_wild_reset_moves_nothing(seq):
    before = [*handshake(), said(0, "PA", 1, 1, 100)]
    flows = tracked(
        [*before, said(1, "RA", seq, 3 * seq), said(0, "R", seq), said(0, "PA", 101, 1, 100), said(1, "PA", 1, 201, 7)]
    )
    assert column(flows, "offset")[-2:] == [101, 1]
    assert column(flows, "acknowledged")[-2:] == [1, 201]
    assert (flows["end_forward"][0], flows["end_reverse"][0], flows["resets"][0]) == (201, 8, 2)


@pytest.mark.parametrize("ahead", [2**21, 2**30, 2**31 - 100])
@pytest.mark.parametrize("copies", [1, 3])
def test_a_segment_beyond_any_advertised_window_is_no_part_of_the_stream(ahead, copies):
    """RFC 9293 section 3.10.7.4. A window of 64 is at most 1 MiB (RFC 7323 section 2.3: the scale is at most 14)."""
    stray = said(0, "FA", 101 + ahead, 1 + ahead, 50)
    rows = [*handshake(), said(0, "PA", 1, 1, 100), said(1, "A", 1, 101), *[stray] * copies, said(0, "PA", 101, 1, 100)]
    flows = tracked(rows)
    assert column(flows, "length")[5:] == [0] * copies + [100]
    assert column(flows, "acknowledged")[5:] == [-1] * copies + [1]
    assert column(flows, "label")[5:] == [0] * (copies + 1)
    assert (flows["end_forward"][0], flows["packets_forward"][0]) == (201, 4 + copies)


def test_the_window_of_a_syn_is_no_bound():
    """It is never scaled (RFC 7323 section 2.2); until another is advertised the bound is the largest there is."""
    flows = tracked([*handshake(), said(0, "A", 2**21, 1, 10), said(0, "A", 2**30 + 2**22, 1, 10)])
    assert column(flows, "length")[3:] == [10, 0]


def test_a_segment_as_far_as_the_window_reaches_belongs_to_the_stream():
    window = 64 << 14
    rows = [*handshake(), said(1, "A", 1, 1)]
    for start, length in ((window - 99, 100), (window + 2, 100)):
        flows = tracked([*rows, said(0, "A", start, 1, length)])
        assert column(flows, "length")[-1] == (length if start + length <= 1 + window else 0)


def test_a_gap_in_the_capture_costs_one_segment():
    far = 50 << 20
    rows = [*handshake(), said(1, "A", 1, 1)] + [said(0, "A", far + i * 100, 1, 100) for i in range(3)]
    flows = tracked([*rows, said(1, "A", 1, far + 300)])
    assert column(flows, "length")[4:] == [0, 100, 100, 0]
    assert column(flows, "offset")[4:7] == [far, far + 100, far + 200]
    assert column(flows, "acknowledged")[-1] == far + 300


def test_a_challenge_ack_of_an_older_connection_does_not_answer_the_syn():
    """RFC 9293 section 3.10.7.4: a host whose old connection never closed answers a new SYN with its old numbers."""
    challenge = said(1, "A", 70_000, 2**30 + 2, irs=900_000)
    again = [said(0, "S", 0, time_ns=1), challenge]
    flows = tracked([said(0, "S", 0), challenge, *again, said(0, "S", 0), said(1, "SA", 0, 1), said(0, "A", 1, 1)])
    assert (len(flows), flows["irs"][0]) == (1, 5000)
    assert column(flows, "acknowledged") == [-1, -1, -1, -1, -1, 1, 1]
    assert column(flows, "offset")[-2:] == [0, 1]


@pytest.mark.parametrize("behind", [1, 2**20, 2**31 - 1])
def test_nothing_stands_before_a_syn_that_was_seen(behind):
    stray = [said(0, "A", -behind - 9, -behind, 8), said(1, "A", -behind - 9, -behind, 8)]
    flows = tracked([*handshake(), *stray])
    assert column(flows, "length")[3:] == [0, 0]
    assert column(flows, "acknowledged")[3:] == [-1, -1]
    assert flows["retransmissions"].tolist() == [0]


def test_an_acknowledgment_beyond_any_window_does_not_cost_its_segment_its_octets():
    flows = tracked([*handshake(), said(1, "A", 1, 1), said(0, "PA", 1, 1 + 2**30, 10)])
    assert (column(flows, "length")[-1], column(flows, "acknowledged")[-1]) == (10, -1)


@pytest.mark.parametrize(
    ("times", "interval"), [((5, 9, 3), (3, 9)), ((-1, 7, 4), (4, 7)), ((6, -1, -1), (6, 6)), ((-1,) * 3, (-1, -1))]
)
def test_a_flow_lasts_from_its_earliest_to_its_latest_packet(times, interval):
    """IPFIX 156 and 157. Packets need not stand in the order of time, and one without a time (-1) says nothing."""
    flows = tracked([said(0, "A", 1 + i, 1, 1, time_ns=time) for i, time in enumerate(times)])
    assert (flows["first_ns"][0], flows["last_ns"][0]) == interval


def test_a_port_that_connects_to_itself_has_one_stream():
    """Simultaneous open with oneself: one initial sequence number, one direction."""
    ends = ((0, 40_000), (0, 40_000))
    same = {"ends": ends, "iss": 1000, "irs": 1000}
    rows = [said(0, "S", 0, **same), said(0, "SA", 0, 1, **same), said(0, "A", 1, 1, **same), said(0, "PA", 1, 1, 10, **same)]
    flows = tracked([*rows, said(0, "A", 11, 11, **same)])
    assert (len(flows), set(column(flows, "direction")), flows["end_forward"][0]) == (1, {0}, 11)
    assert column(flows, "offset") == [0, 0, 1, 1, 11]


def test_both_ends_of_a_connection_may_have_one_address():
    ends = (3, 40_000), (3, 80)
    flows = tracked([*handshake(ends=ends), said(1, "PA", 1, 1, 5, ends=ends)])
    assert column(flows, "direction") == [0, 1, 0, 1]
    assert (flows["initiator_port"][0], flows["end_reverse"][0]) == (40_000, 6)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_tables_grow_with_flows_and_with_keys(form):
    """More than 1024 flows and more than 2047 keys, also both at once, also with one flow a key more than there is room."""
    reused = [said(0, "S", 0, iss=isn) for isn in range(1500)]
    keyed = [Row(i >> 12, 1 + (i & 0xFFF), 5, 80, 17, 0, payload=i, time_ns=i) for i in range(5000)]
    with in_form(form):
        flows = tracked([*reused, *keyed, *keyed[:10], *keyed[-10:]])
    assert len(flows) == 6500
    assert flows["iss"][:1500].tolist() == list(range(1500))
    assert flows["payload_octets_forward"][1510:6490].tolist() == list(range(10, 4990))
    assert column(flows, "flow")[-20:] == [*range(1500, 1510), *range(6490, 6500)]


def of_frames(tmp_path, frames: list[WireFrame]) -> tuple[PacketTable, FlowTable]:
    packets = decoded(tmp_path / "frames.pcap", frames)
    return packets, track_flows(packets)


def echo(source: str, destination: str, kind: int, identifier: int) -> WireFrame:
    protocol = 58 if ":" in source else 1
    return WireFrame(0, ip_frame(source, destination, protocol, bytes([kind, 0, 0, 0]) + identifier.to_bytes(2) + bytes(2)))


@pytest.mark.parametrize(
    ("a", "b", "ask", "reply"),
    [("10.0.0.1", "10.0.0.2", 8, 0), ("fd00::1", "fd00::2", 128, 129)],
    ids=["ICMP", "ICMPv6"],
)
@pytest.mark.parametrize("identifier", [0, 7, 0xFFFF])
def test_an_echo_and_its_reply_are_one_flow(tmp_path, a, b, ask, reply, identifier):
    packets, flows = of_frames(
        tmp_path, [echo(b, a, reply, identifier), echo(a, b, ask, identifier), echo(a, b, ask, identifier ^ 1)]
    )
    assert column(flows, "flow") == [0, 0, 1]
    assert column(flows, "direction") == [1, 0, 0]
    assert [packets.book.text(code) for code in flows["initiator"]] == [a, a]
    assert flows["initiator_port"].tolist() == [identifier, identifier ^ 1]


def test_icmp_errors_are_no_flows(tmp_path):
    syn = Conversation().handshake()[0]
    packets, flows = of_frames(tmp_path, [syn, icmp_error("10.0.0.9", "10.244.3.7", syn)])
    assert (len(packets), len(flows), len(flows.segments)) == (2, 1, 1)


def test_udp_is_a_flow_a_key_with_octets_each_way(tmp_path):
    client, server = ("10.0.0.1", 40_000), ("10.0.0.2", 53)
    frames = [udp_frame(server, client, b"12345"), udp_frame(client, server, b"123"), udp_frame(client, server)]
    packets, flows = of_frames(tmp_path, frames)
    assert (packets.book.text(int(flows["initiator"][0])), flows["protocol"].tolist()) == ("10.0.0.1", [17])
    assert (flows["packets_forward"][0], flows["packets_reverse"][0]) == (2, 1)
    assert (flows["payload_octets_forward"][0], flows["payload_octets_reverse"][0]) == (3, 5)
    assert column(flows, "acknowledged") == [-1] * 3


def test_udp_and_tcp_of_the_same_ports_are_two_flows():
    assert len(tracked([said(0, "A", 1, 1), Row(0, 40_000, 1, 80, 17, 0)])) == 2


def test_a_connection_over_ipv6_is_tracked_as_over_ipv4(tmp_path):
    tables = []
    for ends in ((("10.0.0.1", 40_000), ("10.0.0.2", 80)), (("fd00::1", 40_000), ("fd00::2", 80))):
        talk = Conversation(*ends)
        frames = [*talk.handshake(), *talk.exchange(b"GET", b"200 OK", 10), *talk.close(20)]
        tables.append(of_frames(tmp_path, frames)[1])
    four, six = tables
    assert {name: column(four, name) for name in four.segments} == {name: column(six, name) for name in six.segments}
    assert six.to_frame()["initiator"].tolist() == ["fd00::1"]


def test_later_fragments_and_other_protocols_are_no_flows():
    table = table_of([Row(0, 0, 1, 0, 47, 0), said(0, "S", 0)])
    assert track_flows(table).segments["packet"].tolist() == [1]


def test_no_packets_give_no_flows():
    flows = tracked([])
    assert (len(flows), len(flows.segments), len(flows.to_frame())) == (0, 0, 0)
