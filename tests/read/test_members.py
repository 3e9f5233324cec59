"""A fault in a gzip member, or a zstd or lz4 frame, costs what it holds: reading goes on at the next that is right to its end.

What is read of a spoiled member before its fault is found may be wrong, as no checksum stands before the end.
"""

import gzip
import os
import random
import threading
from itertools import pairwise

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.errors import CaptureError
from mixcni.read import CaptureFile, unpack
from tests.read.reading import frames_of, read
from tests.read.test_resync import IDS, MAKERS, octets_of, pcap, written

FRAMES = [bytes(random.Random(number).choices(b"GET /items HTTP/1.1", k=200 + number)) for number in range(60)]
SHARES = (0, 15, 30, 45, 61)  # parts of a capture that each member has; part 0 is its header
LITTLE = b"\xd4\xc3\xb2\xa1"


def members(parts, pack, shares=SHARES):
    """A capture in members, which begin at records."""
    return [pack(b"".join(parts[a:b])) for a, b in pairwise(shares)]


def zstd(octets):
    return zstandard.ZstdCompressor(write_checksum=True).compress(octets)


def lz4_checked(octets):
    return bytes(lz4.frame.compress(octets, content_checksum=True))


PACKERS = [gzip.compress, zstd, lz4_checked]
PACKER_IDS = ["gzip", "zstd", "lz4"]


def spoiled(member):
    """A member with some octets of its midst overwritten."""
    at = len(member) // 2
    return member[:at] + bytes(octet ^ 0xFF for octet in member[at : at + 40]) + member[at + 40 :]


@pytest.mark.parametrize("pack", PACKERS, ids=PACKER_IDS)
@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_all_other_members_are_read(tmp_path, make, kind, pack):
    packed = members(make(kind, FRAMES), pack)
    packed[1] = spoiled(packed[1])
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert octets_of(records)[:14] == FRAMES[:14]
    assert octets_of(records)[-31:] == FRAMES[29:]
    (damage,) = [damage for damage in capture.damage if "packed octets behind" in damage.limit]
    assert not damage.truncated
    assert damage.offset >= len(b"".join(make(kind, FRAMES)[:15]))
    with pytest.raises(CaptureError):
        frames_of(CaptureFile(tmp_path / "A", strict=True))


def test_two_spoiled_members_are_damage_each(tmp_path):
    """Between them more octets than any frame holds, so that the records there are certain."""
    frames = [frame * 100 for frame in FRAMES]
    packed = members(pcap(LITTLE, frames), gzip.compress, (0, 12, 24, 40, 52, 61))
    packed[1], packed[3] = spoiled(packed[1]), spoiled(packed[3])
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert set(frames[:11] + frames[23:39] + frames[51:]) <= set(octets_of(records))
    assert sum("packed octets behind" in damage.limit for damage in capture.damage) == 2
    assert octets_of(records) == octets_of(read(tmp_path / "A")[0])


def test_too_few_records_between_two_spoiled_members_are_not_certain(tmp_path):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress, (0, 12, 24, 36, 48, 61))
    packed[1], packed[3] = spoiled(packed[1]), spoiled(packed[3])
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert octets_of(records)[:11] == FRAMES[:11]
    assert octets_of(records)[-13:] == FRAMES[47:]
    assert not set(octets_of(records)) & set(FRAMES[23:35])
    assert sum("packed octets behind" in damage.limit for damage in capture.damage) == 1


def test_two_spoiled_members_side_by_side_are_one_damage(tmp_path):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    packed[1], packed[2] = spoiled(packed[1]), spoiled(packed[2])
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert octets_of(records)[-16:] == FRAMES[44:]
    assert len(capture.damage) == 1


def test_a_member_that_begins_within_a_record_is_read_from_the_next_record_on(tmp_path):
    octets = b"".join(pcap(LITTLE, FRAMES))
    packed = [gzip.compress(octets[a:b]) for a, b in pairwise((0, 4_000, 8_000, 12_000, len(octets)))]
    packed[1] = spoiled(packed[1])
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert set(octets_of(records)) <= set(FRAMES)
    assert octets_of(records)[-1] == FRAMES[-1]
    assert len(records) > 40
    assert len(capture.damage) == 1


def test_a_wrong_checksum_is_damage_and_the_next_member_is_read(tmp_path):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    packed[1] = packed[1][:-8] + bytes(4) + packed[1][-4:]
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert octets_of(records) == FRAMES
    assert ["incorrect data check" in damage.limit for damage in capture.damage] == [True]


def test_garbage_between_members_is_passed_over_and_counted(tmp_path):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    garbage = b"\x1f\x8b\x08 no member" * 30
    records, capture = read(written(tmp_path, packed[0] + garbage + b"".join(packed[1:])))
    assert octets_of(records) == FRAMES
    (damage,) = capture.damage
    passed = int(damage.limit.split("goes on ")[1].split()[0])
    assert len(garbage) - 12 <= passed <= len(garbage)
    assert str(damage).endswith("0 octets from there on were not read")


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (lambda member: member[:-9], "a cut member"),
        (lambda member: member[:-8] + bytes(4) + member[-4:], "a wrong checksum"),
        (spoiled, "spoiled as well"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_member_that_is_not_right_to_its_end_is_none(tmp_path, last, why):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress, (0, 30, 45, 61))
    records, capture = read(written(tmp_path, packed[0] + spoiled(packed[1]) + last(packed[2])))
    assert not set(octets_of(records)) & set(FRAMES[44:]), why
    assert "packed octets behind" not in capture.damage[0].limit


@pytest.mark.parametrize(
    "pack", [zstandard.ZstdCompressor(write_checksum=False).compress, lz4.frame.compress], ids=["zstd", "lz4"]
)
def test_a_frame_without_a_checksum_is_not_certain(tmp_path, pack):
    packed = members(pcap(LITTLE, FRAMES), pack)
    records, _ = read(written(tmp_path, packed[0] + packed[1][:50] + b"".join(packed[2:])))
    assert octets_of(records) == FRAMES[:14]


def test_members_inside_frames_are_no_part_of_the_capture(tmp_path):
    """A capture of downloads, packed without compression: their members are found, and have no records."""
    inner = [gzip.compress(random.Random(number).randbytes(300)) for number in range(60)]
    packed = members(pcap(LITTLE, inner), lambda octets: gzip.compress(octets, 0))
    packed[1] = packed[1][:30] + bytes(40) + packed[1][70:]
    packed[1] = packed[1][:10] + b"\x07" + packed[1][11:]
    records, capture = read(written(tmp_path, b"".join(packed)))
    assert octets_of(records) == inner[:14] + inner[29:]
    assert len(capture.damage) == 1


def test_how_long_is_searched_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_TRIED", 20_000)
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    start = gzip.compress(random.Random(7).randbytes(9_000))[:8_000]
    path = written(tmp_path, packed[0] + b"x" + 2 * start + b"".join(packed[1:]))
    assert len(read(path)[0]) == len(FRAMES)
    path.write_bytes(packed[0] + b"x" + 9 * start + b"".join(packed[1:]))
    assert octets_of(read(path)[0]) == FRAMES[:14]


def test_a_pipe_is_not_read_on(tmp_path):
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[packed[0] + b"garbage" + b"".join(packed[1:])])
    writer.start()
    records, capture = read(path)
    writer.join()
    assert octets_of(records) == FRAMES[:14]
    assert "packed octets behind" not in capture.damage[0].limit


@settings(max_examples=60)
@given(st.data())
def test_no_frame_is_made_up_whatever_octets_are_spoiled(tmp_path_factory, data):
    """Those of the spoiled member are left out of this."""
    packed = members(pcap(LITTLE, FRAMES), gzip.compress)
    octets = bytearray(b"".join(packed))
    first = len(packed[0])
    at = data.draw(st.integers(first, first + len(packed[1]) - 1))
    octets[at : at + data.draw(st.integers(1, 400))] = data.draw(st.binary(max_size=400))
    records, _ = read(written(tmp_path_factory.mktemp("members"), bytes(octets)))
    read_on = octets_of(records)
    assert read_on[:14] == FRAMES[:14]
    assert [octets for octets in read_on if octets in set(FRAMES[44:])] == FRAMES[44:]
