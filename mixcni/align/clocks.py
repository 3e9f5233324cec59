"""How each point's clock stands to the common one, from segments that two points saw.

A segment seen at two points, p nearer the initiator, shows t_q - t_p = offset + delay going forward and offset - delay coming
back; delays are not negative. So the least forward difference bounds the offset from above and the greatest reverse difference
from below; the estimate is their middle, and half their distance is its uncertainty (the asymmetry bound of ALGORITHMS.md 1b).

Each point is put on the common clock through the points that bound it best, then all pairs are made to agree by weighted least
squares. Where two points see each other's segments by two ways, what is left over between them is shown as a cycle's residual.
Of points that nothing joins to the first one, the one that captured with it the longest is taken to agree with it, and the others
are measured against that one.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from mixcni.align.clock import PPM, ClockModel, ClockPiece
from mixcni.align.pairclock import Matched, PairFit, fit_line, fit_pair
from mixcni.align.transmissions import TransmissionTable
from mixcni.kernels.grouping import grouped, in_order, numbered, occurring
from mixcni.schema import Direction

__all__ = ["ClockModel", "CycleResidual", "carrying_rows", "estimate_clocks", "match_transmissions"]

UNBOUNDED_NS: Final = 1_000_000_000_000  # weight of what is known from one direction only: used where nothing better joins two
SAME_SPAN: Final = 0.1  # of the time between the first and the last copy: what delays and drift change of it
TELLING_PPM: Final = 50.0  # a drift that is less certain says nothing of a crystal
MOST_MATCHED: Final = 200_000  # segments of two points; of more, those of some conversations tell the clocks as well


@dataclass(frozen=True, slots=True)
class CycleResidual:
    """What two points' own segments say of their clocks beside what all pairs together say.

    p, q : positions on the path; offset_ns : by how much the pair has q's clock farther ahead; slack_ns : within this the pair
    bounds it, None from one side only
    """

    p: int
    q: int
    offset_ns: int
    slack_ns: int | None


def carrying_rows(table: TransmissionTable, points: Sequence[int]) -> list[NDArray[np.int64]]:
    """The rows of each of these points that carry octets; bare ACKs cannot be told from one another."""
    rows = np.flatnonzero(table["end"] > table["start"])
    point = table["point"][rows]
    return [rows[point == each] for each in points]


def match_transmissions(table: TransmissionTable, at_p: NDArray[np.int64], at_q: NDArray[np.int64]) -> Matched:
    """The segments that two points saw equally often, the k-th matched to the k-th, in the order of time at p.

    In a direction in which some were transmitted once, only those count: of a retransmitted segment the points may have caught
    different copies.

    Parameters
    ----------
    at_p, at_q : rows of the one and of the other point
    """
    at_p, at_q = _of_shared(table, at_p, at_q)
    rows, is_at_q = np.concatenate([at_p, at_q]), np.repeat([False, True], [at_p.size, at_q.size])
    columns = {name: table[name][rows] for name in ("conversation", "direction", "start", "end", "time_ns", "packet")}
    alike = numbered(*(columns[name] for name in ("conversation", "direction", "start", "end")))
    count = int(alike.max(initial=-1)) + 1
    order, _ = grouped(2 * alike + is_at_q, 2 * count, in_order(columns["time_ns"]))
    columns = {name: array[order] for name, array in columns.items()}
    group, is_at_p = alike[order], ~is_at_q[order]
    copies_p = np.bincount(group[is_at_p], minlength=count)
    copies_q = np.bincount(group[~is_at_p], minlength=count)
    once = (copies_p == 1) & (copies_q == 1)
    direction_of = np.zeros(count, dtype=np.int64)
    direction_of[group] = columns["direction"]
    has_once = (np.bincount(direction_of[once], minlength=len(Direction)) > 0)[direction_of]
    if not has_once.all():
        once = np.where(has_once, once, (copies_p == copies_q) & _alike(columns["time_ns"], group, is_at_p))
    here, there = is_at_p & once[group], ~is_at_p & once[group]
    times = columns["time_ns"][here], columns["time_ns"][there]
    timed = (times[0] >= 0) & (times[1] >= 0)
    every = Matched(columns["direction"][here] == Direction.FORWARD, *times, columns["packet"][here], columns["packet"][there])
    return every.part(timed).ordered()


def _of_shared(
    table: TransmissionTable, at_p: NDArray[np.int64], at_q: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Those of these rows whose conversations both points saw; where they are many, of every so-many-th such conversation."""
    conversations = [table["conversation"][rows] for rows in (at_p, at_q)]
    count = max(int(numbers.max(initial=-1)) for numbers in conversations) + 1
    shared = np.logical_and(*(occurring(numbers, count) for numbers in conversations))
    size = sum(int(np.count_nonzero(shared[numbers])) for numbers in conversations)
    shared &= (np.cumsum(shared) - 1) % (size // MOST_MATCHED + 1) == 0
    return at_p[shared[conversations[0]]], at_q[shared[conversations[1]]]


def _alike(times: NDArray[np.int64], group: NDArray[np.int64], at_p: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(groups,) whether copies of one segment stand as far apart at q as at p: else the two captured different ones of them.

    Rows are ordered by group, then those of p, then time.
    """
    count = int(group[-1]) + 1 if group.size else 0
    spans = []
    for mine in (at_p, ~at_p):
        first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
        np.minimum.at(first, group[mine], times[mine])
        np.maximum.at(last, group[mine], times[mine])
        spans.append(np.where(last >= first, last - first, 0))
    return np.asarray(np.abs(spans[0] - spans[1]) <= SAME_SPAN * np.maximum(*spans))


def estimate_clocks(
    names: Sequence[str],
    table: TransmissionTable,
    packets: Sequence[NDArray[np.int64]],
    nodes: Sequence[str] = (),
) -> tuple[list[ClockModel], tuple[CycleResidual, ...]]:
    """One ClockModel a point, in path order, against the first point that has segments; and the residual of each cycle.

    Parameters
    ----------
    names : the points in path order
    table : TransmissionTable with times by each point's own clock
    packets : the times of each point's packets by its own clock, ns
    nodes : of the points, "" unknown: two that no segments join are assumed to share a clock if they are on one node
    """
    count = len(names)
    rows = carrying_rows(table, range(count))
    pairs = {(p, q): match_transmissions(table, rows[p], rows[q]) for p, q in itertools.combinations(range(count), 2)}
    pairs = {pair: matched for pair, matched in pairs.items() if matched.at_p.size}
    fits = {pair: fit_pair(matched) for pair, matched in pairs.items()}
    present = np.unique(table["point"]).tolist()
    reference = int(present[0]) if present else 0
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(count))
    for pair, pieces in fits.items():
        graph.add_edge(*pair, weight=max(UNBOUNDED_NS if fit.slack_ns is None else fit.slack_ns + 1 for _, fit in pieces))
    shared = _assumed(graph, nodes)
    graph.add_edges_from(shared, weight=0)
    heads = [_head(part, reference, packets) for part in nx.connected_components(graph)]
    lengths = nx.multi_source_dijkstra_path_length(graph, set(heads))
    routes = nx.multi_source_dijkstra_path(graph, set(heads))
    models = [ClockModel(names[reference], 0, None, 0) for _ in names]
    models[reference] = ClockModel(names[reference], 0, 0, 0, drift_ppm=0.0, drift_uncertainty_ppm=0.0)
    for point in sorted(routes, key=lambda node: (lengths[node], node)):
        if point in heads:
            continue
        parent = routes[point][-2]
        pair = min(parent, point), max(parent, point)
        if pair in shared:
            shared_model = _shared_model(models[parent], names[parent], packets[parent], packets[point])
            models[point] = replace(shared_model, segments=0, beside=_beside(names, routes[point], reference))
            continue
        pieces = fits[pair]
        if pair != (reference, point):  # against other times than p's own, or the other way round
            matched = pairs[pair] if parent < point else pairs[pair].turned()
            pieces = fit_pair(matched.at(models[parent].common_ns(packets[parent]), packets[point]))
        through = names[parent] if models[parent].shares else models[parent].through
        model = _model(names[reference], models[parent], pieces, packets[point])
        models[point] = replace(model, through=through, beside=_beside(names, routes[point], reference))
    return _reconciled(models, pairs, packets, shared, heads, reference)


def _head(part: set[int], reference: int, packets: Sequence[NDArray[np.int64]]) -> int:
    """The point of a part that is taken to agree with the reference: by their own clocks the two captured at once the longest."""
    if reference in part:
        return reference
    first, last = _bounds(packets[reference])
    overlaps = {point: min(last, end) - max(first, begin) for point in part for begin, end in [_bounds(packets[point])]}
    return max(sorted(part), key=overlaps.__getitem__)


def _bounds(times: NDArray[np.int64]) -> tuple[int, int]:
    """The first and the last of a point's times, ns; 0 without any."""
    timed = times[times >= 0]
    return (int(timed.min()), int(timed.max())) if timed.size else (0, 0)


def _beside(names: Sequence[str], route: Sequence[int], reference: int) -> str:
    """The point at which a route begins, where that is not the reference."""
    return "" if route[0] == reference else names[route[0]]


def _assumed(measured: "nx.Graph[int]", nodes: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs of points on one node, through which parts of the path are joined that no segments join."""
    joined = measured.copy()
    found = set()
    for p, q in itertools.combinations(range(len(nodes)), 2):
        if nodes[p] and nodes[p] == nodes[q] and not nx.has_path(joined, p, q):
            joined.add_edge(p, q)
            found.add((p, q))
    return found


def _model(reference: str, parent: ClockModel, pieces: list[tuple[Matched, PairFit]], times: NDArray[np.int64]) -> ClockModel:
    """The model of a point whose pieces were fitted against times on the common clock; `times` are its packets'."""
    fits = [fit for _, fit in pieces]
    main = max(fits, key=lambda fit: fit.segments)
    unbounded = any(fit.slack_ns is None for fit in fits)
    uncertain = None
    if main.drift_slack is not None and parent.drift_uncertainty_ppm is not None:
        uncertain = main.drift_slack / PPM + parent.drift_uncertainty_ppm
        uncertain = uncertain if uncertain <= TELLING_PPM else None
    first_packets = [0]
    for (before, old), (after, new) in itertools.pairwise(pieces):
        first_packets.append(
            _step_row(int(before.packet_q.max()), int(after.packet_q.min()), new.offset_ns - old.offset_ns, times)
        )
    return ClockModel(
        reference=reference,
        offset_ns=main.offset_ns,
        uncertainty_ns=None if unbounded else 0,  # bounded when all pairs are looked at together
        segments=min(sum(fit.segments for fit in fits), parent.segments or sys.maxsize),
        drift_ppm=None if uncertain is None or main.drift is None else main.drift / PPM,
        drift_uncertainty_ppm=uncertain,
        pieces=tuple(
            ClockPiece(row, fit.at_ns + fit.offset_ns, fit.offset_ns, (fit.drift or 0.0) / PPM)
            for row, fit in zip(first_packets, fits, strict=True)
        ),
    )


def _shared_model(model: ClockModel, name: str, times: NDArray[np.int64], its_times: NDArray[np.int64]) -> ClockModel:
    """The same clock at another point, of which `its_times` are the packets': there it was set where its own times jump."""
    pieces = list(model.pieces[:1])
    for piece, step in zip(model.pieces[1:], model.steps_ns, strict=True):
        if its_times.size < 2:
            break
        jumps = np.diff(its_times)
        set_itself = 2 * abs(int(times[piece.first_packet] - times[piece.first_packet - 1])) >= abs(step)
        row = 1 + int(jumps.argmax() if step > 0 else jumps.argmin())
        if not set_itself:
            row = int(np.searchsorted(its_times, times[piece.first_packet]))
        pieces.append(replace(piece, first_packet=row))
    return replace(model, drift_ppm=None, drift_uncertainty_ppm=None, shares=name, pieces=tuple(pieces))


def _step_row(last: int, first: int, step_ns: int, times: NDArray[np.int64]) -> int:
    """The packet from which on a clock had been set by `step_ns`, behind packet `last` and not behind `first`.

    Where its own times show no such jump, it was the other clock that was set.
    """
    if last >= first:
        return first
    jumps = np.diff(times[last : first + 1])
    at = int(jumps.argmax() if step_ns > 0 else jumps.argmin())
    return last + 1 + at if 2 * abs(int(jumps[at])) >= abs(step_ns) else (last + first + 1) // 2


def _reconciled(
    models: list[ClockModel],
    pairs: dict[tuple[int, int], Matched],
    packets: Sequence[NDArray[np.int64]],
    shared: set[tuple[int, int]],
    heads: Sequence[int],
    reference: int,
) -> tuple[list[ClockModel], tuple[CycleResidual, ...]]:
    """The models corrected so that all pairs agree as well as they can, each with its bound, and what is left over.

    Weighted least squares over the offsets of all pairs that bound one another from both sides; a weight is one over the slack
    squared. Points that are assumed to share a clock are one unknown, and what rests on that has no bound.

    Parameters
    ----------
    heads : one point of each part that segments or nodes join; its clock stays
    """
    owner = list(range(len(models)))
    for p, q in sorted(shared):
        owner[q] = owner[p]
    common = [model.common_ns(times) for model, times in zip(models, packets, strict=True)]
    left = {pair: fit_line(matched.at(common[pair[0]], common[pair[1]])) for pair, matched in pairs.items()}
    two_sided = {pair: fit for pair, fit in left.items() if fit.slack_ns is not None and owner[pair[0]] != owner[pair[1]]}
    corrections = _least_squares({pair: (fit.offset_ns, fit.slack_ns or 0) for pair, fit in two_sided.items()}, owner, heads)
    bounds: nx.DiGraph[int] = nx.DiGraph()
    bounds.add_nodes_from(range(len(models)))
    for (p, q), fit in two_sided.items():
        away = fit.offset_ns - corrections[q] + corrections[p]
        bounds.add_edge(p, q, weight=max(0, (fit.slack_ns or 0) + away))
        bounds.add_edge(q, p, weight=max(0, (fit.slack_ns or 0) - away))
    ahead = nx.single_source_dijkstra_path_length(bounds, reference)
    behind = nx.single_source_dijkstra_path_length(bounds.reverse(copy=False), reference)
    corrected = []
    for point, model in enumerate(models):
        uncertainty = int(max(ahead[point], behind[point])) if point in ahead else None
        moved = corrections[point]
        pieces = tuple(replace(piece, offset_ns=piece.offset_ns + moved) for piece in model.pieces)
        corrected.append(replace(model, offset_ns=model.offset_ns + moved, pieces=pieces, uncertainty_ns=uncertainty))
    residuals = tuple(
        CycleResidual(p, q, fit.offset_ns - corrections[q] + corrections[p], fit.slack_ns) for (p, q), fit in sorted(left.items())
    )
    return corrected, residuals if nx.cycle_basis(nx.Graph([*left])) else ()


def _least_squares(pairs: dict[tuple[int, int], tuple[int, int]], owner: Sequence[int], heads: Sequence[int]) -> list[int]:
    """By how much each point's offset is to be corrected, ns, given how far each pair is off, and within what.

    owner : of each point, one of those that are assumed to share its clock; heads : their clocks stay
    """
    unknowns = sorted({owner[point] for pair in pairs for point in pair} - {owner[head] for head in heads})
    if not unknowns:
        return [0] * len(owner)
    column = {point: number for number, point in enumerate(unknowns)}
    matrix, off = np.zeros((len(pairs), len(unknowns))), np.zeros(len(pairs))
    for row, ((p, q), (offset, slack)) in enumerate(pairs.items()):
        weight = 1 / (slack + 1)
        off[row] = weight * offset
        for point, sign in ((q, 1), (p, -1)):
            if owner[point] in column:
                matrix[row, column[owner[point]]] += sign * weight
    solved = np.linalg.lstsq(matrix, off, rcond=None)[0]
    return [round(float(solved[column[point]])) if point in column else 0 for point in owner]
