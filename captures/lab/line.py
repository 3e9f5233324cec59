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

from addresses import Addresses, addresses_of
from inside import Inside
from namespaces import LabError, Namespace, Namespaces, has_sysctl
from offload import compute_checksums_in_software
from scenario import TUNNELS, Scenario

TUNNEL: Final = Path(__file__).with_name("tunnel.py")
WIRE: Final = Path(__file__).with_name("wire.py")

HTTP_PORT, DNS_PORT, HEALTH_PORT, SERVICE_PORT = 8080, 53, 8081, 80
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
    addresses: Addresses
    places: dict[str, Namespace] = field(default_factory=dict)
    wire: subprocess.Popen[str] | None = None

    def __getitem__(self, place: str) -> Namespace:
        return self.places[place]

    @property
    def responder(self) -> tuple[str, int]:
        """What the clients call: the server's pod, or the service's address."""
        if self.scenario.calls_service:
            return self.addresses.service, DNS_PORT if self.scenario.dns else SERVICE_PORT
        return self.addresses.server, self.port

    @property
    def port(self) -> int:
        """The port that the server's pod listens on."""
        return DNS_PORT if self.scenario.dns else HTTP_PORT

    def interface(self, place: str) -> tuple[Namespace, str]:
        """Where tcpdump listens for a capture point of this place."""
        return (self["node-2"], "any") if place == "any-2" else (self[place], "eth0")


def build_line(lab: Namespaces, scenario: Scenario) -> Line:
    """Make and wire all namespaces; no fault is in force yet, but for a wire's, which is the underlay itself."""
    line = Line(lab, scenario, addresses_of(scenario))
    for place in ("client", "node-1", "underlay", "node-2", "server"):
        line.places[place] = _namespace(line, place)
    _connect_pods(line)
    wired = scenario.mechanism == "wire"
    _connect_nodes(line, line.addresses.wired if wired else line.addresses.nodes, wired=wired)
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


def _namespace(line: Line, role: str) -> Namespace:
    namespace = line.lab.add(role)
    settings = {"net__ipv4__ip_forward": 1, "net__ipv4__conf__all__rp_filter": 0, "net__ipv4__tcp_mtu_probing": 0}
    if has_sysctl("net.ipv4.tcp_syn_linear_timeouts"):
        settings["net__ipv4__tcp_syn_linear_timeouts"] = 0
    if line.scenario.ipv6:  # with addresses that are there at once, and without what would only fill the captures
        settings |= {f"net__ipv6__conf__{scope}__disable_ipv6": 0 for scope in ("all", "default")}
        settings |= {"net__ipv6__conf__all__forwarding": 1, "net__ipv6__conf__default__accept_dad": 0}
    namespace.sysctl(**settings)
    return namespace


def _source(address: str) -> str:
    """A route's preferred source; IPv6 finds it on the interface, and cannot be told of one that came up a moment ago."""
    return "" if ":" in address else f" src {address}"


def _connect_pods(line: Line) -> None:
    mtu = TUNNEL_MTU if line.scenario.carrier in TUNNELS else 1_500
    known = line.addresses
    whole = known.whole
    pods = (
        ("client", "node-1", known.clients, known.client_gateway, "lxc1"),
        ("server", "node-2", (known.server,), known.server_gateway, "lxc2"),
    )
    for pod, node, addresses, gateway, host_side in pods:
        line[node].batch(
            f"link add {host_side} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {line[pod].name}",
            f"address add {gateway}/{whole} dev {host_side}",
            f"link set {host_side} up",
            *(f"route add {address}/{whole} dev {host_side}{_source(gateway)}" for address in addresses),
        )
        line[pod].batch(
            *(f"address add {address}/{whole} dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add {gateway} dev eth0 scope link{_source(addresses[0])}",
            f"route add {known.everything} via {gateway}{_source(addresses[0])}",
        )


def _connect_nodes(line: Line, nodes: dict[str, str], *, wired: bool) -> None:
    mtu = UNDERLAY_MTU if line.scenario.carrier in TUNNELS else 1_500
    known = line.addresses
    cidrs = {"node-1": known.clients_cidr, "node-2": known.server_cidr}
    for number, node in enumerate(nodes, 1):
        (other,) = nodes.keys() - {node}
        underlay = [
            f"link add u{number} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {line[node].name}",
            f"link set u{number} up",
        ]
        if not wired:
            underlay += [
                f"address add {known.routers[node]}/{known.net} dev u{number}",
                f"route add {cidrs[node]} via {nodes[node]}",
            ]
        line["underlay"].batch(*underlay)
        way = nodes[other] if wired else known.routers[node]
        line[node].batch(
            f"address add {nodes[node]}/{known.net} dev eth0", "link set eth0 up", f"route add {known.everything} via {way}"
        )


def _add_second_underlay(line: Line) -> None:
    """A router of its own for what node 2 sends to the clients."""
    known = line.addresses
    line.places["underlay-2"] = second = _namespace(line, "underlay-2")
    for number, (node, (own, router)) in enumerate(known.second.items(), 1):
        second.batch(
            f"link add u{number} type veth peer name eth1 netns {line[node].name}",
            f"address add {router}/{known.net} dev u{number}",
            f"link set u{number} up",
        )
        line[node].batch(f"address add {own}/{known.net} dev eth1", "link set eth1 up")
    (to_clients, _), (to_server, back) = known.second.values()
    second.batch(f"route add {known.clients_cidr} via {to_clients}", f"route add {known.server_cidr} via {to_server}")
    line["node-2"].batch(f"route add {known.clients_cidr} via {back}")


def _add_neighbour(line: Line) -> None:
    known = line.addresses
    line.places["neighbour"] = neighbour = _namespace(line, "neighbour")
    line["underlay"].batch(
        f"link add u3 type veth peer name eth0 netns {neighbour.name}",
        f"address add {known.neighbour_router}/{known.net} dev u3",
        "link set u3 up",
    )
    neighbour.batch(
        f"address add {known.neighbour}/{known.net} dev eth0",
        "link set eth0 up",
        f"route add {known.everything} via {known.neighbour_router}",
    )


def _add_tunnel(line: Line) -> None:
    scenario, nodes = line.scenario, line.addresses.nodes
    cidrs = {"node-1": line.addresses.server_cidr, "node-2": line.addresses.clients_cidr}
    for number, (node, cidr) in enumerate(cidrs.items(), 1):
        (other,) = nodes.keys() - {node}
        local, remote = nodes[node], nodes[other]
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
    scenario, known, chains = line.scenario, line.addresses, []
    family = known.nft
    if scenario.carrier in {"dnat", "both"}:
        protocol = "udp" if scenario.dns else "tcp"
        address, port = line.responder
        to = f"[{known.gone}]" if scenario.ipv6 else known.gone
        if scenario.server != "gone":
            to = f"[{known.server}]" if scenario.ipv6 else known.server
        chains.append(
            "chain service {\n type nat hook prerouting priority dstnat\n"
            f" {family} daddr {address} {protocol} dport {port} dnat to {to}:{line.port}\n}}"
        )
    if scenario.carrier in {"snat", "both"}:
        how = "masquerade random" if scenario.masquerade_random else "masquerade"
        chains.append(
            "chain outbound {\n type nat hook postrouting priority srcnat\n"
            f" {family} saddr {known.clients_cidr} oifname eth0 {how}\n}}"
        )
    if chains:
        line["node-1"].run("nft", "-f", "-", stdin=f"table {family} services {{\n" + "\n".join(chains) + "\n}\n")


def _turn_off_offload(namespace: Namespace) -> None:
    """Let packets look as on a wire: one segment each, and with true checksums."""
    listed = json.loads(namespace.run("ip", "-j", "link"))
    names = [str(link["ifname"]) for link in listed if link["ifname"] not in {"lo", TUNNEL_DEVICE}]
    namespace.batch(*(f"link set {name} gso_max_segs 1" for name in names))
    Inside(namespace, _without_checksum_offload, names).result(WAIT_S)


def _without_checksum_offload(names: list[str]) -> None:
    for name in names:
        compute_checksums_in_software(name)
