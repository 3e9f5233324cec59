"""Random loss: single copies are lost here and there on a hop, whoever sent them, and retransmissions make up for them.

A copy counts as lost where the piece arrived late, when it was repeated, and there are more than the far capture may have missed.
What the hit conversations have in common, their sizes and their times are each asked: what one of them decides is not random. It
is a loss's cause only where single packets did not arrive that nobody repeats, about as many as the hop's rate says.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.explain.findings import Evidence, Finding, Remedy, confidence_of
from mixcni.explain.suspects import Facts, Suspect, shown_by
from mixcni.explain.uneven import packets_of
from mixcni.localise.hops import HopCount
from mixcni.localise.traits import MOST_CHANCE, common_traits
from mixcni.localise.uneven import Uneven
from mixcni.schema import Direction, Fate, Sight
from mixcni.words import plural

CAUSE: Final = "random_loss"
PRIOR: Final = 0.3  # of hops on which copies were lost: a few packets are lost on many paths
MOST: Final = 0.85  # at most: that nothing was found in common is no proof that there is nothing
UNCONFIRMED: Final = 0.45  # at most, where few copies were lost, or something decides which
MOST_ODDS: Final = 50.0  # the far capture would have to have missed as many
ODDS_NOTHING_COMMON: Final = 4.0
ODDS_COMMON: Final = 0.05
LATE_NS: Final = 1_000_000  # what arrives later than this was repeated: paths within a cluster vary by less
FEWEST: Final = 3  # copies
FEWEST_CONVERSATIONS: Final = 2
MOST_OF_TIME: Final = 0.25  # of the segments, within a burst
MOST_SHARE: Final = 0.2  # of copies: a hop that loses more is congested or broken
LEAST_TAIL: Final = 0.05  # chance of as many losses by the hop's rate alone


@dataclass(frozen=True, slots=True)
class _Lossy:
    """Copies that one hop lost in one direction and that retransmissions made up for.

    common : what they have in common beside the hop, a sentence each
    """

    hop: HopCount
    pieces: Uneven
    copies: int
    conversations: NDArray[np.int64]
    total: int
    common: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    is_enough: bool

    @property
    def share(self) -> float:
        """Of the copies that were sent on the hop, those that were lost."""
        return self.copies / max(self.hop.delivered + self.copies, 1)


def examine_hops(facts: Facts) -> Iterator[Finding]:
    """A finding for each hop and direction on which copies were lost and made up for: no response was lost by them."""
    names = [point.name for point in facts.localisation.points]
    for lossy in _lossy_hops(facts):
        near, far = names[lossy.hop.near], names[lossy.hop.far]
        confidence = confidence_of(PRIOR, lossy.evidence)
        word = "requests" if lossy.hop.direction == Direction.FORWARD else "responses"
        how = "at random" if not lossy.common and lossy.is_enough else "and not at random" if lossy.common else ""
        yield Finding(
            cause=CAUSE,
            confidence=min(confidence, MOST if lossy.is_enough and not lossy.common else UNCONFIRMED),
            sentence=(
                f"Between {near} and {far}, on the way of the {word}, {lossy.copies:,} copies of segments "
                f"were lost{f' {how}' if how else ''} ({lossy.share:.1%}) in {lossy.conversations.size:,} of "
                f"{lossy.total:,} conversations, and retransmissions made up for all of them"
            ),
            evidence=tuple(fact for fact in lossy.evidence if fact.odds >= 1),
            against=tuple(fact for fact in lossy.evidence if fact.odds < 1),
            remedies=() if lossy.common else (Remedy(f"Look at the links and queues between {near} and {far}"),),
            collect=(
                f"on the nodes between {near} and {far}: ip -s -s link, tc -s qdisc, ethtool -S, twice: what rises",
                "on the sender: nstat -az TcpRetransSegs TcpExtTCPLostRetransmit",
            ),
        )


def examine(suspect: Suspect, facts: Facts) -> Finding | None:
    """The finding for one loss: single packets that nobody repeats, about as many as the hop's random loss explains."""
    localisation = facts.localisation
    if suspect.loss is None or suspect.far != suspect.near + 1 or localisation.losses[suspect.loss].traits:
        return None
    lossy = next(
        (each for each in _lossy_hops(facts) if (each.hop.near, each.hop.direction) == (suspect.near, suspect.direction)), None
    )
    fates = localisation.fates
    copies = fates["copies"][suspect.rows]
    if lossy is None or lossy.common or lossy.share > MOST_SHARE or (fates["fate"][suspect.rows] != Fate.LOST).any():
        return None
    tried = lossy.hop.delivered + lossy.hop.lost
    expected = float((tried * lossy.share ** np.unique(copies)).sum())
    if copies.size > tried or _at_least(copies.size, expected) < LEAST_TAIL:
        return None
    near, far = (localisation.points[position].name for position in (suspect.near, suspect.far))
    says = f"at that rate {expected:.1f} of {tried:,} are lost with all copies by accident, and {copies.size} were"
    fact = Evidence(says, facts.capture_of(suspect.near), odds=ODDS_NOTHING_COMMON)
    confidence = confidence_of(PRIOR, [*lossy.evidence, fact])
    return Finding(
        cause=CAUSE,
        confidence=min(confidence, MOST if lossy.is_enough else UNCONFIRMED),
        sentence=(
            f"{plural(copies.size, 'exchange')} lost between {near} and {far} are what the hop's random loss takes "
            f"({lossy.share:.1%} of all copies): they have nothing else in common"
        ),
        evidence=(*lossy.evidence, fact),
        remedies=(Remedy(f"Look at the links and queues between {near} and {far}, and let the callers repeat what is lost"),),
        collect=(f"on the nodes between {near} and {far}: ip -s -s link, tc -s qdisc, ethtool -S, twice: what rises",),
        loss=suspect.loss,
    )


def _lossy_hops(facts: Facts) -> Iterator[_Lossy]:
    """The hops and directions on which more copies were lost than the far capture may have missed."""
    localisation = facts.localisation
    uneven = localisation.uneven
    for hop in localisation.hops:
        mine = (uneven.near == hop.near) & (uneven.stream % 2 == hop.direction)
        pieces = uneven.where(mine & (uneven.sent > uneven.seen) & (uneven.seen > 0) & (uneven.late_ns >= LATE_NS))
        if not pieces.near.size:
            continue
        copies = int((pieces.sent - pieces.seen).sum())
        up, down = (hop.near, hop.far) if hop.direction == Direction.FORWARD else (hop.far, hop.near)
        missed = localisation.rates[down].interval[1] * hop.repeated
        chance = _at_least(copies, missed)
        if chance > MOST_CHANCE and missed >= 1:
            continue  # the capture missed as many
        conversations = np.unique(pieces.stream // 2)
        passed = np.flatnonzero((localisation.sights.sight[:, [hop.near, hop.far]] == Sight.SEEN).all(axis=1))
        others = np.setdiff1d(_as_exposed(facts, conversations, up, hop.direction), conversations)
        others = others[np.isin(others, passed)]
        common = tuple(_common(facts, pieces, conversations, others, up, down, hop))
        names = [localisation.points[position].name for position in (up, down)]
        says = (
            f"{pieces.near.size:,} pieces left {names[0]} more than once and arrived at {names[1]} once repeated, up to "
            f"{int(pieces.late_ns.max()) / 1e6:.0f} ms later than usual; its capture may have missed {missed:.1f} of them"
        )
        odds = max(1.0, min(MOST_ODDS, MOST_CHANCE / max(chance, 1e-9)))
        evidence = [shown_by(facts, says, up, packets_of(facts, pieces, up), odds=odds, of=pieces.near.size)]
        file = facts.capture_of(up)
        if common:
            evidence.extend(Evidence(text, file, odds=1.0 if number else ODDS_COMMON) for number, text in enumerate(common))
        elif conversations.size >= FEWEST_CONVERSATIONS and copies >= FEWEST:
            says = "the conversations that were hit have no end, network, port, tunnel, size or time of their own"
            evidence.append(Evidence(says, file, odds=ODDS_NOTHING_COMMON))
        enough = copies >= FEWEST and conversations.size >= FEWEST_CONVERSATIONS
        yield _Lossy(hop, pieces, copies, conversations, passed.size, common, tuple(evidence), enough)


def _as_exposed(facts: Facts, hit: NDArray[np.int64], up: int, direction: Direction) -> NDArray[np.int64]:
    """The conversations that sent at least half of what each of the hit ones sent: of one packet little can be lost."""
    alignment = facts.localisation.alignment
    table = alignment.transmissions
    sent = (table["point"] == up) & (table["direction"] == direction) & (table["end"] > table["start"])
    counts = np.bincount(table["conversation"][sent], minlength=len(alignment.conversations))
    return np.flatnonzero(2 * counts >= counts[hit].min())


def _common(
    facts: Facts, pieces: Uneven, hit: NDArray[np.int64], others: NDArray[np.int64], up: int, down: int, hop: HopCount
) -> Iterator[str]:
    """What decides which copies were lost, a sentence each."""
    alignment = facts.localisation.alignment
    for trait in common_traits(alignment, hop.near, hit, others)[:2]:
        yield (
            f"{trait.failing:,} of the conversations that were hit have {trait.what} {trait.value}, and {trait.others:,} of the "
            f"others (by accident with a chance of {trait.chance:.2g})"
        )
    table = alignment.transmissions
    sizes = alignment.points[up].packets["original_length"][packets_of(facts, pieces, up)]
    through = (table["point"] == down) & (table["direction"] == hop.direction) & (table["end"] > table["start"])
    largest = int(alignment.points[down].packets["original_length"][table["packet"][through]].max(initial=0))
    if sizes.size and int(sizes.min()) > largest:
        yield f"all of them were larger than what got through: {int(sizes.min())} octets and more, against {largest}"
    sent = (table["point"] == up) & (table["direction"] == hop.direction) & (table["end"] > table["start"])
    times = table["time_ns"][sent]
    first, last = int(pieces.first_ns.min()), int(pieces.first_ns.max())
    inside = float(((times >= first) & (times <= last)).mean())
    count = pieces.near.size
    chance = count * inside ** (count - 1)  # that so many times fall into some part of that share
    if count >= FEWEST and inside <= MOST_OF_TIME and chance < MOST_CHANCE:
        yield (
            f"they were lost within {(last - first) / 1e6:.0f} ms, in which {inside:.1%} of the segments were sent: a burst, as "
            "a queue that overflows or a short interruption makes it"
        )
    copies = int((pieces.sent - pieces.seen).sum())
    if _at_least(copies, MOST_SHARE * (hop.delivered + copies)) < MOST_CHANCE:
        yield f"they are more than {MOST_SHARE:.0%} of all: a limiter, an overflowing queue or a broken link, not accidents"


def _at_least(count: int, expected: float) -> float:
    """The chance of `count` or more where `expected` are (Poisson)."""
    from scipy.special import gammainc

    return 1.0 if count <= 0 else float(gammainc(count, max(expected, 1e-12))) if not math.isnan(expected) else 1.0
