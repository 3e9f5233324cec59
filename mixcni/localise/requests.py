"""Requests over HTTP, gRPC and what led to none, with all that may tell which of them a proxy passed on as which other.

Times are those at which each point first saw an octet at or behind the request's, or the response's, first: octets are sent in
order, so where a capture missed the first copy that is nearer to when it passed than its retransmission is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.retries import FAILED_STATUSES, UNAVAILABLE
from mixcni.exchanges.tables import TEXTS
from mixcni.localise.localisation import Localisation
from mixcni.schema import Direction, ExchangeKind, Fate

HTTP: Final = (ExchangeKind.HTTP1, ExchangeKind.HTTP2, ExchangeKind.GRPC)
TRACEPARENT_PARTS: Final = 4  # version, trace-id, parent-id, trace-flags (W3C Trace Context 3.2)
TRACE_ID_LENGTH: Final = 32  # hexadecimal digits (W3C Trace Context 3.2.2.3)


@dataclass(frozen=True, slots=True, eq=False)
class SeenRequest:
    """A request as the captures have it.

    row : in the fate table; number : of the exchange in its conversation
    method, target and so on : "" where it was not captured; of a connection attempt always
    status : -1 none seen
    has_failed : nobody answered it, or a gateway answered in place of the server
    asked, answered : when each point saw its first octet and its response's, ns on the common clock; -1 where it did not
    initiators, responders : address codes as any point saw them; port : the responder's, by the first point
    """

    row: int
    conversation: int
    number: int
    method: str
    target: str
    host: str
    request_id: str
    traceparent: str
    status: int
    has_failed: bool
    asked: tuple[int, ...]
    answered: tuple[int, ...]
    initiators: frozenset[int]
    responders: frozenset[int]
    port: int

    @property
    def is_attempt(self) -> bool:
        """Whether it is a connection attempt: a SYN that led to no connection."""
        return self.number == 0

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to; "" where no valid traceparent says so."""
        return trace_id_of(self.traceparent)

    @property
    def path(self) -> str:
        """Its target without scheme and authority."""
        return path_of(self.target)


def path_of(target: str) -> str:
    """A request's target without the scheme and authority of absolute-form (RFC 9112 section 3.2.2)."""
    scheme, found, rest = target.partition("://")
    return f"/{rest.partition('/')[2]}" if found and scheme.isalpha() else target


def trace_id_of(traceparent: str) -> str:
    """The trace-id of a traceparent; "" where it has none that is valid."""
    parts = traceparent.split("-")
    found = parts[1] if len(parts) >= TRACEPARENT_PARTS else ""
    return found if len(found) == TRACE_ID_LENGTH and found.strip("0") else ""


def same_request(one: str, other: str) -> bool:
    """Whether two paths may be one: the same, or one with a prefix that a proxy takes off or puts before it."""
    shorter, longer = sorted((one, other), key=len)
    return one == other or (shorter.startswith("/") and len(shorter.partition("?")[0]) > 1 and longer.endswith(shorter))


def is_failure(fate: int, status: int | None, grpc_status: int | None) -> bool:
    """Whether nobody answered a request, or a gateway did in place of the server."""
    return fate != Fate.ANSWERED or status in FAILED_STATUSES or grpc_status == UNAVAILABLE


def said_of(localisation: Localisation) -> dict[int, dict[str, Any]]:
    """What the messages of each HTTP or gRPC exchange say, by row of the fate table: texts, status and gRPC status."""
    fates = localisation.fates
    rows = np.flatnonzero(np.isin(fates["kind"], HTTP) & (fates["told_at"] >= 0))
    found: dict[int, dict[str, Any]] = {}
    for position in np.unique(fates["told_at"][rows]).tolist():
        mine = rows[fates["told_at"][rows] == position]
        table = localisation.exchanges[position]
        details, place = table.details, table.detail_rows()[fates["exchange"][mine]]
        texts = {name: details[name] for name in TEXTS}
        for row, at in zip(mine.tolist(), place.tolist(), strict=True):
            if at >= 0:
                said: dict[str, Any] = {name: details.texts[int(codes[at])] for name, codes in texts.items()}
                found[row] = said | {name: int(details[name][at]) for name in ("status", "grpc_status")}
    return dict(sorted(found.items()))


def seen_requests(localisation: Localisation, said: dict[int, dict[str, Any]], attempts: Iterable[int]) -> list[SeenRequest]:
    """The requests in the rows of `said`, and the connection attempts in some other rows of the fate table."""
    fates, table = localisation.fates, localisation.alignment.conversations
    nothing = {**dict.fromkeys(TEXTS, ""), "status": -1, "grpc_status": -1}
    rows = [*said, *attempts]
    asked, answered = _first_seen(localisation, np.array(rows, dtype=np.int64))
    found = []
    for at, row in enumerate(rows):
        conversation = int(fates["conversation"][row])
        words = said.get(row, nothing)
        found.append(
            SeenRequest(
                row=row,
                conversation=conversation,
                number=int(fates["number"][row]),
                **{name: words[name] for name in TEXTS},
                status=words["status"],
                has_failed=is_failure(int(fates["fate"][row]), words["status"], words["grpc_status"]),
                asked=tuple(asked[at].tolist()),
                answered=tuple(answered[at].tolist()),
                initiators=_seen_codes(table.ends.initiator[conversation]),
                responders=_seen_codes(table.ends.responder[conversation]),
                port=int(table["responder_port"][conversation]),
            )
        )
    return found


def _seen_codes(codes: NDArray[np.int32]) -> frozenset[int]:
    return frozenset(code for code in codes.tolist() if code >= 0)


def _first_seen(localisation: Localisation, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(r, p) when each point first saw the request, and the response, of rows of the fate table; -1 where it did not."""
    fates = localisation.fates
    stream = fates["conversation"][rows].astype(np.int64) * 2
    times = []
    for part, direction, seen in (
        ("request", Direction.FORWARD, fates.request_seen),
        ("response", Direction.REVERSE, fates.response_seen),
    ):
        there = seen[rows] & (fates[f"{part}_end"] > fates[f"{part}_start"])[rows, None]
        found = _first_at_or_behind(localisation, stream + direction, fates[f"{part}_start"][rows])
        times.append(np.where(there, found, -1))
    return times[0], times[1]


def _first_at_or_behind(localisation: Localisation, stream: NDArray[np.int64], offset: NDArray[np.int64]) -> NDArray[np.int64]:
    """(q, p) when each point first saw an octet of a stream at or behind an offset, ns; -1 where it saw none.

    Segments and questions stand in one order, by stream, point and offset; the least time from a question's place to the end of
    its stream and point is the answer.
    """
    table, points = localisation.alignment.transmissions, len(localisation.points)
    segments = np.flatnonzero((table["end"] > table["start"]) & np.isin(table["conversation"], stream // 2))
    count, asked = segments.size, stream.size * points
    times = table["time_ns"][segments]
    by_time = np.argsort(times, kind="stable")
    rank = np.full(count + asked, count, dtype=np.int64)
    rank[by_time] = np.arange(count)
    own = (table["conversation"][segments].astype(np.int64) * 2 + table["direction"][segments]) * points + table["point"][
        segments
    ]
    wanted = (stream[:, None] * points + np.arange(points)).reshape(-1)
    group = np.concatenate([own, wanted])
    value = np.concatenate([table["end"][segments], np.repeat(offset, points)])
    order = np.lexsort((np.arange(count + asked) >= count, value, group))
    key = (group * (count + 1) + rank)[order]
    least = np.minimum.accumulate(key[::-1])[::-1] % (count + 1)
    answer = np.empty(count + asked, dtype=np.int64)
    answer[order] = least
    found = answer[count:]
    ordered = np.append(times[by_time], -1)
    return np.asarray(ordered[found].reshape(stream.size, points))
