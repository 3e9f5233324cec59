"""Any octets at all give frames or a CaptureError, in every form, and the same in each; so does the twin in tests/oracle.py.

The form `bounded` is the bounds check of the walking and decoding kernels: every index that they use is held against its
array's ends, and every value that they write against its dtype.
"""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.decode import decode_packets
from mixcni.errors import CaptureError, UnknownFormat
from mixcni.read import CaptureFile
from tests import faults, oracle
from tests.decode.twin import decode_frame
from tests.kernels.forms import FORMS, in_form
from tests.read.pcapng_blocks import Blocks
from tests.read.reading import frames_of

CAPTURES = sorted(Path(__file__).parents[2].glob("captures/*/*.pcap"))
STEADY = settings(max_examples=100)
pytestmark = [pytest.mark.kernels, pytest.mark.parametrize("form", FORMS)]
COMPARED = ("present", "oddity", "payload_octets", "protocol")
SECTION = b"\x0a\x0d\x0d\x0a"


def outcome(path, form):
    """Frames, damage offsets and decoded columns of a file in one form, or the error's kind."""
    with in_form(form):
        try:
            capture = CaptureFile(path)
            table = decode_packets([capture])
        except CaptureError as error:
            return type(error)
        columns = {name: table[name].tolist() for name in table}
        quotes = {name: table.quotes[name].tolist() for name in table.quotes}
        return frames_of(capture), [d.offset for d in capture.damage], columns, quotes, table.book.words.tolist()


def records_by_the_twin(octets):
    if len(octets) < 4:
        return [], 0
    if octets[:4] in oracle.PCAP_MAGICS:
        return oracle.pcap_records(octets)
    return oracle.pcapng_records(octets) if octets[:4] == SECTION else None


def hold_to_twin(path, octets, form):
    path.write_bytes(octets)
    got = outcome(path, form)
    assert got == (outcome(path, "plain") if form != "plain" else got)
    expected = records_by_the_twin(octets)
    if expected is None:
        assert got is UnknownFormat
        return
    records, damage = expected
    assert got[0][: len(records)] == records
    assert got[1][:1] == ([] if damage is None else [damage])
    assert damage is not None or len(got[0]) == len(records)
    for row, record in enumerate(records):
        expected = decode_frame(record).row
        assert {name: got[2][name][row] for name in COMPARED} == {name: expected[name] for name in COMPARED}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("octets") / "A"


@STEADY
@given(octets=st.binary(max_size=64))
def test_octets_of_no_kind(path, form, octets):
    path.write_bytes(octets)
    got = outcome(path, form)
    assert isinstance(got, tuple) or issubclass(got, CaptureError)


@STEADY
@given(magic=st.sampled_from([*oracle.PCAP_MAGICS, SECTION]), octets=st.binary(max_size=300))
def test_octets_behind_each_magic_number(path, form, magic, octets):
    hold_to_twin(path, magic + octets, form)


@st.composite
def pcap_files(draw):
    """Headers that hold together as often as not, so that the walk goes on."""
    magic = draw(st.sampled_from(list(oracle.PCAP_MAGICS)))
    order, _, header = oracle.PCAP_MAGICS[magic]
    octets = magic + bytes(16) + struct.pack(order + "I", draw(st.sampled_from([0, 1, 101, 113, 276, 77, 2**32 - 1])))
    for frame in draw(st.lists(st.binary(max_size=80), max_size=6)):
        stated = len(frame) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 262_145, 2**31]))
        words = draw(st.tuples(*[st.integers(0, 2**32 - 1)] * 3))
        octets += struct.pack(order + "4I", words[0], words[1], max(stated, 0), words[2]) + bytes(header - 16) + frame
    return octets


@STEADY
@given(octets=pcap_files())
def test_pcap_records_of_any_content(path, form, octets):
    hold_to_twin(path, octets, form)


@st.composite
def pcapng_files(draw):
    """Blocks in any order, most of them well made."""
    octets, b = b"", Blocks("<")
    for kind in [
        "section",
        *draw(st.lists(st.sampled_from(["section", "interface", "enhanced", "old", "simple", "other", "stats"]), max_size=8)),
    ]:
        body = draw(st.binary(max_size=60))
        number = draw(st.sampled_from([0, 0, 0, 1, 2, 65_536]))
        match kind:
            case "section":
                b = Blocks(draw(st.sampled_from("<>")))
                block = b.section()
            case "interface":
                resolution, offset = draw(st.integers(0, 255)), draw(st.integers(-(2**63), 2**63 - 1))
                link_type, snap = draw(st.sampled_from([1, 101, 113, 276, 0])), draw(st.sampled_from([0, 10, 96, 2**32 - 1]))
                block = b.interface(link_type, snap, resolution=resolution, offset=offset)
            case "enhanced":
                block = b.enhanced(
                    body, draw(st.integers(0, 2**64 - 1)), interface=number, original=draw(st.integers(0, 2**32 - 1))
                )
            case "old":
                block = b.obsolete(body, draw(st.integers(0, 2**64 - 1)), interface=number % 2**16)
            case "simple":
                block = b.simple(body, draw(st.integers(0, 2**32 - 1)))
            case "stats":
                block = b.statistics(number, (draw(st.integers(0, 9)), draw(st.integers(0, 2**64 - 1))))
            case _:
                block = b.block(draw(st.integers(7, 2**32 - 1)), body)
        octets += block
    return octets if draw(st.booleans()) else faults.bend(octets, draw(st.integers(0, 2**32)))


@STEADY
@given(octets=pcapng_files())
def test_pcapng_blocks_of_any_content(path, form, octets):
    hold_to_twin(path, octets, form)


@pytest.mark.parametrize("capture", CAPTURES[::5], ids=lambda p: f"{p.parent.name}-{p.stem}")
@settings(STEADY, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_real_captures_cut_and_bent(path, form, capture, seed):
    octets = capture.read_bytes()[:6000]
    hold_to_twin(path, faults.bend(octets, seed, times=20), form)
    hold_to_twin(path, faults.cut(octets, seed), form)


def test_real_captures_as_they_are(form):
    assert CAPTURES
    for capture in CAPTURES:
        frames, damage, columns, *_ = outcome(capture, form)
        records, _ = oracle.pcap_records(capture.read_bytes())
        assert frames == records
        assert not damage
        assert not np.any(columns["oddity"])
