"""Messages and their pairing against tshark on every capture and sample, each difference named."""

import random
import subprocess
from pathlib import Path

import pytest

from mixcni.decode import decode_packets
from mixcni.errors import CaptureError
from mixcni.exchanges import ExchangeTable, pair_exchanges
from mixcni.flows import FlowTable, track_flows
from mixcni.read import CaptureFile
from mixcni.schema import Direction, ExchangeKind, Label
from tests.cases import CAPTURES
from tests.exchanges.streams import talk_of
from tests.exchanges.test_http1 import CHUNKED, CHUNKED_POST, GET, HEAD, HINTS, NO_CONTENT, OK, OK_OF_HEAD, POST, UNTIL_CLOSE
from tests.flows.rows import as_rows
from tests.wire import Frame, write_pcap

NOT_TSHARKS = "unsupported-link-type.pcap"  # link type 281, which tshark 4.0 refuses
SAMPLES = sorted(
    path
    for path in (Path(__file__).parents[1] / "samples" / "pcaps").iterdir()
    if ".pcap" in path.name and path.name != NOT_TSHARKS
)
EVERY = [*sorted(CAPTURES.glob("*/*.pcap")), *SAMPLES]
TCP = 6
REPEATED = Label.RETRANSMISSION | Label.KEEP_ALIVE
Pairs = set[tuple[int, int]]

PAIRED_BY_US = {
    (
        "http-pipelined.pcap",
        (4, 8),
    ): "two requests in frame 4: tshark keeps one open request and leaves the second response alone",
    ("mpls-vlan.pcap", (37, 41)): "HTTP/0.9: the response has no head, so that tshark shows three continuations",
} | {
    ("ipv6-extension-headers.pcap", pair): "HTTP/0.9 without an empty line, for which tshark waits"
    for pair in ((8, 7), (16, 18), (26, 28), (36, 38))
}
"""Pairs of frames, request and response, that we have and tshark has not."""


FIELDS = (
    "frame.number", "http.request.method", "http.response.code", "http.request_in", "dns.response_to", "icmp.resp_to",
    "icmpv6.resp_to", "tls.handshake.extensions_server_name",
)  # fmt: skip


def tshark(path: Path, *options: str) -> list[dict[str, list[str]]]:
    """The fields of every frame; each may be there several times."""
    wanted = [argument for field in FIELDS for argument in ("-e", field)]
    command = ["tshark", "-2", "-r", str(path), *options, "-Y", "not ssdp", "-T", "fields", *wanted]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]
    return [{name: value.split(",") if value else [] for name, value in row.items()} for row in rows]


def pairs_in(rows: list[dict[str, list[str]]], *fields: str) -> Pairs:
    """(frame of the request, frame of the response), of frames that name the request's."""
    return {(int(request), int(row["frame.number"][0])) for row in rows for field in fields for request in row[field]}


def read(path: Path) -> tuple[FlowTable, ExchangeTable] | None:
    try:
        flows = track_flows(decode_packets([CaptureFile(path)]))
    except CaptureError:
        return None
    return flows, pair_exchanges(flows)


def last_packet(flows: FlowTable, row: dict[str, int], side: Direction) -> int:
    """The packet with which a message is there whole: tshark shows it in that frame; of datagrams it is the only one."""
    name = ("request", "response")[side]
    segments = flows.segments
    mine = (
        (segments["flow"] == row["flow"]) & (segments["direction"] == side) & (segments["copy_of"] < 0) & (segments["length"] > 0)
    )
    end = segments["offset"] + segments["length"]
    mine &= (segments["offset"] < row[f"{name}_end"]) & (end > row[f"{name}_start"]) & ((segments["label"] & REPEATED) == 0)
    packets = segments["packet"][mine]
    return int(packets.max(initial=row[f"{name}_packet"])) if flows["protocol"][row["flow"]] == TCP else row[f"{name}_packet"]


def pairs_of(flows: FlowTable, exchanges: ExchangeTable, *kinds: ExchangeKind) -> Pairs:
    """(frame of the request, frame of the response) of each exchange that has both."""
    frames = flows.packets["frame_number"]
    rows = [row for row in as_rows(exchanges) if row["kind"] in kinds and min(row["request_packet"], row["response_packet"]) >= 0]
    return {
        (int(frames[last_packet(flows, row, Direction.FORWARD)]), int(frames[last_packet(flows, row, Direction.REVERSE)]))
        for row in rows
    }


@pytest.mark.tshark
@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_messages_and_pairs_are_tsharks(path):
    rows, found = tshark(path), read(path)
    if found is None:
        assert not any(row["http.request.method"] or row["http.response.code"] for row in rows)
        return
    flows, exchanges = found
    assert exchanges.http is not None
    counts = [sum(len(row[field]) for row in rows) for field in ("http.request.method", "http.response.code")]
    assert exchanges.http.sum(axis=0).tolist() == counts
    ours, theirs = pairs_of(flows, exchanges, ExchangeKind.HTTP1), pairs_in(rows, "http.request_in")
    assert ours - theirs == {pair for name, pair in PAIRED_BY_US if name == path.name}
    assert theirs <= ours
    assert pairs_of(flows, exchanges, ExchangeKind.DNS) == pairs_in(rows, "dns.response_to")
    assert pairs_of(flows, exchanges, ExchangeKind.ECHO) == pairs_in(rows, "icmp.resp_to", "icmpv6.resp_to")
    details = exchanges.details
    kinds = exchanges["kind"][details["exchange"]]
    names = [details.text("host", row) for row in range(len(details)) if kinds[row] == ExchangeKind.TLS_HANDSHAKE]
    assert sorted(filter(None, names)) == sorted(name for row in rows for name in row["tls.handshake.extensions_server_name"])


def made_connections(seed: int) -> list[Frame]:
    """Connections on any port that speak HTTP/1 in the ways in which tshark pairs it rightly: one request at a time."""
    chance = random.Random(seed)
    frames: list[Frame] = []
    for number in range(12):
        turns: list[tuple[int, bytes]] = []
        for _ in range(chance.randint(1, 6)):
            request = chance.choice([GET, HEAD, POST, CHUNKED_POST])
            response = OK_OF_HEAD if request == HEAD else chance.choice([OK, CHUNKED, NO_CONTENT, HINTS + OK])
            turns += [(0, request), (1, response)]
        if chance.random() < 0.3:
            turns += [(0, GET), (1, UNTIL_CLOSE)]
        ends = ("10.244.3.7", 41_000 + number), ("10.242.2.149", chance.choice([80, 8080, 9_999, 50_051]))
        frames += talk_of(turns, size=chance.choice([70, 200, 1400]), initiator=ends[0], responder=ends[1])
    return sorted(frames)


@pytest.mark.tshark
@pytest.mark.parametrize("seed", range(3))
def test_made_connections_on_any_port_are_tsharks(tmp_path, seed):
    """Each response that tshark pairs is ours; its frames are those with which messages are whole."""
    path = write_pcap(tmp_path / "made.pcap", made_connections(seed))
    rows, found = tshark(path), read(path)
    assert found is not None
    flows, exchanges = found
    assert exchanges.http is not None
    assert exchanges.http.sum(axis=0).tolist() == [
        sum(len(row[field]) for row in rows) for field in ("http.request.method", "http.response.code")
    ]
    assert exchanges.http.sum() > 40
    frames = flows.packets["frame_number"]
    answered = {
        int(frames[last_packet(flows, row, Direction.FORWARD)]) for row in as_rows(exchanges) if row["kind"] == ExchangeKind.HTTP1
    }
    assert {request for request, _ in pairs_in(rows, "http.request_in")} <= answered
