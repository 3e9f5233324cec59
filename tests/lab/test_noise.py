"""Noise on captures: nothing but what was drawn happens to them, exactly, and again the same by the same seed."""

import gzip
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from namespaces import LabError
from noise import (
    LARGEST_DRIFT_PPM,
    LARGEST_OFFSET_NS,
    NO_NOISE,
    PointNoise,
    copy_as_any,
    copy_twice,
    cut_to,
    draw_noise,
    miss,
    shift_clock,
    suffer,
    trim,
    write_noisy,
)
from pcapfile import LINUX_SLL2, WHOLE, Record, pcap_of, read_pcap

from tests import oracle

ETHERNET = 1
START = 1_700_000_000_000_000_000
FRAMES = st.binary(min_size=14, max_size=200)
RECORDS = st.lists(st.tuples(st.integers(0, 10**10), FRAMES), max_size=40).map(
    lambda drawn: [Record(START + time, len(frame), frame) for time, frame in sorted(drawn)]
)
NODES = {"A": "node-1", "B": "node-2", "C": "node-2"}


def some_records(count: int = 50) -> list[Record]:
    return [Record(START + 1_000_000 * i, 60 + i, bytes((i,)) * (60 + i)) for i in range(count)]


def read_again(folder: Path, names: list[str]) -> list[oracle.Record]:
    """What the files hold, by the tests' own readers."""
    records = []
    for name in names:
        octets = (folder / name).read_bytes()
        octets = gzip.decompress(octets) if name.endswith(".gz") else octets
        found, _ = (oracle.pcapng_records if ".pcapng" in name else oracle.pcap_records)(octets)
        records += found
    return records


@given(RECORDS, st.floats(0, 1), st.integers())
def test_missing_keeps_the_order_of_what_is_kept(records: list[Record], share: float, seed: int) -> None:
    remaining = iter(records)
    assert all(any(record is other for other in remaining) for record in miss(records, share, random.Random(seed)))
    assert miss(records, 0.0, random.Random(seed)) == records
    assert miss(records, 1.0, random.Random(seed)) == []


@given(RECORDS, st.integers(-LARGEST_OFFSET_NS, LARGEST_OFFSET_NS), st.floats(-LARGEST_DRIFT_PPM, LARGEST_DRIFT_PPM))
def test_the_drawn_offset_and_drift_are_applied_exactly(records: list[Record], offset_ns: int, drift_ppm: float) -> None:
    shown = shift_clock(records, START, offset_ns, drift_ppm)
    for record, late in zip(records, shown, strict=True):
        gained = late.time_ns - record.time_ns - offset_ns
        assert abs(gained - (record.time_ns - START) * drift_ppm / 1e6) <= 0.5 + 1e-6
        assert (late.octets, late.data) == (record.octets, record.data)
    assert [record.time_ns for record in shown] == sorted(record.time_ns for record in shown)
    assert shift_clock(records, START, 0, 0.0) == records


@given(RECORDS, st.integers(0, 300))
def test_a_snaplen_cuts_data_and_no_length(records: list[Record], snaplen: int) -> None:
    cut = cut_to(records, snaplen)
    assert [record.octets for record in cut] == [record.octets for record in records]
    assert all(record.data.startswith(short.data) for record, short in zip(records, cut, strict=True))
    assert all(len(short.data) == min(snaplen, len(record.data)) for record, short in zip(records, cut, strict=True))


@given(RECORDS, st.integers())
def test_copies_are_twice_what_was_there(records: list[Record], seed: int) -> None:
    twice = copy_twice(records, random.Random(seed))
    assert sorted(record.data for record in twice) == sorted(record.data for record in (*records, *records))
    cooked = copy_as_any(records, random.Random(seed))
    assert sorted(record.data[20:] for record in cooked) == sorted(record.data[14:] for record in (*records, *records))
    for copies in (twice, cooked):
        assert [record.time_ns for record in copies] == sorted(record.time_ns for record in copies)


def test_a_cooked_frame_is_laid_out_as_linktype_276_says() -> None:
    """Protocol, zeros, interface, ARPHRD, packet type, address length, address: 20 octets (LINKTYPE_LINUX_SLL2)."""
    source = bytes.fromhex("0a0000000001")
    frame = bytes.fromhex("0b0000000002") + source + bytes.fromhex("0800") + b"an IP packet"
    first, second = copy_as_any([Record(START, len(frame), frame)], random.Random(1))
    assert first.data == bytes.fromhex("0800 0000 00000005 0001 04 06") + source + bytes(2) + b"an IP packet"
    assert second.data[4:8] == bytes.fromhex("00000002")
    assert first.octets == len(first.data)


@given(RECORDS, st.integers(0, 10**10), st.integers(0, 10**10))
def test_a_late_start_and_an_early_end_leave_what_is_between(records: list[Record], begin: int, end: int) -> None:
    kept = trim(records, START + begin, START + end)
    assert kept == [record for record in records if begin <= record.time_ns - START <= end]


@pytest.mark.parametrize("seed", range(30))
def test_noise_is_drawn_alike_by_the_same_seed_and_within_its_limits(seed: int) -> None:
    drawn = draw_noise(NODES, random.Random(seed))
    assert drawn == draw_noise(NODES, random.Random(seed))
    assert drawn.keys() == NODES.keys()
    assert sum(noise.removed or noise.empty for noise in drawn.values()) <= 1
    for noise in drawn.values():
        assert abs(noise.offset_ns) <= LARGEST_OFFSET_NS
        assert abs(noise.drift_ppm) <= LARGEST_DRIFT_PPM


def test_captures_on_one_node_mostly_share_its_clock() -> None:
    """The kernel of the node stamps both; else each capture comes from a machine of its own."""
    drawn = [draw_noise(NODES, random.Random(seed)) for seed in range(200)]
    shared = sum((d["B"].offset_ns, d["B"].drift_ppm) == (d["C"].offset_ns, d["C"].drift_ppm) for d in drawn)
    assert 120 < shared < 200
    assert any(d["A"].offset_ns != d["B"].offset_ns for d in drawn)


def test_a_snaplen_holds_the_same_headers_inside_a_tunnel() -> None:
    drawn = [draw_noise(NODES, random.Random(seed), wrapped=("B",)) for seed in range(200)]
    assert {d["A"].snaplen for d in drawn} == {96, WHOLE}
    assert {d["B"].snaplen for d in drawn} == {96 + 20 + 8 + 8 + 14, WHOLE}


def test_every_trouble_is_drawn_by_some_seed() -> None:
    said: set[str] = set()
    for seed in range(200):
        for noise in draw_noise(NODES, random.Random(seed)).values():
            said |= noise.said().keys()
    assert said == set(PointNoise.__slots__)


@pytest.mark.parametrize(
    ("noise", "names"),
    [
        (NO_NOISE, ["A.pcap"]),
        (PointNoise(gzip=True), ["A.pcap.gz"]),
        (PointNoise(pcapng=True, sections=3), ["A.pcapng"]),
        (PointNoise(pcapng=True, gzip=True, files=2), ["A-0001.pcapng.gz", "A-0002.pcapng.gz"]),
        (PointNoise(files=4), ["A-0001.pcap", "A-0002.pcap", "A-0003.pcap", "A-0004.pcap"]),
    ],
)
def test_the_form_of_the_files_changes_nothing_in_them(noise: PointNoise, names: list[str], tmp_path: Path) -> None:
    records = some_records()
    noisy = suffer(ETHERNET, records, noise, random.Random(1))
    assert write_noisy(tmp_path, "A", noisy, noise, START) == names
    assert [(r.time_ns, r.original, r.octets) for r in read_again(tmp_path, names)] == [tuple(record) for record in records]


def test_what_a_capture_missed_is_owned_up_to(tmp_path: Path) -> None:
    noise = PointNoise(missed=0.2, pcapng=True)
    records = some_records(200)
    noisy = suffer(ETHERNET, records, noise, random.Random(1))
    assert len(noisy.records) + noisy.dropped == 200
    assert 0 < noisy.dropped < 80
    (name,) = write_noisy(tmp_path, "A", noisy, noise, START)
    assert len(read_again(tmp_path, [name])) == len(noisy.records)


def test_a_capture_that_was_not_there_all_the_time_says_when_it_was() -> None:
    records = some_records(101)
    noisy = suffer(ETHERNET, records, PointNoise(late=0.1, early=0.2), random.Random(1))
    assert noisy.window == (START + 10_000_000, START + 80_000_000)
    assert noisy.records == records[10:81]


def test_a_removed_capture_has_no_file_and_an_empty_one_no_packet(tmp_path: Path) -> None:
    for noise, names in ((PointNoise(removed=True), []), (PointNoise(empty=True), ["A.pcap"])):
        noisy = suffer(ETHERNET, some_records(), noise, random.Random(1))
        assert noisy.window is None
        assert write_noisy(tmp_path, "A", noisy, noise, START) == names
    assert read_pcap(tmp_path / "A.pcap") == (ETHERNET, [])


def test_a_last_record_that_is_cut_is_cut_short(tmp_path: Path) -> None:
    noise = PointNoise(cut_octets=7)
    write_noisy(tmp_path, "A", suffer(ETHERNET, some_records(), noise, random.Random(1)), noise, START)
    whole = pcap_of(ETHERNET, some_records())
    assert (tmp_path / "A.pcap").read_bytes() == whole[:-7]
    with pytest.raises(LabError, match=r"A\.pcap is cut short"):
        read_pcap(tmp_path / "A.pcap")


def test_cooked_copies_come_before_what_is_missed() -> None:
    """Each interface's copy is missed by itself, as the kernel hands each to the capture by itself."""
    noise = PointNoise(any_copies=True, missed=0.5)
    noisy = suffer(ETHERNET, some_records(200), replace(noise), random.Random(3))
    assert noisy.link_type == LINUX_SLL2
    assert len(noisy.records) + noisy.dropped == 400
    assert len({record.data[20:] for record in noisy.records}) > 120
