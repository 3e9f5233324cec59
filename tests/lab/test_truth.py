"""What a case's truth says, from logs and packets made by hand."""

from dataclasses import replace
from typing import Any

import pytest
from faulttruth import PATIENCE_NS, name_conversations, truth_of
from innermost import Segment, segments
from noise import NO_NOISE, Noisy, PointNoise
from pcapfile import Record
from scenario import Scenario

SECOND = 1_000_000_000
CLIENT, NODE, SERVICE, POD = ("10.0.0.1", 40_000), ("192.168.0.1", 50_000), ("10.96.0.10", 80), ("10.0.0.9", 8080)
SYN = 0x02
LOSS = Scenario(
    "made",
    1,
    verdict="loss",
    direction="request",
    element="node-2",
    mechanism="nft",
    layout=("client", "node-1", "node-2", "server"),
)


def attempt(initiator: tuple[str, int] = CLIENT, outcome: str = "timeout", begins_s: float = 1.0) -> dict[str, Any]:
    begins = int(begins_s * SECOND)
    return {
        "initiator": list(initiator),
        "responder": list(SERVICE),
        "outcome": outcome,
        "started_ns": begins,
        "ended_ns": begins + 2 * SECOND,
        "requests": [],
    }


def syn(time_s: float, source: tuple[str, int], destination: tuple[str, int], seq: int = 77) -> Segment:
    return Segment(int(time_s * SECOND), 6, source, destination, seq, SYN)


SEEN = {
    "A": [syn(1.0, CLIENT, SERVICE), syn(2.0, CLIENT, SERVICE)],
    "B": [syn(1.0, NODE, POD), syn(2.0, NODE, POD)],
    "C": [syn(1.0, NODE, POD), syn(2.0, NODE, POD)],
    "D": [syn(0.1, ("10.0.0.7", 1), POD, seq=5)],
}


def told(
    scenario: Scenario,
    windows: dict[str, tuple[float, float] | None],
    *attempts: dict[str, Any],
    seen: dict[str, list[Segment]] = SEEN,
    noise: dict[str, PointNoise] | None = None,
) -> dict[str, Any]:
    """The truth where the captures had these windows, in seconds."""
    between = {point: w and (int(w[0] * SECOND), int(w[1] * SECOND)) for point, w in windows.items()}
    noisy = {point: Noisy(1, [], window, 0) for point, window in between.items()}
    kept = {point: [s for s in seen[point] if w and w[0] <= s.time_ns <= w[1]] for point, w in between.items()}
    conversations = name_conversations(attempts or [attempt()], seen)
    return truth_of(scenario, conversations, noisy, kept, noise or dict.fromkeys(windows, NO_NOISE), 0)


WHOLE: dict[str, tuple[float, float] | None] = dict.fromkeys("ABCD", (0.0, 5.0))


def test_a_conversation_has_the_names_that_each_point_saw() -> None:
    (conversation,) = name_conversations([attempt()], SEEN)
    assert conversation.names == {"A": (CLIENT, SERVICE), "B": (NODE, POD), "C": (NODE, POD)}


def test_a_port_used_again_is_told_apart_by_time_and_sequence_number() -> None:
    seen = {"A": [syn(1.0, CLIENT, SERVICE), syn(4.0, CLIENT, SERVICE, 99)], "B": [syn(4.0, NODE, POD, 99)]}
    first, second = name_conversations([attempt(), attempt(begins_s=3.9)], seen)
    assert set(first.names) == {"A"}
    assert set(second.names) == {"A", "B"}


def test_with_all_captures_whole_the_hop_is_the_faults() -> None:
    truth = told(LOSS, WHOLE)
    assert (truth["verdicts"], truth["hop"], truth["hops"], truth["direction"]) == (["loss"], ("C", "D"), [("C", "D")], "request")
    assert [flow["decidable"] for flow in truth["failing"]] == [True]


@pytest.mark.parametrize(
    ("window_of_c", "hops"),
    [
        ((0.0, 5.0), [("C", "D")]),
        ((1.5, 5.0), [("C", "D"), ("B", "D")]),  # its first SYN came before C was there, its second one after
        ((2.1, 5.0), [("B", "D")]),
        (None, [("B", "D")]),
    ],
)
def test_a_point_that_was_not_there_widens_the_hop(window_of_c: tuple[float, float] | None, hops: list[tuple[str, str]]) -> None:
    truth = told(LOSS, WHOLE | {"C": window_of_c})
    assert truth["failing"][0]["hops"] == hops
    assert truth["hop"] == hops[0]
    assert truth["hops"] == sorted(hops)


@pytest.mark.parametrize(
    ("windows", "verdicts"),
    [
        (WHOLE | {"D": None}, ["no_loss", "undecided"]),  # the fault is beyond the last point
        (WHOLE | {"D": (0.0, 2.0)}, ["undecided", "loss"]),  # no time left to see it missing
        (
            {"A": (3.0, 9.0), "B": (3.0, 9.0), "C": (3.0, 9.0), "D": (0.0, 9.0)},
            ["no_loss", "undecided"],
        ),  # nothing of it was captured
    ],
)
def test_what_the_captures_cannot_show_is_not_asked_of_a_diagnosis(windows: Any, verdicts: list[str]) -> None:
    truth = told(LOSS, windows)
    assert truth["verdicts"] == verdicts
    assert not any(flow["decidable"] for flow in truth["failing"])


def test_nothing_says_that_a_services_address_has_to_pass_a_pod_but_a_scope() -> None:
    """At D only the pod's address is ever seen, and of what was called nothing but the service's is known before B."""
    seen = SEEN | {"B": [], "C": []}
    early = Scenario("made", 1, verdict="loss", direction="request", element="node-1", mechanism="nft", layout=LOSS.layout)
    assert told(early, WHOLE, seen=seen)["verdicts"] == ["undecided", "loss"]
    scoped = replace(early, scope=True)
    truth = told(scoped, WHOLE, seen=seen)
    assert truth["verdicts"] == ["loss"]
    assert truth["hops"] == [("A", "B"), ("A", "D")]  # B has no scope, D has
    assert told(scoped, WHOLE | {"D": (3.0, 9.0)}, seen=seen)["verdicts"] == ["undecided", "loss"]  # and came too late


def test_clocks_that_nothing_joins_leave_it_open() -> None:
    """Between C and D nothing was shared, so whether D was there at the time cannot be told unless their clocks agree."""
    far = {point: PointNoise(offset_ns=3_600 * SECOND if point == "D" else 0) for point in "ABCD"}
    assert told(LOSS, WHOLE, noise=far)["verdicts"] == ["undecided", "loss"]
    shared = attempt(("10.0.0.7", 1), "connected", begins_s=0.1)
    seen = SEEN | {"C": [*SEEN["C"], syn(0.1, ("10.0.0.7", 1), POD, seq=5)]}
    assert told(LOSS, WHOLE, attempt(), shared, seen=seen, noise=far)["verdicts"] == ["loss"]


def test_a_failure_that_is_the_servers_own_is_no_loss() -> None:
    truth = told(Scenario("made", 1, server="silent", layout=LOSS.layout), WHOLE)
    assert (truth["verdicts"], truth["hop"], truth["failing"]) == (["no_loss"], None, [])


def test_who_left_a_request_unanswered_beyond_the_last_capture_may_be_left_open() -> None:
    for scenario in (Scenario("made", 1, server="silent", layout=LOSS.layout), LOSS):
        assert told(scenario, WHOLE | {"D": None})["verdicts"] == ["no_loss", "undecided"]
    assert told(Scenario("made", 1, layout=LOSS.layout), WHOLE | {"D": None})["verdicts"] == ["no_loss"]


def test_who_was_answered_did_not_fail() -> None:
    truth = told(LOSS, WHOLE, attempt(), attempt(("10.0.0.1", 40_001), "connected"))
    assert [flow["initiator"] for flow in truth["failing"]] == [list(CLIENT)]


def test_patience_is_longer_than_the_first_retransmission_timeout() -> None:
    assert PATIENCE_NS > SECOND  # RFC 6298 section 2.1


INNER = bytes.fromhex("45000028 00010000 40060000 0a000001 0a000009".replace(" ", "")) + bytes.fromhex(
    "9c401f90 0000004d 00000000 5002"
)
INNER += bytes(6)
UDP_OUT = bytes.fromhex("45000000 00000000 40110000 c0a80001 c0a80002".replace(" ", ""))
ETHERNET = bytes(12) + b"\x08\x00"


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, ETHERNET + INNER),
        (276, b"\x08\x00" + bytes(18) + INNER),
        (1, ETHERNET + UDP_OUT + bytes.fromhex("c000 2118 0000 0000") + bytes(8) + ETHERNET + INNER),
        (1, ETHERNET + UDP_OUT + bytes.fromhex("c000 17c1 0000 0000") + bytes(8) + ETHERNET + INNER),
        (1, ETHERNET + UDP_OUT[:9] + b"\x04" + UDP_OUT[10:] + INNER),
    ],
    ids=["ethernet", "cooked", "vxlan", "geneve", "ipip"],
)
def test_the_innermost_segment_is_found_in_every_carrier(link_type: int, frame: bytes) -> None:
    assert list(segments(link_type, [Record(9, len(frame), frame)])) == [Segment(9, 6, CLIENT, ("10.0.0.9", 8080), 77, SYN)]
