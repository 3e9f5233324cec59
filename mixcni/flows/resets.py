"""Resets with a guess of who sent them: the host whose address they have, or something on the way in its name.

A host's own reset is like its other segments: it passed as many routers (TTL), counts on in its IP identifications, and has the
sequence number that is due or that its peer acknowledged (RFC 9293 section 3.5.2). One in its name differs in TTL, comes with
several guesses of the sequence number, or is followed by new octets of the host, which knows nothing of it (Weaver et al.,
Detecting Forged TCP Reset Packets, NDSS 2009). That it came sooner than the host answered the SYN is told, and proves nothing: a
host may give up at any time. Everything is as one point saw it; without another segment of that side nothing is said.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode.payloads import can_read_again, read_senders
from mixcni.flows.tables import FlowTable
from mixcni.schema import PROTOCOL_TCP, RESETS, Direction, Layer, ResetOrigin, ResetReason, TcpFlag
from mixcni.tables import Table

TTL_SLACK: Final = 1  # hops by which packets of one host differ on parallel paths
IDS_NEAR: Final = 1_000  # identifications that a busy host may have used in between (Weaver et al. section 4.2: counters go on)
IDS: Final = 1 << 16
SOON: Final = 2  # a middlebox nearer than half the way to the host answers in less than one in so many round trips
AGAINST_HOST: Final = ResetReason.OTHER_TTL | ResetReason.SENT_ON | ResetReason.SEVERAL_SEQUENCES
FOR_HOST: Final = ResetReason.SAME_TTL | ResetReason.IP_ID_NEXT


class ResetTable(Table):
    """The resets of one capture point, one row a reset, in file order; copies of a packet count once."""

    schema = RESETS


def judge_resets(flows: FlowTable) -> ResetTable:
    """Every reset with a guess of its origin and the reasons for it.

    It is a middlebox's where a reason stands against the host and its identification does not count on from the host's; the
    host's where none stands against it and its TTL or its identification is the host's; else unknown.

    Parameters
    ----------
    flows : FlowTable of one capture point

    Raises
    ------
    CaptureError : a capture cannot be read again, or has changed
    """
    segments = flows.segments
    flags = flows.packets["tcp_flags"][segments["packet"]]
    is_tcp = flows["protocol"][segments["flow"]] == PROTOCOL_TCP
    resets = np.flatnonzero(is_tcp & ((flags & TcpFlag.RST) != 0) & (segments["copy_of"] < 0))
    reasons = np.zeros(resets.size, dtype=np.uint16)
    concerned = np.flatnonzero(np.isin(segments["flow"], segments["flow"][resets]) & is_tcp & (segments["copy_of"] < 0))
    order = concerned[np.argsort(segments["flow"][concerned], kind="stable")]
    flow_of = segments["flow"][order]
    for place, row in enumerate(resets.tolist()):
        flow = int(segments["flow"][row])
        mine = order[slice(*np.searchsorted(flow_of, [flow, flow + 1]))]
        reasons[place] = _reasons(flows, row, mine, flags)
    reasons |= _by_senders(flows, order, flow_of, resets)
    against, own = (reasons & AGAINST_HOST) != 0, (reasons & FOR_HOST) != 0
    like_host = (reasons & ResetReason.IP_ID_NEXT) != 0
    origin = np.full(resets.size, int(ResetOrigin.UNKNOWN), dtype=np.uint8)
    origin[against & ~like_host] = int(ResetOrigin.MIDDLEBOX)
    origin[own & ~against & ((reasons & ResetReason.SEQUENCE_BEYOND) == 0)] = int(ResetOrigin.ENDPOINT)
    return ResetTable(
        {
            "packet": segments["packet"][resets],
            "flow": segments["flow"][resets],
            "direction": segments["direction"][resets],
            "origin": origin,
            "reasons": reasons,
        }
    )


def _reasons(flows: FlowTable, row: int, mine: NDArray[np.int64], flags: NDArray[np.uint8]) -> int:
    """What speaks for and against the host, of the reset in segment `row`; `mine` are its flow's segments in file order."""
    segments, packets = flows.segments, flows.packets
    direction = int(segments["direction"][row])
    side = mine[segments["direction"][mine] == direction]
    is_reset = (flags[side] & TcpFlag.RST) != 0
    others = _others(flows, mine, direction)
    found = 0
    peer = mine[segments["direction"][mine] != direction]
    known = np.concatenate([segments["acknowledged"][peer], segments["offset"][others] + segments["length"][others]])
    if np.setdiff1d(segments["offset"][side[is_reset]], known).size > 1:
        found |= ResetReason.SEVERAL_SEQUENCES
    if not others.size:
        return int(found)
    near = int(segments["packet"][_nearest(others, row)])
    found |= _by_headers(packets, int(segments["packet"][row]), segments["packet"][others], near)
    found |= _by_place(flows, row, mine, others)
    return int(found | _by_time(flows, row, mine))


def _by_senders(
    flows: FlowTable, order: NDArray[np.int64], flow_of: NDArray[np.int32], resets: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """(n,) whether each reset came from the neighbour from which the nearest other segment of its side came.

    Told of packets outside tunnels alone, in captures that can be read again. Routers on parallel paths have two, so that another
    one tells of the way and proves nothing.
    """
    segments, packets = flows.segments, flows.packets
    found = np.zeros(resets.size, dtype=np.uint16)
    pairs: dict[int, tuple[int, int]] = {}
    for place, row in enumerate(resets.tolist()):
        flow, direction, packet = (int(segments[name][row]) for name in ("flow", "direction", "packet"))
        mine = order[slice(*np.searchsorted(flow_of, [flow, flow + 1]))]
        near = _nearest(_others(flows, mine, direction), row)
        if near >= 0 and packets["stack"][packet] == 0 and packets["stack"][segments["packet"][near]] == 0:
            pairs[place] = packet, int(segments["packet"][near])
    if not pairs or not can_read_again(packets):
        return found
    rows = np.unique(list(pairs.values()))
    sender = dict(zip(rows.tolist(), read_senders(packets, rows), strict=True))
    for place, (reset, near) in pairs.items():
        if sender[reset] and sender[near]:
            found[place] = ResetReason.SAME_MAC if sender[reset] == sender[near] else ResetReason.OTHER_MAC
    return found


def _others(flows: FlowTable, mine: NDArray[np.int64], direction: int) -> NDArray[np.int64]:
    """The segments of one side that are no resets."""
    segments = flows.segments
    flags = flows.packets["tcp_flags"][segments["packet"][mine]]
    return np.asarray(mine[(segments["direction"][mine] == direction) & ((flags & TcpFlag.RST) == 0)])


def _nearest(others: NDArray[np.int64], row: int) -> int:
    """The last of `others` before `row`, else the first behind it; -1 where there is none."""
    if not others.size:
        return -1
    return int(others[max(int(np.searchsorted(others, row)) - 1, 0)])


def _by_headers(packets: Any, packet: int, others: NDArray[np.int64], near: int) -> int:
    """TTL against all other packets of the side; identification and window against the nearest before it."""
    found = 0
    ttl = int(packets["ttl"][packet])
    nearest = int(np.abs(packets["ttl"][others].astype(np.int64) - ttl).min())
    found |= ResetReason.SAME_TTL if nearest <= TTL_SLACK else ResetReason.OTHER_TTL
    own, last = int(packets["ip_id"][packet]), int(packets["ip_id"][near])
    if packets["present"][packet] & Layer.IPV4 and own and last:
        found |= ResetReason.IP_ID_NEXT if 0 < (own - last) % IDS <= IDS_NEAR else ResetReason.IP_ID_FAR
    window = int(packets["seg_wnd"][packet])
    if window and window == int(packets["seg_wnd"][near]):
        found |= ResetReason.WINDOW_OF_SIDE
    return int(found)


def _by_place(flows: FlowTable, row: int, mine: NDArray[np.int64], others: NDArray[np.int64]) -> int:
    """The sequence number against what the side had sent and its peer acknowledged, and whether the side sent on."""
    segments = flows.segments
    direction, offset = int(segments["direction"][row]), int(segments["offset"][row])
    before = others[others < row]
    found = 0
    if before.size:
        end = int((segments["offset"][before] + segments["length"][before]).max())
        peer = mine[(segments["direction"][mine] != direction) & (mine < row)]
        acknowledged = int(segments["acknowledged"][peer].max(initial=-1))
        found |= ResetReason.SEQUENCE_DUE if offset in (end, acknowledged) else 0
        found |= ResetReason.SEQUENCE_BEYOND if offset > max(end, acknowledged) else 0
    later = others[others > row]
    new = later[(segments["length"][later] > 0) & (segments["offset"][later] + segments["length"][later] > offset)]
    return int(found | (ResetReason.SENT_ON if new.size else 0))


def _by_time(flows: FlowTable, row: int, mine: NDArray[np.int64]) -> int:
    """Whether a responder's reset came sooner behind what it answers than its SYN-ACK behind the SYN."""
    segments, packets = flows.segments, flows.packets
    if segments["direction"][row] == Direction.FORWARD:
        return 0
    times, flags = packets["time_ns"][segments["packet"][mine]], packets["tcp_flags"][segments["packet"][mine]]
    forward = segments["direction"][mine] == Direction.FORWARD
    syn = (flags & (TcpFlag.SYN | TcpFlag.ACK)) == TcpFlag.SYN
    asked, opened = times[forward & (mine < row)], times[forward & syn]
    answered = times[~forward & ((flags & TcpFlag.SYN) != 0)]
    if opened.size != 1 or answered.size != 1 or not asked.size:
        return 0
    elapsed = int(packets["time_ns"][segments["packet"][row]] - asked[-1])
    return int(ResetReason.TOO_FAST) if 0 <= elapsed * SOON < int(answered[0] - opened[0]) else 0
