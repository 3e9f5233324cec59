"""Names -> names: nodes, hosts, label keys and values become words that say nothing, the same word everywhere.

What Cilium and Kubernetes call by themselves stays (reserved labels, `default`, `kube-system`, `io.kubernetes.pod.namespace`):
it names nobody, and rules hang on it.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

KEPT_VALUES: Final = frozenset(
    {
        *("default", "kube-system", "kube-public", "kube-node-lease", "cilium", "coredns", "kube-dns", "kube-proxy", "kubenet"),
        *("true", "false", "worker", "master", "node"),
    }
)
KEPT_KEYS: Final = frozenset(
    {"app", "k8s-app", "name", "component", "tier", "role", "version", "pod-template-hash", "controller-revision-hash"}
)
OWN_KEYS: Final = ("io.kubernetes.", "io.cilium.k8s.policy.", "kubernetes.io/", "k8s.io/")
NAMESPACE_LABELS: Final = "io.cilium.k8s.namespace.labels."
LABEL: Final = re.compile(r"\b(k8s|container|any|unspec|kubernetes|mesos|fqdn|cni):([^\s=,;]+)(?:=([^\s,;]*))?")
LEAST: Final = 3  # characters of a name that is replaced wherever it stands: shorter ones are words of the dumps themselves


class NameMap:
    """Pseudonyms of names, decided by `key`.

    Parameters
    ----------
    key : 32 octets
    names : that are replaced wherever they stand by themselves: of nodes and hosts
    """

    def __init__(self, key: bytes, names: Iterable[str] = ()) -> None:
        self._key = key
        self._names = frozenset(name for name in names if len(name) >= LEAST and name not in KEPT_VALUES)
        longest_first = sorted(self._names, key=lambda name: (-len(name), name))
        self._pattern = (
            re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])") if longest_first else None
        )

    def name(self, name: str) -> str:
        """The word that stands for a name; what is no name, or names nobody, stays."""
        if not name or name in KEPT_VALUES or name.isdigit():
            return name
        return f"n-{hashlib.blake2b(name.encode(), digest_size=4, key=self._key, person=b'name').hexdigest()}"

    def text(self, text: str) -> str:
        """The text with labels and known names replaced."""
        text = LABEL.sub(self._label, text)
        return self._pattern.sub(lambda match: self.name(match[0]), text) if self._pattern is not None else text

    def _label(self, match: re.Match[str]) -> str:
        source, key, value = match.groups()
        value = "" if value is None else f"={self.name(value)}"
        return f"{source}:{self._key_text(key)}{value}"

    def _key_text(self, key: str) -> str:
        if key.startswith(NAMESPACE_LABELS):
            return NAMESPACE_LABELS + self._key_text(key.removeprefix(NAMESPACE_LABELS))
        if key in KEPT_KEYS or any(own in key for own in OWN_KEYS):
            return key
        return self.name(key)
