"""The forms that a kernel runs in, one at a time, for whole stages: plain, compiled, and plain over views that know bounds.

A memoryview raises beyond its end and at a value that its dtype cannot hold; `Bounded` raises before its beginning too,
where Python would count from the end. A stage that runs `bounded` over hostile input is its kernels' bounds check.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from mixcni.kernels import jit

NEEDS_COMPILER = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
COMPILED = pytest.param("compiled", marks=NEEDS_COMPILER)
FORMS = ["plain", "bounded", COMPILED]
TWO_FORMS = ["bounded", COMPILED]
"""For tables of worked values: what runs bounded runs plain as well."""


class Bounded:
    """A 1-D view that refuses every index outside [0, its length)."""

    def __init__(self, view: memoryview) -> None:
        self.view = view

    def __len__(self) -> int:
        return len(self.view)

    def place(self, at: int) -> int:
        """The index if it lies within."""
        if not 0 <= at < len(self.view):
            raise IndexError(f"index {at} of {len(self.view)}")
        return at

    def __getitem__(self, at: int) -> Any:
        return self.view[self.place(at)]

    def __setitem__(self, at: int, value: Any) -> None:
        self.view[self.place(at)] = value


@contextmanager
def in_form(form: str) -> Iterator[None]:
    """Every kernel runs in this form for the while."""
    view = jit._view

    def bounded(argument: Any) -> Any:
        return Bounded(view(argument)) if isinstance(argument, np.ndarray) else view(argument)

    with pytest.MonkeyPatch.context() as patch:
        for limit in ("PLAIN_BELOW", "PLAIN_UNCOMPILED"):
            patch.setattr(jit, limit, 0 if form == "compiled" else 1 << 62)
        if form == "bounded":
            patch.setattr(jit, "_view", bounded)
        yield
