"""Hubble's flows: `hubble observe` in text and JSON, and the logs of `hubble export`.

A JSON record is a flow, bare or wrapped as `{"flow": ...}`, or says that events were lost. Zero and default values are left
out of it, and an export's field mask leaves out more: what is absent is unknown.
"""

from collections.abc import Iterable
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.hubbletext import read_hubble
from mixcni.cluster.events.lost import TABLE, BlindTimes, LostEvents
from mixcni.cluster.events.times import time_of
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_number, a_text, not_read
from mixcni.cluster.kind import Kind

_OTHER_EVENTS: Final = ("node_status", "agent_event", "debug_event")
_EVENT_TYPES: Final = {1: "drop", 4: "trace", 5: "policy-verdict", 7: "sock", 129: "l7", 3: "capture"}
_L4: Final = {"TCP": "TCP", "UDP": "UDP", "SCTP": "SCTP", "ICMPv4": "ICMP", "ICMPv6": "ICMPv6"}
_MATCHES: Final = {1: "L3-Only", 2: "L3-L4", 3: "L4-Only", 4: "all", 5: "L3-Proto", 6: "Proto-Only"}
_VERDICT_NUMBERS: Final = {1: "FORWARDED", 2: "DROPPED", 3: "ERROR", 4: "AUDIT", 5: "REDIRECTED", 6: "TRACED", 7: "TRANSLATED"}


def read_hubble_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The flows of JSON records, and the losses that they tell."""
    flows: list[HubbleFlow] = []
    unparsed: list[Unparsed] = []
    blind = BlindTimes()
    for record in records:
        value = a_mapping(record.value)
        result = a_mapping(value.get("result")) or value  # as the gRPC gateway wraps it
        lost = a_mapping(result.get("lost_events") or result.get("lostEvents"))
        flow = a_mapping(result.get("flow")) or (result if "verdict" in result or "IP" in result or "l4" in result else {})
        if lost:
            blind.lost(_lost(lost, result, section, record))
        elif flow:
            found = _fields(flow, result, section)
            blind.event(found["node"], found["time_ns"])
            flows.append(HubbleFlow(**found, file=section.file, line=record.line))
        elif not any(name in result for name in _OTHER_EVENTS):
            unparsed.extend(not_read(section, record, "no flow of Hubble"))
    return Parsed(flows, unparsed, extras=blind.found)


def _lost(lost: dict[str, Any] | Any, outer: Any, section: Section, record: Record) -> LostEvents:
    cpu = lost.get("cpu")
    return LostEvents(
        f"hubble {lost.get('source') or ''}".strip(),
        a_number(lost.get("num_events_lost") or lost.get("numEventsLost")),
        a_text(outer.get("node_name") or outer.get("nodeName")) or section.node,
        a_number(cpu.get("value") if isinstance(cpu, dict) else cpu),
        until_ns=_time(outer.get("time")),
        file=section.file,
        line=record.line,
    )


def _time(value: Any) -> int | None:
    if isinstance(value, dict):
        seconds = a_number(value.get("seconds"))
        return None if seconds is None else seconds * 1_000_000_000 + (a_number(value.get("nanos")) or 0)
    return time_of(value) if isinstance(value, str) else None


def _fields(flow: Any, outer: Any, section: Section) -> dict[str, Any]:
    when = flow.get("time") or outer.get("time")
    event = a_mapping(flow.get("event_type"))
    number = a_number(event.get("type"))
    verdict = a_text(flow.get("verdict")) or _VERDICT_NUMBERS.get(a_number(flow.get("verdict")) or 0)
    reason = a_text(flow.get("drop_reason_desc"))
    is_reply = flow.get("is_reply")
    if isinstance(is_reply, dict):
        is_reply = bool(is_reply.get("value"))
    interface = a_mapping(flow.get("interface"))
    return {
        "time_ns": _time(when),
        "when": when if isinstance(when, str) else "",
        "node": a_text(flow.get("node_name") or outer.get("node_name")) or section.node,
        "type": _type(flow, number),
        "verdict": _policy_verdict(verdict) if number == 5 else verdict,
        "drop_reason": reason if reason != "DROP_REASON_UNKNOWN" else None,
        "direction": {"INGRESS": "ingress", "EGRESS": "egress"}.get(a_text(flow.get("traffic_direction")) or ""),
        "is_reply": is_reply if isinstance(is_reply, bool) else None,
        "says": _says(flow),
        "interface": a_text(interface.get("name")),
        "uuid": a_text(flow.get("uuid")),
        **_ends(flow, section.addresses),
        **_transport(flow),
    }


def _policy_verdict(verdict: str | None) -> str | None:
    words = {"FORWARDED": "ALLOWED", "REDIRECTED": "ALLOWED", "DROPPED": "DENIED", "ERROR": "DENIED", "AUDIT": "AUDITED"}
    return words.get(verdict or "", verdict)


def _type(flow: Any, number: int | None) -> str:
    """What kind of event it is, in the words of the text."""
    if number == 4 and (point := a_text(flow.get("trace_observation_point"))):
        return point.lower().replace("_", "-")
    if number == 5:
        return f"policy-verdict:{_MATCHES.get(a_number(flow.get('policy_match_type')) or 0, 'none')}"
    if number == 7 and (point := a_text(flow.get("sock_xlate_point"))):
        order, _, way = point.removeprefix("SOCK_XLATE_POINT_").partition("_DIRECTION_")
        return f"{order}-xlate-{way}".lower()
    l7 = a_mapping(flow.get("l7"))
    if l7:
        protocol = next((name for name in ("http", "dns", "kafka") if name in l7), "l7")
        return f"{protocol}-{(a_text(l7.get('type')) or '').lower()}".rstrip("-")
    if number is None and a_text(flow.get("drop_reason_desc")):
        return "drop"
    return _EVENT_TYPES.get(number or 0, "")


def _ends(flow: Any, book: AddressBook) -> dict[str, Any]:
    ip = a_mapping(flow.get("IP"))
    found: dict[str, Any] = {}
    for side in ("source", "destination"):
        end = a_mapping(flow.get(side))
        pod, namespace = a_text(end.get("pod_name")), a_text(end.get("namespace"))
        names = a_list(flow.get(f"{side}_names"))
        found[side] = book[ip[side]] if a_text(ip.get(side)) else None
        found[f"{side}_name"] = f"{namespace}/{pod}" if pod and namespace else pod or (a_text(names[0]) if names else None)
        found[f"{side}_identity"] = a_number(end.get("identity"))
    return found


def _transport(flow: Any) -> dict[str, Any]:
    l4 = a_mapping(flow.get("l4"))
    name = next((name for name in _L4 if isinstance(l4.get(name), dict)), None)
    if name is None:
        return {"protocol": next(iter(l4), None) if l4 else None}
    header = a_mapping(l4[name])
    if name.startswith("ICMP"):
        return {"protocol": _L4[name]}
    flags = a_mapping(header.get("flags"))
    return {
        "protocol": name,
        "source_port": _port(header.get("source_port")),
        "destination_port": _port(header.get("destination_port")),
        "tcp_flags": tuple(flag for flag, is_set in flags.items() if is_set is True),
    }


def _port(value: Any) -> int | None:
    port = a_number(value)
    return port if port is not None and 0 <= port <= 0xFFFF else None


def _says(flow: Any) -> str:
    """What the flow says beyond its packet: the request or response of a layer 7 record, the policy that decided."""
    http = a_mapping(a_mapping(flow.get("l7")).get("http"))
    if http:
        code = a_number(http.get("code"))
        parts = (http.get("protocol"), code or None, http.get("method"), http.get("url"))
        return " ".join(str(part) for part in parts if isinstance(part, str | int) and part)
    policies = [
        f"{key.replace('_', ' ')} {policy.get('namespace', '')}/{policy['name']}"
        for key in ("ingress_allowed_by", "egress_allowed_by", "ingress_denied_by", "egress_denied_by")
        for policy in a_list(flow.get(key))
        if isinstance(policy, dict) and isinstance(policy.get("name"), str)
    ]
    if policies:
        return "; ".join(policies)
    summary = a_text(flow.get("Summary") or flow.get("summary")) or ""
    return "" if summary.startswith("TCP Flags") or summary in ("UDP", "SCTP") else summary


KIND: Final = Kind(
    name="hubble",
    entry=HubbleFlow,
    read=read_hubble,
    read_json=read_hubble_json,
    extras=((TABLE, LostEvents),),
    titles=r"TIMESTAMP\ .*\bVERDICT\b",
    rows=r"""
        (?:[A-Z][a-z]{2}\ +\d{1,2}\ [\d:]{8}(?:\.\d+)?|\d{4}-\d\d-\d\d[T ][\d:]{8}\S*)(?:\ \[[^\]]*\])?:\ .*\ (?:->|<-|<>)[ ]
        |TIMESTAMP:\ (?:[A-Z][a-z]{2}\ +\d|\d{4}-)
    """,
    json=r'"flow"\s*:|"lost_events"\s*:|"drop_reason|"traffic_direction"|"node_status"\s*:',
    commands=("hubble observe",),
    quotes_errors=True,
)
