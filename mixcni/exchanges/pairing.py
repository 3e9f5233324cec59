"""FlowTable -> ExchangeTable: messages where a flow's protocol is known, turns of direction where not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import can_read_again
from mixcni.exchanges.messages import Found, Reading
from mixcni.exchanges.reading import Records, choose_segments, count_left, read_flows
from mixcni.exchanges.recognise import Protocol, recognise
from mixcni.exchanges.retries import link_retries
from mixcni.exchanges.tables import TEXTS, DetailTable, ExchangeTable
from mixcni.exchanges.tls import tell_turn
from mixcni.exchanges.turns import pair_turns
from mixcni.flows import FlowTable
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
    http = np.zeros((len(flows), 2), dtype=np.int64)
    protocol = recognise(flows)
    readings: dict[int, Reading] = {}
    records: dict[int, Records] = {}
    if (protocol != Protocol.OTHER).any():
        chosen = choose_segments(flows, protocol)
        for flow, found in read_flows(flows, protocol, chosen):
            if isinstance(found, tuple):
                records[flow] = found
                continue
            http[flow] = found.requests, found.responses
            if found.exchanges:
                readings[flow] = found
                since[flow] = found.beyond or (NEVER, NEVER)
        http += count_left(flows, protocol, chosen.left)
    turns = pair_turns(flows, since)
    messages = _with_turns_behind(turns, readings)
    told = _tell_records(turns, records)
    return _table(flows, turns, messages, told, http)


def _with_turns_behind(turns: Columns, readings: dict[int, Reading]) -> list[tuple[int, int, Found]]:
    """(flow, number, exchange) of every message, numbered from 1; turns behind them are numbered on."""
    messages: list[tuple[int, int, Found]] = []
    for flow in sorted(readings):
        exchanges = readings[flow].exchanges
        messages.extend((flow, number, found) for number, found in enumerate(exchanges, 1))
        first, last = np.searchsorted(turns["flow"], [flow, flow + 1])
        turns["number"][first:last] += np.where(turns["kind"][first:last] == ExchangeKind.TURN, len(exchanges), 0).astype(
            np.int32
        )
    return messages


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
    flows: FlowTable,
    turns: Columns,
    messages: list[tuple[int, int, Found]],
    told: list[tuple[int, Found]],
    http: NDArray[np.int64],
) -> ExchangeTable:
    """Turns and messages in one table, with what both say."""
    rows = {
        "flow": [flow for flow, _, _ in messages],
        "number": [number for _, number, _ in messages],
        "kind": [found.kind for *_, found in messages],
        "request_start": [found.request[0] for *_, found in messages],
        "request_end": [found.request[1] for *_, found in messages],
        "response_start": [found.response[0] for *_, found in messages],
        "response_end": [found.response[1] for *_, found in messages],
        "request_packet": [found.request_packet for *_, found in messages],
        "response_packet": [found.response_packet for *_, found in messages],
    }
    columns = {
        name: np.concatenate([turns[name], np.array(rows[name], dtype=column.dtype)]) for name, column in EXCHANGES.items()
    }
    order = np.lexsort((columns["number"], columns["flow"]))
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    behind = turns["flow"].size
    said = [(int(place[row]), found) for row, found in told]
    said += [(int(place[behind + i]), found) for i, (*_, found) in enumerate(messages)]
    said.sort(key=lambda one: one[0])
    sorted_columns = {name: array[order] for name, array in columns.items()}
    return ExchangeTable(sorted_columns, _details(flows, sorted_columns, said), http)


def _details(flows: FlowTable, columns: Columns, said: list[tuple[int, Found]]) -> DetailTable:
    codes: dict[str, int] = {"": 0}
    values: dict[str, list[int]] = {name: [] for name in DETAILS}
    retries = link_retries(flows, columns, said)
    for (row, found), retry in zip(said, retries, strict=True):
        values["exchange"].append(row)
        values["retry_of"].append(retry)
        for name in TEXTS:
            values[name].append(codes.setdefault(getattr(found, name), len(codes)))
        for name in ("status", "grpc_status", "interim", "identifier"):
            values[name].append(getattr(found, name))
    return DetailTable({name: np.array(values[name], dtype=column.dtype) for name, column in DETAILS.items()}, tuple(codes))
