"""Payloads of recognised flows -> their messages: flows are read some at a time, so that memory stays bounded."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import read_payloads
from mixcni.exchanges.dns import datagram_messages, pair_dns, stream_messages
from mixcni.exchanges.echo import pair_echoes
from mixcni.exchanges.http1 import read_http1
from mixcni.exchanges.http2 import read_http2
from mixcni.exchanges.messages import Reading
from mixcni.exchanges.recognise import Protocol
from mixcni.exchanges.streams import Segment, Stream
from mixcni.exchanges.tls import Record, read_records
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import numbered
from mixcni.schema import Direction, Hint, TcpFlag

MOST_OCTETS: Final = 1 << 26
"""Of one direction of a flow that are read for messages; what stands behind them is told by turns."""
MOST_TLS_OCTETS: Final = 1 << 15
"""The same of a TLS connection, of which only the beginning is in the clear."""
BATCH_OCTETS: Final = 1 << 27
"""Of all flows that are read in one go, which takes about as much memory; the captures are read again for each."""
SEGMENT_OCTETS: Final = 300
"""What a segment takes besides its payload while it is read."""

Records = tuple[list[Record], list[Record]]


class Selection(NamedTuple):
    """Which segments are read.

    rows : of the segment table; offsets : at which the payload of each begins
    left : rows that stand behind the limit of their direction
    """

    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]
    left: NDArray[np.int64]

    def without(self, flows: FlowTable, is_read: NDArray[np.bool_]) -> "Selection":
        """The same without the segments of some flows, (f,)."""
        kept = ~is_read[flows.segments["flow"][self.rows]]
        return self._replace(rows=self.rows[kept], offsets=self.offsets[kept])


def read_flows(flows: FlowTable, protocol: NDArray[np.uint8], chosen: Selection) -> Iterator[tuple[int, Reading | Records]]:
    """(flow, what was read of it): records where it speaks TLS.

    Parameters
    ----------
    flows : FlowTable of files that can be read again
    protocol : (f,) Protocol of each
    chosen : as `choose_segments` does

    Raises
    ------
    CaptureError : a capture cannot be read again
    """
    cut = np.zeros(len(flows), dtype=np.bool_)
    cut[flows.segments["flow"][chosen.left]] = True
    flow_of = flows.segments["flow"][chosen.rows]
    order = np.argsort(flow_of, kind="stable")
    rows, flow_of, offsets = chosen.rows[order], flow_of[order], chosen.offsets[order]
    sizes = np.cumsum(flows.packets["payload_octets"][flows.segments["packet"][rows]].astype(np.int64) + SEGMENT_OCTETS)
    begin = 0
    while begin < rows.size:
        before = int(sizes[begin - 1]) if begin else 0
        reach = max(int(np.searchsorted(sizes, before + BATCH_OCTETS, side="right")), begin + 1)
        end = int(np.searchsorted(flow_of, flow_of[reach - 1], side="right" if reach == rows.size else "left"))
        if end <= begin:
            end = int(np.searchsorted(flow_of, flow_of[begin], side="right"))  # a flow by itself
        yield from _read_batch(flows, protocol, cut, rows[begin:end], offsets[begin:end])
        begin = end


def choose_segments(flows: FlowTable, protocol: NDArray[np.uint8]) -> Selection:
    """The segments with data of flows whose protocol is known, each direction's up to its limit.

    Datagrams have no offsets: theirs are the octets of payload that their direction had before, from 1 on as for TCP. An echo
    counts as one octet.
    """
    segments, packets = flows.segments, flows.packets
    rows = np.flatnonzero((protocol != Protocol.OTHER)[segments["flow"]] & (segments["copy_of"] < 0))
    kind = protocol[segments["flow"][rows]]
    payload = np.where(kind == Protocol.ECHO, 1, packets["payload_octets"][segments["packet"][rows]].astype(np.int64))
    is_datagram = (kind == Protocol.DNS) | (kind == Protocol.ECHO)
    carries = (payload > 0) & (is_datagram | (segments["length"][rows] > 0))
    rows, kind, payload, is_datagram = rows[carries], kind[carries], payload[carries], is_datagram[carries]
    packet = segments["packet"][rows]
    syn = (packets["tcp_flags"][packet] & TcpFlag.SYN) != 0
    side = segments["flow"][rows].astype(np.int64) * 2 + segments["direction"][rows]
    offsets = np.where(is_datagram, 1 + _before(side, payload), segments["offset"][rows] + syn)
    lowest = np.full(2 * len(flows), np.iinfo(np.int64).max)
    np.minimum.at(lowest, side, offsets)
    limit = np.where(kind == Protocol.TLS, MOST_TLS_OCTETS, MOST_OCTETS)
    kept = offsets - lowest[side] < limit
    return Selection(rows[kept], offsets[kept], rows[~kept])


def count_left(flows: FlowTable, protocol: NDArray[np.uint8], left: NDArray[np.int64]) -> NDArray[np.int64]:
    """(f, 2) HTTP/1 requests and responses behind the limits, by segments that begin with a start line and repeat nothing."""
    segments = flows.segments
    hint_of = np.zeros(len(flows.packets), dtype=np.uint8)
    hint_of[flows.packets.hints["packet"]] = flows.packets.hints["kind"]
    rows = left[protocol[segments["flow"][left]] == Protocol.HTTP1]
    place = numbered(*(segments[name][rows] for name in ("flow", "direction", "offset")))
    rows = rows[np.unique(place, return_index=True)[1]]
    counts = np.zeros((len(flows), 2), dtype=np.int64)
    for side, hint in ((Direction.FORWARD, Hint.HTTP_REQUEST), (Direction.REVERSE, Hint.HTTP_RESPONSE)):
        mine = rows[(hint_of[segments["packet"][rows]] == hint) & (segments["direction"][rows] == side)]
        np.add.at(counts[:, side], segments["flow"][mine], 1)
    return counts


def _before(side: NDArray[np.int64], payload: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) how many octets of payload stand before each row on its side."""
    order = np.argsort(side, kind="stable")
    total = np.cumsum(payload[order]) - payload[order]
    first = np.searchsorted(side[order], side[order])
    before = np.empty(side.size, dtype=np.int64)
    before[order] = total - total[first] if side.size else total
    return before


def _read_batch(
    flows: FlowTable, protocol: NDArray[np.uint8], cut: NDArray[np.bool_], rows: NDArray[np.int64], offsets: NDArray[np.int64]
) -> Iterator[tuple[int, Reading | Records]]:
    """Read the payloads of these segments, which are all of their flows, and the messages in them."""
    segments = flows.segments
    packet = segments["packet"][rows]
    order = np.argsort(packet, kind="stable")
    payloads = read_payloads(flows.packets, packet[order])
    rows, offsets, packet = rows[order], offsets[order], packet[order]
    sizes = np.where(protocol[segments["flow"][rows]] == Protocol.ECHO, 1, flows.packets["payload_octets"][packet])
    columns = (segments["flow"][rows], segments["direction"][rows], offsets, sizes, segments["acknowledged"][rows], packet)
    found: dict[int, tuple[list[Segment], list[Segment]]] = defaultdict(lambda: ([], []))
    lists = [column.tolist() for column in columns]
    for flow, direction, start, size, acknowledged, at, octets in zip(*lists, payloads, strict=True):
        found[flow][direction].append(Segment(start, start + size, octets, at, acknowledged))
    for flow in sorted(found):
        read = _read_flow(Protocol(int(protocol[flow])), *found.pop(flow))
        yield flow, _without_unfinished(read) if cut[flow] and isinstance(read, Reading) else read


def _without_unfinished(reading: Reading) -> Reading:
    """The reading of a flow that goes on behind what was read, up to its first exchange that may: turns tell of the others."""
    finished = 0
    end = max((found.response[1] for found in reading.exchanges), default=1)
    for found in reading.exchanges:
        if found.response[0] == found.response[1] or found.response[1] == end:
            break
        finished += 1
    unfinished = reading.exchanges[finished:]
    if unfinished and reading.beyond is None:
        reading.beyond = min(f.request[0] for f in unfinished), min(f.response[0] for f in unfinished)
    reading.exchanges = reading.exchanges[:finished]
    return reading


def _read_flow(protocol: Protocol, forward: list[Segment], reverse: list[Segment]) -> Reading | Records:
    if protocol == Protocol.ECHO:
        return Reading(pair_echoes(sorted([*forward, *reverse], key=lambda segment: segment.packet)))
    if protocol == Protocol.DNS:
        return Reading(pair_dns(datagram_messages(forward), datagram_messages(reverse)))
    streams = Stream(forward), Stream(reverse)
    if protocol == Protocol.DNS_STREAM:
        return Reading(pair_dns(*map(stream_messages, streams)))
    if protocol == Protocol.TLS:
        return read_records(streams[0]), read_records(streams[1])
    if protocol == Protocol.HTTP2:
        return _with_packets(read_http2(*streams, (streams[0].first, streams[1].first)), streams)
    if protocol == Protocol.HTTP1_TURNED:
        turned = read_http1(streams[Direction.REVERSE], streams[Direction.FORWARD])
        return Reading(requests=turned.requests, responses=turned.responses)
    reading = read_http1(*streams)
    if reading.upgrade == "h2c" and reading.beyond is not None:
        later = read_http2(*streams, reading.beyond, reading.exchanges[-1])
        reading.exchanges += later.exchanges
        reading.beyond = None
    return _with_packets(reading, streams)


def _with_packets(reading: Reading, streams: tuple[Stream, Stream]) -> Reading:
    """The reading with the packets that brought each message's first octet."""
    for found in reading.exchanges:
        for name, stream, span in (
            ("request_packet", streams[0], found.request),
            ("response_packet", streams[1], found.response),
        ):
            carrier = stream.carrier(span[0]) if span[1] > span[0] else None
            setattr(found, name, carrier.packet if carrier else -1)
    return reading
