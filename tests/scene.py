"""Scenes of several capture points: what one side sends, followed along the path, lost here, missed by a capture there."""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixcni.align import Alignment, align_points
from mixcni.exchanges import pair_exchanges
from mixcni.flows import FlowTable, track_flows
from mixcni.localise import Localisation, localise_losses
from mixcni.schema import Direction, Fate, Reason
from mixcni.topology import CapturePoint
from tests.wire import MS, START, Conversation, Frame, decoded

TTL_AT = 14 + 8  # of an IPv4 header in an Ethernet frame
FORWARD, REVERSE = Direction.FORWARD, Direction.REVERSE


@dataclass(frozen=True)
class Sent:
    """A frame on its way: from the initiator along the points as they stand, from the responder the other way.

    frame : with the time at which the first point on its way sees it
    side : 0 the initiator's, 1 the responder's
    lost : the hop on which it is lost, its two points in path order: "BC"
    missed : the points whose capture lacks it although it passed: "B"
    begun : the point at which it first appears, where that is not the first on its way: something between made it
    """

    frame: Frame
    side: int
    lost: str = ""
    missed: str = ""
    begun: str = ""


class Talk:
    """One connection's frames in the order of their sending; times are milliseconds since the scene began."""

    def __init__(self, conversation: Conversation | None = None, **more: Any) -> None:
        self.conversation = conversation or Conversation(**more)
        self.sent: list[Sent] = []

    def say(self, ms: float, side: int, flags: str, octets: int = 0, *, lost: str = "", missed: str = "", begun: str = "") -> int:
        """Send the segment that is due; its number in `sent`."""
        frame = self.conversation.say(side, flags, b"x" * octets, time_ns=START + round(ms * MS))
        self.sent.append(Sent(frame, side, lost, missed, begun))
        return len(self.sent) - 1

    def again(self, ms: float, number: int, *, lost: str = "", missed: str = "") -> None:
        """Retransmit a segment."""
        sent = self.sent[number]
        self.sent.append(replace(sent, frame=sent.frame.at(START + round(ms * MS)), lost=lost, missed=missed))

    def repeated(self, times: Sequence[float], side: int, flags: str, octets: int = 0, *, lost: str = "") -> None:
        """Send the segment that is due at the first time, and again at the others."""
        number = self.say(times[0], side, flags, octets, lost=lost)
        for ms in times[1:]:
            self.again(ms, number, lost=lost)

    def handshake(self, ms: float) -> None:
        """A handshake through to the end."""
        for i, (side, flags) in enumerate(((0, "S"), (1, "SA"), (0, "A"))):
            self.say(ms + 10 * i, side, flags)

    def exchange(self, ms: float, request: int = 100, response: int = 200) -> None:
        """A request, its response and the acknowledgment of that, through to the end."""
        self.say(ms, 0, "PA", request)
        self.say(ms + 10, 1, "PA", response)
        self.say(ms + 20, 0, "A")


@dataclass(frozen=True)
class Scene:
    """What the stages make of a scene."""

    flows: list[FlowTable]
    alignment: Alignment
    localisation: Localisation

    def told(self, conversation: int = 0) -> list[tuple[Any, ...]]:
        """Each exchange's (fate, hop, direction, reason) of a conversation, in words."""
        fates, points = self.localisation.fates, self.localisation.points
        rows = []
        for i in range(len(fates)):
            if fates["conversation"][i] == conversation:
                near, far, direction = (int(fates[name][i]) for name in ("near", "far", "direction"))
                hop = points[near].name + points[far].name if near >= 0 else ""
                way = "" if direction < 0 else ("request", "response")[direction]
                rows.append((Fate(fates["fate"][i]).name, hop, way, Reason(fates["reason"][i]).name))
        return rows

    def decider(self, row: int) -> str:
        """The point whose capture would decide an exchange; "" where none is named."""
        position = int(self.localisation.fates["decider"][row])
        return self.localisation.points[position].name if 0 <= position < len(self.localisation.points) else ""


def captured(
    sent: Sequence[Sent], names: str = "ABC", *, delay_ns: int = MS, offsets: Mapping[str, int] | None = None, hops: int = 1
) -> dict[str, list[Frame]]:
    """What each point's capture has of what was sent, in the order of its own clock.

    Parameters
    ----------
    delay_ns : between two points
    offsets : of the points' clocks, ns
    hops : how much the hop limit falls between two points
    """
    frames: dict[str, list[Frame]] = {name: [] for name in names}
    for one in sent:
        way = names if one.side == 0 else names[::-1]
        hop = one.lost if one.side == 0 else one.lost[::-1]
        passed = way[: way.index(hop[0]) + 1] if hop else way
        for steps, name in enumerate(passed[passed.index(one.begun) :] if one.begun else passed):
            octets = bytearray(one.frame.octets)
            octets[TTL_AT] -= steps * hops
            time = one.frame.time_ns + steps * delay_ns + (offsets or {}).get(name, 0)
            if name not in one.missed:
                frames[name].append(Frame(time, bytes(octets)))
    return {name: sorted(of_point, key=lambda frame: frame.time_ns) for name, of_point in frames.items()}


def tracked(frames: Mapping[str, Sequence[Frame]]) -> list[FlowTable]:
    """Each point's flows."""
    with tempfile.TemporaryDirectory() as folder:
        return [track_flows(decoded(Path(folder) / f"{name}.pcap", of_point)) for name, of_point in frames.items()]


def scene_of(frames: Mapping[str, Sequence[Frame]], points: Mapping[str, Mapping[str, Any]] | None = None) -> Scene:
    """The stages over captures; `points` holds what is known of a point beside its name."""
    flows = tracked(frames)
    chosen = [CapturePoint(name, **(points or {}).get(name, {})) for name in frames]
    alignment = align_points(list(frames), flows)
    return Scene(flows, alignment, localise_losses(chosen, alignment, [pair_exchanges(table) for table in flows]))


def scene(*talks: Talk, points: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> Scene:
    """The stages over what was said; `more` goes to `captured`."""
    return scene_of(captured(list(itertools.chain(*(talk.sent for talk in talks))), **more), points)
