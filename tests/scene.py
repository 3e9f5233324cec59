"""Scenes of several capture points: what one side sends, followed along the path, lost here, missed by a capture there."""

import itertools
import socket
import tempfile
import zlib
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

IP_AT = 14  # in an Ethernet frame
End = tuple[str, int]
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

    def __init__(self, conversation: Conversation | None = None, *, stamped: int = 0, **more: Any) -> None:
        """`more` goes to Conversation; initial sequence numbers follow from the ends and differ (RFC 6528) if none are given.

        `stamped` : where the timestamps of this connection begin; 0: it has none
        """
        self.stamped = stamped
        if conversation is None:
            conversation = Conversation(**more)
            number = zlib.crc32(repr(conversation.ends).encode())
            conversation.next = [more.get("iss", number), more.get("irs", number ^ 0x5BD1E995)]
        self.conversation = conversation
        self.sent: list[Sent] = []

    def say(
        self,
        ms: float,
        side: int,
        flags: str,
        octets: int = 0,
        *,
        lost: str = "",
        missed: str = "",
        begun: str = "",
        **header: Any,
    ) -> int:
        """Send the segment that is due, with more of its `header` where that matters; its number in `sent`."""
        header.setdefault("options", self.options(ms, side, flags))
        frame = self.conversation.say(side, flags, b"x" * octets, time_ns=START + round(ms * MS), **header)
        self.sent.append(Sent(frame, side, lost, missed, begun))
        return len(self.sent) - 1

    def options(self, ms: float, side: int, flags: str) -> bytes:
        """The TCP options of a segment that is sent now: none, or with `stamped` as Linux has them (RFC 7323 section 3.2)."""
        if not self.stamped:
            return b""
        syn = b"\x02\x04\x05\xb4\x04\x02" if "S" in flags else b"\x01\x01"
        values = [(self.stamped * (one + 1) + int(ms)) % 2**32 for one in (side, 1 - side)]
        echo = values[1] if "A" in flags else 0
        stamps = b"\x08\x0a" + values[0].to_bytes(4) + echo.to_bytes(4)
        return syn + stamps + (b"\x01\x03\x03\x07" if "S" in flags else b"")

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


def rewritten(octets: bytes, ends: Mapping[End, End], fall: int = 0) -> bytes:
    """An Ethernet frame whose sender and receiver have the addresses and ports that `ends` gives them, `fall` hops farther.

    Neither has IP options or extension headers; checksums stay as they were.
    """
    out = bytearray(octets)
    six = out[IP_AT] >> 4 == 6
    out[IP_AT + (7 if six else 8)] -= fall
    size, ports = (16, IP_AT + 40) if six else (4, IP_AT + 20)
    first = IP_AT + (8 if six else 12)
    family = socket.AF_INET6 if six else socket.AF_INET
    has_ports = out[IP_AT + (6 if six else 9)] in (6, 17)
    for side in (0, 1):
        at, port_at = slice(first + side * size, first + (side + 1) * size), slice(ports + 2 * side, ports + 2 * side + 2)
        end = socket.inet_ntop(family, bytes(out[at])), int.from_bytes(out[port_at]) if has_ports else 0
        address, port = ends.get(end, end)
        out[at] = socket.inet_pton(family, address)
        if has_ports:
            out[port_at] = port.to_bytes(2)
    return bytes(out)


def captured(
    sent: Sequence[Sent],
    names: str = "ABC",
    *,
    delay_ns: int = MS,
    offsets: Mapping[str, int] | None = None,
    hops: int = 1,
    seen_as: Mapping[str, Mapping[End, End]] | None = None,
) -> dict[str, list[Frame]]:
    """What each point's capture has of what was sent, in the order of its own clock.

    Parameters
    ----------
    delay_ns : between two points
    offsets : of the points' clocks, ns
    hops : how much the hop limit falls between two points
    seen_as : for each point behind a NAT which ends, (address, port), it sees in the place of which
    """
    frames: dict[str, list[Frame]] = {name: [] for name in names}
    for one in sent:
        way = names if one.side == 0 else names[::-1]
        hop = one.lost if one.side == 0 else one.lost[::-1]
        passed = way[: way.index(hop[0]) + 1] if hop else way
        for steps, name in enumerate(passed[passed.index(one.begun) :] if one.begun else passed):
            octets = rewritten(one.frame.octets, (seen_as or {}).get(name, {}), steps * hops)
            time = one.frame.time_ns + steps * delay_ns + (offsets or {}).get(name, 0)
            if name not in one.missed:
                frames[name].append(Frame(time, octets))
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
