"""What a policy map does with a packet: the datapath's lookup, replayed.

The datapath asks the map twice, once for the peer's identity and once for identity 0 (anybody), each time for the row
that fixes most of protocol and port. Which of the two answers counts has changed: up to 1.16 the more specific one, an
identity breaking ties; from 1.17 on a deny before anything else. Before 1.13 it asked for exact ports and for all
ports of all protocols, and for nothing between. Where a dump cannot tell which release it is of, or
whether a row's labels are the peer's, every possibility is tried, and the verdict stands only if they all agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from mixcni.cluster.cilium.identities import ANY, MIN_LABEL_BASED, MIN_LOCAL, RESERVED_NAMES, reserved_identity
from mixcni.cluster.cilium.policymap import PolicyEntry
from mixcni.cluster.version import VersionRange
from mixcni.errors import ParameterError

PROTOCOLS: Final[Mapping[int, str]] = MappingProxyType({
    1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPV6", 112: "VRRP", 132: "SCTP",
})  # fmt: skip
"""IANA protocol numbers, in the capitals in which protocols are compared here."""

PROTOCOL_ROWS: Final = (1, 13)
"""The release from which rows that fix a protocol and no port are asked for."""
DENY_FIRST: Final = (1, 17)  # the release from which a deny row wins over a more specific allow row
TIERED: Final = (1, 19)  # the release from which rules have priorities, which no dump prints

_NO_AUTH: Final = frozenset({None, "", "-", "disabled"})
_ALWAYS_FAILS: Final = "test-always-fail"


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What becomes of a packet, by which row, and why."""

    allowed: bool | None
    """None: the map as dumped does not decide it."""
    entry: PolicyEntry | None
    """The row that was hit; None for the default, or where rows cannot be told apart."""
    why: str


def decide(
    entries: Sequence[PolicyEntry],
    direction: str,
    identity: int | None,
    port: int | None,
    protocol: str | int,
    version: VersionRange | str | None = None,
    *,
    labels: Iterable[str] | None = None,
) -> PolicyVerdict:
    """Whether an endpoint's policy map lets a new connection through.

    Parameters
    ----------
    entries : the rows of the endpoint's whole map
    direction : `ingress` or `egress`, as the endpoint sees it
    identity : the peer's; None if it is not known
    port : the destination's port, or the ICMP type; None if there is none
    protocol : its name, in any case, or its IANA number
    version : the release of the dump; None, or a range, if it is not known exactly
    labels : the labels of `identity`, for rows that name labels and no number; None if they are not known

    Raises
    ------
    ParameterError : `direction` is neither of its words, or `version` is no release
    """
    direction = direction.lower()
    if direction not in ("ingress", "egress"):
        raise ParameterError(f"direction: wanted ingress or egress, found {direction!r}")
    release = VersionRange.parse(version) if isinstance(version, str) else version
    wanted = protocol_name(protocol)
    known = None if labels is None else frozenset(labels)
    fitting = [entry for entry in entries if entry.ingress == (direction == "ingress") and _fits(entry, port, wanted)]
    matches = {id(entry): _is_peer(entry, identity, known) for entry in fitting}
    certain = [entry for entry in fitting if matches[id(entry)]]
    doubtful: dict[tuple[object, ...], list[PolicyEntry]] = {}
    for entry in fitting:
        if matches[id(entry)] is None:
            # An identity has one set of labels: rows with the same set match together, others then do not.
            doubtful.setdefault((entry.identity, *sorted(entry.labels)), []).append(entry)
    tiered = release is not None and release.low >= TIERED
    what = _what(direction, identity, port, wanted)
    verdicts = [_verdict(certain + group, what, way, tiered) for group in ([], *doubtful.values()) for way in _ways(release)]
    first = verdicts[0]
    if all(verdict.allowed == first.allowed for verdict in verdicts):
        return first
    return PolicyVerdict(None, None, _doubt(what, identity, doubtful, verdicts))


class _Way(NamedTuple):
    """How the releases from `since` on, up to the next way, choose among the rows that hold a packet."""

    since: tuple[int, int]
    protocol_rows: bool
    deny_first: bool


_WAYS: Final = (_Way((0, 0), False, False), _Way(PROTOCOL_ROWS, True, False), _Way(DENY_FIRST, True, True))


def _ways(release: VersionRange | None) -> list[_Way]:
    """The ways of the releases in a range."""
    if release is None:
        return list(_WAYS)
    before = [way for way in _WAYS if release.high is None or way.since <= release.high]
    return [
        way
        for way, following in zip(before, [*before[1:], None], strict=True)
        if following is None or release.low < following.since
    ]


def protocol_name(protocol: str | int) -> str:
    """A protocol in the capitals in which protocols are compared here, given its name or its IANA number."""
    if isinstance(protocol, int):
        return PROTOCOLS.get(protocol, str(protocol))
    return PROTOCOLS.get(int(protocol), protocol) if protocol.isdecimal() else protocol.upper()


def _fits(entry: PolicyEntry, port: int | None, protocol: str) -> bool:
    """Whether a row's protocol and ports hold the packet's."""
    if entry.protocol is not None and protocol_name(entry.protocol) != protocol:
        return False
    if entry.port is None:
        return True
    return port is not None and entry.port <= port <= (entry.port if entry.port_end is None else entry.port_end)


def _is_peer(entry: PolicyEntry, identity: int | None, labels: frozenset[str] | None) -> bool | None:
    """Whether a row is about `identity`; None if that cannot be told."""
    if entry.identity == ANY:
        return True
    if identity is None:
        return None
    if entry.identity is not None:
        return entry.identity == identity
    if labels is not None:
        return labels == frozenset(entry.labels)
    if identity < MIN_LABEL_BASED:
        # Reserved identities have labels of their own, and a row with these would have had its number.
        return None if identity not in RESERVED_NAMES else reserved_identity(entry.labels) == identity
    is_local = any(label.startswith(("cidr:", "fqdn:")) or label == "reserved:world" for label in entry.labels)
    if entry.labels and is_local != (identity >= MIN_LOCAL):
        return False
    return None


def _verdict(rows: Sequence[PolicyEntry], what: str, way: _Way, tiered: bool) -> PolicyVerdict:
    """The verdict of rows that all hold the packet, chosen in one way."""
    if not way.protocol_rows:
        rows = [row for row in rows if row.protocol is None or row.port is not None]
    # One lookup for the peer, one for anybody: each sees only its most specific row.
    hits = []
    for is_any in (False, True):
        own = [row for row in rows if (row.identity == ANY) == is_any]
        if own:
            most = max(row.specificity for row in own)
            hits.append(min((row for row in own if row.specificity == most), key=lambda row: not row.deny))
    if not hits:
        return PolicyVerdict(
            False, None, f"no row of the policy map holds {what}: dropped by default (drop reason 133, Policy denied)"
        )
    if way.deny_first:
        entry = max(hits, key=lambda row: (row.deny, row.proxy_port is not None, row.specificity, row.identity != ANY))
    else:
        entry = max(hits, key=lambda row: (row.specificity, row.identity != ANY))
    verdict = _verdict_of(entry, what)
    if tiered and len({row.deny for row in hits}) > 1:
        return replace(verdict, why=f"{verdict.why}; a rule's priority, which no dump prints, could outweigh that")
    return verdict


def _verdict_of(entry: PolicyEntry, what: str) -> PolicyVerdict:
    row = f"the row {entry.peer} {entry.ports} ({entry.file}, line {entry.line})"
    if entry.deny:
        return PolicyVerdict(False, entry, f"{row} denies {what} (drop reason 181, Policy denied by denylist)")
    if entry.auth == _ALWAYS_FAILS:
        return PolicyVerdict(False, entry, f"{row} asks for an authentication that always fails (drop reason 189)")
    if entry.auth not in _NO_AUTH:
        return PolicyVerdict(
            None,
            entry,
            f"{row} allows {what} once {entry.auth} has authenticated the peers; no dump says whether it has",
        )
    if entry.proxy_port is not None:
        return PolicyVerdict(
            True,
            entry,
            f"{row} lets {what} through to the proxy on port {entry.proxy_port}, which may still refuse requests",
        )
    return PolicyVerdict(True, entry, f"{row} allows {what}")


def _text(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


def _what(direction: str, identity: int | None, port: int | None, protocol: str) -> str:
    if identity is None:
        peer = "a peer of unknown identity"
    else:
        name = RESERVED_NAMES.get(identity)
        peer = f"identity {identity}" + (f" ({name})" if name else "")
    ports = protocol if port is None else f"{port}/{protocol}"
    return f"ingress from {peer} to {ports}" if direction == "ingress" else f"egress to {peer}, {ports}"


def _doubt(
    what: str,
    identity: int | None,
    doubtful: Mapping[tuple[object, ...], Sequence[PolicyEntry]],
    verdicts: Sequence[PolicyVerdict],
) -> str:
    """Why the verdicts on all possibilities differ."""
    if any(verdict.allowed is None for verdict in verdicts):
        return next(verdict.why for verdict in verdicts if verdict.allowed is None)
    lines = sorted(entry.line for group in doubtful.values() for entry in group)
    if not lines:
        return (
            f"{what}: from {_text(DENY_FIRST)} on a deny row wins over a more specific one, before {_text(PROTOCOL_ROWS)} no row "
            "of a protocol without a port is asked for, and the release is not known"
        )
    shown = ", ".join(map(str, lines[:5])) + (f" and {len(lines) - 5} more" if len(lines) > 5 else "")
    if identity is None:
        return f"{what}: it depends on the rows in line {shown}, each for one peer"
    return f"{what}: it depends on whether the peer has the labels in line {shown}, and no dump gives their number"
