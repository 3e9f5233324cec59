"""Chosen frames, read from where lengths say that they stand: the same octets as a whole reading gives."""

import numpy as np
import pytest

from mixcni.errors import UnreadableCapture
from mixcni.read import chosen
from mixcni.read.chosen import ReadFrames, read_chosen
from tests.read.reading import read
from tests.read.test_pcap import LITTLE, VARIANTS, pcap, written

COUNT = 600


def many_frames(magic, **options):
    random = np.random.default_rng(7)
    sizes = np.where(random.random(COUNT) < 0.1, random.integers(3_000, 9_000, COUNT), random.integers(0, 200, COUNT)).tolist()
    records = [(10 + n, n, random.bytes(size), size + n % 3, None) for n, size in enumerate(sizes)]
    return pcap(magic, records, **options)


def as_read(path):
    """Every frame of a file, and the columns that a PacketTable keeps of them."""
    records, _ = read(path)
    columns = [(len(record.octets), record.original, record.time_ns) for record in records]
    captured, original, time_ns = (np.array(column, dtype=np.int64) for column in zip(*columns, strict=True))
    return records, ReadFrames(captured.astype(np.uint32), original.astype(np.uint32), time_ns)


def given(path, columns, rows):
    """(octets, length on the wire, time, link type) of each frame that is given."""
    found = []
    for octets, frames in read_chosen(path, columns, np.array(rows)):
        for start, size, original, time_ns, link_type in zip(*(column.tolist() for column in frames[:5]), strict=True):
            found.append((octets[start : start + size].tobytes(), original, time_ns, link_type))
    return found


@pytest.mark.parametrize("magic", [m for _, m in VARIANTS], ids=[name for name, _ in VARIANTS])
@pytest.mark.parametrize("rows", [range(COUNT), range(0, COUNT, 7), [0], [COUNT - 1], [3, 4, 500]])
def test_chosen_frames_are_those_of_a_whole_reading(tmp_path, monkeypatch, magic, rows):
    monkeypatch.setattr(chosen, "READ_OCTETS", 1 << 13)
    path = written(tmp_path, many_frames(magic, link_type=113))
    records, columns = as_read(path)
    expected = [(records[row].octets, records[row].original, records[row].time_ns, 113) for row in rows]
    assert given(path, columns, list(rows)) == expected


@pytest.mark.parametrize("field", [0, 4, 8, 12], ids=["seconds", "fraction", "captured length", "original length"])
def test_nothing_is_given_from_where_a_record_is_another(tmp_path, monkeypatch, field):
    monkeypatch.setattr(chosen, "READ_OCTETS", 1)  # a frame at a time
    octets = bytearray(many_frames(LITTLE))
    path = written(tmp_path, octets)
    records, columns = as_read(path)
    octets[24 + int(columns.captured[:9].sum()) + 9 * 16 + field] ^= 1
    written(tmp_path, octets)
    assert [frame[0] for frame in given(path, columns, range(20))] == [record.octets for record in records[:9]]


def test_nothing_is_given_behind_the_end_of_a_file_that_was_cut(tmp_path):
    octets = many_frames(LITTLE)
    path = written(tmp_path, octets)
    _, columns = as_read(path)
    written(tmp_path, octets[:-1])
    assert given(path, columns, [COUNT - 1]) == []
    assert len(given(path, columns, [COUNT - 2])) == 1


@pytest.mark.parametrize("octets", [b"", LITTLE, b"\x0a\x0d\x0d\x0a" + bytes(60), pcap(LITTLE, [], version=(2, 2))])
def test_nothing_is_given_of_what_is_no_plain_pcap_of_today(tmp_path, octets):
    path = written(tmp_path, octets)
    assert given(path, ReadFrames(*np.zeros((3, 1), dtype=np.int64)), [0]) == []


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UnreadableCapture, match=r"gone\.pcap"):
        given(tmp_path / "gone.pcap", ReadFrames(*np.zeros((3, 1), dtype=np.int64)), [0])
