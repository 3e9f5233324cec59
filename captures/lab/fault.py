"""Faults as a network makes them: rules, routes, queues and silence, each with what it counted."""

import json
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, Final

from addresses import V4, Addresses, addresses_of
from line import SERVICE_PORT, Line, start_wire
from namespaces import LabError, Namespace
from scenario import TUNNELS, Scenario

TABLE: Final = "fault"
HASH_RANGE: Final = 1_000
LONGEST_TCP_HEADER: Final = 60  # RFC 9293 section 3.1
IP_HEADER: Final = {"ip": 20, "ip6": 40}
# What IPv6 calls the ICMP errors of IPv4 (RFC 4443 section 3.1).
ICMPV6: Final = {"host-unreachable": "addr-unreachable", "net-unreachable": "no-route"}
SYN: Final = 0x02
SYN_ACK: Final = 0x12
# Bits from the outer transport header to the inner IPv4 header: UDP, VXLAN or Geneve without options, and Ethernet.
INNER_AT: Final = {"vxlan": 8 * (8 + 8 + 14), "geneve": 8 * (8 + 8 + 14), "ipip": 0}
STALE_FOR: Final = "60s"
ROUTES: Final = {"drop": "blackhole", "host-unreachable": "unreachable", "admin-prohibited": "prohibit"}
QUEUE: Final = "tbf rate 12mbit burst 5000 limit 9000"


@dataclass(frozen=True, slots=True)
class Fields:
    """nftables expressions for a packet's fields: by name, or by bit offset where it is IPv4 inside a tunnel."""

    inner_at: int | None = None
    family: str = "ip"

    def address(self, side: str, value: str) -> str:
        """The packet's source or destination is this address."""
        if self.inner_at is None:
            return f"{self.family} {'saddr' if side == 'source' else 'daddr'} {value}"
        octets = "".join(f"{int(part):02x}" for part in value.split("."))
        return f"@th,{self.inner_at + (96 if side == 'source' else 128)},32 0x{octets}"

    def port(self, side: str) -> str:
        """The source or destination port, as a key."""
        if self.inner_at is None:
            return f"th {'sport' if side == 'source' else 'dport'}"
        return f"@th,{self.inner_at + (160 if side == 'source' else 176)},16"

    def longer_than(self, octets: int) -> str:
        """The IP packet is longer; IPv6 states the length of what follows its header (RFC 8200 section 3)."""
        if self.inner_at is not None:
            return f"@th,{self.inner_at + 16},16 > {octets}"
        return f"{self.family} length > {octets - (IP_HEADER[self.family] if self.family == 'ip6' else 0)}"

    def flags(self, flags: int) -> str:
        """Of SYN and ACK exactly these are set."""
        if self.inner_at is None:
            return "tcp flags & (syn|ack) == " + ("(syn|ack)" if flags == SYN_ACK else "syn")
        return f"@th,{self.inner_at + 264},8 & 0x12 == 0x{flags:02x}"


def rules(scenario: Scenario, server: tuple[str, int]) -> list[str]:
    """The nftables rules of a fault in the order in which they stand; each that hits counts as `dropped`."""
    inside = scenario.element == "underlay" and scenario.carrier in TUNNELS
    known = addresses_of(scenario)
    fields = Fields(INNER_AT[scenario.carrier]) if inside else Fields(family=known.nft)
    written = []
    for direction in ("request", "response") if scenario.direction == "both" else (scenario.direction,):
        to_server = direction == "request"
        server_side, client_side = ("destination", "source") if to_server else ("source", "destination")
        parts = [fields.address(server_side, server[0]), f"{fields.port(server_side)} {server[1]}"]
        if scenario.select == "client":
            parts.append(fields.address(client_side, known.clients[1]))
        if scenario.select == "node":
            parts.append(fields.address(client_side, known.clients_cidr))
        if scenario.share < 1.0:
            limit = round(scenario.share * HASH_RANGE)
            parts.append(f"jhash {fields.port(client_side)} mod {HASH_RANGE} seed 0x{salt_of(scenario):x} < {limit}")
        if scenario.loss < 1.0:
            parts.append(f"numgen random mod {HASH_RANGE} < {round(scenario.loss * HASH_RANGE)}")
        parts += {
            "all": [],
            "data": [fields.longer_than(IP_HEADER[known.nft] + LONGEST_TCP_HEADER)],
            "large": [fields.longer_than(scenario.octets)],
            "synack": [fields.flags(SYN_ACK)],
            "new": [fields.flags(SYN)],
            "tail": [f"ct reply bytes > {scenario.octets}"],
            "stale": [fields.flags(SYN), f"{known.nft} saddr . tcp sport @closed"],
        }[scenario.what]
        written.append(f"{' '.join(parts)} counter name dropped {_verdict(scenario.action, known.nft)}")
    if scenario.what == "stale":  # the responder closes first, and what it is closing with is remembered
        written.append(f"{known.nft} saddr {server[0]} tcp flags & fin == fin update @closed {{ {known.nft} daddr . tcp dport }}")
    return written


def _verdict(action: str, family: str) -> str:
    if action == "drop":
        return "drop"
    if action == "reset":
        return "reject with tcp reset"
    return f"reject with icmp type {action}" if family == "ip" else f"reject with icmpv6 type {ICMPV6.get(action, action)}"


def salt_of(scenario: Scenario) -> int:
    """What makes the share of flows another one in each case."""
    return zlib.crc32(f"{scenario.kind} {scenario.seed}".encode()) & 0xFFFF


def wire_plan(scenario: Scenario, port: int) -> dict[str, Any]:
    """The plan that `wire.py` reads."""
    return {
        "responder": V4.server,
        "port": port,
        "directions": ["request", "response"] if scenario.direction == "both" else [scenario.direction],
        "what": scenario.what,
        "octets": scenario.octets,
        "share": scenario.share,
        "salt": salt_of(scenario),
        "loss": scenario.loss,
        "seed": scenario.seed,
        "delay_s": scenario.delay_s,
        "late_s": scenario.late_s,
        "reorder": scenario.reorder,
        "duplicate": scenario.duplicate,
    }


@dataclass(slots=True)
class Fault:
    """A scenario's fault on a line; `counted` holds what it dropped, once it is `removed`."""

    line: Line
    counted: dict[str, Any] = field(default_factory=dict)
    _loaded: tuple[Namespace, str] | None = None

    @property
    def _scenario(self) -> Scenario:
        return self.line.scenario

    @property
    def _known(self) -> Addresses:
        return self.line.addresses

    @property
    def _place(self) -> Namespace:
        scenario = self._scenario
        if scenario.mechanism == "server":
            return self.line["server"]
        second = scenario.asymmetric and scenario.direction == "response" and scenario.element == "underlay"
        return self.line["underlay-2" if second else scenario.element]

    def install(self) -> None:
        """Put the fault in force."""
        scenario, known = self._scenario, self._known
        match scenario.mechanism:
            case "nft" | "server":
                self._install_rules()
            case "route":
                responder = known.gone if scenario.server == "gone" else known.server
                target = responder if scenario.direction == "request" else known.clients[1]
                self._place.batch(f"route add {ROUTES[scenario.action]} {target}/{known.whole}")
            case "arp":
                self._install_arp()
            case "mtu":
                self._install_mtu()
            case "tbf":
                self.line["underlay"].run("tc", "qdisc", "add", "dev", self._exit, "root", *QUEUE.split())
            case "wire":
                start_wire(self.line, wire_plan(scenario, self.line.port))

    def remove(self) -> None:
        """Take the fault away and keep what it counted."""
        match self._scenario.mechanism:
            case "nft" | "server":
                self.counted = {"dropped_packets": self._take_rules()}
            case "tbf":
                listed = json.loads(self.line["underlay"].run("tc", "-s", "-j", "qdisc", "show", "dev", self._exit))
                self.counted = {"dropped_packets": sum(int(queue.get("drops", 0)) for queue in listed)}
            case "wire":
                self.counted = self._end_wire()
            case "arp" | "mtu":
                self.counted = {"ignored_packets": self._take_rules()}

    @property
    def _exit(self) -> str:
        """The underlay's interface by which the direction leaves it."""
        return "u2" if self._scenario.direction == "request" else "u1"

    def _install_rules(self) -> None:
        scenario = self._scenario
        hook = "input" if scenario.mechanism == "server" else "forward"
        own = scenario if scenario.mechanism != "server" else _at_server(scenario)
        server = self._known.server, self.line.port
        if scenario.server == "gone" and scenario.carrier == "plain":
            server = self._known.service, SERVICE_PORT
        key = f"typeof {self._known.nft} saddr . tcp sport"
        remembered = f"set closed {{ {key}\n flags dynamic,timeout\n timeout {STALE_FOR}\n }}"
        if scenario.what == "tail":
            self._place.sysctl(net__netfilter__nf_conntrack_acct=1)
        self._load(self._known.nft, hook, rules(own, server), remembered if scenario.what == "stale" else "")

    def _install_arp(self) -> None:
        """Whoever stands behind the element does not answer it."""
        behind = {"underlay": "node-2", "node-2": "server"}[self._scenario.element]
        self._load("arp", "input", ["iifname eth0 arp operation request counter name dropped drop"], "", behind)
        self._place.batch("neigh flush all")

    def _install_mtu(self) -> None:
        """A hop of a smaller MTU on one direction's way; what it says about it is heard, lost, or never said."""
        scenario, known = self._scenario, self._known
        targets, node = ((known.server,), "node-2") if scenario.direction == "request" else (known.clients, "node-1")
        self.line["underlay"].batch(
            *(f"route add {target}/32 via {known.nodes[node]} mtu lock {scenario.octets}" for target in targets)
        )
        said = "icmp type destination-unreachable icmp code frag-needed counter name dropped drop"
        if scenario.action == "frag-needed-ignored":
            self._load("ip", "forward", [said], "", "node-1" if scenario.direction == "request" else "node-2")
        elif scenario.action == "drop":
            self._load("ip", "output", [said], "", "underlay")

    def _load(self, family: str, hook: str, lines: list[str], more: str, place: str = "") -> None:
        body = "\n ".join(lines)
        text = (
            f"table {family} {TABLE} {{\n counter dropped {{ }}\n {more}\n"
            f" chain c {{\n type filter hook {hook} priority 0\n {body}\n }}\n}}\n"
        )
        namespace = self.line[place] if place else self._place
        namespace.run("nft", "-f", "-", stdin=text)
        self._loaded = namespace, family

    def _take_rules(self) -> int:
        """Delete the rules, where there are some; what they counted."""
        if self._loaded is None:
            return 0
        namespace, family = self._loaded
        listing = json.loads(namespace.run("nft", "-j", "list", "counter", family, TABLE, "dropped"))
        namespace.run("nft", "delete", "table", family, TABLE)
        return sum(int(item["counter"]["packets"]) for item in listing["nftables"] if "counter" in item)

    def _end_wire(self) -> dict[str, Any]:
        wire = self.line.wire
        if wire is None:
            raise LabError("there is no wire")
        said, _ = wire.communicate(timeout=10)
        counted: dict[str, Any] = json.loads(said)
        return counted


def _at_server(scenario: Scenario) -> Scenario:
    """The scenario as the server's own firewall sees it."""
    return replace(scenario, element="", direction="request", carrier="plain")
