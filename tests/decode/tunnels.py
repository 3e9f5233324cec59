"""Worked frames with something around or beside the packet, from scapy or by hand: name: (link type, octets, stack, columns).

A stack is told layer by layer, as `StackTable.text` has it; `columns` are those of the innermost packet.
"""

import struct
from typing import Any

from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS, EoMCW
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, GRE, LLC, SNAP, Dot1Q, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from mixcni.schema import Layer

MACS: Any = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
ETH = Ether(**MACS)
IN4 = IP(src="10.1.0.1", dst="10.1.0.2", ttl=9, id=7) / TCP(sport=40000, dport=80, seq=5, flags="PA") / Raw(b"hello")
IN6 = IPv6(src="fd00::1", dst="fd00::2", hlim=9) / TCP(sport=40000, dport=80, seq=5, flags="PA") / Raw(b"hello")
OUT4 = IP(src="192.0.2.1", dst="192.0.2.2")
OUT6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
BETWEEN = "192.0.2.1>192.0.2.2"
TCP4 = {
    "present": Layer.IPV4 | Layer.TCP,
    "source": "10.1.0.1",
    "destination": "10.1.0.2",
    "source_port": 40000,
    "payload_octets": 5,
}
TCP6 = {
    "present": Layer.IPV6 | Layer.TCP,
    "source": "fd00::1",
    "destination": "fd00::2",
    "source_port": 40000,
    "payload_octets": 5,
}
TUN = Layer.TUNNEL
DATAGRAM = {"present": Layer.IPV4 | Layer.UDP, "source": "192.0.2.1", "destination": "192.0.2.2"}


def udp(port: int, *, source: int = 55555) -> Any:
    """A datagram's header, without a checksum."""
    return UDP(sport=source, dport=port, chksum=0)


def in_udp(port: int, payload: bytes, *, source: int = 55555) -> bytes:
    """A datagram in Ethernet and IPv4."""
    return bytes(ETH / OUT4 / udp(port, source=source) / Raw(payload))


def in_gre(header: bytes, payload: Any) -> bytes:
    """A GRE packet whose header is given by its octets."""
    return bytes(ETH / IP(src="192.0.2.1", dst="192.0.2.2", proto=47) / Raw(header + bytes(payload)))


INNER = bytes(ETH / IN4)
VXLAN_21 = bytes(VXLAN(vni=21, flags=8) / ETH / IN4)


def wireguard(kind: int, size: int) -> bytes:
    """A WireGuard message of some size, its content sealed."""
    return bytes([kind, 0, 0, 0]) + b"\xa5" * (size - 4)


TUNNELS: dict[str, tuple[int, bytes, str, dict[str, Any]]] = {
    "MPLS": (1, bytes(ETH / MPLS(label=17, s=0) / MPLS(label=2**20 - 1) / IN4), "mpls 17, mpls 1048575", TCP4),
    "MPLS with IPv6": (1, bytes(ETH / MPLS(label=3) / IN6), "mpls 3", TCP6),
    "MPLS with Ethernet": (1, bytes(ETH / MPLS(label=3) / EoMCW() / ETH / IN4), "mpls 3", TCP4),
    "MPLS with neither": (1, bytes(ETH / MPLS(label=3) / Raw(b"\x10" * 40)), "mpls 3", {"source": "-", "protocol": 0}),
    "MPLS upstream": (1, bytes(Ether(**MACS, type=0x8848)) + bytes(MPLS(label=9, s=1)) + bytes(IN4), "mpls 9", TCP4),
    "PPPoE": (1, bytes(ETH / PPPoE(sessionid=77) / PPP(proto=0x21) / IN4), "pppoe 77", TCP4),
    "PPPoE with IPv6": (1, bytes(ETH / PPPoE(sessionid=77) / PPP(proto=0x57) / IN6), "pppoe 77", TCP6),
    "PPPoE as a link type": (51, bytes(PPPoE(sessionid=77) / PPP(proto=0x21) / IN4), "pppoe 77", TCP4),
    "PPPoE with LCP": (1, bytes(ETH / PPPoE(sessionid=77) / Raw(b"\xc0\x21\1\1\0\4")), "pppoe 77", {"source": "-"}),
    "PPP": (9, b"\xff\x03\x00\x21" + bytes(IN4), "", TCP4),
    "PPP compressed": (50, b"\x21" + bytes(IN4), "", TCP4),
    "PPP with MPLS": (9, b"\x02\x81" + bytes(MPLS(label=5, s=1)) + bytes(IN6), "mpls 5", TCP6),
    "Cisco HDLC": (104, b"\x0f\x00\x08\x00" + bytes(IN4), "", TCP4),
    "SNAP": (1, bytes(Dot3(**MACS) / LLC() / SNAP(OUI=0, code=0x0800) / IN4), "", TCP4),
    "LLC": (1, bytes(Dot3(**MACS)) + b"\x06\x06\x03" + bytes(IN4), "", TCP4),
    "SNAP in a VLAN": (1, bytes(ETH / Dot1Q(vlan=7, type=90)) + bytes(LLC() / SNAP(OUI=0, code=0x86DD) / IN6), "vlan 7", TCP6),
    "IPIP": (1, bytes(ETH / OUT4 / IN4), f"ipip {BETWEEN}", TCP4),
    "6in4": (1, bytes(ETH / OUT4 / IN6), f"ipip {BETWEEN}", TCP6),
    "4in6": (1, bytes(ETH / OUT6 / IN4), "ipip 2001:db8::1>2001:db8::2", TCP4),
    "6in6": (1, bytes(ETH / OUT6 / IN6), "ipip 2001:db8::1>2001:db8::2", TCP6),
    "GRE": (1, bytes(ETH / OUT4 / GRE() / IN4), f"gre {BETWEEN}", TCP4),
    "GRE with a key": (1, bytes(ETH / OUT4 / GRE(key_present=1, key=2**32 - 2) / IN4), f"gre 4294967294 {BETWEEN}", TCP4),
    "GRE with everything": (
        1,
        bytes(ETH / OUT4 / GRE(chksum_present=1, key_present=1, seqnum_present=1, key=5, sequence_number=9) / IN6),
        f"gre 5 {BETWEEN}",
        TCP6,
    ),
    "GRE with Ethernet": (1, bytes(ETH / OUT4 / GRE(proto=0x6558) / ETH / IN4), f"gre {BETWEEN}", TCP4),
    "GRE with MPLS": (1, in_gre(b"\0\0\x88\x47", MPLS(label=5, s=1) / IN4), f"gre {BETWEEN}, mpls 5", TCP4),
    "GRE with source routing": (1, in_gre(b"\x40\0\x08\0" + bytes(4), IN4), "", {"protocol": 47, "source": "192.0.2.1"}),
    "GRE of an unknown version": (1, in_gre(b"\0\2\x08\0", IN4), "", {"protocol": 47, "source": "192.0.2.1"}),
    "GRE with an unknown EtherType": (1, in_gre(b"\0\0\x88\x3e", bytes(40)), f"gre {BETWEEN}", {"protocol": 0, "source": "-"}),
    "PPTP": (1, in_gre(b"\x30\x81\x88\x0b\0\x30\0\x15" + bytes(8), b"\xff\x03\0\x21" + bytes(IN4)), f"gre 21 {BETWEEN}", TCP4),
    "ERSPAN I": (1, in_gre(b"\0\0\x88\xbe", INNER), f"erspan 0 {BETWEEN}", TCP4),
    "ERSPAN II": (1, in_gre(b"\x10\0\x88\xbe" + bytes(4) + b"\x10\0\xfc\x2a" + bytes(4), INNER), f"erspan 42 {BETWEEN}", TCP4),
    "ERSPAN III": (1, in_gre(b"\x10\0\x22\xeb" + bytes(4) + b"\x20\0\0\x2a" + bytes(8), INNER), f"erspan 42 {BETWEEN}", TCP4),
    "ERSPAN III with a platform's header": (
        1,
        in_gre(b"\x10\0\x22\xeb" + bytes(4) + b"\x20\0\0\x2a" + bytes(7) + b"\1" + bytes(8), INNER),
        f"erspan 42 {BETWEEN}",
        TCP4,
    ),
    "VXLAN": (1, in_udp(4789, VXLAN_21), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN in IPv6": (1, bytes(ETH / OUT6 / udp(4789) / Raw(VXLAN_21)), "vxlan 21 2001:db8::1>2001:db8::2", TCP4),
    "VXLAN on Linux's port": (1, in_udp(8472, VXLAN_21), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN on a port of its own": (1, in_udp(9999, VXLAN_21), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN on Geneve's port": (1, in_udp(6081, VXLAN_21), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN on a port of its own with IPv6": (1, in_udp(9999, VXLAN_21[:8] + bytes(ETH / IN6)), f"vxlan 21 {BETWEEN}", TCP6),
    "VXLAN with a group policy": (1, in_udp(8472, b"\x88\x48\1\2\0\0\x15\0" + INNER), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN with a VLAN inside": (
        1,
        in_udp(8472, VXLAN_21[:8] + bytes(ETH / Dot1Q(vlan=3) / IN4)),
        f"vxlan 21 {BETWEEN}, vlan 3",
        TCP4,
    ),
    "VXLAN with ARP inside": (
        1,
        in_udp(8472, VXLAN_21[:8] + bytes(ETH / ARP(psrc="10.1.0.1", pdst="10.1.0.2"))),
        f"vxlan 21 {BETWEEN}",
        {"present": Layer.ARP, "source": "10.1.0.1", "destination": "10.1.0.2"},
    ),
    "no VXLAN: one octet more": (1, in_udp(9999, VXLAN_21 + b"."), "", DATAGRAM),
    "no VXLAN: one octet less": (1, in_udp(9999, VXLAN_21[:-1]), "", DATAGRAM),
    "no VXLAN: a bent checksum": (1, in_udp(9999, VXLAN_21[:30] + b"\x55" + VXLAN_21[31:]), "", DATAGRAM),
    "no VXLAN: a reserved bit": (1, in_udp(4789, b"\x09" + VXLAN_21[1:]), "", DATAGRAM),
    "no VXLAN: no VNI": (1, in_udp(4789, b"\0" + VXLAN_21[1:]), "", DATAGRAM),
    "no VXLAN: a reserved octet": (1, in_udp(8472, VXLAN_21[:7] + b"\1" + VXLAN_21[8:]), "", DATAGRAM),
    "no VXLAN: a policy on a port of its own": (1, in_udp(9999, b"\x88" + VXLAN_21[1:]), "", DATAGRAM),
    "no VXLAN: eight octets": (1, in_udp(9999, VXLAN_21[:8]), "", DATAGRAM),
    "Geneve": (1, in_udp(6081, bytes(GENEVE(vni=21, proto=0x6558) / ETH / IN4)), f"geneve 21 {BETWEEN}", TCP4),
    "Geneve with options": (
        1,
        in_udp(6081, bytes(GENEVE(vni=21, proto=0x0800, options=[GeneveOptions(length=2, data=bytes(8))] * 2) / IN4)),
        f"geneve 21 {BETWEEN}",
        TCP4,
    ),
    "Geneve on a port of its own": (1, in_udp(9999, bytes(GENEVE(vni=21, proto=0x86DD) / IN6)), f"geneve 21 {BETWEEN}", TCP6),
    "no Geneve: one octet more": (1, in_udp(9999, bytes(GENEVE(vni=21, proto=0x86DD) / IN6) + b"."), "", DATAGRAM),
    "no Geneve: version 1": (1, in_udp(6081, b"\x40\0\x08\0\0\0\x15\0" + bytes(IN4)), "", DATAGRAM),
    "GTP-U": (1, in_udp(2152, bytes(GTP_U_Header(teid=2**32 - 1) / IN4)), f"gtpu 4294967295 {BETWEEN}", TCP4),
    "GTP-U with an extension": (
        1,
        in_udp(2152, bytes(GTP_U_Header(teid=9) / GTPPDUSessionContainer(QFI=5) / IN6)),
        f"gtpu 9 {BETWEEN}",
        TCP6,
    ),
    "GTP-U with two extensions": (
        1,
        in_udp(2152, b"\x36\xff\0\0\0\0\0\x09\0\0\0\x85" + b"\1\0\0\xc0" + b"\2" + bytes(7) + bytes(IN4)),
        f"gtpu 9 {BETWEEN}",
        TCP4,
    ),
    "GTP-U's echo": (1, in_udp(2152, bytes.fromhex("3201000400000000") + bytes(4)), "", DATAGRAM),
    "VXLAN in GRE": (
        1,
        bytes(ETH / OUT6 / GRE(key_present=1, key=5) / OUT4 / udp(4789) / Raw(VXLAN_21)),
        f"gre 5 2001:db8::1>2001:db8::2, vxlan 21 {BETWEEN}",
        TCP4,
    ),
    "an echo in IPIP in a VLAN": (
        1,
        bytes(ETH / Dot1Q(vlan=7) / OUT4 / IPv6(src="fd00::1", dst="fd00::2") / ICMPv6EchoRequest(id=8)),
        f"vlan 7, ipip {BETWEEN}",
        {"present": Layer.VLAN | Layer.IPV6 | Layer.ICMPV6, "source": "fd00::1", "source_port": 8},
    ),
    "an ICMP error about a packet in GRE": (
        1,
        bytes(ETH / OUT4 / GRE() / IP(src="10.9.0.1", dst="10.1.0.1") / ICMP(type=3, code=1) / Raw(bytes(IN4)[:28])),
        f"gre {BETWEEN}",
        {"present": Layer.IPV4 | Layer.ICMP | Layer.QUOTE, "source": "10.9.0.1"},
    ),
    "a tunnel in a fragment": (
        1,
        bytes(ETH / IP(src="192.0.2.1", dst="192.0.2.2", flags="MF") / udp(4789) / Raw(VXLAN_21)),
        "",
        DATAGRAM | {"present": Layer.IPV4 | Layer.UDP | Layer.FRAGMENT},
    ),
    "WireGuard's handshake": (
        1,
        in_udp(51820, wireguard(1, 148)),
        "",
        DATAGRAM | {"present": Layer.IPV4 | Layer.UDP | Layer.OPAQUE},
    ),
    "WireGuard's answer": (1, in_udp(7, wireguard(2, 92), source=51820), "", {"present": Layer.IPV4 | Layer.UDP | Layer.OPAQUE}),
    "WireGuard's cookie": (1, in_udp(51871, wireguard(3, 64)), "", {"present": Layer.IPV4 | Layer.UDP | Layer.OPAQUE}),
    "WireGuard's data": (1, in_udp(7, wireguard(4, 160), source=51871), "", {"present": Layer.IPV4 | Layer.UDP | Layer.OPAQUE}),
    "no WireGuard: its size": (1, in_udp(51820, wireguard(1, 149)), "", DATAGRAM),
    "no WireGuard: its data's size": (1, in_udp(51820, wireguard(4, 40)), "", DATAGRAM),
    "no WireGuard: another port": (1, in_udp(51821, wireguard(1, 148)), "", DATAGRAM),
    "ESP": (
        1,
        bytes(ETH / IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(b"\xa5" * 40)),
        "",
        {"present": Layer.IPV4 | Layer.OPAQUE, "protocol": 50},
    ),
    "ESP in UDP": (1, in_udp(4500, b"\xa5" * 40), "", {"present": Layer.IPV4 | Layer.UDP | Layer.OPAQUE}),
    "IKE in UDP": (1, in_udp(4500, bytes(4) + b"\xa5" * 40), "", DATAGRAM),
    "the inner packet's version is bad": (
        1,
        in_udp(4789, VXLAN_21[:22] + b"\x55" + VXLAN_21[23:]),
        f"vxlan 21 {BETWEEN}",
        {"present": Layer(0), "source": "-", "destination": "-", "protocol": 0, "payload_octets": 0, "source_port": 0},
    ),
    "thirty tags": (
        1,
        bytes(ETH)[:12] + b"\x81\0\0\1" * 30 + b"\x08\0" + bytes(IN4),
        ", ".join(["vlan 1"] * 24),
        {"source": "-"},
    ),
    "packets in packets": (
        1,
        bytes(Ether(**MACS, type=0x0800))
        + b"".join(
            struct.pack(
                ">2B3H2BH4s4s", 0x45, 0, 20 * (23 - i) + len(bytes(IN4)), 0, 0, 64, 4, 0, bytes([9, 9, 9, i]), bytes([8, 8, 8, i])
            )
            for i in range(23)
        )
        + bytes(IN4),
        ", ".join(f"ipip 9.9.9.{i}>8.8.8.{i}" for i in range(23)),
        TCP4,
    ),
}
