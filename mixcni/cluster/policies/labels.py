"""Labels as Cilium sees them, each with its source, and selectors over them.

A label is `source:key` with a value: `k8s:app`, `reserved:world`. A selector's key without a source means any source.
Some labels of a pod never become part of its identity, and no selector finds them (Cilium, "Limiting Identity-Relevant
Labels"); the reverse of what Kubernetes does with the same manifest.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mixcni.cluster.kubernetes.objects import list_of, mapping_of, scalar_text, text_of
from mixcni.cluster.policies.answer import NO, YES, Answer, all_of, answer_of, negated, unknown

NAMESPACE: Final = "k8s:io.kubernetes.pod.namespace"
NAMESPACE_LABELS: Final = "k8s:io.cilium.k8s.namespace.labels."
SERVICE_ACCOUNT: Final = "k8s:io.cilium.k8s.policy.serviceaccount"
CLUSTER: Final = "k8s:io.cilium.k8s.policy.cluster"
METADATA_NAME: Final = "kubernetes.io/metadata.name"
WORLDS: Final = ("reserved:world", "reserved:world-ipv4", "reserved:world-ipv6")

_SOURCES: Final = frozenset(
    {"any", "k8s", "reserved", "cidr", "fqdn", "container", "unspec", "cni", "node", "cidrgroup", "mesos"}
)
_IGNORED: Final = re.compile(
    r"io\.kubernetes|kubernetes\.io|statefulset\.kubernetes\.io/pod-name|apps\.kubernetes\.io/pod-index"
    r"|batch\.kubernetes\.io/job-completion-index|batch\.kubernetes\.io/controller-uid|.*beta\.kubernetes\.io|k8s\.io"
    r"|pod-template-generation|pod-template-hash|controller-revision-hash|annotation\.|etcd_node"
)
"""Beginnings of pod label keys that are not identity-relevant by default."""


@dataclass(frozen=True)
class LabelSet:
    """The labels of one identity, and which of them are not known."""

    values: Mapping[str, str]
    """Value by `source:key`."""
    open_prefixes: tuple[str, ...] = ()
    """Labels whose `source:key` begins like this may be there as well; no dump tells."""

    def get(self, key: str) -> tuple[Answer, tuple[str, ...]]:
        """Whether there is a label of that key, and the values that it has, one a source."""
        source, _, name = key.partition(":")
        found = [self.values[key]] if key in self.values else []
        if source == "any":
            found = [value for own, value in self.values.items() if own.partition(":")[2] == name]
        if found:
            return YES, tuple(found)
        wanted = f"k8s:{name}" if source == "any" else key
        if any(wanted.startswith(prefix) for prefix in self.open_prefixes):
            return unknown(f"no dump tells the label {name}"), ()
        return NO, ()

    def has(self, key: str) -> bool:
        """Whether a label of exactly that source and key is known to be there."""
        return key in self.values


def labels_of_texts(texts: Iterable[str]) -> LabelSet:
    """Labels as `source:key=value` texts have them: all of an identity's, unless its namespace is missing, which pods have."""
    values = {}
    for text in texts:
        key, _, value = text.partition("=")
        values[key if ":" in key else f"unspec:{key}"] = value
    is_cut = NAMESPACE not in values and any(key.startswith("k8s:") for key in values)
    return LabelSet(values, ("k8s:",) if is_cut else ())


def labels_of_pod(
    namespace: str, labels: Mapping[str, str], service_account: str, of_namespace: Mapping[str, str] | None
) -> LabelSet:
    """The labels of the identity that Cilium gives a pod; `of_namespace` None: no dump has its namespace's labels."""
    values = {f"k8s:{key}": value for key, value in labels.items() if not _IGNORED.match(key)}
    values[NAMESPACE] = namespace
    values[SERVICE_ACCOUNT] = service_account
    values.update({NAMESPACE_LABELS + key: value for key, value in (of_namespace or {}).items()})
    values[NAMESPACE_LABELS + METADATA_NAME] = namespace
    return LabelSet(values, (CLUSTER, *(() if of_namespace is not None else (NAMESPACE_LABELS,))))


@dataclass(frozen=True)
class Requirement:
    """One condition on one label."""

    key: str
    """With its source."""
    operator: str
    values: tuple[str, ...] = ()

    def holds_for(self, labels: LabelSet) -> Answer:
        """Whether the labels meet it (Kubernetes, "Resources that support set-based requirements")."""
        there, found = labels.get(self.key)
        if self.operator == "Exists":
            return there
        if self.operator == "DoesNotExist":
            return negated(there)
        if self.operator == "In":
            return there if there.holds is not True else answer_of(any(value in self.values for value in found))
        if self.operator == "NotIn":
            return negated(there) if there.holds is not True else answer_of(not any(value in self.values for value in found))
        return unknown(f"{self.operator!r} is no operator of a selector")


@dataclass(frozen=True)
class Selector:
    """Conditions that must all be met; without any it selects all."""

    requirements: tuple[Requirement, ...] = ()

    def selects(self, labels: LabelSet) -> Answer:
        """Whether labels meet all of it."""
        return all_of(requirement.holds_for(labels) for requirement in self.requirements)

    def plus(self, *requirements: Requirement) -> "Selector":
        """The same with further conditions."""
        return Selector((*self.requirements, *requirements))

    def has_key(self, *beginnings: str) -> bool:
        """Whether one of its keys begins like one of these."""
        return any(requirement.key.startswith(beginnings) for requirement in self.requirements)


def selector_of(value: Any, prefix: str = "k8s:", *, sourced: bool = False) -> Selector:
    """A LabelSelector out of a manifest.

    Parameters
    ----------
    prefix : what stands before each key: its source, for a namespace's labels also the words that Cilium puts there
    sourced : keys may name their source (`reserved:host`, `any:app`); without one they mean any source
    """
    requirements = []
    body = mapping_of(value)
    for key, wanted in mapping_of(body.get("matchLabels")).items():
        requirements.append(Requirement(_key(key, prefix, sourced), "In", (scalar_text(wanted),)))
    for each in map(mapping_of, list_of(body.get("matchExpressions"))):
        values = tuple(scalar_text(one) for one in list_of(each.get("values")))
        requirements.append(Requirement(_key(text_of(each.get("key")), prefix, sourced), text_of(each.get("operator")), values))
    return Selector(tuple(requirements))


def _key(key: str, prefix: str, sourced: bool) -> str:
    if not sourced:
        return prefix + key
    source, colon, name = key.partition(":")
    if colon and source in _SOURCES:
        return f"{source}:{name}"
    return f"any:{key}"
