"""Which flow a packet belongs to: by key, by what is around it, and for TCP by initial sequence number."""

from mixcni.flows.kernel.numbers import (
    ACK,
    BASE,
    BASED,
    FIRST_EPHEMERAL_PORT,
    FORWARD,
    REVERSE,
    RST,
    SEQUENCE_MASK,
    STREAM,
    SYN,
    UNKNOWN,
)
from mixcni.kernels.jit import i64, kernel

MAX_STACKS = 16  # under which a key is looked for; of a key in more, the flow heard longest ago is no longer found


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
def fits(flow, direction, stack, flows, contexts):
    """How well a packet's outer stack fits a flow: 0 not, 4 as its packets before had in this direction.

    Where none was heard in this direction yet: 3 in the stack of the other direction, its tunnels' ends swapped; 2 with other
    identifiers besides (a TEID and Cilium's VNI are the sender's own); 1 in a stack of another make, as for a response that
    takes a way around the tunnel.
    """
    own = i64(flows.stack_forward[flow] if direction == FORWARD else flows.stack_reverse[flow])
    other = i64(flows.stack_reverse[flow] if direction == FORWARD else flows.stack_forward[flow])
    if own == stack:
        return 4
    if own >= 0:
        return 0
    if contexts.exact[stack] == contexts.exact[other]:
        return 3
    return 2 if contexts.loose[stack] == contexts.loose[other] else 1


@kernel
def find_flow(newest, source, source_port, stack, flows, contexts):
    """(flow, its direction, the one before it in its key's chain) that a packet fits best, of all with its key; flow -1: none."""
    found, found_direction, found_before, best = -1, FORWARD, -1, 0
    flow, before = newest, -1
    for _ in range(MAX_STACKS):
        if flow < 0:
            break
        direction = FORWARD
        if flows.initiator[flow] != source or flows.initiator_port[flow] != source_port:
            direction = REVERSE
        fit = fits(flow, direction, stack, flows, contexts)
        if fit > best:
            found, found_direction, found_before, best = flow, direction, before, fit
            if fit == 4:
                break
        flow, before = i64(flows.beside[flow]), flow
    return found, found_direction, found_before


@kernel
def begin_flow(flow, forward, i, packets, source_port, destination_port, flows):
    """Write the fixed columns of a new flow, whose first packet is packet `i`."""
    source, destination = packets.source[i], packets.destination[i]
    if forward:
        flows.initiator[flow], flows.responder[flow] = source, destination
        flows.initiator_port[flow], flows.responder_port[flow] = source_port, destination_port
    else:
        flows.initiator[flow], flows.responder[flow] = destination, source
        flows.initiator_port[flow], flows.responder_port[flow] = destination_port, source_port
    flows.protocol[flow] = packets.protocol[i]
    flows.first_ns[flow] = packets.time_ns[i]
    flows.last_ns[flow] = packets.time_ns[i]
    flows.stack_forward[flow] = packets.stack[i] if forward else -1
    flows.stack_reverse[flow] = -1 if forward else packets.stack[i]
    flows.watch[flow] = -1
    flows.syn_ns[flow], flows.handshake_rtt_ns[flow], flows.closed_by[flow] = -1, -1, -1


@kernel
def rows_of(flow, direction):
    """Where the fields of a direction, and of the opposite one, begin in `streams`."""
    return (2 * flow + direction) * STREAM, (2 * flow + 1 - direction) * STREAM
