"""Packets as rows of plain integers, and tables made of them: what tracking reads, without frames around it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mixcni.decode import PacketTable
from mixcni.flows import FlowTable, track_flows
from mixcni.schema import PACKETS, Layer
from mixcni.tables import AddressBook
from tests.wire import flag_octet

FIN, SYN, RST, ACK = 1, 2, 4, 16
LAYER_OF = {6: Layer.TCP, 17: Layer.UDP, 1: Layer.ICMP, 58: Layer.ICMPV6}
ENDS = (0, 40_000), (1, 80)
"""Initiator and responder of `said`: address code and port."""


class Row(NamedTuple):
    """What tracking reads of one packet; `a` and `b` are the address codes of source and destination."""

    a: int
    a_port: int
    b: int
    b_port: int
    protocol: int = 6
    flags: int = ACK
    seq: int = 0
    ack: int = 0
    payload: int = 0
    window: int = 65_535
    time_ns: int = 0


def table_of(rows: Sequence[Row]) -> PacketTable:
    """A packet table of these rows; the columns that tracking does not read are 0."""
    names = {
        "source": "a", "source_port": "a_port", "destination": "b", "destination_port": "b_port", "protocol": "protocol",
        "tcp_flags": "flags", "seg_seq": "seq", "seg_ack": "ack", "payload_octets": "payload", "seg_wnd": "window",
        "time_ns": "time_ns",
    }  # fmt: skip
    columns = {name: np.zeros(len(rows), dtype=column.dtype) for name, column in PACKETS.items()}
    for name, attribute in names.items():
        columns[name][:] = [getattr(row, attribute) for row in rows]
    columns["present"][:] = [LAYER_OF.get(row.protocol, 0) for row in rows]
    columns["frame_number"][:] = np.arange(1, len(rows) + 1)
    return PacketTable(columns, AddressBook(np.arange(4 * 16, dtype=np.uint32).reshape(-1, 4)))


def rows_of(table: PacketTable) -> list[Row]:
    """The rows of a packet table; a packet without a layer of transport has protocol 0."""
    columns = (
        "source", "source_port", "destination", "destination_port", "protocol", "tcp_flags", "seg_seq", "seg_ack",
        "payload_octets", "seg_wnd", "time_ns",
    )  # fmt: skip
    rows = [Row(*map(int, values)) for values in zip(*(table[name] for name in columns), strict=True)]
    transport = (Layer.TCP | Layer.UDP | Layer.ICMP | Layer.ICMPV6).value
    return [row if int(p) & transport else row._replace(protocol=0) for row, p in zip(rows, table["present"], strict=True)]


def as_rows(table: Any) -> list[dict[str, int]]:
    """A table as a list of dicts of integers."""
    columns = {name: table[name].tolist() for name in table.schema}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def said(
    side: int,
    flags: str,
    seq: int,
    ack: int = 0,
    payload: int = 0,
    *,
    window: int = 64,
    iss: int = 1000,
    irs: int = 5000,
    time_ns: int = 0,
    ends: tuple[tuple[int, int], tuple[int, int]] = ENDS,
) -> Row:
    """A segment of the initiator (side 0) or responder (1) whose SEQ and ACK are stream offsets."""
    own, other = (iss, irs) if side == 0 else (irs, iss)
    octet = flag_octet(flags)
    number = (ack + other) % 2**32 if octet & ACK else 0
    return Row(*ends[side], *ends[1 - side], 6, octet, (seq + own) % 2**32, number, payload, window, time_ns)


def handshake(**more: Any) -> list[Row]:
    """SYN, SYN-ACK, ACK."""
    return [said(0, "S", 0, **more), said(1, "SA", 0, 1, **more), said(0, "A", 1, 1, **more)]


def tracked(rows: Sequence[Row]) -> FlowTable:
    """The flows of these rows."""
    return track_flows(table_of(rows))


def column(flows: FlowTable, name: str) -> list[Any]:
    """A column of the segments, or else of the flows, as a list."""
    table: Any = flows.segments if name in flows.segments.schema else flows
    values: list[Any] = table[name].tolist()
    return values
