"""Octets that come late: out of order on the way, or lost before the point and sent again."""

import struct

import pytest

from mixcni.flows import FlowTable, track_flows
from mixcni.schema import Label
from tests.flows.test_tshark import labels_of, tshark
from tests.wire import MS, START, Conversation, decoded, write_pcap

LATE, AGAIN, FAST = Label.OUT_OF_ORDER, Label.RETRANSMISSION, Label.RETRANSMISSION | Label.FAST_RETRANSMISSION
ISS = 2**32 - 150  # so that stream offsets cross the end of the sequence numbers
TICKS = 2**32 - 20  # so that timestamps do, too


class Talk:
    """Segments of 100 octets, numbered from 0, and their acknowledgments; the round trip to the sender is 10 ms, the whole 30."""

    def __init__(self, *, timestamps: bool = False, port: int = 40_000) -> None:
        self.talk, self.timestamps = Conversation(("10.0.0.1", port), iss=ISS), timestamps
        syn, synack, ack = (self.talk.say(side, flags) for side, flags in ((0, "S"), (1, "SA"), (0, "A")))
        asked = self.talk.say(1, "PA", b"GET")
        self.frames = [syn.at(START), synack.at(START + 20 * MS), ack.at(START + 30 * MS), asked.at(START + 40 * MS)]
        self.clock = START + 50 * MS
        self.acknowledge(0, side=0)

    def wait(self, ms: int) -> "Talk":
        self.clock += ms * MS
        return self

    def send(self, number: int, tick: int = 0) -> "Talk":
        """Segment `number`, sent at a tick of the sender's clock."""
        options = b"\1\1\x08\x0a" + struct.pack(">2I", (TICKS + tick) % 2**32, 7) if self.timestamps else b""
        seq = (ISS + 1 + 100 * number) % 2**32
        self.frames.append(self.talk.segment(0, "A", seq=seq, ack=5004, payload=bytes(100), time_ns=self.clock, options=options))
        return self

    def acknowledge(self, number: int, *blocks: tuple[int, int], side: int = 1) -> "Talk":
        """All before segment `number`, and blocks of segments [first, last); side 0: the request instead."""
        if side == 0:
            self.frames.append(self.talk.segment(0, "A", seq=ISS + 1, ack=5004, time_ns=self.clock))
            return self
        edges = [(ISS + 1 + 100 * edge) % 2**32 for block in blocks for edge in block]
        options = b"\1\1" + bytes([5, 2 + 4 * len(edges)]) + struct.pack(f">{len(edges)}I", *edges) if blocks else b""
        ack = (ISS + 1 + 100 * number) % 2**32
        self.frames.append(self.talk.segment(1, "A", seq=5004, ack=ack, time_ns=self.clock, options=options))
        return self


def gap(*, timestamps: bool = False, port: int = 40_000) -> Talk:
    """Segments 0, 2 and 3: the point missed 1, and its ticks are 0, 20 and 30."""
    return Talk(timestamps=timestamps, port=port).send(0, 0).acknowledge(1).wait(1).send(2, 20).send(3, 30).wait(1)


def reported(count: int = 3) -> Talk:
    talk = gap()
    for _ in range(count):
        talk.acknowledge(1)
    return talk


CASES = {
    "an earlier timestamp: late on the way": (gap(timestamps=True).wait(500).send(1, 10), LATE),
    "a later one: sent again": (gap(timestamps=True).send(1, 21), AGAIN),
    "later than the segment behind the gap, though not than the last": (gap(timestamps=True).send(1, 25), AGAIN),
    "of the same tick": (gap(timestamps=True).send(1, 20), LATE),
    "of the same tick, and reported a round trip ago": (
        gap(timestamps=True).acknowledge(1, (2, 4)).wait(10).send(1, 20), LATE,
    ),
    "an earlier timestamp, whatever the receiver reported": (
        gap(timestamps=True).acknowledge(1, (2, 4)).wait(100).send(1, 19), LATE,
    ),
    "no timestamps, no report": (gap().wait(500).send(1), LATE),
    "reported by SACK a round trip ago": (gap().acknowledge(1, (2, 4)).wait(10).send(1), AGAIN),
    "reported by SACK just now": (gap().acknowledge(1, (2, 4)).wait(9).send(1), LATE),
    "three duplicate acknowledgments": (reported(3).wait(10).send(1), FAST),
    "two of them": (reported(2).wait(10).send(1), LATE),
    "a report of another gap": (
        Talk().send(0).send(2).acknowledge(1, (2, 3)).wait(10).send(4).send(3), LATE,
    ),
    "the second of two gaps": (
        Talk().send(0).send(2).send(4).acknowledge(1, (4, 5), (2, 3)).wait(10).send(3), AGAIN,
    ),
}  # fmt: skip


def last_label(flows: FlowTable) -> Label:
    return Label(int(flows.segments["label"][-1])) & (LATE | FAST | Label.SPURIOUS_RETRANSMISSION)


@pytest.mark.parametrize(("talk", "label"), CASES.values(), ids=CASES.keys())
def test_late_octets_were_sent_again_where_that_is_proven(tmp_path, talk, label):
    flows = track_flows(decoded(tmp_path / "A.pcap", talk.frames))
    assert last_label(flows) == label
    counts = {one: int(flows[f"{one.name.lower()}_forward"][0]) for one in (LATE, AGAIN, Label.FAST_RETRANSMISSION)}
    assert counts == {one: int(one in label) for one in counts}
    assert flows["retransmissions"].tolist() == [int(AGAIN in label)]
    assert (flows["resent_octets_forward"][0], flows["out_of_order_reverse"][0], flows["retransmission_reverse"][0]) == (0, 0, 0)


def test_without_a_round_trip_to_the_sender_that_of_the_handshake_is_waited_for(tmp_path):
    for wait, label in ((29, LATE), (30, AGAIN)):
        talk = gap().acknowledge(1, (2, 4)).wait(wait).send(1)
        frames = [*talk.frames[:3], *talk.frames[5:]]
        assert last_label(track_flows(decoded(tmp_path / f"{wait}.pcap", frames))) == label


def test_of_a_connection_caught_in_its_midst_nothing_is_proven_by_time(tmp_path):
    talk = gap().acknowledge(1, (2, 4)).wait(1000).send(1)
    assert last_label(track_flows(decoded(tmp_path / "A.pcap", talk.frames[5:]))) == LATE


def test_each_stream_has_gaps_of_its_own(tmp_path):
    """Two connections, one with a loss and one with reordering, packet by packet in turns."""
    lost, late = (gap(timestamps=True, port=port).send(1, tick).frames for port, tick in ((40_000, 99), (40_001, 1)))
    frames = [frame for pair in zip(lost, late, strict=True) for frame in pair]
    flows = track_flows(decoded(tmp_path / "A.pcap", frames))
    assert flows["retransmission_forward"].tolist() == [1, 0]
    assert flows["out_of_order_forward"].tolist() == [0, 1]


@pytest.mark.tshark
@pytest.mark.parametrize("name", ["a later one: sent again", "reported by SACK a round trip ago"])
def test_wiresharks_labels_stay_as_they_are(tmp_path, name):
    talk, _ = CASES[name]
    path = write_pcap(tmp_path / "A.pcap", talk.frames)
    theirs = [labels_of(row) for row in tshark(path)]
    assert theirs == [Label(label) for label in track_flows(decoded(path, talk.frames)).segments["label_wireshark"].tolist()]
