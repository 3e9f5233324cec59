"""Packets as rows of plain integers, and tables made of them: what tracking reads, without frames around it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mixcni.decode import PacketTable
from mixcni.decode.packets import OptionTable
from mixcni.decode.stacks import StackTable
from mixcni.flows import FlowTable, track_flows
from mixcni.schema import OPTIONS, PACKETS, Encapsulation, Layer, OptionFlag
from mixcni.tables import AddressBook
from tests.wire import flag_octet

FIN, SYN, RST, ACK = 1, 2, 4, 16
LAYER_OF = {6: Layer.TCP, 17: Layer.UDP, 1: Layer.ICMP, 58: Layer.ICMPV6}
ENDS = (0, 40_000), (1, 80)
"""Initiator and responder of `said`: address code and port."""


VLAN, VXLAN, GTPU = Encapsulation.VLAN, Encapsulation.VXLAN, Encapsulation.GTPU
STACKS = (
    (0, 0, 0, 0, 0),
    (0, VXLAN, 7, 10, 11),
    (0, VXLAN, 7, 11, 10),
    (0, VXLAN, 8, 10, 11),
    (0, VXLAN, 9, 11, 10),
    (0, VLAN, 5, -1, -1),
    (5, VXLAN, 7, 11, 10),
    (5, VXLAN, 7, 10, 11),
)
"""Outer stacks of made tables: outer, kind, identifier, source, destination."""


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
    ip_id: int = 0
    ttl: int = 64
    stack: int = 0
    scale: int = -1
    mss: int = -1
    size: int = 0
    operations: int = 0


def option_table(rows: Sequence[Row]) -> OptionTable:
    """The window scales, MSS and MPTCP operations of these rows, and no other option."""
    scaled = [i for i, row in enumerate(rows) if row.scale >= 0 or row.mss >= 0 or row.operations]
    columns = {name: np.zeros(len(scaled), dtype=column.dtype) for name, column in OPTIONS.items()}
    columns["packet"][:] = scaled
    columns["window_scale"][:] = [rows[i].scale for i in scaled]
    columns["mss"][:] = [rows[i].mss for i in scaled]
    columns["flags"][:] = [rows[i].operations * OptionFlag.MP_CAPABLE for i in scaled]
    return OptionTable(columns)


def stack_table(stacks: Sequence[tuple[int, ...]] = STACKS) -> StackTable:
    """Outer stacks as decoding would give them."""
    names = ("outer", "kind", "identifier", "source", "destination")
    dtypes = ("int32", "uint8", "uint32", "int32", "int32")
    columns = zip(names, dtypes, zip(*stacks, strict=True), strict=True)
    return StackTable({name: np.array(values, dtype=dtype) for name, dtype, values in columns})


def table_of(rows: Sequence[Row], stacks: Sequence[tuple[int, ...]] = STACKS) -> PacketTable:
    """A packet table of these rows; the columns that tracking does not read are 0."""
    names = {
        "source": "a", "source_port": "a_port", "destination": "b", "destination_port": "b_port", "protocol": "protocol",
        "tcp_flags": "flags", "seg_seq": "seq", "seg_ack": "ack", "payload_octets": "payload", "seg_wnd": "window",
        "time_ns": "time_ns", "ip_id": "ip_id", "ttl": "ttl", "stack": "stack",
        "original_length": "size",
    }  # fmt: skip
    columns = {name: np.zeros(len(rows), dtype=column.dtype) for name, column in PACKETS.items()}
    for name, attribute in names.items():
        columns[name][:] = [getattr(row, attribute) for row in rows]
    columns["present"][:] = [LAYER_OF.get(row.protocol, 0) for row in rows]
    columns["frame_number"][:] = np.arange(1, len(rows) + 1)
    book = AddressBook(np.arange(4 * 16, dtype=np.uint32).reshape(-1, 4))
    return PacketTable(columns, book, stacks=stack_table(stacks), options=option_table(rows))


def rows_of(table: PacketTable) -> list[Row]:
    """The rows of a packet table; a packet without a layer of transport has protocol 0."""
    columns = (
        "source", "source_port", "destination", "destination_port", "protocol", "tcp_flags", "seg_seq", "seg_ack",
        "payload_octets", "seg_wnd", "time_ns", "ip_id", "ttl", "stack", "original_length",
    )  # fmt: skip
    values = zip(*(table[name].tolist() for name in columns), strict=True)
    rows = [Row(*numbers)._replace(size=size) for *numbers, size in values]
    options = (table.options[name].tolist() for name in ("packet", "window_scale", "mss", "flags"))
    for packet, scale, mss, flags in zip(*options, strict=True):
        rows[packet] = rows[packet]._replace(scale=scale, mss=mss, operations=flags // OptionFlag.MP_CAPABLE)
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
    **more: int,
) -> Row:
    """A segment of the initiator (side 0) or responder (1) whose SEQ and ACK are stream offsets."""
    own, other = (iss, irs) if side == 0 else (irs, iss)
    octet = flag_octet(flags)
    number = (ack + other) % 2**32 if octet & ACK else 0
    return Row(*ends[side], *ends[1 - side], 6, octet, (seq + own) % 2**32, number, payload, window, time_ns, **more)


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
