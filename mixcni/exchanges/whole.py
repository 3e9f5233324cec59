"""HTTP/1 connections of which every octet was captured: read by a kernel, since most connections are such.

What it refuses, as a connection that goes on with another protocol, mixcni.exchanges.http1 reads: both find the same.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import copy_payloads
from mixcni.exchanges.columns import Codes, Messages
from mixcni.exchanges.kernel import HEAD_FIELDS, ODD, code_spans, pair_whole
from mixcni.exchanges.reading import BATCH_OCTETS, Selection
from mixcni.exchanges.recognise import Protocol
from mixcni.exchanges.tables import TEXTS
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import in_order
from mixcni.kernels.hashing import empty_slots
from mixcni.kernels.jit import machine_code, run
from mixcni.schema import ExchangeKind, Layer

MANY_SEGMENTS: Final = 20_000  # a second for the reader in Python: from there on a compiler is worth its time
WORK_A_SEGMENT: Final = 8  # items as mixcni.kernels.jit counts them: a segment is some hundred octets of text
SPANS: Final = 2 * len(TEXTS)  # numbers a message: place and size of each of its texts


class StreamArrays(NamedTuple):
    """Where streams stand in the octets, two a flow, and the first segment of each and behind the last."""

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    first_segment: NDArray[np.int64]


class CarrierArrays(NamedTuple):
    """The segments of these streams: where the payload of each stands, its packet, and what it acknowledges."""

    begin: NDArray[np.int64]
    packet: NDArray[np.int64]
    acknowledged: NDArray[np.int64]


class MessageArrays(NamedTuple):
    """What the kernel writes of each exchange; `texts` has SPANS numbers of each."""

    flow: NDArray[np.int64]
    request_start: NDArray[np.int64]
    request_end: NDArray[np.int64]
    response_start: NDArray[np.int64]
    response_end: NDArray[np.int64]
    request_packet: NDArray[np.int64]
    response_packet: NDArray[np.int64]
    status: NDArray[np.int64]
    interim: NDArray[np.int64]
    texts: NDArray[np.int64]

    @classmethod
    def room(cls, rows: int) -> "MessageArrays":
        """Room for some rows."""
        return cls(*(np.empty(rows * (SPANS if name == "texts" else 1), dtype=np.int64) for name in cls._fields))


class WholeFlows(NamedTuple):
    """What was read: the exchanges, and (f, 2) requests and responses of each flow; ODD in flows that are left to be read."""

    messages: list[Messages]
    counts: NDArray[np.int64]


def read_whole(flows: FlowTable, protocol: NDArray[np.uint8], chosen: Selection, codes: Codes) -> WholeFlows:
    """The messages of connections whose octets are all there; nothing where a reader in Python is through sooner.

    Parameters
    ----------
    protocol, chosen : as `read_flows` has them
    codes : of texts; those found are entered

    Raises
    ------
    CaptureError : a capture cannot be read again
    """
    counts = np.full((len(flows), 2), ODD, dtype=np.int64)
    messages: list[Messages] = []
    count = chosen.rows.size
    if machine_code(pair_whole, count * (WORK_A_SEGMENT if count >= MANY_SEGMENTS else 1), *_nothing()) is not None:
        for number, streams, segments in _batches(_whole_segments(flows, protocol, chosen)):
            part, told = _read_batch(flows, streams, segments, codes)
            counts[number] = told
            messages.extend(one._replace(flow=number[one.flow]) for one in part)
    return WholeFlows(messages, counts)


class _Segments(NamedTuple):
    """Segments in the order of their streams: row of the packet table, stream (2 * flow + direction), payload octets, ACK."""

    packet: NDArray[np.int64]
    stream: NDArray[np.int64]
    octets: NDArray[np.int64]
    acknowledged: NDArray[np.int64]

    def part(self, rows: slice | NDArray[np.bool_]) -> "_Segments":
        return _Segments(*(column[rows] for column in self))


def _nothing() -> tuple[NDArray[np.uint8] | NDArray[np.int64] | StreamArrays | CarrierArrays | MessageArrays | int, ...]:
    """Arguments of the kernel, of no flow: for their types."""
    none = np.empty(0, dtype=np.int64)
    arrays = StreamArrays(none, none, none), CarrierArrays(none, none, none)
    return np.empty(0, dtype=np.uint8), *arrays, 0, none, MessageArrays.room(0), none


def _whole_segments(flows: FlowTable, protocol: NDArray[np.uint8], chosen: Selection) -> _Segments:
    """The segments of the HTTP/1 flows of which each octet from the first on was captured, in the order of the streams.

    A segment that was sent again as it was stands there once; where others overlap, it is not told here which came first.
    """
    table, packets = flows.segments, flows.packets
    is_whole = protocol == Protocol.HTTP1
    is_whole[table["flow"][chosen.left]] = False
    kept = np.flatnonzero(is_whole[table["flow"][chosen.rows]])
    rows, offsets = chosen.rows[kept], chosen.offsets[kept]
    stream = table["flow"][rows].astype(np.int64) * 2 + table["direction"][rows]
    order = in_order(stream, offsets)
    rows, offsets, stream = rows[order], offsets[order], stream[order]
    octets = packets["payload_octets"][table["packet"][rows]].astype(np.int64)
    again = (np.diff(stream) == 0) & (np.diff(offsets) == 0) & (np.diff(octets) == 0)
    once = np.append(True, ~again)[: rows.size]  # the first transmission in the file
    rows, offsets, stream, octets = rows[once], offsets[once], stream[once], octets[once]
    packet = table["packet"][rows]
    wanted = np.append(1, offsets[:-1] + octets[:-1])[: rows.size]
    wanted[1:][stream[1:] != stream[:-1]] = 1
    cut = packets["captured_length"][packet] != packets["original_length"][packet]
    odd = (offsets != wanted) | cut | ((packets["present"][packet] & Layer.FRAGMENT) != 0)
    is_whole[stream[odd] // 2] = False
    segments = _Segments(packet, stream, octets, table["acknowledged"][rows])
    return segments.part(is_whole[stream // 2])


def _batches(segments: _Segments) -> Iterator[tuple[NDArray[np.int64], StreamArrays, _Segments]]:
    """(flows, their streams, their segments), as many flows at a time as are read at once."""
    behind = np.cumsum(segments.octets)
    begin = 0
    while begin < behind.size:
        before = int(behind[begin - 1]) if begin else 0
        reach = max(int(np.searchsorted(behind, before + BATCH_OCTETS, side="right")), begin + 1)
        flow = segments.stream // 2
        end = int(np.searchsorted(flow, flow[reach - 1], side="right"))  # the last flow is read whole
        part = segments.part(slice(begin, end))
        number, place = np.unique(flow[begin:end], return_inverse=True)
        first = np.searchsorted(2 * place + part.stream % 2, np.arange(2 * number.size + 1))
        at = np.append(0, np.cumsum(part.octets))[first]
        yield number, StreamArrays(at[:-1], at[1:], first), part
        begin = end


def _read_batch(
    flows: FlowTable, streams: StreamArrays, segments: _Segments, codes: Codes
) -> tuple[list[Messages], NDArray[np.int64]]:
    """The messages of some flows, numbered from 0 here, and (k, 2) how many requests and responses each has; ODD without."""
    place = np.cumsum(segments.octets) - segments.octets
    octets = np.empty(int(segments.octets.sum()), dtype=np.uint8)
    order = np.argsort(segments.packet, kind="stable")
    were_there = np.empty(order.size, dtype=np.bool_)
    were_there[order] = copy_payloads(flows.packets, segments.packet[order], octets, place[order])
    carriers = CarrierArrays(place, segments.packet, segments.acknowledged)
    counts = np.zeros(streams.begin.size, dtype=np.int64)
    head = np.zeros(HEAD_FIELDS, dtype=np.int64)
    messages: list[Messages] = []
    flow, room = 0, order.size
    while 2 * flow < counts.size:
        out = MessageArrays.room(room)
        reached, rows = run(pair_whole, order.size, octets, streams, carriers, flow, head, out, counts)
        if reached == flow:
            room *= 2  # one flow has more messages than that
        elif rows:
            found = MessageArrays(*(column[: rows * (SPANS if name == "texts" else 1)] for name, column in out._asdict().items()))
            messages.append(_as_messages(found, octets, codes))
        flow = reached
    told = counts.reshape(-1, 2)
    missing = np.unique(np.repeat(np.arange(streams.begin.size) // 2, np.diff(streams.first_segment))[~were_there])
    told[missing] = ODD
    return [one.part(np.flatnonzero(told[one.flow, 0] != ODD)) for one in messages], told


def _as_messages(found: MessageArrays, octets: NDArray[np.uint8], codes: Codes) -> Messages:
    """What the kernel found, numbered within each flow, its texts by code."""
    count = found.flow.size
    first = np.empty(len(TEXTS) * count, dtype=np.int64)
    mine = np.empty(first.size, dtype=np.int32)
    slots = empty_slots(1 << (2 * first.size).bit_length())
    different = run(code_spans, first.size, octets, found.texts, slots, first, mine)
    spans = found.texts.reshape(-1, 2)[first[:different]].tolist()
    view = memoryview(octets)  # type: ignore[arg-type,unused-ignore]
    texts = (str(view[at : at + size], "latin-1") for at, size in spans)
    code = np.array([codes.setdefault(text, len(codes)) for text in texts], dtype=np.int64)[mine].reshape(count, len(TEXTS))
    starts = np.flatnonzero(np.append(True, found.flow[1:] != found.flow[:-1])[:count])
    number = 1 + np.arange(count) - np.repeat(starts, np.diff(np.append(starts, count)))
    columns = {name: column for name, column in found._asdict().items() if name != "texts"}
    columns |= dict(zip(TEXTS, code.T, strict=True))
    alike = {"kind": int(ExchangeKind.HTTP1), "grpc_status": -1, "identifier": -1, "is_missed": 0, "again": -1}
    columns |= {name: np.full(count, value) for name, value in alike.items()}
    return Messages(number=number, **columns)
