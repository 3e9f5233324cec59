"""Worked frames of the rarer link types, tags and UDP tunnels, as tests.decode.tunnels has them."""

from typing import Any

from scapy.contrib.mpls import MPLS, EoMCW
from scapy.layers.dot11 import RadioTap
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import LLC, SNAP
from scapy.layers.l2tp import L2TP
from scapy.layers.ppp import PPP

from tests.decode.tunnels import BETWEEN, DATAGRAM, ETH, IN4, IN6, INNER, TCP4, TCP6, in_udp

SNAP4 = bytes(LLC() / SNAP(code=0x0800) / IN4)


def wireless(control: int, flags: int, behind: bytes = b"") -> bytes:
    """An IEEE 802.11 header (section 9.2.4) and what stands behind its 24 octets, with SNAP and a packet."""
    return bytes([control, flags, 0, 0]) + b"\x02\0\0\0\0\1" * 3 + bytes(2) + behind + SNAP4


WLAN = wireless(0x08, 0x01)
PADDED = wireless(0x88, 0x02, bytes(4))
L2TP_12 = bytes(L2TP(hdr=["length"], tunnel_id=1, session_id=2) / PPP(proto=0x21) / IN4)
NOTHING: dict[str, Any] = {"source": "-", "protocol": 0}
TEREDO6 = IPv6(src="2001:0:c000:201::1", dst="fd00::2", hlim=9) / IN6.payload
TEREDO = TCP6 | {"source": "2001:0:c000:201::1"}


def after(tag: int, header: bytes, payload: Any) -> bytes:
    """An Ethernet frame with an EtherType and what it says that follows."""
    return bytes(ETH)[:12] + tag.to_bytes(2) + header + bytes(payload)


def radiotap(present: str, fields: bytes, frame: bytes) -> bytes:
    """A frame behind a radiotap header of these words of flags, hexadecimal as they stand, and these fields."""
    header = bytes.fromhex(present) + fields
    return b"\0\0" + (4 + len(header)).to_bytes(2, "little") + header + frame


def logged(*attributes: tuple[int, bytes]) -> bytes:
    """A packet that netfilter logged."""
    padded = ((4 + len(value), kind, value + bytes(-len(value) % 4)) for kind, value in attributes)
    return bytes(4) + b"".join(
        size.to_bytes(2, "little") + kind.to_bytes(2, "little") + value for size, kind, value in padded
    )  # fmt: skip


LINKS: dict[str, tuple[int, bytes, str, dict[str, Any]]] = {
    "raw IP of the BSDs": (12, bytes(IN4), "", TCP4),
    "raw IP of OpenBSD": (14, bytes(IN6), "", TCP6),
    "Cisco HDLC in PPP": (9, b"\x0f\0\x08\0" + bytes(IN4), "", TCP4),
    "Cisco HDLC to all in PPP": (50, b"\x8f\0\x86\xdd" + bytes(IN6), "", TCP6),
    "pf's log": (117, b"\x3d\x02" + bytes(62) + bytes(IN4), "", TCP4),
    "OpenBSD's enc": (109, b"\x02\0\0\0" + bytes(8) + bytes(IN4), "", TCP4),
    "netfilter's log": (239, logged((1, bytes(4)), (10, b"odd"), (9, bytes(IN6))), "", TCP6),
    "netfilter's log without the packet": (239, logged((1, bytes(4))), "", NOTHING),
    "IP over InfiniBand": (242, bytes(40) + b"\x08\0\0\0" + bytes(IN4), "", TCP4),
    "802.11": (105, WLAN, "", TCP4),
    "802.11 with quality of service": (105, wireless(0x88, 0x02, bytes(2)), "", TCP4),
    "802.11 between access points": (105, wireless(0x08, 0x03, bytes(6)), "", TCP4),
    "802.11 with high-throughput control": (105, wireless(0x88, 0x81, bytes(6)), "", TCP4),
    "802.11 in an aggregate": (105, wireless(0x88, 0x01, b"\x80\0" + bytes(14)), "", TCP4),
    "802.11 encrypted": (105, wireless(0x08, 0x41), "", NOTHING),
    "802.11 without data": (105, wireless(0x48, 0x01), "", NOTHING),
    "an 802.11 beacon": (105, wireless(0x80, 0), "", NOTHING),
    "radiotap": (127, bytes(RadioTap()) + WLAN, "", TCP4),
    "radiotap with a padded header": (127, radiotap("02000000", b"\x20", PADDED), "", TCP4),
    "radiotap with a timer and a padded header": (
        127, radiotap("03000080" "00000000", bytes(4) + bytes(8) + b"\x20", PADDED), "", TCP4,
    ),
    "Prism": (119, b"\0\0\0\x44" + bytes(140) + WLAN, "", TCP4),
    "AVS as Prism": (119, b"\x80\x21\x10\x01\0\0\0\x40" + bytes(56) + WLAN, "", TCP4),
    "AVS": (163, b"\x80\x21\x10\x02\0\0\0\x20" + bytes(24) + WLAN, "", TCP4),
    "PPI": (192, b"\0\0\x0c\0\x69\0\0\0" + bytes(4) + WLAN, "", TCP4),
    "frame relay": (107, b"\x18\x41\x03\xcc" + bytes(IN4), "", TCP4),
    "frame relay with a long address and a pad": (107, b"\x18\x40\x02\x03\x03\0\x8e" + bytes(IN6), "", TCP6),
    "frame relay with SNAP": (107, b"\x18\x41\x03\0\x80\0\0\0\x86\xdd" + bytes(IN6), "", TCP6),
    "frame relay with bridged Ethernet": (107, b"\x18\x41\x03\0\x80\0\x80\xc2\0\x07" + bytes(ETH / IN4), "", TCP4),
    "frame relay with another bridged medium": (107, b"\x18\x41\x03\0\x80\0\x80\xc2\0\x09" + bytes(ETH / IN4), "", NOTHING),
    "frame relay with PPP": (107, b"\x18\x41\x03\xcf\0\x21" + bytes(IN4), "", TCP4),
    "frame relay as Cisco has it": (107, b"\x18\x41\x08\0" + bytes(IN4), "", TCP4),
    "frame relay's management": (107, b"\0\x01\x03\x08\0\x75" + bytes(9), "", NOTHING),
    "frame relay with a direction": (206, b"\1\x18\x41\x03\x8e" + bytes(IN6), "", TCP6),
    "Solaris's ipnet": (226, b"\1\2\0\0" + bytes(20) + bytes(IN4), "", TCP4),
    "Broadcom's tag": (281, bytes(ETH)[:12] + b"\0\0\0\x01\x08\0" + bytes(IN4), "", TCP4),
    "Broadcom's tag in front": (282, b"\0\0\0\x01" + bytes(ETH / IN6), "", TCP6),
    "Marvell's tag": (284, bytes(ETH)[:12] + b"\xc0\x08\0\x02\x81\0\0\7\x08\0" + bytes(IN4), "vlan 7", TCP4),
    "Marvell's extended tag": (285, bytes(ETH)[:12] + b"\xda\xda\0\0\xc0\x08\0\x02\x86\xdd" + bytes(IN6), "", TCP6),
    "Marvell's tag before LLC": (284, bytes(ETH)[:12] + b"\xc0\x08\0\x02\0\x40" + SNAP4, "", TCP4),
    "Juniper's Ethernet": (178, b"MGC\x81\0\6\1\1\5\2\1\1" + bytes(ETH / IN4), "", TCP4),
    "Juniper's PPPoE": (167, b"MGC\1" + bytes(ETH / IN6), "", TCP6),
    "Juniper's PPP": (179, b"MGC\0\0\x21" + bytes(IN4), "", TCP4),
    "Juniper's frame relay": (180, b"MGC\0\x18\x41\x03\xcc" + bytes(IN4), "", TCP4),
    "Juniper's HDLC": (181, b"MGC\0\x0f\0\x86\xdd" + bytes(IN6), "", TCP6),
    "Juniper's without a link": (178, b"MGC\x82\0\2\0\0" + b"\2\0\0\0" + bytes(IN4), "", TCP4),
    "netlink as Linux cooks it": (113, b"\0\4\x03\x38" + bytes(10) + b"\x08\0" + bytes(IN4), "", NOTHING),
    "radiotap as Linux cooks it": (276, b"\x08\0" + bytes(6) + b"\x03\x23" + bytes(10) + bytes(IN4), "", NOTHING),
    "VN-Tag": (1, after(0x8926, b"\0\1\0\2\x08\0", IN4), "", TCP4),
    "VN-Tag before a VLAN": (1, after(0x8926, b"\0\1\0\2\x81\0\0\7\x86\xdd", IN6), "vlan 7", TCP6),
    "E-Tag": (1, after(0x893F, bytes(6) + b"\x08\0", IN4), "", TCP4),
    "a backbone service tag": (1, after(0x88E7, b"\0\0\0\5", ETH / IN4), "", TCP4),
    "FabricPath": (1, after(0x8903, b"\0\x40", ETH / IN6), "", TCP6),
    "NSH": (1, after(0x894F, b"\x0f\xc2\x02\1" + bytes(4), IN4), "", TCP4),
    "NSH with metadata": (1, after(0x894F, b"\x0f\xc6\x01\2" + bytes(20), IN6), "", TCP6),
    "NSH with Ethernet": (1, after(0x894F, b"\x0f\xc2\x02\3" + bytes(4), ETH / IN4), "", TCP4),
    "L2TP": (1, in_udp(1701, L2TP_12), f"l2tp 65538 {BETWEEN}", TCP4),
    "L2TP with everything": (
        1,
        in_udp(9, b"\x4a\x02\0\0" + b"\0\1\0\2" + bytes(4) + b"\0\3..." + b"\xff\3\0\x57" + bytes(IN6), source=1701),
        f"l2tp 65538 {BETWEEN}",
        TCP6,
    ),
    "L2TP's control": (1, in_udp(1701, b"\xc8\x02\0\x0c" + bytes(8)), "", DATAGRAM),
    "Teredo": (1, in_udp(3544, bytes(TEREDO6)), f"teredo {BETWEEN}", TEREDO),
    "Teredo with an origin": (1, in_udp(9999, bytes(8) + bytes(TEREDO6)), f"teredo {BETWEEN}", TEREDO),
    "VXLAN's extension with IPv6": (1, in_udp(4790, b"\x0c\0\0\2\0\0\x15\0" + bytes(IN6)), f"vxlan 21 {BETWEEN}", TCP6),
    "VXLAN's extension with Ethernet": (1, in_udp(4790, b"\x0c\0\0\3\0\0\x15\0" + INNER), f"vxlan 21 {BETWEEN}", TCP4),
    "VXLAN's extension with NSH": (
        1,
        in_udp(4790, b"\x0c\0\0\4\0\0\x15\0" + b"\x0f\xc2\x02\1" + bytes(4) + bytes(IN4)),
        f"vxlan 21 {BETWEEN}",
        TCP4,
    ),
    "no VXLAN's extension: OAM": (1, in_udp(4790, b"\x0d\0\0\1\0\0\x15\0" + bytes(IN4)), "", DATAGRAM),
    "no VXLAN's extension: without a protocol": (1, in_udp(4790, b"\x08\0\0\1\0\0\x15\0" + bytes(IN4)), "", DATAGRAM),
    "MPLS in UDP": (
        1, in_udp(6635, bytes(MPLS(label=17, s=0) / MPLS(label=18) / IN4)), f"mpls_udp {BETWEEN}, mpls 17, mpls 18", TCP4,
    ),
    "MPLS in UDP with Ethernet": (
        1, in_udp(6635, bytes(MPLS(label=17) / EoMCW() / ETH / IN4)), f"mpls_udp {BETWEEN}, mpls 17", TCP4,
    ),
    "no MPLS in UDP: one octet more": (1, in_udp(6635, bytes(MPLS(label=17) / IN4) + b"."), "", DATAGRAM),
    "no MPLS in UDP: nine labels": (1, in_udp(6635, bytes(MPLS(label=17, s=0)) * 8 + bytes(MPLS(label=1) / IN4)), "", DATAGRAM),
    "no Teredo: one octet more": (1, in_udp(9999, bytes(TEREDO6) + b"."), "", DATAGRAM),
    "no Teredo: other addresses": (1, in_udp(9999, bytes(IN6)), "", DATAGRAM),
}  # fmt: skip
