"""Which question each datagram belongs to, where messages carry an identifier: DNS queries and ICMP echoes.

A resolver's client asks for A and AAAA at once from one port, and a busy one asks much from one port: which of its questions a
reply answers, its identifier tells (RFC 5452 section 9.1, RFC 792).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixcni.align.alike import Datagrams
from mixcni.exchanges import ExchangeTable
from mixcni.flows import FlowTable
from mixcni.schema import ExchangeKind

TELLING: Final = (ExchangeKind.DNS, ExchangeKind.ECHO)
NO_QUESTION: Final = 0


def number_questions(
    points: Sequence[FlowTable], rows: Datagrams, exchanges: Sequence[ExchangeTable]
) -> NDArray[np.int32] | None:
    """(n,) the number of each datagram's question, from 1; NO_QUESTION where no point's messages tell, None where none tell any.

    Parameters
    ----------
    points : one FlowTable a point, in path order
    rows : the datagrams of all points
    exchanges : one ExchangeTable a point; none where they are not known
    """
    found: NDArray[np.int32] | None = None
    numbers: dict[tuple[int, int, str, str], int] = {}
    for point, (flows, table) in enumerate(zip(points, exchanges, strict=False)):
        details = table.details
        telling = np.flatnonzero(np.isin(table["kind"][details["exchange"]], TELLING))
        if not telling.size:
            continue
        of_packet = np.full(len(flows.packets), NO_QUESTION, dtype=np.int32)
        for row in telling.tolist():
            exchange = int(details["exchange"][row])
            kind, identifier = int(table["kind"][exchange]), int(details["identifier"][row])
            name = details.text("target", row).lower()  # RFC 4343
            number = numbers.setdefault((kind, identifier, name, details.text("method", row)), len(numbers) + 1)
            for packet in (int(table["request_packet"][exchange]), int(table["response_packet"][exchange])):
                if packet >= 0:
                    of_packet[packet] = number
        found = np.full(rows.packet.size, NO_QUESTION, dtype=np.int32) if found is None else found
        mine = rows.point == point
        found[mine] = of_packet[rows.packet[mine]]
    return found
