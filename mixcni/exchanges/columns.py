"""Messages as columns: what a protocol's reader found, ready to stand in the tables of this stage."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.exchanges.messages import Found
from mixcni.exchanges.tables import TEXTS

Codes = dict[str, int]
"""The code of each text, in the order of the codes; the empty one's is 0."""


class Messages(NamedTuple):
    """Exchanges of known protocols, (n,) each; texts (method to traceparent) are codes.

    flow, number : which exchange of which flow; the others as in mixcni.exchanges.messages.Found, spans by their bounds
    """

    flow: NDArray[np.int64]
    number: NDArray[np.int64]
    kind: NDArray[np.int64]
    request_start: NDArray[np.int64]
    request_end: NDArray[np.int64]
    response_start: NDArray[np.int64]
    response_end: NDArray[np.int64]
    request_packet: NDArray[np.int64]
    response_packet: NDArray[np.int64]
    method: NDArray[np.int64]
    target: NDArray[np.int64]
    host: NDArray[np.int64]
    request_id: NDArray[np.int64]
    traceparent: NDArray[np.int64]
    status: NDArray[np.int64]
    grpc_status: NDArray[np.int64]
    interim: NDArray[np.int64]
    identifier: NDArray[np.int64]
    is_missed: NDArray[np.int64]
    again: NDArray[np.int64]

    @classmethod
    def of(cls, found: Sequence[tuple[int, int, Found]], codes: Codes) -> "Messages":
        """Those of (flow, number, exchange), whose texts are entered in `codes`."""
        rows = [
            (
                flow, number, one.kind, *one.request, *one.response, one.request_packet, one.response_packet,
                *(codes.setdefault(getattr(one, name), len(codes)) for name in TEXTS),
                one.status, one.grpc_status, one.interim, one.identifier, one.is_missed, one.again,
            )
            for flow, number, one in found
        ]  # fmt: skip
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, len(cls._fields)).T)

    @classmethod
    def joined(cls, parts: Sequence["Messages"]) -> "Messages":
        """All of some, in their order."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def part(self, rows: NDArray[np.int64]) -> "Messages":
        """Some of them, by their rows."""
        return Messages(*(column[rows] for column in self))
