"""Fragments put together: octet by octet against a twin, and frame by frame against tshark (RFC 791 3.2, RFC 8200 4.5)."""

import subprocess
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

import mixcni
from mixcni.decode import PacketTable, reassembly
from mixcni.decode.capture import Capture
from mixcni.decode.payloads import read_payloads
from mixcni.decode.reassembly import Datagram, Fragment, Reassembler
from mixcni.exchanges import pair_exchanges
from mixcni.flows import track_flows
from mixcni.schema import ExchangeKind, Layer, Oddity
from tests.wire import MS, START, Frame, S, decoded, write_pcap

ETH = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
BODY = bytes(range(256)) * 12
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3072\r\n\r\n" + BODY


def split(packet: Packet, size: int = 1400) -> list[Packet]:
    """An IP packet without options in fragments of at most `size` octets."""
    raw = bytes(packet)
    is_v4 = raw[0] >> 4 == 4
    payload, step = raw[20 if is_v4 else 40 :], size // 8 * 8
    parts: list[Packet] = []
    head: Packet
    for start in range(0, len(payload), step):
        more = int(start + step < len(payload))
        data = Raw(payload[start : start + step])
        if is_v4:
            head = IP(src=packet.src, dst=packet.dst, id=packet.id, proto=raw[9], ttl=packet.ttl, flags=more, frag=start // 8)
        else:
            head = IPv6(src=packet.src, dst=packet.dst, hlim=packet.hlim)
            head /= IPv6ExtHdrFragment(nh=raw[6], m=more, offset=start // 8, id=0x12340000 | packet.fl)
        parts.append(head / data)
    return parts


def vxlan(packet: Packet, ip_id: int = 1) -> Packet:
    """A packet in VXLAN on Linux's port."""
    around = IP(src="192.168.0.1", dst="192.168.0.2", id=ip_id) / UDP(sport=5555, dport=8472, chksum=0) / VXLAN(vni=7, flags=8)
    return around / Ether(src="0a:00:00:00:00:01", dst="0a:00:00:00:00:02") / packet


def said(number: int, flags: str, seq: int, ack: int, payload: bytes = b"", side: int = 0) -> Packet:
    """A segment of an HTTP connection, IP identification `number`."""
    ends = ("10.0.0.1", 40000), ("10.0.0.2", 80)
    (source, sport), (destination, dport) = ends[side], ends[1 - side]
    tcp = TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, window=65535)
    return IP(src=source, dst=destination, id=number) / tcp / Raw(payload)


REQUEST = b"GET /big HTTP/1.1\r\nHost: shop\r\n\r\n"
OPENING = [said(1, "S", 1000, 0), said(2, "SA", 5000, 1001, side=1), said(3, "A", 1001, 5001), said(4, "PA", 1001, 5001, REQUEST)]
ANSWER = said(5, "PA", 5001, 1001 + len(REQUEST), RESPONSE, side=1)
CLOSING = [said(6, "A", 1001 + len(REQUEST), 5001 + len(RESPONSE))]


def answer6() -> Packet:
    options = IPv6ExtHdrDestOpt()
    udp = UDP(sport=53, dport=4000) / dns_answer()
    return IPv6(src="fd00::1", dst="fd00::2", fl=9, nh=60) / Raw(bytes(options / udp))


def dns_answer() -> Packet:
    records = [DNSRR(rrname="shop.", type="TXT", rdata="x" * 200) for _ in range(12)]
    return DNS(id=77, qr=1, qd=DNSQR(qname="shop.", qtype="TXT"), an=records)


def dns4(source: str = "10.0.0.53", number: int = 9) -> list[Packet]:
    query = IP(src="10.0.0.1", dst=source, id=8) / UDP(sport=4000, dport=53) / DNS(id=77, qd=DNSQR(qname="shop.", qtype="TXT"))
    return [query, IP(src=source, dst="10.0.0.1", id=number) / UDP(sport=53, dport=4000) / dns_answer()]


def http(
    order: Callable[[list[Packet]], Iterable[Packet]] = list, around: Callable[[Packet], Packet] = lambda p: p
) -> list[Packet]:
    parts = map(around, order(split(ANSWER)))
    return [*map(around, OPENING), *parts, *map(around, CLOSING)]


QUERY, LONG_ANSWER = dns4()
CAPTURES: dict[str, list[Packet]] = {
    "http": http(),
    "http, last first": http(lambda parts: parts[::-1]),
    "http, the first last": http(lambda parts: [*parts[1:], parts[0]]),
    "http, every fragment twice": http(lambda parts: chain.from_iterable((part, part) for part in parts)),
    "http, inside vxlan": http(around=vxlan),
    "http, vxlan itself in fragments": [
        *map(vxlan, OPENING),
        *split(vxlan(ANSWER, 30), 1000)[::-1],
        *map(vxlan, CLOSING),
    ],
    "fragments in vxlan in fragments": [
        *map(vxlan, OPENING),
        *chain.from_iterable(split(vxlan(part, 40 + i), 600) for i, part in enumerate(split(ANSWER))),
    ],
    "a header in two fragments": [*OPENING, *split(ANSWER, 8)],
    "dns": [QUERY, *split(LONG_ANSWER)],
    "dns, two answers interleaved": [
        QUERY,
        *chain.from_iterable(zip(split(LONG_ANSWER), split(dns4(number=10)[1]), strict=True)),
    ],
    "dns over ipv6": split(answer6()),
    "ping": split(IP(src="10.0.0.1", dst="10.0.0.2", id=20) / ICMP(id=5, seq=1) / Raw(BODY)),
    "one identification used again": [QUERY, *split(LONG_ANSWER), QUERY, *split(LONG_ANSWER)],
}


def frames_of(packets: Iterable[Packet], link: Packet = ETH) -> list[Frame]:
    return [Frame(START + i * MS, bytes(link / packet)) for i, packet in enumerate(packets)]


FIELDS = ("frame.number", "tcp.srcport", "tcp.seq_raw", "tcp.len", "udp.srcport", "udp.length", "icmp.ident")


def tshark(path: Path) -> list[tuple[str, ...]]:
    """The innermost layers of every frame, and how many messages there are."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    command = ["tshark", "-r", str(path), "-d", "udp.port==8472,vxlan", "-T", "fields", "-E", "occurrence=l", *wanted]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(line.split("\t")) for line in lines]


def shown(table: PacketTable) -> list[tuple[str, ...]]:
    """The same of ours."""
    rows: list[tuple[str, ...]] = []
    columns = ("present", "source_port", "seg_seq", "payload_octets", "frame_number")
    for present, port, seq, payload, number in zip(*(table[name].tolist() for name in columns), strict=True):
        tcp = (str(port), str(seq), str(payload)) if present & Layer.TCP else ("", "", "")
        udp = (str(port), str(payload + 8)) if present & Layer.UDP else ("", "")
        rows.append((str(number), *tcp, *udp, str(port) if present & Layer.ICMP else ""))
    return rows


def innermost(rows: list[tuple[str, ...]], table: PacketTable) -> list[tuple[str, ...]]:
    """tshark's rows with a tunnel's own UDP left out where a packet is inside."""
    inside = ((table["present"] & Layer.TUNNEL) != 0).tolist()
    return [(*row[:4], "", "", *row[6:]) if tunnel else row for row, tunnel in zip(rows, inside, strict=True)]


@pytest.mark.tshark
@pytest.mark.parametrize("packets", CAPTURES.values(), ids=CAPTURES.keys())
def test_each_frame_has_the_layers_that_tshark_shows(tmp_path, packets):
    path = write_pcap(tmp_path / "A.pcap", frames_of(packets))
    table = Capture.open(path).table
    assert shown(table) == innermost(tshark(path), table)


@pytest.mark.parametrize("name", [name for name in CAPTURES if name.startswith(("http", "fragments", "a header"))])
def test_a_response_in_fragments_is_read_whole(tmp_path, name):
    flows = track_flows(decoded(tmp_path / "A.pcap", frames_of(CAPTURES[name])))
    assert len(flows) == 1
    assert flows["payload_octets_reverse"].tolist() == [len(RESPONSE)]
    assert flows["hole_octets_reverse"].tolist() == [0]
    exchanges = pair_exchanges(flows)
    told = exchanges["kind"] == ExchangeKind.HTTP1
    spans = exchanges["response_end"][told] - exchanges["response_start"][told]
    assert spans.tolist() == [len(RESPONSE)]
    last = int(exchanges["response_packet"][told][0])
    assert read_payloads(flows.packets, np.array([last])) == [RESPONSE]


@pytest.mark.parametrize("name", ["dns", "dns, two answers interleaved"])
def test_an_answer_in_fragments_answers(tmp_path, name):
    flows = track_flows(decoded(tmp_path / "A.pcap", frames_of(CAPTURES[name])))
    exchanges = pair_exchanges(flows)
    assert exchanges["kind"].tolist() == [ExchangeKind.DNS]
    assert (exchanges["response_packet"] >= 0).tolist() == [True]
    size = len(bytes(dns_answer()))
    assert (exchanges["response_end"] - exchanges["response_start"]).tolist() == [size]


def test_a_packet_of_which_a_fragment_is_missing_stays_in_parts(tmp_path):
    """Its first fragment has its header, as far as that tells; tshark shows none then."""
    capture = Capture.open(write_pcap(tmp_path / "A.pcap", frames_of(split(ANSWER)[:-1])))
    assert shown(capture.table) == [("1", "80", "5001", "1380", "", "", ""), ("2", *[""] * 6)]
    assert capture.facts()[0]["fragments"] == {"put_together": 0, "left": 2}
    assert "2 fragments of packets that are not whole" in repr(capture)


def test_points_count_what_was_put_together_and_leave_its_payload_out(tmp_path):
    """As the contract has it: `tcp_payload_octets` is of segments that came whole."""
    (facts,) = Capture.open(write_pcap(tmp_path / "A.pcap", frames_of(CAPTURES["http"]))).facts()
    assert facts["fragments"] == {"put_together": 1, "left": 0}
    assert (facts["tcp_segments"], facts["tcp_payload_octets"]) == (6, len(REQUEST))


def test_what_is_around_a_tunnel_in_fragments_is_kept(tmp_path):
    table = decoded(tmp_path / "A.pcap", frames_of(split(vxlan(ANSWER), 1000), ETH / Dot1Q(vlan=5)))
    assert table.to_frame()["stack"].tolist() == ["vlan 5"] * 3 + ["vlan 5, vxlan 7 192.168.0.1>192.168.0.2"]
    assert Layer(int(table["present"][-1])) == Layer.ETHERNET | Layer.VLAN | Layer.TUNNEL | Layer.IPV4 | Layer.TCP
    assert (table["ip_id"][-1], table["payload_octets"][-1]) == (5, len(RESPONSE))


def test_fragments_find_each_other_across_files(tmp_path):
    frames = frames_of(split(LONG_ANSWER))
    paths = [write_pcap(tmp_path / f"{i}.pcap", [frame]) for i, frame in enumerate(frames)]
    capture = Capture.open(paths)
    table = capture.table
    assert table["payload_octets"].tolist() == [0, len(bytes(dns_answer()))]
    assert [facts["fragments"] for facts in capture.facts()] == [{"put_together": 0, "left": 0}, {"put_together": 1, "left": 0}]
    assert read_payloads(table, np.array([1])) == [bytes(dns_answer())]
    assert table["source_port"].tolist() == [53, 53]


def test_options_and_hints_stay_in_the_order_of_packets(tmp_path):
    segment = IP(src="10.0.0.1", dst="10.0.0.2", id=5) / TCP(sport=9, dport=80, flags="S", options=[("MSS", 1400)]) / Raw(REQUEST)
    first, *others = split(segment, 32)
    lone = IP(src="10.0.0.3", dst="10.0.0.2") / TCP(sport=9, dport=80, options=[("MSS", 900)]) / Raw(REQUEST)
    table = decoded(tmp_path / "A.pcap", frames_of([first, lone, *others, lone]))
    whole = 1 + len(others)
    assert (table.options["packet"].tolist(), table.options["mss"].tolist()) == ([1, whole, whole + 1], [900, 1400, 900])
    assert table.hints["packet"].tolist() == [1, whole, whole + 1]


def test_octets_that_came_twice_and_differ_are_told_and_the_first_count(tmp_path):
    first, second, third = split(ANSWER)
    forged = second.copy()
    forged[Raw].load = b"X" * len(second[Raw].load)
    table = decoded(tmp_path / "A.pcap", frames_of([first, second, forged, third]))
    assert Oddity(int(table["oddity"][-1])) == Oddity.FRAGMENTS_DIFFER
    assert read_payloads(table, np.array([3])) == [RESPONSE]
    again = decoded(tmp_path / "B.pcap", frames_of([first, second, second, third]))
    assert again["oddity"][-1] == 0


@pytest.mark.parametrize("order", [list, reversed], ids=["first first", "last first"])
def test_fragments_that_are_cut_give_a_packet_of_its_length_that_is_cut(tmp_path, order):
    """Their headers say where they belong, and nothing is made up for octets that were not captured."""
    table = decoded(tmp_path / "A.pcap", frames_of(order(split(ANSWER))), snap_length=200)
    assert [bool(flags & Layer.TCP) for flags in table["present"].tolist()] == [False, False, True]
    assert table["payload_octets"][-1] == len(RESPONSE)
    assert Oddity(int(table["oddity"][-1])) == Oddity.PAYLOAD_CUT
    assert read_payloads(table, np.array([2])) == [RESPONSE[: 200 - len(ETH) - 40]]


def test_what_is_in_a_tunnel_whose_packet_is_in_cut_fragments_is_told(tmp_path):
    table = decoded(tmp_path / "A.pcap", frames_of(split(vxlan(ANSWER), 1000)), snap_length=120)
    assert table.stacks.text(table["stack"][-1], table.book) == "vxlan 7 192.168.0.1>192.168.0.2"
    assert (table["source_port"][-1], table["payload_octets"][-1]) == (80, len(RESPONSE))


def test_a_capture_that_cuts_fragments_is_no_witness_of_a_loss(tmp_path):
    """Beside one that does not, an hour ahead and without a response: only what was sent tells them to be one."""
    sent = frames_of(chain.from_iterable(split(dns4(number=number)[1]) for number in range(20, 24)))
    late = [frame.at(frame.time_ns + 3600 * S) for frame in sent]
    files = {"A": write_pcap(tmp_path / "A.pcap", sent), "B": write_pcap(tmp_path / "B.pcap", late, snap_length=70)}
    report = mixcni.diagnose(mixcni.case_of_files({name: [path] for name, path in files.items()}))
    assert not report.losses


def test_a_fragment_more_than_a_minute_late_is_of_another_packet(tmp_path):
    first, second, third = frames_of(split(ANSWER))
    late = [first, second, third.at(START + 61 * S)]
    assert len(decoded(tmp_path / "A.pcap", late).fragments) == 0
    assert len(decoded(tmp_path / "B.pcap", [*late, first.at(START + 61 * S), second.at(START + 61 * S)]).fragments) == 2


def test_what_waits_is_bounded_and_the_oldest_is_given_up(monkeypatch):
    monkeypatch.setattr(reassembly, "MOST_WAITING", 100_000)
    waiting, kept = Reassembler(), 0
    for number in range(100):
        part = Fragment((number, 17), 9_992, False, 8, bytes(8), b"")
        assert waiting.add((number,), part, number, -1) is None
        kept = sum(len(datagram.octets) for datagram in waiting._waiting.values())
        assert kept <= reassembly.MOST_WAITING
    assert kept > 80_000
    assert min(waiting._waiting)[0] > 80


PARTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4), st.booleans(), st.integers(1, 255)), max_size=12)


@given(PARTS)
def test_any_fragments_give_what_a_twin_of_single_octets_gives(parts):
    datagram, octets, end, differ = Datagram(0), {}, None, False
    for offset, units, is_last, value in parts:
        fragment = Fragment((0, 0), 8 * offset, is_last, 8 * units, bytes([value]) * (8 * units), b"")
        datagram.put(fragment, 0)
        for at in range(8 * offset, 8 * offset + 8 * units):
            if octets.setdefault(at, value) != value and (end is None or at < end):
                differ = True
        if is_last and end is None:
            end = 8 * offset + 8 * units
        whole = end is not None and all(at in octets for at in range(end))
        assert datagram.is_whole == whole
        if whole:
            assert datagram.octets == bytes(octets[at] for at in range(end or 0))
            break
    assert datagram.differ >= differ


@given(st.permutations(range(9)), st.binary(min_size=641, max_size=720))
def test_fragments_in_any_order_give_the_packet(order, payload):
    datagram = Datagram(0)
    for number in order:
        assert not datagram.is_whole
        part = payload[80 * number :][:80]
        datagram.put(Fragment((0, 0), 80 * number, number == 8, len(part), part, b""), number)
    assert datagram.is_whole
    assert bytes(datagram.octets) == payload
    assert not datagram.differ
