"""`cilium bpf lb list`: the load balancer's maps, as the node's datapath has them.

Each row is one entry of a map. The plain command joins services with backends: the row of slot 0 is the service itself
(`0.0.0.0:0`, with its flags), each further slot one backend. Up to 1.15 the address stands on the first row of its
service alone. `--frontends`, `--backends`, `--revnat` and `--source-ranges` list one map each.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from mixcni.cluster.addresses import Address, Prefix, parse_prefix
from mixcni.cluster.cilium.listings import read_listing
from mixcni.cluster.cilium.services import Service, ServiceBackend
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record
from mixcni.cluster.kind import Kind
from mixcni.cluster.sockets import SOCKET, Socket, parse_socket
from mixcni.cluster.version import VersionRange, releases

SERVICES, FRONTENDS, BACKENDS, REVNAT, SOURCE_RANGES = "services", "frontends", "backends", "revnat", "source-ranges"


@dataclass(frozen=True, slots=True)
class LbEntry:
    """One row; what its map does not hold is None."""

    SHOWN: ClassVar = ("is_service",)

    map: str
    """services (the joined form), frontends, backends, revnat or source-ranges."""
    frontend: Address | None = None
    frontend_port: int | None = None
    protocol: str | None = None
    """Of the frontend, or of the backend where it stands alone."""
    scope: str | None = None
    """`internal`: as seen from inside the cluster, where that differs."""
    slot: int | None = None
    """0: the service itself."""
    backend: Address | None = None
    """None for the service itself, and where the backend's own entry is missing."""
    backend_port: int | None = None
    backend_id: int | None = None
    backend_count: int | None = None
    rev_nat: int | None = None
    """The service's id in conntrack entries."""
    flags: tuple[str, ...] = ()
    """`ClusterIP`, `non-routable` ...; hexadecimal numbers with --frontends."""
    proxy_port: int | None = None
    """Of the proxy that a layer 7 load balancer listens on."""
    backend_missing: bool = False
    """The slot names a backend that is not in the map: connections to it go nowhere."""
    source_range: Prefix | None = None
    file: str = ""
    line: int = 0

    @property
    def is_service(self) -> bool:
        """Whether the row is the service itself rather than one of its backends."""
        return self.map == SERVICES and self.backend is None and not self.backend_missing


_KEY = rf"(?P<key>{SOCKET})(?:\s+\((?P<key_slot>\d{{1,5}})\))?"
_ADDRESS_VALUE = re.compile(
    rf"""\s*(?:{_KEY}\s+(?=\S))??
    (?:(?P<backend>{SOCKET})\s+\((?P<rev_nat>\d{{1,5}})\)(?:\s+\((?P<slot>\d{{1,5}})\))?
        (?:\s+\[(?P<flags>[^\]]{{0,400}})\])?(?:\s+\(L7LB\ Proxy\ Port:\s*(?P<proxy>\d{{1,5}})\))?
    |backend\s+(?P<missing>\d{{1,10}})\s+not\s+found)\s*$""",
    re.VERBOSE | re.ASCII,
)
_FRONTEND_VALUE = re.compile(
    rf"""\s*{_KEY}\s+(?P<backend_id>\d{{1,10}})(?:\s+(?P<count>\d{{1,5}})(?:\[\d{{1,5}}\])?)?\s+\((?P<rev_nat>\d{{1,5}})\)
    \s+\[(?:FLAGS:\s*)?(?P<flags>[^\]]{{0,100}})\]\s*$""",
    re.VERBOSE | re.ASCII,
)
_BACKEND_ROW = re.compile(r"\s*(\d{1,10})\s+([A-Za-z0-9]{1,12})://(\S{1,80}:\d{1,5})(?:\s.{0,100})?$", re.ASCII)
_REVNAT_ROW = re.compile(rf"\s*(\d{{1,5}})\s+({SOCKET})\s*$", re.ASCII)
_RANGE_ROW = re.compile(r"\s*([0-9A-Fa-f.:]{2,64}/\d{1,3})\s+\((\d{1,5})\)\s*$", re.ASCII)
_TITLES: Final = ("SERVICE ADDRESS", "ID BACKEND ADDRESS", "SOURCE RANGE")


class _Reader:
    """Takes rows one by one; those without a service's address belong to the one above, before it or after."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.entries: list[LbEntry] = []
        self.unparsed: list[Unparsed] = []
        self.forms: set[str] = set()
        self._service: Socket | None = None

    def take(self, number: int, text: str) -> None:
        """One row."""
        entry = (
            self._service_row(text) or self._frontend_row(text) or self._backend_row(text) or self._rev_nat_row(text)
            or self._range_row(text)
        )  # fmt: skip
        if entry is None:
            self.unparsed.append(Unparsed(number, text, "no row of a service, frontend, backend, reverse NAT or source range"))
        else:
            self.entries.append(replace(entry, file=self.section.file, line=number))

    def _service_row(self, text: str) -> LbEntry | None:
        match = _ADDRESS_VALUE.match(text)
        if match is None:
            return None
        if match["key"]:
            self._service = parse_socket(match["key"], self.section.addresses)
        service = self._service
        backend = parse_socket(match["backend"], self.section.addresses) if match["backend"] else None
        if (match["key"] and service is None) or (match["backend"] and backend is None):
            return None
        slot = match["slot"] or match["key_slot"]
        self.forms.update(name for name in ("key_slot", "slot") if match[name])
        is_service = slot == "0" or (backend is not None and backend.port == 0 and slot is None)
        if backend is not None and backend.address is None:
            is_service = False  # a masked backend is one all the same
        entry = _of_service(LbEntry(SERVICES), service)
        if is_service or backend is None:
            return replace(
                entry, slot=_number(slot) if slot else 0 if is_service else None, rev_nat=_number(match["rev_nat"]),
                flags=_flags(match["flags"], ","), proxy_port=_number(match["proxy"]), backend_missing=backend is None,
                backend_id=_number(match["missing"]),
            )  # fmt: skip
        return replace(
            entry, slot=_number(slot), backend=backend.address, backend_port=backend.port, rev_nat=_number(match["rev_nat"]),
            protocol=entry.protocol or backend.protocol, flags=_flags(match["flags"], ","),
        )  # fmt: skip

    def _frontend_row(self, text: str) -> LbEntry | None:
        match = _FRONTEND_VALUE.match(text)
        service = parse_socket(match["key"], self.section.addresses) if match else None
        if match is None or service is None:
            return None
        return replace(
            _of_service(LbEntry(FRONTENDS), service), slot=_number(match["key_slot"]), backend_id=_number(match["backend_id"]),
            backend_count=_number(match["count"]), rev_nat=_number(match["rev_nat"]), flags=_flags(match["flags"], None),
        )  # fmt: skip

    def _backend_row(self, text: str) -> LbEntry | None:
        match = _BACKEND_ROW.match(text)
        backend = parse_socket(match[3], self.section.addresses) if match else None
        if match is None or backend is None:
            return None
        protocol = None if match[2] in ("ANY", "NONE") else match[2]
        return LbEntry(
            BACKENDS, protocol=protocol, backend=backend.address, backend_port=backend.port, backend_id=_number(match[1])
        )

    def _rev_nat_row(self, text: str) -> LbEntry | None:
        match = _REVNAT_ROW.match(text)
        frontend = parse_socket(match[2], self.section.addresses) if match else None
        if match is None or frontend is None:
            return None
        return replace(_of_service(LbEntry(REVNAT), frontend), rev_nat=_number(match[1]))

    def _range_row(self, text: str) -> LbEntry | None:
        match = _RANGE_ROW.match(text)
        prefix = parse_prefix(match[1]) if match else None
        if match is None or prefix is None:
            return None
        return LbEntry(SOURCE_RANGES, rev_nat=_number(match[2]), source_range=prefix)


def _of_service(entry: LbEntry, service: Socket | None) -> LbEntry:
    if service is None:
        return entry
    return replace(
        entry, frontend=service.address, frontend_port=service.port, protocol=service.protocol,
        scope="internal" if service.internal else None,
    )  # fmt: skip


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _flags(text: str | None, separator: str | None) -> tuple[str, ...]:
    return tuple(flag.strip() for flag in text.split(separator) if flag.strip()) if text else ()


def read_lb(section: Section) -> Parsed:
    """The rows of `bpf lb list`, with whatever option."""
    reader = _Reader(section)
    for number, text in section.numbered():
        if " ".join(text.split()).upper().startswith(_TITLES):
            continue
        reader.take(number, text)
    return Parsed(reader.entries, reader.unparsed, _version(reader.forms), partial=lost_rows(reader.unparsed))


def services_of(rows: Iterable[LbEntry]) -> tuple[Service, ...]:
    """The services that rows of the joined form make up, in the order of their first rows."""
    groups: dict[tuple[Address | None, int | None, str | None, str | None, int | None], list[LbEntry]] = {}
    for row in rows:
        if row.map == SERVICES and row.frontend_port is not None:
            key = (row.frontend, row.frontend_port, row.protocol, row.scope, row.rev_nat if row.protocol is None else None)
            groups.setdefault(key, []).append(row)
    return tuple(_service(group) for group in groups.values())


def _service(rows: list[LbEntry]) -> Service:
    """One service; its type is the first of its flags."""
    first = next((row for row in rows if row.is_service), rows[0])
    backends = sorted((row for row in rows if row.backend is not None), key=lambda row: row.slot or 0)
    return Service(
        next((row.rev_nat for row in rows if row.rev_nat is not None), None), first.frontend, first.frontend_port or 0,
        first.protocol, first.scope, first.flags[0] if first.flags else None,
        tuple(ServiceBackend(row.backend, row.backend_port or 0, row.protocol, line=row.line) for row in backends),
        None, (), first.file, first.line,
    )  # fmt: skip


def _version(forms: set[str]) -> VersionRange | None:
    """The releases that print slots there."""
    if "key_slot" in forms:
        return releases(16)
    return releases(12, 15) if "slot" in forms else None


def read_lb_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf lb list -o json`."""
    return read_listing(section, records, read_lb)


KIND: Final = Kind(
    name="lb",
    entry=LbEntry,
    read=read_lb,
    read_json=read_lb_json,
    titles=r"SERVICE\ ADDRESS\b|ID\ BACKEND\ ADDRESS\b|SOURCE\ RANGE\b",
    rows=rf"{SOCKET}\ +(?:\(\d+\)\ +)?{SOCKET}\ +\(\d+\)(?:\ |$)|0\.0\.0\.0:0\ \(\d+\)|\d+\ +(?:ANY|TCP|UDP|SCTP|NONE)://\S+:\d+",
    json=(
        r'^\{\s*"[^"]*"\s*:\s*\[\s*"(?:[^"]*:\d+(?:/\w+)* \(\d+\)|\d+ (?:\d+(?:\[\d+\])? )?\(\d+\) \[|backend \d+ not found'
        r'|(?:ANY|TCP|UDP|SCTP|NONE)://)|^\{\s*"[0-9A-Fa-f.:]+/\d+ \(\d+\)"\s*:|^\{\s*"\d+"\s*:\s*\[\s*"[0-9A-Fa-f.:\[\]]+:\d+"'
    ),
    commands=("bpf lb list", "cilium_lb"),
    files=("lb list",),
)
