"""Conntrack lines of every release: what each prints, in which direction, and what is left of a broken one."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from mixcni.cluster.cilium.ct import CtEntry
from tests.cluster.dumps import CT_TAIL, RECORDED, SAMPLES, only, sample, state_of

TWO = (
    "expires=9 RxPackets=1 RxBytes=2 RxFlagsSeen=0x1b LastRxReport=3 TxPackets=4 TxBytes=5 TxFlagsSeen=0x13 LastTxReport=6 "
    "Flags=0x0010 [ SeenNonSyn ] RevNAT=7"
)
ONE = (
    "expires=9 Packets=0 Bytes=0 RxFlagsSeen=0x1b LastRxReport=3 TxFlagsSeen=0x13 LastTxReport=6 Flags=0x0010 [ SeenNonSyn ] "
    "RevNAT=7 SourceSecurityID=8"
)


def entry_of(line: str) -> CtEntry:
    """The only entry of a dump of one line."""
    state = state_of(line)
    assert only(state).unparsed == ()
    (entry,) = state.ct
    return entry


def ends(entry: CtEntry) -> tuple[str, int | None, str, int | None]:
    """Source, its port, destination, its port; addresses as text."""
    return str(entry.source), entry.source_port, str(entry.destination), entry.destination_port


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ("expires=1 rx_packets=1 rx_bytes=1 tx_packets=1 tx_bytes=1 flags=13 revnat=0 src_sec_id=2", "1.0-1.2"),
        ("expires=1 RxPackets=1 RxBytes=1 TxPackets=1 TxBytes=1 Flags=13 RevNAT=0 SourceSecurityID=2", "1.3"),
        (TWO.replace(" [ SeenNonSyn ]", "") + " Slave=0 SourceSecurityID=8", "1.4-1.5"),
        (TWO + " SourceSecurityID=8", "1.6-1.7"),
        (TWO + " SourceSecurityID=8 IfIndex=0", "1.8-1.15"),
        (TWO.replace("expires=9", "expires=9 (remaining: 5 sec(s))") + " SourceSecurityID=8 IfIndex=0", "1.10-1.15"),
        (ONE + " IfIndex=0 BackendID=0", "1.16-1.17"),
        (ONE + " BackendID=0", "1.18"),
        (ONE + " BackendID=0 NatPort=0", "1.19+"),
    ],
)
def test_the_fields_of_a_line_tell_the_releases_that_print_it(fields: str, version: str) -> None:
    state = state_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {fields}")
    assert (str(only(state).version), only(state).entries) == (version, 1)


def test_all_fields_of_both_common_forms_are_read() -> None:
    two = entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {TWO} SourceSecurityID=8 IfIndex=11")
    assert (two.expires, two.rx_packets, two.rx_bytes, two.tx_packets, two.tx_bytes) == (9, 1, 2, 4, 5)
    assert (two.rx_flags_seen, two.tx_flags_seen, two.last_rx_report, two.last_tx_report) == (0x1B, 0x13, 3, 6)
    assert (two.flags, two.rev_nat, two.source_security_id, two.if_index) == (0x10, 7, 8, 11)
    assert (two.packets, two.bytes, two.backend_id, two.nat_port, two.truncated) == (None, None, None, None, False)
    one = entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {ONE} IfIndex=11 BackendID=12 NatPort=13")
    assert (one.packets, one.bytes, one.rx_packets, one.tx_bytes) == (0, 0, None, None)
    assert (one.rx_flags_seen, one.tx_flags_seen, one.last_rx_report, one.last_tx_report) == (0x1B, 0x13, 3, 6)
    assert (one.flags, one.rev_nat, one.source_security_id, one.if_index, one.backend_id, one.nat_port) == (16, 7, 8, 11, 12, 13)


TWIN = {
    "expires": "expires", "Packets": "packets", "Bytes": "bytes", "RxPackets": "rx_packets", "RxBytes": "rx_bytes",
    "RxFlagsSeen": "rx_flags_seen", "LastRxReport": "last_rx_report", "TxPackets": "tx_packets", "TxBytes": "tx_bytes",
    "TxFlagsSeen": "tx_flags_seen", "LastTxReport": "last_tx_report", "Flags": "flags", "RevNAT": "rev_nat",
    "SourceSecurityID": "source_security_id", "IfIndex": "if_index", "BackendID": "backend_id",
}  # fmt: skip
"""The fields, by name, as the twin below reads them: by splitting at blanks and `=`."""

WHOLE = [
    *sorted(RECORDED.glob("*/cilium/ct-list.txt")),
    SAMPLES / "seed-ct-list.txt",
    SAMPLES / "ct-list-ssup2-1.7.txt",
    SAMPLES / "ct-list-pubidx-55132155314-1.18-comments.txt",
    SAMPLES / "ct-list-arthurchiao-2020-health-probe.txt",
]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_entries_are_those_of_a_reader_that_splits_at_blanks(path: Path) -> None:
    entries = iter(state_of(path.read_text()).ct)
    count = 0
    for line in path.read_text().splitlines():
        words = line.split()
        if words[1:2] not in (["IN"], ["OUT"], ["SVC"]):
            continue
        entry = next(entries)
        count += 1
        for side, words_at in (("source", 2), ("destination", 4)):
            address, port = words[words_at].rsplit(":", 1)
            assert (getattr(entry, side), getattr(entry, f"{side}_port")) == (ip_address(address), int(port))
        printed = dict(word.split("=", 1) for word in words if "=" in word)
        for key, name in TWIN.items():
            wanted = int(printed[key].rstrip("."), 16 if "Flags" in key else 10) if key in printed else None
            assert getattr(entry, name) == wanted, (key, line)
        assert (entry.protocol, entry.direction) == (words[0], words[1])
    assert next(entries, None) is None
    assert count > 0


def test_in_and_out_are_printed_from_client_to_server() -> None:
    out, into, _ = sample("ct-list-pubidx-55132155314-1.18-comments.txt").ct
    assert (out.direction, into.direction) == ("OUT", "IN")
    assert ends(out) == ends(into) == ("10.244.2.131", 56410, "10.244.2.60", 80)
    assert (out.packets, out.rx_flags_seen) == (0, 0x1B)  # accounting is off, the connection is alive


@pytest.mark.parametrize(
    "line",
    [
        f"OUT 10.96.0.10:53 -> 10.0.0.5:40000 service {CT_TAIL} IfIndex=0",
        f"SVC 10.0.0.5:40000 -> 10.96.0.10:53 {CT_TAIL} IfIndex=0",
        f"SVC 10.0.0.5:40000 -> 10.96.0.10:53 {ONE} BackendID=3",
        f"OUT 10.96.0.10:53 -> 10.0.0.5:40000 service {CT_TAIL.replace('Rx', 'New=1 Rx', 1)}",
    ],
    ids=["to 1.14", "1.15", "1.18", "token by token"],
)
def test_service_entries_go_from_client_to_virtual_address_in_every_release(line: str) -> None:
    entry = entry_of(f"TCP {line}")
    assert (entry.direction, entry.service) == ("SVC", True)
    assert ends(entry) == ("10.0.0.5", 40000, "10.96.0.10", 53)


def test_octets_of_a_service_entry_without_packets_are_its_backend() -> None:
    tail = CT_TAIL.replace("RxPackets=5 RxBytes=452", "RxPackets=0 RxBytes=17")
    entry = entry_of(f"TCP SVC 10.0.0.5:40000 -> 10.96.0.10:53 {tail} IfIndex=0")
    assert (entry.backend_id, entry.rx_bytes) == (17, None)
    plain = entry_of(f"TCP OUT 10.0.0.5:40000 -> 10.96.0.10:53 {tail} IfIndex=0")
    assert (plain.backend_id, plain.rx_bytes) == (None, 17)
    counted = entry_of(f"TCP SVC 10.0.0.5:40000 -> 10.96.0.10:53 {CT_TAIL} IfIndex=0")
    assert (counted.backend_id, counted.rx_packets, counted.rx_bytes) == (None, 5, 452)


def test_an_echo_identifier_is_on_the_side_of_the_request_or_of_the_reply() -> None:
    by_reply, by_request = sample("ct-list-arthurchiao-2020-health-probe.txt").ct
    assert ends(by_reply) == ("10.4.9.12", 0, "10.5.8.4", 518)
    assert ends(by_request) == ("10.5.2.101", 47153, "10.4.9.11", 0)
    assert (by_request.rx_packets, by_request.last_rx_report, by_request.tx_packets) == (0, 0, 1)
    assert by_request.flags == 0


def test_the_form_with_one_address_keeps_its_ports_as_text_and_its_flags_are_hexadecimal() -> None:
    tcp, _, icmp = sample("ct-list-arthurchiao-2019-cheatsheet.txt").ct
    assert (str(tcp.source), tcp.source_port, tcp.destination, tcp.destination_port) == ("10.15.0.1", None, None, None)
    assert tcp.extra == (("ports", "9090:34382"),)
    assert (tcp.flags, tcp.rx_flags_seen, tcp.last_rx_report) == (0x13, None, None)
    assert (icmp.protocol, icmp.related, icmp.flags) == ("ICMP", True, 0x10)
    assert [entry.related for entry in (tcp, icmp)] == [False, True]


def test_a_cut_line_keeps_what_is_there_and_the_rest_is_missing() -> None:
    first, second = sample("ct-list-arthurchiao-2021-agent-restart-truncated.txt").ct
    assert (first.rx_packets, first.rx_bytes, first.rx_flags_seen, first.source_security_id) == (14, 983, None, None)
    assert (second.rx_packets, second.rx_flags_seen, second.tx_packets) == (2, 0x02, None)
    assert first.truncated is second.truncated is True


@pytest.mark.parametrize("dots", ["......", "...", "\u2026"])
def test_a_mark_of_truncation_glued_to_a_value_is_no_part_of_it(dots: str) -> None:
    entry = entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL} IfIndex=7{dots}")
    assert (entry.if_index, entry.truncated, entry.extra) == (7, True, ())


@pytest.mark.parametrize(
    ("source", "destination"), [("fd00::1", "fd00::2"), ("2001:db8:0:1:2:3:4:5", "::1"), ("[fd00::1]", "[fd00::2]")]
)
def test_an_ipv6_address_without_brackets_ends_at_its_last_colon(source: str, destination: str) -> None:
    entry = entry_of(f"TCP IN {source}:1234 -> {destination}:80 {CT_TAIL} IfIndex=0")
    assert ends(entry) == (source.strip("[]"), 1234, destination.strip("[]"), 80)


def test_a_masked_address_is_kept_as_text_and_the_table_is_not_whole() -> None:
    state = state_of(f"TCP IN 10.x.x.x:1234 -> 10.0.0.2:80 {CT_TAIL} IfIndex=0")
    (entry,) = state.ct
    assert (entry.source, entry.source_port, entry.extra) == (None, 1234, (("source", "10.x.x.x"),))
    assert only(state).partial == "an address in line 1 is masked or not printed"
    assert not state.has_complete("ct")


def test_the_masked_end_of_a_reversed_service_entry_is_named_by_its_side() -> None:
    entry = entry_of(f"TCP OUT 10.96.x.x:53 -> 10.0.0.5:40000 service {CT_TAIL}")
    assert (str(entry.source), entry.destination, entry.extra) == ("10.0.0.5", None, (("destination", "10.96.x.x"),))


@pytest.mark.parametrize("seconds", [21600, 0, -37])
@pytest.mark.parametrize("odd", ["", " New=1"], ids=["common form", "token by token"])
def test_the_time_that_remains_may_be_negative(seconds: int, odd: str) -> None:
    tail = CT_TAIL.replace("expires=277365", f"expires=277365 (remaining: {seconds} sec(s))")
    entry = entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {tail} IfIndex=0{odd}")
    assert (entry.expires, entry.remaining) == (277365, seconds)
    assert entry.extra == ((("New", "1"),) if odd else ())


@pytest.mark.parametrize(
    ("names", "flags"),
    [("[ ]", 0), ("[ RxClosing Unknown=0x800 ]", 0x801), ("[ DSRInternal ]", 0x80), ("[ FromTunnel FromL7LB ]", 0x500)],
)
def test_the_number_of_the_flags_counts_and_not_their_names(names: str, flags: int) -> None:
    tail = CT_TAIL.replace("Flags=0x0013 [ RxClosing TxClosing SeenNonSyn ]", f"Flags={flags:#06x} {names}")
    assert entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {tail}").flags == flags


LINE = f"UDP OUT 10.0.0.1:53124 -> 10.0.0.2:53 {CT_TAIL.replace('SourceSecurityID=1', 'SourceSecurityID=59271')} IfIndex=42"


@pytest.mark.parametrize("at", range(len("UDP OUT 1"), len(LINE)))
def test_a_line_that_a_terminal_broke_anywhere_is_one_entry(at: int) -> None:
    whole = entry_of(LINE)
    broken = LINE[:at].rstrip() + "\n" + LINE[at:].lstrip() if LINE[at] == " " else LINE[:at] + "\n" + LINE[at:]
    assert entry_of(broken) == whole


@pytest.mark.parametrize("width", [40, 80, 132])
def test_a_table_wrapped_at_a_terminals_width_is_the_same_table(width: int) -> None:
    lines = (RECORDED / "networkpolicy-drop/cilium/ct-list.txt").read_text().splitlines()
    wrapped = [line[at : at + width] for line in lines for at in range(0, len(line), width)]
    state, plain = state_of("\n".join(wrapped)), state_of("\n".join(lines))
    assert only(state).unparsed == ()
    names = [name for name in CtEntry.__dataclass_fields__ if name != "line"]
    assert [[getattr(e, name) for name in names] for e in state.ct] == [[getattr(e, name) for name in names] for e in plain.ct]


def test_a_line_that_is_no_entry_is_kept_and_the_others_are_read() -> None:
    good = f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL}"
    state = state_of(f"{good}\nTCP IN 10.0.0.1:99 -> oops\nwords of an author\n{good}")
    assert len(state.ct) == 2
    assert [(odd.line, odd.text) for odd in only(state).unparsed] == [
        (2, "TCP IN 10.0.0.1:99 -> oops"),
        (3, "words of an author"),
    ]
    assert only(state).partial == "the entry in line 2 could not be read"


def test_remarks_of_an_author_do_not_make_a_table_partial() -> None:
    state = state_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL}\nwords of an author")
    assert state.has_complete("ct")
    assert len(only(state).unparsed) == 1


def test_numbers_too_long_for_any_counter_are_kept_as_text() -> None:
    entry = entry_of(f"TCP IN 10.0.0.1:1 -> 10.0.0.2:80 {CT_TAIL.replace('RxBytes=452', 'RxBytes=' + '9' * 5000)}")
    assert entry.rx_bytes is None
    assert entry.extra == (("RxBytes", "9" * 5000),)


def test_nat_entries_are_no_connections() -> None:
    state = state_of("TCP OUT 10.0.0.1:1 -> 10.0.0.2:80 XLATE_SRC 10.9.9.9:4000 Created=408sec HostLocal=0")
    assert (only(state).kind, state.ct) == ("nat", ())
