"""The kernel's connection tracking: `conntrack -L` (also -o extended, id, timestamp, and -E) and /proc/net/nf_conntrack.

An entry has two tuples: the connection as its first packet was, and what replies are expected to be. Where they are not each
other turned round, the kernel translates addresses. `[UNREPLIED]` says that no reply came.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.kind import Kind

_PROTOCOLS: Final = {"icmpv6": "ICMPv6"}
_HEAD = re.compile(
    r"(?:\[(\d{1,12}\.\d{1,9})\]\s+)?(?:\[(NEW|UPDATE|DESTROY)\]\s+)?(?:(ipv4|ipv6|unknown)\s+\d{1,3}\s+)?"
    r"(tcp|udp|udplite|icmp|icmpv6|sctp|dccp|gre|unknown)\s+(\d{1,3})\s+(.*)",
    re.ASCII,
)
_SHOWN = re.compile(r"conntrack v\S+ \(conntrack-tools\): (\d{1,12}) flow entries have been")
_PAIR = re.compile(r"([a-z][a-z_-]{0,20})=(\S*)", re.ASCII)
_STATE = re.compile(r"[A-Z][A-Z_0-9]{1,20}", re.ASCII)
_MARK = re.compile(r"\[([A-Z_]{2,20})\]")
_OF_TUPLE: Final = ("src", "dst", "sport", "dport", "type", "code", "id", "packets", "bytes", "srckey", "dstkey", "zone")
MAX_TOKENS: Final = 120  # of one line; real ones have about thirty


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackEntry:
    """One connection as the kernel tracks it."""

    protocol: str
    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    reply_source: Address | None = None
    """Who answers: another than `destination` where the destination is translated, as for a service."""
    reply_source_port: int | None = None
    reply_destination: Address | None = None
    """Whom the answer goes to: another than `source` where the source is translated."""
    reply_destination_port: int | None = None
    state: str | None = None
    """Of TCP and SCTP: SYN_SENT, ESTABLISHED, TIME_WAIT and so on."""
    timeout_s: int | None = None
    """Seconds until the entry goes, unless a packet comes."""
    is_unreplied: bool = False
    is_assured: bool = False
    is_offloaded: bool = False
    """Packets bypass the tracker, so that its counts stand still."""
    packets: int | None = None
    """In the direction of the first packet; None where the kernel does not count."""
    octets: int | None = None
    reply_packets: int | None = None
    reply_octets: int | None = None
    age_s: int | None = None
    """delta-time: seconds since it was made."""
    mark: int | None = None
    zone: int | None = None
    id: int | None = None
    event: str | None = None
    """NEW, UPDATE or DESTROY, where events were shown."""
    extra: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0

    @property
    def is_translated(self) -> bool:
        """Whether an end has another address or port on the other side."""
        forward = (self.source, self.source_port, self.destination, self.destination_port)
        reverse = (self.reply_destination, self.reply_destination_port, self.reply_source, self.reply_source_port)
        return self.reply_source is not None and forward != reverse


def read_conntrack(section: Section) -> Parsed:
    """The entries of a listing."""
    entries: list[ConntrackEntry] = []
    unparsed: list[Unparsed] = []
    shown: int | None = None
    for number, line in section.numbered():
        text = line.strip()
        if match := _SHOWN.match(text):
            shown = (shown or 0) + int(match[1])
            continue
        entry = _entry(text, section.addresses, section.file, number)
        if isinstance(entry, ConntrackEntry):
            entries.append(entry)
        else:
            unparsed.append(Unparsed(number, line, entry))
    partial = None
    if unparsed and entries:
        partial = f"the entry in line {unparsed[0].line} could not be read"
    elif shown is not None and shown > len(entries):
        partial = f"conntrack says that it showed {shown} entries, and {len(entries)} are here"
    return Parsed(entries, unparsed, partial=partial)


def _entry(text: str, book: AddressBook, file: str, number: int) -> ConntrackEntry | str:
    """The entry of a line, or why it is none."""
    match = _HEAD.match(text)
    if match is None:
        return "wanted a protocol, its number and two tuples"
    tuples: list[dict[str, str]] = []
    rest: dict[str, str] = {}
    marks: set[str] = set()
    found: dict[str, Any] = {"protocol": _PROTOCOLS.get(match[4], match[4].upper()), "event": match[2]}
    if match[4] == "unknown":
        found["protocol"] = match[5]
    if match[1]:
        rest["time"] = match[1]
    for at, token in enumerate(match[6].split(maxsplit=MAX_TOKENS)[:MAX_TOKENS]):
        pair = _PAIR.fullmatch(token)
        if pair is not None:
            name, value = pair.groups()
            if name == "src":
                tuples.append({})
            (tuples[-1] if _is_of_tuple(name, tuples) else rest)[name] = value
        elif mark := _MARK.fullmatch(token):
            marks.add(mark[1])
        elif at == 0 and token.isascii() and token.isdigit() and len(token) < 12:
            found["timeout_s"] = int(token)
        elif _STATE.fullmatch(token) and not tuples:
            found["state"] = token
        else:
            rest[f"word {at}"] = token
    if not tuples or "dst" not in tuples[0]:
        return "wanted src= and dst="
    found |= _tuple_fields("", tuples[0], book)
    if len(tuples) > 1:
        found |= _tuple_fields("reply_", tuples[1], book)
    zone = rest.pop("zone", None) or tuples[-1].get("zone") or tuples[0].get("zone")
    found |= {
        "is_unreplied": "UNREPLIED" in marks,
        "is_assured": "ASSURED" in marks,
        "is_offloaded": bool(marks & {"OFFLOAD", "HW_OFFLOAD"}),
        "mark": _number(rest.pop("mark", None)),
        "zone": _number(zone),
        "id": _number(rest.pop("id", None)),
        "age_s": _number(rest.pop("delta-time", None)),
    }
    return ConntrackEntry(**found, extra=tuple(rest.items()), file=file, line=number)


def _is_of_tuple(name: str, tuples: list[dict[str, str]]) -> bool:
    """Whether a key belongs to the tuple that is being read: `id` is ICMP's behind a type, else the entry's own."""
    if not tuples or name not in _OF_TUPLE or name in tuples[-1]:
        return False
    return name != "id" or "type" in tuples[-1]


def _tuple_fields(prefix: str, values: dict[str, str], book: AddressBook) -> dict[str, Any]:
    return {
        f"{prefix}source": book[values["src"]],
        f"{prefix}source_port": _number(values.get("sport")),
        f"{prefix}destination": book[values.get("dst", "")],
        f"{prefix}destination_port": _number(values.get("dport")),
        f"{prefix}packets": _number(values.get("packets")),
        f"{prefix}octets": _number(values.get("bytes")),
    }


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 19 else None


KIND: Final = Kind(
    name="conntrack",
    entry=ConntrackEntry,
    read=read_conntrack,
    rows=r"""
        (?:\[[\d.]+\]\s+)?(?:\[(?:NEW|UPDATE|DESTROY)\]\s+)?(?:(?:ipv[46]|unknown)\ +\d+\ +)?
        (?:tcp|udp|udplite|icmp|icmpv6|sctp|dccp|gre|unknown)\ +\d+\ .*\bsrc=
        |conntrack\ v\S+\ \(conntrack-tools\):
    """,
    commands=("conntrack",),
    files=("nf_conntrack", "nf conntrack", "proc net nf_conntrack"),
    quotes_errors=True,
)
