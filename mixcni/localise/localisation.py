"""All conversations' fates, the losses on each hop, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.exchanges import ExchangeTable
from mixcni.localise.atoms import Atoms, cut_atoms
from mixcni.localise.exchanges import merge_exchanges
from mixcni.localise.fates import FateRules, FateTable
from mixcni.localise.missrate import SLACK_NS, MissRate, miss_rates
from mixcni.localise.refusals import Refusals, find_refusals
from mixcni.localise.sight import Sights, judge_sights
from mixcni.schema import Direction, Fate, Reason, Sight, TcpFlag
from mixcni.topology import CapturePoint

MOST_CERTAIN = 0.999  # the model's own error is not smaller than this


class Verdict(StrEnum):
    """What the captures say of the network between the first and the last point."""

    LOSS = "loss"
    NO_LOSS = "no_loss"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Loss:
    """Requests or responses that the network lost or refused on one hop.

    near, far : positions on the path; fates : rows of the fate table
    """

    near: int
    far: int
    direction: Direction
    fates: NDArray[np.int64]
    conversations: int
    confidence: float


@dataclass(frozen=True, slots=True)
class HopCount:
    """Pieces of streams on one hop in one direction: what arrived, what was lost, what a capture missed.

    `recovered` are lost copies that a retransmission made up for; `missed_near` and `missed_far` those that the captures lack.
    """

    near: int
    far: int
    direction: Direction
    delivered: int
    recovered: int
    lost: int
    missed_near: int
    missed_far: int


@dataclass(frozen=True, slots=True)
class Localisation:
    """Where requests and responses were lost, and on what that rests."""

    points: tuple[CapturePoint, ...]
    alignment: Alignment
    fates: FateTable
    sights: Sights
    rates: tuple[MissRate, ...]
    refusals: Refusals
    losses: tuple[Loss, ...]
    hops: tuple[HopCount, ...]
    verdict: Verdict

    @property
    def crossing(self) -> NDArray[np.bool_]:
        """(c,) whether a conversation concerns the path: more than one point saw it or should have, or there is but one."""
        watching = (self.sights.sight != Sight.UNOBSERVABLE).sum(axis=1)
        return np.asarray(watching >= min(2, len(self.points)))


def acknowledged_offsets(alignment: Alignment) -> NDArray[np.int64]:
    """(2 * c,) per stream the highest offset that its receiver acknowledged at any point; -1 none. Resets prove nothing."""
    table = alignment.transmissions
    highest = np.full(2 * len(alignment.conversations), -1, dtype=np.int64)
    rows = np.flatnonzero((table["acknowledged"] >= 0) & ((table["tcp_flags"] & TcpFlag.RST) == 0))
    stream = table["conversation"][rows].astype(np.int64) * 2 + 1 - table["direction"][rows]
    np.maximum.at(highest, stream, table["acknowledged"][rows])
    return highest


def localise_losses(points: Sequence[CapturePoint], alignment: Alignment, exchanges: Sequence[ExchangeTable]) -> Localisation:
    """Every exchange's fate, what was lost on which hop in which direction, and the verdict.

    Parameters
    ----------
    points : in path order
    alignment : of these points
    exchanges : one ExchangeTable a point
    """
    columns = merge_exchanges(alignment, exchanges)
    stream = columns["conversation"].astype(np.int64) * 2
    first_octet = np.minimum(columns["response_end"], columns["response_start"] + 1)
    atoms, (request, response) = cut_atoms(
        alignment.transmissions,
        len(points),
        [
            (stream, columns["request_start"], columns["request_end"]),
            (stream + 1, columns["response_start"], first_octet),
        ],
    )
    acknowledged = acknowledged_offsets(alignment)
    sights = judge_sights(points, alignment)
    rates = miss_rates(atoms, sights.sight == Sight.SEEN, acknowledged, sights.windows)
    refusals = find_refusals(alignment)
    rules = FateRules(points, columns, atoms, request, response, sights, rates, acknowledged)
    rules.answered()
    rules.lost_response()
    rules.refused(refusals)
    rules.lost_request()
    rules.silent()
    fates = rules.table()
    losses = _sum_losses(fates)
    return Localisation(
        points=tuple(points),
        alignment=alignment,
        fates=fates,
        sights=sights,
        rates=tuple(rates),
        refusals=refusals,
        losses=losses,
        hops=count_hops(atoms, sights, acknowledged),
        verdict=_judge(fates, losses),
    )


def _sum_losses(fates: FateTable) -> tuple[Loss, ...]:
    """Losses and refusals on the way by hop and direction, the main one first; requests before responses among equals."""
    rows = np.flatnonzero(fates["near"] >= 0)
    losses = []
    keys = np.stack([fates[name][rows].astype(np.int64) for name in ("near", "far", "direction")], axis=1)
    for near, far, direction in np.unique(keys, axis=0).tolist():
        mine = rows[(keys == (near, far, direction)).all(axis=1)]
        doubts = 1 - fates["confidence"][mine]
        doubt = float(np.exp(np.log(np.maximum(doubts[~np.isnan(doubts)], 1e-12)).sum()))
        losses.append(
            Loss(
                near=near,
                far=far,
                direction=Direction(direction),
                fates=mine,
                conversations=int(np.unique(fates["conversation"][mine]).size),
                confidence=min(MOST_CERTAIN, 1 - doubt),
            )
        )
    return tuple(sorted(losses, key=lambda loss: (-loss.conversations, -loss.fates.size, loss.direction, loss.near)))


def _judge(fates: FateTable, losses: tuple[Loss, ...]) -> Verdict:
    """`loss` if the network lost or refused something; `no_loss` if what was watched to its end got through."""
    if losses:
        return Verdict.LOSS
    undecided = (fates["fate"] == Fate.UNDECIDED) & (fates["reason"] != Reason.CAPTURE_ENDED)
    decided = (fates["fate"] != Fate.UNDECIDED).any()
    return Verdict.NO_LOSS if decided and not undecided.any() else Verdict.UNDECIDED


def count_hops(atoms: Atoms, sights: Sights, acknowledged: NDArray[np.int64]) -> tuple[HopCount, ...]:
    """Per hop and direction, over conversations that both its points saw or should have, in their common window."""
    hops = []
    points = atoms.counts.shape[1]
    watched = sights.sight[atoms.stream // 2] != Sight.UNOBSERVABLE
    delivered = atoms.end <= acknowledged[atoms.stream]
    sent_anywhere = (atoms.counts > 0).any(axis=1)
    first, last = atoms.first_ns.min(axis=1, initial=np.iinfo(np.int64).max), atoms.last_ns.max(axis=1, initial=0)
    for near in range(points - 1):
        far = near + 1
        windows = sights.windows[near], sights.windows[far]
        for direction in Direction:
            up, down = (near, far) if direction == Direction.FORWARD else (far, near)
            both = watched[:, near] & watched[:, far] & sent_anywhere & (atoms.stream % 2 == direction)
            for window in windows:
                both &= (first >= window[0] - SLACK_NS) & (last <= window[1] + SLACK_NS) if window else False
            u, d = atoms.counts[both, up], atoms.counts[both, down]
            arrived = d > 0
            proven = delivered[both]
            missed_down = (d == 0) & proven
            missed = {up: int(np.maximum(d - u, 0).sum()), down: int(missed_down.sum())}
            hops.append(
                HopCount(
                    near=near,
                    far=far,
                    direction=direction,
                    delivered=int(arrived.sum()),
                    recovered=int(np.maximum(u - d, 0)[arrived].sum()),
                    lost=int(((d == 0) & ~proven & (u > 0)).sum()),
                    missed_near=missed[near],
                    missed_far=missed[far],
                )
            )
    return tuple(hops)
