"""One direction put together from segments: against a plain twin, and around holes."""

from hypothesis import given
from hypothesis import strategies as st

from mixcni.exchanges.streams import Segment, Stream
from tests.exchanges.streams import deliveries, stream_of

OCTETS = bytes(range(256))
ANY_SEGMENTS = st.lists(st.tuples(st.integers(1, 60), st.binary(max_size=20), st.integers(0, 20)), max_size=12)


def twin(segments: list[Segment]) -> dict[int, tuple[int, int]]:
    """Octet by octet: (its value, the packet that brought it), the first transmission counts."""
    known: dict[int, tuple[int, int]] = {}
    for segment in segments:
        for i, octet in enumerate(segment.octets):
            known.setdefault(segment.start + i, (octet, segment.packet))
    return known


@given(ANY_SEGMENTS)
def test_any_segments_give_what_the_twin_has(rows):
    """Octets that contradict each other and cut segments included."""
    segments = [Segment(start, start + len(octets) + cut, octets, i, 0) for i, (start, octets, cut) in enumerate(rows)]
    stream, known = Stream(segments), twin(segments)
    for offset in range(102):
        run = 0
        while offset + run in known:
            run += 1
        assert stream.available(offset) == run
        assert stream.read(offset, run + 5) == bytes(known[offset + i][0] for i in range(run))
        carrier = stream.carrier(offset)
        assert (carrier.packet if carrier else None) == (known[offset][1] if run else None)
    assert stream.end == max((segment.end for segment in segments), default=1)
    assert stream.first == min((segment.start for segment in segments), default=1)
    assert stream.marks == sorted({segment.start for segment in segments})


@given(st.data())
def test_order_cuts_and_repetitions_change_no_octet(data):
    stream = stream_of(*data.draw(deliveries(OCTETS)))
    assert stream.read(1, 500) == OCTETS
    assert (stream.first, stream.end) == (1, 257)


def test_a_search_stops_at_a_hole_and_at_its_limit():
    stream = stream_of((1, b"abc"), (10, b"abcd"))
    assert stream.find(b"d", 1, 100) == -1
    assert stream.find(b"d", 10, 100) == 13
    assert stream.find(b"d", 10, 3) == -1
    assert stream.find(b"a", 5, 100) == -1
    assert stream.has_hole(1, 5)
    assert not stream.has_hole(1, 4)
    assert (stream.next_mark(2), stream.next_mark(10), stream.next_mark(11)) == (10, 10, -1)
