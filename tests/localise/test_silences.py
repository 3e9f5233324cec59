"""A capture that paused is no witness of what passed meanwhile, however little it misses else."""

from dataclasses import replace

import numpy as np
import pytest

from mixcni.localise.missrate import MissRate
from mixcni.localise.silences import PAUSED, Copies, Silences
from tests.scene import Scene, Sent, Talk, captured, scene_of
from tests.wire import MS, START

PAUSE_MS = (2_000.0, 6_000.0)


def answered(every_ms: int, until_ms: int = 12_000) -> list[Sent]:
    """Connections that are answered throughout, one after the other."""
    sent = []
    for number, ms in enumerate(range(0, until_ms, every_ms)):
        talk = Talk(initiator=("10.244.3.9", 50_000 + number))
        talk.handshake(ms)
        talk.exchange(ms + 40)
        sent += talk.sent
    return sent


def paused(sent: list[Sent], point: str) -> list[Sent]:
    """The same, of which a point's capture has nothing for a while."""
    begin, end = (START + round(ms * MS) for ms in PAUSE_MS)
    return [replace(one, missed=one.missed + point) if begin <= one.frame.time_ns <= end else one for one in sent]


def attempts(count: int, lost: str = "") -> list[Sent]:
    """Connection attempts within the pause to a server that says nothing, or that a hop loses."""
    sent = []
    for number in range(count):
        talk = Talk(initiator=("10.244.3.7", 41_000 + number))
        talk.repeated((2_500 + 20 * number, 3_500 + 20 * number), 0, "S", lost=lost)
        sent += talk.sent
    return sent


def seen(sent: list[Sent]) -> Scene:
    return scene_of(captured(sent))


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("point", "BC")
def test_what_passes_while_a_capture_pauses_is_not_called_lost(count: int, point: str) -> None:
    """Others were answered meanwhile, and its capture has nothing of them either."""
    scene = seen(paused([*answered(200), *attempts(count, "" if point == "C" else "BC")], point))
    assert {(loss.near, loss.far) for loss in scene.localisation.losses} <= ({(1, 2)} if point == "B" else set())


@pytest.mark.parametrize("count", [1, 6])
def test_what_a_hop_loses_while_the_capture_behind_it_hears_others_is_lost(count: int) -> None:
    (loss,) = seen([*answered(200), *attempts(count, "BC")]).localisation.losses
    assert (loss.near, loss.far, loss.conversations) == (1, 2, count)
    assert loss.confidence > 0.99


def test_a_loss_in_one_silence_is_less_certain_than_in_many() -> None:
    """Both captures miss nothing that is known; of the quiet one nothing shows that it ran meanwhile."""
    lost = attempts(1, "BC")
    quiet = [one for one in answered(200) if not PAUSE_MS[0] - 500 <= (one.frame.time_ns - START) / MS <= PAUSE_MS[1]]
    (busy,), (still,) = (seen([*others, *lost]).localisation.losses for others in (answered(200), quiet))
    assert 0.99 < still.confidence < 1 - PAUSED < busy.confidence


def test_copies_in_one_silence_are_missed_together() -> None:
    """Worked by hand: a rate of 1 in 100 for certain, and two silences of which one was a pause for half."""
    silences = Silences(np.array([10, 20]), np.array([0.0, 0.5, 0.0]), MissRate(10**8, 10**6))
    times = np.array([5, 5, 15, 15, 5, 15])
    chance = silences.missed(Copies(np.array([0, 0, 1, 1, 2, 2]), times), 3)
    assert chance == pytest.approx([1e-4, 0.5 + 0.5e-4, 0.01 * (0.5 + 0.005)], rel=0.05)
    assert silences.all_missed(Copies(np.arange(6), times)) == pytest.approx(1e-6 * (0.5 + 0.5e-6), rel=0.1)


def test_a_rate_that_is_not_known_is_one_for_all_silences() -> None:
    """The chance is the mean over what the rate may be, as where all copies are in one silence that was no pause."""
    rate = MissRate(12, 1)
    silences = Silences(np.arange(10, 60, 10), np.zeros(6), rate)
    assert silences.all_missed(Copies(np.arange(4), np.array([5, 15, 25, 35]))) == pytest.approx(rate.all_missed(4), rel=0.02)
