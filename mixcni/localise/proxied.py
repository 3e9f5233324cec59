"""Across a proxy that ends TCP, such as Envoy: which request it sent upstream for which that it took downstream.

The two are conversations of their own, with nothing in common below HTTP. What links their requests, the surest first:

- `x-request-id`, which Envoy passes on, with the same method, and the same target but for a prefix;
- the trace of `traceparent` (W3C Trace Context), with the same method and target;
- nesting: same method, target and host, sent by whom the other was sent to, begun and answered while that was under way. It has
  to be the only such pair either way; requests that were tried again one after the other count once;
- nothing was sent at all: a connection that the proxy could not make while one request was waiting there, and failed.

An id that services hand on in requests of their own is no proof of passing on: so method and target are held against it, and of
several that enclose a request it belongs to the innermost. Where two fit as well as each other none is chosen; they are listed.
By ids a link is told without a common clock: by addresses, and by how long each took. The confidence is chosen by kind, not
measured, and low: a link is told, and no hop is blamed by it.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.localisation import Localisation
from mixcni.localise.nesting import NONE, Clocks, Nested, lasted_longer
from mixcni.localise.requests import SeenRequest, said_of, same_request, seen_requests, trace_id_of
from mixcni.schema import PROXIED, ExchangeKind, Fate, ProxyLink
from mixcni.tables import Table

CONFIDENCE: Final = {ProxyLink.REQUEST_ID: 0.9, ProxyLink.TRACE: 0.8, ProxyLink.NESTING: 0.5, ProxyLink.ATTEMPT: 0.4}
DOUBT: Final = 0.8  # of that, where the addresses do not say that the one who sent it is who took the other
MOST_OF_ONE_ID: Final = 64  # requests: what more of them carry tells them apart no longer
MOST_RIVALS: Final = 8  # pairs of one request that are listed where none is chosen

UNTIMED: Final = int(np.iinfo(np.int64).min)

Keys = Callable[[SeenRequest], list[Hashable]]


class ProxiedTable(Table):
    """Pairs of requests with a proxy between them: those that are linked, and those between which nothing decides."""

    schema = PROXIED


class Pair(NamedTuple):
    """One row of the table; `nested` is None where no clock is common to both."""

    downstream: SeenRequest
    upstream: SeenRequest
    by: ProxyLink
    nested: Nested | None
    rivals: int = 0

    @property
    def confidence(self) -> float:
        """By what it is linked, and whether the addresses agree; divided among rivals."""
        agree = bool(self.downstream.responders & self.upstream.initiators)
        return CONFIDENCE[self.by] * (1.0 if agree else DOUBT) / (1 + self.rivals)


def link_proxied(localisation: Localisation) -> ProxiedTable:
    """The requests that a proxy took and those that it sent for them, in the order of the former."""
    said = said_of(localisation)
    proxies, attempts = _proxies(localisation, list(said))
    telling = _telling(localisation, said, proxies)
    if not telling:
        return ProxiedTable.empty()
    requests = seen_requests(localisation, {row: said[row] for row in telling}, attempts)
    linker = _Linker(Clocks(localisation.alignment.clocks), [one for one in requests if not one.is_attempt])
    linker.by_id(ProxyLink.REQUEST_ID, lambda one: [one.request_id] if one.request_id else [])
    linker.by_id(ProxyLink.TRACE, lambda one: [(one.traceparent, one.path)] if one.trace_id else [])
    linker.by_id(ProxyLink.TRACE, lambda one: [(one.trace_id, one.path)] if one.trace_id else [])
    linker.by_nesting(proxies)
    linker.by_attempt(proxies, [one for one in requests if one.is_attempt])
    return _table(linker.pairs())


def _proxies(localisation: Localisation, rows: Sequence[int]) -> tuple[frozenset[int], list[int]]:
    """Address codes that take HTTP requests and begin connections, and rows of the latter that led to nothing."""
    fates, table = localisation.fates, localisation.alignment.conversations
    taking = np.unique(fates["conversation"][np.array(rows, dtype=np.int64)])
    codes = np.intersect1d(table.ends.responder[taking], table.ends.initiator)
    book = table.book
    proxies = frozenset(code for code in codes.tolist() if code >= 0 and not book.address(code).is_loopback)
    from_proxy = _has_any(table.ends.initiator, proxies)
    failed = (fates["kind"] == ExchangeKind.HANDSHAKE) & (fates["fate"] != Fate.ANSWERED) & from_proxy[fates["conversation"]]
    return proxies, np.flatnonzero(failed).tolist()


def _has_any(codes: NDArray[np.int32], wanted: frozenset[int]) -> NDArray[np.bool_]:
    """(c,) whether any point saw a conversation's end, (c, p), at one of some addresses."""
    return np.array(np.isin(codes, list(wanted)).any(axis=1), dtype=np.bool_)


def _telling(localisation: Localisation, said: dict[int, dict[str, Any]], proxies: frozenset[int]) -> list[int]:
    """The rows of requests that something may link: an address of a proxy, or an id that another conversation has too."""
    fates, ends = localisation.fates, localisation.alignment.conversations.ends
    near = _has_any(ends.initiator, proxies) | _has_any(ends.responder, proxies)
    conversation = fates["conversation"].tolist()
    carried: dict[tuple[str, str], set[int]] = defaultdict(set)
    ids: dict[int, list[tuple[str, str]]] = {}
    for row, words in said.items():
        named = ("id", words["request_id"]), ("trace", trace_id_of(words["traceparent"]))
        ids[row] = [one for one in named if one[1]]
        for one in ids[row]:
            carried[one].add(conversation[row])
    return [row for row in said if near[conversation[row]] or any(len(carried[one]) > 1 for one in ids[row])]


class _Linker:
    """Pairs requests kind by kind, the surest first; a request that is linked as upstream is not linked so again."""

    def __init__(self, clocks: Clocks, requests: Sequence[SeenRequest]) -> None:
        self._clocks, self._requests = clocks, requests
        self._linked: dict[int, Pair] = {}
        self._open: dict[int, list[Pair]] = {}

    def pairs(self) -> list[Pair]:
        """All that was found, in the order of rows."""
        found = [*self._linked.values(), *(pair for rivals in self._open.values() for pair in rivals)]
        return sorted(found, key=lambda pair: (pair.downstream.row, pair.upstream.row))

    def by_id(self, by: ProxyLink, keys: Keys) -> None:
        """Link what carries the same id: to the innermost of those that enclose it."""
        for _, group in _grouped(self._requests, keys):
            if not 1 < len(group) <= MOST_OF_ONE_ID:
                continue
            around = {one.row: self._around(one, group) for one in group if one.row not in self._linked}
            for one in group:
                if one.row in around:
                    self._settle(one, self._innermost(one, around[one.row]), by)

    def _around(self, one: SeenRequest, group: Sequence[SeenRequest]) -> list[tuple[SeenRequest, bool | None]]:
        """Those of a group that may enclose one: whether they do, None where nothing tells which is within which."""
        found: list[tuple[SeenRequest, bool | None]] = []
        for other in group:
            if _may_be_passed_on(other, one):
                encloses = self._encloses(other, one)
                if encloses is not False:
                    found.append((other, encloses))
        return found

    def _encloses(self, outer: SeenRequest, inner: SeenRequest) -> bool | None:
        onwards, back = bool(outer.responders & inner.initiators), bool(inner.responders & outer.initiators)
        if back and not onwards:
            return False
        nested = self._clocks.nested(outer, inner)
        if nested is not None:
            return nested.holds
        longer = lasted_longer(outer, inner)
        return False if longer is False else True if onwards and not back else longer

    def _innermost(self, one: SeenRequest, around: Sequence[tuple[SeenRequest, bool | None]]) -> list[SeenRequest]:
        """Of those that enclose a request the one within all others; several where that is not one.

        What was sent to who sent the request goes before the rest, and what the same host sent, maybe another try, behind it.
        """
        sure = [other for other, encloses in around if encloses]
        if not sure:
            return [other for other, _ in around if other.row < one.row]  # or the other way round: a pair is listed once
        onwards = [other for other in sure if other.responders & one.initiators]
        sure = onwards or [other for other in sure if not other.initiators & one.initiators] or sure
        return [
            other
            for other in sure
            if not any(_may_be_passed_on(other, each) and self._encloses(other, each) for each in sure if each is not other)
        ]

    def _settle(self, one: SeenRequest, around: Sequence[SeenRequest], by: ProxyLink) -> None:
        """Link a request to the only one that it may belong to, or list those between which nothing decides."""
        undecided = len(around) == 1 and self._encloses(around[0], one) is None
        rivals = len(around) - 1 + undecided
        pairs = [Pair(other, one, by, self._clocks.nested(other, one), rivals) for other in around[:MOST_RIVALS]]
        if len(pairs) == 1 and not rivals:
            self._linked[one.row] = pairs[0]
            self._open.pop(one.row, None)
        elif pairs and one.row not in self._open:
            self._open[one.row] = pairs

    def by_nesting(self, proxies: frozenset[int]) -> None:
        """Link what a proxy sent while it had a request of the same method, target and host, and no other."""

        def keys(codes: frozenset[int], one: SeenRequest) -> list[Hashable]:
            named = one.method and one.path and one.host
            return [(code, one.method, one.path, one.host) for code in sorted(codes & proxies)] if named else []

        candidates: dict[int, dict[int, Pair]] = defaultdict(dict)
        asked = dict(_grouped(self._requests, lambda one: keys(one.responders, one)))
        sent = [one for one in self._requests if one.row not in self._linked]
        for key, ones in _grouped(sent, lambda one: keys(one.initiators, one)):
            for one, around in self._clocks.pairs(asked.get(key, ()), ones, MOST_RIVALS + 1):
                for other in around:
                    if _may_be_passed_on(other, one) and _may_be_answer(other, one):
                        candidates[one.row][other.row] = Pair(other, one, ProxyLink.NESTING, self._clocks.nested(other, one))
        self._choose(candidates, _are_attempts)

    def by_attempt(self, proxies: frozenset[int], attempts: Sequence[SeenRequest]) -> None:
        """Link a connection that a proxy could not make to the only request that failed and waited there then."""
        served = {pair.downstream.row for pair in self.pairs()}
        failed = [one for one in self._requests if one.has_failed and one.row not in served]
        candidates: dict[int, dict[int, Pair]] = defaultdict(dict)
        asked = dict(_grouped(failed, lambda one: [*sorted(one.responders & proxies)]))
        for key, ones in _grouped(attempts, lambda one: [*sorted(one.initiators & proxies)]):
            for one, around in self._clocks.pairs(asked.get(key, ()), ones, MOST_RIVALS + 1):
                for other in around:
                    candidates[one.row][other.row] = Pair(other, one, ProxyLink.ATTEMPT, self._clocks.nested(other, one))
        self._choose(candidates, lambda _: True)

    def _choose(self, candidates: dict[int, dict[int, Pair]], may_share: Callable[[list[SeenRequest]], bool]) -> None:
        """Link pairs that are the only ones either way, or of which several may share the request downstream."""
        shared: dict[int, list[Pair]] = defaultdict(list)
        for row, pairs in candidates.items():
            if len(pairs) == 1:
                (pair,) = pairs.values()
                shared[pair.downstream.row].append(pair)
            else:
                self._open.setdefault(row, [pair._replace(rivals=len(pairs) - 1) for pair in pairs.values()][:MOST_RIVALS])
        for pairs_of_one in shared.values():
            alone = may_share([pair.upstream for pair in pairs_of_one])
            for pair in pairs_of_one:
                if alone:
                    self._linked[pair.upstream.row] = pair
                    self._open.pop(pair.upstream.row, None)
                else:
                    self._open.setdefault(pair.upstream.row, [pair._replace(rivals=len(pairs_of_one) - 1)])


def _may_be_passed_on(outer: SeenRequest, inner: SeenRequest) -> bool:
    """Whether a proxy may have made `inner` of `outer`, whatever the time: not the client's own second try of the same."""
    if outer.conversation == inner.conversation or outer.method != inner.method or not outer.method:
        return False
    if not same_request(outer.path, inner.path):
        return False
    same_ends = outer.initiators & inner.initiators and outer.responders & inner.responders and outer.port == inner.port
    side_by_side = any(a >= 0 and b >= 0 for a, b in zip(outer.asked, inner.asked, strict=True))
    return not (same_ends and side_by_side)


def _may_be_answer(outer: SeenRequest, inner: SeenRequest) -> bool:
    """Whether the ids and the statuses of two requests without a common id may be those of one that was passed on."""
    for one, other in ((outer.request_id, inner.request_id), (outer.trace_id, inner.trace_id)):
        if one and other and one != other:
            return False
    return inner.has_failed or -1 in (outer.status, inner.status) or outer.status == inner.status


def _are_attempts(ones: list[SeenRequest]) -> bool:
    """Whether all but the last failed, so that each may have been tried again by the next."""
    ordered = sorted(ones, key=lambda one: max(one.asked))
    return all(one.has_failed for one in ordered[:-1])


def _grouped(requests: Iterable[SeenRequest], keys: Keys) -> Iterator[tuple[Hashable, list[SeenRequest]]]:
    """Requests by each of their keys."""
    found: dict[Hashable, list[SeenRequest]] = defaultdict(list)
    for one in requests:
        for key in keys(one):
            found[key].append(one)
    yield from found.items()


def _response_ns(nested: Nested | None) -> int:
    return UNTIMED if nested is None or nested.response_ns is None else nested.response_ns


def _table(pairs: Sequence[Pair]) -> ProxiedTable:
    columns = {
        "downstream": [pair.downstream.row for pair in pairs],
        "upstream": [pair.upstream.row for pair in pairs],
        "linked_by": [int(pair.by) for pair in pairs],
        "rivals": [pair.rivals for pair in pairs],
        "confidence": [pair.confidence for pair in pairs],
        "clock": [pair.nested.clock if pair.nested else NONE for pair in pairs],
        "request_apart_ns": [pair.nested.request_ns if pair.nested else UNTIMED for pair in pairs],
        "response_apart_ns": [_response_ns(pair.nested) for pair in pairs],
    }
    return ProxiedTable({name: np.array(values, dtype=PROXIED[name].dtype) for name, values in columns.items()})
