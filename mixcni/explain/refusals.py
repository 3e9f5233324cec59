"""Resets and ICMP errors that came back for failed requests: at which points they were heard, and what they are like there."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align import INITIAL_TTLS
from mixcni.decode.payloads import can_read_again, read_senders
from mixcni.explain.suspects import Facts
from mixcni.flows import attach_errors, judge_resets
from mixcni.localise.refusals import is_refusal
from mixcni.schema import Direction, ResetOrigin, ResetReason, TcpFlag
from mixcni.words import plural

SAMPLED: Final = 200  # frames whose hardware addresses are read
MOST_JUDGED: Final = 50_000  # resets of a point; judging takes a look at each one's connection

REASONS: Final = {
    ResetReason.OTHER_TTL: "another TTL than the responder's other segments",
    ResetReason.IP_ID_FAR: "IP identifications that do not count on from the responder's",
    ResetReason.SENT_ON: "the responder sent new octets afterwards",
    ResetReason.SEVERAL_SEQUENCES: "several guesses of the sequence number",
    ResetReason.SEQUENCE_BEYOND: "sequence numbers that the responder had not reached",
    ResetReason.TOO_FAST: "sooner than the responder can answer",
}
"""What a middlebox's resets show, in words."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Refusals of some conversations at one point.

    packets : (n,) int64, rows of the point's packet table; conversation : (n,) int64, of each
    """

    position: int
    packets: NDArray[np.int64]
    conversation: NDArray[np.int64]

    def of(self, conversations: NDArray[np.int64]) -> "Heard":
        """Those of some conversations alone."""
        kept = np.isin(self.conversation, conversations)
        return Heard(self.position, self.packets[kept], self.conversation[kept])


def resets_at(facts: Facts, position: int, conversations: NDArray[np.int64]) -> Heard:
    """The resets in the responder's name that one point saw."""
    table = facts.localisation.alignment.transmissions
    wanted = (table["point"] == position) & np.isin(table["conversation"], conversations)
    wanted &= ((table["tcp_flags"] & TcpFlag.RST) != 0) & (table["direction"] == Direction.REVERSE)
    rows = np.flatnonzero(wanted)
    return Heard(position, table["packet"][rows], table["conversation"][rows].astype(np.int64))


def errors_at(facts: Facts, position: int, conversations: NDArray[np.int64]) -> Heard:
    """The ICMP errors at one point that end an attempt and quote a request."""
    alignment = facts.localisation.alignment
    flows = alignment.points[position]
    members = alignment.conversations.members_at(position)
    errors = attach_errors(flows)
    known = np.flatnonzero(errors["flow"] >= 0)
    flow = errors["flow"][known]
    conversation = members.conversation[flow].astype(np.int64)
    is_request = (errors["direction"][known] ^ members.flipped[flow]) == Direction.FORWARD
    protocol = flows.packets["protocol"][errors["packet"][known]]
    ends = np.array(
        [
            is_refusal(*each)
            for each in zip(protocol.tolist(), errors["kind"][known].tolist(), errors["code"][known].tolist(), strict=True)
        ],
        dtype=np.bool_,
    )
    kept = is_request & ends & np.isin(conversation, conversations)
    return Heard(position, errors["packet"][known][kept], conversation[kept])


def origins_of(facts: Facts, heard: Heard) -> tuple[int, int, int]:
    """Of resets, how many look like a middlebox's, how many like the responder's own, and the former's reasons (ResetReason)."""
    flows = facts.localisation.alignment.points[heard.position]
    if not heard.packets.size or int(((flows.packets["tcp_flags"] & TcpFlag.RST) != 0).sum()) > MOST_JUDGED:
        return 0, 0, 0
    table = judge_resets(flows)
    mine = np.isin(table["packet"], heard.packets)
    origin, reasons = table["origin"][mine], table["reasons"][mine]
    foreign = origin == ResetOrigin.MIDDLEBOX
    shared = int(np.bitwise_or.reduce(reasons[foreign].astype(np.int64))) if foreign.any() else 0
    return int(foreign.sum()), int((origin == ResetOrigin.ENDPOINT).sum()), shared


def reasons_text(reasons: int) -> str:
    """What speaks for a middlebox, as a list in words; empty where nothing of it can be told."""
    return "; ".join(text for reason, text in REASONS.items() if reasons & reason)


def responders_packets(facts: Facts, heard: Heard) -> NDArray[np.int64]:
    """Rows of a point's other segments from the responders in whose name something was refused; none of their resets."""
    alignment = facts.localisation.alignment
    flows = alignment.points[heard.position]
    conversation = np.unique(heard.conversation)
    flow = alignment.conversations.flow_of[conversation, heard.position]
    turned = alignment.conversations.flipped[conversation, heard.position]
    names = np.where(turned, flows["initiator"][flow], flows["responder"][flow])[flow >= 0]
    packets = flows.packets
    rows = np.unique(flows.segments["packet"])
    sent = np.isin(packets["source"][rows], names) & ((packets["tcp_flags"][rows] & TcpFlag.RST) == 0)
    return np.asarray(rows[sent])


def ttls(facts: Facts, position: int, packets: NDArray[np.int64]) -> list[int]:
    """The hop limits of packets at a point, each once, ascending."""
    return [int(ttl) for ttl in np.unique(facts.localisation.alignment.points[position].packets["ttl"][packets])]


def routers_passed(ttl: int) -> int:
    """How many routers a packet passed, if it was sent with one of the usual initial hop limits."""
    return next((initial for initial in INITIAL_TTLS if initial >= ttl), 255) - ttl


def away_text(routers: int) -> str:
    """How far away a sender is, in words."""
    return f"{plural(routers, 'router')} away" if routers else "no router away"


def hardware_senders(facts: Facts, position: int, packets: NDArray[np.int64]) -> list[str]:
    """The neighbours' hardware addresses from which packets outside tunnels came, each once; none where nothing tells."""
    table = facts.localisation.alignment.points[position].packets
    rows = np.unique(packets[table["stack"][packets] == 0])[:SAMPLED]
    if not rows.size or not can_read_again(table):
        return []
    return sorted({sender.hex(":") for sender in read_senders(table, rows) if sender})
