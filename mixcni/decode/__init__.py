"""Stage 2, frames -> PacketTable: link layers, IP, TCP, UDP, ICMP and what ICMP errors quote.

An odd packet gets a flag and never raises; lengths are the IP header's, so a packet cut by the snap length counts in full.
"""

from mixcni.decode.capture import Capture
from mixcni.decode.packets import PacketTable, decode_packets

open_capture = Capture.open

__all__ = ["Capture", "PacketTable", "decode_packets", "open_capture"]
