#!/usr/bin/env python3
"""TCP over links that lose, reorder and duplicate, held by what the kernel counted: `transfers.py FOLDER LINK ...`.

For each link `FOLDER/LINK/` gets `client.pcap` and `server.pcap`, captured in the two pods, and `truth.json`: what `ss -tinO`
said of both ends of every connection once all octets were acknowledged and before anything closed, round by round. What was
captured up to the sample of round N is `client-N.pcap` and `server-N.pcap`. LINK is one of LINKS, with `-offload` behind it where
segmentation is left to hardware that is not there.
"""

import argparse
import array
import fcntl
import json
import socket
import struct
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from fault import Fault
from inside import Inside
from line import HTTP_PORT, Line, build_line
from namespaces import LabError, Namespaces, require_root_and_tools
from pcapfile import pcap_of, read_pcap
from recorder import Recorder
from scenario import Scenario
from sockets import tcp_sockets

DELAY_S: Final = 0.010  # each way; equal for all, so that nothing overtakes but what is late on purpose
WIRED: Final = Scenario(
    "transfers",
    20221212,
    element="underlay",
    mechanism="wire",
    direction="both",
    delay_s=(DELAY_S, DELAY_S),
    loss=0.0,
    layout=("client", "server"),
)
LINKS: Final = {
    "clean": WIRED,
    "lossy": replace(WIRED, loss=0.03),
    "reordered": replace(WIRED, reorder=0.05, late_s=0.015),
    "duplicated": replace(WIRED, duplicate=0.05),
    "all": replace(WIRED, loss=0.02, reorder=0.03, late_s=0.015, duplicate=0.03),
}
OFFLOAD: Final = "-offload"
HEADERS: Final = 128  # octets of each frame that are kept: no frame of offload is too large for the capture buffer then
PIECE: Final = 1 << 16
WAIT_S: Final = 60.0
SETTLED_S: Final = 0.5  # longer than any delayed acknowledgment (RFC 9293 section 3.8.6.3), and what the wire still carries
POLL_S: Final = 0.02
AT_ONCE: Final = 5
SIOCOUTQ: Final = 0x5411  # linux/sockios.h
RESET: Final = struct.pack("ii", 1, 0)  # linger for no time: close() sends a reset


@dataclass(frozen=True, slots=True)
class Transfer:
    """One connection: octets to the server, then octets back; all of it is acknowledged when the sockets are sampled.

    up : its first octet tells the server which transfer it is
    stalls_s : how long the server waits before it reads on
    half_closes : the client says FIN before the server answers
    port : the client's, where it is not the kernel's choice
    resets : the client ends the connection with a reset
    """

    name: str
    up: int = 200
    down: int = 0
    stalls_s: float = 0.0
    half_closes: bool = False
    port: int = 0
    resets: bool = False


ROUNDS: Final = (
    (
        Transfer("download", down=600_000),
        Transfer("upload", up=600_000),
        Transfer("both ways", up=200_000, down=200_000),
        Transfer("zero window", up=400_000, stalls_s=1.5),
        Transfer("half-close", up=50_000, down=300_000, half_closes=True),
        Transfer("reset", down=50_000, resets=True),
        Transfer("port", down=50_000, port=41_000, resets=True),
    ),
    (Transfer("port again", up=50_000, port=41_000),),
)
"""What is sent at once; the next round begins when the connections of the one before are closed."""
TRANSFERS: Final = tuple(transfer for together in ROUNDS for transfer in together)


def client_end(line: Line, transfer: Transfer) -> socket.socket:
    """Be the client of a transfer; its socket, still open."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(WAIT_S)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((line.addresses.clients[0], transfer.port))
    sock.connect((line.addresses.server, HTTP_PORT))
    sock.sendall(bytes([TRANSFERS.index(transfer)]) + bytes(transfer.up - 1))
    if transfer.half_closes:
        sock.shutdown(socket.SHUT_WR)
    _read(sock, transfer.down)
    return sock


def server_end(sock: socket.socket) -> socket.socket:
    """Be the server of the connection that was taken; its socket, still open."""
    sock.settimeout(WAIT_S)
    transfer = TRANSFERS[sock.recv(1)[0]]
    time.sleep(transfer.stalls_s)
    _read(sock, transfer.up - 1)
    sock.sendall(bytes(transfer.down))
    return sock


def _read(sock: socket.socket, octets: int) -> None:
    while octets:
        piece = sock.recv(min(octets, PIECE))
        if not piece:
            raise LabError(f"a connection ended {octets} octets too early")
        octets -= len(piece)


def run_round(line: Line, listening: socket.socket, transfers: tuple[Transfer, ...]) -> dict[str, Any]:
    """Carry out transfers at once, sample both ends of each, and close them; when that was, and what was said."""
    clients = [Inside(line["client"], client_end, line, transfer) for transfer in transfers]
    servers = [Inside(line["server"], server_end, listening.accept()[0]) for _ in transfers]
    client_sockets: list[socket.socket] = [client.result(WAIT_S) for client in clients]
    server_sockets: list[socket.socket] = [server.result(WAIT_S) for server in servers]
    _wait_until_acknowledged([*client_sockets, *server_sockets])
    known = {place: {(one.local, one.peer): one for one in tcp_sockets(line[place])} for place in ("client", "server")}
    sampled_ns = time.time_ns()
    told = []
    for transfer, sock in zip(transfers, client_sockets, strict=True):
        ends = sock.getsockname(), sock.getpeername()
        pair = {"client": asdict(known["client"][ends]), "server": asdict(known["server"][ends[::-1]])}
        told.append(asdict(transfer) | pair)
        if transfer.resets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()
    time.sleep(SETTLED_S)
    for sock in server_sockets:
        sock.close()
    time.sleep(SETTLED_S)
    return {"sampled_ns": sampled_ns, "transfers": told}


def _wait_until_acknowledged(sockets: list[socket.socket]) -> None:
    """Wait until every octet is acknowledged, and the acknowledgments have come too."""
    deadline = time.monotonic() + WAIT_S
    while any(_unacknowledged(sock) for sock in sockets):
        if time.monotonic() > deadline:
            raise LabError(f"octets were not acknowledged within {WAIT_S:.0f} s")
        time.sleep(POLL_S)
    time.sleep(SETTLED_S)


def _unacknowledged(sock: socket.socket) -> int:
    left = array.array("i", [0])
    fcntl.ioctl(sock, SIOCOUTQ, left)
    return left[0]


def record(name: str, folder: Path) -> str:
    """Record all rounds over one link; its name."""
    link = LINKS[name.removesuffix(OFFLOAD)]
    scenario = replace(link, offload="ends") if name.endswith(OFFLOAD) else link
    folder.mkdir(parents=True)
    with Namespaces() as lab, ExitStack() as closing:
        line = build_line(lab, scenario)
        fault = Fault(line)
        fault.install()
        recorders = [
            Recorder(lab, *line.interface(place), folder / f"{place}.pcap", largest=HEADERS) for place in scenario.layout
        ]
        listening = Inside(line["server"], _listening, line.addresses.server).result(WAIT_S)
        closing.callback(listening.close)
        rounds = [run_round(line, listening, transfers) for transfers in ROUNDS]
        for recorder in recorders:
            recorder.stop()
        fault.remove()
    for place in scenario.layout:
        link_type, records = read_pcap(folder / f"{place}.pcap")
        for number, one in enumerate(rounds, 1):
            before = [record for record in records if record.time_ns < one["sampled_ns"]]
            (folder / f"{place}-{number}.pcap").write_bytes(pcap_of(link_type, before))
    (folder / "truth.json").write_text(json.dumps({"wire": fault.counted, "rounds": rounds}, indent=1))
    return name


def _listening(address: str) -> socket.socket:
    sock = socket.create_server((address, HTTP_PORT), backlog=len(TRANSFERS))
    sock.settimeout(WAIT_S)
    return sock


def main() -> int:
    """Record the named links; 0 done, 1 could not."""
    names = [name + ending for ending in ("", OFFLOAD) for name in LINKS]
    parser = argparse.ArgumentParser(description="Record TCP over faulty links, and what the kernel counted of it.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("link", nargs="+", choices=names)
    arguments = parser.parse_args()
    try:
        require_root_and_tools("ss")
        with ProcessPoolExecutor(AT_ONCE, max_tasks_per_child=1) as pool:
            for name in pool.map(record, arguments.link, [arguments.folder / link for link in arguments.link]):
                print(f"{name}: recorded", file=sys.stderr)
    except (LabError, OSError) as error:
        print(f"transfers.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
