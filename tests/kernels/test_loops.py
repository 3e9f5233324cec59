"""Byte order, sequence space and hash tables: worked values, properties, and the twin in tests/oracle.py; both forms agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.kernels.byteorder import be16, be32, le16, le32, u8, u16, u32
from mixcni.kernels.hashing import empty_slots, enter_codes, find_code4, mix
from mixcni.kernels.jit import kernel, run
from mixcni.kernels.seqspace import seq_delta
from mixcni.read.kernel import LAST_OFFSET, scaled, ticks_to_ns
from tests import oracle
from tests.kernels.forms import FORMS, in_form

STEADY = settings(max_examples=120)
SEQ = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1]))
WORD = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 3))
pytestmark = [pytest.mark.kernels, pytest.mark.parametrize("form", FORMS)]

OCTETS = np.array([0x80, 0x01, 0xFE, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF], dtype=np.uint8)


@kernel
def five_readers(octets, at, out):
    """Each reader once: compiled, they are single loads that only a kernel can call."""
    out[0], out[1], out[2], out[3], out[4] = (
        u8(octets, at),
        be16(octets, at),
        le16(octets, at),
        be32(octets, at),
        le32(octets, at),
    )


@STEADY
@given(octets=st.binary(min_size=4, max_size=12), share=st.floats(0, 1))
def test_each_reader_is_unsigned_at_any_alignment(form, octets, share):
    at, out = int(share * (len(octets) - 4)), np.zeros(5, dtype=np.int64)
    with in_form(form):
        run(five_readers, 1, np.frombuffer(octets, dtype=np.uint8), at, out)
    two, four = octets[at : at + 2], octets[at : at + 4]
    readings = [int.from_bytes(part, order) for part in (two, four) for order in ("big", "little")]
    assert out.tolist() == [octets[at], *readings]


@pytest.mark.parametrize(
    ("read", "at", "more", "value"),
    [
        (u16, 0, (1,), 0x8001),
        (u32, 0, (1,), 0x8001FE7F),
        (u32, 0, (0,), 0x7FFE0180),
        (u32, 4, (1,), 0xFFFFFFFF),
        (u16, 2, (1,), 0xFE7F),
        (u16, 2, (0,), 0x7FFE),
        (u32, 1, (1,), 0x01FE7FFF),
        (u32, 1, (0,), 0xFF7FFE01),
    ],
)
def test_integers_come_out_of_octets_unsigned(form, read, at, more, value):
    with in_form(form):
        assert run(read, 1, OCTETS, at, *more) == value


@pytest.mark.parametrize(
    ("a", "b", "delta"),
    [
        (2**32 - 10, 10, 20),
        (10, 2**32 - 10, -20),
        (0, 2**31, -(2**31)),
        (2**31, 0, -(2**31)),
        (0, 2**31 - 1, 2**31 - 1),
        (5, 5, 0),
    ],
)
def test_a_sequence_distance_at_the_edges(form, a, b, delta):
    with in_form(form):
        assert run(seq_delta, 1, a, b) == delta == oracle.seq_delta(a, b)


@STEADY
@given(a=SEQ, b=SEQ, isn=SEQ)
def test_a_sequence_distance_is_the_twins_and_the_same_for_any_isn(form, a, b, isn):
    with in_form(form):
        delta = run(seq_delta, 1, a, b)
        assert delta == oracle.seq_delta(a, b) == run(seq_delta, 1, (a + isn) % 2**32, (b + isn) % 2**32)
    assert (a + delta) % 2**32 == b


@STEADY
@given(state=SEQ, word=SEQ)
def test_mixing_stays_within_32_bits_and_is_the_same_in_every_form(form, state, word):
    product = (state ^ word) * 0x9E3779B1 % 2**32
    with in_form(form):
        assert run(mix, 1, state, word) == product ^ product >> 15


@STEADY
@given(keys=st.lists(st.tuples(WORD, WORD, WORD, WORD), max_size=32, unique=True), absent=st.tuples(WORD, WORD, WORD, WORD))
def test_a_table_at_most_half_full_finds_every_key_and_no_other(form, keys, absent):
    slots = empty_slots(64)
    words = np.array(keys, dtype=np.uint32).reshape(-1)
    with in_form(form):
        run(enter_codes, 1, slots, words, len(keys))
        assert [run(find_code4, 1, slots, words, *key)[1] for key in keys] == list(range(len(keys)))
        slot, code = run(find_code4, 1, slots, words, *absent)
    if absent not in keys:
        assert code == -1
        assert slots[slot] == -1


def test_a_probe_goes_on_from_the_last_slot_to_the_first(form):
    empty, nothing = empty_slots(8), np.zeros(0, dtype=np.uint32)
    with in_form(form):
        last = [word for word in range(100) if run(find_code4, 1, empty, nothing, word, 0, 0, 0)[0] == 7][:3]
        words = np.array([(word, 0, 0, 0) for word in last], dtype=np.uint32).reshape(-1)
        run(enter_codes, 1, empty, words, 3)
        assert [run(find_code4, 1, empty, words, word, 0, 0, 0) for word in last] == [(7, 0), (0, 1), (1, 2)]


PER_SECOND = st.one_of(
    st.integers(0, 18).map(lambda n: 10**n), st.integers(0, 62).map(lambda n: 2**n), st.integers(1, 2**62), st.just(0)
)


@STEADY
@given(
    ticks=st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**40)),
    per_second=PER_SECOND,
    offset=st.one_of(st.integers(-(2**32), 2**32), st.integers(-LAST_OFFSET, LAST_OFFSET)),
)
def test_ticks_become_nanoseconds_exactly_as_far_as_int64_holds_them(form, ticks, per_second, offset):
    with in_form(form):
        got = run(ticks_to_ns, 1, ticks >> 32, ticks & 0xFFFFFFFF, per_second, offset)
    assert got == oracle.ticks_to_ns(ticks, per_second, offset)
    assert -(2**63) <= got < 2**63


@STEADY
@given(per_second=st.integers(1, 2**62), share=st.floats(0, 1, exclude_max=True))
def test_a_part_of_a_second_is_scaled_exactly(form, per_second, share):
    rest = min(int(per_second * share), per_second - 1)
    with in_form(form):
        assert run(scaled, 1, rest, per_second) == rest * 10**9 // per_second


def test_codes_do_not_depend_on_the_seed_and_slots_do(form):
    keys = [(number, 7, 0, number % 3) for number in range(100)]
    words = np.array(keys, dtype=np.uint32).reshape(-1)
    places = []
    for seed in (0, 1, 2**31 - 1):
        slots = empty_slots(256)
        slots[256] = seed
        with in_form(form):
            run(enter_codes, 1, slots, words, len(keys))
            found = [run(find_code4, 1, slots, words, *key) for key in keys]
        assert [code for _, code in found] == list(range(100))
        places.append([slot for slot, _ in found])
    assert places[0] != places[1] != places[2]
