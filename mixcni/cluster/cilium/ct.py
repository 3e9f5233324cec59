"""`cilium bpf ct list`: the node's connection tracking table, in the text forms of Cilium 1.0 to 1.19.

A line is `PROTO DIR client:port -> server:port [related] [service] key=value ...`; which keys there are depends on the
release. Lines of the two common forms go through one regular expression each; everything else (older keys, lines cut
with `...`, lines that a terminal wrapped) is read token by token, by key.

Read with care: Rx and Tx are relative to the *endpoint*, so an IN entry's Rx are requests and an OUT entry's Rx are
replies; from 1.16 on packets and bytes are 0 unless accounting was switched on; and a flag that was not seen proves
nothing, since the agent may be told to look at SYN, FIN and RST alone.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.cilium.ctentry import FLAG_NAMES, CtEntry, as_connection
from mixcni.cluster.cilium.ctjson import read_ct_json
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange, releases

__all__ = ["FLAG_NAMES", "KIND", "CtEntry", "read_ct"]

# The two forms that most dumps have: Rx and Tx counters (1.6 to 1.15), and one pair of counters (1.16 on).
_INT = r"(\d{1,18})"  # what fits into int64; longer ones are no counter of any kernel
_FLAGS = r"0x([0-9a-f]{1,8})"
_TUPLE = (
    r"(\w+) +(IN|OUT|SVC) +(\S+):(\d{1,5}) -> (\S+):(\d{1,5}) (related )?(service )?"
    rf"expires={_INT}(?: \(remaining: (-?\d{{1,18}}) sec\(s\)\))?"
)
_SEEN = rf"RxFlagsSeen={_FLAGS} LastRxReport={_INT}"
_SENT = rf"TxFlagsSeen={_FLAGS} LastTxReport={_INT}"
_STATE = rf"Flags={_FLAGS} \[ (?:[\w=]+ )*\] RevNAT={_INT} SourceSecurityID={_INT}"
_TWO_COUNTERS = re.compile(
    rf"{_TUPLE} RxPackets={_INT} RxBytes={_INT} {_SEEN} TxPackets={_INT} TxBytes={_INT} {_SENT} {_STATE}"
    rf"(?: IfIndex={_INT})? *",
    re.ASCII,
)
_ONE_COUNTER = re.compile(
    rf"{_TUPLE} Packets={_INT} Bytes={_INT} {_SEEN} {_SENT} {_STATE}"
    rf"(?: IfIndex={_INT})?(?: BackendID={_INT})?(?: NatPort={_INT})? *",
    re.ASCII,
)

_TWO_KEYS = ("RxPackets", "RxFlagsSeen", "SourceSecurityID")
_ONE_KEYS = ("Packets", "SourceSecurityID", "IfIndex", "NatPort")

_START = re.compile(r"\s*(TCP|UDP|ICMP|ICMPv6|SCTP|IGMP|VRRP|ANY|\d{1,3})\s+(IN|OUT|SVC)(?:\s+|$)")
_REMAINING = re.compile(r"\(remaining: (-?\d+) sec\(s\)\)")
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]{1,8}", re.ASCII)
_KEY_VALUE = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII)

_FIELD_OF_KEY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "expires": "expires",
        "remaining": "remaining",
        "Packets": "packets",
        "Bytes": "bytes",
        "RxPackets": "rx_packets",
        "rx_packets": "rx_packets",
        "RxBytes": "rx_bytes",
        "rx_bytes": "rx_bytes",
        "RxFlagsSeen": "rx_flags_seen",
        "LastRxReport": "last_rx_report",
        "TxPackets": "tx_packets",
        "tx_packets": "tx_packets",
        "TxBytes": "tx_bytes",
        "tx_bytes": "tx_bytes",
        "TxFlagsSeen": "tx_flags_seen",
        "LastTxReport": "last_tx_report",
        "Flags": "flags",
        "flags": "flags",
        "RevNAT": "rev_nat",
        "revnat": "rev_nat",
        "SourceSecurityID": "source_security_id",
        "src_sec_id": "source_security_id",
        "IfIndex": "if_index",
        "BackendID": "backend_id",
        "NatPort": "nat_port",
    }
)
_HEX_FIELDS = frozenset({"rx_flags_seen", "tx_flags_seen", "flags"})
_WHOLE_WORDS = frozenset({"[", "]", "->", "related", "service", "(remaining:", *FLAG_NAMES.values(), "DSRInternal"})
_REST = re.compile(r"\s*(?:[A-Za-z]*=)?\d{1,18}\.*(?:\s+(?:IfIndex|BackendID|NatPort)=\d{1,18}\.*)*\s*", re.ASCII)
"""What a terminal may have broken off behind the identity, which every release prints but not last."""
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_TWO_PORTS = re.compile(r"\d{1,5}:\d{1,5}", re.ASCII)
_MAX_WRAPPED_LINES = 20  # a line of 330 characters on a terminal of 20 columns
_MAX_LINE = 2000  # characters; a longer line is nothing that a terminal wrapped


def read_ct(section: Section) -> Parsed:
    """The entries of a conntrack dump; lines that are none are kept as unparsed."""
    entries: list[CtEntry] = []
    unparsed: list[Unparsed] = []
    keys: set[str] = set()
    forms: set[tuple[str, ...]] = set()
    file, book, lines = section.file, section.addresses, section.lines
    lost = 0
    at = 0
    while at < len(lines):
        text, number = lines[at], section.first_line + at
        at += 1
        if not text:
            continue
        is_broken = at < len(lines) and _REST.fullmatch(lines[at])
        if not is_broken and (match := _TWO_COUNTERS.fullmatch(text)):
            entries.append(_two_counters(match, file, number, book))
            forms.add((*_TWO_KEYS, match[2], "remaining" if match[10] else "", "IfIndex" if match[22] else ""))
        elif not is_broken and (match := _ONE_COUNTER.fullmatch(text)):
            entries.append(_one_counter(match, file, number, book))
            forms.add(tuple(key for key, text in zip(_ONE_KEYS, match.group(11, 19, 20, 22), strict=True) if text is not None))
        elif _START.match(text):
            whole, end = _unwrapped(text, lines, at)
            found = _read_tokens(whole, file, number, book, keys)
            if isinstance(found, CtEntry):
                entries.append(found)
                at = end
            else:
                unparsed.append(Unparsed(number, text, found))
                lost = lost or number
        else:
            unparsed.append(Unparsed(number, text, "it does not begin with protocol, direction and addresses"))
    partial = None
    if entries and entries[-1].truncated:
        partial = "its last line ends in dots: more may have stood below"
    elif lost:
        partial = f"the entry in line {lost} could not be read"
    elif masked := next((entry.line for entry in entries if entry.source is None or entry.destination is None), None):
        partial = f"an address in line {masked} is masked or not printed"
    return Parsed(entries, unparsed, _version(keys.union(*forms)), partial=partial)


def _two_counters(match: re.Match[str], file: str, number: int, book: AddressBook) -> CtEntry:
    g = match.groups()
    entry = CtEntry(
        g[0], g[1], book[g[2]], int(g[3]), book[g[4]], int(g[5]), g[6] is not None, g[7] is not None, int(g[8]),
        None if g[9] is None else int(g[9]), None, None, int(g[10]), int(g[11]), int(g[12], 16), int(g[13]), int(g[14]),
        int(g[15]), int(g[16], 16), int(g[17]), int(g[18], 16), int(g[19]), int(g[20]),
        None if g[21] is None else int(g[21]), None, None, False, (), file, number,
    )  # fmt: skip
    return as_connection(entry, g[2], g[4]) if _is_special(entry) else entry


def _one_counter(match: re.Match[str], file: str, number: int, book: AddressBook) -> CtEntry:
    g = match.groups()
    entry = CtEntry(
        g[0], g[1], book[g[2]], int(g[3]), book[g[4]], int(g[5]), g[6] is not None, g[7] is not None, int(g[8]),
        None if g[9] is None else int(g[9]), int(g[10]), int(g[11]), None, None, int(g[12], 16), int(g[13]), None, None,
        int(g[14], 16), int(g[15]), int(g[16], 16), int(g[17]), int(g[18]), None if g[19] is None else int(g[19]),
        None if g[20] is None else int(g[20]), None if g[21] is None else int(g[21]), False, (), file, number,
    )  # fmt: skip
    return as_connection(entry, g[2], g[4]) if _is_special(entry) else entry


def _is_special(entry: CtEntry) -> bool:
    return entry.service or entry.direction == "SVC" or entry.source is None or entry.destination is None


def _unwrapped(text: str, lines: Sequence[str], at: int) -> tuple[str, int]:
    """`text` with the lines below that a terminal broke off it, and the index of the next line."""
    start = at
    while at < len(lines) and at - start < _MAX_WRAPPED_LINES and len(text) < _MAX_LINE:
        more = lines[at]
        if not more or _START.match(more) or not (_is_unfinished(text) or _REST.fullmatch(more)):
            break
        text = _joined(text, more)
        at += 1
    return text, at


def _joined(text: str, more: str) -> str:
    """Two halves of a broken line, with the blank between them that the break may have swallowed."""
    last, first = text.rsplit(maxsplit=1)[-1], more.split(maxsplit=1)[0]
    if more[0] == " " or text[-1] == " " or last in _WHOLE_WORDS or last in ("IN", "OUT", "SVC"):
        return f"{text} {more.lstrip()}"
    is_word = first in _WHOLE_WORDS or _is_field(first)
    # `Rx` and `Packets=1` are two words or one: one, for no release prints a word without a value there.
    is_within = not is_word or ("=" not in last and _is_field(last + first))
    return text + more if is_within else f"{text} {more}"


def _is_field(token: str) -> bool:
    key = _KEY_VALUE.fullmatch(token)
    return key is not None and key[1] in _FIELD_OF_KEY


def _is_unfinished(text: str) -> bool:
    """Whether a line lacks what every release prints near its end."""
    return "..." not in text and not re.search(r"(?:SourceSecurityID|src_sec_id)=\d", text)


def _read_tokens(text: str, file: str, number: int, book: AddressBook, keys: set[str]) -> CtEntry | str:
    """The entry in one line of any release, by its keys; or why there is none."""
    note = text.find(" #")
    text = _REMAINING.sub(r"remaining=\1", text if note < 0 else text[:note])
    tokens = text.split()
    keys.add(tokens[1])
    ends = _connection(tokens)
    if ends is None:
        return "its addresses and ports are not as in any release"
    source, source_port, destination, destination_port, extra, used = ends
    values: dict[str, int] = {}
    truncated = text.rstrip().endswith(("...", "\u2026"))
    for token in tokens[used:]:
        match = _KEY_VALUE.fullmatch(token)
        if match is None:
            if token not in _WHOLE_WORDS and not token.startswith(".") and not truncated:
                extra.append(("", token))
            continue
        name = _FIELD_OF_KEY.get(match[1])
        keys.add(match[1])
        if name is None:
            extra.append((match[1], match[2]))
        elif (value := _number(match[2], name in _HEX_FIELDS)) is not None and (value >= 0 or name == "remaining"):
            values[name] = value
        elif not truncated:
            extra.append((match[1], match[2]))
    if not values:
        return "it has none of the fields of a conntrack entry"
    entry = CtEntry(
        tokens[0], tokens[1], book[source], source_port, book[destination], destination_port, "related" in tokens,
        "service" in tokens, truncated=truncated, extra=tuple(extra), file=file, line=number, **values,
    )  # fmt: skip
    return as_connection(entry, source, destination) if _is_special(entry) else entry


def _connection(tokens: Sequence[str]) -> tuple[str, int | None, str, int | None, list[tuple[str, str]], int] | None:
    """Source, its port, destination, its port, what else was printed, and how many tokens that took; or None.

    Maps of one endpoint (and all maps before 1.3) print one address, the peer's, with two ports whose order the
    releases got wrong in several ways: they stay text.
    """
    if len(tokens) >= 5 and tokens[3] in ("->", "\u2192", "-&gt;"):
        source, _, source_port = tokens[2].rpartition(":")
        destination, _, destination_port = tokens[4].rpartition(":")
        if source and destination and _PORT.fullmatch(source_port) and _PORT.fullmatch(destination_port):
            return source, int(source_port), destination, int(destination_port), [], 5
        return None
    if len(tokens) >= 4 and _TWO_PORTS.fullmatch(tokens[3]):
        peer = tokens[2]
        source, destination = (peer, "") if tokens[1] == "IN" else ("", peer)
        return source, None, destination, None, [("ports", tokens[3])], 4
    return None


def _number(text: str, is_hex: bool = False) -> int | None:
    """The number that `text` is, with the dots of a cut line taken off; None if it is none."""
    text = text.rstrip(".\u2026,")
    if is_hex:
        return int(text, 16) if _HEX.fullmatch(text) else None
    return int(text) if _NUMBER.fullmatch(text) else None


def _version(keys: set[str]) -> VersionRange | None:
    """The releases that print these keys and directions. Keys that are not there count only if no line was cut before them."""
    is_whole = not keys.isdisjoint({"SourceSecurityID", "src_sec_id"})
    if "NatPort" in keys:
        return releases(19)
    if "Packets" in keys:
        return releases(16, 17) if "IfIndex" in keys else releases(18, 18) if is_whole else releases(16)
    if "rx_packets" in keys:
        return releases(0, 2)
    if "Slave" in keys:
        return releases(4, 5)
    if "RxPackets" not in keys:
        return None
    if "IfIndex" in keys:
        return releases(15 if "SVC" in keys else 10 if "remaining" in keys else 8, 15)
    if "RxFlagsSeen" in keys:
        return releases(6, 7) if is_whole else releases(4, 15)
    return releases(3, 3) if is_whole else releases(3, 15)


KIND: Final = Kind(
    name="ct",
    entry=CtEntry,
    read=read_ct,
    read_json=read_ct_json,
    rows=r"(?:TCP|UDP|ICMP|ICMPv6|SCTP|IGMP|VRRP|ANY|\d{1,3})\ +(?:IN|OUT|SVC)\ +\S*[\d\].:x]",
    json=r'"RxFlagsSeen"|"TxFlagsSeen"|"SourceSecurityID"|"Lifetime"',
    commands=("bpf ct list", "cilium_ct"),
    files=("ct list",),
    errors=("unknown type",),
)
