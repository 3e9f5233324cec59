"""The capture missed it: what looks lost at a point is in no file of that point, though it passed there.

That it passed is proven by its acknowledgment, or by points on both sides of it that saw it. The share that a capture lacks of
such pieces is its miss rate; drop counters and holes between its files tell the same. Such pieces are never counted as lost.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.explain.findings import Evidence, Finding, confidence_of
from mixcni.explain.response_untranslated import halves
from mixcni.explain.suspects import Facts, exchanges_text, shown_by
from mixcni.explain.uneven import packets_of
from mixcni.schema import Direction, Fate, Reason
from mixcni.words import plural

CAUSE: Final = "capture_missed"
PRIOR: Final = 0.3  # of captures that a reader would ask the question of
FEWEST: Final = 3  # pieces: fewer may be a flow that begins or ends at the capture's edge
ODDS_PROVEN: Final = 50.0
ODDS_FEW: Final = 2.0
ODDS_COUNTED: Final = 20.0  # the capture's own drop counters say so
ODDS_HOLE: Final = 20.0
MOST: Final = 0.85  # at most: a cause that explains a loss stands before a statement
UNCONFIRMED: Final = 0.45  # at most, where nothing but the missing packet itself speaks


def examine_captures(facts: Facts) -> Iterator[Finding]:
    """A finding for each point whose capture lacks what passed it, or may lack what cannot be told lost."""
    for position in range(len(facts.localisation.points)):
        finding = _examine(facts, position)
        if finding is not None:
            yield finding


def _examine(facts: Facts, position: int) -> Finding | None:
    localisation = facts.localisation
    point, rate, fates = localisation.points[position], localisation.rates[position], localisation.fates
    doubtful = (fates["fate"] == Fate.UNDECIDED) & (fates["reason"] == Reason.MISS_RATE) & (fates["decider"] == position)
    rows = np.flatnonzero(doubtful)
    evidence = list(_evidence(facts, position))
    if not evidence and not rows.size:
        return None
    confidence = confidence_of(PRIOR, evidence)
    share = f"{rate.missed:,} of {rate.proven:,} pieces of streams that are proven to have passed it"
    sentence = f"The capture at {point.name} lacks {share}" if rate.missed else f"The capture at {point.name} lacks packets"
    if rows.size:
        what = f"{exchanges_text(localisation, rows)} that it does not show cannot be told lost"
        sentence = f"{sentence}: {what}" if evidence else f"The capture at {point.name} may have missed packets: {what}"
    else:
        sentence += ": what is missing there alone was not lost"
    return Finding(
        cause=CAUSE,
        confidence=min(confidence, MOST if evidence else UNCONFIRMED),
        sentence=sentence,
        evidence=tuple(evidence),
        collect=(
            f"at {point.name} again: tcpdump -B 65536 -s 128, a filter for these addresses, and the drops that it tells",
            f"a second capture beside {point.name}: what both lack did not pass",
        ),
    )


def _evidence(facts: Facts, position: int) -> Iterator[Evidence]:
    localisation = facts.localisation
    point, rate = localisation.points[position], localisation.rates[position]
    split = halves(facts).shape[0] if rate.missed else 0  # half of a connection looks like one whose other half was missed
    if rate.missed > split:
        low, high = rate.interval
        says = (
            f"{rate.missed:,} of {rate.proven:,} pieces were acknowledged or seen on both sides of {point.name}, and are not in "
            f"its capture: {rate.missed / rate.proven:.1%} ({low:.1%} to {high:.1%} with 95 % certainty)"
        )
        yield Evidence(says, facts.capture_of(position), odds=ODDS_PROVEN if rate.missed - split >= FEWEST else ODDS_FEW)
        yield from _by_hop(facts, position)
    if point.dropped:
        says = f"the capture's own counters say that it dropped {point.dropped:.2%} of its packets"
        yield Evidence(says, facts.capture_of(position), odds=ODDS_COUNTED)
    if point.holes:
        seconds = sum(end - begin for begin, end in point.holes) / 1e9
        says = f"its files leave {plural(len(point.holes), 'hole')}, {seconds:.3f} s in all, for which packets are missing"
        yield Evidence(says, facts.capture_of(position), odds=ODDS_HOLE)


def _by_hop(facts: Facts, position: int) -> Iterator[Evidence]:
    """What a neighbouring point saw of the missing pieces, with its frames."""
    localisation = facts.localisation
    uneven, points = localisation.uneven, localisation.points
    for hop in localisation.hops:
        missed = hop.missed_far if hop.far == position else hop.missed_near if hop.near == position else 0
        if not missed:
            continue
        up, down = (hop.near, hop.far) if hop.direction == Direction.FORWARD else (hop.far, hop.near)
        other = up if down == position else down
        mine = (uneven.near == hop.near) & (uneven.stream % 2 == hop.direction)
        lacking: NDArray[np.bool_] = (uneven.seen == 0) & uneven.passed if down == position else uneven.seen > uneven.sent
        pieces = uneven.where(mine & lacking)
        word = "requests" if hop.direction == Direction.FORWARD else "responses"
        says = f"on the way of the {word} {points[other].name} has {plural(missed, 'segment')} more than it"
        yield shown_by(facts, says, other, packets_of(facts, pieces, other), of=pieces.near.size)
