"""ICMP and ICMPv6 echo: which reply answers which request, by identifier and sequence number (RFC 792, RFC 4443 section 4)."""

from typing import Final

from mixcni.exchanges.messages import Found
from mixcni.exchanges.streams import Segment
from mixcni.schema import ExchangeKind

REQUESTS, REPLIES = (8, 128), (0, 129)
HEADER: Final = 8


def pair_echoes(segments: list[Segment]) -> list[Found]:
    """The echoes of one flow, which all have one identifier, in file order; a reply answers the first request with its number."""
    found: list[Found] = []
    open_rows: dict[int, list[int]] = {}
    for segment in segments:
        if len(segment.octets) < HEADER:
            continue
        kind, number = segment.octets[0], int.from_bytes(segment.octets[6:8])
        if kind in REQUESTS:
            open_rows.setdefault(number, []).append(len(found))
            span = segment.start, segment.end
            found.append(Found(ExchangeKind.ECHO, span, (1, 1), request_packet=segment.packet, identifier=number))
        elif kind in REPLIES and open_rows.get(number):
            row = open_rows[number].pop(0)
            found[row].response = segment.start, segment.end
            found[row].response_packet = segment.packet
    return found
