"""Which fragments are of one packet, and the ports of their first for later ones (RFC 791 section 3.2, RFC 8200 section 4.5).

Of the packets in this module the last fragment is missing; tests.decode.test_reassembly has those that are whole.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from mixcni.decode.reassembly import LIFETIME_NS
from mixcni.schema import Layer
from tests.wire import MS, START, Frame, S, decoded

ETH = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def first4(port, *, ip_id=7, time_ns=START, dst="10.0.0.2", link=ETH):
    """The first fragment of a datagram to `port`."""
    return Frame(
        time_ns, bytes(link / IP(src="10.0.0.1", dst=dst, id=ip_id, flags="MF") / UDP(sport=9, dport=port) / Raw(bytes(16)))
    )


def later4(*, ip_id=7, time_ns=START, dst="10.0.0.2", link=ETH, proto=17):
    """A later fragment of it, with octets that would be ports."""
    packet = IP(src="10.0.0.1", dst=dst, id=ip_id, flags="MF", frag=3, proto=proto)
    return Frame(time_ns, bytes(link / packet / Raw(b"\xff" * 24)))


def ports(tmp_path, frames):
    table = decoded(tmp_path / "A.pcap", frames)
    return table["destination_port"].tolist()


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the later one before"])
def test_a_later_fragment_has_the_ports_of_its_first(tmp_path, order):
    table = decoded(tmp_path / "A.pcap", [first4(53), later4(time_ns=START + MS)][::order])
    assert table["destination_port"].tolist() == [53, 53]
    assert table["source_port"].tolist() == [9, 9]
    whole = [Layer.UDP in Layer(flags) for flags in table["present"].tolist()][::order]
    assert whole == [True, False]


NOT_ITS_OWN = {
    "another identification": later4(ip_id=8),
    "another destination": later4(dst="10.0.0.3"),
    "another protocol": later4(proto=6),
    "another stack": later4(link=ETH / Dot1Q(vlan=5)),
    "a minute and more later": later4(time_ns=START + LIFETIME_NS + 1),
}


@pytest.mark.parametrize("frame", NOT_ITS_OWN.values(), ids=NOT_ITS_OWN.keys())
def test_a_fragment_of_another_packet_has_no_ports(tmp_path, frame):
    assert ports(tmp_path, [first4(53), frame]) == [53, 0]


def test_a_fragment_within_the_minute_is_owned(tmp_path):
    assert ports(tmp_path, [first4(53), later4(time_ns=START + LIFETIME_NS)]) == [53, 53]


def test_an_identification_that_comes_again_is_of_the_nearest_first(tmp_path):
    frames = [first4(53, time_ns=START), first4(54, time_ns=START + S), first4(55, time_ns=START + 2 * S)]
    frames += [later4(time_ns=START + t) for t in (0, 400 * MS, 600 * MS, 1400 * MS, 1600 * MS, 9 * S)]
    assert ports(tmp_path, frames) == [53, 54, 55, 53, 53, 54, 54, 55, 55]


TIMES = st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True)


@given(firsts=TIMES, laters=TIMES)
def test_of_any_firsts_the_nearest_in_time_owns_a_fragment(tmp_path_factory, firsts, laters):
    frames = [first4(1000 + i, time_ns=START + t * S) for i, t in enumerate(firsts)]
    frames += [later4(time_ns=START + t * S) for t in laters]
    got = ports(tmp_path_factory.mktemp("f"), frames)[len(firsts) :]
    for port, time in zip(got, laters, strict=True):
        near = min(abs(time - first) for first in firsts)
        assert port == 0 if near > 60 else abs(time - firsts[port - 1000]) == near


def test_ipv6_fragments_have_the_ports_of_their_first(tmp_path):
    """The identification has 32 bits, of which the column keeps 16; an atomic fragment is a whole packet (RFC 6946)."""
    ends = IPv6(src="fd00::1", dst="fd00::2")
    segment = bytes(TCP(sport=9, dport=80) / Raw(bytes(20)))
    frames = [
        ETH / ends / IPv6ExtHdrFragment(m=1, id=0xABCD0007, nh=6) / Raw(segment[:24]),
        ETH / ends / IPv6ExtHdrFragment(m=1, offset=3, id=0xABCD0007, nh=6) / Raw(segment[24:]),
        ETH / ends / IPv6ExtHdrFragment(id=0xABCD0008, nh=6) / Raw(segment),
    ]
    table = decoded(tmp_path / "A.pcap", [Frame(START, bytes(frame)) for frame in frames])
    assert table["destination_port"].tolist() == [80, 80, 80]
    assert table["ip_id"].tolist() == [7, 7, 8]
    assert [int(flags) & (Layer.FRAGMENT | Layer.LATER_FRAGMENT | Layer.TCP) for flags in table["present"]] == [
        Layer.FRAGMENT | Layer.TCP,
        Layer.FRAGMENT | Layer.LATER_FRAGMENT,
        Layer.TCP,
    ]
