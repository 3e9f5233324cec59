"""How the rows of state lie in memory, and how they become columns."""

import numpy as np
import pytest

from mixcni.flows.columns import BLOCK, _by_field
from mixcni.flows.kernel.numbers import LINE
from mixcni.flows.tracking import zeroed_lines


@pytest.mark.parametrize("count", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_fields_are_the_transposed_rows_for_any_number_of_blocks(count, shape):
    rows = np.arange(count * int(np.prod(shape))).reshape(count, *shape)
    fields = _by_field(rows)
    assert fields.flags.c_contiguous
    assert np.array_equal(fields, rows.T)


@pytest.mark.parametrize("size", [1, LINE, 1000, 10**6])
def test_rows_of_state_begin_with_a_line_of_the_cache(size):
    rows = zeroed_lines(size)
    assert (rows.size, rows.ctypes.data % (LINE * 8), rows.any()) == (size, 0, False)
