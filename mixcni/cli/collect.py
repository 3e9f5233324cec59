"""`mixcni collect`: the script that captures and dumps what a diagnosis needs; runs nothing."""

import sys
from pathlib import Path
from typing import Any

import click

from mixcni.errors import ParameterError


@click.command()
@click.option("--from", "initiator", metavar="POD", help="Who calls: NAMESPACE/POD[@NODE[=ADDRESS]].")
@click.option("--to", "responder", metavar="POD", help="Who is called, in the same way.")
@click.option(
    "--pods", type=click.Path(exists=True, allow_dash=True), help="Output of `kubectl get pods -A -o wide`; - is stdin."
)
@click.option("--plan", "plan_file", type=click.Path(exists=True, path_type=Path), help="These options as a TOML or YAML file.")
@click.option("--cilium", multiple=True, metavar="NODE", help="A node that runs Cilium, if no agent of it is in --pods.")
@click.option("--without-uplink", multiple=True, metavar="NODE", help="Do not capture on the uplink of this node.")
@click.option("--interface", "interfaces", multiple=True, metavar="NODE=NAME", help="A node's uplink, or `any`.")
@click.option("--pod-cidr", "pod_cidrs", multiple=True, metavar="NODE=CIDR", help="Pod network of a node without Cilium.")
@click.option("--policy/--no-policy", "network_policy", default=None, help="Whether a network policy is in force.")
@click.option("--tunnel", default="vxlan", metavar="KIND[:PORT]", help="vxlan, geneve or none; vxlan by default, on 8472.")
@click.option("--snaplen", default=256, type=click.IntRange(0, 262144), help="Octets kept of each frame; 0: all of it.")
@click.option("--seconds", default=300, type=click.IntRange(1, 86400), help="When captures end by themselves.")
@click.option("--ring", default="20x100", metavar="FILESxMB", help="How much a point keeps, the oldest overwritten.")
@click.option("--cilium-version", metavar="X.Y", help="Decides between cilium and cilium-dbg; else the script looks.")
@click.option("--title", default="", help="The case's title.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the script there, not to standard output.")
def collect(initiator: str | None, responder: str | None, plan_file: Path | None, output: Path | None, **options: Any) -> None:
    r"""Print the commands that capture and dump what a diagnosis needs.

    The output is a shell script, to be read first. It captures at both pods and on the uplinks of their nodes, asks the Cilium
    agents, and writes case.toml, so that what comes back is a case folder. mixcni itself runs nothing of it.

    \b
      kubectl get pods -A -o wide > pods.txt
      mixcni collect --pods pods.txt --from web/client --to shop/shop-0
      mixcni collect --from web/client@kubenet-1=10.244.3.7 \
          --to shop/shop-0@cilium-1=10.242.2.149 --cilium cilium-1
    """
    from mixcni.collection import Plan, cilium_nodes_of, collection_script, pod_of, read_plan

    said = {} if plan_file is None else read_plan(plan_file)
    callers = [initiator or said.get("from"), responder or said.get("to")]
    if None in callers:
        raise click.UsageError("give --from and --to, or both in --plan")
    listing = _listing(options["pods"])
    tunnel, port = _tunnel(options["tunnel"])
    files, megabytes = _ring(options["ring"])
    policy = options["network_policy"]
    script = collection_script(
        Plan(
            initiator=pod_of(str(callers[0]), listing),
            responder=pod_of(str(callers[1]), listing),
            cilium_nodes=tuple(map(str, options["cilium"] or said.get("cilium") or cilium_nodes_of(listing))),
            without_uplink=tuple(map(str, options["without_uplink"] or said.get("without_uplink", ()))),
            interfaces=_pairs("--interface", options["interfaces"]) or said.get("interfaces", {}),
            pod_cidrs=_pairs("--pod-cidr", options["pod_cidrs"]) or said.get("pod_cidrs", {}),
            network_policy=said.get("network_policy") if policy is None else policy,
            title=options["title"] or said.get("title", ""),
            tunnel=tunnel,
            tunnel_port=port,
            snaplen=options["snaplen"],
            seconds=options["seconds"],
            ring_files=files,
            ring_megabytes=megabytes,
            cilium_version=_version(options["cilium_version"]),
        )
    )
    if output is None:
        click.echo(script, nl=False)
    else:
        output.write_text(script, encoding="utf-8")
        click.echo(f"mixcni: wrote {output}", err=True)


def _listing(pods: str | None) -> Any:
    from mixcni.collection import read_pods

    if pods is None:
        return []
    text = sys.stdin.read() if pods == "-" else Path(pods).read_text(encoding="utf-8", errors="replace")
    return read_pods(text, pods)


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        node, equals, value = text.partition("=")
        if not (node and equals and value):
            raise click.UsageError(f"{option} {text}: wanted NODE=VALUE")
        found[node] = value
    return found


def _tunnel(text: str) -> tuple[str, int]:
    from mixcni.collection.plan import TUNNELS

    kind, _, port = text.partition(":")
    if kind == "none" and not port:
        return "", 0
    if kind not in TUNNELS or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise click.UsageError(f"--tunnel {text}: wanted vxlan, geneve or none, with a port as in vxlan:4789")
    return kind, int(port) if port else TUNNELS[kind]


def _ring(text: str) -> tuple[int, int]:
    files, x, megabytes = text.partition("x")
    if not (x and files.isdecimal() and megabytes.isdecimal() and int(files) and int(megabytes)):
        raise click.UsageError(f"--ring {text}: wanted FILESxMB, such as 20x100")
    return int(files), int(megabytes)


def _version(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.removeprefix("v").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        raise ParameterError(f"--cilium-version: wanted X.Y, got {text!r}")
    return int(parts[0]), int(parts[1])
