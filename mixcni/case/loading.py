"""Captures -> flows and exchanges, point by point: large ones in threads, with word of how far reading has come."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from mixcni.decode import decode_packets
from mixcni.errors import UnreadableCapture
from mixcni.exchanges import ExchangeTable, pair_exchanges
from mixcni.flows import FlowTable, track_flows
from mixcni.read import STANDARD_INPUT, CaptureFile

LARGE: Final = 1 << 23  # octets of captures that are worth threads; less is done before they are there
Progress = Callable[[int, int], None]
"""Told, now and then and from any thread, how many octets of the files are read, and how many there are."""


class LoadedPoint(NamedTuple):
    """One capture point: its files, whose damage is known now, their sizes, and the flows and exchanges of their packets."""

    captures: list[CaptureFile]
    octets: list[int]
    flows: FlowTable
    exchanges: ExchangeTable


def load_points(files: Sequence[Sequence[Path]], progress: Progress | None = None) -> list[LoadedPoint]:
    """Read and decode the captures of each point, follow their flows and pair their exchanges.

    Parameters
    ----------
    files : each point's, in the order of their time

    Raises
    ------
    CaptureError : of the first point, in the order given, whose captures cannot be read, or are standard input
    """
    total = sum(_octets(path) for point in files for path in point)
    meter = _Meter(total, progress)

    def load(point: Sequence[Path]) -> LoadedPoint:
        if STANDARD_INPUT in point:
            raise UnreadableCapture(STANDARD_INPUT, "standard input can be read once, and a diagnosis looks again")
        captures = [CaptureFile(path) for path in point]
        flows = track_flows(decode_packets(captures, on_read=meter.add))
        return LoadedPoint(captures, [_octets(path) for path in point], flows, pair_exchanges(flows))

    threads = min(len(files), _processors()) if total >= LARGE else 1
    if threads <= 1:
        return [load(point) for point in files]
    with ThreadPoolExecutor(threads, thread_name_prefix="mixcni") as pool:  # kernels run without the interpreter's lock
        return list(pool.map(load, files))


def _processors() -> int:
    """How many processors this process may use, which in a container or under `taskset` are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Meter:
    """Adds up what all threads have read."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = total, progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, octets: int) -> None:
        if self._progress is None:
            return
        with self._lock:
            self._done += octets
            self._progress(self._done, self._total)


def _octets(path: Path) -> int:
    """The size of a file; 0 of one that is not there, as whoever reads it will say."""
    try:
        return 0 if path == STANDARD_INPUT else path.stat().st_size
    except OSError:
        return 0
