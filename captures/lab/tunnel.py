"""A tunnel in user space, where the kernel has no device for it: `tunnel.py geneve|ipip TUN LOCAL REMOTE`.

Every packet that the node routes into its TUN device leaves in an outer packet to the other node, and back. Says
`ready` once it forwards, and ends when standard input ends.

Geneve (RFC 8926) carries Ethernet as Cilium's does, without options; IPIP is RFC 2003.
"""

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys
from typing import Final

GENEVE_PORT: Final = 6081
IPIP: Final = 4
LARGEST: Final = 65_535
# linux/if_tun.h
TUNSETIFF: Final = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
VNI: Final = 7
# RFC 8926 section 3.4: version 0, no options, protocol type Ethernet (0x6558), VNI; then an inner Ethernet header.
GENEVE: Final = struct.pack(">BBHI", 0, 0, 0x6558, VNI << 8)
INNER_ETHERNET: Final = bytes.fromhex("0e00000000020e00000000010800")
EPHEMERAL: Final = 49_152


def open_tun(name: str) -> int:
    """A file descriptor of a TUN device that is there already; whole IP packets without a prefix."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def carry_geneve(device: int, local: str, remote: str) -> None:
    """Forward until standard input ends; the outer source port follows the inner flow, as RFC 8926 section 3.3 asks."""
    with contextlib.ExitStack() as stack:
        arriving = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        arriving.bind((local, GENEVE_PORT))
        leaving: dict[int, socket.socket] = {}
        while ready := _wait(device, arriving):
            if device in ready:
                packet = os.read(device, LARGEST)
                port = EPHEMERAL + (int.from_bytes(packet[20:24]) * 2_654_435_761 >> 8) % 64
                if port not in leaving:
                    leaving[port] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    leaving[port].bind((local, port))
                _send(leaving[port], GENEVE + INNER_ETHERNET + packet, (remote, GENEVE_PORT))
            if arriving.fileno() in ready:
                _write(device, arriving.recv(LARGEST)[len(GENEVE) + len(INNER_ETHERNET) :])


def carry_ipip(device: int, local: str, remote: str) -> None:
    """Forward until standard input ends; the kernel writes the outer header."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, IPIP) as sock:
        sock.bind((local, 0))
        while ready := _wait(device, sock):
            if device in ready:
                _send(sock, os.read(device, LARGEST), (remote, 0))
            if sock.fileno() in ready:
                outer = sock.recv(LARGEST)
                _write(device, outer[4 * (outer[0] & 0x0F) :])


def _wait(device: int, sock: socket.socket) -> list[int]:
    """Which of the two can be read; nothing once standard input has ended."""
    ready, _, _ = select.select([sys.stdin.fileno(), device, sock.fileno()], [], [])
    return [] if sys.stdin.fileno() in ready else ready


def _send(sock: socket.socket, data: bytes, to: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):  # a refusal of an earlier packet (ICMP); a tunnel does not repeat
        sock.sendto(data, to)


def _write(device: int, packet: bytes) -> None:
    with contextlib.suppress(OSError):  # not an IP packet, or the device went down
        os.write(device, packet)


def main() -> None:
    """Carry packets until standard input ends."""
    kind, tun, local, remote = sys.argv[1:]
    device = open_tun(tun)
    print("ready", flush=True)
    {"geneve": carry_geneve, "ipip": carry_ipip}[kind](device, local, remote)


if __name__ == "__main__":
    main()
