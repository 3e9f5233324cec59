"""Sysdumps and bugtools are read in place, know their nodes and releases, and cannot do harm."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.cluster import ClusterState, archives, read_dumps
from mixcni.cluster.archives import Bundle
from tests.cluster.dumps import CT_TAIL, SAMPLES

CT = f"TCP IN 10.244.3.7:41000 -> 10.242.2.149:8080 {CT_TAIL} IfIndex=0\n"
PODS = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    labels:
      name: other
    name: cilium-4xk2p
    namespace: kube-system
  spec:
    affinity:
      nodeName: none-of-it
    containers:
    - image: quay.io/cilium/cilium:v1.12.3@sha256:30de
      name: cilium-agent
    nodeName: cilium-1
- apiVersion: v1
  kind: Pod
  metadata:
    name: cilium-9zz9z
  spec:
    nodeName: cilium-2
"""
WIDE = """\
NAMESPACE     NAME           READY   STATUS    RESTARTS      AGE   IP              NODE       NOMINATED NODE   READINESS GATES
kube-system   cilium-4xk2p   1/1     Running   2 (3d ago)    9d    10.118.201.48   cilium-1   <none>           <none>
kube-system   cilium-9zz9z   1/1     Running   0             9d    10.118.201.49   cilium-2   <none>           <none>
"""


def tar_of(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            octets = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(octets)
            archive.addfile(info, io.BytesIO(octets))
    return buffer.getvalue()


def zip_of(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(tmp_path: Path, name: str, octets: bytes) -> ClusterState:
    (tmp_path / name).write_bytes(octets)
    return read_dumps(tmp_path / name, root=tmp_path)


def bugtool(pod: str, ct: str = CT) -> dict[str, str]:
    return {
        f"cilium-bugtool-{pod}-20221110-185842/cmd/cilium-bpf-ct-list-global.md": ct,
        f"cilium-bugtool-{pod}-20221110-185842/cmd/bpftool-map-show.md": "x" * 100,
    }


@pytest.mark.parametrize(("listing", "text"), [("k8s-pods-20221110-185842.yaml", PODS), ("k8s-pods-20221110-185842.txt", WIDE)])
def test_a_sysdump_tells_each_dumps_node_by_its_pod(listing: str, text: str, tmp_path: Path) -> None:
    root = "cilium-sysdump-20221110-185842"
    members = {**bugtool("cilium-4xk2p"), **bugtool("cilium-9zz9z", CT.replace("41000", "41001")), listing: text}
    state = read(tmp_path, f"{root}.zip", zip_of({f"{root}/{name}": content for name, content in members.items()}))
    nodes = {entry.source_port: state.node_of(entry) for entry in state.ct}
    assert nodes == {41000: "cilium-1", 41001: "cilium-2"}
    assert state.ct[0].file == f"{root}.zip!{root}/cilium-bugtool-cilium-4xk2p-20221110-185842/cmd/cilium-bpf-ct-list-global.md"
    bundle = next(bundle for bundle in state.of_type(Bundle) if bundle.pod == "cilium-4xk2p")
    assert (bundle.node, bundle.taken, bundle.members, bundle.dumps) == ("cilium-1", "2022-11-10T18:58:42", 2, 1)
    assert bundle.version == ("1.12.3" if "yaml" in listing else None)
    (archive,) = (dump for dump in state.dumps if dump.kind == "archive")
    assert archive.note.startswith("2 members are no dumps by their names (bpftool")


def test_bugtools_inside_a_sysdump_are_opened_as_well(tmp_path: Path) -> None:
    inner = {"cilium-bugtool-20221110-185925.204+0000-UTC-18245/cmd/cilium-bpf-ct-list-global.md": CT}
    members = {
        "cilium-bugtool-cilium-4xk2p-20221110-185842.tar.gz": gzip.compress(tar_of(inner)),
        "k8s-pods-20221110-185842.yaml": PODS.encode(),
    }
    state = read(tmp_path, "sysdump.zip", zip_of(members))
    assert [state.node_of(entry) for entry in state.ct] == ["cilium-1"]
    (dump,) = (dump for dump in state.dumps if dump.kind == "ct")
    assert str(dump.version) == "1.12"
    assert dump.file.startswith("sysdump.zip!cilium-bugtool-cilium-4xk2p-20221110-185842.tar.gz!cilium-bugtool-2022")


@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_bugtool_on_its_own_has_its_hostname_and_version(suffix: str, pack: object, tmp_path: Path) -> None:
    members = {
        "cmd/hostname.md": "node-7\n",
        "cmd/cilium-version.md": "Client: 1.12.3 1c466d26ff 2022-10-25\nDaemon: 1.12.3 1c466d26ff 2022-10-25\n",
        "cmd/cilium-bpf-ct-list-global.md": CT,
    }
    name = "cilium-bugtool-20221110-185925.204+0000-UTC-1824552069"
    octets = pack(tar_of({f"{name}/{member}": content for member, content in members.items()}))  # type: ignore[operator]
    state = read(tmp_path, f"{name}.tar{suffix}", octets)
    (bundle,) = state.of_type(Bundle)
    assert (bundle.node, bundle.version, bundle.taken, bundle.members) == ("node-7", "1.12.3", "2022-11-10T18:59:25Z", 3)
    assert [state.node_of(entry) for entry in state.ct] == ["node-7"]


def test_the_published_sysdump_has_failed_commands_and_no_empty_table(tmp_path: Path) -> None:
    folder = "cilium-bugtool-sysdump-xxrsg-20221110-185842/cmd/"
    members = {folder + path.name: path.read_bytes() for path in SAMPLES.glob("cilium-*.md")}
    state = read(tmp_path, "cilium-sysdump-20221110-185842.zip", zip_of(members))
    failed = {dump.kind for dump in state.dumps if dump.unavailable}
    assert {"ct", "ipcache", "policy_map", "health", "nodes", "identities"} <= failed
    assert not state.has_complete("ct")


def test_a_gzipped_dump_is_a_dump(tmp_path: Path) -> None:
    state = read(tmp_path, "ct.txt.gz", gzip.compress(CT.encode()))
    assert [entry.file for entry in state.ct] == ["ct.txt.gz"]


def test_no_path_leaves_the_archive_and_links_are_not_followed(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("link")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ("../../../etc/ct.txt", "/root/ct.txt", "a/./../b\x1b[31m/ct.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(CT)
            archive.addfile(info, io.BytesIO(CT.encode()))
    state = read(tmp_path, "evil.tar", buffer.getvalue())
    assert [entry.file for entry in state.ct] == ["evil.tar!etc/ct.txt", "evil.tar!root/ct.txt", "evil.tar!a/b\ufffd[31m/ct.txt"]
    assert problems(state) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar"]


def problems(state: ClusterState) -> list[str]:
    return [dump.unavailable for dump in state.dumps if dump.unavailable]


def test_limits_hold_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = {"zeros.txt": b"\0" * (archives.FREE_OCTETS + 1), "ct.txt": CT.encode()}
    state = read(tmp_path, "bomb.zip", zip_of(bomb))
    assert "more than 500" in problems(state)[0]
    assert len(state.ct) == 1, "what stands beside it is read"
    assert "more than 500" in problems(read(tmp_path, "bomb.gz", gzip.compress(b"\0" * (archives.FREE_OCTETS * 2))))[0]
    monkeypatch.setattr(archives._Budget, "__init__", _few_members)
    for name, octets in (
        ("many.zip", zip_of({f"{i}.txt": CT for i in range(9)})),
        ("many.tar", tar_of({f"{i}": CT for i in range(9)})),
    ):
        state = read(tmp_path, name, octets)
        assert len(state.ct) == 3
        assert [problem.split(":")[0] for problem in problems(state)] == ["more than 100000 files"]


def _few_members(self: archives._Budget, packed: int) -> None:
    self.members, self.octets, self.packed, self.unpacked = 3, archives.MAX_OCTETS, packed, 0


def test_a_large_member_is_left_out_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_OCTETS", 1000)
    for name, octets in (("a.zip", zip_of({"big": "x" * 1001, "ct": CT})), ("a.tar", tar_of({"big": "x" * 1001, "ct": CT}))):
        state = read(tmp_path, name, octets)
        assert (problems(state), len(state.ct)) == (["1001 octets, more than 1000"], 1)


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    octets = CT.encode()
    for depth in range(archives.MAX_NESTING + 1):
        octets = tar_of({f"{depth}.tar": octets})
    state = read(tmp_path, "deep.tar", octets)
    assert problems(state) == [f"an archive nested deeper than {archives.MAX_NESTING}"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_a_cut_archive_gives_the_members_before_the_cut(name: str, tmp_path: Path) -> None:
    members = {f"{number}.txt": CT.replace("41000", str(41000 + number)) for number in range(4)}
    octets = zip_of(members) if name.endswith("zip") else tar_of(members)
    octets = gzip.compress(octets) if name.endswith("gz") else octets
    assert len(read(tmp_path, name, octets).ct) == 4
    for at in range(4, len(octets) - 1, max(len(octets) // 25, 1)):
        state = read(tmp_path, name, octets[:at])
        assert len(state.ct) <= 4
        assert state.dumps


@given(
    st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\0" * 257 + b"ustar"]), st.binary(max_size=600)
)
def test_any_octets_behind_an_archives_mark_are_read(mark: bytes, octets: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert read(Path(folder), "x.bin", mark + octets).dumps


@given(st.data())
def test_a_damaged_archive_is_read(data: st.DataObject) -> None:
    import tempfile

    pack = data.draw(st.sampled_from([zip_of, tar_of, lambda members: gzip.compress(tar_of(members))]))
    octets = bytearray(pack({"a.txt": CT, "cilium-bugtool-x/cmd/b.txt": CT * 3}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        assert read(Path(folder), "x.bin", bytes(octets)).dumps
