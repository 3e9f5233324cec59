"""What the dumps say of one connection: who its ends are, and what conntrack, NAT and policy maps have of it.

A look-up, not a diagnosis: each line is one dump's word, with its place. What no dump says is said to be unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from mixcni.cluster.addresses import Address, parse_address
from mixcni.cluster.cilium.ctentry import CtEntry
from mixcni.cluster.cilium.egress import EgressEntry
from mixcni.cluster.cilium.endpoints import Endpoint
from mixcni.cluster.cilium.ipmasq import IpmasqEntry
from mixcni.cluster.cilium.nat import NatEntry
from mixcni.cluster.policy import protocol_name
from mixcni.cluster.state import ClusterState
from mixcni.errors import ParameterError

_END: Final = r"(?:\[([^\]]{2,64})\]|([^\s\[\]-]{2,64}?))(?::(\d{1,5}))?"
_FLOW: Final = re.compile(rf"{_END}\s*(?:->|-|>|\s)\s*{_END}(?:/([A-Za-z]\w{{1,7}}))?", re.ASCII)


class End(NamedTuple):
    """An address, and a port if one is given."""

    address: Address
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return str(self.address) if self.port is None else f"{host}:{self.port}"


class Flow(NamedTuple):
    """A connection that is asked for."""

    source: End
    destination: End
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.protocol} {self.source} -> {self.destination}"


@dataclass(frozen=True, slots=True)
class Saying:
    """What one dump says of a connection."""

    topic: str
    """source, destination, service, ct, nat, egress, policy_ingress or policy_egress."""
    says: str
    file: str | None = None
    line: int | None = None
    node: str | None = None


def parse_flow(text: str) -> Flow:
    """The connection that `10.0.0.1:1234-10.0.0.2:80`, `[fd00::1]:1234-[fd00::2]:80` or `...:53/UDP` names.

    Raises
    ------
    ParameterError : `text` is of no such form
    """
    match = _FLOW.fullmatch(text.strip())
    ends = [] if match is None else [_end(match[1] or match[2], match[3]), _end(match[4] or match[5], match[6])]
    source, destination = ends if len(ends) == 2 else (None, None)
    if match is None or source is None or destination is None:
        raise ParameterError(f"flow: wanted 10.0.0.1:1234-10.0.0.2:80, ports and /UDP may be added, found {text!r}")
    return Flow(source, destination, (match[7] or "TCP").upper())


def _end(address: str, port: str | None) -> End | None:
    parsed = parse_address(address)
    number = None if port is None else int(port)
    return None if parsed is None or (number or 0) > 0xFFFF else End(parsed, number)


def look_up_flow(state: ClusterState, flow: Flow) -> list[Saying]:
    """Everything that the dumps say of a connection."""
    return [
        *_who(state, "source", flow.source),
        *_who(state, "destination", flow.destination),
        *_services(state, flow),
        *_conntrack(state, flow),
        *_nat(state, flow),
        *_ways_out(state, flow),
        *_policy(state, flow, "egress"),
        *_policy(state, flow, "ingress"),
    ]


def _who(state: ClusterState, topic: str, end: End) -> Iterator[Saying]:
    owners = state.owners_of(end.address)
    for owner in owners:
        yield Saying(topic, f"{end.address} is {owner}", owner.file, owner.line, state.node_of(owner))
    if not owners:
        yield Saying(topic, f"no dump names {end.address}")
    answer = state.identity_of(end.address)
    yield Saying(topic, answer.says, answer.file, answer.line)
    if answer.identity is not None and (labels := state.labels_of(answer.identity)):
        yield Saying(topic, f"identity {answer.identity} stands for {', '.join(labels)}")


def _services(state: ClusterState, flow: Flow) -> Iterator[Saying]:
    for service in state.services_at(flow.destination.address, flow.destination.port):
        backends = ", ".join(map(str, service.backends)) or "no backend: nothing can answer"
        node = state.node_of(service)
        yield Saying("service", f"{flow.destination} is a service with {backends}", service.file, service.line, node)


def _conntrack(state: ClusterState, flow: Flow) -> Iterator[Saying]:
    found = [entry for entry in state.conntrack_with(flow.source.address) if _is_of(entry, flow)]
    for entry in found:
        yield Saying("ct", _conntrack_words(entry), entry.file, entry.line, state.node_of(entry))
    if found:
        return
    dumps = [dump for dump in state.dumps if dump.kind == "ct"]
    for dump in dumps:
        why = dump.unavailable or dump.partial
        says = "has no entry of it" if why is None else f"has no entry of it, which proves nothing: {why}"
        yield Saying("ct", f"conntrack {says}", dump.file, dump.line, dump.node)
    if not dumps:
        yield Saying("ct", "no conntrack dump is there")


def _is_of(entry: CtEntry, flow: Flow) -> bool:
    ends = (End(entry.source, entry.source_port) if entry.source else None,
            End(entry.destination, entry.destination_port) if entry.destination else None)  # fmt: skip
    wanted = (flow.source, flow.destination)
    if protocol_name(entry.protocol) != protocol_name(flow.protocol):
        return False
    return any(all(_fits(own, its) for own, its in zip(pair, wanted, strict=True)) for pair in (ends, ends[::-1]))


def _fits(own: End | None, wanted: End) -> bool:
    return own is not None and own.address == wanted.address and wanted.port in (None, own.port)


def _conntrack_words(entry: CtEntry) -> str:
    words = [f"{entry.direction} {entry.source}:{entry.source_port} -> {entry.destination}:{entry.destination_port}"]
    if entry.flag_names:
        words.append(" ".join(entry.flag_names))
    if entry.direction == "IN":
        to, back = (entry.rx_flags_seen, entry.rx_packets), (entry.tx_flags_seen, entry.tx_packets)
    else:
        to, back = (entry.tx_flags_seen, entry.tx_packets), (entry.rx_flags_seen, entry.rx_packets)
    for name, (flags, packets) in (("requests", to), ("replies", back)):
        seen = [] if packets is None else [f"{packets} packets"]
        seen += [] if flags is None else [f"TCP flags {flags:#04x}"]
        if seen and not entry.service:
            words.append(f"{name}: {', '.join(seen)}")
    if entry.source_security_id:
        words.append(f"source identity {entry.source_security_id}")
    if entry.rev_nat:
        words.append(f"RevNAT {entry.rev_nat}")
    return "; ".join(words)


def _nat(state: ClusterState, flow: Flow) -> Iterator[Saying]:
    found = dict.fromkeys((*state.nat_of(*flow.source), *state.nat_of(*flow.destination)))
    for entry in found:
        if protocol_name(entry.protocol) == protocol_name(flow.protocol) and _is_translated(entry, flow):
            says = (
                f"{entry.direction} {entry.source}:{entry.source_port} -> {entry.destination}:{entry.destination_port}: "
                f"its {'source' if entry.xlate == 'SRC' else 'destination'} becomes {entry.xlate_address}:{entry.xlate_port}"
            )
            yield Saying("nat", says, entry.file, entry.line, state.node_of(entry))


def _ways_out(state: ClusterState, flow: Flow) -> Iterator[Saying]:
    """Whether an egress policy, or the list of networks that are not masqueraded to, says how packets leave the cluster."""
    source, destination = flow.source.address, flow.destination.address
    for row in state.of_type(EgressEntry):
        if row.source == source and destination in row.destination:
            over = {"gateway": f"over the gateway {row.gateway}", "not found": "over a gateway that was not found: dropped",
                    "excluded": "as if there were no egress policy"}[row.way]  # fmt: skip
            becomes = f", its source becomes {row.egress_address}" if row.egress_address is not None else ""
            says = f"to {row.destination} it leaves {over}{becomes}"
            yield Saying("egress", says, row.file, row.line, state.node_of(row))
    for network in state.of_type(IpmasqEntry):
        if destination in network.prefix:
            says = f"to {network.prefix} pods are not masqueraded"
            yield Saying("egress", says, network.file, network.line, state.node_of(network))


def _is_translated(entry: NatEntry, flow: Flow) -> bool:
    """Whether both ends of the connection occur in an entry, as they were or as they are on the wire."""
    ends = [
        (entry.source, entry.source_port),
        (entry.destination, entry.destination_port),
        (entry.xlate_address, entry.xlate_port),
    ]
    return all(
        any(own == end.address and end.port in (None, its) for own, its in ends) for end in (flow.source, flow.destination)
    )


def _policy(state: ClusterState, flow: Flow, direction: str) -> Iterator[Saying]:
    own, peer = (flow.destination, flow.source) if direction == "ingress" else (flow.source, flow.destination)
    endpoint: Endpoint | None = state.endpoint_of(own.address)
    if endpoint is None:
        return
    node = state.node_of(endpoint)
    identity = state.identity_of(peer.address).identity
    word = endpoint.ingress_policy if direction == "ingress" else endpoint.egress_policy
    topic = f"policy_{direction}"
    if word is not None:
        yield Saying(topic, f"endpoint {endpoint.id} has {direction} policy {word}", endpoint.file, endpoint.line, node)
    verdict = state.policy_verdict(endpoint.id, direction, identity, flow.destination.port, flow.protocol, node)
    result = "not decided" if verdict.allowed is None else "allowed" if verdict.allowed else "denied"
    row = verdict.entry
    yield Saying(topic, f"{result}: {verdict.why}", row.file if row else None, row.line if row else None, node)
