"""What a seed draws: reproducible, possible on the lab's network, and with a fault where it is said to be."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import pytest
from addresses import addresses_of
from fault import Fields, rules
from hypothesis import given
from hypothesis import strategies as st
from kinds import KINDS, draw_scenario
from scenario import ELEMENTS, LAYOUTS, TUNNELS, Scenario

from tests.cases import CAPTURES

SCENARIOS = st.builds(draw_scenario, st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))


def test_the_library_has_the_faults_that_were_asked_for() -> None:
    assert len(KINDS) >= 19
    drawn = [draw_scenario(kind, seed) for kind in KINDS for seed in range(40)]
    assert {s.mechanism for s in drawn} == {"", "nft", "route", "arp", "mtu", "wire", "tbf", "server"}
    assert {s.carrier for s in drawn} == {"plain", "snat", "dnat", "both", *TUNNELS}
    assert {s.element for s in drawn} == {"", *ELEMENTS}
    assert {s.layout for s in drawn} == set(LAYOUTS)


def test_another_process_draws_the_same_case() -> None:
    code = "from kinds import KINDS, draw_scenario; print([draw_scenario(kind, 3) for kind in KINDS])"
    done = subprocess.run([sys.executable, "-c", code], cwd=CAPTURES / "lab", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([draw_scenario(kind, 3) for kind in KINDS])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_another_seed_draws_another_case(kind: str) -> None:
    assert len({str(replace(draw_scenario(kind, seed), seed=0)) for seed in range(40)}) > 5


@given(SCENARIOS)
def test_a_fault_has_a_place_and_a_direction_that_its_hop_spans(scenario: Scenario) -> None:
    hop = scenario.hop(scenario.points)
    if scenario.verdict == "no_loss":
        assert hop is None
        return
    assert hop is not None
    assert scenario.direction in {"request", "response"}
    near, far = (scenario.position(point, scenario.direction) for point in hop)
    assert near is not None
    assert far is not None
    assert near < ELEMENTS[scenario.element] < far


@given(SCENARIOS)
def test_a_point_that_is_not_there_never_moves_a_hop_but_only_widens_it(scenario: Scenario) -> None:
    whole = scenario.hop(scenario.points)
    order = list(scenario.points)
    for count in range(len(order)):
        for there in combinations(order, count):
            hop = scenario.hop(there)
            if hop is not None and whole is not None:
                assert order.index(hop[0]) <= order.index(whole[0])
                assert order.index(hop[1]) >= order.index(whole[1])
            else:
                assert hop is None


@given(SCENARIOS)
def test_a_rule_never_asks_for_an_address_that_is_not_in_the_packet(scenario: Scenario) -> None:
    """Behind a translation, and outside a tunnel, the client's own address is not to be seen."""
    hidden = (scenario.carrier in TUNNELS and scenario.element == "underlay") or (
        scenario.carrier in {"snat", "both"} and scenario.element in {"underlay", "node-2"}
    )
    if scenario.mechanism != "nft":
        return
    for rule in rules(scenario, (addresses_of(scenario).server, 8080)):
        known = addresses_of(scenario)
        named = any(address in rule for address in (*known.clients, known.clients_cidr))
        assert named == (scenario.select in {"client", "node"} and "update @closed" not in rule)
        assert not (named and hidden)


@given(SCENARIOS)
def test_the_cable_carries_plain_packets_alone(scenario: Scenario) -> None:
    if scenario.mechanism == "wire":
        assert (scenario.carrier, scenario.element, scenario.offload) == ("plain", "underlay", "")


@given(SCENARIOS)
def test_points_are_shuffled_only_where_packets_tell_their_order(scenario: Scenario) -> None:
    if list(scenario.points) != sorted(scenario.points):
        assert not scenario.manifest
        assert scenario.tells_order


def test_a_field_inside_vxlan_is_asked_for_by_its_bits() -> None:
    """Outer UDP and VXLAN headers of 8 octets each (RFC 7348 section 5), Ethernet's 14: the inner IPv4 begins at bit 240."""
    inner = Fields(240)
    assert inner.address("destination", "10.242.2.20") == "@th,368,32 0x0af20214"  # octets 16 to 19 (RFC 791 section 3.1)
    assert inner.port("source") == "@th,400,16"  # octets 0 and 1 of TCP, after 20 of IPv4
    assert inner.flags(0x12) == "@th,504,8 & 0x12 == 0x12"  # octet 13 of TCP (RFC 9293 section 3.1)
