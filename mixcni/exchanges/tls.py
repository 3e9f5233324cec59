"""TLS: what is sent in the clear, and which turns of a connection are handshake (RFC 8446, RFC 5246).

Exchanges of a TLS connection are turns of direction, as of any other: records inside them are encrypted. What the hellos and
alerts in the clear say is told with the turn that has them.
"""

from dataclasses import dataclass
from typing import Final

from mixcni.exchanges.messages import Found
from mixcni.exchanges.streams import Stream
from mixcni.schema import ExchangeKind

RECORD_HEADER: Final = 5
LARGEST_RECORD: Final = 16_384 + 2_048  # RFC 5246 section 6.2.3
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
ALERT_OCTETS: Final = 2  # in the clear; encrypted ones are longer
CLIENT_HELLO: Final = 1
STEPS: Final = {
    0: "hello_request", 1: "client_hello", 2: "server_hello", 4: "new_session_ticket", 8: "encrypted_extensions",
    11: "certificate", 12: "server_key_exchange", 13: "certificate_request", 14: "server_hello_done", 15: "certificate_verify",
    16: "client_key_exchange", 20: "finished", 22: "certificate_status", 24: "key_update",
}  # fmt: skip
SERVER_NAME, ALPN = 0, 16  # extensions (RFC 6066 section 3, RFC 7301 section 3.1)


@dataclass(frozen=True, slots=True)
class Record:
    """A record, [start, end) in its stream. `step` is the handshake message it begins with, `alert` its description; -1 none."""

    kind: int
    start: int
    end: int
    step: int = -1
    alert: int = -1
    server_name: str = ""
    protocols: str = ""


def read_records(stream: Stream) -> list[Record]:
    """The records of one direction, until one that is none or that a hole hides."""
    records: list[Record] = []
    at, is_encrypted = stream.first, False
    while (header := stream.read(at, RECORD_HEADER + 1)) and len(header) >= RECORD_HEADER:
        kind, size = header[0], int.from_bytes(header[3:5])
        if (
            not CHANGE_CIPHER_SPEC <= kind <= APPLICATION_DATA
            or header[1] != 3
            or header[2] > 4
            or not 0 < size <= LARGEST_RECORD
        ):
            break
        end = at + RECORD_HEADER + size
        record = Record(kind, at, min(end, stream.end))
        if kind == ALERT and size == ALERT_OCTETS:
            body = stream.read(at + RECORD_HEADER, size)
            record = Record(kind, at, record.end, alert=body[1] if len(body) == size else -1)
        elif kind == HANDSHAKE and not is_encrypted and len(header) > RECORD_HEADER:
            step = header[RECORD_HEADER] if header[RECORD_HEADER] in STEPS else -1
            name, protocols = _hello(_message(stream, at)) if step == CLIENT_HELLO else ("", "")
            record = Record(kind, at, record.end, step, -1, name, protocols)
        is_encrypted = is_encrypted or kind == CHANGE_CIPHER_SPEC
        records.append(record)
        at = end
    return records


def _message(stream: Stream, at: int) -> bytes:
    """The handshake message that begins in the record at `at`, without its header; it may go on in the next records."""
    octets = b""
    while (header := stream.read(at, RECORD_HEADER)) and len(header) == RECORD_HEADER and header[0] == HANDSHAKE:
        size = int.from_bytes(header[3:5])
        octets += stream.read(at + RECORD_HEADER, size)
        at += RECORD_HEADER + size
        if len(octets) >= 4 and len(octets) - 4 >= int.from_bytes(octets[1:4]):
            break
    return octets[4 : 4 + int.from_bytes(octets[1:4])]


def _hello(octets: bytes) -> tuple[str, str]:
    """(server name, application protocols joined by commas) that a ClientHello asks for; empty where it does not."""
    at = 2 + 32
    for width in (1, 2, 1):  # session, cipher suites, compression methods (RFC 8446 section 4.1.2)
        at += width + int.from_bytes(octets[at : at + width])
    name, protocols = "", ""
    at += 2
    while at + 4 <= len(octets):
        kind, size = int.from_bytes(octets[at : at + 2]), int.from_bytes(octets[at + 2 : at + 4])
        body = octets[at + 4 : at + 4 + size]
        if kind == SERVER_NAME and body[2:3] == b"\0":
            name = body[5 : 5 + int.from_bytes(body[3:5])].decode("latin-1")
        elif kind == ALPN:
            protocols = ",".join(_names(body[2:]))
        at += 4 + size
    return name, protocols


def _names(octets: bytes) -> list[str]:
    names, at = [], 0
    while at < len(octets):
        size = octets[at]
        names.append(octets[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    return names


def tell_turn(turn: Found, requests: list[Record], responses: list[Record]) -> None:
    """Say what the records of a turn say: whether it is handshake, whose name it asks for, and the alert that is in it."""
    asked = [record for record in requests if turn.request[0] <= record.start < turn.request[1]]
    told = [record for record in responses if turn.response[0] <= record.start < turn.response[1]]
    first = next(iter([*asked, *told]), None)
    is_handshake = first is not None and first.kind != APPLICATION_DATA
    turn.kind = ExchangeKind.TLS_HANDSHAKE if is_handshake else ExchangeKind.TLS_RECORDS
    for record in (*asked, *told):
        turn.method = turn.method or STEPS.get(record.step, "")
        turn.host = turn.host or record.server_name
        turn.target = turn.target or record.protocols
        turn.status = max(turn.status, record.alert)
