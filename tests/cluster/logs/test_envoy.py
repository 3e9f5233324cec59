"""Access logs in the default formats of Envoy and Istio, in JSON, and in formats that people made."""

import json

import pytest

from mixcni.cluster.logs.accesslog import AccessLogEntry
from mixcni.cluster.logs.responseflags import FLAGS, meaning, parse_flags
from tests.cluster.dumps import only, state_of

ISTIO = (
    '[2022-12-12T08:01:02.345Z] "GET /status HTTP/1.1" 503 UF,URX '
    "upstream_reset_before_response_started{connection_failure,delayed_connect_error:_111} - "
    '"delayed connect error: 111" 0 152 3001 - "-" "curl/7.64.0" "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f" "shop:8000" '
    '"10.242.2.149:8080" outbound|8000||shop.default.svc.cluster.local - 10.96.0.7:8000 10.244.3.7:41000 - default'
)
ISTIO_1_5 = (
    '[2022-12-12T08:01:02.345Z] "GET /status HTTP/1.1" 503 UF,URX "-" "delayed connect error: 111" 0 152 3001 - "-" '
    '"curl/7.64.0" "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f" "shop:8000" "10.242.2.149:8080" '
    "outbound|8000||shop.default.svc.cluster.local - 10.96.0.7:8000 10.244.3.7:41000 - default"
)
ENVOY = (
    '[2022-12-12T08:01:02.345Z] "GET /status HTTP/1.1" 503 UF,URX 0 152 3001 - "-" "curl/7.64.0" '
    '"c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f" "shop:8000" "10.242.2.149:8080"'
)
ISTIO_JSON = {
    "start_time": "2022-12-12T08:01:02.345Z", "method": "GET", "path": "/status", "protocol": "HTTP/1.1", "response_code": 503,
    "response_flags": "UF,URX", "response_code_details": "x", "connection_termination_details": None,
    "upstream_transport_failure_reason": "delayed connect error: 111", "bytes_received": 0, "bytes_sent": 152, "duration": 3001,
    "upstream_service_time": None, "x_forwarded_for": None, "user_agent": "curl/7.64.0",
    "request_id": "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f", "authority": "shop:8000", "upstream_host": "10.242.2.149:8080",
    "upstream_cluster": "outbound|8000||shop.default.svc.cluster.local", "upstream_local_address": None,
    "downstream_local_address": "10.96.0.7:8000", "downstream_remote_address": "10.244.3.7:41000",
    "requested_server_name": None, "route_name": "default",
}  # fmt: skip
CAMEL_JSON = {
    "startTime": "2022-12-12T08:01:02.345Z", "method": "GET", "path": "/status", "protocol": "HTTP/1.1", "responseCode": "503",
    "responseFlags": "UpstreamConnectionFailure,UpstreamRetryLimitExceeded", "duration": "3001", "bytesSent": "152",
    "bytesReceived": "0", "requestId": "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f", "userAgent": "curl/7.64.0",
    "authority": "shop:8000", "upstreamHost": "10.242.2.149:8080",
}  # fmt: skip
GRPC_SERVICE = {
    "common_properties": {
        "start_time": "2022-12-12T08:01:02.345Z",
        "downstream_remote_address": {"socket_address": {"address": "10.244.3.7", "port_value": 41000}},
        "upstream_remote_address": {"socket_address": {"address": "10.242.2.149", "port_value": 8080}},
        "response_flags": {"upstream_connection_failure": True, "upstream_retry_limit_exceeded": True},
        "time_to_last_downstream_tx_byte": "3.001s",
    },
    "protocol_version": "HTTP11",
    "request": {
        "request_method": "GET", "path": "/status", "authority": "shop:8000", "user_agent": "curl/7.64.0",
        "request_id": "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f", "request_body_bytes": "0",
    },
    "response": {"response_code": {"value": 503}, "response_body_bytes": "152"},
}  # fmt: skip

CORE = {
    "time_ns": 1670832062345000000, "method": "GET", "path": "/status", "status": 503, "flags": ("UF", "URX"),
    "duration_ms": 3001, "sent_octets": 152, "received_octets": 0, "upstream_ms": None, "user_agent": "curl/7.64.0",
    "request_id": "c209e46d-9ca1-9cc2-9a5a-8cb0ed7e7a5f", "authority": "shop:8000", "upstream_port": 8080,
}  # fmt: skip
OF_ISTIO = {
    "failure": "delayed connect error: 111", "cluster": "outbound|8000||shop.default.svc.cluster.local", "route": "default",
    "upstream_local": None, "local_port": 8000, "remote_port": 41000, "server_name": None,
}  # fmt: skip


def fields(entry: AccessLogEntry, names: dict[str, object]) -> dict[str, object]:
    return {name: getattr(entry, name) for name in names}


@pytest.mark.parametrize(
    ("line", "more"),
    [
        (ISTIO, OF_ISTIO), (ISTIO_1_5, OF_ISTIO), (ENVOY, {}), (json.dumps(ISTIO_JSON), OF_ISTIO), (json.dumps(CAMEL_JSON), {}),
        (json.dumps(GRPC_SERVICE), {"remote_port": 41000}),
        (f"2022-12-12T08:01:05.999999999Z stdout F {ISTIO}", OF_ISTIO),
    ],
    ids=["Istio", "Istio 1.5", "Envoy", "Istio JSON", "JSON in camel case", "gRPC service", "behind a collector"],
)  # fmt: skip
def test_every_format_says_the_same_of_one_request(line: str, more: dict[str, object]) -> None:
    state = state_of(line)
    (entry,) = state.of_type(AccessLogEntry)
    assert (only(state).kind, only(state).unparsed) == ("envoy", ())
    assert fields(entry, CORE | more) == CORE | more
    assert str(entry.upstream) == "10.242.2.149"
    assert entry.has_failed
    assert entry.end_ns == CORE["time_ns"] + 3_001_000_000  # type: ignore[operator]


def test_details_are_kept_apart_from_the_failure() -> None:
    (entry,) = state_of(ISTIO).of_type(AccessLogEntry)
    assert entry.details == "upstream_reset_before_response_started{connection_failure,delayed_connect_error:_111}"
    assert entry.termination is None


def test_a_tcp_connection_has_addresses_and_no_request() -> None:
    line = (
        '[2023-01-01T00:00:00.000Z] "- - -" 0 UF,URX - - "-" 0 0 10001 - "-" "-" "-" "-" "10.0.0.5:9000" '
        "outbound|9000||db - 10.96.0.9:9000 10.244.1.2:33000 - -"
    )
    (entry,) = state_of(line).of_type(AccessLogEntry)
    assert (entry.method, entry.path, entry.protocol, entry.status, entry.flags) == (None, None, None, 0, ("UF", "URX"))
    assert (str(entry.upstream), entry.remote_port, entry.duration_ms) == ("10.0.0.5", 33000, 10001)


def test_a_successful_request_has_not_failed_and_its_upstream_end() -> None:
    line = (
        '[2020-11-25T21:26:18.409Z] "POST /pkg.Shop/Buy HTTP/2" 200 - via_upstream - "-" 0 135 4 4 "-" "grpc-go/1.40" '
        '"84961386-6d84-929d-98bd-c5aee93b5c88" "shop:8000" "10.44.1.27:80" outbound|8000||shop 10.44.1.23:37652 '
        "10.0.45.184:8000 10.44.1.23:46520 - default"
    )
    (entry,) = state_of(line).of_type(AccessLogEntry)
    assert (entry.has_failed, entry.upstream_ms, entry.details, entry.flags) == (False, 4, "via_upstream", ())
    assert (str(entry.upstream_local), entry.upstream_local_port, entry.local_port) == ("10.44.1.23", 37652, 8000)


@pytest.mark.parametrize(
    "line",
    [
        '2022-12-12T08:01:02.345Z 503 UF "GET /status HTTP/1.1" 10.96.0.7:8000 10.244.3.7:41000',
        '"GET /status HTTP/1.1" 503 UF 10.96.0.7:8000 10.244.3.7:41000 [2022-12-12T08:01:02.345Z]',
        'time=x [2022-12-12T08:01:02.345Z] 10.96.0.7:8000 10.244.3.7:41000 "GET /status HTTP/1.1" 503 UpstreamConnectionFailure',
    ],
)
def test_a_format_of_ones_own_is_read_by_what_its_words_look_like(line: str) -> None:
    (entry,) = state_of(line, istio_proxy=line).of_type(AccessLogEntry)[:1]
    assert (entry.time_ns, entry.method, entry.path, entry.status, entry.flags) == (
        1670832062345000000, "GET", "/status", 503, ("UF",),
    )  # fmt: skip


def test_the_proxys_own_log_lines_are_kept_as_unparsed() -> None:
    text = f"{ISTIO}\n2022-12-12T08:01:03.000000Z\twarning\tenvoy config\tStreamAggregatedResources gRPC config stream closed\n"
    dump = only(state_of(text))
    assert (dump.entries, [odd.line for odd in dump.unparsed]) == (1, [2])


@pytest.mark.parametrize("short", FLAGS)
def test_each_flag_is_known_by_both_its_names(short: str) -> None:
    assert parse_flags(short) == parse_flags(FLAGS[short].long) == (short,)
    assert meaning((short,)) == FLAGS[short].means


def test_words_that_are_no_flags_are_none() -> None:
    assert parse_flags("-") == ()
    assert parse_flags("via_upstream") is None
    assert parse_flags("UF,XYZ") is None
