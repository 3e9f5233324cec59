"""Conversations of UDP behind a NAT, without IP identifications: what they carry tells which of them are one."""

from collections.abc import Mapping
from pathlib import Path

import dpkt
import pytest

from mixcni.align import align_points
from mixcni.flows import track_flows
from tests.align.test_repeats import aligned
from tests.scene import End, Sent, captured
from tests.wire import MS, START, decoded, udp_frame

RESOLVER, POD, NODE = ("10.96.0.10", 53), ("10.242.2.20", 53), "10.118.201.53"
CLIENTS = [("10.244.3.7", 40_000 + number) for number in range(4)]
SNAT: Mapping[End, End] = {client: (NODE, 20_000 + number) for number, client in enumerate(CLIENTS)}
DNAT: Mapping[End, End] = {RESOLVER: POD}
BOTH: Mapping[End, End] = {**SNAT, **DNAT}


def message(number: int, *, reply: bool = False) -> bytes:
    return bytes(dpkt.dns.DNS(id=1000 + number, qr=int(reply), qd=[dpkt.dns.DNS.Q(name="svc.local", type=1)]))


def asked(client: End, ms: float, question: bytes, answer: bytes) -> list[Sent]:
    """A question and the reply to it."""
    frames = udp_frame(client, RESOLVER, question), udp_frame(RESOLVER, client, answer)
    return [Sent(frame.at(START + round((ms + 10 * side) * MS)), side) for side, frame in enumerate(frames)]


def conversations(folder: Path, sent: list[Sent], seen_as: Mapping[End, End]) -> int:
    return len(aligned(folder, captured(sent, "AC", seen_as={"C": seen_as})).conversations)


@pytest.mark.parametrize(
    ("seen_as", "questions", "expected"),
    [(SNAT, 1, 4), (DNAT, 1, 4), (BOTH, 2, 4), (BOTH, 1, 8)],
    ids=["SNAT", "DNAT", "both", "both, and one question says too little"],
)
def test_messages_that_no_nat_changes_join(seen_as: Mapping[End, End], questions: int, expected: int, tmp_path: Path) -> None:
    sent = []
    for number, client in enumerate(CLIENTS):
        for turn in range(questions):
            key = 10 * number + turn
            sent += asked(client, 100 * key, message(key), message(key, reply=True))
    assert conversations(tmp_path, sent, seen_as) == expected


def test_what_several_conversations_carry_alike_joins_none(tmp_path: Path) -> None:
    sent = [
        one for number, client in enumerate(CLIENTS) for one in asked(client, 100 * number, b"a steady beat", b"an echo of it")
    ]
    assert conversations(tmp_path, sent, SNAT) == 8


def test_payloads_that_are_short_join_none(tmp_path: Path) -> None:
    sent = [one for number, client in enumerate(CLIENTS) for one in asked(client, 100 * number, bytes([number]), bytes([number]))]
    assert conversations(tmp_path, sent, SNAT) == 8


def test_the_capture_that_is_gone_joins_none(tmp_path: Path) -> None:
    """Payloads are read a second time; where that cannot be done, addresses and times are all that there is."""
    sent = [one for number, client in enumerate(CLIENTS) for one in asked(client, 100 * number, message(number), message(number))]
    heard = captured(sent, "AC", seen_as={"C": SNAT})
    points = [track_flows(decoded(tmp_path / f"{name}.pcap", frames)) for name, frames in heard.items()]
    (tmp_path / "C.pcap").unlink()
    assert len(align_points(["A", "C"], points).conversations) == 8
