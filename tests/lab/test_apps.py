"""What the clients are going to send: a plan that the seed alone decides."""

import random
import socket

from addresses import addresses_of
from apps import plan_groups
from client import family_of
from hypothesis import given
from hypothesis import strategies as st
from kinds import KINDS, draw_scenario

SCENARIOS = st.builds(draw_scenario, st.sampled_from(sorted(KINDS)), st.integers(0, 1_000))


@given(SCENARIOS, st.integers())
def test_the_same_seed_plans_the_same_connections(scenario, seed) -> None:
    assert plan_groups(scenario, random.Random(seed)) == plan_groups(scenario, random.Random(seed))


@given(SCENARIOS)
def test_a_plan_keeps_to_its_scenario(scenario) -> None:
    groups = plan_groups(scenario, random.Random(1))
    known = addresses_of(scenario)
    callers = {*known.clients, *([known.neighbour] if scenario.neighbour else [])}
    assert {connection["source"][0] for group in groups for connection in group} == callers
    assert all(len({connection["source"][0] for connection in group}) == 1 for group in groups)
    least, most = scenario.octets_range
    for request in (request for group in groups for connection in group for request in connection["requests"]):
        size = request["body_octets"] or int(request["path"].removeprefix("/items/"))
        assert least <= size <= most
        assert request["method"] == ("POST" if request["body_octets"] else "GET")


@given(SCENARIOS)
def test_a_port_is_used_again_by_its_own_group_alone(scenario) -> None:
    groups = plan_groups(scenario, random.Random(1))
    ports = [{tuple(connection["source"]) for connection in group} for group in groups]
    if scenario.reuse_ports:
        assert all(len(own) == 1 and len(group) >= 2 for own, group in zip(ports, groups, strict=True))
        assert len({port for own in ports for port in own}) == len(groups)
    else:
        assert {port for own in ports for _, port in own} == {0}


def test_an_address_tells_its_family() -> None:
    assert family_of("10.0.0.1") == socket.AF_INET
    assert family_of("fd00::1") == socket.AF_INET6
