"""Which rows are alike, and in which order they stand: by sorting one integer a row, or by counting; tuples are not compared."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.kernels.jit import i64, kernel, run

MOST_BITS: Final = 63  # of an int64 that is not negative


def numbered(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the number of each row among the different rows, in the order of the first column, then the second and so on.

    Parameters
    ----------
    columns : (n,) integers each
    """
    return _ranked(*_packed(columns))[0]


def in_order(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) the rows in the order of the first column, then the second and so on; equal ones stay in theirs.

    Parameters
    ----------
    columns : (n,) integers each
    """
    return _sorted(*_packed(columns), keep=True)[1]


def grouped(number: NDArray[Any], count: int, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of `order` group by group, those of a group in the order given; and (count,) where each group begins.

    Parameters
    ----------
    number : (n,) the group of each row, in [0, count)
    order : (m,) rows, each once
    """
    sizes = np.bincount(number[order], minlength=count)
    begin = np.cumsum(sizes) - sizes
    rows = np.empty(order.size, dtype=np.int64)
    run(place_in_groups, order.size, number, order, begin.copy(), rows)
    return rows, begin


@kernel
def place_in_groups(number, order, following, rows):
    """Write each row of `order` at the place of its group that follows; `following` is where each group's next row goes."""
    for i in range(len(order)):
        row = i64(order[i])
        group = i64(number[row])
        place = i64(following[group])
        rows[place] = row
        following[group] = place + 1


def ranks(number: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) how many rows before each have the same number."""
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    rank = np.empty(number.size, dtype=np.int64)
    rank[order] = np.arange(number.size) - np.searchsorted(ordered, ordered)
    return rank


def distinct(numbers: NDArray[Any], count: int) -> NDArray[np.int64]:
    """(d,) the different ones among integers in [0, count), ascending."""
    return np.flatnonzero(occurring(numbers, count))


def occurring(numbers: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """(count,) whether each of the integers in [0, count) is among the numbers."""
    occurs = np.zeros(count, dtype=np.bool_)
    occurs[numbers] = True
    return occurs


def _packed(columns: tuple[NDArray[Any], ...]) -> tuple[NDArray[np.int64], int]:
    """(n,) int64 in the order of the rows, from 0, equal where they are; and how many bits these need."""
    key, bits = _placed(columns[0])
    for column in columns[1:]:
        place, width = _placed(column)
        if bits + width > MOST_BITS:
            key, bits = _ranked(key, bits)
        if bits + width > MOST_BITS:
            place, width = _ranked(place, width)
        key, bits = key << width | place, bits + width
    return key, bits


def _placed(column: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """(n,) int64 in the order of the values, from 0, and how many bits they need."""
    if not column.size:
        return column.astype(np.int64), 0
    least = int(column.min())
    bits = (int(column.max()) - least).bit_length()
    return (column.astype(np.int64) - least, bits) if bits <= MOST_BITS else _ranked(column, bits)


def _sorted(key: NDArray[Any], bits: int, *, keep: bool) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values in order, and the rows where they stand: sorted together with those, which is faster, where they fit 63 bits.

    `keep` : equal ones stay in their order
    """
    width = max(key.size - 1, 0).bit_length()
    if bits + width > MOST_BITS:
        rows = np.argsort(key, kind="stable" if keep else None)
        return key[rows], rows
    tagged = key << width
    tagged |= np.arange(key.size)
    tagged.sort()
    rows = tagged & ((1 << width) - 1)
    tagged >>= width
    return tagged, rows


def _ranked(key: NDArray[Any], bits: int) -> tuple[NDArray[np.int64], int]:
    """(n,) int64, the rank of each value among the different ones, and how many bits these need."""
    ordered, rows = _sorted(key, bits, keep=False)
    ranks = np.empty(key.size, dtype=np.int64)
    ranks[rows] = np.cumsum(np.append(False, ordered[1:] != ordered[:-1])[: key.size])
    return ranks, int(ranks.max(initial=0)).bit_length()
