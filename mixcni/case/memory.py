"""Memory that large work frees is kept for what the work allocates next.

glibc gives arrays of 32 MiB and more back to the system as soon as they are freed, and its heap's top with them (mallopt(3)).
To get as much again costs a fault a page, which on a virtual machine can take longer than what is computed with it.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # <malloc.h>
MIB: Final = 1 << 20
WHILE_KEPT: Final = {M_MMAP_THRESHOLD: 1 << 30, M_TRIM_THRESHOLD: (1 << 31) - 1, M_TOP_PAD: 64 * MIB}
AFTERWARDS: Final = {M_MMAP_THRESHOLD: 32 * MIB, M_TRIM_THRESHOLD: 64 * MIB, M_TOP_PAD: 1 << 17}
"""What glibc comes to by itself in a process that has freed large arrays, and its default padding."""


@contextmanager
def kept_memory() -> Iterator[None]:
    """For the while, what is freed is not given back to the system; then all of it is. Nothing where the C library is another."""
    library = _c_library()
    _set(library, WHILE_KEPT)
    try:
        yield
    finally:
        _set(library, AFTERWARDS)
        if library is not None:
            library.malloc_trim(0)


def _c_library() -> Any | None:
    """The C library of this process, if it is glibc."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


def _set(library: Any | None, options: dict[int, int]) -> None:
    if library is not None:
        for option, value in options.items():
            library.mallopt(option, value)
