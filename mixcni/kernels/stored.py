"""Machine code from disk, without all that numba gets ready before it compiles.

Before numba loads what it has on disk it imports the implementations of everything that it could compile, scipy's linear algebra
with them, and compiles its own memory management: 50 MiB and 0.3 s, which nothing here needs, since kernels allocate nothing and
their machine code is whole. What is compiled after all has it ready, for numba's compiler does the same by itself.
"""

from collections.abc import Callable
from typing import Any

from numba.core.caching import FunctionCache


class KernelCache(FunctionCache):  # type: ignore[misc,unused-ignore]
    """The machine code of one kernel on disk, where numba's own cache would have it."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The machine code for these types of arguments; None where there is none."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def kept_on_disk(form: Any) -> Callable[..., Any]:
    """A compiled form whose machine code is looked for on disk, and left there."""
    form._cache = KernelCache(form.py_func)  # noqa: SLF001, as numba's own option `cache` does
    kept: Callable[..., Any] = form
    return kept
