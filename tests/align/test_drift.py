"""Drift and steps: what a clock does is found from both directions, and no more is said than was seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mixcni.align.clock import ClockModel, ClockPiece
from mixcni.align.clocks import estimate_clocks
from mixcni.align.envelope import corridor, hull_under, line_under
from mixcni.align.pairclock import Matched, fit_line
from mixcni.align.transmissions import TransmissionTable
from mixcni.schema import TRANSMISSIONS
from tests.wire import MS, START, S

HOUR = 3600 * S
SECONDS = 60


class Clock:
    """A clock that was right at START but for `offset`, runs `ppm` fast, and is set by (after seconds, ns) in `steps`."""

    def __init__(self, offset: int = 0, ppm: float = 0, steps: Sequence[tuple[float, int]] = ()) -> None:
        self.offset, self.ppm, self.steps = offset, ppm, steps

    def shows(self, true_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        elapsed = true_ns - START
        shown = true_ns + self.offset + np.rint(elapsed * self.ppm * 1e-6).astype(np.int64)
        for after, by in self.steps:
            shown = shown + np.where(elapsed >= after * S, by, 0)
        return np.asarray(shown)


def traffic(
    seed: int,
    clocks: Sequence[Clock],
    *,
    seconds: float = SECONDS,
    count: int = 2000,
    ways: Sequence[int] = (0, 1),
    least: Sequence[tuple[int, int]] = ((200_000, 200_000),) * 4,
    noise_ns: float = 100_000,
    lacking: float = 0.02,
) -> tuple[TransmissionTable, list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Segments that pass all points both ways, with delays of `least` (there, back) a hop and exponential noise.

    Returns the table, and each point's packet times by its own clock and in truth.
    """  # fmt: skip
    chance = np.random.default_rng(seed)
    way = chance.choice(np.array(ways), count)
    sent = START + np.sort(chance.integers(0, round(seconds * S), count))
    parts, shown, true = [], [], []
    delays = [
        np.rint(np.where(way == 0, *least[hop]) + chance.exponential(noise_ns, count)).astype(np.int64)
        for hop in range(len(clocks) - 1)
    ]
    for point, clock in enumerate(clocks):
        at = sent.copy()
        for hop, delay in enumerate(delays):
            at += np.where(np.where(way == 0, hop < point, hop >= point), delay, 0)
        kept = np.flatnonzero(chance.random(count) >= lacking)
        kept = kept[np.argsort(at[kept], kind="stable")]
        columns: dict[str, Any] = {
            "conversation": np.zeros(kept.size), "point": np.full(kept.size, point), "direction": way[kept], "start": kept,
            "end": kept + 1, "acknowledged": np.full(kept.size, -1), "tcp_flags": np.full(kept.size, 16),
            "time_ns": clock.shows(at[kept]), "packet": np.arange(kept.size),
        }  # fmt: skip
        parts.append(columns)
        shown.append(columns["time_ns"])
        true.append(at[kept])
    table = {name: np.concatenate([part[name] for part in parts]).astype(TRANSMISSIONS[name].dtype) for name in TRANSMISSIONS}
    return TransmissionTable(table), shown, true


def estimated(*arguments: Any, nodes: Sequence[str] = (), **more: Any) -> tuple[list[ClockModel], float]:
    """The models, and by how much the common clock is wrong at worst, ns, less what each model says that it may be."""
    table, shown, true = traffic(*arguments, **more)
    names = "ABCD"[: len(shown)]
    models, _ = estimate_clocks(names, table, shown, nodes)
    reference: Clock = arguments[1][0]
    excess = max(
        float(np.abs(model.common_ns(times) - reference.shows(at)).max()) - (model.uncertainty_ns or 0)
        for model, times, at in zip(models, shown, true, strict=True)
    )
    return models, excess


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("offset", [0, 3_700 * MS, -HOUR])
def test_drift_is_found_within_one_ppm_and_offset_within_what_is_stated(seed: int, offset: int) -> None:
    ppm = float(np.random.default_rng(seed).uniform(-200, 200))
    (_, model, last), excess = estimated(seed, (Clock(), Clock(offset, ppm), Clock(-offset, -ppm)))
    assert model.drift_ppm == pytest.approx(ppm, abs=1)
    assert last.drift_ppm == pytest.approx(-ppm, abs=1)
    assert model.drift_ppm is not None
    assert model.drift_uncertainty_ppm is not None
    assert abs(model.drift_ppm - ppm) <= model.drift_uncertainty_ppm
    assert excess <= 0


@given(
    st.integers(0, 2**32 - 1),
    st.floats(-200, 200),
    st.integers(-HOUR, HOUR),
    st.tuples(st.integers(0, 20 * MS), st.integers(0, 20 * MS)),
)
@settings(max_examples=40)
def test_every_time_is_put_on_the_common_clock_within_what_is_stated(
    seed: int, ppm: float, offset: int, least: tuple[int, int]
) -> None:
    """Also where the way back is slower than the way there."""
    _, excess = estimated(seed, (Clock(), Clock(offset, ppm)), least=(least,), count=300)
    assert excess <= 1


@pytest.mark.parametrize("way", [0, 1])
def test_one_direction_tells_drift_and_no_offset(way: int) -> None:
    models, _ = estimated(3, (Clock(), Clock(5 * S, 40.0)), ways=(way,))
    assert models[1].drift_ppm == pytest.approx(40, abs=1)
    assert models[1].uncertainty_ns is None
    assert abs(models[1].offset_ns - 5 * S - 40e-6 * SECONDS / 2 * S) < MS


@pytest.mark.parametrize("way", [0, 1])
def test_a_few_segments_the_other_way_bound_the_offset_among_many_whose_delays_hardly_differ(way: int) -> None:
    ways = [way] * 19 + [1 - way]
    (_, model), wrong = estimated(2, [Clock(), Clock(HOUR, 20.0)], ways=ways, least=((1_000_000, 1_000_000),), noise_ns=10_000)
    assert model.uncertainty_ns is not None
    assert wrong <= 0


def test_of_two_bursts_that_a_drift_holds_apart_none_is_left_out() -> None:
    """Thirteen segments within 3 s between clocks that run apart by 187 ppm, as two points of one recording saw them, in µs."""
    at = [0, 108, 7_885, 15_783, 2_518_882, 2_518_996, 2_519_420, 2_519_518, 2_519_551, 2_519_837]
    at += [2_523_775, 2_527_762, 2_592_084]
    ahead = [0, -61, -28, -14, -477, -550, -517, -515, -531, -517, -501, -490, -509]
    forward = np.array([number not in {1, 5, 8} for number in range(len(at))])
    times = START + np.array(at) * 1000
    rows = np.arange(times.size)
    fit = fit_line(Matched(forward, times, times + np.array(ahead) * 1000, rows, rows))
    assert (fit.first_ns, fit.last_ns) == (times[0], times[-1])
    assert fit.drift is not None
    assert abs(fit.drift + 187e-6) <= (fit.drift_slack or 0)


def test_a_reference_that_drifts_itself_is_the_common_clock_all_the_same() -> None:
    models, excess = estimated(4, (Clock(0, 150.0), Clock(HOUR, -100.0), Clock()))
    assert excess <= 0
    assert models[2].drift_ppm == pytest.approx((1 / (1 + 150e-6) - 1) * 1e6, abs=1)


@pytest.mark.parametrize("by", [30 * MS, -30 * MS, HOUR, -HOUR, 2 * MS])
@pytest.mark.parametrize("after", [10.0, 30.0, 55.0])
@pytest.mark.parametrize("ppm", [0.0, 80.0])
def test_a_step_is_found_where_it_was(by: int, after: float, ppm: float) -> None:
    models, _ = estimated(5, (Clock(), Clock(S, ppm, [(after, by)]), Clock()))
    assert len(models[1].steps_ns) == 1
    assert models[1].steps_ns[0] == pytest.approx(by, abs=200_000)
    assert models[2].steps_ns == ()
    _, shown, true = traffic(5, (Clock(), Clock(S, ppm, [(after, by)]), Clock()))
    wrong = np.abs(models[1].common_ns(shown[1]) - true[1]) > (models[1].uncertainty_ns or 0) + 100_000
    assert np.count_nonzero(wrong) <= 2, "all but those between the last segment before and the first one after"


def test_two_steps_are_two() -> None:
    models, _ = estimated(6, (Clock(), Clock(0, 20.0, [(15, 500 * MS), (40, -800 * MS)])))
    assert [round(step / MS) for step in models[1].steps_ns] == [500, -800]


def test_a_step_of_the_reference_is_one_of_all_others() -> None:
    models, _ = estimated(7, (Clock(0, 0, [(20, 300 * MS)]), Clock(), Clock()))
    assert [tuple(round(step / MS) for step in model.steps_ns) for model in models] == [(), (-300,), (-300,)]


@pytest.mark.parametrize("seed", range(10))
def test_a_route_that_changes_is_no_step(seed: int) -> None:
    """From half time on the way there takes 30 ms more, and the way back what it took: no clock does that."""
    table, shown, _ = traffic(seed, (Clock(), Clock()))
    columns = {name: array.copy() for name, array in table.columns().items()}
    slower = (columns["point"] == 1) & (columns["direction"] == 0) & (columns["time_ns"] > START + 30 * S)
    columns["time_ns"][slower] += 30 * MS
    models, _ = estimate_clocks("AB", TransmissionTable(columns), shown)
    assert models[1].steps_ns == ()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("noise_ns", [5_000, 100_000, 3_000_000])
def test_steady_clocks_have_no_step(seed: int, noise_ns: float) -> None:
    models, excess = estimated(seed, (Clock(), Clock(S, 50.0)), noise_ns=noise_ns)
    assert models[1].steps_ns == ()
    assert excess <= 0


def test_captures_that_hardly_overlap_are_joined_by_what_they_share() -> None:
    """B's capture begins in the last second of A's, and its clock is an hour off."""
    table, shown, true = traffic(8, (Clock(), Clock(HOUR, 30.0)))
    early = (table["point"] == 1) & (table["time_ns"] < START + HOUR + 59 * S)
    late = (table["point"] == 0) & (table["time_ns"] > START + 59 * S + 500 * MS)
    part = TransmissionTable({name: array[~early & ~late] for name, array in table.columns().items()})
    models, _ = estimate_clocks("AB", part, shown)
    assert models[1].drift_ppm is None
    shared = (true[1] > START + 59 * S) & (true[1] < START + 59 * S + 500 * MS)
    assert (np.abs(models[1].common_ns(shown[1]) - true[1])[shared] <= (models[1].uncertainty_ns or 0) + 20_000).all()


# Points of one node


@pytest.mark.parametrize("other", [Clock(HOUR), Clock(HOUR + 50 * MS), Clock(HOUR, 60.0), Clock(HOUR, 0, [(30, 50 * MS)])])
def test_points_of_one_node_that_segments_join_are_measured(other: Clock) -> None:
    """A container may have been captured on by another program, with a clock of its own: what can be measured is."""
    models, excess = estimated(9, (Clock(), Clock(HOUR), other), nodes=("n1", "n2", "n2"))
    assert [model.shares for model in models] == ["", "", ""]
    if not other.steps:
        assert excess <= 0


def test_a_point_that_nothing_joins_has_its_nodes_clock() -> None:
    table, shown, _ = traffic(9, (Clock(), Clock(HOUR), Clock(HOUR)))
    part = TransmissionTable({name: array[table["point"] < 2] for name, array in table.columns().items()})
    models, _ = estimate_clocks("ABC", part, shown, ("n1", "n2", "n2"))
    assert models[2].shares == "B"
    assert models[2].is_known
    assert (models[2].offset_ns, models[2].uncertainty_ns) == (models[1].offset_ns, None)  # assumed, so without a bound
    assert (models[2].drift_ppm, models[2].drift_uncertainty_ppm) == (None, None)
    assert models[1].uncertainty_ns is not None
    apart, _ = estimate_clocks("ABC", part, shown)
    assert not apart[2].is_known


def test_a_point_measured_by_an_assumed_clock_says_through_whom() -> None:
    """A and B are joined, and C and D; that B's clock is C's nothing but their node says."""
    table, shown, _ = traffic(9, (Clock(), Clock(HOUR), Clock(HOUR), Clock(2 * HOUR)))
    columns = {name: array.copy() for name, array in table.columns().items()}
    columns["conversation"] += np.where(columns["point"] >= 2, 1_000_000, 0).astype(columns["conversation"].dtype)
    models, _ = estimate_clocks("ABCD", TransmissionTable(columns), shown, ("n1", "n2", "n2", "n3"))
    assert [(model.shares, model.through) for model in models] == [("", ""), ("", ""), ("B", ""), ("", "C")]
    assert models[3].segments > 0
    assert models[3].uncertainty_ns is None


# Several points


@pytest.mark.parametrize("seed", range(5))
def test_a_cycle_leaves_no_more_than_its_pairs_bound(seed: int) -> None:
    table, shown, _ = traffic(seed, (Clock(), Clock(S, 10.0), Clock(-S, -10.0), Clock(HOUR)))
    models, cycles = estimate_clocks("ABCD", table, shown)
    assert [(cycle.p, cycle.q) for cycle in cycles] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for cycle in cycles:
        assert cycle.slack_ns is not None
        assert abs(cycle.offset_ns) <= cycle.slack_ns
    assert [model.uncertainty_ns is None for model in models] == [False] * 4


def test_two_points_are_no_cycle() -> None:
    table, shown, _ = traffic(1, (Clock(), Clock(S)))
    assert estimate_clocks("AB", table, shown)[1] == ()


# Lines and times


POINT = st.tuples(st.integers(0, 1000), st.integers(-1000, 1000))


@given(st.lists(POINT, min_size=2, max_size=40))
def test_the_hull_is_under_all_points_and_touches_the_mean_best(points: list[tuple[int, int]]) -> None:
    """Its twin: of all lines through two points that are under the cloud, the highest at the mean of t."""
    t, d = (np.array([point[i] for point in points], dtype=np.float64) * (1e6, 1.0)[i] for i in (0, 1))
    x, y = hull_under(t, d)
    level, slope = line_under((x, y), float(t.mean()))
    assert (d - level - slope * t >= -1e-6).all()
    assert (np.diff(x) > 0).all()
    assert (np.diff(np.diff(y) / np.diff(x)) > 0).all() if x.size > 2 else True
    lines = [
        (d[i] - t[i] * (d[j] - d[i]) / (t[j] - t[i]), (d[j] - d[i]) / (t[j] - t[i]))
        for i in range(len(points)) for j in range(len(points)) if t[j] > t[i]
    ]  # fmt: skip
    under = [a + b * t.mean() for a, b in lines if abs(b) <= 1e-3 and (d - a - b * t >= -1e-6).all()]
    if under and abs(slope) < 1e-3:
        assert level + slope * t.mean() == pytest.approx(max(under), abs=1e-3)


@given(st.lists(POINT, min_size=2, max_size=12), st.lists(POINT, min_size=2, max_size=12))
def test_the_corridor_is_what_a_search_over_all_lines_finds(above: list[tuple[int, int]], below: list[tuple[int, int]]) -> None:
    """Its twin tries drifts on a grid; the ends of the corridor lie between two of them."""
    clouds = [
        (np.array([p[0] for p in cloud], dtype=np.float64) * 1e6, np.array([p[1] + shift for p in cloud], dtype=np.float64))
        for cloud, shift in ((above, 900), (below, -900))
    ]
    (t, d), (u, v) = clouds
    ends = float(min(t.min(), u.min())), float(max(t.max(), u.max()))
    found = corridor(hull_under(t, d), hull_under(u, -v), ends)
    grid = np.linspace(-1e-3, 1e-3, 2001)
    high = (d - grid[:, None] * t).min(axis=1)
    low = (v - grid[:, None] * u).max(axis=1)
    fits = high >= low
    assert found.gap >= float((high - low).max()) - 1e-6
    if not fits.any():
        assert found.gap < 2000
        return
    assert found.drifts[0] <= grid[fits].min() + 1e-12
    assert found.drifts[1] >= grid[fits].max() - 1e-12
    assert found.drifts[1] - found.drifts[0] <= np.ptp(grid[fits]) + 2e-6
    for end, (least, greatest) in zip(ends, found.values, strict=True):
        assert least <= float((low + grid * end)[fits].min()) + 1e-6
        assert greatest >= float((high + grid * end)[fits].max()) - 1e-6


@given(st.integers(-HOUR, HOUR), st.floats(-500, 500), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_times_go_to_the_common_clock_and_back(offset: int, ppm: float, elapsed: list[int]) -> None:
    """Worked: own = common + offset + drift * (common - anchor)."""
    common = np.array(elapsed) + START
    own = common + offset + np.rint((common - START) * (ppm * 1e-6)).astype(np.int64)
    model = ClockModel("A", offset, 0, 1, ppm, 0, (ClockPiece(0, START + offset, offset, ppm),))
    assert np.abs(model.common_ns(own) - common).max() <= 1
    assert model.common_window((int(own[0]), int(own[-1]))) == (int(model.common_ns(own)[0]), int(model.common_ns(own)[-1]))


def test_a_packet_without_a_time_has_none_on_the_common_clock() -> None:
    model = ClockModel("A", 7, 0, 1, 1.0, 0, (ClockPiece(0, START, 7, 1.0), ClockPiece(1, START + S, 9, 1.0)))
    assert model.common_ns(np.array([-1, -1, START + S])).tolist() == [-1, -1, START + S - 9]
    assert ClockModel("A", 7, 0, 1).common_ns(np.array([-1, 10])).tolist() == [-1, 3]
