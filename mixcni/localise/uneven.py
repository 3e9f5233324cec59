"""Pieces of streams that two neighbouring points saw differently often: copies lost on a hop, or missed by a capture."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mixcni.localise.atoms import NEVER, Atoms


@dataclass(frozen=True, slots=True)
class Uneven:
    """One row a piece and hop, of those that both points of the hop watched.

    near : (n,) int64, position of the hop's nearer point; its other one is the next
    stream, start, end : (n,) int64, 2 * conversation + direction, and stream offsets
    sent, seen : (n,) int64, copies at the hop's upper and lower end, by the stream's direction
    passed : (n,) bool, whether the piece is known to have been at the lower end
    first_ns : (n,) int64, when its first copy was at the upper end; NEVER where none was
    late_ns : (n,) int64, how much longer than usual its first copy at the lower end took from there; 0 where nothing tells
    """

    near: NDArray[np.int64]
    stream: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    sent: NDArray[np.int64]
    seen: NDArray[np.int64]
    passed: NDArray[np.bool_]
    first_ns: NDArray[np.int64]
    late_ns: NDArray[np.int64]

    def where(self, mask: NDArray[np.bool_]) -> "Uneven":
        """Some of the rows."""
        return Uneven(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    @classmethod
    def joined(cls, parts: list["Uneven"]) -> "Uneven":
        """All rows of these, none where there are none."""
        types = {"passed": np.bool_}
        empty = {field.name: [np.empty(0, dtype=types.get(field.name, np.int64))] for field in fields(cls)}
        return cls(**{name: np.concatenate([*none, *(getattr(part, name) for part in parts)]) for name, none in empty.items()})


def find_uneven(atoms: Atoms, rows: NDArray[np.int64], up: int, down: int, passed: NDArray[np.bool_]) -> Uneven:
    """The uneven pieces among `rows` of the atoms, all of one direction, on one hop.

    Parameters
    ----------
    up, down : positions of the hop's points in the order in which these pieces went
    passed : (a, p) whether each atom is known to have been at each point
    """
    sent, seen = atoms.counts[rows, up], atoms.counts[rows, down]
    kept, once = rows[sent != seen], rows[(sent == 1) & (seen == 1)]
    first, arrived = atoms.first_ns[kept, up], atoms.first_ns[kept, down]
    both = (first != NEVER) & (arrived != NEVER)
    took = np.where(both, arrived, 0) - np.where(both, first, 0)
    late = np.zeros(kept.size, dtype=np.int64)
    if both.any() and once.size:
        late[both] = took[both] - np.int64(np.median(atoms.first_ns[once, down] - atoms.first_ns[once, up]))
    return Uneven(
        near=np.full(kept.size, min(up, down), dtype=np.int64),
        stream=atoms.stream[kept],
        start=atoms.start[kept],
        end=atoms.end[kept],
        sent=atoms.counts[kept, up].astype(np.int64),
        seen=atoms.counts[kept, down].astype(np.int64),
        passed=passed[kept, down],
        first_ns=first,
        late_ns=late,
    )
