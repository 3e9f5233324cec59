"""How right diagnoses are: each report's JSON held against its case's `truth.json`, summed up a kind.

Only what `mixcni diagnose --json` prints is looked at, as a user would; nothing here imports the library.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

End = tuple[str, int]
Json = Mapping[str, Any]
SURE: Final = 0.9
DRIFT_WITHIN_PPM: Final = 1.0  # where a report does not say how sure it is
BINS: Final = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
HEADINGS: Final = (
    "kind",
    "recordings",
    "verdict",
    "hop",
    "direction",
    "precision",
    "recall",
    "undecided",
    "wrong",
    "wrong>0.9",
    "offsets",
    "drifts",
)


@dataclass(slots=True)
class Marks:
    """One case's marks, or the sum of many cases'.

    verdicts, undecided, wrong : of `cases`; undecided where that was not right
    hops, directions : of the main losses, of which `losses` were found where there is one
    sure_wrong : cases with a blamed hop or direction that is wrong, stated with more than 0.9
    blamed, blamed_rightly : flows that the reports blame, and of those the ones that failed
    failing, found : flows that failed beyond doubt, and of those the ones that a report blames
    offsets, drifts : (right, stated) of clocks; stated : each stated loss as (confidence, whether it is right)
    """

    cases: int = 0
    verdicts: int = 0
    undecided: int = 0
    wrong: int = 0
    losses: int = 0
    hops: int = 0
    directions: int = 0
    sure_wrong: int = 0
    blamed: int = 0
    blamed_rightly: int = 0
    failing: int = 0
    found: int = 0
    offsets: tuple[int, int] = (0, 0)
    drifts: tuple[int, int] = (0, 0)
    stated: list[tuple[float, bool]] = field(default_factory=list)

    def __add__(self, other: "Marks") -> "Marks":
        total = Marks()
        for name in Marks.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            paired = tuple(a + b for a, b in zip(mine, theirs, strict=True)) if isinstance(mine, tuple) else mine + theirs
            setattr(total, name, paired)
        return total

    @property
    def is_clean(self) -> bool:
        """Whether nothing at all was wrong, missed or left open."""
        return (
            self.verdicts == self.cases
            and self.hops == self.directions == self.losses
            and not self.sure_wrong
            and self.blamed_rightly == self.blamed
            and self.found == self.failing
            and self.offsets[0] == self.offsets[1]
            and self.drifts[0] == self.drifts[1]
        )


def judge(report: Json, truth: Json) -> Marks:
    """One report's marks."""
    marks = Marks(cases=1)
    verdict = report["verdict"]
    marks.verdicts = int(verdict in truth["verdicts"])
    marks.undecided = int(verdict == "undecided" and not marks.verdicts)
    marks.wrong = 1 - marks.verdicts - marks.undecided
    _judge_losses(marks, report, truth)
    _judge_flows(marks, report, truth)
    _judge_clocks(marks, report, truth)
    return marks


def _judge_losses(marks: Marks, report: Json, truth: Json) -> None:
    hops = {frozenset(hop) for hop in truth["hops"]}
    losses = report["losses"]
    for number, loss in enumerate(losses):
        stated = frozenset(loss["hop"]), loss["direction"]
        right = stated[0] in hops and stated[1] == truth["direction"]
        marks.stated.append((loss["confidence"], right))
        if not right and loss["confidence"] > SURE:
            marks.sure_wrong = 1
        if number == 0 and hops:
            marks.hops = int(stated[0] in hops)
            marks.directions = int(stated[1] == truth["direction"])
    # An honest `undecided` has no hop to be marked.
    marks.losses = int(bool(hops) and report["verdict"] == "loss")
    if not marks.losses:
        marks.hops = marks.directions = 0


def _judge_flows(marks: Marks, report: Json, truth: Json) -> None:
    blamed = {tuple(exchange["initiator"]) for exchange in report["exchanges"] if exchange["hop"] is not None}
    failing = truth["failing"]
    names = [_names(flow) for flow in failing]
    marks.blamed = len(blamed)
    marks.blamed_rightly = sum(any(flow in known for known in names) for flow in blamed)
    must_tell = "undecided" not in truth["verdicts"]
    wanted = [known for flow, known in zip(failing, names, strict=True) if flow["decidable"] and must_tell]
    marks.failing = len(wanted)
    marks.found = sum(bool(known & blamed) for known in wanted)


def _names(flow: Json) -> set[End]:
    """A flow's initiator as each of the points saw it."""
    return {tuple(flow["initiator"]), *(tuple(ends[0]) for ends in flow["names"].values())}


def _judge_clocks(marks: Marks, report: Json, truth: Json) -> None:
    points = truth["points"]
    stated = {point["point"]: point["clock"] for point in report["points"]}
    told = [name for name in report["path"] if stated[name]["offset_ns"] is not None]
    if not told:
        return
    reference = points[told[0]]  # a capture without packets at the first point has no clock
    for name in told[1:]:
        clock, true = stated[name], points[name]
        if true["window_ns"] is None or reference["window_ns"] is None:
            continue
        if clock["uncertainty_ns"] is not None:
            low, high = true_offset(reference, true)
            right = low - clock["uncertainty_ns"] <= clock["offset_ns"] <= high + clock["uncertainty_ns"]
            marks.offsets = marks.offsets[0] + right, marks.offsets[1] + 1
        if clock["drift_ppm"] is not None:
            drift = true["clock"]["drift_ppm"] - reference["clock"]["drift_ppm"]
            allowed = clock.get("drift_uncertainty_ppm") or DRIFT_WITHIN_PPM
            marks.drifts = marks.drifts[0] + (abs(clock["drift_ppm"] - drift) <= allowed), marks.drifts[1] + 1


def true_offset(reference: Json, point: Json) -> tuple[int, int]:
    """Least and most that a point's clock was ahead of the reference's while both captured, ns."""
    windows = reference["window_ns"], point["window_ns"]
    begin, end = max(window[0] for window in windows), min(window[1] for window in windows)
    ahead = sorted(_shown(point, at) - _shown(reference, at) for at in (begin, end))
    return ahead[0], ahead[1]


def _shown(point: Json, at_ns: int) -> int:
    """What a point's clock shows more than the true one at a moment."""
    clock = point["clock"]
    gained = (at_ns - int(clock["at_ns"])) * float(clock["drift_ppm"]) * 1e-6
    return int(clock["offset_ns"]) + round(gained)


def table(marks: Sequence[tuple[str, Marks]]) -> str:
    """The score: a row a kind in order of their names, and the sum."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for kind, group in groupby(sorted(marks, key=lambda pair: pair[0]), key=lambda pair: pair[0]):
        rows.append(_row(kind, _sum(mark for _, mark in group)))
    rows.append(_row("all", _sum(mark for _, mark in marks)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def calibration(marks: Iterable[Marks]) -> str:
    """Of the losses stated with a confidence in each bin, the share that is right."""
    stated = _sum(marks).stated
    lines = ["confidence   stated  right"]
    for low, high in zip(BINS, (*BINS[1:], 1.0), strict=True):
        inside = [right for confidence, right in stated if low <= confidence < high or confidence == high == 1.0]
        share = f"{sum(inside) / len(inside):6.1%}" if inside else "     -"
        lines.append(f"{low:.2f} - {high:.2f}  {len(inside):6}  {share}")
    return "\n".join(lines)


def _sum(marks: Iterable[Marks]) -> Marks:
    return sum(marks, Marks())


def _row(kind: str, marks: Marks) -> tuple[str, ...]:
    return (
        kind,
        str(marks.cases),
        f"{marks.verdicts}/{marks.cases}",
        f"{marks.hops}/{marks.losses}",
        f"{marks.directions}/{marks.losses}",
        f"{marks.blamed_rightly}/{marks.blamed}",
        f"{marks.found}/{marks.failing}",
        str(marks.undecided),
        str(marks.wrong),
        str(marks.sure_wrong),
        "{}/{}".format(*marks.offsets),
        "{}/{}".format(*marks.drifts),
    )
