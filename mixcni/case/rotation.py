"""The files of one capture point that rotate: in the order of their time, and which of them are missing by their numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

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


def missing_files(paths: Sequence[Path]) -> str | None:
    """Which numbers a set of numbered files lacks between its first and its last, in words; None where none is missing."""
    numbers = [int(match[1]) for path in paths if (match := SEQUENCE.search(f"{path.name}.")) is not None]
    if len(numbers) < 2 or len(numbers) != len(paths) or len(set(numbers)) != len(numbers):
        return None
    there = set(numbers)
    lacking = [number for number in range(min(numbers), max(numbers)) if number not in there]
    if not lacking:
        return None
    shown = ", ".join(map(str, lacking[:SHOWN])) + (f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else "")
    return f"{'file' if len(lacking) == 1 else 'files'} {shown} of {min(numbers)} to {max(numbers)}"
