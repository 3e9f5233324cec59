"""`-o yaml` of Cilium's listings, as the JSON that it would have been with `-o json`, line for line.

Cilium hands its structures to Go's yaml.v3, which knows nothing of their JSON names: it prints a field's name in small letters
without hyphens, and gives a structure within another one a level of its own. Both are undone, so that JSON's readers serve.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from mixcni.cluster.kubernetes.yamltext import LOADER, MAX_DEPTH

_STRUCT_NAMES: Final = (
    "DestAddr", "SourceAddr", "SourcePort", "DestPort", "NextHeader", "Flags", "Lifetime", "Packets", "Bytes", "RxPackets",
    "RxBytes", "RxFlagsSeen", "LastRxReport", "TxPackets", "TxBytes", "TxFlagsSeen", "LastTxReport", "SourceSecurityID",
    "IfIndex", "BackendID", "RevNAT", "NatPort", "Reserved", "Unused", "Created", "HostLocal", "NeedsCT", "Addr", "Port", "Pad1",
    "Pad2", "Identity", "TrafficDirection", "Nexthdr", "DestPortNetwork", "Prefixlen", "ProxyPort", "ProxyPortNetworkOrder",
    "AuthRequirement", "AuthType", "Cookie", "Union0", "Union1",
)  # fmt: skip
"""Fields of BPF maps' keys and values, whose JSON names are Go's own."""
_NAMES: Final = (
    "external-identifiers", "k8s-namespace", "k8s-pod-name", "pod-name", "policy-enabled", "endpoint-id", "expiration-time",
    "lookup-time", "primary-address", "secondary-addresses", "health-endpoint", "probeInterval", "lastProbed", "refCount",
    "hostIP", "encryptKey", "desired-action", "last-error", "alloc-range", "frontend-address", "backend-addresses",
    "endpointSelector", "nodeSelector", "ingressDeny", "egressDeny", "enableDefaultDeny", "kube-proxy-replacement",
    "attach-mode", "bandwidth-manager", "bpf-maps", "client-id", "clock-source", "cni-chaining", "Content",
    "SourceIP", "DestCIDR", "EgressIP", "GatewayIP", "LocalIdentity", "RemoteIdentity", "RemoteNodeID", "Expiration", "VRFID",
    "SipCallIdHash", "labelsSHA256", "Mask", "SPI",
)  # fmt: skip
"""Names of other listings that are more than small letters."""


def _by_yaml(names: Sequence[str]) -> Mapping[str, str]:
    return {name.replace("-", "").lower(): name for name in names}


_OF_STRUCT: Final = _by_yaml(_STRUCT_NAMES)
_OF_OTHERS: Final = _by_yaml(_NAMES)
_STRUCTS: Final = {"key": "Key", "value": "Value"}
_EMBEDDED: Final = frozenset({"tuplekey4", "tuplekey6", "tuplekey4global", "tuplekey6global", "ctkey4", "ctkey6", "policyentry",
                              "natentry4", "natentry6", "natentrycommon"})  # fmt: skip
"""Structures that stand in others without a name, whose members JSON gives to the outer one."""
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,19})(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?", re.ASCII)
_WORDS: Final = {"null": "null", "~": "null", "": "null", "true": "true", "false": "false"}


@dataclass(slots=True)
class _Level:
    """A mapping or sequence that is open."""

    closer: str
    is_mapping: bool
    is_struct: bool
    has_items: bool = False
    key: str | None = None
    """Of a mapping, the key whose value comes next."""


class _Writer:
    """Writes the events of YAML as JSON, each on the line on which it stands."""

    def __init__(self, count: int) -> None:
        self.out = [""] * count
        self.at = 0
        self.levels: list[_Level] = []

    def take(self, event: Any) -> None:
        """One event."""
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.out[self.at] += self.levels.pop().closer  # not where the event stands: there the next thing begins
            return
        if not isinstance(event, yaml.ScalarEvent | yaml.MappingStartEvent | yaml.SequenceStartEvent | yaml.AliasEvent):
            return
        level = self.levels[-1] if self.levels else None
        if level is None or level.key is None or isinstance(event, yaml.ScalarEvent):
            self.at = max(self.at, min(_line_of(event), len(self.out) - 1))  # what a key holds begins on the key's line
        if level is not None and level.is_mapping and level.key is None:
            if not isinstance(event, yaml.ScalarEvent):
                raise yaml.YAMLError("a key that is no scalar")
            level.key = event.value
        else:
            self._value(event, level)

    def _value(self, event: Any, level: _Level | None) -> None:
        """A value, its key before it if it has one."""
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        key, in_struct, before = (None, False, "") if level is None else (level.key, level.is_struct, "," * level.has_items)
        is_embedded = is_mapping and key in _EMBEDDED
        if is_embedded:
            closer = ""  # its members are the outer one's: nothing is written, and what comes next goes on there
        else:
            self.out[self.at] += before + (
                "" if key is None else f"{json.dumps(_spelt(key, is_mapping=is_mapping, in_struct=in_struct))}:"
            )
            closer = "}" if is_mapping else "]"
        if is_mapping or isinstance(event, yaml.SequenceStartEvent):
            if len(self.levels) >= MAX_DEPTH:
                raise yaml.YAMLError(f"more than {MAX_DEPTH} values inside each other")
            self.out[self.at] += "" if is_embedded else "{" if is_mapping else "["
            is_struct = in_struct or (is_mapping and (key in _STRUCTS or is_embedded))
            self.levels.append(_Level(closer, is_mapping, is_struct, has_items=is_embedded and bool(before)))
        else:
            self.out[self.at] += _scalar(event)
        if level is not None:
            level.key, level.has_items = None, True


def _line_of(event: Any) -> int:
    """The index of the line on which an event stands."""
    return int(event.start_mark.line)


def _spelt(key: str, *, is_mapping: bool, in_struct: bool) -> str:
    """A key as JSON has it."""
    if in_struct:
        return _OF_STRUCT.get(key, key)
    return _STRUCTS[key] if is_mapping and key in _STRUCTS else _OF_OTHERS.get(key, key)


def _scalar(event: Any) -> str:
    text = str(getattr(event, "value", ""))
    if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
        if text in _WORDS:
            return _WORDS[text]
        if _NUMBER.fullmatch(text):
            return text
    return json.dumps(text, ensure_ascii=False)


def as_json(lines: Sequence[str]) -> list[str]:
    """Lines of YAML as lines of JSON, as many; from a line on that is no YAML they are as they were."""
    writer = _Writer(len(lines))
    try:
        for event in yaml.parse("\n".join(lines), Loader=LOADER):
            writer.take(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        begin = max(writer.at + 1, min(mark.line if mark else 0, len(lines) - 1))
        writer.out[begin:] = lines[begin:]
    return writer.out
