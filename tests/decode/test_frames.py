"""Worked frames from scapy, whose authors are not ours: every link layer, IP version and transport, and oddities of each."""

import struct
from typing import Any

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, LLC, STP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Dot3, Ether, Loopback
from scapy.packet import Raw

from mixcni.decode import decode_packets, packets
from mixcni.kernels.jit import PLAIN_BELOW, plain
from mixcni.read import CaptureFile
from mixcni.schema import Layer, Oddity
from tests.kernels.forms import TWO_FORMS, in_form
from tests.wire import START, Frame, decoded

E, V4, V6, VLAN = Layer.ETHERNET, Layer.IPV4, Layer.IPV6, Layer.VLAN
MACS: Any = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
ETHERNET = Ether(**MACS)
IP4 = IP(src="10.244.3.7", dst="10.242.2.149", ttl=61, id=0x1234)
IP6 = IPv6(src="fd00::7", dst="fd00:1::149", hlim=60)
SEGMENT = TCP(sport=41000, dport=8080, seq=2**32 - 5, ack=77, flags="PA", window=502) / Raw(b"GET / HTTP/1.1\r\n\r\n")
DATAGRAM = UDP(sport=5353, dport=53) / Raw(b"query")
TCP_COLUMNS = {
    "protocol": 6,
    "source_port": 41000,
    "destination_port": 8080,
    "seg_seq": 2**32 - 5,
    "seg_ack": 77,
    "tcp_flags": 0x18,
    "seg_wnd": 502,
    "payload_octets": 18,
}
UDP_COLUMNS = {"protocol": 17, "source_port": 5353, "destination_port": 53, "payload_octets": 5, "seg_seq": 0, "tcp_flags": 0}
FROM4 = {"addresses": ("10.244.3.7", "10.242.2.149"), "ttl": 61, "ip_id": 0x1234}
FROM6 = {"addresses": ("fd00::7", "fd00:1::149"), "ttl": 60, "ip_id": 0}
ARP_ENDS = {"addresses": ("10.244.3.7", "10.244.3.1")}
NOTHING = {"addresses": ("-", "-"), "protocol": 0, "payload_octets": 0, "ttl": 0}

# name: (link type, frame, layers, columns)
WHOLE = {
    "Ethernet IPv4 TCP": (1, ETHERNET / IP4 / SEGMENT, E | V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "Ethernet IPv4 UDP": (1, ETHERNET / IP4 / DATAGRAM, E | V4 | Layer.UDP, FROM4 | UDP_COLUMNS),
    "Ethernet IPv6 TCP": (1, ETHERNET / IP6 / SEGMENT, E | V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "Ethernet IPv6 UDP": (1, ETHERNET / IP6 / DATAGRAM, E | V6 | Layer.UDP, FROM6 | UDP_COLUMNS),
    "VLAN": (1, ETHERNET / Dot1Q(vlan=7) / IP4 / SEGMENT, E | VLAN | V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "QinQ": (1, ETHERNET / Dot1AD(vlan=7) / Dot1Q(vlan=9) / IP6 / SEGMENT, E | VLAN | V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "QinQ of old": (
        1,
        Ether(**MACS, type=0x9100) / Raw(bytes(Dot1Q(vlan=9) / IP4 / SEGMENT)),
        E | VLAN | V4 | Layer.TCP,
        FROM4 | TCP_COLUMNS,
    ),
    "twenty-three tags": (
        1,
        Ether(**MACS, type=0x8100) / Raw(b"\0\7\x81\0" * 22 + b"\0\7\x08\0" + bytes(IP4 / SEGMENT)),
        E | VLAN | V4 | Layer.TCP,
        FROM4 | TCP_COLUMNS,
    ),
    "ARP": (1, ETHERNET / ARP(psrc="10.244.3.7", pdst="10.244.3.1"), E | Layer.ARP, NOTHING | ARP_ENDS),
    "802.3 with LLC": (1, Dot3(**MACS) / LLC() / STP(), E, NOTHING),
    "another EtherType": (1, Ether(**MACS, type=0x88CC) / Raw(bytes(30)), E, NOTHING),
    "IPv4 options": (
        1,
        ETHERNET / IP(src="10.244.3.7", dst="10.242.2.149", ttl=61, id=0x1234, options=[IPOption_Router_Alert()]) / SEGMENT,
        E | V4 | Layer.TCP,
        FROM4 | TCP_COLUMNS,
    ),
    "TCP options": (
        1,
        ETHERNET / IP4 / TCP(sport=1, dport=2, flags="S", options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]) / Raw(b"data"),
        E | V4 | Layer.TCP,
        {"tcp_flags": 2, "payload_octets": 4},
    ),
    "every TCP flag": (1, ETHERNET / IP4 / TCP(flags="FSRPAUEC"), E | V4 | Layer.TCP, {"tcp_flags": 0xFF, "payload_octets": 0}),
    "first fragment": (
        1,
        ETHERNET / IP(src="10.244.3.7", dst="10.242.2.149", flags="MF", ttl=61, id=0x1234) / SEGMENT,
        E | V4 | Layer.TCP | Layer.FRAGMENT,
        FROM4 | TCP_COLUMNS,
    ),
    "later fragment": (
        1,
        ETHERNET / IP(src="10.244.3.7", dst="10.242.2.149", frag=3, proto=6, ttl=61, id=0x1234) / Raw(bytes(SEGMENT)),
        E | V4 | Layer.FRAGMENT | Layer.LATER_FRAGMENT,
        FROM4 | {"protocol": 6, "source_port": 0, "payload_octets": 0},
    ),
    "another protocol": (1, ETHERNET / IP(src="1.2.3.4", dst="5.6.7.8", proto=89) / Raw(bytes(40)), E | V4, {"protocol": 89}),
    "IPv6 extension headers": (
        1,
        ETHERNET
        / IP6
        / IPv6ExtHdrHopByHop()
        / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
        / IPv6ExtHdrRouting(addresses=["fd00::9"])
        / IPv6ExtHdrFragment()
        / SEGMENT,
        E | V6 | Layer.TCP,
        FROM6 | TCP_COLUMNS,
    ),
    "IPv6 first fragment": (
        1,
        ETHERNET / IP6 / IPv6ExtHdrFragment(m=1, nh=17, id=0x12345678) / DATAGRAM,
        E | V6 | Layer.UDP | Layer.FRAGMENT,
        FROM6 | UDP_COLUMNS | {"ip_id": 0x5678},
    ),
    "IPv6 later fragment": (
        1,
        ETHERNET / IP6 / IPv6ExtHdrFragment(offset=5, nh=6) / Raw(bytes(SEGMENT)),
        E | V6 | Layer.FRAGMENT | Layer.LATER_FRAGMENT,
        FROM6 | {"protocol": 6, "source_port": 0, "payload_octets": 0},
    ),
    "authentication header": (
        1,
        ETHERNET / IP6 / AH(nh=6, payloadlen=4, icv=bytes(12)) / SEGMENT,
        E | V6 | Layer.TCP,
        FROM6 | TCP_COLUMNS,
    ),
    "no next header": (
        1,
        ETHERNET / IPv6(src="fd00::7", dst="fd00:1::149", nh=59, plen=0, hlim=60),
        E | V6,
        FROM6 | {"protocol": 59},
    ),
    "echo request": (
        1,
        ETHERNET / IP4 / ICMP(type=8, id=0xBEEF, seq=1) / Raw(b"ping"),
        E | V4 | Layer.ICMP,
        FROM4 | {"protocol": 1, "source_port": 0xBEEF, "destination_port": 0x0800, "payload_octets": 0},
    ),
    "echo reply": (
        1,
        ETHERNET / IP6 / ICMPv6EchoReply(id=0xBEEF, seq=1),
        E | V6 | Layer.ICMPV6,
        FROM6 | {"protocol": 58, "source_port": 0xBEEF, "destination_port": 0x8100},
    ),
    "router advertisement": (
        1,
        ETHERNET / IP4 / ICMP(type=9) / Raw(b"\1\2\0\0"),
        E | V4 | Layer.ICMP,
        {"source_port": 0, "destination_port": 0x0900},
    ),
    "neighbour solicitation": (
        1,
        ETHERNET / IP6 / ICMPv6ND_NS(tgt="fd00::9", res=0xA0000000),
        E | V6 | Layer.ICMPV6,
        {"source_port": 0, "destination_port": 0x8700},
    ),
    "ICMP in IPv6 is no ICMP": (1, ETHERNET / IPv6(nh=1) / Raw(bytes(20)), E | V6, {"protocol": 1, "destination_port": 0}),
    "SLL": (113, CookedLinux(proto=0x0800) / IP4 / SEGMENT, V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "SLL with a VLAN": (
        113,
        CookedLinux(proto=0x8100) / Dot1Q(vlan=3) / IP6 / SEGMENT,
        VLAN | V6 | Layer.TCP,
        FROM6 | TCP_COLUMNS,
    ),
    "SLL2": (276, CookedLinuxV2(proto=0x86DD) / IP6 / SEGMENT, V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "SLL2 ARP": (276, CookedLinuxV2(proto=0x0806) / ARP(psrc="10.244.3.7", pdst="10.244.3.1"), Layer.ARP, NOTHING | ARP_ENDS),
    "NULL": (0, Loopback(type=2) / IP4 / SEGMENT, V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "NULL with IPv6 by FreeBSD": (0, Loopback(type=28) / IP6 / SEGMENT, V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "NULL in the other byte order": (0, Raw(b"\0\0\0\x1e" + bytes(IP6 / SEGMENT)), V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "LOOP": (108, Raw(b"\0\0\0\2" + bytes(IP4 / SEGMENT)), V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "RAW with IPv4": (101, IP4 / SEGMENT, V4 | Layer.TCP, FROM4 | TCP_COLUMNS),
    "RAW with IPv6": (101, IP6 / SEGMENT, V6 | Layer.TCP, FROM6 | TCP_COLUMNS),
    "IPV4": (228, IP4 / DATAGRAM, V4 | Layer.UDP, FROM4 | UDP_COLUMNS),
    "IPV6": (229, IP6 / DATAGRAM, V6 | Layer.UDP, FROM6 | UDP_COLUMNS),
    "padding behind a short packet": (
        1,
        ETHERNET / IP4 / TCP(sport=41000, dport=8080, flags="A") / Raw(b""),
        E | V4 | Layer.TCP,
        FROM4 | {"payload_octets": 0},
    ),
}


def row_of(table, row=0):
    """One packet's columns, its layers and oddities as flags, its addresses as text."""
    found = {name: int(table[name][row]) for name in table}
    found["addresses"] = table.book.text(found["source"]), table.book.text(found["destination"])
    return Layer(found["present"]), Oddity(found["oddity"]), found


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize(("link_type", "frame", "layers", "columns"), WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_frame_decodes_without_oddity(tmp_path, form, link_type, frame, layers, columns):
    octets = bytes(frame)
    if link_type == 1:
        octets = octets.ljust(60, b"\xee")  # padding up to Ethernet's least length is no payload
    with in_form(form):
        present, oddity, found = row_of(decoded(tmp_path / "A.pcap", [Frame(START, octets)], link_type=link_type))
    assert present == layers
    assert oddity == Oddity(0)
    assert {name: found[name] for name in columns} == columns
    assert (found["time_ns"], found["frame_number"], found["original_length"]) == (START, 1, len(octets))


TCP4, TCP6 = bytes(ETHERNET / IP4 / SEGMENT), bytes(ETHERNET / IP6 / SEGMENT)


def patched(octets, at, value):
    return octets[:at] + value + octets[at + len(value) :]


def short(value):
    return struct.pack(">H", value)


HOPS = b"\0\0\1\4\0\0\0\0"  # a hop-by-hop header that is followed by another
ODD = {
    "no octet": (1, b"", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "Ethernet cut": (1, TCP4[:13], Layer(0), Oddity.HEADER_CUT, NOTHING),
    "VLAN tag cut": (1, bytes(ETHERNET / Dot1Q())[:17], E, Oddity.HEADER_CUT, NOTHING),
    "twenty-four tags": (1, TCP4[:12] + b"\x81\0\0\1" * 24 + TCP4[12:], E | VLAN, Oddity.TOO_MANY_HEADERS, NOTHING),
    "SLL cut": (113, bytes(15), Layer(0), Oddity.HEADER_CUT, NOTHING),
    "SLL2 cut": (276, bytes(19), Layer(0), Oddity.HEADER_CUT, NOTHING),
    "NULL cut": (0, b"\2\0\0", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "NULL alone": (0, b"\2\0\0\0", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "RAW of no octet": (101, b"", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "RAW of version 5": (101, b"\x55" * 40, Layer(0), Oddity.BAD_HEADER_LENGTH, NOTHING),
    "a link type unknown here": (147, TCP4, Layer(0), Oddity.UNKNOWN_LINK_TYPE, NOTHING),
    "ARP cut": (1, bytes(ETHERNET / ARP())[:41], E, Oddity.HEADER_CUT, NOTHING),
    "SNAP cut": (1, TCP4[:12] + b"\0\x20\xaa\xaa\3\0\0\0\x08", E, Oddity.HEADER_CUT, NOTHING),
    "label cut": (1, TCP4[:12] + b"\x88\x47\0\0\1", E, Oddity.HEADER_CUT, NOTHING),
    "nothing behind a label": (1, TCP4[:12] + b"\x88\x47\0\0\1\0", E, Oddity.HEADER_CUT, NOTHING),
    "control word cut": (1, TCP4[:12] + b"\x88\x47\0\0\1\0\0\0\0", E, Oddity.HEADER_CUT, NOTHING),
    "PPPoE cut": (1, TCP4[:12] + b"\x88\x64\x11\0\0\1\0", E, Oddity.HEADER_CUT, NOTHING),
    "PPP of no octet": (9, b"\xff\3", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "HDLC cut": (104, b"\x0f\0\x08", Layer(0), Oddity.HEADER_CUT, NOTHING),
    "GRE cut": (1, bytes(ETHERNET / IP(proto=47) / Raw(b"\x20\0\x08\0\0\0\0")), E | V4, Oddity.HEADER_CUT, {"protocol": 47}),
    "Geneve's options cut": (
        1,
        bytes(ETHERNET / IP() / UDP(dport=6081) / Raw(b"\2\0\x08\0" + bytes(11))),
        E | V4 | Layer.UDP,
        Oddity.HEADER_CUT,
        {"destination_port": 6081},
    ),
    "IPv4 cut": (1, TCP4[:33], E, Oddity.HEADER_CUT, NOTHING),
    "IPv4 of version 6": (1, patched(TCP4, 14, b"\x65"), E, Oddity.BAD_HEADER_LENGTH, NOTHING),
    "IPv4 header of 16 octets": (1, patched(TCP4, 14, b"\x44"), E, Oddity.BAD_HEADER_LENGTH, NOTHING),
    "IPv4 options cut": (1, patched(TCP4, 14, b"\x4f")[:60], E, Oddity.HEADER_CUT, NOTHING),
    "total length below the header": (1, patched(TCP4, 16, short(19)), E, Oddity.BAD_TOTAL_LENGTH, NOTHING),
    "total length beyond the wire": (
        1,
        patched(TCP4, 16, short(1500)),
        E | V4 | Layer.TCP,
        Oddity.BAD_TOTAL_LENGTH,
        FROM4 | TCP_COLUMNS,
    ),
    "total length that ends in the TCP header": (1, patched(TCP4, 16, short(39)), E | V4, Oddity.HEADER_CUT, {"protocol": 6}),
    "total length 0 by segmentation offload": (
        1,
        patched(TCP4, 16, short(0)) + bytes(70_000),
        E | V4 | Layer.TCP,
        Oddity.LENGTH_ABSENT,
        FROM4 | TCP_COLUMNS | {"payload_octets": 70_018},
    ),
    "payload length 0 in IPv6": (
        1,
        patched(TCP6, 18, short(0)) + bytes(70_000),
        E | V6 | Layer.TCP,
        Oddity.LENGTH_ABSENT,
        FROM6 | TCP_COLUMNS | {"payload_octets": 70_018},
    ),
    "IPv6 cut": (1, TCP6[:53], E, Oddity.HEADER_CUT, NOTHING),
    "IPv6 of version 4": (1, patched(TCP6, 14, b"\x45"), E, Oddity.BAD_HEADER_LENGTH, NOTHING),
    "extension header cut": (1, patched(TCP6, 20, b"\0")[:61], E | V6, Oddity.HEADER_CUT | Oddity.PAYLOAD_CUT, {"protocol": 0}),
    "extension header longer than the packet": (
        1,
        patched(patched(TCP6, 20, b"\x3c"), 54, b"\6\xff"),
        E | V6,
        Oddity.HEADER_CUT,
        FROM6 | {"protocol": 0},
    ),
    "sixteen extension headers": (
        1,
        bytes(
            ETHERNET / IPv6(src="fd00::7", dst="fd00:1::149", nh=0, hlim=60) / Raw(HOPS * 15 + b"\6" + HOPS[1:] + bytes(SEGMENT))
        ),
        E | V6 | Layer.TCP,
        Oddity(0),
        FROM6 | TCP_COLUMNS,
    ),
    "seventeen extension headers": (
        1,
        bytes(
            ETHERNET / IPv6(src="fd00::7", dst="fd00:1::149", nh=0, hlim=60) / Raw(HOPS * 16 + b"\6" + HOPS[1:] + bytes(SEGMENT))
        ),
        E | V6,
        Oddity.TOO_MANY_HEADERS,
        FROM6 | {"protocol": 0},
    ),
    "TCP header of 16 octets": (1, patched(TCP4, 46, b"\x40"), E | V4, Oddity.BAD_HEADER_LENGTH, {"source_port": 0}),
    "TCP header longer than the packet": (
        1,
        patched(TCP4, 46, b"\xf0"),
        E | V4 | Layer.TCP,
        Oddity.BAD_HEADER_LENGTH | Oddity.BAD_OPTION,
        {"payload_octets": 0, "source_port": 41000},
    ),
    "UDP cut by its IP packet": (1, bytes(ETHERNET / IP(proto=17) / Raw(bytes(7))), E | V4, Oddity.HEADER_CUT, {"protocol": 17}),
    "ICMP cut by its IP packet": (1, bytes(ETHERNET / IP(proto=1) / Raw(bytes(7))), E | V4, Oddity.HEADER_CUT, {"protocol": 1}),
}


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize(("link_type", "octets", "layers", "oddities", "columns"), ODD.values(), ids=ODD.keys())
def test_an_odd_frame_is_flagged_and_never_raises(tmp_path, form, link_type, octets, layers, oddities, columns):
    cut = oddities & Oddity.PAYLOAD_CUT
    frame = Frame(START, octets + bytes(100) if cut else octets)
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [frame], link_type=link_type, snap_length=len(octets))
    present, oddity, found = row_of(table)
    assert present == layers
    assert oddity == oddities
    assert {name: found[name] for name in columns} == columns


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize("octets", [TCP4, TCP6], ids=["IPv4", "IPv6"])
def test_a_snap_length_cuts_octets_and_no_count(tmp_path, form, octets):
    """At every snap length the payload is counted in full as soon as the TCP header is there."""
    network = 14 + (40 if octets is TCP6 else 20)
    with in_form(form):
        for snap_length in range(len(octets) + 1):
            table = decoded(tmp_path / "A.pcap", [Frame(START, octets)], snap_length=snap_length)
            present, oddity, found = row_of(table)
            assert (Layer.TCP in present) == (snap_length >= network + 20)
            assert found["payload_octets"] == (18 if Layer.TCP in present else 0)
            assert (Oddity.PAYLOAD_CUT in oddity) == (network <= snap_length < len(octets))
            assert (Oddity.HEADER_CUT in oddity) == (snap_length < network + 20)
            assert (found["original_length"], found["captured_length"]) == (len(octets), snap_length)


def quoting(*, version=4, octets=None, kind=3):
    """An ICMP error with the IP header of a SYN and 8 octets, as RFC 792 asks."""
    if version == 4:
        inner = bytes(IP(src="10.244.3.7", dst="10.242.2.149") / TCP(sport=41000, dport=8080, seq=4_000_000_000))[:28]
        return bytes(ETHERNET / IP(src="10.118.0.1", dst="10.244.3.7") / ICMP(type=kind, code=1) / Raw(octets or inner))
    inner = bytes(IPv6(src="fd00::7", dst="fd00:1::149") / TCP(sport=41000, dport=8080, seq=4_000_000_000))
    return bytes(ETHERNET / IPv6(src="fd00::1", dst="fd00::7") / ICMPv6DestUnreach(code=1) / Raw(octets or inner))


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize("version", [4, 6])
def test_an_icmp_error_gives_the_flow_key_that_it_quotes(tmp_path, form, version):
    frames = [Frame(START, TCP4), Frame(START + 1, quoting(version=version)), Frame(START + 2, TCP6)]
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", frames)
    present, oddity, found = row_of(table, 1)
    assert Layer.QUOTE in present
    assert oddity == Oddity(0)
    assert found["destination_port"] == (0x0301 if version == 4 else 0x0101)
    assert found["source_port"] == 0
    assert len(table.quotes) == 1
    quote = {name: int(table.quotes[name][0]) for name in table.quotes}
    assert (quote["packet"], quote["protocol"], quote["seg_seq"]) == (1, 6, 4_000_000_000)
    assert (quote["source_port"], quote["destination_port"]) == (41000, 8080)
    flow = 0 if version == 4 else 2
    assert (quote["source"], quote["destination"]) == (table["source"][flow], table["destination"][flow])


def test_a_quoted_datagram_has_no_sequence_number(tmp_path):
    octets = quoting(octets=bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=7, dport=8, chksum=0xFFFF) / Raw(bytes(8))))
    quotes = decoded(tmp_path / "A.pcap", [Frame(START, octets)]).quotes
    assert [int(quotes[name][0]) for name in ("protocol", "source_port", "destination_port", "seg_seq")] == [17, 7, 8, 0]


UNQUOTED = {
    "an echo": bytes(ETHERNET / IP4 / ICMP(type=8) / Raw(bytes(IP4 / SEGMENT))),
    "7 octets of payload": quoting(octets=bytes(IP4 / SEGMENT)[:27]),
    "a later fragment": quoting(octets=bytes(IP(frag=2, proto=6) / Raw(bytes(20)))),
    "ICMP": quoting(octets=bytes(IP4 / ICMPerror() / Raw(bytes(20)))),
    "no IP": quoting(octets=b"\xff" * 40),
    "nothing": bytes(ETHERNET / IP4 / ICMP(type=3)),
    "IPv6 cut": quoting(version=6, octets=bytes(IP6 / SEGMENT)[:47]),
}


@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize("octets", UNQUOTED.values(), ids=UNQUOTED.keys())
def test_an_icmp_message_that_quotes_no_flow_gives_no_quote(tmp_path, form, octets):
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [Frame(START, octets)])
    assert Layer.QUOTE not in row_of(table)[0]
    assert len(table.quotes) == 0


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_every_icmp_error_of_rfc_792_is_read_for_its_quote(tmp_path, kind):
    assert decoded(tmp_path / "A.pcap", [Frame(START, quoting(kind=kind))]).quotes["packet"].tolist() == [0]


def test_several_files_make_one_table_in_their_order(tmp_path):
    decoded(tmp_path / "A-1.pcap", [Frame(START, TCP4), Frame(START + 1, quoting())])
    decoded(tmp_path / "A-2.pcap", [Frame(START + 2, TCP4), Frame(START + 3, TCP6), Frame(START + 4, quoting())])
    table = decode_packets([CaptureFile(tmp_path / "A-1.pcap"), CaptureFile(tmp_path / "A-2.pcap")])
    assert table["time_ns"].tolist() == [START + i for i in range(5)]
    assert table["file"].tolist() == [0, 0, 1, 1, 1]
    assert table["frame_number"].tolist() == [1, 2, 1, 2, 3]
    assert table.quotes["packet"].tolist() == [1, 4]
    assert [file.name for file in table.files] == ["A-1.pcap", "A-2.pcap"]
    assert len(np.unique(table["source"][[0, 2]])) == 1


def test_a_long_capture_of_small_blocks_is_large_work(tmp_path, monkeypatch):
    """A buffer holds too few frames to be worth machine code by itself: all of the file must count."""
    works = []

    def spy(function, work, *arguments):
        works.append(work)
        return plain(function, *arguments)

    monkeypatch.setattr(packets, "run", spy)
    count = PLAIN_BELOW + 500
    assert len(decoded(tmp_path / "A.pcap", [Frame(START, TCP4.ljust(1500, b"."))] * count)) == count
    assert len(works) > 1
    assert all(count <= work < 1.1 * count for work in works)


def test_no_file_makes_an_empty_table_with_every_column():
    table = decode_packets([])
    assert len(table) == len(table.quotes) == len(table.book) == 0
    assert table.to_frame().empty
