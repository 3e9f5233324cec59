"""The flows of all points in one set of columns, and what of them no address translation changes."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.align.kernel import span_flows, survey_flows
from mixcni.flows import FlowTable
from mixcni.kernels.grouping import numbered
from mixcni.kernels.jit import run
from mixcni.schema import Encapsulation, OptionFlag, TcpFlag
from mixcni.tables import recode, rows_of_packets, unite_address_books

HALF, MASK = np.int64(1 << 31), np.int64((1 << 32) - 1)
NO_OPTIONS = -2  # of a SYN that carries none, or was not seen


def sequence_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]:
    """Signed distance from `a` to `b` in octets, in [-2**31, 2**31), elementwise (RFC 9293 section 3.4)."""
    return ((b.astype(np.int64) - a.astype(np.int64) + HALF) & MASK) - HALF


class UnitedFlows:
    """The flows of all points: a row a flow, point after point.

    `keys` : (n,) int64, one number a flow key, whichever way round its two ends stand
    `base` : (n, 2) int64, bases of the forward and the reverse offsets; `based` : (n, 2) bool, whether a segment told them
    `reach` : (n, 2) int64, octets, highest offset seen in each direction
    `tunnelled` : (n,) bool, whether the flow was heard within a tunnel
    `syn_options` : (n, 4) int64, MSS, window scale, option flags and TSval of the SYN; NO_OPTIONS where there are none
    `syn_seen`, `synack_seen` : (n,) bool; times are ns on the common clock
    """

    def __init__(self, points: Sequence[FlowTable], times: Sequence[NDArray[np.int64]]) -> None:
        """`times` : of each point's packets, ns on the common clock as far as it is known."""
        self.points = points
        self.book, recodings = unite_address_books([flows.packets.book for flows in points])
        self.point = np.repeat(np.arange(len(points)), [len(flows) for flows in points])
        self.flow = np.concatenate([np.arange(len(flows), dtype=np.int32) for flows in points])
        self.first_row = np.cumsum([0, *(len(flows) for flows in points)])

        def column(name: str) -> NDArray[Any]:
            return np.concatenate([flows[name] for flows in points])

        pairs = list(zip(points, recodings, strict=True))
        self.initiator = np.concatenate([recode(flows["initiator"], r) for flows, r in pairs])
        self.responder = np.concatenate([recode(flows["responder"], r) for flows, r in pairs])
        self.initiator_port, self.responder_port = column("initiator_port"), column("responder_port")
        self.protocol = column("protocol")
        self.syn_seen, self.synack_seen = column("syn_seen"), column("synack_seen")
        self.base = np.stack([column("iss"), column("irs")], axis=1).astype(np.int64)
        surveys = [_survey(flows) for flows in points]
        self.based = np.concatenate([told for told, _ in surveys])
        self._syn_packets = [packet for _, packet in surveys]
        self.syn_options = np.concatenate(
            [_syn_options(flows, packet) for flows, (_, packet) in zip(points, surveys, strict=True)]
        )
        self.reach = np.stack([column("end_forward"), column("end_reverse")], axis=1)
        self.packets = np.stack([column("packets_forward"), column("packets_reverse")], axis=1)
        self.tunnelled = np.concatenate([_tunnelled(flows) for flows in points])
        self.keys = self._number_keys()
        self.take_times(times)

    def on(self, times: Sequence[NDArray[np.int64]]) -> "UnitedFlows":
        """The same flows with other times of each point's packets."""
        other = copy(self)
        other.take_times(times)
        return other

    def take_times(self, times: Sequence[NDArray[np.int64]]) -> None:
        """Enter the times of each point's packets, and what of the flows they tell."""
        self.times = times
        bounds = [flow_bounds(flows, at) for flows, at in zip(self.points, times, strict=True)]
        first, last = (np.concatenate([pair[i] for pair in bounds]) for i in (0, 1))
        untimed = first > last
        self.first_ns, self.last_ns = np.where(untimed, -1, first), np.where(untimed, -1, last)
        syns = zip(self._syn_packets, times, strict=True)
        self.syn_ns = np.concatenate([np.where(packet < 0, -1, at[packet]) if at.size else packet for packet, at in syns])

    def __len__(self) -> int:
        return int(self.flow.size)

    def _number_keys(self) -> NDArray[np.int64]:
        here = self.initiator.astype(np.int64) << 16 | self.initiator_port
        there = self.responder.astype(np.int64) << 16 | self.responder_port
        return numbered(np.minimum(here, there), np.maximum(here, there), self.protocol)

    def is_turned(self, row: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether flows of one key stand the other way round than others, elementwise."""
        differs = self.initiator[row] != self.initiator[other]
        return np.asarray(differs | (self.initiator_port[row] != self.initiator_port[other]))

    def segments_of(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The TCP segments of some flows, copies at one point left out: row, direction, SEQ, ACK, TSval, TSecr and time.

        `row` is the flow's here; TSval and TSecr are -1 where a segment has no timestamps (RFC 7323 section 3.2).
        """
        names = ("row", "direction", "seq", "ack", "ts_val", "ts_ecr", "time_ns")
        parts: list[dict[str, NDArray[np.int64]]] = []
        for point, (flows, at) in enumerate(zip(self.points, self.times, strict=True)):
            wanted = np.zeros(len(flows), dtype=np.bool_)
            wanted[self.flow[rows[self.point[rows] == point]]] = True
            segments = flows.segments
            kept = np.flatnonzero(wanted[segments["flow"]] & (segments["copy_of"] < 0))
            packet = segments["packet"][kept]
            flags = flows.packets["tcp_flags"][packet]
            kept, packet = kept[(flags & TcpFlag.ACK) != 0], packet[(flags & TcpFlag.ACK) != 0]
            stamp = rows_of_packets(flows.packets.timestamps, packet)
            stamped = stamp >= 0
            columns = {
                "row": segments["flow"][kept] + self.first_row[point],
                "direction": segments["direction"][kept],
                "seq": flows.packets["seg_seq"][packet],
                "ack": flows.packets["seg_ack"][packet],
                "time_ns": at[packet],
            }
            for name in ("ts_val", "ts_ecr"):
                value = np.full(packet.size, -1, dtype=np.int64)
                value[stamped] = flows.packets.timestamps[name][stamp[stamped]]
                columns[name] = value
            parts.append({name: columns[name].astype(np.int64) for name in names})
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    def datagrams_of(self, rows: NDArray[np.int64], *, identified: bool = True) -> dict[str, NDArray[np.int64]]:
        """What some flows without streams sent: row, protocol, direction, IP identification and payload octets.

        `identified` : leave out what has no IP identification, which is 0
        """
        names = ("row", "protocol", "direction", "ip_id", "octets")
        parts: list[dict[str, NDArray[np.int64]]] = []
        for point, flows in enumerate(self.points):
            wanted = np.zeros(len(flows), dtype=np.bool_)
            wanted[self.flow[rows[self.point[rows] == point]]] = True
            segments = flows.segments
            kept = np.flatnonzero(wanted[segments["flow"]] & (segments["copy_of"] < 0))
            kept = kept[flows.packets["ip_id"][segments["packet"][kept]] >= int(identified)]
            flow, packet = segments["flow"][kept], segments["packet"][kept]
            columns = {
                "row": flow + self.first_row[point],
                "protocol": flows["protocol"][flow],
                "direction": segments["direction"][kept],
                "ip_id": flows.packets["ip_id"][packet],
                "octets": flows.packets["payload_octets"][packet],
            }
            parts.append({name: columns[name].astype(np.int64) for name in names})
        return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _tunnelled(flows: FlowTable) -> NDArray[np.bool_]:
    """(f,) whether a tunnel is around a flow's packets in either direction."""
    stacks = flows.packets.stacks
    within = np.zeros(len(stacks), dtype=np.bool_)
    for row, (outer, kind) in enumerate(zip(stacks["outer"].tolist(), stacks["kind"].tolist(), strict=True)):
        within[row] = row > 0 and (within[outer] or Encapsulation(kind).is_tunnel)
    found = np.zeros(len(flows), dtype=np.bool_)
    for name in ("stack_forward", "stack_reverse"):
        stack = flows[name]
        found |= (stack >= 0) & within[np.maximum(stack, 0)]
    return found


def flow_bounds(flows: FlowTable, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(f,) first and last time of each flow, ns; the greatest and the least integer where none of its packets has a time.

    `times` : of the point's packets, on the clock that is wanted
    """
    first, last = np.full(len(flows), np.iinfo(np.int64).max), np.full(len(flows), np.iinfo(np.int64).min)
    segments, own = flows.segments, flows.packets["time_ns"]
    run(span_flows, len(segments), segments["flow"], segments["packet"], own, times, first, last)
    return first, last


def _survey(flows: FlowTable) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(f, 2) whether a flow's segments told the base of each direction; (f,) the packet of its first SYN, -1 without one."""
    told, syn_packet = np.zeros(2 * len(flows), dtype=np.bool_), np.full(len(flows), -1, dtype=np.int64)
    columns = (flows.segments[name] for name in ("flow", "direction", "packet"))
    run(survey_flows, len(flows.segments), *columns, flows.packets["tcp_flags"], told, syn_packet)
    return told.reshape(-1, 2), syn_packet


def _syn_options(flows: FlowTable, syn_packet: NDArray[np.int64]) -> NDArray[np.int64]:
    """(f, 4) the options of each flow's first SYN."""
    options = np.full((len(flows), 4), NO_OPTIONS, dtype=np.int64)
    stamp = rows_of_packets(flows.packets.timestamps, syn_packet)
    stamped = stamp >= 0
    options[stamped, :3] = -1, -1, OptionFlag.TIMESTAMPS  # where there are no others
    options[stamped, 3] = flows.packets.timestamps["ts_val"][stamp[stamped]]
    option = rows_of_packets(flows.packets.options, syn_packet)
    held = option >= 0
    for number, name in enumerate(("mss", "window_scale", "flags")):
        options[held, number] = flows.packets.options[name][option[held]]
    return options
