"""What state each end of a connection is in, and the letters of its history, as Zeek tells them.

Zeek's src/packet_analysis/protocol/tcp/TCPSessionAdapter.cc: UpdateStateMachine and update_history. Its timers are not followed:
a flow is told as if nothing but its packets ended it. As there, letters t, g and w are noted at the 1st, 10th, 100th time; t is
of segments all of whose octets are repeated, where Zeek takes late ones as well.
"""

from mixcni.flows.kernel.numbers import (
    ACK,
    ACK_LOST_SEGMENT,
    FIN,
    FORWARD,
    HISTORY,
    LABELS,
    LAST_FIN,
    LAST_RST,
    RETRANSMISSION,
    RST,
    STATE,
    STATE_BEFORE,
    SYN,
    ZERO_WINDOW,
)
from mixcni.kernels.jit import i64, kernel

INACTIVE, SYN_SENT, SYN_ACK_SENT, PARTIAL, ESTABLISHED, CLOSED, RESET = range(7)
LETTERS = 31  # of a flow's history; its row of `history` has their number behind them
C_A, C_D, C_F, C_G, C_H, C_I, C_Q, C_R, C_S, C_T, C_W = 65, 68, 70, 71, 72, 73, 81, 82, 83, 84, 87  # ASCII
LOWER = 32  # what makes a letter the responder's
N_SYN, N_FIN, N_RST, N_DATA, N_ACK, N_MANY, N_FIN_RST = 1, 2, 4, 8, 16, 32, 64
T_BIT, W_BIT, G_BIT = 0, 9, 6  # places of the labels that t, w and g are noted for


@kernel
def set_state(streams, row, state):
    """Change the state of an end."""
    if streams[row + STATE] != state:
        streams[row + STATE_BEFORE] = streams[row + STATE]
        streams[row + STATE] = state


@kernel
def advance(streams, own, other, direction, flags, payload):
    """Follow a segment of the end `own` in the states of both ends."""
    state, peer = i64(streams[own + STATE]), i64(streams[other + STATE])
    if state == INACTIVE:
        if flags & SYN:
            if direction == FORWARD:
                set_state(streams, own, SYN_ACK_SENT if flags & ACK else SYN_SENT)
            else:
                if peer == SYN_SENT:
                    set_state(streams, other, ESTABLISHED)
                set_state(streams, own, ESTABLISHED)
        if flags & FIN:
            set_state(streams, own, CLOSED)
        if flags & RST:
            set_state(streams, own, RESET)
        if streams[own + STATE] == INACTIVE and not (direction != FORWARD and payload == 0 and peer == SYN_SENT):
            set_state(streams, own, ESTABLISHED if flags & ACK and peer == ESTABLISHED else PARTIAL)
    elif state == SYN_SENT or state == SYN_ACK_SENT:
        if flags & FIN:
            set_state(streams, own, CLOSED)
        if flags & RST:
            set_state(streams, own, RESET)
    elif state == ESTABLISHED or state == PARTIAL:
        if flags & SYN and state == PARTIAL and peer == INACTIVE and not flags & ACK:
            set_state(streams, own, SYN_SENT)
        if flags & FIN and not flags & RST:
            set_state(streams, own, CLOSED)
            if peer == RESET and streams[other + STATE_BEFORE] == CLOSED:
                set_state(streams, other, CLOSED)
        if flags & RST:
            set_state(streams, own, RESET)
    elif state == CLOSED and flags & RST and peer != CLOSED:
        set_state(streams, own, RESET)


@kernel
def add_letter(history, flow, direction, letter):
    """Write a letter behind a flow's history, if there is room; a capital is the originator's."""
    at = flow * (LETTERS + 1)
    count = i64(history[at + LETTERS])
    if count < LETTERS:
        history[at + count] = letter if direction == FORWARD else letter + LOWER
        history[at + LETTERS] = count + 1


@kernel
def note(streams, own, history, flow, direction, flags, offset, payload):
    """Note a segment's letter. A repeated SYN, FIN or RST is noted again where it stands elsewhere in the stream."""
    noted = i64(streams[own + HISTORY])
    control = flags & (SYN | FIN | RST)
    again = 0
    if control == 0:
        if payload:
            bit, letter = N_DATA, C_D
        elif flags & ACK:
            bit, letter = N_ACK, C_A
        else:
            return
    elif control == SYN:
        bit, letter = N_SYN, C_H if flags & ACK else C_S
    elif control == FIN:
        bit, letter = N_FIN, C_F
        again = offset + payload != streams[own + LAST_FIN]
        streams[own + LAST_FIN] = offset + payload
    elif control == RST:
        bit, letter = N_RST, C_R
        again = offset != streams[own + LAST_RST]
        streams[own + LAST_RST] = offset
    elif flags & FIN and flags & RST:
        bit, letter = N_FIN_RST, C_I
    else:
        bit, letter = N_MANY, C_Q
    if not noted & bit or again:
        add_letter(history, flow, direction, letter)
        streams[own + HISTORY] = noted | bit


@kernel
def is_power_of_ten(count):
    """Whether a count, above 0, is 1, 10, 100 and so on."""
    while count % 10 == 0:
        count //= 10
    return count == 1


@kernel
def note_label(labels, history, flow, direction, label):
    """Note t, w and g for the labels of a segment, which are counted already. A gap is of the end whose octets were not seen."""
    at = LABELS * (2 * flow + direction)
    if label & RETRANSMISSION and is_power_of_ten(i64(labels[at + T_BIT])):
        add_letter(history, flow, direction, C_T)
    if label & ZERO_WINDOW and is_power_of_ten(i64(labels[at + W_BIT])):
        add_letter(history, flow, direction, C_W)
    if label & ACK_LOST_SEGMENT and is_power_of_ten(i64(labels[at + G_BIT])):
        add_letter(history, flow, 1 - direction, C_G)
