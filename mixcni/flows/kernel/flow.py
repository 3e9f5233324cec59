"""Which flow a packet belongs to: by key, by what is around it, and for TCP by initial sequence number."""

from mixcni.flows.kernel.numbers import (
    ACK,
    BASE,
    BASED,
    BESIDE,
    CLOSED_BY,
    END,
    ENDS,
    F_WATCH,
    FIRST_EPHEMERAL_PORT,
    FIRST_NS,
    FLOW,
    FORWARD,
    HANDSHAKE_RTT_NS,
    INITIATOR,
    LAST_NS,
    OTHER_STACK,
    PACKETS,
    PLACE,
    PORT_BITS,
    PREDECESSOR,
    PROTOCOL,
    RESPONDER,
    REVERSE,
    RST,
    SEQUENCE_MASK,
    STACK_FORWARD,
    STACK_REVERSE,
    STREAM,
    SYN,
    SYN_NS,
    UNKNOWN,
)
from mixcni.flows.kernel.stream import farthest
from mixcni.kernels.jit import i64, kernel
from mixcni.kernels.seqspace import HALF, seq_delta

NO_FLOW = -1


@kernel
def is_initiator(flags, is_tcp, source_port, destination_port):
    """Whether the first packet of a flow was sent by its initiator.

    A SYN says yes and a SYN-ACK no (RFC 9293 section 3.5); in the midst of a connection the side with the ephemeral port is
    taken for the initiator, and where both or neither have one, the side that was heard first.
    """
    if is_tcp and flags & SYN:
        return 0 if flags & ACK else 1
    if source_port < FIRST_EPHEMERAL_PORT and destination_port >= FIRST_EPHEMERAL_PORT:
        return 0
    return 1


@kernel
def opens_another(flags, seq, ack, direction, streams, own, other):
    """Whether a segment of a known key begins a new connection: a SYN whose sequence number is not its flow's.

    A SYN belongs to a flow in which that side's sequence numbers are not known yet (simultaneous open), unless only resets
    were heard of it and they make the SYN's sender the responder. A SYN-ACK opens another flow only if it acknowledges another
    SYN than its flow's too: then that SYN was not captured.
    """
    if not flags & SYN or flags & RST:
        return 0
    if streams[own + BASED] == UNKNOWN:
        return 1 if streams[other + BASED] == UNKNOWN and direction == (FORWARD if flags & ACK else REVERSE) else 0
    if seq == streams[own + BASE]:
        return 0
    if flags & ACK:
        return 1 if streams[other + BASED] != UNKNOWN and (ack - 1) & SEQUENCE_MASK != streams[other + BASE] else 0
    return 1


@kernel
def place_of(key, newest):
    """The key under which the flows of a key stand: its own, unless its first packet was of a flow with another one."""
    head = i64(newest[key])
    return key if head >= NO_FLOW else NO_FLOW - 1 - head


@kernel
def direction_of(flow, sender, flows):
    """Which direction of a flow an end sends in."""
    return FORWARD if flows[flow * FLOW + INITIATOR] == sender else REVERSE


@kernel
def find_flow(head, sender, stack, flows):
    """(flow, its direction, the one before it in its key's chain) of a packet; flow -1: none.

    It is that with the packet's outer stack in its direction, or else one that was not heard in this direction yet. A chain is
    short: the key has the tunnel's kind, identifier and ends, and what is left is which end sent.
    """
    found, found_direction, found_before = NO_FLOW, FORWARD, NO_FLOW
    flow, before = head, NO_FLOW
    while flow >= 0:
        direction = direction_of(flow, sender, flows)
        own = i64(flows[flow * FLOW + STACK_FORWARD + direction])
        if own == stack:
            return flow, direction, before
        if own < 0 and found < 0:
            found, found_direction, found_before = flow, direction, before
        flow, before = i64(flows[flow * FLOW + BESIDE]), flow
    return found, found_direction, found_before


@kernel
def join_partner(key, sender, newest, latest, keys, flows):
    """Have a key, whose first packet came, stand for the flow of the same ends in another outer stack that lacks its direction.

    Of the same stack but for identifiers first: a TEID and Cilium's VNI are the sender's own. Else in a stack of another make, as
    for a response that takes a way around the tunnel. The flow that was opened last is asked, so that a thousand tunnels with
    equal addresses inside cost no more than two.
    """
    for group in (i64(keys.loose[key]), i64(keys.ends[key])):
        flow = i64(latest[group])
        if flow >= 0 and flows[flow * FLOW + STACK_FORWARD + direction_of(flow, sender, flows)] < 0:
            newest[key] = NO_FLOW - 1 - flows[flow * FLOW + PLACE]
            return


@kernel
def distance(streams, row, number):
    """How far a sequence number is from what is known of a stream; half the circle where nothing is."""
    if streams[row + BASED] == UNKNOWN:
        return HALF
    return abs(seq_delta((streams[row + BASE] + farthest(streams, row)) & SEQUENCE_MASK, number))


@kernel
def nearness(streams, own, other, flags, seq, ack):
    """How far a segment is from a connection, by that of its two numbers which is nearer."""
    found = distance(streams, own, seq)
    return min(found, distance(streams, other, ack)) if flags & ACK else found


@kernel
def nearer_of(flow, direction, sender, flags, seq, ack, flows, streams):
    """(flow, direction) of a segment that is no SYN: its key's connection, or that one's predecessor where it is nearer to that.

    A connection answers a SYN that is not its own with an ACK and goes on (RFC 9293 section 3.10.7.4, RFC 5961 section 4); so it
    does here, beside the SYN's flow, and old segments of one that is over are no part of the next.
    """
    before = i64(flows[flow * FLOW + PREDECESSOR])
    its = direction_of(before, sender, flows)
    own, other = rows_of(flow, direction)
    own_before, other_before = rows_of(before, its)
    if nearness(streams, own_before, other_before, flags, seq, ack) < nearness(streams, own, other, flags, seq, ack):
        return before, its
    return flow, direction


@kernel
def heir_of(flow, flows, streams):
    """The connection that goes on if the next one with its key is not answered.

    It is this one, unless it is no more than a SYN that nobody answered: then that from which the SYN took the key.
    """
    forward, reverse = rows_of(flow, FORWARD)
    answered = streams[forward + PACKETS] and streams[reverse + PACKETS]
    predecessor = i64(flows[flow * FLOW + PREDECESSOR])
    if predecessor < 0 or answered or max(i64(streams[forward + END]), i64(streams[reverse + END])) > 1:
        return flow
    return predecessor


@kernel
def begin_flow(flow, forward, sender, receiver, protocol, stack, time_ns, flows):
    """Write what is not 0 in the row of a new flow, but for its place; its first packet is from `sender` to `receiver`."""
    at = flow * FLOW
    flows[at + INITIATOR], flows[at + RESPONDER] = (sender, receiver) if forward else (receiver, sender)
    flows[at + STACK_FORWARD], flows[at + STACK_REVERSE] = (stack, -1) if forward else (-1, stack)
    flows[at + FIRST_NS], flows[at + LAST_NS], flows[at + SYN_NS] = time_ns, time_ns, -1
    flows[at + PROTOCOL], flows[at + F_WATCH], flows[at + CLOSED_BY], flows[at + HANDSHAKE_RTT_NS] = protocol, -1, -1, -1


@kernel
def place_flow(flow, key, place, earlier, before, newest, latest, keys, flows, streams):
    """Give a new flow its place among those of its ends: the key's chain has the newest flow of each stack.

    key, place : its first packet's key, and that under which its flows stand
    earlier, before : the flow that it takes the place of, and the one before that in the chain; each -1 where there is none
    """
    at, ends = flow * FLOW, i64(keys.ends[key])
    flows[at + ENDS], flows[at + PLACE] = ends, place
    if earlier >= 0:
        flows[at + BESIDE] = flows[earlier * FLOW + BESIDE]
        flows[at + OTHER_STACK] = flows[earlier * FLOW + OTHER_STACK]
        flows[at + PREDECESSOR] = heir_of(earlier, flows, streams)
    else:
        flows[at + BESIDE] = max(i64(newest[place]), NO_FLOW)
        flows[at + OTHER_STACK], flows[at + PREDECESSOR] = latest[ends], NO_FLOW
    if earlier >= 0 and before >= 0:
        flows[before * FLOW + BESIDE] = flow
    else:
        newest[place] = flow
    latest[ends] = flow
    latest[keys.loose[key]] = flow


@kernel
def end_of(address, port):
    """An end of a flow in one word."""
    return address << PORT_BITS | port


@kernel
def rows_of(flow, direction):
    """Where the fields of a direction, and of the opposite one, begin in `streams`."""
    return (2 * flow + direction) * STREAM, (2 * flow + 1 - direction) * STREAM
