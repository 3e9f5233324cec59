"""What is around a packet: worked frames of every tunnel, tag and label, near misses that are none, and stacks as a tree."""

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.vxlan import VXLAN

from mixcni.schema import Encapsulation, Layer, Oddity
from tests.decode.links import LINKS
from tests.decode.tunnels import ETH, IN4, TUNNELS, in_gre, in_udp
from tests.kernels.forms import TWO_FORMS, in_form
from tests.wire import START, Frame, decoded

EVERY = TUNNELS | LINKS
LAYERS_OF_LINKS = Layer.ETHERNET | Layer.VLAN | Layer.TUNNEL


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize(("link_type", "octets", "stack", "columns"), EVERY.values(), ids=EVERY.keys())
def test_the_innermost_packet_is_read_and_its_stack_told(tmp_path, form, link_type, octets, stack, columns):
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [Frame(START, octets)], link_type=link_type)
    found = {name: int(table[name][0]) for name in columns}
    for name in {"source", "destination"} & set(columns):
        found[name] = table.book.text(found[name])
    present = Layer(int(table["present"][0]))
    if "present" in columns:
        found["present"] = present & ~LAYERS_OF_LINKS | columns["present"] & LAYERS_OF_LINKS & present
    assert found == columns
    assert table.stacks.text(table["stack"][0], table.book) == stack
    kinds = [Encapsulation(table.stacks["kind"][row]) for row in table.stacks.layers(int(table["stack"][0]))]
    assert (Layer.TUNNEL in present) == any(kind.is_tunnel for kind in kinds)
    assert (Layer.ETHERNET in present) == (link_type == 1)


ODD = {
    "netfilter's log without the packet": Oddity.HEADER_CUT,
    "the inner packet's version is bad": Oddity.BAD_HEADER_LENGTH,
    "thirty tags": Oddity.TOO_MANY_HEADERS,
}


@pytest.mark.parametrize("name", EVERY)
def test_only_what_is_odd_is_called_odd(tmp_path, name):
    link_type, octets, *_ = EVERY[name]
    table = decoded(tmp_path / "A.pcap", [Frame(START, octets)], link_type=link_type)
    assert Oddity(int(table["oddity"][0])) == ODD.get(name, Oddity(0))


def inside(outer, inner, vni):
    """A segment of a connection in a VXLAN tunnel."""
    segment = IP(src=inner[0], dst=inner[1]) / TCP(sport=1, dport=2)
    tunnel = IP(src=outer[0], dst=outer[1]) / UDP(sport=9, dport=8472) / VXLAN(vni=vni, flags=8)
    return Frame(START, bytes(ETH / tunnel / ETH / segment))


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
def test_one_flow_key_in_two_tunnels_has_two_stacks_and_in_one_tunnel_one(tmp_path, form):
    inner, back = ("10.1.0.1", "10.1.0.2"), ("10.1.0.2", "10.1.0.1")
    one, two = ("192.0.2.1", "192.0.2.2"), ("192.0.2.1", "192.0.2.3")
    frames = [
        inside(one, inner, 1),
        inside(one, inner, 2),
        inside(two, inner, 1),
        inside(one, back, 1),
        Frame(START, bytes(ETH / IN4)),
    ]
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", frames)
    assert table["stack"].tolist() == [1, 2, 3, 1, 0]
    assert len(set(table["source"][:3].tolist())) == 1
    assert table.stacks.texts(table.book) == [
        "",
        "vxlan 1 192.0.2.1>192.0.2.2",
        "vxlan 2 192.0.2.1>192.0.2.2",
        "vxlan 1 192.0.2.1>192.0.2.3",
    ]
    assert (table.stacks["source"][0], table.stacks["destination"][0]) == (-1, -1)
    assert table.stacks.innermost_tunnel().tolist() == [0, 7, 7, 7]


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize("count", [480, 488, 489, 3000])
def test_each_stack_has_one_row_however_many_there_are(tmp_path, form, count):
    """The hash table of stacks starts with room for 512 and grows; each VNI comes twice, the second time after a growth."""
    octets = inside(("192.0.2.1", "192.0.2.2"), ("10.1.0.1", "10.1.0.2"), 0).octets
    frames = [Frame(START, octets[:46] + vni.to_bytes(3) + octets[49:]) for vni in range(1, count + 1)]
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", frames + frames)
    assert table["stack"].tolist() == list(range(1, count + 1)) * 2
    assert table.stacks["identifier"].tolist() == list(range(count + 1))


def test_a_call_of_pptp_is_one_stack_whatever_its_packets_are_long(tmp_path):
    """RFC 2637 section 4.1: the key field holds the payload's length beside the call."""
    packets = [b"\x20\x01\x88\x0b" + length.to_bytes(2) + b"\0\x15\x21" for length in (40, 41, 42)]
    table = decoded(tmp_path / "A.pcap", [Frame(START, in_gre(header, IN4)) for header in packets])
    assert table["stack"].tolist() == [1, 1, 1]
    assert table.stacks.text(1, table.book) == "gre 21 192.0.2.1>192.0.2.2"


@pytest.mark.parametrize("count", [8, 9])
def test_gtp_u_extension_headers_are_followed_as_far_as_the_limit(tmp_path, count):
    chain = b"".join(b"\1\0\0" + (b"\xc0" if i < count - 1 else b"\0") for i in range(count))
    octets = in_udp(2152, b"\x34\xff\0\0\0\0\0\x09\0\0\0\x85" + chain + bytes(IN4))
    table = decoded(tmp_path / "A.pcap", [Frame(START, octets)])
    assert (Layer.TUNNEL in Layer(int(table["present"][0]))) == (count == 8)
    assert Oddity(int(table["oddity"][0])) == (Oddity(0) if count == 8 else Oddity.TOO_MANY_HEADERS)
