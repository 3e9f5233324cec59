"""Every segment of every point in one table, on common stream offsets: what was sent where, and when."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable, Members
from mixcni.align.heard import without_heard
from mixcni.align.kernel import place_segments
from mixcni.flows import FlowTable, SegmentTable
from mixcni.kernels.jit import run
from mixcni.schema import PROTOCOL_TCP, TRANSMISSIONS
from mixcni.tables import Table, columns_in_one

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
    ttl: NDArray[np.uint8]
    time_ns: NDArray[np.int64]


class PlacedFlows(NamedTuple):
    """Where each flow of a point stands in the conversations; `shift` is (2 * f,), by the conversation's direction."""

    protocol: NDArray[np.uint8]
    conversation: NDArray[np.int32]
    flipped: NDArray[np.bool_]
    shift: NDArray[np.int64]
    is_primary: NDArray[np.bool_]

    @classmethod
    def of(cls, flows: FlowTable, members: Members) -> "PlacedFlows":
        """Those of one point."""
        return cls(flows["protocol"], members.conversation, members.flipped, members.shift.reshape(-1), members.is_primary)


class SeenForms(NamedTuple):
    """What tells that a point heard a conversation in several forms.

    is_several : (c,) bool, it has segments in other flows than the main one
    least, most : (2 * c,) uint8, hop limits of each stream's segments that carry octets; `most` is the less where none does
    """

    is_several: NDArray[np.bool_]
    least: NDArray[np.uint8]
    most: NDArray[np.uint8]

    @classmethod
    def unseen(cls, count: int) -> "SeenForms":
        """Of conversations before their first segment."""
        return cls(np.zeros(count, dtype=np.bool_), np.full(2 * count, 255, dtype=np.uint8), np.zeros(2 * count, dtype=np.uint8))

    def several(self) -> NDArray[np.bool_]:
        """(c,) whether the point has a conversation in several flows, or a stream of it with several hop limits."""
        return np.asarray(self.is_several | (self.least < self.most).reshape(-1, 2).any(axis=1))


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
    out = TransmissionColumns(**columns_in_one(TRANSMISSIONS, room))
    parts, row, is_whole = [], 0, True
    for point, flows in enumerate(points):
        is_tcp = flows["protocol"] == PROTOCOL_TCP
        if not is_tcp.any():
            continue
        members = conversations.members_at(point)
        begin, work = row, len(flows.segments)
        placed = PlacedFlows.of(flows, members)
        packets = PacketColumns(flows.packets["tcp_flags"], flows.packets["ttl"], times[point])
        forms = SeenForms.unseen(len(conversations))
        row = run(place_segments, work, SegmentColumns.of(flows.segments), placed, packets, point, out, begin, forms)
        parts.append({name: column[begin:row] for name, column in out._asdict().items()})
        several = forms.several()
        if several.any():
            flow, hop_limit = _flow_of_each(flows), flows.packets["ttl"][parts[-1]["packet"]]
            parts[-1] = without_heard(parts[-1], several, flow, hop_limit, members.is_primary[flow])
            is_whole = False
    if is_whole:
        return {name: column[:row] for name, column in out._asdict().items()}
    return {name: np.concatenate([part[name] for part in parts]) for name in TRANSMISSIONS}


def renumber(segments: Columns, number: NDArray[np.int32], times: Sequence[NDArray[np.int64]]) -> None:
    """Enter other rows of conversations and other times of packets, in place: what was made of the columns before has them too.

    Parameters
    ----------
    segments : as `gather_segments` gives them
    number : (c,) the new row of each conversation
    times : of each point's packets, ns
    """
    np.take(number, segments["conversation"], out=segments["conversation"], mode="clip")  # else numpy makes a copy first
    bounds = np.searchsorted(segments["point"], np.arange(len(times) + 1)).tolist()
    for at, (begin, end) in zip(times, itertools.pairwise(bounds), strict=True):
        np.take(at, segments["packet"][begin:end], out=segments["time_ns"][begin:end], mode="clip")


def _flow_of_each(flows: FlowTable) -> NDArray[np.int32]:
    """(n,) the flow of each TCP segment, copies at the point left out."""
    flow = flows.segments["flow"]
    return np.asarray(flow[(flows["protocol"][flow] == PROTOCOL_TCP) & (flows.segments["copy_of"] < 0)])
