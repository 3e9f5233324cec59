"""Requests on both sides of a proxy, for the report's rows and words: told with a confidence, and no hop is blamed by them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from mixcni.localise import Localisation, ProxiedTable
from mixcni.localise.nesting import COMMON
from mixcni.localise.proxied import UNTIMED
from mixcni.localise.requests import HTTP, is_failure
from mixcni.report.messages import message_of
from mixcni.report.words import fate_text, outcome_text, point_at, request_text
from mixcni.schema import Fate, ProxyLink
from mixcni.words import plural

LINKS: Final = {
    ProxyLink.REQUEST_ID: "x-request-id",
    ProxyLink.TRACE: "traceparent",
    ProxyLink.NESTING: "nesting",
    ProxyLink.ATTEMPT: "attempt",
}
"""By what two requests are linked, as the tables have it."""
HOW: Final = {
    ProxyLink.REQUEST_ID: "by x-request-id",
    ProxyLink.TRACE: "by traceparent",
    ProxyLink.NESTING: "by nesting alone",
    ProxyLink.ATTEMPT: "since no other waited there then and failed",
}
SHOWN: Final = 3  # of failures, those that most requests have in common


def proxied_rows(localisation: Localisation, table: ProxiedTable, *, failed_only: bool = False) -> list[dict[str, Any]]:
    """One row a pair: the downstream request, the upstream one, by what they are linked and how far apart they are.

    Parameters
    ----------
    failed_only : pairs of which one failed, or between which nothing decides
    """
    rows = []
    for at in range(len(table)):
        sides = {name: _side(localisation, int(table[name][at])) for name in ("downstream", "upstream")}
        if failed_only and not table["rivals"][at] and not any(_has_failed(localisation, int(table[name][at])) for name in sides):
            continue
        clock = int(table["clock"][at])
        apart = {name: int(table[name][at]) for name in ("request_apart_ns", "response_apart_ns")}
        rows.append(
            {
                **sides,
                "linked_by": LINKS[ProxyLink(int(table["linked_by"][at]))],
                "rivals": int(table["rivals"][at]),
                "confidence": round(float(table["confidence"][at]), 6),
                "clock": point_at(localisation, clock) or ("common" if clock == COMMON else None),
                **{name: None if value == UNTIMED else value for name, value in apart.items()},
            }
        )
    return rows


def _side(localisation: Localisation, row: int) -> dict[str, Any]:
    fates = localisation.fates
    return {
        "conversation": int(fates["conversation"][row]),
        "number": int(fates["number"][row]),
        "request": request_text(localisation, row),
        "status": (message_of(localisation, row) or {}).get("status"),
        "fate": fate_text(fates["fate"][row]),
    }


def _has_failed(localisation: Localisation, row: int) -> bool:
    message = message_of(localisation, row) or {}
    return is_failure(int(localisation.fates["fate"][row]), message.get("status"), message.get("grpc_status"))


def proxied_sentences(localisation: Localisation, table: ProxiedTable) -> Iterator[str]:
    """What became upstream of requests that failed at a proxy, those first that most have in common; what is not decided."""
    if not len(table):
        return
    linked = table["rivals"] == 0
    attempts: dict[int, list[int]] = defaultdict(list)
    for at in np.flatnonzero(linked).tolist():
        attempts[int(table["downstream"][at])].append(at)
    groups: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row, mine in attempts.items():
        if _has_failed(localisation, row):
            last = max(mine, key=lambda at: (int(table["request_apart_ns"][at]), at))
            by = ProxyLink(int(table["linked_by"][last]))
            where = f"{_became(localisation, int(table['upstream'][last]))} (linked {HOW[by]}"
            groups[_answer(localisation, row), where].append((row, last))
    for (answer, where), members in sorted(groups.items(), key=lambda group: -len(group[1]))[:SHOWN]:
        row, at = members[0]
        confidence = min(float(table["confidence"][last]) for _, last in members)
        yield (
            f"at a proxy: {_named(localisation, [row for row, _ in members])} {answer}; upstream, "
            f"{_sent(localisation, int(table['upstream'][at]))} {where}, confidence {confidence:.2f}: no hop is blamed by it)"
        )
    unsent = _unsent(localisation, table)
    if unsent:
        yield f"at a proxy: {_named(localisation, unsent)} failed, and no capture has a request that the proxy sent for it"
    rivals = np.unique(table["upstream"][~linked]).size
    if rivals:
        yield f"at a proxy: {plural(rivals, 'upstream request')} may belong to one request or another: none is chosen"


def _named(localisation: Localisation, rows: list[int]) -> str:
    first = f"{request_text(localisation, rows[0])} (conversation {int(localisation.fates['conversation'][rows[0]])})"
    return first if len(rows) == 1 else f"{first} and {len(rows) - 1:,} more"


def _answer(localisation: Localisation, row: int) -> str:
    message = message_of(localisation, row) or {}
    if localisation.fates["fate"][row] != Fate.ANSWERED:
        return f"got no response ({outcome_text(localisation, row)})"
    grpc = f", grpc-status {message['grpc_status']}" if message.get("grpc_status") else ""
    return f"was answered {message.get('status')}{grpc}"


def _became(localisation: Localisation, row: int) -> str:
    status = (message_of(localisation, row) or {}).get("status")
    if localisation.fates["fate"][row] != Fate.ANSWERED:
        return f"was {outcome_text(localisation, row)}"
    return "was answered" if status is None else f"was answered {status}"


def _sent(localisation: Localisation, row: int) -> str:
    """An upstream request with the one that it went to."""
    table, conversation = localisation.alignment.conversations, int(localisation.fates["conversation"][row])
    responder = table.book.text(int(table["responder"][conversation]))
    port = int(table["responder_port"][conversation])
    return f"{request_text(localisation, row)} to {responder} port {port} (conversation {conversation})"


def _unsent(localisation: Localisation, table: ProxiedTable) -> list[int]:
    """Requests to what is known for a proxy by others that it passed on, which failed without anything being seen upstream."""
    fates, ends = localisation.fates, localisation.alignment.conversations.ends
    paired = np.concatenate([table["downstream"], table["upstream"]])
    passed_on = table["downstream"][table["rivals"] == 0]
    codes = np.unique(ends.responder[fates["conversation"][passed_on]])
    at_proxy = np.array(np.isin(ends.responder, codes[codes >= 0]).any(axis=1), dtype=np.bool_)
    decided = np.isin(fates["kind"], HTTP) & (fates["fate"] != Fate.UNDECIDED)
    rows = np.flatnonzero(decided & at_proxy[fates["conversation"]])
    return [row for row in rows[~np.isin(rows, paired)].tolist() if _has_failed(localisation, row)]
