"""case.toml: every key of the design is read, and a wrong one is named with what was wanted."""

import ipaddress
from pathlib import Path

import pytest

from mixcni.case.manifest import read_manifest
from mixcni.errors import CaseError
from mixcni.topology import PointKind

WHOLE = """
title = "503 after the shop moved to a Cilium node"
[[point]]
name = "A"
captures = ["A*.pcap*"]
node = "kubenet-1"
kind = "pod"
scope = ["10.242.2.149", "fd00::/64"]
window = [2022-12-12T08:00:00Z, 2022-12-12T08:10:00.5+00:00]
[[point]]
name = "B"
captures = ["B.pcap"]
[path]
request = ["A", "B"]
response = ["B", "A"]
[cluster]
dumps = ["cilium/*", "k8s/*.yaml"]
[cluster.pod_cidrs]
kubenet-1 = "10.244.3.0/24"
[scenario]
initiator = "kubenet"
responder = "cilium"
network_policy = true
"""


def manifest_of(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "case.toml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(manifest_of(WHOLE, tmp_path))
    point = manifest.points[0]
    assert (point.name, point.captures, point.node, point.kind) == ("A", ("A*.pcap*",), "kubenet-1", PointKind.POD)
    assert point.scope == (ipaddress.ip_network("10.242.2.149/32"), ipaddress.ip_network("fd00::/64"))
    assert point.window == (1_670_832_000_000_000_000, 1_670_832_600_500_000_000)
    assert manifest.request_path == ("A", "B")
    assert manifest.dumps == ("cilium/*", "k8s/*.yaml")
    assert manifest.pod_cidrs == {"kubenet-1": ipaddress.ip_network("10.244.3.0/24")}
    assert manifest.scenario is not None
    assert manifest.scenario.as_dict() == {"initiator": "kubenet", "responder": "cilium", "network_policy": True}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "pod"', 'kind = "pot"', "[[point]] 1 kind: one of pod, veth, node, tunnel, any, found 'pot'"),
        ('title = "', 'titel = "', "titel: did you mean 'title'?, found an unknown key"),
        ('node = "kubenet-1"', "node = 7", "[[point]] 1 node: a text, found int 7"),
        ('scope = ["10.242.2.149"', 'scope = ["10.242.2.349"', "[[point]] 1 scope: an address or a CIDR, found '10.242.2.349'"),
        ("window = [2022", "window = [2032", "[[point]] 1 window: first before last"),
        ('name = "B"', 'name = "A"', "point: each name once, found A, A"),
        ('request = ["A", "B"]', 'request = ["A", "Z"]', "[path] request: names of points (A, B), each once, found A, Z"),
        ('response = ["B", "A"]', 'response = ["A", "B"]', "[path] response: points in an order"),
        ('captures = ["B.pcap"]', "captures = []", "[[point]] 2 captures: at least one file or pattern, found none"),
        ("network_policy = true", 'network_policy = "yes"', "[scenario] network_policy: true or false, found str 'yes'"),
        ("[path]", "[path", "wanted a TOML file"),
    ],
)
def test_a_wrong_key_or_value_is_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in WHOLE
    with pytest.raises(CaseError) as raised:
        read_manifest(manifest_of(WHOLE.replace(old, new, 1), tmp_path))
    assert says in str(raised.value)
    assert str(tmp_path / "case.toml") in str(raised.value)


def test_an_empty_manifest_is_one() -> None:
    empty = read_manifest(Path("/dev/null"))
    assert (empty.points, empty.dumps, empty.scenario) == ((), None, None)
