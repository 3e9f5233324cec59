"""`hubble status`: text and JSON say the same, several in one file are kept apart, and other lines are shown."""

import json

import pytest

from mixcni.cluster.events.hubblestatus import HubbleStatus
from tests.cluster.dumps import state_of

TEXT = """\
Healthcheck (via unix:///var/run/cilium/hubble.sock): Ok
Current/Max Flows: 4,095/4,095 (100.00%)
Flows/s: 14.85
Connected Nodes: 2/3
"""
JSON = {"num_flows": "4095", "max_flows": "4095", "flows_rate": 14.85, "num_connected_nodes": 2, "num_unavailable_nodes": 1}


def statuses(text: str) -> tuple[HubbleStatus, ...]:
    return state_of(text).of_type(HubbleStatus)


def test_text_and_json_say_the_same() -> None:
    (text,), (from_json,) = statuses(TEXT), statuses(json.dumps(JSON))
    counts = [
        (one.current_flows, one.max_flows, one.flows_per_second, one.connected_nodes, one.total_nodes)
        for one in (text, from_json)
    ]
    assert counts == [(4095, 4095, 14.85, 2, 3)] * 2
    assert (text.healthy, from_json.healthy) == (True, None)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("Healthcheck (via localhost:4245): Unavailable", "healthy", False),
        ("Flows/s: N/A", "flows_per_second", None),
        ("Current/Max Flows: 12/4096 (0.29%)", "current_flows", 12),
    ],
)
def test_a_line_says_its_field(line: str, field: str, value: object) -> None:
    (status,) = statuses(f"Healthcheck (via x): Ok\n{line}\n" if "Health" not in line else f"{line}\n")
    assert getattr(status, field) == value


def test_each_of_several_begins_with_its_first_line() -> None:
    assert [(one.line, one.connected_nodes) for one in statuses(TEXT + TEXT.replace("2/3", "3/3"))] == [(1, 2), (5, 3)]


def test_a_line_of_something_else_is_shown() -> None:
    state = state_of(TEXT + "Max Flows: many\n")
    assert [line for dump in state.dumps for line in dump.unparsed_lines] == [5]
