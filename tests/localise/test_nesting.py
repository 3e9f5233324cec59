"""Which requests lie within which: one pass in the order of time finds what holding every pair against each other does."""

from hypothesis import given
from hypothesis import strategies as st

from mixcni.align.clock import ClockModel
from mixcni.localise.nesting import COMMON, MOST_WAIT_NS, Clocks
from mixcni.localise.requests import SeenRequest

POINTS = 3
TIME = st.one_of(st.just(-1), st.integers(0, 40))


def request(row: int, conversation: int, asked: tuple[int, ...], answered: tuple[int, ...]) -> SeenRequest:
    nowhere: frozenset[int] = frozenset()
    return SeenRequest(row, conversation, 1, "GET", "/", "", "", "", -1, False, asked, answered, nowhere, nowhere, 80)


MODELS = st.lists(
    st.sampled_from(
        [ClockModel("A", 0, 0, 0), ClockModel("A", 5, 3, 9), ClockModel("A", 5, None, 9), ClockModel("A", 0, None, 0)]
    ),
    min_size=POINTS,
    max_size=POINTS,
)
REQUESTS = st.lists(st.tuples(st.integers(0, 4), st.tuples(*[TIME] * POINTS), st.tuples(*[TIME] * POINTS)), max_size=12).map(
    lambda rows: [request(row, *each) for row, each in enumerate(rows)]
)


@given(models=MODELS, requests=REQUESTS)
def test_the_pass_finds_every_pair_that_holds_and_no_other(models, requests):
    clocks = Clocks(models)
    swept = {one.row: [other.row for other in around] for one, around in clocks.pairs(requests, requests, len(requests))}
    held = {
        one.row: [
            other.row
            for other in requests
            if other.conversation != one.conversation and (nested := clocks.nested(other, one)) is not None and nested.holds
        ]
        for one in requests
    }
    assert swept == held


JOINED = [ClockModel("A", 0, 0, 0), ClockModel("A", 5, 3, 9), ClockModel("A", 0, None, 0)]


def test_the_clock_of_a_point_that_saw_both_goes_before_the_common_one():
    outer, inner = request(0, 0, (10, 21, -1), (50, 40, -1)), request(1, 1, (-1, 22, 9), (-1, 30, 9))
    assert Clocks(JOINED).nested(outer, inner) == (True, 1, 1, 10)


def test_times_of_two_points_are_compared_within_what_their_clocks_are_uncertain():
    outer = request(0, 0, (10, -1, -1), (20, -1, -1))
    for asked, holds in ((7, True), (6, False)):
        assert Clocks(JOINED).nested(outer, request(1, 1, (-1, asked, -1), (-1, -1, -1))) == (holds, COMMON, asked - 10, None)


def test_a_clock_that_nothing_joins_to_the_common_one_tells_nothing():
    outer, inner = request(0, 0, (10, -1, -1), (20, -1, -1)), request(1, 1, (-1, -1, 12), (-1, -1, 14))
    assert Clocks(JOINED).nested(outer, inner) is None


def test_nothing_waits_for_ever_for_a_response():
    outer = request(0, 0, (0, -1, -1), (-1, -1, -1))
    for asked, holds in ((MOST_WAIT_NS, True), (MOST_WAIT_NS + 1, False)):
        nested = Clocks(JOINED).nested(outer, request(1, 1, (asked, -1, -1), (-1, -1, -1)))
        assert nested is not None
        assert nested.holds is holds
