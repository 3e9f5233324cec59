"""Octets that come late because they were lost before the point and sent again: retransmissions, in our label.

A segment with octets that the point never saw, below others that it saw, is out of order (mixcni.flows.kernel.segment) unless it
is proven to have been sent a second time. The first time, segments are sent in the order of their octets. So it was sent again

- if its timestamp is later than that of the segment with which the gap opened (RFC 7323 section 3.2: TSval is the sender's
  clock), and was not if it is earlier;
- where timestamps do not tell, if the receiver had reported the gap, with a selective acknowledgment of what is behind it
  (RFC 6675 section 4) or three duplicate acknowledgments (RFC 5681 section 3.2), and the octets came after that by a round trip
  between this point and the sender, or more.

Wireshark asks for the time alone, and looks at no SACK (wireshark issues 13843, 13863); its labels stay as they are.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.flows.kernel.sack import SACKED
from mixcni.flows.sack import CIRCLE, HALF, EventArrays
from mixcni.kernels.grouping import in_order, numbered
from mixcni.schema import Label, OptionFlag

Columns = dict[str, NDArray[Any]]
Rows = NDArray[np.int64]
DUPLICATES: Final = 3  # RFC 5681 section 3.2: as many duplicate acknowledgments are taken for a loss
SIDES: Final = ("forward", "reverse")


def mark_losses(packets: PacketTable, segments: Columns, flows: Columns, told: EventArrays) -> None:
    """Make out-of-order segments that were sent a second time retransmissions, and count them as such; in place.

    Parameters
    ----------
    packets : of one capture point
    segments, flows : columns of its SegmentTable and FlowTable
    told : what SACK blocks say (mixcni.flows.sack)
    """
    late = np.flatnonzero(segments["label"] & Label.OUT_OF_ORDER)
    if not late.size:
        return
    late, behind = _gaps_filled(segments, late)
    later = _ticks_later(packets, segments, late, behind)
    unsaid = np.flatnonzero(later == 0)
    again = later > 0
    again[unsaid] = _are_answers(packets, segments, flows, told, late[unsaid], behind[unsaid])
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


def _gaps_filled(segments: Columns, late: Rows) -> tuple[Rows, Rows]:
    """(those late segments that begin in a gap that opened before, the segment behind it with which it did)."""
    concerned = np.zeros(int(segments["flow"].max()) + 1, dtype=np.bool_)
    concerned[segments["flow"][late]] = True
    rows = np.flatnonzero(concerned[segments["flow"]] & (segments["length"] > 0) & (segments["copy_of"] < 0))
    stream = _stream(segments, rows)
    order = in_order(stream)
    rows, stream = rows[order], stream[order]
    # One stream stands behind the other, so that one running maximum tells for each up to where it was heard.
    end = segments["offset"][rows] + segments["length"][rows]
    base = numbered(stream) * (int(end.max()) + 1)
    start, end = segments["offset"][rows] + base, end + base
    known = np.maximum.accumulate(np.concatenate([[-1], end[:-1]]))
    opens = np.flatnonzero((start > known) & (known >= base))
    by_row = np.argsort(rows)
    place = by_row[np.searchsorted(rows[by_row], late)]
    gap = np.searchsorted(known[opens], start[place], side="right") - 1
    opener = np.append(opens, 0)[gap]
    within = (gap >= 0) & (start[place] < start[opener]) & (opener < place)
    return late[within], rows[opener[within]]


def _stream(segments: Columns, rows: Rows, *, other: bool = False) -> Rows:
    """2 * flow + direction of each row; `other` : the other direction."""
    return np.asarray(2 * segments["flow"][rows].astype(np.int64) + (segments["direction"][rows] ^ other))


def _ticks_later(packets: PacketTable, segments: Columns, late: Rows, behind: Rows) -> Rows:
    """How much later than the segment behind its gap each was sent, in ticks of the sender's clock; 0 where that is not told."""
    (one, first), (other, second) = (_timestamps(packets, segments["packet"][rows]) for rows in (late, behind))
    return np.where(first & second, (one - other + HALF) % CIRCLE - HALF, 0)


def _timestamps(packets: PacketTable, packet: Rows) -> tuple[Rows, NDArray[np.bool_]]:
    """(TSval of each packet, whether it has one)."""
    options = packets.options
    row = np.minimum(np.searchsorted(options["packet"], packet), max(len(options) - 1, 0))
    if not len(options):
        return np.zeros(packet.size, dtype=np.int64), np.zeros(packet.size, dtype=np.bool_)
    has = (options["packet"][row] == packet) & ((options["flags"][row] & OptionFlag.TIMESTAMPS) != 0)
    return options["ts_val"][row].astype(np.int64), has


def _are_answers(
    packets: PacketTable, segments: Columns, flows: Columns, told: EventArrays, late: Rows, behind: Rows
) -> NDArray[np.bool_]:
    """Whether late segments came by a round trip to the sender after the receiver reported their gaps."""
    found = np.zeros(late.size, dtype=np.bool_)
    duplicates = np.flatnonzero(segments["label"] & Label.DUPLICATE_ACK) if late.size else late
    blocks = told.chosen(told.kind == SACKED)
    stream = np.concatenate([blocks.stream, _stream(segments, duplicates, other=True)])
    row = np.concatenate([blocks.row, duplicates])
    order = in_order(stream, row)
    is_block = order < blocks.row.size
    offset = np.concatenate([blocks.start, segments["acknowledged"][duplicates]])[order]
    row, span = row[order], segments["flow"].size + 1
    place = stream[order] * span + row
    times = packets["time_ns"][segments["packet"]] if late.size else late
    for number, (mine, gap) in enumerate(zip(late.tolist(), behind.tolist(), strict=True)):
        flow, direction = int(segments["flow"][mine]), int(segments["direction"][mine])
        own = (2 * flow + direction) * span
        between = slice(*np.searchsorted(place, [own + gap, own + mine]))
        reported = np.flatnonzero(is_block[between] & (offset[between] >= segments["offset"][gap]))[:1]
        repeated = np.flatnonzero(~is_block[between] & (offset[between] <= segments["offset"][mine]))[DUPLICATES - 1 : DUPLICATES]
        reports = row[between][np.concatenate([reported, repeated])]
        # What the other side sends the sender acknowledges: that round trip is from this point to it and back.
        round_trip = int(flows[f"rtt_min_ns_{SIDES[1 - direction]}"][flow])
        if round_trip < 0:
            round_trip = int(flows["handshake_rtt_ns"][flow])
        if reports.size and round_trip >= 0:
            found[number] = 0 <= times[reports.min()] <= times[mine] - round_trip
    return found
