"""Memory is kept while work goes on and given back behind it, whatever becomes of the work."""

import sys

import pytest

from mixcni.case import memory
from mixcni.case.memory import AFTERWARDS, M_MMAP_THRESHOLD, WHILE_KEPT, kept_memory


class Library:
    """A C library that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def mallopt(self, option: int, value: int) -> int:
        self.told.append(("mallopt", option, value))
        return 1

    def malloc_trim(self, pad: int) -> int:
        self.told.append(("malloc_trim", pad, 0))
        return 1


def test_the_library_is_told_before_and_behind_the_work_that_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(memory, "_c_library", lambda: library)
    before = [("mallopt", *option) for option in WHILE_KEPT.items()]
    behind = [*(("mallopt", *option) for option in AFTERWARDS.items()), ("malloc_trim", 0, 0)]
    with kept_memory():
        assert library.told == before
    assert library.told == [*before, *behind]
    with pytest.raises(ZeroDivisionError):
        kept_memory()(lambda: 1 / 0)()
    assert library.told == 2 * [*before, *behind]


def test_another_c_library_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with kept_memory():
        assert memory._c_library() is None


@pytest.mark.skipif(memory._c_library() is None, reason="this C library has no mallopt")
def test_this_library_takes_the_options() -> None:
    library = memory._c_library()
    assert library is not None
    assert all(library.mallopt(option, value) == 1 for options in (WHILE_KEPT, AFTERWARDS) for option, value in options.items())
    assert library.mallopt(M_MMAP_THRESHOLD, AFTERWARDS[M_MMAP_THRESHOLD]) == 1
