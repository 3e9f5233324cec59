"""What NAT and conntrack tables state of a connection's ends before and behind a translation."""

import pytest

from mixcni.cluster.translations import stated_translations
from tests.cluster.dumps import CT_TAIL, state_of

SERVICES = """\
ID   Frontend             Service Type   Backend
7    10.96.0.20:80/TCP    ClusterIP      1 => 10.0.0.2:8080/TCP (active)
"""
KERNEL = "tcp      6 117 TIME_WAIT src=10.0.0.9 dst=192.0.2.1 sport=41000 dport=443 src=192.0.2.1 dst={} sport=443 dport={}"
ECHO = "icmp     1 29 src=10.0.0.9 dst=192.0.2.1 type=8 code=0 id=7 src=192.0.2.1 dst=172.18.0.2 type=0 code=0 id=7"
OPENED = f"TCP OUT 10.0.0.1:41000 -> 10.0.0.2:8080 {CT_TAIL}".replace("RevNAT=0", "RevNAT=7")


def told(*texts: str) -> list[str]:
    """Each translation as text."""
    return [
        f"{each.protocol} {' > '.join(f'{a}:{p}' for a, p in each.before)} is {' > '.join(f'{a}:{p}' for a, p in each.behind)}"
        for each in stated_translations(state_of(*texts))
    ]


@pytest.mark.parametrize(
    "line",
    [
        "TCP OUT 10.0.0.9:41000 -> 192.0.2.1:443 XLATE_SRC 172.18.0.2:61000 Created=155sec ago NeedsCT=1",
        "TCP IN 192.0.2.1:443 -> 172.18.0.2:61000 XLATE_DST 10.0.0.9:41000 Created=155sec ago NeedsCT=1",
        KERNEL.format("172.18.0.2", 61000),
    ],
    ids=["nat, out", "nat, in", "kernel"],
)
def test_a_masqueraded_connection_is_told_by_each_table(line: str) -> None:
    assert told(line) == ["6 10.0.0.9:41000 > 192.0.2.1:443 is 172.18.0.2:61000 > 192.0.2.1:443"]


def test_a_service_is_told_by_conntrack_and_its_number() -> None:
    assert told(OPENED, SERVICES) == ["6 10.0.0.1:41000 > 10.96.0.20:80 is 10.0.0.1:41000 > 10.0.0.2:8080"]


@pytest.mark.parametrize(
    "texts",
    [
        (OPENED,),
        (OPENED.replace("RevNAT=7", "RevNAT=0"), SERVICES),
        (OPENED.replace("RevNAT=7", "RevNAT=8"), SERVICES),
        (OPENED, SERVICES + "7    10.96.0.21:80/TCP    ClusterIP      1 => 10.0.0.2:8080/TCP (active)\n"),
        (OPENED.replace(" OUT ", " IN "), SERVICES),
        ("UDP OUT 10.x.x.9:41000 -> 192.0.2.1:53 XLATE_SRC 172.18.0.2:61000 Created=1sec ago",),
        (ECHO,),
        (KERNEL.format("10.0.0.9", 41000),),
    ],
    ids=[
        "no services",
        "no service",
        "another service",
        "two services",
        "the backend's entry",
        "masked",
        "no ports",
        "as it was",
    ],
)
def test_what_does_not_say_both_sides_states_nothing(texts: tuple[str, ...]) -> None:
    assert told(*texts) == []
