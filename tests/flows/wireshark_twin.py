"""Wireshark 4.0's TCP analysis again, as close to its own source as Python goes: one object a side, conditions in its order.

epan/dissectors/packet-tcp.c: tcp_analyze_sequence_number, dissect_tcp, verify_tcp_window_scaling. No kernel is imported.
"""

from dataclasses import dataclass, field

from mixcni.schema import Label
from tests.flows.rows import ACK, FIN, RST, SYN, Row

CIRCLE = 2**32
BOUND = 2**64


def gt(x: int, y: int) -> bool:
    """GT_SEQ: (gint32)(y - x) < 0."""
    return (y - x) % CIRCLE >= 2**31


def lt(x: int, y: int) -> bool:
    """LT_SEQ: (gint32)(x - y) < 0."""
    return (x - y) % CIRCLE >= 2**31


def le(x: int, y: int) -> bool:
    """LE_SEQ: (gint32)(x - y) <= 0."""
    return x == y or lt(x, y)


@dataclass
class Side:
    """tcp_flow_t and its tcp_analyze_seq_flow_info_t; the list of unacknowledged segments is a count."""

    base: int | None = None
    nextseq: int = 0
    nextseq_ns: int = 0
    maxseqtobeacked: int = 0
    lastack: int = 0
    lastack_ns: int = 0
    dupacknum: int = 0
    window: int = CIRCLE - 1
    win_scale: int = -1
    is_first_ack: bool = False
    last: Label = field(default_factory=lambda: Label(0))
    unacked: int = 0
    operations: int = 0


@dataclass
class Watch:
    """tcp_analysis: a conversation."""

    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    syn_ns: int = 0
    first_rtt: int = 0
    operations: int = 0

    def sides_of(self, row: Row) -> tuple[Side, Side]:
        number = 0 if (row.a, row.a_port) <= (row.b, row.b_port) else 1
        return self.sides[number], self.sides[1 - number]

    def begins_another(self, row: Row) -> bool:
        fwd, _ = self.sides_of(row)
        return row.flags & (SYN | ACK) == SYN and fwd.base is not None and fwd.base != row.seq

    def follow(self, row: Row) -> Label:
        """The flags of a segment."""
        fwd, rev = self.sides_of(row)
        found = Label(0)
        if row.flags & (SYN | ACK) == SYN and fwd.base == row.seq:
            fwd.nextseq = fwd.maxseqtobeacked
        if row.flags & (SYN | ACK) == SYN | ACK and fwd.base is not None and fwd.base != row.seq:
            fwd.base = row.seq
            found |= Label.PORT_REUSED
        if fwd.base is None:
            fwd.base = row.seq if row.flags & SYN else (row.seq - 1) % CIRCLE
        if rev.base is None and row.flags & ACK:
            rev.base = (row.ack - 1) % CIRCLE
        found |= self.analyse(row, fwd, rev)
        fwd.last = found
        fwd.operations = self.operations
        self.heed(row, fwd, rev)
        return found

    def heed(self, row: Row, fwd: Side, rev: Side) -> None:
        self.operations |= row.operations
        if row.flags & SYN:
            if not row.flags & ACK:
                self.syn_ns = row.time_ns
            fwd.is_first_ack = True
        elif row.flags & ACK:
            if self.syn_ns and not self.first_rtt:
                self.first_rtt = row.time_ns - self.syn_ns
            fwd.is_first_ack = False
        if row.scale >= 0:
            fwd.win_scale = min(row.scale, 14)
        if not row.flags & SYN:
            return
        if fwd.win_scale == -1:
            fwd.win_scale = rev.win_scale = -2
        elif row.flags & ACK and rev.win_scale == -2:
            fwd.win_scale = -2

    def analyse(self, row: Row, fwd: Side, rev: Side) -> Label:
        found = self.forward(row, fwd, rev)
        if row.ack != fwd.lastack:
            fwd.dupacknum = 0
        if rev.maxseqtobeacked and gt(row.ack, rev.maxseqtobeacked) and row.flags & ACK:
            if lt(rev.maxseqtobeacked, rev.nextseq):
                rev.maxseqtobeacked = rev.nextseq
                found |= Label.ACK_LOST_SEGMENT
            else:
                if rev.dupacknum == 0:
                    found |= Label.ACK_LOST_SEGMENT
                rev.dupacknum = CIRCLE - 1
        if row.flags & ACK and row.ack != fwd.lastack:
            rev.unacked = 0
        if (row.payload or row.flags & (SYN | FIN)) and Label.KEEP_ALIVE not in found:
            found |= self.repetition(row, fwd, rev)
        nextseq = (row.seq + row.payload) % CIRCLE
        if (row.payload or row.flags & (SYN | FIN)) and fwd.unacked < 10_000:
            fwd.unacked += 1
            nextseq = (nextseq + bool(row.flags & (SYN | FIN))) % CIRCLE
        probe = Label.ZERO_WINDOW_PROBE in found
        if (gt(nextseq, fwd.nextseq) or not fwd.nextseq) and not probe:
            fwd.nextseq, fwd.nextseq_ns = nextseq, row.time_ns
        if (row.seq == fwd.maxseqtobeacked or not fwd.maxseqtobeacked) and not probe:
            fwd.maxseqtobeacked = fwd.nextseq
        fwd.window, fwd.lastack, fwd.lastack_ns = row.window, row.ack, row.time_ns
        return found

    def forward(self, row: Row, fwd: Side, rev: Side) -> Label:
        """Down to finished_fwd."""
        found = Label(0)
        bare = not row.flags & (SYN | FIN | RST)
        if row.payload == 1 and row.seq == fwd.nextseq and rev.window == 0:
            return Label.ZERO_WINDOW_PROBE
        if row.window == 0 and bare:
            found |= Label.ZERO_WINDOW
        if fwd.nextseq and gt(row.seq, fwd.nextseq) and not row.flags & RST:
            found |= Label.LOST_SEGMENT
        if row.payload in (0, 1) and row.seq == (fwd.nextseq - 1) % CIRCLE and bare:
            found |= Label.KEEP_ALIVE
        again = row.payload == 0 and row.seq == fwd.nextseq and row.ack == fwd.lastack and bare
        if again and row.window and row.window != fwd.window:
            found |= Label.WINDOW_UPDATE
        if row.payload and rev.win_scale != -1 and bare:
            shift = 0 if rev.is_first_ack or rev.win_scale == -2 else rev.win_scale
            if (row.seq + row.payload) % CIRCLE == (rev.lastack + (rev.window << shift)) % CIRCLE:
                found |= Label.WINDOW_FULL
        same = again and row.window == fwd.window
        if same and row.window and Label.KEEP_ALIVE in rev.last:
            return found | Label.KEEP_ALIVE_ACK
        if same and not row.window and Label.ZERO_WINDOW_PROBE in rev.last:
            return found | Label.ZERO_WINDOW_PROBE_ACK
        if same and row.window and self.operations == fwd.operations:
            found |= Label.DUPLICATE_ACK
            fwd.dupacknum = 1 if fwd.dupacknum == CIRCLE - 1 else fwd.dupacknum + 1
        return found

    def repetition(self, row: Row, fwd: Side, rev: Side) -> Label:
        """From KEEP_ALIVE's exception to finished_checking_retransmission_type."""
        not_advanced = bool(fwd.nextseq) and lt(row.seq, fwd.nextseq)
        if row.payload > 1 and (fwd.nextseq - 1) % CIRCLE == row.seq:
            not_advanced = False
        if row.payload and rev.lastack and le((row.seq + row.payload) % CIRCLE, rev.lastack):
            return Label.RETRANSMISSION | Label.SPURIOUS_RETRANSMISSION
        if not not_advanced:
            return Label(0)
        if rev.dupacknum >= 2 and rev.lastack == row.seq and (row.time_ns - rev.lastack_ns) % BOUND < 20_000_000:
            return Label.RETRANSMISSION | Label.FAST_RETRANSMISSION
        soon = (row.time_ns - fwd.nextseq_ns) % BOUND < (self.first_rtt or 3_000_000) % BOUND
        if soon and fwd.nextseq != (row.seq + row.payload + bool(row.flags & (SYN | FIN))) % CIRCLE:
            return Label.OUT_OF_ORDER
        return Label.RETRANSMISSION
