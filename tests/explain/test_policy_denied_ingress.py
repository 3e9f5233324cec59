"""The cause is named where the dumps show a denial, and not in the near misses."""

import shutil
from pathlib import Path

import pytest

from mixcni.explain import Finding
from mixcni.report import Report
from tests.cases import FOUNDING, ROOT, Change, diagnose_changed, replaced, truth_of

SEEDS = ROOT / "tests" / "cluster" / "samples"
CAUSE = "policy_denied_ingress"
ROWS = "Allow    Egress      reserved:unknown"


def named(report: Report) -> str | None:
    cause: str | None = report.losses[0]["cause"]
    return cause


def finding_of(report: Report) -> Finding:
    return next(finding for finding in report.findings_found if finding.cause == CAUSE)


def row(text: str) -> Change:
    """Add a row above the policy map's last one."""
    return replaced("cilium/bpf-policy-get-1437.txt", ROWS, f"{text}\n{ROWS}")


def with_ct_entry(folder: Path) -> None:
    """Conntrack lets every lost connection in."""
    path = folder / "cilium" / "ct-list.txt"
    line = path.read_text().splitlines()[0]
    ports = [attempt["initiator"][1] for attempt in truth_of(FOUNDING)["attempts"] if attempt["outcome"] == "timeout"]
    entries = "\n".join(line.replace("10.242.2.153:33380", f"10.244.3.7:{port}") for port in ports)
    path.write_text(f"{entries}\n{path.read_text()}")


def with_seeds(folder: Path) -> None:
    """The incident's own four dumps in place of the lab's."""
    shutil.rmtree(folder / "cilium")
    (folder / "cilium").mkdir()
    for sample in SEEDS.glob("seed-*.txt"):
        shutil.copy(sample, folder / "cilium")


def on_port(port: int) -> Change:
    """The same packets to another port: both its octets in every TCP header of A and B."""

    def change(folder: Path) -> None:
        for name in "AB":
            path = folder / f"{name}.pcap"
            path.write_bytes(path.read_bytes().replace((8080).to_bytes(2, "big") + b"", port.to_bytes(2, "big")))

    return change


def test_the_chain_of_evidence_is_whole(tmp_path: Path) -> None:
    finding = finding_of(diagnose_changed(tmp_path))
    files = [fact.file for fact in finding.evidence]
    assert finding.confidence >= 0.95
    assert finding.against == ()
    assert files == [
        "B.pcap",
        "C.pcap",
        "cilium/endpoint-list.txt",
        "cilium/ipcache-list.txt",
        "cilium/bpf-policy-get-1437.txt",
        "cilium/bpf-policy-get-1437.txt",
        "cilium/health-status.txt",
        "cilium/ct-list.txt",
    ]
    assert all(fact.frames or fact.line for fact in finding.evidence)


@pytest.mark.parametrize(
    ("change", "against"),
    [
        (row("Allow    Ingress     reserved:world   8080/TCP   NONE   0   0"), "reserved:world 8080/TCP"),
        (row("Allow    Ingress     reserved:unknown   8080/TCP   NONE   0   0"), "any peer 8080/TCP"),
        (row("Allow    Ingress     reserved:unknown   ANY   NONE   0   0"), "any peer ANY"),
        (replaced("cilium/endpoint-list.txt", "Enabled ", "Disabled"), "ingress enforcement Disabled"),
        (with_ct_entry, "conntrack has 12 of the 12 lost connections as incoming"),
        (
            replaced("cilium/ipcache-list.txt", "10.242.3.18/32 ", "10.244.3.7/32  "),
            None,  # the source is a pod that Cilium knows, 9461, and no row admits it: denied all the same
        ),
    ],
    ids=["world allowed", "anybody on the port", "anybody", "not enforced", "let in", "known source"],
)
def test_a_near_miss_is_not_named_and_says_what_speaks_against_it(change: Change, against: str | None, tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, change)
    finding = finding_of(report)
    assert report.losses[0]["hop"] == ["B", "C"], "the packets are the same: the hop stands"
    if against is None:
        assert named(report) == CAUSE
        assert "the source has identity 9461" in finding.sentence
        assert finding.remedies[0].sentence.startswith("Allow the pods of identity 9461")
    else:
        assert named(report) is None
        assert any(against in fact.says for fact in finding.against)


def test_a_deny_row_denies_whatever_allows(tmp_path: Path) -> None:
    rows = (
        "Deny    Ingress     reserved:world   8080/TCP   NONE   0   0\nAllow    Ingress     reserved:unknown   ANY   NONE   0   0"
    )
    finding = finding_of(diagnose_changed(tmp_path, row(rows)))
    assert any("denies ingress from identity 2 (world) to 8080/TCP" in fact.says for fact in finding.evidence)


def test_with_the_incidents_own_dumps_it_is_named(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, with_seeds)
    finding = finding_of(report)
    assert named(report) == CAUSE
    assert "Ingress policy of endpoint 2636 denied 12 connection attempts" in finding.sentence
    assert any("endpoint 2636 has 10.242.2.149 and enforces policy at ingress" in fact.says for fact in finding.evidence)
    assert any(
        "conntrack, whose dump is not whole, has none of the 12 lost TCP connections, and 20 others" in fact.says
        and fact.line == 1
        for fact in finding.evidence
    )


def test_with_the_incidents_own_dumps_port_9999_is_open_to_anybody(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, with_seeds, on_port(9999))
    assert named(report) is None
    assert any("any peer 9999/TCP" in fact.says for fact in finding_of(report).against)


def test_what_the_captures_show_answered_is_not_explained_away(tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, name="policy-removed")
    assert report.findings_found == ()
