"""UDP datagrams and ICMP echoes at several points: which are one, and which turn of their conversation each belongs to.

No router changes a datagram's length, nor its IP identification (RFC 791 section 3.1; RFC 6864 lets hosts leave that at 0),
and no NAT does. So equal ones of one conversation and direction are one datagram where they were seen at nearly one time. All
that one side sends before the other replies is one turn, in which a repeated question is another copy of it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.asked import NO_QUESTION, number_questions
from mixcni.align.conversations import ConversationTable
from mixcni.align.heard import copies_heard, lack_copies
from mixcni.align.kernel import cluster_equal, find_first
from mixcni.align.repeats import Columns, divide_by_payload, heard_again, match_once, match_repeats, not_told_apart
from mixcni.align.united import PROTOCOL_TCP
from mixcni.decode import PacketTable
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import grouped, in_order, numbered
from mixcni.kernels.jit import run
from mixcni.schema import Direction, Layer

LONGEST_WAY_NS: Final = 1_000_000_000  # from the first point to the last


def gather_datagrams(
    points: Sequence[FlowTable],
    conversations: ConversationTable,
    times: Sequence[NDArray[np.int64]],
    slack_ns: int | None,
    *,
    by_content: bool = False,
    exchanges: Sequence[ExchangeTable] = (),
    together: bool = False,
    wholly: bool = False,
) -> list[Columns]:
    """The datagrams of all points as columns of a TransmissionTable: octet `start` is the number of its turn. None without any.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    conversations : of these points
    times : of each point's packets, ns
    slack_ns : how far times may be off; None where clocks are not joined: then only what is there once a point is matched, and
        numbers count the datagrams of each direction
    by_content : where clocks are not joined, tell equal datagrams apart as mixcni.align.repeats does
    exchanges : one ExchangeTable a point, whose messages tell questions apart that are asked at once; none: not known
    together : where clocks are not joined, datagrams of several points that nothing tells apart are one, sent repeatedly
    wholly : without those that lack a copy, as mixcni.align.heard.wholly_heard tells
    """
    parts = [_of_point(flows, conversations, point, times[point]) for point, flows in enumerate(points)]
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    if not every or not every["time_ns"].size:
        return []
    again = heard_again(points, every)
    every["copies"] += again
    every = {name: column[again >= 0] for name, column in every.items()}
    group = _groups(every)
    if slack_ns is not None or by_content:
        group = divide_by_payload(points, every, group)
    if slack_ns is not None:
        number = _turns(every, _together(every, group, slack_ns), number_questions(points, every, exchanges))
    else:
        datagram = match_repeats(every, group) if by_content else match_once(every, group)
        number = _ranks(every, not_told_apart(every, group, datagram) if together else datagram)
    columns = {
        **{name: every[name] for name in ("conversation", "point", "direction", "time_ns", "packet")},
        "start": number,
        "end": number + 1,
        "acknowledged": np.full(number.size, -1, dtype=np.int64),
        "tcp_flags": np.zeros(number.size, dtype=np.uint8),
    }
    lacking = lack_copies(every["copies"], *(every[name] for name in ("point", "source", "destination"))) if wholly else None
    return [columns if lacking is None else {name: column[~lacking] for name, column in columns.items()}]


def _of_point(flows: FlowTable, conversations: ConversationTable, point: int, times: NDArray[np.int64]) -> Columns:
    """One point's datagrams, each once: those of main flows, and of others what those do not have."""
    segments, members = flows.segments, conversations.members_at(point)
    kept = np.flatnonzero((flows["protocol"][segments["flow"]] != PROTOCOL_TCP) & (segments["copy_of"] < 0))
    kept = kept[~_in_part(flows.packets)[segments["packet"][kept]]]
    flow, packet = segments["flow"][kept], segments["packet"][kept]
    return {
        "conversation": members.conversation[flow],
        "point": np.full(kept.size, point, dtype=np.uint16),
        "direction": segments["direction"][kept] ^ members.flipped[flow],
        "ip_id": flows.packets["ip_id"][packet],
        "octets": flows.packets["payload_octets"][packet],
        "source": flows.packets["source"][packet],
        "destination": flows.packets["destination"][packet],
        "copies": copies_heard(segments)[kept],
        "time_ns": times[packet],
        "packet": packet,
    }


def _in_part(packets: PacketTable) -> NDArray[np.bool_]:
    """(n,) whether of a packet fragments are missing, without which no host takes it (RFC 1122 section 3.3.2).

    A capture without any later fragment has a filter by port, which none of them passes: there the first one stands for all.
    """
    present = packets["present"]
    if not (present & Layer.LATER_FRAGMENT).any():
        return np.zeros(present.size, dtype=np.bool_)
    return np.asarray((present & (Layer.FRAGMENT | Layer.LATER_FRAGMENT)) == Layer.FRAGMENT)


def _groups(every: Columns) -> NDArray[np.int64]:
    """(n,) the number of each datagram among those that differ in conversation, direction, IP identification or length."""
    return numbered(*(every[name] for name in ("conversation", "direction", "ip_id", "octets")))


def _together(every: Columns, group: NDArray[np.int64], slack_ns: int) -> NDArray[np.int64]:
    """(n,) the datagram that each row shows: equal ones near in time, and one at each point."""
    order, _ = grouped(group, int(group.max()) + 1, np.argsort(every["time_ns"], kind="stable"))  # of one time by point
    cluster = np.empty(order.size, dtype=np.int64)
    run(
        cluster_equal,
        order.size,
        group[order],
        every["point"][order],
        every["time_ns"][order],
        LONGEST_WAY_NS + slack_ns,
        cluster,
    )
    found = np.empty(order.size, dtype=np.int64)
    found[order] = cluster
    return found


def _firsts(every: Columns, datagram: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the first sight of each datagram, and (n,) the place of each row's datagram among those."""
    first = np.full(int(datagram.max()) + 1, -1, dtype=np.int64)
    run(find_first, datagram.size, datagram, every["time_ns"], first)
    there = first >= 0
    return first[there], (np.cumsum(there) - 1)[datagram]


def _turns(every: Columns, datagram: NDArray[np.int64], question: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the turn of its conversation that each datagram belongs to: a new one begins where the initiator speaks again.

    What several questions ask at once is a turn each, as far as their messages tell which is which. A question that is asked
    again before its answer came back to who asks is the same one (RFC 1035 section 4.2.1).
    """
    first, place = _firsts(every, datagram)
    conversation, direction, time = (every[name][first] for name in ("conversation", "direction", "time_ns"))
    asked = np.full(first.size, NO_QUESTION, dtype=np.int64)
    np.maximum.at(asked, place, question)
    asked = _with_untold(asked, conversation, time)
    count = int(conversation.max()) + 1
    by_question, _ = grouped(asked, int(asked.max()) + 1, in_order(time, direction))
    order, _ = grouped(conversation, count, by_question)
    ahead = direction[order]
    changed = np.ones(order.size, dtype=np.bool_)
    changed[1:] = (np.diff(conversation[order]) != 0) | (np.diff(asked[order]) != 0)
    begins = changed.copy()
    ends = (asked == NO_QUESTION) | _came_back(every, first, place)
    begins[1:] |= (ahead[1:] == Direction.FORWARD) & (ahead[:-1] == Direction.REVERSE) & ends[order][:-1]
    of_first = np.empty(order.size, dtype=np.int64)
    of_first[order] = np.cumsum(begins) - 1
    opening = order[begins]
    spoken = conversation[opening]
    by_time, begin = grouped(spoken, count, in_order(time[opening]))
    turn = np.empty(opening.size, dtype=np.int64)
    turn[by_time] = np.arange(opening.size) - begin[spoken[by_time]]
    return np.asarray(turn[of_first][place])


def _came_back(every: Columns, first: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(d,) whether each datagram was seen where what its conversation's initiator sent was seen first."""
    asked = first[every["direction"][first] == Direction.FORWARD]
    asked = asked[np.argsort(every["time_ns"][asked], kind="stable")[::-1]]
    nearest = np.full(int(every["conversation"].max()) + 1, -1, dtype=np.int64)
    nearest[every["conversation"][asked]] = every["point"][asked]  # what is entered last stays: the earliest
    there = np.zeros(first.size, dtype=np.bool_)
    there[place[every["point"] == nearest[every["conversation"]]]] = True
    return there


def _with_untold(asked: NDArray[np.int64], conversation: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """(d,) the questions, where a datagram of which no message tells (a reply's copy) belongs to what went before it."""
    order, _ = grouped(conversation, int(conversation.max()) + 1, in_order(time))
    told = asked[order] != NO_QUESTION
    fresh = np.ones(order.size, dtype=np.bool_)
    fresh[1:] = np.diff(conversation[order]) != 0
    last = np.maximum.accumulate(np.where(told | fresh, np.arange(order.size), 0))
    filled = np.empty(order.size, dtype=np.int64)
    filled[order] = asked[order][last]
    return filled


def _ranks(every: Columns, datagram: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the rank of each datagram among those of its conversation and direction."""
    first, place = _firsts(every, datagram)
    stream = every["conversation"][first].astype(np.int64) * 2 + every["direction"][first]
    order, begin = grouped(stream, int(stream.max()) + 1, in_order(first))
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size) - begin[stream[order]]
    return np.asarray(rank[place])
