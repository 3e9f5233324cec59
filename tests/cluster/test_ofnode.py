"""Dumps of several nodes are kept apart, by whatever tells which node a dump is of."""

from pathlib import Path

import pytest

from mixcni.cluster import ClusterState, read_dumps
from mixcni.cluster.loading import find_dumps
from mixcni.errors import ParameterError
from tests.cluster.dumps import CT_TAIL, state_of

CT = f"TCP IN 10.0.0.1:1000 -> 10.0.0.2:80 {CT_TAIL}\n"
POLICY = "POLICY DIRECTION IDENTITY PORT/PROTO PROXY PORT BYTES PACKETS\nAllow Ingress {} ANY NONE 0 0\n"
ENDPOINTS = "ENDPOINT POLICY (ingress) POLICY (egress) IDENTITY LABELS IPv6 IPv4 STATUS\n25 Enabled Disabled 7 k8s:a=b {} ready\n"
NODES = (
    "Name IPv4 Address Endpoint CIDR IPv6 Address Endpoint CIDR\n"
    "kind/worker 172.18.0.2 10.0.0.0/24\nkind/worker2 172.18.0.3 10.0.1.0/24\n"
)
HEALTH = "Cluster health: 1/1 reachable (2024-05-01T10:00:00Z)\n  worker (localhost)   172.18.0.2   reachable   reachable\n"
BUGTOOL = "cilium-bugtool-cilium-{}-20221110-185842/cmd/{}.md"
PROMPTS = f"root@worker:/# cilium bpf ct list global\n{CT}root@worker2:/# cilium endpoint list\n{ENDPOINTS.format('10.0.1.4')}"


def nodes_of(files: dict[str, str], folder: Path) -> dict[str, str | None]:
    """Write files, read them all, and give the node of each file's first dump."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    found = find_dumps(folder, root=folder)
    return {read.dump.file: read.dump.node for read in reversed(found)}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"worker/ct.txt": CT, "worker2/ct.txt": CT, "nodes.txt": NODES},
         {"worker/ct.txt": "worker", "worker2/ct.txt": "worker2", "nodes.txt": None}),
        ({"ct-worker2.txt": CT, "worker-ct.txt": CT, "ct.txt": CT, "nodes.txt": NODES},
         {"ct-worker2.txt": "worker2", "worker-ct.txt": "worker", "ct.txt": None, "nodes.txt": None}),
        ({"a/ct.txt": CT, "b/ct.txt": CT}, {"a/ct.txt": "a", "b/ct.txt": "b"}),
        ({"a/ct.txt": CT, "b/endpoints.txt": ENDPOINTS}, {"a/ct.txt": None, "b/endpoints.txt": None}),
        ({"s/" + BUGTOOL.format("abcde", "ct"): CT, "s/" + BUGTOOL.format("fghij", "ct"): CT},
         {"s/" + BUGTOOL.format("abcde", "ct"): "cilium-abcde", "s/" + BUGTOOL.format("fghij", "ct"): "cilium-fghij"}),
        ({BUGTOOL.format("abcde", "ct"): CT, BUGTOOL.format("abcde", "status"): HEALTH},
         {BUGTOOL.format("abcde", "ct"): "worker", BUGTOOL.format("abcde", "status"): "worker"}),
        ({"all.txt": PROMPTS}, {"all.txt": "worker"}),
        ({"x.txt": "$ kubectl exec -n kube-system cilium-x7k2p -- cilium bpf ct list global\n" + CT}, {"x.txt": "cilium-x7k2p"}),
        ({"x.txt": "admin@laptop:~$ kubectl exec -n kube-system ds/cilium -- cilium bpf ct list global\n" + CT}, {"x.txt": None}),
        ({"x.txt": "$ docker exec -it kind-worker cilium bpf ct list global\n" + CT}, {"x.txt": "kind-worker"}),
    ],
    ids=[
        "folders named after nodes", "files named after nodes", "twin folders", "folders of different files", "bugtool folders",
        "bugtool folder that names its node", "prompts", "agent's pod", "someone's laptop", "kind",
    ],
)  # fmt: skip
def test_a_dump_is_of_the_node_that_something_names(
    files: dict[str, str], expected: dict[str, str | None], tmp_path: Path
) -> None:
    assert nodes_of(files, tmp_path) == expected


def test_a_node_has_one_name_whatever_a_dump_calls_it() -> None:
    health = HEALTH.replace("worker (localhost)", "kind/worker (localhost)")
    state = state_of(f"root@worker:/# cilium bpf ct list global\n{CT}", health)
    assert state.dumped_nodes == ("kind/worker",)
    apart = state_of(health, health.replace("kind/", "mesh/"), f"root@worker:/# cilium bpf ct list global\n{CT}")
    assert apart.dumped_nodes == ("kind/worker", "mesh/worker", "worker")


def two_nodes() -> ClusterState:
    """Two nodes that both have an endpoint 25, with another policy each."""
    prompt = "root@{}:/# cilium {}\n"
    return state_of(
        "".join(
            prompt.format(node, "bpf policy get 25 -n") + POLICY.format(peer) + prompt.format(node, "endpoint list")
            + ENDPOINTS.format(address) + prompt.format(node, "bpf ct list global") + CT
            for node, peer, address in (("worker", 0, "10.0.0.4"), ("worker2", 99, "10.0.1.4"))
        )
    )  # fmt: skip


def test_the_same_endpoint_id_on_two_nodes_has_two_policies() -> None:
    state = two_nodes()
    assert state.dumped_nodes == ("worker", "worker2")
    verdicts = [state.policy_verdict(25, "ingress", 7, 80, "TCP", node) for node in (None, "worker", "worker2")]
    assert [verdict.allowed for verdict in verdicts] == [None, True, False]
    assert verdicts[0].why == "several nodes have an endpoint 25, and none of them is named"
    assert state.policy_entries(25) is None
    assert [entry.identity for entry in state.policy_entries(25, "worker2") or ()] == [99]


def test_an_entry_knows_the_node_of_its_dump_and_a_node_has_a_state_of_its_own() -> None:
    state = two_nodes()
    assert [state.node_of(endpoint) for endpoint in state.endpoints] == ["worker", "worker2"]
    one = state.on_node("worker2")
    assert [str(endpoint.ipv4) for endpoint in one.endpoints] == ["10.0.1.4"]
    assert (len(one.ct), len(one.policy_map), len(state.ct)) == (1, 1, 2)
    assert one.policy_verdict(25, "ingress", 7, 80, "TCP").allowed is False
    with pytest.raises(ParameterError, match="node: no dump of 'worker3', wanted worker"):
        state.on_node("worker3")


def test_dumps_of_the_whole_cluster_belong_to_every_node(tmp_path: Path) -> None:
    nodes_of({"worker/ct.txt": CT, "worker2/ct.txt": CT, "nodes.txt": NODES}, tmp_path)
    state = read_dumps(tmp_path)
    assert [len(state.on_node(node).nodes) for node in state.dumped_nodes] == [2, 2]
    assert [len(state.on_node(node).ct) for node in state.dumped_nodes] == [1, 1]


def test_the_status_of_a_node_narrows_the_release_of_its_other_dumps_and_of_no_other_nodes() -> None:
    prompt = "root@{}:/# cilium {}\n"
    status = "Cilium:   Ok   {0}.3 (v{0}.3-abcdef)\n"
    text = "".join(
        prompt.format(node, "status") + status.format(release) + prompt.format(node, "endpoint list")
        + ENDPOINTS.format("10.0.0.4")
        + prompt.format(node, "bpf policy get 25 -n") + POLICY.format(0)
        for node, release in (("worker", "1.12"), ("worker2", "1.18"))
    ) + f"root@worker3:/# cilium endpoint list\n{ENDPOINTS.format('10.0.2.4')}"  # fmt: skip
    versions = [(dump.kind, dump.node, dump.version and str(dump.version)) for dump in state_of(text).dumps]
    assert versions == [
        ("status", "worker", "1.12"), ("endpoints", "worker", "1.12"), ("policy_map", "worker", "1.12"),
        # A form that 1.18 does not print is not of 1.18, whatever the status of that node says.
        ("status", "worker2", "1.18"), ("endpoints", "worker2", "1.18"), ("policy_map", "worker2", "1.9-1.13"),
        ("endpoints", "worker3", None),
    ]  # fmt: skip


def test_folders_are_told_apart_under_absolute_paths_too(tmp_path: Path) -> None:
    nodes_of({"a/ct.txt": CT, "b/ct.txt": CT}, tmp_path)
    assert read_dumps(tmp_path).dumped_nodes == ("a", "b")
