"""Flows of all points -> conversations: the same connection, wherever it was seen, on common stream offsets."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.flows import FlowTable
from mixcni.schema import CONVERSATIONS
from mixcni.tables import AddressBook, Table, recode, unite_address_books

HALF, MASK = np.int64(1 << 31), np.int64((1 << 32) - 1)


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
    """The flows of all points in one set of columns: a row a flow, point after point."""

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
        self.protocol, self.iss, self.irs = column("protocol"), column("iss"), column("irs")
        self.syn_seen, self.synack_seen = column("syn_seen"), column("synack_seen")
        self.first_ns = np.concatenate([flows["first_ns"] - offset for flows, offset in zip(points, offsets_ns, strict=True)])

    def __len__(self) -> int:
        return int(self.flow.size)

    def keys(self) -> NDArray[np.int64]:
        """One number a flow key, whichever way round its two ends stand."""
        here = self.initiator.astype(np.int64) << 16 | self.initiator_port
        there = self.responder.astype(np.int64) << 16 | self.responder_port
        rows = np.stack([np.minimum(here, there), np.maximum(here, there), self.protocol.astype(np.int64)], axis=1)
        return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _match(every: _Flows) -> NDArray[np.int64]:
    """Each flow's conversation: by flow key and initial sequence number; without a handshake, by the nearest sequence."""
    keys = every.keys()
    known = every.syn_seen | every.synack_seen
    conversation = np.full(len(every), -1, dtype=np.int64)
    identity = np.stack([keys[known], every.iss[known].astype(np.int64)], axis=1)
    _, first, found = np.unique(identity, axis=0, return_index=True, return_inverse=True)
    conversation[known] = found.reshape(-1)
    of_key: dict[int, list[int]] = defaultdict(list)
    iss_of: dict[int, int] = {}
    for number, row in enumerate(np.flatnonzero(known)[first]):
        of_key[int(keys[row])].append(number)
        iss_of[number] = int(every.iss[row])
    taken = set(zip(conversation[known].tolist(), every.point[known].tolist(), strict=True))
    count = len(first)
    for row in np.flatnonzero(~known):
        key, point, iss = int(keys[row]), int(every.point[row]), int(every.iss[row])
        free = [number for number in of_key[key] if (number, point) not in taken]
        if free:
            number = min(free, key=lambda n: (iss - iss_of[n]) & int(MASK))
        else:
            number, count = count, count + 1
            of_key[key].append(number)
            iss_of[number] = iss
        conversation[row] = number
        taken.add((number, point))
    return conversation


def join_flows(points: Sequence[FlowTable], offsets_ns: Sequence[int]) -> ConversationTable:
    """The connections of all points, each once.

    Two flows are one conversation if they have the same flow key and, where both saw the handshake, the same initial sequence
    number. Orientation and bases come from the point that saw most of the handshake, the first such on the path.

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
    own = np.stack([np.where(flipped, every.irs, every.iss), np.where(flipped, every.iss, every.irs)], axis=1)
    bases = own[best].copy()
    for direction, seen in enumerate((every.syn_seen, every.synack_seen)):  # a base that a handshake told goes first
        rows = np.flatnonzero(seen & ~flipped)[::-1]
        bases[conversation[rows], direction] = own[rows, direction]
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
