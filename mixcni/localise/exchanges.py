"""The exchanges of every conversation, put together from all points that saw it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.exchanges import ExchangeTable
from mixcni.kernels.grouping import distinct, in_order, numbered
from mixcni.localise.survey import Survey
from mixcni.schema import PROTOCOL_TCP, Direction, ExchangeKind, TcpFlag
from mixcni.topology import Address

COLUMNS = (
    "conversation", "number", "kind", "request_start", "request_end", "response_start", "response_end", "told_at", "exchange",
)  # fmt: skip
ALL_ONES = 2**32 - 1  # the limited broadcast (RFC 919)


def merge_exchanges(alignment: Alignment, exchanges: Sequence[ExchangeTable], survey: Survey) -> dict[str, NDArray[Any]]:
    """Columns of every conversation's exchanges, in the order of conversation and number.

    The exchanges are those of the point that saw most of the conversation, the first such on the path (`told_at`, and `exchange`
    is the row in its table); octets beyond what it saw that only another point saw follow as one more request, or are the last
    response's, as are those that nobody saw and the initiator acknowledged. A handshake is there where any point saw a SYN.

    Parameters
    ----------
    alignment : of all points
    exchanges : one ExchangeTable a point, in path order
    survey : of the alignment's transmissions
    """
    count, points = len(alignment.conversations), len(alignment.points)
    acknowledged = survey.acknowledged.reshape(-1, len(Direction))[:, Direction.REVERSE]
    source = _told_best(alignment)

    parts = [_handshakes(survey, acknowledged), _datagrams(alignment, exchanges)]
    parts.extend(_turns(alignment, table, point, source) for point, table in enumerate(exchanges))
    merged = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = in_order(merged["conversation"], merged["number"])
    merged = {name: array[order] for name, array in merged.items()}
    if not points or not count:
        return merged
    extents = survey.extent.max(axis=1)
    extents[:, Direction.REVERSE] = np.maximum(extents[:, Direction.REVERSE], acknowledged - 1)  # the last octet may be a FIN's
    return _complete(merged, extents, survey.extent[np.arange(count), source])


def _told_best(alignment: Alignment) -> NDArray[np.int64]:
    """(c,) the point that saw most octets of each conversation's streams, each octet once; of equals the first on the path.

    Not the one with the longest stretch: what it lacks of that may be the very beginning of a message.
    """
    flow_of = alignment.conversations.flow_of
    seen = np.zeros(flow_of.shape, dtype=np.int64)
    for point, flows in enumerate(alignment.points):
        there = np.flatnonzero(flow_of[:, point] >= 0)
        octets = flows["octets_seen_forward"] + flows["octets_seen_reverse"]
        seen[there, point] = octets[flow_of[there, point]]
    return seen.argmax(axis=1) if seen.size else np.zeros(len(seen), dtype=np.int64)


def _handshakes(survey: Survey, acknowledged: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    syn = ((survey.tcp_flags & TcpFlag.SYN) != 0).any(axis=1)
    rows = np.flatnonzero(syn.any(axis=1))
    replied = syn[rows, Direction.REVERSE] | (acknowledged[rows] > 0)
    zeros = np.zeros(rows.size, dtype=np.int64)
    return {
        "conversation": rows,
        "number": zeros,
        "kind": np.full(rows.size, int(ExchangeKind.HANDSHAKE), dtype=np.int64),
        "request_start": zeros,
        "request_end": zeros + 1,
        "response_start": zeros,
        "response_end": replied.astype(np.int64),
        "told_at": zeros - 1,
        "exchange": zeros - 1,
    }


def _datagrams(alignment: Alignment, exchanges: Sequence[ExchangeTable]) -> dict[str, NDArray[Any]]:
    """The turns of conversations without streams, a request and a response each; none of those with many at once."""
    table, conversations = alignment.transmissions, alignment.conversations
    book = conversations.book
    followed = conversations["protocol"] != PROTOCOL_TCP
    called = distinct(conversations["responder"][followed], len(book)).tolist()
    for_many = [code for code in called if _is_for_many(book.address(code))]
    followed &= ~np.isin(conversations["responder"], for_many)
    rows = np.flatnonzero(followed[table["conversation"]])
    turn = numbered(table["conversation"][rows], table["start"][rows])
    there = np.zeros((int(turn.max(initial=-1)) + 1, 2), dtype=np.int64)
    there[turn, table["direction"][rows]] = 1
    conversation, number = np.zeros((2, len(there)), dtype=np.int64)
    conversation[turn], number[turn] = table["conversation"][rows], table["start"][rows]
    told_at, exchange = _told_by(alignment, exchanges, rows, turn, number.size)
    return {
        "conversation": conversation,
        "number": number,
        "kind": np.full(number.size, int(ExchangeKind.DATAGRAM), dtype=np.int64),
        "request_start": number,
        "request_end": number + there[:, Direction.FORWARD],
        "response_start": number,
        "response_end": number + there[:, Direction.REVERSE],
        "told_at": told_at,
        "exchange": exchange,
    }


def _told_by(
    alignment: Alignment, exchanges: Sequence[ExchangeTable], rows: NDArray[np.int64], turn: NDArray[np.int64], turns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(turns,) the point whose exchange has a turn's first request as its own, the first such on the path, and that exchange.

    rows, turn : datagrams, as rows of the transmission table, and the turn of each; -1 is told where no exchange has it
    """
    table = alignment.transmissions
    told_at, exchange = np.full(turns, -1, dtype=np.int64), np.full(turns, -1, dtype=np.int64)
    for point, known in reversed(list(enumerate(exchanges))):
        asked = np.flatnonzero((table["point"][rows] == point) & (table["direction"][rows] == Direction.FORWARD))
        if not asked.size:
            continue
        packets = known["request_packet"]
        by_packet = in_order(packets)
        place = np.searchsorted(packets[by_packet], table["packet"][rows[asked]])
        found = by_packet[np.minimum(place, packets.size - 1)] if packets.size else np.zeros(0, dtype=np.int64)
        asked = asked[: found.size]
        has = (packets[found] == table["packet"][rows[asked]]) & (known["kind"][found] != ExchangeKind.HANDSHAKE)
        latest_first = np.flatnonzero(has)[::-1]  # what is entered last, the earliest, stays
        told_at[turn[asked[latest_first]]], exchange[turn[asked[latest_first]]] = point, found[latest_first]
    return told_at, exchange


def _is_for_many(address: Address) -> bool:
    """Whether an address is no single host's: what is sent there passes where it is asked for, and many answer or none."""
    limited = address.version == 4 and int(address) == ALL_ONES
    return address.is_multicast or limited or address.is_unspecified


def _turns(alignment: Alignment, table: ExchangeTable, point: int, source: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    conversations = alignment.conversations
    conversation_of = np.full(len(alignment.points[point]), -1, dtype=np.int64)
    seen = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    conversation_of[conversations.flow_of[seen, point]] = seen
    conversation = conversation_of[table["flow"]]
    of_stream = alignment.points[point]["protocol"][table["flow"]] == PROTOCOL_TCP
    main = (conversation >= 0) & (table["kind"] != ExchangeKind.HANDSHAKE)  # what the point heard again is in its main flow
    kept = np.flatnonzero(main & of_stream & (source[conversation] == point))
    conversation = conversation[kept]
    flipped = conversations.flipped[conversation, point]
    shift = conversations.shift[conversation, point]
    columns = {name: table[name][kept].astype(np.int64) for name in COLUMNS[1:7]}
    request = columns["request_start"], columns["request_end"]
    response = columns["response_start"], columns["response_end"]
    for bound, (forward, reverse) in enumerate(zip(request, response, strict=True)):
        name = ("start", "end")[bound]
        columns[f"request_{name}"] = np.where(flipped, reverse, forward) + shift[:, 0]
        columns[f"response_{name}"] = np.where(flipped, forward, reverse) + shift[:, 1]
    return {"conversation": conversation, **columns, "told_at": np.full(kept.size, point, dtype=np.int64), "exchange": kept}


def _complete(merged: dict[str, NDArray[Any]], extent: NDArray[np.int64], told: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Add the octets that stand beyond the last exchange of each conversation.

    extent, told : (c, 2) stream offsets, exclusive: what any point saw, or is proven, and the point whose exchanges these are.
    What the latter saw and takes for no message, as frames of an HTTP/2 connection itself, is nobody's.
    """
    conversation, kind = merged["conversation"], merged["kind"]
    last = np.flatnonzero(np.append(np.diff(conversation) != 0, np.full(min(conversation.size, 1), fill_value=True)))
    last = last[kind[last] != ExchangeKind.DATAGRAM]
    replied = last[kind[last] != ExchangeKind.HANDSHAKE]
    more = replied[extent[conversation[replied], Direction.REVERSE] > told[conversation[replied], Direction.REVERSE]]
    merged["response_end"][more] = np.maximum(merged["response_end"][more], extent[conversation[more], Direction.REVERSE])
    end = np.maximum(merged["request_end"][last], 1)
    is_message = (kind[last] != ExchangeKind.HANDSHAKE) & (kind[last] != ExchangeKind.TURN)
    end = np.where(is_message, np.maximum(end, told[conversation[last], Direction.FORWARD]), end)
    behind = extent[conversation[last], Direction.FORWARD] > end
    beyond, start = last[behind], end[behind]
    if not beyond.size:
        return merged
    end = merged["response_end"][beyond]
    extra = {
        "conversation": conversation[beyond],
        "number": merged["number"][beyond] + 1,
        "kind": np.full(beyond.size, int(ExchangeKind.TURN), dtype=np.int64),
        "request_start": start,
        "request_end": extent[conversation[beyond], Direction.FORWARD],
        "response_start": end,
        "response_end": end,
        "told_at": np.full(beyond.size, -1, dtype=np.int64),
        "exchange": np.full(beyond.size, -1, dtype=np.int64),
    }
    return {name: np.insert(merged[name], beyond + 1, extra[name]) for name in COLUMNS}
