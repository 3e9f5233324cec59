"""A capture as a user holds it: its facts, its repr, its frames one by one and through scapy and dpkt, its damage."""

import contextlib

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether, Loopback
from scapy.packet import Packet

from mixcni.decode import Capture, open_capture
from mixcni.decode.capture import LINK_NAMES, MAX_SHOWN, Frame
from mixcni.errors import CaptureError, ParameterError, TruncatedCapture
from tests import faults
from tests.decode.test_twin import LINK_TYPES, SEEDS, UNREAD
from tests.decode.tunnels import IN4, IN6, TUNNELS
from tests.wire import START, Conversation, S, udp_frame, write_pcap
from tests.wire import Frame as WireFrame

HANDSHAKE = Conversation().handshake()


@pytest.fixture
def path(tmp_path):
    return write_pcap(tmp_path / "A.pcap", [*HANDSHAKE, udp_frame(("10.0.0.1", 1), ("10.0.0.2", 2), b"x" * 30)], snap_length=60)


def test_facts_count_what_the_file_holds(path):
    (facts,) = Capture.open(path).facts()
    assert facts == {
        "file": str(path),
        "link_types": ["ETHERNET"],
        "packets": 4,
        "first_ns": START,
        "last_ns": START + 2_000_000,
        "tcp_segments": 3,
        "tcp_payload_octets": 0,
        "syn": 1,
        "synack": 1,
        "fin": 0,
        "rst": 0,
        "udp": 1,
        "fragments": {"put_together": 0, "left": 0},
        "tunnels": {},
        "not_decoded": 0,
        "snaplen_cut": 1,
        "damage": [],
    }


def test_a_repr_is_a_glance(path):
    assert repr(open_capture(path)) == (
        "Capture: 4 packets in 1 file\n  A.pcap  ETHERNET  4 packets, 3 TCP segments, 1 cut by the snaplen"
    )


def test_frames_of_a_link_type_that_is_not_decoded_are_counted_and_told(tmp_path):
    capture = open_capture(write_pcap(tmp_path / "A.pcap", [WireFrame(START, b"?" * 30)] * 2, link_type=147))
    assert capture.facts()[0]["not_decoded"] == 2
    assert "147  2 packets, 0 TCP segments, 2 of a link type that is not decoded" in repr(capture)


def test_a_repr_tells_tunnels_and_damage(tmp_path):
    path = write_pcap(tmp_path / "A.pcap", [WireFrame(START, TUNNELS["VXLAN"][1])] * 2)
    path.write_bytes(path.read_bytes()[:-1])
    lines = repr(Capture.open(path)).splitlines()
    assert lines[1] == "  A.pcap  ETHERNET  1 packets, 1 TCP segments, 1 in vxlan"
    assert lines[2].startswith(f"  damaged: {path}, octet ")
    assert len(lines) == 3


def test_a_repr_is_bounded(tmp_path):
    paths = [write_pcap(tmp_path / f"A-{i:02}.pcap", HANDSHAKE) for i in range(MAX_SHOWN + 3)]
    lines = repr(Capture.open(paths)).splitlines()
    assert len(lines) == MAX_SHOWN + 2
    assert lines[0] == f"Capture: {3 * len(paths)} packets in {len(paths)} files"
    assert lines[-1] == "  ... and 3 more"


def test_a_frame_is_the_files_octets(path):
    capture = Capture.open(path)
    for number, frame in enumerate(HANDSHAKE, start=1):
        assert capture.frame(number) == Frame(frame.octets[:60], number, frame.time_ns, len(frame.octets), 1)
    assert capture.frame(4).original_length == 72
    assert len(capture.frame(4).octets) == 60


def test_frames_are_counted_within_their_file(tmp_path):
    paths = [write_pcap(tmp_path / f"{i}.pcap", HANDSHAKE[i:]) for i in range(2)]
    capture = Capture.open(paths)
    assert len(capture) == 5
    assert capture.frame(1, file=1).octets == HANDSHAKE[1].octets
    assert capture.packets["frame_number"].tolist() == [1, 2, 3, 1, 2]


@pytest.mark.parametrize(
    ("number", "file", "message"),
    [
        (0, 0, r"frame must be in \[1, 4\] for A.pcap, got 0"),
        (-1, 0, "got -1"),
        (5, 0, r"\[1, 4\] for A.pcap, got 5"),
        (1, 1, r"file must be in \[0, 1\), got 1"),
        (1, -1, "got -1"),
    ],
)
def test_an_unknown_frame_is_the_callers_mistake(path, number, file, message):
    with pytest.raises(ParameterError, match=message):
        Capture.open(path).frame(number, file)


def test_looking_at_a_frame_keeps_the_damage(tmp_path):
    path = write_pcap(tmp_path / "A.pcap", HANDSHAKE)
    path.write_bytes(path.read_bytes()[:-1])
    capture = Capture.open(path)
    before = capture.damage
    assert capture.frame(1).octets == HANDSHAKE[0].octets
    assert capture.damage == before
    assert [(d.what, d.wanted - d.had) for d in before] == [("record 3", 1)]
    with pytest.raises(TruncatedCapture, match="record 3"):
        Capture.open(path, strict=True)


def test_a_file_of_no_octets_is_a_capture_of_no_packets(tmp_path):
    path = tmp_path / "A.pcap"
    path.touch()
    capture = Capture.open(path)
    assert len(capture) == 0
    assert capture.packets.empty
    lines = repr(capture).splitlines()
    assert lines[1] == "  A.pcap  no interface  0 packets, 0 TCP segments"
    assert "a capture file needs 4 octets by its magic number, has 0" in lines[2]
    assert capture.facts()[0]["first_ns"] is None
    with pytest.raises(ParameterError, match=r"\[1, 0\]"):
        capture.frame(1)
    with pytest.raises(TruncatedCapture):
        Capture.open(path, strict=True)


FORMS = {
    "Ethernet": (1, Ether(type=0x0800) / IN4),
    "Ethernet with IPv6": (1, Ether(type=0x86DD) / IN6),
    "raw": (101, IN4),
    "raw with IPv6": (101, IN6),
    "IPv4": (228, IN4),
    "IPv6": (229, IN6),
    "cooked": (113, CookedLinux(proto=0x0800) / IN4),
    "cooked 2": (276, CookedLinuxV2(proto=0x0800) / IN4),
    "null": (0, Loopback(type=2) / IN4),
    "null with IPv6": (0, Loopback(type=30) / IN6),
    "PPP": (9, b"\xff\x03\x00\x21" + bytes(IN4)),
}


def framed(link_type, octets):
    octets = bytes(octets)
    return Frame(octets, 1, START, len(octets), link_type)


@pytest.mark.parametrize(("link_type", "octets"), [form for name, form in FORMS.items() if name != "null with IPv6"])
def test_scapy_gets_to_the_segment(link_type, octets):
    """But for BSD's loopback with IPv6, whose address family scapy takes to be the local machine's."""
    packet = framed(link_type, octets).scapy()
    assert isinstance(packet, Packet)
    assert packet[TCP].sport == 40000
    assert (IP in packet) != (IPv6 in packet)


@pytest.mark.parametrize(("link_type", "octets"), FORMS.values(), ids=FORMS.keys())
def test_dpkt_gets_to_the_segment(link_type, octets):
    layer = framed(link_type, octets).dpkt()
    while not isinstance(layer, dpkt.tcp.TCP):
        layer = layer.data
    assert layer.sport == 40000


def test_a_link_type_of_nobody_is_said_to_be_one():
    frame = framed(147, b"abc")
    with pytest.raises(ParameterError, match="frame 1: scapy has no dissector for link type 147"):
        frame.scapy()
    with pytest.raises(ParameterError, match="frame 1: dpkt has no dissector for link type 147"):
        frame.dpkt()


@pytest.mark.parametrize("dissect", [Frame.scapy, Frame.dpkt], ids=["scapy", "dpkt"])
@settings(max_examples=400)
@given(seed=st.integers(0, 2**32), pick=st.sampled_from(SEEDS), length=st.integers(0, 200))
def test_any_octets_give_a_packet_or_a_parameter_error(dissect, seed, pick, length):
    link_type, octets = pick
    with contextlib.suppress(ParameterError):
        assert dissect(framed(link_type, faults.bend(octets, seed)[:length])) is not None


LATER_OF_OPTIONS = (  # a later fragment whose next header is hop-by-hop options
    "020000000002da0000003b0186dd60000000002e2c3cfd6c000000000000000000000007fd0000010000000000000000000001490600002800000000"
    "a0c6281f90fffffffb"
)
GIVEN_UP = {
    "dpkt, too short": (Frame.dpkt, 1, bytes(13)),
    "dpkt, a label cut": (Frame.dpkt, 1, bytes(12) + b"\x88\x47\0\0\1\x80"),
    "dpkt, a fragment of options": (Frame.dpkt, 1, bytes.fromhex(LATER_OF_OPTIONS)),
    "scapy, a cooked header cut": (Frame.scapy, 113, bytes(5)),
}


@pytest.mark.parametrize(("dissect", "link_type", "octets"), GIVEN_UP.values(), ids=GIVEN_UP.keys())
def test_octets_that_a_library_gives_up_on_are_a_parameter_error(dissect, link_type, octets):
    with pytest.raises(ParameterError, match=r"frame 1: (dpkt|scapy) cannot dissect it"):
        dissect(framed(link_type, octets))


def test_every_decoded_link_type_has_a_name():
    assert set(LINK_TYPES) - {UNREAD} == set(LINK_NAMES)


def test_no_capture_is_an_error_of_captures(tmp_path):
    (tmp_path / "A.pcap").write_bytes(b"hello")
    with pytest.raises(CaptureError, match="68 65 6c 6c"):
        Capture.open(tmp_path / "A.pcap")


def test_times_are_the_first_and_the_last_whatever_the_order(tmp_path):
    frames = [WireFrame(START + t * S, HANDSHAKE[0].octets) for t in (5, 1, 9, 3)]
    (facts,) = Capture.open(str(write_pcap(tmp_path / "A.pcap", frames))).facts()
    assert (facts["first_ns"], facts["last_ns"]) == (START + S, START + 9 * S)
