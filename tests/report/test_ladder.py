"""The ladder: one rung a segment, its frames in a column a point, the gap where a copy is missing."""

from pathlib import Path

import pytest

import mixcni
from mixcni.errors import ParameterError
from mixcni.report import Report
from tests.cases import CAPTURES, FOUNDING
from tests.wire import MS, START, Conversation, Frame, write_pcap


def report_on(tmp_path: Path, **frames: list[Frame]) -> Report:
    return mixcni.diagnose(
        mixcni.case_of_files({name: [write_pcap(tmp_path / f"{name}.pcap", some)] for name, some in frames.items()})
    )


def later(frames: list[Frame], delay_ns: int) -> list[Frame]:
    return [frame.at(frame.time_ns + delay_ns) for frame in frames]


def test_a_lost_syn_and_its_repetitions() -> None:
    report = mixcni.diagnose(CAPTURES / FOUNDING)
    lost = report.exchanges[report.exchanges["fate"] == "lost"]
    assert str(report.ladder(int(lost["conversation"].iloc[0]))).splitlines() == [
        "10.244.3.7:60820 → 10.242.2.149:8080",
        "       seconds     segment      A    B  C",
        "      0.000000  →  SYN         #3   #3  ·",
        "      1.005034  →  SYN again   #7   #7  ·",
        "      3.021040  →  SYN again  #11  #11  ·",
        "  · not in this capture",
    ]


def test_the_copy_that_came_through_is_the_one_that_is_nearest_in_time(tmp_path: Path) -> None:
    talk = Conversation()
    syn = talk.say(0, "S")
    again = syn.at(START + 1000 * MS)
    rest = [talk.say(1, "SA", time_ns=START + 1001 * MS), talk.say(0, "A", time_ns=START + 1002 * MS)]
    report = report_on(tmp_path, A=[syn, again, *rest], B=later([again, *rest], MS // 10))
    assert str(report.ladder(0)).splitlines()[2:5] == [
        "      0.000000  →  SYN        #1   ·",
        "      1.000000  →  SYN again  #2  #1",
        "      1.001000  ←  SYN-ACK    #3  #2",
    ]


def test_octets_that_offload_cut_otherwise_are_there_all_the_same(tmp_path: Path) -> None:
    talk = Conversation()
    opening = talk.handshake()
    whole = talk.segment(0, "PA", seq=talk.next[0], ack=talk.next[1], payload=b"x" * 3000, time_ns=START + 5 * MS)
    halves = [
        talk.say(0, "PA", b"x" * 1500, time_ns=START + 5 * MS),
        talk.say(0, "PA", b"x" * 1500, time_ns=START + 5 * MS),
    ]
    report = report_on(tmp_path, A=[*opening, whole], B=later([*opening, *halves], MS // 10))
    lines = str(report.ladder(0)).splitlines()
    assert [line.split()[-2:] for line in lines[5:8]] == [["#4", "~"], ["~", "#4"], ["~", "#5"]]
    assert lines[-1] == "  ~ carried there in segments of another size"


def test_a_long_conversation_is_cut_in_the_middle_with_a_count(tmp_path: Path) -> None:
    talk = Conversation()
    frames = talk.handshake()
    for i in range(200):
        frames += talk.exchange(b"question", b"answer", START + (10 + 5 * i) * MS)
    ladder = str(report_on(tmp_path, A=frames).ladder(0)).splitlines()
    assert len(ladder) == 2 + 400 + 1
    assert "  … 203 segments left out …" in ladder


def test_a_conversation_that_is_not_there_is_named_with_the_range(tmp_path: Path) -> None:
    report = report_on(tmp_path, A=Conversation().handshake())
    with pytest.raises(ParameterError, match=r"conversation must be in \[0, 1\), got 1"):
        report.ladder(1)
