"""What a case's `truth.json` says: from the applications' logs, the fault's counters and the clean captures.

A verdict is held against what the captures that remain after the noise can show. `verdicts` lists what is right to say, the
main one first: where no capture shows a failing request beyond doubt, `undecided` is right as well, and where the fault stands
outside all points or none of its requests was captured, there is nothing to blame.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from innermost import TCP, End, Segment
from noise import Noisy, PointNoise
from scenario import Scenario

Attempt = dict[str, Any]
ANSWERED: Final = frozenset({"connected", "answered"})
# Past a first retransmission timeout (RFC 6298: 1 s) a packet that has not come can be told from one still on its way.
PATIENCE_NS: Final = 1_500_000_000
SKEW_NS: Final = 50_000_000
# Clocks that are taken to agree where nothing tells them apart, and do so within a packet's patience.
AGREEING_NS: Final = 100_000_000


@dataclass(slots=True)
class Conversation:
    """One client's connection or query: what its client saw, and under which addresses each point saw it."""

    attempt: Attempt
    names: dict[str, tuple[End, End]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the client went without an answer to anything that it asked."""
        requests = self.attempt["requests"]
        return self.attempt["outcome"] not in ANSWERED or any(not isinstance(request["outcome"], int) for request in requests)


def name_conversations(attempts: Sequence[Attempt], seen: Mapping[str, Sequence[Segment]]) -> list[Conversation]:
    """Each attempt with its addresses at each point, told by its initial sequence number, or for UDP by its initiator.

    attempts : in time order; seen : every point's segments, clean and by the true clock
    """
    opened = {
        point: [segment for segment in segments if segment.opens or segment.protocol != TCP] for point, segments in seen.items()
    }
    conversations = []
    for attempt in attempts:
        conversation = Conversation(attempt)
        own = tuple(attempt["initiator"])
        begins, ends = attempt["started_ns"] - SKEW_NS, attempt["ended_ns"] + SKEW_NS
        numbers = set()
        for segments in opened.values():
            numbers |= {s.seq for s in segments if s.source == own and begins <= s.time_ns <= ends and s.protocol == TCP}
        for point, segments in opened.items():
            for segment in segments:
                same = segment.seq in numbers if segment.protocol == TCP else segment.source == own
                if same and begins <= segment.time_ns <= ends:
                    conversation.names.setdefault(point, (segment.source, segment.destination))
        conversations.append(conversation)
    return conversations


def truth_of(
    scenario: Scenario,
    conversations: Sequence[Conversation],
    noisy: Mapping[str, Noisy],
    kept: Mapping[str, Sequence[Segment]],
    noise: Mapping[str, PointNoise],
    at_ns: int,
) -> dict[str, Any]:
    """The part of the truth that a diagnosis is held against.

    failing : the conversations that failed through it; `sent` counts a point's packets of the fault's direction, `hops` are
        those on which one of them can be seen to be missing, the narrowest first; with none of them it is not `decidable`
    hop : that of most of them; hops : all that are right to name, for a point that was not there widens a hop
    """
    sight = Sight(scenario, conversations, {p: c.window for p, c in noisy.items() if c.window}, kept, noise)
    failing = [sight.tell(c) for c in conversations if c.failed] if scenario.verdict == "loss" else []
    hop = scenario.hop(sight.windows)
    told = Counter(flow["hops"][0] for flow in failing if flow["hops"])
    verdicts = _verdicts(scenario, hop, failing, sight.windows)
    named = hop if "loss" in verdicts else None
    if told:
        named = told.most_common(1)[0][0]
    hops = {*([named] if named else []), *(other for flow in failing for other in flow["hops"])}
    return {
        "verdicts": verdicts,
        "hop": named,
        "hops": sorted(hops),
        "direction": scenario.direction if named else None,
        "failing": failing if hop else [],
        "points": {
            point: {
                "place": scenario.points[point],
                "clock": {"offset_ns": noise[point].offset_ns, "drift_ppm": noise[point].drift_ppm, "at_ns": at_ns},
                "window_ns": capture.window,
                "packets": len(capture.records),
                "missed": capture.dropped,
                "noise": noise[point].said(),
            }
            for point, capture in noisy.items()
        },
    }


def _verdicts(
    scenario: Scenario, hop: tuple[str, str] | None, failing: Sequence[dict[str, Any]], captured: Collection[str]
) -> list[str]:
    if scenario.verdict != "loss":
        beyond = scenario.is_servers_own and not any(scenario.points[point] == "server" for point in captured)
        return [scenario.verdict, "undecided"] if beyond else [scenario.verdict]  # as where a loss is beyond the last point
    if hop is None or not any(flow["seen"] for flow in failing):
        return ["no_loss", "undecided"]
    if not any(flow["decidable"] for flow in failing):
        return ["undecided", "loss"]
    return ["loss"]


@dataclass(slots=True)
class Sight:
    """What the captures that are left can show of a case."""

    scenario: Scenario
    conversations: Sequence[Conversation]
    windows: Mapping[str, tuple[int, int]]
    kept: Mapping[str, Sequence[Segment]]
    noise: Mapping[str, PointNoise]
    _timed: dict[tuple[str, str], bool] = field(default_factory=dict)

    def tell(self, conversation: Conversation) -> dict[str, Any]:
        """A failing conversation's part of the truth."""
        names = {point: name for point, name in conversation.names.items() if point in self.windows}
        hops = self._hops(conversation)
        direction = self.scenario.direction
        return {
            "initiator": conversation.attempt["initiator"],
            "responder": conversation.attempt["responder"],
            "names": names,
            "seen": [point for point in names if _sightings(conversation, point, self.kept[point], None)],
            "sent": {point: len(_sightings(conversation, point, self.kept[point], direction)) for point in names},
            "hops": hops,
            "decidable": any(self._is_expected(conversation, hop) and self._is_timed(hop) for hop in hops),
        }

    def _hops(self, conversation: Conversation) -> list[tuple[str, str]]:
        """Between which points a packet of a conversation can be seen to be missing, the narrowest first.

        For each packet of the fault's direction before it: of the points that captured then and for long enough afterwards,
        the two around the fault, if it was seen at the nearer one. A called address that the further one never saw is only
        expected at the server.
        """
        scenario = self.scenario
        patience = PATIENCE_NS if conversation.attempt["outcome"] in {"timeout", *ANSWERED} else 0
        found = set()
        for point in self.windows:
            for time in _sightings(conversation, point, self.kept[point], scenario.direction):
                running = [p for p, (begin, end) in self.windows.items() if begin <= time <= end - patience]
                hop = scenario.hop(running)
                if hop is not None and point == (hop[0] if scenario.direction == "request" else hop[1]):
                    found.add(hop)
                    if self._is_foreign(conversation, hop):
                        servers = (p for p, place in scenario.points.items() if place == "server" and p in running)
                        found |= {(hop[0], server) for server in servers}
        order = list(scenario.points)
        return sorted(found, key=lambda hop: (order.index(hop[1]) - order.index(hop[0]), hop))

    def _is_foreign(self, conversation: Conversation, hop: tuple[str, str]) -> bool:
        """Whether the point beyond the fault never saw the address that was called, by any name that a point saw for it."""
        known = {end[0] for segment in self.kept[hop[1]] for end in (segment.source, segment.destination)}
        called = {responder[0] for point, (_, responder) in conversation.names.items() if point in self.windows}
        return self.scenario.direction == "request" and not known & called

    def _is_expected(self, conversation: Conversation, hop: tuple[str, str]) -> bool:
        """Whether anything says that what was called has to pass beyond the fault: that it was seen there, or a stated scope."""
        scoped = self.scenario.manifest and self.scenario.scope and self.scenario.points[hop[1]] == "server"
        return scoped or not self._is_foreign(conversation, hop)

    def _is_timed(self, hop: tuple[str, str]) -> bool:
        """Whether the two clocks can be told against each other: by what both captures saw, or because they agree."""
        if hop not in self._timed:
            near, far = (self.noise[point].offset_ns for point in hop)
            reached, left = {hop[0]}, set(self.windows) - {hop[0]}
            while joined := {point for point in left if any(self._share(point, other) for other in reached)}:
                reached |= joined
                left -= joined
            self._timed[hop] = abs(near - far) < AGREEING_NS or hop[1] in reached
        return self._timed[hop]

    def _share(self, one: str, other: str) -> bool:
        return any(
            all(_sightings(conversation, point, self.kept[point], None) for point in (one, other))
            for conversation in self.conversations
        )


def _sightings(conversation: Conversation, point: str, segments: Sequence[Segment], direction: str | None) -> list[int]:
    """When a point saw packets of a conversation, in one direction or in both."""
    if point not in conversation.names:
        return []
    initiator, responder = conversation.names[point]
    ways = {"request": [(initiator, responder)], "response": [(responder, initiator)]}
    wanted = ways[direction] if direction else [*ways["request"], *ways["response"]]
    begins, ends = conversation.attempt["started_ns"] - SKEW_NS, conversation.attempt["ended_ns"] + SKEW_NS
    return [s.time_ns for s in segments if (s.source, s.destination) in wanted and begins <= s.time_ns <= ends]
