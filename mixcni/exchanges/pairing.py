"""FlowTable -> ExchangeTable: messages where a flow's protocol is known, turns of direction where not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import can_read_again
from mixcni.exchanges.columns import Codes, Messages
from mixcni.exchanges.kernel import ODD
from mixcni.exchanges.messages import Found
from mixcni.exchanges.reading import Records, choose_segments, count_left, read_flows
from mixcni.exchanges.recognise import recognise
from mixcni.exchanges.retries import link_retries
from mixcni.exchanges.tables import DetailTable, ExchangeTable
from mixcni.exchanges.tls import tell_turn
from mixcni.exchanges.turns import pair_turns
from mixcni.exchanges.whole import read_whole
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import in_order
from mixcni.schema import DETAILS, EXCHANGES, ExchangeKind

NEVER = np.iinfo(np.int64).max
Columns = dict[str, NDArray[Any]]


def pair_exchanges(flows: FlowTable) -> ExchangeTable:
    """The exchanges of every flow: exchange 0 is the handshake, the others are messages of its protocol, or turns of data.

    Messages are read from the captures, a second time, of those flows alone that begin like a protocol known here. Where that
    cannot be done, as from standard input, all exchanges are turns.

    Parameters
    ----------
    flows : FlowTable of one capture point

    Raises
    ------
    CaptureError : a capture cannot be read again, or has changed
    """
    since = np.zeros((len(flows), 2), dtype=np.int64)
    if not can_read_again(flows.packets):
        return ExchangeTable(pair_turns(flows, since))
    protocol = recognise(flows)
    codes: Codes = {"": 0}
    chosen = choose_segments(flows, protocol)
    whole = read_whole(flows, protocol, chosen, codes)
    is_read = whole.counts[:, 0] != ODD
    http = np.where(is_read[:, None], whole.counts, count_left(flows, protocol, chosen.left))
    since[is_read] = NEVER
    found: list[tuple[int, int, Found]] = []
    records: dict[int, Records] = {}
    for flow, reading in read_flows(flows, protocol, chosen.without(flows, is_read)):
        if isinstance(reading, tuple):
            records[flow] = reading
            continue
        http[flow] += reading.requests, reading.responses
        found.extend((flow, number, one) for number, one in enumerate(reading.exchanges, 1))
        if reading.exchanges:
            since[flow] = reading.beyond or (NEVER, NEVER)
    messages = Messages.joined([*whole.messages, Messages.of(found, codes)])
    turns = pair_turns(flows, since)
    behind = turns["kind"] == ExchangeKind.TURN  # the messages
    turns["number"] += np.where(behind, np.bincount(messages.flow, minlength=len(flows))[turns["flow"]], 0).astype(np.int32)
    told = _tell_records(turns, records)
    return _table(flows, turns, messages, told, codes, http)


def _tell_records(turns: Columns, records: dict[int, Records]) -> list[tuple[int, Found]]:
    """(row of `turns`, what its TLS records say); kinds are entered."""
    told = []
    for flow in sorted(records):
        first, last = np.searchsorted(turns["flow"], [flow, flow + 1])
        if not any(records[flow]):
            continue
        for row in range(int(first), int(last)):
            if turns["kind"][row] != ExchangeKind.TURN:
                continue
            spans = [tuple(int(turns[f"{side}_{bound}"][row]) for bound in ("start", "end")) for side in ("request", "response")]
            found = Found(ExchangeKind.TLS_RECORDS, (spans[0][0], spans[0][1]), (spans[1][0], spans[1][1]))
            found.request_packet, found.response_packet = (int(turns[f"{side}_packet"][row]) for side in ("request", "response"))
            tell_turn(found, *records[flow])
            turns["kind"][row] = found.kind
            if found.kind == ExchangeKind.TLS_HANDSHAKE:
                told.append((row, found))
    return told


def _table(
    flows: FlowTable, turns: Columns, messages: Messages, told: list[tuple[int, Found]], codes: Codes, http: NDArray[np.int64]
) -> ExchangeTable:
    """Turns and messages in one table, with what both say; `told` are rows of `turns`, and what those say."""
    columns = {
        name: np.concatenate([turns[name], getattr(messages, name).astype(column.dtype)]) for name, column in EXCHANGES.items()
    }
    order = in_order(columns["flow"], columns["number"])
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    ordered = {name: array[order] for name, array in columns.items()}
    rows = np.array([row for row, _ in told], dtype=np.int64)
    said = Messages.joined([Messages.of([(0, 0, found) for _, found in told], codes), messages])
    exchange = place[np.append(rows, turns["flow"].size + np.arange(messages.flow.size))]
    by_place = np.argsort(exchange)
    exchange, said = exchange[by_place], said.part(by_place)._replace(flow=ordered["flow"][exchange[by_place]])
    details = said._asdict() | {"exchange": exchange, "retry_of": link_retries(flows, said, exchange)}
    typed = {name: details[name].astype(column.dtype) for name, column in DETAILS.items()}
    return ExchangeTable(ordered, DetailTable(typed, tuple(codes)), http)
