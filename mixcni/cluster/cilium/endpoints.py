"""`cilium endpoint list`: the pods (and the host, and the health endpoint) of one node.

No cell of a row looks like another's, so rows are read by what their words are, not by where they stand: dumps that
lost their columns by copy and paste, or that an author relieved of some, read like any other. An endpoint's first
label stands on its row, every further label on a row of its own.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mixcni.cluster.addresses import Address, AddressBook
from mixcni.cluster.cilium.identities import is_label
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_list, a_number, a_text, look_up, read_records, texts
from mixcni.cluster.kind import Kind
from mixcni.cluster.version import releases

ENFORCED: Final = "Enabled"
NOT_ENFORCED: Final = frozenset({"Disabled", "Disabled (Audit)"})

_POLICY_WORDS = frozenset({"Enabled", "Disabled", "Unknown"})
_STATUSES = frozenset({
    "ready", "regenerating", "waiting-for-identity", "waiting-to-regenerate", "restoring", "disconnecting",
    "disconnected", "not-ready", "invalid", "creating",
})  # fmt: skip
_FILLERS = frozenset({"no", "labels", "No", "address", "<no", "label", "id>", "<nil>"})
_ID = re.compile(r"\d{1,10}", re.ASCII)
_MASKED = re.compile(r"(?=.*[xX*])[\dA-Fa-fxX*.:]{3,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the node."""

    id: int
    ingress_policy: str | None
    """Enabled, Disabled, Disabled (Audit) or Unknown; None where the dump has no such column."""
    egress_policy: str | None
    identity: int | None
    """None while it waits for one."""
    labels: tuple[str, ...]
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    status: str | None
    pod: str | None = None
    """Namespace and name, in JSON alone."""
    file: str = ""
    line: int = 0

    @property
    def ingress_enforced(self) -> bool | None:
        """Whether ingress that no row of the policy map allows is dropped; None if the dump does not say."""
        return _enforced(self.ingress_policy)

    @property
    def egress_enforced(self) -> bool | None:
        """Whether egress that no row of the policy map allows is dropped; None if the dump does not say."""
        return _enforced(self.egress_policy)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its addresses, IPv4 first."""
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)


def _enforced(policy: str | None) -> bool | None:
    if policy == ENFORCED:
        return True
    return False if policy in NOT_ENFORCED else None


@dataclass(slots=True)
class _Row:
    """An endpoint whose rows still come."""

    id: int
    line: int
    policies: list[str] = field(default_factory=list)
    identity: int | None = None
    labels: list[str] = field(default_factory=list)
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    status: str | None = None

    def entry(self, file: str, titles: Sequence[str]) -> Endpoint:
        """The endpoint; a single policy column is whichever the titles name."""
        ingress, egress = (*self.policies, None, None)[:2]
        if len(self.policies) == 1 and titles == ("egress",):
            ingress, egress = None, ingress
        return Endpoint(
            self.id,
            ingress,
            egress,
            self.identity,
            tuple(self.labels),
            self.ipv4,
            self.ipv6,
            self.status,
            None,
            file,
            self.line,
        )


def read_endpoints(section: Section) -> Parsed:
    """The endpoints of `endpoint list`."""
    entries: list[Endpoint] = []
    unparsed: list[Unparsed] = []
    titles: tuple[str, ...] = ()
    row: _Row | None = None
    for number, text in section.numbered():
        tokens = text.split()
        if tokens[0] == "ENDPOINT":
            titles = tuple(way for way in ("ingress", "egress") if f"({way})" in text)
        elif set(tokens) == {"ENFORCEMENT"}:  # the second row of titles
            continue
        elif _ID.fullmatch(tokens[0]) and _begins_row(tokens):
            if row is not None:
                entries.append(row.entry(section.file, titles))
            row = _Row(int(tokens[0]), number)
            rest = _take_policies(row, tokens[1:])
            if rest and _ID.fullmatch(rest[0]):
                row.identity = int(rest.pop(0))
            _take_words(row, rest, number, text, section.addresses, unparsed)
        elif row is None:
            unparsed.append(Unparsed(number, text, "a row of labels above the first endpoint"))
        elif (odd := next((token for token in tokens if not _is_of_row(token, section.addresses)), None)) is not None:
            unparsed.append(Unparsed(number, text, f"{odd!r} is no label, address or status"))  # of such a line nothing is taken
        else:
            _take_words(row, tokens, number, text, section.addresses, unparsed)
    if row is not None:
        entries.append(row.entry(section.file, titles))
    audit = any("(Audit)" in (entry.ingress_policy or "") + (entry.egress_policy or "") for entry in entries)
    return Parsed(entries, unparsed, releases(8) if audit else None)


def _begins_row(tokens: Sequence[str]) -> bool:
    """An id is followed by a policy, by the identity or by words that stand for one."""
    return len(tokens) > 1 and (
        tokens[1] in _POLICY_WORDS or tokens[1] == "<no" or _ID.fullmatch(tokens[1]) is not None or is_label(tokens[1])
    )


def _take_policies(row: _Row, tokens: list[str]) -> list[str]:
    """The tokens after up to two policies, one of which may be the two words `Disabled (Audit)`."""
    while tokens and tokens[0] in _POLICY_WORDS and len(row.policies) < 2:
        policy, *tokens = tokens
        if tokens and tokens[0] == "(Audit)":
            policy, *tokens = f"{policy} {tokens[0]}", *tokens[1:]
        row.policies.append(policy)
    return tokens


def _is_of_row(token: str, addresses: AddressBook) -> bool:
    return is_label(token) or addresses[token] is not None or token in _STATUSES or _is_filler(token)


def _is_filler(token: str) -> bool:
    return token in _FILLERS or _MASKED.fullmatch(token) is not None


def _take_words(
    row: _Row, tokens: Sequence[str], number: int, text: str, addresses: AddressBook, unparsed: list[Unparsed]
) -> None:
    """Labels, addresses and status, each by its looks; a line with a word that is none of them is unparsed as well."""
    odd = ""
    for token in tokens:
        if is_label(token):
            row.labels.append(token)
        elif isinstance(address := addresses[token], IPv4Address):
            row.ipv4 = row.ipv4 or address
        elif isinstance(address, IPv6Address):
            row.ipv6 = row.ipv6 or address
        elif token in _STATUSES:
            row.status = token
        elif not _is_filler(token):
            odd = odd or token
    if odd:
        unparsed.append(Unparsed(number, text, f"{odd!r} is no label, address or status"))


_ENFORCING: Final = {
    "none": ("Disabled", "Disabled"), "ingress": ("Enabled", "Disabled"), "egress": ("Disabled", "Enabled"),
    "both": ("Enabled", "Enabled"), "audit-ingress": ("Disabled (Audit)", "Disabled"),
    "audit-egress": ("Disabled", "Disabled (Audit)"), "audit-both": ("Disabled (Audit)", "Disabled (Audit)"),
}  # fmt: skip


def read_endpoints_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The endpoints of `endpoint list -o json` and `endpoint get`."""

    def entry_of(record: Record) -> list[Endpoint] | str:
        number = a_number(look_up(record.value, "id"))
        status = look_up(record.value, "status")
        if number is None or not isinstance(status, dict):
            return "no endpoint with an id and a status"
        enforcing = a_text(look_up(status, "policy", "realized", "policy-enabled"))
        ingress, egress = _ENFORCING.get(enforcing or "", (None, None))
        found = [section.addresses[a_text(text) or ""] for pair in a_list(look_up(status, "networking", "addressing"))
                 for text in (look_up(pair, "ipv4"), look_up(pair, "ipv6"))]  # fmt: skip
        ids = look_up(status, "external-identifiers")
        namespace, pod = a_text(look_up(ids, "k8s-namespace")), a_text(look_up(ids, "k8s-pod-name"))
        return [
            Endpoint(
                number, ingress, egress, a_number(look_up(status, "identity", "id")),
                texts(look_up(status, "identity", "labels")),
                next((address for address in found if isinstance(address, IPv4Address)), None),
                next((address for address in found if isinstance(address, IPv6Address)), None),
                a_text(look_up(status, "state")),
                f"{namespace}/{pod}" if namespace and pod else a_text(look_up(ids, "pod-name")), section.file, record.line,
            )
        ]  # fmt: skip

    return read_records(section, records, entry_of)


KIND: Final = Kind(
    name="endpoints",
    entry=Endpoint,
    read=read_endpoints,
    read_json=read_endpoints_json,
    titles=r"ENDPOINT\ (?:POLICY\ |IDENTITY\ |.*LABELS)",
    rows=r"\d+\ +(?:Enabled|Disabled|Unknown)\b",
    json=r'^\{\s*"id"\s*:\s*\d+\s*,\s*"s(?:pec|tatus)"\s*:\s*\{|"external-identifiers"|"policy-enabled"',
    commands=("endpoint list", "endpoint get"),
    files=("endpoints list",),
    errors=("/v1/endpoint",),
)
