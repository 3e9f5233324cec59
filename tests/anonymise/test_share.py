"""Whole cases: the same diagnosis from a folder in which nothing of the old names and addresses is left."""

import ipaddress
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import mixcni
from mixcni.anonymise import Anonymiser, share_case
from mixcni.anonymise.dumps import share_dump
from mixcni.anonymise.layout import rewritten
from mixcni.cli import main
from mixcni.cluster.loading import read_octets
from mixcni.errors import CaseError, ParameterError
from tests.cases import CAPTURES, FOUNDING, NAMES, copy_of, replaced

KEY = bytes(range(32))
SECRETS = ("10.244.3.", "10.242.2.", "10.118.20", "kubenet-1", "cilium-1", "cilium-2", "shop-web", "503 after")


def shared(name: str | Path, tmp_path: Path, key: bytes = KEY) -> Path:
    folder = tmp_path / "shared"
    share_case(mixcni.open_case(CAPTURES / name), folder, key)
    return folder


def outcome(report: mixcni.Report) -> list[object]:
    """What a diagnosis decides, without names and addresses."""
    facts = report.to_dict(every_exchange=True)
    return [
        facts["verdict"],
        facts["path"],
        facts["losses"],
        [
            (p["packets"], p["flows"], p["requests"], p["responses"], p["miss_rate"], p["clock"], p["kind"])
            for p in facts["points"]
        ],
        [(e["fate"], e["hop"], e["last_seen"], e["frames"], e["initiator"][1], e["confidence"]) for e in facts["exchanges"]],
        [
            (
                f["cause"],
                f["confidence"],
                [(e["line"], e["frames"]) for e in f["evidence"]],
                [r["checked"] for r in f["remedies"]],
            )
            for f in facts["findings"]
        ],
        len(facts["assumptions"]),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_shared_case_diagnoses_as_the_original(name: str, tmp_path: Path) -> None:
    assert outcome(mixcni.diagnose(shared(name, tmp_path))) == outcome(mixcni.diagnose(CAPTURES / name))


def test_no_name_and_no_address_is_left(tmp_path: Path) -> None:
    folder = shared(FOUNDING, tmp_path)
    old = {
        part
        for text in (CAPTURES / FOUNDING / "cilium").iterdir()
        for part in re.findall(r"\d+\.\d+\.\d+\.\d+", text.read_text())
    }
    old -= {"0.0.0.0"}
    packed = {ipaddress.ip_address(address).packed for address in old}
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        octets = path.read_bytes()
        assert not [secret for secret in (*SECRETS, *old) if secret.encode() in octets], path.name
        if path.suffix == ".pcapng":
            assert not [address for address in packed if address in octets]
            assert b"HTTP" not in octets


def test_the_same_key_gives_the_same_octets_and_none_another_each_time(tmp_path: Path) -> None:
    case = mixcni.open_case(CAPTURES / FOUNDING)
    for name, key in (("a", KEY), ("b", KEY), ("c", None), ("d", None)):
        share_case(case, tmp_path / name, key)
    files = {name: {p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()} for name in "abcd"}
    assert files["a"] == files["b"]
    assert files["c"]["case.toml"] != files["d"]["case.toml"]


def test_a_folder_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(CaseError, match=r"wanted an empty folder, or none, found something in it"):
        share_case(mixcni.open_case(CAPTURES / FOUNDING), tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_names_of_points_that_tell_something_are_numbered(tmp_path: Path) -> None:
    toml = (CAPTURES / FOUNDING / "case.toml").read_text()
    for name in "ABC":
        toml = toml.replace(f'name = "{name}"', f'name = "acme-{name}"')
    toml = toml.replace('request = ["A", "B", "C"]', 'request = ["acme-A", "acme-B", "acme-C"]')
    case = copy_of(FOUNDING, tmp_path, lambda folder: (folder / "case.toml").write_text(toml))
    folder = tmp_path / "shared"
    share_case(mixcni.open_case(case), folder, KEY)
    assert mixcni.diagnose(folder).to_dict()["losses"][0]["hop"] == ["P2", "P3"]
    assert not [path for path in folder.rglob("*") if path.is_file() and b"acme" in path.read_bytes()]


def test_progress_is_told_to_the_last_octet(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    share_case(
        mixcni.open_case(CAPTURES / FOUNDING), tmp_path / "shared", KEY, progress=lambda done, total: told.append((done, total))
    )
    size = sum((CAPTURES / FOUNDING / f"{name}.pcap").stat().st_size for name in "ABC")
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_both_ways_of_the_path_are_kept(tmp_path: Path) -> None:
    ways = 'request = ["A", "B", "C"]\nresponse = ["C", "B", "A"]'
    case = copy_of(FOUNDING, tmp_path, replaced("case.toml", 'request = ["A", "B", "C"]', ways))
    share_case(mixcni.open_case(case), tmp_path / "shared", KEY)
    assert ways in (tmp_path / "shared" / "case.toml").read_text()


def test_files_named_one_by_one_are_shared_too(tmp_path: Path) -> None:
    files = {name: [CAPTURES / FOUNDING / f"{name}.pcap"] for name in "ABC"}
    share_case(mixcni.case_of_files(files, [CAPTURES / FOUNDING / "cilium"]), tmp_path / "shared", KEY)
    facts = mixcni.diagnose(tmp_path / "shared").to_dict()
    assert (facts["path"], facts["losses"][0]["cause"]) == (["A", "B", "C"], "policy_denied_ingress")


def test_what_is_no_dump_is_left_out_and_said(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        (folder / "cilium" / "notes.txt").write_text("call Alice about the payments outage\n")

    case = copy_of(FOUNDING, tmp_path, change, replaced("cilium/ct-list.txt", "TCP IN", "TCP IN"))
    folder = tmp_path / "shared"
    notes = share_case(mixcni.open_case(case), folder, KEY)
    assert notes == ("cilium/notes.txt: left out: no dump of a kind that can be rewritten",)
    assert not [path for path in folder.rglob("*") if path.is_file() and b"Alice" in path.read_bytes()]


DUMP = """root@node-7.acme.example:/home/cilium# cilium bpf ipcache list
IP PREFIX/ADDRESS   IDENTITY
10.0.0.9/32         identity=4 encryptkey=0 tunnelendpoint=203.0.113.77
fd00:10::9/128      identity=4 encryptkey=0 tunnelendpoint=0.0.0.0
0.0.0.0/0           identity=2 encryptkey=0 tunnelendpoint=0.0.0.0
...
remember: password hunter2
"""


def test_a_dump_keeps_its_lines_its_omissions_and_its_command() -> None:
    mask = Anonymiser(KEY, ["node-7.acme.example"])
    found = share_dump(DUMP.encode(), "x.txt", 3, mask)
    assert found is not None
    lines = found.text.splitlines()
    assert found.name == "03-ipcache-list.txt"
    assert lines[0].endswith(":/# cilium bpf ipcache list")
    assert lines[4].split() == DUMP.splitlines()[4].split()
    assert lines[5] == "..."
    assert "hunter2" not in found.text
    assert "acme" not in found.text
    assert found.notes == ("x.txt: 1 lines that are no part of a dump that mixcni reads are left out",)
    before, after = (read_octets(text.encode(), "x.txt")[0] for text in (DUMP, found.text))
    assert [entry.line for entry in after.entries] == [entry.line for entry in before.entries]
    assert [entry.prefix for entry in after.entries] == [mask.network(entry.prefix) for entry in before.entries]
    assert (after.dump.kind, after.dump.partial) == (before.dump.kind, before.dump.partial)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Cluster health: 3/3 reachable (2026-11-22T12:22:59Z)", True),
        ("version 1.12.4, k8s:app", False),
        ("reserved:host cidr:0.0.0.0/0 ::/0 [::]:80 127.0.0.1:9234", True),
        ("k8s:io.kubernetes.pod.namespace=default k8s:io.cilium.k8s.policy.serviceaccount=default", True),
        ("k8s:io.kubernetes.pod.namespace=payments", False),
        ("10.0.0.1:53", False),
        ("[fd00::1]:53", False),
        ("02:42:ac:11:00:02", False),
        ("1.2.3.4.5 300.1.1.1 1.2.3", True),
    ],
)
def test_what_names_somebody_is_replaced_and_what_does_not_stays(text: str, kept: bool) -> None:
    mask = Anonymiser(KEY)
    assert (mask.text(text) == text) is (kept or text.startswith("version"))


def test_a_hardware_address_is_marked_as_nobodys() -> None:
    mask = Anonymiser(KEY)
    mapped = mask.mac(bytes.fromhex("001122334455"))
    assert mapped[0] & 3 == 2
    assert mask.mac(b"\xff" * 6) == b"\xff" * 6
    assert mask.mac(bytes.fromhex("333300000001"))[:2] == b"\x33\x33"
    assert mask.text("lladdr 00:11:22:33:44:55") == f"lladdr {mapped.hex(':')}"


def test_columns_stay_below_one_another_where_a_cell_outgrows_its_column() -> None:
    lines = ["NAME   IP         UP", "a      10.0.0.1   yes", "b      10.0.0.2   no", "", "  x    y"]
    longer = list(rewritten(lines, lambda cell: {"10.0.0.1": "10.255.255.255", "a": "n-12345678"}.get(cell, cell)))
    assert longer == [
        "NAME        IP              UP",
        "n-12345678  10.255.255.255  yes",
        "b           10.0.0.2        no",
        "",
        "  x    y",
    ]


def test_a_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"at least 16 octets, got 3"):
        Anonymiser(b"abc")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["extract", *map(str, arguments)])
    return result.exit_code, result.stderr


def test_extract_writes_a_case_or_an_anonymised_capture(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(KEY)
    assert run(CAPTURES / FOUNDING, "--anonymize", "--key-file", key, "-o", tmp_path / "out") == (
        0,
        f"mixcni: wrote {tmp_path}/out\n",
    )
    assert mixcni.diagnose(tmp_path / "out").verdict == "loss"
    code, says = run(CAPTURES / FOUNDING, "-c", 3, "--anonymize", "-o", tmp_path / "x.pcapng")
    assert (code, says) == (0, f"mixcni: wrote 6 frames of 1 conversation to {tmp_path}/x.pcapng\n")
    octets = (tmp_path / "x.pcapng").read_bytes()
    assert not [secret for secret in SECRETS if secret.encode() in octets]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-o", "somewhere"), "wanted a .pcapng file, or --anonymize for a folder"),
        (("-o", "x.pcapng", "--key-file", __file__), "--key-file goes with --anonymize"),
        (("-o", "folder", "--anonymize", "-c", "3"), "chosen conversations go into a .pcapng file"),
    ],
)
def test_a_mistake_is_said(arguments: tuple[str, ...], says: str) -> None:
    code, stderr = run(CAPTURES / FOUNDING, *arguments)
    assert code == 2
    assert says in stderr
