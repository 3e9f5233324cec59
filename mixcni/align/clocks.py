"""How far each point's clock is from the first one's, from segments that both points saw.

A segment seen at two points, p nearer the initiator, shows t_q - t_p = offset + delay going forward and offset - delay coming
back; delays are not negative. So the least forward difference bounds the offset from above and the greatest reverse difference
from below; the estimate is their middle, and half their distance is its uncertainty (the asymmetry bound of ALGORITHMS.md 1b).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from mixcni.align.transmissions import TransmissionTable
from mixcni.schema import Direction

OUTLYING = 10  # times the median distance from the median: farther off are different copies of a retransmitted segment
UNBOUNDED_NS = 1_000_000_000_000  # weight of an offset known from one direction only: used where nothing better joins two points


@dataclass(frozen=True, slots=True)
class ClockModel:
    """A point's clock against the common clock, which is that of `reference`.

    offset_ns : this clock less the common clock; 0 where nothing joins the two
    uncertainty_ns : the offset is right within this; None where it is bounded from one side only, or not at all
    segments : how many segments, seen at two points, it rests on
    """

    reference: str
    offset_ns: int
    uncertainty_ns: int | None
    segments: int

    @property
    def is_known(self) -> bool:
        """Whether anything was seen that joins this clock to the common one."""
        return self.segments > 0 or self.uncertainty_ns == 0


def matched_times(table: TransmissionTable, p: int, q: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(direction, time at p, time at q) of segments that both points saw equally often, the k-th matched to the k-th.

    In a direction in which some were transmitted once, only those count: of a retransmitted segment the points may have caught
    different copies. Bare ACKs are left out: one cannot be told from another.
    """
    rows = np.flatnonzero((table["end"] > table["start"]) & ((table["point"] == p) | (table["point"] == q)))
    columns = {name: table[name][rows] for name in table}
    order = np.lexsort(
        (
            columns["time_ns"], columns["point"] != p, columns["end"], columns["start"],
            columns["direction"], columns["conversation"],
        )
    )  # fmt: skip
    columns = {name: array[order] for name, array in columns.items()}
    changed = np.zeros(rows.size, dtype=np.bool_)
    for name in ("conversation", "direction", "start", "end"):
        changed[1:] |= columns[name][1:] != columns[name][:-1]
    group = np.cumsum(changed)
    at_p = columns["point"] == p
    count = int(group[-1]) + 1 if group.size else 0
    copies_p = np.bincount(group[at_p], minlength=count)
    copies_q = np.bincount(group[~at_p], minlength=count)
    once = (copies_p == 1) & (copies_q == 1)
    direction_of = np.zeros(count, dtype=np.int64)
    direction_of[group] = columns["direction"]
    has_once = np.bincount(direction_of[once], minlength=len(Direction)) > 0
    equal = np.where(has_once[direction_of], once, copies_p == copies_q)[group]
    return (
        columns["direction"][at_p & equal],
        columns["time_ns"][at_p & equal],
        columns["time_ns"][~at_p & equal],
    )


def _pair(table: TransmissionTable, p: int, q: int) -> tuple[int, int | None, int] | None:
    """(offset of q against p, uncertainty, segments), or None where no segment was seen at both."""
    direction, at_p, at_q = matched_times(table, p, q)
    difference = at_q - at_p
    upper, lower = _bounds(direction, difference)
    if upper is not None and lower is not None and upper < lower:  # no delay is negative: some are no pairs, or a clock drifts
        spread = np.abs(difference - np.median(difference))
        near = spread <= OUTLYING * np.median(spread)
        direction, difference = direction[near], difference[near]
        upper, lower = _bounds(direction, difference)
    if upper is not None and lower is not None:
        return (upper + lower) // 2, (abs(upper - lower) + 1) // 2, difference.size
    one_sided = lower if upper is None else upper
    return None if one_sided is None else (one_sided, None, difference.size)


def _bounds(direction: NDArray[Any], difference: NDArray[Any]) -> tuple[int | None, int | None]:
    """The least forward and the greatest reverse difference, ns; None where nothing went that way."""
    forward, reverse = difference[direction == Direction.FORWARD], difference[direction == Direction.REVERSE]
    return int(forward.min()) if forward.size else None, int(reverse.max()) if reverse.size else None


def estimate_clocks(names: Sequence[str], table: TransmissionTable) -> list[ClockModel]:
    """One ClockModel a point, in path order, against the first point that has segments.

    Parameters
    ----------
    names : the points in path order
    table : TransmissionTable with times by each point's own clock
    """
    graph: nx.Graph[int] = nx.Graph()
    pairs: dict[tuple[int, int], tuple[int, int | None, int]] = {}
    for p in range(len(names)):
        for q in range(p + 1, len(names)):
            found = _pair(table, p, q)
            if found is not None:
                pairs[p, q] = found
                graph.add_edge(p, q, weight=UNBOUNDED_NS if found[1] is None else found[1])
    present = np.unique(table["point"])
    reference = int(present[0]) if present.size else 0
    graph.add_node(reference)
    routes = nx.single_source_dijkstra_path(graph, reference)
    clocks = []
    for point in range(len(names)):
        offset, uncertainty, segments = 0, (0 if point == reference else None), 0
        route = routes.get(point, [])
        steps = [pairs[min(a, b), max(a, b)] for a, b in itertools.pairwise(route)]
        signs = [1 if a < b else -1 for a, b in itertools.pairwise(route)]
        if steps:
            offset = sum(sign * step[0] for sign, step in zip(signs, steps, strict=True))
            bounds = [step[1] for step in steps]
            uncertainty = None if None in bounds else sum(bound for bound in bounds if bound is not None)
            segments = min(step[2] for step in steps)
        clocks.append(ClockModel(names[reference], offset, uncertainty, segments))
    return clocks
