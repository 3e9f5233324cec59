"""What a host routes, encapsulates or translates is heard in several forms, cut by offload, and each octet counts once."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixcni.align.heard import without_heard
from mixcni.schema import TRANSMISSIONS
from tests.align.test_datagrams import question, reply
from tests.align.test_repeats import aligned, asked
from tests.scene import Sent, Talk, captured
from tests.wire import MS, S

US = 1_000
Row = tuple[int, int, int, int, int]  # flow, hop limit, start, end, time
PLAIN, TUNNEL = 0, 1


def heard(rows: list[Row], primary: int = PLAIN) -> tuple[dict[str, NDArray[Any]], Counter[int]]:
    """The transmissions that are left, and how often each octet was transmitted."""
    flow, hop_limit, start, end, time = (np.array([row[i] for row in rows], dtype=np.int64) for i in range(5))
    columns = {name: np.zeros(len(rows), dtype=column.dtype) for name, column in TRANSMISSIONS.items()}
    columns |= {"start": start, "end": end, "time_ns": time, "packet": np.arange(len(rows))}
    left = without_heard(columns, np.ones(1, dtype=np.bool_), flow, hop_limit, flow == primary)
    octets = Counter(at for a, b in zip(left["start"].tolist(), left["end"].tolist(), strict=True) for at in range(a, b))
    return left, octets


def cut(length: int, sizes: list[int], flow: int, hop_limit: int, at: int) -> list[Row]:
    """A stretch of a stream in segments of these sizes, over and over, a microsecond apart."""
    rows: list[Row] = []
    start = 0
    while start < length:
        end = min(length, start + sizes[len(rows) % len(sizes)])
        rows.append((flow, hop_limit, start, end, at + len(rows) * US))
        start = end
    return rows


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)


@given(st.integers(1, 200), SIZES, SIZES, SIZES, st.integers(1, 3))
def test_every_octet_counts_once_a_transmission_however_each_form_is_cut(
    length: int, first: list[int], second: list[int], third: list[int], times: int
) -> None:
    """A router's two sides and its tunnel, and the whole sent `times` times in all."""
    rows: list[Row] = []
    for number in range(times):
        at = number * 300 * MS
        rows += cut(length, first, PLAIN, 64, at) + cut(length, second, PLAIN, 63, at + 50 * US)
        rows += cut(length, third, TUNNEL, 64, at + 20 * US)
    assert heard(rows)[1] == dict.fromkeys(range(length), times)


def test_what_one_form_lacks_the_other_gives() -> None:
    """The capture missed one of three segments behind the router: of the long one before it that stretch stays."""
    rows = [(PLAIN, 64, 0, 3000, 0), (PLAIN, 63, 0, 1000, 9 * US), (PLAIN, 63, 2000, 3000, 11 * US)]
    left, octets = heard(rows)
    assert set(octets.values()) == {1}
    assert sorted(zip(left["packet"].tolist(), left["start"].tolist(), left["end"].tolist(), strict=True)) == [
        (0, 1000, 2000), (1, 0, 1000), (2, 2000, 3000),
    ]  # fmt: skip


@pytest.mark.parametrize(("later", "copies"), [(1 * MS, 1), (300 * MS, 2)], ids=["routed", "sent again by another way"])
def test_a_retransmission_that_came_by_another_way_is_one(later: int, copies: int) -> None:
    rows = [(PLAIN, 64, 0, 1000, 0), (PLAIN, 64, 1000, 2000, US), (PLAIN, 63, 0, 700, later)]
    assert heard(rows)[1][0] == copies


def test_a_connection_in_one_form_is_left_alone() -> None:
    rows = [(PLAIN, 64, 0, 1000, 0), (PLAIN, 64, 0, 1000, 2 * US), (PLAIN, 64, 500, 1500, 3 * US)]
    left, _ = heard(rows)
    assert left["packet"].tolist() == [0, 1, 2]


def connection() -> list[Sent]:
    talk = Talk()
    talk.handshake(-100)
    for number in range(7):
        talk.exchange(100 * number)
    return talk.sent


def questions() -> list[Sent]:
    """DNS messages without IP identifications."""
    return [asked(number // 2, 50 * number, again=number % 2 == 1) for number in range(16)]


def identified() -> list[Sent]:
    """Datagrams of which each has another IP identification."""
    return [(reply if number % 2 else question)(50 * number, number) for number in range(16)]


@pytest.mark.parametrize("sent", [connection(), questions(), identified()], ids=["TCP", "DNS", "identified datagrams"])
def test_when_a_packet_came_of_which_a_capture_lacks_a_copy_is_not_known(tmp_path: Path, sent: list[Sent]) -> None:
    """B hears all twice, 40 µs apart, and of one reply the later copy alone: 30 µs after A got it, which no clock explains."""
    frames = captured(sent, "AB", delay_ns=10_000, offsets={"B": 3 * S})
    reply = next(frame for frame, one in zip(frames["B"], sent, strict=True) if one.side and len(frame.octets) > 54)
    copies = [frame.at(frame.time_ns + 40_000) for frame in frames["B"]]
    frames["B"] = sorted([*(frame for frame in frames["B"] if frame != reply), *copies])
    clock = aligned(tmp_path, frames).clocks[1]
    assert (clock.offset_ns, clock.segments) == (3 * S, 15)
