"""Which repetitions SACK tells to have been needless: RFC 2883's examples, a twin over single octets; Wireshark is left alone."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixcni.flows import FlowTable, track_flows
from mixcni.flows.kernel.sack import (
    COPIED,
    REPEAT_WIDTH,
    REPEATED,
    REPEATS,
    RUN_WIDTH,
    RUNS,
    SACKED,
    TWICE,
    follow_sacks,
)
from mixcni.flows.sack import EventArrays, acknowledged_selectively
from mixcni.kernels.jit import run
from mixcni.schema import Label
from tests.flows.test_tshark import labels_of, tshark
from tests.kernels.forms import FORMS, in_form
from tests.wire import MS, START, Conversation, Frame, decoded, write_pcap

ISS = 2**32 - 150  # so that stream offsets cross the end of the sequence numbers
AGAIN, NEEDLESS = Label.RETRANSMISSION, Label.RETRANSMISSION | Label.SPURIOUS_RETRANSMISSION


class Talk:
    """A sender of segments of 100 octets, numbered from 0, and the acknowledgments that it gets."""

    def __init__(self) -> None:
        self.conversation = Conversation(iss=ISS)
        self.frames = self.conversation.handshake()

    def _at(self) -> int:
        return START + len(self.frames) * 40 * MS

    def send(self, *numbers: int, ip_id: int = 0) -> "Talk":
        for number in numbers:
            seq = ISS + 1 + 100 * number
            self.frames.append(
                self.conversation.segment(0, "A", seq=seq, ack=5001, payload=bytes(100), time_ns=self._at(), ip_id=ip_id)
            )
        return self

    def copy(self) -> "Talk":
        last = self.frames[-1]
        self.frames.append(last.at(last.time_ns + MS // 10))
        return self

    def acknowledge(self, number: int, *blocks: tuple[int, int]) -> "Talk":
        """All before segment `number`, and blocks of segments [first, last)."""
        edges = [(ISS + 1 + 100 * edge) % 2**32 for block in blocks for edge in block]
        options = b"\1\1" + bytes([5, 2 + 4 * len(edges)]) + struct.pack(f">{len(edges)}I", *edges) if blocks else b""
        ack = ISS + 1 + 100 * number
        self.frames.append(self.conversation.segment(1, "A", seq=5001, ack=ack, time_ns=self._at(), options=options))
        return self


CASES = {
    "sent again though acknowledged selectively": (
        Talk().send(0, 1, 2).acknowledge(0, (1, 3)).send(1), [NEEDLESS],
    ),
    "a hole that is sent again": (Talk().send(0, 1, 2).acknowledge(0, (1, 3)).send(0).acknowledge(3), [AGAIN]),
    "acknowledged selectively only afterwards": (Talk().send(0, 1).send(1).acknowledge(0, (1, 2)), [AGAIN]),
    "runs that grow together": (
        Talk().send(0, 1, 2, 3).acknowledge(0, (1, 2)).acknowledge(0, (2, 3)).send(1), [NEEDLESS],
    ),
    "reported as a duplicate below the acknowledgment": (Talk().send(0, 1).send(0).acknowledge(2, (0, 1)), [NEEDLESS]),
    "reported as a duplicate within a block above it": (
        Talk().send(0, 1, 2).send(2).acknowledge(0, (2, 3), (1, 3)), [NEEDLESS],
    ),
    "no report of it": (Talk().send(0, 1).send(0).acknowledge(2, (1, 2)), [AGAIN]),
    "sent again twice and reported once: one of three was lost": (
        Talk().send(0, 1).send(0).send(0).acknowledge(2, (0, 1)), [AGAIN, AGAIN],
    ),
    "sent again twice and reported twice": (
        Talk().send(0, 1).send(0).send(0).acknowledge(2, (0, 1)).acknowledge(2, (0, 1)), [NEEDLESS, NEEDLESS],
    ),
    "reported in two parts": (Talk().send(0, 1).send(0).send(1).acknowledge(2, (0, 2)), [NEEDLESS, NEEDLESS]),
    "reported before it was sent again": (Talk().send(0, 1).acknowledge(1, (0, 1)).send(1), [AGAIN]),
    "a copy may be what was reported": (
        Talk().send(0, 1, ip_id=7).copy().send(1, ip_id=9).acknowledge(2, (1, 2)), [AGAIN],
    ),
}  # fmt: skip


def repeated(flows: FlowTable) -> list[Label]:
    labels = [Label(label) for label in flows.segments["label"].tolist()]
    return [label & NEEDLESS for label in labels if label & Label.RETRANSMISSION]


@pytest.mark.parametrize(("talk", "labels"), CASES.values(), ids=CASES.keys())
def test_a_repetition_is_spurious_where_the_receiver_said_so(tmp_path, talk, labels):
    flows = track_flows(decoded(tmp_path / "A.pcap", talk.frames))
    assert repeated(flows) == labels
    assert flows["spurious_retransmission_forward"].tolist() == [labels.count(NEEDLESS)]
    assert flows["spurious_retransmission_reverse"].tolist() == [0]


@pytest.mark.tshark
def test_wiresharks_labels_look_at_no_sack(tmp_path):
    talk, _ = CASES["sent again though acknowledged selectively"]
    path = write_pcap(tmp_path / "A.pcap", talk.frames)
    theirs = [labels_of(row) for row in tshark(path)]
    assert theirs == [Label(label) for label in track_flows(decoded(path, talk.frames)).segments["label_wireshark"].tolist()]
    assert Label.SPURIOUS_RETRANSMISSION not in theirs[-1]


def test_a_segment_that_the_receiver_would_not_take_says_nothing(tmp_path):
    talk = Talk().send(0, 1).send(0)
    wild = talk.conversation.segment(
        1, "A", seq=5001 + 2**31 - 9, ack=ISS + 201, time_ns=START + 900 * MS, options=sack(ISS + 1, ISS + 101)
    )
    assert repeated(track_flows(decoded(tmp_path / "A.pcap", [*talk.frames, wild]))) == [AGAIN]


def sack(left: int, right: int) -> bytes:
    return b"\1\1\5\x0a" + struct.pack(">2I", left % 2**32, right % 2**32)


# RFC 2883 section 4: the acknowledgment, the blocks, and whether the first one reports a duplicate.
EXAMPLES = [
    (4000, [(3000, 3500)], True),  # 4.1, example 1
    (4000, [(3000, 3500), (4500, 5000)], True),  # example 2
    (4000, [(5000, 5500), (4500, 6000)], True),  # example 3
    (1500, [(3000, 3500)], False),
    (1500, [(3000, 3500), (2000, 2500)], False),
]


@pytest.mark.parametrize(("acknowledged", "blocks", "is_duplicate"), EXAMPLES)
def test_which_first_blocks_report_a_duplicate(tmp_path, acknowledged, blocks, is_duplicate):
    talk = Conversation(iss=0)
    options = b"\1\1" + bytes([5, 2 + 8 * len(blocks)]) + b"".join(struct.pack(">2I", *block) for block in blocks)
    frames = [*talk.handshake(), talk.say(0, "A", bytes(1400)), talk.say(0, "A", bytes(5000))]
    told = Frame(START + 9 * MS, talk.segment(1, "A", seq=5001, ack=acknowledged, options=options).octets)
    flows = track_flows(decoded(tmp_path / "A.pcap", [*frames, told]))
    events = acknowledged_selectively(flows.packets, flows.segments.columns())
    assert events.kind.tolist() == [TWICE if is_duplicate else SACKED] + [SACKED] * (len(blocks) - 1)
    assert list(zip(events.start.tolist(), events.end.tolist(), strict=True)) == blocks


EVENTS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([SACKED, TWICE, REPEATED, COPIED]), st.integers(0, 9), st.integers(1, 4)),
    max_size=30,
)


def needless_twin(events):
    """The same from single octets: a repetition is needless if all its octets were had, or came twice as often as sent again."""
    found = set()
    for stream in (0, 1):
        runs, sent, twice = [], [], dict.fromkeys(range(20), 0)
        for number, (own, kind, start, size) in enumerate(events):
            octets = set(range(start, start + size))
            if own != stream:
                continue
            if kind == SACKED:
                touching = [run for run in runs if run & octets or max(run) + 1 in octets or min(run) - 1 in octets]
                runs = [run for run in runs if run not in touching] + [octets.union(*touching)]
            elif kind == TWICE:
                for octet in octets:
                    twice[octet] += 1
                    twice[octet] = min(twice[octet], sum(octet in other for _, other, _ in sent))
                near = [one for one in sent if one[1] & octets]
                if all(twice[o] >= sum(o in other for _, other, _ in sent) for _, mine, _ in near for o in mine):
                    found |= {index for index, _, labelled in near if labelled}
            else:
                if kind == REPEATED and any(octets <= run for run in runs):
                    found.add(number)
                sent.append((number, octets, kind == REPEATED))
    return found


def followed(form, events):
    ordered = sorted(range(len(events)), key=lambda i: (events[i][0], i))
    columns = [np.array([events[i][field] for i in ordered], dtype=np.int64) for field in range(4)]
    stream, kind, start, size = columns
    arrays = EventArrays(stream, np.arange(stream.size), kind.astype(np.uint8), start, start + size)
    needless = np.zeros(stream.size, dtype=np.uint8)
    scratch = (np.zeros(size, dtype=np.int64) for size in (RUNS * RUN_WIDTH, REPEATS * REPEAT_WIDTH))
    with in_form(form):
        run(follow_sacks, stream.size, arrays, *scratch, needless)
    return {ordered[i] for i in np.flatnonzero(needless).tolist()}


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@given(events=EVENTS)
def test_segments_of_one_size_are_told_as_by_single_octets(form, events):
    """Of equal segments; where repetitions overlap in part, octets that are charged to the older one leave the other open."""
    equal = [(stream, kind, 4 * (start // 4), 4) for stream, kind, start, _ in events]
    assert followed(form, equal) == needless_twin(equal)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
@given(events=EVENTS)
def test_nothing_is_needless_that_single_octets_do_not_show(form, events):
    assert followed(form, events) <= needless_twin(events)


@pytest.mark.kernels
@pytest.mark.parametrize("form", FORMS)
def test_more_runs_and_repetitions_than_are_kept_forget_the_lowest_and_the_oldest(form):
    runs = [(0, SACKED, 10 * i, 5) for i in range(RUNS + 1)]
    again = [(0, REPEATED, 10 * i, 5) for i in (0, 1, RUNS)]
    assert followed(form, runs + again) == {len(runs) + 1, len(runs) + 2}
    many = [(0, REPEATED, 10 * i, 5) for i in range(REPEATS + 1)]
    reports = [(0, TWICE, 0, 5), (0, TWICE, 10 * REPEATS, 5)]
    assert followed(form, many + reports) == {REPEATS}
