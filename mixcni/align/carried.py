"""What datagrams of several conversations carry alike: no NAT changes it, where it changes addresses, ports and all else.

A DNS message has an identification of its own and the name that is asked for (RFC 1035 section 4.1); most protocols over UDP have
their like. What carries the same at one point for several conversations, as a beat does, tells nothing.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.pairings import pair_key, pairs_within
from mixcni.align.united import UnitedFlows
from mixcni.decode.payloads import payload_heads_again
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import numbered
from mixcni.schema import PROTOCOL_UDP, Layer

COMPARED_OCTETS: Final = 32  # of a payload: what a snaplen of 96 leaves of it behind Ethernet, a tag, IPv4 and UDP is 50
LEAST_OCTETS: Final = 12  # a DNS message without its question; shorter ones are rarely unlike

Shared = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def shared_payloads(every: UnitedFlows, rows: NDArray[np.int64], conversation: NDArray[np.int64]) -> Shared:
    """Pairs of conversations, and how many different payloads both have, which none other has at any of their points.

    Parameters
    ----------
    rows : flows without streams
    conversation : (n,) each flow's conversation by its key
    """
    nothing = np.empty(0, dtype=np.int64)
    if np.unique(every.point[rows]).size < 2:
        return nothing, nothing, nothing
    parts = [_payloads_at(every, point, rows) for point in range(len(every.points))]
    if any(part is None for part in parts):
        return nothing, nothing, nothing
    row, token = (np.concatenate(columns) for columns in zip(*(part for part in parts if part is not None), strict=True))
    token = numbered(*token.T)
    point = every.point[row]
    _, seen = np.unique(numbered(token, conversation[row], point), return_index=True)  # each place of each token once
    token, number, point = token[seen], conversation[row][seen], point[seen]
    place = numbered(token, point)
    is_beat = np.bincount(token, weights=np.bincount(place)[place] > 1) > 0
    token, number = token[~is_beat[token]], number[~is_beat[token]]
    _, seen = np.unique(numbered(token, number), return_index=True)
    token, number = token[seen], number[seen]
    a, b = pairs_within(token)
    _, first, times = np.unique(pair_key(number[a], number[b]), return_index=True, return_counts=True)
    return number[a[first]], number[b[first]], times


def _payloads_at(every: UnitedFlows, point: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The flow of each datagram at a point, and (n, 6) its direction, length and first octets; None where files are gone."""
    flows: FlowTable = every.points[point]
    mine = np.zeros(len(flows), dtype=np.bool_)
    mine[every.flow[rows[(every.point[rows] == point) & (every.protocol[rows] == PROTOCOL_UDP)]]] = True
    segments, packets = flows.segments, flows.packets
    kept = np.flatnonzero(mine[segments["flow"]] & (segments["copy_of"] < 0))
    kept = kept[(packets["present"][segments["packet"][kept]] & Layer.FRAGMENT) == 0]
    kept = kept[packets["payload_octets"][segments["packet"][kept]] >= LEAST_OCTETS]
    packet = segments["packet"][kept]
    if not kept.size:
        return kept, np.empty((0, 2 + COMPARED_OCTETS // 8), dtype=np.int64)
    heads = payload_heads_again(packets, packet, COMPARED_OCTETS)
    if heads is None:
        return None
    octets, is_there = heads
    told = np.stack([segments["direction"][kept], packets["payload_octets"][packet]], axis=1).astype(np.int64)
    tokens = np.concatenate([told, octets.view(np.int64)], axis=1)
    return (segments["flow"][kept] + every.first_row[point])[is_there].astype(np.int64), tokens[is_there]
