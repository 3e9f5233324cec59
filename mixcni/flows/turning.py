"""Which end of a flow that was caught in its midst is the initiator, where its ports do not tell: payloads do.

Who sends an HTTP request, HTTP/2's preface, a TLS ClientHello or a DNS query is the initiator, who sends an answer to one the
responder. Where some payloads say so and others the opposite, the side that was heard first stays the initiator.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.flows.kernel import LETTERS
from mixcni.flows.kernel.numbers import (
    CLOSED_BY,
    FIRST_EPHEMERAL_PORT,
    FLOW,
    INITIATOR,
    LABELS,
    PORT_BITS,
    PROTOCOL,
    RESPONDER,
    STACK_FORWARD,
    STACK_REVERSE,
    STREAM,
    SYN_SEEN,
    SYNACK_SEEN,
)
from mixcni.flows.kernel.packets import FLIPPED
from mixcni.schema import Hint

TRANSPORTS: Final = (6, 17)  # TCP, UDP
ASKS: Final = (Hint.HTTP_REQUEST, Hint.HTTP2_PREFACE, Hint.TLS_CLIENT_HELLO, Hint.DNS_QUERY)
ANSWERS: Final = (Hint.HTTP_RESPONSE, Hint.TLS_SERVER_HELLO, Hint.DNS_RESPONSE)
OTHER_CASE: Final = 0x20  # of a letter in ASCII


def turn_round(packets: PacketTable, state: Any, segments: Any, stream: NDArray[np.int32], count: int) -> None:
    """Exchange the two directions of flows whose payloads tell that their responder was taken for the initiator; in place.

    Parameters
    ----------
    packets : of one capture point
    state : TrackingState, after all packets
    segments : SegmentArrays, cut to the segments that there are
    stream : of the round trips that were measured
    count : flows that there are
    """
    turned = _are_turned(packets, state.flows.reshape(-1, FLOW)[:count], segments)
    if not turned.any():
        return
    segments.direction[turned[segments.flow]] ^= 1
    stream[turned[stream >> 1]] ^= 1
    flows = state.flows.reshape(-1, FLOW)[:count]
    for one, other in ((INITIATOR, RESPONDER), (STACK_FORWARD, STACK_REVERSE)):
        flows[turned, one], flows[turned, other] = flows[turned, other], flows[turned, one]
    flows[turned & (flows[:, CLOSED_BY] >= 0), CLOSED_BY] ^= 1
    for rows, width in ((state.streams, STREAM), (state.labels, LABELS)):
        both = rows.reshape(-1, 2, width)[:count]
        both[turned] = both[turned][:, ::-1]
    history = state.history.reshape(-1, LETTERS + 1)[:count]
    history[turned] = _turned_history(history[turned])


def _are_turned(packets: PacketTable, flows: NDArray[np.int64], segments: Any) -> NDArray[np.bool_]:
    """(f,) whether payloads alone tell which end is the initiator, and all of them that it is the responder."""
    ports = flows[:, [INITIATOR, RESPONDER]] & ((1 << PORT_BITS) - 1)
    ephemeral = ports >= FIRST_EPHEMERAL_PORT
    open_ends = (ephemeral[:, 0] == ephemeral[:, 1]) & (flows[:, INITIATOR] != flows[:, RESPONDER])
    open_ends &= np.isin(flows[:, PROTOCOL], TRANSPORTS) & (flows[:, SYN_SEEN] == 0) & (flows[:, SYNACK_SEEN] == 0)
    kind = packets.hints["kind"]
    told = np.flatnonzero(np.isin(kind, ASKS + ANSWERS))
    rows = np.searchsorted(segments.packet, packets.hints["packet"][told])
    against = np.isin(kind[told], ANSWERS) ^ (segments.direction[rows] == 1)
    votes = np.zeros((len(flows), 2), dtype=np.bool_)
    votes[segments.flow[rows], against.astype(np.int64)] = True
    return np.asarray(open_ends & votes[:, 1] & ~votes[:, 0])


def _turned_history(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Histories as they are from the other end: letters in the other case, and the mark of a responder that was heard first."""
    letters, number = rows[:, :LETTERS].copy(), rows[:, LETTERS]
    marked = letters[:, 0] == FLIPPED
    letters[(letters != 0) & (letters != FLIPPED)] ^= OTHER_CASE
    behind = np.concatenate([letters[:, 1:], np.zeros_like(letters[:, :1])], axis=1)
    before = np.concatenate([np.full_like(letters[:, :1], FLIPPED), letters[:, :-1]], axis=1)
    number = np.where(marked, number - 1, np.minimum(number + 1, LETTERS))
    return np.concatenate([np.where(marked[:, None], behind, before), number[:, None].astype(np.uint8)], axis=1)
