"""Packets -> flows in one pass: flow keys by hash, TCP streams by sequence number, and what TCP analysis says of each segment.

Contract: the columns are a PacketTable's; address codes are not negative where a layer of transport is present; options stand in
the order of their packets. The pass stops early when a table is full, and the caller enlarges it and goes on.
"""

from mixcni.flows.kernel.keys import key_packets
from mixcni.flows.kernel.packets import WATCHES_A_PACKET, track_packets
from mixcni.flows.kernel.stream import sum_holes
from mixcni.flows.kernel.zeek import LETTERS

__all__ = ["LETTERS", "WATCHES_A_PACKET", "key_packets", "sum_holes", "track_packets"]
