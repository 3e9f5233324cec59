"""Captures of connections that go wrong in every way at once, from a seed: what TCP analysis has to name, right or not."""

import random

from tests.wire import MS, START, Conversation, Frame

STEPS_NS = (0, 10_000, 200_000, 1_500_000, 2_500_000, 25_000_000, 300_000_000)
PAYLOADS = (0, 0, 1, 1, 2, 10, 100, 1400)
WINDOWS = (0, 0, 100, 100, 100, 200, 1400)
FLAGS = ("A", "A", "A", "FA", "PA", "R", "RA", "S", "SA", "")
BACK = (0, 0, 0, 1, 1, 2, 10, 100, 1400, -1, -100)
ISNS = (0, 5, 2**31 + 7, 2**32 - 3)
# RFC 8684 sections 3.1 to 3.4: DSS with a data acknowledgment, ADD_ADDR, REMOVE_ADDR, MP_PRIO, each padded
OPERATIONS = tuple(bytes.fromhex(text) for text in ("1e0820010000000a", "1e0830040a000007", "1e044005", "1e045105"))


def noisy(seed: int, connections: int, *, multipath: bool = False) -> list[Frame]:
    """Frames of so many connections, one after the other: octets lost, late, repeated and invented, windows that close.

    multipath : MPTCP's options among them
    """
    chance = random.Random(seed)
    frames = []
    for number in range(connections):
        ends = ("10.0.0.1", 20_000 + number), ("10.0.1.1", 80)
        isns = [chance.choice((*ISNS, chance.randrange(2**32))) for _ in ends]
        talk = Conversation(*ends, iss=isns[0], irs=isns[1])
        frames += connection(chance, talk, START + number * 10 * MS, OPERATIONS if multipath else ())
    return frames


def connection(chance: random.Random, talk: Conversation, clock: int, operations: tuple[bytes, ...]) -> list[Frame]:
    """One of them."""
    frames = []
    if chance.random() < 0.85:
        for side, flags in ((0, "S"), (1, "SA"), (0, "A")):
            clock += chance.choice(STEPS_NS)
            scale = bytes([3, 3, chance.choice((0, 2, 7, 15)), 1]) if "S" in flags and chance.random() < 0.6 else b""
            frame = talk.say(side, flags, time_ns=clock, options=scale, window=chance.choice((1, 100, 65_535)))
            frames += [frame] if chance.random() < 0.93 else []
    for _ in range(chance.randrange(4, 30)):
        clock += chance.choice(STEPS_NS)
        side, kind = chance.randrange(2), chance.random()
        options = chance.choice((b"", *operations)) if operations else b""
        payload, window = bytes(chance.choice(PAYLOADS)), chance.choice(WINDOWS)
        if kind < 0.5:
            frame = talk.say(side, "A", payload, time_ns=clock, window=window, options=options)
        elif kind < 0.6:
            talk.say(side, "A", payload)  # never captured
            continue
        else:
            wild = kind >= 0.95
            seq = chance.randrange(2**32) if wild else talk.next[side] - chance.choice(BACK)
            ack = chance.randrange(2**32) if wild else talk.next[1 - side] - chance.choice(BACK)
            flags = chance.choice(FLAGS)
            frame = talk.segment(side, flags, seq=seq, ack=ack, payload=payload, time_ns=clock, window=window, options=options)
        frames.append(frame)
        if chance.random() < 0.2:
            clock += chance.choice(STEPS_NS)
            frames.append(frame.at(clock))
    return frames
