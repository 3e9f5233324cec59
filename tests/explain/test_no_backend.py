"""A service without a backend is named by the list of services, and not where a backend takes connections."""

import json
from pathlib import Path

import pytest

from mixcni.explain import Finding
from mixcni.explain.no_backend import CAUSE
from mixcni.report import Report
from tests.cases import Change, diagnose_changed
from tests.explain.test_told import LOST, WITHOUT_DUMPS, drop, with_dump

TITLES = "ID   Frontend            Service Type   Backend\n"
SERVICE = TITLES + "7    10.242.2.149:8080   ClusterIP      {}\n"


def finding_of(report: Report) -> Finding | None:
    return next((finding for finding in report.findings_found if finding.cause == CAUSE), None)


def services(backends: str) -> Change:
    return with_dump("service-list.txt", SERVICE.format(backends))


@pytest.mark.parametrize("backends", ["", "1 => 10.0.0.9:8080 (terminating)"])
def test_it_is_named_first_and_cites_the_list(backends: str, tmp_path: Path) -> None:
    report = diagnose_changed(tmp_path, *WITHOUT_DUMPS, services(backends))
    finding = report.findings_found[0]
    assert (finding.cause, report.losses[0]["cause"]) == (CAUSE, CAUSE)
    assert (finding.evidence[0].file, finding.evidence[0].line) == ("cilium/service-list.txt", 2)


@pytest.mark.parametrize("backends", ["1 => 10.0.0.9:8080 (active)", "1 => 10.0.0.9:8080"])
def test_with_a_backend_it_is_no_finding(backends: str, tmp_path: Path) -> None:
    assert finding_of(diagnose_changed(tmp_path, *WITHOUT_DUMPS, services(backends))) is None


def test_another_port_of_the_service_is_no_finding(tmp_path: Path) -> None:
    text = SERVICE.format("").replace(":8080", ":8081")
    assert finding_of(diagnose_changed(tmp_path, *WITHOUT_DUMPS, with_dump("service-list.txt", text))) is None


TRANSLATED = (
    "tcp 6 431999 ESTABLISHED src=10.0.0.1 dst=10.242.2.149 sport=40000 dport=8080 "
    "src=10.0.0.9 dst=10.0.0.1 sport=8080 dport=40000 [ASSURED] mark=0 use=1\n"
)


def test_without_the_list_it_is_possible_and_says_what_to_collect(tmp_path: Path) -> None:
    finding = finding_of(diagnose_changed(tmp_path, *WITHOUT_DUMPS, with_dump("conntrack.txt", TRANSLATED)))
    assert finding is not None
    assert not finding.is_named
    assert "cilium service list" in finding.collect[0]


def test_the_drops_own_reason_proves_it(tmp_path: Path) -> None:
    reason = "SERVICE_BACKEND_NOT_FOUND"
    events = "".join(drop(one["initiator"][1], one["started_ns"], drop_reason_desc=reason) for one in LOST[:2])
    report = diagnose_changed(tmp_path, *WITHOUT_DUMPS, with_dump("conntrack.txt", TRANSLATED), with_dump("hubble.json", events))
    finding = finding_of(report)
    assert finding is not None
    assert finding.is_named
    assert json.loads(report.to_json())["losses"][0]["cause"] == CAUSE
