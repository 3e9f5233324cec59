"""pcapng, against draft-ietf-opsawg-pcapng."""

import pytest

from mixcni.errors import CaptureError, TruncatedCapture
from mixcni.read.frames import NO_TIME
from mixcni.read.pcapng import MAX_COMMENT, MAX_COMMENTS, ticks_per_second
from mixcni.read.source import BUFFER_OCTETS
from tests.kernels.forms import FORMS, in_form
from tests.oracle import Record, pcapng_records
from tests.read.pcapng_blocks import CUSTOM, NAMES, STATISTICS, Blocks
from tests.read.reading import read, strict_error

LITTLE, BIG = Blocks("<"), Blocks(">")
NOW = 1_700_000_000 * 10**9 + 123_456_789


def written(tmp_path, octets):
    path = tmp_path / "A.pcapng"
    path.write_bytes(octets)
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_all_three_packet_blocks_are_frames_and_unknown_blocks_are_passed_over(tmp_path, order, form):
    b = Blocks(order)
    octets = (
        b.section(options=b.options((3, b"Linux")))
        + b.block(CUSTOM, b"1234words")
        + b.interface(1, 96, resolution=9, name="eth0")
        + b.interface(113, name="any")
        + b.enhanced(b"enhanced", NOW, original=80, options=b.options((2, bytes(4)), (1, b"a comment")))
        + b.block(NAMES, b"\0\1\0\10" + b"\x7f\0\0\1lo\0\0" + bytes(4))
        + b.obsolete(b"old", NOW // 1000, interface=1)
        + b.simple(b"simple" * 20, 120)
        + b.block(0x0000_0BAD, b"")
        + b.enhanced(b"", 0, interface=1)
    )
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert records == [
        Record(NOW, b"enhanced", 80, 1, 0),
        Record(NOW // 1000 * 1000, b"old", 3, 113, 1),
        Record(NO_TIME, (b"simple" * 20)[:96], 120, 1, 0),
        Record(0, b"", 0, 113, 1),
    ]
    assert not capture.damage
    assert [(i.name, i.link_type, i.snap_length) for i in capture.interfaces] == [("eth0", 1, 96), ("any", 113, 0)]


def test_a_section_of_another_version_is_passed_over_and_said(tmp_path):
    packets = [LITTLE.interface() + LITTLE.enhanced(name, NOW) for name in (b"zero", b"two", b"three")]
    versions = ((1, 0), (2, 0), (1, 2))
    octets = b"".join(LITTLE.section(version=version) + blocks for version, blocks in zip(versions, packets, strict=True))
    records, capture = read(written(tmp_path, octets))
    assert [record.octets for record in records] == [b"zero", b"three"]
    (damage,) = capture.damage
    assert damage.offset == len(LITTLE.section() + packets[0])
    assert damage.limit == "version, which is 2.0 and not 1.0"


@pytest.mark.parametrize("form", FORMS)
def test_each_section_has_its_own_byte_order_and_interfaces(tmp_path, form):
    octets = (
        LITTLE.section()
        + LITTLE.interface(1, resolution=9)
        + LITTLE.enhanced(b"one", NOW)
        + BIG.section(length=1 << 40)
        + BIG.interface(101)
        + BIG.interface(276, resolution=0)
        + BIG.enhanced(b"two", 7, interface=1)
        + LITTLE.section()
        + LITTLE.interface(228, resolution=3)
        + LITTLE.enhanced(b"three", 5)
    )
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert records == [
        Record(NOW, b"one", 3, 1, 0),
        Record(7 * 10**9, b"two", 3, 276, 1),
        Record(5_000_000, b"three", 5, 228, 0),
    ]
    assert [i.link_type for i in capture.interfaces] == [1, 101, 276, 228]


YEAR_2255 = 9_000_000_000
TIMES = [
    # if_tsresol, if_tsoffset, ticks, time in ns (worked by hand)
    (None, None, 1_000_001, 1_000_001_000),  # microseconds where the option is absent (section 4.2)
    (0, None, 3, 3_000_000_000),
    (3, None, 1_234, 1_234_000_000),
    (9, None, NOW, NOW),
    (10, None, 10**10 - 1, 999_999_999),
    (0xA2, None, (1 << 34) - 1, 999_999_999),  # 2**-34
    (12, None, 1_999, 1),  # 1.999 ns, rounded down
    (18, None, 10**18 - 1, 999_999_999),  # not rounded up into the next second
    (0x80, None, 4, 4_000_000_000),  # 2**0
    (0x8A, None, 1024 + 512, 1_500_000_000),  # 2**-10
    (0xA0, None, (1_700_000_000 << 32) + (1 << 31), 1_700_000_000_500_000_000),  # 2**-32, as NTP
    (0xBE, None, 3 << 61, 1_500_000_000),  # 2**-62
    (0xBE, None, (1 << 64) - 1, 3_999_999_999),  # the top bit counts
    (0xBF, None, 1 << 60, NO_TIME),  # 2**-63: finer than can be read
    (19, None, 10**18, NO_TIME),
    (127, None, 1, NO_TIME),
    (6, 1_700_000_000, 5, 1_700_000_000_000_005_000),
    (6, -10, 1, -9_999_999_000),  # before the epoch
    (9, 3600, 1, 3_600_000_000_001),
    (0, None, 1 << 40, YEAR_2255 * 10**9),  # held where int64 ns ends
    (0, None, (1 << 64) - 1, YEAR_2255 * 10**9),
    (0, -(1 << 63), 5, -YEAR_2255 * 10**9),
    (9, (1 << 63) - 1, (1 << 64) - 1, YEAR_2255 * 10**9 + 709_551_615),
    (0, (1 << 63) - 1, (1 << 64) - 1, YEAR_2255 * 10**9),
    (6, 1 << 62, 0, YEAR_2255 * 10**9),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("resolution", "offset", "ticks", "time_ns"), TIMES)
def test_times_follow_resolution_and_offset(tmp_path, form, resolution, offset, ticks, time_ns):
    octets = BIG.section() + BIG.interface(resolution=resolution, offset=offset) + BIG.enhanced(b"", ticks)
    with in_form(form):
        (record,), _ = read(written(tmp_path, octets))
    assert record.time_ns == time_ns


@pytest.mark.parametrize(
    ("octet", "ticks"), [(6, 10**6), (9, 10**9), (18, 10**18), (19, 0), (0x80, 1), (0xBE, 1 << 62), (0xFF, 0)]
)
def test_a_resolution_octet_is_a_power_of_ten_or_of_two(octet, ticks):
    assert ticks_per_second(octet) == ticks


def test_drops_are_the_newest_counters_of_each_interface(tmp_path):
    octets = (
        LITTLE.section()
        + LITTLE.interface()
        + LITTLE.interface()
        + LITTLE.interface()
        + LITTLE.statistics(0, (4, 100), (5, 3), (7, 1))
        + LITTLE.statistics(1, (4, 100))
        + LITTLE.statistics(0, (5, 5), (7, 2))
        + LITTLE.statistics(9, (5, 5))
        + LITTLE.block(STATISTICS, LITTLE.pack("3I", 2, 0, 0) + LITTLE.options((5, bytes([255]) * 60_000)))
        + BIG.section()
        + BIG.interface()
        + BIG.statistics(0, (7, 1 << 40))
    )
    _, capture = read(written(tmp_path, octets))
    assert [i.dropped for i in capture.interfaces] == [7, None, None, 1 << 40]  # an option of 60,000 octets is no counter
    assert not capture.damage


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_drop_counts_of_packets_sum_up_and_are_not_added_to_statistics(tmp_path, order, form):
    """An interface's statistics and its packets' epb_dropcounts count the same losses: the larger tells."""
    b = Blocks(order)

    def lost(count, interface=0):
        return b.enhanced(b"abc", interface=interface, options=b.options((2, bytes(4)), (4, b.pack("Q", count))))

    octets = (
        b.section()
        + b.interface() * 3
        + lost(3)
        + lost(4)
        + b.statistics(1, (5, 100))
        + lost(2, 1)
        + b.enhanced(b"abcd", interface=2, options=b.options((4, bytes(4))))
        + b.section()
        + b.interface()
        + lost(1 << 40)
        + b.statistics(0, (5, 6))
    )
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert len(records) == 5
    assert [i.dropped for i in capture.interfaces] == [7, 100, None, 1 << 40]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_comments_are_kept_with_their_block_and_frame(tmp_path, order, form):
    b = Blocks(order)
    words = [b.section(options=b.options((1, "überall".encode()), (3, b"Linux")))]
    words += [b.block(1, b.pack("2HI", 1, 0, 0) + b.options((1, b"one"), (1, b"two")))]
    words += [b.enhanced(b"a"), b.enhanced(b"abcde", options=b.options((3, bytes(5)), (1, b"here \xff")))]
    words += [b.block(CUSTOM, b"1234" + b.options((1, b"of a custom block"))), b.enhanced(b"", options=b.options((1, b"")))]
    starts = [sum(map(len, words[:i])) for i in range(len(words))]
    with in_form(form):
        records, capture = read(written(tmp_path, b"".join(words)))
    assert len(records) == 3
    assert [(c.offset, c.frame_number, c.text) for c in capture.comments] == [
        (0, 0, "überall"),
        (starts[1], 0, "one"),
        (starts[1], 0, "two"),
        (starts[3], 2, "here \N{REPLACEMENT CHARACTER}"),
        (starts[5], 3, ""),
    ]


def test_comments_are_bounded(tmp_path):
    commented = LITTLE.enhanced(b"", options=LITTLE.options((1, b"c" * 60_000)))
    octets = (
        LITTLE.section() + LITTLE.interface() + commented * 50 + LITTLE.enhanced(b"", options=LITTLE.options((1, b"d"))) * 2000
    )
    records, capture = read(written(tmp_path, octets))
    assert len(records) == 2050
    assert len(capture.comments) == MAX_COMMENTS
    assert {len(c.text) for c in capture.comments[:50]} == {MAX_COMMENT}
    assert capture.comments[-1].frame_number == MAX_COMMENTS


BROKEN_OPTIONS = {
    "an option beyond its block": LITTLE.pack("2H", 1, 400) + b"abcd",
    "an option of no length behind the end": bytes(4) + LITTLE.options((1, b"behind")),
    "no whole option": b"",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", BROKEN_OPTIONS.values(), ids=BROKEN_OPTIONS.keys())
def test_broken_options_end_there_and_cost_no_frame(tmp_path, options, form):
    octets = LITTLE.section() + LITTLE.interface() + LITTLE.enhanced(b"abc", options=options) + LITTLE.enhanced(b"next")
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert [r.octets for r in records] == [b"abc", b"next"]
    assert not capture.comments
    assert not capture.damage


def test_names_secrets_and_custom_blocks_are_passed_over(tmp_path):
    others = [(NAMES, b"\0\1\0\10" + bytes(8)), (0xA, b"KSLT" + bytes(20)), (CUSTOM, b"abcd"), (0x4000_0BAD, b"abcd"), (9, b"")]
    octets = LITTLE.section() + LITTLE.interface() + b"".join(LITTLE.block(*block) for block in others) + LITTLE.enhanced(b"x")
    records, capture = read(written(tmp_path, octets))
    assert [r.octets for r in records] == [b"x"]
    assert not capture.damage


START = LITTLE.section() + LITTLE.interface(1, resolution=9) + LITTLE.enhanced(b"good", NOW)
LONG = LITTLE.enhanced(b"x" * 40)
DAMAGES = {
    "an enhanced packet cut": (LONG[:50], CaptureError, "a block", len(LONG), "length field"),
    "a block's head cut": (b"\1\0\0\0\x20", TruncatedCapture, "a block", 12, "length field"),
    "a length too small": (LITTLE.pack("3I", 6, 28, 28) + bytes(40), CaptureError, "packet block 2", 28, "from 32 to"),
    "a simple packet too small": (LITTLE.block(3, b""), CaptureError, "packet block 2", 12, "from 16 to"),
    "a length that is no multiple of 4": (LITTLE.pack("3I", 6, 41, 0) + bytes(40), CaptureError, "packet block 2", 41, "of 4"),
    "a garbage length": (LITTLE.pack("3I", 6, 0xFFFFFFF0, 0) + bytes(40), CaptureError, "packet block 2", 0xFFFFFFF0, "16777216"),
    "a wrong second length": (LONG[:-4] + LITTLE.pack("I", 64), CaptureError, "packet block 2", len(LONG), "which says 64"),
    "an unknown interface": (LITTLE.enhanced(b"", interface=1), CaptureError, "packet block 2", 32, "interface number 1, of 1"),
    "an interface number of 32 bits": (LITTLE.enhanced(b"", interface=65_536), CaptureError, "packet block 2", 32, "65536, of 1"),
    "an old packet's interface": (LITTLE.obsolete(b"", interface=3), CaptureError, "packet block 2", 32, "number 3, of 1"),
    "more captured than the block holds": (
        LITTLE.enhanced(b"abcd", captured=5),
        CaptureError,
        "packet block 2",
        37,
        "captured length, in a block of 36",
    ),
    "another block's garbage length": (
        LITTLE.pack("2I", 77, 0xFFFFFFF0) + bytes(40),
        CaptureError,
        "a block",
        0xFFFFFFF0,
        "12 to",
    ),
    "another block of no length": (LITTLE.pack("2I", 77, 0) + bytes(40), CaptureError, "a block", 0, "12 to"),
    "another block cut": (LITTLE.pack("2I", 77, 400) + bytes(40), TruncatedCapture, "a block", 400, "length field"),
    "another block's second length": (LITTLE.block(77, b"abcd", second_length=20), CaptureError, "a block", 16, "which says 20"),
    "a section header cut": (LITTLE.section()[:20], TruncatedCapture, "a section header", 28, "pcapng format"),
    "a section of no byte order": (
        LITTLE.section().replace(b"\x4d\x3c\x2b\x1a", b"\x4d\x3c\x1a\x2b"),
        CaptureError,
        "a section header",
        28,
        "4d 3c 1a 2b",
    ),
}


@pytest.mark.parametrize(("tail", "kind", "what", "wanted", "limit"), DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("form", FORMS)
def test_damage_keeps_what_precedes_it_and_says_where_it_is(tmp_path, form, tail, kind, what, wanted, limit):
    path = written(tmp_path, START + tail)
    with in_form(form):
        records, capture = read(path)
        error = strict_error(path)
    assert records == [Record(NOW, b"good", 4, 1, 0)]
    (damage,) = capture.damage
    assert (damage.offset, damage.what, damage.wanted) == (len(START), what, wanted)
    assert damage.had == damage.skipped == len(tail)
    assert limit in damage.limit
    assert isinstance(error, kind)
    assert pcapng_records(START + tail) == (records, len(START))


@pytest.mark.parametrize("block", [LITTLE.simple(b"abcd"), LITTLE.enhanced(b"abcd")], ids=["simple", "enhanced"])
def test_a_packet_before_any_interface_is_damage(tmp_path, block):
    records, capture = read(written(tmp_path, LITTLE.section() + block))
    assert not records
    assert "of 0 in its section" in capture.damage[0].limit


@pytest.mark.parametrize("form", ["plain", FORMS[-1]])
def test_the_last_interface_that_sixteen_bits_can_name(tmp_path, form):
    octets = (
        LITTLE.section()
        + LITTLE.interface() * 65_535
        + LITTLE.interface(276, resolution=0)
        + LITTLE.interface(0)
        + LITTLE.enhanced(b"last", 1, interface=65_535)
        + LITTLE.enhanced(b"beyond", 1, interface=65_536)
    )
    with in_form(form):
        records, capture = read(written(tmp_path, octets))
    assert records == [Record(10**9, b"last", 4, 276, 65_535)]
    assert "interface number 65536, of 65536" in capture.damage[0].limit


@pytest.mark.parametrize("form", ["plain", FORMS[-1]])
def test_blocks_that_span_buffers_come_out_whole(tmp_path, form):
    """One of them is larger than the buffer, and one that is no packet as well."""
    lengths = [(i * 7919) % 9001 for i in range(300)] + [BUFFER_OCTETS + 77, 5] + [(i * 104_729) % 9001 for i in range(300)]
    blocks = [LITTLE.enhanced(bytes([i % 256]) * length, i) for i, length in enumerate(lengths)]
    blocks[100:100] = [LITTLE.interface(113)]
    blocks[500:500] = [LITTLE.block(CUSTOM, b"\1" * (3 * BUFFER_OCTETS))]
    with in_form(form):
        records, capture = read(written(tmp_path, START + b"".join(blocks)))
    assert [r.octets for r in records[1:]] == [bytes([i % 256]) * length for i, length in enumerate(lengths)]
    assert [r.time_ns for r in records[1:]] == list(range(len(lengths)))
    assert not capture.damage


@pytest.mark.parametrize("form", ["plain", FORMS[-1]])
def test_more_frames_than_a_block_of_frames_holds(tmp_path, form):
    octets = START + b"".join(LITTLE.enhanced(b"", i) for i in range(40_000))
    with in_form(form):
        records, _ = read(written(tmp_path, octets))
    assert [r.time_ns for r in records[1:]] == list(range(40_000))
