"""`cilium policy get`: the rules that were imported into the agent, as JSON, and the revision that they make up.

The selectors and peers are kept as the JSON that they are: what they mean is reasoned about elsewhere.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.dump import Parsed, Section, Unparsed
from mixcni.cluster.jsontext import Record, a_list, a_mapping, a_number, a_text, look_up, not_read
from mixcni.cluster.kind import Kind


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One imported rule; a part that it does not have is None."""

    name: str | None
    """Namespace and name of the policy object that it comes from, by its labels."""
    derived_from: str | None
    """NetworkPolicy, CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy, by its labels."""
    endpoint_selector: Mapping[str, Any] | None
    node_selector: Mapping[str, Any] | None
    ingress: tuple[Any, ...] | None
    ingress_deny: tuple[Any, ...] | None
    egress: tuple[Any, ...] | None
    egress_deny: tuple[Any, ...] | None
    enable_default_deny: Mapping[str, Any] | None
    labels: tuple[str, ...]
    """`source:key=value`."""
    description: str | None = None
    file: str = ""
    line: int = 0


_REVISION = re.compile(r"Revision:\s*(\d{1,18})\s*$", re.ASCII)
_PARTS: Final = ("endpointSelector", "nodeSelector", "ingress", "egress", "ingressDeny", "egressDeny")
_NAME, _NAMESPACE, _FROM = "io.cilium.k8s.policy.name", "io.cilium.k8s.policy.namespace", "io.cilium.k8s.policy.derived-from"


def read_rules_text(section: Section) -> Parsed:
    """What stands where JSON was expected: nothing but a revision."""
    unparsed = [Unparsed(number, text, "no JSON") for number, text in section.numbered() if not _REVISION.match(text)]
    return Parsed((), unparsed)


def read_rules(section: Section, records: Iterable[Record]) -> Parsed:
    """The rules of `policy get`, or of the string in which `policy get -o json` wraps them."""
    entries: list[PolicyRule] = []
    unparsed: list[Unparsed] = []
    note = ""
    for record in records:
        value = record.value
        if isinstance(value, str) and (match := _REVISION.match(value)):
            note = f"revision {match[1]}"
        elif isinstance(policy := a_mapping(value).get("policy"), str):
            rules = _decoded(policy)
            note = f"revision {a_number(a_mapping(value).get('revision'))}"
            if rules is None:
                unparsed.extend(not_read(section, record, "the JSON inside `policy` does not decode"))
            else:
                entries.extend(_rule(rule, section.file, record.line) for rule in rules)
        elif isinstance(value, dict) and any(part in value for part in _PARTS):
            entries.append(_rule(value, section.file, record.line))
        else:
            unparsed.extend(not_read(section, record, "no rule with a selector"))
    return Parsed(entries, unparsed, note=note)


def _decoded(text: str) -> list[Mapping[str, Any]] | None:
    try:
        rules = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [rule for rule in a_list(rules) if isinstance(rule, dict)]


def _rule(rule: Mapping[str, Any], file: str, line: int) -> PolicyRule:
    labels = {a_text(look_up(item, "key")) or "": item for item in a_list(rule.get("labels"))}
    told = {name: a_text(look_up(labels.get(name), "value")) for name in (_NAME, _NAMESPACE, _FROM)}
    names = [part for part in (told[_NAMESPACE], told[_NAME]) if part]
    return PolicyRule(
        "/".join(names) if told[_NAME] else None, told[_FROM], _object(rule, "endpointSelector"), _object(rule, "nodeSelector"),
        _array(rule, "ingress"), _array(rule, "ingressDeny"), _array(rule, "egress"), _array(rule, "egressDeny"),
        _object(rule, "enableDefaultDeny"), tuple(_label(item) for item in labels.values()), a_text(rule.get("description")),
        file, line,
    )  # fmt: skip


def _label(item: Any) -> str:
    source, key, value = (a_text(look_up(item, name)) for name in ("source", "key", "value"))
    return f"{source or 'any'}:{key or ''}" + (f"={value}" if value else "")


def _object(rule: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = rule.get(name)
    return value if isinstance(value, dict) else None


def _array(rule: Mapping[str, Any], name: str) -> tuple[Any, ...] | None:
    value = rule.get(name)
    return tuple(value) if isinstance(value, list) else None


KIND: Final = Kind(
    name="policy_rules",
    entry=PolicyRule,
    read=read_rules_text,
    read_json=read_rules,
    rows=r"Revision:\ \d+$",
    json=r'"endpointSelector"\s*:|"nodeSelector"\s*:|^\{\s*"policy"\s*:\s*"',
    commands=("policy get",),
    errors=("/v1/policy",),
)
