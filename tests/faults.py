"""What goes wrong between a wire and a file, by seed: frames cut, dropped, doubled, moved, on a wrong clock; octets bent."""

import random
from collections.abc import Sequence

from tests.wire import Frame


def drop(frames: Sequence[Frame], seed: int, share: float = 0.1) -> list[Frame]:
    """The frames without a share of them."""
    chance = random.Random(seed)
    return [frame for frame in frames if chance.random() >= share]


def duplicate(frames: Sequence[Frame], seed: int, share: float = 0.1, delay_ns: int = 50_000) -> list[Frame]:
    """The frames with a share of them twice, the copy right behind and `delay_ns` later."""
    chance = random.Random(seed)
    out: list[Frame] = []
    for frame in frames:
        out.append(frame)
        if chance.random() < share:
            out.append(frame.at(frame.time_ns + delay_ns))
    return out


def reorder(frames: Sequence[Frame], seed: int, share: float = 0.1, reach: int = 3) -> list[Frame]:
    """The frames with a share of them up to `reach` places later; the times stay where they were, in order."""
    chance = random.Random(seed)
    keys = [i + (chance.randint(1, reach) + 0.5 if chance.random() < share else 0) for i in range(len(frames))]
    order = sorted(range(len(frames)), key=keys.__getitem__)
    return [frames[moved].at(frames[i].time_ns) for i, moved in enumerate(order)]


def skew(frames: Sequence[Frame], offset_ns: int = 0, drift_ppm: float = 0.0) -> list[Frame]:
    """The frames by a clock that is `offset_ns` ahead at the first one and gains `drift_ppm` from then on."""
    first = frames[0].time_ns if frames else 0
    return [f.at(f.time_ns + offset_ns + round((f.time_ns - first) * drift_ppm / 1e6)) for f in frames]


def cut(octets: bytes, seed: int) -> bytes:
    """The octets up to some place."""
    return octets[: random.Random(seed).randrange(len(octets) + 1)]


def bend(octets: bytes, seed: int, times: int = 3) -> bytes:
    """The octets with some of them overwritten, at the edges of an integer as often as not, taken out or put in."""
    chance = random.Random(seed)
    out = bytearray(octets)
    for _ in range(times):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(4):
            case 0:
                out[at : at + 1] = bytes([chance.choice([0, 1, 0x7F, 0x80, 0xFF])])
            case 1:
                out[at : at + 1] = chance.randbytes(1)
            case 2:
                del out[at : at + chance.choice([1, 2, 4, 8])]
            case _:
                out[at:at] = chance.randbytes(chance.choice([1, 2, 4, 8]))
    return bytes(out)
