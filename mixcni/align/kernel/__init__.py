"""Loops of alignment: segments and datagrams put on their conversations, what is alike clustered, pairs joined, and hulls.

Contract: arrays of one length where they are named together; what is written has room for all rows.
"""

from mixcni.align.kernel.datagrams import (
    OCTETS_BITS,
    POINTS_A_WORD,
    cluster_equal,
    find_first,
    find_nearest,
    keep_rows,
    mark_arrived,
    mark_repeated,
    mark_soon,
    number_within,
    open_turns,
    order_by_time,
    place_datagrams,
)
from mixcni.align.kernel.pairs import unite_pairs
from mixcni.align.kernel.segments import first_packets, lower_hull, place_segments, span_flows, survey_flows

__all__ = [
    "OCTETS_BITS",
    "POINTS_A_WORD",
    "cluster_equal",
    "find_first",
    "find_nearest",
    "first_packets",
    "keep_rows",
    "lower_hull",
    "mark_arrived",
    "mark_repeated",
    "mark_soon",
    "number_within",
    "open_turns",
    "order_by_time",
    "place_datagrams",
    "place_segments",
    "span_flows",
    "survey_flows",
    "unite_pairs",
]
