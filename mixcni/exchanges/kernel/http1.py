"""Requests and responses of HTTP/1 connections whose octets are all there: what mixcni.exchanges.http1 reads of the usual ones.

A connection in which anything else stands, from another protocol to a response without a request, is called odd and left to
that reader, which knows what a hole hides and what may follow.
"""

from mixcni.exchanges.kernel.heads import (
    END,
    IS_CHUNKED,
    LENGTH,
    LINE_FEED,
    METHOD,
    REQUEST_ID,
    RETURN,
    STATUS,
    chunked_end,
    read_head,
)
from mixcni.kernels.byteorder import be32, u8
from mixcni.kernels.jit import i64, kernel

MOST_EMPTY_LINES = 16  # mixcni.exchanges.http1
CONTINUE, SWITCHING_PROTOCOLS, OK, NO_CONTENT, NOT_MODIFIED = 100, 101, 200, 204, 304
HEAD_, CONN = 0x48454144, 0x434F4E4E  # the first four octets of HEAD and CONNECT
ODD, NO_ROOM = -1, -2


@kernel
def next_head(octets, at, end, is_response, head):
    """Read the next message's head: where it begins, `end` behind the last, ODD where something else is there."""
    for _ in range(2 * MOST_EMPTY_LINES):
        if at >= end or (u8(octets, at) != RETURN and u8(octets, at) != LINE_FEED):
            break
        at += 1
    if at >= end:
        return end
    return at if read_head(octets, at, end, is_response, head) else ODD


@kernel
def content_end(octets, head, end, otherwise):
    """Where the content behind a head ends; `otherwise` is where it does without a length; ODD where its framing is no good."""
    if head[IS_CHUNKED]:
        return chunked_end(octets, i64(head[END]), end)
    return i64(head[END]) + i64(head[LENGTH]) if head[LENGTH] >= 0 else otherwise


@kernel
def is_method(octets, at, size, word):
    """Whether a method of four octets stands there."""
    return size == 4 and be32(octets, at) == word


@kernel
def put_text(head, place, texts, cell):
    """Write where a text stands, and its size."""
    texts[cell], texts[cell + 1] = head[place], head[place + 1]


@kernel
def take_requests(octets, streams, flow, head, out, count):
    """Write a row for each request of a flow, from `count` on; how many rows there are then, ODD or NO_ROOM."""
    begin, end = i64(streams.begin[2 * flow]), i64(streams.end[2 * flow])
    at = begin
    while True:
        at = next_head(octets, at, end, False, head)
        if at == ODD or at == end:
            return ODD if at == ODD else count
        if count == len(out.flow):
            return NO_ROOM
        if is_method(octets, i64(head[METHOD]), 4, CONN):
            return ODD  # what follows may be another protocol
        out.flow[count] = flow
        out.request_start[count] = 1 + at - begin
        behind = content_end(octets, head, end, i64(head[END]))
        if behind < 0:
            return ODD
        out.request_end[count] = 1 + min(behind, end) - begin
        out.status[count] = -1
        out.interim[count] = 0
        for number in range(5):
            put_text(head, METHOD + 2 * number, out.texts, 10 * count + 2 * number)
        count += 1
        at = behind


@kernel
def response_end(octets, head, end, method_at, method_size):
    """Where a response ends (RFC 9112 section 6.3); ODD where its framing is no good."""
    status = i64(head[STATUS])
    if is_method(octets, method_at, method_size, HEAD_) or status < OK or status == NO_CONTENT or status == NOT_MODIFIED:
        return i64(head[END])
    return content_end(octets, head, end, end)


@kernel
def take_responses(octets, streams, segments, flow, head, out, first, count):
    """Enter the responses of a flow into the rows [first, count) of its requests; how many there are, interim ones too, or ODD.

    A response answers the first request that has none, and which its sender had acknowledged.
    """
    side = 2 * flow + 1
    begin, end = i64(streams.begin[side]), i64(streams.end[side])
    carrier, last = i64(streams.first_segment[side]), i64(streams.first_segment[side + 1])
    at, row, total, interim, last_end = begin, first, 0, 0, begin
    while True:
        at = next_head(octets, at, end, True, head)
        if at == ODD:
            return ODD
        if at == end:
            break
        while carrier + 1 < last and segments.begin[carrier + 1] <= at:
            carrier += 1
        acknowledged = i64(segments.acknowledged[carrier])
        if row == count or 0 <= acknowledged <= out.request_start[row]:
            return ODD  # its request was not seen
        status = i64(head[STATUS])
        if status == SWITCHING_PROTOCOLS:
            return ODD
        total += 1
        if CONTINUE <= status < OK:
            interim += 1
            at = last_end = i64(head[END])
            continue
        behind = response_end(octets, head, end, i64(out.texts[10 * row]), i64(out.texts[10 * row + 1]))
        if behind < 0:
            return ODD
        out.response_start[row] = 1 + at - begin
        last_end = min(behind, end)
        out.response_end[row] = 1 + last_end - begin
        out.response_packet[row] = segments.packet[carrier]
        out.status[row] = status
        out.interim[row] = interim
        cell = 10 * row + REQUEST_ID - METHOD
        if not out.texts[cell + 1]:
            put_text(head, REQUEST_ID, out.texts, cell)
        interim = 0
        row += 1
        at = behind
    for unanswered in range(row, count):
        out.response_start[unanswered] = out.response_end[unanswered] = 1 + last_end - begin
        out.response_packet[unanswered] = -1
        out.interim[unanswered] = interim
        interim = 0
    return total


@kernel
def enter_request_packets(streams, segments, flow, out, first, count):
    """Write the packet of each request of a flow that brought its first octet."""
    begin = i64(streams.begin[2 * flow])
    carrier, last = i64(streams.first_segment[2 * flow]), i64(streams.first_segment[2 * flow + 1])
    for row in range(first, count):
        at = begin + i64(out.request_start[row]) - 1
        while carrier + 1 < last and segments.begin[carrier + 1] <= at:
            carrier += 1
        out.request_packet[row] = segments.packet[carrier]


@kernel
def pair_whole(octets, streams, segments, from_flow, head, out, counts):
    """Write the exchanges of flows whose octets are all there; the flow to go on with where `out` is full, and rows written.

    octets : (b,) uint8, stream after stream
    streams : StreamArrays, of flow i those at 2 * i, its requests, and 2 * i + 1; segments : SegmentArrays, stream after stream
    from_flow : to begin with; head : (HEAD_FIELDS,) int64, for use here
    out : MessageArrays; counts : (2 * k,) int64, written: requests and responses of each flow, ODD for those of an odd one
    """
    count = 0
    for flow in range(from_flow, len(counts) // 2):
        first = count
        count = take_requests(octets, streams, flow, head, out, first)
        if count == NO_ROOM:
            return flow, first
        responses = ODD if count == ODD else take_responses(octets, streams, segments, flow, head, out, first, count)
        if responses == ODD:
            counts[2 * flow] = counts[2 * flow + 1] = ODD
            count = first
            continue
        counts[2 * flow], counts[2 * flow + 1] = count - first, responses
        enter_request_packets(streams, segments, flow, out, first, count)
    return len(counts) // 2, count
