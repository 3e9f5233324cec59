"""Made captures for the benchmark: the same mix, size and seed give the same file, octet for octet.

A conversation follows one of a few scripts (who sends how many octets, with which flags); conversations overlap in time,
some segments come late and some come twice. Lengths are right and sequence numbers consistent; checksums are left at 0.

    python bench/generate.py tcp 1000000
"""

import hashlib
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

DATA: Final = Path(__file__).parent / "data"
MIXES: Final = {
    "tcp": ("tcp",),
    "udp": ("udp",),
    "ipv6": ("ipv6",),
    "vxlan": ("vxlan",),
    "http": ("http",),
    "mixed": ("tcp", "udp", "ipv6", "vxlan"),
    "short": ("tcp",),
    "single": ("tcp",),
}
"""Which kinds of conversation a mix has, in equal shares; `short` has conversations of ten packets, `single` just one.

`http` is `tcp` with messages of HTTP/1.1 in place of text.
"""

SEED: Final = 20240501
CHUNK: Final = 1 << 16  # packets put together at a time
START_S: Final = 1_700_000_000  # when a capture begins, seconds since the Unix epoch
STEP_NS, JITTER_NS = 2_000_000, 1_000_000  # between two packets of a conversation
ARRIVAL_NS: Final = 50_000  # mean time between two conversations' beginnings
TWICE, LATE = 0.01, 0.005  # shares of the segments with payload that are retransmitted, and reordered
RESEND_NS: Final = 10_000_000  # between a segment and its repetition: some round trips, as for RFC 5681 section 3.2
HOSTS, SERVERS, FIRST_PORT, PORTS = 2_000, 200, 32_768, 28_000
SERVER_PORT: Final = 7_777
VXLAN_PORT: Final = 4_789  # IANA
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
REQUEST: Final = (
    b"GET /api/v1/items?page=1 HTTP/1.1\r\nHost: shop.default.svc.cluster.local\r\nUser-Agent: bench/1\r\nAccept: */*\r\nX-Pad: "
)
TEXT: Final = np.frombuffer(b"the quick brown fox jumps over the lazy dog; ", dtype=np.uint8)

RECORD = np.dtype([("seconds", "<u4"), ("fraction", "<u4"), ("captured", "<u4"), ("original", "<u4")])
ETHERNET = np.dtype([("destination", "u1", 6), ("source", "u1", 6), ("type", ">u2")])
IPV4 = np.dtype(
    [
        ("version", "u1"),
        ("service", "u1"),
        ("total", ">u2"),
        ("id", ">u2"),
        ("fragment", ">u2"),
        ("ttl", "u1"),
        ("protocol", "u1"),
        ("checksum", ">u2"),
        ("source", ">u4"),
        ("destination", ">u4"),
    ]
)
IPV6 = np.dtype(
    [
        ("version", ">u4"),
        ("length", ">u2"),
        ("protocol", "u1"),
        ("ttl", "u1"),
        ("source", ">u8", 2),
        ("destination", ">u8", 2),
    ]
)
TCP = np.dtype(
    [
        ("source", ">u2"),
        ("destination", ">u2"),
        ("seq", ">u4"),
        ("ack", ">u4"),
        ("offset", "u1"),
        ("flags", "u1"),
        ("window", ">u2"),
        ("checksum", ">u2"),
        ("urgent", ">u2"),
        ("options", ">u4", 3),
    ]
)
UDP = np.dtype([("source", ">u2"), ("destination", ">u2"), ("length", ">u2"), ("checksum", ">u2")])
VXLAN = np.dtype([("flags", ">u4"), ("vni", ">u4")])
OVER_IPV4: Final = np.dtype([("record", RECORD), ("ethernet", ETHERNET), ("ip", IPV4), ("transport", TCP)])
HEADERS: Final = {
    "tcp": OVER_IPV4,
    "http": OVER_IPV4,
    "udp": np.dtype([("record", RECORD), ("ethernet", ETHERNET), ("ip", IPV4), ("transport", UDP)]),
    "ipv6": np.dtype([("record", RECORD), ("ethernet", ETHERNET), ("ip", IPV6), ("transport", TCP)]),
    "vxlan": np.dtype(
        [
            ("record", RECORD),
            ("outer_ethernet", ETHERNET),
            ("outer_ip", IPV4),
            ("outer_udp", UDP),
            ("vxlan", VXLAN),
            ("ethernet", ETHERNET),
            ("ip", IPV4),
            ("transport", TCP),
        ]
    ),
}
"""What stands before the payload of a packet of each kind, the pcap record header first."""


class Packets(NamedTuple):
    """Packets in the order of the file: row i of each array is one packet.

    conversation, kind, direction : (n,) int64; `kind` is a row in the mix's tuple, `direction` 0 from the initiator
    flags, payload : (n,) int64, TCP flags and octets of payload
    seq, ack : (n,) int64, already on the circle of 2**32
    message : (n,) int64, octets of the request or response that begins with a packet's payload; 0 where none does
    time_ns : (n,) int64, since the capture's beginning
    """

    conversation: NDArray[np.int64]
    kind: NDArray[np.int64]
    direction: NDArray[np.int64]
    flags: NDArray[np.int64]
    payload: NDArray[np.int64]
    seq: NDArray[np.int64]
    ack: NDArray[np.int64]
    message: NDArray[np.int64]
    time_ns: NDArray[np.int64]

    def rows(self, chosen: Any) -> "Packets":
        """The packets that an index or a mask chooses."""
        return Packets(*(array[chosen] for array in self))


def tcp_script(exchanges: int, segments: int) -> NDArray[np.int64]:
    """Rows (direction, flags, payload, message, sequence, acknowledgment) of a connection, numbers from the initial ones on."""
    opening = [(0, SYN, 0, 0), (1, SYN | ACK, 0, 0), (0, ACK, 0, 0)]
    response = [[1, ACK, 1_380, 0] for _ in range(segments - 1)] + [[1, PSH | ACK, 700, 0]]
    response[0][3] = sum(payload for _, _, payload, _ in response)
    exchange = [(0, PSH | ACK, 120, 120), *response, (0, ACK, 0, 0)]
    closing = [(0, FIN | ACK, 0, 0), (1, FIN | ACK, 0, 0), (0, ACK, 0, 0)]
    direction, flags, payload, message = np.concatenate([opening, np.tile(exchange, (exchanges, 1)), closing]).T
    octets = payload + (flags & (SYN | FIN) != 0)
    sent = octets * (direction == [[0], [1]])
    due = np.cumsum(sent, axis=1) - sent
    rows = np.arange(direction.size)
    numbers = due[direction, rows], due[1 - direction, rows] * (flags & ACK != 0)
    return np.stack([direction, flags, payload, message, *numbers], axis=1)


def udp_script(exchanges: int) -> NDArray[np.int64]:
    """As `tcp_script`, of datagrams: a short request and a longer response in turn."""
    return np.array([(0, 0, 60, 60, 0, 0), (1, 0, 420, 420, 0, 0)] * exchanges, dtype=np.int64)


TCP_SCRIPTS: Final = [tcp_script(exchanges, segments) for exchanges, segments in ((1, 1), (1, 8), (3, 1), (5, 2), (12, 3))]
UDP_SCRIPTS: Final = [udp_script(exchanges) for exchanges in (1, 1, 2, 8)]


def scripts_of(mix: str, kind: str, count: int) -> list[NDArray[np.int64]]:
    """The scripts that conversations of a kind follow, each as often as the others, in a mix of `count` packets."""
    if mix == "short":
        return [tcp_script(1, 2)]
    if mix == "single":
        return [tcp_script(-(-count // 4), 2)]  # an exchange has four
    return UDP_SCRIPTS if kind == "udp" else TCP_SCRIPTS


def make_packets(mix: str, count: int, seed: int) -> Packets:
    """The first `count` packets of conversations that follow the scripts, in the order of their times."""
    random = np.random.default_rng(seed)
    by_kind = [scripts_of(mix, kind, count) for kind in MIXES[mix]]
    scripts = [script for of_kind in by_kind for script in of_kind]
    lengths = np.array([len(script) for script in scripts])
    fewest = min(np.mean([len(script) for script in of_kind]) for of_kind in by_kind)
    conversations = 1 if mix == "single" else int(count / fewest * 1.2) + 50
    kind = random.integers(len(by_kind), size=conversations)
    sizes = np.array([len(of_kind) for of_kind in by_kind])
    script = (np.cumsum(sizes) - sizes)[kind] + random.integers(sizes[kind])
    begin = np.sort(random.integers(conversations * ARRIVAL_NS, size=conversations))
    initial = random.integers(1 << 32, size=(2, conversations))

    conversation = np.repeat(np.arange(conversations), lengths[script])
    place = np.arange(conversation.size) - np.repeat(np.cumsum(lengths[script]) - lengths[script], lengths[script])
    first = np.cumsum(lengths) - lengths
    turn = np.concatenate(scripts)[first[script[conversation]] + place]
    direction, flags, payload, message = turn[:, :4].T
    time_ns = begin[conversation] + place * STEP_NS + random.integers(JITTER_NS, size=place.size)
    is_tcp = flags != 0
    seq = (initial[direction, conversation] + turn[:, 4]) % (1 << 32) * is_tcp
    ack = (initial[1 - direction, conversation] + turn[:, 5]) % (1 << 32) * (flags & ACK != 0)
    time_ns += (random.random(place.size) < LATE) * (payload > 0) * (STEP_NS + JITTER_NS)
    packets = Packets(conversation, kind[conversation], direction, flags, payload, seq, ack, message, time_ns)
    again = packets.rows((random.random(place.size) < TWICE) & (payload > 0) & is_tcp)
    again = again._replace(time_ns=again.time_ns + RESEND_NS)
    every = Packets(*(np.concatenate(pair) for pair in zip(packets, again, strict=True)))
    return every.rows(np.argsort(every.time_ns, kind="stable")[:count])


def _fill_ethernet(header: NDArray[Any], ethertype: int) -> None:
    header["destination"], header["source"] = [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]
    header["type"] = ethertype


def _fill_ipv4(header: NDArray[Any], total: NDArray[np.int64], protocol: int, ends: NDArray[np.int64]) -> None:
    header["version"], header["ttl"], header["protocol"] = 0x45, 64, protocol
    header["total"] = total
    header["fragment"] = 0x4000  # don't fragment
    header["source"], header["destination"] = ends


def _fill_udp(header: NDArray[Any], ports: Any, length: NDArray[np.int64]) -> None:
    header["source"], header["destination"] = ports
    header["length"] = length


def headers_of(kind: str, packets: Packets) -> NDArray[Any]:
    """The headers of packets of one kind, as rows of `HEADERS[kind]`."""
    dtype = HEADERS[kind]
    out = np.zeros(len(packets.payload), dtype=dtype)
    size = {name: dtype[name].itemsize for name in dtype.names or ()}
    behind_ip = size["transport"] + packets.payload
    client = packets.conversation % HOSTS
    port = FIRST_PORT + packets.conversation // HOSTS % PORTS
    server = packets.conversation % SERVERS
    forward = packets.direction == 0
    server_port = np.full_like(port, SERVER_PORT)
    ports = np.where(forward, (port, server_port), (server_port, port))
    hosts = np.where(forward, (client, server + HOSTS), (server + HOSTS, client))

    protocol = 17 if kind == "udp" else 6
    _fill_ethernet(out["ethernet"], 0x86DD if kind == "ipv6" else 0x0800)
    if kind == "ipv6":
        ip = out["ip"]
        ip["version"], ip["ttl"], ip["protocol"], ip["length"] = 6 << 28, 64, protocol, behind_ip
        for name, host in zip(("source", "destination"), hosts, strict=True):
            ip[name][:, 0] = 0xFD00_0010_0244_0000  # RFC 4193: a unique local prefix
            ip[name][:, 1] = host + 1
    else:
        _fill_ipv4(out["ip"], size["ip"] + behind_ip, protocol, (10 << 24) + (244 << 16) + 1 + hosts)
    transport = out["transport"]
    if kind == "udp":
        _fill_udp(transport, ports, behind_ip)
    else:
        transport["source"], transport["destination"] = ports
        transport["seq"], transport["ack"], transport["flags"] = packets.seq, packets.ack, packets.flags
        transport["offset"], transport["window"] = TCP.itemsize // 4 << 4, 64_240
        transport["options"][:, 0] = 0x0101_080A  # two NOPs, then timestamps of 10 octets (RFC 7323)
        transport["options"][:, 1] = packets.time_ns // 1_000_000
    if kind == "vxlan":
        behind_udp = size["outer_udp"] + size["vxlan"] + size["ethernet"] + size["ip"] + behind_ip
        nodes = (192 << 24) + (168 << 16) + 1 + packets.conversation % 16 + np.where(forward, ((0,), (16,)), ((16,), (0,)))
        _fill_ethernet(out["outer_ethernet"], 0x0800)
        _fill_ipv4(out["outer_ip"], size["outer_ip"] + behind_udp, 17, nodes)
        _fill_udp(out["outer_udp"], (49_152 + packets.conversation % 16_384, VXLAN_PORT), behind_udp)
        out["vxlan"]["flags"], out["vxlan"]["vni"] = 0x0800_0000, 7 << 8  # RFC 7348 section 5
    record = out["record"]
    record["captured"] = record["original"] = dtype.itemsize - RECORD.itemsize + packets.payload
    record["seconds"] = START_S + packets.time_ns // 1_000_000_000
    record["fraction"] = packets.time_ns % 1_000_000_000
    return out


def _records(kinds: tuple[str, ...], packets: Packets) -> NDArray[np.uint8]:
    """The packets as pcap records, laid end to end."""
    size = np.array([HEADERS[kind].itemsize for kind in kinds])[packets.kind] + packets.payload
    start = np.cumsum(size) - size
    octets = np.resize(TEXT, int(size.sum()))
    for number, kind in enumerate(kinds):
        chosen = packets.kind == number
        headers = headers_of(kind, packets.rows(chosen))
        width = headers.dtype.itemsize
        octets[start[chosen][:, None] + np.arange(width)] = headers.view(np.uint8).reshape(-1, width)
        if kind == "http":
            _write_messages(octets, start[chosen] + width, packets.rows(chosen))
    return octets


def _write_messages(octets: NDArray[np.uint8], start: NDArray[np.int64], packets: Packets) -> None:
    """Write the heads of requests and responses at the beginning of the payloads that begin with one."""
    for direction, size in np.unique(
        np.stack([packets.direction, packets.message], axis=1)[packets.message > 0], axis=0
    ).tolist():
        head = np.frombuffer(message_head(direction, size), dtype=np.uint8)
        rows = (packets.direction == direction) & (packets.message == size)
        octets[start[rows][:, None] + np.arange(head.size)] = head


def message_head(direction: int, size: int) -> bytes:
    """The head of a request or response that has `size` octets with its content."""
    if direction == 0:
        return REQUEST + b"x" * (size - len(REQUEST) - 4) + b"\r\n\r\n"
    for digits in range(1, 8):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        length = size - (len(head) - 2 + digits)
        if len(str(length)) == digits:
            return head % length
    raise ValueError(f"a response has more than {size} octets")


def write_capture(path: Path, mix: str, count: int, seed: int = SEED) -> Path:
    """A pcap file with nanoseconds of exactly `count` packets; whole once it stands under its name."""
    packets = make_packets(mix, count, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as stream:
        words = (0xA1B2_3C4D, 2 | 4 << 16, 0, 0, 262_144, 1)  # draft-ietf-opsawg-pcap section 4; LINKTYPE_ETHERNET
        stream.write(np.array(words, dtype="<u4").tobytes())
        for begin in range(0, count, CHUNK):
            _records(MIXES[mix], packets.rows(slice(begin, begin + CHUNK))).tofile(stream)
    return unfinished.replace(path)


def capture_path(mix: str, count: int, seed: int = SEED) -> Path:
    """Where a capture is kept: the name holds all that it is made of, this module's text too."""
    text = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return DATA / f"{mix}-{count}-{seed}-{text}.pcap"


def first_packets(path: Path, count: int) -> Path:
    """A file of the first `count` packets of a made capture, kept beside it."""
    prefix = path.with_name(f"{path.stem}-first-{count}.pcap")
    if prefix.exists():
        return prefix
    unfinished = prefix.with_suffix(f".{os.getpid()}")
    with path.open("rb") as source, unfinished.open("wb") as stream:
        stream.write(source.read(24))
        for _ in range(count):
            record = source.read(RECORD.itemsize)
            stream.write(record + source.read(int.from_bytes(record[8:12], "little")))
    return unfinished.replace(prefix)


@click.command()
@click.argument("mix", type=click.Choice(list(MIXES)))
@click.argument("count", type=click.IntRange(1))
@click.option("--seed", type=int, default=SEED, show_default=True)
def main(mix: str, count: int, seed: int) -> None:
    """Write COUNT packets of MIX into bench/data, unless they are there; print the file's name."""
    path = capture_path(mix, count, seed)
    click.echo(path if path.exists() else write_capture(path, mix, count, seed))


if __name__ == "__main__":
    main()
