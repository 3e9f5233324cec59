"""Every segment of every point in one table, on common stream offsets: what was sent where, and when."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable
from mixcni.align.datagrams import gather_datagrams
from mixcni.align.united import PROTOCOL_TCP
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import numbered
from mixcni.schema import TRANSMISSIONS
from mixcni.tables import Table


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
    parts = []
    for point, flows in enumerate(points):
        segments = flows.segments
        members = conversations.members_at(point)
        kept = np.flatnonzero((flows["protocol"][segments["flow"]] == PROTOCOL_TCP) & (segments["copy_of"] < 0))
        flow = segments["flow"][kept]
        direction = segments["direction"][kept] ^ members.flipped[flow]
        shift = members.shift[flow]
        start = segments["offset"][kept] + shift[np.arange(kept.size), direction]
        acknowledged = segments["acknowledged"][kept]
        other = shift[np.arange(kept.size), 1 - direction]
        packet = segments["packet"][kept]
        columns: dict[str, NDArray[Any]] = {
            "conversation": members.conversation[flow],
            "point": np.full(kept.size, point, dtype=np.uint16),
            "direction": direction.astype(np.uint8),
            "start": start,
            "end": start + segments["length"][kept],
            "acknowledged": np.where(acknowledged < 0, -1, acknowledged + other),
            "tcp_flags": flows.packets["tcp_flags"][packet],
            "time_ns": times[point][packet],
            "packet": packet,
        }
        fresh = ~_heard_before(columns, members.is_primary[flow])
        parts.append({name: array[fresh] for name, array in columns.items()})
    datagrams = gather_datagrams(
        points, conversations, times, slack_ns, by_content=by_content, exchanges=exchanges, together=together
    )
    parts.extend(datagrams)
    return TransmissionTable({name: np.concatenate([part[name] for part in parts]) for name in TRANSMISSIONS})


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
