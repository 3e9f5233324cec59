"""Which protocol each flow speaks, by what its payloads begin like, on any port.

A wrong guess costs a reading: a flow in which its protocol's reader finds nothing keeps its turns.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mixcni.flows import FlowTable
from mixcni.kernels.grouping import distinct
from mixcni.schema import PROTOCOL_TCP, PROTOCOL_UDP, Direction, Hint, Layer

PROTOCOLS_ICMP = (1, 58)  # of IPv4 and of IPv6
ECHO_TYPES = (8 << 8, 0, 128 << 8, 129 << 8)  # ICMP and ICMPv6 echo, type * 256 + code
PORT_DNS = 53
OF_DNS = (Hint.DNS_QUERY, Hint.DNS_RESPONSE)
OF_TLS = (Hint.TLS_RECORD, Hint.TLS_CLIENT_HELLO, Hint.TLS_SERVER_HELLO)


class Protocol(IntEnum):
    """What a flow is read as."""

    OTHER = 0
    HTTP1 = 1
    HTTP1_TURNED = 2  # the flow's responder sends the requests, whatever its SYN or its ports say
    HTTP2 = 3
    TLS = 4
    DNS_STREAM = 5
    DNS = 6
    ECHO = 7


def recognise(flows: FlowTable) -> NDArray[np.uint8]:
    """(f,) the Protocol of each flow."""
    packets, segments, transport = flows.packets, flows.segments, flows["protocol"]
    protocol = np.zeros(len(flows), dtype=np.uint8)
    protocol[(transport == PROTOCOL_TCP) & (flows["responder_port"] == PORT_DNS)] = Protocol.DNS_STREAM
    hint_of = np.zeros(len(packets), dtype=np.uint8)
    hint_of[packets.hints["packet"]] = packets.hints["kind"]
    hint = hint_of[segments["packet"]]
    hinted = distinct(segments["flow"][hint != 0], len(flows))
    protocol[hinted] = _by_hints(flows, hint, hinted, protocol[hinted])
    rows = np.flatnonzero(np.isin(transport, PROTOCOLS_ICMP)[segments["flow"]])
    packet = segments["packet"][rows]
    icmp = (packets["present"][packet] & (Layer.ICMP | Layer.ICMPV6)) != 0
    protocol[segments["flow"][rows[icmp & np.isin(packets["destination_port"][packet], ECHO_TYPES)]]] = Protocol.ECHO
    return protocol


def _by_hints(
    flows: FlowTable, hint: NDArray[np.uint8], hinted: NDArray[np.int64], protocol: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """(h,) the Protocol of flows that have hints.

    Parameters
    ----------
    hint : of each segment; hinted : (h,) the flows that have any; protocol : (h,) of each as far as its ports tell
    """
    place = np.full(len(flows), -1, dtype=np.int64)
    place[hinted] = np.arange(hinted.size)
    counts, begins = _counts(flows, hint, place), _begins(flows, hint, place)
    tcp, udp = (flows["protocol"][hinted] == number for number in (PROTOCOL_TCP, PROTOCOL_UDP))
    asks, answers = counts[:, :, Hint.HTTP_REQUEST], counts[:, :, Hint.HTTP_RESPONSE]
    forward, reverse = Direction.FORWARD, Direction.REVERSE
    protocol[udp & (counts[:, :, OF_DNS] > 0).any(axis=(1, 2))] = Protocol.DNS
    protocol[tcp & np.isin(begins, OF_DNS).any(axis=1)] = Protocol.DNS_STREAM
    frames = counts[:, :, Hint.HTTP2_FRAMES] > 0
    protocol[tcp & (frames.all(axis=1) | (begins == Hint.HTTP2_FRAMES).any(axis=1))] = Protocol.HTTP2
    protocol[tcp & np.isin(begins, OF_TLS).any(axis=1)] = Protocol.TLS
    protocol[tcp & ((asks[:, reverse] > 0) | (answers[:, forward] > 0))] = Protocol.HTTP1_TURNED
    protocol[tcp & ((asks[:, forward] > 0) | (answers[:, reverse] > 0))] = Protocol.HTTP1
    protocol[tcp & (counts[:, forward, Hint.HTTP2_PREFACE] > 0) & (asks[:, forward] == 0)] = Protocol.HTTP2  # else an upgrade
    return protocol


def _counts(flows: FlowTable, hint: NDArray[np.uint8], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """(h, 2, hints) how often each hint was seen."""
    segments, rows = flows.segments, np.flatnonzero(hint)
    counts = np.zeros((int(place.max(initial=-1)) + 1, len(Direction), max(Hint) + 1), dtype=np.int64)
    np.add.at(counts, (place[segments["flow"][rows]], segments["direction"][rows], hint[rows]), 1)
    return counts


def _begins(flows: FlowTable, hint: NDArray[np.uint8], place: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(h, 2) the hint of the first segment with data of each direction."""
    segments = flows.segments
    rows = np.flatnonzero((place >= 0)[segments["flow"]])
    rows = rows[flows.packets["payload_octets"][segments["packet"][rows]] > 0][::-1]
    begins = np.zeros((int(place.max(initial=-1)) + 1, len(Direction)), dtype=np.uint8)
    begins[place[segments["flow"][rows]], segments["direction"][rows]] = hint[rows]  # the first is written last
    return begins
