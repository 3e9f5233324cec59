"""One event of `cilium monitor`, be it from text or from JSON."""

from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address
from mixcni.cluster.cilium.identities import RESERVED_NAMES

_NUMBER_OF_NAME: Final = {name: number for number, name in RESERVED_NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorEvent:
    """What the datapath or the proxy told of one packet or request, or the agent of itself."""

    type: str
    """drop, verdict, trace, l7, capture, debug, agent or sock."""
    reason: str | None = None
    """Of a drop: in Cilium's words, such as `Policy denied`."""
    action: str | None = None
    """Of a verdict allow, deny, redirect or audit; of an L7 record Forwarded, Denied, Error, Redirected."""
    match: str | None = None
    """Of a verdict: which kind of rule decided, `none` if none did."""
    direction: str | None = None
    """ingress or egress, where it is told."""
    observed: str | None = None
    """Of a trace: where, such as to-endpoint or from-network."""
    state: str | None = None
    """Of a trace: new, established, reply, related."""
    endpoint_id: int | None = None
    """The local endpoint of a verdict; where a drop, trace or L7 record goes; 0 is none of this node."""
    from_endpoint_id: int | None = None
    source_identity: int | None = None
    destination_identity: int | None = None
    """Of a verdict only the remote one is told: it is the source at ingress, the destination at egress."""
    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    protocol: str | None = None
    tcp_flags: tuple[str, ...] = ()
    interface: str | None = None
    code_place: str | None = None
    """Where in Cilium's source a drop was decided, `bpf_lxc.c:1274`."""
    octets: int | None = None
    cpu: int | None = None
    says: str = ""
    """What else the line says."""
    file: str = ""
    line: int = 0


def identity_number(text: str) -> int | None:
    """The number of an identity that is printed as a number or by its reserved name; None for another name."""
    text = text.strip().removeprefix("reserved:")
    if text.isascii() and text.isdigit() and len(text) < 11:
        return int(text)
    return _NUMBER_OF_NAME.get(text)
