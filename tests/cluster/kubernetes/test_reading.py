"""Kubernetes objects out of whatever `kubectl get -o yaml|json` printed, each with its line; hostile YAML costs no more."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mixcni.cluster import ClusterState
from mixcni.cluster.kubernetes import KubernetesObject
from mixcni.cluster.kubernetes.yamltext import MAX_DEPTH, MAX_NODES, YamlError, line_of, read_yaml
from mixcni.cluster.policies import PolicyEngine
from tests.cluster.dumps import only, state_of

POD = """apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  labels:
    app: web
    version: "1"
spec:
  nodeName: n1
  containers:
  - name: web
    env:
    - name: PORT
      value: "80"
    ports:
    - name: http
      containerPort: 80
status:
  podIP: 10.0.0.1
  podIPs:
  - ip: 10.0.0.1
  - ip: fd00::1
"""
POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
  namespace: shop
spec:
  podSelector: {}
  ingress:
  - from:
    - podSelector: {}
  - ports:
    - port: 80
"""


def as_list(*objects: str, indent: int = 0) -> str:
    """A List as kubectl prints it, the elements indented or not."""
    items = []
    for text in objects:
        first, *rest = text.rstrip().split("\n")
        items += [" " * indent + f"- {first}", *(" " * indent + f"  {line}" for line in rest)]
    return "\n".join(["apiVersion: v1", "items:", *items, "kind: List", "metadata:", '  resourceVersion: ""', ""])


def objects(*texts: str) -> list[tuple[str, str, int]]:
    """Kind, name and line of the objects in texts."""
    return [(item.kind, item.name, item.line) for item in state_of(*texts).of_type(KubernetesObject)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (POD, [("Pod", "web", 1)]),
        (f"{POD}---\n{POLICY}", [("Pod", "web", 1), ("NetworkPolicy", "web", 25)]),
        (f"---\n{POD}", [("Pod", "web", 2)]),
        (f"{POD}{POLICY}", [("Pod", "web", 1), ("NetworkPolicy", "web", 24)]),
        (as_list(POD, POLICY), [("Pod", "web", 3), ("NetworkPolicy", "web", 26)]),
        (as_list(POD, POLICY, indent=2), [("Pod", "web", 3), ("NetworkPolicy", "web", 26)]),
        (f'# kubectl get pod\nDefaulted container "a" out of: a, b\n{POD}', [("Pod", "web", 3)]),
        (
            f"$ kubectl get pod -o yaml\n{POD}$ kubectl get netpol -o yaml\n{POLICY}",
            [("Pod", "web", 2), ("NetworkPolicy", "web", 26)],
        ),
        (f"```yaml\n{POD}```\n", [("Pod", "web", 2)]),
        (
            "kind: PodList\napiVersion: v1\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n",
            [("Pod", "a", 4), ("Pod", "b", 5)],
        ),
        (POD.replace("\n", "\r\n"), [("Pod", "web", 1)]),
        ("apiVersion: v1\nkind: List\nitems: []\n", []),
        (json.dumps(yaml.safe_load(POD)), [("Pod", "web", 1)]),
        (json.dumps(yaml.safe_load(POD), indent=4), [("Pod", "web", 1)]),
        (json.dumps({"kind": "List", "apiVersion": "v1", "items": [yaml.safe_load(POD), yaml.safe_load(POLICY)]}, indent=4),
         [("Pod", "web", 5), ("NetworkPolicy", "web", 48)]),
    ],
    ids=["one", "stream", "rule above", "no rule between", "list", "indented list", "chatter", "prompts", "fence", "typed list",
         "CRLF", "empty list", "JSON in a line", "JSON", "JSON list"],
)  # fmt: skip
def test_objects_are_found_with_their_lines(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert objects(text) == expected


@pytest.mark.parametrize("as_json", [False, True])
def test_a_rule_has_the_line_on_which_it_stands(as_json: bool) -> None:
    text = json.dumps(yaml.safe_load(POLICY), indent=2) if as_json else POLICY
    (policy,) = PolicyEngine(state_of(text)).policies
    lines = text.splitlines()
    first, second = (lines[rule.line - 1] + lines[rule.line] for rule in policy.rules)
    assert '"from"' in first if as_json else "from" in first
    assert '"ports"' in second if as_json else "ports" in second


def test_a_pod_has_addresses_labels_and_named_ports() -> None:
    (pod,) = state_of(as_list(POD)).kubernetes.pods
    assert [str(address) for address in pod.addresses] == ["10.0.0.1", "fd00::1"]
    assert pod.labels == {"app": "web", "version": "1"}
    assert (pod.node, pod.ports, pod.service_account) == ("n1", {("http", "TCP"): 80}, "default")


def test_of_two_versions_of_an_object_the_later_one_counts() -> None:
    assert [pod.node for pod in state_of(POD, POD.replace("n1", "n2")).kubernetes.pods] == ["n2"]


def test_a_pod_that_ended_or_uses_its_hosts_network_has_no_address_of_its_own() -> None:
    for change in (("status:\n", "status:\n  phase: Succeeded\n"), ("spec:\n", "spec:\n  hostNetwork: true\n")):
        inventory = state_of(POD.replace(*change)).kubernetes
        assert inventory.pod_of(inventory.pods[0].addresses[0]) is None


def test_a_broken_object_costs_no_other_and_is_kept_by_its_line() -> None:
    broken = POLICY.replace("podSelector: {}\n  ingress", "podSelector: {\n  ingress")
    state = state_of(as_list(POD, broken, POD.replace("name: web", "name: other")))
    assert [name for _, name, _ in [(i.kind, i.name, i.line) for i in state.of_type(KubernetesObject)]] == ["web", "other"]
    assert len(only(state).unparsed) == 1
    assert "could not be read" in (only(state).partial or "")


def test_objects_of_other_kinds_are_kept_as_not_read_with_their_names() -> None:
    state = state_of(as_list("apiVersion: v1\nkind: Secret\nmetadata:\n  name: token\n", POD))
    (odd,) = only(state).unparsed
    assert (odd.line, odd.text, odd.why) == (3, "token", "a Secret: none of the kinds that are read")


def test_a_table_of_kubectl_is_recognised_and_not_read() -> None:
    state = state_of("NAMESPACE NAME READY STATUS RESTARTS AGE\ndefault web 1/1 Running 0 5d\n")
    assert (only(state).kind, only(state).partial) == ("kubernetes", "recognised, not read yet")


# Hostile YAML.

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, f"more than {MAX_NODES} values"),
        ("a: " + "[" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} values inside each other"),
        (
            "".join(" " * depth + "a:\n" for depth in range(MAX_DEPTH + 2)) + " " * (MAX_DEPTH + 2) + "b",
            "values inside each other",
        ),
        ("a: &a [*a]", "of nothing that is whole"),
        ("a: *b", "of nothing that is whole"),
        ("? [a]\n: b", "a mapping's key is no scalar"),
        ("a: [", "no YAML"),
        ("a: b: c", "no YAML"),
        ("\ta: b\n\t- c", "no YAML"),
    ],
)
def test_hostile_yaml_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(YamlError, match="line ") as caught:
        read_yaml(text.split("\n"), 10)
    assert why in str(caught.value)
    assert 10 <= caught.value.line < 10 + len(text.split("\n"))


def test_no_tag_makes_an_object() -> None:
    assert read_yaml(["a: !!python/object/apply:os.system [echo]"], 1) == {"a": ["echo"]}


def test_anchors_and_merges_of_hand_written_manifests_are_understood() -> None:
    value = read_yaml(["base: &base {app: web, tier: one}", "labels:", "  <<: *base", "  tier: two"], 5)
    assert value["labels"] == {"app": "web", "tier": "two"}
    assert (line_of(value, 0), line_of(value["labels"], 0)) == (5, 7)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc: #-'\"[]{}é\n", max_size=6),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), children, max_size=3)
    ),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), PLAIN, min_size=1, max_size=4))
def test_values_are_those_that_the_yaml_library_loads(value: dict[str, Any]) -> None:
    for text in (yaml.safe_dump(value), yaml.safe_dump(value, default_flow_style=True), json.dumps(value, indent=1)):
        assert read_yaml(text.split("\n"), 1) == yaml.safe_load(text)


WORDS = st.sampled_from(
    ["apiVersion: v1", "kind: Pod", "kind: List", "items:", "- apiVersion: v1", "  kind: NetworkPolicy", "metadata:", "  name: a",
     "spec:", "  - {}", "---", "- ", "env:", "  x: [", "{", "}", "status: {podIP: 1.2.3.4}", "  a: &a *a", "\tb", "'", "# c", ""]
)  # fmt: skip


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=25))
def test_any_lines_give_objects_or_unparsed_lines(lines: list[str]) -> None:
    state = state_of("apiVersion: v1\n" + "\n".join(lines))
    assert isinstance(state, ClusterState)
    count = len(lines) + 1
    for dump in state.dumps:
        assert all(1 <= odd.line <= count for odd in dump.unparsed)
    assert all(1 <= item.line <= count for item in state.of_type(KubernetesObject))


LISTING = "  IP PREFIX/ADDRESS   IDENTITY\n  10.0.0.1/32         identity=1 encryptkey=0 tunnelendpoint=0.0.0.0\n"


def test_an_indented_listing_behind_a_manifest_is_none_of_its_text_unless_it_is_quoted() -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: notes\n"
    apart = state_of(f"{manifest}{LISTING}")
    assert [(dump.kind, dump.entries, dump.line) for dump in apart.dumps] == [("kubernetes", 0, 1), ("ipcache", 1, 5)]
    for mark in ("|", "|-", ">+2"):
        quoted = state_of(f"{manifest}data:\n  seen: {mark}\n" + LISTING.replace("  IP", "    IP").replace("  10", "    10"))
        assert [dump.kind for dump in quoted.dumps] == ["kubernetes"]
