"""The cluster of world.yaml, and policies judged in it."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from mixcni.cluster import ClusterState
from mixcni.cluster.kubernetes import objects_of
from mixcni.cluster.loading import read_octets
from mixcni.cluster.policies import DirectionVerdict, PolicyEngine, read_policies

HERE: Final = Path(__file__).parent
WHO: Final = {
    "db": "10.0.1.1", "front": "10.0.1.2", "back": "10.0.2.3", "service": "10.0.2.6", "old": "10.244.3.7",
    "old-db": "10.244.3.8",
    "client": "10.0.2.4", "other-front": "10.0.2.5", "leia": "10.0.1.8", "luke": "10.0.2.9", "dns": "10.0.1.10",
    "node-1": "192.168.33.11", "node-2": "192.168.33.12", "kubenet": "192.168.33.13", "out": "172.17.0.5",
    "excepted": "172.17.1.5",
    "twenty": "20.1.1.1",
}  # fmt: skip


@cache
def world() -> ClusterState:
    """The cluster without policies."""
    return ClusterState.of(read_octets((HERE / "world.yaml").read_bytes(), "world.yaml"))


def engine(manifests: str | list[dict[str, Any]], **more: Any) -> PolicyEngine:
    """Policies, as YAML text or mappings, in the cluster."""
    objects, odd = objects_of(manifests, "policies.yaml")
    assert not odd
    return PolicyEngine(world(), policies=read_policies(objects, world().kubernetes), **more)


def verdict(policies: PolicyEngine, direction: str, subject: str, peer: str, port: str) -> DirectionVerdict:
    """One direction of a flow between two of WHO, the port as `80/TCP`, `8/ICMP` or `TCP`."""
    number, _, protocol = port.rpartition("/")
    ends = (WHO[peer], WHO[subject]) if direction == "ingress" else (WHO[subject], WHO[peer])
    return policies.judge_direction(direction, policies.flow(*ends, protocol, int(number) if number else None))


def letter(found: DirectionVerdict) -> str:
    """A for allowed, D for denied, ? for undecided."""
    return {True: "A", False: "D", None: "?"}[found.allowed]


def documents() -> dict[str, list[dict[str, Any]]]:
    """The policies of documented.yaml by the name of their case: documents behind a comment `# case: NAME`."""
    cases: dict[str, list[dict[str, Any]]] = {}
    for part in (HERE / "documented.yaml").read_text().split("# case: ")[1:]:
        name, _, text = part.partition("\n")
        cases[name.strip()] = [each for each in yaml.safe_load_all(text) if each]
    return cases
