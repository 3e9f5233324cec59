"""A case of the library of faults as data, and where on its path everything stands.

The network is a line, and every place on it has a position: capture points stand at even ones, faults between them.

    client --- node 1 --- its uplink --- underlay --- uplink of --- node 2 --- server
      0          1            2             3             4            5          6

A neighbour, where there is one, calls the same server from a node of its own that hangs on the underlay.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

PLACES: Final = {"client": 0, "node-1": 2, "node-2": 4, "server": 6}
ELEMENTS: Final = {"node-1": 1, "underlay": 3, "node-2": 5}
TUNNELS: Final = ("vxlan", "geneve", "ipip")
# Which places have a capture point, in the order of the path. "any-2" is `tcpdump -i any` on node 2.
LAYOUTS: Final = (
    ("client", "node-2", "server"),
    ("client", "node-1", "server"),
    ("client", "node-1", "node-2", "server"),
    ("client", "server"),
    ("client", "any-2", "server"),
)
NAMES: Final = "ABCD"
# Past the SYN's first repetition; and past the third, so that whatever gets lost at random is sent again in time.
LOSS_TIMEOUT_S: Final = 2.1
RECOVERY_TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One case, drawn.

    verdict, direction : what a diagnosis has to say while no noise hides it
    element : where the fault is; "" where there is none between the points
    mechanism, action : what does it (nft, route, arp, mtu, wire, tbf, server), and to the packets (drop, reset, an ICMP type)
    what : which packets of the direction: all, data, synack, large, new (of new connections), tail (past `octets` of the
        response), stale (a port's next connection while the element still remembers the last one)
    select : whose: all, client (one of the two client addresses), share (by a hash of the initiator's port), node (that share,
        of node 1's clients alone)
    share, loss : of flows, of their packets
    octets : of the largest packet that still passes, or of the response's part that does
    begins_s, lasts_s : of a fault that is not there all the time, from the clients' start
    carrier : plain, snat, dnat, both, vxlan, geneve, ipip; port : the tunnel's
    ipv6 : the family of pods, nodes and service
    asymmetric : responses go by a second underlay; neighbour : a client on a third node calls as well
    server : the mode of `oddserver.py`; "" the shop
    offload : where segmentation and checksums are left to hardware that is not there: "" nowhere, ends (in the pods) or all
    late_s, reorder, duplicate : by how much a wire's late packets are late; shares of packets that are late, and that come twice
    names : the points' names in path order; manifest, scope : whether the case has a manifest, and that says what passes the pods
    """

    kind: str
    seed: int
    verdict: str = "no_loss"
    direction: str = ""
    element: str = ""
    mechanism: str = ""
    action: str = "drop"
    what: str = "all"
    select: str = "all"
    share: float = 1.0
    loss: float = 1.0
    octets: int = 0
    begins_s: float = 0.0
    lasts_s: float = 0.0
    carrier: str = "plain"
    port: int = 0
    masquerade_random: bool = False
    ipv6: bool = False
    asymmetric: bool = False
    neighbour: bool = False
    dns: bool = False
    server: str = ""
    server_delay_s: float = 0.0
    timeout_s: float = LOSS_TIMEOUT_S
    offload: str = ""
    reuse_ports: int = 0
    reorder: float = 0.0
    duplicate: float = 0.0
    late_s: float = 0.004
    delay_s: tuple[float, float] = (0.0, 0.0)
    layout: tuple[str, ...] = LAYOUTS[0]
    connections: int = 10
    requests: tuple[int, int] = (1, 3)
    octets_range: tuple[int, int] = (200, 8_000)
    pause_s: tuple[float, float] = (0.01, 0.12)
    posts: float = 0.2
    names: str = NAMES
    manifest: bool = True
    scope: bool = False

    @property
    def points(self) -> dict[str, str]:
        """The place of each capture point, by name in path order."""
        return dict(zip(self.names, self.layout, strict=False))

    @property
    def calls_service(self) -> bool:
        """Whether clients call the service's address and not the pod's."""
        return self.carrier in {"dnat", "both"} or self.server == "gone"

    @property
    def is_servers_own(self) -> bool:
        """Whether the server, or its own firewall, is what leaves requests unanswered."""
        return self.mechanism == "server" or self.server not in {"", "slow"}

    @property
    def tells_order(self) -> bool:
        """Whether the captures themselves tell the order of the points: requests get through, and every element counts a hop."""
        gets_through = self.select != "all" or (self.verdict == "no_loss" and self.mechanism != "server" and not self.server)
        return gets_through and self.mechanism != "wire" and self.carrier not in TUNNELS and not self.dns

    def position(self, point: str, direction: str) -> float | None:
        """Where a capture point meets the packets of a direction; None where they take another way."""
        place = self.points[point]
        if place == "any-2":  # it sees a packet first where it enters the node, and that is all that a loss leaves
            return PLACES["node-2"] if direction == "request" else PLACES["server"] - 0.5
        if self.asymmetric and direction == "response" and place.startswith("node"):
            return None
        return PLACES[place]

    def hop(self, points: Collection[str]) -> tuple[str, str] | None:
        """Of these capture points the two between which the fault is, in path order; None where it is outside them all."""
        if self.verdict != "loss":
            return None
        fault = ELEMENTS[self.element]
        seen = [(at, name) for name in self.points if name in points and (at := self.position(name, self.direction)) is not None]
        near = [name for at, name in seen if at < fault]
        far = [name for at, name in seen if at > fault]
        return (near[-1], far[0]) if near and far else None

    def said(self) -> dict[str, Any]:
        """What differs from a case without any fault, for `truth.json`."""
        plain = Scenario(self.kind, self.seed)
        names = [name for name in Scenario.__slots__ if name not in {"kind", "seed"}]
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(plain, name)}
