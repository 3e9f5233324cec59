"""Packets, segments, flags, payload octets and times of every recorded capture, against tshark's own reading of it."""

import functools
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from mixcni.decode import decode_packets
from mixcni.read import CaptureFile
from mixcni.schema import Layer, TcpFlag

CAPTURES = sorted(Path(__file__).parents[2].glob("captures/*/*.pcap"))
FIELDS = ["frame.number", "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "ip.ttl", "ip.id"]
FIELDS += ["tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.len"]
pytestmark = pytest.mark.tshark


@functools.cache
def tshark_rows(path):
    """The fields of every frame as text; "" where a frame has none."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]
    for field in FIELDS:
        command += ["-e", field]
    # a quoted header in an ICMP error is no segment: without these dissectors tshark does not see one
    command += ["--disable-protocol", "icmp", "--disable-protocol", "icmpv6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [dict(zip(FIELDS, line.split("|"), strict=True)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_frame_is_as_tshark_reads_it(path):
    table = decode_packets([CaptureFile(path, strict=True)])
    rows = tshark_rows(path)
    assert len(table) == len(rows) > 0
    segments = table["present"] & Layer.TCP != 0
    for row, theirs in enumerate(rows):
        assert table["frame_number"][row] == int(theirs["frame.number"])
        assert table["time_ns"][row] == int(Decimal(theirs["frame.time_epoch"]) * 10**9)
        assert table["original_length"][row] == int(theirs["frame.len"])
        if theirs["ip.src"]:
            ours = table.book.text(table["source"][row]), table.book.text(table["destination"][row])
            assert ours == (theirs["ip.src"], theirs["ip.dst"])
            assert (table["ttl"][row], table["ip_id"][row]) == (int(theirs["ip.ttl"]), int(theirs["ip.id"], 16))
        assert bool(segments[row]) == bool(theirs["tcp.srcport"])
        if segments[row]:
            columns = ["source_port", "destination_port", "seg_seq", "seg_ack", "seg_wnd", "payload_octets"]
            fields = ["tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.len"]
            assert [int(table[name][row]) for name in columns] == [int(theirs[field]) for field in fields]
            assert table["tcp_flags"][row] == int(theirs["tcp.flags"], 16) & 0xFF


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_counts_are_those_of_tshark(path):
    table = decode_packets([CaptureFile(path, strict=True)])
    theirs = [row for row in tshark_rows(path) if row["tcp.flags"]]
    flags = [int(row["tcp.flags"], 16) for row in theirs]
    segments = table["present"] & Layer.TCP != 0
    ours = table["tcp_flags"][segments]
    both = TcpFlag.SYN | TcpFlag.ACK
    assert int(segments.sum()) == len(theirs) > 0
    assert int(np.sum(ours & both == TcpFlag.SYN)) == sum(flag & both == TcpFlag.SYN for flag in flags)
    assert int(np.sum(ours & both == both)) == sum(flag & both == both for flag in flags)
    for flag in (TcpFlag.FIN, TcpFlag.RST):
        assert int(np.sum(ours & flag != 0)) == sum(f & flag != 0 for f in flags)
    assert int(table["payload_octets"][segments].sum()) == sum(int(row["tcp.len"]) for row in theirs)


def test_every_case_has_captures_to_be_held_against():
    assert len({path.parent for path in CAPTURES}) == 6
    assert len(CAPTURES) == 18
