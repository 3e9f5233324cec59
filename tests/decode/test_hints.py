"""What payloads begin like, and their octets read a second time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.decode import decode_packets
from mixcni.decode.kernel.hints import hint_of
from mixcni.decode.payloads import can_read_again, read_payloads
from mixcni.kernels.jit import plain, run
from mixcni.read import CaptureFile
from mixcni.schema import Hint
from tests.kernels.forms import FORMS, in_form
from tests.wire import Conversation, Frame, decoded, udp_frame, write_pcap

QUERY = b"\0\7\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1"
HEADERS_FRAME, PING_FRAME = b"\0\0\1\1\4\0\0\0\3\x82", b"\0\0\x08\6\0\0\0\0\0" + bytes(8)


def hint(octets: bytes, *, tcp: bool = True, by_port: bool = False, on_wire: int | None = None) -> int:
    array = np.frombuffer(octets, dtype=np.uint8).copy()
    return int(plain(hint_of, array, 0, len(octets), len(octets) if on_wire is None else on_wire, int(tcp), int(by_port)))


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"GET / HTTP/1.1\r\n", Hint.HTTP_REQUEST),
        (b"M-SEARCH * HTTP/1.1\r\n\r\n", Hint.HTTP_REQUEST),
        (b"POST /a/very/long/target/that/goes/on", Hint.HTTP_REQUEST),
        (b"GET /index.html\r\n", Hint.HTTP_REQUEST),
        (b"HTTP/1.0 200 OK", Hint.HTTP_RESPONSE),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Hint.HTTP2_PREFACE),
        (HEADERS_FRAME + PING_FRAME, Hint.HTTP2_FRAMES),
        (b"\x16\3\1\2\0\1\0\1\xfc\3\3", Hint.TLS_CLIENT_HELLO),
        (b"\x16\3\3\0\x7a\2\0\0\x76\3\3", Hint.TLS_SERVER_HELLO),
        (b"\x16\3\3\0\x7a", Hint.TLS_RECORD),
        (b"\x17\3\3\0\x20" + bytes(32), Hint.TLS_RECORD),
        (len(QUERY).to_bytes(2) + QUERY, Hint.DNS_QUERY),
    ],
)
def test_first_octets_tell(octets, expected):
    assert hint(octets) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"GET", b"GET  ", b"EHLO mail.example.org\r\n", b"get / HTTP/1.1\r\n", b"PING key\r\n",
        b"GET key\r\n", b"HTTP/2 200 ok", b"GETTING / HTTP/1.9x\r\n", b"\x16\2\0\0\x20", b"\x16\3\3\x60\0",
        bytes(40), HEADERS_FRAME + b"\0", b"\0\0\0\0\0\0\0\0\1",
    ],
)  # fmt: skip
def test_other_octets_tell_nothing(octets):
    assert hint(octets) == 0


def test_datagrams_are_dns_by_their_question_and_cut_ones_by_their_port():
    assert hint(QUERY, tcp=False) == Hint.DNS_QUERY
    assert hint(QUERY[:15], tcp=False) == 0
    assert hint(QUERY[:15], tcp=False, by_port=True) == Hint.DNS_QUERY
    assert hint(QUERY[:4] + b"\0\2" + QUERY[6:], tcp=False, by_port=True) == 0


def test_frames_must_fill_the_payload_as_it_was_on_the_wire():
    assert hint(HEADERS_FRAME, on_wire=len(HEADERS_FRAME) + 1) == 0


STARTS = st.sampled_from([b"", QUERY, HEADERS_FRAME, b"GET / HTTP/1.1\r\n", b"PRI * H", b"\x16\3\1\0", b"HTTP/1", b"GET \n"])


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@given(st.builds(bytes.__add__, STARTS, st.binary(max_size=40)), st.booleans(), st.booleans())
def test_every_form_agrees_on_any_octets_and_reads_none_beyond_them(form, octets, tcp, by_port):
    array = np.frombuffer(octets, dtype=np.uint8).copy()
    with in_form(form):
        found = run(hint_of, 1, array, 0, len(octets), len(octets), int(tcp), int(by_port))
    assert found == hint(octets, tcp=tcp, by_port=by_port)


def talk(number: int) -> list[Frame]:
    conversation = Conversation(("10.0.0.1", 40_000 + number), ("fd00::1" if number % 2 else "10.0.0.2", 80))
    if number % 2:
        conversation.ends = ("fd00::2", 40_000 + number), ("fd00::1", 80)
    frames = conversation.handshake()
    return [*frames, conversation.say(0, "PA", b"payload %d" % number, options=b"\1" * 4 * (number % 3))]


def test_payloads_are_read_again_file_by_file(tmp_path):
    """Options, IPv6 and several files; a frame without payload gives nothing, and padding behind a packet is none."""
    paths = [
        write_pcap(
            tmp_path / f"{i}.pcap",
            [frame._replace(octets=frame.octets.ljust(60, b"\0")) for n in range(3) for frame in talk(3 * i + n)],
        )
        for i in range(2)
    ]
    packets = decode_packets([CaptureFile(path) for path in paths])
    assert can_read_again(packets)
    rows = np.flatnonzero((packets["payload_octets"] > 0) | (packets["frame_number"] == 1))
    assert read_payloads(packets, rows) == [
        part for i in range(2) for part in (b"", *(b"payload %d" % (3 * i + n) for n in range(3)))
    ]
    assert read_payloads(packets, rows[:0]) == []


def test_a_cut_payload_is_what_was_captured(tmp_path):
    packets = decoded(tmp_path / "cut.pcap", [udp_frame(("10.0.0.1", 9), ("10.0.0.2", 9), b"0123456789")], snap_length=46)
    assert packets["payload_octets"].tolist() == [10]
    assert read_payloads(packets, np.array([0])) == [b"0123"]


def test_payloads_behind_damage_are_read_again(tmp_path):
    """Where frames stand is then told by a search, and not by the lengths of those before them."""
    frames = [udp_frame(("10.0.0.1", 9), ("10.0.0.2", 9), bytes([n]) * 5_000, time_ns=n) for n in range(200)]
    path = write_pcap(tmp_path / "damaged.pcap", frames)
    octets = bytearray(path.read_bytes())
    octets[32:36] = b"\xff" * 4  # the first record's captured length
    path.write_bytes(octets)
    capture = CaptureFile(path)
    packets = decode_packets([capture])
    assert len(packets) == 199
    assert len(capture.damage) == 1
    assert read_payloads(packets, np.array([3, 198])) == [bytes([4]) * 5_000, bytes([199]) * 5_000]


def test_hints_are_rows_of_the_packets_that_have_them(tmp_path):
    conversation = Conversation()
    frames = [*conversation.handshake(), *conversation.exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n", 1)]
    hints = decoded(tmp_path / "h.pcap", frames).hints
    assert (hints["packet"].tolist(), hints["kind"].tolist()) == ([3, 4], [Hint.HTTP_REQUEST, Hint.HTTP_RESPONSE])
