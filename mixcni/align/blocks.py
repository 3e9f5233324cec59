"""What streams carry, in blocks of 64 octets of sequence space: the same octets at one sequence number are one connection's.

Blocks stand where the sequence numbers say, not where a packet begins, so that no re-segmentation changes them.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from mixcni.align.united import MASK, UnitedFlows
from mixcni.decode.payloads import payloads_again

BLOCK: Final = 64  # octets
LEAST_VARIED: Final = 8  # different octets in a block; padding of zeros or blanks is anybody's
MOST_READ: Final = 100_000  # packets whose payload is looked at

Blocks = Mapping[tuple[int, int], bytes]  # by direction, and sequence number over BLOCK


class Agreement(NamedTuple):
    """How many blocks two conversations both have at one place: with the same octets, and with others."""

    same: int
    other: int


def compare_blocks(every: UnitedFlows, pairs: Sequence[tuple[Sequence[int], Sequence[int], bool]]) -> list[Agreement]:
    """How the payloads of two conversations agree, a pair each; nothing does where captures cannot be read again.

    Parameters
    ----------
    pairs : the flows of the one and of the other, as rows of `every`, and whether they stand the other way round
    """
    rows = sorted({row for one, other, _ in pairs for row in (*one, *other)})
    blocks = _blocks(every, rows)
    found = []
    for one, other, turned in pairs:
        mine, theirs = ({at: block for row in of for at, block in blocks[row].items()} for of in (one, other))
        placed = ((block, theirs.get((direction ^ turned, place))) for (direction, place), block in mine.items())
        alike = [block == its for block, its in placed if its is not None]
        found.append(Agreement(sum(alike), len(alike) - sum(alike)))
    return found


def _blocks(every: UnitedFlows, rows: Sequence[int]) -> dict[int, Blocks]:
    """The blocks of each flow."""
    found: dict[int, dict[tuple[int, int], bytes]] = {row: {} for row in rows}
    left = MOST_READ
    for point, flows in enumerate(every.points):
        mine = [row for row in rows if every.point[row] == point]
        segments = flows.segments
        wanted = np.isin(segments["flow"], every.flow[mine]) & (segments["copy_of"] < 0)
        wanted &= flows.packets["payload_octets"][segments["packet"]] > 0
        kept = np.flatnonzero(wanted)[:left]
        left -= kept.size
        packet = segments["packet"][kept]
        payloads = payloads_again(flows.packets, packet) if kept.size else None
        if payloads is None:
            continue
        places = (segments["flow"][kept] + every.first_row[point]).tolist(), segments["direction"][kept].tolist()
        for row, direction, seq, octets in zip(*places, flows.packets["seg_seq"][packet].tolist(), payloads, strict=True):
            found[row].update({(direction, place): block for place, block in _cut(seq, octets).items()})
    return dict(found)


def _cut(seq: int, octets: bytes) -> dict[int, bytes]:
    """The whole blocks of one segment that say something, by their place in sequence space."""
    starts = range(-seq % BLOCK, len(octets) - BLOCK + 1, BLOCK)
    blocks = {((seq + at) & int(MASK)) // BLOCK: octets[at : at + BLOCK] for at in starts}
    return {place: block for place, block in blocks.items() if len(set(block)) >= LEAST_VARIED}
