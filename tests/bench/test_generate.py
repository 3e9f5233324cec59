"""Made captures: the same octets for the same seed, and what tshark, dpkt and mixcni find in them."""

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import dpkt
import numpy as np
import pytest

from bench import generate
from mixcni.decode import decode_packets
from mixcni.flows import track_flows
from mixcni.read import CaptureFile

ROOT = Path(__file__).parents[2]
COUNT = 1_500
MIXES = list(generate.MIXES)


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captures")
    return {mix: generate.write_capture(folder / f"{mix}.pcap", mix, COUNT, 7) for mix in MIXES}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("mix", MIXES)
def test_a_seed_gives_the_same_file_in_another_process(captures, tmp_path, mix):
    again = tmp_path / "again.pcap"
    words = f"from pathlib import Path; from bench.generate import *; write_capture(Path({str(again)!r}), {mix!r}, {COUNT}, 7)"
    subprocess.run([sys.executable, "-c", words], check=True, cwd=ROOT)
    assert sha256(again) == sha256(captures[mix])


def test_another_seed_gives_another_file(captures, tmp_path):
    assert sha256(generate.write_capture(tmp_path / "other.pcap", "tcp", COUNT, 8)) != sha256(captures["tcp"])


def test_the_size_of_a_chunk_changes_nothing_but_the_text(captures, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "CHUNK", 101)
    other = generate.write_capture(tmp_path / "other.pcap", "mixed", COUNT, 7)
    tables = [decode_packets([CaptureFile(path, strict=True)]) for path in (captures["mixed"], other)]
    for name in tables[0]:
        np.testing.assert_array_equal(tables[0][name], tables[1][name])


def innermost_by_dpkt(path):
    """How many packets have TCP or UDP innermost, VXLAN opened, and how many octets of payload they have."""
    counts = Counter()
    with path.open("rb") as stream:
        for _, octets in dpkt.pcap.Reader(stream):
            packet = dpkt.ethernet.Ethernet(octets).data
            if packet.p == dpkt.ip.IP_PROTO_UDP and packet.data.dport == generate.VXLAN_PORT:
                packet = dpkt.ethernet.Ethernet(packet.data.data[8:]).data
            assert isinstance(packet.data, dpkt.tcp.TCP | dpkt.udp.UDP)
            counts[type(packet.data).__name__] += 1
            counts["octets"] += len(packet.data.data)
    return counts


@pytest.mark.parametrize("mix", MIXES)
def test_dpkt_counts_the_packets_and_octets_that_were_made(captures, mix):
    made = generate.make_packets(mix, COUNT, 7)
    udp = int((made.flags == 0).sum())
    found = innermost_by_dpkt(captures[mix])
    assert (found["UDP"], found["TCP"], found["octets"]) == (udp, COUNT - udp, int(made.payload.sum()))


@pytest.mark.tshark
@pytest.mark.parametrize("mix", MIXES)
def test_tshark_counts_the_same_packets_and_finds_none_malformed(captures, mix):
    fields = ("-e", "frame.protocols", "-e", "_ws.malformed", "-e", "frame.len", "-e", "frame.cap_len")
    command = ["tshark", "-n", "-r", str(captures[mix]), "-T", "fields", *fields]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert len(rows) == COUNT
    assert all(malformed == "" and length == captured for _, malformed, length, captured in rows)
    innermost = Counter("TCP" if ":tcp" in protocols else "UDP" for protocols, *_ in rows)
    found = innermost_by_dpkt(captures[mix])
    assert (innermost["TCP"], innermost["UDP"]) == (found["TCP"], found["UDP"])


@pytest.mark.parametrize("mix", MIXES)
def test_mixcni_finds_nothing_odd_and_follows_every_packet(captures, mix):
    packets = decode_packets([CaptureFile(captures[mix], strict=True)])
    assert len(packets) == COUNT
    assert not packets["oddity"].any()
    assert len(track_flows(packets).segments) == COUNT


def test_tcp_has_segments_that_come_twice_and_late():
    made = generate.make_packets("tcp", 40_000, 7)
    said = [key for key in zip(made.conversation, made.direction, made.seq, made.payload, strict=True) if key[3] > 0]
    assert 0.005 < 1 - len(set(said)) / len(said) < 0.02
    sent = made.rows((made.direction == 1) & (made.payload > 0))
    first = np.sort(np.unique(sent.conversation << 32 | sent.seq, return_index=True)[1])  # without the repetitions
    order = first[np.argsort(sent.conversation[first], kind="stable")]
    step = np.diff(sent.seq[order])
    back = (np.diff(sent.conversation[order]) == 0) & (step < 0) & (step > -(1 << 31))
    assert 0.001 < back.mean() < 0.01


def test_a_prefix_is_the_beginning_of_the_file(captures):
    prefix = generate.first_packets(captures["mixed"], 100)
    assert captures["mixed"].read_bytes().startswith(prefix.read_bytes())
    assert len(decode_packets([CaptureFile(prefix, strict=True)])) == 100
