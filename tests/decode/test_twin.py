"""Every column of every frame equals the twin's in tests/oracle.py, for frames bent by Hypothesis, in every form.

Under the form `bounded` this is the decoder's bounds check as well: each frame stands alone at the end of its buffer.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.decode.kernel import decode_frames
from mixcni.decode.packets import PacketArrays, QuoteArrays
from mixcni.kernels.jit import run
from mixcni.read.frames import FrameArrays
from mixcni.schema import PACKETS, QUOTES
from tests import faults, oracle
from tests.decode.test_frames import ODD, UNQUOTED, WHOLE, quoting
from tests.kernels.forms import FORMS, in_form

SEEDS = [
    *((link_type, bytes(frame)) for link_type, frame, *_ in WHOLE.values()),
    *((link_type, octets) for link_type, octets, *_ in ODD.values() if len(octets) < 2000),
    *((1, octets) for octets in UNQUOTED.values()),
    (1, quoting()),
    (1, quoting(version=6)),
]
SLOTS = 64


def decode(record, form):
    """The one row and the quotes of a frame in a buffer of its own, with the address book as octets."""
    octets = np.frombuffer(record.octets, dtype=np.uint8) if record.octets else np.empty(0, dtype=np.uint8)
    frames = FrameArrays.of_size(1)
    frames.captured[0], frames.original[0], frames.link_type[0] = len(record.octets), record.original, record.link_type
    out = PacketArrays(*(np.zeros(1, dtype=PACKETS[name].dtype) for name in PacketArrays._fields))
    quotes = QuoteArrays(*(np.zeros(1, dtype=QUOTES[name].dtype) for name in QuoteArrays._fields))
    slots, keys = np.full(SLOTS, -1, dtype=np.int32), np.zeros(2 * SLOTS, dtype=np.uint32)
    with in_form(form):
        done, quoted, count = run(decode_frames, 1, octets, frames, 0, 0, out, quotes, 0, slots, keys, 0)
    assert done == 1
    words = keys[: 4 * count].astype(">u4").tobytes()

    def row(arrays):
        values = {name: int(array[0]) for name, array in zip(arrays._fields, arrays, strict=True)}
        for name in ("source", "destination"):
            code = values[name]
            values[name] = words[16 * code : 16 * code + 16] if code >= 0 else b""
        return values

    return row(out), row(quotes) if quoted else None


@st.composite
def records(draw):
    link_type, octets = draw(st.sampled_from(SEEDS))
    octets = faults.bend(octets, draw(st.integers(0, 2**32)), times=draw(st.integers(0, 4)))
    octets = octets[: draw(st.sampled_from([len(octets), len(octets), draw(st.integers(0, len(octets)))]))]
    original = len(octets) + draw(st.sampled_from([0, 0, -5, 1, 60, 100_000, 2**32 - 1 - len(octets)]))
    return oracle.Record(
        0, octets, max(original, 0), draw(st.sampled_from([link_type, link_type, link_type, 0, 101, 113, 276, 5]))
    )


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=600)
@given(record=records())
def test_a_bent_frame_decodes_as_its_twin(form, record):
    row, quote = decode(record, form)
    expected, expected_quote = oracle.decode_frame(record)
    assert row == expected
    assert (quote and {name: quote[name] for name in quote if name != "packet"}) == expected_quote


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("link_type", "octets"), SEEDS)
def test_a_frame_cut_anywhere_decodes_as_its_twin(form, link_type, octets):
    for end in range(len(octets) + 1) if form != "bounded" else range(0, len(octets) + 1, 7):
        record = oracle.Record(0, octets[:end], len(octets), link_type)
        row, quote = decode(record, form)
        expected, expected_quote = oracle.decode_frame(record)
        assert row == expected
        assert (quote is None) == (expected_quote is None)
