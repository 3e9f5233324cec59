"""The path: the points in order, how many requests and responses came over each hop, and where they die."""

from typing import TYPE_CHECKING, Final

import numpy as np

from mixcni.localise import Localisation
from mixcni.report.figures.drawing import BLUE, FAINT, GREEN, INK, ORANGE, VERMILLION, Drawing, new_figure, shortened, write
from mixcni.report.tables import Crossing, crossings, point_rows
from mixcni.schema import Direction, Fate
from mixcni.words import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS: Final = 16
BOX: Final = 0.27  # half a box's width, in units of a hop
LANES: Final = {Direction.FORWARD: 0.26, Direction.REVERSE: -0.26}
COLOURS: Final = {Direction.FORWARD: BLUE, Direction.REVERSE: GREEN}


def draw_path(localisation: Localisation) -> Drawing:
    """Requests above, responses below, each hop with what came over it; a cross where something was lost or refused."""
    count = min(len(localisation.points), MAX_POINTS)
    ends = _ends(localisation, count)
    half = 1.25 if ends else 0.85
    figure, (axes,) = new_figure(max(2.0 * count, 4.0), 2 * half)
    axes.set_axis_off()
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(-half, half)
    for position, row in enumerate(point_rows(localisation)[:count]):
        _draw_point(axes, position, row)
    for crossing in crossings(localisation):
        if crossing.near < count - 1:
            _draw_hop(axes, crossing)
    for position, y, colour, text in ends:
        write(axes, position - BOX + 0.06, y, text, ha="left", va="center", weight="bold")
        axes.plot([position - BOX], [y], marker="o", color=colour, markersize=5, linestyle="none")
    if count < len(localisation.points):
        write(axes, count - 0.55, -0.95, f"and {len(localisation.points) - count} more points", ha="right")
    names = ", ".join(point.name for point in localisation.points)
    return Drawing("path", f"Requests and responses on the hops between {names}", figure)


def _draw_point(axes: "Axes", position: int, row: dict[str, object]) -> None:
    from matplotlib.patches import FancyBboxPatch

    box = FancyBboxPatch(
        (position - BOX + 0.04, -0.46), 2 * BOX - 0.08, 0.92, boxstyle="round,pad=0.04", fill=False, edgecolor=INK, linewidth=1.2
    )
    axes.add_patch(box)
    where = [str(part) for part in (row["node"], row["kind"]) if part]
    write(
        axes,
        position,
        0.12 if where else 0,
        shortened(str(row["point"]), 12),
        ha="center",
        va="center",
        weight="bold",
        fontsize=12,
    )
    for line, text in enumerate(where):
        write(axes, position, -0.14 - 0.19 * line, shortened(text, 15), ha="center", va="center", fontsize=7)
    for direction, noun, y in ((Direction.FORWARD, "request", 0.68), (Direction.REVERSE, "response", -0.68)):
        number = int(str(row[f"{noun}s"]))
        colour = COLOURS[direction] if number else INK
        write(axes, position, y, plural(number, noun), ha="center", va="center", color=colour, alpha=1 if number else 0.7)


def _draw_hop(axes: "Axes", crossing: Crossing) -> None:
    """An arrow for what came over, dashed where nothing did, and a cross with a count for what did not."""
    near, direction, over, lost = crossing.near, crossing.direction, crossing.over, crossing.lost
    begin, end = near + BOX + 0.04, near + 1 - BOX - 0.04
    if direction == Direction.REVERSE:
        begin, end = end, begin
    y, colour = LANES[direction], COLOURS[direction]
    stop = end if over or not lost else (begin + end) / 2
    if over or lost:
        axes.annotate(
            "", (stop, y), (begin, y), annotation_clip=False,
            arrowprops={
                "arrowstyle": "->" if stop == end else "-", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0,
            },
        )  # fmt: skip
    else:
        axes.plot([begin, end], [y, y], color=INK, alpha=FAINT / 2, linewidth=1, linestyle=(0, (2, 3)))
    outward = 0.1 if direction == Direction.FORWARD else -0.1
    align = "bottom" if direction == Direction.FORWARD else "top"
    if over:
        aside, inward = (align, outward / 2) if not lost else ({"bottom": "top", "top": "bottom"}[align], -outward)
        write(axes, (begin + end) / 2, y + inward, f"{over:,}", ha="center", va=aside, color=colour)
    if lost:
        middle = (begin + end) / 2
        axes.plot([middle], [y], marker="x", color=VERMILLION, markersize=10, markeredgewidth=2.6, linestyle="none")
        word = f"{lost:,} {'refused' if crossing.is_refused else 'lost'}"
        write(axes, middle, y + 1.6 * outward, word, ha="center", va=align, color=VERMILLION, weight="bold", fontsize=9)


def _ends(localisation: Localisation, count: int) -> list[tuple[int, float, str, str]]:
    """(position, height, colour, words) beside the point where they were last seen: what has no end, or the far end's doing."""
    fates = localisation.fates
    rows = (fates["near"] < 0) & (fates["direction"] < 0)
    found: list[tuple[int, float, str, str]] = []
    for fate, word, colour, y in (
        (Fate.UNDECIDED, "undecided", ORANGE, 1.0),
        (Fate.SILENT, "silent", ORANGE, -1.0),
        (Fate.REFUSED, "refused", VERMILLION, -1.15),
    ):
        last = np.clip(fates["last_seen"][rows & (fates["fate"] == fate)], -1, count - 1)
        found.extend(
            (position, y, colour, f"{int((last == position).sum()):,} {word}") for position in np.unique(last[last >= 0]).tolist()
        )
    return found
