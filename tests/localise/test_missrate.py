"""Miss rates against captures whose rates are known: no interval is biased, whichever flows a point sees."""

import random
from dataclasses import replace

import numpy as np
import pytest

from mixcni.localise.missrate import MissRate
from tests.scene import Scene, Sent, Talk, captured, scene_of

CAPTURES = 3_000


@pytest.mark.parametrize("rate", [0.0, 0.003, 0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("proven", [5, 30, 300])
def test_the_interval_holds_the_rate_of_95_in_100_captures(rate: float, proven: int) -> None:
    missed, times = np.unique(np.random.default_rng(3).binomial(proven, rate, CAPTURES), return_counts=True)
    intervals = [MissRate(proven, number).interval for number in missed.tolist()]
    held = sum(count for (low, high), count in zip(intervals, times.tolist(), strict=True) if low <= rate <= high)
    assert held / CAPTURES >= 0.95 - 3 * (0.05 * 0.95 / CAPTURES) ** 0.5


def test_nothing_proven_bounds_nothing() -> None:
    assert MissRate(0, 0).interval == (0.0, 1.0)
    assert MissRate(8, 8).interval[1] == 1.0


def talks(count: int, exchanges: int = 6) -> list[Sent]:
    sent = []
    for number in range(count):
        talk = Talk(initiator=("10.244.3.9", 50_000 + number))
        talk.handshake(40 * number)
        for i in range(exchanges):
            talk.exchange(40 * number + 100 + 40 * i)
        sent += talk.sent
    return sent


def thinned(seed: int, rate: float, names: str, elsewhere: str = "") -> Scene:
    """Conversations that end well; C's capture misses a share of all packets, and `elsewhere` has none of them."""
    dice = random.Random(seed)
    sent = [replace(one, missed=elsewhere + ("C" if dice.random() < rate else "")) for one in talks(12)]
    return scene_of(captured(sent, names))


@pytest.mark.parametrize(
    ("names", "elsewhere"), [("ABC", ""), ("ABC", "AB"), ("C", "")], ids=["seen by all", "by C of three", "C alone"]
)
def test_a_capture_that_misses_a_share_is_found_to_whoever_else_saw_its_flows(names: str, elsewhere: str) -> None:
    """Of what C alone saw, what it missed shows as what was acknowledged between octets that it has."""
    rates = [thinned(seed, 0.3, names, elsewhere).localisation.rates[-1] for seed in range(20)]
    assert sum(rate.interval[0] <= 0.3 <= rate.interval[1] for rate in rates) >= 18
    assert sum(rate.missed for rate in rates) / sum(rate.proven for rate in rates) == pytest.approx(0.3, abs=0.03)


def test_a_capture_that_misses_nothing_is_found_to_miss_nothing() -> None:
    for names, elsewhere in (("ABC", ""), ("ABC", "AB"), ("C", "")):
        rate = thinned(1, 0.0, names, elsewhere).localisation.rates[-1]
        assert rate.missed == 0
        assert rate.proven > 100


def test_octets_that_nobody_saw_count_as_the_fewest_packets_that_hold_them() -> None:
    talk = Talk()
    talk.handshake(0)
    for i, missed in enumerate(["", "C", "C", "C", "", ""]):
        talk.say(100 + i, 0, "A", 1000, missed=missed)
    talk.say(200, 1, "A")
    rate = scene_of(captured(talk.sent, "C")).localisation.rates[0]
    assert (rate.proven, rate.missed) == (5, 3)
