"""`cilium identity list`, and the numbers that Cilium gives to identities.

An identity is a number for a set of labels. Reserved ones have fixed numbers; the others are handed out per cluster,
or, for CIDRs and names outside it, per node: the same number on two nodes then means two different things.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mixcni.cluster.addresses import parse_address
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_mapping, a_number, read_records, texts
from mixcni.cluster.kind import Kind

ANY: Final = 0  # as a peer in a policy map: everybody; elsewhere: not known
HOST: Final = 1
WORLD: Final = 2
UNMANAGED: Final = 3
REMOTE_NODE: Final = 6
KUBE_APISERVER: Final = 7
WORLD_IPV4: Final = 9  # 9 and 10 stand for 2 from 1.15 on where both families are in use
WORLD_IPV6: Final = 10

RESERVED: Final[Mapping[str, int]] = MappingProxyType(
    {
        "unknown": ANY,
        "host": HOST,
        "world": WORLD,
        "unmanaged": UNMANAGED,
        "health": 4,
        "init": 5,
        "remote-node": REMOTE_NODE,
        "kube-apiserver": KUBE_APISERVER,
        "ingress": 8,
        "world-ipv4": WORLD_IPV4,
        "world-ipv6": WORLD_IPV6,
        "encrypted-overlay": 11,
    }
)
RESERVED_NAMES: Final[Mapping[int, str]] = MappingProxyType({number: name for name, number in RESERVED.items()})

MIN_LABEL_BASED: Final = 100  # 100 to 255 are well known or the user's, 256 to 2**24 - 1 handed out by labels
MIN_LOCAL: Final = 1 << 24  # CIDRs and DNS names, numbered by each node for itself; they carry reserved:world as well
MIN_LOCAL_NODE: Final = 2 << 24  # remote nodes in node-local numbers, 1.15 on

_LABEL = re.compile(r"[A-Za-z][\w.-]*:\S+")
_ADDRESS_LIKE = re.compile(r"[\dA-Fa-f:.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity and the labels that it stands for."""

    id: int
    labels: tuple[str, ...]
    refcount: int | None = None
    """How many endpoints of the node have it (`identity list --endpoints`)."""
    file: str = ""
    line: int = 0


def is_world(identity: int) -> bool:
    """Whether an identity stands for something outside the cluster: world, or a CIDR or name that some rule names."""
    return identity in (WORLD, WORLD_IPV4, WORLD_IPV6) or MIN_LOCAL <= identity < MIN_LOCAL_NODE


def reserved_identity(labels: Collection[str]) -> int | None:
    """The number that a set of labels has in every cluster; None if it is handed out.

    The API server on a node has two reserved labels, the host endpoint the node's own labels besides reserved:host; a
    CIDR identity carries reserved:world and has a number of its own.
    """
    names = {label.removeprefix("reserved:") for label in labels if label.startswith("reserved:")}
    others = [label for label in labels if not label.startswith("reserved:")]
    if "host" in names:
        return HOST
    if others:
        return None
    if "kube-apiserver" in names and names <= {"kube-apiserver", "remote-node"}:
        return KUBE_APISERVER
    return RESERVED.get(names.pop()) if len(names) == 1 else None


def is_label(token: str) -> bool:
    """Whether `token` is `source:key[=value]`, and not an IPv6 address that looks like it."""
    return _LABEL.fullmatch(token) is not None and (_ADDRESS_LIKE.fullmatch(token) is None or parse_address(token) is None)


def read_identities(section: Section) -> Parsed:
    """The identities of `identity list` or `identity get`: a number with a label, further labels on further rows."""
    entries: list[Identity] = []
    unparsed: list[Unparsed] = []
    open_id: int | None = None
    labels: list[str] = []
    refcount: int | None = None
    opened = section.first_line

    def close() -> None:
        if open_id is not None:
            entries.append(Identity(open_id, tuple(labels), refcount, section.file, opened))

    for number, text in section.numbered():
        tokens = text.split()
        if _is_titles(tokens):
            continue
        if _is_number(tokens[0]):
            close()
            open_id, labels, refcount, opened = int(tokens[0]), [], None, number
            tokens = tokens[1:]
        elif open_id is None:
            unparsed.append(Unparsed(number, text, "a label row above the first identity"))
            continue
        if len(tokens) > 1 and _is_number(tokens[-1]):
            refcount = int(tokens.pop())
        if all(is_label(token) for token in tokens):
            labels.extend(tokens)
        else:
            unparsed.append(Unparsed(number, text, "wanted a number and labels"))
    close()
    return Parsed(entries, unparsed)


def _is_titles(tokens: Sequence[str]) -> bool:
    return tokens[0].upper() in ("ID", "IDENTITY") and len(tokens) > 1 and tokens[1].upper() == "LABELS"


def _is_number(token: str) -> bool:
    return token.isascii() and token.isdigit() and len(token) <= 10


def read_identities_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The identities of `identity list -o json`, with `--endpoints` or without."""

    def entry_of(record: Record) -> list[Identity] | str:
        value = a_mapping(record.value)
        identity = a_mapping(value.get("identity")) or value
        number = a_number(identity.get("id"))
        if number is None:
            return "no identity with an id"
        return [Identity(number, texts(identity.get("labels")), a_number(value.get("refCount")), section.file, record.line)]

    return read_records(section, records, entry_of)


KIND: Final = Kind(
    name="identities",
    entry=Identity,
    read=read_identities,
    read_json=read_identities_json,
    titles=r"(?:ID|IDENTITY)\ LABELS\b",
    first_row=r"\d+\ +[a-z][\w.-]*:\S+(?:\ +\d+)?$",
    json=r'"labelsSHA256"|"identity"\s*:\s*\{\s*"id"',
    commands=("identity list", "identity get"),
    errors=("/v1/identity",),
)
