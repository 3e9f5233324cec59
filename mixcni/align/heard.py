"""What a point heard of a connection more than once: plain and in a tunnel, before its own NAT, routed on to another interface.

Offload may have cut the one otherwise than the other: a segment of 64 KiB leaves the host as forty. So octets are compared, as
everywhere between points: what one form of it has as often is no transmission more. A router takes one from the hop limit
(RFC 791 section 3.1), so what a host routes is told from a retransmission, which comes later besides.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixcni.align.strands import SAME_HOST_NS
from mixcni.flows import FlowTable, SegmentTable
from mixcni.kernels.grouping import numbered, occurring, ranks

Columns = dict[str, NDArray[Any]]
KIND = ("conversation", "direction", "start", "end", "acknowledged", "tcp_flags")


class _Pairs(NamedTuple):
    """Segments and the pieces of streams that no boundary cuts: `row` (n,) and `piece` (n,), ascending in both."""

    row: NDArray[np.int64]
    piece: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]


def without_heard(
    columns: Columns, several: NDArray[np.bool_], flow: NDArray[Any], hop_limit: NDArray[Any], primary: NDArray[np.bool_]
) -> Columns:
    """The transmissions of one point, in their order, without what it has in another form as well.

    A stream's main form stays as it is; what of another segment that lacks stays, in as many rows as it has such stretches.

    Parameters
    ----------
    columns : (n,) each, of a TransmissionTable
    several : (c,) the conversations that the point may have in several forms
    flow : (n,) the point's flow of each; primary : (n,) whether that is its conversation's main flow
    hop_limit : (n,) of each packet
    """
    rows = np.flatnonzero(several[columns["conversation"]])
    carrying = rows[columns["end"][rows] > columns["start"][rows]]
    bare = np.setdiff1d(rows, carrying, assume_unique=True)
    gone = np.zeros(primary.size, dtype=np.bool_)
    gone[bare[~primary[bare]]] = _heard_bare(columns, bare, primary[bare])
    forms = _forms(columns, carrying, flow, hop_limit, primary)
    pairs = _cut(columns, carrying)
    heard = _heard_pieces(pairs, forms, columns["time_ns"][carrying])
    gone[carrying[~forms.is_main]] = True
    left = np.flatnonzero(~heard & ~forms.is_main[pairs.row])
    begins = np.ones(left.size, dtype=np.bool_)  # of a stretch of pieces of one segment that follow each other
    begins[1:] = (np.diff(pairs.row[left]) != 0) | (np.diff(pairs.piece[left]) != 1)
    first, last = left[begins], left[np.append(begins[1:], True)[: left.size]]
    order = np.concatenate([np.flatnonzero(~gone), carrying[pairs.row[first]]])
    part = {name: array[order] for name, array in columns.items()}
    part["start"][np.count_nonzero(~gone) :] = pairs.start[first]
    part["end"][np.count_nonzero(~gone) :] = pairs.end[last]
    by_order = np.argsort(order, kind="stable")
    return {name: array[by_order] for name, array in part.items()}


def wholly_heard(points: Sequence[FlowTable], columns: Columns) -> Columns:
    """The transmissions of all points without those that lack a copy: it may be the first, and when that came is not known.

    Parameters
    ----------
    points : one FlowTable a point
    columns : (n,) each, of a TransmissionTable
    """
    if not any((flows.segments["copy_of"] >= 0).any() for flows in points):
        return columns
    copies, ends = np.zeros(columns["packet"].size, dtype=np.int64), np.zeros((2, columns["packet"].size), dtype=np.int64)
    for point, flows in enumerate(points):
        mine = columns["point"] == point
        packet = columns["packet"][mine]
        of_packet = np.zeros(len(flows.packets), dtype=np.int64)
        of_packet[flows.segments["packet"]] = copies_heard(flows.segments)
        copies[mine] = of_packet[packet]
        ends[:, mine] = flows.packets["source"][packet], flows.packets["destination"][packet]
    kept = ~lack_copies(copies, columns["point"], *ends)
    return {name: column[kept] for name, column in columns.items()}


def copies_heard(segments: SegmentTable) -> NDArray[np.int64]:
    """(s,) how many copies of each segment its point heard besides."""
    copy_of = segments["copy_of"]
    return np.bincount(copy_of[copy_of >= 0], minlength=len(segments))


def lack_copies(copies: NDArray[np.int64], *ends: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) whether packets were heard less often than half of those of the same `ends`, which pass the same interfaces.

    Parameters
    ----------
    copies : (n,) how often each was heard besides
    ends : (n,) each, codes from 0 on
    """
    lacking, may_lack = np.zeros(copies.size, dtype=np.bool_), np.ones(copies.size, dtype=np.bool_)
    copied = np.flatnonzero(copies)
    for codes in ends:  # of most ends nothing was heard twice
        may_lack &= occurring(codes[copied], int(codes.max(initial=0)) + 1)[codes]
    rows = np.flatnonzero(may_lack)
    pool, heard = numbered(*(codes[rows] for codes in ends)), copies[rows]
    order = np.lexsort((heard, pool))
    size = np.bincount(pool)
    median = np.cumsum(size) - size + size // 2
    lacking[rows] = heard < heard[order[median]][pool]
    return lacking


class _Forms(NamedTuple):
    """(n,) each: a segment's form, a flow with one hop limit; whether it is its stream's main one; whether of the main flow."""

    form: NDArray[np.int64]
    is_main: NDArray[np.bool_]
    is_primary: NDArray[np.bool_]


def _forms(
    columns: Columns,
    rows: NDArray[np.int64],
    flow: NDArray[Any],
    hop_limit: NDArray[Any],
    primary: NDArray[np.bool_],
) -> _Forms:
    """The forms of some segments; the main one has most of the main flow's, and of equals it is the one nearest the sender."""
    stream = columns["conversation"][rows].astype(np.int64) * 2 + columns["direction"][rows]
    form = numbered(stream, flow[rows], hop_limit[rows])
    size = np.bincount(form)
    mine = np.flatnonzero(primary[rows])
    order = mine[np.lexsort((hop_limit[rows[mine]], size[form[mine]], stream[mine]))]
    main = np.full(int(stream.max(initial=-1)) + 1, -1)
    main[stream[order]] = form[order]  # what is entered last stays
    return _Forms(form, main[stream] == form, primary[rows])


def _heard_bare(columns: Columns, rows: NDArray[np.int64], primary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of segments without octets in other flows, whether each is the k-th of its kind, and the main flow has k such."""
    kind = numbered(*(columns[name][rows] for name in KIND))
    available = np.bincount(kind[primary], minlength=int(kind.max(initial=-1)) + 1)
    others = kind[~primary]
    return np.asarray(ranks(others) < available[others])


def _cut(columns: Columns, rows: NDArray[np.int64]) -> _Pairs:
    """The pieces of each segment, the segments counted from 0 in the order of `rows`."""
    stream = columns["conversation"][rows].astype(np.int64) * 2 + columns["direction"][rows]
    bounds = np.stack([np.tile(stream, 2), np.concatenate([columns["start"][rows], columns["end"][rows]])], axis=1)
    cuts, number = np.unique(bounds, axis=0, return_inverse=True)
    begin, stop = number.reshape(2, -1)
    count = stop - begin
    row = np.repeat(np.arange(rows.size), count)
    piece = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(begin, count)
    return _Pairs(row, piece, cuts[piece, 1], cuts[piece + 1, 1] if piece.size else cuts[piece, 1])


def _heard_pieces(pairs: _Pairs, forms: _Forms, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether a piece of a segment is the k-th transmission in its form, and another form that goes before has k of it.

    A form of the main flow must have it at the same time: a retransmission may take another way. The main form goes before all.
    """
    rank = ranks(numbered(forms.form[pairs.row], pairs.piece))
    place = numbered(pairs.piece, rank)
    order = np.lexsort((pairs.row, ~forms.is_main[pairs.row], place))
    first = order[np.unique(place[order], return_index=True)[1]][place]
    apart = np.abs(times[pairs.row[first]] - times[pairs.row])
    return np.asarray((first != np.arange(place.size)) & (~forms.is_primary[pairs.row] | (apart <= SAME_HOST_NS)))
