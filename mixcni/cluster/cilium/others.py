"""Listings of which nothing bears on a diagnosis yet: their rows by the titles of their columns, counted and shown.

`cilium bpf auth|bandwidth|frag|multicast|recorder|sha|srv6|vtep`, and `cilium statedb`, whose tables and dump are the agent's
own view of devices, routes and addresses.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_list, a_mapping, read_records
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a listing."""

    listing: str
    """Which one, by its command's words: `auth`, `statedb routes`."""
    cells: tuple[tuple[str, str], ...]
    """(title, value); of a row that has not as many cells as there are titles one, without a title."""
    file: str = ""
    line: int = 0


_TITLES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("auth", ("SRC IDENTITY", "DST IDENTITY", "REMOTE NODE ID", "AUTH TYPE", "EXPIRATION")),
    ("bandwidth", ("IDENTITY", "EGRESS BANDWIDTH (BitsPerSec)")),
    ("bandwidth", ("IDENTITY", "PRIO", "EGRESS BANDWIDTH (BitsPerSec)")),
    ("bandwidth", ("IDENTITY", "DIRECTION", "PRIO", "BANDWIDTH (BitsPerSec)")),
    ("bandwidth", ("IDENTITY", "DIRECTION", "PRIO", "DSCP", "BANDWIDTH (BitsPerSec)")),
    ("frag", ("ID", "PROTO", "SOURCE ADDRESS:PORT", "DEST ADDRESS:PORT")),
    ("frag", ("ID", "PROTO", "SOURCE ADDRESS:PORT", "DEST ADDRESS:PORT", "SIP CALL-ID HASH")),
    ("multicast group", ("Group Address",)),
    ("multicast subscriber", ("Group", "Subscriber", "Type")),
    ("sha", ("Datapath SHA", "Endpoint(s)")),
    ("srv6 policy", ("VRF ID", "Destination CIDR", "SID")),
    ("srv6 sid", ("SID", "VRF ID")),
    ("srv6 state", ("Inner Source", "Inner Destination", "Outer Source", "Outer Destination")),
    ("srv6 vrf", ("Source IP", "Destination CIDR", "VRF ID")),
    ("statedb devices", ("Name", "Index", "Selected", "Type", "MTU", "HWAddr", "Flags", "Addresses")),
    ("statedb node-addresses", ("Address", "NodePort", "Primary", "DeviceName")),
    ("statedb routes", ("Destination", "Source", "Gateway", "LinkIndex", "Table", "Scope", "Priority")),
    ("statedb routes", ("Destination", "Source", "Gateway", "LinkIndex", "MTU", "Table", "Type", "Scope", "Priority")),
    ("vtep", ("IP PREFIX/ADDRESS", "VTEP")),
)  # fmt: skip
_BY_TITLES: Final = {" ".join(titles).upper(): (name, titles) for name, titles in _TITLES}
_COLUMNS = re.compile(r" {2,}")
_RECORDER = re.compile(r"(\S+ -> \S+) (\S+) ID:(\d{1,10}) CapLen:(\d{1,10})\s*$")
_TABLES: Final = (
    "bandwidth-edts|bandwidth-qdiscs|backends|ciliumenvoyconfigs|devices|frontends|health|ipsets|l2-announce|neighbors"
    "|node-addresses|policy-.*?|routes|services|sysctl"
)


def read_others(section: Section) -> Parsed:
    """The rows of a section that begins with the titles of one of these listings, or of the recorder's rules."""
    entries: list[Row] = []
    unparsed: list[Unparsed] = []
    name, titles = "", tuple[str, ...]()
    for number, text in section.numbered():
        found = _BY_TITLES.get(" ".join(text.split()).upper())
        if found is not None:
            name, titles = found
        elif match := _RECORDER.match(text.strip()):
            cells = zip(("rule", "protocol", "id", "octets kept"), match.groups(), strict=True)
            entries.append(Row("recorder", tuple(cells), section.file, number))
        elif titles:
            entries.append(Row(name, tuple(_cells(text.strip(), titles)), section.file, number))
        else:
            unparsed.append(Unparsed(number, text, "a row above any titles"))
    return Parsed(entries, unparsed, partial=lost_rows(unparsed))


def _cells(text: str, titles: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The cells of a row with their titles: parted by two blanks or more, or where columns were lost by one."""
    for cells in (_COLUMNS.split(text), text.split()):
        if len(cells) == len(titles):
            return iter(zip(titles, cells, strict=True))
    return iter([("", text)])


def read_others_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The objects of such a listing as JSON, or of each table of `statedb dump`."""

    def entries_of(record: Record) -> list[Row] | str:
        value = a_mapping(record.value)
        if not value:
            return "wanted an object"
        if all(isinstance(each, list) for each in value.values()):
            return [
                Row(name, _scalars(item), section.file, record.line) for name, items in value.items() for item in a_list(items)
            ]
        return [Row(_name_of(value), _scalars(value), section.file, record.line)]

    return read_records(section, records, entries_of)


def _name_of(value: Mapping[str, Any]) -> str:
    return "auth" if "RemoteNodeID" in value else "frag" if "SipCallIdHash" in value else "srv6"


def _scalars(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        return (("", str(value)),)
    return tuple((key, str(each)) for key, each in value.items() if not isinstance(each, dict | list))


KIND: Final = Kind(
    name="others",
    entry=Row,
    read=read_others,
    read_json=read_others_json,
    titles="|".join(f"(?:{re.escape(titles)}$)" for titles in _BY_TITLES),
    rows=r"\S+/\d+:\d+\ ->\ \S+/\d+:\d+\ \S+\ ID:\d+\ CapLen:\d",
    json=rf'"RemoteNodeID"\s*:|"SipCallIdHash"\s*:|"VRFID"\s*:|^\{{\s*"(?:{_TABLES})"\s*:\s*\[|^\{{\s*"[\d.]+"\s*:\s*\[\s*"vtepmac=',
    commands=(
        "bpf auth list",
        "bpf bandwidth list",
        "bpf frag list",
        "bpf multicast",
        "bpf recorder list",
        "bpf sha list",
        "bpf srv6",
        "bpf vtep list",
        "statedb",
    ),
    files=("auth list", "bandwidth list", "frag list", "recorder list", "sha list", "vtep list"),
    errors=("auth bpf map", "SRv6", "multicast", "bandwidth manager not enabled"),
)
