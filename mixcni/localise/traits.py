"""What the conversations that failed on a hop have in common, and those that passed it have not, with the chance of an accident.

Each trait is held against those that passed by Fisher's exact test, one-sided; of many that are tried one is found by accident,
so that its chance counts as often as traits were tried (Bonferroni).
"""

import ipaddress
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.localise.atoms import Atoms
from mixcni.schema import Direction
from mixcni.tables import AddressBook

MOST_CHANCE: Final = 0.01
PREFIXES: Final = {4: 24, 6: 64}  # a node's share of the pods' addresses, as clusters are commonly cut


@dataclass(frozen=True, slots=True)
class Trait:
    """What failing conversations have in common.

    what : `source`, `source network`, `responder`, `responder port`, `tunnel` or `segments larger than`
    value : as text; failing, others : how many of those that failed and of those that passed have it; chance : of an accident
    """

    what: str
    value: str
    failing: int
    others: int
    chance: float


def at_least_so_many(both: int, having: int, failing: int, total: int) -> float:
    """Fisher's exact test: the chance that `both` or more of `failing` have what `having` of `total` have."""
    from scipy.special import gammaln

    def choices(n: Any, k: Any) -> Any:
        return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)

    k = np.arange(both, min(having, failing) + 1)
    k = k[failing - k <= total - having]
    terms = choices(having, k) + choices(total - having, failing - k) - choices(total, failing)
    return min(1.0, float(np.exp(terms).sum()))


def common_traits(alignment: Alignment, near: int, failing: NDArray[np.int64], others: NDArray[np.int64]) -> tuple[Trait, ...]:
    """The traits of conversations that failed, the most telling first; none where none is no accident.

    Parameters
    ----------
    near : the position of the hop's nearer point, as which sees addresses and tunnels they are taken
    failing, others : rows of conversations that failed on the hop, and of those that passed it
    """
    found = []
    tried = 0
    for what, values in _values(alignment, near, np.concatenate([failing, others])):
        bad, good = Counter(values[: failing.size]), Counter(values[failing.size :])
        for value in sorted(bad.keys() - {""}):
            chance = at_least_so_many(bad[value], bad[value] + good[value], failing.size, len(values))
            found.append(Trait(what, value, bad[value], good[value], chance))
            tried += 1
    told = [Trait(t.what, t.value, t.failing, t.others, t.chance * tried) for t in found if t.chance * tried <= MOST_CHANCE]
    return tuple(sorted(told, key=lambda trait: (trait.chance, trait.what, trait.value)))


def _values(alignment: Alignment, near: int, rows: NDArray[np.int64]) -> Iterator[tuple[str, list[str]]]:
    """Each kind of trait, and its value for each conversation as `near` sees it; empty where that point did not."""
    conversations = alignment.conversations
    ends, book = conversations.ends, conversations.book
    sources, responders = ends.initiator[rows, near], ends.responder[rows, near]
    seen = sources >= 0
    yield "source", _texts(book, sources)
    yield "source network", _networks(book, sources)
    yield "responder", _texts(book, responders)
    ports = ends.responder_port[rows, near].tolist()
    yield "responder port", [str(port) if there else "" for port, there in zip(ports, seen.tolist(), strict=True)]
    tunnels = alignment.points[near].tunnels()
    yield "tunnel", [tunnels[flow] if flow >= 0 else "" for flow in conversations.flow_of[rows, near].tolist()]


def _texts(book: AddressBook, codes: NDArray[np.int32]) -> list[str]:
    return [book.text(code) if code >= 0 else "" for code in codes.tolist()]


def _networks(book: AddressBook, codes: NDArray[np.int32]) -> list[str]:
    known: dict[int, str] = {-1: ""}
    for code in np.unique(codes[codes >= 0]).tolist():
        address = book.address(code)
        known[code] = str(ipaddress.ip_network((address, PREFIXES[address.version]), strict=False))
    return [known[code] for code in codes.tolist()]


def size_trait(
    atoms: Atoms, passed: NDArray[np.bool_], hop: tuple[int, int], direction: Direction, failing: Sequence[int]
) -> Trait | None:
    """That all segments which failing conversations lost on a hop were larger than any that passed it; None where they were not.

    So a path looks whose MTU is smaller than its ends believe, and which does not say so, or is not heard (RFC 2923 section 2.1).

    Parameters
    ----------
    passed : (a, p) whether each atom is known to have been at each point
    hop : positions of its points in the direction in which the segments went
    failing : rows of conversations
    """
    rows = np.flatnonzero((atoms.point == hop[0]) & (atoms.stop > atoms.begin))
    rows = rows[atoms.direction[atoms.begin[rows]] == direction]
    begin, octets = atoms.begin[rows], atoms.end[atoms.stop[rows] - 1] - atoms.start[atoms.begin[rows]]
    there = passed[begin, hop[1]]
    gone = ~there & np.isin(atoms.stream[begin] // 2, failing)
    if not gone.any() or not there.any():
        return None
    largest = int(octets[there].max())
    if int(octets[gone].min()) <= largest:
        return None
    lost, arrived = int(np.unique(begin[gone]).size), int(there.sum())
    chance = math.exp(math.lgamma(lost + 1) + math.lgamma(arrived + 1) - math.lgamma(lost + arrived + 1))
    return Trait("segments larger than", f"{largest} octets", lost, 0, chance) if chance <= MOST_CHANCE else None
