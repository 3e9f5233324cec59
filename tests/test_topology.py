"""Capture points: what can be seen at each kind, and whose addresses are in a network."""

import ipaddress

import pytest

from mixcni.topology import PointKind, in_networks


@pytest.mark.parametrize(
    ("kind", "own", "on_the_way"),
    [
        (PointKind.POD, True, False),
        (PointKind.VETH, True, False),
        (PointKind.NODE, False, True),
        (PointKind.TUNNEL, False, True),
        (PointKind.ANY, False, False),
    ],
)
def test_a_kind_says_what_can_be_seen_there(kind, own, on_the_way):
    assert (kind.is_pods_own, kind.lies_on_the_way) == (own, on_the_way)


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.244.3.7", True), ("10.244.4.0", False), ("fd00::9", True), ("fd01::", False), ("::ffff:10.244.3.7", False)],
)
def test_an_address_is_in_one_of_the_networks_or_in_none(address, inside):
    networks = [ipaddress.ip_network("10.244.3.0/24"), ipaddress.ip_network("fd00::/64")]
    assert in_networks(ipaddress.ip_address(address), networks) is inside
    assert not in_networks(ipaddress.ip_address(address), [])
