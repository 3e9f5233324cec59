"""`cilium monitor -v`: the line that begins an event, and the packet below it, dissected or in hexadecimal."""

import re
from collections.abc import Sequence
from typing import Any, Final

from mixcni.cluster.addresses import AddressBook, parse_address
from mixcni.cluster.events.monitorevent import identity_number
from mixcni.cluster.events.packets import TCP_FLAGS, packet_of_octets, parse_end

_HEAD = re.compile(r"CPU (\d{1,5}): (?:MARK 0x[\da-f]+ )?(?:FROM (\d{1,10}) )?(.*)")
_DROP = re.compile(r"DROP: (\d{1,10}) bytes, reason (.*)")
_TRACE = re.compile(r"([a-z][a-z-]{1,24}|\d+): (\d{1,10}) bytes(?: \(\d+ captured\))?(?:, state (\w+))?(.*)")
_CAPTURE = re.compile(r"DEBUG: (\d{1,10}) bytes(?: \(\d+ captured\))?, (.*)")
_SOCKET = re.compile(r"\[(pre-xlate-fwd|post-xlate-fwd|pre-xlate-rev|post-xlate-rev|unknown)\] (.*)")
_SOCKET_END = re.compile(r"\b(?:dst|src) (\S+)(?: (tcp|udp))?")
_IDENTITY = re.compile(r", identity ([^\s,]+?)->([^\s,]+)")
_TO = re.compile(r", to endpoint (\d{1,10})")
_INTERFACE = re.compile(r", interface ([^\s,]+)")
_LAYER = re.compile(r"(Ethernet|IPv4|IPv6|TCP|UDP|SCTP|ICMPv4|ICMPv6|ARP|VXLAN|Geneve)\s*\{")
_HEX = re.compile(r"[\da-f]{8}  ?((?:[\da-f]{2} {1,2}){1,16})")
_VALUE = re.compile(r"\b(SrcIP|DstIP|SrcPort|DstPort|TypeCode|" + "|".join(TCP_FLAGS) + r")=([^\s(}]+)")
MAX_DETAIL: Final = 4000  # characters of a dissected layer


def is_detail(text: str) -> bool:
    """Whether a line shows the packet of the verbose event above it."""
    return (
        _LAYER.match(text) is not None
        or _HEX.match(text) is not None
        or text in ("Packet has been truncated", "Unknown layer")
        or text.startswith("Failed to decode layer:")
    )


def verbose_event(text: str, book: AddressBook) -> dict[str, Any] | None:
    """The fields of an event by its first line; None if it is none."""
    head = _HEAD.match(text)
    if head is None:
        return None
    found: dict[str, Any] = {"cpu": int(head[1]), "from_endpoint_id": int(head[2]) if head[2] else None}
    rest = head[3]
    if match := _DROP.match(rest):
        return found | {"type": "drop", "reason": _without_items(match[2]), "octets": int(match[1])} | _items(match[2])
    if match := _CAPTURE.match(rest):
        return found | {"type": "capture", "octets": int(match[1]), "says": match[2]}
    if rest.startswith("DEBUG: "):
        return found | {"type": "debug", "says": rest[7:]}
    if match := _SOCKET.match(rest):
        end = _SOCKET_END.search(match[2])
        where = parse_end(end[1], book) if end else None
        return found | {
            "type": "sock",
            "observed": match[1],
            "destination": where.address if where else None,
            "destination_port": where.port if where else None,
            "protocol": end[2].upper() if end and end[2] else None,
            "says": match[2],
        }
    if match := _TRACE.match(rest):
        return found | {"type": "trace", "observed": match[1], "octets": int(match[2]), "state": match[3]} | _items(match[4])
    return None


def _without_items(text: str) -> str:
    """A drop's reason, less what follows it."""
    ends = [match.start() for pattern in (_IDENTITY, _TO) if (match := pattern.search(text))]
    return text[: min(ends, default=len(text))].rstrip(", ")


def _items(text: str) -> dict[str, Any]:
    identity, to, interface = _IDENTITY.search(text), _TO.search(text), _INTERFACE.search(text)
    return {
        "source_identity": identity_number(identity[1]) if identity else None,
        "destination_identity": identity_number(identity[2]) if identity else None,
        "endpoint_id": int(to[1]) if to else None,
        "interface": interface[1] if interface else None,
    }


def details_of(lines: Sequence[str]) -> dict[str, Any]:
    """The packet that is shown below a verbose event."""
    octets = b"".join(bytes.fromhex(match[1]) for line in lines if (match := _HEX.match(line)))
    if octets:
        packet = packet_of_octets(octets)
        return {} if packet is None else {name: value for name, value in packet._asdict().items() if name != "says"}
    found: dict[str, Any] = {}
    for line in lines:
        layer = _LAYER.match(line)
        if layer is None:
            continue
        values = dict(_VALUE.findall(line[:MAX_DETAIL]))
        name = layer[1]
        if name in ("IPv4", "IPv6"):
            found["source"] = parse_address(values.get("SrcIP", ""))
            found["destination"] = parse_address(values.get("DstIP", ""))
        elif name in ("TCP", "UDP", "SCTP"):
            found["protocol"] = name
            found["source_port"], found["destination_port"] = _port(values.get("SrcPort")), _port(values.get("DstPort"))
            found["tcp_flags"] = tuple(flag for flag in TCP_FLAGS if values.get(flag) == "true")
        elif name in ("ICMPv4", "ICMPv6"):
            found["protocol"] = "ICMP" if name == "ICMPv4" else name
    return found


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF else None
