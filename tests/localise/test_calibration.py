"""Of the losses that are stated with some confidence at least that share is right, whatever the capture misses.

Worlds are drawn as mixcni.localise.judgement takes them to be: a hop loses some share of what is sent, or what is behind it fails
all exchanges, seldom both; the capture behind the hop misses packets by chance, and some of what it misses is proven.
"""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from mixcni.localise.judgement import EVEN, SECOND, judge_hop
from mixcni.localise.missrate import PRIOR_MISSED, PRIOR_SEEN, MissRate

BINS = (0.5, 0.8, 0.9, 0.95, 0.99, 1.0)
WORLDS = 4_000


def stated(dice: np.random.Generator, rate: float | None) -> NDArray[np.float64]:
    """(n, 2) confidence that a hop loses, and whether it lost any, of worlds in which exchanges are unseen behind it."""
    found = []
    for _ in range(WORLDS):
        loses = dice.random() < EVEN
        fails = not loses or dice.random() < SECOND
        misses = dice.beta(PRIOR_MISSED, PRIOR_SEEN) if rate is None else rate
        proven, copies, count = int(dice.choice([0, 3, 10, 40, 200])), int(dice.integers(1, 4)), int(dice.integers(1, 8))
        lost = (dice.random(count) < dice.random()) & loses
        seen = ~lost & (dice.random(count) > misses**copies)
        failed = lost | fails
        unseen, arrived = int((failed & ~seen).sum()), int((failed & seen).sum())
        if unseen:
            known = MissRate(proven, int(dice.binomial(proven, misses)))
            none, _doubt = judge_hop(np.full(unseen, known.all_missed(copies)), arrived, known.all_missed(copies * unseen))
            found.append((1 - none, float(lost.any())))
    return np.array(found)


@pytest.mark.parametrize("rate", [None, 0.01, 0.05, 0.2], ids=["drawn from the prior", "1 %", "5 %", "20 %"])
def test_of_what_is_stated_with_a_confidence_that_share_is_right(rate: float | None) -> None:
    found = stated(np.random.default_rng(5), rate)
    for low, high in itertools.pairwise(BINS):
        mine = found[(found[:, 0] >= low) & (found[:, 0] < high)]
        expected = mine[:, 0].mean() if len(mine) else 0.0
        room = 3 * np.sqrt(expected * (1 - expected) / max(len(mine), 1)) + 0.02
        assert not len(mine) or mine[:, 1].mean() >= expected - room
