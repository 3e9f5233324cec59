"""Rows for the report's tables: points, hops and exchanges as plain values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixcni.localise import Localisation
from mixcni.report.messages import message_of
from mixcni.report.sources import FrameIndex
from mixcni.report.words import direction_text, fate_text, point_at, reason_text, request_text
from mixcni.schema import Direction, Fate


@dataclass(frozen=True, slots=True)
class Crossing:
    """What became of requests, or of responses, between two points adjacent on the path.

    near : position of the point nearer the initiator
    over : exchanges whose request, or response, was seen at both; lost : lost or refused between them
    """

    near: int
    direction: Direction
    over: int
    lost: int
    is_refused: bool


def crossings(localisation: Localisation) -> list[Crossing]:
    """One entry a hop and direction, in path order; a loss over several hops, between which nobody watched, is at its first."""
    fates = localisation.fates
    concerns = localisation.crossing[fates["conversation"]]
    found = []
    for near in range(len(localisation.points) - 1):
        for direction, part in ((Direction.FORWARD, "request"), (Direction.REVERSE, "response")):
            seen = fates.request_seen if direction == Direction.FORWARD else fates.response_seen
            there = concerns & (fates[f"{part}_end"] > fates[f"{part}_start"])
            losses = [loss for loss in localisation.losses if (loss.near, loss.direction) == (near, direction)]
            refused = [bool((fates["fate"][loss.fates] == Fate.REFUSED).all()) for loss in losses]
            over = int((there & seen[:, near] & seen[:, near + 1]).sum())
            lost = sum(int(loss.fates.size) for loss in losses)
            found.append(Crossing(near, direction, over, lost, bool(refused) and all(refused)))
    return found


def point_rows(localisation: Localisation) -> list[dict[str, Any]]:
    """One row a point in path order.

    `requests` and `responses` count exchanges of conversations that concern the path; what was seen at one point only, and was
    not expected at another, is `other_conversations`, of which `other_answered` had every exchange answered.
    """
    fates, alignment = localisation.fates, localisation.alignment
    crossing = localisation.crossing[fates["conversation"]]
    has_response = fates["response_end"] > fates["response_start"]
    has_request = fates["request_end"] > fates["request_start"]
    unanswered = np.unique(fates["conversation"][fates["fate"] != Fate.ANSWERED])
    rows = []
    for position, point in enumerate(localisation.points):
        flows, clock = alignment.points[position], alignment.clocks[position]
        flow_of = alignment.conversations.flow_of[:, position]
        other = np.flatnonzero((flow_of >= 0) & ~localisation.crossing)
        low, high = localisation.rates[position].interval
        lost = {
            direction: int(
                sum(
                    loss.fates.size
                    for loss in localisation.losses
                    if loss.direction == direction and (loss.near if direction == Direction.FORWARD else loss.far) == position
                )
            )
            for direction in Direction
        }
        rows.append(
            {
                "point": point.name,
                "node": point.node,
                "kind": str(point.kind or ""),
                "packets": len(flows.packets),
                "flows": len(flows),
                "requests": int((crossing & has_request & localisation.fates.request_seen[:, position]).sum()),
                "responses": int((crossing & has_response & localisation.fates.response_seen[:, position]).sum()),
                "requests_lost_after": lost[Direction.FORWARD],
                "responses_lost_after": lost[Direction.REVERSE],
                "other_conversations": int(other.size),
                "other_answered": int((~np.isin(other, unanswered)).sum()),
                "miss_rate_low": low,
                "miss_rate_high": high,
                "clock_offset_ns": clock.offset_ns if clock.is_known else None,
                "clock_uncertainty_ns": clock.uncertainty_ns,
            }
        )
    return rows


def hop_rows(localisation: Localisation) -> list[dict[str, Any]]:
    """One row a hop and direction, in path order."""
    return [
        {
            "hop": f"{localisation.points[hop.near].name}→{localisation.points[hop.far].name}",
            "direction": direction_text(hop.direction),
            "delivered": hop.delivered,
            "recovered": hop.recovered,
            "lost": hop.lost,
            "missed_near": hop.missed_near,
            "missed_far": hop.missed_far,
            "unsent": hop.unsent,
        }
        for hop in localisation.hops
    ]


def hop_names(localisation: Localisation, row: int) -> list[str] | None:
    """The hop of a fate, the point nearer the initiator first; None where nothing was lost or refused on the way."""
    near, far = (point_at(localisation, int(localisation.fates[name][row])) for name in ("near", "far"))
    return [near, far] if near is not None and far is not None else None


def exchange_rows(localisation: Localisation, frames: FrameIndex, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The exchanges in these rows of the fate table; `message` is None where no protocol is known."""
    fates, table = localisation.fates, localisation.alignment.conversations
    book = table.book
    found = []
    for row in rows.tolist():
        conversation = int(fates["conversation"][row])
        confidence = float(fates["confidence"][row])
        hop = hop_names(localisation, row)
        found.append(
            {
                "conversation": conversation,
                "number": int(fates["number"][row]),
                "initiator": (
                    book.text(int(table["initiator"][conversation])),
                    int(table["initiator_port"][conversation]),
                ),
                "responder": (
                    book.text(int(table["responder"][conversation])),
                    int(table["responder_port"][conversation]),
                ),
                "request": request_text(localisation, row),
                "fate": fate_text(fates["fate"][row]),
                "hop": hop,
                "direction": direction_text(fates["direction"][row]) if hop else None,
                "last_seen": point_at(localisation, int(fates["last_seen"][row])),
                "reason": reason_text(localisation, row),
                "copies": int(fates["copies"][row]),
                "confidence": None if np.isnan(confidence) else round(confidence, 6),
                "frames": frames.frames(row),
                "message": message_of(localisation, row),
            }
        )
    return found
