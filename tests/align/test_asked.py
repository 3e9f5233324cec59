"""Questions that are asked at once from one port: the identifiers of their messages tell which reply is whose."""

from pathlib import Path

import dpkt
import pytest

from mixcni.align import align_points
from mixcni.exchanges import pair_exchanges
from mixcni.flows import track_flows
from mixcni.localise import localise_losses
from mixcni.topology import CapturePoint
from tests.scene import Scene, Sent, Talk, captured
from tests.wire import MS, START, Frame, S, decoded, ip_frame, udp_frame

CLIENT, RESOLVER = ("10.244.3.7", 40_000), ("10.96.0.10", 53)
A, AAAA = 1, 28
ANSWERED, SILENT = ("ANSWERED", "", "", "NONE"), ("SILENT", "", "", "NONE")
LOST_RESPONSE, LOST_REQUEST = ("LOST", "BC", "response", "NONE"), ("LOST", "BC", "request", "NONE")


def query(ms: float, number: int, kind: int = A, **more: str) -> Sent:
    message = bytes(dpkt.dns.DNS(id=number, op=0x0100, qd=[dpkt.dns.DNS.Q(name="svc.default.local", type=kind)]))
    return Sent(udp_frame(CLIENT, RESOLVER, message, time_ns=START + round(ms * MS)), 0, **more)


def answer(ms: float, number: int, kind: int = A, **more: str) -> Sent:
    message = bytes(dpkt.dns.DNS(id=number, op=0x8180, qd=[dpkt.dns.DNS.Q(name="SVC.default.local", type=kind)]))
    return Sent(udp_frame(RESOLVER, CLIENT, message, time_ns=START + round(ms * MS)), 1, **more)


def echo(ms: float, number: int, side: int = 0, **more: str) -> Sent:
    ends = [CLIENT[0], RESOLVER[0]]
    message = dpkt.icmp.ICMP(type=0 if side else 8, data=dpkt.icmp.ICMP.Echo(id=7, seq=number, data=b"x" * 48))
    octets = ip_frame(ends[side], ends[1 - side], 1, bytes(message))
    return Sent(Frame(START + round(ms * MS), octets), side, **more)


def told(folder: Path, sent: list[Sent]) -> list[tuple[str, ...]]:
    """What is told of the questions, beside a connection that is answered throughout."""
    talk = Talk(initiator=(CLIENT[0], 42_000), responder=(RESOLVER[0], 8080))
    talk.handshake(0)
    for ms in (100, 4000, 8000):
        talk.exchange(ms)
    frames = captured([*talk.sent, *sent], offsets={"B": 3 * S})
    flows = [track_flows(decoded(folder / f"{name}.pcap", of_point)) for name, of_point in frames.items()]
    exchanges = [pair_exchanges(table) for table in flows]
    alignment = align_points(list(frames), flows, exchanges=exchanges)
    points = [CapturePoint(name) for name in frames]
    seen = Scene(flows, alignment, localise_losses(points, alignment, exchanges))
    protocols = alignment.conversations["protocol"].tolist()
    return [row for number, protocol in enumerate(protocols) if protocol != 6 for row in seen.told(number)]


@pytest.mark.parametrize(
    ("sent", "fates"),
    [
        (
            [query(1000, 1), query(1001, 2, AAAA), answer(1010, 1), answer(1012, 2, AAAA)],
            [ANSWERED, ANSWERED],
        ),
        (
            [query(1000 + n * 10, n, lost="BC" * (n % 2)) for n in range(8)] + [answer(1005 + n * 10, n) for n in range(0, 8, 2)],
            [ANSWERED, LOST_REQUEST] * 4,
        ),
        (
            [query(1000 + n, n) for n in range(40)] + [answer(1020 + n, n, lost="BC" * (n % 2)) for n in range(40)],
            [ANSWERED, LOST_RESPONSE] * 20,
        ),
        ([query(1000, 1), query(1001, 1, AAAA), answer(1012, 1, AAAA)], [SILENT, ANSWERED]),
        ([query(1000, 1, lost="BC"), query(2500, 1), answer(2510, 1), answer(2511, 1)], [ANSWERED]),
        ([query(1000, 1), answer(1010, 1), query(2500, 1), answer(2510, 1)], [ANSWERED, ANSWERED]),
        ([query(1000, 1), answer(1010, 1, lost="BC"), query(2500, 1), answer(2510, 1)], [ANSWERED]),
        ([query(1000, 1), answer(1010, 1, missed="B"), query(1005, 2, missed="C"), answer(1020, 2)], [ANSWERED, ANSWERED]),
        ([echo(1000, 1), echo(2000, 2), echo(2010, 2, 1)], [SILENT, ANSWERED]),
    ],
    ids=[
        "A and AAAA", "every other query lost", "every other answer lost", "one identifier, two types", "asked again",
        "one identifier later again", "asked again, the answer lost", "captures lack some", "echoes",
    ],
)  # fmt: skip
def test_each_question_has_a_fate_of_its_own(tmp_path: Path, sent: list[Sent], fates: list[tuple[str, ...]]) -> None:
    """RFC 5452 section 9.1: a response answers the query of its identifier and question, names without case (RFC 4343)."""
    assert told(tmp_path, sent) == fates
