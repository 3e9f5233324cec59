"""What datagrams of several conversations carry alike: no NAT changes it, where it changes addresses, ports and all else.

A DNS message has an identification of its own and the name that is asked for (RFC 1035 section 4.1); most protocols over UDP have
their like. What carries the same at one point for several conversations, as a beat does, tells nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.united import UnitedFlows
from mixcni.decode.payloads import payloads_again

PROTOCOL_UDP = 17
COMPARED_OCTETS: Final = 32  # of a payload: what a snaplen of 96 leaves of it behind Ethernet, a tag, IPv4 and UDP is 50
LEAST_OCTETS: Final = 12  # a DNS message without its question; shorter ones are rarely unlike
MOST_READ: Final = 100_000  # datagrams; of more nothing is read

Token = tuple[int, int, bytes]


def shared_payloads(every: UnitedFlows, rows: Sequence[int], conversation: NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """For pairs of conversations how many different payloads both have, which none other has at any of their points.

    Parameters
    ----------
    rows : flows without streams
    conversation : (n,) each flow's conversation by its key
    """
    flows = np.array(rows, dtype=np.int64)
    if np.unique(every.point[flows]).size < 2:
        return {}
    holders: dict[Token, set[tuple[int, int]]] = defaultdict(set)
    for row, token in _tokens(every, flows):
        holders[token].add((int(conversation[row]), int(every.point[row])))
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for places in holders.values():
        numbers = sorted({number for number, _ in places})
        if len({point for _, point in places}) < len(places):
            continue
        for pair in combinations(numbers, 2):
            counts[pair] += 1
    return counts


def _tokens(every: UnitedFlows, rows: NDArray[np.int64]) -> list[tuple[int, Token]]:
    """The flow of each datagram, and its direction, length and first octets; none where files cannot be read again."""
    found: list[tuple[int, Token]] = []
    left = MOST_READ
    for point, flows in enumerate(every.points):
        mine = np.zeros(len(flows), dtype=np.bool_)
        mine[every.flow[rows[(every.point[rows] == point) & (every.protocol[rows] == PROTOCOL_UDP)]]] = True
        segments = flows.segments
        kept = np.flatnonzero(mine[segments["flow"]] & (segments["copy_of"] < 0))
        packet = segments["packet"][kept]
        left -= packet.size
        payloads = payloads_again(flows.packets, packet) if left >= 0 else None
        if payloads is None:
            return []
        flow = (segments["flow"][kept] + every.first_row[point]).tolist()
        ways, lengths = segments["direction"][kept].tolist(), flows.packets["payload_octets"][packet].tolist()
        for row, way, length, payload in zip(flow, ways, lengths, payloads, strict=True):
            if len(payload) >= min(length, COMPARED_OCTETS) >= LEAST_OCTETS:
                found.append((row, (way, length, payload[:COMPARED_OCTETS])))
    return found
