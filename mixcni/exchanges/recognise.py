"""Which protocol each flow speaks, by what its payloads begin like, on any port.

A wrong guess costs a reading: a flow in which its protocol's reader finds nothing keeps its turns.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mixcni.flows import FlowTable
from mixcni.schema import Direction, Hint, Layer

PROTOCOL_TCP, PROTOCOL_UDP = 6, 17
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
    packets, segments = flows.packets, flows.segments
    protocol = np.zeros(len(flows), dtype=np.uint8)
    hint_of = np.zeros(len(packets), dtype=np.uint8)
    hint_of[packets.hints["packet"]] = packets.hints["kind"]
    counts = _counts(flows, hint_of)
    transport = flows["protocol"]
    begins = _begins(flows, hint_of)
    tcp, udp = transport == PROTOCOL_TCP, transport == PROTOCOL_UDP
    asks, answers = counts[:, :, Hint.HTTP_REQUEST], counts[:, :, Hint.HTTP_RESPONSE]
    forward, reverse = Direction.FORWARD, Direction.REVERSE
    protocol[udp & (counts[:, :, OF_DNS] > 0).any(axis=(1, 2))] = Protocol.DNS
    protocol[tcp & ((flows["responder_port"] == PORT_DNS) | np.isin(begins, OF_DNS).any(axis=1))] = Protocol.DNS_STREAM
    frames = counts[:, :, Hint.HTTP2_FRAMES] > 0
    protocol[tcp & (frames.all(axis=1) | (begins == Hint.HTTP2_FRAMES).any(axis=1))] = Protocol.HTTP2
    protocol[tcp & np.isin(begins, OF_TLS).any(axis=1)] = Protocol.TLS
    protocol[tcp & ((asks[:, reverse] > 0) | (answers[:, forward] > 0))] = Protocol.HTTP1_TURNED
    protocol[tcp & ((asks[:, forward] > 0) | (answers[:, reverse] > 0))] = Protocol.HTTP1
    protocol[tcp & (counts[:, forward, Hint.HTTP2_PREFACE] > 0) & (asks[:, forward] == 0)] = Protocol.HTTP2  # else an upgrade
    icmp = (packets["present"][segments["packet"]] & (Layer.ICMP | Layer.ICMPV6)) != 0
    echo = icmp & np.isin(packets["destination_port"][segments["packet"]], ECHO_TYPES)
    protocol[segments["flow"][echo]] = Protocol.ECHO
    return protocol


def _counts(flows: FlowTable, hint_of: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(f, 2, hints) how often each hint was seen."""
    segments = flows.segments
    hint = hint_of[segments["packet"]]
    rows = np.flatnonzero(hint)
    counts = np.zeros((len(flows), len(Direction), max(Hint) + 1), dtype=np.int64)
    np.add.at(counts, (segments["flow"][rows], segments["direction"][rows], hint[rows]), 1)
    return counts


def _begins(flows: FlowTable, hint_of: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(f, 2) the hint of the first segment with data of each direction."""
    segments = flows.segments
    rows = np.flatnonzero(flows.packets["payload_octets"][segments["packet"]] > 0)[::-1]
    begins = np.zeros((len(flows), len(Direction)), dtype=np.uint8)
    begins[segments["flow"][rows], segments["direction"][rows]] = hint_of[segments["packet"][rows]]  # the first is written last
    return begins
