"""Events and log lines pinned to the conversations that they tell of: by a request's id, else by addresses, ports and time.

A line of an access log is pinned to the very requests that carry its `x-request-id` and may be the one that it tells of, by
method and target: whatever the ports, and whatever its clock says. What has no id that the captures have goes by its ends.

An event may stand for what any point saw of a conversation, before or after address translation. Where it has a time, that
must lie within the conversation's packets, give or take TOLERANCE_NS: a node's clock is not the captures', and nobody measured
how far apart the two are. Where it has none the ports alone join the two, and a conversation whose ports were used more than
once in the captures is told of with that said. What is not pinned proves nothing: events are aggregated, filtered and lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from mixcni.cluster import ClusterState
from mixcni.cluster.addresses import Address
from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.lost import LostEvents
from mixcni.cluster.events.monitorevent import MonitorEvent
from mixcni.cluster.events.packets import protocol_of
from mixcni.cluster.events.pwru import PwruEvent
from mixcni.cluster.events.retis import RetisEvent
from mixcni.cluster.events.times import in_year, time_in_year
from mixcni.cluster.logs.accesslog import AccessLogEntry
from mixcni.cluster.logs.conntrack import ConntrackEntry
from mixcni.explain.eventwords import says_of
from mixcni.localise import Localisation
from mixcni.localise.proxied import MOST_OF_ONE_ID
from mixcni.localise.requests import path_of, said_of, same_request

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE_NS: Final = 2_000_000_000  # between a node's clock and the captures'; nodes with NTP are well within it
QUARTER_NS: Final = 900_000_000_000  # time zones are a whole number of quarters of an hour from UTC
MAX_ZONE_NS: Final = 14 * 3_600_000_000_000
COLUMNS: Final = ("conversation", "number", "kind", "file", "line", "apart_ns", "uses", "says")


class Key(NamedTuple):
    """The ends of a packet."""

    source: Address
    source_port: int | None
    destination: Address
    destination_port: int | None
    protocol: str

    def turned(self) -> "Key":
        """The ends of an answer to it."""
        return Key(self.destination, self.destination_port, self.source, self.source_port, self.protocol)


class SaidRequest(NamedTuple):
    """A request with an id, by its place among the exchanges; its words are "" where they were not captured."""

    conversation: int
    number: int
    method: str
    path: str

    def may_be(self, entry: AccessLogEntry) -> bool:
        """Whether it may be the request of a log line with the same id: services hand an id on in requests of their own."""
        if entry.method and self.method and entry.method != self.method:
            return False
        return not (entry.path and self.path) or same_request(self.path, path_of(entry.path))


@dataclass(frozen=True, slots=True)
class Pin:
    """One event or log line that tells of a conversation."""

    conversation: int
    """Row in the conversation table."""
    kind: str
    """monitor, hubble, pwru, retis, envoy or conntrack."""
    entry: Any
    apart_ns: int | None
    """How far outside the conversation's packets its time is, 0 within them; None where it has none."""
    is_forward: bool
    """It tells of a packet of the initiator's."""
    uses: int = 1
    """How many conversations of the captures have these ends: with more than one, and no time, it may tell of another."""
    number: int | None = None
    """Of the exchange in the conversation that carries the same `x-request-id`; None where it is the ends that tell."""

    @property
    def says(self) -> str:
        """What it says, in a sentence's half."""
        return says_of(self.entry)


@dataclass(frozen=True)
class Pins:
    """All that is pinned, and when the sources of events were blind."""

    pins: tuple[Pin, ...] = ()
    blind: tuple[LostEvents, ...] = ()
    _of: Mapping[int, list[Pin]] = field(default_factory=dict, repr=False)

    @classmethod
    def of_all(cls, pins: Iterable[Pin], blind: tuple[LostEvents, ...]) -> "Pins":
        """The pins, in the order of conversations."""
        by_conversation: dict[int, list[Pin]] = defaultdict(list)
        for pin in pins:
            by_conversation[pin.conversation].append(pin)
        ordered = tuple(pin for number in sorted(by_conversation) for pin in by_conversation[number])
        return cls(ordered, blind, by_conversation)

    def of(self, conversations: Iterable[int]) -> list[Pin]:
        """What is pinned to some conversations."""
        return [pin for number in conversations for pin in self._of.get(int(number), ())]

    def blind_between(self, first_ns: int, last_ns: int) -> list[LostEvents]:
        """The losses of events that may have been between two times: those without times too."""
        return [
            lost
            for lost in self.blind
            if not lost.is_timed
            or (
                (lost.since_ns is None or lost.since_ns - TOLERANCE_NS <= last_ns)
                and (lost.until_ns is None or lost.until_ns + TOLERANCE_NS >= first_ns)
            )
        ]

    def to_frame(self) -> "pd.DataFrame":
        """A row a pin: conversation, number of the exchange by id, kind, place, how far off its time is, uses of its ends."""
        import pandas as pd

        rows = [
            (pin.conversation, pin.number, pin.kind, pin.entry.file, pin.entry.line, pin.apart_ns, pin.uses, pin.says)
            for pin in self.pins
        ]
        types = {"conversation": "Int64", "number": "Int64", "line": "Int64", "apart_ns": "Int64", "uses": "Int64"}
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({name: types.get(name, "string") for name in COLUMNS})

    def __repr__(self) -> str:
        counts: dict[str, int] = defaultdict(int)
        for pin in self.pins:
            counts[pin.kind] += 1
        words = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "nothing"
        blind = f"; blind {len(self.blind)} times" if self.blind else ""
        return f"Pins: {words} on {len(self._of)} conversations{blind}"


def pin_events(localisation: Localisation, cluster: ClusterState) -> Pins:
    """What the events and logs in the dumps say of each conversation in the captures."""
    told: list[tuple[str, Any, tuple[Any, ...]]] = [
        (kind, pinned, cluster.of_type(entry_type)) for kind, entry_type, pinned in _KINDS
    ]
    if not any(entries for *_, entries in told):
        return Pins.of_all([], cluster.of_type(LostEvents))
    known = _Conversations(localisation, cluster)
    pins = [pin for kind, pinned, entries in told for entry in entries for pin in pinned(kind, entry, known)]
    return Pins.of_all(pins, cluster.of_type(LostEvents))


class _Conversations:
    """The conversations by their ends, as each point saw them, with their times."""

    def __init__(self, localisation: Localisation, cluster: ClusterState) -> None:
        self._localisation = localisation
        alignment = localisation.alignment
        table = alignment.conversations
        self.first = table["first_ns"].astype(np.int64)
        self.last = self.first.copy()
        np.maximum.at(self.last, alignment.transmissions["conversation"], alignment.transmissions["time_ns"])
        self.by_key: dict[Key, list[int]] = defaultdict(list)
        self.to: dict[tuple[Address, int], list[int]] = defaultdict(list)
        self.sources: dict[int, set[Address]] = defaultdict(set)
        self.has_answer = np.zeros(len(table), dtype=np.bool_)
        addresses: set[Address] = set()
        for position, flows in enumerate(alignment.points):
            for number in np.flatnonzero(table.flow_of[:, position] >= 0).tolist():
                flow = int(table.flow_of[number, position])
                key = _key_of(flows, flow)
                self.has_answer[number] |= bool(flows["packets_forward"][flow] and flows["packets_reverse"][flow])
                key = key.turned() if table.flipped[number, position] else key
                addresses |= {key.source, key.destination}
                self.sources[number].add(key.source)
                if number not in self.by_key[key]:
                    self.by_key[key].append(number)
                if key.destination_port is not None and number not in self.to[key.destination, key.destination_port]:
                    self.to[key.destination, key.destination_port].append(number)
        self.named = {owner.name: address for address in addresses for owner in cluster.owners_of(address) if owner.role == "pod"}
        self.named |= _names_in_flows(cluster)

    @cached_property
    def by_id(self) -> dict[str, list[SaidRequest]]:
        """The requests that carry each `x-request-id`, but for ids that too many carry to tell them apart."""
        fates = self._localisation.fates
        found: dict[str, list[SaidRequest]] = defaultdict(list)
        for row, said in said_of(self._localisation).items():
            if said["request_id"]:
                place = int(fates["conversation"][row]), int(fates["number"][row])
                found[said["request_id"]].append(SaidRequest(*place, said["method"], path_of(said["target"])))
        return {one: requests for one, requests in found.items() if len(requests) <= MOST_OF_ONE_ID}

    def of(self, key: Key) -> Iterator[tuple[int, bool, int]]:
        """(conversation, whether the packet is the initiator's, how many have these ends)."""
        for ends, is_forward in ((key, True), (key.turned(), False)):
            numbers = self.by_key.get(ends, ())
            for number in numbers:
                yield number, is_forward, len(numbers)

    def apart(self, number: int, entry: Any) -> int | None:
        """How far an event's time is outside the conversation's packets; None where it tells none."""
        first, last = int(self.first[number]), int(self.last[number])
        if entry.time_ns is not None:
            time_ns = int(entry.time_ns)
            return max(first - time_ns, time_ns - last, 0)
        stamp = time_in_year(entry.when)
        return None if stamp is None else _apart_in_year(stamp, in_year(first), last - first)


def _key_of(flows: Any, flow: int) -> Key:
    book = flows.packets.book
    protocol = protocol_of(int(flows["protocol"][flow])) or ""
    has_ports = protocol in ("TCP", "UDP", "SCTP")
    return Key(
        book.address(int(flows["initiator"][flow])),
        int(flows["initiator_port"][flow]) if has_ports else None,
        book.address(int(flows["responder"][flow])),
        int(flows["responder_port"][flow]) if has_ports else None,
        protocol,
    )


def _apart_in_year(stamp: int, first: int, length: int) -> int:
    """The same for a time without year and zone: by the time zone in which it is nearest."""
    ahead = stamp - first
    if abs(ahead) > MAX_ZONE_NS + length + TOLERANCE_NS:
        return abs(ahead)
    zone = round((ahead - min(max(ahead % QUARTER_NS, 0), length)) / QUARTER_NS) * QUARTER_NS
    return min(max(-(ahead - shift), ahead - shift - length, 0) for shift in (0, zone, zone + QUARTER_NS))


def _names_in_flows(cluster: ClusterState) -> dict[str, Address]:
    """The addresses of pods by flows that give both; a name of several addresses is none."""
    found: dict[str, set[Address]] = defaultdict(set)
    for flow in cluster.of_type(HubbleFlow):
        for name, address in ((flow.source_name, flow.source), (flow.destination_name, flow.destination)):
            if name and address is not None:
                found[name].add(address)
    return {name: next(iter(addresses)) for name, addresses in found.items() if len(addresses) == 1}


def _of_packet(kind: str, entry: Any, known: _Conversations) -> Iterator[Pin]:
    """An event of one packet."""
    source, destination = entry.source, entry.destination
    if isinstance(entry, HubbleFlow):
        source = source or known.named.get(entry.source_name or "")
        destination = destination or known.named.get(entry.destination_name or "")
    if source is None or destination is None:
        return
    key = Key(source, entry.source_port, destination, entry.destination_port, (entry.protocol or "TCP"))
    for number, is_forward, uses in known.of(key):
        apart = None if isinstance(entry, MonitorEvent) else known.apart(number, entry)
        if apart is None or apart <= TOLERANCE_NS:
            yield Pin(number, kind, entry, apart, is_forward, 1 if apart is not None else uses)


def _of_connection(kind: str, entry: ConntrackEntry, known: _Conversations) -> Iterator[Pin]:
    """An entry of a connection table, by either of its tuples."""
    forward = entry.source, entry.source_port, entry.destination, entry.destination_port
    reverse = entry.reply_destination, entry.reply_destination_port, entry.reply_source, entry.reply_source_port
    seen: set[int] = set()
    for source, source_port, destination, destination_port in (forward, reverse):
        if source is None or destination is None:
            continue
        key = Key(source, source_port, destination, destination_port, entry.protocol)
        for number, is_forward, uses in known.of(key):
            if number not in seen:
                seen.add(number)
                yield Pin(number, kind, entry, None, is_forward, uses)


def _of_request(kind: str, entry: AccessLogEntry, known: _Conversations) -> Iterator[Pin]:
    """A request of an access log: by its id, else the client's connection, and the one to the upstream.

    Of an upstream that could not be reached the log has no own port: then it is every attempt to reach that upstream while
    the request lasted which nobody answered, from the client's address if one of them is (a sidecar shares its pod's).
    """
    named = [one for one in known.by_id.get(entry.request_id, ()) if one.may_be(entry)] if entry.request_id else []
    for one in named:
        apart = _apart_from(one.conversation, entry, known)
        yield Pin(one.conversation, kind, entry, apart, is_forward=True, number=one.number)
    by_id = {one.conversation for one in named}
    pairs = (
        (entry.remote, entry.remote_port, entry.local, entry.local_port),
        (entry.upstream_local, entry.upstream_local_port, entry.upstream, entry.upstream_port),
    )
    for source, source_port, destination, destination_port in pairs:
        if source is None or destination is None:
            continue
        for number, is_forward, _ in known.of(Key(source, source_port, destination, destination_port, "TCP")):
            apart = _apart_from(number, entry, known)
            if number not in by_id and (apart is None or apart <= TOLERANCE_NS):
                yield Pin(number, kind, entry, apart, is_forward)
    if entry.upstream is None or entry.upstream_port is None or entry.upstream_local is not None or entry.time_ns is None:
        return
    attempts = [
        number
        for number in known.to.get((entry.upstream, entry.upstream_port), ())
        if not known.has_answer[number]
        and entry.time_ns - TOLERANCE_NS <= known.first[number] <= (entry.end_ns or entry.time_ns) + TOLERANCE_NS
    ]
    own = {entry.remote, entry.local}
    from_own = [number for number in attempts if known.sources[number] & own]
    for number in from_own or attempts:
        yield Pin(number, kind, entry, 0, is_forward=True, uses=len(from_own or attempts))


def _apart_from(number: int, entry: AccessLogEntry, known: _Conversations) -> int | None:
    """How far the request's time is from the conversation's packets, 0 where they overlap; None where it tells none."""
    if entry.time_ns is None or entry.end_ns is None:
        return None
    return max(int(known.first[number]) - entry.end_ns, entry.time_ns - int(known.last[number]), 0)


_KINDS: Final[tuple[tuple[str, type, Callable[[str, Any, _Conversations], Iterator[Pin]]], ...]] = (
    ("monitor", MonitorEvent, _of_packet),
    ("hubble", HubbleFlow, _of_packet),
    ("pwru", PwruEvent, _of_packet),
    ("retis", RetisEvent, _of_packet),
    ("envoy", AccessLogEntry, _of_request),
    ("conntrack", ConntrackEntry, _of_connection),
)
