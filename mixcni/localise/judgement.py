"""Whether what is unseen beyond a hop was lost on it, or passed and was missed by the capture there: two hypotheses, weighed.

A capture that misses one packet in twenty lacks some of many; so a loss is called one only where the hop's losing explains what
was seen better than the capture's missing does, with what other exchanges on the hop show taken into account (Bayes factor).
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_DOUBT: Final = 0.05  # a hop is not said to lose while the chance that it loses nothing is this or more
MOST_OWN_DOUBT: Final = 0.5  # on a hop that loses, an exchange is not called lost if its capture more likely missed it
EVEN: Final = 0.5  # prior of a hop that loses, where it alone explains why exchanges failed
SECOND: Final = 0.05  # where others that failed did arrive, so that something beyond explains those: two faults at once are rare
SHARES: Final = (np.arange(400) + 0.5) / 400  # that a hop may lose: none is likelier than another
LEAST_CHANCE: Final = 1e-300
LEAST_DOUBT: Final = 1e-6  # beside all that is counted here a model may be wrong


def judge_hop(chance: NDArray[np.float64], arrived: int, all_missed: float) -> tuple[float, NDArray[np.float64]]:
    """The doubt that a hop loses anything, and the doubt about each exchange.

    Parameters
    ----------
    chance : (n,) of each unseen exchange, that the far capture missed it if it passed
    arrived : how many others on the hop failed as well, and were seen at its far point
    all_missed : chance that the capture missed every copy of the unseen ones

    Returns
    -------
    the posterior of a hop that loses nothing, and (n,) for each exchange that the capture missed it, not less than the former
    """
    unseen = chance.size
    if not unseen:
        return 1.0, chance
    prior = SECOND if arrived else EVEN
    values, times = np.unique(chance, return_counts=True)
    passing = 1 - SHARES
    gone = (times * np.log(SHARES[:, None] + passing[:, None] * values)).sum(axis=1) + arrived * np.log(passing)
    highest = float(gone.max())
    log_loss = highest + math.log(float(np.exp(gone - highest).mean()))
    log_odds = math.log(prior / (1 - prior)) + log_loss - math.log(max(all_missed, LEAST_CHANCE))
    none = max(LEAST_DOUBT, 1 / (1 + math.exp(min(log_odds, 700.0))))
    lost = max(0.0, (unseen - float(chance.sum())) / (unseen + arrived))
    missed = chance * (1 - lost)
    return none, np.maximum(missed / np.maximum(missed + lost, LEAST_CHANCE), none)
