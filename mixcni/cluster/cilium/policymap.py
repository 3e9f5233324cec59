"""`cilium bpf policy get`: what one endpoint's policy map lets through.

Columns are told by their titles, so each release's set of them reads alike, aligned or not. With labels, a peer's first
label stands on the row and every further one on a row of its own; with `-n` the peer is a number.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final

from mixcni.cluster.cilium.identities import ANY, is_label, reserved_identity
from mixcni.cluster.cilium.tuples import protocol_of, swapped
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_number, a_text, look_up, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange, releases

PROTOCOL_BITS: Final = 8
PORT_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """One row of a policy map: a peer, a port, and what becomes of packets between them."""

    SHOWN: ClassVar = ("direction", "peer", "ports")

    endpoint_id: int | None
    """Whose map it is, if the dump, its command or its file's name says so."""
    deny: bool
    ingress: bool
    identity: int | None
    """The peer; 0 is everybody. None where labels are given whose number is not the same in every cluster."""
    labels: tuple[str, ...]
    """As printed; empty with `-n` and for the title-less peer ANY."""
    port: int | None
    """First port, or ICMP type; None: all."""
    port_end: int | None
    """Last port, `port` itself for a single one."""
    protocol: str | None
    """TCP, UDP, ICMP ...; None: all."""
    proxy_port: int | None
    """Redirected to the proxy that listens here; None: not redirected."""
    auth: str | None
    """The authentication that is asked for; `disabled` if none is; None before 1.14."""
    bytes: int | None
    packets: int | None
    """Of requests, since the row was made; replies are not counted. None where the map does not count."""
    prefix_length: int | None
    """Of protocol and port in the key: 0 anything, 8 a protocol, 24 a port, between them a range; None before 1.14."""
    cookie: int | None = None
    extra: tuple[tuple[str, str], ...] = ()
    """Cells under titles that mixcni does not know."""
    file: str = ""
    line: int = 0

    @property
    def egress(self) -> bool:
        """Whether it is about what the endpoint sends."""
        return not self.ingress

    @property
    def direction(self) -> str:
        """The word `ingress` or `egress`."""
        return "ingress" if self.ingress else "egress"

    @property
    def specificity(self) -> int:
        """Bits of protocol and port that the row fixes, as `prefix_length` counts them, in any release."""
        if self.prefix_length is not None:
            return self.prefix_length
        if self.port is None:
            return 0 if self.protocol is None else PROTOCOL_BITS
        width = (self.port_end if self.port_end is not None else self.port) - self.port + 1
        return PROTOCOL_BITS + PORT_BITS - (width - 1).bit_length()

    @property
    def peer(self) -> str:
        """The peer in words. Rows print identity 0 as `reserved:unknown` or `ANY`: it is nobody unknown, it is everybody."""
        if self.identity == ANY:
            return "any peer"
        if self.labels:
            return self.labels[0] if len(self.labels) == 1 else f"{self.labels[0]} and {len(self.labels) - 1} more labels"
        return f"identity {self.identity}"

    @property
    def ports(self) -> str:
        """Port and protocol as the command prints them."""
        if self.port is None:
            return self.protocol or "ANY"
        last = "" if self.port_end in (None, self.port) else f"-{self.port_end}"
        return f"{self.port}{last}/{self.protocol or 'ANY'}"


_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "POLICY": "policy",
        "TRAFFIC DIRECTION": "direction",
        "DIRECTION": "direction",
        "LABELS (SOURCE:KEY[=VALUE])": "peer",
        "LABELS": "peer",
        "IDENTITY": "peer",
        "PORT/PROTO": "ports",
        "PROXY PORT": "proxy_port",
        "AUTH TYPE": "auth",
        "BYTES": "bytes",
        "PACKETS": "packets",
        "PREFIX": "prefix",
        "COOKIE": "cookie",
    }
)
_TITLE = re.compile("|".join(f"{re.escape(title)}(?= |$)" for title in _TITLES) + r"|\S+")
_COLUMNS_WITHOUT_TITLES: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        6: ("direction", "peer", "ports", "proxy_port", "bytes", "packets"),
        7: ("policy", "direction", "peer", "ports", "proxy_port", "bytes", "packets"),
        9: ("policy", "direction", "peer", "ports", "proxy_port", "auth", "bytes", "packets", "prefix"),
        10: ("policy", "direction", "peer", "ports", "proxy_port", "auth", "bytes", "packets", "prefix", "cookie"),
    }
)
_FIRST_WORDS = frozenset({"Allow", "Deny", "Ingress", "Egress"})
_PORTS = re.compile(r"ANY|([A-Za-z][\w-]*)|(\d{1,5})(?:-(\d{1,5}))?/([\w-]+)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_PREAMBLE = re.compile(r"Endpoint ID:\s+(\d{1,10})|(?:Path:\s+)?/\S*cilium_policy_(?:v\d+_)?(\d{1,10}):?$")
_ABSENT = frozenset({"-", "NONE", ""})


class _CellError(ValueError):
    """A cell holds what its column never does."""


@dataclass(slots=True)
class _Row:
    """A row whose further labels still come."""

    line: int
    cells: dict[str, str]
    labels: list[str] = field(default_factory=list)


def read_policy_map(section: Section) -> Parsed:
    """The rows of one policy map."""
    endpoint_id = section.endpoint_id
    columns: tuple[str, ...] | None = None
    rows: list[_Row] = []
    unparsed: list[Unparsed] = []
    note = ""
    for number, text in section.numbered():
        tokens = text.split()
        if match := _PREAMBLE.match(text.strip()):
            endpoint_id = int(match[1] or match[2])
        elif tokens[0] == "Path:":
            continue
        elif "PORT/PROTO" in tokens:
            columns = _columns(" ".join(tokens))
        elif text.lstrip().startswith("Policy stats empty"):
            note = text.strip()
        elif tokens[0] in _FIRST_WORDS:
            cells = _cells(tokens, columns)
            if cells is None:
                unparsed.append(Unparsed(number, text, f"{len(tokens)} cells do not fit the titles"))
            else:
                rows.append(_Row(number, cells, [cells["peer"]] if is_label(cells["peer"]) else []))
        elif rows and all(is_label(token) for token in tokens):
            rows[-1].labels.extend(tokens)
        else:
            unparsed.append(Unparsed(number, text, "neither a row nor a label of the row above"))
    entries: list[PolicyEntry] = []
    for row in rows:
        try:
            entries.append(_entry(row, endpoint_id, section.file))
        except _CellError as error:
            unparsed.append(Unparsed(row.line, section.lines[row.line - section.first_line], str(error)))
    unparsed.sort()
    lost = next((odd.line for odd in unparsed if odd.text.split(maxsplit=1)[0] in _FIRST_WORDS), None)
    partial = None if lost is None else f"the row in line {lost} could not be read"
    return Parsed(entries, unparsed, _version(columns, rows), partial=partial, note=note)


def policy_map_owner(section: Section) -> int | None:
    """The endpoint whose map a section holds, as its preamble, command or file name tells it."""
    for _, text in section.numbered():
        if match := _PREAMBLE.match(text.strip()):
            return int(match[1] or match[2])
        if text.split(maxsplit=1)[0] in _FIRST_WORDS:
            break
    return section.endpoint_id


def _columns(titles: str) -> tuple[str, ...]:
    """The columns that a row of titles names, each title of several words taken as one; unknown ones by their title."""
    return tuple(
        _TITLES.get(title, title) for title in _TITLE.findall(titles.replace("source:key[=value]", "SOURCE:KEY[=VALUE]"))
    )


def _cells(tokens: Sequence[str], columns: tuple[str, ...] | None) -> dict[str, str] | None:
    """The cells of a row by column. Counters at the end may be cut off; a peer that has no label leaves its cell empty."""
    if columns is None:
        columns = _COLUMNS_WITHOUT_TITLES.get(len(tokens))
        if columns is None:
            return None
    if len(tokens) == len(columns) - 1 and "peer" in columns and _PORTS.fullmatch(tokens[columns.index("peer")]):
        at = columns.index("peer")
        if at + 1 < len(tokens) and tokens[at + 1] in _ABSENT:
            tokens = [*tokens[:at], "", *tokens[at:]]
    needed = columns.index("ports") + 1 if "ports" in columns else len(columns)
    if not needed <= len(tokens) <= len(columns) or "peer" not in columns or "direction" not in columns:
        return None
    return dict(zip(columns, tokens, strict=False))


def _entry(row: _Row, endpoint_id: int | None, file: str) -> PolicyEntry:
    """The entry of a row.

    Raises
    ------
    _CellError : a cell is none of what its column prints
    """
    cells = row.cells
    policy, direction, peer = cells.get("policy", "Allow"), cells["direction"], cells["peer"]
    if policy not in ("Allow", "Deny") or direction not in ("Ingress", "Egress"):
        raise _CellError(f"{policy!r} and {direction!r} are no policy and direction")
    if peer == "ANY":
        identity: int | None = ANY
    elif _NUMBER.fullmatch(peer):
        identity = int(peer)
    elif row.labels:
        identity = reserved_identity(row.labels)
    elif not peer:
        identity = None
    else:
        raise _CellError(f"{peer!r} is no label and no identity")
    port, port_end, protocol = _ports(cells["ports"])
    known = set(_TITLES.values())
    return PolicyEntry(
        endpoint_id, policy == "Deny", direction == "Ingress", identity, tuple(row.labels), port, port_end, protocol,
        _number(cells.get("proxy_port")), cells.get("auth"), _number(cells.get("bytes")), _number(cells.get("packets")),
        _number(cells.get("prefix")), _number(cells.get("cookie")),
        tuple((title, cell) for title, cell in cells.items() if title not in known), file, row.line,
    )  # fmt: skip


def _ports(cell: str) -> tuple[int | None, int | None, str | None]:
    """First port, last port and protocol of `ANY`, `TCP`, `8080/TCP`, `8080-8095/TCP` or `8/ICMP`."""
    match = _PORTS.fullmatch(cell)
    if match is None:
        raise _CellError(f"{cell!r} is no port and protocol")
    if cell == "ANY":
        return None, None, None
    if match[1]:
        return None, None, match[1]
    first, last = int(match[2]), int(match[3] or match[2])
    protocol = None if match[4] == "ANY" else match[4]
    if first > last or last >= 1 << PORT_BITS:
        raise _CellError(f"{cell!r} is no range of ports")
    if first == 0 and match[3] is None and protocol not in ("ICMP", "ICMPv6"):
        return None, None, protocol  # port 0 stands for all of them
    return first, last, protocol


def _number(cell: str | None) -> int | None:
    """The number in a cell; None where the column is missing or prints that there is none."""
    if cell is None or cell in _ABSENT:
        return None
    if not _NUMBER.fullmatch(cell):
        raise _CellError(f"{cell!r} is no number")
    return int(cell)


def _version(columns: tuple[str, ...] | None, rows: Sequence[_Row]) -> VersionRange | None:
    """The releases that print these columns."""
    if columns is None:
        return None
    if "cookie" in columns:
        return releases(19)
    if "auth" in columns or "prefix" in columns:
        if any(row.cells["peer"] == "ANY" or row.cells.get("packets") == "-" for row in rows):
            return releases(18, 18)
        return releases(14, 17 if any(row.cells["peer"] == "reserved:unknown" for row in rows) else 18)
    return releases(9, 13) if "policy" in columns else releases(0, 8)


KEY_BITS: Final = 40  # of a key's prefix, before protocol and port: the identity, and the direction with its padding
_DENY: Final = 1  # the bit of Flags


def read_policy_map_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf policy get -o json`, or of the maps that `--all` lists; ports are in network byte order."""

    def entries_of(record: Record) -> list[PolicyEntry] | str:
        value = a_mapping(record.value)
        own = a_number(value.get("EndpointID", value.get("endpoint-id")))  # YAML does not tell the two apart
        rows = a_list(value.get("Content")) if "Content" in value else [value]
        entries = [_json_entry(row, section.endpoint_id if own is None else own, section.file, record.line) for row in rows]
        if None in entries:
            return "a row without Identity and TrafficDirection in its Key"
        return [entry for entry in entries if entry is not None]

    parsed = read_records(section, records, entries_of)
    has_prefix = any(entry.prefix_length is not None for entry in parsed.entries)
    return Parsed(parsed.entries, parsed.unparsed, releases(14) if has_prefix else None)


def _json_entry(row: Any, endpoint_id: int | None, file: str, line: int) -> PolicyEntry | None:
    identity, direction = a_number(look_up(row, "Key", "Identity")), a_number(look_up(row, "Key", "TrafficDirection"))
    if identity is None or direction not in (0, 1):
        return None
    value, key = a_mapping(row), a_mapping(look_up(row, "Key"))
    port = swapped((a_number(key.get("DestPortNetwork", key.get("DestPort"))) or 0) & 0xFFFF)
    proxy = swapped((a_number(value.get("ProxyPortNetworkOrder", value.get("ProxyPort"))) or 0) & 0xFFFF)
    bits = a_number(key.get("Prefixlen"))
    prefix = bits - KEY_BITS if bits is not None and 0 <= bits - KEY_BITS <= PROTOCOL_BITS + PORT_BITS else None
    protocol = protocol_of(a_number(key.get("Nexthdr")) or 0)
    has_port = prefix > PROTOCOL_BITS if prefix is not None else port > 0
    width = 1 << (PROTOCOL_BITS + PORT_BITS - prefix) if prefix is not None and has_port else 1
    packets, octets = a_number(value.get("Packets")), a_number(value.get("Bytes"))  # 2**64 - 1 is none
    return PolicyEntry(
        endpoint_id, bool((a_number(value.get("Flags")) or 0) & _DENY), direction == 0, identity, (),
        port if has_port else None, port + width - 1 if has_port else None, None if protocol == "ANY" else protocol,
        proxy or None, a_text(value.get("AuthType")), octets, packets, prefix, a_number(value.get("Cookie")), (), file, line,
    )  # fmt: skip


KIND: Final = Kind(
    name="policy_map",
    entry=PolicyEntry,
    read=read_policy_map,
    read_json=read_policy_map_json,
    titles=r"(?:POLICY\ )?(?:TRAFFIC\ )?DIRECTION\ .*PORT/PROTO",
    rows=r"""
        (?:(?:Allow|Deny)\ +)?(?:Ingress|Egress)\ +\S+\ +
            (?:ANY|[A-Z]\w*|\d+(?:-\d+)?/\w+)\ +(?:NONE|\d+|-)(?:\ |$)
        |Endpoint\ ID:\ +\d+|Path:\ +/sys/fs/bpf/|/\S*cilium_policy_\w+:?$|Policy\ stats\ empty
    """,
    json=r'"TrafficDirection"|"ProxyPort|^\{\s*"EndpointID"\s*:\s*"\d*"\s*,\s*"Path"',
    commands=("bpf policy get", "bpf policy list", "cilium_policy"),
    errors=("no maps found",),
    preamble=("Endpoint ID:", "Path:"),
)
