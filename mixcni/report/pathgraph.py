"""The path as a graph: capture points, and the hops between them in both directions, with what was counted there."""

from typing import TYPE_CHECKING, Any

from mixcni.localise import Localisation
from mixcni.report.tables import hop_rows, point_rows
from mixcni.schema import Direction

if TYPE_CHECKING:
    import networkx as nx


def path_graph(localisation: Localisation) -> "nx.DiGraph[str]":
    """A node a point in path order, with `position` and its row of `Report.points`; an edge a hop and direction.

    An edge goes the way the packets go: requests from the nearer point to the farther, responses back. It has the hop's row of
    `Report.hops`; `missed` is what the capture at its end lacks.
    """
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for position, row in enumerate(point_rows(localisation)):
        graph.add_node(row["point"], position=position, **{name: value for name, value in row.items() if name != "point"})
    for hop, row in zip(localisation.hops, hop_rows(localisation), strict=True):
        near, far = localisation.points[hop.near].name, localisation.points[hop.far].name
        forward = hop.direction == Direction.FORWARD
        counts: dict[str, Any] = {name: row[name] for name in ("direction", "delivered", "recovered", "lost", "unsent")}
        ends = (near, far) if forward else (far, near)
        graph.add_edge(*ends, **counts, missed=row["missed_far" if forward else "missed_near"])
    return graph
