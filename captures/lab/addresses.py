"""The addresses of the library's network, in IPv4 and in IPv6."""

from dataclasses import dataclass
from typing import Final

from scenario import Scenario


@dataclass(frozen=True, slots=True)
class Addresses:
    """Who has which address in one family.

    nft : the family's name in nftables; whole, net : prefix lengths of one address and of the nodes' networks
    everything : the default route; wired : the nodes' addresses where a wire makes them neighbours
    second : of each node and of the second underlay's router beside it, for responses that take it
    """

    nft: str
    whole: int
    net: int
    everything: str
    clients: tuple[str, str]
    clients_cidr: str
    client_gateway: str
    server: str
    server_cidr: str
    server_gateway: str
    gone: str
    service: str
    neighbour: str
    neighbour_router: str
    nodes: dict[str, str]
    routers: dict[str, str]
    wired: dict[str, str]
    second: dict[str, tuple[str, str]]


V4: Final = Addresses(
    nft="ip",
    whole=32,
    net=24,
    everything="0.0.0.0/0",
    clients=("10.244.1.11", "10.244.1.12"),
    clients_cidr="10.244.1.0/24",
    client_gateway="10.244.1.1",
    server="10.242.2.20",
    server_cidr="10.242.2.0/24",
    server_gateway="10.242.2.1",
    gone="10.242.2.99",
    service="10.96.0.10",
    neighbour="192.168.3.13",
    neighbour_router="192.168.3.1",
    nodes={"node-1": "192.168.1.11", "node-2": "192.168.2.12"},
    routers={"node-1": "192.168.1.1", "node-2": "192.168.2.1"},
    wired={"node-1": "192.168.1.11", "node-2": "192.168.1.12"},
    second={"node-1": ("192.168.4.11", "192.168.4.1"), "node-2": ("192.168.5.12", "192.168.5.1")},
)
V6: Final = Addresses(
    nft="ip6",
    whole=128,
    net=64,
    everything="::/0",
    clients=("fd44:1::11", "fd44:1::12"),
    clients_cidr="fd44:1::/64",
    client_gateway="fd44:1::1",
    server="fd42:2::20",
    server_cidr="fd42:2::/64",
    server_gateway="fd42:2::1",
    gone="fd42:2::99",
    service="fd96::10",
    neighbour="fd68:3::13",
    neighbour_router="fd68:3::1",
    nodes={"node-1": "fd68:1::11", "node-2": "fd68:2::12"},
    routers={"node-1": "fd68:1::1", "node-2": "fd68:2::1"},
    wired={"node-1": "fd68:1::11", "node-2": "fd68:1::12"},
    second={"node-1": ("fd68:4::11", "fd68:4::1"), "node-2": ("fd68:5::12", "fd68:5::1")},
)


def addresses_of(scenario: Scenario) -> Addresses:
    """The addresses that a scenario's pods, nodes and service have."""
    return V6 if scenario.ipv6 else V4
