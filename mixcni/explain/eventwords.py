"""An event or a log line in words, for tables and evidence."""

from functools import singledispatch
from typing import Any

from mixcni.cluster.events.hubbleflow import HubbleFlow
from mixcni.cluster.events.monitorevent import MonitorEvent
from mixcni.cluster.events.packets import joined
from mixcni.cluster.events.pwru import PwruEvent
from mixcni.cluster.events.retis import RetisEvent
from mixcni.cluster.logs.accesslog import AccessLogEntry
from mixcni.cluster.logs.conntrack import ConntrackEntry
from mixcni.cluster.logs.responseflags import meaning


def _flags(entry: Any) -> str:
    return f" of a {'-'.join(entry.tcp_flags)}" if entry.tcp_flags else ""


@singledispatch
def says_of(entry: Any) -> str:
    """What an entry says."""
    return str(entry)


@says_of.register
def _(entry: MonitorEvent) -> str:
    if entry.type == "drop":
        where = f" to endpoint {entry.endpoint_id}" if entry.endpoint_id else ""
        return f"cilium monitor: dropped ({entry.reason}){_flags(entry)}{where}"
    if entry.type == "verdict":
        where = f"at {entry.direction} of endpoint {entry.endpoint_id}"
        return f"cilium monitor: policy verdict {entry.action} {where}, match {entry.match}"
    if entry.type == "trace":
        return f"cilium monitor: {entry.observed}, {entry.state}{_flags(entry)}"
    return joined((f"cilium monitor: {entry.type}", entry.action or "", entry.says))


@says_of.register
def _(entry: HubbleFlow) -> str:
    reason = f" ({entry.drop_reason})" if entry.drop_reason else ""
    where = f" at {entry.direction}" if entry.direction else ""
    return f"Hubble: {entry.type} {entry.verdict or 'without a verdict'}{reason}{where}{_flags(entry)}"


@says_of.register
def _(entry: PwruEvent) -> str:
    return (
        f"pwru: dropped ({entry.drop_reason}) in {entry.function}{_flags(entry)}" if entry.is_drop else f"pwru: {entry.function}"
    )


@says_of.register
def _(entry: RetisEvent) -> str:
    return f"Retis: dropped ({entry.drop_reason}) at {entry.probe}{_flags(entry)}" if entry.is_drop else f"Retis: {entry.probe}"


@says_of.register
def _(entry: AccessLogEntry) -> str:
    request = " ".join(part for part in (entry.method, entry.path) if part) or "a connection"
    flags = f" {','.join(entry.flags)} ({meaning(entry.flags)})" if entry.flags else ""
    after = f" after {entry.duration_ms} ms" if entry.duration_ms is not None else ""
    identity = f", request {entry.request_id}" if entry.request_id else ""
    return f"access log: {request} got {entry.status if entry.status is not None else 'no status'}{flags}{after}{identity}"


@says_of.register
def _(entry: ConntrackEntry) -> str:
    state = entry.state or entry.protocol
    reply = ", no reply seen" if entry.is_unreplied else ""
    translated = f", answered by {entry.reply_source}" if entry.is_translated else ""
    return f"kernel conntrack: {state}{reply}{translated}"
