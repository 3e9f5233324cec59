"""Tracking agrees with its plain twin in every form, for any packets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.flows import FlowTable, track_flows
from mixcni.schema import Label
from mixcni.tables import Table
from tests.flows.oracle import track
from tests.flows.rows import SYN, Row, as_rows, rows_of, table_of
from tests.flows.strategies import ANY_ROWS, ONE_CONNECTION, plausible_connections
from tests.kernels.forms import FORMS, in_form


def same(table: Table, rows: list[dict[str, int]]) -> None:
    found = as_rows(table)
    assert len(found) == len(rows)
    for number, (twin, row) in enumerate(zip(rows, found, strict=True)):
        differs = {name: (twin[name], row[name]) for name in table.schema if twin[name] != row[name]}
        assert not differs, f"row {number}, twin and table"


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150)
@given(rows=st.one_of(ANY_ROWS, ONE_CONNECTION, plausible_connections()))
def test_every_form_agrees_with_the_twin(form, rows):
    with in_form(form):
        found = track_flows(table_of(rows))
    flows, segments = track(rows)
    same(found, flows)
    same(found.segments, segments)


@given(st.one_of(ONE_CONNECTION, plausible_connections()), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_offsets_are_the_same_for_any_initial_sequence_numbers(rows, forward, reverse):
    def moved(row: Row) -> Row:
        own, other = (forward, reverse) if row.a == 0 else (reverse, forward)
        return row._replace(seq=(row.seq + own) % 2**32, ack=(row.ack + other) % 2**32)

    before, after = track_flows(table_of(rows)), track_flows(table_of([moved(row) for row in rows]))
    # To Wireshark a sequence number of 0 is none; what hangs on its labels may differ.
    labels = {"label", "label_wireshark", "retransmissions", "history", "resent_octets_forward", "resent_octets_reverse"}
    labels |= {name for name in before.schema if name.startswith(tuple(str(label.name).lower() for label in Label))}
    for name in set(before.segments.schema) - labels:
        assert np.array_equal(before.segments[name], after.segments[name]), name
    for name in set(before.schema) - {"iss", "irs"} - labels:
        assert np.array_equal(before[name], after[name]), name


def packet_of(part: FlowTable, kept: list[int], segment: dict[str, int]) -> int:
    """Which packet of the whole a segment of a part is a copy of; -1."""
    return kept[int(part.segments["packet"][segment["copy_of"]])] if segment["copy_of"] >= 0 else -1


@given(ANY_ROWS)
def test_packets_split_by_flow_key_and_tracked_apart_give_the_same_flows(rows):
    """DESIGN.md section 3: a flow is whole in one partition."""
    whole = track_flows(table_of(rows))
    parts: dict[object, list[int]] = {}
    for i, row in enumerate(rows):
        port_a, port_b = (row.a_port, row.b_port) if row.protocol in (6, 17) else (0, 0)
        parts.setdefault((row.protocol, frozenset([(row.a, port_a), (row.b, port_b)])), []).append(i)
    segments, flows = [], []
    for kept in parts.values():
        part = track_flows(table_of([rows[i] for i in kept]))
        base = len(flows)
        flows += [
            flow | {"other_stack": base + flow["other_stack"] if flow["other_stack"] >= 0 else -1} for flow in as_rows(part)
        ]
        segments += [
            segment
            | {"packet": kept[segment["packet"]], "flow": base + segment["flow"], "copy_of": packet_of(part, kept, segment)}
            for segment in as_rows(part.segments)
        ]
    segments.sort(key=lambda segment: segment["packet"])
    row_of = {segment["packet"]: row for row, segment in enumerate(segments)} | {-1: -1}
    place = {flow: number for number, flow in enumerate(dict.fromkeys(segment["flow"] for segment in segments))}
    same(whole.segments, [s | {"flow": place[s["flow"]], "copy_of": row_of[s["copy_of"]]} for s in segments])
    place[-1] = -1
    same(whole, [flows[f] | {"other_stack": place[flows[f]["other_stack"]]} for f in place if f >= 0])


def test_a_packet_table_survives_the_trip_to_rows():
    rows = [Row(0, 40_000, 1, 80, 6, SYN, 7, 0, 0, 100, 3, 5, 63, 2, 7, 1460, 74), Row(0, 9, 1, 8 << 8, 1, 0)]
    assert rows_of(table_of(rows)) == rows
