"""Flags of mixcni.schema as bare integers, limits with their sources, and where each field stands in a row of state.

State that a packet reads and writes is a row of one int64 array, not an array a field: a row is a few cache lines, and one array
costs a kernel call less than twenty do.
"""

L_TCP, L_UDP, L_ICMP, L_ICMPV6, L_FRAGMENT = 0x10, 0x20, 0x40, 0x80, 0x1000  # mixcni.schema.Layer
O_BAD_HEADER, O_OPTIONS_CUT = 0x04, 0x80  # mixcni.schema.Oddity
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # mixcni.schema.TcpFlag
FORWARD, REVERSE = 0, 1  # mixcni.schema.Direction
NO_KEY = -1
LAYER_SHIFT, LAYER_BITS = 4, 4  # where the layers of transport are among those of a packet
LAYER_MASK = (1 << LAYER_BITS) - 1
# mixcni.schema.Label
RETRANSMISSION, FAST_RETRANSMISSION, SPURIOUS_RETRANSMISSION, OUT_OF_ORDER, DUPLICATE_ACK = 0x1, 0x2, 0x4, 0x8, 0x10
LOST_SEGMENT, ACK_LOST_SEGMENT, KEEP_ALIVE, KEEP_ALIVE_ACK, ZERO_WINDOW = 0x20, 0x40, 0x80, 0x100, 0x200
ZERO_WINDOW_PROBE, ZERO_WINDOW_PROBE_ACK, WINDOW_FULL, WINDOW_UPDATE, PORT_REUSED = 0x400, 0x800, 0x1000, 0x2000, 0x4000
LABELS = 15
REPEATS = RETRANSMISSION | FAST_RETRANSMISSION | SPURIOUS_RETRANSMISSION | OUT_OF_ORDER

FIRST_EPHEMERAL_PORT = 32_768  # Linux, net.ipv4.ip_local_port_range
SEQUENCE_MASK = (1 << 32) - 1
ECHO_REQUEST, ECHO_REPLY, ECHO_REQUEST_V6, ECHO_REPLY_V6 = 8, 0, 128, 129
LARGEST_SCALE = 14  # RFC 7323 section 2.3: a window is at most its field shifted by 14
LARGEST_WINDOW = 1 << 30  # RFC 7323 section 2.3, octets
MAX_HOLES = 256  # of a stream; the oldest is given up then, since every late segment has to look through them

# A flow, row of `flows`; what every packet needs stands first.
# INITIATOR, RESPONDER : its ends, address code * 2**16 + port
# STACK_FORWARD, STACK_REVERSE : outer stack of the last packet of each direction, -1 without any
# F_WATCH : what Wireshark's analysis knows of it, -1 without any
# SYN_NS : when its SYN came, -1 where none did
# BESIDE : the next flow of the same key, in another outer stack; OTHER_STACK : an earlier one of the same ends in another
# PREDECESSOR : the connection that a SYN took the key from; all three -1 where there is none
# ENDS : number of its two ends and protocol, whatever is around them; PLACE : the key under which it stands
INITIATOR, STACK_FORWARD, STACK_REVERSE, LAST_NS, F_WATCH, ENDS, PREDECESSOR, HANDSHAKE_RTT_NS = range(8)
SYN_NS, SYNACK_SEEN, SYN_SEEN, COPIES, FIRST_NS, FINS, RESETS, CLOSED_BY = range(8, 16)
RESPONDER, PROTOCOL, BESIDE, OTHER_STACK, PLACE = range(16, 21)
FLOW = 24  # whole lines of the cache
PORT_BITS = 16

# One direction of a flow, row 2 * flow + direction of `streams`; what segments of both directions need stands first, then
# what those of its own do.
# BASE : initial sequence number; BASED : how it is known
# END, ACKED : stream offsets, exclusive, of what was seen and of what the other side acknowledged; LOW : lowest offset seen
# SEEN : whether any octet was seen; WINDOW : largest that the receiver can have advertised, octets, 0 none yet
# STRAY : stream offset of the last segment that was too far ahead
# HOLE, LAST_HOLE : first and last of its holes, each 1 more than its row, 0 where it has none; HOLES : how many
# GIVEN_UP : octets of holes that are no longer followed; RESENT : octets heard again
# TIMED_END, TIMED_NS : offset behind the segment whose round trip is measured, 0 where none is, and when it was seen
# CLOSED_NS : since when its sender advertises no room, 1 more than that, 0 where it does; NO_ROOM_NS : how long it did before
# SCALE : of its SYN, PEER_MSS : of the other side's, each 1 more than that, 0 where there is none
# LARGE : segments with more octets than an MSS
# STATE, STATE_BEFORE : of its end, in Zeek's words; HISTORY : which of Zeek's letters were noted
# LAST_FIN, LAST_RST : offsets of the last ones; COMPLETENESS : what its segments add to Wireshark's tcp.completeness
BASE, BASED, END, ACKED, SEEN, WINDOW, TIMED_END, TIMED_NS = range(8)
PACKETS, OCTETS, PAYLOAD, CLOSED_NS, STATE, HISTORY, PEER_MSS, COMPLETENESS = range(8, 16)
LOW, SCALE, STATE_BEFORE, LAST_FIN, LAST_RST, HOLE, STRAY, RESENT = range(16, 24)
LAST_HOLE, HOLES, GIVEN_UP, NO_ROOM_NS, LARGE = range(24, 29)
STREAM = 32  # whole lines of the cache
UNKNOWN, LEARNT, TOLD = 0, 1, 2  # BASED: not, from the midst of the connection, from its SYN

# One side of a connection as Wireshark keeps it, row 2 * watch + side of `watches` (mixcni.flows.kernel.wireshark): a line of the
# cache of uint32, at whose end are times, int64 of the same memory in `watch_ns`; what both sides share is in one of their rows
W_NEXT, W_MAX, W_ACK, W_DUPLICATES, W_WINDOW, W_LABEL, W_UNACKED, W_BASE, W_KNOWN, W_OPERATIONS = range(10)
W_NEXT_NS, W_ACK_NS, W_SYN_NS = range(5, 8)
WATCH = 16
W_RTT_NS = WATCH // 2 + W_SYN_NS

# A hole: row of `holes`; HOLE_NEXT : the next one of its stream, or the next free row
# HOLE_OPENER : row of the segment behind it with which it opened, -1 without one
HOLE_START, HOLE_END, HOLE_NEXT, HOLE_OPENER = range(4)
HOLE_WIDTH = 4

LINE = 8  # int64 a line of the cache

# Counts, that a pass begins with and leaves changed: rows in use, and the first free hole
C_PACKETS, C_OPTIONS, C_FLOWS, C_WATCHES, C_HOLES, C_FREE_HOLE, C_SEGMENTS, C_SAMPLES, C_FILLS = range(9)
COUNTS = 9
