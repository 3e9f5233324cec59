"""Whether two shares of failed conversations differ by more than chance: Fisher's exact test.

R. A. Fisher, The Design of Experiments (1935), chapter 2: with the margins of a 2x2 table given, its cells follow the
hypergeometric distribution, however few conversations there are.
"""

from typing import Final

LEVEL: Final = 0.05
MOST: Final = 100_000  # conversations: more are not asked for


def chance_of(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Chance of shares that differ as much or more, were there no difference (two-sided).

    Parameters
    ----------
    before, after : conversations that failed, and all of them
    """
    import numpy as np
    from scipy.stats import fisher_exact

    table = np.array([[failed, total - failed] for failed, total in (before, after)])
    return float(fisher_exact(table).pvalue)


def enough_after(failed: int, total: int) -> int | None:
    """How many conversations without a failure it takes after `failed` of `total` before, to be no chance; None: too many."""
    low, high = 1, MOST
    if chance_of((failed, total), (0, high)) > LEVEL:
        return None
    while low < high:
        middle = (low + high) // 2
        if chance_of((failed, total), (0, middle)) <= LEVEL:
            high = middle
        else:
            low = middle + 1
    return low
