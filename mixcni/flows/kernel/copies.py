"""Copies of one packet at one point: captures on `any`, mirrored ports, and bridges and veth pairs hear it once an interface.

Rows of packets that were heard lately stand in `recent`, a table of small buckets by hash. A bucket forgets its oldest, so that
a copy is missed where five packets of one bucket were heard in between: with 2**12 buckets not below a million packets a second.
"""

from mixcni.flows.kernel.numbers import FIN, L_TCP, SYN
from mixcni.kernels.hashing import mix
from mixcni.kernels.jit import i64, kernel

COPY_NS = 1_000_000  # a host handles a packet from one of its interfaces to the next in less; no retransmission comes so soon
BUCKET = 4
TAG_BITS = 31
TAG = (1 << TAG_BITS) - 1


@kernel
def are_copies(packets, i, first, certain):
    """Whether packet `i` is packet `first` of the same flow and direction, heard again.

    A host numbers its packets, so that a retransmission has another IP identification. Without one (IPv6, and hosts that send 0)
    it is a copy where it went one hop farther, where it is a SYN or a FIN, which no host repeats so soon (RFC 6298 section 2.4),
    or in a TCP flow that has had copies: `certain`.
    """
    elapsed = i64(packets.time_ns[i]) - i64(packets.time_ns[first])
    if not 0 <= elapsed <= COPY_NS or packets.time_ns[first] < 0:
        return 0
    hops = i64(packets.ttl[first]) - i64(packets.ttl[i])
    if not 0 <= hops <= 1 or packets.ip_id[i] != packets.ip_id[first]:
        return 0
    if packets.seg_seq[i] != packets.seg_seq[first] or packets.seg_ack[i] != packets.seg_ack[first]:
        return 0
    flags = i64(packets.tcp_flags[i])
    if packets.tcp_flags[first] != flags or packets.seg_wnd[i] != packets.seg_wnd[first]:
        return 0
    if packets.payload_octets[i] != packets.payload_octets[first]:
        return 0
    if packets.ip_id[i] != 0 or hops == 1:
        return 1
    return 1 if packets.present[i] & L_TCP and (certain or flags & (SYN | FIN)) else 0


@kernel
def exchange_recent(recent, state, row):
    """The segment row that was remembered under the same hash, or -1; `row` is remembered from now on."""
    bucket = (state & (len(recent) // BUCKET - 1)) * BUCKET
    tag = state & TAG
    found = -1
    for at in range(bucket, bucket + BUCKET):
        entry = i64(recent[at])
        if entry != 0 and entry & TAG == tag:
            found = (entry >> TAG_BITS) - 1
            break
    for at in range(bucket + BUCKET - 1, bucket, -1):
        recent[at] = recent[at - 1]
    recent[bucket] = (row + 1) << TAG_BITS | tag
    return found


@kernel
def hash_packet(stream, seq, ack, ip_id, payload):
    """Hash of what copies have in common, in [0, 2**32)."""
    return mix(mix(mix(stream, seq), ack), (ip_id << 16 | payload & 0xFFFF))
