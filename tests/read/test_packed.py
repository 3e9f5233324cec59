"""gzip (RFC 1952), zstd (RFC 8878) and lz4 around a capture, pipes and standard input, and both together."""

import gzip
import json
import os
import random
import subprocess
import sys
import threading
import zlib

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mixcni.decode import Capture
from mixcni.errors import ParameterError, UnknownFormat
from mixcni.read import CaptureFile, is_capture
from mixcni.read.packed_frames import ZstdUnpacker
from mixcni.read.source import BUFFER_OCTETS, Source
from tests.read.reading import read, strict_error
from tests.wire import START, Conversation, Frame, S, write_pcap


def frames_of_a_talk():
    speaker = Conversation()
    frames = speaker.handshake()
    for i in range(40):
        frames += speaker.exchange(random.Random(i).randbytes(50), random.Random(i).randbytes(900), START + i * S)
    return frames


@pytest.fixture
def plain(tmp_path):
    return write_pcap(tmp_path / "A.pcap", frames_of_a_talk())


def packed(path, octets):
    other = path.with_suffix(".gz")
    other.write_bytes(octets)
    return other


@pytest.fixture(scope="module")
def packed_capture(tmp_path_factory):
    """The octets of a capture, and a path for what is made of them."""
    path = tmp_path_factory.mktemp("packed") / "A.pcap"
    return write_pcap(path, frames_of_a_talk()).read_bytes(), path


def members(octets, size):
    return b"".join(gzip.compress(octets[at : at + size], mtime=0) for at in range(0, len(octets), size))


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(gzip.compress, id="one member"),
        pytest.param(lambda octets: members(octets, 999), id="many members"),
        pytest.param(lambda octets: gzip.compress(octets) + bytes(512), id="zero padding"),
        pytest.param(lambda octets: gzip.compress(octets) + gzip.compress(b""), id="an empty member"),
        pytest.param(lambda octets: gzip.compress(octets, compresslevel=0), id="stored"),
    ],
)
def test_a_packed_file_reads_as_the_file_itself(plain, pack):
    path = packed(plain, pack(plain.read_bytes()))
    expected, _ = read(plain)
    records, capture = read(path)
    assert records == expected
    assert len(records) == 123
    assert not capture.damage
    assert is_capture(path)


def zstd(octets, **options):
    return zstandard.ZstdCompressor(**options).compress(octets)


def zstd_stream(octets):
    """As `tcpdump | zstd` makes it: the frame does not tell how long its content is."""
    packer = zstandard.ZstdCompressor().compressobj()
    pieces = [packer.compress(octets[at : at + 3000]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for at in BLOCKS]
    return b"".join(pieces) + packer.flush()


def lz4_stream(octets, **options):
    """A frame with a block for every 3000 octets."""
    with lz4.frame.LZ4FrameCompressor(auto_flush=True, **options) as packer:
        pieces = [packer.begin()] + [packer.compress(octets[at : at + 3000]) for at in BLOCKS]
        return b"".join(pieces) + packer.flush()


def skippable(size, kind=0):
    """A frame that holds something else (RFC 8878 section 3.1.2)."""
    return bytes([0x50 + kind]) + b"\x2a\x4d\x18" + size.to_bytes(4, "little") + b"\xee" * size


BLOCKS = range(0, 48_000, 3000)  # of `plain`, which is shorter
FRAMED = {
    "zstd": zstd,
    "zstd with a checksum": lambda octets: zstd(octets, write_checksum=True),
    "zstd without a content size": zstd_stream,
    "zstd at level 19": lambda octets: zstd(octets, level=19),
    "zstd of many frames": lambda octets: b"".join(zstd(octets[at : at + 3000]) for at in BLOCKS),
    "zstd with skippable frames": lambda octets: zstd(octets[:999]) + skippable(200_000) + zstd(octets[999:]) + skippable(0, 15),
    "zstd with an empty frame": lambda octets: zstd(octets) + zstd(b""),
    "lz4": lz4.frame.compress,
    "lz4 with all checksums": lambda octets: lz4_stream(octets, content_checksum=True, block_checksum=True),
    "lz4 with its size": lambda octets: lz4.frame.compress(octets, store_size=True, content_checksum=True),
    "lz4 of linked blocks": lambda octets: lz4_stream(octets, block_linked=True),
    "lz4 of blocks of their own": lambda octets: lz4_stream(octets, block_linked=False),
    "lz4 in blocks of 4 MiB": lambda octets: lz4.frame.compress(octets, block_size=lz4.frame.BLOCKSIZE_MAX4MB),
    "lz4 of many frames": lambda octets: b"".join(lz4.frame.compress(octets[at : at + 3000]) for at in BLOCKS),
    "lz4 with skippable frames": lambda octets: (
        lz4.frame.compress(octets[:999]) + skippable(9) + lz4.frame.compress(octets[999:])
    ),
}


@pytest.mark.parametrize("pack", FRAMED.values(), ids=FRAMED.keys())
def test_a_file_in_frames_reads_as_the_file_itself(plain, pack):
    path = packed(plain, pack(plain.read_bytes()))
    records, capture = read(path)
    assert records == read(plain)[0]
    assert len(records) == 123
    assert not capture.damage
    assert is_capture(path)
    assert BLOCKS[-2] < plain.stat().st_size <= BLOCKS.stop


CUT = [
    "zstd without a content size",
    "lz4 with all checksums",
    "lz4 of linked blocks",
    "zstd of many frames",
    "lz4 of many frames",
]


@pytest.mark.parametrize("pack", [FRAMED[name] for name in CUT], ids=CUT)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_cut_frame_keeps_every_whole_block_before_the_cut(plain, pack, share):
    octets = plain.read_bytes()
    whole = pack(octets)
    path = packed(plain, whole[: int(len(whole) * share)])
    records, capture = read(path)
    assert records == read(plain)[0][: len(records)]
    (damage,) = capture.damage
    assert " frame is cut)" in damage.limit
    assert damage.limit.startswith(("zstd stream", "lz4 stream"))
    unpacked = damage.offset + damage.skipped
    assert len(octets) * share - 6500 < unpacked <= len(octets)
    assert strict_error(path) is not None


@pytest.mark.parametrize("pack", [FRAMED[name] for name in CUT], ids=CUT)
@given(at=st.floats(0, 1, exclude_max=True))
def test_a_frame_cut_anywhere_is_damage_and_no_error(packed_capture, pack, at):
    """But between two frames, where nothing tells that there were more."""
    octets, path = packed_capture
    whole = pack(octets)
    path.write_bytes(whole[: int(len(whole) * at)])
    records, capture = read(path)
    assert capture.damage or (len(records) < 123 and "many" in CUT[list(map(FRAMED.get, CUT)).index(pack)])


@pytest.mark.parametrize("pack", [FRAMED[name] for name in CUT], ids=CUT)
@given(at=st.floats(0, 1, exclude_max=True), octet=st.integers(1, 255))
def test_a_frame_bent_anywhere_gives_frames_and_perhaps_damage(packed_capture, pack, at, octet):
    octets, path = packed_capture
    whole = bytearray(pack(octets))
    whole[int(len(whole) * at)] ^= octet
    path.write_bytes(whole)
    try:
        read(path)
    except UnknownFormat:
        assert at * len(whole) < 400  # the magic number of the file or of what is in it


def test_a_corrupt_block_costs_no_block_before_it(plain):
    """The second block's literals are said to be longer than the block; lz4's match goes back before the beginning."""
    octets = plain.read_bytes()
    zstd_whole = zstandard.ZstdCompressor().compressobj()
    good = zstd_whole.compress(octets[:30_000]) + zstd_whole.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    bad = good + ((4 << 3 | 2 << 1) | 0).to_bytes(3, "little") + b"\xff\xff\xff\xff"
    lz4_whole = lz4_stream(octets[:30_000], block_linked=False)[:-4]
    lz4_bad = lz4_whole + (5).to_bytes(4, "little") + b"\x00\xff\xff\x00\x00"
    for whole, kind in ((bad, "zstd"), (lz4_bad, "lz4")):
        records, capture = read(packed(plain, whole))
        (damage,) = capture.damage
        assert damage.limit.startswith(f"{kind} stream (")
        assert "cut" not in damage.limit
        assert damage.offset + damage.skipped == 30_000
        assert records == read(plain)[0][: len(records)]
        assert len(records) > 50


FAULTS = {
    "zstd's checksum": (lambda octets: bent(zstd(octets, write_checksum=True), -1), "checksum"),
    "lz4's checksum": (lambda octets: bent(lz4.frame.compress(octets, content_checksum=True), -1), "hecksum"),
    "words behind zstd": (lambda octets: zstd(octets) + b"words", "77 6f 72 64 begins no zstd frame"),
    "words behind lz4": (lambda octets: lz4.frame.compress(octets) + b"words", "77 6f 72 64 begins no lz4 frame"),
    "a word behind zstd": (lambda octets: zstd(octets) + b"wor", "the zstd frame is cut"),
    "a skippable frame cut": (lambda octets: zstd(octets) + skippable(100)[:-1], "the zstd frame is cut"),
    "a skippable frame's head cut": (lambda octets: zstd(octets) + skippable(100)[:7], "the zstd frame is cut"),
    "a checksum cut": (lambda octets: zstd(octets, write_checksum=True)[:-1], "the zstd frame is cut"),
    "an end mark cut": (lambda octets: lz4.frame.compress(octets)[:-1], "the lz4 frame is cut"),
    "a block beyond the limit": (
        lambda octets: lz4.frame.compress(octets)[:-4] + (4 * 2**20 + 1).to_bytes(4, "little") + bytes(9),
        "a block of 4194305 octets, of at most 4194304",
    ),
}


def bent(octets, at):
    """The octets with one of them another."""
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[len(octets) + at + 1 :]


@pytest.mark.parametrize(("pack", "word"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_behind_every_frame_is_damage_and_costs_none(plain, pack, word):
    records, capture = read(packed(plain, pack(plain.read_bytes())))
    assert records == read(plain)[0]
    (damage,) = capture.damage
    assert word in damage.limit
    assert damage.had == damage.skipped == 0


@pytest.mark.parametrize(("octets", "kind"), [(b"\x1f\x8b", "gzip"), (b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")])
def test_a_packed_file_of_a_few_octets_is_known_as_what_it_is(tmp_path, octets, kind):
    path = tmp_path / "A"
    path.write_bytes(octets)
    records, capture = read(path)
    assert not records
    assert [d.limit.split(" (")[0] for d in capture.damage] == [f"{kind} stream"]


def test_a_window_beyond_the_limit_is_a_fault_and_no_memory(tmp_path):
    """RFC 8878 section 3.1.1.1.2: an exponent of 31 asks for 2 TiB."""
    path = tmp_path / "A.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\0\0")
    _, capture = read(path)
    (damage,) = capture.damage
    assert damage.limit.startswith("zstd stream (")
    assert "memory" in damage.limit


def test_blocks_of_one_octet_repeated_come_a_block_at_a_time(tmp_path):
    """4 octets unpack to 128 KiB: 1000 such blocks fit the chunk that is read at once, and must not be unpacked at once."""
    path = tmp_path / "A.zst"
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\x58" + block * 1000)
    room = memoryview(bytearray(1000))
    with path.open("rb", buffering=0) as raw:
        unpacker = ZstdUnpacker(raw, b"")
        assert unpacker.readinto(room) == 1000
        assert len(unpacker._ready) == 131_072 - 1000


def kept_of(octets):
    """What zlib gives of a gzip stream, fed an octet at a time, before it finds fault or the stream ends."""
    member, out = zlib.decompressobj(31), b""
    for octet in octets:
        try:
            out += member.decompress(bytes([octet]))
        except zlib.error:
            break
    return out


@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_cut_gzip_keeps_every_whole_record_before_the_cut(plain, share):
    whole = gzip.compress(plain.read_bytes())
    part = whole[: int(len(whole) * share)]
    path, unpacked = packed(plain, part), kept_of(part)
    shadow = plain.with_name("shadow.pcap")
    shadow.write_bytes(unpacked)
    expected, _ = read(shadow)
    records, capture = read(path)
    assert records == expected
    assert len(records) >= int(123 * share) - 2
    (damage,) = capture.damage
    assert "the gzip member is cut" in damage.limit
    assert damage.offset + damage.skipped == len(unpacked)
    assert strict_error(path) is not None


def test_a_corrupt_gzip_keeps_what_precedes_the_fault(plain):
    octets = plain.read_bytes()
    packer = zlib.compressobj(wbits=31)
    whole = packer.compress(octets[:30_000]) + packer.flush(zlib.Z_FULL_FLUSH) + b"\x07" + bytes(40)  # block type 3 is reserved
    path, shadow = packed(plain, whole), plain.with_name("shadow.pcap")
    shadow.write_bytes(octets[:30_000])
    records, capture = read(path)
    expected, shadowed = read(shadow)
    assert records == expected
    (damage,) = capture.damage
    assert damage.limit == "gzip stream (Error -3 while decompressing data: invalid block type)"
    assert damage.offset == shadowed.damage[0].offset
    assert damage.offset + damage.skipped == 30_000


def test_a_wrong_checksum_is_damage_behind_every_frame(plain):
    whole = bytearray(gzip.compress(plain.read_bytes()))
    whole[-6] ^= 1
    records, capture = read(packed(plain, bytes(whole)))
    assert records == read(plain)[0]
    (damage,) = capture.damage
    assert "incorrect data check" in damage.limit
    assert damage.had == damage.skipped == 0


def test_garbage_behind_a_member_is_damage_behind_every_frame(plain):
    path = packed(plain, gzip.compress(plain.read_bytes()) + b"\0\0trailing words")
    records, capture = read(path)
    assert records == read(plain)[0]
    (damage,) = capture.damage
    assert "incorrect header check" in damage.limit


def test_a_large_packed_file_comes_through_in_buffers(tmp_path):
    chance = random.Random(5)
    frames = [Frame(START + i, chance.randbytes(700) + bytes(chance.randrange(3000))) for i in range(6000)]
    plain = write_pcap(tmp_path / "A.pcap", frames)
    assert plain.stat().st_size > 3 * BUFFER_OCTETS
    records, capture = read(packed(plain, gzip.compress(plain.read_bytes(), compresslevel=1)))
    assert [r.octets for r in records] == [f.octets for f in frames]
    assert not capture.damage


PACKINGS = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd, "lz4": lz4.frame.compress}


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
@pytest.mark.parametrize("pieces", [[1, 1, 1, 30], [500]], ids=["octet by octet at first", "in pieces"])
def test_a_pipe_reads_as_the_file_itself(plain, tmp_path, pack, pieces):
    """A named pipe cannot be rewound and gives what it has: short reads are no end."""
    octets = pack(plain.read_bytes())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed():
        at, turn = 0, 0
        with pipe.open("wb", buffering=0) as stream:
            while at < len(octets):
                size = pieces[min(turn, len(pieces) - 1)]
                stream.write(octets[at : at + size])
                at, turn = at + size, turn + 1

    writer = threading.Thread(target=feed)
    writer.start()
    records, capture = read(pipe)
    writer.join()
    assert records == read(plain)[0]
    assert not capture.damage


def test_the_buffer_grows_only_as_octets_arrive(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(bytes(100))
    with Source(path) as source:
        assert not source.need(1 << 40)
        assert source.octets.size == BUFFER_OCTETS
    path.write_bytes(b"\1" * BUFFER_OCTETS + b"\2")
    with Source(path) as source:
        assert source.need(BUFFER_OCTETS + 1)
        assert source.octets.size == 2 * BUFFER_OCTETS
        assert source.text(0, BUFFER_OCTETS + 1) == path.read_bytes()


def test_a_file_is_closed_when_it_is_left_early(plain):
    blocks = CaptureFile(plain).blocks()
    next(blocks)
    blocks.close()  # an open file would be a ResourceWarning, and warnings are errors


PROGRAM = """
import json, sys
from mixcni.read import CaptureFile
file = CaptureFile("-")
print(json.dumps([sum(block.frames.start.size for block in file.blocks()), [str(d) for d in file.damage]]))
"""


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_standard_input_is_read_as_a_pipe(plain, pack):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=pack(plain.read_bytes()), capture_output=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == [123, []]


def test_standard_input_cannot_be_read_again(plain, monkeypatch):
    capture = Capture.open(plain)
    monkeypatch.setattr(capture.files[0], "path", CaptureFile("-").path)
    with pytest.raises(ParameterError, match="frame 1 cannot be looked up: standard input can be read once"):
        capture.frame(1)
