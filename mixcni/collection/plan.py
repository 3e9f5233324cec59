"""What is to be collected: which pods call each other, on which nodes, and how much to keep of it."""

import ipaddress
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mixcni.errors import CaseError, ParameterError
from mixcni.topology import Address, PointKind

POD: Final = re.compile(r"(?P<namespace>[^/@=]+)/(?P<name>[^/@=]+)(?:@(?P<node>[^/@=]+)(?:=(?P<address>[^/@=]+))?)?")
TUNNELS: Final = {"vxlan": 8472, "geneve": 6081}
"""Cilium's ports; others are given as `vxlan:4789`."""
AGENT: Final = re.compile(r"cilium-[a-z0-9]{5}")
PLAN_KEYS: Final = ("title", "from", "to", "cilium", "without_uplink", "interfaces", "pod_cidrs", "network_policy")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, the node that it runs on, and its address."""

    namespace: str
    name: str
    node: str = ""
    address: Address | None = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """One capture point: inside a pod, or on a node's uplink; `interface` is empty where the default route tells."""

    name: str
    node: str
    kind: PointKind
    pod: Pod | None = None
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Captures and dumps of one path.

    cilium_nodes : nodes whose agents are asked; the others are taken for nodes that Cilium does not manage
    tunnel, tunnel_port : what carries pods' packets between Cilium nodes; "" none
    snaplen : octets kept of each frame, 0 all; seconds : after which captures end by themselves
    ring_files, ring_megabytes : how much a point keeps, the oldest overwritten
    cilium_version : decides between `cilium` and `cilium-dbg`; None: the script looks
    """

    initiator: Pod
    responder: Pod
    cilium_nodes: tuple[str, ...] = ()
    without_uplink: tuple[str, ...] = ()
    interfaces: Mapping[str, str] = field(default_factory=dict)
    pod_cidrs: Mapping[str, str] = field(default_factory=dict)
    network_policy: bool | None = None
    title: str = ""
    tunnel: str = "vxlan"
    tunnel_port: int = TUNNELS["vxlan"]
    snaplen: int = 256
    seconds: int = 300
    ring_files: int = 20
    ring_megabytes: int = 100
    cilium_version: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for pod in (self.initiator, self.responder):
            if not pod.node or pod.address is None:
                lacking = "node" if not pod.node else "address"
                raise ParameterError(f"{pod}: its {lacking} is not known; give NAMESPACE/POD@NODE=ADDRESS, or a pod listing")
            for name in (pod.namespace, pod.name, pod.node):
                check_name(name)
        for name in (*self.cilium_nodes, *self.interfaces, *self.interfaces.values(), *self.pod_cidrs):
            check_name(name)
        for option, known in (("cilium", self.cilium_nodes), ("uplink", self.without_uplink), ("interface", self.interfaces)):
            unknown = [node for node in known if node not in self.nodes and option != "cilium"]
            if unknown:
                raise ParameterError(f"{option}: wanted one of the nodes {', '.join(self.nodes)}, got {unknown[0]!r}")
        for node, cidr in self.pod_cidrs.items():
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise ParameterError(f"pod network of {node}: {error}") from error

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the path, the initiator's first."""
        return tuple(dict.fromkeys((self.initiator.node, self.responder.node)))

    @property
    def points(self) -> tuple[PlannedPoint, ...]:
        """The capture points in path order, named A, B, C ...: the pods, and between two nodes their uplinks."""
        wanted: list[tuple[str, PointKind, Pod | None]] = [(self.initiator.node, PointKind.POD, self.initiator)]
        if len(self.nodes) > 1:
            wanted += [(node, PointKind.NODE, None) for node in self.nodes if node not in self.without_uplink]
        wanted.append((self.responder.node, PointKind.POD, self.responder))
        return tuple(
            PlannedPoint(name, node, kind, pod, "eth0" if pod else self.interfaces.get(node, ""))
            for name, (node, kind, pod) in zip(string.ascii_uppercase, wanted, strict=False)
        )

    def kind_of(self, node: str) -> str:
        """`cilium` or `kubenet`."""
        return "cilium" if node in self.cilium_nodes else "kubenet"


def check_name(name: str) -> None:
    """Refuse a name that would be taken for an option or leave a folder; all others are quoted.

    Raises
    ------
    ParameterError : it is empty, begins with a dash or a dot, or has a slash or a character that does not print
    """
    if not name or name[0] in "-." or "/" in name or not name.isprintable():
        raise ParameterError(f"names begin with a letter or a digit and have no slash, got {name!r}")


def pod_of(text: str, listing: Sequence[Pod] = ()) -> Pod:
    """The pod that `NAMESPACE/POD[@NODE[=ADDRESS]]` names; what it does not say is looked up in a listing.

    Raises
    ------
    ParameterError : another form, or no address
    """
    match = POD.fullmatch(text)
    if match is None:
        raise ParameterError(f"wanted NAMESPACE/POD, NAMESPACE/POD@NODE or NAMESPACE/POD@NODE=ADDRESS, got {text!r}")
    namespace, name = match["namespace"], match["name"]
    listed = next((pod for pod in listing if pod.name == name and pod.namespace in {"", namespace}), Pod(namespace, name))
    address = listed.address
    if match["address"]:
        try:
            address = ipaddress.ip_address(match["address"])
        except ValueError as error:
            raise ParameterError(f"{namespace}/{name}: {error}") from error
    return Pod(namespace, name, match["node"] or listed.node, address)


def read_pods(text: str, name: str) -> list[Pod]:
    """The pods in the output of `kubectl get pods -o wide`, with or without `--all-namespaces` (namespace "" without).

    Raises
    ------
    CaseError : it has no line of titles with NAME, IP and NODE
    """
    lines = [line for line in text.splitlines() if line.strip()]
    titles = re.split(r"\s{2,}", lines[0].strip()) if lines else []
    if not {"NAME", "IP", "NODE"} <= set(titles):
        found = f"a first line {lines[0].strip()[:60]!r}" if lines else "nothing"
        raise CaseError(Path(name), "the output of kubectl get pods -o wide", found)
    pods = []
    for line in lines[1:]:
        cells = dict(zip(titles, re.split(r"\s{2,}", line.strip()), strict=False))
        try:
            address = ipaddress.ip_address(cells.get("IP", ""))
        except ValueError:
            address = None  # <none>: it has not got one yet
        node = cells.get("NODE", "")
        pods.append(Pod(cells.get("NAMESPACE", ""), cells["NAME"], "" if node == "<none>" else node, address))
    return pods


def cilium_nodes_of(pods: Iterable[Pod]) -> tuple[str, ...]:
    """The nodes on which a listing has a Cilium agent."""
    return tuple(dict.fromkeys(pod.node for pod in pods if AGENT.fullmatch(pod.name) and pod.node))


def read_plan(path: Path) -> dict[str, Any]:
    """A plan out of a TOML or YAML file, its keys checked: PLAN_KEYS.

    Raises
    ------
    CaseError : the file is neither, or a key or a value is not what is wanted
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        found = yaml.safe_load(text) if path.suffix in {".yaml", ".yml"} else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise CaseError(path, "a plan in TOML or YAML", " ".join(str(error).split())) from error
    if not isinstance(found, dict):
        raise CaseError(path, "a table of keys", type(found).__name__)
    for key, value in found.items():
        wanted = {"cilium": list, "without_uplink": list, "interfaces": dict, "pod_cidrs": dict, "network_policy": bool}.get(
            key, str
        )
        if key not in PLAN_KEYS:
            raise CaseError(path, f"keys {', '.join(PLAN_KEYS)}", repr(key))
        if not isinstance(value, wanted):
            raise CaseError(path, f"{key}: {wanted.__name__}", f"{type(value).__name__} {value!r}")
    return found
