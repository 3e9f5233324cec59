"""Room for the rows that are still to come: reserved once by the size of the file, and no more than memory may hold."""

import numpy as np
import pytest

from mixcni.decode import packets
from mixcni.read import CaptureFile, FrameBlock
from mixcni.schema import PACKETS, TIMESTAMPS
from tests.wire import START, Frame, write_pcap

SCHEMAS = {"packets": PACKETS, "timestamps": TIMESTAMPS}
CUT_IN_A_VLAN = bytes(12) + b"\x81\0\0\x05\x08\0\x45"
OCTETS = bytes(84)  # with its record's header 100 octets of file


def block_of(path, frames, behind):
    """The first block of a capture of so many frames, as if `behind` octets followed in its file."""
    (block,) = CaptureFile(write_pcap(path, [Frame(START, OCTETS)] * frames)).blocks()
    return FrameBlock(block.octets.copy(), block.frames, 1, behind)


@pytest.mark.parametrize("behind", [0, 50_000, 10_000_000])
def test_rows_are_reserved_for_frames_like_those_that_came(tmp_path, behind):
    builder = packets._Builder()
    builder.add(block_of(tmp_path / "A.pcap", 10, behind), 0)
    room = builder.packets.arrays["time_ns"].size
    assert 10 + behind // 100 <= room <= 11 + int(1.05 * behind / 100)
    assert len(builder.table([tmp_path])) == 10


def test_a_stated_size_reserves_no_more_than_the_limit(tmp_path, monkeypatch):
    """A sparse file may state exbibytes."""
    monkeypatch.setattr(packets, "MOST_EXPECTED", 1000)
    builder = packets._Builder()
    for turn in range(150):  # the limit is on what is expected, not on what comes
        builder.add(block_of(tmp_path / "A.pcap", 10, 1 << 60), 0)
        assert builder.packets.rows == 10 * (turn + 1)
    assert builder.packets.arrays["time_ns"].size < 3000
    assert np.all(builder.table([tmp_path])["captured_length"] == len(OCTETS))


def test_growth_keeps_the_rows_that_are_there(tmp_path):
    builder = packets._Builder()
    for turn in range(40):
        builder.add(block_of(tmp_path / "A.pcap", 7, 0), turn)
    table = builder.table([tmp_path])
    assert table["file"].tolist() == [turn for turn in range(40) for _ in range(7)]
    assert table["frame_number"].tolist() == list(range(1, 8)) * 40


def test_a_row_takes_no_more_than_a_line_of_the_cache():
    """Timestamps, which nearly all segments have, take 12 octets beside."""
    size = {name: sum(np.dtype(column.dtype).itemsize for column in schema.values()) for name, schema in SCHEMAS.items()}
    assert size["packets"] <= 64
    assert size["timestamps"] == 12


def test_rows_that_are_used_again_keep_nothing_of_what_was_there(tmp_path):
    """Columns that are mostly 0 are written only where they are not."""
    builder = packets._Builder()
    odd = CaptureFile(write_pcap(tmp_path / "A.pcap", [Frame(START, CUT_IN_A_VLAN)] * 3))
    for block in odd.blocks():
        builder.add(block, 1)
    columns = builder.packets.arrays
    assert all(columns[name][:3].all() for name in ("oddity", "stack", "file"))
    builder.forget_rows()
    builder.add(block_of(tmp_path / "B.pcap", 2, 0), 0)
    assert not any(columns[name][:3].any() for name in ("oddity", "stack", "file"))
