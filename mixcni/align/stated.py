"""Which conversations NAT and conntrack tables state to be one: hints, that raise what packets say and never replace it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.united import UnitedFlows
from mixcni.topology import Address, Translation

MOST_OF_KEY: Final = 64  # conversations under one key; of more, a table of one moment says nothing of each

Key = tuple[int, int, int]  # the lower and the higher end, each an address code and a port, and the protocol


class Statement(NamedTuple):
    """What a table says of two conversations.

    turned : whether they stand the other way round than each other
    """

    translation: Translation
    turned: bool


def stated_pairs(
    every: UnitedFlows, best: NDArray[np.int64], translations: Sequence[Translation]
) -> Mapping[tuple[int, int], Statement]:
    """The pairs of conversations (lower, higher) that a table states to be one, with what it says.

    Parameters
    ----------
    every : the flows of all points
    best : (k,) the flow that tells most of each conversation
    """
    if not translations:
        return {}
    wanted = {end[0] for each in translations for ends in (each.before, each.behind) for end in ends}
    codes = {address: code for code in range(len(every.book)) if (address := every.book.address(code)) in wanted}
    keys = [(_key(each.protocol, each.before, codes), _key(each.protocol, each.behind, codes)) for each in translations]
    numbers = _numbers(every, best, {key for pair in keys for key in pair if key is not None})
    found: dict[tuple[int, int], Statement] = {}
    for translation, (before, behind) in zip(translations, keys, strict=True):
        if before is None or behind is None or before == behind:
            continue
        for one, other in _pairs(numbers[before], numbers[behind]):
            flips = [
                _initiator(every, int(best[number])) != _code(ends[0], codes)
                for number, ends in ((one, translation.before), (other, translation.behind))
            ]
            found[min(one, other), max(one, other)] = Statement(translation, flips[0] != flips[1])
    return found


def _pairs(ones: Sequence[int], others: Sequence[int]) -> Iterator[tuple[int, int]]:
    if max(len(ones), len(others)) <= MOST_OF_KEY:
        yield from ((one, other) for one in ones for other in others)


def _code(end: tuple[Address, int], codes: Mapping[Address, int]) -> int:
    """An end as one number; -1 where no capture has its address."""
    return codes[end[0]] << 16 | end[1] if end[0] in codes else -1


def _key(protocol: int, ends: tuple[tuple[Address, int], ...], codes: Mapping[Address, int]) -> Key | None:
    low, high = sorted(_code(end, codes) for end in ends)
    return (low, high, protocol) if low >= 0 else None


def _initiator(every: UnitedFlows, row: int) -> int:
    return int(every.initiator[row]) << 16 | int(every.initiator_port[row])


def _numbers(every: UnitedFlows, best: NDArray[np.int64], wanted: set[Key]) -> Mapping[Key, list[int]]:
    """The conversations of each wanted key."""
    here = every.initiator[best].astype(np.int64) << 16 | every.initiator_port[best]
    there = every.responder[best].astype(np.int64) << 16 | every.responder_port[best]
    low, high = np.minimum(here, there), np.maximum(here, there)
    numbers: dict[Key, list[int]] = defaultdict(list)
    for number in np.flatnonzero(np.isin(low, [key[0] for key in wanted])).tolist():
        key = int(low[number]), int(high[number]), int(every.protocol[best[number]])
        if key in wanted:
            numbers[key].append(number)
    return numbers
