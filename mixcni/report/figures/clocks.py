"""The clocks: what each point's clock showed more than the first one's, segment by segment, and the line that is made of it."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.localise import Localisation
from mixcni.report.figures.drawing import BLUE, FAINT, GREEN, INK, Drawing, head, new_figure, write
from mixcni.schema import Direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_MARKS: Final = 600  # a direction and point: the nearest to the line of each stretch of time
MAX_PANELS: Final = 8


def draw_clocks(localisation: Localisation) -> Drawing:
    """A panel a point beside the first: requests above the line by their delay, responses below it, by no less than none."""
    positions = list(range(1, len(localisation.points)))[:MAX_PANELS] or [0]
    pairs = [seen_at_both(localisation, _reference(localisation, position), position) for position in positions]
    figure, axes = new_figure(8.2, *(2.4 if at_p.size else 0.55 for at_p, _ in pairs))
    for position, pair, one in zip(positions, pairs, axes, strict=True):
        _draw_clock(one, localisation, position, *pair)
    return Drawing("clocks", "What each point's clock showed more than that of the first point", figure)


def seen_at_both(localisation: Localisation, p: int, q: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the transmission table, at p and at q, of segments that both points saw equally often, the k-th with the k-th."""
    table = localisation.alignment.transmissions
    rows = np.flatnonzero(
        (table["end"] > table["start"]) & ((table["point"] == p) | (table["point"] == q)) & (table["time_ns"] >= 0)
    )
    if p == q or not rows.size:
        return rows[:0], rows[:0]
    keys = np.stack([table[name][rows].astype(np.int64) for name in ("conversation", "direction", "start", "end")], axis=1)
    group = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((table["time_ns"][rows], group))
    rows, group = rows[order], group[order]
    at_p = table["point"][rows] == p
    size = int(group.max()) + 1
    equal = (np.bincount(group[at_p], minlength=size) == np.bincount(group[~at_p], minlength=size))[group]
    return rows[at_p & equal], rows[~at_p & equal]


def _reference(localisation: Localisation, position: int) -> int:
    return [point.name for point in localisation.points].index(localisation.alignment.clocks[position].reference)


def _draw_clock(
    axes: "Axes", localisation: Localisation, position: int, at_p: NDArray[np.int64], at_q: NDArray[np.int64]
) -> None:
    alignment, reference = localisation.alignment, _reference(localisation, position)
    clock, table = alignment.clocks[position], alignment.transmissions
    head(axes, _title(localisation, position))
    if not at_p.size:
        why = "it is the common clock" if position == reference else f"no segment was seen both at {clock.reference} and here"
        write(axes, 0.02, 0.5, why, transform=axes.transAxes, va="center")
        axes.set_axis_off()
        return
    axes.set_xlabel("seconds on the common clock", color=INK, fontsize=8)
    packets = alignment.points[position].packets
    offset = packets["time_ns"] - clock.common_ns(packets["time_ns"])
    base = int(offset[table["packet"][at_q]].min())
    model = (offset[table["packet"][at_q]] - base) / 1e3
    shown = model + (table["time_ns"][at_q] - table["time_ns"][at_p]) / 1e3
    seconds = (table["time_ns"][at_p] - int(table["time_ns"][at_p].min())) / 1e9
    order = np.argsort(seconds, kind="stable")
    axes.plot(seconds[order][[0, -1]], model[order][[0, -1]], color=INK, linewidth=1.4, label="clock")
    for direction, colour, marker, word in (
        (Direction.FORWARD, BLUE, "^", "requests"),
        (Direction.REVERSE, GREEN, "v", "responses"),
    ):
        mine = np.flatnonzero(table["direction"][at_p] == direction)
        if not mine.size:
            continue
        delay = np.abs(shown[mine] - model[mine])
        few = mine[_nearest(seconds[mine], delay)]
        axes.plot(seconds[few], shown[few], linestyle="none", marker=marker, color=colour, markersize=3.2, alpha=0.8, label=word)
        least = (shown[mine] - model[mine]).min() if direction == Direction.FORWARD else (shown[mine] - model[mine]).max()
        axes.plot(
            seconds[order][[0, -1]], model[order][[0, -1]] + least, color=colour, linewidth=1, linestyle=(0, (4, 2)), alpha=0.9
        )
    axes.set_ylabel(f"µs from {base / 1e6:+,.3f} ms" if base else "µs", color=INK, fontsize=8)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 0.99),
        frameon=False,
        fontsize=7,
        labelcolor=INK,
        ncols=3,
        borderpad=0,
        handletextpad=0.3,
    )
    axes.grid(visible=True, color=INK, alpha=FAINT / 4, linewidth=0.5)


def _title(localisation: Localisation, position: int) -> str:
    clock, name = localisation.alignment.clocks[position], localisation.points[position].name
    if clock.beside:
        return f"{name}: measured against {clock.beside}, which is taken to agree with {clock.reference}"
    if not clock.is_known:
        return f"{name}: taken to agree with {clock.reference}"
    unbounded = f"through {clock.through}" if clock.through else "bounded from one side"
    within = unbounded if clock.uncertainty_ns is None else f"± {clock.uncertainty_ns / 1e3:,.1f} µs"
    drift = "" if clock.drift_ppm is None else f", drift {clock.drift_ppm:+.3f} ppm"
    return f"{name} against {clock.reference}: {clock.offset_ns / 1e6:+,.4f} ms {within}{drift}, {clock.segments:,} segments"


def _nearest(seconds: NDArray[np.float64], delay: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows of the least delays, one a stretch of time, where there are more than can be shown."""
    if seconds.size <= MAX_MARKS:
        return np.arange(seconds.size)
    span = float(seconds.max()) or 1.0
    stretch = np.minimum((seconds / span * MAX_MARKS).astype(np.int64), MAX_MARKS - 1)
    order = np.lexsort((delay, stretch))
    return order[np.unique(stretch[order], return_index=True)[1]]
