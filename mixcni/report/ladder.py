"""One conversation over all points: a row a segment in the order of time, a column a point, the gap where a copy is missing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mixcni.localise import Localisation
from mixcni.schema import Direction, Sight, TcpFlag
from mixcni.words import printable

MISSING, ELSEWHERE, UNWATCHED = "·", "~", " "
MAX_ROWS: Final = 400  # of a ladder; a longer conversation is cut in the middle, with a count
SHOWN_FLAGS: Final = (TcpFlag.SYN, TcpFlag.FIN, TcpFlag.RST)


@dataclass(slots=True)
class Rung:
    """One segment and its copies: `frames` by point position."""

    time_ns: int
    direction: int
    start: int
    end: int
    acknowledged: int
    flags: int
    frames: dict[int, int]
    copy: int


def rungs_of(localisation: Localisation, conversation: int) -> list[Rung]:
    """The segments of a conversation in the order in which any point saw them first.

    The same segment at two points is one rung. Where it was sent several times, copies are joined in order: the point that saw
    most of them sets the rungs, and a copy elsewhere belongs to the one that is nearest in time.
    """
    table = localisation.alignment.transmissions
    rows = np.flatnonzero(table["conversation"] == conversation)
    marks = int(TcpFlag.SYN | TcpFlag.FIN | TcpFlag.RST)
    segments: dict[tuple[int, ...], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.tolist():
        start, end, flags = int(table["start"][row]), int(table["end"][row]), int(table["tcp_flags"][row])
        told_by_ack = int(table["acknowledged"][row]) if start == end else 0
        key = (int(table["direction"][row]), start, end, flags & marks, told_by_ack)
        segments[key][int(table["point"][row])].append(row)
    rungs = []
    for (direction, start, end, _, _), by_point in segments.items():
        first = max(by_point, key=lambda point: (len(by_point[point]), -point))
        own = [
            Rung(
                int(table["time_ns"][row]), direction, start, end, int(table["acknowledged"][row]), int(table["tcp_flags"][row]),
                {first: _frame(localisation, first, int(table["packet"][row]))}, copy,
            )
            for copy, row in enumerate(by_point[first])
        ]  # fmt: skip
        for point, copies in by_point.items():
            if point == first:
                continue
            for rung, row in zip(_nearest(own, [int(table["time_ns"][row]) for row in copies]), copies, strict=True):
                rung.frames[point] = _frame(localisation, point, int(table["packet"][row]))
                rung.time_ns = min(rung.time_ns, int(table["time_ns"][row]))
        rungs.extend(own)
    return sorted(rungs, key=lambda rung: rung.time_ns)


def _nearest(rungs: list[Rung], times: list[int]) -> list[Rung]:
    """The rungs to which copies at these times belong, order kept: each the nearest that leaves room for those after it."""
    chosen, at = [], 0
    for number, time in enumerate(times):
        last = len(rungs) - (len(times) - number)
        best = min(range(at, last + 1), key=lambda i: abs(rungs[i].time_ns - time))
        chosen.append(rungs[best])
        at = best + 1
    return chosen


def _frame(localisation: Localisation, point: int, packet: int) -> int:
    return int(localisation.alignment.points[point].packets["frame_number"][packet])


def ladder_text(localisation: Localisation, conversation: int) -> str:
    """The ladder of one conversation as text: frame numbers in a column a point, `·` where a copy is missing."""
    table = localisation.alignment.conversations
    names = [printable(point.name) for point in localisation.points]
    rungs = rungs_of(localisation, conversation)
    ends = [
        f"{table.book.text(int(table[end][conversation]))}:{int(table[f'{end}_port'][conversation])}"
        for end in ("initiator", "responder")
    ]
    head = f"{ends[0]} → {ends[1]}"
    if not rungs:
        return f"{head}\n  no TCP segments"
    words = [_segment_text(rung) for rung in rungs]
    cells = _cells(localisation, conversation, rungs)
    shown = list(range(len(rungs)))
    cut = len(rungs) - MAX_ROWS
    if cut > 0:
        shown = [*shown[: MAX_ROWS // 2], *shown[-MAX_ROWS // 2 :]]
    width = max(len(words[i]) for i in shown)
    columns = [max(len(name), *(len(cells[i][point]) for i in shown)) for point, name in enumerate(names)]
    lines = [head, _row("seconds", "", "segment".ljust(width), names, columns)]
    for place, i in enumerate(shown):
        if cut > 0 and place == MAX_ROWS // 2:
            lines.append(f"  … {cut:,} segments left out …")
        seconds = f"{(rungs[i].time_ns - rungs[0].time_ns) / 1e9:.6f}"
        arrow = "→" if rungs[i].direction == Direction.FORWARD else "←"
        lines.append(_row(seconds, arrow, words[i].ljust(width), cells[i], columns))
    legend = {MISSING: "not in this capture", ELSEWHERE: "carried there in segments of another size"}
    used = [f"{mark} {what}" for mark, what in legend.items() if any(mark in row for row in cells)]
    if used:
        lines.append(f"  {'; '.join(used)}")
    return "\n".join(lines)


def _row(seconds: str, arrow: str, text: str, cells: list[str], widths: list[int]) -> str:
    columns = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {seconds:>12}  {arrow or ' '}  {text}  {columns}".rstrip()


def _cells(localisation: Localisation, conversation: int, rungs: list[Rung]) -> list[list[str]]:
    """A mark for every rung at every point."""
    sight = localisation.sights.sight[conversation]
    columns = []
    for point in range(len(localisation.points)):
        seen = [rung for rung in rungs if point in rung.frames]
        same = {(rung.direction, rung.start, rung.end) for rung in seen}
        carried = [_merged((rung.start, rung.end) for rung in seen if rung.direction == direction) for direction in Direction]
        column = []
        for rung in rungs:
            if point in rung.frames:
                column.append(f"#{rung.frames[point]}")
            elif sight[point] == Sight.UNOBSERVABLE:
                column.append(UNWATCHED)
            elif (rung.direction, rung.start, rung.end) not in same and _within(rung, carried[rung.direction]):
                column.append(ELSEWHERE)
            else:
                column.append(MISSING)
        columns.append(column)
    return [list(row) for row in zip(*columns, strict=True)]


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same octets as disjoint intervals in ascending order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif end > start:
            merged.append((start, end))
    return merged


def _within(rung: Rung, spans: list[tuple[int, int]]) -> bool:
    """Whether one of the disjoint spans holds all octets of a rung that has any."""
    at = bisect_right(spans, rung.start, key=lambda span: span[0]) - 1
    return rung.end > rung.start and at >= 0 and rung.end <= spans[at][1]


def _segment_text(rung: Rung) -> str:
    """What a segment is: its flags, its octets, and whether it had been sent before."""
    flags = [flag.name or "" for flag in SHOWN_FLAGS if rung.flags & flag]
    acknowledges = bool(rung.flags & TcpFlag.ACK)
    if "SYN" in flags and acknowledges:
        flags[0] = "SYN-ACK"
    first = max(rung.start, 1)
    last = rung.end - ("FIN" in flags)
    words = flags
    if last > first:
        words = [*flags, f"octets {first - 1}-{last - 2}"]
    if not words:
        words = [f"ACK {rung.acknowledged - 1}"] if acknowledges else ["empty"]
    return " ".join(words) + (" again" if rung.copy else "")
