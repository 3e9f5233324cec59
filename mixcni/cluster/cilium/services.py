"""`cilium service list`: the services that the agent load-balances, and their backends.

A service without a backend is shown with an empty list: that alone explains why its clients get no response.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_number, a_text, look_up, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.sockets import SOCKET, Socket, parse_socket
from mixcni.cluster.version import VersionRange, releases


@dataclass(frozen=True, slots=True)
class ServiceBackend:
    """Where a service's connections go."""

    address: Address | None
    """None where it is masked."""
    port: int
    protocol: str | None = None
    state: str | None = None
    """active, terminating, quarantined or maintenance; None before 1.11."""
    preferred: bool = False
    weight: int | None = None
    line: int = 0

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address is not None and self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}" + (f"/{self.protocol}" if self.protocol else "") + (f" ({self.state})" if self.state else "")


@dataclass(frozen=True, slots=True)
class Service:
    """One frontend of a service."""

    id: int | None
    """Its rev-nat id, the RevNAT of conntrack; None in the newest releases, which do not print it."""
    frontend: Address | None
    """None where it is masked."""
    frontend_port: int
    protocol: str | None
    scope: str | None
    """`internal`: as seen from inside the cluster, where that differs."""
    type: str | None
    """ClusterIP, NodePort, LoadBalancer, ExternalIPs, HostPort or LocalRedirect; None before 1.8."""
    backends: tuple[ServiceBackend, ...] = ()
    name: str | None = None
    """Namespace and name, in JSON alone."""
    extra: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0


_BACKEND = re.compile(rf"\s*(\d{{1,6}})\s+=>\s+({SOCKET})((?:\s+\((?:[a-z]+|W:\s*\d+)\))*)\s*$", re.ASCII)
_ROW = re.compile(
    rf"\s*(?:(\d{{1,10}})\s+)?({SOCKET})(?:\s+([A-Z][A-Za-z]+)(\s+\(Remote\))?)?(?:\s+(\d{{1,6}}\s+=>\s.*)|\s+\.\.\.)?\s*$",
    re.ASCII,
)
_MARK = re.compile(r"\(([a-z]+|W:\s*(\d+))\)")


def read_services(section: Section) -> Parsed:
    """The services of `service list`; further backends stand on rows of their own."""
    entries: list[Service] = []
    unparsed: list[Unparsed] = []
    has_id: bool | None = None
    for number, text in section.numbered():
        titles = text.upper().split()
        if "FRONTEND" in titles[:2] and "BACKEND" in titles:
            has_id = titles[0] == "ID"
        elif (backend := _backend(text, number, section.addresses)) is not None and entries:
            entries[-1] = replace(entries[-1], backends=(*entries[-1].backends, backend))
        elif (service := _service(text, number, section)) is not None:
            entries.append(service)
        else:
            unparsed.append(Unparsed(number, text, "wanted a frontend, its type and a backend, or `n => address:port`"))
    return Parsed(entries, unparsed, _version(entries, has_id), partial=lost_rows(unparsed))


def _service(text: str, number: int, section: Section) -> Service | None:
    match = _ROW.match(text)
    frontend = parse_socket(match[2], section.addresses) if match else None
    if match is None or frontend is None or not (match[1] or match[3] or match[5]):
        return None
    backend = _backend(match[5], number, section.addresses) if match[5] else None
    if match[5] and backend is None:
        return None
    extra = [("cluster", "Remote")] if match[4] else []
    if frontend.address is None:
        extra.append(("frontend", match[2]))
    return Service(
        int(match[1]) if match[1] else None, frontend.address, frontend.port, frontend.protocol,
        "internal" if frontend.internal else None, match[3], () if backend is None else (backend,), None, tuple(extra),
        section.file, number,
    )  # fmt: skip


def _backend(text: str, number: int, book: AddressBook) -> ServiceBackend | None:
    match = _BACKEND.match(text)
    socket = parse_socket(match[2], book) if match else None
    if match is None or socket is None:
        return None
    marks = _MARK.findall(match[3])
    states = [mark for mark, weight in marks if not weight and mark != "preferred"]
    weights = [int(weight) for _, weight in marks if weight]
    return ServiceBackend(
        socket.address, socket.port, socket.protocol, states[0] if states else None,
        any(mark == "preferred" for mark, _ in marks), weights[0] if weights else None, number,
    )  # fmt: skip


def _version(entries: Sequence[Service], has_id: bool | None) -> VersionRange | None:
    """The releases that print these columns and suffixes."""
    if has_id is False:
        return releases(19)
    if any(entry.protocol for entry in entries):
        return releases(17)
    if any(backend.state for entry in entries for backend in entry.backends):
        return releases(11)
    if any(entry.type for entry in entries):
        return releases(8)
    return releases(0, 7) if entries and has_id else None


def read_services_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The services of `service list -o json`; what the datapath has counts, and what is asked for where it has nothing."""

    def entry_of(record: Record) -> list[Service] | str:
        wanted = a_mapping(look_up(record.value, "spec"))
        found = a_mapping(look_up(record.value, "status", "realized")) or wanted
        frontend = a_mapping(found.get("frontend-address"))
        if not frontend:
            return "no service with a frontend-address"
        flags = {**a_mapping(wanted.get("flags")), **a_mapping(found.get("flags"))}
        scope = a_text(frontend.get("scope"))
        name = a_text(flags.get("name"))
        namespace = a_text(flags.get("namespace"))
        backends = [
            backend for item in a_list(found.get("backend-addresses")) if (backend := _of_json(item, record.line, section))
        ]
        return [
            Service(
                a_number(found.get("id")), section.addresses[a_text(frontend.get("ip")) or ""],
                a_number(frontend.get("port")) or 0, _upper(frontend.get("protocol")),
                "internal" if scope == "internal" else None, a_text(flags.get("type")), tuple(backends),
                f"{namespace}/{name}" if name and namespace else name, (), section.file, record.line,
            )
        ]  # fmt: skip

    return read_records(section, records, entry_of)


def _of_json(item: Any, line: int, section: Section) -> ServiceBackend | None:
    backend = a_mapping(item)
    text = a_text(backend.get("ip"))
    if text is None:
        return None
    socket = Socket(section.addresses[text], a_number(backend.get("port")) or 0, _upper(backend.get("protocol")), internal=False)
    return ServiceBackend(
        socket.address, socket.port, socket.protocol, a_text(backend.get("state")), backend.get("preferred") is True,
        a_number(backend.get("weight")), line,
    )  # fmt: skip


def _upper(value: Any) -> str | None:
    text = a_text(value)
    return None if text is None else text.upper()


KIND: Final = Kind(
    name="services",
    entry=Service,
    read=read_services,
    read_json=read_services_json,
    titles=r"(?:ID\ )?FRONTEND\ (?:SERVICE\ TYPE\ )?BACKEND\b",
    rows=rf"""
        (?:\d+\ +)?{SOCKET}\ +(?:(?:ClusterIP|NodePort|LoadBalancer|ExternalIPs|HostPort|LocalRedirect)\b|\d+\ =>\ )
        |\d+\ =>\ {SOCKET}
    """,
    json=r'"frontend-address"|"backend-addresses"',
    commands=("service list",),
    errors=("/v1/service",),
)
