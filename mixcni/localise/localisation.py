"""All conversations' fates, the losses on each hop, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.exchanges import ExchangeTable
from mixcni.localise.atoms import Atoms, Intervals, cut_atoms
from mixcni.localise.exchanges import merge_exchanges
from mixcni.localise.fates import FateRules, FateTable
from mixcni.localise.hops import HopCount, count_hops
from mixcni.localise.missrate import MissRate, known_to_pass, miss_rates, whole_miss_rates
from mixcni.localise.refusals import Refusals, find_refusals
from mixcni.localise.sight import Sights, judge_sights
from mixcni.localise.silences import find_silences
from mixcni.localise.survey import survey_of
from mixcni.localise.traits import Trait, common_traits, size_trait
from mixcni.localise.uneven import Uneven
from mixcni.schema import PROTOCOL_TCP, Direction, Fate, Reason, Sight
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
        watching = (self.sights.sight != Sight.UNOBSERVABLE).sum(axis=1) >= min(2, len(self.points))
        watching[self.fates["conversation"][_open(self.fates, self.sights)]] = True
        return np.asarray(watching)


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
    survey = survey_of(alignment)
    columns = merge_exchanges(alignment, exchanges, survey)
    stream = columns["conversation"].astype(np.int64) * 2
    atoms, (request, whole) = cut_atoms(
        alignment.transmissions,
        len(points),
        [
            (stream, columns["request_start"], columns["request_end"]),
            (stream + 1, columns["response_start"], columns["response_end"]),
        ],
    )
    response = Intervals(whole.begin, whole.begin + (columns["response_end"] > columns["response_start"]))
    received = atoms.received(survey.acknowledged, alignment.conversations["protocol"] == PROTOCOL_TCP)
    passed = atoms.passed(received)
    sights = judge_sights(points, alignment, survey, passed, atoms)
    passing = known_to_pass(atoms, sights.watching, received, sights.windows, sights.inside)
    rates = miss_rates(atoms, passing, [point.dropped for point in points])
    silences = [
        find_silences(atoms, found.proven, point, times, rate)
        for point, (found, times, rate) in enumerate(zip(passing, alignment.times, rates, strict=True))
    ]
    whole_rates = whole_miss_rates(atoms, passing, alignment.conversations.flow_of >= 0)
    refusals = find_refusals(alignment, survey)
    rules = FateRules(points, columns, atoms, request, response, sights, silences, whole_rates, survey.acknowledged, passed)
    rules.answered(refusals)
    rules.lost_rest(whole, survey.closed_ns)
    rules.against_the_path()
    rules.unplaced()
    rules.lost_response()
    rules.reset_in_passing(refusals)
    rules.refused(refusals)
    rules.refused_from_as_far(refusals)
    rules.lost_request()
    rules.silent(survey.closing)
    fates = rules.table()
    losses = tuple(_with_traits(loss, alignment, fates, sights, atoms, passed) for loss in _sum_losses(fates, sights.apart))
    hops, uneven = count_hops(alignment, survey, atoms, sights, passed, passing, [point.dropped for point in points])
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
    concerns = _concerns(fates, sights)
    shows = ((sights.sight == Sight.SEEN).sum(axis=1) >= min(2, points))[fates["conversation"]]
    unanswered = fates["response_end"] <= fates["response_start"]
    waiting = unanswered & (fates["reason"] == Reason.CAPTURE_ENDED) & (fates["last_seen"] == points - 1)
    undecided = _open(fates, sights)
    decided = concerns & shows & (fates["fate"] != Fate.UNDECIDED)
    if points and sights.windows[0] is None:
        decided &= sights.concerned[fates["conversation"], 0]
    return Verdict.NO_LOSS if decided.any() and not (undecided & ~waiting).any() else Verdict.UNDECIDED


def _concerns(fates: FateTable, sights: Sights) -> NDArray[np.bool_]:
    """(n,) whether an exchange passes more points than one, or the only one there is, as far as its addresses tell."""
    least = min(2, sights.concerned.shape[1])
    return np.asarray((sights.concerned.sum(axis=1) >= least)[fates["conversation"]])


def _open(fates: FateTable, sights: Sights) -> NDArray[np.bool_]:
    """(n,) whether an exchange is undecided, and may pass the points: so may what one saw of which nothing tells where it is."""
    may_pass = _concerns(fates, sights) | (fates["reason"] == Reason.NOT_PLACED)
    return np.asarray(may_pass & (fates["fate"] == Fate.UNDECIDED))
