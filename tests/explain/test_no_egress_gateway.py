"""An egress policy without a gateway is named where the pod's packets vanish next to it, and not where one is there."""

import pytest

from tests.cluster.dumps import state_of
from tests.explain.denied import OTHER, POD, attempts, endpoint_list, findings

CAUSE = "no_egress_gateway"
TITLES = "Source IP      Destination CIDR   Egress IP       Gateway IP\n"
OPEN = endpoint_list(f"873 Disabled Disabled 4711 k8s:app=a {POD}")


@pytest.mark.parametrize(
    ("rows", "lost", "is_named"),
    [
        (f"{POD}   10.244.0.0/16   0.0.0.0   Not Found", "AB", True),
        (f"{POD}   10.244.0.0/16   0.0.0.0   Not Found", "BC", False),
        (f"{POD}   10.244.0.0/16   192.0.2.7   172.18.0.3", "AB", False),
        (f"{POD}   10.244.0.0/16   0.0.0.0   Not Found\n{POD}   {OTHER}/32   0.0.0.0   Excluded CIDR", "AB", False),
        ("10.9.9.9   10.244.0.0/16   0.0.0.0   Not Found", "AB", False),
        (f"{POD}   10.9.0.0/16   0.0.0.0   Not Found", "AB", False),
    ],
    ids=["not found", "lost further on", "a gateway", "excluded by a longer prefix", "another pod", "another network"],
)
def test_the_row_that_holds_the_packets_decides(rows: str, lost: str, is_named: bool) -> None:
    found = findings(attempts(POD, OTHER, lost=lost), state_of(OPEN, TITLES + rows))
    assert [(finding.cause, finding.is_named) for finding in found if finding.cause == CAUSE] == [(CAUSE, True)] * is_named
    if is_named:
        assert found[0].cause == CAUSE
        assert (found[0].evidence[0].file, found[0].evidence[0].line) == ("dump-1.txt", 2)
