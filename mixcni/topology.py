"""Capture points and the path that joins them: where a request passes, in which order, and what each place can see."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class PointKind(StrEnum):
    """Where on a node a capture was taken; it says what can be seen there (formats of Cilium's datapath, root cause).

    An ingress-denied packet is visible on the node's uplink, and neither on the pod's veth nor in the pod.
    """

    POD = "pod"
    VETH = "veth"
    NODE = "node"
    TUNNEL = "tunnel"
    ANY = "any"

    @property
    def is_pods_own(self) -> bool:
        """Whether all that this place sees belongs to one pod."""
        return self in {PointKind.POD, PointKind.VETH}

    @property
    def lies_on_the_way(self) -> bool:
        """Whether a packet seen here still has a way to go: it is no end of the path."""
        return self in {PointKind.NODE, PointKind.TUNNEL}


@dataclass(frozen=True, slots=True)
class CapturePoint:
    """A place where packets were captured, in one or more files.

    Parameters
    ----------
    name : short, as in the incident's own words: A, B, C
    captures : the files, in the order of their time
    node : the node on which it was taken; "" unknown
    kind : None where the case does not say
    scope : networks whose traffic must pass here; empty: learned from the flows seen here
    window : when the capture ran, (first, last) ns since the Unix epoch by the point's own clock; None: learned
    passed_by : whether requests, and whether responses, pass here
    holes : (begin, end) ns by its own clock for which its files lack packets
    dropped : the share of packets that the capture itself counted as dropped; None: it has no counters
    is_placed : whether anything tells where on the path it stands; else its place in the order is a guess
    beside : names of points of which neither lies behind this one nor before it
    """

    name: str
    captures: tuple[Path, ...] = ()
    node: str = ""
    kind: PointKind | None = None
    scope: tuple[Network, ...] = ()
    window: tuple[int, int] | None = None
    passed_by: tuple[bool, bool] = (True, True)
    holes: tuple[tuple[int, int], ...] = ()
    dropped: float | None = None
    is_placed: bool = True
    beside: frozenset[str] = frozenset()


class Translation(NamedTuple):
    """One connection, as a NAT or conntrack table states it on both sides of a translation.

    protocol : IANA number; before, behind : its initiator and its responder, each (address, port)
    file, line : where the table says so
    """

    protocol: int
    before: tuple[tuple[Address, int], tuple[Address, int]]
    behind: tuple[tuple[Address, int], tuple[Address, int]]
    file: str = ""
    line: int = 0


def in_networks(address: Address, networks: Sequence[Network]) -> bool:
    """Whether one of the networks has this address."""
    return any(address in network for network in networks)
