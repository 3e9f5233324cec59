"""Packets for tests, put together by dpkt: what a host would send, as frames with times, and captures made of them."""

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dpkt

from mixcni.decode import PacketTable, decode_packets
from mixcni.read import CaptureFile

FLAGS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10, "U": 0x20, "E": 0x40, "C": 0x80}
MS = 1_000_000
S = 1_000_000_000
START = 1_700_000_000 * S
"""When the tests' packets begin, ns since the Unix epoch."""


class Frame(NamedTuple):
    """One Ethernet frame as a capture has it."""

    time_ns: int
    octets: bytes

    def at(self, time_ns: int) -> "Frame":
        """The same frame at another time."""
        return self._replace(time_ns=time_ns)


def pack(address: str) -> bytes:
    """An address as its octets."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def flag_octet(flags: str) -> int:
    """`SA` as the octet of a TCP header."""
    return sum(FLAGS[letter] for letter in flags)


def ip_frame(source: str, destination: str, protocol: int, payload: Any, *, ttl: int = 64, ip_id: int = 0) -> bytes:
    """An Ethernet frame with an IP packet around `payload`, a dpkt packet or octets; checksums are dpkt's."""
    network: Any
    if ":" in source:
        network = dpkt.ip6.IP6(src=pack(source), dst=pack(destination), nxt=protocol, hlim=ttl, data=payload, plen=len(payload))
        network.extension_hdrs = {}
        kind = dpkt.ethernet.ETH_TYPE_IP6
    else:
        network = dpkt.ip.IP(src=pack(source), dst=pack(destination), p=protocol, ttl=ttl, id=ip_id, data=payload)
        network.len = len(network)
        kind = dpkt.ethernet.ETH_TYPE_IP
    return bytes(dpkt.ethernet.Ethernet(src=b"\x02\0\0\0\0\x01", dst=b"\x02\0\0\0\0\x02", type=kind, data=network))


class Conversation:
    """One TCP connection that a test speaks for both sides: `say` makes a segment with the numbers that are due.

    Parameters
    ----------
    initiator, responder : (address, port)
    iss, irs : initial sequence numbers, octets
    """

    def __init__(
        self,
        initiator: tuple[str, int] = ("10.244.3.7", 41000),
        responder: tuple[str, int] = ("10.242.2.149", 8080),
        *,
        iss: int = 1000,
        irs: int = 5000,
    ) -> None:
        self.ends = initiator, responder
        self.next = [iss, irs]

    def segment(
        self,
        side: int,
        flags: str,
        *,
        seq: int,
        ack: int = 0,
        payload: bytes = b"",
        time_ns: int = START,
        window: int = 65_535,
        ttl: int = 64,
        ip_id: int = 0,
        options: bytes = b"",
    ) -> Frame:
        """A segment of the initiator (side 0) or the responder (1) with all its numbers given; nothing is remembered."""
        (source, source_port), (destination, destination_port) = self.ends[side], self.ends[1 - side]
        tcp = dpkt.tcp.TCP(
            sport=source_port,
            dport=destination_port,
            seq=seq % 2**32,
            ack=ack % 2**32,
            flags=flag_octet(flags),
            win=window,
            opts=options,
            data=payload,
        )
        tcp.off = 5 + len(options) // 4
        return Frame(time_ns, ip_frame(source, destination, 6, tcp, ttl=ttl, ip_id=ip_id))

    def say(self, side: int, flags: str, payload: bytes = b"", *, time_ns: int = START, **more: Any) -> Frame:
        """The segment that is due from a side: its SEQ is that side's next octet, its ACK the other's."""
        ack = self.next[1 - side] if "A" in flags else 0
        frame = self.segment(side, flags, seq=self.next[side], ack=ack, payload=payload, time_ns=time_ns, **more)
        self.next[side] += len(payload) + ("S" in flags) + ("F" in flags)
        return frame

    def handshake(self, time_ns: int = START, step_ns: int = MS, *, ttl: int = 64) -> list[Frame]:
        """SYN, SYN-ACK and ACK, `step_ns` apart."""
        turns = ((0, "S"), (1, "SA"), (0, "A"))
        return [self.say(side, flags, time_ns=time_ns + i * step_ns, ttl=ttl) for i, (side, flags) in enumerate(turns)]

    def exchange(self, request: bytes, response: bytes, time_ns: int, step_ns: int = MS) -> list[Frame]:
        """A request in one segment and its response in another, each acknowledged by what follows it."""
        return [
            self.say(0, "PA", request, time_ns=time_ns),
            self.say(1, "PA", response, time_ns=time_ns + step_ns),
            self.say(0, "A", time_ns=time_ns + 2 * step_ns),
        ]

    def close(self, time_ns: int, step_ns: int = MS) -> list[Frame]:
        """FIN from the initiator, FIN from the responder, the last ACK."""
        turns = ((0, "FA"), (1, "FA"), (0, "A"))
        return [self.say(side, flags, time_ns=time_ns + i * step_ns) for i, (side, flags) in enumerate(turns)]


def udp_frame(source: tuple[str, int], destination: tuple[str, int], payload: bytes = b"", *, time_ns: int = START) -> Frame:
    """A UDP datagram."""
    udp = dpkt.udp.UDP(sport=source[1], dport=destination[1], data=payload, ulen=8 + len(payload))
    return Frame(time_ns, ip_frame(source[0], destination[0], 17, udp))


def icmp_error(
    router: str, host: str, quoted: Frame, *, kind: int = 3, code: int = 1, time_ns: int = START, quote_octets: int = 28
) -> Frame:
    """An ICMP error from `router` to `host` that quotes the IPv4 packet of a frame (RFC 792: its header and 8 octets)."""
    octets = bytes([kind, code, 0, 0, 0, 0, 0, 0]) + quoted.octets[14 : 14 + quote_octets]
    return Frame(time_ns, ip_frame(router, host, 1, octets))


def write_pcap(path: Path, frames: Iterable[Frame], *, link_type: int = 1, snap_length: int = 262_144) -> Path:
    """A classic pcap with nanoseconds; frames longer than `snap_length` are cut, their length on the wire kept."""
    with path.open("wb") as stream:
        header = b"\x4d\x3c\xb2\xa1\x02\x00\x04\x00" + bytes(8)
        stream.write(header + snap_length.to_bytes(4, "little") + link_type.to_bytes(4, "little"))
        for time_ns, octets in frames:
            kept = octets[:snap_length]
            words = time_ns // S, time_ns % S, len(kept), len(octets)
            stream.write(b"".join(word.to_bytes(4, "little") for word in words) + kept)
    return path


def decoded(path: Path, frames: Sequence[Frame], **options: Any) -> PacketTable:
    """The packet table of a capture of these frames, written to `path` first."""
    return decode_packets([CaptureFile(write_pcap(path, frames, **options), strict=True)])
