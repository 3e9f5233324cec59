"""The stages over the recorded cases, held against what the applications and the lab themselves saw (truth.json)."""

from functools import cache

import numpy as np
import pytest

from mixcni.align import align_points
from mixcni.case import open_case
from mixcni.decode import decode_packets
from mixcni.exchanges import pair_exchanges
from mixcni.flows import track_flows
from mixcni.localise import Localisation, localise_losses
from mixcni.read import CaptureFile
from mixcni.schema import Direction, Fate, Sight
from tests.cases import CAPTURES, NAMES, truth_of


@cache
def localised(name: str) -> Localisation:
    points = open_case(CAPTURES / name).points
    flows = [track_flows(decode_packets([CaptureFile(path) for path in point.captures])) for point in points]
    alignment = align_points([point.name for point in points], flows)
    return localise_losses(points, alignment, [pair_exchanges(table) for table in flows])


def conversations_by_initiator(localisation: Localisation) -> dict[tuple[str, int], int]:
    table = localisation.alignment.conversations
    ends = zip(table.book.texts(table["initiator"]), table["initiator_port"].tolist(), strict=True)
    return {end: row for row, end in enumerate(ends)}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["attempts", "probes"])
def test_each_exchange_has_the_fate_that_its_application_saw(name: str, kind: str) -> None:
    localisation, truth = localised(name), truth_of(name)
    rows, fates = conversations_by_initiator(localisation), localisation.fates
    seen_any = 0
    for attempt in truth[kind]:
        conversation = rows.get(tuple(attempt["initiator"]))
        if conversation is None:
            continue  # a probe before the captures began
        seen_any += 1
        mine = np.flatnonzero(fates["conversation"] == conversation)
        if attempt["outcome"] == "connected":
            assert fates["fate"][mine].tolist() == [Fate.ANSWERED] * (1 + len(attempt["requests"]))
            continue
        assert fates["fate"][mine].tolist() == [Fate.LOST]
        near, far = (int(fates[column][mine[0]]) for column in ("near", "far"))
        assert [localisation.points[near].name, localisation.points[far].name] == truth["fault"]["hop"]
        assert fates["direction"][mine[0]] == Direction.FORWARD
    assert seen_any == len(truth[kind]) if kind == "attempts" else seen_any > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_copy_that_the_rule_dropped_is_accounted_for(name: str) -> None:
    localisation, fault = localised(name), truth_of(name)["fault"]
    assert int(localisation.fates["copies"].sum()) == (fault["dropped_packets"] if fault else 0)
    assert localisation.verdict == ("loss" if fault else "no_loss")


@pytest.mark.parametrize("name", NAMES)
def test_tcpdump_dropped_nothing_and_no_miss_is_made_up(name: str) -> None:
    assert all(counts["dropped_by_kernel"] == 0 for counts in truth_of(name)["captures"].values())
    assert [rate.missed for rate in localised(name).rates] == [0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_the_points_share_a_clock_and_are_found_to(name: str) -> None:
    """Where segments went both ways the offset of zero is within what is stated; one way, the delay is all that is added."""
    for clock in localised(name).alignment.clocks:
        if clock.uncertainty_ns is not None:
            assert abs(clock.offset_ns) <= clock.uncertainty_ns
        assert abs(clock.offset_ns) < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_probes_pass_one_point_and_are_expected_at_no_other(name: str) -> None:
    localisation = localised(name)
    rows = conversations_by_initiator(localisation)
    probes = [rows[tuple(probe["initiator"])] for probe in truth_of(name)["probes"] if tuple(probe["initiator"]) in rows]
    sight = localisation.sights.sight[probes]
    assert (np.sort(sight, axis=1) == [Sight.SEEN, Sight.UNOBSERVABLE, Sight.UNOBSERVABLE]).all()
