"""The report in a terminal: what is undecided is counted where it was seen, and a hop over which nothing came has its width."""

import re
from pathlib import Path

from mixcni.report import Report
from tests.explain.scenes import report_on
from tests.scene import Talk

CLIENTS, SERVICE, POD = ("10.244.3.7", "10.244.3.8"), ("10.96.0.20", 80), ("10.242.2.149", 8080)


def behind_a_service(tmp_path: Path, answered: int) -> Report:
    """Two clients whose SYNs vanish before a service's pod is chosen, so that nobody knows whether B lies on their way."""
    talks = []
    for number in range(answered):
        talk = Talk(initiator=(CLIENTS[0], 42_000 + number), responder=SERVICE)
        talk.handshake(100 * number)
        for ms in (600, 8000):
            talk.exchange(ms)
        talks.append(talk)
    for number, client in enumerate(CLIENTS):
        talk = Talk(initiator=(client, 43_000 + number), responder=SERVICE)
        talk.repeated((1000, 2000, 4000), 0, "S", lost="AB")
        talks.append(talk)
    return report_on(tmp_path, talks, seen_as={"B": {SERVICE: POD}, "C": {SERVICE: POD}})


def test_what_is_undecided_is_no_other_conversation(tmp_path: Path) -> None:
    report = behind_a_service(tmp_path, answered=2)
    assert report.verdict == "undecided"
    assert report.points["requests"].tolist() == [8, 6, 6]  # two handshakes with two requests each, and two SYNs
    assert report.points["other_conversations"].tolist() == [0, 0, 0]


def test_a_policy_that_may_have_denied_names_every_initiator(tmp_path: Path) -> None:
    report = behind_a_service(tmp_path, answered=2)
    (sentence,) = {finding.sentence for finding in report.findings_found if finding.cause == "policy_denied_egress"}
    assert f"connection attempts from {CLIENTS[0]} and {CLIENTS[1]} to {SERVICE[0]}:80 beyond A" in sentence


def test_a_hop_over_which_nothing_came_has_its_width(tmp_path: Path) -> None:
    lines = str(behind_a_service(tmp_path, answered=0)).splitlines()
    for name in ("requests", "responses"):
        (line,) = [line for line in lines if re.match(rf"{name} +A", line)]
        assert re.fullmatch(rf"{name} +A {{3,}}B {{3,}}C", line)
