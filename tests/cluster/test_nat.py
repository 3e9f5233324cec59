"""NAT entries of every release, and lines that are none."""

import pytest

from tests.cluster.crafted import NAT
from tests.cluster.dumps import only, state_of

ROW = "TCP OUT 10.0.0.9:41000 -> 192.0.2.1:443 XLATE_SRC 172.18.0.2:61000 "


@pytest.mark.parametrize(
    ("tail", "created", "seconds", "host_local", "needs_ct", "version"),
    [
        ("Created=408sec HostLocal=1", "408sec", 408, 1, None, "1.0-1.13"),
        ("Created=408sec NeedsCT=0", "408sec", 408, None, 0, "1.14+"),
        ("Created=408sec ago NeedsCT=1", "408sec ago", 408, None, 1, "1.16+"),
        ("Created=? (raw 8123) NeedsCT=1", "? (raw 8123)", None, None, 1, "1.14+"),
        ("", None, None, None, None, None),
    ],
)
def test_each_release_prints_its_own_tail(
    tail: str, created: str | None, seconds: int | None, host_local: int | None, needs_ct: int | None, version: str | None
) -> None:
    state = state_of(ROW + tail)
    (entry,) = state.nat
    assert (entry.created, entry.created_sec, entry.host_local, entry.needs_ct) == (created, seconds, host_local, needs_ct)
    assert (entry.extra, only(state).unparsed) == ((), ())
    assert (only(state).version and str(only(state).version)) == version


def test_an_unknown_key_and_a_masked_address_are_kept() -> None:
    (entry,) = state_of("UDP OUT 10.x.x.9:41000 -> 192.0.2.1:53 XLATE_SRC 172.18.0.2:61000 Created=1sec ago Zone=7").nat
    assert (entry.source, entry.source_port) == (None, 41000)
    assert dict(entry.extra) == {"Zone": "7", "source": "10.x.x.9:41000"}


@pytest.mark.parametrize(
    "line",
    [
        "TCP OUT 10.0.0.9:41000 -> 192.0.2.1:443 XLATE_SRC 172.18",
        "TCP OUT 10.0.0.9:99999 -> 192.0.2.1:443 XLATE_SRC 172.18.0.2:61000",
        "what is this",
    ],
)
def test_a_line_that_is_no_entry_is_kept_and_the_dump_proves_nothing_by_absence(line: str) -> None:
    dump = only(state_of(NAT + line + "\n"))
    assert [(odd.line, odd.text) for odd in dump.unparsed] == [(3, line)]
    assert dump.partial == "line 3 could not be read"
