"""Pieces of streams and their counts, held against a twin that counts octet by octet; miss rates and chances worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.align.transmissions import TransmissionTable
from mixcni.localise.atoms import NEVER, WIDEST, Intervals, all_of, cut_atoms, first_without
from mixcni.localise.judgement import MOST_DOUBT, MOST_OWN_DOUBT, judge_hop
from mixcni.localise.missrate import MissRate
from mixcni.localise.watch import Watch
from mixcni.schema import TRANSMISSIONS
from tests.kernels.forms import TWO_FORMS, in_form

POINTS = 3
SEGMENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, POINTS - 1), st.integers(0, 40), st.integers(0, 30)),
    max_size=30,
)


def table_of(segments: list[tuple[int, int, int, int, int]]) -> TransmissionTable:
    """Transmissions of (conversation, direction, point, start, octets), a nanosecond apart."""
    columns = {name: np.zeros(len(segments), dtype=column.dtype) for name, column in TRANSMISSIONS.items()}
    for i, (conversation, direction, point, start, octets) in enumerate(segments):
        columns["conversation"][i], columns["direction"][i], columns["point"][i] = conversation, direction, point
        columns["start"][i], columns["end"][i], columns["time_ns"][i] = start, start + octets, 7 * i % 31
    return TransmissionTable(columns)


def octets_of(
    segments: list[tuple[int, int, int, int, int]], window: tuple[int, int] = (0, 31)
) -> dict[tuple[int, int, int], list[int]]:
    """The times at which each octet (stream, offset) was seen at each point within a window."""
    seen: dict[tuple[int, int, int], list[int]] = {}
    for i, (conversation, direction, point, start, octets) in enumerate(segments):
        if window[0] <= 7 * i % 31 <= window[1]:
            for offset in range(start, start + octets):
                seen.setdefault((2 * conversation + direction, offset, point), []).append(7 * i % 31)
    return seen


@pytest.mark.kernels
@pytest.mark.parametrize("widest", [WIDEST, 2], ids=["counted one by one", "counted by blocks"])
@pytest.mark.parametrize("form", TWO_FORMS)
@given(segments=SEGMENTS)
def test_every_octet_of_an_atom_was_sent_as_often_and_at_the_times_that_the_atom_says(
    form: str, widest: int, segments: list[tuple[int, int, int, int, int]]
) -> None:
    with in_form(form), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixcni.localise.atoms.WIDEST", widest)
        atoms, _ = cut_atoms(table_of(segments), POINTS, [])
    seen, covered = octets_of(segments), set()
    for i in range(atoms.stream.size):
        if not atoms.counts[i].any():
            continue
        for offset in range(int(atoms.start[i]), int(atoms.end[i])):
            for point in range(POINTS):
                times = seen.get((int(atoms.stream[i]), offset, point), [])
                assert atoms.counts[i, point] == len(times)
                assert atoms.first_ns[i, point] == min(times, default=NEVER)
                assert atoms.last_ns[i, point] == max(times, default=-NEVER)
                covered.add((int(atoms.stream[i]), offset, point))
    assert set(seen) <= covered


@given(SEGMENTS, st.integers(0, 30), st.integers(0, 30), st.integers(0, POINTS - 1), st.integers(0, 30), st.integers(0, 5))
def test_of_a_watch_only_its_transmissions_count(
    segments: list[tuple[int, int, int, int, int]], a: int, b: int, point: int, hole: int, width: int
) -> None:
    watch = Watch(min(a, b), max(a, b), ((hole, hole + width),))
    atoms, _ = cut_atoms(table_of(segments), POINTS, [])
    seen = octets_of(segments, watch[:2])
    counts, first = atoms.within(point, watch)
    for i in np.flatnonzero(atoms.counts.any(axis=1)):
        times = seen.get((int(atoms.stream[i]), int(atoms.start[i]), point), [])
        times = [time for time in times if not hole <= time <= hole + width]
        assert (counts[i], first[i]) == (len(times), min(times, default=NEVER))


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
@given(segments=SEGMENTS, cuts=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.integers(0, 30)), max_size=5))
def test_an_interval_is_made_of_whole_atoms(
    form: str, segments: list[tuple[int, int, int, int, int]], cuts: list[tuple[int, int, int]]
) -> None:
    stream, start, octets = (np.array([cut[i] for cut in cuts], dtype=np.int64) for i in range(3))
    with in_form(form):
        atoms, (intervals,) = cut_atoms(table_of(segments), POINTS, [(stream, start, start + octets)])
    seen = octets_of(segments)
    whole, rows = all_of(intervals, atoms.seen), np.arange(len(cuts))
    missing = [first_without(intervals, atoms.seen, rows, np.full(rows.size, point)) for point in range(POINTS)]
    for i, (number, begin, size) in enumerate(cuts):
        for point in range(POINTS):
            unseen = [offset for offset in range(begin, begin + size) if (number, offset, point) not in seen]
            assert whole[i, point] == (not unseen)
            if unseen:
                assert atoms.start[missing[point][i]] <= unseen[0] < atoms.end[missing[point][i]]


def test_offsets_that_do_not_fit_one_number_with_their_streams_are_cut_alike() -> None:
    far = 2**61
    near = cut_atoms(table_of([(2, 1, 0, 5, 10), (2, 1, 1, 5, 4), (3, 0, 0, 5, 2)]), POINTS, [])[0]
    wide = cut_atoms(table_of([(2, 1, 0, 5 - far, 10), (2, 1, 1, 5 - far, 4), (3, 0, 0, 5 + far, 2)]), POINTS, [])[0]
    assert wide.stream.tolist() == near.stream.tolist() == [5, 5, 5, 6, 6]
    assert (wide.start - near.start).tolist() == [-far] * 3 + [far] * 2
    assert wide.counts.tolist() == near.counts.tolist()


def test_an_empty_interval_holds_and_stands_for_its_first_atom() -> None:
    empty = Intervals(np.array([1]), np.array([1]))
    holds = np.zeros((2, 1), dtype=np.bool_)
    assert all_of(empty, holds).tolist() == [[True]]
    assert first_without(empty, holds, np.array([0]), np.array([0])).tolist() == [1]


def test_memory_does_not_grow_with_segments_times_boundaries() -> None:
    """A thousand segments of 60 000 octets over a thousand of one octet: a row each, not a million."""
    segments = [(0, 0, 0, 0, 60_000)] * 1000 + [(0, 0, 1, 10 * i, 1) for i in range(1000)]
    atoms, _ = cut_atoms(table_of(segments), POINTS, [])
    assert atoms.begin.size == len(segments)
    assert atoms.counts[:, 0].max() == 1000


@pytest.mark.parametrize(
    ("proven", "missed", "copies", "chance"),
    [
        (0, 0, 1, 0.05),
        (0, 0, 2, 0.05 * 1.5 / 11),
        (90, 0, 1, 0.5 / 100),
        (90, 40, 1, 40.5 / 100),
        (90, 40, 2, 40.5 / 100 * 41.5 / 101),
    ],
)
def test_the_chance_that_a_capture_missed_all_copies_is_the_beta_binomial(
    proven: int, missed: int, copies: int, chance: float
) -> None:
    """Beta prior of 0.5 missed and 9.5 seen; the mean of rate ** k is the product of (a + i) / (a + b + i)."""
    assert MissRate(proven, missed).all_missed(copies) == pytest.approx(chance)


@pytest.mark.parametrize(
    ("dropped", "chance"),
    [(None, 0.5 / 10), (0.0, 0.5 / 50), (0.02, 0.5 / 10), (0.4, 4 / 10)],
    ids=["no counters", "none", "few", "many"],
)
def test_what_a_capture_counted_as_dropped_is_where_its_rate_is_looked_for(dropped: float | None, chance: float) -> None:
    assert MissRate(0, 0, dropped).all_missed(1) == pytest.approx(chance)
    assert MissRate(10**6, 10**5, dropped).all_missed(1) == pytest.approx(0.1, rel=1e-3), "and what is proven outweighs it"


def test_a_rate_with_no_miss_is_bounded_from_above_and_shrinks_with_evidence() -> None:
    bounds = [MissRate(proven, 0).interval for proven in (0, 10, 1000)]
    assert [low for low, _ in bounds] == [0, 0, 0]
    assert bounds[0][1] > bounds[1][1] > bounds[2][1]
    low, high = MissRate(1000, 300).interval
    assert low < 0.3 < high < 0.35


@pytest.mark.parametrize(
    ("unseen", "arrived", "blamed"),
    [
        ([0.05], 0, False),
        ([0.01], 0, True),
        ([0.01], 20, False),
        ([0.001], 20, False),
        ([0.001], 3, False),
        ([0.05] * 12, 0, True),
        ([0.05] * 12, 20, True),
        ([0.3] * 30, 70, False),
        ([0.3] * 90, 10, True),
    ],
)
def test_a_hop_is_blamed_only_for_more_than_its_far_capture_misses(unseen: list[float], arrived: int, blamed: bool) -> None:
    none, doubt = judge_hop(np.array(unseen), arrived, float(np.prod(unseen)))
    assert (none < MOST_DOUBT and bool((doubt < MOST_OWN_DOUBT).all())) == blamed


@pytest.mark.parametrize(("chance", "arrived", "none"), [(0.1, 0, 0.1 / (0.1 + 0.55)), (0.01, 0, 0.01 / (0.01 + 0.505))])
def test_the_doubt_is_what_bayes_says(chance: float, arrived: int, none: float) -> None:
    """One unseen exchange: a hop that loses a share q has it unseen with q + (1 - q) * chance, (1 + chance) / 2 on average."""
    assert judge_hop(np.array([chance]), arrived, chance)[0] == pytest.approx(none)
