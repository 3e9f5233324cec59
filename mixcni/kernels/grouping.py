"""Which rows are alike, and which numbers occur: by sorting one integer a row, or by marking, never by comparing tuples."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MOST_BITS: Final = 63  # of an int64 that is not negative


def numbered(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the number of each row among the different rows, in the order of the first column, then the second and so on.

    Parameters
    ----------
    columns : (n,) integers each
    """
    key, bits = _placed(columns[0])
    for column in columns[1:]:
        place, width = _placed(column)
        if bits + width > MOST_BITS:
            key, bits = _ranked(key)
        if bits + width > MOST_BITS:
            place, width = _ranked(place)
        key, bits = key << width | place, bits + width
    return _ranked(key)[0]


def distinct(numbers: NDArray[Any], count: int) -> NDArray[np.int64]:
    """(d,) the different ones among integers in [0, count), ascending."""
    occurs = np.zeros(count, dtype=np.bool_)
    occurs[numbers] = True
    return np.flatnonzero(occurs)


def _placed(column: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """(n,) int64 in the order of the values, from 0, and how many bits they need."""
    if not column.size:
        return column.astype(np.int64), 0
    least = int(column.min())
    bits = (int(column.max()) - least).bit_length()
    return (column.astype(np.int64) - least, bits) if bits <= MOST_BITS else _ranked(column)


def _ranked(column: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """(n,) int64, the rank of each value among the different ones, and how many bits they need."""
    ranks = np.unique(column, return_inverse=True)[1].reshape(-1)
    return ranks, int(ranks.max(initial=0)).bit_length()
