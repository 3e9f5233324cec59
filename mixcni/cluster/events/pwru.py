"""pwru: which kernel functions a packet passed, and where and why the kernel dropped it.

Text has a column a fact, chosen by options: what a value is is told by its form, not its place. A row is a drop where its
function is one that frees a dropped packet, with the reason in parentheses (Linux, include/net/dropreason-core.h).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.lost import TABLE, LostEvents
from mixcni.cluster.events.packets import parse_end, protocol_of
from mixcni.cluster.events.times import time_of
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records
from mixcni.cluster.kind import Kind

_TUPLE = re.compile(r"(?<!\S)(\S{1,80}?)->(\S{1,80})\((\w{1,10})(?::([^)]{0,60}))?\)", re.ASCII)
_FUNC = re.compile(r"([A-Za-z_][\w.]*)\s?(?:\(([A-Z_0-9]+|\d+)\))?(?!\S)", re.ASCII)
_PAIR = re.compile(r"\b(netns|mark|ifindex|if|len)=(\S+)")
_ROW = re.compile(r"(?:(\S+T\S+|\d\d:\d\d:\d\d\.\d+) +)?(0x[0-9a-f]{4,16}) +(\d{1,5}) +(.*)", re.ASCII)
_DROPS: Final = frozenset({"kfree_skb_reason", "sk_skb_reason_drop", "kfree_skb", "kfree_skb_list_reason"})
_LOST = re.compile(r"(?:Perf event ring buffer full, dropped|lost) (\d{1,18}) (?:samples|events)", re.IGNORECASE)
_PROCESS = re.compile(r"(?:~?[^\s:]{0,40}|<empty>):?\(?\d{1,10}\)?|\[[^\]]{1,60}\]|<empty>")
_STACK = re.compile(r"[A-Za-z_.][\w.]*(?:\+0x[0-9a-f]+)?(?:\t| +\[[^\]]*\])?\s*|0x[0-9a-f]+", re.ASCII)
_SKB_TEXT = re.compile(r"\(struct [a-z_]+\)|[{}]|\s*\.\w+ = ")


@dataclass(frozen=True, slots=True, kw_only=True)
class PwruEvent:
    """One kernel function that a packet passed."""

    time_ns: int | None = None
    """Since the Unix epoch; pwru prints none that names its zone, so that it stays None in text."""
    when: str = ""
    """As printed: a local time, or nanoseconds since the boot or since the packet's last event."""
    skb: str = ""
    """The address of the packet's buffer: the same for all events of one packet, until it is freed."""
    function: str = ""
    drop_reason: str | None = None
    """Without SKB_DROP_REASON_; None where the packet was not dropped here."""
    source: Address | None = None
    source_port: int | None = None
    destination: Address | None = None
    destination_port: int | None = None
    protocol: str | None = None
    tcp_flags: tuple[str, ...] = ()
    netns: str | None = None
    interface: str | None = None
    mark: str | None = None
    octets: int | None = None
    process: str | None = None
    cpu: int | None = None
    says: str = ""
    """The caller, where it is printed."""
    file: str = ""
    line: int = 0

    @property
    def is_drop(self) -> bool:
        """Whether the kernel dropped the packet here; freeing one that was consumed is none."""
        return self.drop_reason is not None and self.drop_reason not in ("NOT_DROPPED_YET", "SKB_CONSUMED", "CONSUMED")


def read_pwru(section: Section) -> Parsed:
    """The events of pwru in text."""
    events: list[PwruEvent] = []
    lost: list[LostEvents] = []
    unparsed: list[Unparsed] = []
    titles: list[str] = []
    for number, line in section.numbered():
        text = line.strip()
        if match := _LOST.search(text[:400]):
            lost.append(LostEvents("pwru", int(match[1]), section.node, is_timed=False, file=section.file, line=number))
        elif match := _ROW.fullmatch(text):
            events.append(PwruEvent(**_fields(match, titles, section.addresses), file=section.file, line=number))
        elif "FUNC" in text[:400].split() and "SKB" in text[:400].split():
            titles = text.replace("NETNS NAME", "NETNS_NAME").split()
        elif not (events and (_STACK.fullmatch(text[:300]) or _SKB_TEXT.match(text))):
            unparsed.append(Unparsed(number, line, "no event of pwru: wanted the address of a buffer, a CPU and a function"))
    return Parsed(events, unparsed, extras=lost)


def _fields(match: re.Match[str], titles: list[str], book: AddressBook) -> dict[str, Any]:
    when, skb, cpu, rest = match.groups()
    found: dict[str, Any] = {"when": when or "", "skb": skb, "cpu": int(cpu), "time_ns": time_of(when) if when else None}
    ends = _TUPLE.search(rest)
    before = rest if ends is None else rest[: ends.start()]
    if ends is not None:
        found |= _tuple_fields(ends, book)
    before = before.lstrip()
    process = _PROCESS.match(before)
    if process is not None and process[0]:
        found["process"] = process[0]
        before = before[process.end() :]
    words = before.split()
    if "TIMESTAMP" in titles and words and words[0].isdigit():
        first = words.pop(0)
        found["when"] = when or first
    pairs = dict(_PAIR.findall(before))
    if pairs:
        found |= {"netns": pairs.get("netns"), "mark": pairs.get("mark"), "interface": pairs.get("ifindex", pairs.get("if"))}
        found["octets"] = _number(pairs.get("len"))
    elif len(words) >= 6 and words[0].isdigit():
        found |= {"netns": words[0], "mark": words[1], "interface": words[2], "octets": _number(words[5])}
    behind = "" if ends is None else rest[ends.end() :].strip()
    # Old releases print the function before the tuple, and without a tuple it stands there as well.
    return found | (_function_fields(behind) if behind else _function_among(words))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 11 else None


def _function_among(words: list[str]) -> dict[str, Any]:
    """The function in a row's other columns: the last word that is a name and no interface's, the first in the old form."""
    names = [at for at, word in enumerate(words) if _FUNC.fullmatch(word) and not word.isdigit()]
    if not names:
        return {"function": ""}
    at = names[0] if any("=" in word for word in words) else names[-1]
    return _function_fields(" ".join(words[at : at + 2]) if words[at + 1 : at + 2] and words[at + 1][0] == "(" else words[at])


def _tuple_fields(ends: re.Match[str], book: AddressBook) -> dict[str, Any]:
    source, destination = parse_end(ends[1], book), parse_end(ends[2], book)
    protocol = {"tcp": "TCP", "udp": "UDP", "icmp": "ICMP", "icmp6": "ICMPv6", "sctp": "SCTP"}.get(ends[3].lower(), ends[3])
    has_ports = protocol in ("TCP", "UDP", "SCTP")
    return {
        "source": source.address,
        "source_port": source.port if has_ports else None,
        "destination": destination.address,
        "destination_port": destination.port if has_ports else None,
        "protocol": protocol,
        "tcp_flags": _flags(ends[4]),
    }


def _flags(text: str | None) -> tuple[str, ...]:
    return tuple(flag.upper() for flag in re.split(r"[|,\s]+", text) if flag) if text else ()


def _function_fields(text: str) -> dict[str, Any]:
    text = text.strip().removesuffix("(tc)").removesuffix("(xdp)")
    match = _FUNC.match(text)
    if match is None:
        return {"function": text}
    reason = match[2]
    if match[1] not in _DROPS:
        reason = None
    return {
        "function": match[1],
        "drop_reason": reason.removeprefix("SKB_DROP_REASON_").removeprefix("SKB_") if reason else None,
        "says": text[match.end() :].strip(),
    }


def read_pwru_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The events of `pwru --output-json`."""

    def entries_of(record: Record) -> Iterable[PwruEvent] | str:
        value = a_mapping(record.value)
        function = a_text(value.get("func"))
        if function is None:
            return "no event of pwru: wanted an object with a func"
        return (PwruEvent(**_json_fields(value, function, section.addresses), file=section.file, line=record.line),)

    return read_records(section, records, entries_of)


def _json_fields(value: Any, function: str, book: AddressBook) -> dict[str, Any]:
    when = value.get("time")
    ends = a_mapping(value.get("tuple"))
    found: dict[str, Any] = {
        "time_ns": time_of(when) if isinstance(when, str) else None,
        "when": str(when) if isinstance(when, str | int) else "",
        "skb": a_text(value.get("skb")) or "",
        "process": a_text(value.get("process")),
        "cpu": a_number(value.get("cpu")),
        "netns": str(value["netns"]) if a_number(value.get("netns")) is not None else None,
        "interface": a_text(value.get("iface")),
        "mark": f"{mark:x}" if (mark := a_number(value.get("mark"))) is not None and mark >= 0 else None,
        "octets": a_number(value.get("len")),
        **_function_fields(function),
    }
    if caller := a_text(value.get("caller_func")):
        found["says"] = caller
    if ends:
        protocol = protocol_of(a_number(ends.get("proto")))
        has_ports = protocol in ("TCP", "UDP", "SCTP")
        for side, address, port in (("source", "saddr", "sport"), ("destination", "daddr", "dport")):
            text = a_text(ends.get(address))
            found[side] = book[text] if text else None
            found[f"{side}_port"] = a_number(ends.get(port)) if has_ports else None
        found |= {"protocol": protocol, "tcp_flags": _flags(a_text(ends.get("flags")))}
    return found


KIND: Final = Kind(
    name="pwru",
    entry=PwruEvent,
    read=read_pwru,
    read_json=read_pwru_json,
    extras=((TABLE, LostEvents),),
    titles=r"(?:TIME\ )?SKB\ .*\bFUNC\b",
    rows=r"(?:\S+T\S+\ +|[\d:.]+\ +)?0x[0-9a-f]{8,16}\ +\d{1,5}\ +(?:\S+:\d+|~|<empty>|\[)",
    json=r'"skb"\s*:\s*"0x[^{}]*"func"\s*:',
    quotes_errors=True,
)
