"""The collecting script: that a shell takes it, that names stay names, and that what it brings back is a case."""

import ipaddress
import os
import shutil
import subprocess
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mixcni
from mixcni.case.manifest import read_manifest
from mixcni.cluster.commands import hints_of_command
from mixcni.collection import Plan, Pod, cilium_nodes_of, collection_script, pod_of, read_plan, read_pods
from mixcni.collection.filters import uplink_filter
from mixcni.collection.script import AGENT_DUMPS
from mixcni.errors import CaseError, ParameterError
from tests.cases import CAPTURES, FOUNDING
from tests.wire import Frame, ip_frame, write_pcap

CLIENT = Pod("web", "client", "kubenet-1", ipaddress.ip_address("10.244.3.7"))
SHOP = Pod("shop", "shop-0", "cilium-1", ipaddress.ip_address("10.242.2.149"))
BASH = shutil.which("bash")
TCPDUMP = shutil.which("tcpdump")
NAME = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/@="), min_size=1, max_size=12).filter(
    lambda name: name[0] not in "-." and name.isprintable()
)

pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not on PATH")


def run(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "collect.sh"
    file.write_text(script, encoding="utf-8")
    path = str(folder / "bin") + os.pathsep + os.environ["PATH"]
    return subprocess.run(
        [str(BASH), "collect.sh", *arguments], cwd=folder, capture_output=True, text=True, check=False, env={"PATH": path}
    )


def stub(folder: Path, name: str, text: str) -> None:
    """A program on the script's PATH that stands for the real one."""
    (folder / "bin").mkdir(exist_ok=True)
    file = folder / "bin" / name
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)


@settings(max_examples=40)
@given(NAME, NAME, NAME, NAME, st.text(max_size=20))
def test_any_names_give_a_script_that_a_shell_takes(namespace: str, pod: str, near: str, far: str, title: str) -> None:
    ends = Pod(namespace, pod, near, CLIENT.address), Pod(namespace, pod, far, SHOP.address)
    script = collection_script(Plan(*ends, cilium_nodes=(far,), interfaces={far: near}, title=title))
    done = subprocess.run([str(BASH), "-n"], input=script.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", ["$(touch pwned)", "`touch pwned`", "a; touch pwned", "a' touch pwned '", 'a"; touch pwned; "'])
def test_a_hostile_name_runs_nothing(tmp_path: Path, name: str) -> None:
    plan = Plan(Pod(name, name, name, CLIENT.address), Pod(name, name, "far", SHOP.address), cilium_nodes=("far",), title=name)
    stub(tmp_path, "kubectl", "exit 1")
    for step in (["manifest"], ["dumps"], ["start", "other"], ["stop", "other"], []):
        run(collection_script(plan), *step, folder=tmp_path)
    assert not list(tmp_path.rglob("pwned"))
    assert read_manifest(tmp_path / "mixcni-case" / "case.toml").title == name


def test_what_comes_back_is_a_case(tmp_path: Path) -> None:
    """The founding case's captures and dumps in the folders that the script makes."""
    plan = Plan(
        CLIENT, SHOP, cilium_nodes=("cilium-1",), without_uplink=("kubenet-1",), network_policy=True,
        pod_cidrs={"kubenet-1": "10.244.3.0/24"},
    )  # fmt: skip
    done = run(collection_script(plan), "manifest", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "collect.sh: wrote mixcni-case/case.toml\n")
    folder = tmp_path / "mixcni-case"
    for name in "ABC":
        shutil.copy(CAPTURES / FOUNDING / f"{name}.pcap", folder / f"{name}.pcap00")
    shutil.copytree(CAPTURES / FOUNDING / "cilium", folder / "cilium" / "cilium-1")
    (folder / "kubernetes").mkdir()
    (folder / "kubernetes" / "pods-1.txt").write_text("NAME   READY\n")
    case = mixcni.open_case(folder)
    assert case.notes == ()
    report = mixcni.diagnose(case)
    assert [(loss["hop"], loss["cause"]) for loss in report.losses] == [(["B", "C"], "policy_denied_ingress")]
    assert report.scenario == {"initiator": "kubenet", "responder": "cilium", "network_policy": True}


def test_a_window_is_told_unless_the_ring_was_full(tmp_path: Path) -> None:
    script = collection_script(Plan(CLIENT, SHOP, cilium_nodes=("cilium-1",), ring_files=2))
    folder = tmp_path / "mixcni-case"
    (folder / "windows").mkdir(parents=True)
    for name in "AB":
        (folder / "windows" / f"{name}.start").write_text("2022-12-12T08:00:00.000001Z")
        (folder / "windows" / f"{name}.stop").write_text("2022-12-12T08:05:00.500000Z")
    for name in ("A.pcap0", "B.pcap0", "B.pcap1"):
        (folder / name).touch()
    assert run(script, "manifest", folder=tmp_path).returncode == 0
    points = read_manifest(folder / "case.toml").points
    start = 1_670_832_000_000_000_000
    assert [point.window for point in points] == [(start + 1_000, start + 300_500_000_000), None, None, None]


def test_a_capture_is_started_watched_and_ended(tmp_path: Path) -> None:
    stub(
        tmp_path,
        "tcpdump",
        'trap "echo 7 packets captured >&2; exit" TERM\necho "$@" >args\necho "listening on eth1" >&2\n'
        "while :; do sleep 0.1; done",
    )
    stub(tmp_path, "ip", "echo 'default via 10.0.0.1 dev eth1 proto dhcp'")
    script = collection_script(Plan(CLIENT, SHOP, cilium_nodes=("cilium-1",), snaplen=96, ring_files=3, ring_megabytes=9))
    stub(tmp_path, "crictl", "case $1 in ps) echo 0f;; *) echo 4711;; esac")
    stub(tmp_path, "nsenter", 'echo "$@" >nsenter-args\nshift 4\nexec "$@"')
    started = run(script, "start", "cilium-1", folder=tmp_path)
    assert (started.returncode, started.stderr) == (0, "")
    ended = run(script, "stop", "cilium-1", folder=tmp_path)
    assert ended.stdout == "C: 7 packets captured\nD: 7 packets captured\n"
    arguments = (tmp_path / "args").read_text()
    assert "-s 96 --time-stamp-precision=nano -i" in arguments
    assert "-C 9 -W 3 -w mixcni-case/" in arguments
    assert (tmp_path / "nsenter-args").read_text().startswith("--target 4711 --net -- tcpdump")
    assert sorted(file.name for file in (tmp_path / "mixcni-case" / "windows").iterdir()) == [
        f"{point}.{what}" for point in "CD" for what in ("log", "pid", "start", "stop")
    ]
    assert "start" in (tmp_path / "mixcni-case" / "clocks" / "cilium-1.txt").read_text()


@pytest.mark.parametrize(
    ("version", "there", "program"),
    [
        (None, "cilium-dbg", "cilium-dbg"),
        (None, "cilium", "cilium"),
        ((1, 12), "cilium-dbg", "cilium"),
        ((1, 15), "cilium", "cilium-dbg"),
    ],
)
def test_the_agents_own_command_is_asked(tmp_path: Path, version: tuple[int, int] | None, there: str, program: str) -> None:
    stub(tmp_path, "kubectl", f'case "$*" in *jsonpath*) echo cilium-x7k2p;; *"sh -c"*) echo {there};; *) echo "$*";; esac')
    script = collection_script(Plan(CLIENT, SHOP, cilium_nodes=("cilium-1",), cilium_version=version))
    assert run(script, "dumps", folder=tmp_path).returncode == 0
    folder = tmp_path / "mixcni-case" / "cilium" / "cilium-1"
    asked = (folder / "ct-list.txt").read_text()
    assert asked == f"-n kube-system exec cilium-x7k2p -c cilium-agent -- {program} bpf ct list global\n"
    assert {file.name for file in folder.iterdir()} == {"health-status.txt", *(file for file, _ in AGENT_DUMPS)}


@pytest.mark.parametrize(("file", "command"), AGENT_DUMPS)
def test_each_dump_is_one_that_mixcni_knows(file: str, command: str) -> None:
    assert hints_of_command(f"cilium {command}").kind is not None, file


def test_points_stand_in_path_order() -> None:
    plan = Plan(CLIENT, SHOP, cilium_nodes=("cilium-1",))
    assert [(p.name, p.node, str(p.kind)) for p in plan.points] == [
        ("A", "kubenet-1", "pod"), ("B", "kubenet-1", "node"), ("C", "cilium-1", "node"), ("D", "cilium-1", "pod"),
    ]  # fmt: skip
    together = Plan(CLIENT, Pod("shop", "shop-0", "kubenet-1", SHOP.address))
    assert [(p.name, str(p.kind)) for p in together.points] == [("A", "pod"), ("B", "pod")]


LISTING = """\
NAMESPACE     NAME           READY   STATUS    RESTARTS      AGE   IP             NODE        NOMINATED NODE   READINESS GATES
kube-system   cilium-x7k2p   1/1     Running   1 (5m ago)    12d   10.118.201.53  cilium-1    <none>           <none>
shop          shop-0         1/1     Running   0             3h    10.242.2.149   cilium-1    <none>           <none>
web           client         1/1     Running   2 (3h1m ago)  2d    10.244.3.7     kubenet-1   <none>           <none>
web           pending        0/1     Pending   0             1s    <none>         <none>      <none>           <none>
"""


def test_a_pod_listing_tells_nodes_addresses_and_agents() -> None:
    pods = read_pods(LISTING, "pods.txt")
    assert pod_of("web/client", pods) == CLIENT
    assert pod_of("shop/shop-0", pods) == SHOP
    assert cilium_nodes_of(pods) == ("cilium-1",)
    assert pod_of("web/pending", pods) == Pod("web", "pending")
    one_namespace = "\n".join(line[14:] for line in LISTING.splitlines())
    assert pod_of("web/client", read_pods(one_namespace, "pods.txt")).address == CLIENT.address


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Plan(Pod("web", "client"), SHOP), "web/client: its node is not known; give NAMESPACE/POD@NODE=ADDRESS"),
        (lambda: Plan(Pod("web", "client", "n"), SHOP), "web/client: its address is not known"),
        (lambda: pod_of("client"), "wanted NAMESPACE/POD, NAMESPACE/POD@NODE or NAMESPACE/POD@NODE=ADDRESS, got 'client'"),
        (lambda: pod_of("web/client@n=10.0.0"), "web/client: '10.0.0' does not appear to be an IPv4 or IPv6 address"),
        (
            lambda: Plan(CLIENT, Pod("shop", "-x", "n", SHOP.address)),
            "names begin with a letter or a digit and have no slash, got '-x'",
        ),
        (lambda: Plan(CLIENT, Pod("shop", "a", "../n", SHOP.address)), "have no slash, got '../n'"),
        (lambda: Plan(CLIENT, Pod("shop", "a", "n\nrm", SHOP.address)), "have no slash"),
        (
            lambda: Plan(CLIENT, SHOP, without_uplink=("kubnet-1",)),
            "uplink: wanted one of the nodes kubenet-1, cilium-1, got 'kubnet-1'",
        ),
        (lambda: Plan(CLIENT, SHOP, pod_cidrs={"n": "10.0.0.1/8"}), "pod network of n: 10.0.0.1/8 has host bits set"),
    ],
)
def test_a_plan_that_cannot_be_says_why(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(ParameterError) as caught:
        make()
    assert says in str(caught.value)


def test_a_plan_is_read_from_toml_and_yaml(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('from = "web/client"\ncilium = ["cilium-1"]\n[interfaces]\ncilium-1 = "any"\n')
    (tmp_path / "p.yaml").write_text("from: web/client\ncilium: [cilium-1]\ninterfaces: {cilium-1: any}\n")
    assert read_plan(tmp_path / "p.toml") == read_plan(tmp_path / "p.yaml")
    for text, says in (
        ("cillium = []", "'cillium'"),
        ("cilium = 3", "cilium: list, found int 3"),
        ("=", "a plan in TOML or YAML"),
    ):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(CaseError) as caught:
            read_plan(tmp_path / "bad.toml")
        assert says in str(caught.value)
    with pytest.raises(CaseError, match="output of kubectl get pods -o wide, found a first line 'NAME READY'"):
        read_pods("NAME READY", "x")


def vxlan(inner: bytes, port: int = 8472) -> bytes:
    header = b"\x08\0\0\0\0\x01\0\0"  # RFC 7348 section 5: the VNI is 256
    udp = dpkt.udp.UDP(sport=40_000, dport=port, data=header + inner)
    udp.ulen = len(udp)
    return ip_frame("10.118.202.21", "10.118.201.53", 17, udp)


def tcp(source: str, destination: str) -> bytes:
    return ip_frame(source, destination, 6, dpkt.tcp.TCP(sport=1, dport=2, flags=2))


@pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not on PATH")
@pytest.mark.parametrize(
    ("ends", "other"), [(("10.244.3.7", "10.242.2.149"), "10.242.2.31"), (("fd00::7", "fd00:1::149"), "fd00:1::31")]
)
def test_the_uplink_filter_takes_both_directions_inside_and_outside_tunnels(
    tmp_path: Path, ends: tuple[str, str], other: str
) -> None:
    a, b = ends
    wanted = [tcp(a, b), tcp(b, a), vxlan(tcp(a, b)), vxlan(tcp(b, a))]
    unwanted = [tcp(a, other), vxlan(tcp(a, other)), vxlan(tcp(other, b)), vxlan(tcp(a, b), port=8473)]
    file = tmp_path / "x.pcap"
    write_pcap(file, [Frame(n, octets) for n, octets in enumerate([*wanted, *unwanted])])
    addresses = ipaddress.ip_address(a), ipaddress.ip_address(b)
    text = uplink_filter(addresses, "vxlan", 8472)
    done = subprocess.run(
        [str(TCPDUMP), "-nr", str(file), "-w", str(tmp_path / "y.pcap"), text], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(mixcni.open_capture(tmp_path / "y.pcap")) == len(wanted)
    for tunnel, port in (("geneve", 6081), ("", 0)):
        subprocess.run([str(TCPDUMP), "-d", uplink_filter(addresses, tunnel, port)], capture_output=True, check=True)
