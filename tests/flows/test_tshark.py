"""Flows against tshark's TCP analysis: frame by frame on every capture, and the conversations in which our own labels differ."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixcni.decode import decode_packets
from mixcni.errors import CaptureError
from mixcni.flows import FlowTable, track_flows
from mixcni.read import CaptureFile
from mixcni.schema import Label, TcpFlag
from tests.cases import CAPTURES
from tests.flows.noise import noisy
from tests.wire import MS, START, Conversation, Frame, write_pcap

CASES = sorted(CAPTURES.glob("*/*.pcap"))
SAMPLES = sorted(path for path in (Path(__file__).parents[1] / "samples" / "pcaps").iterdir() if ".pcap" in path.name)
LABEL_OF = {f"tcp.analysis.{label.name.lower()}": label for label in Label if label.name}
PROGRESS = ("tcp.completeness", "tcp.analysis.initial_rtt")
LABEL_OF["tcp.analysis.reused_ports"] = LABEL_OF.pop("tcp.analysis.port_reused")
FIELDS = ("frame.number", "tcp.stream", "tcp.flags", *PROGRESS, *LABEL_OF)
WITHOUT_QUOTES = ("--disable-protocol", "icmp", "--disable-protocol", "icmpv6")  # TCP headers that ICMP errors quote

NOT_BOTH = {
    ("snaplen-short-tcp-header.pcap", 1): "the captured header ends before its 20th octet: it is not decoded",
}
"""Frames that are a segment for us alone, or for tshark alone."""


def tshark(path: Path) -> list[dict[str, str]]:
    """The fields of every TCP segment."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    command = ["tshark", "-r", str(path), *WITHOUT_QUOTES, "-Y", "tcp", "-T", "fields", *wanted]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]


def labels_of(row: dict[str, str]) -> Label:
    """The labels that tshark gives a segment."""
    found = Label(0)
    for name, label in LABEL_OF.items():
        if row[name]:
            found |= label
    return found


def tcp_segments(flows: FlowTable) -> Any:
    return flows.segments.to_frame()[flows["protocol"][flows.segments["flow"]] == 6]


def flows_of(path: Path) -> FlowTable:
    return track_flows(decode_packets([CaptureFile(path, strict=True)]))


@pytest.mark.tshark
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_streams_and_flags_are_tsharks(path):
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


@pytest.mark.tshark
def test_a_syn_in_the_midst_of_a_connection_begins_a_stream_and_takes_it_only_from_tshark(tmp_path):
    talk = Conversation()
    frames = [*talk.handshake(), *talk.exchange(b"GET", b"200", START + 4 * MS)]
    syn = len(frames)
    frames.append(talk.segment(0, "S", seq=77_000, ack=0, time_ns=START + 8 * MS))
    frames += [talk.say(1, "A", time_ns=START + 9 * MS), *talk.exchange(b"GET", b"200", START + 10 * MS)]
    path = write_pcap(tmp_path / "stray.pcap", frames)
    flows = flows_of(path)
    assert [int(row["tcp.stream"]) for row in tshark(path)] == [0] * syn + [1] * (len(frames) - syn)
    assert flows.segments["flow"].tolist() == [0] * syn + [1] + [0] * (len(frames) - syn - 1)
    assert labels_of(tshark(path)[syn]) == Label(int(flows.segments["label"][syn])) == Label.PORT_REUSED


def by_frame(path: Path) -> tuple[dict[int, Label], dict[int, Label]]:
    """The labels of each TCP frame: as we give Wireshark's, and as tshark does."""
    theirs = {int(row["frame.number"]): labels_of(row) for row in tshark(path)}
    try:
        table = decode_packets([CaptureFile(path)])
    except CaptureError:
        return {}, theirs
    segments = tcp_segments(track_flows(table))
    frames = table["frame_number"][segments["packet"]].tolist()
    return dict(zip(frames, map(Label, segments["label_wireshark"].tolist()), strict=True)), theirs


@pytest.mark.tshark
@pytest.mark.parametrize("path", [*CASES, *SAMPLES], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_labels_are_tsharks_frame_by_frame(path):
    ours, theirs = by_frame(path)
    excepted = {frame for name, frame in NOT_BOTH if name == path.name}
    assert ours.keys() ^ theirs.keys() == excepted
    assert {f: label for f, label in ours.items() if f not in excepted} == {
        f: label for f, label in theirs.items() if f not in excepted
    }


@pytest.mark.tshark
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_completeness_and_the_round_trip_of_the_handshake_are_tsharks(path):
    """tshark prints what it knew before each segment: one more is needed behind the last, the first of the stream again."""
    flows = flows_of(path)
    tcp = flows["protocol"] == 6
    rtts: dict[str, int] = {}
    for row in tshark(path):
        if row["tcp.analysis.initial_rtt"]:
            rtts[row["tcp.stream"]] = round(float(row["tcp.analysis.initial_rtt"]) * 1e9)
    measured = flows["handshake_rtt_ns"][tcp]
    repeated = flows["retransmissions"][tcp] > 0
    assert [rtt for rtt, again in zip(measured.tolist(), repeated, strict=True) if rtt >= 0 and not again] == [
        rtts[str(stream)] for stream in range(measured.size) if measured[stream] >= 0 and not repeated[stream]
    ]
    two_passes = ["tshark", "-2", "-r", str(path), *WITHOUT_QUOTES, "-Y", "tcp", "-T", "fields"]
    command = [*two_passes, "-e", "tcp.stream", "-e", "tcp.completeness"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    last = dict(line.split("\t") for line in lines)
    assert flows["completeness"][tcp].tolist() == [int(last[str(stream)]) for stream in range(len(last))]


@pytest.mark.tshark
@pytest.mark.parametrize("seed", range(3))
def test_labels_are_tsharks_for_connections_that_go_wrong_in_every_way(tmp_path, seed):
    ours, theirs = by_frame(write_pcap(tmp_path / "noisy.pcap", noisy(seed, 100)))
    assert ours == theirs
    seen = Label(0)
    for label in theirs.values():
        seen |= label
    assert seen | Label.KEEP_ALIVE_ACK | Label.ZERO_WINDOW_PROBE_ACK == Label(0x7FFF)


@pytest.mark.tshark
@pytest.mark.parametrize("seed", range(2))
def test_labels_are_tsharks_for_connections_with_options_of_mptcp(tmp_path, seed):
    """A new operation keeps an acknowledgment from being a duplicate (RFC 8684 section 4; packet-tcp.c, mp_operations)."""
    frames = noisy(seed, 100, multipath=True)
    ours, theirs = by_frame(write_pcap(tmp_path / "multipath.pcap", frames))
    assert ours == theirs
    plain = [frame for frame, label in theirs.items() if Label.DUPLICATE_ACK in label]
    assert plain


TOTAL_LENGTH, DATA_OFFSET = 16, 46  # in a frame of Ethernet and IPv4


@pytest.mark.tshark
@pytest.mark.parametrize(
    ("at", "octets", "kept"),
    [
        (TOTAL_LENGTH, b"\x05\xdc", Label.DUPLICATE_ACK),  # an IP packet longer than its frame ends where that does
        (DATA_OFFSET, b"\xf0", Label(0)),  # of a TCP header longer than its packet the length of the payload is unknown
    ],
    ids=["total length", "header length"],
)
def test_labels_are_tsharks_where_a_length_is_wrong(tmp_path, at, octets, kept):
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]
    answer = talk.say(1, "A", time_ns=START + 4 * MS)
    frames += [answer, answer.at(START + 5 * MS), talk.segment(0, "S", seq=77_000, time_ns=START + 6 * MS)]
    for number in (5, 6):
        whole = frames[number].octets
        frames[number] = frames[number]._replace(octets=whole[:at] + octets + whole[at + len(octets) :])
    ours, theirs = by_frame(write_pcap(tmp_path / "lengths.pcap", frames))
    assert ours == theirs
    assert (ours[6], ours[7]) == (kept, kept and Label.PORT_REUSED)


@pytest.mark.tshark
@pytest.mark.parametrize("marks", ["----", "DDDD", "-D-D", "DADA", "DRRD", "PPP", "D--", "JJJ", "FFF", "QQQ", "TTT"])
@pytest.mark.parametrize("handshake", [True, False], ids=["mp_capable", "plain"])
def test_which_acknowledgments_are_duplicates_in_mptcp(tmp_path, handshake, marks):
    """The same acknowledgment again and again, with one operation after the other."""
    capable = [bytes.fromhex(text) for text in ("1e040101", "1e0c0101" + "42" * 8, "1e140101" + "41" * 8 + "42" * 8)]
    talk, frames = Conversation(), []
    for number, (side, flags) in enumerate(((0, "S"), (1, "SA"), (0, "A"))):
        options = capable[number] if handshake else b""
        frames.append(talk.say(side, flags, time_ns=START + number * MS, options=options))
    frames.append(talk.say(0, "A", bytes(100), time_ns=START + 3 * MS))
    for number, mark in enumerate(marks, 4):
        options = bytes.fromhex(OPERATION[mark])
        frames.append(talk.segment(1, "A", seq=5001, ack=1101, time_ns=START + number * MS, options=options))
    ours, theirs = by_frame(write_pcap(tmp_path / "multipath.pcap", frames))
    assert ours == theirs


OPERATION = {
    "-": "", "D": "1e0820010000000a", "A": "1e0830040a000007", "R": "1e044005", "P": "1e045105", "J": "1e181000" + "68" * 20,
    "F": "1e0c6000" + "71" * 8, "Q": "1e0c7000" + "6b" * 8, "T": "1e048001",
}  # fmt: skip
"""Options of MPTCP by their subtypes (RFC 8684 section 3): DSS, ADD_ADDR, REMOVE_ADDR, MP_PRIO, MP_JOIN, MP_FAIL and so on."""


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


def behind_its_acknowledgment() -> list[Frame]:
    """The two directions captured in the wrong order."""
    talk = Conversation()
    frames = talk.handshake()
    data = talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)
    return [*frames, talk.say(1, "A", time_ns=START + 4 * MS), data.at(START + 5 * MS)]


def window_closed() -> list[Frame]:
    """A probe of a closed window, twice, and the answer to it."""
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]
    frames.append(talk.say(1, "A", time_ns=START + 4 * MS, window=0))
    times = (START + 400 * MS, START + 900 * MS)
    return [*frames, *(talk.segment(0, "A", seq=1101, ack=5001, payload=b"x", time_ns=time_ns) for time_ns in times)]


def twice() -> list[Frame]:
    """An acknowledgment captured twice, 50 us apart."""
    talk = Conversation()
    frames = [*talk.handshake(), talk.say(0, "A", bytes(100), time_ns=START + 3 * MS)]
    heard = talk.say(1, "A", time_ns=START + 4 * MS, ip_id=9)
    return [*frames, heard, heard.at(START + 4 * MS + 50_000)]


R, FAST, SPURIOUS, LATE = (
    Label.RETRANSMISSION, Label.FAST_RETRANSMISSION, Label.SPURIOUS_RETRANSMISSION, Label.OUT_OF_ORDER,
)  # fmt: skip


@pytest.mark.tshark
@pytest.mark.parametrize(
    ("conversation", "ours", "theirs"),
    [
        (repeated, R, R),
        (repeated_after_its_ack, R | SPURIOUS, R | SPURIOUS),
        (fin_repeated, R, R),
        (probed, Label.KEEP_ALIVE, Label.KEEP_ALIVE),
        (late_by_one_ms, LATE, LATE),
        (window_closed, Label.ZERO_WINDOW_PROBE, Label.ZERO_WINDOW_PROBE),
        # Octets never seen before are out of order, however late: Wireshark asks whether they come within a round trip, and
        # takes them for the repetition of a segment that nobody saw if not.
        (late_by_a_second, LATE, R),
        (behind_its_acknowledgment, LATE, R | SPURIOUS),
        # Wireshark calls any segment that begins below the highest octet a retransmission. For us it moves the stream on.
        (with_new_octets, Label(0), R),
        # Wireshark takes every octet at SND.NXT - 1 for a keep-alive. For us that needs all to have been acknowledged,
        # since a probe is sent when nothing is outstanding (RFC 9293 section 3.8.4).
        (probed_unacknowledged, R, Label.KEEP_ALIVE),
        # Wireshark follows a segment wherever it is; then the next octets that are due seem old. For us the receiver
        # would not have taken it (RFC 9293 section 3.10.7.4).
        (beyond_the_window, Label(0), R),
        # To Wireshark a copy is another packet.
        (twice, Label(0), Label.DUPLICATE_ACK),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_where_labels_are_tsharks_and_where_not(tmp_path, conversation, ours, theirs):
    path = write_pcap(tmp_path / "frames.pcap", conversation())
    assert Label(int(flows_of(path).segments["label"][-1])) == ours
    assert labels_of(tshark(path)[-1]) == theirs
