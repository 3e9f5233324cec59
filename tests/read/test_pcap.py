"""Classic pcap, against draft-ietf-opsawg-pcap and libpcap's savefile formats."""

import struct
from pathlib import Path

import numpy as np
import pytest

from mixcni.decode import decode_packets
from mixcni.errors import CaptureError, TruncatedCapture, UnknownFormat, UnreadableCapture
from mixcni.read import CaptureFile, is_capture
from mixcni.read.pcap import FRAMES_A_BLOCK
from mixcni.read.resync import MAX_CAPTURED
from mixcni.read.source import BUFFER_OCTETS
from tests import oracle
from tests.kernels.forms import FORMS, in_form
from tests.read.reading import frames_of, read, strict_error

VARIANTS = [(magic.hex(), magic) for magic in oracle.PCAP_MAGICS]


def pcap(magic, records, *, link_type=1, snap_length=65535, version=(2, 4)):
    """A file of (seconds, fraction, frame, original length or None, stated captured length or None)."""
    order, _, header = oracle.PCAP_MAGICS[magic]
    out = magic + struct.pack(order + "2HiI2I", *version, 0, 0, snap_length, link_type)
    for seconds, fraction, frame, original, stated in records:
        captured = len(frame) if stated is None else stated
        out += struct.pack(order + "4I", seconds, fraction, captured, len(frame) if original is None else original)
        out += bytes(header - 16) + frame
    return out


def written(tmp_path, octets):
    path = tmp_path / "A.pcap"
    path.write_bytes(octets)
    return path


LITTLE = b"\x4d\x3c\xb2\xa1"
THREE = [(1_700_000_000, 5, b"first", None, None), (1_700_000_001, 999_999, b"", 1500, None), (2**32 - 1, 7, b"third.", 64, None)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("magic", [m for _, m in VARIANTS], ids=[name for name, _ in VARIANTS])
def test_every_variant_gives_its_frames_times_and_lengths(tmp_path, magic, form):
    unit = oracle.PCAP_MAGICS[magic][1]
    with in_form(form):
        records, capture = read(written(tmp_path, pcap(magic, THREE, link_type=113)))
    assert [r.octets for r in records] == [b"first", b"", b"third."]
    assert [r.original for r in records] == [5, 1500, 64]
    assert [r.time_ns for r in records] == [s * 10**9 + f * unit for s, f, *_ in THREE]
    assert {r.link_type for r in records} == {113}
    assert not capture.damage
    (interface,) = capture.interfaces
    assert (interface.link_type, interface.snap_length, interface.ticks_per_second) == (113, 65535, 10**9 // unit)


def test_the_link_type_is_the_lower_half_of_its_word(tmp_path):
    octets = pcap(LITTLE, THREE, link_type=0x2400_0001)  # frame check sequence of two words behind each frame
    assert read(written(tmp_path, octets))[0][0].link_type == 1


def swapped(octets, frames):
    """A file whose records have their original length before the captured one."""
    octets, at = bytearray(octets), 24
    for frame in frames:
        octets[at + 8 : at + 16] = octets[at + 12 : at + 16] + octets[at + 8 : at + 12]
        at += 16 + len(frame)
    return bytes(octets)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", [(2, 0), (2, 2), (2, 3), (543, 0)])
def test_an_old_file_may_have_either_length_first(tmp_path, version, form):
    octets = pcap(LITTLE, THREE, version=version)
    for old in (octets, swapped(octets, [frame for _, _, frame, *_ in THREE])):
        with in_form(form):
            records, capture = read(written(tmp_path, old))
        assert [r.octets for r in records] == [b"first", b"", b"third."]
        assert [r.original for r in records] == [5, 1500, 64]
        assert not capture.damage


def test_an_old_file_that_is_cut_says_what_its_last_record_needs(tmp_path):
    octets = swapped(pcap(LITTLE, THREE, version=(2, 2)), [frame for _, _, frame, *_ in THREE])
    (damage,) = read(written(tmp_path, octets[:-2]))[1].damage
    assert (damage.what, damage.wanted, damage.had, damage.truncated) == ("record 3", 22, 20, True)


def test_a_version_before_the_second_is_not_read(tmp_path):
    records, capture = read(written(tmp_path, pcap(LITTLE, THREE, version=(1, 4))))
    assert not records
    (damage,) = capture.damage
    assert (damage.offset, damage.limit) == (0, "version, which is 1.4 and not 2.0 or later")


def test_a_file_of_a_header_alone_has_no_frames_and_no_damage(tmp_path):
    records, capture = read(written(tmp_path, pcap(LITTLE, [])))
    assert not records
    assert not capture.damage
    assert len(capture.interfaces) == 1


WHOLE = pcap(LITTLE, THREE)
DAMAGES = {
    "cut in the second frame's header": (WHOLE[: 24 + 21 + 9], 1, 45, "the header of record 2", 16, 9, TruncatedCapture),
    "cut in the third frame": (WHOLE[:-2], 2, 61, "record 3", 22, 20, TruncatedCapture),
    "cut in the file header": (WHOLE[:23], 0, 0, "the file header", 24, 23, TruncatedCapture),
    "a length that cannot be": (
        pcap(LITTLE, [THREE[0], (0, 0, b"x" * 100, None, 0x7FFFFFFF), THREE[2]]),
        1,
        45,
        "record 2",
        0x7FFFFFFF,
        138,
        CaptureError,
    ),
    "one octet more than the limit": (
        pcap(LITTLE, [THREE[0], (0, 0, bytes(MAX_CAPTURED + 1), None, None)]),
        1,
        45,
        "record 2",
        MAX_CAPTURED + 1,
        16 + MAX_CAPTURED + 1,
        CaptureError,
    ),
}


@pytest.mark.parametrize(("octets", "good", "offset", "what", "wanted", "had", "kind"), DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("form", FORMS)
def test_damage_keeps_what_precedes_it_and_says_where_it_is(tmp_path, form, octets, good, offset, what, wanted, had, kind):
    path = written(tmp_path, octets)
    with in_form(form):
        records, capture = read(path)
        error = strict_error(path)
    assert [r.octets for r in records] == [frame for _, _, frame, *_ in THREE][:good]
    (damage,) = capture.damage
    assert (damage.path, damage.offset, damage.what, damage.wanted, damage.had) == (path, offset, what, wanted, had)
    assert damage.skipped == len(octets) - offset
    assert type(error) is kind
    assert error.args == (what, path, offset, wanted, had, damage.limit)
    assert str(error) in str(damage)


@pytest.mark.parametrize("octets", [b"", b"\xd4", b"\xd4\xc3\xb2"])
def test_fewer_octets_than_a_magic_number_are_damage_and_no_frames(tmp_path, octets):
    path = written(tmp_path, octets)
    records, capture = read(path)
    assert not records
    (damage,) = capture.damage
    assert (damage.offset, damage.what, damage.wanted, damage.had) == (0, "a capture file", 4, len(octets))
    assert damage.limit == "magic number"
    assert type(strict_error(path)) is TruncatedCapture
    assert not is_capture(path)


@pytest.mark.parametrize("octets", [b"snoop\0\0\0", b"\xd4\xc3\xb2\xa0" + bytes(40), b"\0\0\0\0", b"{}\n\n"])
def test_a_foreign_file_is_an_unknown_format(tmp_path, octets):
    path = written(tmp_path, octets)
    with pytest.raises(UnknownFormat, match=octets[:4].hex(" ")):
        read(path)
    assert not is_capture(path)


def test_a_capture_is_known_by_content_and_not_by_name(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(WHOLE)
    assert is_capture(path)


@pytest.mark.parametrize("name", ["absent.pcap", "."])
def test_a_path_that_cannot_be_opened_says_so_in_the_systems_words(tmp_path, name):
    with pytest.raises(UnreadableCapture, match=r"cannot be read: (No such file|Is a directory)"):
        read(tmp_path / name)


@pytest.mark.parametrize("form", ["plain", FORMS[-1]])
def test_more_frames_than_a_block_holds_come_in_several(tmp_path, form):
    count = FRAMES_A_BLOCK * 2 + 5  # of no octets: all their records fit little more than one buffer
    records = np.zeros((count, 4), dtype="<u4")
    records[:, 0] = np.arange(count)
    records[:, 3] = np.arange(count) + 60
    path = written(tmp_path, pcap(LITTLE, []) + records.tobytes())
    times, originals, sizes = [], [], []
    with in_form(form):
        capture = CaptureFile(path)
        for block in capture.blocks():
            times += block.frames.time_ns.tolist()
            originals += block.frames.original.tolist()
            sizes.append(block.frames.start.size)
        assert len(decode_packets([capture])) == count
    assert times == [i * 10**9 for i in range(count)]
    assert originals == [i + 60 for i in range(count)]
    assert max(sizes) == FRAMES_A_BLOCK
    assert not capture.damage


@pytest.mark.parametrize("form", ["plain", FORMS[-1]])
def test_records_that_span_buffers_come_out_whole(tmp_path, form):
    """Lengths that share no factor with the buffer's, one as long as a record may be, one that just fits what is left."""
    chance = np.random.default_rng(3)
    lengths = [*chance.integers(0, 9000, 1400).tolist(), MAX_CAPTURED, *chance.integers(0, 9000, 1400).tolist()]
    filled = 24 + sum(16 + length for length in lengths)
    to_the_brim = -(filled + 16) % BUFFER_OCTETS
    lengths += [to_the_brim // 17 - 16] * 16 + [to_the_brim - 16 * (to_the_brim // 17), 1, 70_000, 0, 3]
    frames = [chance.bytes(length) for length in lengths]
    octets = pcap(LITTLE, [(i, 0, frame, None, None) for i, frame in enumerate(frames)])
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert [r.octets for r in records] == frames
    assert len(octets) > 3 * BUFFER_OCTETS
    assert not capture.damage


def test_damage_behind_the_first_buffer_has_its_offset_in_the_file(tmp_path):
    frames = [(i, 0, bytes([i % 251]) * 1000, None, None) for i in range(2500)]
    path = written(tmp_path, pcap(LITTLE, [*frames, (0, 0, b"", None, MAX_CAPTURED + 1)]) + bytes(2 * BUFFER_OCTETS))
    records, capture = read(path)
    assert [r.octets[0] for r in records] == [i % 251 for i in range(2500)]
    (damage,) = capture.damage
    assert damage.offset == 24 + 2500 * 1016
    assert damage.had == damage.skipped == 16 + 2 * BUFFER_OCTETS


def test_reading_twice_gives_the_same(tmp_path):
    capture = CaptureFile(Path(written(tmp_path, WHOLE[:-1])))
    assert frames_of(capture) == frames_of(capture)
    assert len(capture.damage) == 1
