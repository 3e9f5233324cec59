"""Flows against tshark's TCP analysis, over the recorded cases and over the conversations in which the two differ."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixcni.decode import decode_packets
from mixcni.flows import FlowTable, track_flows
from mixcni.read import CaptureFile
from mixcni.schema import Label, TcpFlag
from tests.cases import CAPTURES
from tests.wire import MS, START, Conversation, Frame, write_pcap

FILES = sorted(CAPTURES.glob("*/*.pcap"))
REPEATS = "tcp.analysis.retransmission"  # Wireshark sets it beside fast_retransmission and spurious_retransmission too
FIELDS = ("frame.number", "tcp.stream", "tcp.flags", REPEATS)


def tshark(path: Path) -> list[dict[str, str]]:
    """The fields of every TCP segment; those that ICMP errors quote have no part in it."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    command = ["tshark", "-r", str(path), "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", *wanted]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]


def tcp_segments(flows: FlowTable) -> Any:
    return flows.segments.to_frame()[flows["protocol"][flows.segments["flow"]] == 6]


def flows_of(path: Path) -> FlowTable:
    return track_flows(decode_packets([CaptureFile(path, strict=True)]))


@pytest.mark.tshark
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_streams_flags_and_retransmissions_are_tsharks(path):
    rows, flows = tshark(path), flows_of(path)
    segments = tcp_segments(flows)
    assert flows.packets["frame_number"][segments["packet"]].tolist() == [int(row["frame.number"]) for row in rows]
    rank = {flow: stream for stream, flow in enumerate(segments["flow"].unique())}
    assert [rank[flow] for flow in segments["flow"]] == [int(row["tcp.stream"]) for row in rows]
    flags = [int(row["tcp.flags"], 16) for row in rows]
    assert flows["fins"].sum() == sum(bool(f & TcpFlag.FIN) for f in flags)
    assert flows["resets"].sum() == sum(bool(f & TcpFlag.RST) for f in flags)
    tcp = flows["protocol"] == 6
    syn = {row["tcp.stream"] for row, f in zip(rows, flags, strict=True) if f & TcpFlag.SYN and not f & TcpFlag.ACK}
    synack = {row["tcp.stream"] for row, f in zip(rows, flags, strict=True) if f & TcpFlag.SYN and f & TcpFlag.ACK}
    assert (np.count_nonzero(flows["syn_seen"][tcp]), np.count_nonzero(flows["synack_seen"][tcp])) == (len(syn), len(synack))
    assert (segments["label"].to_numpy() & Label.RETRANSMISSION).tolist() == [int(bool(row[REPEATS])) for row in rows]


def test_the_recorded_cases_have_retransmissions_to_compare():
    """Three SYNs of each of 12 connections: 24 repetitions at A and at B (captures/README.md)."""
    assert [int(flows_of(CAPTURES / "networkpolicy-drop" / f"{p}.pcap")["retransmissions"].sum()) for p in "AB"] == [24, 24]


def lost_first() -> tuple[Conversation, list[Frame]]:
    """After the handshake the initiator sent octets 0 to 99, not captured, and 100 to 199."""
    talk = Conversation()
    frames = talk.handshake()
    talk.say(0, "A", bytes(100))
    return talk, [*frames, talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]


def first_again(talk: Conversation, time_ns: int) -> Frame:
    return talk.segment(0, "A", seq=1001, ack=5001, payload=bytes(100), time_ns=time_ns)


def late_by_one_ms() -> list[Frame]:
    talk, frames = lost_first()
    return [*frames, first_again(talk, START + 4 * MS)]


def late_by_a_second() -> list[Frame]:
    talk, frames = lost_first()
    return [*frames, first_again(talk, START + 1000 * MS)]


def repeated() -> list[Frame]:
    talk = Conversation()
    first = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]
    return [*first, first_again(talk, START + 400 * MS)]


def repeated_after_its_ack() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS), talk.say(1, "A", time_ns=START + 4 * MS)]
    return [*frames, first_again(talk, START + 400 * MS)]


def with_new_octets() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]
    return [*frames, talk.segment(0, "A", seq=1051, ack=5001, payload=bytes(100), time_ns=START + 400 * MS)]


def probed() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), *talk.exchange(bytes(9), bytes(9), START + 4 * MS)]
    return [*frames, talk.segment(0, "A", seq=1009, ack=5010, payload=b"\0", time_ns=START + 10_000 * MS)]


def probed_unacknowledged() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", b"x", time_ns=START + 3 * MS)]
    return [*frames, talk.segment(0, "A", seq=1001, ack=5001, payload=b"x", time_ns=START + 400 * MS)]


def fin_repeated() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "FA", time_ns=START + 3 * MS)]
    return [*frames, talk.segment(0, "FA", seq=1001, ack=5001, time_ns=START + 400 * MS)]


def beyond_the_window() -> list[Frame]:
    talk = Conversation()
    frames = [*talk.handshake(), *talk.exchange(bytes(9), bytes(9), START + 4 * MS)]
    wild = talk.segment(0, "A", seq=1010 + 2**31 - 100, ack=5010, payload=bytes(9), time_ns=START + 8 * MS)
    return [*frames, wild, talk.say(0, "A", bytes(50), time_ns=START + 400 * MS)]


@pytest.mark.tshark
@pytest.mark.parametrize(
    ("conversation", "ours", "theirs"),
    [
        (repeated, 1, True),
        (repeated_after_its_ack, 1, True),  # Wireshark: spurious, which is a retransmission as well
        (fin_repeated, 1, True),
        (late_by_a_second, 1, True),
        (probed, 0, False),
        # Below the highest octet is a repetition for us, whenever it comes: what the point missed it may have missed itself.
        # Wireshark calls it out of order where it is not later than the round trip after the segment before it.
        (late_by_one_ms, 1, False),
        # Wireshark calls any segment that begins below the highest octet a retransmission. For us it moves the stream on.
        (with_new_octets, 0, True),
        # Wireshark takes every octet at SND.NXT - 1 for a keep-alive. For us that needs all to have been acknowledged,
        # since a probe is sent when nothing is outstanding (RFC 9293 section 3.8.4).
        (probed_unacknowledged, 1, False),
        # Wireshark follows a segment wherever it is; then the next octets that are due seem old. For us the receiver
        # would not have taken it (RFC 9293 section 3.10.7.4).
        (beyond_the_window, 0, True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_where_retransmissions_are_tsharks_and_where_not(tmp_path, conversation, ours, theirs):
    path = write_pcap(tmp_path / "frames.pcap", conversation())
    assert int(flows_of(path).segments["label"][-1]) == ours
    assert bool(tshark(path)[-1][REPEATS]) is theirs
