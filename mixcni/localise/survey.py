"""What all transmissions together say of each conversation, read once: flags, extents, acknowledgments and closings."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align import Alignment
from mixcni.kernels.jit import run
from mixcni.localise.atoms import NEVER
from mixcni.localise.kernel import survey_transmissions
from mixcni.schema import Direction, TcpFlag


class SurveyedColumns(NamedTuple):
    """The columns of a TransmissionTable that the survey reads."""

    conversation: NDArray[np.int32]
    point: NDArray[np.uint16]
    direction: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    tcp_flags: NDArray[np.uint8]
    time_ns: NDArray[np.int64]


class SurveyArrays(NamedTuple):
    """What the survey writes, in one dimension each; as in Survey."""

    tcp_flags: NDArray[np.uint8]
    came: NDArray[np.bool_]
    extent: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    closed_ns: NDArray[np.int64]
    closing: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Survey:
    """What was transmitted of conversations c at points p, by direction.

    tcp_flags : (c, p, 2) uint8, all flags that any segment had
    came : (c, p, 2) bool, whether there was anything but resets
    extent : (c, p, 2) int64, stream offset, exclusive, up to which octets were seen, a FIN not counted; 0 of none
    acknowledged : (2 * c,) int64, per stream the highest offset that its receiver acknowledged at any point, other than by
        a reset, which proves nothing; -1 none
    closed_ns : (c,) int64, when the initiator was first seen to close or reset, on the common clock; NEVER without
    closing : (c,) int64, stream offset of the responder's FIN, the octets before which it has sent; -1 without
    resets : (k,) int64, rows of the transmissions that are resets
    """

    tcp_flags: NDArray[np.uint8]
    came: NDArray[np.bool_]
    extent: NDArray[np.int64]
    acknowledged: NDArray[np.int64]
    closed_ns: NDArray[np.int64]
    closing: NDArray[np.int64]
    resets: NDArray[np.int64]

    @property
    def heard(self) -> NDArray[np.bool_]:
        """(c, p, 2) whether there was anything."""
        return np.asarray(self.came | ((self.tcp_flags & TcpFlag.RST) != 0))


def survey_of(alignment: Alignment) -> Survey:
    """The survey of all transmissions."""
    table, count = alignment.transmissions, len(alignment.conversations)
    shape = count, len(alignment.points), len(Direction)
    cells = count * len(alignment.points) * len(Direction)
    found = SurveyArrays(
        tcp_flags=np.zeros(cells, dtype=np.uint8),
        came=np.zeros(cells, dtype=np.bool_),
        extent=np.zeros(cells, dtype=np.int64),
        acknowledged=np.full(2 * count, -1, dtype=np.int64),
        closed_ns=np.full(count, NEVER, dtype=np.int64),
        closing=np.full(count, -1, dtype=np.int64),
    )
    columns = SurveyedColumns(**{name: table[name] for name in SurveyedColumns._fields})
    run(survey_transmissions, len(table), columns, shape[1], found)
    return Survey(
        tcp_flags=found.tcp_flags.reshape(shape),
        came=found.came.reshape(shape),
        extent=found.extent.reshape(shape),
        acknowledged=found.acknowledged,
        closed_ns=found.closed_ns,
        closing=found.closing,
        resets=np.flatnonzero(table["tcp_flags"] & TcpFlag.RST),
    )
