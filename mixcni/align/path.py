"""The order of the points where the case does not give it: from hop limits, and from whose addresses a point sees."""

from collections.abc import Sequence

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from mixcni.align.conversations import ConversationTable, join_flows
from mixcni.flows import FlowTable
from mixcni.schema import Direction


def infer_order(names: Sequence[str], points: Sequence[FlowTable]) -> tuple[list[int], list[str]]:
    """Positions of the points in the order in which a request meets them, and a sentence for each reason.

    A router takes one from the hop limit (RFC 791 section 3.1, RFC 8200 section 3), so of two points that saw the same
    requests the one with the higher value is nearer the initiator. A point that saw none of another's conversations, but packets
    that their responders sent, which that other did not, is farther. What neither decides stands in the order of the names; so
    does all, where the two contradict.

    Parameters
    ----------
    names : of the points
    points : their flow tables, in the same order
    """
    conversations = join_flows(points, [flows.packets["time_ns"] for flows in points])
    hop_limits = np.stack([forward_hop_limit(flows, conversations, p) for p, flows in enumerate(points)], axis=1)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(names)))
    reasons = []
    for p in range(len(names)):
        for q in range(p + 1, len(names)):
            both = (hop_limits[:, p] >= 0) & (hop_limits[:, q] >= 0)
            if both.any():
                drop = float(np.median(hop_limits[both, p] - hop_limits[both, q]))
                if drop:
                    near, far = (p, q) if drop > 0 else (q, p)
                    graph.add_edge(near, far)
                    reasons.append(f"{names[near]} before {names[far]}: the hop limit falls by {abs(drop):g} between them")
            else:
                for near, far in ((p, q), (q, p)):
                    hears = _hears_responders_of(conversations, points, near, far)
                    if hears and not _hears_responders_of(conversations, points, far, near):
                        graph.add_edge(near, far)
                        reasons.append(f"{names[near]} before {names[far]}: it hears the responders of what {names[near]} saw")
    by_name = sorted(range(len(names)), key=lambda position: names[position])
    rank = {position: i for i, position in enumerate(by_name)}
    if not nx.is_directed_acyclic_graph(graph):
        return by_name, ["hop limits contradict each other: the points stand in the order of their names"]
    order = list(nx.lexicographical_topological_sort(graph, key=lambda position: rank[position]))
    return order, reasons or ["nothing tells the points apart: they stand in the order of their names"]


def forward_hop_limit(flows: FlowTable, conversations: ConversationTable, point: int) -> NDArray[np.int64]:
    """(c,) hop limit of each conversation's first forward packet at this point; -1 where there is none."""
    found = np.full(len(conversations), -1, dtype=np.int64)
    segments = flows.segments
    first = np.full((len(flows), 2), -1, dtype=np.int64)
    for direction in Direction:
        rows = np.flatnonzero(segments["direction"] == direction)[::-1]  # the first packet is written last
        first[segments["flow"][rows], direction] = segments["packet"][rows]
    seen = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    packet = first[conversations.flow_of[seen, point], conversations.flipped[seen, point].astype(np.int64)]
    found[seen] = np.where(packet >= 0, flows.packets["ttl"][np.maximum(packet, 0)].astype(np.int64), -1)
    return found


def _hears_responders_of(conversations: ConversationTable, points: Sequence[FlowTable], near: int, far: int) -> bool:
    """Whether `far` saw packets from responders of conversations that only `near` saw, and `near` saw none from those."""
    here, there = conversations.flow_of[:, near] >= 0, conversations.flow_of[:, far] >= 0
    unheard = np.setdiff1d(conversations["responder"][here & ~there], _senders(conversations, points[near], near))
    return bool(np.isin(unheard, _senders(conversations, points[far], far)).any())


def _senders(conversations: ConversationTable, flows: FlowTable, point: int) -> NDArray[np.int32]:
    """Codes of the addresses from which `point` saw packets."""
    rows = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    flow = conversations.flow_of[rows, point]
    flipped = conversations.flipped[rows, point]
    forward, reverse = flows["packets_forward"][flow] > 0, flows["packets_reverse"][flow] > 0
    asked, replied = np.where(flipped, reverse, forward), np.where(flipped, forward, reverse)
    return np.concatenate([conversations["initiator"][rows[asked]], conversations["responder"][rows[replied]]])
