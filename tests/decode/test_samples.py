"""Every capture sample against capinfos and tshark: packets, times, TCP segments, flags and payload (tests/samples/pcaps)."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mixcni.decode import Capture
from mixcni.errors import CaptureError

SAMPLES = Path(__file__).parents[1] / "samples" / "pcaps"
ORACLE = {
    entry["file"]: entry for entry in map(json.loads, (SAMPLES / "oracle.jsonl").read_text(encoding="utf-8").splitlines()[1:])
}
NOT_READ = {"foreign-format.snoop": "snoop is neither pcap nor pcapng"}
ORACLE_REFUSES = {
    "damaged-record-length.pcap": "capinfos gives no count at a corrupt record; the one before it is good",
    "damaged-pcapng-block.pcapng": "capinfos gives no count at a corrupt block; nothing precedes it",
    "unsupported-link-type.pcap": "tshark 4.0 refuses link type 281; its records are whole",
}
COUNTS = {
    "tcp_segments": "tcp_segments",
    "syn": "syn",
    "synack": "synack",
    "fin": "fin",
    "rst": "rst",
    "payload_bytes": "tcp_payload_octets",
}


def nanoseconds(text: str) -> int:
    return int(Decimal(text) * 1_000_000_000)


@pytest.mark.parametrize("name", sorted(set(ORACLE) - set(NOT_READ) - set(ORACLE_REFUSES)))
def test_counts_are_the_oracles(name: str) -> None:
    facts = Capture.open(SAMPLES / name).facts()[0]
    capinfos, tshark = ORACLE[name]["capinfos"], ORACLE[name]["tshark"]
    assert facts["packets"] == capinfos["packets"]
    assert {theirs: facts[ours] for theirs, ours in COUNTS.items()} == {theirs: tshark[theirs] for theirs in COUNTS}


@pytest.mark.parametrize(
    "name", sorted(name for name, entry in ORACLE.items() if entry["capinfos"].get("first") not in {None, "n/a"})
)
def test_first_and_last_times_are_the_oracles(name: str) -> None:
    if name in NOT_READ:
        pytest.skip(NOT_READ[name])
    facts, capinfos = Capture.open(SAMPLES / name).facts()[0], ORACLE[name]["capinfos"]
    digits = len(capinfos["first"].partition(".")[2])
    step = 10 ** (9 - digits)  # capinfos prints as many digits as the file's resolution has
    assert [facts["first_ns"] // step, facts["last_ns"] // step] == [
        nanoseconds(capinfos["first"]) // step,
        nanoseconds(capinfos["last"]) // step,
    ]


@pytest.mark.parametrize("name", sorted(ORACLE_REFUSES))
def test_what_the_oracle_refuses_is_read_as_far_as_it_is_good(name: str) -> None:
    expected: dict[str, tuple[int, int]] = {
        "damaged-record-length.pcap": (1, 1),
        "damaged-pcapng-block.pcapng": (0, 1),
        "unsupported-link-type.pcap": (15, 0),
    }
    facts = Capture.open(SAMPLES / name).facts()[0]
    assert (facts["packets"], len(facts["damage"])) == expected[name]


def test_another_programs_format_is_named_by_its_first_octets() -> None:
    with pytest.raises(
        CaptureError, match=r"foreign-format\.snoop, octet 0: wanted a pcap or pcapng magic number, found 73 6e 6f 6f"
    ):
        Capture.open(SAMPLES / "foreign-format.snoop")


@pytest.mark.parametrize(
    ("name", "tunnels"),
    [
        ("vxlan-http.pcap", {"vxlan": 12}),
        ("geneve.pcap", {"geneve": 10}),
        ("gre-teb-http.pcap", {"gre": 17}),
        ("ipip.pcap", {"ipip": 5}),
        ("ipv6-in-ipv6.pcap", {"ipip": 1}),
        ("mpls-vlan.pcap", {}),
    ],
)
def test_tunnels_are_counted_by_kind(name: str, tunnels: dict[str, int]) -> None:
    assert Capture.open(SAMPLES / name).facts()[0]["tunnels"] == tunnels


def test_the_outer_stack_is_kept_layer_by_layer() -> None:
    stacks = {
        name: set(Capture.open(SAMPLES / name).packets["stack"]) for name in ("qinq-http.pcap", "ipip.pcap", "ipv6-in-ipv6.pcap")
    }
    assert stacks["qinq-http.pcap"] == {"vlan 0, vlan 0"}
    assert "vlan 252, ipip 10.162.12.112>10.162.45.139" in stacks["ipip.pcap"]
    assert stacks["ipv6-in-ipv6.pcap"] == {"ipip feed::beef>feed::cafe, ipip babe::beef>dead::babe"}


def test_a_fragments_owner_is_known_by_its_first() -> None:
    packets: Any = Capture.open(SAMPLES / "ppp-ipv6-fragmented-tcp.pcap").packets
    assert packets["source_port"].nunique() == 1
    assert packets["destination_port"].nunique() == 1
