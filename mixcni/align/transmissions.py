"""Every segment of every point in one table, on common stream offsets: what was sent where, and when."""

from collections.abc import Sequence

import numpy as np

from mixcni.align.conversations import ConversationTable
from mixcni.flows import FlowTable
from mixcni.schema import TRANSMISSIONS
from mixcni.tables import Table

PROTOCOL_TCP = 6


class TransmissionTable(Table):
    """The TCP segments of all conversations at all points, point after point, each in file order."""

    schema = TRANSMISSIONS


def gather_transmissions(
    points: Sequence[FlowTable], conversations: ConversationTable, offsets_ns: Sequence[int]
) -> TransmissionTable:
    """The TCP segments of all points, with offsets on their conversation's bases and times on the common clock.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    conversations : of these points
    offsets_ns : each point's clock less the common clock, ns
    """
    parts = []
    for point, flows in enumerate(points):
        segments = flows.segments
        conversation_of = np.full(len(flows), -1, dtype=np.int32)
        rows = np.flatnonzero(conversations.flow_of[:, point] >= 0)
        conversation_of[conversations.flow_of[rows, point]] = rows
        kept = np.flatnonzero(flows["protocol"][segments["flow"]] == PROTOCOL_TCP)
        conversation = conversation_of[segments["flow"][kept]]
        flipped = conversations.flipped[conversation, point]
        direction = segments["direction"][kept] ^ flipped
        shift = conversations.shift[conversation, point]
        start = segments["offset"][kept] + shift[np.arange(kept.size), direction]
        acknowledged = segments["acknowledged"][kept]
        other = shift[np.arange(kept.size), 1 - direction]
        packet = segments["packet"][kept]
        parts.append(
            {
                "conversation": conversation,
                "point": np.full(kept.size, point, dtype=np.uint16),
                "direction": direction.astype(np.uint8),
                "start": start,
                "end": start + segments["length"][kept],
                "acknowledged": np.where(acknowledged < 0, -1, acknowledged + other),
                "tcp_flags": flows.packets["tcp_flags"][packet],
                "time_ns": flows.packets["time_ns"][packet] - offsets_ns[point],
                "packet": packet,
            }
        )
    return TransmissionTable({name: np.concatenate([part[name] for part in parts]) for name in TRANSMISSIONS})
