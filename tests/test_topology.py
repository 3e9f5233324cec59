"""Capture points and the path that joins them."""

import ipaddress

import pytest

from mixcni.errors import ParameterError
from mixcni.topology import CapturePoint, Hop, Path, PointKind, in_networks


def path(*names):
    return Path(tuple(CapturePoint(name) for name in names))


@pytest.mark.parametrize(
    ("names", "hops"),
    [
        (["A"], []),
        (["A", "B"], [Hop("A", "B")]),
        (["C", "A", "B"], [Hop("C", "A"), Hop("A", "B")]),
    ],
)
def test_hops_join_neighbours_in_path_order(names, hops):
    made = path(*names)
    assert made.names == tuple(names)
    assert list(made.hops) == hops


def test_a_hop_is_written_with_an_arrow():
    assert str(Hop("B", "C")) == "B→C"


@pytest.mark.parametrize(("names", "message"), [([], "at least one capture point"), (["A", "B", "A"], "once, got A, B, A")])
def test_a_path_needs_points_and_meets_each_once(names, message):
    with pytest.raises(ParameterError, match=message):
        path(*names)


def test_the_graph_is_the_path_with_what_is_known_of_its_points():
    points = CapturePoint("A", node="kubenet-1", kind=PointKind.POD), CapturePoint("B"), CapturePoint("C", kind=PointKind.VETH)
    graph = Path(points).graph()
    assert list(graph.edges) == [("A", "B"), ("B", "C")]
    assert graph.nodes["A"] == {"position": 0, "node": "kubenet-1", "kind": "pod"}
    assert graph.nodes["B"] == {"position": 1, "node": "", "kind": ""}


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
