"""`cilium bpf ipcache list`, `bpf ipcache get` and `map get cilium_ipcache`: which address has which identity.

A packet from the network gets the identity of the longest prefix that holds its source. No prefix but 0.0.0.0/0 (or
none at all) makes it world: that is what happens to pods on nodes that Cilium does not manage.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook, Prefix, parse_prefix
from mixcni.cluster.cilium.listings import read_listing
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import VersionRange, releases


@dataclass(frozen=True, slots=True)
class IpcacheEntry:
    """One prefix and what Cilium believes to be there."""

    prefix: Prefix
    identity: int
    """0: deleted, or not known."""
    encrypt_key: int | None
    """None before 1.5."""
    tunnel_endpoint: Address | None
    """The node to tunnel to; 0.0.0.0 for local addresses and without a tunnel; None before 1.5."""
    node_id: int | None = None
    flags: tuple[str, ...] | None = None
    """skiptunnel, hastunnel, ipv6tunnel, remotecluster; () if none is set; None before 1.16."""
    extra: tuple[tuple[str, str], ...] = ()
    """Keys that mixcni does not know, and masked addresses, as printed."""
    file: str = ""
    line: int = 0


_MAPS_TO: Final = " maps to identity "
_KEY_VALUE = re.compile(r"([A-Za-z]\w*)=(.*)", re.ASCII)
_NUMBER = re.compile(r"\d{1,10}|0x[0-9a-fA-F]{1,8}", re.ASCII)
_PREFIX_LIKE = re.compile(r"\s*[\dA-Fa-fxX*.:]+/[\dxX*]+\s", re.ASCII)  # digits may be masked
_NO_FLAGS = frozenset({"", "<none>"})


def read_ipcache(section: Section) -> Parsed:
    """The prefixes of an ipcache dump, in its order."""
    entries: list[IpcacheEntry] = []
    unparsed: list[Unparsed] = []
    forms: set[str] = set()
    partial: str | None = None
    for number, text in section.numbered():
        if _is_titles(text):
            continue
        if _MAPS_TO in text:
            partial = "it is the answer for one address"
            text = text.replace(_MAPS_TO, " ", 1)  # noqa: PLW2901, the same row in the words of another command
        entry = _entry(text.split(), section.file, number, section.addresses, forms)
        if isinstance(entry, IpcacheEntry):
            entries.append(entry)
        else:
            unparsed.append(Unparsed(number, text, entry))
            if _PREFIX_LIKE.match(text):
                partial = partial or f"the prefix in line {number} could not be read"
    return Parsed(entries, unparsed, _version(forms), partial=partial)


def _is_titles(text: str) -> bool:
    folded = " ".join(text.split()).upper()
    return folded.startswith(("IP PREFIX/ADDRESS", "KEY VALUE"))


def _entry(tokens: Sequence[str], file: str, number: int, book: AddressBook, forms: set[str]) -> IpcacheEntry | str:
    """The entry of a row, or why it is none."""
    prefix = parse_prefix(tokens[0].split("@", 1)[0])  # @ and a cluster's id may follow
    if prefix is None:
        return f"{tokens[0]!r} is no prefix"
    if len(tokens) > 1 and _KEY_VALUE.fullmatch(tokens[1]):
        return _by_key(prefix, tokens[1:], file, number, book, forms)
    return _by_place(prefix, tokens[1:], file, number, book, forms)


def _by_place(
    prefix: Prefix, tokens: Sequence[str], file: str, number: int, book: AddressBook, forms: set[str]
) -> IpcacheEntry | str:
    """`identity [key tunnel [node]]`, as releases before 1.12 print it; `map get` has State and Error behind it."""
    identity = _number(tokens[0]) if tokens else None
    if identity is None:
        return "no identity stands behind the prefix"
    key = _number(tokens[1]) if len(tokens) > 2 else None
    tunnel = book[tokens[2]] if key is not None else None
    node_id = _number(tokens[3]) if tunnel is not None and len(tokens) > 3 else None
    forms.add("place" if key is None else "place and key")
    extra = () if key is None or tunnel is not None else (("tunnelendpoint", tokens[2]),)
    return IpcacheEntry(prefix, identity, key, tunnel, node_id, None, extra, file, number)


def _by_key(
    prefix: Prefix, tokens: Sequence[str], file: str, number: int, book: AddressBook, forms: set[str]
) -> IpcacheEntry | str:
    """`identity=N encryptkey=K tunnelendpoint=IP [nodeid=N] [flags=...]`, 1.12 on."""
    values: dict[str, str] = {}
    last = ""
    for token in tokens:
        if match := _KEY_VALUE.fullmatch(token.rstrip(",") if not token.startswith("flags=") else token):
            last = match[1].lower()
            values[last] = match[2]
        elif last == "flags" and values[last].endswith(","):
            values[last] += token  # a list with a blank behind each comma
    identity = _number(values.pop("identity", ""))
    if identity is None:
        return "no identity stands behind the prefix"
    forms.update(values, {"identity"})
    tunnel_text = values.pop("tunnelendpoint", "")
    tunnel = book[tunnel_text] if tunnel_text else None
    key, node_id = _number(values.pop("encryptkey", "")), _number(values.pop("nodeid", ""))
    flags_text = values.pop("flags", None)
    flags = None if flags_text is None else tuple(flag for flag in flags_text.split(",") if flag not in _NO_FLAGS)
    if tunnel is None and tunnel_text:
        values["tunnelendpoint"] = tunnel_text
    return IpcacheEntry(prefix, identity, key, tunnel, node_id, flags, tuple(values.items()), file, number)


def _number(text: str) -> int | None:
    return int(text, 0) if _NUMBER.fullmatch(text) and not (text[0] == "0" and text.isdigit() and text != "0") else None


def _version(forms: set[str]) -> VersionRange | None:
    """The releases that print rows of these forms."""
    if "flags" in forms:
        return releases(16)
    if "nodeid" in forms:
        return releases(12, 14)
    if "vtepmac" in forms:
        return releases(11, 12)
    if "identity" in forms:
        return releases(12, 15)
    if "place and key" in forms:
        return releases(5, 11)
    return releases(0, 4) if "place" in forms else None


def read_ipcache_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The prefixes of `bpf ipcache list -o json`."""
    return read_listing(section, records, read_ipcache)


KIND: Final = Kind(
    name="ipcache",
    entry=IpcacheEntry,
    read=read_ipcache,
    read_json=read_ipcache_json,
    titles=r"IP\ PREFIX/ADDRESS\ IDENTITY\b",
    rows=r"""
        (?:[\d.]+|(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f.:]+)/\d+(?:@\d+)?\ +(?:identity=|\d+(?:\ +\d+\ +[\w.:]+|\ +sync|$))
        |\S+\ maps\ to\ identity\b
    """,
    json=r'^\{\s*"[0-9A-Fa-f.:]+/\d+(?:@\d+)?"\s*:\s*\[\s*"(?:identity=|\d)',
    commands=("bpf ipcache list", "bpf ipcache get", "bpf ipcache match", "cilium_ipcache"),
    files=("ipcache list",),
    errors=("No entries found",),
)
