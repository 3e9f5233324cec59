"""Which flow a packet belongs to: by key, by what is around it, and for TCP by initial sequence number."""

from mixcni.flows.kernel.numbers import (
    ACK,
    BASE,
    BASED,
    BESIDE,
    CLOSED_BY,
    COMPLETENESS,
    COPIES,
    F_WATCH,
    FINS,
    FIRST_EPHEMERAL_PORT,
    FIRST_NS,
    FLOW,
    FORWARD,
    HANDSHAKE_RTT_NS,
    INITIATOR,
    LAST_NS,
    PORT_BITS,
    PROTOCOL,
    RESETS,
    RESPONDER,
    REVERSE,
    RST,
    SEQUENCE_MASK,
    STACK_FORWARD,
    STACK_REVERSE,
    STREAM,
    SYN,
    SYN_NS,
    SYN_SEEN,
    SYNACK_SEEN,
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
    own, other = i64(flows[flow * FLOW + STACK_FORWARD]), i64(flows[flow * FLOW + STACK_REVERSE])
    if direction != FORWARD:
        own, other = other, own
    if own == stack:
        return 4
    if own >= 0:
        return 0
    if contexts.exact[stack] == contexts.exact[other]:
        return 3
    return 2 if contexts.loose[stack] == contexts.loose[other] else 1


@kernel
def find_flow(newest, sender, stack, flows, contexts):
    """(flow, its direction, the one before it in its key's chain) that a packet fits best, of all with its key; flow -1: none."""
    found, found_direction, found_before, best = -1, FORWARD, -1, 0
    flow, before = newest, -1
    for _ in range(MAX_STACKS):
        if flow < 0:
            break
        direction = FORWARD if flows[flow * FLOW + INITIATOR] == sender else REVERSE
        fit = fits(flow, direction, stack, flows, contexts)
        if fit > best:
            found, found_direction, found_before, best = flow, direction, before, fit
            if fit == 4:
                break
        flow, before = i64(flows[flow * FLOW + BESIDE]), flow
    return found, found_direction, found_before


@kernel
def begin_flow(flow, forward, sender, receiver, protocol, stack, time_ns, flows):
    """Write the row of a new flow, all but its place among those of its key; its first packet is from `sender` to `receiver`."""
    at = flow * FLOW
    flows[at + INITIATOR], flows[at + RESPONDER] = (sender, receiver) if forward else (receiver, sender)
    flows[at + STACK_FORWARD], flows[at + STACK_REVERSE] = (stack, -1) if forward else (-1, stack)
    flows[at + FIRST_NS], flows[at + LAST_NS], flows[at + SYN_NS] = time_ns, time_ns, -1
    flows[at + PROTOCOL], flows[at + F_WATCH], flows[at + CLOSED_BY], flows[at + HANDSHAKE_RTT_NS] = protocol, -1, -1, -1
    flows[at + COPIES], flows[at + COMPLETENESS], flows[at + SYN_SEEN], flows[at + SYNACK_SEEN] = 0, 0, 0, 0
    flows[at + FINS], flows[at + RESETS] = 0, 0


@kernel
def end_of(address, port):
    """An end of a flow in one word."""
    return address << PORT_BITS | port


@kernel
def rows_of(flow, direction):
    """Where the fields of a direction, and of the opposite one, begin in `streams`."""
    return (2 * flow + direction) * STREAM, (2 * flow + 1 - direction) * STREAM
