"""Every column of every frame, its stack, options and neighbours equal the twin's, for frames bent by Hypothesis, in every form.

Under the form `bounded` this is the decoder's bounds check as well: each frame stands alone at the end of its buffer.
"""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.decode.capture import LINK_NAMES
from mixcni.decode.kernel import ADDRESSES_A_FRAME, STACKS_A_FRAME, decode_frames
from mixcni.decode.packets import (
    BookArrays,
    Counts,
    NeighbourArrays,
    OptionArrays,
    PacketArrays,
    QuoteArrays,
    SackArrays,
    SideArrays,
    TimestampArrays,
)
from mixcni.decode.stacks import StackTable
from mixcni.errors import CaptureError
from mixcni.kernels.hashing import empty_slots
from mixcni.kernels.jit import run
from mixcni.read import CaptureFile
from mixcni.read.frames import FrameArrays
from mixcni.schema import NEIGHBOURS, OPTIONS, PACKETS, QUOTES, SACK_BLOCKS, TIMESTAMPS
from tests import faults, oracle
from tests.decode.links import LINKS
from tests.decode.test_frames import ODD, UNQUOTED, WHOLE, quoting
from tests.decode.tunnels import TUNNELS
from tests.decode.twin import decode_frame
from tests.decode.twin_packets import Decoded
from tests.kernels.forms import FORMS, in_form
from tests.read.reading import frames_of

SAMPLES = sorted((Path(__file__).parents[1] / "samples" / "pcaps").glob("*.*cap*"))
FRAMES = [
    *((link_type, bytes(frame)) for link_type, frame, *_ in WHOLE.values()),
    *((link_type, octets) for link_type, octets, *_ in ODD.values() if len(octets) < 2000),
    *((1, octets) for octets in UNQUOTED.values()),
    *((link_type, octets) for link_type, octets, *_ in (*TUNNELS.values(), *LINKS.values())),
    (1, quoting()),
    (1, quoting(version=6)),
]
UNREAD = 5  # a link type that is not decoded
LINK_TYPES = [*LINK_NAMES, UNREAD]


def records_of(path):
    """The frames of a sample; none where it is no capture."""
    try:
        return frames_of(CaptureFile(path))
    except CaptureError:
        return []


SAMPLED = [record for path in SAMPLES for record in records_of(path)]
SEEDS = FRAMES + list({(r.link_type, r.octets[:400]) for r in SAMPLED[::7]})


def book(room):
    """A hash table with just the room that the caller promises for one frame."""
    slots = 1 << (2 * room + 2).bit_length()
    return empty_slots(slots), np.zeros(4 * (slots // 2), dtype=np.uint32)


def empty_sides():
    """The side tables of one frame, with just the room that the caller promises."""
    arrays = {
        QuoteArrays: (QUOTES, 1),
        OptionArrays: (OPTIONS, 1),
        TimestampArrays: (TIMESTAMPS, 1),
        SackArrays: (SACK_BLOCKS, 4),
        NeighbourArrays: (NEIGHBOURS, 1),
    }
    sides = (
        kind(**{name: np.zeros(size, dtype=column.dtype) for name, column in schema.items()})
        for kind, (schema, size) in arrays.items()
    )
    return SideArrays(*sides, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))


def decode(record, form):
    """What the kernel makes of one frame in a buffer of its own, in the twin's terms."""
    octets = np.frombuffer(record.octets, dtype=np.uint8) if record.octets else np.empty(0, dtype=np.uint8)
    frames = FrameArrays.of_size(1)
    frames.captured[0], frames.original[0], frames.link_type[0] = len(record.octets), record.original, record.link_type
    out = PacketArrays(*(np.zeros(1, dtype=PACKETS[name].dtype) for name in PacketArrays._fields))
    sides = empty_sides()
    books = BookArrays(*book(ADDRESSES_A_FRAME), *book(STACKS_A_FRAME))
    with in_form(form):
        done, *found = run(decode_frames, 1, octets, frames, 0, 0, out, sides, Counts(0, 0, 0, 0, 0, 0, 1), books)
    assert done == 1
    counts = Counts(*found)
    words = books.keys[: 4 * counts.addresses].astype(">u4").tobytes()

    def address(code):
        assert -1 <= code < counts.addresses
        return words[16 * code : 16 * code + 16] if code >= 0 else b""

    def row(arrays, count=1):
        if not count:
            return None
        assert count == 1
        values = {name: int(array[0]) for name, array in zip(arrays._fields, arrays, strict=True) if name != "packet"}
        return {k: address(v) if k in {"source", "destination", "sender", "target"} else v for k, v in values.items()}

    columns = row(out)
    stacks = StackTable.of_words(books.stack_keys[: 4 * counts.stacks].reshape(-1, 4))
    layers = tuple(
        (
            *(int(stacks[name][layer]) for name in ("kind", "identifier")),
            *(address(stacks[name][layer]) for name in ("source", "destination")),
        )
        for layer in stacks.layers(columns.pop("stack"))
    )
    options = row(sides.options, counts.options)
    if options:
        blocks = slice(options.pop("sack_start"), counts.sacks)
        options["blocks"] = list(zip(sides.sacks.left[blocks].tolist(), sides.sacks.right[blocks].tolist(), strict=True))
        assert options.pop("sack_count") == len(options["blocks"])
    quote, neighbour = row(sides.quotes, counts.quotes), row(sides.neighbours, counts.neighbours)
    return Decoded(columns, layers, quote, options, row(sides.timestamps, counts.timestamps), neighbour)


@st.composite
def records(draw):
    link_type, octets = draw(st.sampled_from(SEEDS))
    octets = faults.bend(octets, draw(st.integers(0, 2**32)), times=draw(st.integers(0, 4)))
    octets = octets[: draw(st.sampled_from([len(octets), len(octets), draw(st.integers(0, len(octets)))]))]
    original = len(octets) + draw(st.sampled_from([0, 0, -5, 1, 60, 100_000, 2**32 - 1 - len(octets)]))
    link_type = draw(st.sampled_from([link_type] * 6 + LINK_TYPES))
    return oracle.Record(0, octets, max(original, 0), link_type)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=1000)
@given(record=records())
def test_a_bent_frame_decodes_as_its_twin(form, record):
    assert decode(record, form) == decode_frame(record)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_a_frame_cut_anywhere_decodes_as_its_twin(form):
    """At every octet in machine code, at every seventh, from another one on for each frame, in the slow forms."""
    step = 1 if form == "compiled" else 7
    for place, (link_type, octets) in enumerate(FRAMES):
        for end in range(place % step, len(octets) + 1, step):
            record = oracle.Record(0, octets[:end], len(octets), link_type)
            assert decode(record, form) == decode_frame(record), (end, record)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_every_frame_of_the_samples_decodes_as_its_twin(form):
    assert len(SAMPLED) > 400
    for record in SAMPLED if form == "compiled" else SAMPLED[::2]:
        assert decode(record, form) == decode_frame(record), record
