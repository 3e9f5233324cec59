"""Captures that lack packets: what is found of them is true of the whole, and no request is said to be unanswered by mistake."""

import random
import struct
from pathlib import Path

import pytest

from mixcni.decode import decode_packets
from mixcni.exchanges import pair_exchanges
from mixcni.flows import track_flows
from mixcni.read import CaptureFile
from mixcni.schema import ExchangeKind
from tests.cases import CAPTURES

HEADER = 24
Exchange = tuple[int, int, str, str, int]


def records_of(path: Path) -> tuple[bytes, list[bytes]]:
    """The file header of a pcap, and its records."""
    octets, at, records = path.read_bytes(), HEADER, []
    while at < len(octets):
        (size,) = struct.unpack_from("<I", octets, at + 8)
        records.append(octets[at : at + 16 + size])
        at += 16 + size
    return octets[:HEADER], records


def exchanges_of(path: Path, numbers: list[int]) -> set[Exchange]:
    """(frame of the request, of the response, method, target, status); frames by their number in the whole capture, -1 none."""
    table = pair_exchanges(track_flows(decode_packets([CaptureFile(path, strict=True)])))
    frame = table.to_frame()
    frame = frame[frame["kind"] == ExchangeKind.HTTP1.name.lower()]
    packets = [[numbers[row] if row >= 0 else -1 for row in frame[f"{side}_packet"]] for side in ("request", "response")]
    return set(zip(*packets, *(frame[name].tolist() for name in ("method", "target", "status")), strict=True))


@pytest.mark.parametrize("case", ["policy-removed", "kubenet-to-cilium-without-policy", "cilium-to-kubenet-without-policy"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_with_packets_missing_every_pair_is_one_of_the_whole_capture(tmp_path, case, share):
    path = CAPTURES / case / "C.pcap"
    header, records = records_of(path)
    whole = exchanges_of(path, list(range(len(records))))
    pairs = {one[:2] for one in whole}
    found_in_all = 0
    for seed in range(5):
        chance = random.Random(seed)
        kept = [number for number in range(len(records)) if chance.random() >= share]
        (tmp_path / "holes.pcap").write_bytes(header + b"".join(records[number] for number in kept))
        found = exchanges_of(tmp_path / "holes.pcap", kept)
        both = {one for one in found if min(one[:2]) >= 0}
        assert {one[:2] for one in both} <= pairs
        assert both <= whole
        there = set(kept)
        assert both >= {one for one in whole if set(one[:2]) <= there}  # both heads are one segment each: nothing more is needed
        found_in_all += len(both)
    assert found_in_all > 20
