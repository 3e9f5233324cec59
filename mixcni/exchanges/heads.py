"""Heads of HTTP/1 messages: the start line and the fields that decide where a message ends (RFC 9112)."""

import re
from dataclasses import dataclass
from typing import Final

from mixcni.exchanges.streams import Stream

MOST_HEAD: Final = 1 << 18  # octets; servers refuse heads of a fraction of that
REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}) +(\S[^\r\n]*?) +HTTP/(1\.\d)[ \t]*\r?\n")
STATUS_LINE: Final = re.compile(rb"HTTP/1\.\d[ \t]+(\d{3})(?:[ \t][^\r\n]*)?\r?\n")
CUT_REQUEST: Final = re.compile(
    rb"(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) (/|\*|https?://|[\w.\-\[\]:]+:\d)[^\r\n]*"
)
CUT_STATUS: Final = re.compile(rb"HTTP(?:/(?:1(?:\.(?:\d(?:[ \t]+(?:\d{1,2}|(\d{3})(?:[ \t][^\r\n]*)?)?)?)?)?)?)?")
SIMPLE_REQUEST: Final = re.compile(
    rb"GET +(/\S*) *\r?\n(?:\r?\n)?"
)  # HTTP/0.9: no version, no fields, and a response without a head
FIELD: Final = re.compile(
    rb"^(host|content-length|transfer-encoding|upgrade|x-request-id|traceparent)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n",
    re.IGNORECASE | re.MULTILINE,
)
END: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Head:
    """The start line and fields of a message; what was not captured of them is not there.

    end : offset behind the empty line; None where the head was not captured whole
    method : "" for a response; status : -1 for a request, and where it was not captured; is_simple : HTTP/0.9
    """

    start: int
    end: int | None
    method: str
    target: str
    status: int
    fields: dict[bytes, bytes]
    is_simple: bool = False

    def text(self, name: bytes) -> str:
        """A field's value as text; empty where it is not there."""
        return self.fields.get(name, b"").decode("latin-1")

    @property
    def is_chunked(self) -> bool:
        """Whether chunked is the final transfer coding (RFC 9112 section 6.3)."""
        return self.fields.get(b"transfer-encoding", b"").lower().rsplit(b",", 1)[-1].strip() == b"chunked"

    @property
    def length(self) -> int | None:
        """Octets of content by Content-Length; None without one that is valid. Equal repetitions are one (RFC 9112 6.3)."""
        value = self.fields.get(b"content-length", b"")
        if b"," in value:
            values = {one.strip() for one in value.split(b",")}
            value = values.pop() if len(values) == 1 else b""
        return int(value) if value.isdigit() and len(value) < 19 else None  # fits 64 bits


def read_head(stream: Stream, offset: int, *, response: bool) -> Head | None:
    """The head of the message that begins at `offset`; None where none begins there."""
    line = stream.read(offset, MOST_LINE)
    match = (STATUS_LINE if response else REQUEST_LINE).match(line)
    if match is None:
        if response:
            return _cut_response(stream, offset, line)
        return _simple_request(stream, offset, line) or _cut_request(stream, offset, line)
    octets, end = line, END.search(line, match.end() - 2)
    if end is None and len(line) == MOST_LINE:
        octets = stream.read(offset, MOST_HEAD)
        end = END.search(octets, match.end() - 2)
    fields = _fields(octets[match.end() : end.end() if end else len(octets)])
    behind = offset + end.end() if end else None
    if response:
        return Head(offset, behind, "", "", int(match[1]), fields)
    return Head(offset, behind, match[1].decode("latin-1"), match[2].decode("latin-1"), -1, fields)


def _simple_request(stream: Stream, offset: int, line: bytes) -> Head | None:
    """A request of HTTP/0.9, which is all that its sender says."""
    match = SIMPLE_REQUEST.match(line)
    if match is None or offset != stream.first or offset + match.end() != stream.end:
        return None
    return Head(offset, stream.end, "GET", match[1].decode("latin-1"), -1, {}, is_simple=True)


def _cut_request(stream: Stream, offset: int, line: bytes) -> Head | None:
    """A request line of which the end was not captured: of a method of RFC 9110, with what can be a target behind it."""
    match = CUT_REQUEST.match(line)
    if match is None or match.end() != len(line) or len(line) == MOST_LINE or offset + len(line) == stream.end:
        return None
    return Head(offset, None, match[1].decode(), line[len(match[1]) + 1 :].decode("latin-1"), -1, {})


def _cut_response(stream: Stream, offset: int, line: bytes) -> Head | None:
    """A status line of which the end was not captured: the snaplen leaves IPv6 with timestamps ten octets of 96."""
    match = CUT_STATUS.fullmatch(line)
    if match is None or offset + len(line) == stream.end:
        return None
    return Head(offset, None, "", "", int(match[1]) if match[1] else -1, {})


MOST_LINE: Final = 1 << 13  # octets of a start line and most heads: RFC 9112 section 3 asks for 8000


def _fields(octets: bytes) -> dict[bytes, bytes]:
    """The fields that are read here by name in lower case; several of one name are joined by commas (RFC 9110 section 5.3).

    A line without its end was cut, and is left out.
    """
    found: dict[bytes, bytes] = {}
    for name, value in FIELD.findall(octets):
        key = name.lower()
        found[key] = found[key] + b", " + value if key in found else value
    return found
