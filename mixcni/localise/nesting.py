"""Whether one request was under way while another was: on the clock of a point that saw both, else on the common clock."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from mixcni.align.clock import ClockModel
from mixcni.localise.requests import SeenRequest

COMMON, NONE = -1, -2  # where no point saw both: the common clock, or none
MOST_WAIT_NS: Final = 300_000_000_000  # for a response that never comes: Envoy's stream_idle_timeout
DRIFT: Final = 1_000  # one part in so many that two clocks may count differently; crystals do better by far

Moments = Callable[[SeenRequest], tuple[int, int]]


class Nested(NamedTuple):
    """How the inner of two requests lies in the outer one.

    holds : it began not earlier and, where both were answered, was answered not later
    clock : position of the point on whose clock; COMMON
    request_ns : it began so much later; response_ns : and was answered so much earlier, None where not both were
    """

    holds: bool
    clock: int
    request_ns: int
    response_ns: int | None


class Clocks:
    """The points' clocks, as far as times by them can be compared.

    Parameters
    ----------
    models : one a point
    """

    def __init__(self, models: Sequence[ClockModel]) -> None:
        self._doubt = [model.uncertainty_ns if model.is_known else None for model in models]
        self.points = len(models)

    def nested(self, outer: SeenRequest, inner: SeenRequest) -> Nested | None:
        """How `inner` lies in `outer`; None where no clock is common to both."""
        for position, (began, later) in enumerate(zip(outer.asked, inner.asked, strict=True)):
            if began >= 0 and later >= 0:
                answers = outer.answered[position], inner.answered[position]
                return _nested(position, (began, answers[0]), (later, answers[1]), 0)
        one, other = self.joined(outer.asked), self.joined(inner.asked)
        if one is None or other is None:
            return None
        ends = [self.joined(each.answered) or (-1, 0) for each in (outer, inner)]
        slack = max(one[1] + other[1], ends[0][1] + ends[1][1])
        return _nested(COMMON, (one[0], ends[0][0]), (other[0], ends[1][0]), slack)

    def joined(self, times: Sequence[int]) -> tuple[int, int] | None:
        """The earliest of one request's times whose clock is joined to the others, and by how much that may be off, ns."""
        known = [(time, doubt) for time, doubt in zip(times, self._doubt, strict=True) if time >= 0 and doubt is not None]
        return min(known) if known else None

    def pairs(
        self, outer: Sequence[SeenRequest], inner: Sequence[SeenRequest], most: int
    ) -> Iterator[tuple[SeenRequest, list[SeenRequest]]]:
        """Each inner request with the outer ones that it lies in, up to `most` of them, in the order of their rows."""
        found: dict[int, dict[int, SeenRequest]] = {one.row: {} for one in inner}
        for moments, slack in self._views():
            for one, within in _sweep(outer, inner, moments, slack):
                mine = found[one.row]
                for other in within:
                    if len(mine) >= most:
                        break
                    nested = self.nested(other, one) if other.conversation != one.conversation else None
                    if nested is not None and nested.holds:
                        mine[other.row] = other
        for one in inner:
            yield one, [found[one.row][row] for row in sorted(found[one.row])]

    def _views(self) -> Iterator[tuple[Moments, int]]:
        """How to read a request's first and last moment: by each point, then by the clock that is common."""
        for position in range(self.points):

            def here(one: SeenRequest, position: int = position) -> tuple[int, int]:
                return one.asked[position], one.answered[position]

            yield here, 0

        def joined(one: SeenRequest) -> tuple[int, int]:
            return (self.joined(one.asked) or (-1, 0))[0], (self.joined(one.answered) or (-1, 0))[0]

        yield joined, 2 * max((doubt for doubt in self._doubt if doubt is not None), default=0)


def _nested(clock: int, outer: tuple[int, int], inner: tuple[int, int], slack: int) -> Nested:
    end = outer[1] if outer[1] >= 0 else outer[0] + MOST_WAIT_NS
    response = outer[1] - inner[1] if outer[1] >= 0 and inner[1] >= 0 else None
    holds = outer[0] <= inner[0] + slack and inner[0] <= end + slack and (response is None or response >= -slack)
    return Nested(holds, clock, inner[0] - outer[0], response)


def _sweep(
    outer: Sequence[SeenRequest], inner: Sequence[SeenRequest], moments: Moments, slack: int
) -> Iterator[tuple[SeenRequest, list[SeenRequest]]]:
    """Each inner request with the outer ones that were under way when it began, in the order of time."""
    waiting = sorted(((*moments(one), one) for one in outer), key=lambda each: each[0], reverse=True)
    open_: list[tuple[int, SeenRequest]] = []
    for began, _, one in sorted(((*moments(one), one) for one in inner), key=lambda each: each[0]):
        if began < 0:
            continue
        while waiting and waiting[-1][0] <= began + slack:
            asked, answered, other = waiting.pop()
            if asked >= 0:
                open_.append((answered if answered >= 0 else asked + MOST_WAIT_NS, other))
        open_ = [each for each in open_ if each[0] >= began - slack]
        yield one, [other for _, other in open_]


def lasted_longer(outer: SeenRequest, inner: SeenRequest) -> bool | None:
    """Whether `outer` took the longer, each by a clock of its own; None where that cannot be told."""
    one, other = (_shortest(each) for each in (outer, inner))
    if one is None or other is None or one == other:
        return None
    return one + one // DRIFT >= other


def _shortest(one: SeenRequest) -> int | None:
    """From request to response at the point where that took least: the one nearest to who answered."""
    spans = [b - a for a, b in zip(one.asked, one.answered, strict=True) if a >= 0 and b >= 0]
    return min(spans) if spans else None
