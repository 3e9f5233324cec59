"""Streams for tests: octets in segments of any cut, order and repetition, as Streams and as captured connections."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from mixcni.exchanges import ExchangeTable, pair_exchanges
from mixcni.exchanges.streams import Segment, Stream
from mixcni.flows import FlowTable, track_flows
from tests.wire import MS, START, Conversation, Frame, decoded


def stream_of(*segments: tuple[int, bytes], captured: int = 1 << 20, acknowledged: int = -1) -> Stream:
    """A stream of (offset, octets), in file order; of each only `captured` octets are in the file."""
    return Stream(
        Segment(start, start + len(octets), octets[:captured], packet, acknowledged)
        for packet, (start, octets) in enumerate(segments)
    )


def whole(octets: bytes) -> Stream:
    """All of a direction in one segment."""
    return stream_of((1, octets)) if octets else Stream([])


@st.composite
def deliveries(draw: st.DrawFn, octets: bytes) -> list[tuple[int, bytes]]:
    """`octets` from offset 1 on as segments: cut anywhere, overlapping, repeated and in any order; none is missing."""
    cuts = sorted({0, len(octets), *draw(st.lists(st.integers(0, len(octets)), max_size=8))})
    spans = [(a, b) for a, b in itertools.pairwise(cuts) if a < b]
    spans += draw(st.lists(st.sampled_from(spans), max_size=3)) if spans else []
    spans += [
        (a, min(a + size, len(octets)))
        for a, size in draw(st.lists(st.tuples(st.sampled_from(cuts), st.integers(1, 80)), max_size=3))
    ]
    order = draw(st.permutations(spans))
    return [(1 + a, octets[a:b]) for a, b in order if a < b]


def talk_of(turns: Iterable[tuple[int, bytes]], *, step_ns: int = MS, size: int = 1400, **ends: Any) -> list[Frame]:
    """A connection in which each (side, octets) is sent in segments of `size` octets after what stands before it."""
    talk = Conversation(**ends)
    frames = talk.handshake()
    now = START + 10 * MS
    for side, octets in turns:
        for at in range(0, len(octets), size):
            frames.append(talk.say(side, "PA", octets[at : at + size], time_ns=now))
            now += step_ns
    return [*frames, *talk.close(now)]


def flows_of(path: Path, frames: Sequence[Frame], **options: int) -> FlowTable:
    """The flows of a capture of these frames."""
    return track_flows(decoded(path, frames, **options))


def exchanges_of(path: Path, frames: Sequence[Frame], **options: int) -> ExchangeTable:
    """The exchanges of a capture of these frames."""
    return pair_exchanges(flows_of(path, frames, **options))
