"""Over networks drawn from seeds: no hop is blamed that lost nothing, and what the captures can tell is found."""

from dataclasses import replace
from typing import Any

import pytest

from tests.localise.scenarios import Scenario, scenario
from tests.scene import Scene

NOISY = (4, 11, 13, 24, 28, 29, 34, 37, 39, 44, 49, 53, 79, 88, 101, 102)
CLEAN = (101, 102, 109, 123, 137, 142, 157, 184)
"""Seeds of small networks, of each kind."""


def wrongly_blamed(drawn: Scenario, seen: Scene) -> dict[int, tuple[int, int, int]]:
    """Connections that are blamed on a hop which did nothing to them, but where random loss alone left them unanswered."""
    lossy = bool(drawn.network.loss)
    return {
        c: hop
        for c, hop in drawn.blamed(seen).items()
        if not (c in drawn.failed and drawn.is_right(hop)) and not (lossy and c not in drawn.hit)
    }


def hops_of(seen: Scene) -> set[tuple[int, int, int]]:
    return {(loss.near, loss.far, int(loss.direction)) for loss in seen.localisation.losses}


@pytest.mark.parametrize("seed", NOISY)
def test_no_hop_is_blamed_that_lost_nothing(seed: int) -> None:
    drawn = scenario(seed, noisy=True)
    seen = drawn.seen()
    assert not wrongly_blamed(drawn, seen)
    if drawn.hop is None and not drawn.network.loss:
        assert seen.localisation.verdict != "loss"


@pytest.mark.parametrize("seed", CLEAN)
def test_without_noise_every_failed_connection_is_laid_on_its_hop(seed: int) -> None:
    """Undecided is right where nothing but the fault's own flows tells that a capture ran on."""
    drawn = scenario(seed, noisy=False)
    seen = drawn.seen()
    assert not wrongly_blamed(drawn, seen)
    if drawn.hop is None:
        assert seen.localisation.verdict == "no_loss"
    elif drawn.failed and seen.localisation.verdict != "undecided":
        assert hops_of(seen) == {drawn.hop}


@pytest.mark.parametrize("seed", CLEAN[:3])
@pytest.mark.parametrize(
    ("what", "value"),
    [("ppm", 150.0), ("offset_ns", -7 * 10**12), ("merged", True), ("tunnelled", True), ("copies", 2), ("missing", 0.03)],
)
def test_what_one_capture_suffers_moves_no_blame(seed: int, what: str, value: Any) -> None:
    """It may become undecided."""
    drawn = scenario(seed, noisy=False)
    plain = hops_of(drawn.seen())
    for name in drawn.network.names[:2]:
        more: dict[str, Any] = {what: value}
        changed = replace(drawn, views={**drawn.views, name: replace(drawn.views[name], **more)})
        assert hops_of(changed.seen()) <= plain
