"""Packet rows that Hypothesis draws: few keys, and sequence numbers at the edges of the circle and of windows."""

from hypothesis import strategies as st

from tests.flows.rows import ACK, FIN, RST, STACKS, SYN, Row

ISNS = (0, 5, 2**31 + 7, 2**32 - 3)
STEPS = (0, 1, -1, 1, 2, 3, 101, 60_000, 2**20, 2**29, 2**30, 2**31 - 1, 2**31, 2**31 + 1)
SEQ = st.tuples(st.sampled_from(ISNS), st.sampled_from(STEPS)).map(lambda pair: sum(pair) % 2**32)
FLAGS = st.sampled_from([SYN, SYN | ACK, ACK, ACK, ACK, ACK | FIN, RST, RST | ACK, SYN | RST, 0])
PAYLOAD = st.sampled_from([0, 0, 1, 2, 100, 60_000])
WINDOW = st.sampled_from([0, 1, 64, 65_535])
TIME = st.sampled_from([-1, 0, 1, 5, 10**6, 10**6 + 1, 3 * 10**6, 20 * 10**6, 21 * 10**6, 10**9, 62 * 10**9])
IP_ID = st.sampled_from([0, 0, 0, 7])
TTL = st.sampled_from([64, 64, 64, 63])
STACK = st.sampled_from([0, 0, 0, 0, 0, 0, *range(len(STACKS))])
SCALE = st.sampled_from([-1, -1, -1, 0, 7, 15])
MSS = st.sampled_from([-1, -1, 0, 99, 1460])
OPERATIONS = st.sampled_from([0, 0, 0, 0x04, 0x08])
AROUND = st.tuples(IP_ID, TTL, STACK, SCALE, MSS, st.integers(60, 70), OPERATIONS)
END = st.tuples(st.integers(0, 1), st.sampled_from([80, 80, 40_000, 50_000]))


def tcp_row(drawn) -> Row:
    (a, a_port), (b, b_port), *rest, around = drawn
    return Row(a, a_port, b, b_port, 6, *rest, *around)


def udp_row(drawn) -> Row:
    (a, a_port), (b, b_port), payload, time_ns, (ip_id, ttl, stack, *_) = drawn
    return Row(a, a_port, b, b_port, 17, 0, payload=payload, time_ns=time_ns, ip_id=ip_id, ttl=ttl, stack=stack)


def icmp_row(drawn) -> Row:
    a, identifier, b, (protocol, kind) = drawn
    return Row(a, identifier, b, kind << 8, protocol)


TCP_ROW = st.tuples(END, END, FLAGS, SEQ, SEQ, PAYLOAD, WINDOW, TIME, AROUND).map(tcp_row)
UDP_ROW = st.tuples(END, END, PAYLOAD, TIME, AROUND).map(udp_row)
ICMP_KIND = st.sampled_from([(1, 8), (1, 0), (1, 3), (58, 128), (58, 129), (58, 1)])
ICMP_ROW = st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 1), ICMP_KIND).map(icmp_row)
ANY_ROWS = st.lists(st.one_of(TCP_ROW, TCP_ROW, TCP_ROW, UDP_ROW, ICMP_ROW), max_size=40)

SIDES = st.sampled_from([((0, 40_000), (1, 80)), ((1, 80), (0, 40_000))])
NONSENSE = st.tuples(SIDES, FLAGS, SEQ, SEQ, PAYLOAD, WINDOW, TIME, AROUND).map(lambda drawn: tcp_row((*drawn[0], *drawn[1:])))
ONE_CONNECTION = st.lists(NONSENSE, max_size=30)
"""Anything between two ends."""


@st.composite
def plausible_connections(draw: st.DrawFn) -> list[Row]:
    """A handshake and data of both sides, segments repeated, lost, swapped, with resets and strays among them."""
    isn = [draw(st.sampled_from(ISNS)), draw(st.sampled_from(ISNS))]
    due = [0, 0]
    rows: list[Row] = []
    clock = 0

    def say(side: int, flags: int, payload: int, back: int = 0) -> None:
        nonlocal clock
        clock += draw(st.sampled_from([0, 10**5, 2 * 10**6, 25 * 10**6, 10**9]))
        ends = ((0, 40_000), (1, 80))
        seq, ack = (isn[side] + due[side] - back) % 2**32, (isn[1 - side] + due[1 - side]) % 2**32
        segment = Row(*ends[side], *ends[1 - side], 6, flags, seq, ack if flags & ACK else 0, payload, 64, clock)
        rows.append(segment._replace(operations=draw(OPERATIONS)))
        due[side] += (payload + bool(flags & SYN) + bool(flags & FIN)) if not back else 0

    for side, flags in ((0, SYN), (1, SYN | ACK), (0, ACK)):
        say(side, flags, 0)
    for _ in range(draw(st.integers(0, 12))):
        side = draw(st.integers(0, 1))
        flags = draw(st.sampled_from([ACK, ACK, ACK, ACK, ACK | FIN, RST | ACK]))
        say(side, flags, draw(st.sampled_from([0, 1, 100, 1400])), draw(st.sampled_from([0, 0, 0, 1, 100])))
    lost = draw(st.sets(st.integers(0, len(rows) - 1), max_size=3))
    rows = [row for i, row in enumerate(rows) if i not in lost]
    for _ in range(draw(st.integers(0, 2))):
        if len(rows) > 1:
            at = draw(st.integers(0, len(rows) - 2))
            rows[at], rows[at + 1] = rows[at + 1], rows[at]
    doubled: bool = draw(st.booleans())
    if rows and doubled:  # every packet, or a few, heard twice
        chosen = draw(st.sampled_from([range(len(rows)), range(0, len(rows), 3)]))
        ttl = draw(st.integers(63, 64))
        rows = [copy for i, row in enumerate(rows) for copy in ([row, row._replace(ttl=ttl)] if i in chosen else [row])]
    for _ in range(draw(st.integers(0, 2))):
        rows.insert(draw(st.integers(0, len(rows))), draw(NONSENSE))
    for _ in range(draw(st.integers(0, 2))):
        (sender, receiver), at = draw(SIDES), draw(st.integers(0, len(rows)))
        rows.insert(at, Row(*sender, *receiver, 6, SYN, draw(SEQ), 0, draw(PAYLOAD), 64, rows[at - 1].time_ns if rows else 0))
    return rows
