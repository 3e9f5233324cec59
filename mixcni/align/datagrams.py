"""UDP datagrams and ICMP echoes at several points: which are one, and which turn of their conversation each belongs to.

No router changes a datagram's length, nor its IP identification (RFC 791 section 3.1; RFC 6864 lets hosts leave that at 0),
and no NAT does. So equal ones of one conversation and direction are one datagram where they were seen at nearly one time. All
that one side sends before the other replies is one turn, in which a repeated question is another copy of it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.alike import Alike, Datagrams
from mixcni.align.asked import NO_QUESTION, number_questions
from mixcni.align.conversations import ConversationTable
from mixcni.align.heard import copies_heard, lack_copies
from mixcni.align.kernel import POINTS_A_WORD, cluster_equal, find_first, find_nearest, mark_arrived, open_turns
from mixcni.align.repeats import divide_by_payload, heard_again, match_once, match_repeats, not_told_apart
from mixcni.align.transmissions import Columns
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import grouped, in_order
from mixcni.kernels.jit import run

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
    rows = Datagrams.of(points, conversations, times)
    if not rows.packet.size:
        return []
    alike = Alike.of(rows)
    again = heard_again(points, rows, alike)
    if again.any():
        once = again >= 0
        rows, alike, again = *alike.keep(rows, once), again[once]
    if slack_ns is not None or by_content:
        divide_by_payload(points, rows, alike)
    if slack_ns is not None:
        number = _turns(rows, alike, slack_ns, number_questions(points, rows, exchanges))
    else:
        datagram = match_repeats(rows, alike.group) if by_content else match_once(rows, alike.group)
        number = _ranks(rows, not_told_apart(rows, alike.group, datagram) if together else datagram)
    columns = {
        **{name: getattr(rows, name) for name in ("conversation", "point", "direction", "time_ns", "packet")},
        "start": number,
        "end": number + 1,
        "acknowledged": np.full(number.size, -1, dtype=np.int64),
        "tcp_flags": np.zeros(number.size, dtype=np.uint8),
    }
    lacking = _lacking(points, rows, again) if wholly else None
    return [columns if lacking is None else {name: column[~lacking] for name, column in columns.items()}]


def _lacking(points: Sequence[FlowTable], rows: Datagrams, again: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """(n,) whether each datagram lacks a copy that others of its ends have; None where nothing was heard twice.

    Parameters
    ----------
    again : (n,) how many copies of each its payload told
    """
    if not (again.any() or any((flows.segments["copy_of"] >= 0).any() for flows in points)):
        return None
    copies, ends = again.copy(), np.empty((2, again.size), dtype=np.int64)
    for point, flows in enumerate(points):
        mine = rows.point == point
        packet = rows.packet[mine]
        of_packet = np.zeros(len(flows.packets), dtype=np.int64)
        of_packet[flows.segments["packet"]] = copies_heard(flows.segments)
        copies[mine] += of_packet[packet]
        ends[:, mine] = flows.packets["source"][packet], flows.packets["destination"][packet]
    return lack_copies(copies, rows.point, *ends)


def _turns(rows: Datagrams, alike: Alike, slack_ns: int, question: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """(n,) the turn of its conversation that each row belongs to: a new one begins where the initiator speaks again.

    What several questions ask at once is a turn each, as far as their messages tell which is which. A question that is asked
    again before its answer came back to who asks is the same one (RFC 1035 section 4.2.1).

    Parameters
    ----------
    question : (n,) as `number_questions` tells it
    """
    datagram, first = _together(rows, alike, slack_ns)
    conversation, direction = rows.conversation[first], rows.direction[first]
    asked, by_time = np.full(first.size, NO_QUESTION, dtype=np.int32), np.arange(first.size)
    if question is not None:
        np.maximum.at(asked, datagram, question)
        asked = _with_untold(asked, conversation)
        by_question, _ = grouped(asked, int(asked.max()) + 1, by_time)
        by_time, _ = grouped(conversation, int(conversation.max()) + 1, by_question)
    turn, opening = np.empty_like(asked), np.empty_like(asked)
    arrived = _came_back(rows, first, datagram)
    count = run(open_turns, first.size, by_time, conversation, direction, asked, arrived, turn, opening)
    opening = opening[:count]
    spoken, by_time = conversation[opening], np.arange(count) if question is None else in_order(rows.time_ns[first[opening]])
    begun, begin = grouped(spoken, int(spoken.max()) + 1, by_time)
    rank = np.empty(count, dtype=np.int64)
    rank[begun] = np.arange(count) - begin[spoken[begun]]
    return np.asarray(rank[turn][datagram])


def _together(rows: Datagrams, alike: Alike, slack_ns: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(n,) the datagram that each row shows: equal ones near in time, and one at each point; (d,) the first row of each."""
    groups, words = int(alike.group.max()) + 1, int(rows.point.max()) // POINTS_A_WORD + 1
    newest, seen = np.full(groups, -1, dtype=np.int32), np.empty(groups * words, dtype=np.int64)
    datagram, first = np.empty_like(alike.order), np.empty_like(alike.order)
    columns = alike.order, alike.group, rows.point, rows.time_ns
    count = run(cluster_equal, datagram.size, *columns, words, LONGEST_WAY_NS + slack_ns, newest, seen, datagram, first)
    return datagram, first[:count]


def _came_back(rows: Datagrams, first: NDArray[np.int32], datagram: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(d,) whether each datagram was seen where what its conversation's initiator sent was seen first.

    Parameters
    ----------
    first, datagram : as `_together` gives them
    """
    nearest = np.full(int(rows.conversation.max()) + 1, -1, dtype=np.int32)
    run(find_nearest, first.size, first, rows.conversation, rows.direction, rows.point, nearest)
    arrived = np.zeros(first.size, dtype=np.bool_)
    run(mark_arrived, datagram.size, rows.conversation, rows.point, nearest, datagram, arrived)
    return arrived


def _with_untold(asked: NDArray[np.int32], conversation: NDArray[np.int32]) -> NDArray[np.int32]:
    """(d,) the questions, where a datagram of which no message tells (a reply's copy) belongs to what went before it.

    asked, conversation : (d,) of datagrams by conversation and time
    """
    told = asked != NO_QUESTION
    fresh = np.ones(asked.size, dtype=np.bool_)
    fresh[1:] = np.diff(conversation) != 0
    return np.asarray(asked[np.maximum.accumulate(np.where(told | fresh, np.arange(asked.size), 0))])


def _ranks(rows: Datagrams, datagram: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the rank of each datagram among those of its conversation and direction."""
    first = np.full(int(datagram.max()) + 1, -1, dtype=np.int64)
    run(find_first, datagram.size, datagram, rows.time_ns, first)
    there = first >= 0
    first, place = first[there], (np.cumsum(there) - 1)[datagram]
    stream = rows.conversation[first].astype(np.int64) * 2 + rows.direction[first]
    order, begin = grouped(stream, int(stream.max()) + 1, in_order(first))
    rank = np.empty(order.size, dtype=np.int64)
    rank[order] = np.arange(order.size) - begin[stream[order]]
    return np.asarray(rank[place])
