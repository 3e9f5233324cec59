"""HTTP/1.x: requests and responses of one connection, and which response answers which request (RFC 9110, RFC 9112).

Messages are cut by their own framing, so that content is skipped whether or not it was captured. Where a hole hides the framing,
reading goes on at the next segment that begins with a start line. Responses answer requests in order (RFC 9112 section 9.3);
behind a hole it is what the response's segment acknowledges that tells which requests its sender had.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mixcni.exchanges.heads import MOST_HEAD, Head, read_head
from mixcni.exchanges.messages import Found, Reading
from mixcni.exchanges.streams import Stream
from mixcni.schema import ExchangeKind

LONGEST_CHUNK_LINE: Final = 1 << 12  # octets, extensions included (RFC 9112 section 7.1.1)
MOST_EMPTY_LINES: Final = 16  # before a start line (RFC 9112 section 2.2)
SWITCHING_PROTOCOLS, NO_CONTENT, NOT_MODIFIED = 101, 204, 304


@dataclass(frozen=True, slots=True)
class Message:
    """A message, [start, end) in its stream.

    after_gap : messages may have been missed before it; is_whole : its head is there to its end, or a hole hides the rest
    """

    head: Head
    end: int
    after_gap: bool
    is_whole: bool

    @property
    def start(self) -> int:
        """Offset of its start line."""
        return self.head.start


class _Walk:
    """A walk over one stream from message to message; who asks says how long each one's content is."""

    def __init__(self, stream: Stream, *, response: bool) -> None:
        self.stream = stream
        self.at = stream.first
        self.after_gap = not stream.is_known(1)
        self._response = response

    def next_head(self) -> Head | None:
        """The next message's head; None where there is no other."""
        for _ in range(2 * MOST_EMPTY_LINES):
            if self.stream.read(self.at, 1) not in (b"\r", b"\n"):
                break
            self.at += 1
        head = read_head(self.stream, self.at, response=self._response)
        if head is None:
            self.after_gap = True
            head = self._behind(self.at)
        if head is not None:
            self.at = head.start
        return head

    def _behind(self, offset: int) -> Head | None:
        """The head of the first message that begins a segment behind `offset`."""
        while (offset := self.stream.next_mark(offset + 1)) >= 0:
            head = read_head(self.stream, offset, response=self._response)
            if head is not None:
                return head
        return None

    def finish(self, head: Head, end: int | None) -> Message:
        """The message that ends at `end`: without that the next one bounds it, or the stream."""
        stream, gap = self.stream, self.after_gap
        is_whole = head.end is not None or head.start + stream.available(head.start) < stream.end
        self.after_gap = end is None
        if end is None:
            following = self._behind(head.start)
            end = stream.end if following is None else following.start
        self.at = end
        return Message(head, min(end, stream.end), gap, is_whole)


def read_http1(forward: Stream, reverse: Stream) -> Reading:
    """The exchanges of a connection that speaks HTTP/1.

    Parameters
    ----------
    forward, reverse : requests go forward

    Messages are counted whose head is there to its empty line, or goes into a hole. A request of HTTP/0.9, which needs no such
    line, is an exchange in any case, and its response, which has no head, is not counted.
    """
    requests = list(_requests(forward))
    reading = Reading(requests=sum(request.is_whole for request in requests))
    if len(requests) == 1 and requests[0].head.is_simple and reverse.read(reverse.first, 5) != b"HTTP/":
        reading.exchanges.append(_request_alone(requests[0], reverse.first))
        reading.exchanges[0].response = reverse.first, reverse.end
        reading.requests = int(forward.read(forward.first, MOST_HEAD).endswith((b"\n\r\n", b"\n\n")))
        return reading
    pending = deque(requests)
    walk = _Walk(reverse, response=True)
    last_end = max(reverse.first, 1)
    asked_end, interim = 1, 0
    while (head := walk.next_head()) is not None:
        carrier = reverse.carrier(head.start)
        acknowledged = carrier.acknowledged if carrier else -1
        request = _answered(pending, acknowledged, reading, forward, last_end, after_gap=walk.after_gap)
        if 100 <= head.status < 200 and head.status != SWITCHING_PROTOCOLS:
            last_end = walk.finish(head, head.end).end
            reading.responses += 1
            interim += 1
            continue
        message = walk.finish(head, _response_end(reverse, head, request))
        last_end = message.end
        reading.responses += message.is_whole
        if request is not None:
            pending.popleft()
        asked_end = max(asked_end, request.end if request else acknowledged)
        reading.exchanges.append(_exchange(request, message, asked_end, interim))
        interim = 0
        if _switches(head, request) and request is not None and head.end is not None:
            reading.beyond = request.end, head.end
            reading.upgrade = head.text(b"upgrade").lower()
            reading.requests -= sum(later.is_whole for later in pending)
            pending.clear()
            break
    for request in pending:
        reading.exchanges.append(_exchange(request, None, asked_end, interim))
        reading.exchanges[-1].response = last_end, last_end
        interim = 0
    reading.exchanges.sort(key=lambda found: (found.request[0], found.response[0]))
    return reading


def _requests(stream: Stream) -> Iterator[Message]:
    walk = _Walk(stream, response=False)
    while (head := walk.next_head()) is not None:
        yield walk.finish(head, _content_end(stream, head, head.end))


def _answered(
    pending: deque[Message], acknowledged: int, reading: Reading, forward: Stream, response_at: int, *, after_gap: bool
) -> Message | None:
    """The request that the next response answers, left first in `pending`; None where it was not seen.

    Behind a gap it is the last one that the responder had, unless a later one was not seen; the responses to the others are taken
    to be in the gap.
    """
    if after_gap:
        while pending and pending[0].end <= acknowledged:
            is_last = len(pending) == 1 or pending[1].end > acknowledged
            if is_last and not forward.has_hole(pending[0].end, acknowledged - 1):  # the last one may be of a FIN
                break
            skipped = _request_alone(pending.popleft(), response_at)
            skipped.is_missed = True
            reading.exchanges.append(skipped)
    if not pending or 0 <= acknowledged <= pending[0].start:
        return None
    return pending[0]


def _response_end(stream: Stream, head: Head, request: Message | None) -> int | None:
    """Where a response ends (RFC 9112 section 6.3); None where the framing cannot be read."""
    method = request.head.method if request else ""
    if head.end is None:
        return None
    if method == "HEAD" or head.status < 200 or head.status in (NO_CONTENT, NOT_MODIFIED):
        return head.end
    if method == "CONNECT" and head.status < 300:
        return head.end
    if request is None and stream.read(head.end, 7) == b"HTTP/1.":
        return head.end  # its request, a HEAD it must be, was not seen
    return _content_end(stream, head, stream.end)


def _content_end(stream: Stream, head: Head, otherwise: int | None) -> int | None:
    """Where a message's content ends; `otherwise` is where it does without Content-Length and transfer coding."""
    if head.end is None:
        return None
    if head.is_chunked:
        return _chunked_end(stream, head.end)
    if b"transfer-encoding" in head.fields:
        return otherwise
    length = head.length
    return otherwise if length is None else head.end + length


def _chunked_end(stream: Stream, at: int) -> int | None:
    """Where chunked content ends (RFC 9112 section 7.1), the trailer section included; None where a chunk's size is not there."""
    while True:
        line_end = stream.find(b"\n", at, LONGEST_CHUNK_LINE)
        if line_end < 0:
            return None
        size = stream.read(at, line_end - at).split(b";", 1)[0].strip()
        if not size or len(size) > 15 or size.strip(b"0123456789abcdefABCDEF"):
            return None
        at = line_end + 1
        if int(size, 16) == 0:
            break
        at += int(size, 16)
        if at >= stream.end:
            return at
        at += 1 if stream.read(at, 1) == b"\n" else 2
    while (line_end := stream.find(b"\n", at, LONGEST_CHUNK_LINE)) >= 0:
        is_last = stream.read(at, line_end - at) in (b"", b"\r")
        at = line_end + 1
        if is_last:
            return at
    return None


def _switches(head: Head, request: Message | None) -> bool:
    """Whether what follows a response is another protocol (RFC 9110 sections 7.8 and 9.3.6)."""
    accepted = request is not None and request.head.method == "CONNECT" and 200 <= head.status < 300
    return head.status == SWITCHING_PROTOCOLS or accepted


def _request_alone(request: Message, response_at: int) -> Found:
    head = request.head
    return Found(
        kind=ExchangeKind.HTTP1,
        request=(request.start, request.end),
        response=(response_at, response_at),
        method=head.method,
        target=head.target,
        host=head.text(b"host"),
        request_id=head.text(b"x-request-id"),
        traceparent=head.text(b"traceparent"),
    )


def _exchange(request: Message | None, response: Message | None, asked_end: int, interim: int) -> Found:
    """The exchange of both; a request that was not seen is an empty one behind those before it."""
    found = _request_alone(request, 1) if request else Found(ExchangeKind.HTTP1, (asked_end, asked_end), (1, 1))
    found.interim = interim
    if response is not None:
        found.response = response.start, response.end
        found.status = response.head.status
        found.request_id = found.request_id or response.head.text(b"x-request-id")
    return found
