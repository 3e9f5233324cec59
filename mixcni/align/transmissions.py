"""Every segment of every point in one table, on common stream offsets: what was sent where, and when."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable
from mixcni.align.datagrams import gather_datagrams
from mixcni.align.kernel import place_segments
from mixcni.align.united import PROTOCOL_TCP
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable, SegmentTable
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.schema import TRANSMISSIONS
from mixcni.tables import Table


class SegmentColumns(NamedTuple):
    """The segment columns that gathering reads."""

    packet: NDArray[np.int64]
    flow: NDArray[np.int32]
    direction: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    copy_of: NDArray[np.int64]

    @classmethod
    def of(cls, segments: SegmentTable) -> "SegmentColumns":
        """Those of a table."""
        return cls(**{name: segments[name] for name in cls._fields})


class PacketColumns(NamedTuple):
    """The packet columns that gathering reads, times on the clock that is wanted."""

    tcp_flags: NDArray[np.uint8]
    time_ns: NDArray[np.int64]


class PlacedFlows(NamedTuple):
    """Where each flow of a point stands in the conversations; `shift` is (2 * f,), by the conversation's direction."""

    protocol: NDArray[np.uint8]
    conversation: NDArray[np.int32]
    flipped: NDArray[np.bool_]
    shift: NDArray[np.int64]


class TransmissionColumns(NamedTuple):
    """The columns of a TransmissionTable as the kernel writes them."""

    conversation: NDArray[np.int32]
    point: NDArray[np.uint16]
    direction: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    tcp_flags: NDArray[np.uint8]
    time_ns: NDArray[np.int64]
    packet: NDArray[np.int64]


class TransmissionTable(Table):
    """The segments of all conversations at all points, then their datagrams: point after point, each in file order.

    What a point heard again (interfaces of one host, a tunnel and what is in it) is left out. Datagrams stand as octets: that of
    their turn's number (mixcni.align.datagrams).
    """

    schema = TRANSMISSIONS


def gather_transmissions(
    points: Sequence[FlowTable],
    conversations: ConversationTable,
    times: Sequence[NDArray[np.int64]],
    slack_ns: int | None = None,
    *,
    by_content: bool = False,
    exchanges: Sequence[ExchangeTable] = (),
    together: bool = False,
) -> TransmissionTable:
    """The segments and datagrams of all points, with offsets on their conversation's bases.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    conversations : of these points
    times : of each point's packets, ns
    slack_ns : how far times of two points may be off beside the way between them; None: their clocks are not joined
    by_content : then tell equal datagrams apart by what they carry and by their intervals, for which files are read again
    exchanges : one ExchangeTable a point, whose messages tell questions apart that are asked at once; none: not known
    together : where clocks are not joined, datagrams that nothing tells apart are one, sent repeatedly
    """
    parts = [_gather_segments(points, conversations, times)]
    datagrams = gather_datagrams(
        points, conversations, times, slack_ns, by_content=by_content, exchanges=exchanges, together=together
    )
    parts.extend(datagrams)
    parts = [part for part in parts if part["packet"].size] or parts[:1]
    whole = parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in TRANSMISSIONS}
    return TransmissionTable(whole)


def _gather_segments(
    points: Sequence[FlowTable], conversations: ConversationTable, times: Sequence[NDArray[np.int64]]
) -> dict[str, NDArray[Any]]:
    """The TCP segments of all points as columns of a TransmissionTable."""
    room = sum(len(flows.segments) for flows in points if (flows["protocol"] == PROTOCOL_TCP).any())
    out = TransmissionColumns(**{name: np.empty(room, dtype=column.dtype) for name, column in TRANSMISSIONS.items()})
    row = 0
    for point, flows in enumerate(points):
        is_tcp = flows["protocol"] == PROTOCOL_TCP
        if not is_tcp.any():
            continue
        members = conversations.members_at(point)
        begin, work = row, len(flows.segments)
        placed = PlacedFlows(flows["protocol"], members.conversation, members.flipped, members.shift.reshape(-1))
        packets = PacketColumns(flows.packets["tcp_flags"], times[point])
        row = run(place_segments, work, SegmentColumns.of(flows.segments), placed, packets, point, out, begin)
        if not members.is_primary[is_tcp].all():
            mine = {name: column[begin:row] for name, column in out._asdict().items()}
            fresh = ~_heard_before(mine, members.is_primary[_flow_of_each(flows)])
            row = begin + int(fresh.sum())
            for name, column in mine.items():
                getattr(out, name)[begin:row] = column[fresh]
    return {name: column[:row] for name, column in out._asdict().items()}


def _flow_of_each(flows: FlowTable) -> NDArray[np.int32]:
    """(n,) the flow of each TCP segment, copies at the point left out."""
    flow = flows.segments["flow"]
    return np.asarray(flow[(flows["protocol"][flow] == PROTOCOL_TCP) & (flows.segments["copy_of"] < 0)])


def _heard_before(columns: dict[str, NDArray[Any]], primary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) whether a segment of a point's other flow of a conversation is the k-th of its kind, and the main flow has k such."""
    heard = np.zeros(primary.size, dtype=np.bool_)
    rows = np.flatnonzero(np.isin(columns["conversation"], columns["conversation"][~primary]))
    if not rows.size:
        return heard
    names = "conversation", "direction", "start", "end", "acknowledged", "tcp_flags"
    kind = numbered(*(columns[name][rows] for name in names))
    mine = primary[rows]
    available = np.bincount(kind[mine], minlength=int(kind.max()) + 1)
    others, other_kind = rows[~mine], kind[~mine]
    order = np.argsort(other_kind, kind="stable")
    ordered = other_kind[order]
    nth = np.empty(others.size, dtype=np.int64)
    nth[order] = np.arange(others.size) - np.searchsorted(ordered, ordered)
    heard[others] = nth < available[other_kind]
    return heard
