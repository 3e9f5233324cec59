"""What a folder is taken for: points by the names of their files, dumps, and the manifest's word before both."""

from pathlib import Path

import pytest

import mixcni
from mixcni.case.folder import point_name
from mixcni.errors import CaseError
from tests.wire import START, Conversation, S, write_pcap


@pytest.mark.parametrize(
    ("file", "point"),
    [
        ("A.pcap", "A"),
        ("B-0001.pcap.gz", "B"),
        ("C.pcapng", "C"),
        ("node1_20221212083000.pcap", "node1"),
        ("B_00001_20221212083000.pcapng", "B"),
        ("A.pcap12", "A"),
        ("uplink.cap.zst", "uplink"),
        ("eth0-tap", "eth0-tap"),
        ("0001.pcap", "0001"),
    ],
)
def test_a_captures_point_is_its_leading_name(file: str, point: str) -> None:
    assert point_name(file) == point


def test_captures_are_told_by_content_and_everything_else_is_offered_as_a_dump(tmp_path: Path) -> None:
    frames = Conversation().handshake()
    for name in ("A-0001.pcap", "A-0002.pcap", "sub/B.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_pcap(tmp_path / name, frames)
    (tmp_path / "ct.txt").write_text("no capture")
    (tmp_path / ".hidden").write_text("an editor's")
    case = mixcni.open_case(tmp_path)
    assert [(point.name, [file.name for file in point.captures]) for point in case.points] == [
        ("A", ["A-0001.pcap", "A-0002.pcap"]),
        ("B.bin", ["B.bin"]),
    ]
    assert [file.name for file in case.dumps] == ["ct.txt"]
    assert not case.path_given


def test_a_rotated_set_is_one_point_with_frames_by_file(tmp_path: Path) -> None:
    talk = Conversation()
    frames = talk.handshake()
    write_pcap(tmp_path / "A-1.pcap", frames[:1])
    write_pcap(tmp_path / "A-2.pcap", frames[1:])
    report = mixcni.diagnose(tmp_path)
    assert report.points.loc["A", "packets"] == 3
    assert report.to_dict(every_exchange=True)["exchanges"][0]["frames"] == {"A-1.pcap": [1], "A-2.pcap": [1]}


@pytest.mark.parametrize(("begin", "points"), [(0, {"node-1": 1, "node-2": 1, "uplink": 2}), (60 * S, {"node": 2, "uplink": 2})])
def test_numbered_files_of_one_time_are_points_each(begin: int, points: dict[str, int], tmp_path: Path) -> None:
    for name, start in (("node-1", 0), ("node-2", begin), ("uplink-00001", 0), ("uplink-00002", 0)):
        write_pcap(tmp_path / f"{name}.pcap.gz", Conversation().handshake(START + start))
    assert {point.name: len(point.captures) for point in mixcni.open_case(tmp_path).points} == points


def test_files_named_one_by_one_are_a_case(tmp_path: Path) -> None:
    capture = write_pcap(tmp_path / "x.pcap", Conversation().handshake())
    case = mixcni.case_of_files({"A": [capture], "B": [capture]})
    assert case.path_given
    assert [point.name for point in case.points] == ["A", "B"]
    later = write_pcap(tmp_path / "w.pcap", Conversation().handshake(START + S))
    assert mixcni.case_of_files({"A": [later, capture]}).points[0].captures == (capture, later)
    with pytest.raises(CaseError, match="wanted a file, found nothing"):
        mixcni.case_of_files({"A": [tmp_path / "y.pcap"]})
    with pytest.raises(CaseError, match="wanted at least one capture point, found none"):
        mixcni.case_of_files({})


def test_a_manifests_patterns_do_not_leave_the_folder(tmp_path: Path) -> None:
    outside = write_pcap(tmp_path / "outside.pcap", Conversation().handshake())
    folder = tmp_path / "case"
    folder.mkdir()
    (folder / "case.toml").write_text(f'[[point]]\nname = "A"\ncaptures = ["../outside.pcap", "{outside}"]\n')
    with pytest.raises(CaseError, match="1 points without files"):
        mixcni.open_case(folder)


def test_what_is_not_on_the_given_path_is_left_out_and_said(tmp_path: Path) -> None:
    for name in "ABX":
        write_pcap(tmp_path / f"{name}.pcap", Conversation().handshake())
    points = "".join(f'[[point]]\nname = "{name}"\ncaptures = ["{name}.pcap"]\n' for name in "ABX")
    (tmp_path / "case.toml").write_text(f'{points}[path]\nrequest = ["B", "A"]\n[cluster]\ndumps = ["*.txt"]\n')
    case = mixcni.open_case(tmp_path / "case.toml")
    assert [point.name for point in case.points] == ["B", "A"]
    assert case.notes == ("points X are not on the path that case.toml gives: left out", "no dump matches '*.txt'")
