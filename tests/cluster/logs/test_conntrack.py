"""The kernel's conntrack in the forms of conntrack-tools and of /proc."""

import pytest

from mixcni.cluster.logs.conntrack import ConntrackEntry
from tests.cluster.dumps import only, state_of

PLAIN = (
    "tcp      6 117 SYN_SENT src=10.244.3.7 dst=10.242.2.149 sport=41000 dport=8080 [UNREPLIED] "
    "src=10.242.2.149 dst=10.244.3.7 sport=8080 dport=41000 mark=0 use=1"
)


@pytest.mark.parametrize(
    "line",
    [
        PLAIN,
        f"ipv4     2 {PLAIN} id=3",
        f"ipv4     2 {PLAIN.replace('mark=0', 'mark=0 zone=0')}",
        f" [NEW] {PLAIN}",
        f"[1670832062.345678]\t    [UPDATE] {PLAIN}",
        PLAIN.replace("dport=8080 [", "dport=8080 packets=3 bytes=180 [").replace("dport=41000", "dport=41000 packets=0 bytes=0"),
    ],
)
def test_an_unanswered_connection_is_told_in_every_form(line: str) -> None:
    state = state_of(line)
    (entry,) = state.of_type(ConntrackEntry)
    assert (only(state).kind, only(state).unparsed) == ("conntrack", ())
    assert (entry.protocol, entry.state, entry.timeout_s) == ("TCP", "SYN_SENT", 117)
    assert (str(entry.source), entry.source_port, str(entry.destination), entry.destination_port) == (
        "10.244.3.7", 41000, "10.242.2.149", 8080,
    )  # fmt: skip
    assert (entry.is_unreplied, entry.is_assured, entry.is_translated, entry.mark) == (True, False, False, 0)


def test_counts_are_of_each_direction_and_id_is_the_entrys_own() -> None:
    line = PLAIN.replace("dport=8080 [", "dport=8080 packets=3 bytes=180 [").replace(
        "dport=41000", "dport=41000 packets=1 bytes=60"
    )
    (entry,) = state_of(f"{line} id=77 delta-time=5").of_type(ConntrackEntry)
    assert (entry.packets, entry.octets, entry.reply_packets, entry.reply_octets) == (3, 180, 1, 60)
    assert (entry.id, entry.age_s, entry.extra) == (77, 5, (("use", "1"),))


def test_a_service_is_seen_as_translated() -> None:
    line = (
        "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.96.0.1 sport=40000 dport=443 src=10.0.0.9 dst=10.0.0.1 "
        "sport=6443 dport=40000 [ASSURED] mark=0 zone=0 use=2"
    )
    (entry,) = state_of(line).of_type(ConntrackEntry)
    assert (entry.is_translated, str(entry.reply_source), entry.reply_source_port, entry.zone) == (True, "10.0.0.9", 6443, 0)
    assert (entry.is_assured, entry.is_unreplied) == (True, False)


def test_icmp_and_ipv6_and_protocols_without_a_name() -> None:
    text = (
        "icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=77 mark=0 use=1\n"
        "ipv6     10 udp      17 20 src=fd00::1 dst=fd00::2 sport=1 dport=53 src=fd00::2 dst=fd00::1 sport=53 dport=1 use=2\n"
        "unknown  47 599 src=10.0.0.1 dst=10.0.0.2 src=10.0.0.2 dst=10.0.0.1 [OFFLOAD] use=1\n"
    )
    echo, dns, gre = state_of(text).of_type(ConntrackEntry)
    assert (echo.protocol, echo.source_port, echo.id) == ("ICMP", None, None)
    assert (dns.protocol, str(dns.source), dns.destination_port) == ("UDP", "fd00::1", 53)
    assert (gre.protocol, gre.is_offloaded) == ("47", True)


def test_a_listing_of_fewer_entries_than_it_says_is_partial() -> None:
    head = "conntrack v1.4.6 (conntrack-tools): {} flow entries have been shown.\n"
    assert only(state_of(head.format(1) + PLAIN)).partial is None
    assert "2 entries, and 1 are here" in (only(state_of(head.format(2) + PLAIN)).partial or "")


def test_a_line_that_is_none_is_kept() -> None:
    dump = only(state_of(f"{PLAIN}\ntcp 6 what is this\n"))
    assert (dump.entries, [odd.line for odd in dump.unparsed]) == (1, [2])
    assert dump.partial is not None
