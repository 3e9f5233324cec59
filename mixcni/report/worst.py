"""Which conversations a person should look at first: some of each loss, the main one first, then of each other trouble."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mixcni.localise import Localisation
from mixcni.schema import Fate

OTHER_TROUBLE = (Fate.REFUSED, Fate.SILENT, Fate.UNDECIDED)


def troubled(localisation: Localisation) -> Iterator[NDArray[np.int64]]:
    """Conversations that have the same trouble, (n,) rows of the conversation table, those with most lost copies first."""
    fates = localisation.fates
    for loss in localisation.losses:
        yield _by_copies(localisation, loss.fates)
    for fate in OTHER_TROUBLE:
        rows = np.flatnonzero((fates["fate"] == fate) & (fates["near"] < 0))
        for reason in np.unique(fates["reason"][rows]).tolist():
            yield _by_copies(localisation, rows[fates["reason"][rows] == reason])


def worst_conversations(localisation: Localisation, limit: int, each: int | None = None) -> list[int]:
    """Rows of the conversation table, the worst first, none twice.

    Parameters
    ----------
    limit : at most so many in all
    each : at most so many with the same trouble
    """
    found: dict[int, None] = {}
    for conversations in troubled(localisation):
        found.update(dict.fromkeys([c for c in conversations.tolist() if c not in found][:each]))
    return list(found)[:limit]


def _by_copies(localisation: Localisation, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    fates = localisation.fates
    conversations, inverse = np.unique(fates["conversation"][rows].astype(np.int64), return_inverse=True)
    copies = np.bincount(inverse, weights=fates["copies"][rows], minlength=conversations.size)
    return conversations[np.argsort(-copies, kind="stable")]
