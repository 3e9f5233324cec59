"""Retis: packets on their way through the kernel, and drops with their reasons, as `retis collect` and `retis print` show them.

An event in text is a line that begins with a time, and indented lines below it: the packet, conntrack, a stack. In JSON it is
an object with a section a collector; times are the kernel's monotonic clock, and the first event may say how far that is
from the Unix epoch.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.packets import flags_of_bits, flags_of_letters, packet_of_octets, protocol_of
from mixcni.cluster.events.times import time_of
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, not_read
from mixcni.cluster.kind import Kind

_HEAD = re.compile(
    r"(\d{1,20}|\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d| UTC)?) (?:\(\d+\) )?"
    r"(?:\[([^\]]{0,40})\] (?:(\d{1,10}) )?)?\[(\w{1,6})\] (\S+)(.*)",
    re.ASCII,
)
_DROP = re.compile(r"\bdrop \((?:reason )?([\w/: .-]{1,80})\)")
_ADDRESS = r"(\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*)(?:\.(\d{1,5}))?"
_PACKET = re.compile(rf"(?:^|\s){_ADDRESS} > {_ADDRESS}(?=\s|$)", re.ASCII)
_PROTO = re.compile(r"\bproto (\w+) \((\d{1,3}|0x[0-9a-f]{1,2})\)")
_FLAGS = re.compile(r"\bflags \[([FSRP.UEWe]{0,9})\]")
_NETNS = re.compile(r"\bns (?:0x[0-9a-f]+/)?(\d{1,20})")
_INTERFACE = re.compile(r"\bif (\d{1,10})(?: \(([^)\s]{1,40})\))?")
_NAMES: Final = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "icmpv6": "ICMPv6", "ipv6-icmp": "ICMPv6", "sctp": "SCTP"}
MAX_LINES: Final = 200  # of one event: a stack trace and a few lines of packet


@dataclass(frozen=True, slots=True, kw_only=True)
class RetisEvent:
    """One event of one packet."""

    time_ns: int | None = None
    """Since the Unix epoch; None where only the kernel's own clock is told."""
    when: str = ""
    """As printed: nanoseconds of the kernel's monotonic clock, or a time."""
    probe: str = ""
    """Where in the kernel, such as skb:kfree_skb."""
    drop_reason: str | None = None
    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    protocol: str | None = None
    tcp_flags: tuple[str, ...] = ()
    netns: str | None = None
    interface: str | None = None
    process: str | None = None
    says: str = ""
    file: str = ""
    line: int = 0

    @property
    def is_drop(self) -> bool:
        """Whether the kernel dropped the packet here."""
        return self.drop_reason is not None


def read_retis(section: Section) -> Parsed:
    """The events of Retis in text."""
    events: list[RetisEvent] = []
    unparsed: list[Unparsed] = []
    for number, head, lines in _records(section, unparsed):
        events.append(RetisEvent(**_text_fields(head, lines, section.addresses), file=section.file, line=number))
    return Parsed(events, unparsed)


def _records(section: Section, unparsed: list[Unparsed]) -> Iterator[tuple[int, re.Match[str], list[str]]]:
    """The first line of each event and what stands below it; lines above all events go to `unparsed`."""
    head: re.Match[str] | None = None
    at, below = 0, list[str]()
    for number, line in section.numbered():
        match = _HEAD.match(line.strip())
        if match is not None:
            if head is not None:
                yield at, head, below
            head, at, below = match, number, []
        elif head is not None and len(below) < MAX_LINES and (line[:1] == " " or line.startswith(("+", "ns ", "if "))):
            below.append(line.strip())
        else:
            unparsed.append(Unparsed(number, line, "no event of Retis: wanted a time and a probe"))
    if head is not None:
        yield at, head, below


def _text_fields(head: re.Match[str], below: Sequence[str], book: AddressBook) -> dict[str, Any]:
    when = head[1]
    drop = _DROP.search(head[6]) or next((match for line in below if (match := _DROP.search(line[:400]))), None)
    found: dict[str, Any] = {
        "time_ns": time_of(when.replace(" UTC", "Z")),
        "when": when,
        "probe": head[5],
        "process": head[2] or None,
        "drop_reason": drop[1].removeprefix("SKB_DROP_REASON_") if drop else None,
    }
    for line in (whole[:600] for whole in below):
        if (match := _PACKET.search(line)) and "source" not in found:
            found |= {
                "source": book[match[1]],
                "source_port": _port(match[2]),
                "destination": book[match[3]],
                "destination_port": _port(match[4]),
            }
        if (match := _PROTO.search(line)) and "protocol" not in found:
            found["protocol"] = _NAMES.get(match[1].lower(), match[1])
        if (match := _FLAGS.search(line)) and "tcp_flags" not in found:
            found["tcp_flags"] = flags_of_letters(match[1])
        if (match := _NETNS.search(line)) and "netns" not in found:
            found["netns"] = match[1]
        if (match := _INTERFACE.search(line)) and "interface" not in found:
            found["interface"] = match[2] or match[1]
    return found


def _port(text: str | None) -> int | None:
    return int(text) if text and int(text) <= 0xFFFF else None


def read_retis_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The events of Retis as it stores them, one object a line."""
    events: list[RetisEvent] = []
    unparsed: list[Unparsed] = []
    offset: int | None = None
    for record in records:
        value = a_mapping(record.value)
        startup = a_mapping(value.get("startup") or value.get("md"))
        if startup:
            offset = _offset(startup) if offset is None else offset
        elif "common" in value or "kernel" in value or "skb-drop" in value:
            events.append(RetisEvent(**_json_fields(value, offset, section.addresses), file=section.file, line=record.line))
        else:
            unparsed.extend(not_read(section, record, "no event of Retis"))
    return Parsed(events, unparsed)


def _offset(startup: Any) -> int | None:
    """Nanoseconds from the monotonic clock to the Unix epoch."""
    offset = a_mapping(startup.get("clock_monotonic_offset"))
    seconds = a_number(offset.get("sec", offset.get("tv_sec")))
    return None if seconds is None else seconds * 1_000_000_000 + (a_number(offset.get("nsec", offset.get("tv_nsec"))) or 0)


def _json_fields(value: Any, offset: int | None, book: AddressBook) -> dict[str, Any]:
    common, kernel = a_mapping(value.get("common")), a_mapping(value.get("kernel"))
    drop, skb, packet = (a_mapping(value.get(name)) for name in ("skb-drop", "skb", "packet"))
    at = a_number(common.get("timestamp"))
    reason, system = a_text(drop.get("drop_reason")), a_text(drop.get("subsys"))
    netns = a_mapping(value.get("netns") or skb.get("ns"))
    device = a_mapping(value.get("dev") or skb.get("dev"))
    found: dict[str, Any] = {
        "time_ns": at + offset if at is not None and offset is not None else None,
        "when": "" if at is None else str(at),
        "probe": a_text(kernel.get("symbol")) or "",
        "process": a_text(a_mapping(common.get("task")).get("comm")),
        "drop_reason": f"{system}/{reason}" if reason and system and system != "core" else reason,
        "netns": next((str(netns[name]) for name in ("inum", "netns", "cookie") if a_number(netns.get(name)) is not None), None),
        "interface": a_text(device.get("name")),
    }
    return found | (_sections(skb, book) or _raw(packet))


def _sections(skb: Any, book: AddressBook) -> dict[str, Any]:
    """The packet as older releases store it, header by header."""
    ip = a_mapping(skb.get("ip"))
    source, destination = a_text(ip.get("saddr")), a_text(ip.get("daddr"))
    if not source or not destination:
        return {}
    tcp, udp = a_mapping(skb.get("tcp")), a_mapping(skb.get("udp"))
    ports = tcp or udp
    return {
        "source": book[source],
        "destination": book[destination],
        "source_port": a_number(ports.get("sport")),
        "destination_port": a_number(ports.get("dport")),
        "protocol": "TCP" if tcp else "UDP" if udp else protocol_of(a_number(ip.get("protocol"))),
        "tcp_flags": flags_of_bits(flags) if (flags := a_number(tcp.get("flags"))) is not None and flags >= 0 else (),
    }


def _raw(packet: Any) -> dict[str, Any]:
    """The packet as newer releases store it, in octets."""
    text = a_text(packet.get("packet") or packet.get("data"))
    if text is None or len(text) > 4096:
        return {}
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return {}
    decoded = packet_of_octets(octets)
    return decoded._asdict() if decoded else {}


KIND: Final = Kind(
    name="retis",
    entry=RetisEvent,
    read=read_retis,
    read_json=read_retis_json,
    rows=r"""
        (?:\d{9,20}|\d{4}-\d\d-\d\d[T ][\d:.]{1,40}\S{0,10})\ (?:\(\d+\)\ )?(?:\[[^\]]*\]\ (?:\d+\ )?)?\[(?:k|kr|tp|r|u)\]\ \S
    """,
    json=r'"kernel"\s*:\s*\{[^{}]*"probe_type"|"skb-drop"\s*:|"skb-tracking"\s*:|"clock_monotonic_offset"\s*:',
    commands=("retis collect", "retis print", "retis sort"),
    quotes_errors=True,
)
