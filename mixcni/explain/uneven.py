"""The packets that carried pieces of streams which two points saw differently often."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.explain.suspects import Facts
from mixcni.localise.uneven import Uneven

SHOWN: Final = 12  # pieces whose packets are looked up


def packets_of(facts: Facts, pieces: Uneven, position: int) -> NDArray[np.int64]:
    """Rows of a point's packet table that carry the first few of these pieces, each piece's first copy."""
    table = facts.localisation.alignment.transmissions
    shown = pieces.where(np.arange(pieces.near.size) < SHOWN)
    here = np.flatnonzero((table["point"] == position) & np.isin(table["conversation"], shown.stream // 2))
    stream = table["conversation"][here].astype(np.int64) * 2 + table["direction"][here]
    start, end = table["start"][here], table["end"][here]
    found = []
    for of, first, last in zip(shown.stream.tolist(), shown.start.tolist(), shown.end.tolist(), strict=True):
        carrying = np.flatnonzero((stream == of) & (start < last) & (end > first))
        found.extend(table["packet"][here[carrying[:1]]].tolist())
    return np.array(found, dtype=np.int64)
