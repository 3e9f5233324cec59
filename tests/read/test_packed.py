"""gzip (RFC 1952) around a capture, pipes, and both together."""

import gzip
import os
import random
import threading
import zlib

import pytest

from mixcni.read import CaptureFile, is_capture
from mixcni.read.source import BUFFER_OCTETS, Source
from tests.read.reading import read, strict_error
from tests.wire import START, Conversation, Frame, S, write_pcap


@pytest.fixture
def plain(tmp_path):
    speaker = Conversation()
    frames = speaker.handshake()
    for i in range(40):
        frames += speaker.exchange(random.Random(i).randbytes(50), random.Random(i).randbytes(900), START + i * S)
    return write_pcap(tmp_path / "A.pcap", frames)


def packed(path, octets):
    other = path.with_suffix(".gz")
    other.write_bytes(octets)
    return other


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
    frames = [Frame(START + i, chance.randbytes(700) + bytes(chance.randrange(3000))) for i in range(3000)]
    plain = write_pcap(tmp_path / "A.pcap", frames)
    assert plain.stat().st_size > 3 * BUFFER_OCTETS
    records, capture = read(packed(plain, gzip.compress(plain.read_bytes(), compresslevel=1)))
    assert [r.octets for r in records] == [f.octets for f in frames]
    assert not capture.damage


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
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
