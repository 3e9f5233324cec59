"""What a payload begins like: a look at its first octets, so that later stages know which flows are worth reading.

A hint is a guess from one segment; what a protocol's own reader then cannot read is no message of it.
"""

from mixcni.decode.kernel.numbers import L_LATER_FRAGMENT, L_TCP, L_UDP
from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.jit import i64, kernel

# mixcni.schema.Hint
NO_HINT, HTTP_REQUEST, HTTP_RESPONSE, HTTP2_PREFACE, HTTP2_FRAMES, TLS_RECORD, DNS_QUERY = 0, 1, 2, 3, 4, 5, 6
TLS_CLIENT_HELLO, TLS_SERVER_HELLO, DNS_RESPONSE = 7, 8, 9

SPACE, LINE_FEED, CARRIAGE_RETURN, HYPHEN, SLASH, UNDERSCORE, LETTER_A, LETTER_Z = 0x20, 0x0A, 0x0D, 0x2D, 0x2F, 0x5F, 0x41, 0x5A
LONGEST_METHOD = 24  # letters; UPDATEREDIRECTREF is the longest that IANA has
LONGEST_LINE = 8_192  # octets: what servers take as a request line (RFC 9112 section 3 asks for 8000)
HTTP_NAME = 0x48545450  # HTTP
HTTP_MAJOR = 0x2F312E  # /1.
# The first four octets of the methods of RFC 9110 section 9, with the space behind them, and PRI of RFC 9113 section 3.4
GET_, PUT_, POST, HEAD, DELE, OPTI, PATC, CONN, TRAC, PRI_ = (
    0x47455420, 0x50555420, 0x504F5354, 0x48454144, 0x44454C45, 0x4F505449, 0x50415443, 0x434F4E4E, 0x54524143, 0x50524920,
)  # fmt: skip
PREFACE = 0x2A204854  # `* HT`
LARGEST_RECORD = 16_384 + 2_048  # RFC 5246 section 6.2.3
RECORD_HEADER, HANDSHAKE, CLIENT_HELLO, SERVER_HELLO = 5, 22, 1, 2  # RFC 8446 sections 4 and 5.1
FRAME_HEADER, LARGEST_FRAME_TYPE = 9, 9  # RFC 9113 sections 4.1 and 6
F_DATA, F_HEADERS, F_PRIORITY, F_RST_STREAM, F_SETTINGS, F_PING, F_GOAWAY, F_WINDOW_UPDATE, F_CONTINUATION = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
)
PORT_DNS, PORT_MDNS = 53, 5353
DNS_HEADER, LONGEST_NAME, MOST_RECORDS = 12, 255, 255  # RFC 1035 sections 4.1.1 and 2.3.4


@kernel
def is_http_version(octets, at):
    """Whether `HTTP/1.` stands at `at`; 8 octets are there."""
    return be32(octets, at) == HTTP_NAME and be32(octets, at + 4) >> 8 == HTTP_MAJOR


@kernel
def is_known_method(octets, at):
    """Whether a method of RFC 9110 begins at `at`; 4 octets are there."""
    word = be32(octets, at)
    if word == GET_ or word == PUT_ or word == POST or word == HEAD or word == DELE:
        return 1
    return 1 if word == OPTI or word == PATC or word == CONN or word == TRAC else 0


@kernel
def is_request_line(octets, at, end):
    """Whether a request line of HTTP/1 begins at `at`; of a method of RFC 9110 the rest may be in the next segment."""
    i = at
    while i < end and i - at <= LONGEST_METHOD:
        letter = i64(u8(octets, i))
        if not (LETTER_A <= letter <= LETTER_Z or letter == HYPHEN or letter == UNDERSCORE):
            break
        i += 1
    if i - at < 3 or i >= end or u8(octets, i) != SPACE:
        return 0
    target, last = i + 1, min(end, at + LONGEST_LINE)
    while i < last:
        if u8(octets, i) == LINE_FEED:
            line_end = i - 1 if u8(octets, i - 1) == CARRIAGE_RETURN else i
            if line_end - at >= 12 and is_http_version(octets, line_end - 8):
                return 1
            return 1 if be32(octets, at) == GET_ and u8(octets, at + 4) == SLASH else 0  # HTTP/0.9
        i += 1
    return is_known_method(octets, at) if target < end and u8(octets, target) > SPACE else 0


@kernel
def frame_octets(octets, at):
    """Octets of the HTTP/2 frame that begins at `at` with its header whole, or 0 where none can (RFC 9113 section 6)."""
    size, kind = be32(octets, at) >> 8, i64(u8(octets, at + 3))
    stream = be32(octets, at + 5)
    if stream >> 31 or kind > LARGEST_FRAME_TYPE or size > LARGEST_RECORD:
        return 0
    of_connection = kind == F_SETTINGS or kind == F_PING or kind == F_GOAWAY
    if (of_connection and stream) or (not of_connection and not stream and kind != F_WINDOW_UPDATE):
        return 0
    if (kind == F_SETTINGS and size % 6) or (kind == F_PING and size != 8) or (kind == F_GOAWAY and size < 8):
        return 0
    if ((kind == F_WINDOW_UPDATE or kind == F_RST_STREAM) and size != 4) or (kind == F_PRIORITY and size != 5):
        return 0
    flags = i64(u8(octets, at + 4))
    if flags & ~0x2D or (kind == F_HEADERS and size == 0):
        return 0
    return FRAME_HEADER + size


@kernel
def are_frames(octets, at, end, stop):
    """Whether HTTP/2 frames fill a payload exactly, and one is not of octets alone: [at, end) is captured, `stop` its end."""
    telling = 0
    while at + FRAME_HEADER <= end:
        kind, size = i64(u8(octets, at + 3)), i64(frame_octets(octets, at))
        if size == 0:
            return 0
        telling |= 0 if kind == F_DATA or kind == F_CONTINUATION else 1
        at += size
    return 1 if telling and at == stop else 0


@kernel
def is_record(octets, at, end):
    """Whether the header of a TLS record stands at `at` (RFC 8446 section 5.1; RFC 5246 section 6.2.1)."""
    if end - at < 5:
        return 0
    kind, size = i64(u8(octets, at)), i64(be16(octets, at + 3))
    return 1 if 20 <= kind <= 23 and u8(octets, at + 1) == 3 and u8(octets, at + 2) <= 4 and 0 < size <= LARGEST_RECORD else 0


@kernel
def is_dns(octets, at, end, by_port):
    """Whether a DNS message of one question begins at `at` (RFC 1035 section 4.1); `by_port` takes a cut one too."""
    if end - at < DNS_HEADER:
        return 0
    reserved = 0x0040 if by_port else 0x7840  # Z, and on other ports every opcode but a query's
    if be16(octets, at + 2) & reserved or be16(octets, at + 4) != 1:
        return 0
    if be16(octets, at + 6) > MOST_RECORDS or be16(octets, at + 8) > MOST_RECORDS or be16(octets, at + 10) > MOST_RECORDS:
        return 0
    i, first = at + DNS_HEADER, at + DNS_HEADER
    while i < end and i - first <= LONGEST_NAME:
        size = i64(u8(octets, i))
        if size == 0:
            if end - i < 5:
                return by_port
            kind, place = i64(be16(octets, i + 1)), i64(be16(octets, i + 3)) & 0x7FFF
            return 1 if kind and (place == 1 or place == 3 or place == 4 or place == 255) else 0
        if size > 63:
            return 0
        i += size + 1
    return by_port if i >= end else 0


@kernel
def dns_kind(octets, at):
    """Which kind of message the DNS header at `at` says: its QR bit (RFC 1035 section 4.1.1)."""
    return DNS_RESPONSE if u8(octets, at + 2) >> 7 else DNS_QUERY


@kernel
def record_kind(octets, at, end):
    """Which kind of TLS record begins at `at`: a hello by the type of its handshake message (RFC 8446 section 4)."""
    if u8(octets, at) == HANDSHAKE and end - at > RECORD_HEADER:
        message = u8(octets, at + RECORD_HEADER)
        if message == CLIENT_HELLO:
            return TLS_CLIENT_HELLO
        if message == SERVER_HELLO:
            return TLS_SERVER_HELLO
    return TLS_RECORD


@kernel
def hint_of(octets, at, end, stop, is_tcp, by_port):
    """What the payload [at, end) of a packet begins like; its end on the wire is `stop`."""
    if not is_tcp:
        return dns_kind(octets, at) if is_dns(octets, at, end, by_port) else NO_HINT
    if end - at < 5:
        return NO_HINT
    if end - at >= 8:
        if is_http_version(octets, at):
            return HTTP_RESPONSE
        if be32(octets, at) == PRI_ and be32(octets, at + 4) == PREFACE:
            return HTTP2_PREFACE
    if is_request_line(octets, at, end):
        return HTTP_REQUEST
    if is_record(octets, at, end):
        return record_kind(octets, at, end)
    if end - at >= FRAME_HEADER and are_frames(octets, at, end, stop):
        return HTTP2_FRAMES
    if end - at >= DNS_HEADER + 2 and be16(octets, at) >= DNS_HEADER and is_dns(octets, at + 2, end, by_port):
        return dns_kind(octets, at + 2)
    return NO_HINT


@kernel
def hint_payloads(octets, frames, payload_at, first, columns, hints, count):
    """Write a row for each payload that begins like a protocol known here, from row `count` on; how many there are then.

    octets : (b,) uint8; frames : FrameArrays within it; payload_at : (n,) int64, octet where each frame's payload begins, -1 none
    first : row of `columns` for frame 0; columns : PacketArrays, decoded
    hints : HintArrays, with room for one a frame
    """
    for i in range(len(frames.start)):
        at, row = i64(payload_at[i]), first + i
        present = i64(columns.present[row])
        if at < 0 or not present & (L_TCP | L_UDP) or present & L_LATER_FRAGMENT:
            continue
        stop = at + i64(columns.payload_octets[row])
        end = min(i64(frames.start[i]) + i64(frames.captured[i]), stop)
        if end <= at:
            continue
        source, destination = i64(columns.source_port[row]), i64(columns.destination_port[row])
        if source == PORT_MDNS and destination == PORT_MDNS:
            continue  # asks everybody, and is answered by anybody (RFC 6762)
        by_port = 1 if source == PORT_DNS or destination == PORT_DNS else 0
        found = hint_of(octets, at, end, stop, 1 if present & L_TCP else 0, by_port)
        if found:
            hints.packet[count], hints.kind[count] = row, found
            count += 1
    return count
