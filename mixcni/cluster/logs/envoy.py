"""Access logs of Envoy and Istio's proxies: text, JSON, and entries of the gRPC access log service as JSON."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section
from mixcni.cluster.events.times import time_of
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records
from mixcni.cluster.kind import Kind
from mixcni.cluster.logs.accesslog import AccessLogEntry, end_fields
from mixcni.cluster.logs.envoytext import read_envoy
from mixcni.cluster.logs.responseflags import FLAGS, parse_flags

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_SECONDS = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?s")

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "when": ("start_time", "time", "timestamp"),
    "method": ("method", "request_method"),
    "path": ("path", "x_envoy_origin_path", "x_envoy_original_path", "request_path", "original_path"),
    "protocol": ("protocol", "protocol_version"),
    "grpc_status": ("grpc_status", "grpc_status_code", "grpc_status_number"),
    "details": ("response_code_details", "response_details"),
    "termination": ("connection_termination_details",),
    "failure": ("upstream_transport_failure_reason", "upstream_failure_reason"),
    "forwarded_for": ("x_forwarded_for", "forwarded_for"),
    "user_agent": ("user_agent",),
    "request_id": ("request_id", "x_request_id"),
    "authority": ("authority", "host"),
    "cluster": ("upstream_cluster", "upstream_cluster_name"),
    "server_name": ("requested_server_name", "tls_sni_hostname"),
    "route": ("route_name",),
}
"""The keys that Envoy, Istio and the gRPC service give each field, in one spelling."""
_NUMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("response_code", "status", "status_code"),
    "received_octets": ("bytes_received", "request_body_bytes"),
    "sent_octets": ("bytes_sent", "response_body_bytes"),
    "duration_ms": ("duration", "duration_ms"),
    "upstream_ms": ("upstream_service_time", "x_envoy_upstream_service_time"),
}
_ENDS: Final[Mapping[str, tuple[str, ...]]] = {
    "upstream": ("upstream_host", "upstream_remote_address"),
    "upstream_local": ("upstream_local_address",),
    "local": ("downstream_local_address",),
    "remote": ("downstream_remote_address", "downstream_direct_remote_address"),
}
_FLAG_KEYS: Final = ("response_flags", "response_flag", "response_flags_long")


def read_envoy_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The requests of an access log in JSON, whatever its format calls the fields that mixcni knows."""

    def entries_of(record: Record) -> Iterable[AccessLogEntry] | str:
        if not isinstance(record.value, dict):
            return "no access log entry: wanted an object"
        value = _flat(record.value)
        if not any(name in value for name in (*_FLAG_KEYS, *_NUMBERS["status"], *_ENDS["upstream"])):
            return "no access log entry: wanted a response code, response flags or an upstream"
        return (AccessLogEntry(**_fields(value, section.addresses), file=section.file, line=record.line),)

    return read_records(section, records, entries_of)


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under keys of one spelling; the parts of a gRPC entry together."""
    spelled = {_OTHER.sub("_", _CAMEL.sub("_", key).lower()).strip("_"): item for key, item in value.items()}
    is_grpc = "common_properties" in spelled or "request_method" in spelled
    for part in ("common_properties", "request", "response"):
        if is_grpc and isinstance(spelled.get(part), dict):
            spelled |= _flat(spelled[part])
    return spelled


def _fields(value: Mapping[str, Any], book: AddressBook) -> dict[str, Any]:
    found: dict[str, Any] = {}
    known = {"common_properties", "request", "response", *_FLAG_KEYS, "time_to_last_downstream_tx_byte"}
    for field, names in _NAMES.items():
        known.update(names)
        found[field] = next((text for name in names if (text := _text(value.get(name))) is not None), None)
    for field, names in _NUMBERS.items():
        known.update(names)
        found[field] = next((number for name in names if (number := _number(value.get(name))) is not None), None)
    for field, names in _ENDS.items():
        known.update(names)
        found |= end_fields(field, next((text for name in names if (text := _end_text(value.get(name)))), None), book)
    found["flags"] = next((flags for name in _FLAG_KEYS if (flags := _flags(value.get(name)))), ())
    found["when"] = found["when"] or ""
    found["time_ns"] = time_of(found["when"])
    if found["duration_ms"] is None and (match := _SECONDS.fullmatch(str(value.get("time_to_last_downstream_tx_byte"))[:40])):
        found["duration_ms"] = int(match[1]) * 1000 + int((match[2] or "").ljust(9, "0")) // 1_000_000
    scalars = ((name, item) for name, item in value.items() if name not in known)
    found["extra"] = tuple((name, str(item)) for name, item in scalars if isinstance(item, str | int | float) and item != "-")
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = a_text(value)
    return None if text == "-" else text


def _number(value: Any) -> int | None:
    number = a_number(value.get("value") if isinstance(value, dict) else value)
    return number if number is None or number >= 0 else None


def _end_text(value: Any) -> str | None:
    """An end as one text, also of gRPC's `{"socket_address": {"address": ..., "port_value": ...}}`."""
    if isinstance(value, dict):
        socket = _flat(a_mapping(_flat(value).get("socket_address")))
        address, port = a_text(socket.get("address")), a_number(socket.get("port_value"))
        if address is None:
            return None
        return address if port is None else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return _text(value)


def _flags(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        by_name = {flag.long.lower(): short for short, flag in FLAGS.items()}
        named = (_OTHER.sub("", key.lower()) for key, item in value.items() if item)
        return tuple(short for name in named if (short := by_name.get(name)))
    if isinstance(value, list):
        value = ",".join(item for item in value if isinstance(item, str))
    return parse_flags(value) or () if isinstance(value, str) else ()


KIND: Final = Kind(
    name="envoy",
    entry=AccessLogEntry,
    read=read_envoy,
    read_json=read_envoy_json,
    rows=r"""
        (?:\S{1,80}\ ){0,4}\[\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)\]\ "
    """,
    first_row=r'.{0,400}?"[A-Z]{3,10}\ \S{1,2000}\ HTTP/\d(?:\.\d)?"\ \d{1,3}\b',
    json=r'"(?:x-)?[rR]esponse[_-]?[fF]lags?"|"upstream_cluster"|"response_code"|"downstream_remote_address"|"common_properties"',
    files=("access log", "istio proxy", "envoy", "istio ingressgateway"),
    quotes_errors=True,
)
