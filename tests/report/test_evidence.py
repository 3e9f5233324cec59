"""The evidence file: the right frames, of all points, on one clock, each with a word on what it shows."""

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

import mixcni
from mixcni.decode import decode_packets
from mixcni.errors import ParameterError
from mixcni.read import CaptureFile
from mixcni.report import Report
from mixcni.report.evidence import save_evidence
from mixcni.report.octets import frames_of
from mixcni.report.pcapng import InterfaceBlock, PacketBlock, write_pcapng
from mixcni.report.wireshark import conversation_filter, finding_filter, frames_filter
from tests.cases import CAPTURES, FOUNDING
from tests.scene import Talk, captured
from tests.wire import MS, START, Frame, S, write_pcap

Row = tuple[int, int, int, bytes]


def read_back(path: Path) -> tuple[CaptureFile, list[Row]]:
    """The file, and (interface, time, original length, octets) of each frame, by mixcni's own reader."""
    capture = CaptureFile(path, strict=True)
    rows: list[Row] = []
    for block in capture.blocks():
        frames = block.frames
        for i in range(frames.start.size):
            octets = block.octets[int(frames.start[i]) :][: int(frames.captured[i])].tobytes()
            rows.append((int(frames.interface[i]), int(frames.time_ns[i]), int(frames.original[i]), octets))
    return capture, rows


def scene_report(tmp_path: Path, *talks: Talk, raw: str = "", **more: object) -> Report:
    """The diagnosis of captures of what was said; the points in `raw` captured without Ethernet."""
    files = {}
    for name, frames in captured(list(itertools.chain(*(talk.sent for talk in talks))), **more).items():  # type: ignore[arg-type]
        written = [frame._replace(octets=frame.octets[14:]) for frame in frames] if name in raw else frames
        files[name] = [write_pcap(tmp_path / f"{name}.pcap", written, link_type=101 if name in raw else 1)]
    return mixcni.diagnose(mixcni.case_of_files(files))


def lossy() -> list[Talk]:
    good, bad = Talk(), Talk(initiator=("10.244.3.7", 41001))
    good.handshake(0)
    good.exchange(100)
    good.exchange(9000)
    bad.repeated([200, 1200, 3200], 0, "S", lost="BC")
    return [good, bad]


def test_every_frame_is_one_of_the_captures_octet_for_octet() -> None:
    report = mixcni.diagnose(CAPTURES / FOUNDING)
    originals = {name: {row[3] for row in read_back(CAPTURES / FOUNDING / f"{name}.pcap")[1]} for name in "ABC"}
    for position, flows in enumerate(report.localisation.alignment.points):
        some = list(frames_of(flows.packets, np.array([0, 3, len(flows.packets) - 1])))
        assert [frame.row for frame in some] == [0, 3, len(flows.packets) - 1]
        assert {frame.octets for frame in some} <= originals["ABC"[position]]


def test_frames_are_found_in_any_block_of_any_file(tmp_path: Path) -> None:
    count = 40_000  # of which a block has fewer
    frames = [Frame(START + i, i.to_bytes(60, "big")) for i in range(count)]
    paths = [write_pcap(tmp_path / "a.pcap", frames), write_pcap(tmp_path / "b.pcap", frames[:100])]
    packets = decode_packets([CaptureFile(path) for path in paths])
    rows = np.array([0, 1, 7_999, 32_767, 32_768, count - 1, count, count + 99])
    found = [(frame.row, int.from_bytes(frame.octets, "big")) for frame in frames_of(packets, rows)]
    assert found == [(row, row % count) for row in rows.tolist()]


def test_the_lost_conversation_is_whole_and_the_answered_ones_are_left_out(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy())
    capture, rows = read_back(report.save(tmp_path / "x.pcapng"))
    assert [interface.name for interface in capture.interfaces] == ["A", "B", "C"]
    texts = [comment.text for comment in capture.comments if comment.frame_number]
    assert len(texts) == len(rows)
    lost = [row[0] for row, text in zip(rows, texts, strict=True) if text.startswith("conversation 1,")]
    assert sorted(lost) == [0, 0, 0, 1, 1, 1]
    assert all("policy_denied_ingress: in the same capture" in text for text in texts if "conversation 1," not in text)
    texts = [text for text in texts if text.startswith("conversation 1,")]
    assert "SYN; at B as frame" in texts[0]
    assert "not at C; exchange 0: request lost between B and C" in texts[0]
    assert texts[2].count("SYN again") == 1
    assert "(A.pcap, frame" in texts[0]


def test_a_packet_in_fragments_is_written_with_all_of_them(tmp_path: Path) -> None:
    talk = Talk()
    talk.handshake(0)
    talk.exchange(100)
    files = {}
    for name, frames in captured(talk.sent).items():
        whole = frames[3]  # the request
        parts = [Frame(whole.time_ns + i, bytes(part)) for i, part in enumerate(Ether(whole.octets)[IP].fragment(16))]
        parts = [part._replace(octets=whole.octets[:14] + part.octets) for part in parts]
        assert len(parts) > 2
        files[name] = [write_pcap(tmp_path / f"{name}.pcap", [*frames[:3], *parts, *frames[4:]])]
    report = mixcni.diagnose(mixcni.case_of_files(files))
    out = tmp_path / "evidence.pcapng"
    save_evidence(report, out, [0])
    expected = {row[3] for paths in files.values() for path in paths for row in read_back(path)[1]}
    assert {row[3] for row in read_back(out)[1]} == expected


def test_times_are_on_the_first_points_clock(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy(), offsets={"B": 5 * S, "C": -7 * S})
    _, rows = read_back(report.save(tmp_path / "x.pcapng"))
    rows = [row for row in rows if row[0] < 2]
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    seen = {(row[0], row[3][46:50]): row[1] for row in rows}
    assert all(START + 200 * MS <= time <= START + 3300 * MS for time in seen.values())
    by_interface = [[row[1] for row in rows if row[0] == i] for i in (0, 1)]
    assert all(0 <= b - a <= 2 * MS for a, b in zip(*by_interface, strict=True))


def test_each_interface_keeps_its_link_type(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy(), raw="B")
    capture, rows = read_back(report.save(tmp_path / "x.pcapng"))
    assert [interface.link_type for interface in capture.interfaces] == [1, 101, 1]
    assert {row[3][:1] for row in rows if row[0] == 1} == {b"\x45"}


def test_chosen_conversations_and_no_other(tmp_path: Path) -> None:
    report = scene_report(tmp_path, *lossy())
    written = save_evidence(report, tmp_path / "x.pcapng", [0])
    _, rows = read_back(tmp_path / "x.pcapng")
    assert written == (len(rows), 1) == (3 * 9, 1)
    with pytest.raises(ParameterError, match=r"conversation must be in \[0, 2\), got 2"):
        save_evidence(report, tmp_path / "y.pcapng", [2])
    assert not (tmp_path / "y.pcapng").exists()


def test_where_nothing_was_lost_some_answered_conversations_are_shown(tmp_path: Path) -> None:
    talk = Talk()
    talk.handshake(0)
    talk.exchange(100)
    capture, rows = read_back(scene_report(tmp_path, talk).save(tmp_path / "x.pcapng"))
    assert len(rows) == 18
    assert any("exchange 1: answered" in comment.text for comment in capture.comments)


def tool(*arguments: object) -> str:
    done = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if "as user" not in line]
    assert said == []
    return done.stdout


@pytest.mark.tshark
@pytest.mark.parametrize("name", [FOUNDING, "policy-removed"])
def test_wiresharks_tools_take_it_without_a_word(name: str, tmp_path: Path) -> None:
    path = mixcni.diagnose(CAPTURES / name).save(tmp_path / "x.pcapng")
    fields = [
        part for field in ("frame.interface_name", "frame.time_epoch", "frame.len", "frame.comment") for part in ("-e", field)
    ]
    lines = [line.split("\t") for line in tool("tshark", "-r", path, "-T", "fields", *fields).splitlines()]
    _, rows = read_back(path)
    assert [(line[0], line[1].replace(".", ""), line[2]) for line in lines] == [
        ("ABC"[row[0]], str(row[1]), str(row[2])) for row in rows
    ]
    assert all(line[3] for line in lines)
    assert "nanoseconds" in tool("capinfos", path)
    tool("mergecap", "-w", tmp_path / "merged.pcapng", path, path)
    assert len(read_back(tmp_path / "merged.pcapng")[1]) == 2 * len(rows)


@pytest.mark.tshark
def test_display_filters_select_what_they_say() -> None:
    report = mixcni.diagnose(CAPTURES / FOUNDING)
    file = CAPTURES / FOUNDING / "A.pcap"

    def selected(text: str) -> list[int]:
        return list(map(int, tool("tshark", "-r", file, "-Y", text, "-T", "fields", "-e", "frame.number").split()))

    rows = report.exchanges[report.exchanges["fate"] == "lost"]
    every = sorted(frame for frames in rows["frames"] for frame in frames["A"])
    assert selected(finding_filter(report.localisation, report.findings_found[0])) == every
    assert selected(conversation_filter(report.localisation, 3)) == [3, 7, 11]
    assert selected(frames_filter([3, 4, 5, 9, 11, 10])) == [3, 4, 5, 9, 10, 11]


@pytest.mark.parametrize(
    ("frames", "text"),
    [([3], "frame.number in {3}"), ([5, 3, 4], "frame.number in {3..5}"), ([1, 2, 9], "frame.number in {1..2, 9}")],
)
def test_frames_that_follow_one_another_are_a_range(frames: list[int], text: str) -> None:
    assert frames_filter(frames) == text


def test_long_and_odd_text_is_cut_at_a_whole_character(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with path.open("wb") as stream:
        packet = PacketBlock(0, 2**62, 3, b"abc", "é" * 5000 + "\x00")
        write_pcapng(stream, [InterfaceBlock("\x1b[0m", "", 1)], [packet], program="p", comment="", drops=[7])
    capture, rows = read_back(path)
    assert rows == [(0, 2**62, 3, b"abc")]
    assert capture.comments[-1].text == "é" * 1000
    assert (capture.interfaces[0].name, capture.interfaces[0].dropped) == ("\\x1b[0m", 7)
