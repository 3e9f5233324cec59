"""One Kubernetes object as a dump has it: its name, and the parts of it that a diagnosis needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mixcni.cluster.kubernetes.yamltext import Lined, line_of

POLICY_KINDS: Final = ("NetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
ADMIN_KINDS: Final = ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy")
_POD: Final = ("nodeName", "hostNetwork", "serviceAccountName", "serviceAccount", "containers", "initContainers")
_KEPT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        **dict.fromkeys(POLICY_KINDS, ("spec", "specs")),
        **dict.fromkeys(ADMIN_KINDS, ("spec",)),
        "Node": ("spec", "status"),
        "Pod": ("spec", "status"),
        "Namespace": (),
        "Service": ("spec",),
        "Endpoints": ("subsets",),
        "EndpointSlice": ("endpoints", "ports"),
        "CiliumNode": ("spec",),
        "CiliumEndpoint": ("status",),
        "CiliumIdentity": ("security-labels",),
        "CiliumCIDRGroup": ("spec",),
    }
)
"""The kinds that are read, and the parts of them that are kept beside the metadata."""
KINDS: Final = tuple(_KEPT)
_KEPT_BELOW: Final[Mapping[tuple[str, str], tuple[str, ...]]] = MappingProxyType(
    {
        ("Pod", "spec"): _POD,
        ("Pod", "status"): ("podIP", "podIPs", "hostIP", "phase"),
        ("Node", "spec"): ("podCIDR", "podCIDRs"),
        ("Node", "status"): ("addresses",),
        ("CiliumEndpoint", "status"): ("id", "identity", "networking", "named-ports", "policy"),
    }
)


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """One object of the API server: metadata, and what of its body is kept."""

    kind: str
    api_version: str
    namespace: str
    """"" for what belongs to no namespace."""
    name: str
    labels: tuple[tuple[str, str], ...]
    body: Mapping[str, Any]
    """The kept parts by name; mappings inside are `Lined` where the dump shows their lines."""
    file: str
    line: int

    @property
    def reference(self) -> str:
        """Kind, namespace and name, as people cite objects."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def object_of(value: Any, default_kind: str, file: str, line: int) -> KubernetesObject | str:
    """The object that a mapping describes, or why it is none that is read.

    default_kind : of the elements of a typed list, which do not say their own
    """
    if not isinstance(value, dict):
        return "no mapping, and so no object"
    kind = text_of(value.get("kind")) or default_kind
    if not kind:
        return "an object without a kind"
    if kind not in _KEPT:
        return f"a {kind}: none of the kinds that are read"
    metadata = mapping_of(value.get("metadata"))
    name = text_of(metadata.get("name"))
    if not name:
        return f"a {kind} without a name"
    labels = tuple((key, scalar_text(label)) for key, label in mapping_of(metadata.get("labels")).items())
    namespace = text_of(metadata.get("namespace"))
    return KubernetesObject(
        kind, text_of(value.get("apiVersion")), namespace, name, labels, _kept(value, kind), file, line_of(value, line)
    )


def _kept(value: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    body: dict[str, Any] = {}
    for part in _KEPT[kind]:
        if part not in value:
            continue
        below = _KEPT_BELOW.get((kind, part))
        found = value[part]
        if below is not None and isinstance(found, dict):
            slim = Lined(line_of(found, 0))
            slim.update({key: found[key] for key in below if key in found})
            if "containers" in slim:
                slim.update({key: _ports_alone(slim[key]) for key in ("containers", "initContainers") if key in slim})
            found = slim
        body[part] = found
    return body


def _ports_alone(containers: Any) -> list[dict[str, Any]]:
    return [{"ports": each["ports"]} for each in list_of(containers) if isinstance(each, dict) and "ports" in each]


def mapping_of(value: Any) -> Mapping[str, Any]:
    """A mapping as it is; for anything else, an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> Sequence[Any]:
    """A sequence as it is; for anything else, an empty one."""
    return value if isinstance(value, list) else ()


def text_of(value: Any) -> str:
    """Text as it is; for anything else ""."""
    return value if isinstance(value, str) else ""


def scalar_text(value: Any) -> str:
    """A scalar as the API server has it: label values are text, whatever a hand-written manifest makes of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
