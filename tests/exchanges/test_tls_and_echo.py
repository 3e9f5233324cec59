"""TLS handshakes, alerts and bursts of records; ICMP echo."""

import struct

import pytest

from mixcni.exchanges.tls import read_records
from tests.exchanges.streams import exchanges_of, stream_of, talk_of, whole
from tests.wire import START, Frame, ip_frame


def record(kind: int, octets: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(octets).to_bytes(2) + octets


def hello(name: bytes, protocols: list[bytes]) -> bytes:
    """A ClientHello's message (RFC 8446 section 4.1.2) with SNI (RFC 6066 section 3) and ALPN (RFC 7301 section 3.1)."""
    names = b"\0" + len(name).to_bytes(2) + name
    server_name = b"\0\0" + (len(names) + 2).to_bytes(2) + len(names).to_bytes(2) + names
    listed = b"".join(bytes([len(one)]) + one for one in protocols)
    alpn = b"\0\x10" + (len(listed) + 2).to_bytes(2) + len(listed).to_bytes(2) + listed
    extensions = b"\0\x17\0\0" + server_name + alpn
    body = b"\3\3" + bytes(32) + b"\x20" + bytes(32) + b"\0\2\x13\1" + b"\1\0" + len(extensions).to_bytes(2) + extensions
    return b"\1" + len(body).to_bytes(3) + body


CLIENT_HELLO = record(22, hello(b"shop.example", [b"h2", b"http/1.1"]))
SERVER_HELLO = record(22, b"\2\0\0\1x")
FINISHED, DATA = record(22, b"\x99" * 40), record(23, b"\x17" * 50)
CHANGE = record(20, b"\1")
ALERT = record(21, b"\2\x28")  # handshake_failure, RFC 8446 section 6


def told(tmp_path, *turns: tuple[int, bytes]) -> list[tuple[str, str, str, str, int]]:
    frame = exchanges_of(tmp_path / "tls.pcap", talk_of(turns)).to_frame()
    names = ("kind", "method", "host", "target", "status")
    return list(zip(*(frame[name].tolist() for name in names), strict=True))[1:]


def test_a_connection_is_handshake_and_then_bursts(tmp_path):
    turns = [
        (0, CLIENT_HELLO),
        (1, SERVER_HELLO),
        (0, CHANGE + FINISHED),
        (1, CHANGE + FINISHED),
        (0, DATA),
        (1, DATA + DATA),
        (0, DATA),
    ]
    assert told(tmp_path, *turns) == [
        ("tls_handshake", "client_hello", "shop.example", "h2,http/1.1", -1),
        ("tls_handshake", "", "", "", -1),
        ("tls_records", "", "", "", -1),
        ("tls_records", "", "", "", -1),
    ]


def test_an_alert_is_told(tmp_path):
    assert told(tmp_path, (0, CLIENT_HELLO), (1, ALERT)) == [("tls_handshake", "client_hello", "shop.example", "h2,http/1.1", 40)]


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_hello_may_be_in_several_records_and_segments(size):
    message = hello(b"shop.example", [b"h2"])
    records = b"".join(record(22, message[at : at + size]) for at in range(0, len(message), size))
    found = read_records(stream_of(*((1 + at, records[at : at + 11]) for at in range(0, len(records), 11))))
    assert (found[0].server_name, found[0].protocols) == ("shop.example", "h2")
    assert len(found) == -(-len(message) // size)


def test_records_end_where_none_is():
    assert len(read_records(whole(CLIENT_HELLO + DATA + b"\x17\3\3" + b"no record"))) == 2
    assert read_records(whole(b"HTTP/1.1 200 OK\r\n")) == []
    assert [found.end for found in read_records(whole(DATA[:20]))] == [21]  # it goes on beyond what was seen


def echo(number: int, *, reply: bool = False, identifier: int = 5, v6: bool = False, payload: bytes = b"abc") -> Frame:
    kind = (129 if reply else 128) if v6 else (0 if reply else 8)
    ends = ("fd00::1", "fd00::2") if v6 else ("10.0.0.1", "10.0.0.2")
    octets = struct.pack("!BBHHH", kind, 0, 0, identifier, number) + payload
    return Frame(START + number, ip_frame(*(ends[::-1] if reply else ends), 58 if v6 else 1, octets))


@pytest.mark.parametrize("v6", [False, True])
def test_echo_replies_answer_by_sequence_number(tmp_path, v6):
    frames = [echo(1, v6=v6), echo(2, v6=v6), echo(3, v6=v6), echo(3, reply=True, v6=v6), echo(1, reply=True, v6=v6)]
    frame = exchanges_of(tmp_path / "echo.pcap", frames).to_frame()
    assert frame["identifier"].tolist() == [1, 2, 3]
    assert frame["response_packet"].tolist() == [4, -1, 3]
    assert set(frame["kind"]) == {"echo"}


def test_a_reply_without_its_request_and_a_second_reply_answer_nothing(tmp_path):
    frames = [echo(9, reply=True), echo(1), echo(1, reply=True), echo(1, reply=True, payload=b"other")]
    assert exchanges_of(tmp_path / "echo.pcap", frames).to_frame()["response_packet"].tolist() == [2]
