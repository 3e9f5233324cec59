"""Requests that were tried again: on a new connection after the first attempt failed, or as the same datagram once more."""

from collections import defaultdict, deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.columns import Messages
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import in_order, numbered
from mixcni.schema import ExchangeKind

RETRY_WINDOW_NS: Final = 30_000_000_000  # from a failed attempt to the next; Envoy and resolvers wait less between attempts
FAILED_STATUSES: Final = (502, 503, 504)  # of a gateway that did not reach the server (RFC 9110 section 15.6)
UNAVAILABLE, SERVFAIL = 14, 2  # gRPC status, DNS RCODE (RFC 1035 section 4.1.1)
CLOSE_NOTIFY: Final = 0  # the one alert that is no error (RFC 8446 section 6)
PATIENCE_NS: Final = 1_000_000_000  # an answer that takes longer may have come after its client gave up
NEVER: Final = np.iinfo(np.int64).max
CANDIDATES: Final = 8  # of failed attempts for the same, the newest, that a request may try again
RETRIED: Final = (ExchangeKind.HTTP1, ExchangeKind.HTTP2, ExchangeKind.GRPC, ExchangeKind.DNS, ExchangeKind.TLS_HANDSHAKE)


def link_retries(flows: FlowTable, said: Messages, exchange: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) for each exchange the row of the earlier one that it tries again; -1 where it is a first attempt.

    An exchange is a retry where, within the retry window, the same client asked the same server the same before, by method and
    target, question or server name, on another flow, and that attempt failed: unanswered when this one began, or answered by a
    gateway's error or an alert. Where both carry an `x-request-id` it must be the same one. An answer in between ends them.

    Parameters
    ----------
    said : of exchanges whose protocol is known; exchange : (n,) their rows in the exchange table
    """
    links = np.full(exchange.size, -1, dtype=np.int64)
    times = flows.packets["time_ns"]
    asked = np.isin(said.kind, RETRIED) & (said.request_packet >= 0)
    again = asked & (said.again >= 0)
    links[again] = exchange[again] - said.number[again] + 1 + said.again[again]  # its flow's exchanges are numbered from 1
    named = (said.target > 0) | ((said.kind == ExchangeKind.TLS_HANDSHAKE) & (said.host > 0))
    rows = np.flatnonzero(asked & ~again & named)
    rows = rows[in_order(times[said.request_packet[rows]], said.request_packet[rows])]
    ends = (flows[name][said.flow[rows]] for name in ("initiator", "responder", "responder_port"))
    same = numbered(*ends, *(getattr(said, name)[rows] for name in ("kind", "method", "target", "host")))
    attempts = _Attempts(said.part(rows), times)
    failed = attempts.failed_by(attempts.began + PATIENCE_NS)
    tried = np.flatnonzero((np.bincount(same[failed], minlength=int(same.max(initial=-1)) + 1) > 0)[same])
    newest: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=CANDIDATES))
    for i in tried.tolist():
        candidates = newest[int(same[i])]
        for j in reversed(candidates):
            if attempts.began[i] - attempts.began[j] > RETRY_WINDOW_NS:
                break
            if attempts.may_be_tried_by(j, i):
                links[rows[i]] = exchange[rows[j]]
                break
        if failed[i]:
            candidates.append(i)
        else:  # what is asked after an answer is asked anew
            newest[int(same[i])] = deque((j for j in candidates if not attempts.are_one(j, i)), maxlen=CANDIDATES)
    return links


class _Attempts:
    """Requests in the order of their times: `began`, (n,) ns, and whether and when each failed."""

    def __init__(self, said: Messages, times: NDArray[np.int64]) -> None:
        self.began = times[said.request_packet]
        self._said = said
        self._answered_ns = np.where(said.response_packet < 0, NEVER, times[said.response_packet])
        by_gateway = np.isin(said.status, FAILED_STATUSES) | (said.grpc_status == UNAVAILABLE)
        is_dns, is_tls = said.kind == ExchangeKind.DNS, said.kind == ExchangeKind.TLS_HANDSHAKE
        self._is_error = np.where(is_dns, said.status == SERVFAIL, np.where(is_tls, said.status > CLOSE_NOTIFY, by_gateway))

    def failed_by(self, time_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each had failed at a time: it had no answer yet, or one that says so."""
        return np.asarray((self._said.is_missed == 0) & ((self._answered_ns > time_ns) | self._is_error))

    def may_be_tried_by(self, earlier: int, later: int) -> bool:
        """Whether one of another flow had failed when a later one for the same began, and nothing tells the two apart."""
        unanswered = self._answered_ns[earlier] > self.began[later]
        failed = not self._said.is_missed[earlier] and (unanswered or self._is_error[earlier])
        return bool(failed and self._said.flow[earlier] != self._said.flow[later] and self.are_one(earlier, later))

    def are_one(self, one: int, other: int) -> bool:
        """Whether no `x-request-id` tells two requests apart."""
        identifiers = self._said.request_id
        return bool(not identifiers[one] or not identifiers[other] or identifiers[one] == identifiers[other])
