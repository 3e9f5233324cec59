"""Equal datagrams where nothing else joins the clocks: what they carry tells them apart, else their order and their intervals."""

from collections.abc import Sequence
from pathlib import Path

import dpkt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.align import Alignment, align_points
from mixcni.align.repeats import fit_one_order
from mixcni.flows import track_flows
from tests.scene import Sent, captured, scene_of
from tests.wire import MS, START, Frame, S, decoded, udp_frame

CLIENT, RESOLVER = ("10.0.0.1", 5353), ("10.0.0.2", 53)
HOURS = 7 * 3600 * S


def asked(number: int, ms: float, *, again: bool = False, missed: str = "") -> Sent:
    """A question of a resolver, or the reply to it, which all have one length; identifications are 0."""
    name = f"svc{number}.local"
    message = bytes(dpkt.dns.DNS(id=number, qr=int(again), qd=[dpkt.dns.DNS.Q(name=name, type=1)]))
    ends = (RESOLVER, CLIENT) if again else (CLIENT, RESOLVER)
    return Sent(udp_frame(*ends, message, time_ns=START + round(ms * MS)), int(again), missed=missed)


def beat(times: Sequence[float], *, side: int = 0, missed: Sequence[str] = ()) -> list[Sent]:
    """Datagrams that carry the same."""
    ends = (CLIENT, RESOLVER) if side == 0 else (RESOLVER, CLIENT)
    lacking = [*missed, *[""] * (len(times) - len(missed))]
    return [
        Sent(udp_frame(*ends, b"beat", time_ns=START + round(ms * MS)), side, missed=point)
        for ms, point in zip(times, lacking, strict=True)
    ]


def aligned(folder: Path, frames: dict[str, list[Frame]]) -> Alignment:
    """The alignment of captures whose files stay."""
    flows = [track_flows(decoded(folder / f"{name}.pcap", of_point)) for name, of_point in frames.items()]
    return align_points(list(frames), flows)


def offset_of(alignment: Alignment) -> int | None:
    """The offset of the second point's clock if it is joined, within what it says of itself."""
    clock = alignment.clocks[1]
    return clock.offset_ns if clock.is_known else None


def test_questions_of_one_length_join_clocks_by_what_they_carry(tmp_path: Path) -> None:
    """Steady intervals of which A lacks the first and B the last: in order the k-th would be the k-th, and a second off."""
    sent = [asked(number, 1000 * number, missed="A" * (number == 0) + "B" * (number == 4)) for number in range(5)]
    sent += [asked(2, 2010, again=True)]
    found = aligned(tmp_path, captured(sent, "AB", offsets={"B": HOURS}))
    clock = found.clocks[1]
    assert clock.uncertainty_ns is not None
    assert abs(clock.offset_ns - HOURS) <= clock.uncertainty_ns <= 2 * MS
    assert clock.segments == 4


@pytest.mark.parametrize(
    ("sent", "is_joined"),
    [
        ([*beat([0, 1000, 2700]), *beat([10, 1010, 2710], side=1)], True),
        ([*beat([0, 1000, 2000, 3000]), *beat([10, 1010, 2010, 3010], side=1)], False),
        (beat([0, 1000, 2700, 3000], missed=["A"]), False),
        (beat([0, 1000, 2700, 3000], missed=["A", "B"]), False),
        (beat([0, 1000]), False),
    ],
    ids=["uneven", "steady", "counts differ", "each lacks another", "two"],
)
def test_datagrams_that_carry_the_same_join_clocks_if_they_fit_one_order(sent: list[Sent], is_joined: bool) -> None:
    seen = scene_of(captured(sent, "AB", offsets={"B": HOURS}))
    offset = offset_of(seen.alignment)
    assert (offset is not None) == is_joined
    assert offset is None or abs(offset - HOURS) <= 2 * MS


def test_a_question_that_is_asked_again_is_not_lost_where_nothing_tells_which_of_both_arrived() -> None:
    """Clocks that nothing joins, and two datagrams that carry the same at each point: they are one, sent twice."""
    seen = scene_of(captured(beat([0, 1500]), "AB"))
    assert not seen.alignment.clocks[1].is_known
    assert seen.localisation.losses == ()
    assert [fate for fate, *_ in seen.told()] == ["SILENT"]


def test_datagrams_that_a_point_hears_on_two_interfaces_are_one_each(tmp_path: Path) -> None:
    """Without IP identifications what they carry tells: of two questions at once, and of one that is asked again later."""
    sent = [asked(1, 0), asked(2, 0.1), asked(1, 10, again=True), asked(1, 3000), asked(1, 3010, again=True)]
    frames = captured(sent, "AB")
    frames["B"] = sorted([*frames["B"], *(frame.at(frame.time_ns + MS // 2) for frame in frames["B"])])
    table = aligned(tmp_path, frames).transmissions
    assert [int((table["point"] == point).sum()) for point in (0, 1)] == [5, 5]


@settings(derandomize=True)
@given(
    gaps=st.lists(st.integers(1, 10_000), min_size=3, max_size=12),
    delays=st.lists(st.integers(0, 100), min_size=13, max_size=13),
    offset=st.integers(-(10**8), 10**9),
)
def test_two_orders_never_fit(gaps: list[int], delays: list[int], offset: int) -> None:
    """One capture may lack the first and the other the last: what fits in order does not fit one farther on."""
    times = 10**9 + np.cumsum([0, *gaps])
    others = times + np.array(delays[: times.size]) + offset
    if fit_one_order(times, others):
        assert not fit_one_order(times[:-1], others[1:])
        assert not fit_one_order(times[1:], others[:-1])
