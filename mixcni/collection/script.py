"""A plan as a shell script; what it brings back is a case folder. Nothing is run here."""

import json
import shlex
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from mixcni.collection.filters import uplink_filter
from mixcni.collection.plan import Plan, PlannedPoint
from mixcni.words import printable

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE: Final = "collect.sh.jinja"
RENAMED: Final = (1, 15)
"""The release since which the agent's own command is `cilium-dbg` (Cilium 1.15 upgrade notes)."""

AGENT_DUMPS: Final = (
    ("ct-list.txt", "bpf ct list global"),
    ("nat-list.txt", "bpf nat list"),
    ("policy-get-all.txt", "bpf policy get --all"),
    ("ipcache-list.txt", "bpf ipcache list"),
    ("bpf-endpoint-list.txt", "bpf endpoint list"),
    ("lb-list.txt", "bpf lb list"),
    ("metrics-list.txt", "bpf metrics list"),
    ("tunnel-list.txt", "bpf tunnel list"),
    ("endpoint-list.txt", "endpoint list"),
    ("identity-list.txt", "identity list"),
    ("node-list.txt", "node list"),
    ("service-list.txt", "service list"),
    ("policy-rules.txt", "policy get"),
    ("status.txt", "status --verbose"),
)
"""File and command, without the program; the connection table first, for it ages."""
KUBERNETES: Final = ("nodes", "services", "endpointslices", "namespaces", "networkpolicies")


def collection_script(plan: Plan) -> str:
    """The script: `start NODE` and `stop NODE` on each node, `dumps` and `manifest` where kubectl is."""
    assert plan.initiator.address is not None
    assert plan.responder.address is not None
    ends = (plan.initiator.address, plan.responder.address)
    points = plan.points
    return _template().render(
        title=printable(plan.title) or f"{printable(str(plan.initiator))} calls {printable(str(plan.responder))}",
        plan=plan,
        points=points,
        on_node={node: [point for point in points if point.node == node] for node in plan.nodes},
        cilium_nodes=[node for node in plan.nodes if node in plan.cilium_nodes],
        other_nodes=[node for node in plan.nodes if node not in plan.cilium_nodes],
        filter=uplink_filter(ends, plan.tunnel, plan.tunnel_port),
        program=None if plan.cilium_version is None else "cilium-dbg" if plan.cilium_version >= RENAMED else "cilium",
        agent_dumps=AGENT_DUMPS,
        kubernetes=",".join(KUBERNETES),
        namespaces=sorted({plan.initiator.namespace, plan.responder.namespace}),
        head=_head(plan),
        point_lines={point.name: _point_lines(point) for point in points},
        tail=_tail(plan, points),
    )


def _head(plan: Plan) -> list[str]:
    return [f"title = {_toml(plan.title or f'{plan.initiator} calls {plan.responder}')}"]


def _point_lines(point: PlannedPoint) -> list[str]:
    lines = ["", "[[point]]", f"name = {_toml(point.name)}", f"captures = [{_toml(f'{point.name}.pcap*')}]"]
    lines += [f"node = {_toml(point.node)}", f"kind = {_toml(str(point.kind))}"]
    if point.pod is not None:
        lines.append(f"scope = [{_toml(str(point.pod.address))}]")
    return lines


def _tail(plan: Plan, points: Iterable[PlannedPoint]) -> list[str]:
    names = ", ".join(_toml(point.name) for point in points)
    lines = ["", "[path]", f"request = [{names}]", "", "[scenario]"]
    lines += [
        f"initiator = {_toml(plan.kind_of(plan.initiator.node))}",
        f"responder = {_toml(plan.kind_of(plan.responder.node))}",
    ]
    if plan.network_policy is not None:
        lines.append(f"network_policy = {str(plan.network_policy).lower()}")
    return [*lines, "", "[cluster]", 'dumps = ["cilium/*/*", "kubernetes/*"]', "", "[cluster.pod_cidrs]"]


def _toml(text: str) -> str:
    """A TOML basic string (toml.io, v1.0.0: escapes are JSON's, and DEL is escaped as well)."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701, a shell script: names are quoted for the shell
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters.update(q=lambda value: shlex.quote(str(value)), toml=_toml)
    text = resources.files("mixcni.collection").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(text)
