"""The loss map: when which conversation lost what on which hop, and that others got through meanwhile."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.localise import Localisation
from mixcni.localise.localisation import Loss
from mixcni.report.figures.drawing import FAINT, INK, ORANGE, VERMILLION, Drawing, head, new_figure
from mixcni.report.ladder import ends_of
from mixcni.schema import Direction, Fate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ROWS: Final = 60  # conversations; more of them share rows
MAX_COLUMNS: Final = 120  # of time; what falls into one cell is one mark
MAX_PANELS: Final = 8
LABELLED: Final = 60  # rows, up to which each has its name
KINDS: Final = (
    ("lost", "x", VERMILLION),
    ("undecided, silent or refused by the responder", "D", ORANGE),
    ("answered", ".", INK),
)


def draw_losses(localisation: Localisation) -> Drawing:
    """A panel a hop that lost something (one for all where none did), a row a conversation, time to the right."""
    panels: list[Loss | None] = [*localisation.losses[:MAX_PANELS]] or [None]
    rows_of, labels = _rows(localisation)
    height = max(len(labels) * 0.13, 0.8) + 0.8
    figure, axes = new_figure(8.2, *[height] * len(panels))
    times, conversations = _times(localisation)
    start = int(times[times >= 0].min()) if (times >= 0).any() else 0
    seconds = np.where(times >= 0, (times - start) / 1e9, np.nan)
    for panel, one in zip(panels, axes, strict=True):
        _draw_panel(one, localisation, panel, seconds, rows_of[conversations])
        one.set_ylim(len(labels) - 0.4, -0.6)
        one.set_yticks(range(len(labels)) if len(labels) <= LABELLED else [])
        one.set_yticklabels(labels if len(labels) <= LABELLED else [], fontsize=6, color=INK, parse_math=False)
        if len(labels) > LABELLED:
            one.set_ylabel(f"{len(rows_of):,} conversations", color=INK, fontsize=8)
    axes[-1].set_xlabel("seconds since the first request, on the common clock", color=INK, fontsize=8)
    handles, words = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, words, loc="outside upper left", ncols=3, frameon=False, fontsize=7.5, labelcolor=INK, handletextpad=0.2
    )
    return Drawing("losses", "When which conversation lost what on which hop", figure)


def _rows(localisation: Localisation) -> tuple[NDArray[np.int64], list[str]]:
    """(row of each conversation, what the rows are called): those in trouble first, each group in the order of time."""
    fates, count = localisation.fates, len(localisation.alignment.conversations)
    unanswered = np.bincount(fates["conversation"][fates["fate"] != Fate.ANSWERED], minlength=count) > 0
    order = np.argsort(~unanswered, kind="stable")
    shared = max(-(-count // MAX_ROWS), 1)
    rows_of = np.empty(count, dtype=np.int64)
    rows_of[order] = np.arange(count) // shared
    labels = [f"{conversation}  {ends_of(localisation, conversation)}" for conversation in order[::shared].tolist()]
    return rows_of, labels


def _times(localisation: Localisation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(when each exchange began on the common clock, its conversation): its first octet, or its conversation's first packet."""
    table, fates = localisation.alignment.transmissions, localisation.fates
    conversations = fates["conversation"].astype(np.int64)
    forward = np.flatnonzero(
        (table["direction"] == Direction.FORWARD) & (table["end"] > table["start"]) & (table["time_ns"] >= 0)
    )
    sent = np.stack([table["conversation"][forward].astype(np.int64), table["start"][forward]], axis=1)
    asked = np.stack([conversations, fates["request_start"]], axis=1)
    number = np.unique(np.concatenate([sent, asked]), axis=0, return_inverse=True)[1].reshape(-1)
    first = np.full(number.size, np.iinfo(np.int64).max)
    np.minimum.at(first, number[: forward.size], table["time_ns"][forward])
    times = first[number[forward.size :]]
    unsent = localisation.alignment.conversations["first_ns"][conversations]
    return np.where(times < np.iinfo(np.int64).max, times, unsent), conversations


def _draw_panel(
    axes: "Axes",
    localisation: Localisation,
    panel: Loss | None,
    seconds: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> None:
    fates = localisation.fates
    lost = np.zeros(len(fates), dtype=np.bool_)
    title = "no hop lost anything for good"
    if panel is not None:
        lost[panel.fates] = True
        what = "requests" if panel.direction == Direction.FORWARD else "responses"
        title = f"{what} between {localisation.points[panel.near].name} and {localisation.points[panel.far].name}"
    answered = fates["fate"] == Fate.ANSWERED
    other = ~answered & (fates["near"] < 0)
    span = float(np.nanmax(seconds, initial=0)) or 1.0
    axes.set_xlim(-0.02 * span, 1.02 * span)
    head(axes, title)
    for (word, marker, colour), chosen in zip(KINDS, (lost, other, answered), strict=True):
        kept = chosen & ~np.isnan(seconds)
        columns = np.floor(seconds[kept] / span * MAX_COLUMNS).astype(np.int64)
        first = np.unique(np.stack([rows[kept], columns], axis=1), axis=0, return_index=True)[1]
        axes.plot(
            seconds[kept][first], rows[kept][first], linestyle="none", marker=marker, color=colour, markersize=5,
            markeredgewidth=1.8 if marker == "x" else 0, label=f"{word} ({int(kept.sum()):,})",
            alpha=FAINT if word == "answered" else 1,
        )  # fmt: skip
