"""The headline names whom it concerns and what is known of why, in as few words as say it."""

from pathlib import Path

import pytest

from tests.explain.scenes import healthy, report_on
from tests.scene import End, Talk

CILIUM_STATUS = "Cilium:                 Ok   1.14.5\nController Status:      30/30 healthy\n"


def unheard(*responders: End) -> list[Talk]:
    """Three attempts to each responder that get no farther than B, and one that does."""
    talks = [Talk(initiator=("10.244.3.9", 42_000 + number), responder=each) for number, each in enumerate(responders)]
    for talk in talks:
        talk.handshake(10)
    for number, responder in enumerate(responders * 3):
        talk = Talk(initiator=(f"10.244.3.{9 + number % 2}", 41_000 + number), responder=responder)
        for at in (100, 1100, 3100, 7100):
            talk.say(at, 0, "S", lost="BC")
        talks.append(talk)
    return talks


@pytest.mark.parametrize(
    ("responders", "ends"),
    [
        ([("10.242.2.149", 8080)], "from 10.244.3.9 and 10.244.3.10 to 10.242.2.149 port 8080"),
        ([("10.242.2.149", 8080), ("10.242.2.20", 8080)], "to port 8080 of 10.242.2.20 and 10.242.2.149"),
        ([("10.242.2.149", 8080), ("10.242.2.20", 80)], "to 10.242.2.20 port 80 and 10.242.2.149 port 8080"),
        ([("10.242.2.149", 8080), ("10.242.2.149", 80)], "to 10.242.2.149 port 80 and 10.242.2.149 port 8080"),
    ],
    ids=["one", "one port of two", "two ports of two", "two ports of one"],
)
def test_it_names_both_ends_in_the_order_of_their_addresses(responders: list[End], ends: str, tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *unheard(*responders)])
    assert f"{ends} lost between B and C on the way to the responder" in report.headline


@pytest.mark.parametrize(
    ("dump", "why"), [("", "without dumps no cause is named"), (CILIUM_STATUS, "no cause is named by the dumps")]
)
def test_it_says_why_no_cause_is_named(dump: str, why: str, tmp_path: Path) -> None:
    report = report_on(tmp_path, [*healthy(), *unheard(("10.242.2.149", 8080))], dump=dump)
    assert report.headline.endswith(f": {why}")
