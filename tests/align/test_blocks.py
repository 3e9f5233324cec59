"""Connections without a handshake, timestamps or a segment that both points saw alike are told by the octets that they carry."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.align import align_points
from mixcni.align.alignment import Alignment
from mixcni.align.blocks import BLOCK, _cut
from mixcni.flows import track_flows
from mixcni.schema import Evidence
from tests.scene import End
from tests.wire import MS, START, Conversation, Frame, decoded

SIZE = 1_000  # octets of a segment before the NAT; behind it offload makes one of two
BEFORE: tuple[End, End] = (("10.244.3.7", 41_000), ("10.96.0.20", 80))
BEHIND: tuple[End, End] = (("10.118.201.53", 62_001), ("10.242.2.149", 8080))
TWIN: tuple[End, End] = (("10.118.201.53", 62_002), ("10.242.2.149", 8080))
SEQ, ACK = 1_000_000, 7_000_000


def random_octets(seed: int, segments: int = 40) -> bytes:
    return random.Random(seed).randbytes(segments * SIZE)


def halves(octets: bytes) -> list[Frame]:
    """A's capture: of each pair of segments the second, so that it has no segment that begins where one of C's does."""
    talk = Conversation(*BEFORE)
    return [
        talk.segment(0, "A", seq=SEQ + at, ack=ACK, payload=octets[at : at + SIZE], time_ns=START + at * 1_000)
        for at in range(SIZE, len(octets), 2 * SIZE)
    ]


def pairs(octets: bytes, ends: tuple[End, End], seq: int = SEQ) -> list[Frame]:
    """C's capture: each pair as one segment."""
    talk, size = Conversation(*ends), 2 * SIZE
    return [
        talk.segment(0, "A", seq=seq + at, ack=ACK, payload=octets[at : at + size], time_ns=START + at * 1_000 + MS)
        for at in range(0, len(octets), size)
    ]


def aligned(folder: Path, before: list[Frame], behind: list[Frame]) -> Alignment:
    frames = {"A": before, "C": sorted(behind, key=lambda frame: frame.time_ns)}
    return align_points(list(frames), [track_flows(decoded(folder / f"{name}.pcap", mine)) for name, mine in frames.items()])


def joined_port(alignment: Alignment) -> tuple[int, Evidence]:
    """The port behind the NAT of the one connection that both points have, and what says so."""
    table = alignment.conversations
    (row,) = np.flatnonzero((table.flow_of >= 0).all(axis=1)).tolist()
    return int(table.ends.initiator_port[row, 1]), Evidence(int(table["evidence"][row]))


def test_what_was_sent_tells_two_apart_that_numbers_do_not(tmp_path: Path) -> None:
    octets, others = random_octets(1), random_octets(2)
    alignment = aligned(tmp_path, halves(octets), [*pairs(octets, BEHIND), *pairs(others, TWIN)])
    port, evidence = joined_port(alignment)
    assert port == BEHIND[0][1]
    assert Evidence.PAYLOAD in evidence
    assert len(alignment.candidates) == 0


@pytest.mark.parametrize("octet", [b"x", b"\0"], ids=["one letter", "zeros"])
def test_octets_that_say_nothing_tell_nothing(octet: bytes, tmp_path: Path) -> None:
    octets = octet * 40 * SIZE
    alignment = aligned(tmp_path, halves(octets), pairs(octets, BEHIND))
    assert len(alignment.conversations) == 2
    assert len(alignment.candidates) == 2


def test_other_octets_at_one_number_are_another_connection(tmp_path: Path) -> None:
    alignment = aligned(tmp_path, halves(random_octets(1)), pairs(random_octets(2), BEHIND))
    assert len(alignment.conversations) == 2
    assert len(alignment.candidates) == 0


def test_one_file_sent_twice_is_told_by_where_it_stands(tmp_path: Path) -> None:
    octets = random_octets(1)
    alignment = aligned(tmp_path, halves(octets), [*pairs(octets, BEHIND), *pairs(octets, TWIN, SEQ + 3 * BLOCK)])
    assert joined_port(alignment)[0] == BEHIND[0][1]


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(BLOCK, 400), min_size=1, max_size=8), st.integers(0, 9))
def test_blocks_of_any_segmentation_are_among_those_of_the_whole(seq: int, sizes: list[int], seed: int) -> None:
    octets = random.Random(seed).randbytes(sum(sizes))
    whole, at = _cut(seq, octets), 0
    assert len(whole) >= (len(octets) - BLOCK + 1) // BLOCK
    for size in sizes:
        assert _cut((seq + at) % 2**32, octets[at : at + size]).items() <= whole.items()
        at += size
