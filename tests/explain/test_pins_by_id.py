"""A line of an access log is pinned to the requests that carry its id, before its ends and its time are asked."""

from datetime import UTC, datetime

import pytest

from mixcni.cluster import ClusterState
from mixcni.cluster.loading import read_octets
from mixcni.explain import Facts, Finding, Pins, pin_events
from mixcni.explain.pins import TOLERANCE_NS
from mixcni.explain.suspects import find_suspects
from mixcni.explain.told import add_what_was_told
from mixcni.localise import Localisation
from mixcni.localise.proxied import MOST_OF_ONE_ID
from tests.localise.test_proxied import CLIENT, ID, ID2, UNAVAILABLE, Call, down, frames_of, get, late, located, up
from tests.wire import START

HOUR_NS = 3_600_000_000_000


def log_line(request_id: str = ID, *, path: str = "/cart", method: str = "GET", at_ns: int = START, port: int = 41000) -> str:
    """Istio's default format."""
    stamp = datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return (
        f'[{stamp}.{at_ns // 10**6 % 1000:03d}Z] "{method} {path} HTTP/1.1" 503 UC upstream_reset - "-" 0 91 40 - "-" "curl/8" '
        f'"{request_id}" "shop:80" "10.0.3.5:8080" outbound|80||shop 10.0.2.9:59999 10.0.2.9:8080 {CLIENT}:{port} - default\n'
    )


def pins_of(found: Localisation, *lines: str) -> Pins:
    return pin_events(found, ClusterState.of(read_octets("".join(lines).encode(), "envoy.log")))


def seen(*calls: Call, upstream: tuple[Call, ...] = ()) -> Localisation:
    return located(frames_of(calls, upstream, through=[late()]))


def told(pins: Pins) -> list[tuple[int, int | None]]:
    return [(pin.conversation, pin.number) for pin in pins.pins]


def test_a_line_is_pinned_to_its_request_on_both_sides_of_the_proxy_whatever_its_clock_says() -> None:
    found = seen(
        down(0).ask(50, get(), 55).ask(60, get(x_request_id=ID), 90, UNAVAILABLE),
        upstream=(up(62).ask(70, get(x_request_id=ID), 80, UNAVAILABLE),),
    )
    pins = pins_of(found, log_line(at_ns=START + HOUR_NS))
    assert told(pins) == [(0, 2), (1, 1)]
    assert all(pin.apart_ns is not None and pin.apart_ns > TOLERANCE_NS for pin in pins.pins)
    assert pins.to_frame()["number"].tolist() == [2, 1]


def test_a_line_whose_ids_agree_is_pinned_once_a_conversation() -> None:
    """Its ends and its time say the same as its id."""
    assert told(pins_of(seen(down(0).ask(60, get(x_request_id=ID), 90)), log_line())) == [(0, 1)]


def test_without_its_id_in_the_captures_a_line_goes_by_its_ends_and_its_time() -> None:
    found = seen(down(0).ask(60, get(), 90))
    assert told(pins_of(found, log_line())) == [(0, None)]
    assert told(pins_of(found, log_line(at_ns=START + HOUR_NS))) == []


@pytest.mark.parametrize(
    "line",
    [
        log_line(ID2, port=1),
        log_line(path="/reviews", port=1),
        log_line(method="PUT", port=1),
        log_line("-", port=1),
    ],
    ids=["another id", "another path with the id handed on", "another method", "no id"],
)
def test_another_request_s_line_is_not_pinned(line: str) -> None:
    assert told(pins_of(seen(down(0).ask(60, get(x_request_id=ID), 90)), line)) == []


def test_an_id_that_every_request_carries_pins_nothing() -> None:
    call = down(0)
    for number in range(MOST_OF_ONE_ID + 1):
        call.ask(60 + 10 * number, get(x_request_id=ID), 65 + 10 * number)
    assert told(pins_of(seen(call), log_line(port=1))) == []


def test_a_finding_about_a_lost_request_cites_its_line() -> None:
    found = seen(
        down(0).ask(50, get(x_request_id=ID), 3000, UNAVAILABLE),
        upstream=(up(52).say(60, 0, get(x_request_id=ID), lost="BC", times=5),),
    )
    cluster = ClusterState.of(read_octets(log_line(at_ns=START + HOUR_NS).encode(), "envoy.log"))
    (suspect,) = find_suspects(found)
    pins = pin_events(found, cluster)
    finding = add_what_was_told(Finding("path_mtu", 0.5, "Requests are too large."), suspect, Facts(found, cluster), pins)
    (fact,) = finding.evidence
    assert (fact.file, fact.line) == ("envoy.log", 1)
    assert fact.says.endswith(f"request {ID}, which the captures have by this id")
