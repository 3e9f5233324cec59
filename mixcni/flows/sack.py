"""Repetitions that selective acknowledgments tell to have been needless (RFC 2018, RFC 2883, RFC 3708): spurious, in our label.

A repeated segment is spurious where the receiver had said already that it has all its octets, and where it says later that it got
them twice as often as they were sent again. That a host may throw away what it acknowledged selectively (RFC 2018 section 8) is
left out, as no host in use does; what the network itself doubled is told from it where the copies were captured (RFC 3708
section 3 has no other way either). Wireshark's labels do not look at SACK, and stay as they are.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.decode import PacketTable
from mixcni.flows.kernel.sack import COPIED, REPEAT_WIDTH, REPEATED, REPEATS, RUN_WIDTH, RUNS, SACKED, TWICE, follow_sacks
from mixcni.kernels.jit import run
from mixcni.schema import Label

HALF, CIRCLE = 1 << 31, 1 << 32  # of sequence numbers (RFC 9293 section 3.4)
Columns = dict[str, NDArray[Any]]


class EventArrays(NamedTuple):
    """What happened to the octets of streams, one row an event.

    stream : 2 * flow + direction; row : of the segment that shows it; kind : mixcni.flows.kernel.sack
    start, end : stream offsets
    """

    stream: NDArray[np.int64]
    row: NDArray[np.int64]
    kind: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def joined(self, others: "EventArrays") -> "EventArrays":
        """These events and others behind them."""
        return EventArrays(*(np.concatenate([mine, its]) for mine, its in zip(self, others, strict=True)))

    def chosen(self, rows: NDArray[Any]) -> "EventArrays":
        """Some of the events, in this order."""
        return EventArrays(*(column[rows] for column in self))


def mark_spurious(segments: Columns, flows: Columns, told: EventArrays) -> None:
    """Add the label spurious to repeated segments that SACK tells to be so, and count them; in place.

    Parameters
    ----------
    segments, flows : columns of a SegmentTable and its FlowTable
    told : what SACK blocks say
    """
    again = _repeated(segments)
    events = told.joined(again)
    events = events.chosen(np.isin(events.stream, np.intersect1d(told.stream, again.stream)))
    events = events.chosen(np.lexsort((events.kind, events.row, events.stream)))
    needless = np.zeros(events.row.size, dtype=np.uint8)
    scratch = (np.zeros(size, dtype=np.int64) for size in (RUNS * RUN_WIDTH, REPEATS * REPEAT_WIDTH))
    run(follow_sacks, needless.size, events, *scratch, needless)
    rows = events.row[needless != 0]
    rows = rows[(segments["label"][rows] & Label.SPURIOUS_RETRANSMISSION) == 0]
    segments["label"][rows] |= np.uint16(Label.SPURIOUS_RETRANSMISSION)
    for direction, name in enumerate(("forward", "reverse")):
        mine = rows[segments["direction"][rows] == direction]
        np.add.at(flows[f"spurious_retransmission_{name}"], segments["flow"][mine], 1)


def acknowledged_selectively(packets: PacketTable, segments: Columns) -> EventArrays:
    """The SACK blocks of a capture point: what a receiver has, and, by RFC 2883 section 4, what it got twice.

    Copies of a packet say nothing again, and blocks that cannot be are left out.
    """
    options = packets.options
    with_blocks = np.flatnonzero(options["sack_count"])
    counts = options["sack_count"][with_blocks].astype(np.int64)
    place = np.cumsum(counts) - counts
    block = np.repeat(options["sack_start"][with_blocks] - place, counts) + np.arange(counts.sum())
    packet = np.repeat(options["packet"][with_blocks], counts)
    row = np.minimum(np.searchsorted(segments["packet"], packet), max(segments["packet"].size - 1, 0))
    acknowledged, seg_ack = segments["acknowledged"][row], packets["seg_ack"][packet].astype(np.int64)
    start, end = (
        acknowledged + (packets.sacks[side][block].astype(np.int64) - seg_ack + HALF) % CIRCLE - HALF
        for side in ("left", "right")
    )
    is_first = np.zeros(block.size, dtype=np.bool_)
    is_first[place] = True
    behind = np.minimum(np.arange(block.size) + 1, max(block.size - 1, 0))
    within = ~is_first[behind] & (start[behind] <= start) & (end <= end[behind])
    twice = is_first & ((start < acknowledged) | within)
    fits = (segments["packet"][row] == packet) & (acknowledged >= 0) & (segments["copy_of"][row] < 0) & (start < end)
    fits &= twice | (start >= acknowledged)
    stream = 2 * segments["flow"][row].astype(np.int64) + 1 - segments["direction"][row]
    kind = np.where(twice, TWICE, SACKED).astype(np.uint8)
    return EventArrays(stream, row, kind, start, end).chosen(fits)


def _repeated(segments: Columns) -> EventArrays:
    """The segments that repeat octets, and the copies of segments that the network made or the capture has."""
    repeated = (segments["label"] & Label.RETRANSMISSION) != 0
    row = np.flatnonzero(repeated | ((segments["copy_of"] >= 0) & (segments["length"] > 0)))
    kind = np.where(repeated[row], REPEATED, COPIED).astype(np.uint8)
    stream = 2 * segments["flow"][row].astype(np.int64) + segments["direction"][row]
    start = segments["offset"][row]
    return EventArrays(stream, row, kind, start, start + segments["length"][row])
