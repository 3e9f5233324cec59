"""`cilium monitor -o json`: one object an event; names of keys are compared without regard to case, as releases mix it."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook
from mixcni.cluster.dump import Parsed, Section
from mixcni.cluster.events.monitorevent import MonitorEvent, identity_number
from mixcni.cluster.events.monitorverbose import details_of
from mixcni.cluster.events.packets import parse_summary
from mixcni.cluster.jsontext import Record, a_mapping, a_number, a_text, read_records

_TYPES = {"policy-verdict": "verdict", "logrecord": "l7", "trace_sock": "sock"}
_NUMBER = re.compile(r"\d{1,5}")
_SAYS: Final = {"agent": ("subtype", "message"), "debug": ("message",), "capture": ("prefix", "message")}
_LAYERS: Final = {
    "ethernet": "Ethernet", "ipv4": "IPv4", "ipv6": "IPv6", "tcp": "TCP", "udp": "UDP", "icmpv4": "ICMPv4", "icmpv6": "ICMPv6",
}  # fmt: skip


def read_monitor_json(section: Section, records: Iterable[Record]) -> Parsed:
    """The events of `cilium monitor -o json`."""

    def entries_of(record: Record) -> Iterable[MonitorEvent] | str:
        if not isinstance(record.value, dict) or not isinstance(record.value.get("type"), str):
            return "no event of cilium monitor: wanted an object with a type"
        found = _fields({key.lower(): value for key, value in record.value.items()}, section.addresses)
        return (MonitorEvent(**found, file=section.file, line=record.line),)

    return read_records(section, records, entries_of)


def _fields(value: dict[str, Any], book: AddressBook) -> dict[str, Any]:
    kind = value["type"].lower()
    cpu = _NUMBER.search(a_text(value.get("cpu")) or "")
    place, line = value.get("file"), a_number(value.get("line"))
    found: dict[str, Any] = {
        "type": _TYPES.get(kind, kind),
        "reason": a_text(value.get("reason")) if kind == "drop" else None,
        "action": a_text(value.get("action") or value.get("verdict")),
        "match": a_text(value.get("match") or value.get("matchtype")),
        "direction": a_text(value.get("direction")),
        "observed": a_text(value.get("observationpoint") or value.get("xlatepoint")),
        "state": a_text(value.get("state")),
        "endpoint_id": _first(value, "dstid", "dstepid"),
        "from_endpoint_id": _first(value, "source", "srcepid"),
        "source_identity": _identity(value, "srclabel", "srcidentity"),
        "destination_identity": _identity(value, "dstlabel", "dstidentity"),
        "interface": _name(value.get("ifindex")),
        "code_place": f"{place}:{line}" if isinstance(place, str) and place and line is not None else None,
        "octets": a_number(value.get("bytes")),
        "cpu": int(cpu[0]) if cpu else None,
        "says": _says(kind, value),
    }
    if kind == "policy-verdict":
        remote = _identity(value, "remotelabel", "remoteid")
        found["source_identity" if found["direction"] == "ingress" else "destination_identity"] = remote
        found["endpoint_id"] = found["from_endpoint_id"]
        found["from_endpoint_id"] = None
    packet = _packet(value.get("summary"), book)
    if not packet.get("says"):
        packet.pop("says", None)
    return found | packet


def _first(value: dict[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := a_number(value.get(name))) is not None), None)


def _identity(value: dict[str, Any], *names: str) -> int | None:
    number = _first(value, *names)
    if number is not None:
        return number
    return next((found for name in names if (found := identity_number(a_text(value.get(name)) or "")) is not None), None)


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value not in ("", 0, "0") else None


def _says(kind: str, value: dict[str, Any]) -> str:
    """What is particular to the type of an event, as JSON where it is an object."""
    names = _SAYS.get(kind, ("http", "dns", "kafka", "l7"))
    parts = [item if isinstance(item, str) else json.dumps(item) for name in names if (item := value.get(name))]
    return ": ".join(parts)


def _packet(summary: Any, book: AddressBook) -> dict[str, Any]:
    """The packet of an event, from its layers as text and from its ends."""
    if isinstance(summary, str):
        packet = parse_summary(summary, book)
        return {"says": summary} if packet is None else packet._asdict()
    layers = a_mapping(summary)
    texts = [text.strip() for key in _LAYERS if (text := a_text(layers.get(key)))]
    found = details_of(texts)
    for key, name in _LAYERS.items():
        if a_text(layers.get(key)) and name in ("TCP", "UDP", "ICMPv4", "ICMPv6"):
            found["protocol"] = "ICMP" if name == "ICMPv4" else name
    l3, l4 = a_mapping(layers.get("l3")), a_mapping(layers.get("l4"))
    for end, key in (("source", "src"), ("destination", "dst")):
        if text := a_text(l3.get(key)):
            found[end] = book[text]
        port = a_number(a_text(l4.get(key)) or l4.get(key))
        if port is not None and 0 <= port <= 0xFFFF:
            found[f"{end}_port"] = port
    return found
