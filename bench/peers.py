"""mixcni and its peers, each of which counts the packets of one capture; run.py starts each in a process of its own.

    python bench/peers.py tshark-fields FILE

prints one JSON object: `packets`, `seconds` of processor time and `peak_octets`. A peer in Python is timed without its
imports, mixcni without the loading of its machine code; of a program, its whole run is timed, and run.py takes off what it
needs for one packet.
"""

import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

READ_OCTETS: Final = 1 << 20
KERNELS_LOADED: Final = 20_000  # packets that make mixcni load its machine code
ENDLESS_S: Final = 1_000_000  # a flow of NFStream's ends with the file only, as mixcni's does
TCP_MIXES: Final = ("tcp", "ipv6", "http", "short", "single")
CONVERSATION = re.compile(rb"<->\s+\S+\s+\d+ [\d,]+ \w+\s+\d+ [\d,]+ \w+\s+(\d+) ")


class Measured(NamedTuple):
    """What one run gave: packets counted, and seconds of processor time taken."""

    packets: int
    seconds: float


class Peer(NamedTuple):
    """One of those compared.

    run : counts the packets of a capture
    needs : the program on PATH, or the module, without which it is not installed
    version : the program's argument that makes it say its version; empty for a module
    against : the mixcni row that does the same work; empty for mixcni itself and for bare reading
    wanted : how many times faster mixcni should be (DESIGN.md section 8); 0 where nothing is said
    most : packets that it is given at most; more are a matter of patience only
    mixes : what it can follow, so that its count is the file's
    """

    run: Callable[[Path], Measured]
    needs: str
    version: str = ""
    against: str = ""
    wanted: int = 0
    most: int = 1_000_000
    mixes: tuple[str, ...] = ("tcp", "udp", "ipv6", "vxlan", "http", "mixed", "short", "single")

    @property
    def is_program(self) -> bool:
        """Whether it is a program of its own and not a module."""
        return bool(self.version)

    def is_installed(self) -> bool:
        """Whether it can be run here."""
        return bool(shutil.which(self.needs) if self.is_program else importlib.util.find_spec(self.needs))


def processor_seconds() -> float:
    """Seconds that this process and those that it started and awaited have had of a processor.

    With one core, and files in the kernel's memory, it is what a clock on the wall would say on an idle machine.
    """
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def read_octets(path: Path) -> Measured:
    """The floor: the file through one buffer, and its packets not looked at."""
    buffer = bytearray(READ_OCTETS)
    with path.open("rb") as stream:
        begin = processor_seconds()
        at = 0
        while got := os.preadv(stream.fileno(), [buffer], at):
            at += got
        return Measured(0, processor_seconds() - begin)


def mixcni_decode(path: Path) -> Measured:
    """A PacketTable."""
    return _mixcni(path, follow=False)


def mixcni_flows(path: Path) -> Measured:
    """A FlowTable, and the PacketTable that it is made from."""
    return _mixcni(path, follow=True)


def _mixcni(path: Path, *, follow: bool) -> Measured:
    from generate import first_packets

    from mixcni.decode import decode_packets
    from mixcni.flows import track_flows
    from mixcni.read import CaptureFile

    def work(file: Path) -> int:
        packets = decode_packets([CaptureFile(file, strict=True)])
        return len(track_flows(packets).segments) if follow else len(packets)

    work(first_packets(path, KERNELS_LOADED))
    begin = processor_seconds()
    return Measured(work(path), processor_seconds() - begin)


def mixcni_diagnose(path: Path) -> Measured:
    """A report on three points, each of which has this capture; its packets are counted once."""
    from generate import first_packets

    import mixcni

    def work(file: Path) -> int:
        return int(mixcni.diagnose(mixcni.case_of_files({name: [file] for name in "ABC"})).points["packets"].iloc[0])

    work(first_packets(path, KERNELS_LOADED))
    begin = processor_seconds()
    return Measured(work(path), processor_seconds() - begin)


def dpkt_decode(path: Path) -> Measured:
    """The usual loop over dpkt, from Ethernet to TCP, VXLAN opened: addresses, ports, sequence numbers, flags and lengths."""
    import dpkt
    from generate import VXLAN_PORT

    count = 0
    with path.open("rb") as stream:
        begin = processor_seconds()
        for _, octets in dpkt.pcap.Reader(stream):
            packet = dpkt.ethernet.Ethernet(octets).data
            transport = packet.data
            if isinstance(transport, dpkt.udp.UDP) and transport.dport == VXLAN_PORT:
                packet = dpkt.ethernet.Ethernet(transport.data[8:]).data
                transport = packet.data
            if isinstance(transport, dpkt.tcp.TCP):
                _ = packet.src, packet.dst, transport.sport, transport.dport, len(transport.data)
                _ = transport.seq, transport.ack, transport.flags
            elif isinstance(transport, dpkt.udp.UDP):
                _ = packet.src, packet.dst, transport.sport, transport.dport, len(transport.data)
            else:
                continue
            count += 1
        return Measured(count, processor_seconds() - begin)


def scapy_decode(path: Path) -> Measured:
    """The reader of scapy, every layer dissected."""
    from scapy.layers.inet import TCP, UDP
    from scapy.layers.inet6 import IPv6  # noqa: F401 (scapy dissects only what was imported)
    from scapy.layers.l2 import Ether  # noqa: F401
    from scapy.layers.vxlan import VXLAN  # noqa: F401
    from scapy.utils import PcapReader

    begin = processor_seconds()
    with PcapReader(str(path)) as reader:
        count = sum(1 for packet in reader if TCP in packet or UDP in packet)
    return Measured(count, processor_seconds() - begin)


def fpcap_read(path: Path) -> Measured:
    """The reader of fpcap: records by the one, nothing decoded."""
    import fpcap

    begin = processor_seconds()
    count = sum(1 for _ in fpcap.PacketReader(str(path)))
    return Measured(count, processor_seconds() - begin)


def nfstream_flows(path: Path) -> Measured:
    """NFStream's flows, without dissection of applications and without statistics."""
    from nfstream import NFStreamer

    begin = processor_seconds()
    flows = NFStreamer(
        source=str(path),
        n_dissections=0,
        statistical_analysis=False,
        idle_timeout=ENDLESS_S,
        active_timeout=ENDLESS_S,
        n_meters=1,
    )
    count = sum(flow.bidirectional_packets for flow in flows)
    return Measured(count, processor_seconds() - begin)


def _program(count: Callable[[Any], int], *command: str) -> Measured:
    with tempfile.TemporaryFile() as output:
        begin = processor_seconds()
        subprocess.run(command, stdout=output, stderr=subprocess.DEVNULL, check=True)
        seconds = processor_seconds() - begin
        output.seek(0)
        return Measured(count(output), seconds)


def _frames(output: Any) -> int:
    found = (CONVERSATION.search(line) for line in output)
    return sum(int(match[1]) for match in found if match)


def _packets_seen(output: Any) -> int:
    return next(int(line.split()[0]) for line in output if b"packets seen" in line)


ANALYSIS: Final = (
    "tcp.analysis.retransmission",
    "tcp.analysis.out_of_order",
    "tcp.analysis.duplicate_ack",
    "tcp.analysis.ack_rtt",
)
FIELDS: Final = ("ip.src", "tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.ack", "tcp.flags", "tcp.len")


def tshark_fields(path: Path) -> Measured:
    """A line of fields a packet."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    return _program(lambda output: sum(1 for _ in output), "tshark", "-n", "-r", str(path), "-T", "fields", *wanted)


def tshark_analysis(path: Path) -> Measured:
    """A line a packet with what TCP analysis says of it, in two passes."""
    wanted = [argument for field in (*FIELDS, *ANALYSIS) for argument in ("-e", field)]
    return _program(lambda output: sum(1 for _ in output), "tshark", "-n", "-2", "-r", str(path), "-T", "fields", *wanted)


def tshark_conversations(path: Path) -> Measured:
    """A line a TCP connection."""
    return _program(_frames, "tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(path))


def tcptrace(path: Path) -> Measured:
    """A line a TCP connection, retransmissions found."""
    return _program(_packets_seen, "tcptrace", "-n", str(path))


DECODE, FLOWS, DIAGNOSE, FLOOR = "mixcni-decode", "mixcni-flows", "mixcni-diagnose", "preadv"
PEERS: Final = {
    FLOOR: Peer(read_octets, "os", most=1 << 62),
    DECODE: Peer(mixcni_decode, "mixcni", most=1 << 62),
    FLOWS: Peer(mixcni_flows, "mixcni", most=1 << 62),
    DIAGNOSE: Peer(mixcni_diagnose, "mixcni", most=1 << 62),
    "tshark-fields": Peer(tshark_fields, "tshark", "--version", DECODE, 100, most=100_000),
    "dpkt": Peer(dpkt_decode, "dpkt", "", DECODE, 60, most=100_000),
    "scapy": Peer(scapy_decode, "scapy", "", DECODE, most=10_000),
    "fpcap": Peer(fpcap_read, "fpcap", "", DECODE),
    "tcptrace": Peer(tcptrace, "tcptrace", "-v", FLOWS, 5, mixes=TCP_MIXES),
    "nfstream": Peer(nfstream_flows, "nfstream", "", FLOWS, 20, most=200_000),
    "tshark-analysis": Peer(tshark_analysis, "tshark", "--version", DIAGNOSE, 20, most=100_000),
    "tshark-conv": Peer(
        tshark_conversations,
        "tshark",
        "--version",
        FLOWS,
        50,
        most=100_000,
        mixes=("tcp", "ipv6", "vxlan", "http", "short", "single"),
    ),
}


def peak_octets() -> int:
    """The most memory that this process has had, or any that it started."""
    own = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))[0])
    return 1024 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def main() -> None:
    """Run the peer that the first argument names on the file that the second one names."""
    peer, path = PEERS[sys.argv[1]], Path(sys.argv[2])
    measured = peer.run(path)
    print(json.dumps({**measured._asdict(), "peak_octets": peak_octets()}))


if __name__ == "__main__":
    main()
