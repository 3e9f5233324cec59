"""Who refused a connection: resets and ICMP errors against the initiator, and how far along the path they were seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.schema import Direction, TcpFlag

ICMP_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER = 3, 11, 12  # RFC 792
ICMP_FRAGMENTATION_NEEDED = 4  # code of an unreachable: not a refusal (RFC 1191)
ICMPV6_UNREACHABLE, ICMPV6_TIME_EXCEEDED, ICMPV6_PARAMETER = 1, 3, 4  # RFC 4443
PROTOCOL_ICMP = 1


@dataclass(frozen=True, slots=True)
class Refusals:
    """What refused each conversation's requests.

    reset_ns : (c, p) int64, last time of a reset from the responder's side at each point, on the common clock; -1 none
    icmp_ns : (c, p) int64, the same for an ICMP error that quotes a request
    icmp_by_responder : (c,) bool, such an error was sent by the responder's own address
    icmp_packet : (c, p) int64, row of the last such error in the point's packet table; -1 none
    """

    reset_ns: NDArray[np.int64]
    icmp_ns: NDArray[np.int64]
    icmp_by_responder: NDArray[np.bool_]
    icmp_packet: NDArray[np.int64]


def find_refusals(alignment: Alignment) -> Refusals:
    """The resets and ICMP errors that came back for each conversation."""
    count, points = len(alignment.conversations), len(alignment.points)
    table = alignment.transmissions
    reset_ns = np.full((count, points), -1, dtype=np.int64)
    rows = np.flatnonzero(((table["tcp_flags"] & TcpFlag.RST) != 0) & (table["direction"] == Direction.REVERSE))
    np.maximum.at(reset_ns, (table["conversation"][rows], table["point"][rows]), table["time_ns"][rows])
    icmp_ns, icmp_packet = np.full((count, points), -1, dtype=np.int64), np.full((count, points), -1, dtype=np.int64)
    by_responder = np.zeros(count, dtype=np.bool_)
    for point in range(points):
        _enter_icmp_errors(alignment, point, icmp_ns, icmp_packet, by_responder)
    return Refusals(reset_ns, icmp_ns, by_responder, icmp_packet)


def is_refusal(protocol: int, kind: int, code: int) -> bool:
    """Whether an ICMP error ends a connection attempt (RFC 1122 section 4.2.3.9), and is no path-MTU report."""
    if protocol == PROTOCOL_ICMP:
        if kind == ICMP_UNREACHABLE:
            return code != ICMP_FRAGMENTATION_NEEDED
        return kind in {ICMP_TIME_EXCEEDED, ICMP_PARAMETER}
    return kind in {ICMPV6_UNREACHABLE, ICMPV6_TIME_EXCEEDED, ICMPV6_PARAMETER}


def _enter_icmp_errors(
    alignment: Alignment,
    point: int,
    icmp_ns: NDArray[np.int64],
    icmp_packet: NDArray[np.int64],
    by_responder: NDArray[np.bool_],
) -> None:
    flows, conversations = alignment.points[point], alignment.conversations
    packets = flows.packets
    quotes = packets.quotes
    if not len(quotes):
        return
    rows = np.flatnonzero(conversations.flow_of[:, point] >= 0)
    flow = conversations.flow_of[rows, point]
    names = ("initiator", "responder", "initiator_port", "responder_port", "protocol")
    keys = zip(*(flows[name][flow].tolist() for name in names), strict=True)
    of_key: dict[tuple[int, ...], int] = dict(zip(keys, rows.tolist(), strict=True))
    for i in range(len(quotes)):
        packet = int(quotes["packet"][i])
        kind, code = divmod(int(packets["destination_port"][packet]), 256)
        if not is_refusal(int(packets["protocol"][packet]), kind, code):
            continue
        key = tuple(int(quotes[name][i]) for name in ("source", "destination", "source_port", "destination_port", "protocol"))
        found = of_key.get(key)
        if found is None:
            continue
        time = int(packets["time_ns"][packet]) - alignment.clocks[point].offset_ns
        if time > icmp_ns[found, point]:
            icmp_ns[found, point], icmp_packet[found, point] = time, packet
        by_responder[found] |= packets["source"][packet] == quotes["destination"][i]
