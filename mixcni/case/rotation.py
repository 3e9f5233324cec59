"""The files of one capture point that rotate: in the order of their time, and which of them are missing by their numbers."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mixcni.decode import PacketTable
from mixcni.errors import CaptureError
from mixcni.read import CaptureFile

SEQUENCE: Final = re.compile(r"[-_.](\d{1,6})(?=[-_.])")  # tcpdump -C, dumpcap -b; longer numbers are dates
SHOWN: Final = 4


def in_time_order(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files in the order of their first packets; those without one, or that cannot be read, stay where their names put them.

    Parameters
    ----------
    paths : in the order of their names
    """
    if len(paths) < 2:
        return tuple(paths)
    times: list[int] = []
    for path in paths:
        found = first_ns(path)
        times.append(found if found is not None else times[-1] if times else 0)
    return tuple(path for _, _, path in sorted(zip(times, range(len(paths)), paths, strict=True)))


def first_ns(path: Path) -> int | None:
    """The time of a capture's first packet, ns since the Unix epoch; None where there is none."""
    try:
        for block in CaptureFile(path).blocks():
            timed = block.frames.time_ns[block.frames.time_ns >= 0]
            if timed.size:
                return int(timed[0])
    except CaptureError:
        return None  # whoever decodes it will say why
    return None


def run_at_once(paths: Sequence[Path]) -> bool:
    """Whether two of the files hold packets of one time, for most of the shorter one: then they are no rotated set.

    Those that hold less than two moments tell nothing.
    """
    spans = sorted(span for path in paths if (span := span_ns(path)) is not None and span[0] < span[1])
    for (begin, end), (next_begin, next_end) in itertools.pairwise(spans):
        if 2 * (min(end, next_end) - next_begin) > min(end - begin, next_end - next_begin):
            return True
    return False


def span_ns(path: Path) -> tuple[int, int] | None:
    """The least and the greatest time of a capture's packets, ns since the Unix epoch; None where there is none."""
    found: list[int] = []
    try:
        for block in CaptureFile(path).blocks():
            timed = block.frames.time_ns[block.frames.time_ns >= 0]
            found.extend((int(timed.min()), int(timed.max())) if timed.size else ())
    except CaptureError:
        return None  # whoever decodes it will say why
    return (min(found), max(found)) if found else None


def missing_files(paths: Sequence[Path]) -> str | None:
    """Which numbers a set of numbered files lacks between its first and its last, in words; None where none is missing."""
    numbers = _numbers(paths)
    if not numbers:
        return None
    there = set(numbers)
    lacking = [number for number in range(min(numbers), max(numbers)) if number not in there]
    if not lacking:
        return None
    shown = ", ".join(map(str, lacking[:SHOWN])) + (f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else "")
    return f"{'file' if len(lacking) == 1 else 'files'} {shown} of {min(numbers)} to {max(numbers)}"


def _numbers(paths: Sequence[Path]) -> list[int]:
    """The numbers of a set of numbered files; none where they are not all numbered, each otherwise."""
    numbers = [int(match[1]) for path in paths if (match := SEQUENCE.search(f"{path.name}.")) is not None]
    return numbers if len(numbers) > 1 and len(numbers) == len(paths) == len(set(numbers)) else []


def holes_between(captures: Sequence[CaptureFile], packets: PacketTable) -> tuple[tuple[int, int], ...]:
    """(begin, end) ns, by the point's own clock, for which a rotated set lacks packets: a file is missing or damaged.

    Parameters
    ----------
    captures : the point's files in the order of their time, after they were decoded
    packets : what they hold
    """
    numbers = _numbers([capture.path for capture in captures])
    times, file = packets["time_ns"], packets["file"]
    holes, last = [], -1
    lacking = False
    for row, capture in enumerate(captures):
        lacking |= bool(numbers) and row > 0 and numbers[row] != numbers[row - 1] + 1
        mine = times[(file == row) & (times >= 0)]
        if mine.size:
            if lacking and 0 <= last < int(mine.min()):
                holes.append((last, int(mine.min())))
            last, lacking = int(mine.max()), False
        lacking |= bool(capture.damage)
    return tuple(holes)


def dropped_share(captures: Sequence[CaptureFile], packets: PacketTable) -> float | None:
    """The share of a point's packets that its captures counted as dropped; None where none of them counted."""
    counts = [interface.dropped for capture in captures for interface in capture.interfaces if interface.dropped is not None]
    return sum(counts) / max(1, sum(counts) + len(packets)) if counts else None
