"""The benchmark as a whole: peers count what was made, and a peer that counts otherwise stops it."""

import importlib
from pathlib import Path

import pytest

from bench.generate import write_capture

BENCH = Path(__file__).parents[2] / "bench"
COUNT = 300


@pytest.fixture
def run(monkeypatch, tmp_path):
    """bench/run.py, which finds its neighbours as a program does, with its captures in a folder of the test's."""
    monkeypatch.syspath_prepend(str(BENCH))
    module = importlib.import_module("run")

    def make_capture(mix, packets):
        return write_capture(tmp_path / f"{mix}.pcap", mix, packets)

    monkeypatch.setattr(module, "make_capture", make_capture)
    return module


def test_peers_count_the_packets_that_were_made(run):
    names = ["preadv", "mixcni-flows", "dpkt"]
    results = run.measure("mixed", COUNT, names, 1)
    assert [(result.name, result.packets) for result in results] == [(name, COUNT) for name in names]
    assert all(result.seconds[0] > 0 for result in results)
    assert all(result.peak_octets > 2**20 for result in results)


@pytest.mark.tshark
@pytest.mark.parametrize("name", ["tshark-fields", "tshark-conv"])
def test_tshark_counts_the_packets_that_were_made(run, name):
    assert [result.packets for result in run.measure("vxlan", COUNT, [name], 1)] == [COUNT]


def test_a_peer_that_counts_otherwise_stops_the_run_by_name(run, monkeypatch):
    monkeypatch.setattr(run, "measure_once", lambda name, _: (COUNT - (name == "dpkt"), 1.0, 2**20))
    with pytest.raises(run.CountsDifferError, match="udp: dpkt counted 299 of 300 packets"):
        run.measure("udp", COUNT, ["preadv", "mixcni-decode", "dpkt"], 1)


def test_a_slow_peer_is_given_a_prefix(run, monkeypatch):
    monkeypatch.setitem(run.PEERS, "dpkt", run.PEERS["dpkt"]._replace(most=100))
    assert [result.packets for result in run.measure("tcp", COUNT, ["mixcni-decode", "dpkt"], 1)] == [COUNT, 100]


def test_a_peer_that_cannot_follow_a_mix_is_left_out(run):
    assert run.measure("udp", COUNT, ["tcptrace", "tshark-conv"], 1) == []
