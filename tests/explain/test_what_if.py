"""What a policy would do to the observed requests: which would pass, which no longer would, and of which it cannot be told."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import mixcni
from mixcni.errors import ParameterError
from mixcni.explain.what_if import COLUMNS, OUTCOMES
from mixcni.report import Report
from tests.cases import CAPTURES, FOUNDING, Change, diagnose_changed, replaced, without

SHOP = {"app": "shop"}


def network_policy(rules: list[dict[str, Any]], name: str = "given") -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"podSelector": {"matchLabels": SHOP}, "policyTypes": ["Ingress"], "ingress": rules},
    }


def block(cidr: str, port: int | None = 8080) -> dict[str, Any]:
    return {"from": [{"ipBlock": {"cidr": cidr}}], **({"ports": [{"port": port}]} if port else {})}


def cilium_policy(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "given", "namespace": "default"},
        "spec": {"endpointSelector": {"matchLabels": SHOP}, **spec},
    }


WEB = {"from": [{"podSelector": {"matchLabels": {"app": "shop-web"}}}], "ports": [{"port": 8080}]}


@pytest.fixture(scope="module")
def founding() -> Report:
    return mixcni.diagnose(CAPTURES / FOUNDING)


@pytest.mark.parametrize(
    ("policy", "would_pass", "would_be_denied", "cannot_tell"),
    [
        (network_policy([block("10.244.3.0/24")]), 12, 0, 0),
        (network_policy([block("10.244.3.7/32")]), 12, 0, 0),
        (network_policy([block("10.244.3.0/24", 9999)]), 0, 0, 0),
        (network_policy([block("10.244.4.0/24")]), 0, 0, 0),
        (network_policy([block("0.0.0.0/0", None)]), 12, 0, 0),
        (network_policy([{}]), 12, 0, 0),
        (network_policy([WEB]), 0, 0, 0),  # the kubenet pod has the label, and no selector finds it
        (network_policy([]), 0, 0, 0),  # rules add up: what the map allows already stays
        (cilium_policy(ingress=[{"fromEntities": ["world"]}]), 12, 0, 0),
        (cilium_policy(ingress=[{"fromEntities": ["cluster"]}]), 0, 0, 0),
        (cilium_policy(ingressDeny=[{"fromEndpoints": [{"matchLabels": {"app": "shop-web"}}]}]), 0, 8, 0),
        (cilium_policy(ingressDeny=[{"fromEntities": ["all"]}]), 0, 62, 0),
        (
            cilium_policy(
                ingress=[
                    {
                        "fromCIDR": ["10.244.3.0/24"],
                        "toPorts": [{"ports": [{"port": "8080"}], "rules": {"http": [{"method": "GET"}]}}],
                    }
                ]
            ),
            0,
            0,
            12,
        ),
    ],
    ids=["pod network", "address", "other port", "other network", "everything", "anybody", "labels", "nothing", "world",
         "cluster", "deny some", "deny all", "requests of HTTP"],
)  # fmt: skip
def test_a_policy_is_judged_on_the_founding_traffic(
    policy: dict[str, Any], would_pass: int, would_be_denied: int, cannot_tell: int, founding: Report
) -> None:
    found = founding.what_if(policy)
    assert (found.would_pass, found.would_be_denied, found.cannot_tell) == (would_pass, would_be_denied, cannot_tell)
    assert found.failed == 12
    assert sum(map(found.count, OUTCOMES)) == len(founding.exchanges)


def test_a_file_text_and_a_mapping_are_the_same_and_lines_are_the_texts(founding: Report, tmp_path: Path) -> None:
    policy = network_policy([block("10.244.3.0/24")])
    text = yaml.safe_dump(policy, sort_keys=False)
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    given: list[Any] = [policy, [policy], text, file, str(file), {"kind": "List", "items": [policy]}]
    assert {founding.what_if(each).would_pass for each in given} == {12}
    row: Any = founding.what_if(file).to_frame().iloc[0]
    assert (row["outcome"], row["file"]) == ("would pass", str(file))
    assert "- from:" in text.splitlines()[row["line"] - 1]


def test_its_forms_say_the_same(founding: Report) -> None:
    found = founding.what_if(network_policy([block("10.244.3.0/24")], "<b>&"))
    says = "with NetworkPolicy default/<b>&, 12 of 12 requests that failed would pass, 0 of 62 that passed would be denied"
    assert repr(found).splitlines()[0] == f"WhatIf: {says}"
    assert "&lt;b&gt;&amp;" in found._repr_html_()
    assert "<b>&" not in found._repr_html_()
    frame = found.to_frame()
    assert list(frame.columns) == COLUMNS
    assert frame["requests"].sum() == len(founding.exchanges)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("no-such-file.yaml", "no-such-file.yaml cannot be read: No such file or directory"),
        ("kind: [", "line 1: no YAML"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "found Pod a"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n", "a Secret: none of the kinds that are read"),
        ([], "found none"),
        ([1], "wanted a file, YAML text or mappings"),
    ],
)
def test_what_is_no_policy_is_refused_with_what_was_found(policy: Any, says: str, founding: Report) -> None:
    with pytest.raises(ParameterError, match="policy: ") as caught:
        founding.what_if(policy)
    assert says in str(caught.value)


def with_manifests(folder: Path) -> None:
    """What the API server has: the shop's policy, and the pods."""
    pods = [("shop", "10.242.2.149", "cilium-1", "shop"), ("web", "10.242.2.31", "cilium-1", "shop-web"),
            ("client", "10.244.3.7", "kubenet-1", "shop-web")]  # fmt: skip
    items: list[dict[str, Any]] = [network_policy([WEB], "shop")]
    items += [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": label}},
            "spec": {"nodeName": node},
            "status": {"podIP": address, "phase": "Running"},
        }
        for name, address, node, label in pods
    ]
    items += [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "cilium-1"},
         "spec": {"addresses": [{"type": "InternalIP", "ip": "10.242.2.153"}]}}
    ]  # fmt: skip
    (folder / "cilium" / "objects.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))


NO_DUMPS = tuple(
    without(f"cilium/{name}.txt")
    for name in ("bpf-policy-get-1437", "ct-list", "endpoint-list", "health-status", "identity-list", "ipcache-list")
)


@pytest.mark.parametrize("changes", [(with_manifests,), (with_manifests, *NO_DUMPS)], ids=["with the map", "by manifests alone"])
def test_a_changed_policy_replaces_the_one_in_the_dumps(changes: tuple[Change, ...], tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, *changes)
    wider = report.what_if(network_policy([WEB, block("10.244.3.0/24")], "shop"))
    assert (wider.would_pass, wider.would_be_denied, wider.cannot_tell) == (12, 0, 0)
    assert wider.replaced == ("NetworkPolicy default/shop",)
    assert "judged by the policies as they are written" in wider.notes[0]
    narrower = report.what_if(network_policy([block("10.244.3.0/24")], "shop"))
    assert (narrower.would_pass, narrower.would_be_denied) == (12, 8), "the front end is no longer named; probes pass always"


def with_imported_rules(folder: Path) -> None:
    """The agent's own listing of the shop's policy, and the manifests of all else."""
    with_manifests(folder)
    path = folder / "cilium" / "objects.yaml"
    objects = yaml.safe_load(path.read_text())
    objects["items"] = [item for item in objects["items"] if item["kind"] != "NetworkPolicy"]
    path.write_text(yaml.safe_dump(objects))
    namespace = {"k8s:io.kubernetes.pod.namespace": "default"}
    named = {"derived-from": "NetworkPolicy", "name": "shop", "namespace": "default"}
    rule = {
        "endpointSelector": {"matchLabels": {"any:app": "shop", **namespace}},
        "ingress": [
            {
                "fromEndpoints": [{"matchLabels": {"any:app": "shop-web", **namespace}}],
                "toPorts": [{"ports": [{"port": "8080", "protocol": "TCP"}]}],
            }
        ],
        "labels": [{"key": f"io.cilium.k8s.policy.{key}", "value": value, "source": "k8s"} for key, value in named.items()],
    }
    (folder / "cilium" / "policy-get.txt").write_text(json.dumps([rule], indent=2))


def test_a_policy_that_only_the_agent_listed_is_replaced_as_well(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, with_imported_rules, *NO_DUMPS)
    found = report.what_if(network_policy([WEB, block("10.244.3.0/24")], "shop"))
    assert found.replaced == ("NetworkPolicy default/shop",)
    assert (found.would_pass, found.would_be_denied, found.cannot_tell) == (12, 0, 0)


def test_a_policy_about_another_pod_changes_nothing(founding: Report) -> None:
    other = network_policy([{}])
    other["spec"]["podSelector"] = {"matchLabels": {"app": "other"}}
    found = founding.what_if(other)
    assert (found.would_pass, found.would_be_denied, found.count("still fails")) == (0, 0, 12)
    assert "no row of the policy map holds ingress" in repr(found)


def test_what_policy_did_not_stop_no_policy_lets_pass(tmp_path: Path) -> None:
    found = diagnose_changed(tmp_path, replaced("cilium/endpoint-list.txt", "Enabled ", "Disabled")).what_if(
        network_policy([block("10.244.3.0/24")])
    )
    assert (found.would_pass, found.count("still fails")) == (0, 12)
    assert "policy lets it through as it is: something else stops it" in repr(found)


def test_a_deny_row_outweighs_what_a_new_policy_allows(tmp_path: Path) -> None:
    row = f"Deny     Ingress     {'reserved:world':<73}ANY          NONE         0       0"
    above = "Allow    Egress      reserved:unknown"
    report = diagnose_changed(tmp_path, replaced("cilium/bpf-policy-get-1437.txt", above, f"{row}\n{above}"))
    found = report.what_if(network_policy([block("10.244.3.0/24")]))
    assert (found.would_pass, found.count("still fails")) == (0, 12)
    assert "Policy denied by denylist" in repr(found)


def test_manifests_that_do_not_explain_what_passed_do_not_tell_what_would_be_denied(tmp_path: Path) -> None:
    def with_other_policy(folder: Path) -> None:
        with_manifests(folder)
        path = folder / "cilium" / "objects.yaml"
        objects = yaml.safe_load(path.read_text())
        objects["items"][0]["spec"]["ingress"] = [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]
        path.write_text(yaml.safe_dump(objects))

    report = diagnose_changed(tmp_path, with_other_policy)
    found = report.what_if(network_policy([block("10.244.3.0/24")], "shop"))
    assert (found.would_pass, found.would_be_denied, found.cannot_tell) == (12, 0, 8)
    assert "they are not all there are" in repr(found)


def test_without_any_dump_it_cannot_be_told_what_stopped_the_requests(tmp_path: Path) -> None:
    found = diagnose_changed(tmp_path, *NO_DUMPS).what_if(network_policy([block("10.244.3.0/24")]))
    assert found.would_pass == 0
    assert found.cannot_tell >= 12
