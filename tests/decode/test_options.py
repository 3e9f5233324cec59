"""TCP options of every kind that is read, cut ones and malformed ones; ARP and neighbour discovery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from mixcni.decode import Capture
from mixcni.schema import Layer, Oddity, OptionFlag
from tests.kernels.forms import TWO_FORMS, in_form
from tests.wire import START, Conversation, Frame, decoded

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
NONE = {"mss": -1, "window_scale": -1, "flags": 0, "blocks": []}
STAMPED = {"times": (2**32 - 1, 7)}
TIMES = b"\x08\x0a" + (2**32 - 1).to_bytes(4) + (7).to_bytes(4)


def block(*edges):
    """A SACK option of these edges (RFC 2018 section 3)."""
    return bytes([5, 2 + 4 * len(edges)]) + b"".join(edge.to_bytes(4) for edge in edges)


def segment(options, **more):
    """A segment with these octets of options, padded with end-of-options to words."""
    return Conversation().segment(0, "A", seq=1, options=options + bytes(-len(options) % 4), **more)


def options_of(table, row=0):
    """The options in one row of the table of options."""
    found = {name: int(table.options[name][row]) for name in table.options}
    blocks = slice(found["sack_start"], found["sack_start"] + found["sack_count"])
    found["blocks"] = list(zip(table.sacks["left"][blocks].tolist(), table.sacks["right"][blocks].tolist(), strict=True))
    return {name: found[name] for name in NONE}


def times_of(table):
    """The packet, TSval and TSecr of each row in the table of timestamps."""
    return list(zip(*(table.timestamps[name].tolist() for name in ("packet", "ts_val", "ts_ecr")), strict=True))


OPTIONS = {
    "MSS": (b"\2\4\x05\xb4", {"mss": 1460}, 0),
    "an MSS of 65535": (b"\2\4\xff\xff", {"mss": 65535}, 0),
    "an MSS of 0": (b"\2\4\0\0", {"mss": 0}, 0),
    "window scale": (b"\3\3\7", {"window_scale": 7}, 0),
    "a window scale beyond 14": (b"\3\3\xff", {"window_scale": 255}, 0),
    "SACK permitted": (b"\4\2", {"flags": OptionFlag.SACK_PERMITTED}, 0),
    "timestamps": (TIMES, STAMPED, 0),
    "timestamps as nearly all have them": (b"\1\1" + TIMES, STAMPED, 0),
    "DSS of MPTCP": (b"\x1e\x08\x20\1\0\0\0\1", {"flags": OptionFlag.DSS}, 0),
    "MP_CAPABLE and MP_FASTCLOSE": (
        b"\x1e\4\1\1\x1e\x0c\x70\0" + bytes(8),
        {"flags": OptionFlag.MP_CAPABLE | OptionFlag.MP_FASTCLOSE},
        0,
    ),
    "MPTCP without a subtype, and one that is not followed": (b"\x1e\2\x1e\4\x80\1", {}, 0),
    "one SACK block": (b"\1\1" + block(5, 9), {"blocks": [(5, 9)]}, 0),
    "three SACK blocks behind timestamps": (
        b"\1\1" + TIMES + b"\1\1" + block(5, 9, 2**32 - 1, 3, 0, 2**32 - 1)[:26],
        {"flags": 2, "blocks": [(5, 9), (2**32 - 1, 3), (0, 2**32 - 1)]} | STAMPED,
        0,
    ),
    "four SACK blocks": (block(*range(8)), {"blocks": [(0, 1), (2, 3), (4, 5), (6, 7)]}, 0),
    "a SYN of Linux": (
        b"\2\4\x05\xb4\4\2" + TIMES + b"\1\3\3\7",
        {"mss": 1460, "window_scale": 7, "flags": 3} | STAMPED,
        0,
    ),
    "the last of two counts": (b"\2\4\0\1\2\4\0\2", {"mss": 2}, 0),
    "an unknown kind is passed over": (b"\xfe\4ab\3\3\1", {"window_scale": 1}, 0),
    "nothing behind the end of options": (b"\0\3\3\1", {}, 0),
    "padding alone": (b"\1\1\1\1", {}, 0),
    "a SACK of no whole block": (b"\5\x06abcd", {}, 0),
    "an MSS of another length": (b"\2\3\1\3\3\1", {"window_scale": 1}, 0),
    "a length of 0": (b"\3\3\1\1\7\0\2\4", {"window_scale": 1}, Oddity.BAD_OPTION),
    "a length of 1": (b"\7\1\2\4", {}, Oddity.BAD_OPTION),
    "a length beyond the header": (b"\3\3\1\x08\x0aabc", {"window_scale": 1}, Oddity.BAD_OPTION),
    "no length": (b"\1\1\1\2", {}, Oddity.BAD_OPTION),
}


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
@pytest.mark.parametrize(("octets", "read", "oddity"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_are_read_as_their_standards_say(tmp_path, form, octets, read, oddity):
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [segment(b""), segment(octets)])
    assert table["oddity"].tolist() == [0, oddity]
    times, others = read.get("times"), {name: value for name, value in read.items() if name != "times"}
    assert times_of(table) == ([(1, *times)] if times else [])
    assert table.options["packet"].tolist() == ([1] if others else [])
    if others:
        assert options_of(table) == NONE | others


def test_options_agree_with_scapys_packing(tmp_path):
    scapys = [
        ("MSS", 1400),
        ("SAckOK", b""),
        ("Timestamp", (5, 6)),
        ("NOP", None),
        ("WScale", 9),
        ("SAck", (1, 2)),
        ("NOP", None),
    ]
    octets = bytes(Ether(**MACS) / IP() / TCP(options=scapys))
    table = decoded(tmp_path / "A.pcap", [Frame(START, octets)])
    assert options_of(table) == {"mss": 1400, "window_scale": 9, "flags": 3, "blocks": [(1, 2)]}
    assert times_of(table) == [(0, 5, 6)]


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
def test_options_that_the_snap_length_cuts_are_read_as_far_as_they_go(tmp_path, form):
    octets = b"\2\4\x05\xb4\1\3\3\7" + TIMES + b"\1\1"
    with in_form(form):
        for kept in range(len(octets) + 1):
            table = decoded(tmp_path / "A.pcap", [segment(octets)], snap_length=14 + 20 + 20 + kept)
            expected = NONE | ({"mss": 1460} if kept >= 4 else {}) | ({"window_scale": 7} if kept >= 8 else {})
            expected |= {"flags": 2} if kept >= 18 else {}
            assert times_of(table) == ([(0, *STAMPED["times"])] if kept >= 18 else [])
            assert len(table.options) == (kept >= 4)
            assert kept < 4 or options_of(table) == expected
            oddity = Oddity(int(table["oddity"][0]))
            assert oddity == (Oddity.OPTIONS_CUT | Oddity.PAYLOAD_CUT if kept < len(octets) else Oddity(0))


@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=40))
def test_blocks_stand_with_their_segment_across_files(tmp_path_factory, counts):
    """Whatever segments come before and in other files, `sack_start` points at a segment's own blocks."""
    folder = tmp_path_factory.mktemp("sacks")
    wanted = []
    for base, name in ((0, "1.pcap"), (1000, "2.pcap")):
        edges = [range(base + 10 * i, base + 10 * i + 2 * count) for i, count in enumerate(counts)]
        decoded(folder / name, [segment(block(*pairs) if pairs else b"\3\3\1") for pairs in edges])
        wanted += [list(zip(pairs[::2], pairs[1::2], strict=True)) for pairs in edges]
    table = Capture.open([folder / "1.pcap", folder / "2.pcap"]).table
    assert [options_of(table, row)["blocks"] for row in range(len(table.options))] == wanted
    assert len(table.sacks) == 2 * sum(counts)


def neighbours_of(table):
    """Each row of the table of neighbours, with addresses as text."""
    names = list(table.neighbours)
    rows = zip(*(table.neighbours[name].tolist() for name in names), strict=True)
    return [(packet, reply, table.book.text(sender), table.book.text(target), mac) for packet, reply, sender, target, mac in rows]


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
def test_arp_and_neighbour_discovery_tell_who_asks_for_whom(tmp_path, form):
    ends4, ends6 = {"psrc": "10.0.0.1", "pdst": "10.0.0.2"}, {"src": "fd00::1", "dst": "ff02::1:ff00:2"}
    frames = [
        Ether(**MACS) / ARP(op=1, hwsrc="fe:dc:ba:98:76:54", **ends4),
        Ether(**MACS) / ARP(op=2, hwsrc="ff:ff:ff:ff:ff:ff", **ends4),
        Ether(**MACS) / ARP(op=1, hwlen=8, **ends4),
        Ether(**MACS) / IPv6(**ends6) / ICMPv6ND_NS(tgt="fd00::2") / ICMPv6NDOptSrcLLAddr(),
        Ether(**MACS) / IPv6(src="fd00::2", dst="fd00::1") / ICMPv6ND_NA(tgt="fd00::3"),
        Ether(**MACS) / IPv6(**ends6, nh=58) / Raw(bytes(ICMPv6ND_NS(tgt="fd00::2"))[:23]),
    ]
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [Frame(START, bytes(frame)) for frame in frames])
    assert neighbours_of(table) == [
        (0, False, "10.0.0.1", "10.0.0.2", 0xFEDCBA987654),
        (1, True, "10.0.0.1", "10.0.0.2", 0xFFFFFFFFFFFF),
        (3, False, "fd00::1", "fd00::2", 0),
        (4, True, "fd00::2", "fd00::3", 0),
    ]
    assert [Layer.ARP in Layer(flags) for flags in table["present"].tolist()] == [True, True, True, False, False, False]


@pytest.mark.kernels
@pytest.mark.parametrize("form", TWO_FORMS)
def test_the_unspecified_address_has_a_code_as_any_other(tmp_path, form):
    """:: to :: is all zeros, as is what the decoder remembers of a packet before the first."""
    with in_form(form):
        table = decoded(tmp_path / "A.pcap", [Frame(START, bytes(Ether(**MACS) / IPv6(src="::", dst="::", nh=59)))])
    assert (table["source"].tolist(), table["destination"].tolist()) == ([0], [0])
    assert table.book.text(0) == "::"
