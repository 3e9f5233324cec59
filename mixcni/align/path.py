"""The order of the points where the case does not give it: from hop limits, from whose addresses a point sees, and from time."""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable, join_flows
from mixcni.align.datagrams import gather_datagrams
from mixcni.align.kernel import first_packets
from mixcni.align.roundtrips import MICROSECOND_NS, TimeOrder, order_by_time
from mixcni.align.transmissions import TransmissionTable, gather_segments
from mixcni.align.united import UnitedFlows
from mixcni.flows import FlowTable
from mixcni.kernels.jit import run
from mixcni.schema import Completeness, Direction

INITIAL_TTLS: Final = (64, 128, 255)  # Linux and most routers' own packets; Windows; network equipment


class PathOrder(NamedTuple):
    """The order in which a request meets the points.

    positions : of the points, as they were given
    reasons : a sentence each
    unplaced : of these points, which have packets, nothing tells where they stand, though it does of others
    beside : pairs of points of which neither lies behind the other, as two clients' nodes
    """

    positions: list[int]
    reasons: list[str]
    unplaced: frozenset[int] = frozenset()
    beside: frozenset[tuple[int, int]] = frozenset()


def infer_order(names: Sequence[str], points: Sequence[FlowTable], nodes: Sequence[str] = ()) -> PathOrder:
    """The order of the points, from what they saw.

    A router takes one from the hop limit (RFC 791 section 3.1, RFC 8200 section 3), so of two points that saw the same
    requests the one with the higher value is nearer the initiator; of two that saw the same replies alone, farther. Where it
    stays the same, the one that lacks replies which the initiators never heard either is the nearer. A point that saw none of
    another's conversations, but packets that their responders sent, which that other did not, is farther; so is one that heard
    nothing of the initiators whose unanswered requests crossed no router before that other. Where none of these decides, as on
    two sides of a bridge, times do (mixcni.align.roundtrips). What nothing decides stands in the order of the names, behind the
    others where it is nothing of a point; so does all, where they contradict. Two points on their initiators' own links that no
    conversation has in common stand beside each other, unless one of them may be the responders' own.

    Parameters
    ----------
    names : of the points
    points : their flow tables, in the same order
    nodes : the node of each point, "" unknown; points of one node have one clock, unless segments contradict
    """
    own = [flows.packets["time_ns"] for flows in points]
    conversations = join_flows(UnitedFlows(points, own))
    asked, replied = (
        np.stack([first_hop_limit(flows, conversations, p, direction) for p, flows in enumerate(points)], axis=1)
        for direction in Direction
    )
    on_own_links = _on_own_links(asked, replied)
    found = [*_told_by_headers(conversations, points, names, asked, replied, on_own_links)]
    graph = nx.DiGraph([(near, far) for near, far, _ in found])
    graph.add_nodes_from(range(len(names)))
    found += _told_by_time(conversations, points, names, nodes, graph)
    graph.add_edges_from((near, far) for near, far, _ in found)
    empty = {position for position, flows in enumerate(points) if not len(flows.packets)}
    by_name = sorted(range(len(names)), key=lambda position: (position in empty, names[position]))
    lacking = [f"{names[position]} has no packets, and stands last" for position in by_name if position in empty]
    rank = {position: i for i, position in enumerate(by_name)}
    if not nx.is_directed_acyclic_graph(graph):
        contradict = "hop limits and times contradict each other: the points stand in the order of their names"
        return PathOrder(by_name, [contradict, *lacking])
    if not found:
        return PathOrder(by_name, ["nothing tells the points apart: they stand in the order of their names", *lacking])
    unplaced = set(nx.isolates(graph))  # what got no answer may have been lost before them
    order = list(nx.lexicographical_topological_sort(graph, key=lambda position: (position in unplaced, rank[position])))
    beside = {(p, q) for p, q in on_own_links if not nx.has_path(graph, p, q) and not nx.has_path(graph, q, p)}
    reasons = [f"{names[near]} before {names[far]}: {reason}" for near, far, reason in found]
    reasons += [
        f"{names[near]} and {names[far]} stand in the order of their names, nothing tells"
        for near, far in itertools.pairwise(order)
        if far not in unplaced and not nx.has_path(graph, near, far) and (min(near, far), max(near, far)) not in beside
    ]
    reasons += [
        f"{names[p]} and {names[q]} stand beside each other: requests crossed no router before either, and none passes both"
        for p, q in sorted(beside)
    ]
    reasons += [f"{names[point]} stands last, nothing tells where it is" for point in order if point in unplaced - empty]
    return PathOrder(order, [*reasons, *lacking], frozenset(unplaced - empty), frozenset(beside))


def _on_own_links(asked: NDArray[np.int64], replied: NDArray[np.int64]) -> set[tuple[int, int]]:
    """Pairs of points before which requests crossed no router, that share none; replies crossed some before one of them.

    Parameters
    ----------
    asked, replied : (c, p) hop limit of each conversation's first packet in each direction at each point; -1 none
    """
    heard = (asked >= 0) | (replied >= 0)
    own = ((asked < 0) | np.isin(asked, INITIAL_TTLS)).all(axis=0) & (asked >= 0).any(axis=0)
    away = np.asarray(~np.isin(replied, INITIAL_TTLS).any(axis=0) & (replied >= 0).any(axis=0))
    return {
        (p, q)
        for p, q in itertools.combinations(np.flatnonzero(own).tolist(), 2)
        if (away[p] or away[q]) and not (heard[:, p] & heard[:, q]).any()
    }


def _told_by_headers(
    conversations: ConversationTable,
    points: Sequence[FlowTable],
    names: Sequence[str],
    asked: NDArray[np.int64],
    replied: NDArray[np.int64],
    on_own_links: Collection[tuple[int, int]],
) -> Iterator[tuple[int, int, str]]:
    """Pairs of points (near, far) that hop limits tell apart, or whose addresses each sees; with the reason.

    asked, replied, on_own_links : as `_on_own_links` has and gives them; of those pairs addresses tell nothing
    """
    for p, q in itertools.combinations(range(len(points)), 2):
        drop, rise = _median_drop(asked, p, q), _median_drop(replied, q, p)
        if drop:
            yield *((p, q) if drop > 0 else (q, p)), f"the hop limit falls by {abs(drop):g} between them"
            continue
        if drop is not None:
            lacking = _unheard_replies(conversations, points, p, q) - _unheard_replies(conversations, points, q, p)
            if lacking:
                near, far = (p, q) if lacking > 0 else (q, p)
                yield near, far, f"{names[far]} has replies that neither {names[near]} nor their initiators heard"
            continue
        if rise:
            yield *((p, q) if rise > 0 else (q, p)), f"the hop limit of replies rises by {abs(rise):g} between them"
            continue
        if (p, q) in on_own_links:
            continue
        for near, far in ((p, q), (q, p)):
            hears = _hears_responders_of(conversations, points, near, far)
            if hears and not _hears_responders_of(conversations, points, far, near):
                yield near, far, f"it hears the responders of what {names[near]} saw"
            unheard = _unheard_initiators(conversations, points, asked, near, far)
            if unheard and not _unheard_initiators(conversations, points, asked, far, near):
                yield near, far, f"requests at {names[near]} crossed no router before, and it hears nothing from who sent them"


def _median_drop(hop_limits: NDArray[np.int64], p: int, q: int) -> float | None:
    """By how much the hop limits at point `p` are above those at `q`; None where no conversation has both."""
    both = (hop_limits[:, p] >= 0) & (hop_limits[:, q] >= 0)
    return float(np.median(hop_limits[both, p] - hop_limits[both, q])) if both.any() else None


def _unheard_replies(conversations: ConversationTable, points: Sequence[FlowTable], near: int, far: int) -> int:
    """How many connections that both points saw asked for have a SYN-ACK at `far` alone, and an initiator that did not go on.

    What an initiator never heard was lost before it, and so was on its way to the point that did not hear it either.
    """
    both = np.flatnonzero((conversations.flow_of[:, [near, far]] >= 0).all(axis=1))
    here, there = (points[p]["completeness"][conversations.flow_of[both, p]] for p in (near, far))
    unheard = (here == Completeness.SYN) & (there == (Completeness.SYN | Completeness.SYNACK))
    return int(np.count_nonzero(unheard))


def _told_by_time(
    conversations: ConversationTable,
    points: Sequence[FlowTable],
    names: Sequence[str],
    nodes: Sequence[str],
    graph: "nx.DiGraph[int]",
) -> list[tuple[int, int, str]]:
    """The same by time, of points that saw the same conversations and that `graph` leaves as they are."""
    seen = conversations.flow_of >= 0
    alike = [
        (p, q)
        for p, q in itertools.combinations(range(len(points)), 2)
        if (seen[:, p] & seen[:, q]).any() and not nx.has_path(graph, p, q) and not nx.has_path(graph, q, p)
    ]
    if not alike:
        return []
    own = [flows.packets["time_ns"] for flows in points]
    segments, datagrams = gather_segments(points, conversations, own), gather_datagrams(points, conversations, own, None)
    table = TransmissionTable.joined([segments, *datagrams])
    found = []
    for p, q in alike:
        node = nodes[p] if nodes and nodes[p] == nodes[q] else ""
        told = order_by_time(table, conversations, p, q, one_clock=bool(node))
        if told is not None:
            near, far = (p, q) if told.is_given_order else (q, p)
            found.append((near, far, _time_reason(names[near], told, node)))
    return found


def _time_reason(near: str, told: TimeOrder, node: str) -> str:
    apart = f"{told.apart_ns / 1e3:,.0f} µs" if told.apart_ns >= MICROSECOND_NS else f"{told.apart_ns} ns"
    if told.by_round_trip:
        return f"from a request to its response {apart} more pass at {near}, each by its own clock"
    return f"requests are at {near} {apart} earlier, by the clock of {node} that both are taken to have"


def first_hop_limit(
    flows: FlowTable, conversations: ConversationTable, point: int, direction: Direction = Direction.FORWARD
) -> NDArray[np.int64]:
    """(c,) hop limit of each conversation's first packet in a direction at this point; -1 where there is none."""
    found = np.full(len(conversations), -1, dtype=np.int64)
    segments = flows.segments
    first = np.full(2 * len(flows), -1, dtype=np.int64)
    run(first_packets, len(segments), *(segments[name] for name in ("flow", "direction", "packet")), first)
    seen = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    packet = first[2 * conversations.flow_of[seen, point] + (conversations.flipped[seen, point] ^ bool(direction))]
    found[seen] = np.where(packet >= 0, flows.packets["ttl"][np.maximum(packet, 0)].astype(np.int64), -1)
    return found


def _hears_responders_of(conversations: ConversationTable, points: Sequence[FlowTable], near: int, far: int) -> bool:
    """Whether `far` saw packets from responders of conversations that only `near` saw, and `near` saw none from those."""
    here, there = conversations.flow_of[:, near] >= 0, conversations.flow_of[:, far] >= 0
    unheard = np.setdiff1d(conversations["responder"][here & ~there], _senders(conversations, points[near], near))
    return bool(np.isin(unheard, _senders(conversations, points[far], far)).any())


def _unheard_initiators(
    conversations: ConversationTable, points: Sequence[FlowTable], asked: NDArray[np.int64], near: int, far: int
) -> bool:
    """Whether `near` alone saw requests, unanswered and from its own link, and `far` saw no packet from those initiators.

    `asked` : (c, p) hop limit of each conversation's first request at each point; -1 none
    """
    seen = conversations.flow_of >= 0
    rows = np.flatnonzero(seen[:, near] & (seen.sum(axis=1) == 1) & np.isin(asked[:, near], INITIAL_TTLS))
    flow, flipped = conversations.flow_of[rows, near], conversations.flipped[rows, near]
    answered = np.where(flipped, points[near]["packets_forward"][flow], points[near]["packets_reverse"][flow]) > 0
    initiators, heard = conversations["initiator"][rows[~answered]], _senders(conversations, points[far], far)
    return bool(initiators.size and heard.size) and not np.isin(initiators, heard).any()


def _senders(conversations: ConversationTable, flows: FlowTable, point: int) -> NDArray[np.int32]:
    """Codes of the addresses from which `point` saw packets."""
    rows = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    flow = conversations.flow_of[rows, point]
    flipped = conversations.flipped[rows, point]
    forward, reverse = flows["packets_forward"][flow] > 0, flows["packets_reverse"][flow] > 0
    asked, replied = np.where(flipped, reverse, forward), np.where(flipped, forward, reverse)
    return np.concatenate([conversations["initiator"][rows[asked]], conversations["responder"][rows[replied]]])
