"""What a command, a heading or a file name says about the dump that it produced.

Content decides a dump's kind; this is for what content does not say: which endpoint a policy map belongs to, whether
a filter let only some rows through, and which command it was that failed.
"""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from mixcni.cluster.kinds import KINDS

_MAP_NAME: Final = "cilium_"
_KIND_OF_WORDS: Final[Mapping[tuple[str, ...], str]] = MappingProxyType(
    {tuple(words.split()): kind.name for kind in KINDS for words in kind.commands if not words.startswith(_MAP_NAME)}
)
"""Longer runs of words win; `bpf policy get` is a map, `policy get` the rules that were imported."""
_FILE_WORDS: Final[Mapping[tuple[str, ...], str]] = MappingProxyType(
    {**_KIND_OF_WORDS, **{tuple(words.split()): kind.name for kind in KINDS for words in kind.files}}
)
_KIND_OF_MAP = tuple((words, kind.name) for kind in KINDS for words in kind.commands if words.startswith(_MAP_NAME))
_KIND_OF_ERROR = (*_KIND_OF_MAP, *((text, kind.name) for kind in KINDS for text in kind.errors))

_PROGRAMS = frozenset({"cilium", "cilium-dbg", "cilium-health", "cilium-agent", "hubble", "conntrack", "kubectl", "oc"})
_FILTERS = frozenset({"grep", "egrep", "fgrep", "rg", "head", "tail", "awk", "sed", "cut", "uniq"})
_READERS = frozenset({"cat", "zcat", "less", "more", "bat", "type", "tail", "head", "grep", "zgrep", "vi", "vim", "ssh", "scp"})
"""Programs that show what was printed elsewhere."""
_ENDPOINT_ID_IN_NAME = re.compile(r"policy[-_]get[-_](\d{1,5})(?!\d)")
_MAP_HEADING: Final = "Map: "  # above each map that `map list --verbose` prints
_FILE_HEADING = re.compile(r"==> (.{1,300}) <==")  # above each of several files that `head` or `tail` print
_YAML = re.compile(r"(?:-o|--output)[ =]?yaml\b")
_EXEC = re.compile(r"\bexec\b")
_CONTAINER_PROGRAMS = frozenset({"docker", "nerdctl", "podman"})  # a node that is a container, as kind's are
_AGENT = re.compile(r"(?:pods?/)?cilium-[a-z0-9]{5}")  # a daemon set's pod
_WORD = re.compile(r"[a-z0-9]+(?:-dbg)?", re.ASCII)
_MAX_WORDS = 200  # of one command line; no real one is longer


class Hints(NamedTuple):
    """What stands around a dump; each is None where nothing says it."""

    kind: str | None = None
    endpoint_id: int | None = None
    partial: str | None = None
    """Why the output is not all that the command knows."""
    node: str | None = None
    """The host of the prompt; of a command that was run in a pod on another host, that pod; None of one that showed a file."""
    map_name: str | None = None
    """The map that `map get` was asked for."""
    is_yaml: bool = False
    """It was asked for as YAML."""


def hints_of_command(command: str, host: str | None = None) -> Hints:
    """The hints in a command line such as `kubectl exec ds/cilium -- cilium bpf policy get 2636 | grep TCP`.

    A heading (`BPF Policy Get 2636`, as debuginfo has them) counts as a command.
    """
    if match := _FILE_HEADING.fullmatch(command):
        return hints_of_file_name(match[1])._replace(partial="it was read through `head` or `tail`")
    if command.startswith(_MAP_HEADING):
        command = f"map get {command.removeprefix(_MAP_HEADING)}"
    stages = command.replace("'", " ").replace('"', " ").split("|")
    words = _words_of_program(stages[0].split()[:_MAX_WORDS])
    filters = [tool for stage in stages[1:] if (tool := stage.strip().split(" ", 1)[0]) in _FILTERS]
    plain = [word for word in words if not word.startswith("-")]
    kind, after = _kind_of(plain, _KIND_OF_WORDS)
    map_name = next((word for word in after if word.startswith(_MAP_NAME)), None) if kind == "map" else None
    if map_name is not None:
        kind = next((known for name, known in _KIND_OF_MAP if map_name.startswith(name)), kind)
    numbers = [int(word) for word in after if word.isascii() and word.isdigit() and len(word) <= 5]
    node = None if next((word for word in words if word != "sudo"), "") in _READERS else host
    if _EXEC.search(stages[0][:_MAX_WORDS]):
        node = _agent_of(stages[0].split()[:_MAX_WORDS])
    partial = f"it was read through `{filters[0]}`" if filters else None
    if kind == "ipcache" and "list" not in plain and map_name is None:
        partial = "it is the answer for one address"
    if kind == "identities" and "get" in plain:
        partial = "it is the answer for one identity"
    endpoint_id = numbers[0] if kind == "policy_map" and numbers else None
    return Hints(kind, endpoint_id, partial, node, map_name, kind is not None and _YAML.search(stages[0]) is not None)


def _agent_of(words: Sequence[str]) -> str | None:
    """The agent's pod, or the node's container, in which a command was run from somewhere else."""
    before = words[: words.index("--")] if "--" in words else words
    pod = next((word.split("/")[-1] for word in before if _AGENT.fullmatch(word)), None)
    at = next((at for at, word in enumerate(words) if word in _CONTAINER_PROGRAMS), None)
    if pod is not None or at is None:
        return pod
    return next((word for word in words[at + 1 :] if word != "exec" and not word.startswith("-")), None)


def hints_of_file_name(name: str) -> Hints:
    """The hints in a file's name: bugtool names files after commands, people name them `bpf-policy-get-2636.txt`."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
    match = _ENDPOINT_ID_IN_NAME.search(stem)
    kind, _ = _kind_of(_WORD.findall(stem.replace("-dbg", ""))[:_MAX_WORDS], _FILE_WORDS)
    if kind == "policy_rules" and match:
        kind = "policy_map"  # rules are asked for by labels, maps by endpoint
    endpoint_id = int(match[1]) if match and kind == "policy_map" else None
    return Hints(kind, endpoint_id, is_yaml=stem.endswith((".yaml", ".yml")))


def kind_of_error(text: str) -> str | None:
    """The kind of the dump that failed with the error `text`, by the map or the API path in it."""
    return next((kind for mark, kind in _KIND_OF_ERROR if mark in text), None)


def _words_of_program(tokens: Sequence[str]) -> list[str]:
    """The words from the last program on: what stands before it (sudo, kubectl exec, a pod) is how it was run."""
    start = 0
    for index, token in enumerate(tokens):
        if token.rsplit("/", 1)[-1] in _PROGRAMS:
            start = index
    words = [token.rsplit("/", 1)[-1] if index == 0 else token for index, token in enumerate(tokens[start:])]
    return [word if word.startswith("cilium_") else word.lower() for word in words]


def _kind_of(words: Sequence[str], kinds: Mapping[tuple[str, ...], str]) -> tuple[str | None, Sequence[str]]:
    """The kind that the longest known run in `words` names, and the words after that run."""
    for length in (3, 2, 1):
        for start in range(len(words) - length + 1):
            kind = kinds.get(tuple(words[start : start + length]))
            if kind is not None:
                return kind, words[start + length :]
    return None, ()
