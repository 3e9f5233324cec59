"""What is to be explained: exchanges that failed in the same way between the same two parties."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.cluster import ClusterState
from mixcni.cluster.policies import PolicyEngine
from mixcni.explain.findings import Evidence
from mixcni.localise import Localisation
from mixcni.schema import Direction, ExchangeKind, Fate, Reason, TcpFlag
from mixcni.tables import AddressBook
from mixcni.topology import Address, Network
from mixcni.words import listed, plural

SHOWN_FRAMES: Final = 12
UNANSWERED_BEYOND = (Reason.ON_THE_WAY, Reason.NO_WINDOW)


@dataclass(frozen=True, slots=True)
class Facts:
    """What every cause is examined against.

    pod_cidrs : pod networks of nodes that Cilium does not manage, by node
    name_of : a file as the report names it
    """

    localisation: Localisation
    cluster: ClusterState
    pod_cidrs: Mapping[str, Network] = field(default_factory=dict)
    name_of: Callable[[Path], str] = str

    @property
    def policies(self) -> PolicyEngine:
        """Judges flows by the policies that the API server has; without any in the dumps, everything is let through."""
        return PolicyEngine(self.cluster, unmanaged=self.pod_cidrs)

    def capture_of(self, position: int) -> str:
        """The file name of a point's first capture, for what is said of all; the point's own name where it has none."""
        point = self.localisation.points[position]
        return self.name_of(point.captures[0]) if point.captures else point.name


@dataclass(frozen=True, slots=True)
class Pair:
    """An initiator's address calling one port of a responder: the unit of a policy's decision."""

    initiator: Address
    responder: Address
    port: int
    protocol: int


ECHO_REQUESTS: Final = {1: 8, 58: 128}
"""The message that opens an exchange of ICMP and of ICMPv6 (RFC 792, RFC 4443)."""


def policy_port(pair: Pair) -> int:
    """What rules compare with their ports: the responder's port, of ICMP the type of the message that opens the exchange."""
    return ECHO_REQUESTS.get(pair.protocol, pair.port)


@dataclass(frozen=True, slots=True)
class Suspect:
    """Fates with one hop and direction in common.

    loss : index in Localisation.losses; None for requests that were left undecided beyond the last point
    rows : rows of the fate table
    near, far : positions of the hop; far is the number of points where it is the open end
    """

    loss: int | None
    rows: NDArray[np.int64]
    direction: Direction
    near: int
    far: int


def find_suspects(localisation: Localisation) -> list[Suspect]:
    """The losses, and the requests that left the last point that watched and were not heard of again."""
    suspects = [
        Suspect(number, loss.fates, loss.direction, loss.near, loss.far) for number, loss in enumerate(localisation.losses)
    ]
    fates = localisation.fates
    left = (fates["fate"] == Fate.UNDECIDED) & np.isin(fates["reason"], UNANSWERED_BEYOND) & (fates["last_seen"] >= 0)
    left &= fates["response_end"] == fates["response_start"]
    for near in np.unique(fates["last_seen"][left]).tolist():
        rows = np.flatnonzero(left & (fates["last_seen"] == near))
        suspects.append(Suspect(None, rows, Direction.FORWARD, near, near + 1))
    return suspects


def find_unheard(localisation: Localisation) -> list[Suspect]:
    """The connection attempts of which the last point saw no answer, if it is not known to be the pod's own.

    It may stand before the node's policy: then what was not let in looks like a silent server's doing.
    """
    fates, last = localisation.fates, len(localisation.points) - 1
    kind = localisation.points[last].kind if localisation.points else None
    rows = np.flatnonzero((fates["fate"] == Fate.SILENT) & (fates["kind"] == ExchangeKind.HANDSHAKE))
    return [Suspect(None, rows, Direction.FORWARD, last, last + 1)] if rows.size and kind is None else []


def pairs_of(
    localisation: Localisation, rows: NDArray[np.int64], seen_by: int | NDArray[np.int64] | None = None
) -> dict[Pair, NDArray[np.int64]]:
    """The fates in `rows` by who called whom; the pair with the most fates first.

    Parameters
    ----------
    seen_by : position of the point whose word on the ends counts, of all or of each row: behind a translation they are others.
        Without it, and for what that point did not see, they are as the first point that saw the connection has them
    """
    conversation = localisation.fates["conversation"][rows]
    columns = [_ends_column(localisation, name, conversation, seen_by) for name in ("initiator", "responder", "responder_port")]
    table = localisation.alignment.conversations
    keys = np.stack([*columns, table["protocol"][conversation].astype(np.int64)], axis=1)
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(len(unique) + 1)).tolist()
    found = {}
    for (initiator, responder, port, protocol), first, last in zip(unique.tolist(), bounds[:-1], bounds[1:], strict=True):
        pair = Pair(table.book.address(initiator), table.book.address(responder), port, protocol)
        found[pair] = rows[order[first:last]]
    return dict(sorted(found.items(), key=lambda item: -item[1].size))


def initiator_port_of(localisation: Localisation, conversation: int, seen_by: int) -> int:
    """A connection's own port as a point saw it; as the first one did where it saw nothing of it."""
    return int(_ends_column(localisation, "initiator_port", np.array([conversation]), seen_by)[0])


def last_seen_by(localisation: Localisation, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of the last point that saw each fate's connection."""
    seen = localisation.alignment.conversations.flow_of[localisation.fates["conversation"][rows]] >= 0
    return np.asarray(seen.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1))


def _ends_column(
    localisation: Localisation, name: str, conversation: NDArray[np.int64], seen_by: int | NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """One of the ends' columns of some conversations, by a point's word where it has one."""
    table = localisation.alignment.conversations
    own = table[name][conversation].astype(np.int64)
    if seen_by is None:
        return own
    has_seen = table.flow_of[conversation, seen_by] >= 0
    return np.where(has_seen, getattr(table.ends, name)[conversation, seen_by].astype(np.int64), own)


def exchanges_text(localisation: Localisation, rows: NDArray[np.int64]) -> str:
    """Exchanges in words: `12 connection attempts and 27 requests`."""
    handshakes = int((localisation.fates["kind"][rows] == ExchangeKind.HANDSHAKE).sum())
    others = rows.size - handshakes
    words = [plural(handshakes, "connection attempt")] if handshakes else []
    words += [plural(others, "request")] if others or not words else []
    return " and ".join(words)


def ends_text(localisation: Localisation, rows: NDArray[np.int64]) -> str:
    """Who called whom in these exchanges: `from 10.244.3.7 to 10.242.2.149 port 8080`."""
    table = localisation.alignment.conversations
    conversation = np.unique(localisation.fates["conversation"][rows])
    sources, responders = (_addresses(table.book, table[name][conversation]) for name in ("initiator", "responder"))
    ports = np.unique(table["responder_port"][conversation]).tolist()
    if len(ports) == 1 and len(responders) > 1:
        return f"from {listed(sources, 3)} to port {ports[0]} of {listed(responders, 3)}"
    place = {address: number for number, address in enumerate(responders)}
    callees = table.book.texts(table["responder"][conversation]), table["responder_port"][conversation].tolist()
    pairs = sorted({*zip(*callees, strict=True)}, key=lambda end: (place[end[0]], end[1]))
    targets = [f"{address} port {port}" for address, port in pairs]
    return f"from {listed(sources, 3)} to {listed(targets, 3)}"


def _addresses(book: AddressBook, codes: NDArray[np.int32]) -> list[str]:
    """The addresses of some codes as text, each once, in their order as numbers."""
    found = (book.address(code) for code in np.unique(codes).tolist())
    return [str(address) for address in sorted(found, key=lambda address: (address.version, int(address)))]


def is_silence(localisation: Localisation, rows: NDArray[np.int64]) -> bool:
    """Whether these are connection attempts to which nothing came back: no reset and no ICMP error, at any point."""
    fates, refusals = localisation.fates, localisation.refusals
    conversation = fates["conversation"][rows]
    return bool(
        (fates["kind"][rows] == ExchangeKind.HANDSHAKE).all()
        and (refusals.reset_ns[conversation] < 0).all()
        and (refusals.icmp_ns[conversation] < 0).all()
    )


def attempts_at(localisation: Localisation, rows: NDArray[np.int64], position: int) -> NDArray[np.int64]:
    """The SYNs of the connections in `rows` at one point, as rows of its packet table, in file order."""
    table = localisation.alignment.transmissions
    wanted = np.isin(table["conversation"], localisation.fates["conversation"][rows]) & (table["point"] == position)
    wanted &= (table["tcp_flags"] & TcpFlag.SYN) != 0
    return np.asarray(table["packet"][wanted].astype(np.int64))


def shown_by(
    facts: Facts, says: str, position: int, packets: NDArray[np.int64], *, odds: float = 1.0, of: int | None = None
) -> Evidence:
    """A fact with the first few frames that show it, all in the file of the first one and by their numbers in that file.

    Parameters
    ----------
    packets : rows of the point's packet table
    of : how many frames show it, where `packets` are but the first of them
    """
    table = facts.localisation.alignment.points[position].packets
    if not packets.size or not table.files:
        return Evidence(says, facts.capture_of(position), odds=odds)
    files = table["file"][packets]
    frames = np.unique(table["frame_number"][packets[files == files[0]]])[:SHOWN_FRAMES]
    more = max(0, (np.unique(packets).size if of is None else of) - frames.size)
    return Evidence(says, facts.name_of(table.files[int(files[0])]), frames=tuple(frames.tolist()), more=more, odds=odds)
