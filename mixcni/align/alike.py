"""The datagrams of all points in one set of columns, and which of them are alike as far as their headers tell."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable
from mixcni.align.kernel import keep_rows, number_within, order_by_time, place_datagrams
from mixcni.align.transmissions import PlacedFlows, SegmentColumns
from mixcni.decode import PacketTable
from mixcni.flows import FlowTable
from mixcni.kernels.hashing import SEED
from mixcni.kernels.jit import run
from mixcni.schema import Layer


class SentColumns(NamedTuple):
    """The packet columns that tell a datagram, times on the clock that is wanted."""

    ip_id: NDArray[np.uint16]
    payload_octets: NDArray[np.uint32]
    time_ns: NDArray[np.int64]
    in_part: NDArray[np.bool_]


class Datagrams(NamedTuple):
    """Of all points, each datagram that is whole, once a point: point after point, each in file order.

    kind : (n,) int64, IP identification and octets of payload in one number
    """

    conversation: NDArray[np.int32]
    point: NDArray[np.uint16]
    direction: NDArray[np.uint8]
    kind: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    packet: NDArray[np.int64]

    @classmethod
    def of(cls, points: Sequence[FlowTable], conversations: ConversationTable, times: Sequence[NDArray[np.int64]]) -> "Datagrams":
        """Those of all conversations, by `times` of each point's packets."""
        room = sum(len(flows.segments) for flows in points)
        dtypes: tuple[Any, ...] = (np.int32, np.uint16, np.uint8, np.int64, np.int64, np.int64)
        out = cls(*(np.empty(room, dtype=dtype) for dtype in dtypes))
        end = 0
        for point, flows in enumerate(points):
            members, packets = conversations.members_at(point), flows.packets
            placed = PlacedFlows.of(flows, members)
            sent = SentColumns(packets["ip_id"], packets["payload_octets"], times[point], _in_part(packets))
            segments = SegmentColumns.of(flows.segments)
            end = run(place_datagrams, len(flows.segments), segments, placed, sent, point, out, end)
        return out.part(slice(end))

    def part(self, rows: Any) -> "Datagrams":
        """Some of them."""
        return Datagrams(*(column[rows] for column in self))


def _in_part(packets: PacketTable) -> NDArray[np.bool_]:
    """(n,) whether of a packet fragments are missing, without which no host takes it (RFC 1122 section 3.3.2).

    A capture without any later fragment has a filter by port, which none of them passes: there the first one stands for all.
    """
    present = packets["present"]
    if not (present & Layer.LATER_FRAGMENT).any():
        return np.zeros(present.size, dtype=np.bool_)
    return np.asarray((present & (Layer.FRAGMENT | Layer.LATER_FRAGMENT)) == Layer.FRAGMENT)


class Alike(NamedTuple):
    """Which datagrams have conversation, direction, IP identification and length in common.

    order : (n,) int32, the rows by conversation, then time, then direction, then kind
    group : (n,) int32, the number of each row among those that differ
    place : (n,) int32, the same where those of different points differ too
    """

    order: NDArray[np.int32]
    group: NDArray[np.int32]
    place: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Datagrams) -> "Alike":
        """Those among these rows, of which there is one at least."""
        sizes = np.bincount(rows.conversation)
        begin = np.append(0, np.cumsum(sizes))
        order, scratch = np.empty(rows.packet.size, dtype=np.int32), np.empty(int(sizes.max()), dtype=np.int32)
        columns = rows.conversation, rows.time_ns, rows.direction, rows.kind
        run(order_by_time, order.size, *columns, begin, begin[:-1].copy(), order, scratch)

        def numbered(inner: NDArray[Any], innermost: NDArray[Any]) -> NDArray[np.int32]:
            number = np.empty_like(order)
            slots = np.full(1 << (2 * scratch.size - 1).bit_length(), -1, dtype=np.int32)
            run(number_within, order.size, order, rows.conversation, inner, innermost, SEED, slots, number)
            return number

        group = numbered(rows.kind, rows.direction)
        return cls(order, group, numbered(group, rows.point))

    def keep(self, rows: Datagrams, kept: NDArray[np.bool_]) -> tuple[Datagrams, "Alike"]:
        """The kept ones of these rows, which are moved in place, as all that is known of them here is."""
        moved = np.empty_like(self.order)
        end = slice(run(keep_rows, kept.size, kept, rows, self.group, self.place, self.order, moved))
        return rows.part(end), Alike(self.order[end], self.group[end], self.place[end])
