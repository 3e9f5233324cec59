"""The kinds of faults, and how a seed draws a case of each."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from scenario import ELEMENTS, LAYOUTS, NAMES, RECOVERY_TIMEOUT_S, TUNNELS, Scenario

DRAWN_TOGETHER: Final = ("plain", "plain", "plain", "snat", "dnat", "both", *TUNNELS)
ICMP_TYPES: Final = ("admin-prohibited", "host-unreachable", "net-unreachable", "port-unreachable")
# Of the cases whose fault can be made for it.
IPV6_SHARE: Final = 0.2
# Of the cases in which it cannot change which packets a fault meets.
OFFLOAD_SHARE: Final = 0.15
OFFLOADS: Final = ("ends", "all")

Draw = Callable[[Scenario, random.Random], Scenario]


def _share(dice: random.Random) -> float:
    return round(dice.uniform(0.3, 0.8), 2)


def _hides_clients(element: str, carrier: str) -> bool:
    """Whether the client's own address is not in the IP header that passes an element."""
    return (carrier in TUNNELS and element == "underlay") or (carrier in {"snat", "both"} and element != "node-1")


def _drop(scenario: Scenario, dice: random.Random, direction: str, carriers: tuple[str, ...] = DRAWN_TOGETHER) -> Scenario:
    """A silent drop somewhere, of some flows."""
    element, carrier = dice.choice(tuple(ELEMENTS)), dice.choice(carriers)
    mechanism = dice.choice(("nft", "nft", "route", "wire"))
    if mechanism != "nft" and (element != "underlay" or carrier != "plain"):
        mechanism = "nft"
    select = dice.choice(("all", "share", "share", "client"))
    if mechanism == "route":
        select = "all" if direction == "request" else "client"
    elif select == "client" and (mechanism == "wire" or _hides_clients(element, carrier)):
        select = "share"
    return replace(
        scenario,
        verdict="loss",
        direction=direction,
        element=element,
        mechanism=mechanism,
        carrier=carrier,
        select=select,
        what="all" if mechanism == "route" else dice.choice(("all", "all", "data")),
        share=_share(dice) if select == "share" else 1.0,
    )


def _drops(direction: str, *carriers: str) -> Draw:
    return lambda scenario, dice: _drop(
        scenario, dice, direction or dice.choice(("request", "response")), carriers or DRAWN_TOGETHER
    )


def _syn_ack(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = _drop(scenario, dice, "response")
    return replace(dropped, what="synack", mechanism="wire" if dropped.mechanism == "wire" else "nft")


def _transient(scenario: Scenario, dice: random.Random) -> Scenario:
    mechanism = dice.choice(("nft", "wire", "tbf"))
    element = "underlay" if mechanism != "nft" else dice.choice(tuple(ELEMENTS))
    return replace(
        scenario,
        direction=dice.choice(("request", "response") if mechanism == "tbf" else ("request", "response", "both")),
        element=element,
        mechanism=mechanism,
        loss=round(dice.uniform(0.02, 0.08), 3),
        reorder=dice.choice((0.0, 0.05)) if mechanism == "wire" else 0.0,
        duplicate=dice.choice((0.0, 0.03)) if mechanism == "wire" else 0.0,
        delay_s=(0.0002, 0.002) if mechanism == "wire" else (0.0, 0.0),
        carrier="plain" if mechanism == "wire" else dice.choice(DRAWN_TOGETHER),
        timeout_s=RECOVERY_TIMEOUT_S,
        octets_range=(500, 60_000),
        posts=0.2 if mechanism != "tbf" else 0.5,
    )


def _burst(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(
        scenario,
        direction=dice.choice(("request", "response", "both")),
        element=dice.choice(tuple(ELEMENTS)),
        mechanism="nft",
        begins_s=round(dice.uniform(0.2, 0.6), 2),
        lasts_s=round(dice.uniform(0.1, 0.4), 2),
        timeout_s=RECOVERY_TIMEOUT_S,
        requests=(3, 6),
    )


def _storm(scenario: Scenario, dice: random.Random) -> Scenario:
    """Packets so late that both ends repeat much that was never lost, or so many lost that most come twice."""
    late = replace(scenario, element="underlay", mechanism="wire", direction="both", timeout_s=2 * RECOVERY_TIMEOUT_S)
    if dice.random() < 0.5:
        return replace(late, loss=0.0, reorder=round(dice.uniform(0.1, 0.3), 2), late_s=round(dice.uniform(0.25, 0.45), 2))
    return replace(late, loss=round(dice.uniform(0.08, 0.14), 2), duplicate=0.1, connections=8)


def _outage(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(
        scenario,
        verdict="loss",
        direction=dice.choice(("request", "response")),
        element=dice.choice(tuple(ELEMENTS)),
        mechanism="nft",
        begins_s=round(dice.uniform(0.3, 0.7), 2),
        requests=(4, 8),
    )


def _policy_ingress(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = replace(scenario, verdict="loss", direction="request", element="node-2", mechanism="nft", what="new")
    carrier = dice.choice(("plain", "plain", "dnat", "vxlan"))
    return replace(dropped, carrier=carrier, select=dice.choice(("all", "client")))


def _policy_egress(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(_policy_ingress(scenario, dice), element="node-1", select="client")


def _reject(scenario: Scenario, dice: random.Random, *actions: str) -> Scenario:
    element, action = dice.choice(tuple(ELEMENTS)), dice.choice(actions)
    select = dice.choice(("all", "client", "share"))
    routed = element == "underlay" and action in {"host-unreachable", "admin-prohibited"} and dice.random() < 0.5
    return replace(
        scenario,
        verdict="loss",
        direction="request",
        element=element,
        action=action,
        what="new",
        mechanism="route" if routed else "nft",
        select="all" if routed else select,
        share=_share(dice) if select == "share" and not routed else 1.0,
    )


def _no_backend(scenario: Scenario, dice: random.Random) -> Scenario:
    """A service whose pod is gone: refused where it is translated, or sent to an address behind which nothing is."""
    gone = replace(scenario, verdict="loss", direction="request", what="new", server="gone")
    if dice.random() < 0.5:
        return replace(gone, element="node-1", mechanism="nft", action="port-unreachable")
    return replace(gone, element="node-2", mechanism="route", carrier="dnat", action=dice.choice(("drop", "host-unreachable")))


def _rejected_by_responder(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(
        scenario, mechanism="server", action=dice.choice(("reset", "port-unreachable", "admin-prohibited")), what="new"
    )


def _server(*modes: str) -> Draw:
    def draw(scenario: Scenario, dice: random.Random) -> Scenario:
        mode = dice.choice(modes)
        delay = round(dice.uniform(0.3, 0.8), 2) if mode == "slow" else 0.0
        return replace(
            scenario, server=mode, server_delay_s=delay, requests=(1, 2), carrier=dice.choice(("plain", "dnat", "snat"))
        )

    return draw


def _asymmetric(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = _drop(scenario, dice, dice.choice(("request", "response")), ("plain",))
    return replace(dropped, asymmetric=True, mechanism="nft", what=dropped.what if dropped.mechanism == "nft" else "all")


def _mtu(scenario: Scenario, dice: random.Random) -> Scenario:
    """Large packets do not pass, and nobody is told, or the one who is told does not hear it."""
    mechanism = dice.choice(("nft", "wire", "mtu"))
    direction = dice.choice(("request", "response"))
    return replace(
        scenario,
        verdict="loss",
        direction=direction,
        element="underlay" if mechanism != "nft" else dice.choice(tuple(ELEMENTS)),
        mechanism=mechanism,
        action=dice.choice(("frag-needed-ignored", "drop")) if mechanism == "mtu" else "drop",
        what="large",
        octets=dice.choice((576, 1_280, 1_400, 1_450)),
        octets_range=(100, 12_000),
        posts=0.9 if direction == "request" else 0.0,
    )


def _mtu_signalled(scenario: Scenario, dice: random.Random) -> Scenario:
    direction = dice.choice(("request", "response"))
    told = replace(_mtu(scenario, dice), mechanism="mtu", action="frag-needed", element="underlay", verdict="no_loss")
    return replace(told, direction=direction, posts=0.9 if direction == "request" else 0.0)


def _large_bodies(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(
        scenario,
        verdict="loss",
        direction="response",
        element=dice.choice(tuple(ELEMENTS)),
        mechanism="nft",
        what="tail",
        octets=dice.randint(4_000, 9_000),
        octets_range=(200, 40_000),
        requests=(1, 2),
        posts=0.0,
    )


def _one_node(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = _drop(scenario, dice, dice.choice(("request", "response")), ("plain",))
    return replace(
        dropped,
        mechanism="nft",
        what="all" if dropped.mechanism != "nft" else dropped.what,
        element=dice.choice(("node-1", "underlay", "node-2")),
        neighbour=True,
        select="node",
        share=dice.choice((1.0, 0.5)),
    )


def _carrier(*carriers: str) -> Draw:
    return lambda scenario, dice: replace(scenario, carrier=dice.choice(carriers))


def _port_reuse(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(scenario, reuse_ports=dice.randint(3, 5), connections=16, requests=(1, 2), octets_range=(200, 2_000))


def _stale_entry(scenario: Scenario, dice: random.Random) -> Scenario:
    reused = replace(_port_reuse(scenario, dice), connections=10, verdict="loss", direction="request", what="stale")
    return replace(reused, element=dice.choice(tuple(ELEMENTS)), mechanism="nft")


def _arp(scenario: Scenario, dice: random.Random) -> Scenario:
    dead = replace(scenario, verdict="loss", direction="request", mechanism="arp", element=dice.choice(("underlay", "node-2")))
    return replace(dead, carrier=dice.choice(("plain", "dnat")))


def _dns(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = _drop(scenario, dice, dice.choice(("request", "response")), ("plain", "dnat", "vxlan"))
    dropped = replace(dropped, dns=True, what="all", mechanism="nft" if dropped.mechanism == "wire" else dropped.mechanism)
    if dice.random() < 0.3:  # lost at random, and asked again
        return replace(dropped, mechanism="nft", verdict="no_loss", loss=0.1, select="all", share=1.0)
    return dropped


def _offload(scenario: Scenario, dice: random.Random) -> Scenario:
    return replace(
        scenario,
        offload=dice.choice(OFFLOADS),
        octets_range=(500, 200_000),
        carrier=dice.choice(("plain", "snat", "dnat", "vxlan")),
    )


def _offload_loss(scenario: Scenario, dice: random.Random) -> Scenario:
    dropped = _drop(scenario, dice, dice.choice(("request", "response")), ("plain", "snat", "dnat"))
    dropped = replace(dropped, mechanism="nft", select="all" if dropped.select == "client" else dropped.select)
    return replace(dropped, offload=dice.choice(OFFLOADS), octets_range=(500, 200_000))


KINDS: Final[dict[str, Draw]] = {
    "none": lambda scenario, _: replace(scenario, octets_range=(200, 30_000)),
    "drop-requests": _drops("request"),
    "drop-responses": _drops("response"),
    "drop-syn-acks": _syn_ack,
    "policy-ingress": _policy_ingress,
    "policy-egress": _policy_egress,
    "one-node": _one_node,
    "outage": _outage,
    "transient-loss": _transient,
    "loss-burst": _burst,
    "retransmission-storm": _storm,
    "reject-rst": lambda scenario, dice: _reject(scenario, dice, "reset"),
    "reject-icmp": lambda scenario, dice: _reject(scenario, dice, *ICMP_TYPES),
    "service-without-backend": _no_backend,
    "arp-unanswered": _arp,
    "stale-entry": _stale_entry,
    "mtu-black-hole": _mtu,
    "mtu-signalled": _mtu_signalled,
    "large-bodies": _large_bodies,
    "asymmetric": lambda scenario, _: replace(scenario, asymmetric=True),
    "asymmetric-loss": _asymmetric,
    "snat": _carrier("snat", "both"),
    "snat-loss": _drops("", "snat", "both"),
    "dnat": _carrier("dnat"),
    "dnat-loss": _drops("", "dnat"),
    "vxlan": _carrier("vxlan"),
    "vxlan-loss": _drops("", "vxlan"),
    "tunnel": _carrier("geneve", "ipip"),
    "tunnel-loss": _drops("", "geneve", "ipip"),
    "offload": _offload,
    "offload-loss": _offload_loss,
    "port-reuse": _port_reuse,
    "dns": _dns,
    "closed-port": _server("closed"),
    "rejected-by-responder": _rejected_by_responder,
    "server-firewall": lambda scenario, _: replace(scenario, mechanism="server", what="new"),
    "server-silent": _server("silent"),
    "server-slow": _server("slow"),
    "server-resets": _server("reset-accept", "reset-request", "close-request"),
    "server-overload": _server("overload"),
}


def draw_scenario(kind: str, seed: int) -> Scenario:
    """The case of a kind that a seed draws."""
    dice = random.Random(f"{kind} {seed}")  # noqa: S311  # a repeatable case, not a secret
    scenario = KINDS[kind](Scenario(kind, seed), dice)
    scenario = replace(
        scenario,
        layout=dice.choice(LAYOUTS),
        port=dice.choice((4789, 8472)) if scenario.carrier == "vxlan" else 0,
        masquerade_random=dice.random() < 0.5,
        manifest=dice.random() < 0.7,
        scope=dice.random() < 0.5,
        connections=scenario.connections if scenario.reuse_ports or scenario.connections != 10 else dice.randint(6, 14),
    )
    names = "".join(dice.sample(NAMES[: len(scenario.layout)], len(scenario.layout)))
    if not scenario.manifest and scenario.tells_order and dice.random() < 0.5:
        scenario = replace(scenario, names=names)
    ipv6 = scenario.carrier not in TUNNELS and scenario.mechanism in {"", "nft", "route", "tbf", "server"} and not scenario.dns
    scenario = replace(scenario, ipv6=ipv6 and dice.random() < IPV6_SHARE)
    offloads = (
        not scenario.offload
        and scenario.mechanism in {"", "nft"}
        and scenario.what in {"all", "data", "new"}
        and scenario.loss == 1.0
    )
    return replace(scenario, offload=dice.choice(OFFLOADS)) if offloads and dice.random() < OFFLOAD_SHARE else scenario
