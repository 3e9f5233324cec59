"""HTTP/2 and gRPC: one exchange a stream (RFC 9113 section 8.1), whether or not its header fields can be decoded."""

from dataclasses import dataclass
from typing import Final

from mixcni.exchanges.frames import DATA, HEADERS, RST_STREAM, Fields, read_frames
from mixcni.exchanges.messages import Found, Reading
from mixcni.exchanges.streams import Stream
from mixcni.schema import ExchangeKind

GRPC: Final = b"application/grpc"  # content-type, with what may follow it (gRPC over HTTP/2, Requests)


@dataclass(slots=True)
class _Side:
    """What one side said on a stream, [start, end); `fields` of all its header blocks, trailers included."""

    start: int
    end: int
    fields: Fields
    interim: int = 0


def read_http2(forward: Stream, reverse: Stream, since: tuple[int, int], upgraded: Found | None = None) -> Reading:
    """The exchanges of a connection that speaks HTTP/2.

    Parameters
    ----------
    forward, reverse : the client speaks forward
    since : offsets in both from where on they are frames
    upgraded : the HTTP/1 request that asked for it: it is stream 1 (RFC 7540 section 3.2)
    """
    requests, responses = _sides(forward, since[0]), _sides(reverse, since[1])
    reading = Reading()
    if upgraded is not None:
        response = responses.pop(1, None)
        requests.pop(1, None)
        if response is not None:
            upgraded.response = response.start, response.end
            upgraded.status = _number(response.fields, b":status")
    for identifier in sorted(requests.keys() | responses.keys()):
        request, response = requests.get(identifier), responses.get(identifier)
        reading.exchanges.append(_exchange(forward, reverse, identifier, request, response))
    reading.exchanges.sort(key=lambda found: (found.request[0], found.response[0]))
    return reading


def _sides(stream: Stream, since: int) -> dict[int, _Side]:
    """What was said on each stream that a client began; interim responses are counted and left out."""
    sides: dict[int, _Side] = {}
    for frame in read_frames(stream, since):
        if not frame.stream % 2 or (frame.kind not in (DATA, HEADERS, RST_STREAM) and frame.fields is None):
            continue
        side = sides.get(frame.stream)
        if side is None:
            side = sides[frame.stream] = _Side(frame.start, frame.end, {})
        if _is_interim(frame.fields):
            side.interim += 1
            side.start = side.end = frame.end
            continue
        if side.start == side.end:
            side.start = frame.start
        side.end = frame.end
        side.fields.update(frame.fields or {})
    return sides


def _is_interim(fields: Fields | None) -> bool:
    return fields is not None and len(fields.get(b":status", b"")) == 3 and fields[b":status"].startswith(b"1")


def _exchange(forward: Stream, reverse: Stream, identifier: int, request: _Side | None, response: _Side | None) -> Found:
    asked: Fields = request.fields if request else {}
    told: Fields = response.fields if response else {}
    is_grpc = asked.get(b"content-type", b"").startswith(GRPC) or told.get(b"content-type", b"").startswith(GRPC)

    def text(name: bytes) -> str:
        return asked.get(name, b"").decode("latin-1")

    return Found(
        kind=ExchangeKind.GRPC if is_grpc or b"grpc-status" in told else ExchangeKind.HTTP2,
        request=(request.start, request.end) if request else _unseen(reverse, forward, response),
        response=(response.start, response.end) if response else _unseen(forward, reverse, request),
        method=text(b":method"),
        target=text(b":path"),
        host=text(b":authority") or text(b"host"),
        status=_number(told, b":status"),
        grpc_status=_number(told, b"grpc-status"),
        request_id=text(b"x-request-id") or told.get(b"x-request-id", b"").decode("latin-1"),
        traceparent=text(b"traceparent"),
        interim=response.interim if response else 0,
        identifier=identifier,
    )


def _unseen(seen: Stream, other: Stream, side: _Side | None) -> tuple[int, int]:
    """Where the side that was not seen would be: what the other side had acknowledged when it spoke."""
    carrier = seen.carrier(side.start) if side else None
    at = min(max(carrier.acknowledged if carrier else 1, 1), max(other.end, 1))
    return at, at


def _number(fields: Fields, name: bytes) -> int:
    value = fields.get(name, b"")
    return int(value) if value.isdigit() and len(value) < 9 else -1
