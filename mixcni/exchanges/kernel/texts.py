"""Texts in octets by code, each different one once."""

from mixcni.kernels.byteorder import be32, u8
from mixcni.kernels.hashing import mix
from mixcni.kernels.jit import i64, kernel


@kernel
def text_hash(octets, at, size, seed):
    """A hash of the octets [at, at + size)."""
    state = mix(seed, size)
    stop = at + size
    while at + 4 <= stop:
        state = mix(state, be32(octets, at))
        at += 4
    while at < stop:
        state = mix(state, u8(octets, at))
        at += 1
    return state


@kernel
def are_equal(octets, at, other, size):
    """Whether the same octets stand at both places."""
    i = 0
    while i < size and u8(octets, at + i) == u8(octets, other + i):
        i += 1
    return i == size


@kernel
def code_spans(octets, spans, slots, first, codes):
    """Number the different texts in the order in which they come, from 0; how many there are.

    octets : (b,) uint8; spans : (2 * n,) int64, place and size of each text
    slots : (2**k + 1,) int32, empty_slots with room for twice n; first : (n,) int64, written: the first row that has each
    codes : (n,) int32, written
    """
    mask = len(slots) - 2
    count = 0
    for i in range(len(codes)):
        at, size = i64(spans[2 * i]), i64(spans[2 * i + 1])
        slot = text_hash(octets, at, size, i64(slots[mask + 1])) & mask
        code = i64(slots[slot])
        while code >= 0:
            row = i64(first[code])
            if spans[2 * row + 1] == size and are_equal(octets, at, i64(spans[2 * row]), size):
                break
            slot = (slot + 1) & mask
            code = i64(slots[slot])
        if code < 0:
            code = count
            slots[slot] = code
            first[code] = i
            count += 1
        codes[i] = code
    return count
