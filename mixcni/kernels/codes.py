"""Codes of keys, while their hash table grows."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.hashing import empty_slots, enter_codes
from mixcni.kernels.jit import run

FEWEST_CODES: Final = 1 << 9


class HashArrays(NamedTuple):
    """A hash table of four-word keys (mixcni.kernels.hashing)."""

    slots: NDArray[np.int32]
    keys: NDArray[np.uint32]


class CodeTable:
    """A hash table of four-word keys while it grows: at most half full.

    Parameters
    ----------
    room : codes that a kernel may add between two looks at whether the table is full
    expected : codes that there is room for at first
    """

    def __init__(self, room: int, expected: int = FEWEST_CODES) -> None:
        self.count = 0
        self._room = room
        self._allocate(1 << (2 * max(expected, FEWEST_CODES) - 1).bit_length())

    def _allocate(self, slots: int) -> None:
        self.arrays = HashArrays(empty_slots(slots), np.zeros(4 * (slots // 2), dtype=np.uint32))

    def grow_if_full(self, work: int) -> None:
        """Make room, if what one item may add no longer has it; `work` items fill the table in all."""
        if self.count < self.arrays.slots.size // 2 - self._room:
            return
        old = self.arrays.keys
        self._allocate(4 * (self.arrays.slots.size - 1))
        self.arrays.keys[: old.size] = old
        run(enter_codes, work, self.arrays.slots, self.arrays.keys, self.count)

    def words(self) -> NDArray[np.uint32]:
        """(n, 4) the keys in the order of their codes."""
        return self.arrays.keys[: 4 * self.count].reshape(-1, 4)
