"""What appears on the way without having been sent is counted on its hop, blamed on nobody, and no capture's miss."""

from itertools import chain

import pytest

from mixcni.localise import Verdict
from mixcni.localise.missrate import MissRate
from mixcni.localise.unsent import is_told
from mixcni.schema import Direction
from tests.scene import Scene, Talk, scene

MANY = 60


def talks(unsent: str = "", missed: str = "", every: int = 1) -> list[Talk]:
    """Connections that are answered; in each `every`-th of them one segment more is made at a point, or missed by a capture."""
    made = []
    for number in range(MANY):
        talk = Talk(initiator=("10.244.3.7", 40_000 + number), responder=("10.96.0.10", 8080))
        begin = 100 * number
        talk.handshake(begin)
        for turn in range(4):
            talk.exchange(begin + 50 + 100 * turn)
        odd = number % every == 0
        talk.say(begin + 600, 0, "PA", 90, begun=unsent if odd else "", missed=missed if odd else "")
        talk.say(begin + 610, 1, "PA", 50)
        talk.say(begin + 620, 0, "A")
        made.append(talk)
    late = Talk(initiator=("10.244.3.7", 39_000), responder=("10.96.0.10", 8080))
    late.handshake(8000)
    late.exchange(20_000)
    return [*made, late]


def unsent_on(seen: Scene) -> dict[tuple[int, Direction], int]:
    return {(hop.near, hop.direction): hop.unsent for hop in seen.localisation.hops if hop.unsent}


@pytest.mark.parametrize(
    ("unsent", "found"),
    [
        ("B", {(0, Direction.FORWARD): MANY}),
        ("C", {(1, Direction.FORWARD): MANY}),
        ("", {}),
    ],
    ids=["made before B", "made before C", "all sent"],
)
def test_what_was_made_on_the_way_is_counted_on_its_hop(unsent: str, found: dict[tuple[int, Direction], int]) -> None:
    seen = scene(*talks(unsent))
    assert unsent_on(seen) == found
    assert seen.localisation.verdict == Verdict.NO_LOSS
    assert all(hop.lost == 0 for hop in seen.localisation.hops)


def test_what_a_capture_misses_both_ways_was_not_made_on_the_way() -> None:
    """Every capture of A lacks some of what comes back as well, so that it may lack what was sent."""
    made = talks(missed="A", every=3)
    for talk in made[:-1:4]:
        talk.say(7000, 1, "PA", 50, missed="A")
        talk.say(7010, 0, "A")
    seen = scene(*made)
    assert unsent_on(seen) == {}
    assert seen.localisation.verdict == Verdict.NO_LOSS


def test_resets_that_nobody_sent_are_counted() -> None:
    made = talks()
    for talk in made[:20]:
        talk.say(9000, 1, "R", begun="B")
    assert unsent_on(scene(*made)) == {(1, Direction.REVERSE): 20}


@pytest.mark.parametrize(
    ("appeared", "watched", "rate", "told"),
    [
        (0, 1000, MissRate(100_000, 0), False),
        (1, 1000, MissRate(100_000, 0), False),
        (1, 1000, MissRate(100_000_000, 0), True),
        (30, 1000, MissRate(1000, 0), True),
        (30, 1000, MissRate(100, 0), False),
        (30, 1000, MissRate(1000, 30), False),
    ],
)
def test_one_in_many_may_have_been_missed(appeared: int, watched: int, rate: MissRate, told: bool) -> None:
    assert is_told(appeared, watched, rate) is told


def test_nothing_is_made_on_the_way_of_what_is_lost() -> None:
    lost = [Talk(initiator=("10.244.3.7", 50_000 + n), responder=("10.96.0.10", 8080)) for n in range(20)]
    for number, talk in enumerate(lost):
        talk.repeated([100 * number, 100 * number + 1000, 100 * number + 3000], 0, "S", lost="BC")
    seen = scene(*chain(talks(), lost))
    assert unsent_on(seen) == {}
    assert seen.localisation.verdict == Verdict.LOSS
