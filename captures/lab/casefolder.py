"""What a case folder holds besides its captures and dumps: the manifest `case.toml`, and the record `truth.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from cases import Case
from cluster import CILIUM_1, KUBENET_1
from recorder import CaptureSummary, kernel_version, tcpdump_versions

POINTS: Final = ("A", "B", "C")


def manifest(case: Case) -> str:
    """`case.toml`: only what an engineer who took these captures would know."""
    points = (
        ("A", case.initiator.node.name, "pod", case.initiator.address),
        ("B", case.uplink_node.name, "node", ""),
        ("C", case.responder.node.name, "pod", case.responder.address),
    )
    lines = [f"title = {json.dumps(case.title)}", ""]
    for name, node, kind, scope in points:
        lines += ["[[point]]", f'name = "{name}"', f'captures = ["{name}.pcap"]']
        lines += [f'node = "{node}"', f'kind = "{kind}"']
        lines += [f'scope = ["{scope}"]'] if scope else []
        lines += [""]
    lines += ["[path]", f"request = {json.dumps(POINTS)}", ""]
    lines += ["[cluster]", 'dumps = ["cilium/*"]', ""]
    lines += ["[cluster.pod_cidrs]", f'{KUBENET_1.name} = "{KUBENET_1.pod_cidr}"', ""]
    lines += ["[scenario]"]
    for role, pod in (("initiator", case.initiator), ("responder", case.responder)):
        lines += [f'{role} = "{"cilium" if pod.node is CILIUM_1 else "kubenet"}"']
    lines += [f"network_policy = {str(case.network_policy).lower()}"]
    return "\n".join(lines) + "\n"


def truth(
    case: Case,
    seed: int,
    attempts: list[dict[str, Any]],
    probes: list[dict[str, Any]],
    captures: Mapping[str, CaptureSummary],
    denied_packets: int,
) -> str:
    """`truth.json`: what the applications saw, and what was done to their packets; one attempt a line."""
    fault = None
    if case.denies:
        fault = {
            "hop": ["B", "C"],
            "direction": "request",
            "mechanism": "policy_denied_ingress",
            "by": f"nftables, forward hook of {CILIUM_1.name}",
            "dropped_packets": denied_packets,
        }
    record: dict[str, Any] = {
        "case": case.name,
        "seed": seed,
        "versions": {"kernel": kernel_version()} | tcpdump_versions(),
        "fault": fault,
        "captures": {name: asdict(summary) for name, summary in captures.items()},
        "attempts": attempts,
        "probes": probes,
    }
    return compact_json(record)


def compact_json(record: Mapping[str, Any]) -> str:
    """An object with a line for each member, and for each row of a member that is a list."""
    members = []
    for key, value in record.items():
        if isinstance(value, list) and value:
            rows = ",\n".join(f"    {json.dumps(row)}" for row in value)
            members.append(f'  "{key}": [\n{rows}\n  ]')
        else:
            members.append(f'  "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(members) + "\n}\n"
