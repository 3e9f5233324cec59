"""Which frames of which files show an exchange."""

import numpy as np
from numpy.typing import NDArray

from mixcni.localise import Localisation
from mixcni.schema import Direction


class FrameIndex:
    """The frames that carry octets of an exchange, found without a walk over all segments."""

    def __init__(self, localisation: Localisation) -> None:
        self._localisation = localisation
        table = localisation.alignment.transmissions
        rows = np.flatnonzero(table["end"] > table["start"])
        stream = table["conversation"][rows].astype(np.int64) * 2 + table["direction"][rows]
        order = np.argsort(stream, kind="stable")
        self._rows, self._stream = rows[order], stream[order]

    def transmissions(self, conversation: int, direction: Direction, start: int, end: int) -> NDArray[np.int64]:
        """Rows of the transmission table that carry an octet of [start, end), point after point in file order."""
        stream = 2 * conversation + direction
        first, last = np.searchsorted(self._stream, [stream, stream + 1])
        rows = self._rows[first:last]
        table = self._localisation.alignment.transmissions
        return rows[(table["start"][rows] < end) & (table["end"][rows] > start)]

    def frames(self, row: int) -> dict[str, list[int]]:
        """Frame numbers of the exchange in row `row` of the fate table: by point; by file where a point has several."""
        fates = self._localisation.fates
        conversation = int(fates["conversation"][row])
        request, response = (
            self.transmissions(conversation, direction, int(fates[f"{name}_start"][row]), int(fates[f"{name}_end"][row]))
            for direction, name in ((Direction.FORWARD, "request"), (Direction.REVERSE, "response"))
        )
        found = self._by_file(np.concatenate([request, response]))
        for position, packets in enumerate(self._localisation.refusals.icmp_packet[conversation]):
            if packets >= 0:
                name, number = self._place(position, int(packets))
                found[name] = sorted({*found[name], number})
        return found

    def _by_file(self, rows: NDArray[np.int64]) -> dict[str, list[int]]:
        table = self._localisation.alignment.transmissions
        found: dict[str, list[int]] = {}
        for position, point in enumerate(self._localisation.points):
            packets = self._localisation.alignment.points[position].packets
            if len(packets.files) <= 1:
                found[point.name] = []
            else:
                found.update((file.name, []) for file in packets.files)
        for position, packet in zip(table["point"][rows].tolist(), table["packet"][rows].tolist(), strict=True):
            name, number = self._place(position, packet)
            found[name].append(number)
        return {name: sorted(set(numbers)) for name, numbers in found.items()}

    def _place(self, position: int, packet: int) -> tuple[str, int]:
        packets = self._localisation.alignment.points[position].packets
        name = self._localisation.points[position].name
        if len(packets.files) > 1:
            name = packets.files[int(packets["file"][packet])].name
        return name, int(packets["frame_number"][packet])
