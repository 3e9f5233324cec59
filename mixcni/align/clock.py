"""A point's clock against the common clock: offset, drift and steps, and the mapping of times."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PPM: Final = 1e-6


@dataclass(frozen=True, slots=True)
class ClockPiece:
    """A clock between two steps.

    first_packet : row of the point's packet table from which on it holds
    at_ns : by this clock, where it was `offset_ns` ahead of the common one
    drift_ppm : how much faster than the common clock it runs
    """

    first_packet: int
    at_ns: int
    offset_ns: int
    drift_ppm: float = 0.0


@dataclass(frozen=True, slots=True)
class ClockModel:
    """A point's clock against the common clock, which is that of `reference`.

    offset_ns : this clock less the common clock, in the midst of what joins the two; 0 where nothing does
    uncertainty_ns : the offset is right within this, from the first to the last segment that joins the clocks; None where it is
        bounded from one side only, or not at all
    segments : how many segments, seen at two points, it rests on; 0 where it is known by its node alone
    drift_ppm : how much faster than the common clock it runs; None where too little time was seen to tell, or nothing measured it
    drift_uncertainty_ppm : the drift is right within this; None where it is not known
    pieces : the clock between its steps, in order; none where the offset is all that is known
    shares : the point on the same node whose clock it is assumed to be; "" where it was measured
    through : the point by whose assumed clock it was measured, so that nothing bounds it; "" none
    beside : the point by whose clock it was measured, where no segment joins that one's to the common clock, with which it is
        taken to agree; "" none
    """

    reference: str
    offset_ns: int
    uncertainty_ns: int | None
    segments: int
    drift_ppm: float | None = None
    drift_uncertainty_ppm: float | None = None
    pieces: tuple[ClockPiece, ...] = ()
    shares: str = ""
    through: str = ""
    beside: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anything joins this clock to the common one: segments, or the node that another point is on as well."""
        return not self.beside and (self.segments > 0 or self.uncertainty_ns == 0 or self.shares != "")

    @property
    def steps_ns(self) -> tuple[int, ...]:
        """By how much the clock was set, against the common one, at each step."""
        steps = []
        for old, new in zip(self.pieces[:-1], self.pieces[1:], strict=True):
            moved = (new.at_ns - old.at_ns - new.offset_ns + old.offset_ns) * old.drift_ppm * PPM
            steps.append(new.offset_ns - old.offset_ns - round(moved))
        return tuple(steps)

    def common_ns(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The times of the point's packets, in the order of their rows, on the common clock; -1 (no time) stays.

        With steps a time alone does not say to which piece it belongs, a packet's row does.
        """
        if not self.pieces:
            return np.where(times >= 0, times - self.offset_ns, times) if self.offset_ns else times
        bounds = [0, *(piece.first_packet for piece in self.pieces[1:]), times.size]
        out = np.empty_like(times)
        for piece, begin, end in zip(self.pieces, bounds[:-1], bounds[1:], strict=True):
            out[begin:end] = _mapped(times[begin:end], piece)
        return np.where(times >= 0, out, times)

    def common_window(self, window: tuple[int, int]) -> tuple[int, int]:
        """An interval by this clock on the common clock; its begin by the first piece, its end by the last."""
        if not self.pieces:
            return window[0] - self.offset_ns, window[1] - self.offset_ns
        first, last = (
            _mapped(np.array([bound]), piece)[0] for bound, piece in zip(window, (self.pieces[0], self.pieces[-1]), strict=True)
        )
        return int(first), int(last)


def _mapped(times: NDArray[np.int64], piece: ClockPiece) -> NDArray[np.int64]:
    rate = piece.drift_ppm * PPM
    common = times - piece.offset_ns
    return np.asarray(common - np.rint((times - piece.at_ns) * (rate / (1 + rate))).astype(np.int64) if rate else common)
