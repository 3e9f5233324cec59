"""The twelve situations for two points: their recordings, and what is done to them, counted again by other means."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import pytest
from twopoints import FOLDER, RECORDINGS, SITUATIONS, Situation, make_situation

from tests import oracle

ID = [situation.title for situation in SITUATIONS]
TRUTHS = {name: json.loads((FOLDER / name / "truth.json").read_text()) for name in RECORDINGS}


def shop_packets(name: str, point: str) -> Iterator[Any]:
    """The IP packets between the clients and the shop at a point, by dpkt."""
    with gzip.open(FOLDER / name / f"{point}.pcap.gz") as file:
        for _, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            if (
                isinstance(packet, dpkt.ip.IP)
                and isinstance(packet.data, dpkt.tcp.TCP)
                and 8080 in (packet.data.sport, packet.data.dport)
            ):
                yield packet


@pytest.mark.parametrize("name", ["clean", "loss", "response-loss"])
def test_the_wires_count_of_what_it_lost_is_what_only_one_point_has(name: str) -> None:
    """A packet keeps its addresses, its IP identification and its sequence numbers on a plain path."""
    counted = []
    for point in "AB":
        packets = [(p.src, p.id, p.data.sport, p.data.dport, p.data.seq, p.data.ack, p.len) for p in shop_packets(name, point)]
        counted.append(Counter(packets))
    lost = (counted[0] - counted[1]).total() + (counted[1] - counted[0]).total()
    assert lost == TRUTHS[name]["lost"] + TRUTHS[name]["lost_bare"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_request_was_answered(name: str) -> None:
    attempts = TRUTHS[name]["attempts"]
    assert len(attempts) == 40
    assert all([request["outcome"] for request in attempt["requests"]] == [200] * 5 for attempt in attempts)


def test_offload_shows_segments_larger_than_the_wires_at_one_point_alone() -> None:
    largest = {point: max(packet.len for packet in shop_packets("tso", point)) for point in "AB"}
    assert largest["A"] <= 1_500 < largest["B"]


def test_translation_leaves_no_address_in_common() -> None:
    clients = {point: {p.src for p in shop_packets("nat", point) if p.data.dport == 8080} for point in "AB"}
    assert not clients["A"] & clients["B"]


@pytest.mark.parametrize("situation", SITUATIONS, ids=ID)
def test_a_situation_is_made_alike_each_time_and_its_truth_counts_what_is_missing(situation: Situation, tmp_path: Path) -> None:
    truths = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        truths.append(make_situation(situation, folder))
    assert truths[0] == truths[1]
    for point in "AB":
        written = (tmp_path / "one" / f"{point}.pcap").read_bytes()
        assert written == (tmp_path / "two" / f"{point}.pcap").read_bytes()
        before, _ = oracle.pcap_records(gzip.decompress((FOLDER / situation.recording / f"{point}.pcap.gz").read_bytes()))
        after, _ = oracle.pcap_records(written)
        twice = 2 if situation.twice and point == "A" else 1
        assert twice * len(before) - len(after) == truths[0]["missed"][point]


def test_another_seed_misses_other_packets(tmp_path: Path) -> None:
    (situation,) = (s for s in SITUATIONS if s.title == "B's capture misses 2 %")
    written = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        make_situation(situation, folder, seed)
        written.append((folder / "B.pcap").read_bytes())
    assert written[0] != written[1]


def test_a_skewed_clock_is_off_by_what_the_truth_says(tmp_path: Path) -> None:
    """In the midst of the captures: 3.7 s and, at 40 ppm, 40 µs a second since their beginning."""
    (situation,) = (s for s in SITUATIONS if s.recording == "loss" and s.at_b.drift_ppm and not s.at_a.missed)
    truth = make_situation(situation, tmp_path)
    shown, _ = oracle.pcap_records((tmp_path / "B.pcap").read_bytes())
    recorded, _ = oracle.pcap_records(gzip.decompress((FOLDER / "loss" / "B.pcap.gz").read_bytes()))
    ahead = [late.time_ns - record.time_ns for late, record in zip(shown, recorded, strict=True)]
    assert abs(ahead[0] - 3_700_000_000) < 40_000
    assert abs((ahead[0] + ahead[-1]) / 2 - truth["offset_ns"]) < 40_000
    slope = (ahead[-1] - ahead[0]) / (recorded[-1].time_ns - recorded[0].time_ns) * 1e6
    assert abs(slope - truth["drift_ppm"]) < 1e-3
