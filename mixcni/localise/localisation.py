"""All conversations' fates, the losses on each hop, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.exchanges import ExchangeTable
from mixcni.localise.atoms import NEVER, Atoms, Intervals, cut_atoms
from mixcni.localise.exchanges import PROTOCOL_TCP, merge_exchanges
from mixcni.localise.fates import FateRules, FateTable
from mixcni.localise.missrate import MissRate, Passing, is_inside, is_watched, known_to_pass, miss_rates, whole_miss_rates
from mixcni.localise.refusals import Refusals, find_refusals
from mixcni.localise.sight import Sights, judge_sights
from mixcni.localise.silences import find_silences
from mixcni.localise.traits import Trait, common_traits, size_trait
from mixcni.localise.uneven import Uneven, find_uneven
from mixcni.localise.unsent import is_told, other_way_rate, resets_between
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
    traits : what the conversations have in common, and those that passed the hop have not
    """

    near: int
    far: int
    direction: Direction
    fates: NDArray[np.int64]
    conversations: int
    confidence: float
    traits: tuple[Trait, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Localisation:
    """Where requests and responses were lost, and on what that rests; `exchanges` has one table a point."""

    points: tuple[CapturePoint, ...]
    alignment: Alignment
    fates: FateTable
    sights: Sights
    rates: tuple[MissRate, ...]
    refusals: Refusals
    losses: tuple[Loss, ...]
    hops: tuple[HopCount, ...]
    uneven: Uneven
    verdict: Verdict
    exchanges: tuple[ExchangeTable, ...]

    @property
    def crossing(self) -> NDArray[np.bool_]:
        """(c,) whether a conversation concerns the path: more than one point saw it or should have, or there is but one.

        Or may have: what is left undecided may pass the points that nothing tells whether it does.
        """
        least = min(2, len(self.points))
        watching = (self.sights.sight != Sight.UNOBSERVABLE).sum(axis=1)
        open_ones = np.zeros(watching.size, dtype=np.bool_)
        open_ones[self.fates["conversation"][self.fates["fate"] == Fate.UNDECIDED]] = True
        return np.asarray((watching >= least) | (open_ones & (self.sights.concerned.sum(axis=1) >= least)))


def acknowledged_offsets(alignment: Alignment) -> NDArray[np.int64]:
    """(2 * c,) per stream the highest offset that its receiver acknowledged at any point; -1 none. Resets prove nothing."""
    table = alignment.transmissions
    highest = np.full(2 * len(alignment.conversations), -1, dtype=np.int64)
    rows = np.flatnonzero((table["acknowledged"] >= 0) & ((table["tcp_flags"] & TcpFlag.RST) == 0))
    stream = table["conversation"][rows].astype(np.int64) * 2 + 1 - table["direction"][rows]
    np.maximum.at(highest, stream, table["acknowledged"][rows])
    return highest


def closed_times(alignment: Alignment) -> NDArray[np.int64]:
    """(c,) when each conversation's initiator was first seen to close or reset it, ns on the common clock; NEVER without."""
    table = alignment.transmissions
    times = np.full(len(alignment.conversations), NEVER, dtype=np.int64)
    rows = np.flatnonzero(((table["tcp_flags"] & (TcpFlag.FIN | TcpFlag.RST)) != 0) & (table["direction"] == Direction.FORWARD))
    np.minimum.at(times, table["conversation"][rows], table["time_ns"][rows])
    return times


def closing_offsets(alignment: Alignment) -> NDArray[np.int64]:
    """(c,) the stream offset of the FIN of each conversation's responder, the octets before which it has sent; -1 without."""
    table = alignment.transmissions
    offsets = np.full(len(alignment.conversations), -1, dtype=np.int64)
    rows = np.flatnonzero(((table["tcp_flags"] & TcpFlag.FIN) != 0) & (table["direction"] == Direction.REVERSE))
    np.maximum.at(offsets, table["conversation"][rows], table["end"][rows] - 1)
    return offsets


def localise_losses(
    points: Sequence[CapturePoint],
    alignment: Alignment,
    exchanges: Sequence[ExchangeTable],
) -> Localisation:
    """Every exchange's fate, what was lost on which hop in which direction, and the verdict.

    Parameters
    ----------
    points : in path order
    alignment : of these points
    exchanges : one ExchangeTable a point
    """
    acknowledged = acknowledged_offsets(alignment)
    columns = merge_exchanges(alignment, exchanges, acknowledged)
    stream = columns["conversation"].astype(np.int64) * 2
    atoms, (request, response, whole) = cut_atoms(
        alignment.transmissions,
        len(points),
        [
            (stream, columns["request_start"], columns["request_end"]),
            (stream + 1, columns["response_start"], columns["response_start"]),
            (stream + 1, columns["response_start"], columns["response_end"]),
        ],
    )
    first_piece = response.begin + (columns["response_end"] > columns["response_start"])
    response = Intervals(response.begin, first_piece)
    received = atoms.received(acknowledged, alignment.conversations["protocol"] == PROTOCOL_TCP)
    passed = atoms.passed(received)
    sights = judge_sights(points, alignment, passed, atoms)
    passing = known_to_pass(atoms, _watching(sights), received, sights.windows, sights.slacks)
    rates = miss_rates(atoms, passing, [point.dropped for point in points])
    silences = [
        find_silences(atoms, found.proven, point, times, rate)
        for point, (found, times, rate) in enumerate(zip(passing, alignment.times, rates, strict=True))
    ]
    whole_rates = whole_miss_rates(atoms, passing, alignment.conversations.flow_of >= 0)
    refusals = find_refusals(alignment)
    rules = FateRules(points, columns, atoms, request, response, sights, silences, whole_rates, acknowledged, passed)
    rules.answered(refusals)
    rules.lost_rest(whole, closed_times(alignment))
    rules.against_the_path()
    rules.lost_response()
    rules.reset_in_passing(refusals)
    rules.refused(refusals)
    rules.lost_request()
    rules.silent(closing_offsets(alignment))
    fates = rules.table()
    losses = tuple(_with_traits(loss, alignment, fates, sights, atoms, passed) for loss in _sum_losses(fates, sights.apart))
    hops, uneven = count_hops(alignment, atoms, sights, passed, passing, [point.dropped for point in points])
    return Localisation(
        points=tuple(points),
        alignment=alignment,
        fates=fates,
        sights=sights,
        rates=tuple(rates),
        refusals=refusals,
        losses=losses,
        hops=hops,
        uneven=uneven,
        verdict=_judge(fates, losses, sights),
        exchanges=tuple(exchanges),
    )


def _watching(sights: Sights) -> NDArray[np.bool_]:
    """(c, p, 2) whether a point saw a conversation or should have, by direction."""
    return np.asarray((sights.sight != Sight.UNOBSERVABLE)[:, :, None] & ~sights.hidden)


def _sum_losses(fates: FateTable, apart: NDArray[np.bool_]) -> tuple[Loss, ...]:
    """Losses and refusals on the way by hop and direction, requests before responses, then the main one first.

    Where a point between did not watch some of the exchanges, and others show on which part of the way it is, those are counted
    there; their own rows say between which points they are known to have been lost. `apart` : (p, p), as in Sights.
    """
    rows = np.flatnonzero(fates["near"] >= 0)
    keys = np.stack([fates[name][rows].astype(np.int64) for name in ("near", "far", "direction")], axis=1)
    groups = {tuple(key): rows[(keys == key).all(axis=1)] for key in np.unique(keys, axis=0).tolist()}
    for wide in sorted(groups, key=lambda key: key[0] - key[1]):
        inside = [
            key
            for key in groups
            if key != wide
            and key[2] == wide[2]
            and wide[0] <= key[0]
            and key[1] <= wide[1]
            and not apart[wide[:2], key[:2]].any()
        ]
        if inside:
            main = max(inside, key=lambda key: (groups[key].size, -key[0]))
            groups[main] = np.sort(np.concatenate([groups[main], groups.pop(wide)]))
    losses = [
        Loss(
            near=near,
            far=far,
            direction=Direction(direction),
            fates=mine,
            conversations=int(np.unique(fates["conversation"][mine]).size),
            confidence=min(MOST_CERTAIN, float(fates["hop_confidence"][mine].max())),
        )
        for (near, far, direction), mine in groups.items()
    ]
    return tuple(sorted(losses, key=lambda loss: (loss.direction, -loss.conversations, -loss.fates.size, loss.near)))


def _with_traits(
    loss: Loss, alignment: Alignment, fates: FateTable, sights: Sights, atoms: Atoms, known: NDArray[np.bool_]
) -> Loss:
    """A loss with what its conversations have in common; those that passed the hop were seen on both sides and all answered.

    `known` : (a, p) whether each atom is known to have been at each point
    """
    failing = np.unique(fates["conversation"][loss.fates]).astype(np.int64)
    passed = (sights.sight[:, [loss.near, loss.far]] == Sight.SEEN).all(axis=1)
    passed[fates["conversation"][fates["fate"] != Fate.ANSWERED]] = False
    traits = common_traits(alignment, loss.near, failing, np.flatnonzero(passed))
    hop = (loss.near, loss.far) if loss.direction == Direction.FORWARD else (loss.far, loss.near)
    size = size_trait(atoms, known, hop, loss.direction, failing.tolist())
    return replace(loss, traits=(size, *traits) if size else traits)


def _judge(fates: FateTable, losses: tuple[Loss, ...], sights: Sights) -> Verdict:
    """`loss` if the network lost or refused something; `no_loss` if all that concerns the path got through.

    A request that arrived at the last point and waits for its response when the capture ends did get through. A conversation
    that passes one point alone says nothing of what is between the points. Where the first point did not watch, as if it had
    not been there, the others tell of what passes it.
    """
    if losses:
        return Verdict.LOSS
    points = sights.concerned.shape[1]
    concerns = (sights.concerned.sum(axis=1) >= min(2, points))[fates["conversation"]]
    shows = ((sights.sight == Sight.SEEN).sum(axis=1) >= min(2, points))[fates["conversation"]]
    unanswered = fates["response_end"] <= fates["response_start"]
    waiting = unanswered & (fates["reason"] == Reason.CAPTURE_ENDED) & (fates["last_seen"] == points - 1)
    undecided = concerns & (fates["fate"] == Fate.UNDECIDED)
    decided = concerns & shows & (fates["fate"] != Fate.UNDECIDED)
    if points and sights.windows[0] is None:
        decided &= sights.concerned[fates["conversation"], 0]
    return Verdict.NO_LOSS if decided.any() and not (undecided & ~waiting).any() else Verdict.UNDECIDED


def count_hops(
    alignment: Alignment,
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
    passed : (a, p) whether each atom is known to have been at each point
    passing : one a point, as `known_to_pass` gives them
    dropped : the share of packets that each point's capture counted as dropped; None: it did not count
    """
    hops, uneven = [], []
    seen = alignment.conversations.flow_of >= 0
    watched = _watching(sights)[atoms.stream // 2, :, atoms.stream % 2] & ~sights.left_out.pieces
    for near in range(len(sights.windows) - 1):
        far = near + 1
        common = watched[:, near] & watched[:, far] & (atoms.counts > 0).any(axis=1)
        inside = np.ones_like(common)
        for point in (near, far):
            window, slack = sights.windows[point], sights.slacks[point]
            common &= is_watched(atoms, point, window, slack) if window else False
            inside &= is_inside(atoms, window, slack) if window else False
        for direction in Direction:
            up, down = (near, far) if direction == Direction.FORWARD else (far, near)
            both = common & (atoms.stream % 2 == direction)
            u, d = atoms.counts[both, up], atoms.counts[both, down]
            u = np.where((u > 0) & (d > 0) & ~inside[both], d, u)  # a copy that one of them could not see is no loss
            arrived, unseen = d > 0, (d == 0) & passed[both, down]
            uneven.append(find_uneven(atoms, np.flatnonzero(both & inside), up, down, passed))
            rate = other_way_rate(atoms, passing[up].proven, up, direction, dropped[up])
            appeared = arrived & (u == 0) & seen[atoms.stream[both] // 2, up]
            resets, any_resets = resets_between(alignment, (up, down), direction, sights.windows, sights.slacks)
            made = is_told(int(appeared.sum()) + resets, int(both.sum()) + any_resets, rate)
            lacking = np.maximum(d - u, 0)[~appeared] if made else np.maximum(d - u, 0)
            missed = {up: int(lacking.sum()), down: int(unseen.sum())}
            hops.append(
                HopCount(
                    near=near,
                    far=far,
                    direction=direction,
                    delivered=int(arrived.sum()),
                    recovered=int(np.maximum(u - d, 0)[arrived].sum()),
                    lost=int(((u > 0) & ~arrived & ~unseen).sum()),
                    missed_near=missed[near],
                    missed_far=missed[far],
                    repeated=int(((u > 1) & arrived).sum()),
                    unsent=int(appeared.sum()) + resets if made else 0,
                )
            )
    return tuple(hops), Uneven.joined(uneven)
