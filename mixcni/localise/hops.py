"""What became of the pieces of streams on each hop: counts, in which losses that were made up for are seen as well."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.kernels.jit import run
from mixcni.localise.atoms import NEVER, Atoms
from mixcni.localise.kernel import tally_hop
from mixcni.localise.missrate import Passing
from mixcni.localise.sight import Sights
from mixcni.localise.survey import Survey
from mixcni.localise.uneven import Uneven, find_uneven
from mixcni.localise.unsent import is_told, other_way_rate, resets_between
from mixcni.schema import Direction


@dataclass(frozen=True, slots=True)
class HopCount:
    """Pieces of streams on one hop in one direction: what arrived, what was lost, what a capture missed.

    `recovered` are lost copies that a retransmission made up for; `missed_near` and `missed_far` those that the captures lack;
    `repeated` are pieces that were sent more than once and arrived, whatever became of their copies.
    `unsent` appeared at the hop's end and had not been sent into it, though the capture there misses next to nothing.
    """

    near: int
    far: int
    direction: Direction
    delivered: int
    recovered: int
    lost: int
    missed_near: int
    missed_far: int
    repeated: int
    unsent: int = 0


class HopColumns(NamedTuple):
    """What a hop's tally reads of atoms, (a,) each.

    common : whether both points watched it; inside : whether all its transmissions were well within both windows
    sent, seen : copies at the hop's upper and lower end; passed : whether it is known to have been at the lower one
    """

    conversation: NDArray[np.int64]
    direction: NDArray[np.uint8]
    common: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    sent: NDArray[np.int32]
    seen: NDArray[np.int32]
    passed: NDArray[np.bool_]


class Tally(NamedTuple):
    """How many pieces both ends of a hop watched, and of these which.

    delivered : seen at the lower end; recovered : copies beyond those that were seen there
    lost : sent and not known to have passed; passed : not seen there and known to have passed
    lacking : copies beyond those that the upper end has; repeated : delivered ones that were sent more than once
    appeared : delivered ones that the upper end has not, though it has their conversation; copies : of these
    """

    watched: int
    delivered: int
    recovered: int
    lost: int
    passed: int
    lacking: int
    repeated: int
    appeared: int
    copies: int


def count_hops(
    alignment: Alignment,
    survey: Survey,
    atoms: Atoms,
    sights: Sights,
    passed: NDArray[np.bool_],
    passing: Sequence[Passing],
    dropped: Sequence[float | None],
) -> tuple[tuple[HopCount, ...], Uneven]:
    """Per hop and direction, over conversations that both its points saw or should have, in their common window.

    The pieces that its points saw differently often are told one by one as well; how often, of those that were sent while both
    points watched.

    Parameters
    ----------
    survey : of the alignment's transmissions
    passed : (a, p) whether each atom is known to have been at each point
    passing : one a point, as `known_to_pass` gives them
    dropped : the share of packets that each point's capture counted as dropped; None: it did not count
    """
    hops, uneven = [], []
    seen, watched = alignment.conversations.flow_of >= 0, _watched(atoms, sights)
    for near in range(len(sights.windows) - 1):
        far = near + 1
        common = watched[:, near] & watched[:, far] & (atoms.begun_ns != NEVER)
        inside = sights.inside[:, near] & sights.inside[:, far]
        for direction in Direction:
            up, down = (near, far) if direction == Direction.FORWARD else (far, near)
            counts = atoms.counts[:, up], atoms.counts[:, down]
            pieces = HopColumns(atoms.conversation, atoms.direction, common, inside, *counts, passed[:, down])
            tally = Tally(*run(tally_hop, common.size, pieces, seen[:, up], int(direction)))
            rows = np.flatnonzero(common & inside & (atoms.direction == direction))
            uneven.append(find_uneven(atoms, rows, up, down, passed))
            rate = other_way_rate(atoms, passing[up].proven, up, direction, dropped[up])
            resets, any_resets = resets_between(alignment, survey, (up, down), direction, sights.windows, sights.slacks)
            made = is_told(tally.appeared + resets, tally.watched + any_resets, rate)
            missed = {up: tally.lacking - (tally.copies if made else 0), down: tally.passed}
            hops.append(
                HopCount(
                    near=near,
                    far=far,
                    direction=direction,
                    delivered=tally.delivered,
                    recovered=tally.recovered,
                    lost=tally.lost,
                    missed_near=missed[near],
                    missed_far=missed[far],
                    repeated=tally.repeated,
                    unsent=tally.appeared + resets if made else 0,
                )
            )
    return tuple(hops), Uneven.joined(uneven)


def _watched(atoms: Atoms, sights: Sights) -> NDArray[np.bool_]:
    """(a, p) whether a point saw an atom, or would have, and can tell of its kind."""
    watching, watched = sights.watching, np.zeros_like(atoms.seen)
    for point, window in enumerate(sights.windows):
        if window is not None:
            there = watching[:, point].reshape(-1)[atoms.stream] & ~sights.left_out.pieces[:, point]
            watched[:, point] = there & (atoms.seen[:, point] | sights.inside[:, point])
    return watched
