"""Flows of all points -> conversations: the same connection, wherever it was seen, on common stream offsets."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.clock import ClockModel
from mixcni.align.matching import match_by_key
from mixcni.align.strands import best_flows
from mixcni.align.translation import Translated, join_translated
from mixcni.align.united import MASK, UnitedFlows, sequence_distance
from mixcni.kernels.grouping import in_order, numbered
from mixcni.schema import CANDIDATES, CONVERSATIONS
from mixcni.tables import AddressBook, Table
from mixcni.topology import Translation

NO_PORT = 0


class CandidateTable(Table):
    """Conversations that may be one, and were not joined: each way round, in the order of the conversations."""

    schema = CANDIDATES


class Members(NamedTuple):
    """Of one point's flows, in the order of its flow table.

    conversation : (f,) int32; flipped : (f,) bool, initiator and responder stand the other way round than in the conversation
    shift : (f, 2) int64, octets from the conversation's base to the flow's own, by the conversation's direction
    is_primary : (f,) bool, the point's main flow of its conversation; others are the same packets before or behind the point's
        own NAT or tunnel, or what a connection without handshakes (UDP, ICMP) sent after a silence
    """

    conversation: NDArray[np.int32]
    flipped: NDArray[np.bool_]
    shift: NDArray[np.int64]
    is_primary: NDArray[np.bool_]


class Ends(NamedTuple):
    """A conversation's addresses and ports as each point sees them, (n, p) each: code -1 and port 0 where one did not see it."""

    initiator: NDArray[np.int32]
    responder: NDArray[np.int32]
    initiator_port: NDArray[np.uint16]
    responder_port: NDArray[np.uint16]


class ConversationTable(Table):
    """Connections over all points, in the order of their first packets; addresses are those of the first point that saw it.

    `flow_of` : (n, p) int32, each conversation's row in each point's flow table, -1 where that point did not see it
    `flipped` : (n, p) bool, the point's flow has initiator and responder the other way round
    `shift` : (n, p, 2) int64, octets from the conversation's base to the flow's own, by the conversation's direction
    `book` : AddressBook of all points
    `ends` : Ends, the addresses and ports as each point sees them; `behind` : as it sees them last, behind its own NAT
    `remade` : (n,) bool, a SYN proxy spoke for the responder: two points have one ISS and two IRS
    `candidates` : CandidateTable
    `stated` : what tables say of conversations that packets alone would have left apart, a translation each
    """

    schema = CONVERSATIONS
    book: AddressBook
    flow_of: NDArray[np.int32]
    flipped: NDArray[np.bool_]
    shift: NDArray[np.int64]
    ends: Ends
    behind: Ends
    remade: NDArray[np.bool_]
    candidates: CandidateTable
    stated: tuple[Translation, ...]

    def __init__(
        self,
        columns: dict[str, NDArray[Any]],
        book: AddressBook,
        members: Sequence[Members],
        ends: Ends,
        behind: Ends,
        remade: NDArray[np.bool_],
        candidates: CandidateTable,
        stated: tuple[Translation, ...] = (),
    ) -> None:
        super().__init__(columns)
        self.remade = remade
        self.book, self._members, self.ends, self.behind = book, tuple(members), ends, behind
        self.candidates, self.stated = candidates, stated
        shape = (len(self), len(members))
        self.flow_of = np.full(shape, -1, dtype=np.int32, order="F")  # columns are read, a point's all at once
        self.flipped = np.zeros(shape, dtype=np.bool_, order="F")
        self.shift = np.zeros((*shape, 2), dtype=np.int64)
        for point, of_point in enumerate(members):
            flow = np.flatnonzero(of_point.is_primary)
            rows = of_point.conversation[flow]
            self.flow_of[rows, point] = flow
            self.flipped[rows, point] = of_point.flipped[flow]
            self.shift[rows, point] = of_point.shift[flow]

    def members_at(self, point: int) -> Members:
        """All flows of a point, with their conversations."""
        return self._members[point]

    def rows_of(self, other: "ConversationTable") -> NDArray[np.int32] | None:
        """(n,) the row here of each conversation of another table; None where the two have not the same flows placed alike.

        `other` : of the same points
        """
        number = np.full(len(other), -1, dtype=np.int32)
        pairs = [(mine, other.members_at(point)) for point, mine in enumerate(self._members)]
        for mine, theirs in pairs:
            number[theirs.conversation] = mine.conversation
        alike = len(self) == len(other) and all(
            np.array_equal(number[theirs.conversation], mine.conversation)
            and all(np.array_equal(*placed) for placed in zip(mine[1:], theirs[1:], strict=True))
            for mine, theirs in pairs
        )
        return number if alike else None

    @property
    def is_rewritten(self) -> NDArray[np.bool_]:
        """(n,) whether two points see different addresses or ports: something between them rewrites them."""
        seen = self.flow_of >= 0
        rewritten = np.zeros(len(self), dtype=np.bool_)
        for name, column in self.ends._asdict().items():
            rewritten |= (seen & (column != self[name][:, None])).any(axis=1)
        return rewritten


def join_flows(
    every: UnitedFlows, clocks: Sequence[ClockModel] | None = None, translations: Sequence[Translation] = ()
) -> ConversationTable:
    """The connections of all points, each once.

    Two flows are one conversation if they have the same flow key and, where both saw the handshake, the same initial sequence
    number; else if their octets meet. Flows of other keys join where what no NAT rewrites says so (mixcni.align.translation).
    Orientation comes from the point that saw most of the handshake, the first such on the path; bases from the handshake, else
    from the point that saw the earliest octets.

    Parameters
    ----------
    every : the flows of all points, in path order, at times on the common clock as far as it is known
    clocks : one a point; None where they are not known yet
    translations : what NAT and conntrack tables state
    """
    points, by_key = every.points, match_by_key(every)
    found = join_translated(every, by_key, clocks, translations)
    conversation = numbered(found.joined[by_key])
    count = int(conversation.max(initial=-1)) + 1
    best = best_flows(every, conversation)
    earliest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, conversation, every.first_ns)
    by_time = np.argsort(earliest, kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[by_time] = np.arange(count)
    conversation, best, earliest = rank[conversation], best[by_time], earliest[by_time]

    key_best = best_flows(every, by_key)
    turned = every.is_turned(np.arange(len(every)), key_best[by_key]) ^ found.turned[by_key]
    flipped = turned ^ turned[best][conversation]
    own = np.where(flipped[:, None], every.base[:, ::-1], every.base)
    bases = _common_bases(every, conversation, best, flipped, own)
    primary = _primary(every, conversation)
    shift = sequence_distance(bases[conversation], own)
    remade = np.zeros(count, dtype=np.bool_)
    remade[conversation[every.synack_seen & ~flipped & (shift[:, 0] == 0) & (shift[:, 1] != 0)]] = True
    shift[_shaken(every, flipped)] = 0  # whatever a firewall makes of the numbers, a handshake begins at octet 0
    members = []
    for point in range(len(points)):
        rows = slice(every.first_row[point], every.first_row[point + 1])
        members.append(Members(conversation[rows].astype(np.int32), flipped[rows], shift[rows], primary[rows]))
    ends = _ends(every, conversation, flipped, primary, count)
    behind = _ends(every, conversation, flipped, _last_begun(every, conversation), count)
    first_point = (ends.initiator >= 0).argmax(axis=1) if len(points) else np.zeros(count, dtype=np.int64)
    rewritten = np.bincount(conversation, weights=found.bits[by_key] > 0, minlength=count) > 0
    bits = np.full(count, np.iinfo(np.int64).max)
    joined_bits = found.bits[by_key]
    np.minimum.at(bits, conversation[joined_bits > 0], joined_bits[joined_bits > 0])
    evidence = np.zeros(count, dtype=np.int64)
    np.bitwise_or.at(evidence, conversation, found.evidence[by_key])
    columns = {name: column[np.arange(count), first_point] for name, column in ends._asdict().items()} | {
        "protocol": every.protocol[best],
        "iss": bases[:, 0].astype(np.uint32),
        "irs": bases[:, 1].astype(np.uint32),
        "first_ns": earliest,
        "evidence": evidence.astype(np.uint8),
        "evidence_bits": np.where(rewritten, bits, 0),
    }
    number_of = np.zeros(int(by_key.max(initial=-1)) + 1, dtype=np.int64)
    number_of[by_key] = conversation
    return ConversationTable(columns, every.book, members, ends, behind, remade, _candidates(found, number_of), found.stated)


def _primary(every: UnitedFlows, conversation: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a flow is its point's main one of its conversation: that with most packets, the first such."""
    packets, place = every.packets.sum(axis=1), conversation * len(every.points) + every.point
    most = np.full(int(place.max(initial=-1)) + 1, -1, dtype=np.int64)
    np.maximum.at(most, place, packets)
    candidates = np.flatnonzero(packets == most[place])[::-1]
    most[place[candidates]] = candidates  # the first is written last
    primary = np.zeros(len(every), dtype=np.bool_)
    primary[most[most >= 0]] = True
    return primary


def _last_begun(every: UnitedFlows, conversation: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a flow is that of its conversation which its point heard first the latest: as the packets leave it."""
    place = conversation * len(every.points) + every.point
    by_time = np.argsort(every.first_ns, kind="stable")
    latest = np.full(int(place.max(initial=-1)) + 1, -1, dtype=np.int64)
    latest[place[by_time]] = by_time  # the latest is written last
    chosen = np.zeros(len(every), dtype=np.bool_)
    chosen[latest[latest >= 0]] = True
    return chosen


def _ends(
    every: UnitedFlows, conversation: NDArray[np.int64], flipped: NDArray[np.bool_], chosen: NDArray[np.bool_], count: int
) -> Ends:
    """The ends of each conversation at each point by its chosen flow there."""
    shape = (count, len(every.points))
    ends = Ends(
        np.full(shape, -1, dtype=np.int32, order="F"),
        np.full(shape, -1, dtype=np.int32, order="F"),
        np.full(shape, NO_PORT, dtype=np.uint16, order="F"),
        np.full(shape, NO_PORT, dtype=np.uint16, order="F"),
    )
    rows = np.flatnonzero(chosen)
    place, turned = (conversation[rows], every.point[rows]), flipped[rows]
    for here, there in (("initiator", "responder"), ("initiator_port", "responder_port")):
        mine, others = getattr(every, here)[rows], getattr(every, there)[rows]
        getattr(ends, here)[place] = np.where(turned, others, mine)
        getattr(ends, there)[place] = np.where(turned, mine, others)
    return ends


def _candidates(found: Translated, number_of: NDArray[np.int64]) -> CandidateTable:
    """The pairings that were not made, each way round; of several of one pair the last."""
    doubtful = found.doubtful
    ends = number_of[doubtful.one], number_of[doubtful.other]
    both = np.concatenate(ends), np.concatenate(ends[::-1])
    bits, evidence = np.tile(doubtful.bits, 2), np.tile(doubtful.evidence, 2)
    rows = in_order(*both)
    rows = rows[both[0][rows] != both[1][rows]]
    here, there = both[0][rows], both[1][rows]
    last = np.append((here[1:] != here[:-1]) | (there[1:] != there[:-1]), True)[: rows.size]
    rows = rows[last]
    columns = {"conversation": both[0], "candidate": both[1], "evidence": evidence, "evidence_bits": bits}
    return CandidateTable({name: column[rows].astype(CANDIDATES[name].dtype) for name, column in columns.items()})


def _shaken(every: UnitedFlows, flipped: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n, 2) whether the handshake told a flow's base, in the directions in which it tells that of the conversation."""
    return np.stack([every.syn_seen & ~flipped, every.synack_seen & ~flipped], axis=1)


def _common_bases(
    every: UnitedFlows,
    conversation: NDArray[np.int64],
    best: NDArray[np.int64],
    flipped: NDArray[np.bool_],
    own: NDArray[np.int64],
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
