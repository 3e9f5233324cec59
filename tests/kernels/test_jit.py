"""One source, two forms: what a kernel may be given, when it is compiled anew, and when it is not compiled at all."""

import os
import subprocess
import sys
from types import FunctionType
from typing import NamedTuple

import numpy as np
import pytest

from mixcni.kernels import jit
from mixcni.kernels.jit import compiled, fields_of, i64, kernel, plain, run
from tests.kernels.forms import COMPILED, Bounded, in_form

OFFSET = 10
RATIO = (3, 4)


class Columns(NamedTuple):
    first: np.ndarray
    second: np.ndarray


class Swapped(NamedTuple):
    second: np.ndarray
    first: np.ndarray


Swapped.__name__ = "Columns"  # to numba the same type: it knows a NamedTuple by name and dtypes


@kernel
def shifted(value):
    return i64(value) + OFFSET


@kernel
def weighted(columns, out):
    for i in range(len(out)):
        out[i] = shifted(columns.first[i]) * RATIO[0] + i64(columns.second[i]) * RATIO[1]


@kernel
def first_field(columns):
    return i64(columns.first[0])


@kernel
def through_a_callee(columns):
    return first_field(columns)


def variant(function, **replaced):
    """The kernel with some of its globals replaced, as another version of its file would have them."""
    made = FunctionType(function.__code__, {**function.__globals__, **replaced}, function.__name__)
    return kernel(made)


def columns():
    return Columns(np.arange(5, dtype=np.uint64), np.arange(5, dtype=np.uint8)[::-1].copy())


@pytest.mark.kernels
@pytest.mark.parametrize("form", ["plain", COMPILED])
def test_a_named_tuple_of_arrays_passes_in_both_forms(form):
    out = np.zeros(5, dtype=np.int64)
    with in_form(form):
        run(weighted, 5, columns(), out)
    assert out.tolist() == [(i + 10) * 3 + (4 - i) * 4 for i in range(5)]


@pytest.mark.kernels
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
@pytest.mark.parametrize("function", [first_field, through_a_callee])
def test_fields_in_another_order_are_not_read_by_old_machine_code(function):
    one, two = np.array([1], dtype=np.int64), np.array([2], dtype=np.int64)
    right, swapped = Columns(one, two), Swapped(two, one)
    assert compiled(function, fields_of((right,)))(right) == 1
    assert compiled(function, fields_of((swapped,)))(swapped) == 1


def digest(function):
    return jit._digest(function, ())


def test_the_same_kernel_has_the_same_digest():
    assert digest(weighted) == digest(variant(weighted))


@pytest.mark.parametrize(
    "other",
    [
        variant(weighted, RATIO=(3, 5)),
        variant(weighted, shifted=variant(shifted, OFFSET=11)),
        variant(weighted, shifted=kernel(lambda value: i64(value) - OFFSET)),
        variant(weighted, shifted=first_field),
        kernel(FunctionType(weighted.__code__.replace(co_names=tuple(weighted.__code__.co_names[::-1])), weighted.__globals__)),
    ],
    ids=["its constant", "its callee's constant", "its callee's code", "its callee", "the names that it reads"],
)
def test_a_change_in_a_kernel_or_below_it_changes_its_digest(other):
    assert digest(other) != digest(weighted)


def test_other_fields_change_the_digest():
    assert jit._digest(first_field, (("first", "second"),)) != jit._digest(first_field, (("second", "first"),))
    assert fields_of((columns(), 3, np.zeros(1))) == (("first", "second"), (), ())


@kernel
def write_at(array, at, value):
    array[at] = value


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 256), ("uint16", -1), ("uint32", 2**32), ("int32", 2**31), ("int64", 2**63)]
)
def test_the_plain_form_raises_at_a_value_that_a_column_cannot_hold(dtype, value):
    with pytest.raises(ValueError, match="invalid value"):
        plain(write_at, np.zeros(1, dtype=dtype), 0, value)


def test_the_plain_form_raises_beyond_an_arrays_end():
    with pytest.raises(IndexError):
        plain(write_at, np.zeros(3, dtype=np.uint8), 3, 1)


@pytest.mark.parametrize("at", [-1, 3])
def test_the_bounded_form_raises_at_both_ends(at):
    with in_form("bounded"), pytest.raises(IndexError, match=f"index {at} of 3"):
        run(write_at, 1, np.zeros(3, dtype=np.uint8), at, 1)


def test_the_bounded_form_reaches_into_named_tuples():
    with in_form("bounded"):
        seen = jit._view((columns(), 3))
    assert isinstance(seen[0].first, Bounded)
    assert isinstance(seen[0], Columns)
    assert seen[1] == 3


COMPILE = """
import numpy as np
from mixcni.kernels.hashing import empty_slots, enter_codes
from mixcni.kernels.jit import compiled
form = compiled(enter_codes, ((), (), ()))
form(empty_slots(8), np.arange(16, dtype=np.uint32), 4)
print("\\n".join(form.inspect_llvm().values()))
"""


@pytest.mark.kernels
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
def test_machine_code_counts_no_references(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}  # code that was cached cannot be looked at
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=True)
    assert "enter_codes" in done.stdout
    assert "NRT_incref" not in done.stdout


@pytest.mark.kernels
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
def test_machine_code_counts_no_index_from_the_end():
    memory = np.zeros(8, dtype=np.int64)
    compiled(write_at, ((), (), ()))(memory[3:6], -1, 7)
    assert memory.tolist() == [0, 0, 7, 0, 0, 0, 0, 0]


PROGRAM = """
import sys
import numpy as np
from mixcni.kernels.hashing import empty_slots, enter_codes
from mixcni.kernels.jit import compiled, is_compiled, run
arguments = empty_slots(8), np.arange(16, dtype=np.uint32), 4
run(enter_codes, {work}, *arguments)
print("numba" in sys.modules)
if "numba" in sys.modules:
    print(is_compiled(compiled(enter_codes, ((), (), ()))))
"""


def after_work(work, disabled, cache):
    """Whether numba is loaded, and the kernel compiled, behind so much work in a process of its own."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(work=work)], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("work", "disabled", "found"),
    [
        (jit.PLAIN_BELOW - 1, "0", ["False"]),
        (jit.PLAIN_UNCOMPILED - 1, "0", ["True", "False"]),
        (jit.PLAIN_UNCOMPILED, "0", ["True", "True"]),
        (10**9, "1", ["False"]),
    ],
    ids=["small work", "middling work", "large work", "large work with NUMBA_DISABLE_JIT"],
)
def test_numba_is_loaded_where_it_helps_and_compiles_for_large_work_alone(work, disabled, found, tmp_path):
    assert after_work(work, disabled, tmp_path) == found


@pytest.mark.kernels
def test_machine_code_that_is_on_disk_is_used_for_middling_work(tmp_path):
    assert after_work(jit.PLAIN_UNCOMPILED, "0", tmp_path) == ["True", "True"]
    assert after_work(jit.PLAIN_BELOW, "0", tmp_path) == ["True", "True"]


STORED = """
import sys
import numpy as np
from mixcni.kernels.grouping import place_in_groups
from mixcni.kernels.hashing import empty_slots, enter_codes
from mixcni.kernels.jit import compiled
slots = empty_slots(8)
compiled(enter_codes, ((), (), ()))(slots, np.arange(16, dtype=np.uint32), 4)
print("numba.np.linalg" in sys.modules, sorted(slots[:-1].tolist()))
order, following, rows = np.array([2, 0, 1]), np.array([0, 2]), np.zeros(3, dtype=np.int64)
compiled(place_in_groups, ((),) * 4)(np.array([0, 1, 0]), order, following, rows)
print("numba.np.linalg" in sys.modules, rows.tolist())
"""


@pytest.mark.kernels
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="NUMBA_DISABLE_JIT=1: nothing is compiled")
def test_machine_code_from_disk_needs_no_compiler_and_leaves_it_usable(tmp_path):
    """The first kernel is on disk in the second process; the other one is compiled behind it, and both are there in the third."""
    slots, rows = [-1, -1, -1, -1, 0, 1, 2, 3], [2, 0, 1]
    assert after_work(jit.PLAIN_UNCOMPILED, "0", tmp_path) == ["True", "True"]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for compiles in (True, False):
        done = subprocess.run([sys.executable, "-c", STORED], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"False {slots}", f"{compiles} {rows}"]
