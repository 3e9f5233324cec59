"""The ladder: a conversation over all points, time downwards, a lane a point, its copies joined, a gap where one was lost."""

from typing import TYPE_CHECKING, Final

from mixcni.localise import Localisation
from mixcni.report.figures.drawing import BLUE, FAINT, GREEN, INK, ORANGE, VERMILLION, Drawing, new_figure, shortened, write
from mixcni.report.ladder import ELSEWHERE, MISSING, Ladder, exchange_of, ladder_of
from mixcni.schema import Direction, Fate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_RUNGS: Final = 60  # a longer conversation is cut in the middle, with a count
RUNG: Final = 0.23  # inches


def draw_ladder(localisation: Localisation, conversation: int) -> Drawing:
    """The ladder of a row of the conversation table."""
    ladder = ladder_of(localisation, conversation)
    shown, cut = ladder.shown(MAX_RUNGS)
    count = len(ladder.points)
    figure, (axes,) = new_figure(3.4 + 1.35 * count, 1.0 + RUNG * max(len(shown) + bool(cut), 1))
    axes.set_axis_off()
    bottom = len(shown) + (1 if cut else 0)
    axes.set_ylim(bottom + 0.4, -1.6)
    axes.set_xlim(-2.35, count - 0.45)
    for position, name in enumerate(ladder.points):
        axes.plot([position, position], [-0.6, bottom], color=INK, alpha=FAINT, linewidth=1)
        write(axes, position, -1.0, shortened(name, 16), ha="center", va="center", weight="bold", fontsize=10)
    write(axes, -1.7, -1.0, "seconds", ha="right", va="center", alpha=0.75)
    write(axes, -1.55, -1.0, "segment", ha="left", va="center", alpha=0.75)
    y = 0
    for place, number in enumerate(shown):
        if cut and place == MAX_RUNGS // 2:
            write(axes, -1.55, y, f"… {cut:,} segments left out …", va="center", style="italic")
            y += 1
        _draw_rung(axes, ladder, number, y, _gap_of(localisation, ladder, number))
        y += 1
    if not ladder.rungs:
        write(axes, -1.55, 0, "no TCP segments", va="center")
    return Drawing(f"ladder {conversation}", f"Conversation {conversation}, {ladder.title}, over all points", figure)


def _gap_of(localisation: Localisation, ladder: Ladder, number: int) -> tuple[str, str]:
    """(marker, colour) of a segment's missing copies: a loss only where its exchange was lost or refused on the way.

    A copy that a retransmission made up for, or that a capture missed, is a plain gap; of what is undecided nobody knows.
    """
    row = exchange_of(localisation, ladder.conversation, ladder.rungs[number])
    fates = localisation.fates
    if row is not None and fates["near"][row] >= 0:
        return "x", VERMILLION
    if row is not None and fates["fate"][row] == Fate.UNDECIDED:
        return "D", ORANGE
    return "x", INK


def _draw_rung(axes: "Axes", ladder: Ladder, number: int, y: int, gap: tuple[str, str]) -> None:
    rung, marks = ladder.rungs[number], ladder.marks[number]
    colour = BLUE if rung.direction == Direction.FORWARD else GREEN
    write(axes, -1.7, y, f"{ladder.seconds(number):.6f}", ha="right", va="center", alpha=0.75, fontsize=7)
    write(axes, -1.55, y, shortened(f"{rung.arrow} {rung.text}", 30), ha="left", va="center")
    way = range(len(marks)) if rung.direction == Direction.FORWARD else range(len(marks) - 1, -1, -1)
    before: int | None = None
    for position in way:
        mark = marks[position]
        if mark.startswith("#"):
            if before is not None:
                axes.annotate(
                    "", (position, y), (before, y),
                    arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.5, "shrinkA": 3, "shrinkB": 3},
                )  # fmt: skip
            axes.plot([position], [y], marker="o", color=colour, markersize=5, linestyle="none")
            write(axes, position + 0.06, y - 0.28, mark, ha="left", va="center", fontsize=6.5, alpha=0.85)
            before = position
        elif mark == ELSEWHERE:
            axes.plot([position], [y], marker="o", color=colour, markersize=5, markerfacecolor="none", linestyle="none")
        elif mark == MISSING:
            _draw_gap(axes, before, position, y, colour, gap)


def _draw_gap(axes: "Axes", before: int | None, position: int, y: int, colour: str, gap: tuple[str, str]) -> None:
    """A copy that should be here and is not: the line ends before it in a mark; an empty place where none came before."""
    if before is None:
        axes.plot([position], [y], marker="x", color=INK, alpha=FAINT, markersize=4, linestyle="none")
        return
    if abs(position - before) > 1:
        return
    middle = (position + before) / 2
    axes.plot([before, middle], [y, y], color=colour, linewidth=1.5, linestyle=(0, (3, 2)))
    marker, told = gap
    axes.plot([middle], [y], marker=marker, color=told, markersize=7 if marker == "x" else 5, markeredgewidth=2, linestyle="none")
