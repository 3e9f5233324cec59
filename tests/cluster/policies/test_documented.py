"""The policies of the documentation do what the documentation says of them, for everybody in a small cluster.

A table a policy: whom it is about, and for each other end a letter a port: A allowed, D denied, ? not decidable offline.
"""

from typing import Any

import pytest

from tests.cluster.policies.world import documents, engine, letter, verdict

ENDS = "front back service client other-front leia luke dns old node-1 node-2 kubenet out excepted twenty"
NOBODY = dict.fromkeys(ENDS.split(), "DDD") | {"node-1": "AAA"}  # for whom nothing is allowed; a node reaches its own pods
SILENT = dict.fromkeys(ENDS.split(), "AAA")


def grid(base: dict[str, str], **rows: str) -> dict[str, str]:
    """A table that differs from another in some rows; `_` in a name stands for `-`."""
    return base | {name.replace("_", "-"): row for name, row in rows.items()}


def nobody_on(node: str = "node-1", ports: int = 3, **rows: str) -> dict[str, str]:
    """Nothing but what rows say is allowed to a pod on `node`."""
    base = {name: "A" * ports if name == node else "D" * ports for name in ENDS.split()}
    return grid(base, **rows)


def all_denied(ports: int = 3, **rows: str) -> dict[str, str]:
    """Nothing but what rows say is allowed at egress, where no node is an exception."""
    return grid(dict.fromkeys(ENDS.split(), "D" * ports), **rows)


PORTS = "6379/TCP 80/TCP 8/ICMP"
TABLES = [
    # Kubernetes: "allows connections to role=db on TCP port 6379 from ..."; ipBlock matches no pod that Cilium manages.
    ("kubernetes test-network-policy", "ingress", "db", PORTS,
     nobody_on(front="ADD", client="ADD", other_front="ADD", out="ADD")),
    ("kubernetes test-network-policy", "egress", "db", "5978/TCP 80/TCP 5978/UDP", all_denied(twenty="ADD")),
    ("kubernetes test-network-policy", "ingress", "back", PORTS, SILENT),
    ("kubernetes test-network-policy", "ingress", "old-db", PORTS, SILENT),  # on kubenet nobody enforces it
    ("kubernetes one element", "ingress", "db", PORTS, nobody_on(client="AAA")),
    ("kubernetes two elements", "ingress", "db", PORTS, nobody_on(client="AAA", other_front="AAA")),
    ("kubernetes two elements", "ingress", "leia", PORTS, SILENT),
    ("kubernetes default-deny-ingress", "ingress", "db", PORTS, nobody_on()),
    ("kubernetes default-deny-ingress", "egress", "db", PORTS, SILENT),
    ("kubernetes default-deny-ingress", "ingress", "client", PORTS, SILENT),
    ("kubernetes allow-all-ingress", "ingress", "db", PORTS, SILENT),
    ("kubernetes default-deny-egress", "egress", "db", PORTS, all_denied()),
    ("kubernetes default-deny-egress", "ingress", "db", PORTS, SILENT),
    ("kubernetes allow-all-egress", "egress", "db", PORTS, SILENT),
    ("kubernetes default-deny-all", "egress", "back", PORTS, all_denied()),
    ("kubernetes default-deny-all", "ingress", "back", PORTS, nobody_on("node-2")),
    ("kubernetes multi-port-egress", "egress", "db", "31999/TCP 32000/TCP 32768/TCP 32769/TCP 32000/UDP",
     all_denied(5, out="DAADD")),
    ("kubernetes by name of namespaces", "egress", "front", PORTS, all_denied(leia="AAA", luke="AAA")),
    ("cilium l3 simple", "ingress", "back", PORTS, nobody_on("node-2", front="AAA")),
    ("cilium ingress-allow-all", "ingress", "back", PORTS, nobody_on("node-2", front="AAA", back="AAA", service="AAA")),
    ("cilium egress-default-deny", "egress", "front", PORTS, all_denied()),
    ("cilium egress-deny", "egress", "front", PORTS, grid(SILENT, back="DDD")),
    # fromRequires: role=frontend or role=backend is allowed, and env=prod is asked of both.
    ("cilium requires", "ingress", "db", PORTS, nobody_on(front="AAA")),
    ("cilium service", "egress", "service", PORTS, all_denied(back="AAA", twenty="AAA")),
    ("cilium service by labels", "egress", "service", PORTS, all_denied(back="AAA")),
    # CIDRs match what Cilium does not manage: of 10.0.0.0/8 no pod but the kubenet one; nodes with an option alone.
    ("cilium cidr", "egress", "service", PORTS, all_denied(twenty="AAA", old="AAA")),
    ("cilium from_world_deny", "ingress", "back", PORTS,
     grid(SILENT, old="DDD", kubenet="DDD", out="DDD", excepted="DDD", twenty="DDD")),
    ("cilium world", "ingress", "back", PORTS,
     nobody_on("node-2", old="AAA", kubenet="AAA", out="AAA", excepted="AAA", twenty="AAA")),
    ("cilium nodes", "ingress", "db", PORTS, nobody_on(node_2="AAA")),
    ("cilium apiserver", "egress", "db", PORTS, all_denied(node_2="AAA")),
    ("cilium customnodes", "ingress", "db", PORTS, nobody_on(node_2="???")),
    ("cilium fqdn", "egress", "db", "53/UDP 443/TCP 53/TCP",
     all_denied(dns="?D?", old="???", kubenet="???", out="???", excepted="???", twenty="???")),
    ("cilium l4", "egress", "service", "80/TCP 81/TCP 80/UDP 8/ICMP", dict.fromkeys(ENDS.split(), "ADDD")),
    ("cilium l4 port range", "egress", "service", "79/TCP 80/TCP 444/TCP 445/TCP 80/UDP", dict.fromkeys(ENDS.split(), "DAADD")),
    ("cilium l3 and l4", "ingress", "back", "80/TCP 81/TCP 80/UDP", nobody_on("node-2", front="ADD")),
    ("cilium icmp", "egress", "service", "8/ICMP 0/ICMP 80/TCP 128/ICMPV6", dict.fromkeys(ENDS.split(), "ADDA")),
    ("cilium l7", "ingress", "back", "80/TCP 81/TCP", nobody_on("node-2", 2, front="?D", db="?D")),
    ("cilium isolate-namespaces", "ingress", "leia", PORTS, nobody_on(leia="AAA")),
    ("cilium isolate-namespaces", "ingress", "luke", PORTS, SILENT),
    ("cilium across namespaces", "ingress", "leia", PORTS, nobody_on(luke="AAA")),
    ("cilium namespace labels", "ingress", "db", PORTS, nobody_on(client="AAA", other_front="AAA")),
    ("cilium clusterwide", "ingress", "leia", PORTS, nobody_on(luke="AAA", client="AAA")),
    ("cilium clusterwide wildcard", "ingress", "dns", "53/UDP 53/TCP",
     nobody_on("node-1", 2, **dict.fromkeys(["front", "back", "service", "client", "other_front", "leia", "luke", "dns"], "AD"))),
    ("cilium cidr groups", "ingress", "back", PORTS, nobody_on("node-2", out="AAA", twenty="AAA")),
    ("cilium no default deny", "ingress", "back", PORTS, grid(SILENT, db="DDD")),
    ("cilium empty list", "ingress", "back", "80/TCP 81/TCP", nobody_on("node-2", 2)),
    ("founding kubenet pods by CIDR", "ingress", "db", "6379/TCP 80/TCP 6379/UDP", nobody_on(old="ADD")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "direction", "subject", "ports", "expected"), TABLES, ids=[f"{row[0]}, {row[1]} of {row[2]}" for row in TABLES]
)
def test_a_documented_policy_does_what_is_said_of_it(
    case: str, direction: str, subject: str, ports: str, expected: dict[str, str]
) -> None:
    policies = engine(documents()[case])
    found = {
        peer: "".join(letter(verdict(policies, direction, subject, peer, port)) for port in ports.split()) for peer in expected
    }
    assert found == expected


def test_there_are_hundreds_of_cases_and_every_policy_is_in_one() -> None:
    assert sum(len(row) for *_, table in TABLES for row in table.values()) >= 300
    assert {case for case, *_ in TABLES} == set(documents())


L7 = {"fromEndpoints": [{}], "toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{"path": "/"}]}}]}
ON_80 = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}
ON_81 = {"toPorts": [{"ports": [{"port": "81", "protocol": "TCP"}]}]}
CLIENT = {"fromEndpoints": [{"matchLabels": {"role": "frontend"}}]}


@pytest.mark.parametrize(
    ("allow", "deny", "on_81", "on_80", "ping"),
    [
        ([L7, ON_80, ON_81, CLIENT], [], "A", "A", "A"),
        ([L7, ON_80, ON_81, CLIENT], [ON_80], "A", "D", "A"),
        ([L7, ON_80, ON_81, CLIENT], [CLIENT], "D", "D", "D"),
        ([L7, ON_80, ON_81, CLIENT], [ON_80, CLIENT], "D", "D", "D"),
        ([], [ON_80], "D", "D", "D"),
    ],
)
def test_deny_rules_win_as_in_the_table_of_the_documentation(
    allow: list[Any], deny: list[Any], on_81: str, on_80: str, ping: str
) -> None:
    """Cilium, "Deny Policies": the five columns of its table."""
    spec = {"endpointSelector": {"matchLabels": {"role": "backend"}}, "ingress": allow, "ingressDeny": deny}
    policies = engine([{"kind": "CiliumNetworkPolicy", "metadata": {"name": "server"}, "spec": spec}])
    found = [letter(verdict(policies, "ingress", "back", "front", port)) for port in ("81/TCP", "80/TCP", "8/ICMP")]
    assert found == [on_81, on_80, ping]


@pytest.mark.parametrize(
    ("mode", "policy", "expected"),
    [
        ("never", "kubernetes default-deny-ingress", "A"),
        ("always", "cilium l3 simple", "D"),
        ("default", "cilium l3 simple", "A"),
    ],
)
def test_the_enforcement_mode_is_heeded(mode: str, policy: str, expected: str) -> None:
    """Cilium, "Policy Enforcement Modes"; db is selected by the first policy and not by the second."""
    assert letter(verdict(engine(documents()[policy], mode=mode), "ingress", "db", "front", "80/TCP")) == expected
