"""DNS messages and which response answers which query: by ID and question (RFC 1035 section 4.1, RFC 5452 section 9.1)."""

from dataclasses import dataclass
from typing import Final

from mixcni.exchanges.messages import Found
from mixcni.exchanges.streams import Segment, Stream
from mixcni.schema import ExchangeKind

HEADER: Final = 12
LONGEST_NAME: Final = 255  # RFC 1035 section 2.3.4
TYPES: Final = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR", 43: "DS",
    48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """A DNS message, [start, end) in its direction; name and kind are those of its first question, empty where not there."""

    start: int
    end: int
    packet: int
    identifier: int
    is_response: bool
    code: int
    name: str
    kind: str

    @property
    def question(self) -> tuple[int, str, str]:
        """What a response has in common with its query; names are compared without case (RFC 4343)."""
        return self.identifier, self.name.lower(), self.kind


def read_message(octets: bytes, start: int, end: int, packet: int) -> Message | None:
    """The message in `octets`; None where none is. A query has one question; a server that refuses to read it may repeat none."""
    if len(octets) < HEADER:
        return None
    flags, questions = int.from_bytes(octets[2:4]), int.from_bytes(octets[4:6])
    if questions != 1 and not flags >> 15:
        return None
    name, kind = _question(octets) if questions else ("", "")
    return Message(start, end, packet, int.from_bytes(octets[:2]), bool(flags >> 15), flags & 0xF, name, kind)


def _question(octets: bytes) -> tuple[str, str]:
    labels: list[str] = []
    at = HEADER
    while at < len(octets) and at - HEADER <= LONGEST_NAME:
        size = octets[at]
        if size == 0:
            number = int.from_bytes(octets[at + 1 : at + 3]) if at + 3 <= len(octets) else 0
            return ".".join(labels) or ".", TYPES.get(number, f"TYPE{number}") if number else ""
        if size > 63 or at + 1 + size > len(octets):
            break
        labels.append(octets[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    return "", ""


def datagram_messages(segments: list[Segment]) -> list[Message]:
    """The messages that one direction of a UDP flow has, in file order."""
    messages = (read_message(one.octets, one.start, one.end, one.packet) for one in segments)
    return [message for message in messages if message is not None]


def stream_messages(stream: Stream) -> list[Message]:
    """The messages of one direction over TCP, each behind its length (RFC 1035 section 4.2.2); behind a hole from a segment."""
    found: list[Message] = []
    at = stream.first
    while 0 <= at < stream.end:
        size = int.from_bytes(stream.read(at, 2)) if stream.available(at) >= 2 else 0
        carrier = stream.carrier(at)
        message = None
        if size >= HEADER and carrier is not None:
            message = read_message(stream.read(at + 2, size), at, min(at + 2 + size, stream.end), carrier.packet)
        if message is None:
            at = stream.next_mark(at + 1)
            continue
        found.append(message)
        at += 2 + size
    return found


def pair_dns(forward: list[Message], reverse: list[Message]) -> list[Found]:
    """Each query and the response to it; a query that was sent again is linked to the first one, which the response answers.

    A response without a question, or of which it was not captured, answers the newest query with its ID.
    """
    found: list[Found] = []
    asked: dict[tuple[int, str, str], int] = {}
    newest: dict[int, int] = {}
    for message in sorted([*forward, *reverse], key=lambda one: one.packet):
        is_told = message.name or not message.is_response
        row = asked.get(message.question) if is_told else newest.get(message.identifier)
        if not message.is_response:
            exchange = Found(
                ExchangeKind.DNS,
                (message.start, message.end),
                (1, 1),
                request_packet=message.packet,
                method=message.kind,
                target=message.name,
                identifier=message.identifier,
            )
            if row is not None and found[row].response_packet < 0:
                exchange.again = row
            else:
                asked[message.question] = newest[message.identifier] = len(found)
            found.append(exchange)
            continue
        if row is None or found[row].response_packet >= 0:
            continue  # the query was not seen, or this is a copy of its answer
        found[row].response = message.start, message.end
        found[row].response_packet = message.packet
        found[row].status = message.code
    return found
