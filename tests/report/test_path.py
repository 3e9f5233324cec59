"""The path as a graph has what the tables of points and hops have, and each edge goes as its packets go."""

import subprocess
import sys

import pytest

import mixcni
from tests.cases import CAPTURES, FOUNDING


@pytest.mark.parametrize("case", [FOUNDING, "policy-removed"])
def test_the_graph_has_what_the_tables_have(case: str) -> None:
    report = mixcni.diagnose(CAPTURES / case)
    graph, names = report.path, list(report.points.index)
    assert list(graph) == names
    assert [graph.nodes[name]["position"] for name in names] == list(range(len(names)))
    for column in ("requests", "responses", "node", "kind", "packets", "miss_rate_low", "miss_rate_high"):
        assert [graph.nodes[name][column] for name in names] == report.points[column].tolist()
    assert len(graph.edges) == len(report.hops)
    for row in report.hops.to_dict("records"):
        near, far = row["hop"].split("→")
        is_request = row["direction"] == "request"
        edge = graph.edges[(near, far) if is_request else (far, near)]
        assert {name: edge[name] for name in ("direction", "delivered", "recovered", "lost", "unsent")} == {
            name: row[name] for name in ("direction", "delivered", "recovered", "lost", "unsent")
        }
        assert edge["missed"] == row["missed_far" if is_request else "missed_near"]


def test_a_graph_is_drawn_from_networkx_only_when_asked_for() -> None:
    code = "import mixcni, sys; print('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
