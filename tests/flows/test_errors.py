"""ICMP errors attached to the flows that they quote."""

import struct

import dpkt
import numpy as np
import pytest

from mixcni.flows import ErrorTable, FlowTable, attach_errors, track_flows
from mixcni.flows import errors as errors_module
from tests.flows.test_tshark import SAMPLES, flows_of
from tests.wire import MS, START, Conversation, Frame, decoded, icmp_error, ip_frame, udp_frame

ROUTER = "192.0.2.1"


def attached(tmp_path, frames: list[Frame]) -> tuple[FlowTable, ErrorTable]:
    flows = track_flows(decoded(tmp_path / "errors.pcap", frames))
    return flows, attach_errors(flows)


def test_an_error_is_its_flows_with_the_router_and_the_segment(tmp_path):
    talk = Conversation()
    frames = talk.handshake()
    large = talk.say(0, "PA", bytes(1400), time_ns=START + 3 * MS)
    error = icmp_error(ROUTER, "10.244.3.7", large, kind=3, code=4, time_ns=START + 4 * MS)
    flows, errors = attached(tmp_path, [*frames, large, error])
    assert {name: errors[name].tolist() for name in errors} == {
        "packet": [4], "flow": [0], "direction": [0], "router": [flows.packets["source"][4]], "kind": [3], "code": [4],
        "offset": [1], "segment": [3],
    }  # fmt: skip
    assert flows.packets.book.text(int(errors["router"][0])) == ROUTER


def test_an_error_against_the_responders_packet_is_of_the_reverse_direction(tmp_path):
    talk = Conversation()
    frames = talk.handshake()
    _, errors = attached(tmp_path, [*frames, icmp_error(ROUTER, "10.242.2.149", frames[1], time_ns=START + 9 * MS)])
    assert (errors["flow"].tolist(), errors["direction"].tolist(), errors["offset"].tolist()) == ([0], [1], [0])
    assert errors["segment"].tolist() == [1]


def test_of_connections_of_one_key_the_sequence_number_tells(tmp_path):
    """The port is used again: a late error quotes the first connection's SYN."""
    first, second = Conversation(), Conversation(iss=2_000_000_000, irs=9_000)
    frames = [*first.handshake(), *first.close(START + 10 * MS), *second.handshake(START + 20 * MS)]
    late = [icmp_error(ROUTER, "10.244.3.7", frames[at], time_ns=START + 30 * MS) for at in (0, 6)]
    flows, errors = attached(tmp_path, [*frames, *late])
    assert len([flow for flow in flows["protocol"] if flow == 6]) == 2
    assert errors["flow"].tolist() == [0, 1]


def test_an_error_whose_packet_was_not_seen_is_nobodys(tmp_path):
    talk = Conversation()
    unseen = talk.say(0, "S")
    _, errors = attached(tmp_path, [icmp_error(ROUTER, "10.244.3.7", unseen)])
    assert (errors["flow"].tolist(), errors["direction"].tolist(), errors["segment"].tolist()) == ([-1], [-1], [-1])


def test_a_closed_udp_port_is_the_hosts_own_word(tmp_path):
    query = udp_frame(("10.0.0.1", 5000), ("10.0.0.2", 53), b"x")
    flows, errors = attached(tmp_path, [query, icmp_error("10.0.0.2", "10.0.0.1", query, code=3, time_ns=START + MS)])
    assert errors["router"].tolist() == flows["responder"].tolist()
    assert (errors["flow"].tolist(), errors["offset"].tolist()) == ([0], [-1])


def test_packet_too_big_of_icmpv6_is_attached(tmp_path):
    """RFC 4443 section 3.2."""
    talk = Conversation(("fd00::1", 40_000), ("fd00::2", 80))
    frames = [*talk.handshake(), talk.say(0, "PA", bytes(1300), time_ns=START + 5 * MS)]
    error = Frame(START + 6 * MS, ip_frame("fd00::ff", "fd00::1", 58, b"\2\0\0\0\0\0\5\0" + frames[-1].octets[14:80]))
    flows, errors = attached(tmp_path, [*frames, error])
    assert flows.packets.book.text(int(errors["router"][0])) == "fd00::ff"
    assert (errors["flow"].tolist(), errors["kind"].tolist(), errors["segment"].tolist()) == ([0], [2], [3])


def tunnelled(vni: int, frame: Frame) -> Frame:
    """A frame in VXLAN."""
    udp = dpkt.udp.UDP(sport=5555, dport=8472, data=struct.pack(">II", 0x0800_0000, vni << 8) + frame.octets)
    udp.ulen = len(udp)
    return Frame(frame.time_ns, ip_frame("192.168.0.1", "192.168.0.2", 17, udp))


def test_of_very_many_tunnels_with_one_key_an_error_is_of_its_own_and_few_are_compared(tmp_path, monkeypatch):
    query = udp_frame(("10.0.0.1", 1000), ("10.0.0.2", 53), b"x")
    error = icmp_error("10.0.0.9", "10.0.0.1", query)
    count = 500
    frames = [tunnelled(vni, query.at(START + vni * MS)) for vni in range(count)]
    frames += [tunnelled(vni, error.at(START + (count + vni) * MS)) for vni in range(count)]
    compared = []
    fit = errors_module._fit
    monkeypatch.setattr(errors_module, "_fit", lambda *arguments: compared.append(arguments) or fit(*arguments))
    flows, errors = attached(tmp_path, frames)
    assert flows["stack_forward"][errors["flow"]].tolist() == flows.packets["stack"][errors["packet"]].tolist()
    assert len(set(errors["flow"].tolist())) == count
    assert len(compared) <= count * 3 * errors_module.MOST_NEAR


def test_a_port_that_is_used_very_often_has_the_newest_connection_with_the_quoted_number(tmp_path):
    talks = [Conversation(iss=1000 + 2**24 * (number % 200)) for number in range(300)]
    frames = [talk.say(0, "S", time_ns=START + number * 10 * MS) for number, talk in enumerate(talks)]
    late = [icmp_error(ROUTER, "10.244.3.7", frames[number], time_ns=START + number * 10 * MS + MS) for number in (3, 120, 299)]
    ordered = sorted([*frames, *late], key=lambda frame: frame.time_ns)
    flows, errors = attached(tmp_path, ordered)
    assert errors["flow"].tolist() == [3, 120, 299]
    assert flows.segments["packet"][errors["segment"]].tolist() == [row - 1 for row in errors["packet"].tolist()]


@pytest.mark.tshark
def test_recorded_errors_have_the_flows_of_the_ports_that_tshark_shows():
    """icmp-quotes-tcp.pcap: four errors, frames and ports by `tshark -Y icmp -T fields -e frame.number -e tcp.srcport`."""
    flows = flows_of(next(path for path in SAMPLES if path.name == "icmp-quotes-tcp.pcap"))
    errors = attach_errors(flows)
    assert len(errors) == len(flows.packets.quotes) == 4
    for row in range(4):
        flow, quote = int(errors["flow"][row]), flows.packets.quotes
        ends = {int(flows["initiator_port"][flow]), int(flows["responder_port"][flow])}
        assert flow >= 0
        assert ends == {int(quote["source_port"][row]), int(quote["destination_port"][row])}
        assert np.isin(quote["source"][row], [flows["initiator"][flow], flows["responder"][flow]])
