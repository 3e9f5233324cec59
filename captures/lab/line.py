"""The network of the library of faults: a line of namespaces from a client's pod to a server's, as a scenario wants it.

    client --- lxc1 node-1 eth0 --- u1 underlay u2 --- eth0 node-2 lxc2 --- server

Responses may go by a second underlay (`eth1` of both nodes), and a neighbour may hang on the first. With a wire the
underlay is a cable in user space that both nodes are plugged into; else it is a router.
"""

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inside import Inside
from namespaces import LabError, Namespace, Namespaces, has_sysctl
from offload import compute_checksums_in_software
from scenario import TUNNELS, Scenario

TUNNEL: Final = Path(__file__).with_name("tunnel.py")
WIRE: Final = Path(__file__).with_name("wire.py")

CLIENTS: Final = ("10.244.1.11", "10.244.1.12")
CLIENTS_CIDR: Final = "10.244.1.0/24"
CLIENT_GATEWAY: Final = "10.244.1.1"
SERVER: Final = "10.242.2.20"
SERVER_CIDR: Final = "10.242.2.0/24"
SERVER_GATEWAY: Final = "10.242.2.1"
GONE: Final = "10.242.2.99"
SERVICE: Final = ("10.96.0.10", 80)
NEIGHBOUR: Final = "192.168.3.13"
HTTP_PORT, DNS_PORT, HEALTH_PORT = 8080, 53, 8081
NODES: Final = {"node-1": "192.168.1.11", "node-2": "192.168.2.12"}
ROUTERS: Final = {"node-1": "192.168.1.1", "node-2": "192.168.2.1"}
# On a wire both nodes are neighbours.
WIRED: Final = {"node-1": "192.168.1.11", "node-2": "192.168.1.12"}
VNI: Final = 7
TUNNEL_DEVICE: Final = "cilium_tun"
TUNNEL_MTU: Final = 1_450
UNDERLAY_MTU: Final = 1_600
WAIT_S: Final = 10.0


@dataclass(slots=True)
class Line:
    """The built network."""

    lab: Namespaces
    scenario: Scenario
    places: dict[str, Namespace] = field(default_factory=dict)
    wire: subprocess.Popen[str] | None = None

    def __getitem__(self, place: str) -> Namespace:
        return self.places[place]

    @property
    def responder(self) -> tuple[str, int]:
        """What the clients call: the server's pod, or the service's address."""
        if self.scenario.calls_service:
            return SERVICE[0], DNS_PORT if self.scenario.dns else SERVICE[1]
        return SERVER, self.port

    @property
    def port(self) -> int:
        """The port that the server's pod listens on."""
        return DNS_PORT if self.scenario.dns else HTTP_PORT

    def interface(self, place: str) -> tuple[Namespace, str]:
        """Where tcpdump listens for a capture point of this place."""
        return (self["node-2"], "any") if place == "any-2" else (self[place], "eth0")


def build_line(lab: Namespaces, scenario: Scenario) -> Line:
    """Make and wire all namespaces; no fault is in force yet, but for a wire's, which is the underlay itself."""
    line = Line(lab, scenario)
    for place in ("client", "node-1", "underlay", "node-2", "server"):
        line.places[place] = _namespace(lab, place)
    _connect_pods(line)
    wired = scenario.mechanism == "wire"
    _connect_nodes(line, WIRED if wired else NODES, wired=wired)
    if scenario.asymmetric:
        _add_second_underlay(line)
    if scenario.neighbour:
        _add_neighbour(line)
    if scenario.carrier in TUNNELS:
        _add_tunnel(line)
    _translate(line)
    offloaded = {"": (), "ends": ("client", "server"), "all": line.places}[scenario.offload]
    for place in line.places.keys() - offloaded:
        _turn_off_offload(line[place])
    return line


def _namespace(lab: Namespaces, role: str) -> Namespace:
    namespace = lab.add(role)
    settings = {"net__ipv4__ip_forward": 1, "net__ipv4__conf__all__rp_filter": 0, "net__ipv4__tcp_mtu_probing": 0}
    if has_sysctl("net.ipv4.tcp_syn_linear_timeouts"):
        settings["net__ipv4__tcp_syn_linear_timeouts"] = 0
    namespace.sysctl(**settings)
    return namespace


def _connect_pods(line: Line) -> None:
    mtu = TUNNEL_MTU if line.scenario.carrier in TUNNELS else 1_500
    pods = (("client", "node-1", CLIENTS, CLIENT_GATEWAY, "lxc1"), ("server", "node-2", (SERVER,), SERVER_GATEWAY, "lxc2"))
    for pod, node, addresses, gateway, host_side in pods:
        line[node].batch(
            f"link add {host_side} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {line[pod].name}",
            f"address add {gateway}/32 dev {host_side}",
            f"link set {host_side} up",
            *(f"route add {address}/32 dev {host_side} src {gateway}" for address in addresses),
        )
        line[pod].batch(
            *(f"address add {address}/32 dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add {gateway} dev eth0 scope link src {addresses[0]}",
            f"route add default via {gateway} src {addresses[0]}",
        )


def _connect_nodes(line: Line, nodes: dict[str, str], *, wired: bool) -> None:
    mtu = UNDERLAY_MTU if line.scenario.carrier in TUNNELS else 1_500
    cidrs = {"node-1": CLIENTS_CIDR, "node-2": SERVER_CIDR}
    for number, node in enumerate(nodes, 1):
        (other,) = nodes.keys() - {node}
        underlay = [
            f"link add u{number} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {line[node].name}",
            f"link set u{number} up",
        ]
        if not wired:
            underlay += [f"address add {ROUTERS[node]}/24 dev u{number}", f"route add {cidrs[node]} via {nodes[node]}"]
        line["underlay"].batch(*underlay)
        way = f"via {nodes[other] if wired else ROUTERS[node]}"
        line[node].batch(f"address add {nodes[node]}/24 dev eth0", "link set eth0 up", f"route add default {way}")


def _add_second_underlay(line: Line) -> None:
    """A router of its own for what node 2 sends to the clients."""
    line.places["underlay-2"] = second = _namespace(line.lab, "underlay-2")
    for number, node in ((1, "node-1"), (2, "node-2")):
        second.batch(
            f"link add u{number} type veth peer name eth1 netns {line[node].name}",
            f"address add 192.168.{number + 3}.1/24 dev u{number}",
            f"link set u{number} up",
        )
        line[node].batch(f"address add 192.168.{number + 3}.{number + 10}/24 dev eth1", "link set eth1 up")
    second.batch(f"route add {CLIENTS_CIDR} via 192.168.4.11", f"route add {SERVER_CIDR} via 192.168.5.12")
    line["node-2"].batch(f"route add {CLIENTS_CIDR} via 192.168.5.1")


def _add_neighbour(line: Line) -> None:
    line.places["neighbour"] = neighbour = _namespace(line.lab, "neighbour")
    router = NEIGHBOUR.rpartition(".")[0] + ".1"
    line["underlay"].batch(
        f"link add u3 type veth peer name eth0 netns {neighbour.name}", f"address add {router}/24 dev u3", "link set u3 up"
    )
    neighbour.batch(f"address add {NEIGHBOUR}/24 dev eth0", "link set eth0 up", f"route add default via {router}")


def _add_tunnel(line: Line) -> None:
    scenario = line.scenario
    cidrs = {"node-1": SERVER_CIDR, "node-2": CLIENTS_CIDR}
    for number, (node, cidr) in enumerate(cidrs.items(), 1):
        (other,) = NODES.keys() - {node}
        local, remote = NODES[node], NODES[other]
        if scenario.carrier == "vxlan":
            line[node].batch(
                f"link add {TUNNEL_DEVICE} mtu {TUNNEL_MTU} address 0e:00:00:00:00:0{number} type vxlan id {VNI}"
                f" local {local} remote {remote} dstport {scenario.port} nolearning",
                f"link set {TUNNEL_DEVICE} up",
                f"neigh add 10.255.0.{3 - number} lladdr 0e:00:00:00:00:0{3 - number} dev {TUNNEL_DEVICE} nud permanent",
                f"route add {cidr} via 10.255.0.{3 - number} dev {TUNNEL_DEVICE} onlink",
            )
            continue
        line[node].batch(f"tuntap add dev {TUNNEL_DEVICE} mode tun", f"link set {TUNNEL_DEVICE} mtu {TUNNEL_MTU} up")
        command = (sys.executable, str(TUNNEL), scenario.carrier, TUNNEL_DEVICE, local, remote)
        process = line.lab.spawn(line[node], *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_until_ready(process, f"the tunnel of {node}")
        line[node].batch(f"route add {cidr} dev {TUNNEL_DEVICE}")


def wait_until_ready(process: subprocess.Popen[str], what: str) -> None:
    """Wait for a helper's `ready`."""
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise LabError(f"{what} did not start")


def start_wire(line: Line, plan: dict[str, object]) -> None:
    """Join the two nodes by the cable of `wire.py`."""
    line.wire = line.lab.spawn(
        line["underlay"], sys.executable, str(WIRE), "u1", "u2", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert line.wire.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        line.wire.stdin.write(json.dumps(plan) + "\n")
        line.wire.stdin.flush()
    wait_until_ready(line.wire, "the wire")


def _translate(line: Line) -> None:
    """Node 1's address translation, as kube-proxy or an agent has it."""
    scenario, chains = line.scenario, []
    if scenario.carrier in {"dnat", "both"}:
        protocol = "udp" if scenario.dns else "tcp"
        address, port = line.responder
        to = GONE if scenario.server == "gone" else SERVER
        chains.append(
            "chain service {\n type nat hook prerouting priority dstnat\n"
            f" ip daddr {address} {protocol} dport {port} dnat to {to}:{line.port}\n}}"
        )
    if scenario.carrier in {"snat", "both"}:
        how = "masquerade random" if scenario.masquerade_random else "masquerade"
        chains.append(
            f"chain outbound {{\n type nat hook postrouting priority srcnat\n ip saddr {CLIENTS_CIDR} oifname eth0 {how}\n}}"
        )
    if chains:
        line["node-1"].run("nft", "-f", "-", stdin="table ip services {\n" + "\n".join(chains) + "\n}\n")


def _turn_off_offload(namespace: Namespace) -> None:
    """Let packets look as on a wire: one segment each, and with true checksums."""
    listed = json.loads(namespace.run("ip", "-j", "link"))
    names = [str(link["ifname"]) for link in listed if link["ifname"] not in {"lo", TUNNEL_DEVICE}]
    namespace.batch(*(f"link set {name} gso_max_segs 1" for name in names))
    Inside(namespace, _without_checksum_offload, names).result(WAIT_S)


def _without_checksum_offload(names: list[str]) -> None:
    for name in names:
        compute_checksums_in_software(name)
