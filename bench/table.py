"""What the benchmark measured, as rows of text: for the terminal and for RESULTS.md."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

COLUMNS = ("what", "packets", "packets/s", "seconds", "spread", "mixcni is", "wanted", "peak MiB", "of it reading")


class Result(NamedTuple):
    """One peer on one capture.

    packets : how many it was given, a prefix of the file where that is fewer than the file has
    seconds : of processor time, one a repeat; what a program needs for one packet taken off
    peak_octets : the most of all repeats
    against, wanted : the mixcni result that does the same work, and how many times faster it should be; "" and 0 without
    """

    name: str
    packets: int
    seconds: tuple[float, ...]
    peak_octets: int
    against: str = ""
    wanted: int = 0

    @property
    def rate(self) -> float:
        """Packets a second, by the median."""
        return self.packets / median(self.seconds)


def ratio(result: Result, results: Iterable[Result]) -> float | None:
    """How many times the packets a second of `result` mixcni has, in the row that does the same work; None without one."""
    own = [other.rate for other in results if other.name == result.against]
    return own[0] / result.rate if own else None


def cells(results: Sequence[Result], floor: str) -> list[tuple[str, ...]]:
    """The table, a tuple of `COLUMNS` a row; `floor` names the result that only reads."""
    reading = next((median(result.seconds) for result in results if result.name == floor), None)
    rows: list[tuple[str, ...]] = []
    for result in results:
        times = ratio(result, results)
        seconds = median(result.seconds)
        is_mixcni = not result.against and result.name != floor
        rows.append(
            (
                result.name,
                f"{result.packets:,}",
                f"{result.rate:,.0f}",
                f"{seconds:.3f}",
                f"±{(max(result.seconds) - min(result.seconds)) / 2 / seconds:.0%}",
                "" if times is None else f"{times:,.3g}x as fast",
                f"{result.wanted}x" if result.wanted else "",
                f"{result.peak_octets / 2**20:,.0f}",
                f"{reading / seconds:.0%}" if is_mixcni and reading is not None else "",
            )
        )
    return rows


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
