"""Open-addressing hash tables over arrays: keys of a few 32-bit words to small codes.

A table is `slots`, (2**k + 1,) int32: the code that lives in a slot, or -1, and behind them a seed of the process's own, so that
no file can hold keys that are made to meet in one slot. Codes do not depend on it. The keys stand in an array of their own,
`width` words a code. Probing is linear. The caller keeps a table at most half full, so that a probe ends; `find_code`
returns the slot as well, so that adding a key takes no second probe.
"""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.jit import i64, kernel

SEED: Final = secrets.randbits(31)

WORD = (1 << 32) - 1
ODD = 0x9E3779B1  # 2**32 over the golden ratio, odd (Knuth, TAOCP volume 3, section 6.4)


def empty_slots(size: int) -> NDArray[np.int32]:
    """The slots of an empty table: `size`, a power of two, and the seed behind them."""
    slots = np.full(size + 1, -1, dtype=np.int32)
    slots[size] = SEED
    return slots


@kernel
def mix(state, word):
    """`state` with `word` stirred in; both and the result in [0, 2**32)."""
    state = ((state ^ word) * ODD) & WORD
    return state ^ (state >> 15)


@kernel
def find_code4(slots, keys, w0, w1, w2, w3):
    """Slot of the four-word key, and its code, or -1 where the slot is free.

    slots : (2**k + 1,) int32
    keys : (4 * n,) uint32, four words a code
    """
    mask = len(slots) - 2
    slot = mix(mix(mix(mix(i64(slots[mask + 1]), w0), w1), w2), w3) & mask
    while True:
        code = i64(slots[slot])
        if code < 0:
            return slot, code
        at = code * 4
        if keys[at] == w0 and keys[at + 1] == w1 and keys[at + 2] == w2 and keys[at + 3] == w3:
            return slot, code
        slot = (slot + 1) & mask


@kernel
def enter_codes(slots, keys, count):
    """Enter the first `count` four-word keys into an empty table, each under its own row as code."""
    for code in range(count):
        at = 4 * code
        slot, _ = find_code4(slots, keys, i64(keys[at]), i64(keys[at + 1]), i64(keys[at + 2]), i64(keys[at + 3]))
        slots[slot] = code
