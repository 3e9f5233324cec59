"""The experiment table as a figure: said by form and words as well as by colour."""

from typing import TYPE_CHECKING, Final

from mixcni.experiments.scenario import FACTORS, FAILS, UNDECIDED, WORKS, Experiment
from mixcni.report.figures.drawing import FAINT, GREEN, INK, ORANGE, VERMILLION, Drawing, new_figure, shortened, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mixcni.experiments.result import Matrix

MARKS: Final = {FAILS: ("X", VERMILLION), WORKS: ("o", GREEN), UNDECIDED: ("D", ORANGE)}
MOST_ROWS: Final = 40
ROW_INCHES: Final = 0.3
FACTOR_WIDTH, POINT_WIDTH, NAME_WIDTH = 1.5, 1.0, 6.0  # in columns of the drawing


def draw_matrix(matrix: "Matrix") -> Drawing:
    """A row an experiment: the factors, requests and responses at each point, the outcome as a mark and a word, and the case."""
    shown = matrix.experiments[:MOST_ROWS]
    names = list(dict.fromkeys(point.point for experiment in shown for point in experiment.points))
    outcome_at = FACTOR_WIDTH * len(FACTORS) + POINT_WIDTH * len(names)
    width = outcome_at + 2.2 + NAME_WIDTH
    figure, (axes,) = new_figure(min(0.62 * width, 13), ROW_INCHES * (len(shown) + 2.5))
    axes.set_xlim(0, width)
    axes.set_ylim(len(shown) - 0.2, -1.6)
    axes.set_axis_off()
    for column, factor in enumerate(FACTORS):
        write(axes, column * FACTOR_WIDTH, -0.9, factor.replace("network_", ""), weight="bold", va="center")
    for column, name in enumerate(names):
        at = FACTOR_WIDTH * len(FACTORS) + (column + 0.35) * POINT_WIDTH
        write(axes, at, -0.9, shortened(name, 8), weight="bold", ha="center", va="center")
    write(axes, outcome_at + 0.4, -0.9, "outcome", weight="bold", va="center")
    axes.axhline(-0.5, color=INK, alpha=FAINT, linewidth=0.8)
    for row, experiment in enumerate(shown):
        _draw_row(axes, row, experiment, names, outcome_at)
    return Drawing("matrix", _title(matrix), figure)


def _draw_row(axes: "Axes", row: int, experiment: Experiment, names: list[str], outcome_at: float) -> None:
    for column, factor in enumerate(FACTORS):
        value = experiment.factors.get(factor)
        text = "?" if value is None else ("yes" if value else "no") if isinstance(value, bool) else shortened(value, 10)
        style = "italic" if factor in experiment.inferred else "normal"
        write(axes, column * FACTOR_WIDTH, row, text, va="center", style=style)
    counts = {point.point: point for point in experiment.points}
    for column, name in enumerate(names):
        if name in counts:
            at = FACTOR_WIDTH * len(FACTORS) + (column + 0.35) * POINT_WIDTH
            write(axes, at, row, f"{counts[name].requests}/{counts[name].responses}", ha="center", va="center")
    marker, colour = MARKS[experiment.outcome]
    axes.plot([outcome_at + 0.2], [row], marker=marker, color=colour, markersize=7, linestyle="none")
    share = f" {experiment.failed}/{experiment.decided}" if experiment.outcome == FAILS else ""
    write(axes, outcome_at + 0.5, row, f"{experiment.outcome}{share}", va="center")
    name = f"    {experiment.callers}" if experiment.callers else experiment.name
    write(axes, outcome_at + 2.3, row, shortened(name, 52), va="center", fontsize=8, alpha=0.8)


def _title(matrix: "Matrix") -> str:
    more = f"; the first {MOST_ROWS} of {len(matrix.experiments)} experiments" if len(matrix.experiments) > MOST_ROWS else ""
    return f"Experiments: requests/responses at each point; {matrix.headline}{more}"
