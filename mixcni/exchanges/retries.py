"""Requests that were tried again: on a new connection after the first attempt failed, or as the same datagram once more."""

from collections import defaultdict, deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.messages import Found
from mixcni.flows import FlowTable
from mixcni.schema import ExchangeKind

RETRY_WINDOW_NS: Final = 30_000_000_000  # from a failed attempt to the next; Envoy and resolvers wait less between attempts
FAILED_STATUSES: Final = (502, 503, 504)  # of a gateway that did not reach the server (RFC 9110 section 15.6)
UNAVAILABLE, SERVFAIL = 14, 2  # gRPC status, DNS RCODE (RFC 1035 section 4.1.1)
CLOSE_NOTIFY: Final = 0  # the one alert that is no error (RFC 8446 section 6)
PATIENCE_NS: Final = 1_000_000_000  # an answer that takes longer may have come after its client gave up
CANDIDATES: Final = 8  # of failed attempts for the same, the newest, that a request may try again
RETRIED: Final = (ExchangeKind.HTTP1, ExchangeKind.HTTP2, ExchangeKind.GRPC, ExchangeKind.DNS, ExchangeKind.TLS_HANDSHAKE)


def link_retries(flows: FlowTable, columns: dict[str, NDArray[Any]], said: list[tuple[int, Found]]) -> list[int]:
    """For each exchange the row of the earlier one that it tries again; -1 where it is a first attempt.

    An exchange is a retry where, within the retry window, the same client asked the same server the same before, by method and
    target, question or server name, on another flow, and that attempt failed: unanswered when this one began, or answered by a
    gateway's error or an alert. Where both carry an `x-request-id` it must be the same one. An answer in between ends them.

    Parameters
    ----------
    columns : of all exchanges; said : (row, exchange), ascending
    """
    links = [-1] * len(said)
    times = flows.packets["time_ns"]
    ends = {name: flows[name] for name in ("initiator", "responder", "responder_port")}
    newest: dict[tuple[Any, ...], deque[int]] = defaultdict(lambda: deque(maxlen=CANDIDATES))
    asked = [i for i, (_, found) in enumerate(said) if found.kind in RETRIED and found.request_packet >= 0]
    for i in sorted(asked, key=lambda one: (int(times[said[one][1].request_packet]), said[one][1].request_packet)):
        row, found = said[i]
        flow = int(columns["flow"][row])
        if found.again >= 0:
            links[i] = row - int(columns["number"][row]) + 1 + found.again  # its flow's exchanges are numbered from 1
            continue
        if not (found.target or (found.kind == ExchangeKind.TLS_HANDSHAKE and found.host)):
            continue
        key = (*(int(column[flow]) for column in ends.values()), found.kind, found.method, found.target, found.host)
        began = int(times[found.request_packet])
        for j in reversed(newest[key]):
            earlier_row, earlier = said[j]
            if began - int(times[earlier.request_packet]) > RETRY_WINDOW_NS:
                break
            if int(columns["flow"][earlier_row]) != flow and _failed(earlier, times, began) and _same_request(earlier, found):
                links[i] = earlier_row
                break
        if _failed(found, times, began + PATIENCE_NS):
            newest[key].append(i)
        else:  # what is asked after an answer is asked anew
            others = [j for j in newest[key] if not _same_request(said[j][1], found)]
            newest[key] = deque(others, maxlen=CANDIDATES)
    return links


def _failed(attempt: Found, times: NDArray[np.int64], by_ns: int) -> bool:
    """Whether an attempt had failed when the next one began."""
    if attempt.is_missed:
        return False
    if attempt.response_packet < 0 or int(times[attempt.response_packet]) > by_ns:
        return True
    if attempt.kind == ExchangeKind.DNS:
        return attempt.status == SERVFAIL
    if attempt.kind == ExchangeKind.TLS_HANDSHAKE:
        return attempt.status > CLOSE_NOTIFY
    return attempt.status in FAILED_STATUSES or attempt.grpc_status == UNAVAILABLE


def _same_request(one: Found, other: Found) -> bool:
    return not (one.request_id and other.request_id) or one.request_id == other.request_id
