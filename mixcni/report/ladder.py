"""One conversation over all points: a row a segment in the order of time, a column a point, the gap where a copy is missing."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
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
    """One segment and its copies.

    time_ns : when the first point to see it did, on the common clock
    packets : by position of the point, the packet's row there
    times : by position, ns on the common clock
    copy : 0 when it was sent first, 1 when it was sent again, ...
    """

    time_ns: int
    direction: int
    start: int
    end: int
    acknowledged: int
    flags: int
    packets: dict[int, int]
    times: dict[int, int]
    copy: int

    @property
    def text(self) -> str:
        """What the segment is: its flags, its octets, and whether it had been sent before."""
        flags = [flag.name or "" for flag in SHOWN_FLAGS if self.flags & flag]
        acknowledges = bool(self.flags & TcpFlag.ACK)
        if "SYN" in flags and acknowledges:
            flags[0] = "SYN-ACK"
        first = max(self.start, 1)
        last = self.end - ("FIN" in flags)
        words = flags
        if last > first:
            words = [*flags, f"octets {first - 1}-{last - 2}"]
        if not words:
            words = [f"ACK {self.acknowledged - 1}"] if acknowledges else ["empty"]
        return " ".join(words) + (" again" if self.copy else "")

    @property
    def arrow(self) -> str:
        """The way it goes: from the initiator, or back to it."""
        return "→" if self.direction == Direction.FORWARD else "←"


@dataclass(frozen=True, slots=True)
class Ladder:
    """A conversation over all points.

    title : who called whom
    points : their names, in path order
    marks : a row a rung, a mark a point: `#` and the frame number, or MISSING, ELSEWHERE, UNWATCHED
    """

    conversation: int
    title: str
    points: tuple[str, ...]
    rungs: tuple[Rung, ...]
    marks: tuple[tuple[str, ...], ...]

    def shown(self, limit: int) -> tuple[list[int], int]:
        """(rungs to show, how many are left out behind the first `limit` // 2 of them)."""
        cut = max(len(self.rungs) - limit, 0)
        rungs = list(range(len(self.rungs)))
        return (rungs if not cut else [*rungs[: limit // 2], *rungs[-(limit - limit // 2) :]]), cut

    def seconds(self, rung: int) -> float:
        """Since the first segment of the conversation, on the common clock."""
        return (self.rungs[rung].time_ns - self.rungs[0].time_ns) / 1e9

    @property
    def legend(self) -> str:
        """What the marks mean that stand in it."""
        meanings = {MISSING: "not in this capture", ELSEWHERE: "carried there in segments of another size"}
        return "; ".join(f"{mark} {what}" for mark, what in meanings.items() if any(mark in row for row in self.marks))


def ladder_of(localisation: Localisation, conversation: int) -> Ladder:
    """The ladder of a row of the conversation table."""
    rungs = rungs_of(localisation, conversation)
    return Ladder(
        conversation=conversation,
        title=ends_of(localisation, conversation),
        points=tuple(printable(point.name) for point in localisation.points),
        rungs=tuple(rungs),
        marks=tuple(map(tuple, _marks(localisation, conversation, rungs))) if rungs else (),
    )


def exchange_of(localisation: Localisation, conversation: int, rung: Rung) -> int | None:
    """Row of the fate table of the exchange whose octets a segment carries; None where it carries none of any."""
    fates = localisation.fates
    first, last = np.searchsorted(fates["conversation"], [conversation, conversation + 1])
    part = "request" if rung.direction == Direction.FORWARD else "response"
    begin, end = fates[f"{part}_start"][first:last], fates[f"{part}_end"][first:last]
    found = np.flatnonzero((begin < rung.end) & (end > rung.start))
    return int(first + found[0]) if found.size else None


def ends_of(localisation: Localisation, conversation: int) -> str:
    """Who called whom: `10.244.3.7:41000 → 10.242.2.149:8080`."""
    table = localisation.alignment.conversations
    ends = []
    for end in ("initiator", "responder"):
        address, port = table.book.text(int(table[end][conversation])), int(table[f"{end}_port"][conversation])
        ends.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    return " → ".join(ends)


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
                {first: int(table["packet"][row])}, {first: int(table["time_ns"][row])}, copy,
            )
            for copy, row in enumerate(by_point[first])
        ]  # fmt: skip
        for point, copies in by_point.items():
            if point == first:
                continue
            for rung, row in zip(_nearest(own, [int(table["time_ns"][row]) for row in copies]), copies, strict=True):
                rung.packets[point] = int(table["packet"][row])
                rung.times[point] = int(table["time_ns"][row])
                rung.time_ns = min(rung.time_ns, rung.times[point])
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


def ladder_text(ladder: Ladder) -> str:
    """A ladder as text: frame numbers in a column a point, `·` where a copy is missing."""
    if not ladder.rungs:
        return f"{ladder.title}\n  no TCP segments"
    shown, cut = ladder.shown(MAX_ROWS)
    words = {i: ladder.rungs[i].text for i in shown}
    width = max(map(len, words.values()))
    columns = [max(len(name), *(len(ladder.marks[i][point]) for i in shown)) for point, name in enumerate(ladder.points)]
    lines = [ladder.title, _row("seconds", "", "segment".ljust(width), ladder.points, columns)]
    for place, i in enumerate(shown):
        if cut and place == MAX_ROWS // 2:
            lines.append(f"  … {cut:,} segments left out …")
        rung = ladder.rungs[i]
        lines.append(_row(f"{ladder.seconds(i):.6f}", rung.arrow, words[i].ljust(width), ladder.marks[i], columns))
    if ladder.legend:
        lines.append(f"  {ladder.legend}")
    return "\n".join(lines)


def _row(seconds: str, arrow: str, text: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    columns = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {seconds:>12}  {arrow or ' '}  {text}  {columns}".rstrip()


def _marks(localisation: Localisation, conversation: int, rungs: list[Rung]) -> list[list[str]]:
    """A mark for every rung at every point."""
    sight = localisation.sights.sight[conversation]
    columns = []
    for point in range(len(localisation.points)):
        seen = [rung for rung in rungs if point in rung.packets]
        same = {(rung.direction, rung.start, rung.end) for rung in seen}
        carried = [_merged((rung.start, rung.end) for rung in seen if rung.direction == direction) for direction in Direction]
        column = []
        for rung in rungs:
            if point in rung.packets:
                column.append(f"#{_frame(localisation, point, rung.packets[point])}")
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
