"""Heads of HTTP/1 messages in octets that are all there (RFC 9112): what nearly every sender writes, and 0 for all else.

A head that is refused here is read by mixcni.exchanges.heads, which knows what senders may write beside that: other line ends and
spaces, odd methods, repeated fields, heads that go on.
"""

from mixcni.kernels.byteorder import be16, be32, u8
from mixcni.kernels.jit import i64, kernel

MOST_HEAD = 1 << 13  # octets; mixcni.exchanges.heads.MOST_LINE
LONGEST_METHOD, LONGEST_CHUNK_LINE, LONGEST_NUMBER, LONGEST_SIZE = 24, 1 << 12, 18, 15
TAB, LINE_FEED, RETURN, SPACE, HYPHEN, ZERO, NINE, COLON, SEMICOLON, LETTER_A, LETTER_Z, UNDERSCORE = (
    0x09, 0x0A, 0x0D, 0x20, 0x2D, 0x30, 0x39, 0x3A, 0x3B, 0x41, 0x5A, 0x5F,
)  # fmt: skip
LINE_END = 0x0D0A
HTTP_, SLASH_1_ = 0x48545450, 0x2F312E  # HTTP and /1.
LOWER = 0x20202020  # makes letters small, and leaves hyphens

# Names of fields, four octets each word
HOST, UPGR, ADE = 0x686F7374, 0x75706772, 0x616465
TRAC, EPAR, ENT = 0x74726163, 0x65706172, 0x656E74
X_RE, QUES, T_ID = 0x782D7265, 0x71756573, 0x742D6964
CONT, ENT_, LENG, TH = 0x636F6E74, 0x656E742D, 0x6C656E67, 0x7468
TRAN, SFER, _ENC, ODIN, G = 0x7472616E, 0x73666572, 0x2D656E63, 0x6F64696E, 0x67
CHUN, KED = 0x6368756E, 0x6B6564

# What `read_head` writes: places and sizes of texts, size 0 where one is not there
END, STATUS, LENGTH, IS_CHUNKED, METHOD, TARGET, HOST_, REQUEST_ID, TRACEPARENT, HEAD_FIELDS = 0, 1, 2, 3, 4, 6, 8, 10, 12, 14
NO_FIELD, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING = 0, 1, 2, 3


@kernel
def lower32(octets, at):
    """The four octets at `at`, letters made small."""
    return be32(octets, at) | LOWER


@kernel
def lower24(octets, at):
    """The three octets at `at`, letters made small."""
    return (be16(octets, at) << 8 | u8(octets, at + 2)) | LOWER >> 8


@kernel
def field_of(octets, at, size):
    """Which field that is read here has this name: one of the constants, or the place of its text in what `read_head` writes."""
    if size == 4:
        return HOST_ if lower32(octets, at) == HOST else NO_FIELD
    if size == 7:
        return UPGRADE if lower32(octets, at) == UPGR and lower24(octets, at + 4) == ADE else NO_FIELD
    if size == 11:
        mine = lower32(octets, at) == TRAC and lower32(octets, at + 4) == EPAR and lower24(octets, at + 8) == ENT
        return TRACEPARENT if mine else NO_FIELD
    if size == 12:
        mine = lower32(octets, at) == X_RE and lower32(octets, at + 4) == QUES and lower32(octets, at + 8) == T_ID
        return REQUEST_ID if mine else NO_FIELD
    if size == 14:
        mine = lower32(octets, at) == CONT and lower32(octets, at + 4) == ENT_ and lower32(octets, at + 8) == LENG
        return CONTENT_LENGTH if mine and be16(octets, at + 12) | LOWER >> 16 == TH else NO_FIELD
    if size == 17:
        mine = lower32(octets, at) == TRAN and lower32(octets, at + 4) == SFER and lower32(octets, at + 8) == _ENC
        mine = mine and lower32(octets, at + 12) == ODIN and u8(octets, at + 16) | SPACE == G
        return TRANSFER_ENCODING if mine else NO_FIELD
    return NO_FIELD


@kernel
def line_end(octets, at, end):
    """Where the line from `at` ends, at its CR LF; -1 where it does not end so before `end`."""
    while at + 1 < end:
        octet = u8(octets, at)
        if octet == LINE_FEED:
            return -1
        if octet == RETURN:
            return at if u8(octets, at + 1) == LINE_FEED else -1
        at += 1
    return -1


@kernel
def number_of(octets, at, end):
    """The decimal number in [at, end); -1 where that is none, or too long."""
    if end <= at or end - at > LONGEST_NUMBER:
        return -1
    number = 0
    for i in range(at, end):
        digit = i64(u8(octets, i)) - ZERO
        if not 0 <= digit <= 9:
            return -1
        number = 10 * number + digit
    return number


@kernel
def request_line(octets, at, stop, head):
    """Write method and target of a request line that ends at `stop`; whether it is one."""
    i = at
    while i < stop and i - at <= LONGEST_METHOD:
        letter = i64(u8(octets, i))
        if not (LETTER_A <= letter <= LETTER_Z or letter == HYPHEN or letter == UNDERSCORE):
            break
        i += 1
    version = stop - 8
    if i == at or i + 2 >= version or u8(octets, i) != SPACE or u8(octets, version - 1) != SPACE:
        return False
    head[METHOD], head[METHOD + 1] = at, i - at
    head[TARGET], head[TARGET + 1] = i + 1, version - 1 - (i + 1)
    for place in range(i + 1, version - 1):
        if u8(octets, place) <= SPACE:
            return False
    return is_version(octets, version)


@kernel
def is_version(octets, at):
    """Whether `HTTP/1.` and a digit stand at `at`; 8 octets are there."""
    if be32(octets, at) != HTTP_ or be32(octets, at + 4) >> 8 != SLASH_1_:
        return False
    return ZERO <= u8(octets, at + 7) <= NINE


@kernel
def status_line(octets, at, stop, head):
    """Write the status of a status line that ends at `stop`; whether it is one."""
    if stop - at < 12 or not is_version(octets, at) or u8(octets, at + 8) != SPACE:
        return False
    if stop - at > 12 and u8(octets, at + 12) != SPACE and u8(octets, at + 12) != TAB:
        return False
    head[STATUS] = number_of(octets, at + 9, at + 12)
    return head[STATUS] >= 0


@kernel
def read_head(octets, at, end, is_response, head):
    """Write what the head that begins at `at` says; whether it is all there and as nearly every sender writes it.

    octets : (b,) uint8, [at, end) what follows in the stream; head : (HEAD_FIELDS,) int64
    """
    for i in range(HEAD_FIELDS):
        head[i] = 0
    head[STATUS] = head[LENGTH] = -1
    end = min(end, at + MOST_HEAD)
    stop = line_end(octets, at, end)
    if stop < 0:
        return False
    if not (status_line(octets, at, stop, head) if is_response else request_line(octets, at, stop, head)):
        return False
    while True:
        at = stop + 2
        stop = line_end(octets, at, end)
        if stop < 0:
            return False
        if stop == at:
            head[END] = stop + 2
            return True
        if not read_field(octets, at, stop, head):
            return False


@kernel
def read_field(octets, at, stop, head):
    """Enter the field whose line is [at, stop), if it is one that is read; False where it makes the head an odd one."""
    colon = at
    while colon < stop and u8(octets, colon) != COLON:
        colon += 1
    if colon == stop:
        return True
    name_end, begin = colon, colon + 1
    while name_end > at and is_blank(octets, name_end - 1):
        name_end -= 1
    while begin < stop and is_blank(octets, begin):
        begin += 1
    while stop > begin and is_blank(octets, stop - 1):
        stop -= 1
    field = field_of(octets, at, name_end - at)
    if field == NO_FIELD:
        return True
    if field == UPGRADE:
        return False
    if field == CONTENT_LENGTH:
        again = head[LENGTH] >= 0
        head[LENGTH] = number_of(octets, begin, stop)
        return not again and head[LENGTH] >= 0
    if field == TRANSFER_ENCODING:
        again = head[IS_CHUNKED] != 0
        head[IS_CHUNKED] = 1
        is_chunked = stop - begin == 7 and lower32(octets, begin) == CHUN and lower24(octets, begin + 4) == KED
        return is_chunked and not again
    if head[field]:
        return False
    head[field], head[field + 1] = begin, stop - begin
    return True


@kernel
def is_blank(octets, at):
    """Whether a space or a tab stands at `at`."""
    return u8(octets, at) == SPACE or u8(octets, at) == TAB


@kernel
def line_feed(octets, at, end):
    """Where the next LF is from `at` on, at most LONGEST_CHUNK_LINE octets away; -1 where none is before `end`."""
    for i in range(at, min(end, at + LONGEST_CHUNK_LINE)):
        if u8(octets, i) == LINE_FEED:
            return i
    return -1


@kernel
def chunk_size(octets, at, end):
    """The size that the line [at, end) of chunked content says, extensions left out; -1 where it says none."""
    size, digits, is_behind = 0, 0, False
    while at < end and is_blank(octets, at):
        at += 1
    while at < end and u8(octets, at) != SEMICOLON:
        octet = i64(u8(octets, at))
        at += 1
        if octet == SPACE or octet == TAB or octet == RETURN:
            is_behind = True
            continue
        letter = (octet | SPACE) - 0x61
        digit = octet - ZERO if ZERO <= octet <= NINE else 10 + letter if 0 <= letter <= 5 else -1
        digits += 1
        if digit < 0 or is_behind or digits > LONGEST_SIZE:
            return -1
        size = size << 4 | digit
    return size if digits else -1


@kernel
def chunked_end(octets, at, end):
    """Where chunked content from `at` on ends (RFC 9112 section 7.1), the trailer section included; -1 where that is not told."""
    while True:
        stop = line_feed(octets, at, end)
        size = chunk_size(octets, at, stop) if stop >= 0 else -1
        if size < 0:
            return -1
        at = stop + 1 + size
        if size == 0:
            break
        if at >= end:
            return at
        at += 1 if u8(octets, at) == LINE_FEED else 2
    while True:
        stop = line_feed(octets, at, end)
        if stop < 0:
            return -1
        is_last = stop == at or (stop == at + 1 and u8(octets, at) == RETURN)
        at = stop + 1
        if is_last:
            return at
