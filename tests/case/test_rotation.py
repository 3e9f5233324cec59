"""Rotated sets: in the order of their packets' time whatever their names, and a missing file is said."""

from pathlib import Path

import pytest

import mixcni
from mixcni.case.rotation import in_time_order, missing_files
from tests.wire import MS, START, Conversation, S, write_pcap


def test_files_stand_in_the_order_of_their_packets(tmp_path: Path) -> None:
    """tcpdump -C numbers A.pcap, A.pcap1 ... A.pcap10: by name the tenth stands before the second."""
    talk = Conversation()
    frames = [talk.say(0, "S", time_ns=START), talk.say(1, "SA", time_ns=START + MS), talk.say(0, "A", time_ns=START + 2 * MS)]
    for name, frame in zip(("A.pcap", "A.pcap2", "A.pcap10"), frames, strict=True):
        write_pcap(tmp_path / name, [frame])
    case = mixcni.open_case(tmp_path)
    assert [file.name for file in case.points[0].captures] == ["A.pcap", "A.pcap2", "A.pcap10"]
    assert mixcni.diagnose(case).verdict == "no_loss"


def test_files_without_packets_stay_where_their_names_put_them(tmp_path: Path) -> None:
    frames = Conversation().handshake()
    paths = [
        write_pcap(tmp_path / "A-1.pcap", frames[1:2]),
        write_pcap(tmp_path / "A-2.pcap", []),
        write_pcap(tmp_path / "A-3.pcap", frames[:1]),
    ]
    assert [path.name for path in in_time_order(paths)] == ["A-3.pcap", "A-1.pcap", "A-2.pcap"]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["B_00001.pcap", "B_00002.pcap", "B_00005.pcap"], "files 3, 4 of 1 to 5"),
        (["B-1.pcap", "B-3.pcap"], "file 2 of 1 to 3"),
        (["B_00001_20221212083000.pcapng", "B_00003_20221212085000.pcapng"], "file 2 of 1 to 3"),
        (["B_00001.pcap", "B_00002.pcap"], None),
        (["B_20221212083000.pcap", "B_20221212093000.pcap"], None),
        (["B.pcap"], None),
        (["eth0.pcap", "eth1.pcap"], None),
    ],
)
def test_a_missing_number_is_named(names: list[str], missing: str | None) -> None:
    assert missing_files([Path(name) for name in names]) == missing


def test_a_hole_in_a_point_is_an_assumption_of_the_report(tmp_path: Path) -> None:
    frames = Conversation().handshake()
    write_pcap(tmp_path / "A-1.pcap", frames[:1])
    write_pcap(tmp_path / "A-3.pcap", frames[1:])
    assert any("point A lacks file 2 of 1 to 3" in sentence for sentence in mixcni.diagnose(tmp_path).assumptions)


def test_what_a_missing_file_had_is_not_held_against_the_network(tmp_path: Path) -> None:
    """Three files at B, of which the second, with a whole connection that A and C have, is not there."""
    talks = [Conversation(("10.244.3.7", 41_000 + i)) for i in range(3)]
    files = [[*talk.handshake(START + i * S), *talk.exchange(b"q", b"r", START + i * S + 9 * MS)] for i, talk in enumerate(talks)]
    for name in "AC":
        write_pcap(tmp_path / f"{name}.pcap", [frame for frames in files for frame in frames])
    for i, frames in enumerate(files):
        if i != 1:
            write_pcap(tmp_path / f"B_0000{i}.pcap", frames)
    report = mixcni.diagnose(tmp_path)
    assert report.localisation.points[1].holes == ((files[0][-1].time_ns, files[2][0].time_ns),)
    assert report.localisation.rates[1].missed == 0
    assert report.verdict == "no_loss"
