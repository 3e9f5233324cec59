"""`cilium bpf endpoint list` and `map get cilium_lxc`: the addresses that the node's datapath delivers to itself."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.cilium.listings import read_listing
from mixcni.cluster.dump import Parsed, Section, Unparsed, lost_rows
from mixcni.cluster.jsontext import Record
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange, releases


@dataclass(frozen=True, slots=True)
class BpfEndpoint:
    """One address and the endpoint behind it; a key that the row does not print is None."""

    address: Address | None
    """None where it is masked."""
    localhost: bool
    """An address of the node itself."""
    id: int | None = None
    sec_id: int | None = None
    """Its identity, 1.14 on."""
    flags: int | None = None
    ifindex: int | None = None
    """Of the host's side of its veth pair."""
    mac: str | None = None
    nodemac: str | None = None
    parent_ifindex: int | None = None
    rt_info: int | None = None
    state: str | None = None
    """Of `map get`: `sync`, or what the agent still has to do."""
    extra: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0


_PAIR = re.compile(r"([a-z][\w]*)[=:](\S*)", re.ASCII)
_ADDRESS = re.compile(r"(\[?[0-9A-Fa-fxX*.:]+?\]?)(?::\d+)?", re.ASCII)
_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,8}|\d{1,18}", re.ASCII)
_NUMBERS: Final = frozenset({"id", "sec_id", "flags", "ifindex", "parent_ifindex", "rt_info"})
_LOCAL: Final = "(localhost)"
_TITLES: Final = ("IP ADDRESS", "KEY VALUE")


def read_bpf_endpoints(section: Section) -> Parsed:
    """The rows of `bpf endpoint list` or `map get cilium_lxc`."""
    entries: list[BpfEndpoint] = []
    unparsed: list[Unparsed] = []
    for number, text in section.numbered():
        tokens = text.split()
        if " ".join(tokens).upper().startswith(_TITLES):
            continue
        entry = _entry(tokens, section.file, number, section.addresses)
        if isinstance(entry, BpfEndpoint):
            entries.append(entry)
        else:
            unparsed.append(Unparsed(number, text, entry))
    return Parsed(entries, unparsed, _version(entries), partial=lost_rows(unparsed))


def _entry(tokens: list[str], file: str, number: int, book: AddressBook) -> BpfEndpoint | str:
    """The entry of a row, or why it is none."""
    localhost = _LOCAL in tokens[1:]
    pairs = {match[1]: match[2] for token in tokens[1:] if (match := _PAIR.fullmatch(token))}
    if not localhost and "id" not in pairs:
        return "wanted an address and (localhost) or id=N"
    address = _address(tokens[0], book)
    if address is None and not _ADDRESS.fullmatch(tokens[0]):
        return f"{tokens[0]!r} is no address"
    numbers = {
        name: int(text, 0) if text.startswith("0x") else int(text)
        for name, text in pairs.items()
        if name in _NUMBERS and _NUMBER.fullmatch(text)
    }
    known = {*numbers, "mac", "nodemac"}
    extra = [(name, text) for name, text in pairs.items() if name not in known]
    if address is None:
        extra.append(("address", tokens[0]))
    words = [token for token in tokens[1:] if "=" not in token and ":" not in token and token != _LOCAL]
    return BpfEndpoint(
        address, localhost, mac=pairs.get("mac"), nodemac=pairs.get("nodemac"), state=words[0] if words else None,
        extra=tuple(extra), file=file, line=number, **numbers,
    )  # fmt: skip


def _address(text: str, book: AddressBook) -> Address | None:
    """The address in a key, which from 1.4 on ends in `:0`: an IPv6 one without brackets as well."""
    host, colon, port = text.rpartition(":")
    is_bare = not colon or port != "0" or host.endswith(":")
    return book[text] if is_bare else book[host] or book[text]


def _version(entries: list[BpfEndpoint]) -> VersionRange | None:
    """The releases that print these keys."""
    if any(entry.rt_info is not None for entry in entries):
        return releases(20)
    if any(entry.parent_ifindex is not None for entry in entries):
        return releases(18)
    if any(entry.sec_id is not None for entry in entries):
        return releases(14)
    return None if all(entry.localhost for entry in entries) else releases(0, 13)


def read_bpf_endpoints_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The rows of `bpf endpoint list -o json`."""
    return read_listing(section, records, read_bpf_endpoints)


KIND: Final = Kind(
    name="bpf_endpoints",
    entry=BpfEndpoint,
    read=read_bpf_endpoints,
    read_json=read_bpf_endpoints_json,
    titles=r"IP\ ADDRESS\ LOCAL\ ENDPOINT",
    rows=r"[0-9A-Fa-f.:]+\ +(?:\(localhost\)(?:\ +sync\b|\s*$)|id=\d+\ )",
    json=r'^\{\s*"[^"]*"\s*:\s*\[\s*"(?:\(localhost\)"|id=\d+\s)',
    commands=("bpf endpoint list", "cilium_lxc"),
)
