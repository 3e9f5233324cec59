"""What failing conversations have in common: found where it is there, and not by accident."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.localise.traits import at_least_so_many
from tests.localise.network import Fault, Network, View
from tests.scene import Scene, scene_of

SERVER = ("10.242.2.20", 8080)


def drawn(clients: list[str], hit: frozenset[int], **fault: int) -> Scene:
    """Connections of some clients to one server, of which some lose their requests between the first two points."""
    count = 40
    network = Network(
        7,
        "ABC",
        ends=[((clients[c % len(clients)], 40_000 + c), SERVER) for c in range(count)],
        scripts=[[(200, 4000), (200, 300)]] * count,
        begins=[0.2 * c for c in range(count)],
        faults=[Fault("drop", 1, fault.pop("side", 0), hit, **fault)],
    )
    network.run()
    return scene_of(network.captures({"B": View(merged=True)}))


def test_the_network_that_all_failing_ones_come_from_is_found() -> None:
    """Every second client is of 10.244.9.0/24, and loses all it sends."""
    clients = [f"10.244.{3 if c % 2 else 9}.{c}" for c in range(10)]
    (loss,) = drawn(clients, frozenset(range(0, 40, 2))).localisation.losses
    assert (loss.traits[0].what, loss.traits[0].value) == ("source network", "10.244.9.0/24")
    assert (loss.traits[0].failing, loss.traits[0].others) == (20, 0)


def test_what_fails_by_accident_has_nothing_in_common() -> None:
    clients = [f"10.244.{3 if c % 2 else 9}.{c}" for c in range(10)]
    (loss,) = drawn(clients, frozenset({0, 1, 11, 14, 26, 27, 35, 38})).localisation.losses
    assert loss.traits == ()


def test_segments_that_are_too_large_for_a_hop_are_known_by_their_size() -> None:
    (loss,) = drawn(["10.244.3.7"], frozenset(range(40)), side=1, larger_than=1400).localisation.losses
    assert loss.traits[0].what == "segments larger than"
    assert int(loss.traits[0].value.split()[0]) <= 1400


@pytest.mark.parametrize(
    ("both", "having", "failing", "total", "chance"),
    [(3, 4, 4, 8, 17 / 70), (4, 4, 4, 8, 1 / 70), (0, 4, 4, 8, 1.0)],
    ids=["Fisher's tea, one cup wrong", "all cups right", "none"],
)
def test_the_chance_is_fishers(both: int, having: int, failing: int, total: int, chance: float) -> None:
    """R. A. Fisher, The Design of Experiments (1935), chapter II."""
    assert at_least_so_many(both, having, failing, total) == pytest.approx(chance)


@given(st.integers(1, 12), st.data())
def test_the_chance_is_what_counting_all_cases_says(total: int, data: st.DataObject) -> None:
    having, failing = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    both = data.draw(st.integers(0, min(having, failing)))
    cases = [sum(member < having for member in chosen) >= both for chosen in itertools.combinations(range(total), failing)]
    assert at_least_so_many(both, having, failing, total) == pytest.approx(sum(cases) / math.comb(total, failing))
