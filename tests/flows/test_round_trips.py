"""The least and the median round trip of each direction, against sorting each stream's by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mixcni.flows.columns import Samples, _round_trips

FLOWS = 4
STREAM = st.integers(0, 2 * FLOWS - 1)


@given(
    samples=st.one_of(
        st.lists(st.tuples(STREAM, st.integers(-3, 50)), max_size=40),
        st.lists(st.tuples(STREAM, st.integers(-(2**61), 2**61)), max_size=40),  # more than fits one word with its stream
    )
)
def test_least_and_lower_median_of_each_stream(samples: list[tuple[int, int]]):
    streams = np.array([stream for stream, _ in samples], dtype=np.int32)
    times = np.array([time for _, time in samples], dtype=np.int64)
    least, median = _round_trips(Samples(streams, times), FLOWS)
    for stream in range(2 * FLOWS):
        own = sorted(time for number, time in samples if number == stream)
        wanted = (own[0], own[(len(own) - 1) // 2]) if own else (-1, -1)
        assert (least.T.reshape(-1)[stream], median.T.reshape(-1)[stream]) == wanted
