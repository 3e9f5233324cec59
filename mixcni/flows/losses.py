"""Octets that come late because they were lost before the point and sent again: retransmissions, in our label.

A segment with octets that the point never saw, below others that it saw, is out of order (mixcni.flows.kernel.segment) unless it
is proven to have been sent a second time. The first time, segments are sent in the order of their octets. So it was sent again

- if its timestamp is later than that of the segment with which the gap opened (RFC 7323 section 3.2: TSval is the sender's
  clock), and not if it is earlier; nothing is proven within one tick;
- without timestamps, if the receiver had reported the gap, with a selective acknowledgment of what is behind it
  (RFC 6675 section 4) or three duplicate acknowledgments (RFC 5681 section 3.2), and the octets came after that by a round trip
  between this point and the sender, or more.

Wireshark asks for the time alone, and looks at no SACK (wireshark issues 13843, 13863); its labels stay as they are.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.flows.kernel.sack import SACKED
from mixcni.flows.sack import CIRCLE, HALF, EventArrays
from mixcni.kernels.grouping import in_order
from mixcni.schema import Label
from mixcni.tables import rows_of_packets

Columns = dict[str, NDArray[Any]]
Rows = NDArray[np.int64]
DUPLICATES: Final = 3  # RFC 5681 section 3.2: as many duplicate acknowledgments are taken for a loss
SIDES: Final = ("forward", "reverse")


class Fills(NamedTuple):
    """Out-of-order segments that begin in a gap, and the segment behind that gap with which it opened; rows of segments."""

    late: NDArray[np.int32]
    opener: NDArray[np.int32]


def mark_losses(packets: PacketTable, segments: Columns, flows: Columns, fills: Fills, told: EventArrays) -> None:
    """Make out-of-order segments that were sent a second time retransmissions, and count them as such; in place.

    Parameters
    ----------
    packets : of one capture point
    segments, flows : columns of its SegmentTable and FlowTable
    fills : out-of-order segments
    told : what SACK blocks say (mixcni.flows.sack)
    """
    late, behind = fills.late.astype(np.int64), fills.opener.astype(np.int64)
    later, told_by_clock = _ticks_later(packets, segments, late, behind)
    unsaid = np.flatnonzero(~told_by_clock)
    again = later > 0
    if unsaid.size:
        again[unsaid] = _are_answers(packets, segments, flows, _reports(segments, told), late[unsaid], behind[unsaid])
    rows = late[again]
    fast = segments["label_wireshark"][rows] & Label.FAST_RETRANSMISSION
    segments["label"][rows] = segments["label"][rows] & ~np.uint16(Label.OUT_OF_ORDER) | Label.RETRANSMISSION | fast
    for direction, side in enumerate(SIDES):
        mine = segments["direction"][rows] == direction
        flow = segments["flow"][rows[mine]]
        np.subtract.at(flows[f"out_of_order_{side}"], flow, 1)
        np.add.at(flows[f"retransmission_{side}"], flow, 1)
        np.add.at(flows[f"fast_retransmission_{side}"], flow[fast[mine] != 0], 1)
        np.add.at(flows["retransmissions"], flow, 1)


def _stream(segments: Columns, rows: Rows, *, other: bool = False) -> Rows:
    """2 * flow + direction of each row; `other` : the other direction."""
    return np.asarray(2 * segments["flow"][rows].astype(np.int64) + (segments["direction"][rows] ^ other))


def _ticks_later(packets: PacketTable, segments: Columns, late: Rows, behind: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """(how much later than the segment behind its gap each was sent, in ticks of the sender's clock, whether timestamps tell)."""
    (one, first), (other, second) = (_timestamps(packets, segments["packet"][rows]) for rows in (late, behind))
    told = first & second
    return np.where(told, (one - other + HALF) % CIRCLE - HALF, 0), told


def _timestamps(packets: PacketTable, packet: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """(TSval of each packet, whether it has one)."""
    row = rows_of_packets(packets.timestamps, packet)
    stamped = row >= 0
    values = np.zeros(packet.size, dtype=np.int64)
    values[stamped] = packets.timestamps["ts_val"][row[stamped]]
    return values, stamped


class Reports(NamedTuple):
    """What receivers said of gaps, those of a stream together and in the order of their packets.

    place : of its stream and its row in one number; row : the segment that says so
    is_block : whether it is a SACK block, else a duplicate acknowledgment
    offset : where the block begins, or up to where is acknowledged
    """

    place: Rows
    row: Rows
    is_block: NDArray[np.bool_]
    offset: Rows


def _reports(segments: Columns, told: EventArrays) -> Reports:
    """SACK blocks, and duplicate acknowledgments."""
    duplicates = np.flatnonzero(segments["label"] & Label.DUPLICATE_ACK)
    blocks = told.chosen(told.kind == SACKED)
    row = np.concatenate([blocks.row, duplicates])
    place = np.concatenate([blocks.stream, _stream(segments, duplicates, other=True)]) * segments["flow"].size + row
    offset = np.concatenate([blocks.start, segments["acknowledged"][duplicates]])
    order = in_order(place)
    return Reports(place[order], row[order], order < blocks.row.size, offset[order])


def _are_answers(
    packets: PacketTable, segments: Columns, flows: Columns, reports: Reports, late: Rows, behind: Rows
) -> NDArray[np.bool_]:
    """Whether late segments came by a round trip to the sender after the receiver reported their gaps."""
    found = np.zeros(late.size, dtype=np.bool_)
    own = _stream(segments, late) * segments["flow"].size
    begin, end = np.searchsorted(reports.place, [own + behind, own + late])
    for number in np.flatnonzero(begin < end).tolist():
        mine, between = int(late[number]), slice(begin[number], end[number])
        is_block, offset = reports.is_block[between], reports.offset[between]
        selective = np.flatnonzero(is_block & (offset >= segments["offset"][behind[number]]))[:1]
        duplicate = np.flatnonzero(~is_block & (offset <= segments["offset"][mine]))[DUPLICATES - 1 : DUPLICATES]
        said = reports.row[between][np.concatenate([selective, duplicate])]
        round_trip = _round_trip_to_sender(flows, int(segments["flow"][mine]), int(segments["direction"][mine]))
        if said.size and round_trip >= 0:
            then, now = packets["time_ns"][segments["packet"][[said.min(), mine]]].tolist()
            found[number] = 0 <= then <= now - round_trip
    return found


def _round_trip_to_sender(flows: Columns, flow: int, direction: int) -> int:
    """From this point to the sender of a direction and back, as it acknowledges the other; else that of the whole way; -1."""
    round_trip = int(flows[f"rtt_min_ns_{SIDES[1 - direction]}"][flow])
    return round_trip if round_trip >= 0 else int(flows["handshake_rtt_ns"][flow])
