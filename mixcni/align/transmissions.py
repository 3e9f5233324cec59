"""Every segment of every point in one table, on common stream offsets: what was sent where, and when."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable
from mixcni.align.kernel import place_segments
from mixcni.align.united import PROTOCOL_TCP
from mixcni.flows import FlowTable, SegmentTable
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.schema import TRANSMISSIONS
from mixcni.tables import Table

Columns = dict[str, NDArray[Any]]


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

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> "TransmissionTable":
        """The rows of all parts, of which there is one at least; where one alone has any, its arrays are not copied."""
        there = [part for part in parts if part["packet"].size] or parts[:1]
        return cls(
            there[0] if len(there) == 1 else {name: np.concatenate([part[name] for part in there]) for name in TRANSMISSIONS}
        )


def gather_segments(points: Sequence[FlowTable], conversations: ConversationTable, times: Sequence[NDArray[np.int64]]) -> Columns:
    """The TCP segments of all points as columns of a TransmissionTable, with offsets on their conversations' bases.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    conversations : of these points
    times : of each point's packets, ns
    """
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


def renumbered(segments: Columns, number: NDArray[np.int32], times: Sequence[NDArray[np.int64]]) -> Columns:
    """The same segments where conversations have other rows, and packets other times.

    Parameters
    ----------
    segments : as `gather_segments` gives them
    number : (c,) the new row of each conversation
    times : of each point's packets, ns
    """
    bounds = np.searchsorted(segments["point"], np.arange(len(times) + 1)).tolist()
    packets = (segments["packet"][begin:end] for begin, end in itertools.pairwise(bounds))
    moved = np.concatenate([at[packet] for at, packet in zip(times, packets, strict=True)])
    return segments | {"conversation": number[segments["conversation"]], "time_ns": moved}


def _flow_of_each(flows: FlowTable) -> NDArray[np.int32]:
    """(n,) the flow of each TCP segment, copies at the point left out."""
    flow = flows.segments["flow"]
    return np.asarray(flow[(flows["protocol"][flow] == PROTOCOL_TCP) & (flows.segments["copy_of"] < 0)])


def _heard_before(columns: Columns, primary: NDArray[np.bool_]) -> NDArray[np.bool_]:
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
