"""Segments of all points on their conversations' bases, and what is told of flows, held against twins that know no kernel."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixcni.align.alignment import align_points
from mixcni.align.united import UnitedFlows
from mixcni.decode import decode_packets
from mixcni.flows import FlowTable, track_flows
from mixcni.read import CaptureFile
from mixcni.schema import PROTOCOL_TCP, Direction, TcpFlag
from tests.cases import CAPTURES
from tests.kernels.forms import TWO_FORMS, in_form

FOLDERS = ["two-points/nat", "two-points/vxlan", "two-points/tso", "networkpolicy-drop"]
pytestmark = [pytest.mark.kernels, pytest.mark.parametrize("form", TWO_FORMS), pytest.mark.parametrize("folder", FOLDERS)]


def points_of(folder: str) -> list[FlowTable]:
    paths: list[Path] = sorted(path for path in (CAPTURES / folder).rglob("*.pcap*"))
    return [track_flows(decode_packets([CaptureFile(path)])) for path in paths]


def segments_of(flows: FlowTable) -> list[dict[str, int]]:
    """The segments of a point with the TCP flags and the time of their packets."""
    rows = [
        dict(zip(flows.segments, values, strict=True))
        for values in zip(*(flows.segments[n].tolist() for n in flows.segments), strict=True)
    ]
    for row in rows:
        row |= {name: int(flows.packets[name][row["packet"]]) for name in ("tcp_flags", "time_ns")}
    return rows


def test_a_segment_stands_on_its_conversations_base(form: str, folder: str) -> None:
    points = points_of(folder)
    with in_form(form):
        alignment = align_points([str(number) for number in range(len(points))], points)
    expected: list[tuple[int, ...]] = []
    for point, flows in enumerate(points):
        members = alignment.conversations.members_at(point)
        for row in segments_of(flows):
            flow = row["flow"]
            if flows["protocol"][flow] != PROTOCOL_TCP or row["copy_of"] >= 0:
                continue
            way = row["direction"] ^ int(members.flipped[flow])
            start = row["offset"] + int(members.shift[flow, way])
            acknowledged = row["acknowledged"] + int(members.shift[flow, 1 - way]) if row["acknowledged"] >= 0 else -1
            time = int(alignment.times[point][row["packet"]])
            place = int(members.conversation[flow]), point, way, start, start + row["length"], acknowledged
            expected.append((*place, row["tcp_flags"], time, row["packet"]))
    table = alignment.transmissions
    tcp = alignment.conversations["protocol"][table["conversation"]] == PROTOCOL_TCP
    found = list(zip(*(table[name][tcp].tolist() for name in table), strict=True))
    assert len(found) > 10
    heard_once = all(alignment.conversations.members_at(p).is_primary.all() for p in range(len(points)))
    assert found == expected if heard_once else set(found) < set(expected)


def test_what_segments_tell_of_their_flow(form: str, folder: str) -> None:
    points = points_of(folder)
    with in_form(form):
        every = UnitedFlows(points, [flows.packets["time_ns"] for flows in points])
        later = every.on([flows.packets["time_ns"] + 5 for flows in points])
    by_flow: dict[tuple[int, int], list[dict[str, int]]] = {}
    for point, flows in enumerate(points):
        for segment in segments_of(flows):
            by_flow.setdefault((point, segment["flow"]), []).append(segment)
    for row, (point, flow) in enumerate(zip(every.point.tolist(), every.flow.tolist(), strict=True)):
        segments = by_flow[point, flow]
        times = [segment["time_ns"] for segment in segments]
        assert (every.first_ns[row], every.last_ns[row]) == (min(times), max(times))
        assert (later.first_ns[row], later.last_ns[row]) == (min(times) + 5, max(times) + 5)
        plain = [segment for segment in segments if not segment["tcp_flags"] & TcpFlag.RST]
        for way in Direction:
            own = any(segment["direction"] == way for segment in plain)
            assert every.based[row, way] == (own or any(s["direction"] != way and s["tcp_flags"] & TcpFlag.ACK for s in plain))
        syns = [s["time_ns"] for s in plain if s["tcp_flags"] & TcpFlag.SYN and s["direction"] == Direction.FORWARD]
        assert every.syn_ns[row] == next(iter(syns), -1)


def test_flows_of_one_key_have_one_number_whichever_way_round(form: str, folder: str) -> None:
    points = points_of(folder)
    with in_form(form):
        every = UnitedFlows(points, [flows.packets["time_ns"] for flows in points])

    def key(row: int) -> tuple[Any, ...]:
        here, there = (every.initiator, every.initiator_port), (every.responder, every.responder_port)
        ends = sorted((int(address[row]), int(port[row])) for address, port in (here, there))
        return (*ends, int(every.protocol[row]))

    keys = [key(row) for row in range(len(every))]
    for one, other in itertools.combinations(range(min(len(every), 60)), 2):
        assert (every.keys[one] == every.keys[other]) == (keys[one] == keys[other])
    assert np.unique(every.keys).size == len(set(keys))
