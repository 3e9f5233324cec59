"""Flows of all points -> conversations: the same connection, wherever it was seen, on common stream offsets."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.flows import FlowTable
from mixcni.schema import CONVERSATIONS, TcpFlag
from mixcni.tables import AddressBook, Table, recode, unite_address_books

HALF, MASK = np.int64(1 << 31), np.int64((1 << 32) - 1)
PROTOCOL_TCP = 6
MOST_UNSEEN = 1 << 20  # octets in flight between what two points saw of one connection, a large window (RFC 7323) and more


def sequence_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    """Signed distance from `a` to `b` in octets, in [-2**31, 2**31), elementwise (RFC 9293 section 3.4)."""
    return ((b.astype(np.int64) - a.astype(np.int64) + HALF) & MASK) - HALF


class ConversationTable(Table):
    """Connections over all points, in the order of their first packets.

    `flow_of` : (n, p) int32, each conversation's row in each point's flow table, -1 where that point did not see it
    `flipped` : (n, p) bool, the point's flow has initiator and responder the other way round
    `shift` : (n, p, 2) int64, octets from the conversation's base to the flow's own, by the conversation's direction
    `book` : AddressBook of all points
    """

    schema = CONVERSATIONS
    book: AddressBook
    flow_of: NDArray[np.int32]
    flipped: NDArray[np.bool_]
    shift: NDArray[np.int64]

    def __init__(
        self,
        columns: dict[str, NDArray[Any]],
        book: AddressBook,
        flow_of: NDArray[np.int32],
        flipped: NDArray[np.bool_],
        shift: NDArray[np.int64],
    ) -> None:
        super().__init__(columns)
        self.book, self.flow_of, self.flipped, self.shift = book, flow_of, flipped, shift


class _Flows:
    """The flows of all points in one set of columns: a row a flow, point after point.

    `base` : (n, 2) int64, bases of the forward and the reverse offsets; `based` : (n, 2) bool, whether a segment told them
    `reach` : (n, 2) int64, octets, highest offset seen in each direction
    """

    def __init__(self, points: Sequence[FlowTable], offsets_ns: Sequence[int]) -> None:
        self.book, recodings = unite_address_books([flows.packets.book for flows in points])
        self.point = np.repeat(np.arange(len(points)), [len(flows) for flows in points])
        self.flow = np.concatenate([np.arange(len(flows), dtype=np.int32) for flows in points])

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([flows[name] for flows in points])

        pairs = list(zip(points, recodings, strict=True))
        self.initiator = np.concatenate([recode(flows["initiator"], r) for flows, r in pairs])
        self.responder = np.concatenate([recode(flows["responder"], r) for flows, r in pairs])
        self.initiator_port, self.responder_port = column("initiator_port"), column("responder_port")
        self.protocol = column("protocol")
        self.syn_seen, self.synack_seen = column("syn_seen"), column("synack_seen")
        self.base = np.stack([column("iss"), column("irs")], axis=1).astype(np.int64)
        self.based = np.concatenate([_based(flows) for flows in points])
        self.reach = np.stack([column("end_forward"), column("end_reverse")], axis=1)
        self.first_ns = np.concatenate([flows["first_ns"] - offset for flows, offset in zip(points, offsets_ns, strict=True)])

    def __len__(self) -> int:
        return int(self.flow.size)

    def keys(self) -> NDArray[np.int64]:
        """One number a flow key, whichever way round its two ends stand."""
        here = self.initiator.astype(np.int64) << 16 | self.initiator_port
        there = self.responder.astype(np.int64) << 16 | self.responder_port
        return _numbered(np.minimum(here, there), np.maximum(here, there), self.protocol.astype(np.int64))


def _numbered(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the number of each row among the different rows."""
    return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _based(flows: FlowTable) -> NDArray[np.bool_]:
    """(f, 2) whether a flow's segments told the base of each direction: one of its own, or an acknowledgment of the other."""
    segments = flows.segments
    acknowledges = (flows.packets["tcp_flags"][segments["packet"]] & TcpFlag.ACK) != 0
    told = np.stack([flows["packets_forward"] > 0, flows["packets_reverse"] > 0], axis=1)
    told[segments["flow"][acknowledges], 1 - segments["direction"][acknowledges]] = True
    return told


def _match(every: _Flows) -> NDArray[np.int64]:
    """Each flow's conversation: by flow key and initial sequence number; in the midst of a connection, by its octets.

    A point that has one flow twice (an old SYN came late) has it in as many conversations.
    """
    keys = every.keys()
    known = every.syn_seen | every.synack_seen | (every.protocol != PROTOCOL_TCP)
    rows = np.flatnonzero(known)
    at_point = _numbered(keys[rows], every.base[rows, 0], every.point[rows])
    order = np.argsort(at_point, kind="stable")
    ordered = at_point[order]
    again = np.empty(rows.size, dtype=np.int64)
    again[order] = np.arange(rows.size) - np.searchsorted(ordered, ordered)
    conversation = np.full(len(every), -1, dtype=np.int64)
    conversation[rows] = _numbered(keys[rows], every.base[rows, 0], again)
    _join_unbegun(every, keys, conversation, np.flatnonzero(~known))
    return conversation


def _join_unbegun(every: _Flows, keys: NDArray[np.int64], conversation: NDArray[np.int64], unbegun: NDArray[np.int64]) -> None:
    """Enter flows that were caught in the midst of a connection.

    Each joins the nearest conversation of its key whose octets meet its own and which its point does not have yet, else it is
    one by itself.
    """
    members: dict[int, dict[int, list[int]]] = defaultdict(dict)
    for row in np.flatnonzero((conversation >= 0) & np.isin(keys, keys[unbegun])).tolist():
        members[int(keys[row])].setdefault(int(conversation[row]), []).append(row)
    count = int(conversation.max(initial=-1)) + 1
    for row in unbegun.tolist():
        of_key = members[int(keys[row])]
        gaps = {
            number: min((_gap(every, row, other) for other in others), default=np.inf)
            for number, others in of_key.items()
            if every.point[row] not in every.point[others]
        }
        number = min(gaps, key=lambda n: gaps[n], default=-1)
        if number < 0 or gaps[number] > MOST_UNSEEN:
            number, count = count, count + 1
        of_key.setdefault(number, []).append(row)
        conversation[row] = number


def _gap(every: _Flows, row: int, other: int) -> float:
    """Octets between what two flows of one key saw, in the direction in which they are farther apart; 0 where they meet."""
    turned = every.initiator[row] != every.initiator[other] or every.initiator_port[row] != every.initiator_port[other]
    widest = 0
    for direction in (0, 1):
        mine, theirs = (row, 1 - direction if turned else direction), (other, direction)
        if not (every.based[mine] and every.based[theirs]):
            continue
        ahead = int((every.base[mine] - every.base[theirs] + HALF) & MASK) - int(HALF)
        widest = max(widest, ahead - int(every.reach[theirs]), -ahead - int(every.reach[mine]))
    return widest


def join_flows(points: Sequence[FlowTable], offsets_ns: Sequence[int]) -> ConversationTable:
    """The connections of all points, each once.

    Two flows are one conversation if they have the same flow key and, where both saw the handshake, the same initial sequence
    number; else if their octets meet. Orientation comes from the point that saw most of the handshake, the first such on the
    path; bases from the handshake, else from the point that saw the earliest octets.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    offsets_ns : each point's clock less the common clock, ns
    """
    every = _Flows(points, offsets_ns)
    conversation = _match(every)
    count = int(conversation.max()) + 1 if len(every) else 0
    authority = every.syn_seen.astype(np.int8) * 2 + every.synack_seen
    order = np.lexsort((every.point, -authority, conversation))
    best = order[np.unique(conversation[order], return_index=True)[1]]
    earliest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, conversation, every.first_ns)
    by_time = np.argsort(earliest, kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[by_time] = np.arange(count)
    conversation, best, earliest = rank[conversation], best[by_time], earliest[by_time]

    flipped = (every.initiator != every.initiator[best][conversation]) | (
        every.initiator_port != every.initiator_port[best][conversation]
    )
    own = np.where(flipped[:, None], every.base[:, ::-1], every.base)
    bases = _common_bases(every, conversation, best, flipped, own)
    shape = (count, len(points))
    flow_of = np.full(shape, -1, dtype=np.int32)
    flips = np.zeros(shape, dtype=np.bool_)
    shift = np.zeros((*shape, 2), dtype=np.int64)
    place = (conversation, every.point)
    flow_of[place], flips[place] = every.flow, flipped
    shift[place] = sequence_distance(bases[conversation], own)
    columns = {
        "initiator": every.initiator[best],
        "responder": every.responder[best],
        "initiator_port": every.initiator_port[best],
        "responder_port": every.responder_port[best],
        "protocol": every.protocol[best],
        "iss": bases[:, 0].astype(np.uint32),
        "irs": bases[:, 1].astype(np.uint32),
        "first_ns": earliest,
    }
    return ConversationTable(columns, every.book, flow_of, flips, shift)


def _common_bases(
    every: _Flows, conversation: NDArray[np.int64], best: NDArray[np.int64], flipped: NDArray[np.bool_], own: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(c, 2) each conversation's base by direction: that which a handshake told, else the earliest that any flow knows.

    Parameters
    ----------
    best : (c,) the flow that gives each conversation its orientation
    flipped : (n,) whether a flow stands the other way round than that
    own : (n, 2) each flow's bases by its conversation's direction
    """
    based = np.where(flipped[:, None], every.based[:, ::-1], every.based)
    bases = own[best].copy()
    for direction, shaken in enumerate((every.syn_seen, every.synack_seen)):
        knowing = np.flatnonzero(based[:, direction])[::-1]  # the first flow of each conversation is written last
        start = bases[:, direction]
        start[conversation[knowing]] = own[knowing, direction]
        ahead = np.zeros(best.size, dtype=np.int64)
        np.minimum.at(ahead, conversation[knowing], sequence_distance(start[conversation[knowing]], own[knowing, direction]))
        start[:] = (start + ahead) & MASK
        told = np.flatnonzero(shaken & ~flipped)[::-1]
        start[conversation[told]] = own[told, direction]
    return bases
