"""A cable with faults, in user space: `wire.py LEFT RIGHT` copies frames between two interfaces and loses some.

Reads one line of JSON, a `plan`, from standard input and says `ready`; when standard input ends it writes how many
packets it lost, how many of them were bare acknowledgements, and which initiators' ports they belonged to, as JSON to
standard output.

plan : {"responder": address, "port": p, "directions": ["request", "response"], "what": w, "octets": n,
        "share": s, "salt": t, "loss": l, "seed": d, "delay_s": [least, most], "late_s": x, "reorder": r, "duplicate": u}
w : "all", "data" (packets with payload), "synack", or "large" (IP packets of more than n octets)
s, t : lose only the flows of a share, by a hash of the initiator's port and t; l : of those packets, this share
r, u : shares of all packets that leave x seconds late, and twice
"""

import heapq
import json
import random
import select
import socket
import sys
import time
from collections import Counter
from typing import Any, Final

ALL_PROTOCOLS: Final = 0x0003  # ETH_P_ALL of linux/if_ether.h
OUTGOING: Final = 4  # PACKET_OUTGOING of linux/if_packet.h
LARGEST: Final = 65_549
SYN_ACK: Final = 0x12
SYN_FIN_RST: Final = 0x07


def flow_draw(port: int, salt: int) -> float:
    """A number in [0, 1) that a flow keeps."""
    return ((port ^ salt) * 2_654_435_761 % (1 << 32)) / (1 << 32)


class Wire:
    """The cable's state: what is under way, and what it lost."""

    def __init__(self, left: str, right: str, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.dice = random.Random(plan["seed"])  # noqa: S311  # a repeatable fault, not a secret
        self.responder = socket.inet_aton(plan["responder"])
        self.sockets = []
        for name in (left, right):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
            sock.bind((name, 0))
            self.sockets.append(sock)
        self.under_way: list[tuple[float, int, int, bytes]] = []
        self.lost: Counter[int] = Counter()
        self.bare = 0
        self.count = 0

    def is_lost(self, frame: bytes) -> bool:
        """Whether this frame is one that the plan loses."""
        plan = self.plan
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            return False
        packet = frame[14:]
        segment = packet[4 * (packet[0] & 0x0F) :]
        ports = int.from_bytes(segment[:2]), int.from_bytes(segment[2:4])
        if packet[16:20] == self.responder and ports[1] == plan["port"]:
            direction, port = "request", ports[0]
        elif packet[12:16] == self.responder and ports[0] == plan["port"]:
            direction, port = "response", ports[1]
        else:
            return False
        octets = int.from_bytes(packet[2:4])
        payload = octets - 4 * (packet[0] & 0x0F) - 4 * (segment[12] >> 4)
        matches = {
            "all": True,
            "data": payload > 0,
            "synack": segment[13] & SYN_ACK == SYN_ACK,
            "large": octets > plan["octets"],
        }
        hit = direction in plan["directions"] and matches[plan["what"]] and flow_draw(port, plan["salt"]) < plan["share"]
        if hit and self.dice.random() < plan["loss"]:
            self.lost[port] += 1
            self.bare += payload == 0 and not segment[13] & SYN_FIN_RST
            return True
        return False

    def take(self, side: int) -> None:
        """Read one frame that arrived at a side, and send it on its way to the other."""
        frame, (_, _, packet_type, *_) = self.sockets[side].recvfrom(LARGEST)
        if packet_type == OUTGOING or self.is_lost(frame):
            return
        delay = self.dice.uniform(*self.plan["delay_s"]) + self.plan["late_s"] * (self.dice.random() < self.plan["reorder"])
        for _ in range(1 + (self.dice.random() < self.plan["duplicate"])):
            self.count += 1
            heapq.heappush(self.under_way, (time.monotonic() + delay, self.count, 1 - side, frame))

    def run(self) -> None:
        """Carry frames until standard input ends."""
        while True:
            wait = max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None
            ready, _, _ = select.select([sys.stdin, *self.sockets], [], [], wait)
            if sys.stdin in ready:
                return
            for side, sock in enumerate(self.sockets):
                if sock in ready:
                    self.take(side)
            while self.under_way and self.under_way[0][0] <= time.monotonic():
                _, _, side, frame = heapq.heappop(self.under_way)
                self.sockets[side].send(frame)


def main() -> None:
    """Be the cable between two interfaces."""
    plan = json.loads(sys.stdin.readline())
    wire = Wire(sys.argv[1], sys.argv[2], plan)
    print("ready", flush=True)
    wire.run()
    json.dump({"dropped_packets": wire.lost.total(), "bare_acknowledgements": wire.bare, "ports": sorted(wire.lost)}, sys.stdout)


if __name__ == "__main__":
    main()
