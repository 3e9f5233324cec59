"""One source, two forms: a kernel is a plain Python function, and `compiled` makes machine code of it.

A kernel reads and writes 1-D arrays of stated dtype. The plain form runs over `memoryview`s of the same arrays: their
elements are Python integers, so it neither overflows nor needs a compiler, and an index or a value out of range raises.
`run` takes the plain form for small work, since loading machine code costs more than it saves there, and never
imports numba then. Nor does it compile for work that the plain form is through with sooner: machine code is made for large work,
or by `mixcni compile`, and kept on disk. NUMBA_DISABLE_JIT=1 forces the plain form everywhere.

Rules that keep both forms equal: lengths by `len`, elements through `i64` wherever they enter arithmetic (uint64 met by
int64 would become float64), products masked to fewer than 63 bits, kernels call only kernels.
"""

import functools
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

LOG = logging.getLogger("mixcni")
i64 = int  # becomes numpy.int64 in the compiled form
PLAIN_BELOW = 6_000  # items of work, about 50 ms in plain form: loading numba and its cache takes ten times as long
PLAIN_UNCOMPILED = 150_000  # items, some 3 s in plain form: what no machine code is made for, though it is used where it is there
OPTIONS: dict[str, Any] = {"nogil": True, "forceinline": True, "_nrt": False}
"""What numba is told of every kernel. None allocates, so references to arrays need not be counted: where they are, a call between
kernels takes two atomic operations an array and is not inlined, and most of the time of decoding goes there."""
COMPILERS_VERSION = 1  # to be raised with every change in what mixcni.kernels.indices and mixcni.kernels.native make
Fields = tuple[tuple[str, ...], ...]
_KERNELS: set[Callable[..., Any]] = set()
_READY: dict[tuple[Any, ...], Callable[..., Any]] = {}  # by function and types of arguments: blocks come thousands a second


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark `function` as a kernel: it may be compiled, and compiled kernels may call it."""
    _KERNELS.add(function)
    return function


def _callees(function: FunctionType) -> dict[str, FunctionType]:
    found = {}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and value in _KERNELS:
            found[name] = value
    return found


def _digest(function: FunctionType, fields: Fields) -> str:
    """A name for this version of a kernel, of all that it calls, of the fields that it is given and of how it is compiled.

    So no stale machine code is loaded: numba's own cache looks at the kernel's file alone, and at a NamedTuple's name and
    dtypes without the order of its fields.
    """
    state = hashlib.sha256(repr((fields, OPTIONS, COMPILERS_VERSION)).encode())

    def add(code: CodeType) -> None:
        state.update(code.co_code)  # holds places in co_names, not the names
        state.update(repr(code.co_names).encode())
        state.update(repr([c for c in code.co_consts if not isinstance(c, CodeType)]).encode())

    pending, done = [function], set()
    while pending:
        current = pending.pop()
        if current in done:
            continue
        done.add(current)
        add(current.__code__)
        for name in current.__code__.co_names:
            value = current.__globals__.get(name)
            if isinstance(value, int | float | tuple):
                state.update(f"{name}={value!r}".encode())
        pending.extend(callee for _, callee in sorted(_callees(current).items()))
    return state.hexdigest()[:12]


def _once(function: Callable[..., Any]) -> Callable[..., Any]:
    """Like functools.cache, for threads too: the second one waits for what the first makes."""
    cached, lock = functools.cache(function), threading.RLock()

    @functools.wraps(function)
    def locked(*arguments: Any) -> Any:
        with lock:
            return cached(*arguments)

    return locked


def fields_of(arguments: tuple[Any, ...]) -> Fields:
    """The field names of each NamedTuple among a kernel's arguments."""
    return tuple(getattr(argument, "_fields", ()) for argument in arguments)


@_once
def compiled(function: Callable[..., Any], fields: Fields = ()) -> Callable[..., Any]:
    """The machine-code form of a kernel for arguments with these `fields_of`, cached on disk; compiled at its first call."""
    from numba import njit  # half a second, only when work is large

    from mixcni.kernels.indices import KernelCompiler
    from mixcni.kernels.native import FORMS
    from mixcni.kernels.stored import kept_on_disk

    assert isinstance(function, FunctionType)
    if function in FORMS:
        return FORMS[function]
    replaced: dict[str, Any] = dict(function.__globals__)
    if "i64" in replaced:
        replaced["i64"] = np.int64
    replaced.update({name: compiled(callee, fields) for name, callee in _callees(function).items()})
    twin = FunctionType(function.__code__, replaced, function.__name__, function.__defaults__)
    twin.__module__ = function.__module__
    twin.__qualname__ = f"{function.__qualname__}_{_digest(function, fields)}"
    return kept_on_disk(njit(pipeline_class=KernelCompiler, **OPTIONS)(twin))


def _view(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return memoryview(argument)  # type: ignore[arg-type,unused-ignore]
    if isinstance(argument, tuple):
        views = map(_view, argument)
        return type(argument)(*views) if hasattr(argument, "_fields") else tuple(views)
    return argument


def plain(function: Callable[..., Any], *arguments: Any) -> Any:
    """The kernel's plain form over memoryviews of the same arrays (NamedTuples of arrays too)."""
    return function(*map(_view, arguments))


def is_compiled(form: Any) -> bool:
    """Whether the machine code of a `compiled` form is there, in this process or on disk."""
    return bool(form.signatures) or any(Path(form.stats.cache_path).glob(f"*.{form.py_func.__qualname__}-*.nbi"))


def machine_code(function: Callable[..., Any], work: int, *arguments: Any) -> Callable[..., Any] | None:
    """The machine-code form of a kernel for `work` items of such arguments; None where the plain form is faster."""
    if work < PLAIN_BELOW or os.environ.get("NUMBA_DISABLE_JIT") == "1":
        return None
    known = (function, *map(type, arguments))
    form = _READY.get(known)
    if form is None:
        form = compiled(function, fields_of(arguments))
        if not is_compiled(form):
            if work < PLAIN_UNCOMPILED:
                return None
            LOG.info("compiling %s, which takes some seconds, once", function.__name__)
        _READY[known] = form
    return form


def run(function: Callable[..., Any], work: int, *arguments: Any) -> Any:
    """The kernel over `arguments`, in the form that is faster for `work` items: those of earlier blocks count as well."""
    form = machine_code(function, work, *arguments)
    return plain(function, *arguments) if form is None else form(*arguments)


@contextmanager
def always_compiled() -> Iterator[None]:
    """All work is done in machine code for the while, so that what is not there yet is made."""
    global PLAIN_BELOW, PLAIN_UNCOMPILED  # noqa: PLW0603, the two limits are the module's setting
    before = PLAIN_BELOW, PLAIN_UNCOMPILED
    PLAIN_BELOW = PLAIN_UNCOMPILED = 0
    try:
        yield
    finally:
        PLAIN_BELOW, PLAIN_UNCOMPILED = before
