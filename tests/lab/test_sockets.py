"""TCP over links that lose, reorder and duplicate, offload on and off: the flow table against what the kernel counted (`ss -ti`).

Both are of the sender's own side: captured in its pod, and sampled before its sockets close. A frame of offload is as many of the
kernel's segments as its octets fill.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sockets import Socket
from transfers import DELAY_S, LINKS, OFFLOAD, ROUNDS, TRANSFERS

from mixcni.decode import decode_packets
from mixcni.flows import FlowTable, track_flows
from mixcni.flows.kernel.sack import TWICE
from mixcni.flows.sack import acknowledged_selectively
from mixcni.read import CaptureFile
from mixcni.schema import Direction, Ending, Label, TcpFlag
from tests.cases import CAPTURES

NAMES = [link + ending for link in LINKS for ending in ("", OFFLOAD)]
SIDES = ("client", "server")
TIMESTAMPS = 12  # octets of the option and its padding (RFC 7323 section 3.2), which Linux takes off the MSS
JIFFY_NS = 10_000_000  # of the slowest clock that a kernel counts time by


class End:
    """One end of a connection: what its kernel said, and what was captured in its pod up to then."""

    def __init__(self, flows: FlowTable, side: str, told: dict[str, Any]) -> None:
        self.flows, self.words = flows, told[side]["words"]
        self.state, self.half_closed = told[side]["state"], told["half_closes"]
        self.own, self.other = ("forward", "reverse") if side == "client" else ("reverse", "forward")
        self.direction = SIDES.index(side)
        (self.row, *_) = np.flatnonzero(flows["initiator_port"] == told["client"]["local"][1])[::-1].tolist()
        segments, packets = flows.segments, flows.packets
        rows = np.flatnonzero(segments["flow"] == self.row)
        self.sent, self.received = (rows[segments["direction"][rows] == d] for d in (self.direction, 1 - self.direction))
        self.payload = packets["payload_octets"][segments["packet"]].astype(np.int64)
        self.flags = packets["tcp_flags"][segments["packet"]]

    def __getitem__(self, name: str) -> int:
        return int(self.flows[name][self.row])

    def said(self, name: str) -> int:
        """A number of the kernel's; of `retrans` the one behind the stroke, which counts all there were."""
        return int(self.words.get(name, "0").rpartition("/")[2])

    def number(self, rows: Any) -> int:
        """How many segments of the kernel's these frames are."""
        return int(np.maximum(-(-self.payload[rows] // self.said("mss")), 1).sum())

    def labelled(self, label: Label) -> Any:
        """The rows sent from here that have a label of ours."""
        return self.sent[(self.flows.segments["label"][self.sent] & label) != 0]

    def are(self, rows: Any, label: Label) -> list[bool]:
        """Whether these rows have a label of ours."""
        found: list[bool] = ((self.flows.segments["label"][rows] & label) != 0).tolist()
        return found

    def identities(self, rows: Any) -> list[tuple[int, ...]]:
        """What tells these segments from all others of their side."""
        packet = self.flows.segments["packet"][rows]
        columns = (self.flows.packets[name][packet].tolist() for name in ("ip_id", "seg_seq", "payload_octets"))
        return list(zip(*columns, strict=True))

    def acknowledged(self, rows: Any) -> int:
        """The highest stream offset that these segments acknowledge."""
        return int(self.flows.segments["acknowledged"][rows].max())

    def send_window(self) -> int:
        """The window field by which a sender goes: of the newest segment, for one that was overtaken updates nothing (Linux,
        tcp_may_update_window)."""
        una = wl1 = window = -1
        segments = self.flows.segments
        fields = self.flows.packets["seg_wnd"][segments["packet"][self.received]].tolist()
        numbers = (segments[name][self.received].tolist() for name in ("acknowledged", "offset"))
        for ack, seq, field in zip(*numbers, fields, strict=True):
            if ack > una or (ack == una and (seq > wl1 or (seq == wl1 and field > window))):
                una, wl1, window = ack, seq, field
        return window


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All links, several recorded at a time."""
    out = tmp_path_factory.mktemp("transfers")
    command = [sys.executable, str(CAPTURES / "lab" / "transfers.py"), str(out), *NAMES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def ends(recordings: Path) -> Callable[[str], dict[tuple[str, str], End]]:
    """Both ends of every connection over a link, by (transfer, side)."""
    known: dict[str, dict[tuple[str, str], End]] = {}

    def of(name: str) -> dict[tuple[str, str], End]:
        if name not in known:
            rounds = json.loads((recordings / name / "truth.json").read_text())["rounds"]
            known[name] = {
                (told["name"], side): End(flows_of(recordings / name / f"{side}-{number}.pcap"), side, told)
                for number, one in enumerate(rounds, 1)
                for told in one["transfers"]
                for side in SIDES
            }
        return known[name]

    return of


def flows_of(path: Path) -> FlowTable:
    return track_flows(decode_packets([CaptureFile(path, strict=True)]))


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_octets_are_the_kernels(ends: Any, name: str) -> None:
    for key, end in ends(name).items():
        assert end[f"payload_octets_{end.own}"] == end.said("bytes_sent"), key
        # A FIN that is sent again is an octet of the stream and none of the kernel's.
        fins = np.count_nonzero(end.flags[end.labelled(Label.RETRANSMISSION)] & (TcpFlag.SYN | TcpFlag.FIN))
        assert end[f"resent_octets_{end.own}"] - fins == end.said("bytes_retrans"), key
        syn = 0 if end.direction == Direction.FORWARD else 1  # the server's counter begins behind its SYN
        assert end.acknowledged(end.received) - syn == end.said("bytes_acked"), key
        assert end[f"octets_seen_{end.other}"] - 1 == end.acknowledged(end.sent) - 1 == end.said("bytes_received"), key
        assert end[f"unseen_octets_{end.other}"] == end[f"hole_octets_{end.other}"] == 0, key


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_segments_are_the_kernels(ends: Any, name: str) -> None:
    for key, end in ends(name).items():
        # The server's socket comes after its SYN-ACKs, and counts one SYN; of later ones those that find it there.
        is_server = end.direction == Direction.REVERSE
        sent, received = (np.count_nonzero(end.flags[rows] & TcpFlag.SYN) * is_server for rows in (end.sent, end.received))
        assert end.number(end.sent) - sent == end.said("segs_out"), key
        assert 0 <= end.number(end.received) - end.said("segs_in") <= max(received - 1, 0), key
        assert end.number(end.sent[end.payload[end.sent] > 0]) == end.said("data_segs_out"), key
        assert end.number(end.received[end.payload[end.received] > 0]) == end.said("data_segs_in"), key
        # A SYN that comes twice is answered twice at once, and the second answer is taken for a copy of the first.
        folded = np.count_nonzero((end.flags[end.sent] & TcpFlag.SYN != 0) & (end.flows.segments["copy_of"][end.sent] >= 0))
        assert 0 <= end.said("retrans") - end.number(end.labelled(Label.RETRANSMISSION)) <= folded, key


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_what_syns_offered_and_windows_are_the_kernels(ends: Any, name: str) -> None:
    for key, end in ends(name).items():
        assert end[f"mss_{end.own}"] - TIMESTAMPS == end.said("advmss"), key
        scales = end[f"window_scale_{end.other}"], end[f"window_scale_{end.own}"]
        assert ",".join(map(str, scales)) == end.words["wscale"], key
        assert end.send_window() << scales[0] == end.said("snd_wnd"), key


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_what_the_kernel_saw_overtaken_came_out_of_order(ends: Any, name: str) -> None:
    """A sender learns of an overtaking where a segment was late in its receiver's pod, and of none where it sent that again."""
    known, seen = ends(name), 0
    for (transfer, side), end in known.items():
        far = known[transfer, SIDES[1 - end.direction]]
        assert far[f"out_of_order_{end.own}"] > 0 or end.said("reord_seen") == 0, (transfer, side)
        seen += end.said("reord_seen")
    assert (seen > 0) == (LINKS[name.removesuffix(OFFLOAD)].reorder > 0)


@pytest.mark.lab
@pytest.mark.parametrize("name", LINKS)
def test_late_octets_are_out_of_order_where_they_were_sent_once_and_else_retransmissions(ends: Any, name: str) -> None:
    """Judged at the receiver, who does not see what the wire lost; the sender's capture shows what was sent."""
    for (transfer, side), sender in ends(name).items():
        receiver = ends(name)[transfer, SIDES[1 - SIDES.index(side)]]
        sent_again = dict(zip(sender.identities(sender.sent), sender.are(sender.sent, Label.RETRANSMISSION), strict=True))
        heard: set[int] = set()
        rows = receiver.received[receiver.payload[receiver.received] > 0]
        labels = (receiver.are(rows, label) for label in (Label.OUT_OF_ORDER, Label.RETRANSMISSION))
        offsets = receiver.flows.segments["offset"][rows].tolist()
        for identity, late, again, offset in zip(receiver.identities(rows), *labels, offsets, strict=True):
            if late:
                assert not sent_again[identity], (transfer, side, offset)
            if again:  # or a first transmission that its repetition overtook
                assert sent_again[identity] or offset in heard, (transfer, side, offset)
            heard.add(offset)


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_what_is_spurious_came_twice_at_the_least(ends: Any, name: str) -> None:
    """Counted where it arrived. Where the wire makes no copies and nothing overtakes, the kernel counts the same reports."""
    known, link = ends(name), LINKS[name.removesuffix(OFFLOAD)]
    spurious = 0
    for (transfer, side), end in known.items():
        far = known[transfer, SIDES[1 - end.direction]]
        there, here = far.flows.segments, end.flows.segments
        starts, sizes = there["offset"][far.received], there["length"][far.received]
        needless = end.labelled(Label.SPURIOUS_RETRANSMISSION)
        for start in here["offset"][needless].tolist():
            assert np.count_nonzero((starts <= start) & (start < starts + sizes)) > 1, (transfer, side)
        spurious += needless.size
        if not link.duplicate and not link.reorder:
            events = acknowledged_selectively(end.flows.packets, here.columns())
            twice = (events.stream == 2 * end.row + end.direction) & (events.kind == TWICE)
            octets = (events.end - events.start)[twice]
            assert np.sum(-(-octets // end.said("mss"))) == end.said("dsack_dups"), (transfer, side)
    assert spurious > 0 or not link.reorder


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_round_trips_are_no_shorter_than_the_wire_and_no_shorter_than_the_kernels(ends: Any, name: str) -> None:
    """The kernel times every segment, mixcni one at a time of those that nothing was sent again beside."""
    least_ns = round(2 * DELAY_S * 1e9)
    for key, end in ends(name).items():
        measured, kernels = end[f"rtt_min_ns_{end.own}"], round(float(end.words["minrtt"]) * 1e6)
        assert kernels >= least_ns - JIFFY_NS // 10, key
        if measured >= 0:
            assert measured >= max(least_ns, kernels - JIFFY_NS), key


@pytest.mark.lab
@pytest.mark.parametrize("name", NAMES)
def test_a_closed_window_a_half_close_a_reset_and_a_port_used_again(recordings: Path, ends: Any, name: str) -> None:
    known = ends(name)
    stalled = known["zero window", "client"]
    limited_ns = int(stalled.words["rwnd_limited"].partition("ms")[0]) * 1_000_000
    assert 0 < stalled["no_room_ns_reverse"] <= limited_ns + JIFFY_NS
    assert stalled["zero_window_reverse"] > 0
    for side, state in (("client", "FIN-WAIT-2"), ("server", "CLOSE-WAIT")):
        half = known["half-close", side]
        assert (half.state, half["ending"], half["closed_by"]) == (state, Ending.HALF_CLOSED, Direction.FORWARD)
        assert {end["ending"] for (transfer, _), end in known.items() if transfer != "half-close"} == {Ending.NONE}
    for side in SIDES:
        flows = flows_of(recordings / name / f"{side}.pcap")
        ports = known["reset", side], known["port", side], known["port again", side]
        rows = [np.flatnonzero(flows["initiator_port"] == end["initiator_port"]).tolist() for end in ports]
        assert [len(row) for row in rows] == [1, 2, 2]
        assert [Ending(flows["ending"][row[0]]) for row in rows[:2]] == [Ending.RESET] * 2
        if side == "client":  # on its way to the server the reset may be lost
            assert flows["closed_by"][rows[0][0]] == Direction.FORWARD
        assert known["port again", side]["port_reused_forward"] == 1
        assert flows.segments["flow"].max() + 1 == len(TRANSFERS) == sum(map(len, ROUNDS))


def test_a_line_of_ss_is_read_by_name() -> None:
    line = "CLOSE-WAIT 0 12 [fd00::1]:8080 [fd00::2]:41000 ts sack bbr wscale:10,7 retrans:0/3 bbr:(bw:1bps,mrtt:2) minrtt:20.1"
    found = Socket.parse(line)
    assert (found.state, found.local, found.peer) == ("CLOSE-WAIT", ("fd00::1", 8080), ("fd00::2", 41000))
    assert found.words == {"wscale": "10,7", "retrans": "0/3", "bbr": "(bw:1bps,mrtt:2)", "minrtt": "20.1"}


def test_a_line_that_is_no_socket_is_told() -> None:
    with pytest.raises(Exception, match="ss says what is no socket: 'Cannot open netlink socket'"):
        Socket.parse("Cannot open netlink socket")
