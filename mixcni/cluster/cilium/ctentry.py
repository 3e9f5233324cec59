"""One conntrack entry, in whichever form and release it was printed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Final

from mixcni.cluster.addresses import Address

FLAG_NAMES: Final[Mapping[int, str]] = MappingProxyType({
    0x1: "RxClosing", 0x2: "TxClosing", 0x4: "Nat64", 0x8: "LBLoopback", 0x10: "SeenNonSyn", 0x20: "NodePort",
    0x40: "ProxyRedirect", 0x80: "DSR", 0x100: "FromL7LB", 0x400: "FromTunnel",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class CtEntry:
    """One conntrack entry, in the direction of the connection: source opened it, destination was asked.

    Service entries tell of a client and a virtual address before translation. Up to 1.14 they print as
    `OUT VIP:port -> client:port service`, the reverse of every other line; here every one is client -> VIP with
    direction SVC, as 1.15 prints it. A field that the line does not print is None, never 0.
    """

    SHOWN: ClassVar = ("flag_names",)

    protocol: str
    direction: str
    """IN: the receiving endpoint's entry. OUT: the local opener's. SVC: the load balancer's."""
    source: Address | None
    """None where it is masked or, in the form with one address, not printed; `extra` has the text."""
    source_port: int | None
    """For ICMP the echo identifier if a request was seen, 0 if the entry was made by a reply."""
    destination: Address | None
    destination_port: int | None
    related: bool = False
    """An ICMP error that belongs to a connection."""
    service: bool = False
    expires: int | None = None
    """On the node's own clock since boot: seconds, or units of 256 jiffies."""
    remaining: int | None = None
    """Until `expires`, in seconds when dumped; below 0: not collected yet (`ct list -d`)."""
    packets: int | None = None
    bytes: int | None = None
    rx_packets: int | None = None
    rx_bytes: int | None = None
    rx_flags_seen: int | None = None
    """TCP flags seen towards the endpoint, ORed (RFC 9293 section 3.1: FIN 1, SYN 2, RST 4, PSH 8, ACK 16)."""
    last_rx_report: int | None = None
    """On the clock of `expires`; 0: none was ever seen."""
    tx_packets: int | None = None
    tx_bytes: int | None = None
    tx_flags_seen: int | None = None
    last_tx_report: int | None = None
    flags: int | None = None
    """Bits of FLAG_NAMES."""
    rev_nat: int | None = None
    source_security_id: int | None = None
    """IN: the source's identity when the entry was made. OUT: the local endpoint's own."""
    if_index: int | None = None
    backend_id: int | None = None
    nat_port: int | None = None
    truncated: bool = False
    """The line was cut; what it would have printed further on is None."""
    extra: tuple[tuple[str, str], ...] = ()
    """Keys that mixcni does not know, and addresses that are no addresses, as printed."""
    file: str = ""
    line: int = 0

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The names of the bits set in `flags`."""
        return tuple(name for bit, name in FLAG_NAMES.items() if (self.flags or 0) & bit)


def as_connection(entry: CtEntry, source: str, destination: str) -> CtEntry:
    """`entry` as this module promises it: service entries from client to VIP, texts that are no addresses kept."""
    extra = entry.extra
    if entry.source is None and source:
        extra = (*extra, ("source", source))
    if entry.destination is None and destination:
        extra = (*extra, ("destination", destination))
    entry = replace(entry, extra=extra)
    if not (entry.service or entry.direction == "SVC"):
        return entry
    if entry.direction != "SVC":
        swapped = {"source": "destination", "destination": "source"}
        entry = replace(
            entry,
            direction="SVC",
            source=entry.destination,
            source_port=entry.destination_port,
            destination=entry.source,
            destination_port=entry.source_port,
            extra=tuple((swapped.get(key, key), text) for key, text in extra),
        )
    if entry.rx_packets == 0 and entry.rx_bytes:
        # 1.11 to 1.15 keep the backend's id where the octets are counted.
        entry = replace(entry, backend_id=entry.rx_bytes, rx_bytes=None)
    return replace(entry, service=True)
