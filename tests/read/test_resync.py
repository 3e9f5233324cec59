"""Reading on behind damage: only where records follow one another for certain, and never inside a frame."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.errors import CaptureError
from mixcni.read import CaptureFile, resync
from mixcni.read.resync import SPAN
from tests import oracle
from tests.read.pcapng_blocks import Blocks
from tests.read.reading import frames_of, read

START = 1_700_000_000
ORDERS = ["<", ">"]
MAGICS = list(oracle.PCAP_MAGICS)
FRAMES = [bytes([number]) * (60 + number) for number in range(40)]
HIGH = b"\xff"  # no length field of it can be


def pcap(magic, frames, *, start=START):
    """A pcap file in parts: its header, then a record a frame."""
    order, _, header = oracle.PCAP_MAGICS[magic]
    parts = [magic + struct.pack(order + "2H2i2I", 2, 4, 0, 0, 65535, 1)]
    for number, frame in enumerate(frames):
        record = struct.pack(order + "4I", start + number, number, len(frame), len(frame))
        parts.append(record + bytes(header - 16) + frame)
    return parts


def pcapng(order, frames, *, start=START):
    """A pcapng file in parts: section and interface, then a block a frame."""
    blocks = Blocks(order)
    head = blocks.section() + blocks.interface(1, resolution=9)
    return [head, *(blocks.enhanced(frame, (start + number) * 10**9) for number, frame in enumerate(frames))]


MAKERS = [*((pcap, magic) for magic in MAGICS), *((pcapng, order) for order in ORDERS)]
IDS = [f"{make.__name__} {kind.hex() if isinstance(kind, bytes) else kind}" for make, kind in MAKERS]


def octets_of(records):
    return [record.octets for record in records]


def written(folder, octets):
    path = folder / "A"
    path.write_bytes(octets)
    return path


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
@pytest.mark.parametrize("filling", [b"\xff", b"\x7f", b"\xa5\x5a\x3c"], ids=["ff", "7f", "mixed"])
def test_overwritten_records_are_passed_over_and_all_others_are_read(tmp_path, make, kind, filling):
    parts = make(kind, FRAMES)
    hole = b"".join(parts[11:15])
    damaged = b"".join(parts[:11]) + (filling * len(hole))[: len(hole)] + b"".join(parts[15:])
    records, capture = read(written(tmp_path, damaged))
    assert octets_of(records) == FRAMES[:10] + FRAMES[14:]
    (damage,) = capture.damage
    assert (damage.offset, damage.skipped, damage.had) == (sum(map(len, parts[:11])), len(hole), len(hole))
    assert not damage.truncated


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_times_behind_damage_are_the_records_own(tmp_path, make, kind):
    parts = make(kind, FRAMES)
    parts[5] = HIGH * len(parts[5])
    records, _ = read(written(tmp_path, b"".join(parts)))
    assert [record.time_ns // 10**9 - START for record in records] == [n for n in range(len(FRAMES)) if n != 4]


@settings(max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_octets_put_between_records_cost_none_of_them(tmp_path_factory, make, kind, data):
    """Not even the alignment of pcapng blocks is relied on; what is put there states no length that can be."""
    frames = FRAMES[: data.draw(st.integers(3, 20))]
    parts = make(kind, frames)
    at = data.draw(st.integers(1, len(frames) - 1))
    noise = HIGH * 24 + data.draw(st.binary(max_size=50))
    records, capture = read(written(tmp_path_factory.mktemp("noise"), b"".join([*parts[:at], noise, *parts[at:]])))
    assert octets_of(records) == frames
    assert [(damage.offset, damage.skipped) for damage in capture.damage] == [(sum(map(len, parts[:at])), len(noise))]


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_a_capture_file_inside_a_frame_is_not_taken_for_records(tmp_path, make, kind):
    """A download of a capture of the minute before, in the frame whose own record is damaged."""
    inner = b"".join(make(kind, FRAMES[:20], start=START - 60))
    parts = make(kind, [*FRAMES[:3], inner, *FRAMES[3:6]])
    at = sum(map(len, parts[:4]))
    damaged = bytearray(b"".join(parts))
    damaged[at : at + 16] = HIGH * 16
    records, capture = read(written(tmp_path, bytes(damaged)))
    assert octets_of(records) == FRAMES[:6]
    assert capture.damage[0].skipped == len(parts[4])


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_records_over_more_octets_than_a_frame_holds_need_not_reach_the_end(tmp_path, make, kind):
    frames = [*FRAMES[:3], *[bytes([7]) * 30_000] * (SPAN // 30_000 + 2)]
    parts = make(kind, frames)
    parts[2] = HIGH * len(parts[2])
    records, capture = read(written(tmp_path, b"".join(parts)[:-1]))
    assert octets_of(records) == [frames[0], *frames[2:-1]]
    assert [damage.truncated for damage in capture.damage] == [False, True]


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_few_records_before_a_cut_are_not_certain(tmp_path, make, kind):
    parts = make(kind, FRAMES)
    parts[5] = HIGH * len(parts[5])
    records, capture = read(written(tmp_path, b"".join(parts)[:-1]))
    assert octets_of(records) == FRAMES[:4]
    (damage,) = capture.damage
    assert damage.skipped == sum(map(len, parts[5:])) - 1


@pytest.mark.parametrize(("make", "kind"), MAKERS, ids=IDS)
def test_strict_reading_ends_at_the_first_damage(tmp_path, make, kind):
    parts = make(kind, FRAMES)
    parts[5] = HIGH * len(parts[5])
    path = written(tmp_path, b"".join(parts))
    blocks = CaptureFile(path, strict=True).blocks()
    assert next(blocks).frames.start.size == 4
    with pytest.raises(CaptureError, match=str(sum(map(len, parts[:5])))):
        next(blocks)


def test_records_of_another_year_are_not_taken_for_this_file_s(tmp_path):
    before, others = pcap(MAGICS[0], FRAMES[:3]), pcap(MAGICS[0], FRAMES[3:], start=START + 400 * 86_400)[1:]
    for middle, wanted in ((HIGH * 30, FRAMES[:3]), (b"", FRAMES)):
        records, _ = read(written(tmp_path, b"".join([*before, middle, *others])))
        assert octets_of(records) == wanted


@pytest.mark.parametrize("order", ORDERS)
def test_an_interface_behind_damage_ends_its_section_and_not_the_file(tmp_path, order):
    """One described in the damage would have taken the number that it seems to have."""
    blocks = Blocks(order)
    parts = pcapng(order, FRAMES[:5])
    second = blocks.interface(113, resolution=9) + blocks.enhanced(b"whose?", START * 10**9, interface=1)
    others = b"".join(pcapng(order, FRAMES[5:8]))
    damaged = b"".join([*parts[:3], HIGH * 40, *parts[3:], second, others])
    records, capture = read(written(tmp_path, damaged))
    assert octets_of(records) == FRAMES[:8]
    assert [damage.what for damage in capture.damage] == ["a block", "an interface"]
    assert capture.damage[1].skipped == len(second)


def test_a_crafted_file_is_given_up_in_linear_time(tmp_path, monkeypatch):
    """Every octet may begin a record, all of which lead nowhere: the records followed are counted, not the seconds."""
    followed = 0
    original = resync.Resynchroniser._is_certain

    def counted(self, records, begin):
        nonlocal followed
        before = self._steps
        found = original(self, records, begin)
        followed += self._steps - before
        return found

    monkeypatch.setattr(resync.Resynchroniser, "_is_certain", counted)
    monkeypatch.setattr(resync, "MAX_STEPS", 500)
    parts = pcap(MAGICS[0], [b"x"] * 3000)
    octets = b"".join(parts[:3]) + HIGH * 16 + b"".join(parts[3:]) + HIGH * 20
    records, capture = read(written(tmp_path, octets))
    assert len(records) == 2
    assert len(capture.damage) == 1
    assert 500 <= followed <= 501


def test_damage_in_a_packed_stream_is_not_searched(tmp_path):
    import gzip

    parts = pcap(MAGICS[0], FRAMES)
    packed = gzip.compress(b"".join(parts), 0)
    records, capture = read(written(tmp_path, packed[: len(packed) // 2]))
    assert 0 < len(records) < len(FRAMES)
    (damage,) = capture.damage
    assert damage.truncated


def test_what_was_read_behind_damage_is_the_same_twice(tmp_path):
    rng = random.Random(5)
    frames = [bytes([number]) * 60_000 for number in range(30)]
    parts = pcap(MAGICS[1], frames)
    for number in (4, 11, 25):
        parts[number] = bytes(rng.choice(b"\xff\xfe") for _ in parts[number])
    path = written(tmp_path, b"".join(parts))
    records, capture = read(path)
    assert len(capture.damage) == 3
    assert records == frames_of(capture)
    assert octets_of(records) == [frame for number, frame in enumerate(frames, 1) if number not in (4, 11, 25)]
